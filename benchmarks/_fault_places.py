"""Places where a model is saved in the benchmark of faults, and what they look like."""

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from cftlearn._files import _folders


@dataclass(frozen=True)
class Place:
    """A place to save to.

    Attributes
    ----------
    name : str
        For the table.
    prepare : callable
        Takes an empty folder and a function that saves the earlier model; returns the
        path to save to.
    system : callable
        A context in which files are as this place has them.
    has_earlier : bool
        Whether an earlier model is there.
    """

    name: str
    prepare: Callable[[Path, Callable[[Path], object]], Path]
    system: Callable[[], AbstractContextManager[None]]
    has_earlier: bool = True


def names_in(folder: Path) -> list[str]:
    """List the names in a folder, hidden ones too."""
    return sorted(part.name for part in folder.iterdir())


def free(folder: Path, save: Callable[[Path], object]) -> Path:
    return folder / "model"


def earlier(folder: Path, save: Callable[[Path], object]) -> Path:
    save(folder / "model")
    return folder / "model"


def empty(folder: Path, save: Callable[[Path], object]) -> Path:
    (folder / "model").mkdir()
    return folder / "model"


def link(folder: Path, save: Callable[[Path], object]) -> Path:
    save(folder / "v1")
    (folder / "model").symlink_to("v1")
    return folder / "model"


@contextmanager
def as_it_is() -> Iterator[None]:
    yield


@contextmanager
def without_exchange() -> Iterator[None]:
    """Take away the exchange in one step, as on macOS and many network file systems."""
    with mock.patch.object(_folders, "exchange", return_value=False):
        yield


@contextmanager
def immovable() -> Iterator[None]:
    """Refuse to move a folder, as for a bind mount; it shows only when moved."""

    def refuse(*_: object) -> bool:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    with mock.patch.object(_folders, "exchange", refuse):
        yield


@contextmanager
def staying() -> Iterator[None]:
    """Treat folders as mount points."""
    with mock.patch.object(_folders, "_stays", Path.is_dir):
        yield


@contextmanager
def staying_without_links() -> Iterator[None]:
    """Treat folders as mount points of a file system that has no links."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    with staying(), mock.patch.object(os, "link", refuse):
        yield


PLACES = [
    Place("new path", free, as_it_is, has_earlier=False),
    Place("empty folder", empty, as_it_is, has_earlier=False),
    Place("earlier model", earlier, as_it_is),
    Place("link to an earlier model", link, as_it_is),
    Place("earlier, two renames", earlier, without_exchange),
    Place("earlier, in a mount point", earlier, staying),
    Place("the same, no links there", earlier, staying_without_links),
    Place("earlier, in a bind mount", earlier, immovable),
]


@contextmanager
def mounted(folder: Path, size: str) -> Iterator[Path | None]:
    """Mount memory of a size, where this process may; else yield None."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        done = None
    if done is None or done.returncode:
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)
