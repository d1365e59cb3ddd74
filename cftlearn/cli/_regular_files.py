"""Files that the commands read: regular ones, and texts of a size that fits."""

import stat
from pathlib import Path

from cftlearn.cli._settings import SettingsError

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def check_regular(path: Path, what: str) -> int:
    """Check that a path is that of a file that can be read to its end.

    Parameters
    ----------
    path : Path
        The file.
    what : str
        What errors call it, with a capital: ``"A configuration"``.

    Returns
    -------
    size : int
        Of the file, in bytes.

    Raises
    ------
    FileNotFoundError, SettingsError
        If there is none, or it is a folder, a pipe or a device: reading a pipe waits
        for as long as nobody writes.
    """
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        where = "" if path.is_absolute() else f" in {Path.cwd()}"
        raise FileNotFoundError(
            f"{what} must be a file; {str(path)!r} does not exist{where}. Check the "
            "path."
        ) from None
    if stat.S_ISREG(status.st_mode):
        return status.st_size
    kind = next((name for is_kind, name in _KINDS if is_kind(status.st_mode)), "none")
    raise SettingsError(
        f"{what} must be a file; {str(path)!r} is {kind}. Write it to a file, and name "
        "that."
    )


def read_text(path: Path, what: str, *, most_bytes: int) -> str:
    """Read a small file of UTF-8 text, with or without a byte order mark.

    Parameters
    ----------
    path : Path
        The file.
    what : str
        What errors call it.
    most_bytes : int
        A larger file is refused before it is read.

    Returns
    -------
    text : str
        What it holds.

    Raises
    ------
    FileNotFoundError, SettingsError
        As :func:`check_regular`; and if the file is larger, or no UTF-8 text.
    """
    size = check_regular(path, what)
    if size > most_bytes:
        raise SettingsError(
            f"{what} must have at most {most_bytes} bytes; {str(path)!r} has {size}. "
            "Is this the right file?"
        )
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SettingsError(
            f"{what} must be UTF-8 text; {str(path)!r} has the byte "
            f"0x{error.object[error.start]:02x} in line {line}. Save it as UTF-8."
        ) from error
