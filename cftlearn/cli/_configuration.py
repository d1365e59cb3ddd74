"""Reading a configuration file, whose settings arguments override."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cftlearn._dependencies import import_optional
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
    settings = {} if path is None else _read_document(_load(path), path)
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


def _load(path: Path) -> Section:
    """Parse a file, in the format that its suffix names."""
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
    if document is None:  # an empty YAML file
        document = {}
    if not isinstance(document, dict):
        raise SettingsError(
            f"{path} must hold sections such as [data]; got a "
            f"{type(document).__name__}."
        )
    return document


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
                f"`{name}` must be a section of {path}; got {value!r}. Write [{name}]."
            )
        known = [k for k in (*RULES, *PARAMETERS) if k.startswith(f"{name}.")]
        for key, item in value.items():
            check_known(f"{name}.{key}", known, path)
            read[f"{name}.{key}"] = _read(f"{name}.{key}", item, path)
    return read


def _read(name: str, value: Any, path: Path) -> Any:
    """Check a value of a file, and turn it into what the commands use."""
    if name in PARAMETERS:
        check_parameter(name, value, path)
        return read_path(value, path.parent) if name in _PATHS else value
    rule = RULES[name]
    if not rule.holds(value):
        raise SettingsError(f"`{name}` must be {rule.text}; got {value!r} in {path}.")
    return rule.read(value, path.parent)
