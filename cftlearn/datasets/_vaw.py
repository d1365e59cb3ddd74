"""Visual Attributes in the Wild: attributes of objects, of which few are judged."""

from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cftlearn._dependencies import StrOptions, validate_params
from cftlearn.datasets._label_table import LabelTable, as_objects
from cftlearn.datasets._text_files import (
    PathText,
    existing_file,
    first_existing,
    read_json,
)
from cftlearn.labels import LabelState

_PARTS = {
    "train": ("train_part1.json", "train_part2.json"),
    "val": ("val.json",),
    "test": ("test.json",),
}
_INDEX = "attribute_index.json"
_FIELDS: dict[
    str, type | tuple[type, ...]
] = {  # what an instance must have, and how a JSON reader gives it
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
        "split": [StrOptions(set(_PARTS)), None],
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

    One row per instance, that is per object with a box in an image of Visual Genome.
    Annotators judged 3.56 of 620 attributes per instance; all others are blank, so the
    table is sparse. An attribute in both lists of an instance is uncertain.

    Parameters
    ----------
    path : str, path-like, or iterable of them
        The JSON file, or several: ``[".../train_part1.json", ".../train_part2.json"]``.
        Or the folder that holds them, or whose ``data`` does, with ``split``.
    split : {"train", "val", "test"}, default=None
        Which files of the folder. For files, None.
    attributes : str, path-like or iterable of str, default=None
        The categories: the path of ``attribute_index.json``, or names, in the order
        wanted; attributes that are not named are left out. By default the
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
        If a file is not JSON or not of this form, an instance appears twice, or an
        attribute is not in the index. The message names file and instance.

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
    names, known = _attributes_of(attributes, files)
    instances = _Instances(names, known)
    for file in files:
        instances.read(file)
    return instances.table()


def _files_of(path: Any, split: str | None) -> list[Path]:
    paths = [path] if isinstance(path, (str, PathLike)) else list(path)
    if not paths:
        raise ValueError("`path` must name at least one file; got none.")
    if len(paths) == 1 and Path(paths[0]).is_dir():
        if split is None:
            raise ValueError(
                f"`split` must be 'train', 'val' or 'test' where `path` is a folder; "
                f"got None for '{paths[0]}'."
            )
        return [
            first_existing(Path(paths[0]), [f"data/{name}", name], f"VAW's {name}")
            for name in _PARTS[split]
        ]
    if split is not None:
        raise ValueError(
            f"`split` must be None where `path` names files; got {split!r}. Leave it "
            "out, or pass the folder."
        )
    return [existing_file(item) for item in paths]


def _attributes_of(attributes: Any, files: list[Path]) -> tuple[list[str], set[str]]:
    """Give the names wanted, and all that may occur (empty: any)."""
    beside = files[0].parent / _INDEX
    if attributes is None:
        if not beside.exists():
            raise FileNotFoundError(
                f"`attributes` must be given where no {_INDEX} lies beside "
                f"'{files[0]}'. Pass its path, or names of attributes."
            )
        attributes = beside
    if isinstance(attributes, (str, PathLike)):
        index = _read_index(existing_file(attributes, "attributes"))
        return index, set(index)
    names = list(attributes)
    known = set(_read_index(beside)) if beside.exists() else set()
    strangers = [name for name in names if known and name not in known]
    if strangers or not names or len(set(names)) < len(names):
        wrong = f"{strangers[0]!r}, not in '{beside}'" if strangers else repr(names)
        raise ValueError(
            f"`attributes` must name at least one attribute of VAW, each once; got "
            f"{wrong}."
        )
    return names, known


def _read_index(file: Path) -> list[str]:
    index = read_json(file)
    numbers = set(index.values()) if isinstance(index, dict) else set()
    if not numbers or numbers != set(range(len(index))):
        raise ValueError(
            f"`attributes` must be a JSON object that numbers the attributes from 0; "
            f"'{file}' is not. Use VAW's {_INDEX}."
        )
    return sorted(index, key=index.__getitem__)


class _Instances:
    """Instances of VAW's files, gathered one by one."""

    def __init__(self, names: list[str], known: set[str]):
        self.names, self.known = names, known
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
            where = f"instance {number} of '{file}'"
            _check_fields(instance, where)
            self._add(instance, where)

    def _add(self, instance: dict[str, Any], where: str) -> None:
        key, row = int(instance["instance_id"]), len(self.row_of)
        if self.row_of.setdefault(key, row) != row:
            raise ValueError(
                f"`path` must have every instance once; instance_id {key} of {where} "
                "came before. Was a file named twice?"
            )
        self.images.append(int(instance["image_id"]))
        self.boxes.append(instance["instance_bbox"])
        self.objects.append(instance["object_name"])
        for state, field in (
            (LabelState.POSITIVE, "positive_attributes"),
            (LabelState.NEGATIVE, "negative_attributes"),
        ):
            for name in instance[field]:
                column = self.column_of.get(name)
                if column is not None:
                    self.cells.append((row, column, int(state)))
                elif name not in self.known and self.known:
                    raise ValueError(
                        f"`path` must use attributes of {_INDEX}; got {name!r} in "
                        f"`{field}` of {where}. Is the index of another version?"
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


def _without_polygon(item: dict[str, Any]) -> dict[str, Any]:
    """Drop outlines while reading: they are most of the file and no labels."""
    item.pop("instance_polygon", None)
    return item


def _check_fields(instance: Any, where: str) -> None:
    if not isinstance(instance, dict):
        raise ValueError(
            f"`path` must be a list of JSON objects; got {instance!r} as {where}."
        )
    for field, kinds in _FIELDS.items():
        if not isinstance(instance.get(field), kinds):
            got = repr(instance[field]) if field in instance else "nothing"
            raise ValueError(
                f"`path` must give every instance its `{field}`; got {got} in {where}. "
                "Is this a file of VAW?"
            )
    for field in ("image_id", "instance_id"):
        if not str(instance[field]).isdecimal():
            raise ValueError(
                f"`{field}` must be a whole number; got {instance[field]!r} in {where}."
            )
    for field in ("positive_attributes", "negative_attributes"):
        if not all(isinstance(name, str) for name in instance[field]):
            raise ValueError(
                f"`{field}` must be names; got {instance[field]!r} in {where}."
            )
    box = instance["instance_bbox"]
    if len(box) != 4 or not all(isinstance(x, (int, float)) for x in box):
        raise ValueError(
            f"`instance_bbox` must be [left, top, width, height]; got {box} in {where}."
        )
