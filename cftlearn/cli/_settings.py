"""The settings of a run: which there are, and what values each takes.

Notes
-----
The sections ``[train]`` and ``[refit]`` hold parameters of estimators, so
``_parameters.py`` takes their names and ranges from the estimators'
``_parameter_constraints``. The settings here have rules of their own, since
constraints do not say enough: nearly all of them are no parameter of an estimator;
paths are relative to the folder of the configuration, names of networks may be paths,
and ``where`` turns numbers into text. Of the three that are (``seed``, ``device``,
``n_jobs``), the constraints accept ``true`` for a number, and would offer a
RandomState, which no file can hold.
"""

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, get_origin, get_type_hints

from cftlearn.cli._arguments import MOST_WORKERS, SEEDS_BELOW
from cftlearn.cli._console import LONGEST, shown

Section = dict[str, Any]


class SettingsError(ValueError):
    """A setting is missing, unknown or has a wrong value."""


@dataclass(frozen=True)
class Rule:
    """What the value of a setting must be, and how it is read.

    Attributes
    ----------
    text : str
        The rule in words: "`data.labels` must be ...".
    holds : callable
        Whether a value obeys it.
    read : callable
        From the value and the folder of the configuration to what commands use.
    """

    text: str
    holds: Callable[[Any], bool]
    read: Callable[[Any, Path], Any] = lambda value, folder: value


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value) and "\0" not in value


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _is_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(v, str) for v in value.values())


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_table(value: Any) -> bool:
    return isinstance(value, dict)


def _is_cells(value: Any) -> bool:
    return _is_table(value) and all(
        isinstance(v, str) or _is_whole(v) for v in value.values()
    )


def _as_cells(value: Any, folder: Path) -> dict[str, str]:
    """Return the values as the text that cells of a label file hold."""
    return {str(column): str(cell) for column, cell in value.items()}


def read_path(value: str, folder: Path) -> Path:
    """Return a path, which starts in the folder of the configuration."""
    return folder / Path(value).expanduser()


def _path_or_name(value: str, folder: Path) -> str:
    """Return the path if there is such a file, else the name as it is."""
    path = read_path(value, folder)
    try:
        return str(path) if path.exists() else value
    except OSError:  # too long for a path
        return value


def _path(what: str) -> Rule:
    return Rule(f"the path of {what}", _is_text, read_path)


def _text(what: str) -> Rule:
    return Rule(what, _is_text)


def _name_or_path(what: str) -> Rule:
    return Rule(f"the name of {what}, or a path", _is_text, _path_or_name)


_TABLE = Rule("a table", _is_table)
_ROWS = Rule("a table of column = 'value'", _is_cells, _as_cells)
_NAMES = Rule("a list of names", _is_names)
_POLICY = Rule(
    "a policy, or a table of category = policy",
    lambda value: _is_text(value) or _is_texts(value),
)
_SEED = Rule(
    "a whole number in [0, 2**32 - 1)",
    lambda value: _is_whole(value) and 0 <= value < SEEDS_BELOW,
)
_N_JOBS = Rule(
    f"a whole number of workers up to {MOST_WORKERS}, or -1 for all cores",
    lambda value: _is_whole(value) and value != 0 and abs(value) <= MOST_WORKERS,
)


@dataclass(frozen=True)
class DataSettings:
    """Section ``[data]``: where labels and inputs are, and what the labels mean.

    Attributes
    ----------
    labels, validation : Path or None
        Label files. The labels of the second one only choose the refits.
    images : Path or None
        Folder where the paths in the label file start.
    features : Path or None
        Folder that ``cftlearn extract`` wrote, instead of images.
    format : str or None
        Format of the label files, a key of ``FORMATS`` in ``_labels.py``.
    options : dict or None
        Further arguments of the loader of that format, ``path_column`` say.
    categories : list of str or None
        Which categories, in this order. None takes all.
    where, validation_where : dict or None
        Use only the rows whose columns have these values.
    group : str or None
        Column whose rows with one value belong together (patients).
    uncertain, blank : str, dict or None
        Policies, as in :func:`cftlearn.labels.resolve_labels`.
    """

    labels: Annotated[Path | None, _path("a label file")] = None
    validation: Annotated[Path | None, _path("a label file")] = None
    images: Annotated[Path | None, _path("a folder of images")] = None
    features: Annotated[
        Path | None, _path("a folder written by `cftlearn extract`")
    ] = None
    format: Annotated[str | None, _text("the name of a format")] = None
    options: Annotated[Section | None, _TABLE] = None
    categories: Annotated[list[str] | None, _NAMES] = None
    where: Annotated[dict[str, str] | None, _ROWS] = None
    validation_where: Annotated[dict[str, str] | None, _ROWS] = None
    group: Annotated[str | None, _text("the name of a column")] = None
    uncertain: Annotated[Any, _POLICY] = None
    blank: Annotated[Any, _POLICY] = None


@dataclass(frozen=True)
class NetworkSettings:
    """Section ``[network]``: which network, and its first weights.

    Attributes
    ----------
    name : str or None
        ``"torchvision:..."``, ``"timm:..."``, ``"package.module:callable"``, the
        path of an exported network, or a folder written by ``save_model``.
    weights : str or None
        Weights that the library knows, or the path of a state dict or a saved model.
    head : str or None
        Name of the classification layer.
    options : dict or None
        Further arguments of the network's constructor.
    """

    name: Annotated[str | None, _name_or_path("a network")] = None
    weights: Annotated[str | None, _name_or_path("weights")] = None
    head: Annotated[str | None, _text("the name of a layer")] = None
    options: Annotated[Section | None, _TABLE] = None


@dataclass(frozen=True)
class Settings:
    """All settings of a run.

    Attributes
    ----------
    data : DataSettings
        Section ``[data]``.
    network : NetworkSettings
        Section ``[network]``.
    image, train, refit : dict
        Parameters of :class:`cftlearn.images.ImageTransform`; of the classifier and
        its :class:`cftlearn.training.NetworkTrainer`; of the fine-tuner.
    output : Path or None
        Folder of the model.
    seed : int or None
        Seed of all random numbers.
    device : str or None
        Torch device.
    n_jobs : int or None
        Workers over categories.
    """

    data: DataSettings = field(default_factory=DataSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    image: Section = field(default_factory=dict)
    train: Section = field(default_factory=dict)
    refit: Section = field(default_factory=dict)
    output: Annotated[Path | None, _path("a folder")] = None
    seed: Annotated[int | None, _SEED] = None
    device: Annotated[str | None, _text("a torch device")] = None
    n_jobs: Annotated[int | None, _N_JOBS] = None


def _rules_of(kind: type, prefix: str = "") -> dict[str, Rule]:
    """Return the rules that the annotations of a class hold."""
    return {
        f"{prefix}{name}": hint.__metadata__[0]
        for name, hint in get_type_hints(kind, include_extras=True).items()
        if get_origin(hint) is Annotated
    }


# By dotted name: all settings that are no parameters of estimators or transforms.
RULES = (
    _rules_of(Settings)
    | _rules_of(DataSettings, "data.")
    | _rules_of(NetworkSettings, "network.")
)


def check_known(name: str, known: Iterable[str], source: object) -> None:
    """Refuse a setting that does not exist, and suggest the one that is meant.

    Parameters
    ----------
    name : str
        Of the setting.
    known : iterable of str
        Names of the settings that exist.
    source : object
        Where the name stands, for the error.

    Raises
    ------
    SettingsError
        If ``name`` is not in ``known``.
    """
    names = sorted(known)
    if name in names:
        return
    is_short = len(name) <= LONGEST  # comparing long ones takes minutes
    keys = {each.rpartition(".")[2]: each for each in names}
    key = name.rpartition(".")[2]
    close = difflib.get_close_matches(key, keys, n=1) if is_short else []
    guess = f" Did you mean `{keys[close[0]]}`?" if close else ""
    wrong = name if is_short and name.isprintable() else shown(name)
    raise SettingsError(
        f"There is no setting `{wrong}` (in {source}).{guess} There are: "
        f"{', '.join(names)}."
    )
