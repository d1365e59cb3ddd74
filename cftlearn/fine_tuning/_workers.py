"""Work on categories by joblib's workers: threads, processes, or other machines."""

import warnings
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from mmap import mmap
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from joblib.parallel import get_active_backend
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from cftlearn._features._stored import StoredFeatures, file_under
from cftlearn.exceptions import WorkerLostWarning
from cftlearn.fine_tuning._category_task import CategoryData
from cftlearn.fine_tuning._checkpoint import compute_and_save, load_result

_LARGE = 2**27  # bytes of features, from which workers share them as threads
_MOST_LOSSES = 3

Task = tuple[Any, ...]  # a category's data, and further arguments


class CategoryWorkers:
    """Calls a function for each category, and gives what it returns in order.

    Large matrices travel apart from the rest, so that a backend sends each of them
    once: joblib's processes map them into memory, Dask scatters them. A matrix in a
    file of numpy travels as its path, and every machine opens it.

    Parameters
    ----------
    n_jobs : int or None
        Workers, as in scikit-learn.
    verbose : int
        Above 0, shows a progress bar where the output is a terminal.
    places : dict of str to path
        Where finished categories are kept; empty keeps none.
    busy_with_products : bool
        Whether large matrix products, which leave other threads free, are most of the
        work: then workers on large features are threads, and copy nothing.
    """

    def __init__(
        self,
        n_jobs: int | None,
        verbose: int,
        places: dict[str, Path],
        *,
        busy_with_products: bool,
    ) -> None:
        self._n_jobs = n_jobs
        self._verbose = verbose
        self._places = places
        self._busy_with_products = busy_with_products

    def __call__(
        self, make: Callable[..., Any], kind: type[Any], tasks: list[Task]
    ) -> list[Any]:
        """Call ``make`` for every task; a task whose worker was lost is run again.

        Parameters
        ----------
        make : callable
            Called with the entries of a task.
        kind : type
            What it returns, storable in a checkpoint.
        tasks : list of tuple
            Each begins with the category's data.

        Returns
        -------
        results : list
            One per task.

        Raises
        ------
        RuntimeError
            If processes keep ending.

        Warns
        -----
        WorkerLostWarning
            If a process ended before its task.
        """
        results = {
            k: load_result(self._places[task[0].name], kind)
            for k, task in enumerate(tasks)
            if task[0].name in self._places and self._places[task[0].name].exists()
        }
        progress = tqdm(
            initial=len(results),
            total=len(tasks),
            desc="refitting categories",
            unit="category",
            disable=None if self._verbose else True,
        )
        losses = 0
        # workers may be threads of this process
        with progress, threadpool_limits(limits=1):
            while True:
                left = [k for k in range(len(tasks)) if k not in results]
                made = self._results(make, [tasks[k] for k in left])
                try:
                    for k, result in zip(left, made, strict=True):
                        results[k] = result
                        progress.update()
                    return [results[k] for k in range(len(tasks))]
                except BrokenProcessPool as error:
                    losses += 1
                    if losses > _MOST_LOSSES:
                        raise RuntimeError(
                            f"Processes ended {losses} times before their categories, "
                            f"as they do for lack of memory; {len(left)} categories "
                            "have no result. Pass a smaller n_jobs, or a checkpoint to "
                            "keep the others."
                        ) from error
                    warnings.warn(
                        f"A worker ended before its category ({error}); the "
                        f"{len(tasks) - len(results)} categories without a result are "
                        "refitted again.",
                        WorkerLostWarning,
                        stacklevel=2,
                    )

    def _results(self, make: Callable[..., Any], tasks: list[Task]) -> Iterator[Any]:
        if not tasks:
            return
        prefer = "threads" if self._shares(tasks[0][0]) else "processes"
        backend = get_active_backend(prefer=prefer)[0]
        alone = effective_n_jobs(self._n_jobs) == 1 or getattr(
            backend, "supports_sharedmem", False
        )
        if not alone:
            _check_travels(tasks[0][0].Z)
        prepare = _work_of if alone else _taken_apart
        jobs = (
            delayed(_work)(self._places.get(task[0].name), make, *prepare(*task))
            for task in tasks
        )
        gives_as_it_goes = backend.supports_return_generator
        yield from Parallel(
            n_jobs=self._n_jobs,
            prefer=prefer,
            return_as="generator" if gives_as_it_goes else "list",
        )(jobs)

    def _shares(self, data: CategoryData) -> bool:
        if isinstance(data.Z, StoredFeatures):
            return True
        return self._busy_with_products and data.Z.nbytes > _LARGE


class _MappedFile:
    """A matrix in a file, which is opened where it is needed."""

    def __init__(self, matrix: np.memmap[Any, Any]) -> None:
        self._where = {
            "filename": str(matrix.filename),
            "dtype": matrix.dtype,
            "offset": matrix.offset,
            "shape": matrix.shape,
            "order": "C" if matrix.flags.c_contiguous else "F",
        }

    def open(self) -> np.memmap[Any, Any]:
        where: dict[str, Any] = self._where
        return np.memmap(mode="r", **where)


def _work_of(data: CategoryData, *rest: Any) -> tuple[Any, ...]:
    """Leave a task whole, for a worker in this process."""
    return data, rest


def _taken_apart(data: CategoryData, *rest: Any) -> tuple[Any, ...]:
    """Separate matrices, which are the same for all categories, from a task."""
    names = list(data.spaces)
    matrices = [_sent(data.Z), _sent(data.Z_val)]
    matrices += [data.spaces[name].axes for name in names]
    none = np.empty((0, 0))
    bare = {name: replace(space, axes=none) for name, space in data.spaces.items()}
    return replace(data, Z=none, Z_val=none, spaces=bare), rest, *matrices


def _work(
    place: Path | None,
    make: Callable[..., Any],
    data: CategoryData,
    rest: tuple[Any, ...],
    *matrices: Any,
) -> Any:
    """Put a task together again, if it was taken apart, and do it."""
    if not matrices:
        return compute_and_save(place, make, data, *rest)
    Z, Z_val, *axes = map(_received, matrices)
    spaces = {
        name: replace(space, axes=own)
        for (name, space), own in zip(data.spaces.items(), axes, strict=True)
    }
    data = replace(data, Z=Z, Z_val=Z_val, spaces=spaces)
    return compute_and_save(place, make, data, *rest)


def _check_travels(Z: Any) -> None:
    if isinstance(Z, StoredFeatures) and not isinstance(Z.source, np.memmap):
        raise ValueError(
            "`Z` must be an array or a memory map of numpy for workers outside of this "
            f"process; got {type(Z.source).__name__}, which cannot be sent there. "
            "Leave the backend of joblib to n_jobs, which then takes threads."
        )


def _sent(Z: Any) -> Any:
    source = Z.source if isinstance(Z, StoredFeatures) else Z
    whole = file_under(source)
    if whole is not None and not Path(str(whole.filename)).exists():
        source = np.array(source)  # other processes could not open it
        return StoredFeatures(source) if isinstance(Z, StoredFeatures) else source
    if not isinstance(source, np.memmap) or source.mode == "c" or not source.filename:
        return Z
    if not isinstance(source.base, mmap):  # a view, whose place in the file is unknown
        return Z
    return _MappedFile(source), isinstance(Z, StoredFeatures)


def _received(matrix: Any) -> Any:
    if not isinstance(matrix, tuple):
        return matrix
    source = matrix[0].open()
    return StoredFeatures(source) if matrix[1] else source
