"""Folders that belong to one fit, and files that are there whole or not at all."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from cftlearn._stored_features import batches

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


def digest_of_rows(Z: Any) -> str:
    """Give a fingerprint of a matrix that may be larger than memory."""
    total = hashlib.sha256(f"{Z.dtype.str} {Z.shape}".encode())
    for rows in batches(Z):
        total.update(np.ascontiguousarray(rows).data)
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
