"""Label files as blocks of bytes: plain or gzip, whole or an error that says so."""

import gzip
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

from cftlearn.datasets._text_files import GZIP, ZIP, existing_file

_BOM = b"\xef\xbb\xbf"
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
    IsADirectoryError
        If the path is a folder.
    ValueError
        If the file is empty, a zip archive, or gzip that is
        damaged or cut off.
    """
    file = existing_file(path, parameter)
    start = _first_bytes(file)
    if not start:
        raise ValueError(
            f"`{parameter}` must be a file of labels; got '{file}', which is empty. "
            "Its download or its writing may have been interrupted: get it again."
        )
    if start.startswith(ZIP):
        raise ValueError(
            f"`{parameter}` must be the file of labels itself; got '{file}', a zip "
            "archive. Unpack it first."
        )
    blocks = _unpacked(file, parameter, size) if start.startswith(GZIP) else None
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
