"""Means of elites over generations, of many categories at once."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cftlearn.solvers._protocol import Checkpoint, is_checkpoint, starts_mean

Leave = Callable[[Tensor], list[tuple[NDArray[np.float64], float]]]


class ElitePaths:
    """The weights that categories pass, kept on the host at checkpoints.

    Parameters
    ----------
    n_categories : int
        All of them.
    """

    def __init__(self, n_categories: int) -> None:
        self._kept: list[dict[int, NDArray[np.float64]]] = [
            {} for _ in range(n_categories)
        ]
        self._sum = torch.empty(0)
        self._count = 0

    def mean(self, elites: Tensor, generation: int) -> Tensor:
        """Take up the elites of a generation; return their mean over some of these.

        Parameters
        ----------
        elites : Tensor of shape (n_going, n_elites, n_genes)
            Of the categories that go on.
        generation : int
            Counted from 1; the mean starts anew after each power of two.

        Returns
        -------
        mean : Tensor of shape (n_going, n_genes)
            In the precision of the elites.
        """
        if starts_mean(generation):
            self._sum = torch.zeros_like(elites[:, 0], dtype=torch.float64)
            self._count = 0
        self._sum += elites.mean(dim=1)
        self._count += 1
        return (self._sum / self._count).to(elites)

    def stay(self, slots: Tensor) -> None:
        """Let the categories in other slots leave."""
        self._sum = self._sum[slots]

    def keep(
        self,
        current: Tensor,
        generation: int,
        going: NDArray[np.intp],
        stays: NDArray[np.bool_],
    ) -> None:
        """Keep weights at checkpoints, and where a category ends.

        Parameters
        ----------
        current : Tensor of shape (n_going, n_genes)
            What :meth:`mean` returned.
        generation : int
            Of these.
        going : ndarray of shape (n_going,), int
            The categories that go on.
        stays : ndarray of shape (n_going,), bool
            Those that do so after this generation.
        """
        kept = ~stays | is_checkpoint(generation, -1)
        if kept.any():
            on_host = current.double().cpu().numpy()
            for slot in np.flatnonzero(kept):
                self._kept[going[slot]][generation] = on_host[slot]

    def express(self, final: Tensor, leave: Leave) -> list[list[Checkpoint]]:
        """Express the paths in the scale of the features, one iteration at a time.

        Parameters
        ----------
        final : Tensor of shape (n_categories, n_genes)
            Weights for categories that have none of an iteration.
        leave : callable
            Expresses vectors of all categories.

        Returns
        -------
        paths : list of list of Checkpoint
            One path per category.
        """
        paths: list[list[Checkpoint]] = [[] for _ in self._kept]
        for generation in sorted({when for own in self._kept for when in own}):
            vectors = final.clone()
            for c, own in enumerate(self._kept):
                if generation in own:
                    vectors[c] = torch.from_numpy(own[generation]).to(vectors)
            for c, weights in enumerate(leave(vectors)):
                if generation in self._kept[c]:
                    paths[c].append(Checkpoint(generation, *weights))
        return paths
