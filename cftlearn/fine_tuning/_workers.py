"""Work on categories by joblib's workers: threads, processes, or other machines."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from mmap import mmap
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from joblib.parallel import get_active_backend
from tqdm.auto import tqdm

from cftlearn._dependencies import end_with_parent
from cftlearn._features._stored import StoredFeatures, file_under
from cftlearn._seeding import one_thread
from cftlearn.exceptions import WorkerLostWarning
from cftlearn.fine_tuning._category_task import CategoryTask
from cftlearn.fine_tuning._checkpoint import load_result, save_result

_LARGE = 2**27  # bytes of features, from which workers share them as threads
_MOST_LOSSES = 3


class CategoryWorkers:
    """Calls a function for each category, and returns the results in order.

    Large matrices travel apart from the rest, so that a backend sends each of them
    once: joblib's processes map them into memory, Dask scatters them. A matrix in a
    file of numpy travels as its path, and every machine opens it.

    Parameters
    ----------
    n_jobs : int or None
        Workers, as in scikit-learn.
    verbose : int
        Above 0, shows a progress bar where the output is a terminal.
    paths : dict of str to path
        Where finished categories are stored; empty stores none.
    busy_with_products : bool
        Whether large matrix products, which leave other threads free, are most of the
        work: then workers on large features are threads, and copy nothing.
    """

    def __init__(
        self,
        n_jobs: int | None,
        verbose: int,
        paths: dict[str, Path],
        *,
        busy_with_products: bool,
    ) -> None:
        self.verbose = verbose
        self.paths = paths
        self._n_jobs = n_jobs
        self._busy_with_products = busy_with_products

    def for_stage(self, name: str) -> "CategoryWorkers":
        """Return the same workers, which store what follows in files of their own.

        Parameters
        ----------
        name : str
            Part of the names of these files.

        Returns
        -------
        workers : CategoryWorkers
            For results of another kind.
        """
        paths = {
            category: path.with_name(f"{path.stem}-{name}{path.suffix}")
            for category, path in self.paths.items()
        }
        return CategoryWorkers(
            self._n_jobs,
            self.verbose,
            paths,
            busy_with_products=self._busy_with_products,
        )

    def __call__(
        self,
        make: Callable[..., Any],
        kind: type[Any],
        tasks: list[CategoryTask],
        *arguments: Any,
    ) -> list[Any]:
        """Call ``make`` for every task; a task whose worker was lost is run again.

        Parameters
        ----------
        make : callable
            Called with a task and the further arguments.
        kind : type
            What it returns, storable in a checkpoint.
        tasks : list of CategoryTask
            One per category.
        *arguments : object
            The same for all tasks.

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
        results = self._finished(kind, tasks)
        losses = 0
        # workers may be threads of this process
        with self.progress(len(results), len(tasks)) as bar, one_thread():
            while True:
                left = [k for k in range(len(tasks)) if k not in results]
                made = self._results(make, [tasks[k] for k in left], arguments)
                try:
                    for k, result in zip(left, made, strict=True):
                        results[k] = result
                        bar.update()
                    return [results[k] for k in range(len(tasks))]
                except BrokenProcessPool as error:
                    losses += 1
                    n_left = len(tasks) - len(results)
                    _report_loss(losses, n_left, error)

    def _finished(
        self, kind: type[Any], tasks: Sequence[CategoryTask]
    ) -> dict[int, Any]:
        """Read what an earlier, interrupted fit has finished, by number of the task."""
        results = {}
        for k, task in enumerate(tasks):
            path = self.paths.get(task.name)
            if path is not None and path.exists():
                results[k] = load_result(path, kind)
        return results

    def progress(self, n_finished: int, n_tasks: int) -> Any:
        """Return a progress bar of categories; it is hidden unless ``verbose``."""
        return tqdm(
            initial=n_finished,
            total=n_tasks,
            desc="refitting categories",
            unit="category",
            disable=None if self.verbose else True,
        )

    def _results(
        self,
        make: Callable[..., Any],
        tasks: Sequence[CategoryTask],
        arguments: tuple[Any, ...],
    ) -> Iterator[Any]:
        """Yield the results in order, as workers finish them."""
        if not tasks:
            return
        prefer = "threads" if self._shares(tasks[0]) else "processes"
        backend = get_active_backend(prefer=prefer)[0]
        shares_memory = getattr(backend, "supports_sharedmem", False)
        if effective_n_jobs(self._n_jobs) == 1 or shares_memory:
            jobs = (
                delayed(_compute)(self.paths.get(task.name), make, task, arguments)
                for task in tasks
            )
        else:
            _check_travels(tasks[0].Z)
            jobs = (
                delayed(_compute_there)(
                    self.paths.get(task.name), make, *_without_matrices(task, arguments)
                )
                for task in tasks
            )
        yields = backend.supports_return_generator
        yield from Parallel(
            n_jobs=self._n_jobs,
            prefer=prefer,
            return_as="generator" if yields else "list",
        )(jobs)

    def _shares(self, task: CategoryTask) -> bool:
        """Return whether workers should be threads that share the features."""
        if isinstance(task.Z, StoredFeatures):
            return True
        return self._busy_with_products and task.Z.nbytes > _LARGE


def _report_loss(losses: int, n_left: int, error: Exception) -> None:
    """Warn that a worker ended; raise where it happens again and again."""
    if losses > _MOST_LOSSES:
        raise RuntimeError(
            f"Processes ended {losses} times before their categories, as they do for "
            f"lack of memory; {n_left} categories have no result. Pass a smaller "
            "n_jobs, or a checkpoint to keep the others."
        ) from error
    warnings.warn(
        f"A worker ended before its category ({error}); the {n_left} categories "
        "without a result are refitted again.",
        WorkerLostWarning,
        stacklevel=3,
    )


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


def _compute(
    path: Path | None,
    make: Callable[..., Any],
    task: CategoryTask,
    arguments: tuple[Any, ...],
) -> Any:
    """Compute the result of a task, and store it where there is a checkpoint."""
    result = make(task, *arguments)
    if path is not None:
        save_result(path, result)
    return result


def _without_matrices(task: CategoryTask, arguments: tuple[Any, ...]) -> list[Any]:
    """Separate matrices, which are the same for all categories, from a task."""
    names = list(task.spaces)
    matrices = [_sent(task.Z), _sent(task.Z_val)]
    matrices += [task.spaces[name].axes for name in names]
    none = np.empty((0, 0))
    bare = {name: replace(space, axes=none) for name, space in task.spaces.items()}
    return [replace(task, Z=none, Z_val=none, spaces=bare), arguments, *matrices]


def _compute_there(
    path: Path | None,
    make: Callable[..., Any],
    task: CategoryTask,
    arguments: tuple[Any, ...],
    *matrices: Any,
) -> Any:
    """Compute, in another process, the result of a task sent without matrices."""
    end_with_parent()
    Z, Z_val, *axes = map(_received, matrices)
    spaces = {
        name: replace(space, axes=own)
        for (name, space), own in zip(task.spaces.items(), axes, strict=True)
    }
    whole = replace(task, Z=Z, Z_val=Z_val, spaces=spaces)
    return _compute(path, make, whole, arguments)


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
