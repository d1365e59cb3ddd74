"""Rows of a network's input: arrays in memory, or items read when they are needed."""

import copy
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset

from cftlearn._features._stored import is_stored
from cftlearn._inputs._loader import ReadFailure, Transform, read_batches, to_tensor
from cftlearn.exceptions import ImageFileError
from cftlearn.images._read import read_image

_IMAGE_SUFFIXES = {".bmp", ".gif", ".jp2", ".jpeg", ".jpg", ".pgm", ".png", ".pnm"}
_IMAGE_SUFFIXES |= {".ppm", ".tif", ".tiff", ".webp"}


class SkippedRow(NamedTuple):
    """A row that could not be read.

    Attributes
    ----------
    row : int
        Its number.
    path : str or None
        Its file.
    reason : str
        What is wrong with it, and what to do.
    """

    row: int
    path: str | None
    reason: str


class Inputs:
    """Rows of a network's input.

    Parameters
    ----------
    items : sequence
        One item per row; reading one may take a while.
    transform : callable or None
        Makes an array or tensor of an item. None: items are that already.
    paths : sequence of str or None
        Files of the items, for errors.
    name, transform_name : str
        What errors call the inputs and the parameter of their transform.
    """

    row_shape: tuple[int, ...] | None = None  # of an item; None: not known before

    def __init__(
        self,
        items: Any,
        transform: Transform | None = None,
        *,
        paths: Sequence[str] | None = None,
        name: str = "X",
        transform_name: str = "transform",
    ) -> None:
        self.items = items
        self.transform = transform
        self.paths = paths
        self.name = name
        self.transform_name = transform_name
        self.rows = np.arange(len(items))

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.rows)

    def take(self, rows: ArrayLike) -> "Inputs":
        """Give some rows, by indices or a mask; nothing is read or copied.

        Errors go on to name rows by their place in the whole.
        """
        chosen = np.asarray(rows)
        taken = copy.copy(self)
        taken.rows = self.rows[chosen if chosen.size else chosen.astype(np.intp)]
        return taken

    def place(self, row: int) -> str:
        """Say which row this is, and which file: ``row 5 ('images/a.jpg')``."""
        path = self.path(row)
        return f"row {self.rows[row]}" + (f" ({path!r})" if path else "")

    def path(self, row: int) -> str | None:
        """Give the file of a row, or None."""
        return None if self.paths is None else self.paths[self.rows[row]]

    def in_order(self, batch_size: int, start: int = 0) -> Iterator[NDArray[np.intp]]:
        """Cut the rows from one on into batches; the last one may be smaller."""
        for first in range(start, len(self), batch_size):
            yield np.arange(first, min(first + batch_size, len(self)))

    def equals(self, other: "Inputs") -> bool:
        """Tell whether other inputs have the same rows, without reading items."""
        if not np.array_equal(self.rows, other.rows):
            return False
        if self.paths is not None and other.paths is not None:
            return list(self.paths) == list(other.paths)
        return self.items is other.items

    def batches(
        self,
        batches: Iterable[NDArray[np.intp]],
        *,
        transform: Transform | None = None,
        num_workers: int = 0,
        seed: int = 0,
        skipped: list[SkippedRow] | None = None,
    ) -> Iterator[tuple[NDArray[np.intp], Tensor]]:
        """Read batches of rows.

        Every item is read under its own seed, drawn from ``seed`` in the order of the
        batches, for the global generators of torch, numpy and Python; so what is random
        in a transform is the same whatever ``num_workers``, and the generators are left
        as they were found. Generators that a transform or Dataset keeps itself are its
        own affair.

        Parameters
        ----------
        batches : iterable of ndarray of int
            Rows of every batch; taken ahead of what is read where there are workers.
        transform : callable, default=None
            Replaces the inputs' own one, to augment in training.
        num_workers : int, default=0
            Processes that read; 0 reads in this one.
        seed : int, default=0
            Seed of what is random in a transform.
        skipped : list, default=None
            Takes image files that cannot be read, whose rows are then left out, and
            batches of no other rows with them. None: such a file is an error.

        Yields
        ------
        rows : ndarray of int
            Rows of the batch.
        batch : Tensor of shape (n_rows, ...)
            The rows on the CPU; floats as float32.

        Raises
        ------
        ImageFileError
            If an image file cannot be read.
        ValueError
            If an item or a transform fails, or rows of a batch differ in shape or type.
        """
        reads = read_batches(
            self.items,
            self.transform if transform is None else transform,
            ([(int(row), int(self.rows[row])) for row in rows] for rows in batches),
            num_workers=num_workers,
            seed=seed,
        )
        for read in reads:
            for failure in read.failures:
                if skipped is None or failure.kind != "image":
                    raise self._error(failure)
                path = self.path(failure.row)
                skipped.append(SkippedRow(failure.row, path, failure.message))
            if read.batch is not None:
                yield read.rows, read.batch

    def _error(self, failure: ReadFailure) -> Exception:
        if failure.kind == "image":
            return ImageFileError(
                f"`{self.name}` must hold images that can be read; row "
                f"{self.rows[failure.row]}: {failure.message}"
            )
        if failure.first_row is not None:
            return ValueError(
                f"Rows of `{self.name}` must have one shape and type in a batch; got "
                f"{self.place(failure.first_row)} and {self.place(failure.row)} of "
                f"shapes {failure.message}. Resize in `{self.transform_name}`, with "
                "cftlearn.images.ImageTransform for example."
            )
        error = ValueError(
            f"`{self.name}` and `{self.transform_name}` must give an array or tensor "
            f"per row; {self.place(failure.row)} failed: {failure.message}."
        )
        error.__cause__ = failure.cause
        if failure.details:
            error.add_note(failure.details)
        return error


class ArrayInputs(Inputs):
    """Rows of an array in memory, or of a memory map.

    Parameters
    ----------
    items : ndarray of shape (n_rows, ...)
        The rows.
    transform : callable or None
        Makes an array or tensor of a row.
    **names
        As of the base class.
    """

    def __init__(
        self, items: NDArray[Any], transform: Transform | None = None, **names: Any
    ) -> None:
        super().__init__(items, transform, **names)
        self.row_shape = items.shape[1:]

    def equals(self, other: Inputs) -> bool:
        """Tell whether other inputs hold equal rows."""
        if not isinstance(other, ArrayInputs) or len(self) != len(other):
            return False
        same_rows = np.array_equal(self.rows, other.rows)
        if self.items is other.items and same_rows:
            return True
        return np.array_equal(self.items[self.rows], other.items[other.rows])

    def batches(
        self,
        batches: Iterable[NDArray[np.intp]],
        *,
        transform: Transform | None = None,
        num_workers: int = 0,
        seed: int = 0,
        skipped: list[SkippedRow] | None = None,
    ) -> Iterator[tuple[NDArray[np.intp], Tensor]]:
        """Copy batches of rows; only a transform reads them one by one."""
        if transform is None and self.transform is None:
            for rows in batches:
                yield rows, to_tensor(self.items[self.rows[rows]])
            return
        yield from super().batches(
            batches,
            transform=transform,
            num_workers=num_workers,
            seed=seed,
            skipped=skipped,
        )


def read_inputs(
    X: Any,
    transform: Transform | None = None,
    *,
    name: str = "X",
    check_files: bool = True,
    transform_name: str = "transform",
) -> Inputs:
    """Wrap what a network takes, and check it without opening an image.

    Parameters
    ----------
    X : array-like, Tensor, paths, folder, images or Dataset
        Numbers of shape (n_rows, ...), as array-like or tensor; a list, array or Series
        of image paths; one folder, for all images below it in the order of their names;
        a list of PIL images; anything on disk with ``shape``, ``dtype`` and rows, such
        as an h5py dataset; or a map-style torch Dataset, whose items are ``x`` or
        ``(x, ...)``.
    transform : callable, default=None
        Makes an array or tensor of one item: of an image in RGB for paths, an image as
        it is in lists, else of the row or ``x``. Images need one.
    name : str, default="X"
        What errors call the inputs.
    check_files : bool, default=True
        Look whether every path is there.
    transform_name : str, default="transform"
        What errors call the parameter of the transform.

    Returns
    -------
    inputs : Inputs
        The rows, none of them read yet.

    Raises
    ------
    TypeError, ValueError
        If it is nothing of that, holds no rows, or images have no transform.
    ImageFileError
        If an image file is not there.
    """
    if transform is not None and not callable(transform):
        raise TypeError(
            f"`{transform_name}` must be callable; got {type(transform).__name__}. "
            "Pass cftlearn.images.ImageTransform(), for example."
        )
    if isinstance(X, Inputs):
        return X
    names = {"name": name, "transform_name": transform_name}
    if isinstance(X, (str, os.PathLike)):
        X = image_files(Path(X), name)
    kind = _item_kind(X)
    if isinstance(X, Dataset):
        _check_map_style(X, name)
        inputs = Inputs(_FirstParts(X), transform, **names)
    elif kind is not None:
        inputs = _wrap_images(list(X), kind, transform, names)
        if check_files:
            _check_files(inputs.paths or [], name)
    elif is_stored(X):
        inputs = Inputs(X, transform, **names)
        inputs.row_shape = tuple(map(int, X.shape[1:]))
    else:
        inputs = ArrayInputs(_numbers(X, name), transform, **names)
    if not len(inputs):
        raise ValueError(f"`{name}` must hold at least one row; got none.")
    return inputs


def is_array_like(X: Any) -> bool:
    """Tell whether inputs are numbers in memory, which scikit-learn can check."""
    if isinstance(X, (str, os.PathLike, Dataset, Inputs)):
        return False
    return _item_kind(X) is None and not is_stored(X)


class _ImageFiles:
    """Image files that are opened when asked for."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> Any:
        return read_image(self.paths[row])


class _FirstParts:
    """Items of a Dataset without their labels."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, row: int) -> Any:
        item = self.dataset[row]
        return item[0] if isinstance(item, (tuple, list)) and item else item


def _item_kind(X: Any) -> str | None:
    """Tell by the first item: ``"path"``, ``"image"``, or None for numbers."""
    is_list = isinstance(X, (list, tuple))
    if not is_list and len(getattr(X, "shape", ())) == 1:
        dtype = getattr(X, "dtype", None)  # pandas and polars have types of their own
        is_list = not isinstance(dtype, np.dtype) or dtype.kind in "OUT"
    first = next(iter(X), None) if is_list else None
    if isinstance(first, (str, os.PathLike)):
        return "path"
    is_image = any(
        kind.__module__ == "PIL.Image" and kind.__name__ == "Image"
        for kind in type(first).__mro__
    )
    return "image" if is_image else None


def _check_map_style(X: Any, name: str) -> None:
    if isinstance(X, IterableDataset) or not hasattr(X, "__len__"):
        raise TypeError(
            f"`{name}` must be a map-style Dataset, with a length and rows in any "
            f"order; got {type(X).__name__}. Give it __len__ and __getitem__."
        )


def _wrap_images(
    items: list[Any], kind: str, transform: Transform | None, names: dict[str, str]
) -> Inputs:
    for row, item in enumerate(items):
        if _item_kind([item]) != kind:
            raise TypeError(
                f"`{names['name']}` must hold {kind}s in every row, as in the first; "
                f"got {item!r} in row {row}. Leave the row out."
            )
    if transform is None:
        raise ValueError(
            f"`{names['name']}` holds images, which need the parameter "
            f"`{names['transform_name']}` that makes the network's input of one; got "
            "None. Pass the transform that the network was trained with, or "
            "cftlearn.images.ImageTransform(224) for colours in ImageNet's scale."
        )
    if kind == "image":
        return Inputs(items, transform, **names)
    paths = [str(os.fspath(item)) for item in items]
    return Inputs(_ImageFiles(paths), transform, paths=paths, **names)


def _check_files(paths: Sequence[str], name: str) -> None:
    missing = [row for row, path in enumerate(paths) if not _is_file(path)]
    if not missing:
        return
    first = paths[missing[0]]
    where = "" if Path(first).is_absolute() else f", seen from {Path.cwd()}"
    raise ImageFileError(
        f"`{name}` must hold paths of files; {len(missing)} of {len(paths)} do not "
        f"exist, the first is row {missing[0]} ({first!r}){where}. Check the folder, "
        "or leave these rows out."
    )


def _is_file(path: str) -> bool:
    try:
        return Path(path).is_file()
    except OSError:  # a name too long, as texts are
        return False


def image_files(folder: Path, name: str) -> list[str]:
    """Find the images below a folder, but none in what is hidden."""
    if not folder.is_dir():
        remedy = "Pass a list of paths" if folder.exists() else "Check the path"
        raise ImageFileError(
            f"`{name}` must be a folder where it is a single path; got "
            f"{str(folder)!r}, which is "
            f"{'a file' if folder.exists() else 'not there'}. {remedy}."
        )
    found = sorted(
        str(path)
        for path in folder.rglob("*")
        if path.suffix.lower() in _IMAGE_SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    )
    if not found:
        raise ImageFileError(
            f"`{name}` must hold images; got the folder {str(folder)!r} without any "
            f"({', '.join(sorted(_IMAGE_SUFFIXES))})."
        )
    return found


def _numbers(X: Any, name: str) -> NDArray[Any]:
    if isinstance(X, (list, tuple)) and any(isinstance(row, Tensor) for row in X):
        X = [row.detach().cpu() if isinstance(row, Tensor) else row for row in X]
    if isinstance(X, Tensor):
        tensor = X.detach().cpu()
        X = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    try:
        array = np.asarray(X)
    except ValueError as error:  # rows of unequal shape
        raise ValueError(
            f"`{name}` must hold rows of one shape; {error}. Make them equal, or pass "
            "a torch Dataset."
        ) from error
    if array.ndim == 0 or array.dtype.kind not in "fiub":
        raise TypeError(
            f"`{name}` must hold numbers with rows first, image paths, PIL images, or "
            f"be a torch Dataset; got {type(X).__name__} of shape {array.shape} and "
            f"type {array.dtype}."
        )
    return array
