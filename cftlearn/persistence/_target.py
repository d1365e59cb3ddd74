"""Where a model may be saved: free, or a saved model and nothing else."""

import json
import os
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from cftlearn._files import check_writable_folder, is_hidden
from cftlearn.exceptions import list_some

_DOCUMENT, _ARRAYS, _NETWORK = "model.json", "arrays.safetensors", "network.pt"
_MEMBERS = "members"  # of an ensemble: one folder per member, by number
_MOST_BYTES = 2**26  # of a document; of a longer one, no list is read
_MOST_NAMED = 5  # files of somebody else


def check_target(path: Path, *, overwrite: bool) -> None:
    """Check, before work of hours, that a model can be saved to a folder.

    Parameters
    ----------
    path : Path
        The folder.
    overwrite : bool
        Whether a saved model may be replaced.

    Raises
    ------
    FileExistsError
        If the path holds anything but a saved model, or ``overwrite`` is False and it
        holds one.
    OSError
        If the folder cannot be written.
    """
    check_writable_folder(
        path, partial(replaceable_files, shown=path, overwrite=overwrite)
    )


def replaceable_files(folder: Path, *, shown: Path, overwrite: bool) -> list[str]:
    """List the files of a saved model; refuse a folder that holds anything else.

    Parameters
    ----------
    folder : Path
        The folder.
    shown : Path
        How errors name it.
    overwrite : bool
        Whether a saved model may be replaced.

    Returns
    -------
    files : list of str
        Relative to the folder; none if it is empty.

    Raises
    ------
    FileExistsError
        As :func:`check_target`.
    """
    names = {name for name in os.listdir(folder) if not is_hidden(name)}  # noqa: PTH208
    if not names:
        return []
    if not {_DOCUMENT, _ARRAYS} <= names:
        raise FileExistsError(
            f"`path` must be free; {shown} exists and is no saved model. Choose "
            "another path."
        )
    files = set(_named_files(folder))
    others = list(islice(_others(folder, "", files), _MOST_NAMED))
    if others:
        raise FileExistsError(
            f"`path` must be free; {shown} holds, beside a saved model, "
            f"{list_some(others)}. Choose another path, or move these away."
        )
    if not overwrite:
        raise FileExistsError(
            f"`path` must be free; {shown} holds a saved model. Pass overwrite=True "
            "to replace it."
        )
    return sorted(files)


def _named_files(folder: Path) -> Iterator[str]:
    """Yield the files that a saved model may have, by what its document says."""
    document = _read_document(folder / _DOCUMENT)
    yield _DOCUMENT
    if isinstance(document.get("files"), dict):
        yield from map(str, document["files"])
    else:  # format 1 lists none
        model = document.get("model")
        yield _ARRAYS
        if isinstance(model, dict) and model.get("head_") is not None:
            yield _NETWORK
    members = folder / _MEMBERS
    if members.is_symlink() or not members.is_dir():
        return
    for member in members.iterdir():
        is_number = member.name.isascii() and member.name.isdigit()
        if is_number and member.is_dir() and not member.is_symlink():
            for name in _named_files(member):
                yield f"{_MEMBERS}/{member.name}/{name}"


def _read_document(path: Path) -> dict[str, Any]:
    """Read what a document says; a damaged one says nothing."""
    try:
        if not path.is_file() or path.stat().st_size > _MOST_BYTES:
            return {}
        document = json.loads(path.read_bytes())
    except (OSError, RecursionError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _others(folder: Path, prefix: str, files: set[str]) -> Iterator[str]:
    """Yield what is in a folder and not listed; empty folders too."""
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            name = prefix + entry.name
            if name in files or (not prefix and is_hidden(entry.name)):
                continue
            if not entry.is_dir(follow_symlinks=False):
                yield name
            elif any(file.startswith(f"{name}/") for file in files):
                yield from _others(Path(entry.path), f"{name}/", files)
            else:
                yield f"{name}/"
