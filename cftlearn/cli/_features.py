"""The folder that ``cftlearn extract`` writes: features, paths, weights."""

import csv
import io
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from cftlearn._files import claim_folder, open_atomically
from cftlearn.cli._settings import SettingsError
from cftlearn.feature_extraction._feature_file import read_features, skipped_rows

FEATURES = "features.npy"
_PATHS, _HEAD, _NOTE = "paths.csv", "rows.npz", "extraction.json"


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
        Weights of the classification layer that the features are for.
    categories : list of str or None
        What that layer predicts, if the network was a saved model.
    """

    Z: NDArray[np.floating[Any]]
    paths: list[str]
    coef: NDArray[np.float64] | None = None
    intercept: NDArray[np.float64] | None = None
    categories: list[str] | None = None

    def rows_of(self, paths: Sequence[str]) -> NDArray[np.intp]:
        """Return the rows of images, as :func:`find_rows` does."""
        return find_rows(self.paths, paths, "features")


def find_rows(
    stored: Sequence[str], paths: Sequence[str], what: str
) -> NDArray[np.intp]:
    """Find the rows of images by their paths, or by the ends of their paths.

    Paths in a label file start from the file's own folder, so ``"a/1.jpg"`` may be
    ``"photos/a/1.jpg"`` here.

    Parameters
    ----------
    stored : sequence of str
        Paths of the images, row by row.
    paths : sequence of str
        Paths to find.
    what : str
        What the rows hold, for errors.

    Returns
    -------
    rows : ndarray of shape (n_paths,), int
        The row of every path.

    Raises
    ------
    SettingsError
        If no image has such a path, or several end with it.
    """
    by_path = {path: row for row, path in enumerate(stored)}
    by_end = _rows_by_end(stored, {len(Path(path).parts) for path in paths})
    found = []
    for path in paths:
        end = Path(path).as_posix()
        rows = [by_path[path]] if path in by_path else by_end.get(end, [])
        if len(rows) != 1:
            which = f"{len(rows)} images" if rows else "no image"
            raise SettingsError(
                f"Every labelled image must have one row of {what}; {which} of "
                f"{len(stored)} end with {path!r}. Compute the {what} of this image, "
                "or select other labels with --where."
            )
        found.append(rows[0])
    return np.array(found, dtype=np.intp)


def _rows_by_end(stored: Sequence[str], depths: set[int]) -> dict[str, list[int]]:
    """List the rows by the last parts of their paths, for some numbers of parts."""
    rows: dict[str, list[int]] = {}
    for row, path in enumerate(stored):
        parts = Path(path).parts
        for depth in depths & set(range(1, len(parts) + 1)):
            rows.setdefault("/".join(parts[-depth:]), []).append(row)
    return rows


def is_extracted(folder: Path) -> bool:
    """Check whether ``cftlearn extract`` wrote a folder."""
    return (folder / FEATURES).is_file() and (folder / _PATHS).is_file()


def read_extracted(folder: Path) -> ExtractedFeatures:
    """Open a folder of features, which stay on disk.

    Raises
    ------
    SettingsError
        If it is no such folder, a file of it is damaged, or its files do not belong
        together.
    """
    if not is_extracted(folder):
        raise SettingsError(
            f"{folder} must be a folder written by `cftlearn extract`; {FEATURES} "
            f"or {_PATHS} is missing."
        )
    try:
        Z = read_features(folder / FEATURES)
    except (EOFError, ValueError) as error:
        raise _damaged(folder / FEATURES) from error
    paths = _read_paths(folder / _PATHS)
    _check_paths(folder, paths)
    if Z.ndim != 2 or len(Z) != len(paths):
        raise SettingsError(
            f"{folder} must have one row of features per path; got shape {Z.shape} "
            f"for {len(paths)} paths. Extract the features again."
        )
    if not (folder / _HEAD).is_file():
        return ExtractedFeatures(Z, paths)
    return ExtractedFeatures(Z, paths, *_read_head(folder / _HEAD, Z.shape[1]))


def _read_paths(file: Path) -> list[str]:
    """Read the paths of the rows of features."""
    try:
        with file.open(encoding="utf-8", errors="surrogateescape", newline="") as lines:
            rows = list(csv.reader(lines, strict=True))
    except csv.Error as error:
        raise _damaged(file) from error
    if rows[:1] != [["path"]] or any(len(row) != 1 for row in rows):
        raise _damaged(file)
    return [path for [path] in rows[1:]]


def _check_paths(folder: Path, paths: Sequence[str]) -> None:
    """Check paths against the note of the extraction, if there is one.

    Other paths would give every image the features of another one.
    """
    note = folder / _NOTE
    if not note.is_file():
        return
    try:
        expected = json.loads(note.read_text(encoding="utf-8"))["images"]
        files = list(paths)
        for row, path, _ in sorted(skipped_rows(folder / FEATURES)):
            files.insert(row, str(path))
    except (LookupError, RecursionError, TypeError, ValueError) as error:
        raise _damaged(note) from error
    if fingerprint(files) != expected:
        raise _damaged(folder / _PATHS)


def fingerprint(paths: Sequence[str]) -> str:
    """Return how many paths there are, and a fingerprint of them in their order."""
    text = "\0".join(paths).encode(errors="surrogateescape")
    return f"{len(paths)}, {sha256(text).hexdigest()}"


def _read_head(
    file: Path, n_features: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[str] | None]:
    """Read the weights of the classification layer, and its categories if known."""
    try:
        with file.open("rb") as raw, np.load(raw, allow_pickle=False) as head:
            coef, intercept = head["coef"], head["intercept"]
            names = [str(name) for name in head["categories"].tolist()]
    except (BadZipFile, EOFError, LookupError, TypeError, ValueError, zlib.error) as e:
        raise _damaged(file) from e
    is_sound = (
        coef.ndim == 2
        and coef.shape[1] == n_features
        and intercept.shape == coef.shape[:1]
        and len(names) in (0, len(coef))
        and all(part.dtype.kind == "f" for part in (coef, intercept))
        and bool(np.isfinite(coef).all() and np.isfinite(intercept).all())
    )
    if not is_sound:
        raise _damaged(file)
    return coef, intercept, names or None


def _damaged(file: Path) -> SettingsError:
    return SettingsError(
        f"{file} must be as `cftlearn extract` wrote it; it is damaged or of something "
        "else. Extract the features again, into another folder."
    )


def write_paths(folder: Path, paths: Sequence[str]) -> None:
    """Write the paths of the rows of features."""
    with open_atomically(folder / _PATHS) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["path"])
        writer.writerows([path] for path in paths)


def write_head(
    folder: Path,
    coef: NDArray[np.float64],
    intercept: NDArray[np.float64],
    categories: Sequence[str] | None,
) -> None:
    """Write the weights of the classification layer, and its categories if known."""
    names = np.array(categories or [], dtype=str)
    data = io.BytesIO()  # numpy 2.0 leaves its archive open where a file is too large
    np.savez(data, coef=coef, intercept=intercept, categories=names)
    with open_atomically(folder / _HEAD, "wb") as file:
        file.write(data.getbuffer())


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
