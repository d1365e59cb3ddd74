"""Problems whose known rows lie on a torch device, padded and side by side."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cftlearn.metrics._ranking._torch import padded_average_precision, padded_roc_auc
from cftlearn.solvers._padded_rows import PaddedRows, RowsInSlots, fill
from cftlearn.solvers._protocol import CategoryProblem, RowFit, parts_of
from cftlearn.solvers._weight_space import WeightSpace

RANKING_METRICS: dict[str, Callable[..., Tensor]] = {
    "roc_auc": padded_roc_auc,
    "average_precision": padded_average_precision,
}


@dataclass(frozen=True)
class LoadedProblems:
    """Problems and their rows on a device.

    Attributes
    ----------
    problems : list of CategoryProblem
        All of one group.
    spaces : list of WeightSpace
        The coordinates in which their features are expressed.
    rows : RowsInSlots
        Their known rows.
    workspace : int
        Bytes that rows and solver leave free on the device.
    """

    problems: list[CategoryProblem]
    spaces: list[WeightSpace]
    rows: RowsInSlots
    workspace: int

    @classmethod
    def load(
        cls,
        problems: list[CategoryProblem],
        device: str,
        make_space: Callable[[CategoryProblem], WeightSpace],
        batch_bytes: Callable[[int, int], int],
        memory: int,
    ) -> Self:
        """Read known rows; see :meth:`ProblemBatch.load`.

        Features are read in parts and copied where some category needs them, so the
        host never holds more than one part.
        """
        spaces = [make_space(problem) for problem in problems]
        parts = [parts_of(problem) for problem in problems]
        first = parts[0][0].features
        dtype = torch.float64 if first.dtype == np.float64 else torch.float32
        padded = [
            PaddedRows(
                [part.rows for part in own],
                [part.y for part in own],
                first.shape[1],
                dtype,
                device,
            )
            for own in zip(*parts, strict=True)
        ]
        if all(part.features is own[0].features for own in parts for part in own):
            # one pass over the features serves rows to fit and validation rows
            matrices = [own[0].features for own in parts]
            fill(zip(matrices, spaces, strict=True), padded)
        else:
            for k, target in enumerate(padded):
                matrices = [own[k].features for own in parts]
                fill(zip(matrices, spaces, strict=True), [target])
        rows = RowsInSlots(*padded)
        row_bytes = padded[0].Z[0, 0].nbytes
        taken = len(problems) * batch_bytes(rows.n_longest, row_bytes)
        return cls(problems, spaces, rows, memory - taken)

    def starts(self) -> NDArray[np.float64]:
        """Express the initial weights in the coordinates, with their bias after them.

        Returns
        -------
        starts : ndarray of shape (n_problems, n_genes)
            In the order of the problems.
        """
        return self._vectors([(p.coef, p.intercept) for p in self.problems])

    def judge(self, fits: Sequence[RowFit]) -> list[tuple[float, NDArray[np.float64]]]:
        """Score weights on the validation rows; see :meth:`ProblemBatch.judge`."""
        held_out, slots = self.rows.held_out, self.rows.slots()
        if held_out is None:
            raise ValueError(
                "`problem.validation` must be given to judge by; got None."
            )
        n_features = held_out.n_features
        vectors = self._vectors([(fit.coef, fit.intercept) for fit in fits])
        biases = vectors[:, n_features].copy()
        vectors[:, n_features] = 0.0  # logits would lose digits to a large bias
        in_slots = torch.from_numpy(vectors[self.rows.order]).to(held_out.Z.device)
        with torch.inference_mode():
            logits = held_out.exact_logits(in_slots, self.workspace)
            scores = self._scores(logits)
        on_host = logits.cpu().numpy()
        own = [
            on_host[slot, : held_out.lengths[slot]] + bias
            for slot, bias in zip(slots, biases, strict=True)
        ]
        if scores is None:
            labels = [held_out.labels(int(slot)) for slot in slots]
            metric = self.problems[0].objective.single
            return [(metric(y, z), z) for y, z in zip(labels, own, strict=True)]
        return list(zip(scores[slots].tolist(), own, strict=True))

    def _vectors(
        self, weights: Sequence[tuple[NDArray[np.float64], float]]
    ) -> NDArray[np.float64]:
        vectors = np.zeros((len(weights), self.rows.train.Z.shape[2]))
        for vector, space, own in zip(vectors, self.spaces, weights, strict=True):
            coef, bias = space.enter(*own)
            vector[: len(coef)], vector[len(coef)] = coef, bias
        return vectors

    def _scores(self, logits: Tensor) -> NDArray[np.float64] | None:
        """Rank logits on the device; None where the objective is a function."""
        metric = RANKING_METRICS.get(self.problems[0].objective.name)
        held_out = self.rows.held_out
        if metric is None or held_out is None:
            return None
        values = metric(logits[:, None], held_out.y, held_out.known, exact=True)
        return np.asarray(values[:, 0].cpu().numpy())
