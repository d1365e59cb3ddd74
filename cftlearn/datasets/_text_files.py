"""Label files are opened here: unpacked, decoded, or refused with the reason."""

import codecs
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from cftlearn.datasets._paths import PathText, existing_file

_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"
_UTF_8_MARK = b"\xef\xbb\xbf"
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")


@contextmanager
def open_binary(
    path: PathText, parameter: str = "path"
) -> Iterator[io.BufferedReader | gzip.GzipFile]:
    """Open the bytes of a file, unpacked if it is gzip, without UTF-8's mark.

    Parameters
    ----------
    path : str or path-like
        The file. Its first bytes say whether it is gzip, not its name.
    parameter : str, default="path"
        What errors call the path.

    Yields
    ------
    stream : binary stream
        The bytes; at least one.

    Raises
    ------
    TypeError, FileNotFoundError, IsADirectoryError
        If the path is not that of a file.
    ValueError
        If the file is empty or a zip archive, or if gzip data are damaged or cut off;
        the last also while the stream is read.
    """
    file = existing_file(path, parameter)
    with file.open("rb") as raw:
        start = raw.peek(len(_ZIP))
        if start.startswith(_ZIP):
            raise ValueError(
                f"`{parameter}` must be a file of labels, compressed by gzip or not; "
                f"got a zip archive or a workbook, '{file}'. Unpack it, or save the "
                "workbook as CSV."
            )
        try:
            stream = gzip.GzipFile(fileobj=raw) if start.startswith(_GZIP) else raw
            content = stream.peek(len(_UTF_8_MARK))
            if not content:
                raise ValueError(
                    f"`{parameter}` must be a file of labels; got '{file}', which is "
                    "empty. Copy or download it again."
                )
            if content.startswith(_UTF_8_MARK):
                stream.read(len(_UTF_8_MARK))
            yield stream
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(
                f"`{parameter}` must be a whole file; '{file}' is damaged or ends too "
                f"early ({error}). Copy or download it again."
            ) from error


@contextmanager
def open_text(
    path: PathText, encoding: str | None = None, parameter: str = "path"
) -> Iterator[TextIO]:
    """Open the text of a file, with its line ends as they are.

    Parameters
    ----------
    path : str or path-like
        The file, as :func:`open_binary` takes it.
    encoding : str, default=None
        The encoding; by default UTF-8, or UTF-16 where a byte order mark says so.
    parameter : str, default="path"
        What errors call the path.

    Yields
    ------
    stream : text stream
        The text.

    Raises
    ------
    TypeError, FileNotFoundError, IsADirectoryError
        If the path is not that of a file.
    ValueError
        As :func:`open_binary`; and if the bytes are not text in this encoding, also
        while the stream is read.
    """
    if encoding is not None:
        _check_encoding(encoding)
    with open_binary(path, parameter) as binary:
        if encoding is None:
            is_utf_16 = binary.peek(2).startswith(_UTF_16_MARKS)
            encoding = "utf-16" if is_utf_16 else "utf-8"
        try:
            with io.TextIOWrapper(binary, encoding=encoding, newline="") as stream:
                yield stream
        except UnicodeDecodeError as error:
            raise ValueError(
                f"`{parameter}` must be text in {error.encoding}; got the byte "
                f"0x{error.object[error.start]:02x} in '{path}'{_line_of(path, error)}."
                " Save the file as UTF-8, or pass its encoding where the loader takes "
                'one: encoding="cp1252" reads most files of Windows.'
            ) from error


def _check_encoding(encoding: str) -> None:
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise ValueError(
            f"`encoding` must be one that Python knows; got {encoding!r}. Files of "
            'Windows are often "cp1252", others "latin-1".'
        ) from None


def _line_of(path: PathText, error: UnicodeDecodeError) -> str:
    """Find the line that cannot be decoded; the error only knows its own block."""
    if not error.encoding.startswith("utf-8"):
        return ""
    # A damaged archive may end before that line: then the byte alone is named.
    with suppress(ValueError), open_binary(path) as lines:
        for number, line in enumerate(lines, start=1):
            try:
                line.decode(error.encoding)
            except UnicodeDecodeError:
                return f", line {number}"
    return ""


def read_bytes(path: PathText) -> bytes:
    """Return the bytes of a file, as :func:`open_binary` opens it."""
    with open_binary(path) as stream:
        return stream.read()


def numbered_lines(path: PathText, parameter: str = "path") -> list[tuple[int, str]]:
    """Return the lines of a file that are not blank, with their numbers from 1 on.

    Blanks around a line are left out. Raises as :func:`open_text`, and ValueError if
    all lines are blank.
    """
    with open_text(path, parameter=parameter) as stream:
        lines = [line.strip() for line in stream.read().split("\n")]
    numbered = [(number, line) for number, line in enumerate(lines, start=1) if line]
    if not numbered:
        raise ValueError(
            f"`{parameter}` must be a file with lines; '{path}' has none. Copy or "
            "download it again."
        )
    return numbered


def read_lines(path: PathText) -> list[str]:
    """Return the lines of a file in which the number of a line means something.

    Blank lines at the end are left out. Raises as :func:`numbered_lines`, and
    ValueError if another line is blank.
    """
    numbered = numbered_lines(path)
    for expected, (number, _) in enumerate(numbered, start=1):
        if number != expected:
            raise ValueError(
                f"`path` must have no blank line; line {expected} of '{path}' is. Copy "
                "or download it again."
            )
    return [line for _, line in numbered]


def read_json(
    path: PathText,
    parameter: str = "path",
    object_hook: Callable[[dict[str, Any]], Any] | None = None,
) -> Any:
    """Return the content of a JSON file.

    ``object_hook`` is called with every object, and its result replaces the object.
    Raises as :func:`open_text`, and ValueError if the text is not JSON or ends early.
    """
    with open_text(path, parameter=parameter) as stream:
        text = stream.read()
    try:
        return json.loads(text, object_hook=object_hook)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"`{parameter}` must be JSON; '{path}' is not in line {error.lineno}, "
            f"column {error.colno} ({error.msg}). Copy or download it again."
        ) from error
    except (RecursionError, ValueError) as error:
        raise ValueError(
            f"`{parameter}` must be JSON that Python can read; '{path}' is not "
            f"({error}). Check that this is the right file."
        ) from error
