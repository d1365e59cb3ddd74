"""What a run is told: a configuration file, and arguments that overrule it."""

import difflib
import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from cftlearn._dependencies import import_optional

Section = dict[str, Any]


class SettingsError(ValueError):
    """A configuration says what cannot be read."""


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


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


def _as_it_is(value: Any, folder: Path) -> Any:
    return value


def _as_cells(value: Any, folder: Path) -> dict[str, str]:
    return {str(column): str(cell) for column, cell in value.items()}


def _below(value: str, folder: Path) -> Path:
    return folder / Path(value).expanduser()


def _below_if_there(value: str, folder: Path) -> str:
    """Take a name for a path where there is such a file."""
    path = _below(value, folder)
    return str(path) if path.exists() else value


def _rule(
    rule: str,
    holds: Callable[[Any], bool],
    read: Callable[[Any, Path], Any] = _as_it_is,
) -> Section:
    """Give a setting's metadata: the rule for its value, and how it is read."""
    return {"rule": rule, "holds": holds, "read": read}


def _path(what: str) -> Section:
    return _rule(f"the path of {what}", _is_text, _below)


def _text(what: str) -> Section:
    return _rule(what, _is_text)


def _name_or_path(what: str) -> Section:
    return _rule(f"the name of {what}, or a path", _is_text, _below_if_there)


_WHOLE_NUMBER = _rule("a whole number", _is_whole)
_COLUMN = _text("the name of a column")
_ROWS = _rule("a table of column = 'value'", _is_cells, _as_cells)
_OPTIONS = _rule("a table", _is_table)
_POLICY = _rule(
    "a policy, or a table of category = policy",
    lambda value: _is_text(value) or _is_texts(value),
)


@dataclass(frozen=True)
class DataSettings:
    """Section ``[data]``: where labels and inputs are, and what the labels mean.

    Attributes
    ----------
    labels, validation : Path or None
        Label files; the second one's labels only choose refits.
    images : Path or None
        Folder that the paths in the label file start from.
    features : Path or None
        Folder that ``cftlearn extract`` wrote, in place of images.
    format : str or None
        Format of the label files, a key of ``FORMATS`` in ``_labels.py``.
    options : dict or None
        Further arguments of the loader of that format, ``path_column`` say.
    categories : list of str or None
        Which ones, in this order; None takes all.
    where, validation_where : dict or None
        Keep the rows whose columns have these values.
    group : str or None
        Column whose rows with one value belong together (patients).
    uncertain, blank : str, dict or None
        Policies, as :func:`cftlearn.labels.resolve_labels` takes them.
    """

    labels: Path | None = field(default=None, metadata=_path("a label file"))
    validation: Path | None = field(default=None, metadata=_path("a label file"))
    images: Path | None = field(default=None, metadata=_path("a folder of images"))
    features: Path | None = field(
        default=None, metadata=_path("a folder written by `cftlearn extract`")
    )
    format: str | None = field(default=None, metadata=_text("the name of a format"))
    options: Section | None = field(default=None, metadata=_OPTIONS)
    categories: list[str] | None = field(
        default=None, metadata=_rule("a list of names", _is_names)
    )
    where: dict[str, str] | None = field(default=None, metadata=_ROWS)
    validation_where: dict[str, str] | None = field(default=None, metadata=_ROWS)
    group: str | None = field(default=None, metadata=_COLUMN)
    uncertain: Any = field(default=None, metadata=_POLICY)
    blank: Any = field(default=None, metadata=_POLICY)


@dataclass(frozen=True)
class NetworkSettings:
    """Section ``[network]``: which network, and what it starts from.

    Attributes
    ----------
    name : str or None
        ``"torchvision:..."``, ``"timm:..."``, ``"package.module:callable"``, the
        path of an exported network, or a folder written by ``save_model``.
    weights : str or None
        Weights that the library knows, or the path of a state dict.
    head : str or None
        Name of the classification layer.
    options : dict or None
        Further arguments of the network's constructor.
    """

    name: str | None = field(default=None, metadata=_name_or_path("a network"))
    weights: str | None = field(default=None, metadata=_name_or_path("weights"))
    head: str | None = field(default=None, metadata=_text("the name of a layer"))
    options: Section | None = field(default=None, metadata=_OPTIONS)


@dataclass(frozen=True)
class Settings:
    """All that a configuration says.

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
        Seed of everything.
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
    output: Path | None = field(default=None, metadata=_path("a folder"))
    seed: int | None = field(default=None, metadata=_WHOLE_NUMBER)
    device: str | None = field(default=None, metadata=_text("a torch device"))
    n_jobs: int | None = field(default=None, metadata=_WHOLE_NUMBER)


_SECTIONS: dict[str, Any] = {"data": DataSettings, "network": NetworkSettings}
_FREE_SECTIONS = ("image", "train", "refit")
_FREE_PATHS = {"checkpoint"}  # settings of these that are paths


def read_settings(
    path: Path | None, overruled_by: Mapping[str, Any] | None = None
) -> Settings:
    """Read a configuration file, and let arguments overrule it.

    Parameters
    ----------
    path : Path or None
        A ``.toml``, ``.yaml``, ``.yml`` or ``.json`` file. Paths in it start from
        its folder.
    overruled_by : mapping of str to object, default=None
        Values by dotted name, ``"data.labels"`` say; None values are left out.

    Returns
    -------
    settings : Settings
        Everything checked but what only a run can check.

    Raises
    ------
    SettingsError
        If the file cannot be read, or a name or value in it is not known.
    """
    document = {} if path is None else _load(path)
    settings = _document_settings(document, path)
    given = {k: v for k, v in (overruled_by or {}).items() if v is not None}
    merged = _nested(settings)
    for name, value in given.items():
        *section, key = name.split(".")
        target = merged
        for part in section:
            target = target[part]
        target[key] = value
    return Settings(
        **merged | {name: kind(**merged[name]) for name, kind in _SECTIONS.items()}
    )


def _nested(settings: Settings) -> dict[str, Any]:
    """Give settings as tables that may be changed."""
    tables = {item.name: getattr(settings, item.name) for item in fields(settings)}
    for name, kind in _SECTIONS.items():
        tables[name] = {
            item.name: getattr(tables[name], item.name) for item in fields(kind)
        }
    for name in _FREE_SECTIONS:
        tables[name] = dict(tables[name])
    return tables


def _load(path: Path) -> Section:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} must be UTF-8 text; {error}.") from error
    if path.suffix in (".yaml", ".yml"):
        yaml = import_optional("yaml", feature=f"Reading {path.name}", extra="yaml")
        parse, failure = yaml.safe_load, yaml.YAMLError
    elif path.suffix == ".toml":
        parse, failure = tomllib.loads, tomllib.TOMLDecodeError
    elif path.suffix == ".json":
        parse, failure = json.loads, json.JSONDecodeError
    else:
        raise SettingsError(
            f"A configuration must be a .toml, .yaml or .json file; got {path}. Name "
            "a label file by --labels."
        )
    try:
        document = parse(text)
    except failure as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error
    if document is None:
        document = {}
    if not isinstance(document, dict):
        raise SettingsError(
            f"{path} must hold sections such as [data]; got a "
            f"{type(document).__name__}."
        )
    return document


def _document_settings(document: Section, path: Path | None) -> Settings:
    place = path or Path()
    read: dict[str, Any] = {}
    for name, value in document.items():
        known = {item.name: item for item in fields(Settings)}
        _check_name(name, known, "", place)
        if name in _SECTIONS:
            read[name] = _section(_SECTIONS[name], name, value, place)
        elif name in _FREE_SECTIONS:
            read[name] = _free_section(_table(value, name, place), place)
        else:
            read[name] = _value(known[name], name, value, place)
    return Settings(**read)


def _free_section(table: Section, place: Path) -> Section:
    return {
        name: _below(value, place.parent)
        if name in _FREE_PATHS and _is_text(value)
        else value
        for name, value in table.items()
    }


def _section(kind: Any, section: str, table: Any, place: Path) -> Any:
    known = {item.name: item for item in fields(kind)}
    read = {}
    for name, value in _table(table, section, place).items():
        _check_name(name, known, f"{section}.", place)
        read[name] = _value(known[name], f"{section}.{name}", value, place)
    return kind(**read)


def _table(value: Any, name: str, place: Path) -> Section:
    if not isinstance(value, dict):
        raise SettingsError(
            f"`{name}` must be a section of {place}; got {value!r}. Write [{name}]."
        )
    return value


def _value(item: Any, name: str, value: Any, place: Path) -> Any:
    if not item.metadata["holds"](value):
        raise SettingsError(
            f"`{name}` must be {item.metadata['rule']}; got {value!r} in {place}."
        )
    return item.metadata["read"](value, place.parent)


def _check_name(name: Any, known: Mapping[str, Any], prefix: str, place: Path) -> None:
    check_known(f"{prefix}{name}", {f"{prefix}{key}" for key in known}, str(place))


def check_known(name: str, known: set[str], place: str) -> None:
    """Refuse a setting that there is none of, and guess which one was meant.

    Raises
    ------
    SettingsError
        If ``name`` is not in ``known``.
    """
    if name in known:
        return
    close = difflib.get_close_matches(name, sorted(known), n=1)
    guess = f" Did you mean `{close[0]}`?" if close else ""
    raise SettingsError(
        f"There is no setting `{name}` (in {place}).{guess} There are: "
        f"{', '.join(sorted(known))}."
    )
