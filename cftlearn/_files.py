"""Folders that belong to one fit, and files that are there whole or not at all."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO
from uuid import uuid4

import numpy as np

_FIT_FILE = "fit.json"


def sign_folder(root: Path, fit: dict[str, str]) -> None:
    """Sign a new folder; refuse one that another fit has signed.

    Parameters
    ----------
    root : path
        Made where it does not exist.
    fit : dict of str to str
        What makes this fit differ from others, by the words of an error.

    Raises
    ------
    ValueError
        If the folder is of another fit, or not one of ours.
    """
    root.mkdir(parents=True, exist_ok=True)
    note = root / _FIT_FILE
    if not note.exists():
        text = json.dumps(fit, indent=1).encode()
        write_whole(note, lambda file: file.write(text), replaces=False)
    try:
        other = dict(json.loads(note.read_text()))  # perhaps of a fit that was faster
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`checkpoint` must name a folder of ours; {str(note)!r} is not. Name "
            "another folder."
        ) from error
    changed = [name for name in fit if other.get(name) != fit[name]]
    if changed:
        raise ValueError(
            f"`checkpoint` must name a new folder, or that of the same fit; "
            f"{str(root)!r} holds a fit that differs in: {', '.join(changed)}. Name "
            "another folder, or delete this one."
        )


def digest(*parts: object) -> str:
    """Give a fingerprint of arrays, and of what has a text."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            total.update(f"{part.dtype.str} {part.shape}".encode())
            total.update(np.ascontiguousarray(part).data)
        elif isinstance(part, tuple):
            total.update(digest(*part).encode())
        else:
            total.update(repr(part).encode())
    return total.hexdigest()


def write_whole(
    place: Path, fill: Callable[[Any], object], *, replaces: bool = True
) -> None:
    """Write a file so that it is there whole or not at all.

    With ``replaces=False`` a file that somebody else has put there meanwhile stays.
    """
    beside = place.with_name(f"{place.name}.{uuid4().hex}.part")
    try:
        with beside.open("wb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        if replaces:
            beside.replace(place)
        else:
            try:
                os.link(beside, place)
            except FileExistsError:
                pass  # somebody was faster
            except OSError:
                beside.replace(place)  # a file system without links
    finally:
        beside.unlink(missing_ok=True)


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
