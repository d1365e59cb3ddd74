"""The one place that writes files whole, claims folders and computes digests."""

import hashlib
import json
import math
import os
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

_BLOCK_BYTES = 2**26  # of an array, read at once


@contextmanager
def open_atomically(
    path: Path, mode: str = "w", *, replace: bool = True
) -> Iterator[Any]:
    """Open a file that appears under its name only when all of it is written.

    What was there before stays until then, and for good if writing fails. The file is
    written beside its path, forced to the disk and then renamed.

    Parameters
    ----------
    path : Path
        The file.
    mode : {"w", "wb"}, default="w"
        Text in UTF-8, or bytes. Line ends are written as they are, and file names
        that are not valid UTF-8 keep their bytes.
    replace : bool, default=True
        Replace a file that is there. False keeps it: of several processes that write
        the same path, the first one wins.

    Yields
    ------
    file : file object
        Open for writing.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    beside = path.with_name(f".{path.name}.{uuid4().hex[:12]}.part")
    text: dict[str, Any] = {}
    if "b" not in mode:
        text = {"encoding": "utf-8", "errors": "surrogateescape", "newline": ""}
    try:
        with beside.open(mode, **text) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if replace:
            beside.replace(path)
        else:
            _link(beside, path)
    finally:  # after Ctrl-C too
        beside.unlink(missing_ok=True)


def _link(source: Path, path: Path) -> None:
    """Link a second name to a file, unless something already has that name."""
    try:
        os.link(source, path)
    except FileExistsError:
        pass  # another process was faster
    except OSError:
        source.replace(path)  # a file system without links


@contextmanager
def folder_beside(path: Path) -> Iterator[Path]:
    """Create an empty folder beside a path, and delete it in the end.

    It is on the same file system, so what was written there can be moved to ``path``
    in one step.

    Parameters
    ----------
    path : Path
        A file or folder; its parents are created.

    Yields
    ------
    folder : Path
        The empty folder.

    Raises
    ------
    OSError
        If the folder cannot be created.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".saving-", dir=path.parent) as folder:
        yield Path(folder)


@contextmanager
def replace_folder(path: Path) -> Iterator[Path]:
    """Write a folder that appears under its name only when all of it is written.

    The earlier folder stays until then, and for good if writing fails.

    Parameters
    ----------
    path : Path
        The folder.

    Yields
    ------
    new : Path
        An empty folder to fill.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    with folder_beside(path) as beside:
        new, earlier = beside / "new", beside / "earlier"
        new.mkdir()
        yield new
        if not path.exists():
            new.rename(path)
            return
        try:
            path.rename(earlier)
            new.rename(path)
        except BaseException:  # Ctrl-C too: what is left beside the path is deleted
            if earlier.exists() and not path.exists():
                earlier.rename(path)
            raise


def claim_folder(
    folder: Path,
    owner: Mapping[str, str | None],
    *,
    note: str = "fit.json",
    parameter: str = "checkpoint",
    work: str = "fit",
    is_free: bool | None = None,
) -> None:
    """Write down whose folder this is; refuse one that belongs to other work.

    Of several processes that claim a new folder at once, one gets it. The others go
    on only if they do the same work.

    Parameters
    ----------
    folder : Path
        Created where it does not exist.
    owner : dict of str to (str or None)
        What makes this work differ from other work, in the words of an error.
    note : str, default="fit.json"
        The file in the folder that says whose it is.
    parameter, work : str
        What the error calls the folder, and the work.
    is_free : bool, default=None
        Whether nothing in the folder depends on an earlier claim, which is then
        replaced. None means that a folder is free as long as it has no note.

    Raises
    ------
    ValueError
        If the folder belongs to other work, or its note cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / note
    if is_free or (is_free is None and not path.exists()):
        with open_atomically(path, replace=bool(is_free)) as file:
            file.write(json.dumps(dict(owner), indent=1))
    try:
        # read in any case: another process may have been faster
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
        earlier = dict(json.loads(text))
    except (OSError, TypeError, ValueError) as error:
        raise ValueError(
            f"`{parameter}` must name a folder that cftlearn wrote; {str(path)!r} "
            "cannot be read. Name another folder."
        ) from error
    changed = [
        name
        for name, value in owner.items()
        if name not in earlier or earlier[name] != value
    ]
    if changed:
        raise ValueError(
            f"`{parameter}` must name a new folder, or that of the same {work}; "
            f"{str(folder)!r} holds one that differs in: {', '.join(changed)}. Name "
            "another folder, or delete this one."
        )


def digest(*parts: object) -> str:
    """Compute a fingerprint of values, the same in every process.

    Parameters
    ----------
    *parts : object
        Arrays, and matrices on disk with ``dtype``, ``shape`` and slices of rows, count
        by type, shape and values. Bytes count as they are; tuples, lists and dicts by
        their parts. The parts of an iterator count as if they were passed one by one,
        and need not be in memory together. Anything else counts by its ``repr``, which
        must not depend on the process.

    Returns
    -------
    digest : str
        64 hexadecimal digits.
    """
    total = hashlib.sha256()
    for part in parts:
        _add(total, part)
    return total.hexdigest()


def _add(total: Any, part: Any) -> None:
    if _is_array(part):
        _add_array(total, part)
    elif isinstance(part, Iterator):
        for one in part:
            _add(total, one)
    elif isinstance(part, (tuple, list)):
        total.update(digest(*part).encode())
    elif isinstance(part, dict):
        total.update(digest(*part.items()).encode())
    elif isinstance(part, bytes):  # with its length, so that parts stay apart
        total.update(len(part).to_bytes(8, "big"))
        total.update(part)
    else:
        total.update(repr(part).encode())


def _is_array(part: Any) -> bool:
    if isinstance(part, np.ndarray):
        return True
    has_type = isinstance(getattr(part, "dtype", None), np.dtype)
    return has_type and len(getattr(part, "shape", ())) > 0  # no number of numpy


def _add_array(total: Any, array: Any) -> None:
    """Add the type, the shape and some rows at a time, whatever the order in memory."""
    total.update(f"{array.dtype.str} {array.shape}".encode())
    rows = array if len(array.shape) else array.reshape(1)
    n_bytes = rows.dtype.itemsize * math.prod(rows.shape[1:])
    size = max(_BLOCK_BYTES // max(n_bytes, 1), 1)
    for start in range(0, rows.shape[0], size):
        total.update(np.ascontiguousarray(rows[start : start + size]).data)


_SPECIAL = {  # what reading may wait for, or never end
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def check_regular(
    path: Path, subject: str, error: type[Exception] = ValueError
) -> None:
    """Check that a path is no pipe, socket or device, before it is opened.

    Parameters
    ----------
    path : Path
        A file that is there, a folder, or a link to either.
    subject : str
        How the error names it.
    error : type, default=ValueError
        What is raised.

    Raises
    ------
    ValueError
        Or the error that was passed, if reading might wait or never end.
    OSError
        If there is no such file.
    """
    kind = _SPECIAL.get(stat.S_IFMT(path.stat().st_mode))
    if kind is not None:
        raise error(
            f"{subject} is {kind}, which may never end. Copy what it holds to a file."
        )
