"""Features that stay where they are stored, and are read some rows at a time."""

import math
from collections.abc import Iterator
from mmap import mmap
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.floating[Any]]

_AXES_PER_CATEGORY = ("row", "category", "column")
_BATCH_BYTES = 2**26  # of features in single precision, read at once


class StoredFeatures:
    """A matrix on disk that reads like an array of single precision.

    Parameters
    ----------
    source : numpy.memmap, h5py.Dataset, zarr.Array, or alike
        Has ``shape``, ``dtype`` and slices of rows.

    Attributes
    ----------
    source : object
        What was given.
    shape : tuple of int
        (n_samples, n_features).
    dtype : numpy.dtype
        float32, whatever the stored type.
    """

    ndim = 2
    dtype = np.dtype(np.float32)

    def __init__(self, source: Any) -> None:
        self.source = source
        self.shape = tuple(map(int, source.shape))

    def __len__(self) -> int:
        """Count the rows."""
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        """Count the bytes that all features would take in single precision."""
        return self.shape[0] * self.shape[1] * self.dtype.itemsize

    def __getitem__(self, rows: Any) -> NDArray[np.float32]:
        """Read the rows of a slice, of a mask, or of indices."""
        if isinstance(rows, slice):
            return np.asarray(self.source[rows]).astype(np.float32)
        index = np.asarray(rows)
        if index.dtype == bool:
            index = np.flatnonzero(index)
        read = np.empty((len(index), self.shape[1]), dtype=np.float32)
        self.read_into(index, read)
        return read

    def read_into(self, index: NDArray[np.intp], out: Floats) -> None:
        """Read rows in any order, those that lie together at once."""
        order = np.argsort(index, kind="stable")
        rows, bounds = index[order], self._bounds()
        for low, high in zip(
            np.searchsorted(rows, bounds[:-1]),
            np.searchsorted(rows, bounds[1:]),
            strict=True,
        ):
            if low == high:
                continue
            own = rows[low:high]
            if isinstance(self.source, np.memmap):
                out[order[low:high]] = self.source[own]
            else:  # may not read single rows, or not in any order
                first = int(own[0])
                block = np.asarray(self.source[first : int(own[-1]) + 1])
                out[order[low:high]] = block[own - first]

    def _bounds(self) -> NDArray[np.intp]:
        return np.append(
            np.arange(0, len(self), _batch_rows(self.shape[1])), len(self)
        ).astype(np.intp)


def is_stored(Z: object) -> bool:
    """Return whether features are read some rows at a time.

    Memory maps of numpy are where they would have to be converted; else they read like
    any array. So is whatever else has a shape, a type of numpy and slices, but is no
    array in memory.
    """
    if isinstance(Z, StoredFeatures):
        return True
    if isinstance(Z, np.memmap):
        return Z.dtype not in (np.float32, np.float64)
    if isinstance(Z, np.ndarray) or hasattr(Z, "__array_interface__"):
        return False
    has_slices = hasattr(Z, "__getitem__") and hasattr(Z, "shape")
    if not has_slices or hasattr(Z, "iloc") or hasattr(Z, "tocsr"):
        return False
    return isinstance(getattr(Z, "dtype", None), np.dtype)


def read_stored(Z: Any, name: str = "Z") -> StoredFeatures:
    """Check stored features without holding them.

    Parameters
    ----------
    Z : numpy.memmap, h5py.Dataset, zarr.Array, or alike
        Of shape (n_samples, n_features), a real number each.
    name : str, default="Z"
        What errors call it.

    Returns
    -------
    features : StoredFeatures
        Finite in single precision.

    Raises
    ------
    ValueError
        If they have another shape or type, or a value is not finite.
    """
    if isinstance(Z, StoredFeatures):
        return Z
    if len(Z.shape) != 2 or 0 in Z.shape:
        raise ValueError(
            f"`{name}` must have shape (n_samples, n_features), with at least one of "
            f"each; got shape {tuple(Z.shape)}."
        )
    features = StoredFeatures(Z)
    check_stored(features, name)
    return features


def check_stored(features: Any, name: str = "Z") -> None:
    """Check that stored features are real numbers, and finite in single precision.

    Parameters
    ----------
    features : StoredFeatures or StoredCategoryFeatures
        Features of two axes, or of three with the categories in the middle.
    name : str, default="Z"
        What errors call them.

    Raises
    ------
    ValueError
        If they are of another type, or a value is not finite.
    """
    stored_type = features.source.dtype
    if stored_type.kind not in "fiu":
        raise ValueError(
            f"`{name}` must hold real numbers; got the type {stored_type}. Store it as "
            "float16 or float32."
        )
    axes = ("row", "column") if len(features.shape) == 2 else _AXES_PER_CATEGORY
    for batch in row_batches(len(features), math.prod(features.shape[1:])):
        with np.errstate(over="ignore"):  # the error below says where
            rows = features[batch]
        # One sum finds out whether any value is not finite, in no further memory.
        if np.isfinite(rows.sum(dtype=np.float64)):
            continue
        index = np.argwhere(~np.isfinite(rows))[0]
        value = rows[tuple(index)]
        index[0] += batch.start
        where = ", ".join(f"{axis} {at}" for axis, at in zip(axes, index, strict=True))
        raise ValueError(
            f"`{name}` must be finite in single precision; got {value} in {where}. "
            "Impute it, or leave the row out."
        )


def row_batches(n_rows: int, n_features: int) -> Iterator[slice]:
    """Cut rows into slices of what is read at once; none where there are none."""
    size = _batch_rows(n_features)
    for start in range(0, n_rows, size):
        yield slice(start, min(start + size, n_rows))


def _batch_rows(n_features: int) -> int:
    return max(_BATCH_BYTES // (4 * n_features), 1)


def in_order_of_its_file(Z: Floats) -> Floats:
    """Copy a view of a memory map that joblib would read in the order of the file.

    It hands memory maps to other processes as files, and takes a contiguous view to
    lie there as the whole file does; a transposed one does not.
    """
    whole = file_under(Z)
    if whole is None or whole is Z:
        return Z
    flags = Z.flags
    is_turned = flags.c_contiguous != whole.flags.c_contiguous
    if is_turned and (flags.c_contiguous or flags.f_contiguous):
        return np.array(Z, order="C", subok=False)
    return Z


def file_under(Z: object) -> np.memmap[Any, Any] | None:
    """Find the memory map that an array is a view of, or is."""
    whole: Any = Z
    while isinstance(whole, np.ndarray) and not isinstance(whole.base, mmap):
        whole = whole.base
    return whole if isinstance(whole, np.memmap) and whole.filename else None


def are_same(one: Any, other: Any) -> bool:
    """Return whether two matrices, or inputs, are equal; read no more than needed."""
    if one is other:
        return True
    if hasattr(one, "equals"):  # inputs of a network
        return bool(one.equals(other))
    if one.shape != other.shape or len(one.shape) < 2 or 0 in one.shape:
        return one.shape == other.shape and np.array_equal(one[:], other[:])
    return all(
        np.array_equal(one[rows], other[rows])
        for rows in row_batches(one.shape[0], math.prod(one.shape[1:]))
    )


def gather(Z: Floats | StoredFeatures, rows: NDArray[np.intp], out: Floats) -> None:
    """Copy some rows into an array, and nothing beside it."""
    if isinstance(Z, StoredFeatures):
        Z.read_into(rows, out)
    elif Z.dtype == out.dtype and Z.flags.c_contiguous:
        np.take(Z, rows, axis=0, out=out, mode="clip")  # "raise" would buffer them
    else:
        out[:] = Z[rows]


def logits_of(
    Z: Floats | StoredFeatures, coef: ArrayLike, intercept: Any = 0.0
) -> NDArray[np.float64]:
    """Compute ``Z @ coef.T + intercept`` in double precision, some rows at a time.

    Parameters
    ----------
    Z : ndarray or StoredFeatures of shape (n_samples, n_features)
        Features.
    coef : array-like of shape (n_features,) or (n_rows, n_features)
        Rows.
    intercept : float or array-like of shape (n_rows,), default=0.0
        Biases.

    Returns
    -------
    logits : ndarray of shape (n_samples,) or (n_samples, n_rows), float64
        One column per row.
    """
    weights = np.asarray(coef, dtype=np.float64).T
    logits = np.empty((len(Z), *weights.shape[1:]))
    for batch in row_batches(*Z.shape):
        np.matmul(Z[batch], weights, out=logits[batch])
    logits += intercept
    return logits


def batches(Z: Floats | StoredFeatures) -> Iterator[Floats]:
    """Read all rows, some at a time."""
    for batch in row_batches(*Z.shape):
        yield Z[batch]
