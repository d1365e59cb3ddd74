"""Assign rows or groups to folds so that every fold has its share of every column."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

# Prices in the cost of an assignment: of a fold without any row, of a fold without a
# known positive of a category, without a known negative. Unevenness costs far less.
_EMPTY_FOLD, _NO_POSITIVE, _NO_NEGATIVE = 1e9, 1e6, 1e3
_TIE = 1e-9  # favours the earlier fold on ties, whatever the machine's rounding
_CHUNK = 8192  # units held densely at a time
_N_CANDIDATES = 32  # of each side of an exchange
_N_STEPS, _N_RESTS = 100, 3  # of the walk that brings absent labels to folds
_N_PASSES, _N_EXCHANGES = 3, 20  # over all columns, and in each of them
_TOLERANCE = 0.01  # fraction of a column that may be uneven; one row may be anyway
_NO_UNIT = -1  # in an array of units: nothing is taken in return


def assign_folds(
    units: sparse.csr_array,
    shares: NDArray[np.float64],
    sizes: NDArray[np.intp] | None,
    rng: np.random.RandomState | None,
) -> NDArray[np.intp]:
    """Assign every unit to a fold, so that every column is spread by the shares.

    The heaviest units come first; the weight of a unit is the sum of its fractions of
    all columns. So rare labels and large groups are assigned while all folds have room,
    and rows with nothing known last.

    Parameters
    ----------
    units : sparse array of shape (n_units, n_columns)
        Counts of every unit, a row or a group: known positives of every category, known
        negatives of every category, rows.
    shares : ndarray of shape (n_folds,)
        Fraction of every column that a fold should have; they sum to 1.
    sizes : ndarray of shape (n_folds,) or None
        Exact number of units of every fold; None leaves it open.
    rng : RandomState or None
        Draws the order of units of equal weight; None keeps the given order.

    Returns
    -------
    fold : ndarray of shape (n_units,), int
        Fold of every unit.
    """
    n_units = units.shape[0]
    order = np.arange(n_units) if rng is None else rng.permutation(n_units)
    totals = units.sum(axis=0)
    weights = units @ np.divide(1, totals, out=np.zeros_like(totals), where=totals > 0)
    order = order[np.argsort(-weights[order].round(12), kind="stable")]
    assignment = _Assignment(units[order], shares, sizes)
    assignment.assign()
    assignment.bring_absent_labels()
    assignment.even_out()
    return assignment.fold[np.argsort(order)]


class _Exchange(NamedTuple):
    """One unit that moves to a fold, and the unit that its old fold takes in return.

    Attributes
    ----------
    change : float
        Change of the cost.
    taker : int
        The fold that the unit moves to.
    given : int
        The unit.
    returned : int or None
        The unit in return; None where the sizes of folds are open.
    """

    change: float
    taker: int
    given: int
    returned: int | None

    @property
    def units(self) -> list[int]:
        """The units that move."""
        return [unit for unit in (self.given, self.returned) if unit is not None]


class _Assignment:
    r"""Folds under construction, over units sorted from the heaviest to the lightest.

    Notes
    -----
    The cost of an assignment is its unevenness plus a price for every absent label,

    .. math:: \sum_{f, c} \frac{(n_{fc} - e_{fc})^2}{e_{fc}}
              + \sum_{f, c} p_c [h_{fc} = 0],

    with :math:`n_{fc}` the count of column :math:`c` in fold :math:`f`, :math:`e_{fc}`
    the expected one and :math:`h_{fc}` the number of units that have any. In this
    chi-squared sum, one label more or less matters most to the rarest column. The price
    is 0 for columns that have fewer such units than there are folds.
    """

    def __init__(
        self,
        units: sparse.csr_array,
        shares: NDArray[np.float64],
        sizes: NDArray[np.intp] | None,
    ) -> None:
        totals = units.sum(axis=0)
        price = np.repeat([_NO_POSITIVE, _NO_NEGATIVE], units.shape[1] // 2)
        price = np.append(price, _EMPTY_FOLD)[totals > 0]
        self.units = units[:, totals > 0]
        self.by_column = self.units.tocsc()
        self.sizes = sizes
        is_frequent = np.diff(self.by_column.indptr) >= len(shares)
        self.price = np.where(is_frequent, price, 0.0)
        self.expected = np.outer(shares, totals[totals > 0])
        self.fold = np.empty(units.shape[0], dtype=np.intp)

    def assign(self) -> None:
        r"""Assign the units in order, each to where unevenness grows least.

        Counts :math:`u` of a unit change the cost of a fold by
        :math:`2 \sum_c (n_c - e_c) u_c / e_c + \sum_c u_c^2 / e_c`.
        """
        inverse = 1 / self.expected
        surplus = -np.ones_like(inverse)  # (count - expected) / expected
        handicap = _TIE * np.arange(len(inverse))  # infinite for a fold that is full
        room = np.full(len(inverse), np.inf) if self.sizes is None else 1.0 * self.sizes
        for start in range(0, len(self.fold), _CHUNK):
            chunk = self.units[start : start + _CHUNK].toarray()
            for unit, counts in enumerate(chunk, start):
                half_growth = surplus @ counts + inverse @ (0.5 * counts * counts)
                fold = int((half_growth + handicap).argmin())
                self.fold[unit] = fold
                surplus[fold] += counts * inverse[fold]
                room[fold] -= 1
                if room[fold] == 0:
                    handicap[fold] = np.inf
        self._count()

    def bring_absent_labels(self) -> None:
        """Bring every label that is frequent enough into every fold.

        Each step brings one absent label to its fold by the cheapest exchange, even if
        another fold loses a label by it. The units that moved must then rest for some
        steps, or the next step would move them back. The best assignment on this walk
        is kept.
        """
        cost, least_cost, best_fold = 0.0, 0.0, self.fold.copy()
        free_from_step = np.zeros(len(self.fold), dtype=np.intp)
        for step in range(_N_STEPS):
            absent = self._dearest_absent_labels()
            if not len(absent):
                break
            # Another one each step: one that cannot be brought must not stop the walk.
            taker, column = absent[step % len(absent)]
            exchange = self._best_exchange(column, taker, free_from_step <= step)
            if exchange is None:
                continue
            self._apply(exchange)
            free_from_step[exchange.units] = step + _N_RESTS
            cost += exchange.change
            if cost < least_cost:
                least_cost, best_fold = cost, self.fold.copy()
        self.fold = best_fold
        self._count()

    def even_out(self) -> None:
        """Exchange units as long as that makes an uneven column more even."""
        allowed = np.maximum(1.0, _TOLERANCE * self.expected) - _TIE
        is_free = np.ones(len(self.fold), dtype=bool)
        rarest_first = np.argsort(self.expected[0], kind="stable")
        # Several passes: an exchange for one column may make another one uneven.
        for column in np.tile(rarest_first, _N_PASSES):
            for _ in range(_N_EXCHANGES):
                surplus = self.counts[:, column] - self.expected[:, column]
                if np.all(np.abs(surplus) < allowed[:, column]):
                    break
                exchange = self._best_exchange(column, int(surplus.argmin()), is_free)
                if exchange is None or exchange.change >= 0:
                    break
                self._apply(exchange)

    def _dearest_absent_labels(self) -> NDArray[np.intp]:
        """Return fold and column of the absent labels with the highest price."""
        absent = np.argwhere((self.n_holders == 0) & (self.price > 0))
        prices = self.price[absent[:, 1]]
        return absent[prices == prices.max(initial=0.0)]

    def _best_exchange(
        self, column: int, taker: int, is_free: NDArray[np.bool_]
    ) -> _Exchange | None:
        """Find the cheapest exchange that brings a label of a column to a fold."""
        start, stop = self.by_column.indptr[column : column + 2]
        holders = self.by_column.indices[start:stop]
        returned = _thin(np.flatnonzero((self.fold == taker) & is_free))
        if self.sizes is None:
            returned = np.append(returned, _NO_UNIT)
        best = None
        for giver in range(len(self.counts)):
            given = _thin(holders[(self.fold[holders] == giver) & is_free[holders]])
            if giver == taker or not (len(given) and len(returned)):
                continue
            changes = self._changes(giver, taker, given, returned)
            i, j = np.unravel_index(changes.argmin(), changes.shape)
            if best is None or changes[i, j] < best.change:
                unit = None if returned[j] == _NO_UNIT else int(returned[j])
                best = _Exchange(float(changes[i, j]), int(taker), int(given[i]), unit)
        return best

    def _apply(self, exchange: _Exchange) -> None:
        """Move the units of an exchange, and update the counts."""
        giver = int(self.fold[exchange.given])
        moves = [(exchange.given, giver, exchange.taker)]
        if exchange.returned is not None:
            moves.append((exchange.returned, exchange.taker, giver))
        for unit, source, target in moves:
            counts = self.units[[unit]].toarray()[0]
            for fold, sign in ((source, -1), (target, 1)):
                self.counts[fold] += sign * counts
                self.n_holders[fold] += sign * (counts > 0)
            self.fold[unit] = target

    def _count(self) -> None:
        """Count every column of every fold, and the units that have any of it."""
        folds = [self.units[self.fold == fold] for fold in range(len(self.expected))]
        self.counts = np.array([fold.sum(axis=0) for fold in folds])
        self.n_holders = np.array([(fold > 0).sum(axis=0) for fold in folds])

    def _changes(
        self,
        giver: int,
        taker: int,
        given: NDArray[np.intp],
        returned: NDArray[np.intp],
    ) -> NDArray[np.float64]:
        r"""Compute the change of cost for every pair of a given and a returned unit.

        Notes
        -----
        A given unit with counts :math:`u` and a returned one with counts :math:`v` move
        :math:`d = u - v` from giver to taker, which changes the unevenness by
        :math:`\sum_c (s_c d_c + r_c d_c^2)`, with the slope
        :math:`s = 2 (n_t - e_t) / e_t - 2 (n_g - e_g) / e_g` and the curvature
        :math:`r = 1 / e_t + 1 / e_g`. The square is multiplied out, so that no array
        has the three axes given, returned and column.
        """
        u = self.units[given].toarray()
        v = self.units[returned].toarray() * (returned != _NO_UNIT)[:, np.newaxis]
        surplus = (self.counts - self.expected) / self.expected
        slope = 2 * (surplus[taker] - surplus[giver])
        curvature = 1 / self.expected[taker] + 1 / self.expected[giver]
        # A fold loses a label with its last unit that has it, and gains it with the
        # first one.
        if_last = self.price * (self.n_holders == 1)
        if_first = self.price * (self.n_holders == 0)
        of_given = u @ slope + u**2 @ curvature
        of_given += (u > 0) @ (if_last[giver] - if_first[taker])
        of_returned = v**2 @ curvature - v @ slope
        of_returned += (v > 0) @ (if_last[taker] - if_first[giver])
        # Where both units have the label, no fold loses it.
        of_both = 2 * (u * curvature) @ v.T
        of_both += ((u > 0) * (if_last[giver] + if_last[taker])) @ (v > 0).T
        # Rounded, so that ties do not depend on the machine.
        return np.round(of_given[:, np.newaxis] + of_returned - of_both, 6)


def _thin(units: NDArray[np.intp]) -> NDArray[np.intp]:
    """Select a few units, from the lightest to the heaviest."""
    return units[:: -(len(units) // _N_CANDIDATES + 1)]
