"""Where files and folders may be written, and why one could not be, in plain words."""

import errno
import os
import stat
from pathlib import Path
from typing import Any

_REASONS = {
    errno.ENOSPC: ("the disk is full", "Free some space, or name another disk"),
    errno.EDQUOT: ("your quota is used up", "Free some space, or name another disk"),
    errno.EFBIG: (
        "the file would be larger than the disk or a limit (ulimit -f) allows",
        "Raise the limit, or name another disk",
    ),
    errno.EACCES: ("permission is missing", "Change the rights, or name another place"),
    errno.EPERM: ("permission is missing", "Change the rights, or name another place"),
    errno.EROFS: ("the disk can only be read", "Name another place"),
    errno.EIO: ("the disk does not work", "Name another disk"),
    errno.EBUSY: ("it is a mount point", "Name another place"),
    errno.ENOENT: ("its folder does not exist", "Make the folder first"),
    errno.ENOTDIR: ("a part of the path is a file", "Name another place"),
    errno.EEXIST: ("a part of the path is a file", "Name another place"),
    errno.EISDIR: ("it is a folder", "Name a file in it"),
    errno.ENAMETOOLONG: ("the name is too long", "Name a shorter one"),
    errno.ELOOP: ("its links lead back to themselves", "Name another place"),
}
_KINDS = {
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}
DISK_FAILED = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}


def as_path(path: Any, parameter: str = "path") -> Path:
    """Return a path, or say that it is none.

    Parameters
    ----------
    path : str or path-like
        What the user passed.
    parameter : str, default="path"
        What an error calls it.

    Raises
    ------
    TypeError
        If it is neither text nor a path.
    ValueError
        If it is empty, or holds a NUL character.
    """
    if not isinstance(path, (str, os.PathLike)) or isinstance(os.fspath(path), bytes):
        raise TypeError(
            f"`{parameter}` must be a str or a pathlib.Path; got "
            f"{type(path).__name__} {path!r}. Name a file or folder."
        )
    text = os.fspath(path)
    if not text or "\0" in text:
        raise ValueError(
            f"`{parameter}` must be a path; got {text!r}, which is empty or holds a "
            "NUL character. Name a file or folder; '.' is the current folder."
        )
    return Path(path)


def write_error(
    error: OSError, path: Path, kept: str = "What was there before has not changed."
) -> OSError:
    """Return an error of the same type that says in plain words what could not be.

    Parameters
    ----------
    error : OSError
        What the system said.
    path : Path
        What should have been written.
    kept : str
        A sentence on what is not lost, for a disk that failed in the middle.

    Returns
    -------
    error : OSError
        With the same ``errno``.
    """
    number = error.errno
    reason = getattr(error, "strerror", None) or str(error)
    reason, remedy = _REASONS.get(number or 0, (reason, "Name another place"))
    stays = f" {kept}" if number in DISK_FAILED else ""
    plain = OSError(number, "") if number else error
    explained: OSError = type(plain)(
        f"{str(path)!r} cannot be written: {reason}.{stays} {remedy}."
    )
    explained.errno = number
    return explained


def kind_of_mode(mode: int) -> str:
    """Return what the mode of a path says: "a file", "a folder", "a device", ..."""
    return _KINDS.get(stat.S_IFMT(mode), "a device")


def kind_of(path: Path) -> str:
    """Return what a path names: as :func:`kind_of_mode`, or "" for nothing.

    Links are followed; one that leads nowhere names nothing.

    Raises
    ------
    OSError
        If it cannot be said: the path leads through a file, or in a circle.
    """
    try:
        return kind_of_mode(path.stat().st_mode)
    except FileNotFoundError:
        return ""


def real_place(path: Path, wanted: str) -> Path:
    """Follow the links of a path to where a file or folder is, or may be.

    Parameters
    ----------
    path : Path
        The path. Nothing else than what is wanted may be there.
    wanted : {"a file", "a folder"}
        What may be there.

    Returns
    -------
    place : Path
        Absolute, and no link.

    Raises
    ------
    IsADirectoryError
        If a folder is where a file is wanted.
    FileExistsError
        If something else is there.
    OSError
        If the path cannot be followed.
    """
    try:
        kind = kind_of(path)
    except OSError as error:
        raise write_error(error, path) from error
    if kind not in ("", wanted):
        folder = kind == "a folder"
        refused = IsADirectoryError if folder else FileExistsError
        remedy = "Name a file in it" if folder else "Name another place"
        raise refused(
            f"{str(path)!r} must be {wanted}, or free; it is {kind}. {remedy}."
        )
    return Path(os.path.realpath(path))


def check_regular(
    path: Path,
    subject: str,
    error: type[Exception] = ValueError,
    *,
    folder: str = "Name a file in it.",
) -> int:
    """Check that a path is that of a file that can be read to its end.

    Parameters
    ----------
    path : Path
        The file, or a link to it.
    subject : str
        How errors name it: ``"Image 'a.png'"``.
    error : type, default=ValueError
        What is raised for what is no file.
    folder : str
        A sentence on what to do if it is a folder.

    Returns
    -------
    n_bytes : int
        Size of the file.

    Raises
    ------
    FileNotFoundError
        If there is nothing of this name.
    OSError
        If the system does not let anybody look there.
    ValueError
        Or the error that was passed, if it is a folder, or a pipe, a socket or a
        device: reading might wait or never end.
    """
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        where = "" if path.is_absolute() else f" in {Path.cwd()}"
        raise FileNotFoundError(
            f"{subject} does not exist{where}. Check the path."
        ) from None
    except OSError as failure:
        raise type(failure)(
            f"{subject} cannot be opened ({failure.strerror}). Check its name and its "
            "permissions."
        ) from failure
    except ValueError:
        raise error(f"{subject} holds a NUL character. Check its name.") from None
    kind = kind_of_mode(status.st_mode)
    if kind == "a folder":
        raise error(f"{subject} is a folder. {folder}")
    if kind != "a file":
        raise error(
            f"{subject} is {kind}, which may never end. Copy what it holds to a file."
        )
    return status.st_size


def check_is_file(path: Path) -> None:
    """Refuse to open what is no file: a pipe would wait for ever.

    A path where nothing is passes: opening it raises.

    Raises
    ------
    ValueError
        If the path names something else than a file.
    """
    kind = kind_of(path)
    if kind not in ("", "a file"):
        raise ValueError(f"{str(path)!r} must be a file; it is {kind}.")


def force_folder(folder: Path) -> None:
    """Write the names in a folder to the disk, on systems that can."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders; others only with the right to read
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EBADF, errno.EOPNOTSUPP):
            raise
    finally:
        os.close(descriptor)


def force_file(path: Path) -> None:
    """Write a file to the disk."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def force_files(folder: Path) -> None:
    """Write all files of a folder to the disk, and their names."""
    for root, _, names in os.walk(folder):
        for name in names:
            force_file(Path(root, name))
        force_folder(Path(root))
