"""The refit of all categories in lockstep, on a torch device.

What is chosen, refitted and reported follows the rules for one category alone, in
:mod:`cftlearn.fine_tuning._best_solver`.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm.auto import tqdm

from cftlearn.fine_tuning._best_solver import (
    Choice,
    Proposal,
    choose,
    trained_fit,
    what_lacks,
)
from cftlearn.fine_tuning._category_task import CategoryData
from cftlearn.fine_tuning._checkpoint import compute_and_save, load_result
from cftlearn.fine_tuning._report import CategoryResult, skipped
from cftlearn.metrics._objectives import Objective
from cftlearn.solvers._genetic._batched import (
    GENE_BYTES,
    Categories,
    LockstepEvolution,
)
from cftlearn.solvers._genetic._padded_rows import (
    PaddedRows,
    RowsInSlots,
    fill,
    n_genes,
)
from cftlearn.solvers._genetic._solver import GeneticSolver
from cftlearn.solvers._row_space import RowSpace

_SHARE_OF_DEVICE = 0.8
_BYTES_WITHOUT_DEVICE = 2**31
_SHARE_TO_RANK = 0.25  # of the memory, at least
_MOST_PADDING = 2**18  # rows of a group, from which a group more is worth its time


@dataclass(frozen=True)
class _Category:
    """A category that can be refitted: where its known labels are."""

    data: CategoryData
    rows: NDArray[np.intp]
    y: NDArray[np.bool_]
    rows_val: NDArray[np.intp]
    y_val: NDArray[np.bool_]

    @classmethod
    def of(cls, data: CategoryData) -> "_Category":
        rows = np.flatnonzero(~np.isnan(data.y))
        rows_val = np.flatnonzero(~np.isnan(data.y_val))
        y, y_val = data.y[rows] == 1.0, data.y_val[rows_val] == 1.0
        return cls(data, rows, y, rows_val, y_val)


class LockstepRefit:
    """Refits categories together, in groups that the device's memory can hold.

    Parameters
    ----------
    solver : GeneticSolver
        What refits.
    objective : Objective
        ROC AUC or average precision.
    refit : bool
        Whether the chosen solver fits all known labels at last.
    device : str
        Torch device.
    memory : int, default=None
        Bytes to use there. None takes four fifths of a GPU's.
    """

    def __init__(
        self,
        solver: GeneticSolver,
        objective: Objective,
        *,
        refit: bool,
        device: str,
        memory: int | None = None,
    ) -> None:
        self.solver, self.objective, self.refit = solver, objective, refit
        self.device = device
        self.memory = _memory_of(device) if memory is None else memory

    def __call__(
        self,
        categories: Sequence[CategoryData],
        places: dict[str, Path],
        *,
        verbose: int = 0,
    ) -> list[CategoryResult]:
        """Refit what can be refitted.

        Parameters
        ----------
        categories : sequence of CategoryData
            All of them.
        places : dict of str to path
            Where finished categories are kept; empty keeps none. A group of which one
            is missing is refitted as a whole, so that sums stay the same.
        verbose : int, default=0
            Above 0, shows a progress bar where the output is a terminal.

        Returns
        -------
        results : list of CategoryResult
            In the order of ``categories``.

        Raises
        ------
        ValueError
            If a parameter of the solver is out of its range, or the known rows of a
            category do not fit in the device's memory.
        """
        self.solver.check_parameters()
        results: dict[str, CategoryResult] = {}
        able = []
        for category in map(_Category.of, categories):
            lack = what_lacks(category.y, category.y_val)
            if lack:
                results[category.data.name] = skipped(category.data, lack)
            else:
                able.append(category)
        progress = tqdm(
            initial=len(results),
            total=len(categories),
            desc="refitting categories",
            unit="category",
            disable=None if verbose else True,
        )
        with progress, torch.inference_mode():
            for group in self._groups(able):
                results |= self._results_of(group, places)
                progress.update(len(group))
        return [results[data.name] for data in categories]

    def _results_of(
        self, group: list[_Category], places: dict[str, Path]
    ) -> dict[str, CategoryResult]:
        names = [category.data.name for category in group]
        own = [places[name] for name in names if name in places]
        if own and all(place.exists() for place in own):
            return {name: load_result(places[name], CategoryResult) for name in names}
        results = zip(names, self._refit(group), strict=True)
        return {
            name: compute_and_save(places.get(name), lambda result=result: result)
            for name, result in results
        }

    def _refit(self, group: list[_Category]) -> list[CategoryResult]:
        started = time.perf_counter()
        spaces = [self._space(category.data) for category in group]
        rows = self._read(group, spaces)
        starts = np.zeros((len(group), rows.train.Z.shape[2]))
        for start, space, category in zip(starts, spaces, group, strict=True):
            data = category.data
            coef, bias = space.enter(data.coef, data.intercept)
            start[: len(coef)], start[len(coef)] = coef, bias
        seeds = np.array([category.data.seed for category in group], dtype=np.int64)
        parts = Categories(starts, spaces, seeds)
        choices = self._choose(group, rows, parts)
        left_out = self._held_out_logits(choices, rows, spaces)
        if self.refit:
            choices = self._refit_chosen(choices, rows, parts)
        seconds = (time.perf_counter() - started) / len(group)
        return [
            choice.result_for(category.data, seconds, logits)
            for choice, category, logits in zip(choices, group, left_out, strict=True)
        ]

    def _choose(
        self, group: list[_Category], rows: RowsInSlots, parts: Categories
    ) -> list[Choice]:
        evolution = self._evolution(rows, parts)
        before = evolution.scores(torch.from_numpy(parts.starts).to(self.device))
        fits = evolution.run()
        after = evolution.scores(evolution.final)
        return [
            choose(
                trained_fit(category.data),
                float(before[c]),
                [Proposal(self.solver, fits[c], float(after[c]))],
                self.objective.name,
            )
            for c, category in enumerate(group)
        ]

    def _held_out_logits(
        self, choices: list[Choice], rows: RowsInSlots, spaces: list[RowSpace]
    ) -> list[NDArray[np.float64]]:
        """Compute logits of the held-out labels by the chosen rows."""
        held_out, slots = rows.held_out, rows.slots()
        genes = np.zeros((len(choices), held_out.Z.shape[2]))
        biases = np.zeros(len(choices))
        for c, (choice, space) in enumerate(zip(choices, spaces, strict=True)):
            coef, biases[c] = space.enter(choice.fit.coef, choice.fit.intercept)
            genes[slots[c], : len(coef)] = coef
        on_device = torch.from_numpy(genes).to(self.device)
        logits = held_out.exact_logits(on_device, self._workspace(rows)).cpu().numpy()
        return [
            logits[slot, : held_out.lengths[slot]] + bias
            for slot, bias in zip(slots, biases, strict=True)
        ]

    def _refit_chosen(
        self, choices: list[Choice], rows: RowsInSlots, parts: Categories
    ) -> list[Choice]:
        n_iter = [
            0 if choice.solver is None else choice.fit.n_iter for choice in choices
        ]
        finals = self._evolution(rows, parts, np.array(n_iter, dtype=np.intp)).run()
        return [
            choice if choice.solver is None else choice.refitted(final)
            for choice, final in zip(choices, finals, strict=True)
        ]

    def _evolution(
        self,
        rows: RowsInSlots,
        parts: Categories,
        n_iter: NDArray[np.intp] | None = None,
    ) -> LockstepEvolution:
        return LockstepEvolution(
            self.solver,
            self.objective.name,
            rows,
            parts,
            workspace=self._workspace(rows),
            n_iter=n_iter,
        )

    def _workspace(self, rows: RowsInSlots) -> int:
        """Count the bytes that features and populations leave free."""
        train, held_out = rows.train.Z, rows.held_out.Z
        n_longest = train.shape[1] + held_out.shape[1]
        taken = self._bytes(train.shape[0], n_longest, held_out[0, 0].nbytes)
        return self.memory - taken

    def _space(self, data: CategoryData) -> RowSpace:
        if self.solver.scale_free:
            return RowSpace(data.feature_mean, data.feature_scale)
        zeros = np.zeros_like(data.feature_mean)
        return RowSpace(zeros, np.ones_like(zeros))

    def _read(self, group: list[_Category], spaces: list[RowSpace]) -> RowsInSlots:
        """Gather the known rows of a group on the device."""
        n_features = group[0].data.Z.shape[1]
        dtype = torch.float64 if group[0].data.Z.dtype == np.float64 else torch.float32
        train = PaddedRows(
            [c.rows for c in group],
            [c.y for c in group],
            n_features,
            dtype,
            self.device,
        )
        held_out = PaddedRows(
            [c.rows_val for c in group],
            [c.y_val for c in group],
            n_features,
            dtype,
            self.device,
        )
        fitted = [(c.data.Z, space) for c, space in zip(group, spaces, strict=True)]
        if group[0].data.same_rows:
            fill(fitted, [train, held_out])
        else:
            judged = [c.data.Z_val for c in group]
            fill(fitted, [train])
            fill(list(zip(judged, spaces, strict=True)), [held_out])
        return RowsInSlots(train, held_out)

    # --- groups -----------------------------------------------------------------------

    def _groups(self, categories: list[_Category]) -> list[list[_Category]]:
        """Deal categories, of like sizes together, to groups that fit in memory.

        Groups depend on the memory of the device, not on what is free of it.
        """
        groups: list[list[_Category]] = []
        order = sorted(categories, key=lambda c: (-len(c.rows), c.data.name))
        for category in order:
            self._check_fits(category)
            if groups and self._takes(groups[-1], category):
                groups[-1].append(category)
            else:
                groups.append([category])
        return groups

    def _takes(self, group: list[_Category], category: _Category) -> bool:
        larger = [*group, category]
        longest, rows = len(group[0].rows), sum(len(c.rows) for c in larger)
        if longest * len(larger) - rows > _MOST_PADDING:
            return False
        return self._bytes_of(larger) <= (1 - _SHARE_TO_RANK) * self.memory

    def _check_fits(self, category: _Category) -> None:
        needed = self._bytes_of([category]) / (1 - _SHARE_TO_RANK)
        if needed > self.memory:
            raise ValueError(
                "`device` must have memory for the known rows of a category; "
                f"{category.data.name!r} needs {needed / 2**30:.3g} GiB of the "
                f"{self.memory / 2**30:.3g} GiB that may be used on {self.device!r}. "
                'Pass device="cpu".'
            )

    def _bytes_of(self, group: list[_Category]) -> int:
        longest = max(len(c.rows) for c in group)
        longest_val = max(len(c.rows_val) for c in group)
        Z = group[0].data.Z
        width = n_genes(Z.shape[1]) * Z.dtype.itemsize
        return self._bytes(len(group), longest + longest_val, width)

    def _bytes(self, n: int, longest: int, width: int) -> int:
        """Count what features and populations take, rows being so many bytes wide."""
        return n * width * (longest + self.solver.population_size * GENE_BYTES)


def _memory_of(device: str) -> int:
    if torch.device(device).type != "cuda":
        return _BYTES_WITHOUT_DEVICE
    total: Any = torch.cuda.get_device_properties(device).total_memory
    return int(_SHARE_OF_DEVICE * total)
