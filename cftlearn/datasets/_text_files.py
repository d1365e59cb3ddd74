"""Label files are opened here: unpacked, decoded, or refused with the reason."""

import codecs
import gzip
import io
import json
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, TextIO

from cftlearn.datasets._names import refuse_hidden, shown
from cftlearn.datasets._paths import PathText, existing_file

_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"
_UTF_8_MARK = b"\xef\xbb\xbf"
_UTF_8 = ("utf-8", "utf-8-sig")
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
# What gzip makes of a file: label files become 3 to 100 times smaller. A small file of
# zeros, made to fill the memory, unpacks to 1,000 times its size.
_MOST_UNPACKED = 32 << 20  # bytes, or
_MOST_TIMES = 200  # times the size of the packed file, whichever is more


class RepeatedKeyError(ValueError):
    """An object of a JSON file has a key twice."""


class _Unpacked(io.RawIOBase):
    """The bytes inside a gzip file, up to a limit."""

    def __init__(self, raw: IO[bytes], path: PathText, parameter: str) -> None:
        self._gzip = gzip.GzipFile(fileobj=raw)
        self._path, self._parameter, self._n_bytes = path, parameter, 0
        packed = os.fstat(raw.fileno()).st_size
        self._most = max(_MOST_UNPACKED, _MOST_TIMES * packed)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = self._gzip.read1(len(buffer))
        self._n_bytes += len(content)
        if self._n_bytes > self._most:
            raise ValueError(
                f"`{self._parameter}` must not unpack to more than {self._most:,} "
                f"bytes, {_MOST_TIMES} times its size (or 32 MiB); '{self._path}' "
                "does. "
                "If it is a file of labels nevertheless, unpack it by gunzip and pass "
                "the unpacked file."
            )
        buffer[: len(content)] = content
        return len(content)


@contextmanager
def open_binary(path: PathText, parameter: str = "path") -> Iterator[io.BufferedReader]:
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
        If the file is no regular file, is empty or a zip archive, or if gzip data are
        damaged or cut off, or unpack to far more than labels do; the last three also
        while the stream is read.
    """
    with _open_unpacked(path, parameter) as stream:
        if stream.peek(len(_UTF_8_MARK)).startswith(_UTF_8_MARK):
            stream.read(len(_UTF_8_MARK))
        yield stream


@contextmanager
def _open_unpacked(path: PathText, parameter: str) -> Iterator[io.BufferedReader]:
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
            stream = raw
            if start.startswith(_GZIP):
                stream = io.BufferedReader(
                    _Unpacked(raw, path, parameter), io.DEFAULT_BUFFER_SIZE * 8
                )
            content = stream.peek(len(_UTF_8_MARK))
            if not content:
                raise ValueError(
                    f"`{parameter}` must be a file of labels; got '{file}', which is "
                    "empty. Copy or download it again."
                )
            yield stream
        except EOFError as error:
            raise ValueError(
                f"`{parameter}` must be a whole file; '{file}' ends too early. Copy or "
                "download it again."
            ) from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(
                f"`{parameter}` must be a whole file; '{file}' is packed by gzip and "
                "damaged. Copy or download it again."
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
    with _open_unpacked(path, parameter) as binary:
        start = binary.peek(len(_UTF_8_MARK))
        if start.startswith(_UTF_8_MARK):
            if encoding is not None and codecs.lookup(encoding).name not in _UTF_8:
                raise ValueError(
                    f"`encoding` must be None or 'utf-8' for a file that starts with "
                    f"the mark of UTF-8; got {shown(encoding)} for '{path}'. Leave it "
                    "out."
                )
            binary.read(len(_UTF_8_MARK))
        if encoding is None:
            encoding = "utf-16" if start.startswith(_UTF_16_MARKS) else "utf-8"
        try:
            with io.TextIOWrapper(binary, encoding=encoding, newline="") as stream:
                yield stream
        except UnicodeDecodeError as error:
            byte = error.object[error.start : error.start + 1].hex()
            raise ValueError(
                f"`{parameter}` must be text in {error.encoding}; got the byte "
                f"0x{byte} in '{path}'{_line_of(path, error)}."
                " Save the file as UTF-8, or pass its encoding where the loader takes "
                'one: encoding="cp1252" reads most files of Windows.'
            ) from error
        except UnicodeError as error:  # of encodings that need a mark, such as UTF-16
            raise ValueError(
                f"`{parameter}` must be text in {encoding}; '{path}' is not. Save the "
                "file as UTF-8, or pass its encoding where the loader takes one."
            ) from error


def _check_encoding(encoding: str) -> None:
    try:
        codecs.lookup(encoding)
        "".encode(encoding)  # some, such as "hex", make no text of bytes
    except (LookupError, TypeError, ValueError):
        raise ValueError(
            f"`encoding` must be one that Python knows; got {shown(encoding)}. Files "
            'of Windows are often "cp1252", others "latin-1".'
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


def read_bytes(path: PathText, *, most: int | None = None) -> bytes:
    """Return the bytes of a file, as :func:`open_binary` opens it.

    Raises ValueError also if there are more than ``most``.
    """
    with open_binary(path) as stream:
        content = stream.read(-1 if most is None else most + 1)
    if most is not None and len(content) > most:
        raise ValueError(
            f"`path` must have files of at most {most:,} bytes there; '{path}' has "
            "more. Check that this is the right file."
        )
    return content


def numbered_lines(path: PathText, parameter: str = "path") -> list[tuple[int, str]]:
    """Return the lines of a file that are not blank, with their numbers from 1 on.

    Blanks around a line are left out. Raises as :func:`open_text`, and ValueError if
    all lines are blank, or one has a character that nobody sees.
    """
    with open_text(path, parameter=parameter) as stream:
        lines = [line.strip() for line in stream.read().split("\n")]
    numbered = [(number, line) for number, line in enumerate(lines, start=1) if line]
    for number, line in numbered:
        if not line.isprintable():
            where = f"line {number} of '{path}'"
            refuse_hidden(line.replace("\t", " "), "everything", where, parameter)
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


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object of a JSON file that has these keys and values.

    Raises
    ------
    RepeatedKeyError
        If a key is there twice: the standard library would keep the last value.
    """
    content = dict(pairs)
    if len(content) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise RepeatedKeyError(f"the key {shown(key)} twice in one object")
            seen.add(key)
    return content


def why_no_json(error: RecursionError | ValueError) -> tuple[str, str]:
    """Return in plain words why a text is not JSON, and what helps."""
    if isinstance(error, RepeatedKeyError):
        return str(error), "Delete one of them."
    if isinstance(error, RecursionError):
        reason = "lists or objects nested too deeply"
    else:
        reason = "a number of too many digits"
    return reason, "Check that this is the right file."


def read_json(
    path: PathText,
    parameter: str = "path",
    object_hook: Callable[[dict[str, Any]], Any] | None = None,
) -> Any:
    """Return the content of a JSON file.

    ``object_hook`` is called with every object, and its result replaces the object.
    Raises as :func:`open_text`, and ValueError if the text is not JSON or ends early,
    or an object has a key twice.
    """

    def read_object(pairs: list[tuple[str, Any]]) -> Any:
        content = unique_keys(pairs)
        return content if object_hook is None else object_hook(content)

    with open_text(path, parameter=parameter) as stream:
        text = stream.read()
    try:
        return json.loads(text, object_pairs_hook=read_object)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"`{parameter}` must be JSON; '{path}' is not in line {error.lineno}, "
            f"column {error.colno} ({error.msg}). Copy or download it again."
        ) from error
    except (RecursionError, ValueError) as error:
        reason, remedy = why_no_json(error)
        raise ValueError(
            f"`{parameter}` must be JSON that can be read; '{path}' has {reason}. "
            f"{remedy}"
        ) from error
