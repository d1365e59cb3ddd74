"""What reaches the console: characters that it cannot show, and errors in words."""

import codecs
import io
import sys
from typing import TextIO

_ESCAPES = "cftlearn.escapes"  # name of the handler in Python's table of codecs
_SURROGATES = range(0xDC80, 0xDD00)  # how Python keeps bytes that are not UTF-8


def make_printable(stream: TextIO) -> None:
    r"""Let a stream print every name: escape what its encoding does not have.

    Bytes of file names that are not UTF-8 are printed as they are. Other characters
    that the encoding lacks become escapes, such as ``\u4e2d``, so that no name ends a
    command.

    Parameters
    ----------
    stream : text stream
        Such as ``sys.stdout``. One that is no file or console is left alone.
    """
    codecs.register_error(_ESCAPES, _escape)
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors=_ESCAPES)


def is_unicode(stream: TextIO) -> bool:
    """Return whether a stream can print every character."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return codecs.lookup(encoding).name.startswith("utf")


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


def print_problem(text: str) -> None:
    """Print an error or a warning to stderr; names in it cannot steer the terminal."""
    shown = "".join(
        c
        if c.isprintable() or c == "\n"
        else c.encode("unicode_escape", "surrogatepass").decode()
        for c in text
    )
    print(shown, file=sys.stderr)


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
