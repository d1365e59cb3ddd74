"""PASCAL VOC: twenty categories, and objects too difficult to count."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from numbers import Integral
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cftlearn._dependencies import StrOptions, validate_params
from cftlearn.datasets._label_table import LabelTable, as_objects
from cftlearn.datasets._paths import PathText, as_path
from cftlearn.datasets._text_files import numbered_lines, read_bytes
from cftlearn.labels import LabelState

_CATEGORIES = (
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)
_STATES = {
    "1": LabelState.POSITIVE,
    "-1": LabelState.NEGATIVE,
    "0": LabelState.UNCERTAIN,
}
_YEAR = re.compile(r"VOC\d{4}")


@validate_params(
    {
        "path": "no_validation",
        "split": [str],
        "year": [Integral, None],
        "source": [StrOptions({"lists", "annotations"})],
    },
    prefer_skip_nested_validation=True,
)
def load_voc(
    path: PathText,
    *,
    split: str = "trainval",
    year: int | None = None,
    source: Literal["lists", "annotations"] = "lists",
    categories: Iterable[str] | None = None,
) -> LabelTable:
    """Load the labels of PASCAL VOC's twenty categories.

    A category is positive in an image with an object of it that is not marked
    difficult, and negative where there is none. Where all its objects are difficult
    (small, dark, hidden), it is **uncertain**: the official score counts such an image
    neither as a hit nor as a miss, so by default its label is unknown. It is not
    blank, because there is an object: ``blank="negative"`` does not change it.
    ``uncertain="positive"`` or ``"negative"`` reads it as some other readers do.

    Parameters
    ----------
    path : str or path-like
        The folder that holds ``VOC2007``, ``VOC2012``, ...: ``VOCdevkit`` or the one
        around it; or ``VOC2007`` itself.
    split : str, default="trainval"
        ``"train"``, ``"val"``, ``"trainval"`` or ``"test"``: a list of images in
        ``ImageSets/Main``. Labels of the test images were published for 2007 only.
    year : int, default=None
        Which ``VOC<year>``; by default the only one in the folder.
    source : {"lists", "annotations"}, default="lists"
        ``"lists"`` reads ``ImageSets/Main/<category>_<split>.txt``, twenty files;
        ``"annotations"`` reads ``Annotations/<image>.xml``, one file per image. Both
        give the same labels.
    categories : iterable of str, default=None
        Names of the categories to keep, in this order; all twenty, sorted, by default.

    Returns
    -------
    table : LabelTable
        Dense, without blanks. One row per image of the split, in its order; ``paths``
        start at the folder of ``path``. ``info`` has ``image_id``.

    Raises
    ------
    FileNotFoundError
        If the folder does not hold the year, the split, or their labels.
    ValueError
        If there are several years and ``year`` is None; if a file is not of the
        published form; if ``categories`` names a category that VOC does not have.

    References
    ----------
    .. [1] M. Everingham et al., "The PASCAL Visual Object Classes (VOC) Challenge",
       International Journal of Computer Vision 88, 2010.

    Examples
    --------
    >>> from cftlearn.datasets import load_voc
    >>> table = load_voc("VOCdevkit", year=2007, split="test")  # doctest: +SKIP
    >>> y = table.labels()  # doctest: +SKIP
    """
    folder = as_path(path)
    home = _find_year(folder, year)
    ids = _read_split(home, split)
    read = _read_lists if source == "lists" else _read_annotations
    images = home.relative_to(folder) / "JPEGImages"
    table = LabelTable(
        as_objects((images / f"{image_id}.jpg").as_posix() for image_id in ids),
        read(home, split, ids),
        as_objects(_CATEGORIES),
        {"image_id": as_objects(ids)},
    )
    return table if categories is None else table.select(categories)


def _find_year(folder: Path, year: int | None) -> Path:
    """Find the folder of one year: here, below, or below VOCdevkit."""
    if (folder / "ImageSets").is_dir() and year in (None, _year_of(folder)):
        return folder
    homes = sorted(
        child
        for parent in (folder, folder / "VOCdevkit")
        if parent.is_dir()
        for child in parent.iterdir()
        if _YEAR.fullmatch(child.name) and (child / "ImageSets").is_dir()
    )
    chosen = [home for home in homes if year in (None, _year_of(home))]
    if len(chosen) == 1:
        return chosen[0]
    if chosen:
        found = ", ".join(home.relative_to(folder).as_posix() for home in chosen)
        raise ValueError(
            f"`year` must choose one of several folders; got {year}, and '{folder}' "
            f"holds {found}. Pass the year, or that folder itself."
        )
    found = ", ".join(home.name for home in homes) or "no such folder"
    wanted = "a folder VOC<year>" if year is None else f"VOC{year}"
    raise FileNotFoundError(
        f"`path` must hold {wanted} with ImageSets inside; got '{folder}', which "
        f"holds {found}. Unpack VOC's archives there: they make VOCdevkit/VOC<year>."
    )


def _year_of(home: Path) -> int | None:
    name = home.resolve().name
    return int(name[3:]) if _YEAR.fullmatch(name) else None


def _read_split(home: Path, split: str) -> list[str]:
    """Return the images of a split, each once."""
    folder = home / "ImageSets" / "Main"
    file = folder / f"{split}.txt"
    if not file.is_file():
        splits = sorted(
            other.stem for other in folder.glob("*.txt") if "_" not in other.stem
        )
        raise FileNotFoundError(
            f"`split` must name a list of images in '{folder}'; got {split!r}. There "
            f"are: {', '.join(map(repr, splits)) or 'none'}."
        )
    ids: dict[str, None] = {}
    for number, line in numbered_lines(file):
        if len(line.split()) != 1 or line in ids:
            raise ValueError(
                f"`path` must list every image once, one per line; got {line!r} in "
                f"line {number} of '{file}'. Unpack VOC's archive again."
            )
        ids[line] = None
    return list(ids)


def _read_lists(home: Path, split: str, ids: list[str]) -> NDArray[np.uint8]:
    row_of = {image_id: row for row, image_id in enumerate(ids)}
    states = np.zeros((len(ids), len(_CATEGORIES)), dtype=np.uint8)
    for j, name in enumerate(_CATEGORIES):
        file = home / "ImageSets" / "Main" / f"{name}_{split}.txt"
        if not file.is_file():
            raise FileNotFoundError(
                f"`path` must hold labels of the split; got '{home}' without "
                f"'{file.relative_to(home).as_posix()}'. VOC published labels of test "
                'images for 2007 only; source="annotations" reads the XML files.'
            )
        _read_list(file, row_of, states[:, j])
        missing = np.flatnonzero(states[:, j] == LabelState.BLANK)
        if missing.size:
            raise ValueError(
                f"`path` must label every image of {split!r}; got '{file}' without "
                f"{ids[missing[0]]!r} ({missing.size:,} of {len(ids):,} images are "
                "missing). Unpack VOC's archive again."
            )
    return states


def _read_list(file: Path, row_of: dict[str, int], states: NDArray[np.uint8]) -> None:
    for number, line in numbered_lines(file):
        image_id, *values = line.split()
        row = row_of.get(image_id)
        if len(values) != 1 or values[0] not in _STATES or row is None or states[row]:
            raise ValueError(
                "`path` must have, in its lists of labels, an image of the split, "
                f"once, and 1, -1 or 0; got {line!r} in line {number} of '{file}'. "
                "Unpack VOC's archive again."
            )
        states[row] = _STATES[values[0]]


def _read_annotations(home: Path, split: str, ids: list[str]) -> NDArray[np.uint8]:
    column_of = {name: j for j, name in enumerate(_CATEGORIES)}
    states = np.full((len(ids), len(_CATEGORIES)), LabelState.NEGATIVE, dtype=np.uint8)
    folder = home / "Annotations"
    missing = [
        image_id for image_id in ids if not (folder / f"{image_id}.xml").is_file()
    ]
    if missing:
        raise FileNotFoundError(
            f"`path` must hold an annotation of every image of {split!r}; got "
            f"'{folder}' without '{missing[0]}.xml' ({len(missing):,} of {len(ids):,} "
            "images are missing). VOC published labels of test images for 2007 only; "
            "for other images unpack its archive again."
        )
    for row, image_id in enumerate(ids):
        file = folder / f"{image_id}.xml"
        for name, is_difficult in _read_objects(file):
            if name not in column_of:
                raise ValueError(
                    "`path` must have objects of VOC's twenty categories in its "
                    f"annotations; got {name!r} in '{file}'. Rename or remove it."
                )
            column = column_of[name]
            if not is_difficult:
                states[row, column] = LabelState.POSITIVE
            elif states[row, column] == LabelState.NEGATIVE:
                states[row, column] = LabelState.UNCERTAIN
    return states


def _read_objects(file: Path) -> list[tuple[str, bool]]:
    """Return name and difficulty of an image's objects, without their parts."""
    try:
        root = ElementTree.fromstring(read_bytes(file))
    except ElementTree.ParseError as error:
        raise ValueError(
            f"`path` must have annotations in XML; got '{file}': {error}. Unpack "
            "VOC's archive again."
        ) from error
    objects = []
    for item in root.findall("object"):
        name = (item.findtext("name") or "").strip()
        # As in VOC's own reader, an object without the mark is not difficult.
        mark = (item.findtext("difficult") or "0").strip()
        if mark not in {"0", "1"}:
            raise ValueError(
                f"`path` must have 0 or 1 as 'difficult' in its annotations; got "
                f"{mark!r} for an object {name!r} in '{file}'. Correct it."
            )
        objects.append((name, mark == "1"))
    return objects
