"""Visual Attributes in the Wild: few judged attributes for each of many objects."""

from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cftlearn._dependencies import StrOptions, validate_params
from cftlearn.datasets._label_table import LabelTable, as_objects
from cftlearn.datasets._names import as_name, refuse_alike, shown
from cftlearn.datasets._paths import PathText, existing_file, exists, files_of_split
from cftlearn.datasets._text_files import read_json
from cftlearn.labels import LabelState

_FILES = {
    split: [(f"data/{name}", name) for name in names]
    for split, names in {
        "train": ("train_part1.json", "train_part2.json"),
        "val": ("val.json",),
        "test": ("test.json",),
    }.items()
}
_INDEX = "attribute_index.json"
_MOST_DIGITS = 18  # so that ids fit into int64
_LARGEST_PLACE = 2**31  # pixels
_REMEDY = "Correct the file, or download it again."
_Kinds = type | tuple[type, ...]
_FIELDS: dict[str, _Kinds] = {  # what an instance must have, with its types in Python
    "image_id": (int, str),
    "instance_id": (int, str),
    "instance_bbox": list,
    "object_name": str,
    "positive_attributes": list,
    "negative_attributes": list,
}


@validate_params(
    {
        "path": "no_validation",
        "split": [StrOptions(set(_FILES)), None],
        "attributes": "no_validation",
    },
    prefer_skip_nested_validation=True,
)
def load_vaw(
    path: PathText | Iterable[PathText],
    *,
    split: Literal["train", "val", "test"] | None = None,
    attributes: PathText | Iterable[str] | None = None,
) -> LabelTable:
    """Load the labels of Visual Attributes in the Wild (VAW).

    One row per instance, which is an object with a box in an image of Visual Genome.
    Annotators judged 3.56 of 620 attributes per instance; all others are blank, so the
    table is sparse. An attribute in both lists of an instance is uncertain.

    Parameters
    ----------
    path : str, path-like, or iterable of them
        The JSON file, or several: ``[".../train_part1.json", ".../train_part2.json"]``.
        Or, with ``split``, the folder that holds them, itself or in ``data``.
    split : {"train", "val", "test"}, default=None
        Which files of the folder. For files, None.
    attributes : str, path-like or iterable of str, default=None
        The categories: the path of ``attribute_index.json``, or names, in this order;
        attributes that are not named are left out. By default the
        ``attribute_index.json`` beside the (first) file.

    Returns
    -------
    table : LabelTable
        ``paths`` are ``<image_id>.jpg``; Visual Genome keeps them in two folders,
        ``VG_100K`` and ``VG_100K_2``. ``info`` has ``image_id``, ``instance_id``,
        ``object_name`` and ``bbox``, of shape (n_samples, 4): left, top, width and
        height in pixels. Split by ``image_id``: an image has several instances.

    Raises
    ------
    FileNotFoundError
        If a file does not exist.
    ValueError
        If a file is not JSON or not of this form, an instance or an attribute of the
        index appears twice, or an attribute is not in the index. The message names
        file and instance.

    References
    ----------
    .. [1] Pham et al., "Learning to Predict Visual Attributes in the Wild", CVPR 2021;
       https://github.com/adobe-research/vaw_dataset.

    Examples
    --------
    >>> import json
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from cftlearn.datasets import load_vaw
    >>> instance = {
    ...     "image_id": "713545", "instance_id": "713545036",
    ...     "instance_bbox": [10.0, 20.0, 30.0, 40.0], "object_name": "horse",
    ...     "positive_attributes": ["brown"], "negative_attributes": ["white", "wet"],
    ... }
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder, "val.json")
    ...     _ = file.write_text(json.dumps([instance]))
    ...     table = load_vaw(file, attributes=["brown", "white", "tall"])
    >>> table.labels()
    array([[ 1.,  0., nan]])
    """
    files = _files_of(path, split)
    names, all_names = _attributes_of(attributes, files)
    instances = _Instances(names, all_names)
    for file in files:
        instances.read(file)
    return instances.table()


def _files_of(path: Any, split: str | None) -> list[Path]:
    is_one = isinstance(path, (str, PathLike)) or not isinstance(path, Iterable)
    paths = [path] if is_one else list(path)
    if not paths:
        raise ValueError("`path` must name at least one file; got none.")
    if len(paths) == 1:
        return files_of_split(paths[0], split, _FILES)
    if split is not None:
        raise ValueError(
            f"`split` must be None where `path` names files; got {split!r}. Leave it "
            "out, or pass the folder."
        )
    return [existing_file(item) for item in paths]


def _attributes_of(attributes: Any, files: list[Path]) -> tuple[list[str], set[str]]:
    """Return the names of the columns, and of all attributes (empty: not known)."""
    beside = files[0].parent / _INDEX
    if attributes is None:
        if not exists(beside):
            raise FileNotFoundError(
                f"`attributes` must be given where there is no {_INDEX} beside "
                f"'{files[0]}'. Pass its path, or names of attributes."
            )
        attributes = beside
    if isinstance(attributes, (str, PathLike)):
        index = _read_index(attributes)
        return index, set(index)
    names = [
        as_name(name, "an attribute", "`attributes`", "attributes")
        for name in attributes
        if isinstance(name, str)
    ]
    all_names = set(_read_index(beside)) if exists(beside) else set()
    unknown = [name for name in names if all_names and name not in all_names]
    if unknown or not names or len(set(names)) < len(names):
        wrong = f"{shown(unknown[0])}, not in '{beside}'" if unknown else shown(names)
        raise ValueError(
            f"`attributes` must name at least one attribute of VAW, each once; got "
            f"{wrong}."
        )
    return names, all_names


def _read_index(path: PathText) -> list[str]:
    index = read_json(path, "attributes")
    numbers = list(index.values()) if isinstance(index, dict) else []
    if (
        not numbers
        or any(type(number) is not int for number in numbers)
        or set(numbers) != set(range(len(numbers)))
    ):
        raise ValueError(
            f"`attributes` must be a JSON object that numbers the attributes from 0; "
            f"'{path}' is not. Use VAW's {_INDEX}."
        )
    names = [
        as_name(name, "an attribute", f"'{path}'", "attributes")
        for name in sorted(index, key=index.__getitem__)
    ]
    refuse_alike(names, "attribute", f"'{path}'", "attributes")
    return names


class _Instances:
    """Instances of VAW's files, added one by one."""

    def __init__(self, names: list[str], all_names: set[str]) -> None:
        self.names, self.all_names = names, all_names
        self.column_of = {name: j for j, name in enumerate(names)}
        self.cells: list[tuple[int, int, int]] = []
        self.row_of: dict[int, int] = {}
        self.images: list[int] = []
        self.boxes: list[list[float]] = []
        self.objects: list[str] = []

    def read(self, file: Path) -> None:
        content = read_json(file, object_hook=_without_polygon)
        if not isinstance(content, list):
            raise ValueError(
                f"`path` must be a JSON list of instances; '{file}' holds a "
                f"{type(content).__name__}. Pass VAW's train_part1.json, "
                "train_part2.json, val.json or test.json."
            )
        for number, instance in enumerate(content):
            location = f"instance {number} of '{file}'"
            _check_fields(instance, location)
            self._add(instance, location)

    def _add(self, instance: dict[str, Any], location: str) -> None:
        key, row = int(instance["instance_id"]), len(self.row_of)
        if self.row_of.setdefault(key, row) != row:
            raise ValueError(
                f"`path` must have every instance once; instance_id {key} of "
                f"{location} came before. Was a file named twice?"
            )
        self.images.append(int(instance["image_id"]))
        self.boxes.append(instance["instance_bbox"])
        self.objects.append(instance["object_name"])
        for state, field in (
            (LabelState.POSITIVE, "positive_attributes"),
            (LabelState.NEGATIVE, "negative_attributes"),
        ):
            for name in _names_of(instance[field], location):
                column = self.column_of.get(name)
                if column is not None:
                    self.cells.append((row, column, int(state)))
                elif self.all_names and name not in self.all_names:
                    raise ValueError(
                        f"`path` must use attributes of {_INDEX}; got {shown(name)} "
                        f"in `{field}` of {location}. Is the index of another version?"
                    )

    def table(self) -> LabelTable:
        cells = np.array(self.cells, dtype=np.int64).reshape(-1, 3)
        rows, columns, states = cells.T
        return LabelTable.from_cells(
            (f"{image}.jpg" for image in self.images),
            self.names,
            rows=rows,
            columns=columns,
            states=states,
            info={
                "image_id": np.array(self.images, dtype=np.int64),
                "instance_id": np.array(list(self.row_of), dtype=np.int64),
                "object_name": as_objects(self.objects),
                "bbox": np.array(self.boxes, dtype=np.float64).reshape(-1, 4),
            },
        )


def _names_of(names: list[str], location: str) -> list[str]:
    return [
        name
        if name.isascii() and name.isprintable() and name.strip() == name != ""
        else as_name(name, "an attribute", location)
        for name in names
    ]


def _without_polygon(item: dict[str, Any]) -> dict[str, Any]:
    """Drop outlines while reading: they are most of the file and not labels."""
    item.pop("instance_polygon", None)
    return item


def _check_fields(instance: Any, location: str) -> None:
    if not isinstance(instance, dict):
        raise ValueError(
            f"`path` must be a list of JSON objects; got {shown(instance)} as "
            f"{location}. "
            f"{_REMEDY}"
        )
    for field, kinds in _FIELDS.items():
        if not isinstance(instance.get(field), kinds):
            got = shown(instance[field]) if field in instance else "nothing"
            raise ValueError(
                f"`path` must have `{field}` in every instance; got {got} in "
                f"{location}. Is this a file of VAW?"
            )
    for field in ("image_id", "instance_id"):
        value = instance[field]
        is_number = isinstance(value, str) or 0 <= value < 10**_MOST_DIGITS
        if not is_number or not _is_number(str(value)):
            raise ValueError(
                f"`path` must have a whole number of at most {_MOST_DIGITS} digits as "
                f"`{field}`; got {shown(value)} in {location}. {_REMEDY}"
            )
    for field in ("positive_attributes", "negative_attributes"):
        if not all(isinstance(name, str) for name in instance[field]):
            raise ValueError(
                f"`path` must have names in `{field}`; got {shown(instance[field])} in "
                f"{location}. {_REMEDY}"
            )
    box = instance["instance_bbox"]
    if len(box) != 4 or not all(
        type(x) in (int, float) and abs(x) < _LARGEST_PLACE for x in box
    ):
        raise ValueError(
            "`path` must have [left, top, width, height] in pixels as `instance_bbox`; "
            f"got {shown(box)} in {location}. {_REMEDY}"
        )


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS
