"""Find the images of a folder, and say which of its files are none."""

import os
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from cftlearn.exceptions import ImageFileError, SkippedRowsWarning, list_some
from cftlearn.images._formats import image_suffixes

# Labels, notes, features and lists of thumbnails stand beside images by design.
_BESIDE_IMAGES = {
    ".csv",
    ".db",
    ".htm",
    ".html",
    ".ini",
    ".json",
    ".jsonl",
    ".log",
    ".md",
    ".npy",
    ".npz",
    ".parquet",
    ".toml",
    ".tsv",
    ".txt",
    ".xml",
    ".yaml",
    ".yml",
}


def image_files(folder: Path, name: str) -> list[str]:
    """Find the images below a folder, except hidden files and folders.

    Parameters
    ----------
    folder : Path
        The folder.
    name : str
        How errors name it.

    Returns
    -------
    paths : list of str
        Sorted.

    Raises
    ------
    ImageFileError
        If there is no such folder, it has no images, or a folder in it cannot be
        listed.
    ImportError
        If pillow is not installed.

    Warns
    -----
    SkippedRowsWarning
        Once, if other files are left out, but for those that use to stand beside
        images: labels, notes and features.
    """
    if not folder.is_dir():
        remedy = "Pass a list of paths" if folder.exists() else "Check the path"
        raise ImageFileError(
            f"`{name}` must be a folder where it is a single path; got "
            f"{str(folder)!r}, which is "
            f"{'a file' if folder.exists() else 'not there'}. {remedy}."
        )
    suffixes = image_suffixes()
    left_out: Counter[str] = Counter()
    found = []
    for path in _files_below(folder, name, left_out):
        suffix = path.suffix.lower()
        if suffix in suffixes and path.is_file():
            found.append(str(path))
        elif suffix not in _BESIDE_IMAGES:
            left_out[suffix or "no suffix"] += 1
    if not found:
        others = f"; it has {_listed(left_out)}" if left_out else ""
        raise ImageFileError(
            f"`{name}` must hold images; got the folder {str(folder)!r} without any "
            f"({', '.join(sorted(suffixes))}){others}. Check the path."
        )
    if left_out:
        warnings.warn(
            f"`{name}` is the folder {str(folder)!r} with {len(found)} images; other "
            f"files in it are left out ({_listed(left_out)}). Convert them to PNG or "
            "JPEG if they are images, or move them elsewhere.",
            SkippedRowsWarning,
            stacklevel=2,
        )
    return sorted(found)


def _files_below(folder: Path, name: str, left_out: Counter[str]) -> Iterator[Path]:
    """Yield the files below a folder that are not hidden; count linked folders."""

    def fail(error: OSError) -> None:
        raise ImageFileError(
            f"`{name}` must be a folder that can be read; {error.filename!r} cannot be "
            f"listed ({error.strerror}). Check its permissions."
        ) from error

    for parent, folders, files in os.walk(folder, onerror=fail):
        kept = [Path(parent, each) for each in folders if not each.startswith(".")]
        # Links are not entered: one may lead back, or to the whole disk.
        links = sum(each.is_symlink() for each in kept)
        if links:
            left_out["linked folder"] += links
        folders[:] = [each.name for each in kept if not each.is_symlink()]
        yield from (Path(parent, each) for each in files if not each.startswith("."))


def _listed(left_out: Counter[str]) -> str:
    """Write how many files of which suffix there are: ``2 .dcm, 1 .heic``."""
    kinds = [f"{count} {suffix}" for suffix, count in left_out.most_common()]
    return list_some(kinds)
