"""A configuration file as tables and values: three formats, and limits for all."""

import json
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cftlearn._dependencies import import_optional
from cftlearn._files import check_regular
from cftlearn.cli._console import shown
from cftlearn.cli._settings import Section, SettingsError

_MOST_BYTES = (
    2**18
)  # that YAML needs seconds for, and 10,000 names of categories fit in
# Values where every alias of YAML counts as what it stands for, and how deep they lie.
_MOST_VALUES, _MOST_DEEP = 100_000, 20
_MOST_DIGITS, _MOST_WHOLE = 4000, 2**63  # of a number
# More than 20 names with dots between them: tomllib's memory grows with their square.
_LONG_NAME = re.compile(r"""(?<![\w"'-])(?:[\w"'-]++[ \t]*+\.[ \t]*+){20}""")
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]*)")
# What Python's parsers raise beside their own errors: numbers of many digits, YAML's
# tags before values that do not fit them, deep nesting.
_FAILURES = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
_WRITE_ONCE = "Write each name once."


def read_document(path: Path) -> Section:
    """Read a configuration file.

    Parameters
    ----------
    path : Path
        A ``.toml``, ``.yaml``, ``.yml`` or ``.json`` file of UTF-8 text.

    Returns
    -------
    document : dict
        Its sections and settings, not checked.

    Raises
    ------
    SettingsError
        If it is no such file, is larger or deeper than a configuration can be, has a
        name twice, or cannot be parsed.
    """
    parse = _parser_of(path)
    text = _read_text(path)
    try:
        document = parse(text)
        _check_size(document, _parts_of_value)
    except SettingsError as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error
    except RecursionError as error:
        raise SettingsError(f"{path} cannot be read: {_too_deep()}") from error
    if document is None:  # an empty YAML file
        document = {}
    if not isinstance(document, dict):
        raise SettingsError(
            f"{path} must hold sections such as [data]; got a "
            f"{type(document).__name__}. `cftlearn fit --help` shows a configuration."
        )
    return document


def _read_text(path: Path) -> str:
    """Read UTF-8 text, with or without a byte order mark, if it is not too long."""
    subject = f"A configuration must be a file; {str(path)!r}"
    n_bytes = check_regular(path, subject, SettingsError)
    if n_bytes > _MOST_BYTES:
        raise SettingsError(
            f"A configuration must have at most {_MOST_BYTES} bytes; {str(path)!r} has "
            f"{n_bytes}. Is this the right file?"
        )
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SettingsError(
            f"A configuration must be UTF-8 text; {str(path)!r} has the byte "
            f"0x{error.object[error.start]:02x} in line {line}. Save it as UTF-8."
        ) from error


def _parser_of(path: Path) -> Callable[[str], Any]:
    suffix = path.suffix.lower()
    if suffix in (".yaml", ".yml"):
        yaml = import_optional("yaml", feature=f"Reading {path.name}", extra="yaml")
        return lambda text: _parse_yaml(yaml, text)
    if suffix == ".toml":
        return _parse_toml
    if suffix == ".json":
        return _parse_json
    raise SettingsError(
        f"A configuration must be a .toml, .yaml or .json file; got {path}. Name "
        "a label file by --labels."
    )


def _parse_toml(text: str) -> Any:
    if _LONG_NAME.search(text):
        raise SettingsError(_too_deep())
    try:
        return tomllib.loads(text)
    except ValueError as error:  # also of numbers that have too many digits
        raise SettingsError(f"it is no TOML: {_sentence(error)}") from error


def _parse_json(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_table_of)
    except SettingsError:
        raise
    except ValueError as error:
        raise SettingsError(f"it is no JSON: {_sentence(error)}") from error


def _table_of(pairs: list[tuple[str, Any]]) -> Section:
    """Return a table of JSON, whose names must differ."""
    table: Section = {}
    for name, value in pairs:
        if name in table:
            raise SettingsError(f"{shown(name)} stands twice in a table. {_WRITE_ONCE}")
        table[name] = value
    return table


def _parse_yaml(yaml: Any, text: str) -> Any:
    """Parse YAML. Its size is checked while aliases still share what they stand for."""
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _check_size(node, lambda part: _parts_of_node(yaml, part))
        return loader.construct_document(node)
    except SettingsError:
        raise
    except yaml.YAMLError as error:
        raise SettingsError(f"it is no YAML: {_place_of(error)}.") from error
    except _FAILURES as error:
        raise SettingsError(
            "it is no YAML: a value does not fit its tag, or is no number or date. Put "
            "texts in quotes."
        ) from error


def _parts_of_node(yaml: Any, node: Any) -> Iterator[Any]:
    """Yield the nodes in a node of YAML, and refuse what it would misread."""
    if isinstance(node, yaml.MappingNode):
        names = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in names:
                    raise SettingsError(
                        f"{shown(key.value)} stands twice in a table, the second time "
                        f"in {_line_of(key)}. {_WRITE_ONCE}"
                    )
                names.add(key.value)
            yield from (key, value)
    elif isinstance(node, yaml.SequenceNode):
        yield from node.value
    else:
        _check_scalar(node)


def _check_scalar(node: Any) -> None:
    is_whole = node.tag == "tag:yaml.org,2002:int"
    if is_whole and not _DECIMAL.fullmatch(node.value):
        raise SettingsError(
            f"{shown(node.value)} in {_line_of(node)} is no plain whole number, and "
            "YAML would read another one. Write it in decimal, or put it in quotes."
        )
    if node.tag != "tag:yaml.org,2002:str" and len(node.value) > _MOST_DIGITS:
        raise SettingsError(
            f"the value in {_line_of(node)} has {len(node.value)} characters, and no "
            f"number or date has more than {_MOST_DIGITS}. Put texts in quotes."
        )


def _line_of(node: Any) -> str:
    return f"line {node.start_mark.line + 1}"


def _parts_of_value(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value
    elif isinstance(value, int) and not -_MOST_WHOLE <= value < _MOST_WHOLE:
        raise SettingsError(
            f"the whole number {shown(value)} does not fit into 64 bits. Write a "
            "smaller one."
        )


def _check_size(root: Any, parts_of: Callable[[Any], Iterator[Any]]) -> None:
    """Refuse what no configuration is: too many values, or tables in tables in ..."""
    n_values, waiting = 0, [(root, 0)]
    while waiting:
        value, depth = waiting.pop()
        n_values += 1
        if depth > _MOST_DEEP:
            raise SettingsError(_too_deep())
        if n_values > _MOST_VALUES:
            raise SettingsError(
                f"it holds more than {_MOST_VALUES} values, where every alias counts "
                "as what it stands for. Leave out what is no setting."
            )
        waiting.extend((part, depth + 1) for part in parts_of(value))


def _too_deep() -> str:
    return (
        f"tables and lists lie in each other more than {_MOST_DEEP} deep. Leave out "
        "what is no setting."
    )


def _place_of(error: Any) -> str:
    """Return what is wrong in YAML, and where."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:  # a character that YAML does not allow
        return f"{error.reason}; got {chr(error.character)!r} after {error.position}"
    return f"{error.problem} in line {mark.line + 1}, column {mark.column + 1}"


def _sentence(error: Exception) -> str:
    """Return what a parser says, on one line, with a full stop."""
    text = " ".join(str(error).split()).rstrip(".")
    if text.startswith("Exceeds the limit"):
        return f"a number has more than {_MOST_DIGITS} digits."
    return f"{text}."
