"""CheXpert: labels of chest radiographs, from its CSV files."""

import re
from collections.abc import Iterable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cftlearn._dependencies import StrOptions, validate_params
from cftlearn.datasets._cell_states import CellStates, encode_columns
from cftlearn.datasets._delimited import DelimitedTable, read_delimited
from cftlearn.datasets._label_table import LabelTable, as_objects
from cftlearn.datasets._names import is_missing, shown
from cftlearn.datasets._paths import PathText, files_of_split

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
# One file per split; the first name that exists is read. Names that say that the file
# has labels come before `test.csv`.
_FILES: dict[str, list[tuple[str, ...]]] = {
    "train": [("train.csv", "train.csv.gz")],
    "valid": [("valid.csv", "valid.csv.gz")],
    "test": [("test_labels.csv", "groundtruth.csv", "test.csv")],
}
_STATES = {1: "positive", 0: "negative", -1: "uncertain"}
_STUDY = re.compile(r"(patient\d{1,20})[\\/](study\d{1,20})")
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
    last two become. Columns are found by their names, because their order differs
    between published files.

    Parameters
    ----------
    path : str or path-like
        A CSV file of CheXpert, compressed by gzip or not: ``train.csv``,
        ``valid.csv``, the released test labels (``groundtruth.csv``, one row per
        study). Or the folder that holds them, with ``split``. An underscore in the
        name of a column is read as a blank.
    split : {"train", "valid", "test"}, default=None
        Which file of the folder. For a file, None.
    categories : {"all", "competition"} or iterable of str, default="all"
        ``"all"``: the 14, in the file's order; ``"competition"``: the five that the
        competition scores, in alphabetical order; or names. The table has them in the
        given order.
    view : {"all", "frontal", "lateral"}, default="all"
        Which images. Test labels, of whole studies, have no view.

    Returns
    -------
    table : LabelTable
        One row per image (per study in the test labels). ``paths`` are the file's
        text, such as ``CheXpert-v1.0/train/patient00001/study1/view1_frontal.jpg``.
        ``info`` has ``patient``, ``study`` (unique: ``patient00001/study1``; images
        of one study share their labels, and their scores are averaged before a test)
        and, where the file has them, ``view`` (``frontal`` or ``lateral``),
        ``projection`` (``AP``, ``PA``, ``LL``, ``RL`` or empty), ``sex`` and ``age``
        in years (NaN if blank). Patients overlap within a file: split by them.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If the file is not a table of CheXpert: a missing column, a cell that is not a
        state, a path without patient and study, an image twice; or if a parameter is
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
    (file,) = files_of_split(path, split, _FILES)
    table = read_delimited(file)
    column_of = _column_of(table)
    names = _category_names(categories, column_of, table)
    states = encode_columns(
        table,
        [column_of[_plain(name)] for name in names],
        CellStates(_STATES),
        "Restore the cell as CheXpert has it.",
    )
    path_column = _path_column(table, column_of)
    table.refuse_repeated(path_column, "Keep one row.")
    paths = table.paths(path_column, "Restore the cell as CheXpert has it.")
    info = _read_info(table, column_of, paths)
    labels = LabelTable(as_objects(paths), states, as_objects(names), info)
    return labels if view == "all" else labels.take(_rows_of(view, info, table))


def _plain(name: str) -> str:
    return name.replace("_", " ").strip().casefold()


def _column_of(table: DelimitedTable) -> dict[str, int]:
    """Return the index of each column by its name in plain spelling."""
    column_of: dict[str, int] = {}
    for column, name in enumerate(table.header):
        earlier = column_of.setdefault(_plain(name), column)
        if earlier != column and name:
            raise ValueError(
                f"`path` must have every column once; '{table.file}' has "
                f"{shown(table.header[earlier])} and {shown(name)}. Delete one."
            )
    return column_of


def _category_names(
    categories: Iterable[str], column_of: dict[str, int], table: DelimitedTable
) -> list[str]:
    """Return CheXpert's own names of the requested categories."""
    own = {_plain(name): name for name in _CATEGORIES}
    in_file = [own[plain] for plain in column_of if plain in own]
    if isinstance(categories, str) and categories == "all":
        missing = sorted(set(_CATEGORIES) - set(in_file))
        if missing:
            raise ValueError(
                f"`path` must have the 14 categories of CheXpert; '{table.file}' does "
                f"not have {', '.join(missing)}. Pass the ones that it has: "
                f"categories={in_file}."
            )
        return in_file
    if isinstance(categories, str):
        requested = list(_COMPETITION) if categories == "competition" else [categories]
    else:
        requested = [str(name) for name in categories]
    for name in requested:
        if own.get(_plain(name)) not in in_file:
            raise ValueError(
                f"`categories` must be 'all', 'competition' or names of CheXpert's "
                f"categories; got {shown(name)}. '{table.file}' has: "
                f"{', '.join(map(repr, in_file)) or 'none'}."
            )
    names = [own[_plain(name)] for name in requested]
    if not names or len(set(names)) < len(names):
        raise ValueError(
            f"`categories` must name at least one category, each once; got {requested}."
        )
    return names


def _path_column(table: DelimitedTable, column_of: dict[str, int]) -> int:
    for name in ("path", "study"):
        if name in column_of:
            return column_of[name]
    raise ValueError(
        f"`path` must have a column Path (images) or Study (test labels); "
        f"'{table.file}' has {table.column_names()}. Read other tables with "
        "load_label_csv."
    )


def _read_info(
    table: DelimitedTable, column_of: dict[str, int], paths: list[str]
) -> dict[str, NDArray]:
    info = _studies(paths, table)
    if "frontal/lateral" in column_of:
        info["view"] = _views(table, column_of["frontal/lateral"])
    else:
        views = [_VIEW.search(path) for path in paths]
        if all(views):
            info["view"] = np.array([found[1] for found in views if found], dtype=str)
    for name, key in (("ap/pa", "projection"), ("sex", "sex")):
        if name in column_of:
            info[key] = table.texts(column_of[name])
    if "age" in column_of:
        info["age"] = _ages(table, column_of["age"])
    return info


def _studies(paths: list[str], table: DelimitedTable) -> dict[str, NDArray]:
    patients, studies = [], []
    for row, found in enumerate(map(_STUDY.search, paths)):
        if found is None:
            raise ValueError(
                f"`path` must name patient and study of every image, as in "
                f"'CheXpert-v1.0/train/patient00001/study1/view1_frontal.jpg'; got "
                f"{shown(paths[row])} in {table.where(row)}. Read other tables with "
                "load_label_csv."
            )
        patient, study = found.groups()
        patients.append(patient)
        studies.append(f"{patient}/{study}")
    return {
        "patient": np.array(patients, dtype=str),
        "study": np.array(studies, dtype=str),
    }


def _views(table: DelimitedTable, column: int) -> NDArray[np.str_]:
    views = table.texts(column)
    frontal, lateral = views == "Frontal", views == "Lateral"
    unexpected = np.flatnonzero(~(frontal | lateral))
    if len(unexpected):
        row = unexpected[0]
        raise ValueError(
            "`path` must hold Frontal or Lateral in column "
            f"{shown(table.header[column])}; "
            f"got {shown(str(views[row]))} in {table.where(row)}. Correct the cell."
        )
    return np.where(frontal, "frontal", "lateral")


def _ages(table: DelimitedTable, column: int) -> NDArray[np.float64]:
    cells = table.columns[column]
    years = {cell: _years(cell) for cell in dict.fromkeys(cells)}
    for cell, age in years.items():
        if age is None:
            raise ValueError(
                f"`path` must hold years or nothing in column "
                f"{shown(table.header[column])}; got {shown(cell)} in "
                f"{table.where(cells.index(cell))}. Correct the cell."
            )
    return np.fromiter(map(years.__getitem__, cells), np.float64, len(cells))


def _years(cell: str) -> float | None:
    """Return an age; NaN if the cell says none, None if it is no age."""
    if is_missing(cell):
        return np.nan
    try:
        age = np.nan if "_" in cell else float(cell)
    except ValueError:
        return None
    return age if 0 <= age < np.inf else None


def _rows_of(
    view: str, info: dict[str, NDArray], table: DelimitedTable
) -> NDArray[np.bool_]:
    if "view" not in info:
        raise ValueError(
            f"`view` must be 'all' for a file that does not say the view of its rows; "
            f"got {view!r} for '{table.file}', which has {table.column_names()}."
        )
    return info["view"] == view
