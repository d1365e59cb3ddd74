"""Label files of every format as the commands need them: paths, ``y``, groups."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cftlearn._files import check_regular
from cftlearn.cli._guessed import warn_of_guesses
from cftlearn.cli._settings import (
    DataSettings,
    Section,
    SettingsError,
    check_known,
)
from cftlearn.datasets import LOADERS as FORMATS
from cftlearn.datasets import LabelTable, load_chexpert, load_label_csv
from cftlearn.datasets._delimited import read_delimited
from cftlearn.exceptions import UndefinedCategoryWarning, list_some
from cftlearn.labels import PartialLabels, check_partial_labels

# Policies of uncertain labels that are targets beside `y`, as soft_labels calls them.
_SOFT = {"soft_positive": "positive", "soft_negative": "negative"}
_MOST_NAMED = 10  # values or categories in an error


@dataclass(frozen=True)
class Labelled:
    """Rows of a label file that a command works on.

    Attributes
    ----------
    table : LabelTable
        The rows and categories asked for.
    y : PartialLabels
        Its labels by the policies, with the names of the categories.
    groups : ndarray of shape (n_samples,) or None
        Which rows belong together: those with one value.
    soft : ndarray of shape (n_samples, n_categories) or None
        Soft labels of uncertain cells; NaN elsewhere. None without such policies.
    """

    table: LabelTable
    y: PartialLabels
    groups: NDArray[Any] | None
    soft: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.table)

    def take(self, rows: ArrayLike) -> "Labelled":
        """Keep some rows."""
        rows = np.asarray(rows)
        y = PartialLabels(self.y.values[rows], self.y.known[rows], self.y.categories)
        groups = None if self.groups is None else self.groups[rows]
        soft = None if self.soft is None else self.soft[rows]
        return Labelled(self.table.take(rows), y, groups, soft)

    def image_paths(self, folder: Path | None) -> list[str]:
        """Return the paths of the images, which must exist.

        Raises
        ------
        FileNotFoundError
            If some are missing. It says how many, and which is the first.
        """
        root = Path() if folder is None else folder
        paths = [root / path for path in self.table.paths]
        missing = [path for path in paths if not path.is_file()]
        if missing:
            raise FileNotFoundError(
                f"{len(missing)} of {len(paths)} images do not exist, the first is "
                f"{missing[0]}. Name the folder where their paths start with "
                "--images."
            )
        return [str(path) for path in paths]


def read_labels(
    path: Path,
    data: DataSettings,
    where: Mapping[str, str] | None,
    categories: Sequence[str] | None = None,
    *,
    soft_seed: int | None = None,
) -> Labelled:
    """Read a label file as the settings say.

    Parameters
    ----------
    path : Path
        The file, or the folder that a format needs.
    data : DataSettings
        Format, policies and columns.
    where : mapping of str to str, or None
        Use only the rows whose columns have these values.
    categories : sequence of str, default=None
        Which categories, in this order. None takes those of the settings, or all.
    soft_seed : int, default=None
        Seed of soft labels, where a network is trained on them. None refuses them.

    Returns
    -------
    labelled : Labelled
        Rows, labels and groups.

    Raises
    ------
    OSError, ValueError
        If the file cannot be read, or does not have what the settings name; or there
        are policies of soft labels that nothing could use.
    """
    uncertain, soft_policy = _without_soft(data.uncertain or "unknown")
    if soft_policy is not None and soft_seed is None:
        raise SettingsError(
            "`uncertain` may be 'soft_positive' or 'soft_negative' only where a "
            f"network is trained: in `cftlearn fit`, with images; got {data.uncertain}"
            ". Write 'unknown', 'positive' or 'negative'."
        )
    wanted = data.categories if categories is None else list(categories)
    columns = [*(where or {}), *([] if data.group is None else [data.group])]
    table = _load(path, data, wanted, columns)
    if wanted is None and _is_wide(data):
        warn_of_guesses(table, path)
    for column, value in (where or {}).items():
        table = _rows_where(table, column, value, path)
    if wanted is not None:
        table = table.select(wanted)
    groups = None if data.group is None else _groups(table, data.group, path)
    labels = table.labels(uncertain=uncertain, blank=data.blank or "unknown")
    y = check_partial_labels(labels, categories=table.categories)
    soft = None
    if soft_policy is not None:
        soft = table.soft_labels(uncertain=soft_policy, random_state=soft_seed)
    return Labelled(table, y, groups, soft)


def _without_soft(policy: Any) -> tuple[Any, Any]:
    """Split policies into those of labels, and those of soft labels or None."""
    if not isinstance(policy, Mapping):
        is_soft = policy in _SOFT
        return ("unknown", _SOFT[policy]) if is_soft else (policy, None)
    soft = {name: _SOFT[own] for name, own in policy.items() if own in _SOFT}
    hard = {name: own for name, own in policy.items() if own not in _SOFT}
    return hard, soft or None


def read_known_categories(
    path: Path, data: DataSettings, categories: Sequence[str]
) -> Labelled:
    """Read the labels of those categories of a model that the file has.

    Raises
    ------
    SettingsError
        If it has none of them.

    Warns
    -----
    UndefinedCategoryWarning
        If some are missing.
    """
    found = set(map(str, _load(path, data, None, [], known=categories).categories))
    shared = [name for name in categories if name in found]
    if not shared:
        raise SettingsError(
            f"{path} must have labels of the model's categories, {_some(categories)}; "
            f"it has {_some(sorted(found))}."
        )
    if len(shared) < len(categories):
        missing = [name for name in categories if name not in found]
        warnings.warn(
            f"{path} has no labels of {len(missing)} of the model's {len(categories)} "
            f"categories, which are left out: {_some(missing)}.",
            UndefinedCategoryWarning,
            stacklevel=2,
        )
    return read_labels(path, data, data.where, shared)


def _load(
    path: Path,
    data: DataSettings,
    wanted: Sequence[str] | None,
    columns: Sequence[str],
    known: Sequence[str] = (),
) -> LabelTable:
    """Load a file, with those of the known categories that its columns name.

    Columns that select rows or name groups are not taken for categories.
    """
    load, options = _loader(path, data)
    if wanted is None and known:
        wanted = _named_by_columns(path, load, options, known)
    if wanted is not None and "categories" in signature(load).parameters:
        return load(path, categories=wanted, **options)
    table = load(path, **options)
    if load is load_label_csv and set(columns) & set(table.categories):
        names = [name for name in table.categories if name not in columns]
        return load(path, categories=names, **options)
    return table


def _is_wide(data: DataSettings) -> bool:
    """Whether every column of the file may be a category."""
    is_csv = data.format in (None, "csv")
    return is_csv and "label_column" not in (data.options or {})


def _named_by_columns(
    path: Path, load: Callable[..., LabelTable], options: Section, known: Sequence[str]
) -> list[str] | None:
    """Return the known categories in a header; None if it cannot show them."""
    if load not in (load_label_csv, load_chexpert) or not path.is_file():
        return None
    if "label_column" in options:
        return None
    read_options = {k: v for k, v in options.items() if k in ("separator", "encoding")}
    header = read_delimited(path, **read_options).header
    if load is load_chexpert:
        header = [name.replace("_", " ") for name in header]
    return [name for name in known if name in header] or None


def _loader(
    path: Path, data: DataSettings
) -> tuple[Callable[..., LabelTable], Section]:
    """Find the loader of a format, and check the options that it gets."""
    if data.format is None and path.suffix.lower() in (".json", ".jsonl"):
        raise SettingsError(
            f"`format` must be named for {path}, which is not a CSV file. It is one of "
            f"{', '.join(FORMATS)}."
        )
    if path.exists() and not path.is_dir():  # some formats are folders
        subject = f"A label file must be a file; {str(path)!r}"
        check_regular(path, subject, SettingsError)
    name = data.format or "csv"
    if name not in FORMATS:
        raise SettingsError(
            f"`format` must be one of {', '.join(FORMATS)}; got {name!r}."
        )
    options = data.options or {}
    known = set(signature(FORMATS[name]).parameters) - {"path", "categories"}
    for option in options:
        check_known(option, known, f"data.options, for the format {name}")
    return FORMATS[name], options


def _rows_where(table: LabelTable, column: str, value: str, path: Path) -> LabelTable:
    """Return the rows with a value in a column."""
    cells = _column(table, column, path).astype(str)
    if not (cells == value).any():
        raise SettingsError(
            f"{path} has no row where {column} is {value!r}; it has "
            f"{_some(np.unique(cells))}."
        )
    return table.take(cells == value)


def _groups(table: LabelTable, column: str, path: Path) -> NDArray[Any]:
    """Return the values of a column that names groups. It may not have blanks."""
    groups = _column(table, column, path)
    n_empty = int(np.sum(groups.astype(str) == ""))
    if n_empty:
        raise SettingsError(
            f"`group` must name a column without blanks; {column!r} of {path} is "
            f"empty in {n_empty} of {len(table)} rows."
        )
    return groups


def _column(table: LabelTable, name: str, path: Path) -> NDArray[Any]:
    if name not in table.info:
        has = _some(list(table.info)) or "no column beside path and labels"
        raise SettingsError(
            f"{path} has no column {name!r} beside its labels; it has {has}."
        )
    return np.asarray(table.info[name])


def _some(names: Sequence[Any] | NDArray[Any]) -> str:
    """List names, but not thousands."""
    return list_some([repr(str(name)) for name in names], _MOST_NAMED)
