"""Problems that a solver fits together, and the memory that they may take."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self, overload

import numpy as np
from numpy.typing import NDArray

from cftlearn._features._stored import logits_of
from cftlearn.solvers._protocol import (
    CategoryProblem,
    RowFit,
    StoredRows,
    parts_of,
)
from cftlearn.solvers._weight_space import WeightSpace

if TYPE_CHECKING:
    from cftlearn.solvers._loaded_problems import LoadedProblems

NOTHING_TO_JUDGE_BY = "`problem.validation` must be given to judge by; got None."
_SHARE_OF_DEVICE = 0.8
_BYTES_WITHOUT_DEVICE = 2**31


class ProblemBatch(Sequence[CategoryProblem]):
    """A sequence of problems whose rows are read onto a device once.

    :meth:`load` reads them. :meth:`judge` and a second fit of the same problems, by
    :meth:`with_all_labels`, use what is there. A solver without tensors need not load
    anything.

    Parameters
    ----------
    problems : sequence of CategoryProblem
        Whose validation rows follow the rows to fit, or problems with ``n_iter``.
    memory : int, default=None
        Bytes to use on the device. None takes four fifths of a GPU's.
    """

    def __init__(
        self, problems: Sequence[CategoryProblem], *, memory: int | None = None
    ) -> None:
        self._problems = list(problems)
        self._memory = memory
        self._loaded: LoadedProblems | None = None
        self._members = np.arange(len(self._problems))

    @classmethod
    def of(cls, problems: Sequence[CategoryProblem]) -> "ProblemBatch":
        """Return a batch as it is, and make one of other sequences."""
        return problems if isinstance(problems, ProblemBatch) else cls(problems)

    def __len__(self) -> int:
        return len(self._problems)

    def __iter__(self) -> Iterator[CategoryProblem]:
        return iter(self._problems)

    @overload
    def __getitem__(self, index: int) -> CategoryProblem: ...
    @overload
    def __getitem__(self, index: slice) -> list[CategoryProblem]: ...
    def __getitem__(self, index: Any) -> Any:
        return self._problems[index]

    @property
    def members(self) -> NDArray[np.intp]:
        """Position of each problem among those that :meth:`load` returns."""
        return self._members

    def load(
        self,
        device: str,
        make_space: Callable[[CategoryProblem], WeightSpace],
        batch_bytes: Callable[[int, int], int],
    ) -> "LoadedProblems":
        """Read the known rows onto a device, unless they are there.

        Parameters
        ----------
        device : str
            Torch device.
        make_space : callable
            Makes the coordinates in which features are expressed.
        batch_bytes : callable
            As :meth:`CategorySolver.batch_bytes`.

        Returns
        -------
        loaded : LoadedProblems
            These problems and, if this batch is a part of another one, its other ones.
        """
        if self._loaded is None:
            from cftlearn.solvers._loaded_problems import LoadedProblems

            memory = device_memory(device) if self._memory is None else self._memory
            self._loaded = LoadedProblems.load(
                self._problems, device, make_space, batch_bytes, memory
            )
        return self._loaded

    def judge(self, fits: Sequence[RowFit]) -> list[tuple[float, NDArray[np.float64]]]:
        """Score weights on the validation rows.

        Parameters
        ----------
        fits : sequence of RowFit
            One per problem.

        Returns
        -------
        judged : list of (float, ndarray of shape (n_validation,))
            For each problem the objective, and the logits of its validation rows.
        """
        if self._loaded is not None:
            return self._loaded.judge(fits)
        return [
            _judge(problem, fit)
            for problem, fit in zip(self._problems, fits, strict=True)
        ]

    def with_all_labels(self, n_iter: dict[int, int]) -> Self:
        """Return the batch of some problems with validation rows among those to fit.

        Parameters
        ----------
        n_iter : dict of int to int
            For the index of each of these problems, how many iterations to run.

        Returns
        -------
        batch : ProblemBatch
            It shares what is on the device.
        """
        problems = [
            replace(
                self._problems[index],
                train=_all_rows(self._problems[index]),
                validation=None,
                n_iter=own,
            )
            for index, own in n_iter.items()
        ]
        batch = type(self)(problems, memory=self._memory)
        batch._loaded = self._loaded
        batch._members = self._members[list(n_iter)]
        return batch


def device_memory(device: str) -> int:
    """Count the bytes that fits may use on a device."""
    if device.partition(":")[0] != "cuda":
        return _BYTES_WITHOUT_DEVICE
    import torch

    total: int = torch.cuda.get_device_properties(device).total_memory
    return int(_SHARE_OF_DEVICE * total)


def _all_rows(problem: CategoryProblem) -> StoredRows:
    return StoredRows(parts_of(problem))


def _judge(problem: CategoryProblem, fit: RowFit) -> tuple[float, NDArray[np.float64]]:
    rows = problem.validation
    if rows is None:
        raise ValueError(NOTHING_TO_JUDGE_BY)
    logits = logits_of(rows.Z, fit.coef, fit.intercept)
    return problem.objective.single(rows.y, logits, rows.weight), logits
