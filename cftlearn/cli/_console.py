"""What reaches the console: characters that it cannot show, and errors in words."""

import codecs
import io
import json
import os
import sys
from pathlib import Path
from typing import Any, TextIO

_ESCAPES = "cftlearn.escapes"  # name of the handler in Python's table of codecs
LONGEST = 200  # characters of a value in an error
_MOST_SAID = 4000  # characters of an error: names and paths of others are in it
_SURROGATES = range(0xDC80, 0xDD00)  # how Python keeps bytes that are not UTF-8


def prepare_streams() -> None:
    r"""Let stdout and stderr print every name: escape what an encoding does not have.

    Bytes of file names that are not UTF-8 are printed as they are. Other characters
    that the encoding lacks become escapes, such as ``\u4e2d``, so that no name ends a
    command. A stream that was closed, as by ``>&-``, is one that nobody reads.
    """
    codecs.register_error(_ESCAPES, _escape)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
            setattr(sys, name, nowhere)  # open until the process ends
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ESCAPES)


def json_text(value: Any, stream: TextIO, *, indent: int | None = None) -> str:
    """Return a value as JSON that a stream can hold.

    Parameters
    ----------
    value : object
        Text, numbers, lists and dicts.
    stream : text stream
        Where the text goes.
    indent : int, default=None
        As for ``json.dumps``.

    Returns
    -------
    text : str
        Names as they are if the stream can print every character, else in JSON's own
        escapes: those of the console are none in JSON.
    """
    encoding = getattr(stream, "encoding", None) or "utf-8"
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    is_utf = codecs.lookup(encoding).name.startswith("utf")
    has_bytes = (
        any(ord(c) in _SURROGATES for c in text) if not text.isascii() else False
    )
    if is_utf and not has_bytes:
        return text
    return json.dumps(value, indent=indent)


def _escape(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    code = ord(error.object[error.start])
    if code in _SURROGATES and not error.encoding.lower().startswith(
        ("utf-16", "utf-32")
    ):
        return bytes([code - 0xDC00]), error.start + 1
    return codecs.backslashreplace_errors(
        UnicodeEncodeError(
            error.encoding, error.object, error.start, error.start + 1, error.reason
        )
    )


def end_output() -> None:
    """Write no more to stdout, which Python flushes once more at exit.

    That must not fail where the reader, such as ``head``, has closed the pipe, or where
    a disk is full.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def shown(value: object) -> str:
    """Return a value as errors show it: cut where it is long."""
    text = value if isinstance(value, Path) else repr(value)
    text = str(text)
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]}... ({len(text)} characters)"


def print_problem(text: str) -> None:
    """Print an error or a warning to stderr; names in it cannot steer the terminal."""
    if len(text) > _MOST_SAID:
        text = f"{text[: _MOST_SAID // 2]} ... {text[-_MOST_SAID // 2 :]}"
    printable = "".join(
        c
        if c.isprintable() or c == "\n"
        else c.encode("unicode_escape", "surrogatepass").decode()
        for c in text
    )
    print(printable, file=sys.stderr)


def in_words(error: BaseException) -> str:
    """Return what an error says, without numbers of the operating system.

    Parameters
    ----------
    error : BaseException
        The error.

    Returns
    -------
    text : str
        Its text. What the operating system says becomes a sentence with its file; an
        error without a text becomes one.
    """
    if isinstance(error, OSError) and error.strerror:
        files = [repr(str(name)) for name in (error.filename, error.filename2) if name]
        place = f": {' and '.join(files)}" if files else ""
        return (
            f"{error.strerror}{place}. Check the path, its permissions and the space "
            "on the disk."
        )
    text = str(error).strip()
    if isinstance(error, MemoryError):
        text = f"there is not enough memory{f' ({text})' if text else ''}. "
        return f"{text}Lower --batch-size or --size, or use fewer rows or workers."
    return text or f"stopped by {type(error).__name__}, which says nothing more"
