"""A training in one process, or in the processes of Lightning Fabric.

The loop of stage one calls an object of this module wherever processes must agree, and
does not know how many there are.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cftlearn._devices import resolve_device
from cftlearn.exceptions import NonFiniteLossError

T = TypeVar("T")


class OneProcess:
    """A training in this process alone.

    Attributes
    ----------
    rank : int
        Number of this process.
    size : int
        Number of processes.
    precision : str
        What the network computes in, by Fabric's names.
    """

    rank = 0
    size = 1
    precision = "32-true"

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def resolve_device(self, device: str) -> str:
        """Return the torch device of this process."""
        return resolve_device(device)

    def wrap(self, network: nn.Module) -> nn.Module:
        """Return the module to call in training; it averages gradients."""
        return network

    def seed(self, *numbers: int) -> None:
        """Seed torch's global generators, differently in every process."""

    def own_rows(
        self, rows: NDArray[np.intp], n_counted: NDArray[np.intp]
    ) -> tuple[NDArray[np.intp], int]:
        """Select this process's rows of a batch.

        Parameters
        ----------
        rows : ndarray of int
            The batch.
        n_counted : ndarray of int
            Cells of every row that count in the loss, some above 0.

        Returns
        -------
        rows : ndarray of int
            Rows of the batch, at least one of them with a cell that counts.
        factor : int
            How often their cells count. Weighed by it, the mean over processes is the
            loss of the batch.
        """
        return rows, 1

    def own_parts(self, parts: Sequence[T]) -> Sequence[T]:
        """Select this process's parts of a task; there may be none."""
        return parts

    def no_backward_sync(
        self, wrapped: nn.Module, *, enabled: bool
    ) -> AbstractContextManager[object]:
        """Return a context that does not average gradients, if ``enabled``."""
        return nullcontext()

    def backward(self, loss: Tensor) -> None:
        """Add the gradient of a loss."""
        loss.backward()

    def failing_together(self) -> AbstractContextManager[object]:
        """Return a context that raises in every process if one has an error."""
        return nullcontext()

    def broadcast(self, value: T) -> T:
        """Return the value of the first process."""
        return value

    def total(self, values: Tensor) -> Tensor:
        """Return the sum of the values of all processes."""
        return values

    def check_same(self, **fit: Any) -> None:
        """Check that all processes run the same fit."""

    def broadcast_buffers(self, *networks: nn.Module) -> None:
        """Set buffers, such as statistics of batch norm, to the first process's values.

        Parameters need no broadcast: their gradients are the same in every process.
        """


class FabricProcesses(OneProcess):
    """The processes of a Fabric that the user has launched.

    Every process has all rows and all labels, and draws the same batches.

    Parameters
    ----------
    fabric : lightning_fabric.Fabric
        Checked by :class:`cftlearn.training.NetworkTrainer`.
    """

    def __init__(self, fabric: Any) -> None:
        self.fabric = fabric
        self.rank = int(fabric.global_rank)
        self.size = int(fabric.world_size)
        self.precision = str(fabric.strategy.precision.precision)

    def resolve_device(self, device: str) -> str:
        """Return the Fabric's device.

        Raises
        ------
        ValueError
            If another one is asked for.
        """
        own = self.fabric.device
        if device != "auto":
            asked = torch.device(device)
            if asked.type != own.type or asked.index not in (None, own.index):
                raise ValueError(
                    "`device` must be 'auto' or the device that the trainer's `fabric` "
                    f"gives this process, '{own}'; got {device!r}. Pass device='auto'."
                )
        return str(own)

    def wrap(self, network: nn.Module) -> nn.Module:
        """Set a network up; it gets the first process's weights."""
        wrapped: nn.Module = self.fabric.setup_module(network)
        return wrapped

    def seed(self, *numbers: int) -> None:
        """Seed torch's global generators if there are several processes.

        A single one draws the same numbers as without Fabric.
        """
        if self.size > 1:
            torch.manual_seed(mixed_seed(*numbers, self.rank))

    def own_rows(
        self, rows: NDArray[np.intp], n_counted: NDArray[np.intp]
    ) -> tuple[NDArray[np.intp], int]:
        """Cut a batch into parts of even size, and select one.

        The others wait for the gradient of every process. So a process whose part has
        no cell that counts takes rows of another part, and counts them 0 times.
        """
        own = np.array_split(np.arange(len(rows)), self.size)[self.rank]
        if n_counted[own].any():
            return rows[own], self.size
        # Two rows, because batch norm cannot train on one.
        return rows[np.flatnonzero(n_counted)[: max(len(own), 2)]], 0

    def own_parts(self, parts: Sequence[T]) -> Sequence[T]:
        """Select every ``size``-th part."""
        return parts[self.rank :: self.size]

    def no_backward_sync(
        self, wrapped: nn.Module, *, enabled: bool
    ) -> AbstractContextManager[object]:
        """Return Fabric's own context; the forward pass must be inside it, too."""
        context: AbstractContextManager[object]
        context = self.fabric.no_backward_sync(wrapped, enabled=enabled)
        return context

    def backward(self, loss: Tensor) -> None:
        """Add the gradient, averaged over processes outside ``no_backward_sync``."""
        self.fabric.backward(loss)

    @contextmanager
    def failing_together(self) -> Iterator[None]:
        """Exchange errors after a block.

        A process that alone ended with an error would leave the others waiting for
        ever. The error of the lowest rank is raised everywhere; a process with an error
        of its own raises that one.

        Raises
        ------
        NonFiniteLossError
            If another process had this error.
        RuntimeError
            If another process had any other error.
        """
        error = None
        try:
            yield
        except Exception as own:  # of any kind: it is raised again below
            error = own
        # Every process must reach this exchange, or the others would wait here.
        failed = torch.zeros(self.size, device=self.fabric.device)
        failed[self.rank] = error is not None
        ranks = torch.nonzero(self.total(failed)).flatten().tolist()
        if not ranks:
            return
        description = self.fabric.broadcast(_description(error), src=ranks[0])
        if error is not None:
            raise error
        raise _error_of(ranks[0], *description)

    def broadcast(self, value: T) -> T:
        """Return the value of the first process."""
        first: T = self.fabric.broadcast(value)
        return first

    def total(self, values: Tensor) -> Tensor:
        """Return the sum over processes, on the device of ``values``."""
        if self.size == 1:
            return values
        # A copy: the sum is computed in place, and the caller may keep its values.
        moved = values.to(self.fabric.device, copy=True)
        total: Tensor = self.fabric.all_reduce(moved, reduce_op="sum")
        return total.to(values.device)

    def check_same(self, **fit: Any) -> None:
        """Compare the fit with that of the first process.

        Raises
        ------
        ValueError
            If something differs. Processes that agree raise RuntimeError.
        """
        first = self.broadcast(fit)
        with self.failing_together():
            differing = [name for name in fit if fit[name] != first[name]]
            if differing:
                raise ValueError(
                    "`fabric` must run the same fit in every process; process "
                    f"{self.rank} differs from process 0 in: {', '.join(differing)}. "
                    "Load the same rows and labels in the same order everywhere, and "
                    "keep a `checkpoint` where all processes see it."
                )

    def broadcast_buffers(self, *networks: nn.Module) -> None:
        """Set buffers to the first process's values."""
        own = [buffer for network in networks for buffer in network.buffers()]
        if not own or self.size == 1:
            return
        first = self.broadcast([buffer.cpu() for buffer in own])
        for buffer, value in zip(own, first, strict=True):
            buffer.copy_(value)


def processes_of(fabric: Any) -> OneProcess:
    """Return the processes of a Fabric; None is this process alone."""
    return OneProcess() if fabric is None else FabricProcesses(fabric)


def mixed_seed(*numbers: int) -> int:
    """Derive one seed from several numbers.

    A last number of 0 changes nothing, so the first process draws the same numbers as a
    process alone.
    """
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def _description(error: Exception | None) -> tuple[bool, str]:
    """Describe an error for processes that may not have its class."""
    if isinstance(error, NonFiniteLossError):
        return True, str(error)
    return False, f"{type(error).__name__}: {error}"


def _error_of(rank: int, is_non_finite: bool, text: str) -> Exception:
    if is_non_finite:
        return NonFiniteLossError(text)
    return RuntimeError(f"Process {rank} of the `fabric` ended with {text}")
