"""Folders of work under way, each with a note that says whose it is."""

import json
from collections.abc import Mapping
from pathlib import Path

from cftlearn._files._folders import check_writable_folder
from cftlearn._files._places import check_is_file
from cftlearn._files._writing import open_atomically


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
    OSError
        If the folder cannot be written, in plain words.
    ValueError
        If the folder belongs to other work, or its note cannot be read.
    """
    check_writable_folder(folder)  # now, not after hours of work
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / note
    if is_free or (is_free is None and not path.exists()):
        with open_atomically(path, replace=bool(is_free)) as file:
            file.write(json.dumps(dict(owner), indent=1))
    try:
        # read in any case: another process may have been faster
        check_is_file(path)
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
        earlier = dict(json.loads(text))
    except (OSError, RecursionError, TypeError, ValueError) as error:
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
