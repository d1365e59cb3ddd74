"""One training in one process, or shared by the processes of Lightning Fabric.

The loop of stage one asks an object of this module for what other processes have a say
in, and does not know whether there are any.
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
    """A training that nobody else takes part in.

    Attributes
    ----------
    rank : int
        Number of this process.
    size : int
        How many there are.
    precision : str
        What the network computes in, by Fabric's names.
    """

    rank = 0
    size = 1
    precision = "32-true"

    @property
    def is_first(self) -> bool:
        """Tell whether this process writes files and shows progress."""
        return self.rank == 0

    def resolve_device(self, device: str) -> str:
        """Turn the parameter ``device`` into the name of this process's device."""
        return resolve_device(device)

    def wrap(self, network: nn.Module) -> nn.Module:
        """Give what is called in place of a network, and averages its gradients."""
        return network

    def seed(self, *numbers: int) -> None:
        """Seed torch's global generators, differently from other processes."""

    def share(
        self, rows: NDArray[np.intp], n_known: NDArray[np.intp]
    ) -> tuple[NDArray[np.intp], float]:
        """Take this process's rows of a batch.

        Parameters
        ----------
        rows : ndarray of int
            The batch.
        n_known : ndarray of int
            Known labels of every row, some above 0.

        Returns
        -------
        rows : ndarray of int
            Some rows, with a known label.
        n_counted : float
            How many of the known labels their mean loss stands for; the mean over
            processes is that of the batch.
        """
        return rows, int(n_known.sum())

    def deal(self, parts: Sequence[T]) -> Sequence[T]:
        """Take this process's ones of several parts of a task; perhaps none."""
        return parts

    def unfinished(
        self, wrapped: nn.Module, more: bool
    ) -> AbstractContextManager[object]:
        """Keep gradients to this process where ``more`` are added to them."""
        return nullcontext()

    def backward(self, loss: Tensor) -> None:
        """Add the gradient of a loss."""
        loss.backward()

    def agreed(self) -> AbstractContextManager[object]:
        """End in all processes with the error of one, if one has an error."""
        return nullcontext()

    def of_first(self, value: T) -> T:
        """Give what the first process has."""
        return value

    def total(self, values: Tensor) -> Tensor:
        """Add up the values of all processes."""
        return values

    def check_same(self, **fit: Any) -> None:
        """Refuse a fit that is another one in another process."""

    def align(self, *networks: nn.Module) -> None:
        """Give buffers, such as statistics of batch norm, the first process's values.

        Parameters are the same everywhere: so are their gradients.
        """


class FabricProcesses(OneProcess):
    """The processes of a Fabric, which its user has launched.

    Every process holds all rows and all labels, and draws the same batches.

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
        """Give the Fabric's device.

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
        """Set a network up, which gives it the first process's weights."""
        wrapped: nn.Module = self.fabric.setup_module(network)
        return wrapped

    def seed(self, *numbers: int) -> None:
        """Seed torch's global generators, if there are several processes.

        One alone draws what it would draw without Fabric.
        """
        if self.size > 1:
            torch.manual_seed(mixed_seed(*numbers, self.rank))

    def share(
        self, rows: NDArray[np.intp], n_known: NDArray[np.intp]
    ) -> tuple[NDArray[np.intp], float]:
        """Cut a batch into parts of even size.

        A process whose part has no known label must take part all the same: the
        others wait for its gradient. It takes rows of others, and counts them as none.
        """
        own = np.array_split(np.arange(len(rows)), self.size)[self.rank]
        counted = int(n_known[own].sum()) * self.size
        if not counted:  # batch norm needs two rows
            own = np.flatnonzero(n_known)[: max(len(own), 2)]
        return rows[own], counted

    def deal(self, parts: Sequence[T]) -> Sequence[T]:
        """Take turns."""
        return parts[self.rank :: self.size]

    def unfinished(
        self, wrapped: nn.Module, more: bool
    ) -> AbstractContextManager[object]:
        """Average gradients once per step; forward passes are to be inside, too."""
        context: AbstractContextManager[object]
        context = self.fabric.no_backward_sync(wrapped, enabled=more)
        return context

    def backward(self, loss: Tensor) -> None:
        """Add the gradient, averaged over processes unless it is unfinished."""
        self.fabric.backward(loss)

    @contextmanager
    def agreed(self) -> Iterator[None]:
        """Ask the others after a block; without that, they would wait for ever.

        Raises
        ------
        NonFiniteLossError
            That of another process.
        RuntimeError
            For any other error of another process.
        """
        error = None
        try:
            yield
        except Exception as own:
            error = own
        failed = torch.zeros(self.size, device=self.fabric.device)
        failed[self.rank] = error is not None
        ranks = torch.nonzero(self.total(failed)).flatten().tolist()
        if not ranks:
            return
        told = self.fabric.broadcast(_told(error), src=ranks[0])
        if error is not None:
            raise error
        raise _retold(ranks[0], *told)

    def of_first(self, value: T) -> T:
        """Broadcast what the first process has."""
        first: T = self.fabric.broadcast(value)
        return first

    def total(self, values: Tensor) -> Tensor:
        """Add up values on the Fabric's device; give them where they were."""
        if self.size == 1:
            return values
        moved = values.to(self.fabric.device, copy=True)
        total: Tensor = self.fabric.all_reduce(moved, reduce_op="sum")
        return total.to(values.device)

    def check_same(self, **fit: Any) -> None:
        """Compare with the first process.

        Raises
        ------
        ValueError
            If something differs; RuntimeError in other processes.
        """
        first = self.of_first(fit)
        with self.agreed():
            differing = [name for name in fit if fit[name] != first[name]]
            if differing:
                raise ValueError(
                    "`fabric` must run the same fit in every process; process "
                    f"{self.rank} differs from process 0 in: {', '.join(differing)}. "
                    "Load the same rows and labels in the same order everywhere, and "
                    "keep a `checkpoint` where all processes see it."
                )

    def align(self, *networks: nn.Module) -> None:
        """Broadcast the first process's buffers."""
        own = [buffer for network in networks for buffer in network.buffers()]
        if not own or self.size == 1:
            return
        first = self.of_first([buffer.cpu() for buffer in own])
        for buffer, value in zip(own, first, strict=True):
            buffer.copy_(value)


def processes_of(fabric: Any) -> OneProcess:
    """Give the processes of a Fabric, or this one alone for None."""
    return OneProcess() if fabric is None else FabricProcesses(fabric)


def mixed_seed(*numbers: int) -> int:
    """Make one seed of several numbers; a last one of 0 changes nothing."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def _told(error: Exception | None) -> tuple[bool, str]:
    """Describe an error to processes that may not know its class."""
    if isinstance(error, NonFiniteLossError):
        return True, str(error)
    return False, f"{type(error).__name__}: {error}"


def _retold(rank: int, is_non_finite: bool, text: str) -> Exception:
    if is_non_finite:
        return NonFiniteLossError(text)
    return RuntimeError(f"Process {rank} of the `fabric` ended with {text}")
