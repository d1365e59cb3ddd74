"""Rows of a network's input: in memory, or read a batch at a time."""

import copy
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from cftlearn._inputs._loader import ReadFailure, Transform, read_batches, to_tensor
from cftlearn.exceptions import ImageFileError


class SkippedRow(NamedTuple):
    """A row that could not be read.

    Attributes
    ----------
    row : int
        Its number.
    path : str or None
        Its file.
    reason : str
        What is wrong with it, and what to do about it.
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
        Turns an item into an array or tensor. None: items are arrays or tensors.
    paths : sequence of str or None
        Files of the items. Errors name them.
    name, transform_name : str
        How errors name the inputs and the parameter of their transform.
    """

    row_shape: tuple[int, ...] | None = None  # of an item; None: known when read

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
        """Select rows by indices or a mask; nothing is read or copied.

        Errors still name rows by their index in the whole.
        """
        chosen = np.asarray(rows)
        taken = copy.copy(self)
        taken.rows = self.rows[chosen if chosen.size else chosen.astype(np.intp)]
        return taken

    def location(self, row: int) -> str:
        """Describe a row for errors by index and file: ``row 5 ('images/a.jpg')``."""
        path = self.path(row)
        return f"row {self.rows[row]}" + (f" ({path!r})" if path else "")

    def path(self, row: int) -> str | None:
        """Return the file of a row, or None."""
        return None if self.paths is None else self.paths[self.rows[row]]

    def in_order(self, batch_size: int, start: int = 0) -> Iterator[NDArray[np.intp]]:
        """Yield batches of consecutive rows, from one on; the last may be smaller."""
        for first in range(start, len(self), batch_size):
            yield np.arange(first, min(first + batch_size, len(self)))

    def equals(self, other: "Inputs") -> bool:
        """Return whether other inputs have the same rows, without reading items."""
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

        Every item has its own seed, drawn from ``seed`` in the order of the batches.
        It seeds the global generators of torch, numpy and Python while the item is
        read, so a random transform does not depend on ``num_workers``. The generators
        are left as they were found. Generators that a transform or Dataset has of its
        own are not seeded.

        Parameters
        ----------
        batches : iterable of ndarray of int
            Rows of every batch. With workers, batches are taken before they are read.
        transform : callable, default=None
            Replaces the transform of the inputs, to augment in training.
        num_workers : int, default=0
            Processes that read; 0 reads in this one.
        seed : int, default=0
            Seed of what is random in a transform.
        skipped : list, default=None
            Rows whose image file cannot be read are appended here and left out of their
            batch; a batch without other rows is left out. None: such a file is an
            error.

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
                f"{self.location(failure.first_row)} and "
                f"{self.location(failure.row)} of shapes {failure.message}. Resize in "
                f"`{self.transform_name}`, with cftlearn.images.ImageTransform for "
                "example."
            )
        reason = failure.message.rstrip().removesuffix(".")
        error = ValueError(
            f"`{self.name}` and `{self.transform_name}` must give an array or tensor "
            f"per row; {self.location(failure.row)} failed: {reason}."
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
        Turns a row into an array or tensor.
    **names
        As in the base class.
    """

    def __init__(
        self, items: NDArray[Any], transform: Transform | None = None, **names: Any
    ) -> None:
        super().__init__(items, transform, **names)
        self.row_shape = items.shape[1:]

    def equals(self, other: Inputs) -> bool:
        """Return whether other inputs hold equal rows."""
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
        """Copy batches of rows; rows are read one by one only for a transform."""
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


def join_inputs(first: Inputs, second: Inputs) -> Inputs:
    """Join rows of two inputs that have the same transform.

    Parameters
    ----------
    first, second : Inputs
        Arrays in memory are copied; anything else is read when it is needed.

    Returns
    -------
    joined : Inputs
        The rows of the second after those of the first.
    """
    names = {"name": first.name, "transform_name": first.transform_name}
    arrays = [own.items for own in (first, second) if isinstance(own, ArrayInputs)]
    if len(arrays) == 2 and not any(isinstance(each, np.memmap) for each in arrays):
        items = np.concatenate(
            [arrays[0][first.rows], arrays[1][second.rows]],
        )
        return ArrayInputs(items, first.transform, **names)
    paths = None
    if first.paths is not None and second.paths is not None:
        paths = [
            first.paths[int(row)] if own is first else second.paths[int(row)]
            for own in (first, second)
            for row in own.rows
        ]
    return Inputs(_TwoParts(first, second), first.transform, paths=paths, **names)


class _TwoParts:
    """Items of two inputs, one after the other."""

    def __init__(self, first: Inputs, second: Inputs) -> None:
        self._parts = first, second

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def __getitem__(self, row: int) -> Any:
        first, second = self._parts
        part, own = (first, row) if row < len(first) else (second, row - len(first))
        item = part.items[part.rows[own]]
        # A row of a memory map is a view that torch cannot take: it is read-only.
        return item.copy() if isinstance(item, np.memmap) else item
