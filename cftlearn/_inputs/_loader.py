"""Read batches of items, here or in other processes, each item with its own seed."""

import multiprocessing
import pickle
import random
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.utils.data import DataLoader, get_worker_info

from cftlearn._seeding import own_generators
from cftlearn.exceptions import ImageFileError, first_line
from cftlearn.labels._plain_arrays import refuse_masked

Transform = Callable[[Any], Any]


class ReadFailure(NamedTuple):
    """Why a row was not read.

    Attributes
    ----------
    row : int
        Its number.
    kind : {"image", "item", "shape"}
        An image file that cannot be read, an item or transform that fails, or another
        shape or type than the first row of its batch.
    message : str
        What is wrong.
    first_row : int or None
        The first row of its batch, where the kind is ``"shape"``.
    details, cause : str, Exception or None
        Traceback of a transform that failed in another process, and the error of one
        that failed in this process.
    """

    row: int
    kind: Literal["image", "item", "shape"]
    message: str
    first_row: int | None = None
    details: str = ""
    cause: Exception | None = None


class ReadBatch(NamedTuple):
    """Result of reading one batch.

    Attributes
    ----------
    rows : ndarray of int
        Rows that were read.
    batch : Tensor of shape (n_rows, ...) or None
        Their values on the CPU; None if no row was read, or shapes or types differ.
    failures : list of ReadFailure
        Why the others were not read.
    """

    rows: NDArray[np.intp]
    batch: Tensor | None
    failures: list[ReadFailure]


def read_batches(
    items: Any,
    transform: Transform | None,
    batches: Iterable[list[tuple[int, int]]],
    *,
    num_workers: int,
    seed: int,
) -> Iterator[ReadBatch]:
    """Read batches by torch's DataLoader; results do not depend on ``num_workers``.

    Parameters
    ----------
    items : sequence
        What to read; reading an item may take a while, or fail.
    transform : callable or None
        Turns an item into an array or tensor.
    batches : iterable of list of (int, int)
        For every row of every batch, its index for the caller and that of its item.
    num_workers : int
        Processes that read; 0 reads in this one.
    seed : int
        Generates the seed of every item, in the order of the batches.

    Yields
    ------
    read : ReadBatch
        One per batch, in their order.

    Raises
    ------
    TypeError
        If a transform cannot be sent to other processes.
    RuntimeError
        If a process that reads ends unexpectedly.
    """
    if num_workers:
        _check_picklable(transform)
    loader: DataLoader[ReadBatch] = DataLoader(
        _RowReader(items, transform),  # type: ignore[arg-type]
        batch_sampler=_SeededBatches(batches, seed),
        num_workers=num_workers,
        collate_fn=_unchanged,
        generator=torch.Generator(),  # else the loader draws from the global one
    )
    reads: Iterator[ReadBatch] = iter(loader)
    while True:
        try:
            read = next(reads)
        except StopIteration:
            return
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            raise RuntimeError(
                f"A process that read rows ended: {first_line(error)} Lower "
                "`num_workers`, as memory may be short, or pass num_workers=0 to see "
                "what the rows do."
            ) from error
        yield read


def to_tensor(array: ArrayLike) -> Tensor:
    """Convert an array to a tensor, without a copy where that is possible.

    Parameters
    ----------
    array : array-like
        Numbers.

    Returns
    -------
    tensor : Tensor
        Floats as float32; other types as they are.
    """
    values = np.asarray(array)
    if not values.flags.c_contiguous:
        values = values.copy()
    if not values.dtype.isnative:
        values = values.astype(values.dtype.newbyteorder("="))
    tensor = torch.from_numpy(values)
    return tensor.float() if tensor.is_floating_point() else tensor


class _Key(NamedTuple):
    row: int
    item: int
    seed: int


class _SeededBatches:
    """Batches of rows, each row with a seed of its own."""

    def __init__(self, batches: Iterable[list[tuple[int, int]]], seed: int) -> None:
        self.batches, self.seed = batches, seed

    def __iter__(self) -> Iterator[list[_Key]]:
        rng = np.random.default_rng(self.seed)
        for batch in self.batches:
            seeds = rng.integers(2**32, size=len(batch)).tolist()
            yield [_Key(*row, seed) for row, seed in zip(batch, seeds, strict=True)]


class _RowReader:
    """A Dataset that reads batches, and returns failures as values.

    A worker process can raise an error only as a text with its traceback.
    """

    def __init__(self, items: Any, transform: Transform | None) -> None:
        self.items, self.transform = items, transform

    def __getitems__(self, keys: list[_Key]) -> ReadBatch:
        rows: list[int] = []
        tensors: list[Tensor] = []
        failures: list[ReadFailure] = []
        with _restored_randomness():
            for key in keys:
                _seed_all(key.seed)
                try:
                    tensors.append(self._read(key.item))
                    rows.append(key.row)
                except ImageFileError as error:
                    failures.append(ReadFailure(key.row, "image", str(error)))
                except MemoryError:
                    raise
                except Exception as error:
                    failures.append(_failure(key.row, error))
        mismatches = _mismatches(rows, tensors)
        batch = torch.stack(tensors) if tensors and not mismatches else None
        return ReadBatch(np.array(rows, dtype=np.intp), batch, failures + mismatches)

    def _read(self, item: int) -> Tensor:
        value = self.items[item]
        return _row_tensor(value if self.transform is None else self.transform(value))


def _row_tensor(value: Any) -> Tensor:
    refuse_masked(value, "item")
    if isinstance(value, Tensor):
        tensor = value.detach().cpu()
        return tensor.float() if tensor.is_floating_point() else tensor
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "fiub":
        return to_tensor(value)
    raise TypeError(
        f"got {type(value).__name__}. Make a tensor of it in the transform, for images "
        "with cftlearn.images.ImageTransform"
    )


def _failure(row: int, error: Exception) -> ReadFailure:
    message = f"{type(error).__name__}: {error}"
    if get_worker_info() is None:
        return ReadFailure(row, "item", message, cause=error)
    return ReadFailure(row, "item", message, details=traceback.format_exc())


def _mismatches(rows: list[int], tensors: list[Tensor]) -> list[ReadFailure]:
    """Find the first row whose shape or type differs from the first of its batch."""
    for row, tensor in zip(rows, tensors, strict=True):
        first = tensors[0]
        if (tensor.shape, tensor.dtype) != (first.shape, first.dtype):
            message = (
                f"{tuple(first.shape)} and {tuple(tensor.shape)}, of {first.dtype} and "
                f"{tensor.dtype}"
            )
            return [ReadFailure(row, "shape", message, first_row=rows[0])]
    return []


def _check_picklable(transform: Transform | None) -> None:
    """Check that other processes can get a transform where they inherit nothing."""
    if multiprocessing.get_start_method() == "fork":
        return
    try:
        pickle.dumps(transform)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise TypeError(
            f"The transform must be one that pickle can send to other processes; "
            f"{error}. Define it at the top of a module, or pass num_workers=0."
        ) from error


def _unchanged(read: Any) -> Any:
    return read


@contextmanager
def _restored_randomness() -> Iterator[None]:
    """Restore the global generators of torch (on the CPU), numpy and Python."""
    with own_generators(torch=True):
        states = torch.get_rng_state(), np.random.get_state(), random.getstate()
        try:
            yield
        finally:
            torch.set_rng_state(states[0])
            np.random.set_state(states[1])
            random.setstate(states[2])


def _seed_all(seed: int) -> None:
    torch.default_generator.manual_seed(seed)  # torch.manual_seed resets GPUs, too
    np.random.seed(seed)
    random.seed(seed)
