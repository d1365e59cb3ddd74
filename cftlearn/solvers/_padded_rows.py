"""Known rows of several categories on one device, padded to the longest of them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import gen_batches
from torch import Tensor

from cftlearn._features._stored import row_batches
from cftlearn.solvers._weight_space import WeightSpace, padded_width

_COPIED_BYTES = 2**28  # of rows that are copied to their slots at once


@dataclass(frozen=True)
class KnownTensors:
    """Features and labels of some categories, as views; the parts lie side by side.

    Attributes
    ----------
    Z : list of Tensor of shape (n_categories, n_part, n_genes)
        One per part.
    y, known : Tensor of shape (n_categories, n_samples), bool
        All parts.
    """

    Z: list[Tensor]
    y: Tensor
    known: Tensor

    def __getitem__(self, categories: slice) -> Self:
        """Take some of the categories."""
        Z = [part[categories] for part in self.Z]
        return replace(self, Z=Z, y=self.y[categories], known=self.known[categories])

    def logits(self, genes: Tensor) -> Tensor:
        """Compute logits of individuals, (n_categories, n_individuals, n_samples)."""
        products = [torch.bmm(genes, part.transpose(1, 2)) for part in self.Z]
        return products[0] if len(products) == 1 else torch.cat(products, dim=2)


class PaddedRows:
    """Features and labels of one part (to fit, held out) of every category.

    After the given features comes the bias's: 0, or 1 where it takes part in logits.
    Zeros fill up to a multiple of four, which matrix products like. Padding repeats a
    category's first row, so that it has no influence on ranges.

    Parameters
    ----------
    rows : list of ndarray of shape (n_known,), int
        For every category the rows of its features; all of them none is refused by
        products, and one of them none is padded with the first row of the features.
    y : list of ndarray of shape (n_known,), bool
        Their labels.
    n_features : int
        Given features.
    dtype : torch.dtype
        Of the features.
    device : str
        Where all of it lies.

    Attributes
    ----------
    Z : Tensor of shape (n_slots, n_longest, n_genes)
        Features, one category a slot.
    y, known : Tensor of shape (n_slots, n_longest), bool
        Labels, and whether there is one.
    lengths : ndarray of shape (n_slots,), int
        Rows before padding.
    """

    def __init__(
        self,
        rows: Sequence[NDArray[np.intp]],
        y: Sequence[NDArray[np.bool_]],
        n_features: int,
        dtype: torch.dtype,
        device: str,
    ) -> None:
        self.n_features = n_features
        self.lengths = np.array([len(own) for own in rows])
        shape = len(rows), int(self.lengths.max())
        self._sources = np.empty(shape, dtype=np.intp)
        labels = np.zeros(shape, dtype=bool)
        for slot, (own, own_y) in enumerate(zip(rows, y, strict=True)):
            self._sources[slot] = own[0] if len(own) else 0
            self._sources[slot, : len(own)] = own
            labels[slot, : len(own)] = own_y
        known = np.arange(shape[1]) < self.lengths[:, None]
        self._labels = labels  # on the host, in the order of the slots
        self.y = torch.from_numpy(labels.copy()).to(device)
        self.known = torch.from_numpy(known).to(device)
        width = padded_width(n_features)
        self.Z = torch.zeros(*shape, width, dtype=dtype, device=device)

    def copy_from(self, slots: NDArray[np.intp], batch: Tensor, first: int) -> None:
        """Copy what some slots need of consecutive rows, the first of which is given.

        Parameters
        ----------
        slots : ndarray of int
            Whose features the rows are of.
        batch : Tensor of shape (n_rows, n_features)
            Features.
        first : int
            Number of the first row.
        """
        sources = self._sources[slots] - first
        member, position = np.nonzero((sources >= 0) & (sources < len(batch)))
        if not len(member):
            return
        flat = slots[member] * self.Z.shape[1] + position
        wanted = sources[member, position]
        target = self.Z.view(-1, self.Z.shape[2])[:, : self.n_features]
        size = max(_COPIED_BYTES // (self.n_features * batch.element_size()), 1)
        for some in gen_batches(len(flat), size):
            where, what = (
                torch.from_numpy(index[some]).to(batch.device)
                for index in (flat, wanted)
            )
            target[where] = batch[what]

    def labels(self, slot: int) -> NDArray[np.bool_]:
        """Return the labels of one category on the host, without padding."""
        return self._labels[slot, : self.lengths[slot]]

    def swap(self, one: int, other: int) -> None:
        """Exchange two slots."""
        for values in (self.Z, self.y, self.known):
            first = values[one].clone()
            values[one] = values[other]
            values[other] = first
        for on_host in (self.lengths, self._labels):
            on_host[[one, other]] = on_host[[other, one]]

    def exact_logits(self, genes: Tensor, at_once: int) -> Tensor:
        """Compute logits in double precision, some columns at a time.

        Parameters
        ----------
        genes : Tensor of shape (n_slots, n_genes), float64
            Weights for each slot.
        at_once : int
            Bytes of features to convert at a time.

        Returns
        -------
        logits : Tensor of shape (n_slots, n_longest), float64
            Of any value where nothing is known.
        """
        n_slots, n_longest, width = self.Z.shape
        logits = genes.new_empty(n_slots, n_longest)
        for some in gen_batches(n_longest, max(at_once // (8 * n_slots * width), 1)):
            product = torch.bmm(self.Z[:, some].double(), genes[:, :, None])
            logits[:, some] = product[..., 0]
        return logits


class RowsInSlots:
    """Rows to fit and held-out rows of the same categories, whose slots can change.

    Categories that go on stay in the first slots, so that a product over these is one
    product over a part of the matrix. A category that has ended is swapped out of
    them, in place: features are not copied as a whole.

    Attributes
    ----------
    train : PaddedRows
        Rows to fit.
    held_out : PaddedRows or None
        Further rows in the same slots, if there are any.
    order : ndarray of shape (n_slots,), int
        The category in each slot.
    """

    def __init__(self, train: PaddedRows, held_out: PaddedRows | None = None) -> None:
        self.train, self.held_out = train, held_out
        self.order = np.arange(len(train.lengths))

    @property
    def parts(self) -> list[PaddedRows]:
        """All that there are."""
        return [self.train] if self.held_out is None else [self.train, self.held_out]

    @property
    def n_longest(self) -> int:
        """Rows of a slot with its padding."""
        return sum(part.Z.shape[1] for part in self.parts)

    def bring_forward(self, categories: NDArray[np.intp]) -> None:
        """Move some categories to the first slots, in any order."""
        wanted = np.isin(self.order, categories)
        n = len(categories)
        free = np.flatnonzero(~wanted[:n])
        for one, other in zip(free, np.flatnonzero(wanted[n:]) + n, strict=True):
            for part in self.parts:
                part.swap(int(one), int(other))
            self.order[[one, other]] = self.order[[other, one]]

    def append_ones(self) -> None:
        """Let the bias take part in logits."""
        for part in self.parts:
            part.Z[..., part.n_features] = 1.0

    def slots(self) -> NDArray[np.intp]:
        """Return the slot of each category."""
        return np.argsort(self.order)


def first_slots(parts: Sequence[PaddedRows], n_slots: int) -> KnownTensors:
    """Return the first slots of one or more parts, cut to the longest of them."""
    width = [int(part.lengths[:n_slots].max()) for part in parts]
    own = list(zip(parts, width, strict=True))
    return KnownTensors(
        [part.Z[:n_slots, :n] for part, n in own],
        torch.cat([part.y[:n_slots, :n] for part, n in own], dim=1),
        torch.cat([part.known[:n_slots, :n] for part, n in own], dim=1),
    )


def fill(
    members: Iterable[tuple[Any, WeightSpace]], parts: Sequence[PaddedRows]
) -> None:
    """Read features once, and copy every row to where some category needs it.

    Parameters
    ----------
    members : iterable of (Z, WeightSpace)
        For every slot its features, an array or StoredFeatures, and the coordinates
        to express them in. Slots of the same matrix share one pass over it.
    parts : sequence of PaddedRows
        What to fill.
    """
    for Z, space, slots in _by_matrix(members):
        dtype, device = parts[0].Z.dtype, parts[0].Z.device
        for rows in row_batches(*Z.shape):
            own = np.array(Z[rows], order="C", subok=False)
            batch = torch.from_numpy(space.express(own)).to(device, dtype)
            for part in parts:
                part.copy_from(slots, batch, rows.start)


def _by_matrix(
    members: Iterable[tuple[Any, WeightSpace]],
) -> Iterator[tuple[Any, WeightSpace, NDArray[np.intp]]]:
    groups: dict[int, tuple[Any, WeightSpace, list[int]]] = {}
    for slot, (Z, space) in enumerate(members):
        groups.setdefault(id(Z), (Z, space, []))[2].append(slot)
    for Z, space, slots in groups.values():
        yield Z, space, np.array(slots, dtype=np.intp)
