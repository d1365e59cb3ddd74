"""CheXpert: labels of chest radiographs, from its CSV files."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cftlearn._dependencies import StrOptions, validate_params
from cftlearn.datasets._cell_states import CellStates, encode_columns
from cftlearn.datasets._delimited import DelimitedTable, read_delimited
from cftlearn.datasets._label_table import LabelTable, as_objects
from cftlearn.datasets._text_files import PathText, as_path, existing_file

_CATEGORIES = (
    "No Finding",
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
)
_COMPETITION = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Pleural Effusion",
)
_FILES = {
    "train": ("train.csv", "train.csv.gz"),
    "valid": ("valid.csv", "valid.csv.gz"),
    "test": ("test_labels.csv", "groundtruth.csv", "test.csv"),
}
_STATES = {1: "positive", 0: "negative", -1: "uncertain"}
_STUDY = re.compile(r"(patient\d+)[\\/](study\d+)")
_VIEW = re.compile(r"_(frontal|lateral)\.\w+$")


@validate_params(
    {
        "path": "no_validation",
        "split": [StrOptions(set(_FILES)), None],
        "categories": "no_validation",
        "view": [StrOptions({"all", "frontal", "lateral"})],
    },
    prefer_skip_nested_validation=True,
)
def load_chexpert(
    path: PathText,
    *,
    split: Literal["train", "valid", "test"] | None = None,
    categories: Iterable[str] = "all",
    view: Literal["all", "frontal", "lateral"] = "all",
) -> LabelTable:
    """Load the labels of CheXpert.

    The labels are positive, negative, uncertain (-1) and blank (not mentioned in the
    report); all four states are kept, and :meth:`LabelTable.labels` decides what the
    last two become. Columns are found by their names, whatever their order: published
    files differ in it. Needs no image and no pandas.

    Parameters
    ----------
    path : str or path-like
        A CSV file of CheXpert, compressed by gzip or not: ``train.csv``,
        ``valid.csv``, the released test labels (``groundtruth.csv``, one row per
        study). Or the folder that holds them, with ``split``. Underscores in names of
        columns are read as blanks.
    split : {"train", "valid", "test"}, default=None
        Which file of the folder. For a file, None.
    categories : {"all", "competition"} or iterable of str, default="all"
        ``"all"``: the 14, in the file's order; ``"competition"``: the five that the
        competition scores, in alphabetical order; or names, in the order wanted.
    view : {"all", "frontal", "lateral"}, default="all"
        Which images. Test labels, of whole studies, have no view.

    Returns
    -------
    table : LabelTable
        One row per image (per study in the test labels). ``paths`` are the file's
        text, such as ``CheXpert-v1.0/train/patient00001/study1/view1_frontal.jpg``.
        ``info`` has ``patient``, ``study`` (unique: ``patient00001/study1``; images
        of one study share their labels, and their scores are averaged before a test)
        and, where the file says them, ``view`` (``frontal`` or ``lateral``),
        ``projection`` (``AP``, ``PA``, ``LL``, ``RL`` or empty), ``sex`` and ``age``
        in years (NaN if blank). Patients overlap within a file: split by them.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not a table of CheXpert's: a missing column, a cell that is no
        state, a path without patient and study, an image twice; or a parameter is
        wrong. The message names the line.

    References
    ----------
    .. [1] Irvin et al., "CheXpert: A Large Chest Radiograph Dataset with Uncertainty
       Labels and Expert Comparison", AAAI 2019.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from cftlearn.datasets import load_chexpert
    >>> text = '''Path,Frontal/Lateral,Edema,Fracture
    ... CheXpert-v1.0/train/patient00001/study1/view1_frontal.jpg,Frontal,-1.0,
    ... '''
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder, "train.csv")
    ...     _ = file.write_text(text)
    ...     table = load_chexpert(file, categories=["Fracture", "Edema"])
    >>> table.labels(uncertain={"Edema": "positive"}, blank="negative")
    array([[0., 1.]])
    >>> str(table.info["study"][0]), str(table.info["view"][0])
    ('patient00001/study1', 'frontal')
    """
    table = read_delimited(_file_of(as_path(path), split))
    places = _places_of(table)
    names = _wanted(categories, places, table)
    states = encode_columns(
        table,
        [places[_plain(name)] for name in names],
        CellStates(_STATES),
        "Restore the cell as CheXpert has it.",
    )
    paths = table.columns[_path_place(table, places)]
    _refuse_repeated(paths, table)
    info = _read_info(table, places, paths)
    labels = LabelTable(as_objects(paths), states, as_objects(names), info)
    return labels if view == "all" else labels.take(_rows_of(view, info, table))


def _file_of(path: Path, split: str | None) -> Path:
    if not path.is_dir():
        if split is not None:
            raise ValueError(
                f"`split` must be None where `path` is a file; got {split!r} for "
                f"'{path}'. Leave it out, or pass the folder."
            )
        return existing_file(path)
    if split is not None:
        for name in _FILES[split]:
            if (path / name).exists():
                return path / name
    there = sorted(item.name for item in path.glob("*.csv*"))
    holds = f"holds {', '.join(there)}" if there else "holds no CSV file"
    if split is None:
        raise ValueError(
            f"`split` must be 'train', 'valid' or 'test' where `path` is a folder; got "
            f"None. '{path}' {holds}."
        )
    raise FileNotFoundError(
        f"`path` must hold {' or '.join(_FILES[split])} for split={split!r}; '{path}' "
        f"{holds}. Pass the path of the file itself."
    )


def _plain(name: str) -> str:
    return name.replace("_", " ").strip().casefold()


def _places_of(table: DelimitedTable) -> dict[str, int]:
    places: dict[str, int] = {}
    for place, name in enumerate(table.header):
        other = places.setdefault(_plain(name), place)
        if other != place and name:
            raise ValueError(
                f"`path` must have every column once; '{table.file}' has "
                f"{table.header[other]!r} and {name!r}. Delete one."
            )
    return places


def _wanted(
    categories: Iterable[str], places: dict[str, int], table: DelimitedTable
) -> list[str]:
    """Give CheXpert's own names of the categories asked for."""
    own = {_plain(name): name for name in _CATEGORIES}
    if isinstance(categories, str):
        in_file = [own[plain] for plain in places if plain in own]
        missing = sorted(set(_CATEGORIES) - set(in_file))
        if categories == "all" and missing:
            raise ValueError(
                f"`path` must have the 14 categories of CheXpert; '{table.file}' lacks "
                f"{', '.join(missing)}. Pass the ones that it has: "
                f"categories={in_file}."
            )
        groups = {"all": in_file, "competition": list(_COMPETITION)}
        names = groups.get(categories, [categories])
    else:
        names = [str(name) for name in categories]
    for name in names:
        if _plain(name) not in own or _plain(name) not in places:
            has = ", ".join(repr(own[plain]) for plain in places if plain in own)
            raise ValueError(
                f"`categories` must be 'all', 'competition' or names of CheXpert's "
                f"categories; got {name!r}. '{table.file}' has: {has or 'none'}."
            )
    wanted = [own[_plain(name)] for name in names]
    if not wanted or len(set(wanted)) < len(wanted):
        raise ValueError(
            f"`categories` must name at least one category, each once; got {names}."
        )
    return wanted


def _path_place(table: DelimitedTable, places: dict[str, int]) -> int:
    for name in ("path", "study"):
        if name in places:
            return places[name]
    raise ValueError(
        f"`path` must have a column Path (images) or Study (test labels); "
        f"'{table.file}' has {table.named()}. Read other tables with load_label_csv."
    )


def _refuse_repeated(paths: list[str], table: DelimitedTable) -> None:
    if len(set(paths)) == len(paths):
        return
    first: dict[str, int] = {}
    for row, path in enumerate(paths):
        other = first.setdefault(path, row)
        if other != row:
            raise ValueError(
                f"`path` must have every image once; got {path!r} in "
                f"{table.where(row)} and in line {table.lines[other]}. Keep one row."
            )


def _read_info(
    table: DelimitedTable, places: dict[str, int], paths: list[str]
) -> dict[str, NDArray]:
    info = _studies(paths, table)
    if "frontal/lateral" in places:
        info["view"] = _views(table, places["frontal/lateral"])
    else:
        views = [_VIEW.search(path) for path in paths]
        if all(views):
            info["view"] = np.array([found[1] for found in views if found], dtype=str)
    for column, name in (("ap/pa", "projection"), ("sex", "sex")):
        if column in places:
            info[name] = np.array(table.columns[places[column]], dtype=str)
    if "age" in places:
        info["age"] = _ages(table, places["age"])
    return info


def _studies(paths: list[str], table: DelimitedTable) -> dict[str, NDArray]:
    patients, studies = [], []
    for row, found in enumerate(map(_STUDY.search, paths)):
        if found is None:
            raise ValueError(
                f"`path` must name patient and study of every image, as in "
                f"'CheXpert-v1.0/train/patient00001/study1/view1_frontal.jpg'; got "
                f"{paths[row]!r} in {table.where(row)}. Read other tables with "
                "load_label_csv."
            )
        patient, study = found.groups()
        patients.append(patient)
        studies.append(f"{patient}/{study}")
    return {
        "patient": np.array(patients, dtype=str),
        "study": np.array(studies, dtype=str),
    }


def _views(table: DelimitedTable, place: int) -> NDArray[np.str_]:
    views = np.array(table.columns[place], dtype=str)
    frontal, lateral = views == "Frontal", views == "Lateral"
    strangers = np.flatnonzero(~(frontal | lateral))
    if len(strangers):
        raise ValueError(
            f"`path` must hold Frontal or Lateral in column {table.header[place]!r}; "
            f"got {str(views[strangers[0]])!r} in {table.where(strangers[0])}. Correct "
            "the cell."
        )
    return np.where(frontal, "frontal", "lateral")


def _ages(table: DelimitedTable, place: int) -> NDArray[np.float64]:
    cells = table.columns[place]
    years = {"": np.nan}
    for cell in set(cells) - {""}:
        try:
            years[cell] = float(cell)
        except ValueError:
            raise ValueError(
                f"`path` must hold years or nothing in column {table.header[place]!r}; "
                f"got {cell!r} in {table.where(cells.index(cell))}. Correct the cell."
            ) from None
    return np.fromiter(map(years.__getitem__, cells), np.float64, len(cells))


def _rows_of(
    view: str, info: dict[str, NDArray], table: DelimitedTable
) -> NDArray[np.bool_]:
    if "view" not in info:
        raise ValueError(
            f"`view` must be 'all' for a file that does not say the view of its rows; "
            f"got {view!r} for '{table.file}', which has {table.named()}."
        )
    return info["view"] == view
