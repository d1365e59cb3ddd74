"""Where label files are: paths that exist, and files of a data set in its folder."""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path

from cftlearn._files import check_regular, kind_of_mode
from cftlearn.exceptions import list_some

PathText = str | PathLike[str]

_MOST_NAMED = 8  # files of a folder in an error
_LONGEST_SHOWN = 80  # characters of a file's name in an error


def exists(path: Path) -> bool:
    """Return whether there is something with a name that may be too long for any."""
    return bool(_kind_of(path))


def is_file(path: Path) -> bool:
    """Return whether a path is that of a file that can be read to its end."""
    return _kind_of(path) == "a file"


def is_folder(path: Path) -> bool:
    """Return whether a path is that of a folder."""
    return _kind_of(path) == "a folder"


def names_in(folder: Path) -> list[str]:
    """Return the names of what is in a folder, sorted."""
    return sorted(item.name for item in folder.iterdir())


def _kind_of(path: Path) -> str:
    try:
        return kind_of_mode(path.stat().st_mode)
    except (OSError, ValueError):
        return ""


def as_path(path: PathText, parameter: str = "path") -> Path:
    """Return a path as an object; refuse everything else.

    Raises
    ------
    TypeError
        If it is not a path.
    ValueError
        If it has a NUL character, which no path has.
    """
    if not isinstance(path, (str, PathLike)):
        raise TypeError(
            f"`{parameter}` must be a path; got {type(path).__name__}. A table in "
            "memory goes through cftlearn.labels.resolve_labels."
        )
    located = Path(path)
    if "\0" in str(located):
        raise ValueError(
            f"`{parameter}` must be a path without NUL characters; got {path!r}. "
            "Delete them."
        )
    return located


def existing_file(path: PathText, parameter: str = "path") -> Path:
    """Return the path of a file; refuse what is not a file.

    Parameters
    ----------
    path : str or path-like
        The path.
    parameter : str, default="path"
        What errors call it.

    Returns
    -------
    file : Path
        The same path.

    Raises
    ------
    TypeError
        If it is not a path.
    FileNotFoundError
        If there is nothing with this name.
    IsADirectoryError
        If it is a folder.
    ValueError
        If it is a pipe, a device or a socket, which may never end.
    OSError
        If the system does not let anybody look there.
    """
    file = as_path(path, parameter)
    if is_folder(file):
        raise IsADirectoryError(
            f"`{parameter}` must be a file; got the folder '{file}'. "
            f"{_content_of(file)} Name the file."
        )
    try:
        check_regular(file, f"`{parameter}` must be a file; '{file}'")
    except FileNotFoundError:
        raise FileNotFoundError(
            f"`{parameter}` must be a file that exists; got '{file}'. "
            f"{_content_of(file.parent)} Labels are not downloaded: get them from "
            "the data set's own site."
        ) from None
    return file


def first_existing(path: PathText, choices: Sequence[str], what: str) -> Path:
    """Find a file whose name differs between copies of a data set.

    Parameters
    ----------
    path : str or path-like
        The folder of the data set.
    choices : sequence of str
        Paths below the folder; the first that exists is taken. Upper and lower case
        do not matter.
    what : str
        What errors call the file.

    Returns
    -------
    file : Path
        The file.

    Raises
    ------
    TypeError
        If the path is not a path.
    NotADirectoryError
        If it is not that of a folder.
    FileNotFoundError
        If none of the files exists.
    """
    folder = as_path(path)
    if not is_folder(folder):
        raise NotADirectoryError(
            f"`path` must be a folder that exists; got '{folder}'. Pass the folder "
            f"that holds {_short(choices[0])}."
        )
    for choice in choices:
        found = _find(folder, choice.split("/"))
        if found is not None:
            return found
    raise FileNotFoundError(
        f"`path` must hold {what}; '{folder}' has none of "
        f"{', '.join(map(_short, choices))}. "
        f"{_content_of(folder)}"
    )


def files_of_split(
    path: PathText, split: str | None, files: Mapping[str, Sequence[Sequence[str]]]
) -> list[Path]:
    """Find the file that a path names, or the files of a split in a folder.

    Parameters
    ----------
    path : str or path-like
        A file, or the folder of the data set.
    split : str or None
        A key of ``files`` where the path is a folder, else None.
    files : mapping of str to sequence of sequence of str
        For each split its files, and for each file the paths that it may have below
        the folder.

    Returns
    -------
    found : list of Path
        The file, or all files of the split.

    Raises
    ------
    TypeError
        If the path is not a path.
    ValueError
        If there is a split for a file, or none for a folder.
    FileNotFoundError
        If a file does not exist.
    """
    location = as_path(path)
    if not is_folder(location):
        if split is not None:
            raise ValueError(
                f"`split` must be None where `path` is a file; got {split!r} for "
                f"'{location}'. Leave it out, or pass the folder."
            )
        return [existing_file(location)]
    if split is None:
        raise ValueError(
            f"`split` must be one of {', '.join(map(repr, files))} where `path` is a "
            f"folder; got None. {_content_of(location)}"
        )
    what = f"the files of split={split!r}"
    return [first_existing(location, choices, what) for choices in files[split]]


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def _content_of(folder: Path) -> str:
    if not is_folder(folder):
        return f"There is no folder '{folder}' either."
    try:
        names = names_in(folder)
    except OSError:
        return f"'{folder}' cannot be listed."
    return f"'{folder}' holds: {list_some(names, _MOST_NAMED) or 'nothing'}."


def _find(folder: Path, parts: Sequence[str]) -> Path | None:
    exact = folder.joinpath(*parts)
    if exists(exact):
        return exact
    if not is_folder(folder):
        return None
    for name in names_in(folder):
        if name.casefold() == parts[0].casefold():
            item = folder / name
            found = item if len(parts) == 1 else _find(item, parts[1:])
            if found is not None:
                return found
    return None
