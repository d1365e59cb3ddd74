"""Reading a configuration file, whose settings arguments override."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cftlearn.cli._console import shown
from cftlearn.cli._document import read_document
from cftlearn.cli._parameters import PARAMETERS, check_parameter
from cftlearn.cli._settings import (
    RULES,
    DataSettings,
    NetworkSettings,
    Section,
    Settings,
    SettingsError,
    check_known,
    read_path,
)

_SECTIONS = ("data", "network", "image", "train", "refit")
_PATHS = ("train.checkpoint", "refit.checkpoint")  # parameters that are paths
_CELLS = ("data.where", "data.validation_where")  # whose names may be numbers


def read_settings(
    path: Path | None, given: Mapping[str, Any] | None = None
) -> Settings:
    """Read a configuration file, and let arguments override it.

    Parameters
    ----------
    path : Path or None
        A ``.toml``, ``.yaml``, ``.yml`` or ``.json`` file. Paths in it start from
        its folder.
    given : mapping of str to object, default=None
        Values of arguments by dotted name, ``"data.labels"`` say. None is not given.

    Returns
    -------
    settings : Settings
        With names and values that are checked as far as no data are needed.

    Raises
    ------
    SettingsError
        If the file cannot be read, or a name or value is not a setting's.
    """
    settings = {} if path is None else _read_document(read_document(path), path)
    arguments = {k: v for k, v in (given or {}).items() if v is not None}
    for name, value in arguments.items():
        if name in PARAMETERS:
            check_parameter(name, value, "the arguments")
    return _build(settings | arguments)


def _build(settings: Mapping[str, Any]) -> Settings:
    """Build the sections from settings by dotted name."""
    top: Section = {}
    sections: dict[str, Any] = {name: {} for name in _SECTIONS}
    for name, value in settings.items():
        section, dot, key = name.rpartition(".")
        (sections[section] if dot else top)[key] = value
    data = DataSettings(**sections.pop("data"))
    network = NetworkSettings(**sections.pop("network"))
    return Settings(data, network, **sections, **top)


def _read_document(document: Section, path: Path) -> dict[str, Any]:
    """Check the settings of a document, and return them by dotted name."""
    read = {}
    top_names = [known for known in RULES if "." not in known]
    for name, value in document.items():
        check_known(f"{name}", [*top_names, *_SECTIONS], path)
        if name in top_names:
            read[name] = _read(name, value, path)
            continue
        if not isinstance(value, dict):
            raise SettingsError(
                f"`{name}` must be a section of {path}; got {shown(value)}. Write "
                f"[{name}]."
            )
        known = [k for k in (*RULES, *PARAMETERS) if k.startswith(f"{name}.")]
        for key, item in value.items():
            check_known(f"{name}.{key}", known, path)
            read[f"{name}.{key}"] = _read(f"{name}.{key}", item, path)
    return read


def _read(name: str, value: Any, path: Path) -> Any:
    """Check a value of a file, and turn it into what the commands use."""
    _check_names(name, value, path)
    try:
        if name in PARAMETERS:
            check_parameter(name, value, path)
            return read_path(value, path.parent) if name in _PATHS else value
        rule = RULES[name]
        if rule.holds(value):
            return rule.read(value, path.parent)
    except RuntimeError as error:  # of expanduser
        raise SettingsError(
            f"`{name}` must be a path; got {shown(value)} in {path}, and there is no "
            "such home folder. Write the whole path."
        ) from error
    raise SettingsError(f"`{name}` must be {rule.text}; got {shown(value)} in {path}.")


def _check_names(name: str, value: Any, path: Path) -> None:
    """Refuse tables whose names are not text, which only YAML can hold."""
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str) and name not in _CELLS:
                raise SettingsError(
                    f"`{name}` must have names that are text; got {shown(key)} in "
                    f"{path}. Put it in quotes."
                )
    if isinstance(value, (dict, list)):
        for part in value.values() if isinstance(value, dict) else value:
            _check_names(name, part, path)
