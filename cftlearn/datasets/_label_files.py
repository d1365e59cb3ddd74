"""Label files as blocks of bytes: plain or gzip, whole or an error that says so."""

import gzip
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

_GZIP, _ZIP, _BOM = b"\x1f\x8b", b"PK\x03\x04", b"\xef\xbb\xbf"
_BLOCK = 1 << 20  # bytes


def read_blocks(
    path: str | os.PathLike[str], *, parameter: str = "path", size: int = _BLOCK
) -> Iterator[bytes]:
    """Read a file block by block, unpacked if it is gzip, without UTF-8's mark.

    Parameters
    ----------
    path : str or path
        The file.
    parameter : str, default="path"
        What errors call the path.
    size : int, default=1048576
        Bytes of a block; the last one may be shorter.

    Yields
    ------
    block : bytes
        Never empty.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If the path is a folder, or the file is empty, a zip archive, or gzip that is
        damaged or cut off.
    """
    file = Path(path)
    _check_is_file(file, parameter)
    start = _first_bytes(file)
    if not start:
        raise ValueError(
            f"`{parameter}` must be a file of labels; got '{file}', which is empty. "
            "Its download or its writing may have been interrupted: get it again."
        )
    if start.startswith(_ZIP):
        raise ValueError(
            f"`{parameter}` must be the file of labels itself; got '{file}', a zip "
            "archive. Unpack it first."
        )
    blocks = _unpacked(file, parameter, size) if start.startswith(_GZIP) else None
    first = True
    for block in blocks if blocks is not None else _plain(file, size):
        whole = block.removeprefix(_BOM) if first else block
        first = False
        if whole:
            yield whole


def read_lines(
    path: str | os.PathLike[str], *, parameter: str = "path"
) -> list[tuple[int, str]]:
    """Read a small text file: its lines that are not blank, with their numbers.

    Parameters
    ----------
    path : str or path
        The file, as :func:`read_blocks` takes it.
    parameter : str, default="path"
        What errors call the path.

    Returns
    -------
    lines : list of (int, str)
        Numbers from 1 on, and text without blanks around it.

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`read_blocks`; and if the text is not UTF-8.
    """
    content = b"".join(read_blocks(path, parameter=parameter))
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"`{parameter}` must be text in UTF-8; got byte 0x"
            f"{content[error.start]:02x} at place {error.start:,} of '{path}'. "
            "Convert the file, or get it again."
        ) from error
    lines = enumerate(text.split("\n"), start=1)
    return [(number, line.strip()) for number, line in lines if line.strip()]


def _check_is_file(file: Path, parameter: str) -> None:
    if file.is_dir():
        inside = sorted(child.name for child in file.iterdir())
        holds = ", ".join(inside[:8]) + (", ..." if len(inside) > 8 else "")
        raise ValueError(
            f"`{parameter}` must be a file; got the folder '{file}'. It holds: "
            f"{holds or 'nothing'}."
        )
    if not file.exists():
        raise FileNotFoundError(
            f"`{parameter}` must be a file that exists; got '{file}'. Labels are not "
            "downloaded: get them from the data set's own site."
        )


def _first_bytes(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(4)


def _plain(file: Path, size: int) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while block := opened.read(size):
            yield block


def _unpacked(file: Path, parameter: str, size: int) -> Iterator[bytes]:
    try:
        with gzip.open(file) as opened:
            while block := opened.read(size):
                yield block
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(
            f"`{parameter}` must be a whole gzip file; got '{file}': {error}. "
            "Get it again."
        ) from error
