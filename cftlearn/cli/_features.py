"""The folder that ``cftlearn extract`` writes: features, paths, rows."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cftlearn._files import claim_folder, open_atomically
from cftlearn.cli._settings import SettingsError

FEATURES = "features.npy"
_PATHS, _ROWS, _NOTE = "paths.csv", "rows.npz", "extraction.json"


@dataclass(frozen=True)
class ExtractedFeatures:
    """Features of images on disk.

    Attributes
    ----------
    Z : numpy.memmap of shape (n_images, n_features)
        Features.
    paths : list of str
        The images, in the order of ``Z``.
    coef, intercept : ndarray or None
        The rows of the classification layer that saw the features.
    categories : list of str or None
        What these rows predict, where the network was a saved model.
    """

    Z: NDArray[np.floating[Any]]
    paths: list[str]
    coef: NDArray[np.float64] | None = None
    intercept: NDArray[np.float64] | None = None
    categories: list[str] | None = None

    def rows_of(self, paths: Sequence[str]) -> NDArray[np.intp]:
        """Find images, as :func:`find_rows` does."""
        return find_rows(self.paths, paths, "features")


def find_rows(
    stored: Sequence[str], paths: Sequence[str], what: str
) -> NDArray[np.intp]:
    """Find images by their paths, or by the ends of these.

    A label file names images from its own folder on, ``"a/1.jpg"`` for
    ``"photos/a/1.jpg"``.

    Parameters
    ----------
    stored : sequence of str
        Paths of the rows.
    paths : sequence of str
        Paths to find.
    what : str
        What errors call the rows.

    Raises
    ------
    SettingsError
        If an image is not there, or more than one may be meant.
    """
    whole = {path: row for row, path in enumerate(stored)}
    ends: dict[str, list[int]] = {}
    depths = {len(Path(path).parts) for path in paths}
    for row, path in enumerate(stored):
        parts = Path(path).parts
        for depth in depths & set(range(1, len(parts) + 1)):
            ends.setdefault("/".join(parts[-depth:]), []).append(row)
    found = []
    for path in paths:
        rows = [whole[path]] if path in whole else ends.get(Path(path).as_posix(), [])
        if len(rows) != 1:
            which = f"{len(rows)} images" if rows else "no image"
            raise SettingsError(
                f"There must be one row of {what} for every label; {which} of "
                f"{len(stored)} end with {path!r}. Compute the {what} of these images "
                "too, or keep the labels of others with --where."
            )
        found.append(rows[0])
    return np.array(found, dtype=np.intp)


def is_extracted(folder: Path) -> bool:
    """Tell whether ``cftlearn extract`` wrote a folder."""
    return (folder / FEATURES).is_file() and (folder / _PATHS).is_file()


def read_extracted(folder: Path) -> ExtractedFeatures:
    """Open a folder of features; they stay on disk.

    Raises
    ------
    SettingsError
        If the folder is none, or its files do not belong together.
    """
    if not is_extracted(folder):
        raise SettingsError(
            f"{folder} must be a folder written by `cftlearn extract`; it lacks "
            f"{FEATURES} or {_PATHS}."
        )
    Z = np.load(folder / FEATURES, mmap_mode="r", allow_pickle=False)
    with (folder / _PATHS).open(
        encoding="utf-8", errors="surrogateescape", newline=""
    ) as file:
        paths = [line["path"] for line in csv.DictReader(file)]
    if Z.ndim != 2 or len(Z) != len(paths):
        raise SettingsError(
            f"{folder} must have one row of features per path; got shape {Z.shape} "
            f"for {len(paths)} paths. Extract the features again."
        )
    if not (folder / _ROWS).is_file():
        return ExtractedFeatures(Z, paths)
    with np.load(folder / _ROWS, allow_pickle=False) as rows:
        names = rows["categories"].tolist() or None
        return ExtractedFeatures(Z, paths, rows["coef"], rows["intercept"], names)


def write_paths(folder: Path, paths: Sequence[str]) -> None:
    """Write the paths of the rows of features."""
    with open_atomically(folder / _PATHS) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["path"])
        writer.writerows([path] for path in paths)


def write_rows(
    folder: Path,
    coef: NDArray[np.float64],
    intercept: NDArray[np.float64],
    categories: Sequence[str] | None,
) -> None:
    """Write the rows of the classification layer, and what they predict if known."""
    names = np.array(categories or [], dtype=str)
    np.savez(folder / _ROWS, coef=coef, intercept=intercept, categories=names)


def sign(folder: Path, extraction: dict[str, str | None]) -> None:
    """Claim a folder for an extraction; refuse the folder of another one.

    Parameters
    ----------
    folder : Path
        Made where it does not exist.
    extraction : dict of str to str or None
        What makes it differ from others, by the words of an error.

    Raises
    ------
    ValueError
        If the folder has something else.
    """
    features = folder / FEATURES, folder / f"{FEATURES}.json"
    claim_folder(
        folder,
        extraction,
        note=_NOTE,
        parameter="--output",
        work="extraction",
        is_free=not any(path.exists() for path in features),
    )
