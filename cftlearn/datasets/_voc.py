"""PASCAL VOC: twenty categories, and objects too difficult to count."""

import os
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from numbers import Integral
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cftlearn._dependencies import StrOptions, validate_params
from cftlearn.datasets._byte_blocks import read_blocks, read_lines
from cftlearn.datasets._label_table import LabelTable, as_objects
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
        "folder": [str, os.PathLike],
        "split": [str],
        "year": [Integral, None],
        "source": [StrOptions({"lists", "annotations"})],
    },
    prefer_skip_nested_validation=True,
)
def load_voc(
    folder: str | os.PathLike[str],
    *,
    split: str = "trainval",
    year: int | None = None,
    source: Literal["lists", "annotations"] = "lists",
    categories: Iterable[str] | None = None,
) -> LabelTable:
    """Read which of the twenty categories PASCAL VOC's images show.

    A category is positive in an image with an object of it that is not marked
    difficult, and negative where there is none. Where all its objects are difficult
    (small, dark, hidden), it is **uncertain**: the official score counts such an image
    neither as a hit nor as a miss, so by default its label is unknown. It is not
    blank, for something is there: ``blank="negative"`` must not make it negative,
    while ``uncertain="positive"`` or ``"negative"`` may, as some others' readers do.

    Parameters
    ----------
    folder : str or path
        The folder that holds ``VOC2007``, ``VOC2012``, ...: ``VOCdevkit`` or the one
        around it; or ``VOC2007`` itself.
    split : str, default="trainval"
        ``"train"``, ``"val"``, ``"trainval"`` or ``"test"``: a list of images in
        ``ImageSets/Main``. Labels of the test images were published for 2007 only.
    year : int, default=None
        Which ``VOC<year>``; by default, the only one that there is.
    source : {"lists", "annotations"}, default="lists"
        ``"lists"`` reads ``ImageSets/Main/<category>_<split>.txt``, twenty files;
        ``"annotations"`` reads ``Annotations/<image>.xml``, one file an image. They
        say the same.
    categories : iterable of str, default=None
        Names of the categories to keep, in this order; all twenty, sorted, by default.

    Returns
    -------
    table : LabelTable
        Dense, without blanks. One row per image of the split, in its order; ``paths``
        start at ``folder``. ``info`` has ``image_id``.

    Raises
    ------
    FileNotFoundError
        If ``folder`` does not hold the year, the split, or their labels.
    ValueError
        If several years are there and none is asked for; if a file has something else
        than it should; if ``categories`` names a stranger.

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
    home = _find_year(Path(folder), year)
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
    places = [folder, folder / "VOCdevkit"]
    below = [child for place in places if place.is_dir() for child in place.iterdir()]
    homes = sorted(
        child
        for child in below
        if _YEAR.fullmatch(child.name) and (child / "ImageSets").is_dir()
    )
    chosen = [home for home in homes if year in (None, _year_of(home))]
    if len(chosen) == 1:
        return chosen[0]
    if chosen:
        found = ", ".join(home.relative_to(folder).as_posix() for home in chosen)
        raise ValueError(
            f"`year` must tell one of several folders; got {year}, and '{folder}' "
            f"holds {found}. Give the year, or that folder itself."
        )
    found = ", ".join(home.name for home in homes) or "no such folder"
    wanted = "a folder VOC<year>" if year is None else f"VOC{year}"
    raise FileNotFoundError(
        f"`folder` must hold {wanted} with ImageSets inside; got '{folder}', which "
        f"holds {found}. Unpack VOC's archives there: they make VOCdevkit/VOC<year>."
    )


def _year_of(home: Path) -> int | None:
    name = home.resolve().name
    return int(name[3:]) if _YEAR.fullmatch(name) else None


def _read_split(home: Path, split: str) -> list[str]:
    """List the images of a split, each once."""
    lists = home / "ImageSets" / "Main"
    if not (lists / f"{split}.txt").is_file():
        there = sorted(
            file.stem for file in lists.glob("*.txt") if "_" not in file.stem
        )
        raise FileNotFoundError(
            f"`split` must name a list of images in '{lists}'; got {split!r}. There "
            f"are: {', '.join(map(repr, there)) or 'none'}."
        )
    path = lists / f"{split}.txt"
    seen: dict[str, int] = {}
    for number, line in read_lines(path, parameter="folder"):
        if len(line.split()) != 1 or line in seen:
            raise ValueError(
                f"`folder` must list every image once, one a line; got {line!r} in "
                f"line {number} of '{path}'. Unpack VOC's archive again."
            )
        seen[line] = number
    return list(seen)


def _read_lists(home: Path, split: str, ids: list[str]) -> NDArray[np.uint8]:
    row_of = {image_id: row for row, image_id in enumerate(ids)}
    states = np.zeros((len(ids), len(_CATEGORIES)), dtype=np.uint8)
    for j, name in enumerate(_CATEGORIES):
        path = home / "ImageSets" / "Main" / f"{name}_{split}.txt"
        if not path.is_file():
            raise FileNotFoundError(
                f"`folder` must hold labels of the split; got '{home}' without "
                f"'{path.relative_to(home).as_posix()}'. VOC published labels of test "
                'images for 2007 only; source="annotations" reads the XML files.'
            )
        _read_list(path, row_of, states[:, j])
        missing = np.flatnonzero(states[:, j] == LabelState.BLANK)
        if missing.size:
            raise ValueError(
                f"`folder` must label every image of {split!r}; got '{path}' without "
                f"{ids[missing[0]]!r} ({missing.size:,} of {len(ids):,} images are "
                "missing). Unpack VOC's archive again."
            )
    return states


def _read_list(path: Path, row_of: dict[str, int], states: NDArray[np.uint8]) -> None:
    for number, line in read_lines(path, parameter="folder"):
        image_id, *values = line.split()
        row = row_of.get(image_id)
        if len(values) != 1 or values[0] not in _STATES or row is None or states[row]:
            raise ValueError(
                "`folder` must have, in its lists of labels, an image of the split, "
                f"once, and 1, -1 or 0; got {line!r} in line {number} of '{path}'. "
                "Unpack VOC's archive again."
            )
        states[row] = _STATES[values[0]]


def _read_annotations(home: Path, split: str, ids: list[str]) -> NDArray[np.uint8]:
    column_of = {name: j for j, name in enumerate(_CATEGORIES)}
    states = np.full((len(ids), len(_CATEGORIES)), LabelState.NEGATIVE, dtype=np.uint8)
    folder = home / "Annotations"
    missing = [one for one in ids if not (folder / f"{one}.xml").is_file()]
    if missing:
        raise FileNotFoundError(
            f"`folder` must hold an annotation of every image of {split!r}; got "
            f"'{folder}' without '{missing[0]}.xml' ({len(missing):,} of {len(ids):,} "
            "images are missing). VOC published labels of test images for 2007 only; "
            "else unpack its archive again."
        )
    for row, image_id in enumerate(ids):
        path = folder / f"{image_id}.xml"
        for name, is_difficult in _read_objects(path):
            if name not in column_of:
                raise ValueError(
                    "`folder` must have objects of VOC's twenty categories in its "
                    f"annotations; got {name!r} in '{path}'. Rename or remove it."
                )
            column = column_of[name]
            if not is_difficult:
                states[row, column] = LabelState.POSITIVE
            elif states[row, column] == LabelState.NEGATIVE:
                states[row, column] = LabelState.UNCERTAIN
    return states


def _read_objects(path: Path) -> list[tuple[str, bool]]:
    """Give name and difficulty of an image's objects, without their parts."""
    content = b"".join(read_blocks(path, parameter="folder"))
    try:
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        raise ValueError(
            f"`folder` must have annotations in XML; got '{path}': {error}. Unpack "
            "VOC's archive again."
        ) from error
    objects = []
    for item in root.findall("object"):
        name = (item.findtext("name") or "").strip()
        # As in VOC's own reader, an object without the mark is not difficult.
        mark = (item.findtext("difficult") or "0").strip()
        if mark not in {"0", "1"}:
            raise ValueError(
                f"`folder` must have 0 or 1 as 'difficult' in its annotations; got "
                f"{mark!r} for an object {name!r} in '{path}'. Correct it."
            )
        objects.append((name, mark == "1"))
    return objects
