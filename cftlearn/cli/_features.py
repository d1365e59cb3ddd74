"""The folder that ``cftlearn extract`` writes: features, paths, rows."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cftlearn.cli._settings import SettingsError

FEATURES = "features.npy"
_PATHS, _ROWS = "paths.csv", "rows.npz"


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
    """

    Z: NDArray[np.floating[Any]]
    paths: list[str]
    coef: NDArray[np.float64] | None
    intercept: NDArray[np.float64] | None

    def rows_of(self, paths: Sequence[str]) -> NDArray[np.intp]:
        """Find images by their paths, or by the ends of these.

        A label file names images from its own folder on, ``"a/1.jpg"`` for
        ``"photos/a/1.jpg"``.

        Raises
        ------
        SettingsError
            If an image is not there, or more than one may be meant.
        """
        whole = {path: row for row, path in enumerate(self.paths)}
        ends: dict[str, list[int]] = {}
        depths = {len(Path(path).parts) for path in paths}
        for row, path in enumerate(self.paths):
            parts = Path(path).parts
            for depth in depths:
                ends.setdefault("/".join(parts[-depth:]), []).append(row)
        found = []
        for path in paths:
            rows = [whole[path]] if path in whole else ends.get(Path(path).as_posix())
            if rows is None or len(rows) != 1:
                which = "no image" if rows is None else f"{len(rows)} images"
                raise SettingsError(
                    f"The features must have one row for every label; {which} of "
                    f"{len(self.paths)} end with {path!r}. Extract the features of "
                    "these images, or keep the labels of others with --where."
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
    with (folder / _PATHS).open(encoding="utf-8", newline="") as file:
        paths = [line["path"] for line in csv.DictReader(file)]
    if Z.ndim != 2 or len(Z) != len(paths):
        raise SettingsError(
            f"{folder} must have one row of features per path; got shape {Z.shape} "
            f"for {len(paths)} paths. Extract the features again."
        )
    if not (folder / _ROWS).is_file():
        return ExtractedFeatures(Z, paths, None, None)
    with np.load(folder / _ROWS, allow_pickle=False) as rows:
        return ExtractedFeatures(Z, paths, rows["coef"], rows["intercept"])


def write_paths(folder: Path, paths: Sequence[str]) -> None:
    """Write the paths of the rows of features."""
    with (folder / _PATHS).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["path"])
        writer.writerows([path] for path in paths)


def write_rows(
    folder: Path, coef: NDArray[np.float64], intercept: NDArray[np.float64]
) -> None:
    """Write the rows of the classification layer."""
    np.savez(folder / _ROWS, coef=coef, intercept=intercept)
