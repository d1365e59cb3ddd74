"""PASCAL VOC: twenty categories, and objects too difficult to count."""

import re
from collections.abc import Iterable, Mapping
from numbers import Integral
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cftlearn._dependencies import StrOptions, validate_params
from cftlearn.datasets._label_table import LabelTable, as_objects
from cftlearn.datasets._names import as_name, path_key, refuse_alike, shown
from cftlearn.datasets._paths import PathText, as_path, is_file, is_folder, names_in
from cftlearn.datasets._text_files import numbered_lines
from cftlearn.datasets._voc_annotations import (
    Annotation,
    categories_found,
    read_annotation,
    states_of,
)
from cftlearn.exceptions import list_some
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
_FOUND = "found"
_ALL = "all"
_MOST_NAMED = 20  # names in an error
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
    """Load the labels of PASCAL VOC, or of your own images in its form.

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
        ``"all"`` with ``source="annotations"``: every image that has an annotation,
        sorted; labelling tools do not write lists.
    year : int, default=None
        Which ``VOC<year>``; by default the only one in the folder.
    source : {"lists", "annotations"}, default="lists"
        ``"lists"`` reads ``ImageSets/Main/<category>_<split>.txt``, twenty files;
        ``"annotations"`` reads ``Annotations/<image>.xml``, one file per image. Both
        give the same labels.
    categories : "found" or iterable of str, default=None
        Names of the categories to keep, in this order; VOC's twenty, sorted, by
        default, and then an object with another name is refused. For categories of
        your own, their names, or ``"found"``: all that the annotations (of all
        splits) or the lists have, sorted.

    Returns
    -------
    table : LabelTable
        Dense, without blanks. One row per image of the split, in its order; ``paths``
        start at the folder of ``path``. Images end in what ``JPEGImages`` or the
        annotation says, such as ``.png``, else in ``.jpg``. ``info`` has ``image_id``.

    Raises
    ------
    FileNotFoundError
        If the folder does not hold the year, the split, or their labels.
    ValueError
        If there are several years and ``year`` is None; if a file is not of the
        published form; if ``categories`` names a category that nothing has, or a
        category is spelled in two ways.

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
    is_annotated = source == "annotations"
    home = _find_year(folder, year, may_lack_lists=is_annotated and split == _ALL)
    ids = _read_split(home, split, is_annotated)
    wanted = _as_categories(categories)
    annotations: dict[Path, Annotation] = {}
    if is_annotated:
        annotations = _read_annotations(home, split, ids)
        names, states = _from_annotations(home, wanted, annotations)
    else:
        if isinstance(wanted, str):
            names = _listed_categories(home, split)
        else:
            names = list(_CATEGORIES) if wanted is None else wanted
        states = _read_lists(home, split, ids, names)
    images = home.relative_to(folder) / "JPEGImages"
    return LabelTable(
        as_objects(
            (images / name).as_posix()
            for name in _image_names(home, ids, list(annotations.values()))
        ),
        states,
        as_objects(names),
        {"image_id": as_objects(ids)},
    )


def _as_categories(categories: Iterable[str] | None) -> list[str] | str | None:
    """Return the names to keep; "found" or None as they are."""
    if categories is None or (isinstance(categories, str) and categories == _FOUND):
        return categories
    given = [categories] if isinstance(categories, str) else list(categories)
    names = [
        as_name(name, "a category", "`categories`", "categories")
        for name in given
        if isinstance(name, str)
    ]
    if not names or len(names) < len(given):
        raise ValueError(
            "`categories` must name at least one category, as text; got "
            f"{shown(given)}."
        )
    refuse_alike(names, "category", "`categories`", "categories")
    return names


def _find_year(folder: Path, year: int | None, *, may_lack_lists: bool) -> Path:
    """Find the folder of one year: here, below, or below VOCdevkit."""
    needed = "Annotations" if may_lack_lists else "ImageSets"
    if is_folder(folder / needed) and year in (None, _year_of(folder)):
        return folder
    homes = sorted(
        child
        for parent in (folder, folder / "VOCdevkit")
        if is_folder(parent)
        for child in parent.iterdir()
        if _YEAR.fullmatch(child.name) and is_folder(child / needed)
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
        f"`path` must hold {wanted} with {needed} inside; got '{folder}', which "
        f"holds {found}. Unpack VOC's archives there: they make VOCdevkit/VOC<year>."
    )


def _year_of(home: Path) -> int | None:
    name = home.resolve().name
    return int(name[3:]) if _YEAR.fullmatch(name) else None


def _read_split(home: Path, split: str, is_annotated: bool) -> list[str]:
    """Return the images of a split, each once."""
    folder = home / "ImageSets" / "Main"
    file = folder / f"{split}.txt"
    if is_annotated and split == _ALL and not is_file(file):
        return sorted(item.stem for item in _annotation_files(home))
    if not is_file(file):
        splits = sorted(
            other.stem for other in folder.glob("*.txt") if "_" not in other.stem
        )
        raise FileNotFoundError(
            f"`split` must name a list of images in '{folder}'; got {split!r}. There "
            f"are: {', '.join(map(repr, splits)) or 'none'}."
        )
    ids: dict[str, str] = {}
    for number, line in numbered_lines(file):
        if len(line.split()) != 1 or path_key(line) in ids:
            raise ValueError(
                f"`path` must list every image once, one per line; got {shown(line)} "
                f"in line {number} of '{file}'. Correct the list, or unpack VOC's "
                "archive again."
            )
        ids[path_key(line)] = line
    return list(ids.values())


def _image_names(
    home: Path, ids: list[str], annotations: list[Annotation]
) -> list[str]:
    """Return the file name of each image: present, as annotated, or with .jpg."""
    folder = home / "JPEGImages"
    present: dict[str, list[str]] = {}
    for name in names_in(folder) if is_folder(folder) else []:
        present.setdefault(name.rsplit(".", 1)[0], []).append(name)
    names = []
    for row, image_id in enumerate(ids):
        annotated = annotations[row].image if annotations else ""
        own = f"{image_id}.jpg"
        choices = present.get(image_id, [])
        stem = annotated.rsplit(".", 1)[0]
        if stem == image_id != annotated:
            own = annotated
        if image_id not in (stem, annotated) and annotated and not choices:
            raise ValueError(
                f"`path` must have annotations named like their images; "
                f"{shown(image_id)} says it is of {shown(annotated)}, and '{folder}' "
                "has no image of its own name. Rename the annotation."
            )
        if len(choices) > 1 and own not in choices:
            raise ValueError(
                f"`path` must have one file of each image; '{folder}' has "
                f"{list_some(choices)}. Delete all but one."
            )
        names.append(choices[0] if len(choices) == 1 else own)
    return names


def _listed_categories(home: Path, split: str) -> list[str]:
    """Return the categories that have a list of the split."""
    folder, end = home / "ImageSets" / "Main", f"_{split}.txt"
    names = sorted(
        as_name(name.removesuffix(end), "a category", f"'{folder}'")
        for name in names_in(folder)
        if name.endswith(end)
    )
    if not names:
        raise FileNotFoundError(
            f"`path` must hold labels of the split; got '{folder}' without any list "
            f'<category>{end}. source="annotations" reads the XML files.'
        )
    refuse_alike(names, "category", f"'{folder}'")
    return names


def _read_lists(
    home: Path, split: str, ids: list[str], names: list[str]
) -> NDArray[np.uint8]:
    row_of = {image_id: row for row, image_id in enumerate(ids)}
    states = np.zeros((len(ids), len(names)), dtype=np.uint8)
    for j, name in enumerate(names):
        file = home / "ImageSets" / "Main" / f"{name}_{split}.txt"
        if not is_file(file) and name not in _CATEGORIES:
            raise ValueError(
                f"`categories` must name categories that have a list; got "
                f"{shown(name)}, and '{home}' has no "
                f"{shown(file.relative_to(home).as_posix())}. "
                'source="annotations" reads the XML files.'
            )
        if not is_file(file):
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
                f"{shown(ids[missing[0]])} ({missing.size:,} of {len(ids):,} images "
                "are "
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
                f"once, and 1, -1 or 0; got {shown(line)} in line {number} of "
                f"'{file}'. "
                "Unpack VOC's archive again."
            )
        states[row] = _STATES[values[0]]


def _annotation_files(home: Path) -> list[Path]:
    folder = home / "Annotations"
    names = names_in(folder) if is_folder(folder) else []
    files = [folder / name for name in names if name.endswith(".xml")]
    if not files:
        raise FileNotFoundError(
            f"`path` must hold annotations; got '{folder}' without any XML file. "
            "Export the labels in the form of PASCAL VOC there."
        )
    return files


def _read_annotations(home: Path, split: str, ids: list[str]) -> dict[Path, Annotation]:
    """Read the annotation of each image."""
    folder = home / "Annotations"
    missing = [image_id for image_id in ids if not is_file(folder / f"{image_id}.xml")]
    if missing:
        raise FileNotFoundError(
            f"`path` must hold an annotation of every image of {split!r}; got "
            f"'{folder}' without {shown(f'{missing[0]}.xml')} ({len(missing):,} of "
            f"{len(ids):,} images are missing). VOC published labels of test images "
            "for 2007 only; for other images unpack its archive again."
        )
    files = [folder / f"{image_id}.xml" for image_id in ids]
    return {file: read_annotation(file) for file in files}


def _from_annotations(
    home: Path,
    wanted: list[str] | str | None,
    annotations: Mapping[Path, Annotation],
) -> tuple[list[str], NDArray[np.uint8]]:
    """Return names of categories, and their states."""
    if wanted is None:
        names = list(_CATEGORIES)
        return names, states_of(annotations, names, known=names)
    found = {name for item in annotations.values() for name, _ in item.objects}
    own = [] if isinstance(wanted, str) else sorted(set(wanted) - set(_CATEGORIES))
    if isinstance(wanted, str) or not found.issuperset(own):
        rest = [file for file in _annotation_files(home) if file not in annotations]
        everything = {**annotations, **{file: read_annotation(file) for file in rest}}
        if isinstance(wanted, str):
            wanted = categories_found(everything)
        found = {name for item in everything.values() for name, _ in item.objects}
    unknown = [name for name in own if name not in found]
    if unknown:
        raise ValueError(
            f"`categories` must name categories that VOC or an annotation has; got "
            f"{shown(unknown[0])}. Annotations have: "
            f"{list_some(list(map(shown, sorted(found))), _MOST_NAMED) or 'none'}."
        )
    is_of_voc = set(wanted) <= set(_CATEGORIES)
    known = _CATEGORIES if is_of_voc else None
    return wanted, states_of(annotations, wanted, known=known)
