"""Files of text on disk: opened, decoded, or refused with the reason."""

import codecs
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from os import PathLike
from pathlib import Path
from typing import Any, TextIO

from cftlearn.exceptions import list_some

GZIP, ZIP = b"\x1f\x8b", b"PK\x03\x04"
_MARKED = {  # by their byte order mark
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}

PathText = str | PathLike[str]


def existing_file(path: PathText, parameter: str = "path") -> Path:
    """Refuse a path that is not a file.

    Parameters
    ----------
    path : str or path-like
        The path.
    parameter : str, default="path"
        What the error calls it.

    Returns
    -------
    file : Path
        The same path.

    Raises
    ------
    TypeError
        If it is no path.
    FileNotFoundError
        If there is nothing of this name.
    IsADirectoryError
        If it is a folder.
    """
    file = as_path(path, parameter)
    if file.is_dir():
        raise IsADirectoryError(
            f"`{parameter}` must be a file; got the folder '{file}'. "
            f"{_what_is_in(file)}"
        )
    if not file.exists():
        raise FileNotFoundError(
            f"`{parameter}` must be a file that exists; got '{file}'. "
            f"{_what_is_in(file.parent)} Labels are not downloaded: get them from "
            "the data set's own site."
        )
    return file


def as_path(path: PathText, parameter: str = "path") -> Path:
    """Refuse what is no path.

    Raises
    ------
    TypeError
        If it is not.
    """
    if not isinstance(path, (str, PathLike)):
        raise TypeError(
            f"`{parameter}` must be a path; got {type(path).__name__}. A table in "
            "memory goes through cftlearn.labels.resolve_labels."
        )
    return Path(path)


def _what_is_in(folder: Path) -> str:
    if not folder.is_dir():
        return f"There is no folder '{folder}' either."
    names = sorted(item.name for item in folder.iterdir())
    shown = list_some(names, 8)
    return f"'{folder}' holds: {shown or 'nothing'}."


def first_existing(folder: Path, choices: list[str], what: str) -> Path:
    """Find the file of a data set of which copies differ in names.

    Parameters
    ----------
    folder : Path
        The folder of the data set.
    choices : list of str
        Paths below the folder, the first that exists is taken. Capitals do not
        matter.
    what : str
        What errors call the file.

    Returns
    -------
    file : Path
        The file.

    Raises
    ------
    NotADirectoryError
        If the folder is not one.
    FileNotFoundError
        If there is none of them.
    """
    if not folder.is_dir():
        raise NotADirectoryError(
            f"`folder` must be a folder that exists; got '{folder}'. Give the folder "
            f"that holds {choices[0]}."
        )
    for choice in choices:
        found = _find(folder, choice.split("/"))
        if found is not None:
            return found
    raise FileNotFoundError(
        f"`folder` must hold {what}; '{folder}' has none of {', '.join(choices)}."
    )


def _find(folder: Path, parts: list[str]) -> Path | None:
    exact = folder.joinpath(*parts)
    if exact.exists():
        return exact
    if not folder.is_dir():
        return None
    if not parts:
        return folder
    for item in sorted(folder.iterdir()):
        if item.name.casefold() == parts[0].casefold():
            found = item if len(parts) == 1 else _find(item, parts[1:])
            if found is not None:
                return found
    return None


@contextmanager
def open_text(file: Path, encoding: str | None = None) -> Iterator[TextIO]:
    """Open text, compressed by gzip or not, with its line ends as they are.

    Parameters
    ----------
    file : Path
        The file; gzip and byte order marks are known by their bytes.
    encoding : str, default=None
        The encoding; by default UTF-8, or what a byte order mark says.

    Yields
    ------
    stream : text stream
        The text.

    Raises
    ------
    ValueError
        If the bytes are not text of this encoding, are an archive, or end too early;
        also while the stream is read.
    """
    if encoding is not None:
        _check_encoding(encoding)
    with file.open("rb") as raw:
        start = raw.peek(4)
        if start.startswith(ZIP):
            raise ValueError(
                f"`path` must be text, compressed by gzip or not; got a zip archive or "
                f"a workbook, '{file}'. Unzip it, or save the workbook as CSV."
            )
        source: Any = gzip.GzipFile(fileobj=raw) if start.startswith(GZIP) else raw
        try:
            if encoding is None:
                encoding = _encoding_of(source.peek(4))
            with io.TextIOWrapper(source, encoding=encoding, newline="") as stream:
                yield stream
        except UnicodeDecodeError as error:
            raise ValueError(
                f"`path` must be text in {error.encoding}; got the byte "
                f"0x{error.object[error.start]:02x} in '{file}'{_place(file, error)}. "
                "Save the file as UTF-8, or pass its encoding where the loader takes "
                'one: encoding="cp1252" reads most files of Windows.'
            ) from error
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(
                f"`path` must be a whole file; '{file}' is damaged or ends too early "
                f"({error}). Copy or download it again."
            ) from error


def _check_encoding(encoding: str) -> None:
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise ValueError(
            f"`encoding` must be one that Python knows; got {encoding!r}. Files of "
            'Windows are often "cp1252", others "latin-1".'
        ) from None


def _encoding_of(start: bytes) -> str:
    for mark, encoding in _MARKED.items():
        if start.startswith(mark):
            return encoding
    return "utf-8"


def _place(file: Path, error: UnicodeDecodeError) -> str:
    """Find the line that cannot be decoded; the error knows only its own block."""
    if not error.encoding.startswith("utf-8"):
        return ""
    damage = (EOFError, gzip.BadGzipFile, zlib.error)
    with file.open("rb") as raw, suppress(*damage):
        lines = gzip.GzipFile(fileobj=raw) if raw.peek(2).startswith(GZIP) else raw
        for number, line in enumerate(lines, start=1):
            try:
                line.decode(error.encoding)
            except UnicodeDecodeError:
                return f", line {number}"
    return ""


def read_lines(file: Path) -> list[str]:
    """Read the lines of a file, without blanks at their ends or empty last lines.

    Parameters
    ----------
    file : Path
        The file.

    Returns
    -------
    lines : list of str
        One text per line.

    Raises
    ------
    ValueError
        If the file is empty or not text, or one of its lines is empty.
    """
    with open_text(file) as stream:
        lines = [line.strip() for line in stream.read().split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise ValueError(f"'{file}' has no line. Copy or download it again.")
    if "" in lines:
        raise ValueError(
            f"'{file}' must have no empty line; line {lines.index('') + 1} is. "
            "Copy or download it again."
        )
    return lines


def read_json(
    file: Path, object_hook: Callable[[dict[str, Any]], Any] | None = None
) -> Any:
    """Read a JSON file.

    Parameters
    ----------
    file : Path
        The file.
    object_hook : callable, default=None
        Called with every object as it is read; what it returns takes its place.

    Returns
    -------
    content : object
        What the file holds.

    Raises
    ------
    ValueError
        If the file is not JSON, or ends too early.
    """
    with open_text(file) as stream:
        try:
            return json.load(stream, object_hook=object_hook)
        except json.JSONDecodeError as error:
            raise ValueError(
                f"`path` must be JSON; '{file}' is not in line {error.lineno}, "
                f"column {error.colno} ({error.msg}). Copy or download it again."
            ) from error
