"""Files that are written whole, or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


@contextmanager
def open_whole(path: Path) -> Iterator[TextIO]:
    """Open a text file that takes its place when all of it is written.

    What was there before stays until then, and for good if writing fails. Names of
    files that are no UTF-8 keep their bytes.

    Parameters
    ----------
    path : Path
        The file.

    Yields
    ------
    file : text file
        In UTF-8, with the ends of lines as they are written.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open(
            "w", encoding="utf-8", errors="surrogateescape", newline=""
        ) as file:
            yield file
        partial.replace(path)
    except BaseException:  # Ctrl-C too
        partial.unlink(missing_ok=True)
        raise
