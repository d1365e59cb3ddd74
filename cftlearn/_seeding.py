"""What all fits of one process share: random generators, and the threads of BLAS."""

import os
import threading
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController


class _Shared:
    """Locks on what is global in a process, and how many blocks limit its threads.

    Layers such as dropout, and DEAP's operators, draw from global generators only. A
    thread that seeds one keeps the others away from it until it is restored.
    """

    def __init__(self) -> None:
        # The same thread may enter again: a training scores its epochs inside.
        self.torch_generators = threading.RLock()
        self.python_generators = threading.RLock()
        self.threads = threading.Lock()
        self.n_limiting = 0
        self.blas_threads: list[tuple[Any, int]] = []
        self.n_limiting_torch = 0
        self.torch_threads = 1


_SHARED = _Shared()


def _replace_locks() -> None:
    """Replace locks in a forked process, where no thread is left to release them."""
    _SHARED.torch_generators = threading.RLock()
    _SHARED.python_generators = threading.RLock()
    _SHARED.threads = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_replace_locks)


def category_seeds(base_seed: int, categories: NDArray[Any]) -> NDArray[np.int64]:
    """Derive one seed per category from one seed and the category's name.

    The results of a category then do not depend on which other categories there are, on
    their order, or on the number of workers.
    """
    return np.array(
        [
            np.random.SeedSequence([base_seed, zlib.crc32(str(name).encode())])
            .generate_state(1)
            .item()
            & 0x7FFFFFFF
            for name in categories
        ],
        dtype=np.int64,
    )


@contextmanager
def seeded_torch(seed: int) -> Iterator[None]:
    """Seed torch's global generators, and restore them afterwards.

    Other threads of this process that seed them wait meanwhile. So trainings in threads
    run one after the other, each with the numbers that it draws alone.
    """
    import torch

    devices = range(torch.cuda.device_count()) or None  # torch warns without names
    with _SHARED.torch_generators, torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        yield


@contextmanager
def own_generators(*, torch: bool) -> Iterator[None]:
    """Keep other threads that seed global generators away from them.

    Parameters
    ----------
    torch : bool
        Whether torch's generators are meant too, and not only those of numpy and
        Python.
    """
    with ExitStack() as locks:
        if torch:  # always before the other one, or two threads could block each other
            locks.enter_context(_SHARED.torch_generators)
        locks.enter_context(_SHARED.python_generators)
        yield


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit BLAS and OpenMP to one thread: the same sums for any number of workers.

    OpenMP's limit is the calling thread's own, that of BLAS the process's. With blocks
    in several threads, the last one that ends takes it back.
    """
    has_entered = False
    # Without select, the end would also set BLAS back, to what another thread had set.
    with ThreadpoolController().select(user_api="openmp").limit(limits=1):
        try:
            with _SHARED.threads:
                if not _SHARED.n_limiting:
                    _SHARED.blas_threads = _limit_blas()
                _SHARED.n_limiting, has_entered = _SHARED.n_limiting + 1, True
            yield
        finally:
            if has_entered:
                with _SHARED.threads:
                    _SHARED.n_limiting -= 1
                    if not _SHARED.n_limiting:
                        for library, n_threads in _SHARED.blas_threads:
                            _set_threads(library, n_threads)


def _limit_blas() -> list[tuple[Any, int]]:
    """Let every BLAS use one thread; return how many each of them had."""
    libraries = ThreadpoolController().select(user_api="blas").lib_controllers
    before = [(library, library.num_threads) for library in libraries]
    for library in libraries:
        _set_threads(library, 1)
    return before


def _set_threads(library: Any, n_threads: int) -> None:
    """Set the threads of a BLAS from whatever thread this is.

    Newer versions of threadpoolctl ignore all threads but the first that ever set it:
    others could end before it. Here a count says when to restore.
    """
    set_threads = getattr(library, "_real_set_num_threads", library.set_num_threads)
    set_threads(n_threads)


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Let torch compute in one thread, for the same reason.

    torch keeps a number for each thread, but a new one starts with the last number that
    any of them set. So all blocks return to the number before the first of them.
    """
    import torch

    if torch.get_num_threads() == 1:  # as in `one_thread`, where torch's OpenMP is seen
        yield
        return
    has_entered = False
    try:
        with _SHARED.threads:
            if not _SHARED.n_limiting_torch:
                _SHARED.torch_threads = torch.get_num_threads()
            _SHARED.n_limiting_torch, has_entered = _SHARED.n_limiting_torch + 1, True
        torch.set_num_threads(1)
        yield
    finally:
        if has_entered:
            with _SHARED.threads:
                _SHARED.n_limiting_torch -= 1
                torch.set_num_threads(_SHARED.torch_threads)
