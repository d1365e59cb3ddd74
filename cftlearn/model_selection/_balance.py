"""Assign rows or groups to folds so that every fold gets its share of every column."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

# The cost of a fold without any row, of a fold without a known positive of some
# category, and without a known negative. They are far apart, and far above evenness,
# whose terms are of the order of 1: so each is put right before what is below it.
_EMPTY_FOLD, _NO_POSITIVE, _NO_NEGATIVE = 1e9, 1e6, 1e3
_TIE = 1e-9  # favours the earlier fold on ties, whatever the machine's rounding
_CHUNK = 8192  # units held densely at a time
_N_CANDIDATES = 32  # of each side of an exchange
_N_STEPS, _N_RESTS = 100, 3  # of the walk that brings missing labels to folds
_N_PASSES, _N_EXCHANGES = 3, 20  # over all columns, and in each of them
_TOLERANCE = 0.01  # share of a column that may be uneven; one row always may


def deal(
    units: sparse.csr_array,
    shares: NDArray[np.float64],
    sizes: NDArray[np.intp] | None,
    rng: np.random.RandomState | None,
) -> NDArray[np.intp]:
    r"""Assign a fold to every unit, so that every column is spread by the shares.

    Parameters
    ----------
    units : sparse array of shape (n_units, n_columns)
        What each row or group holds: known positives of every category, known negatives
        of every category, and rows.
    shares : ndarray of shape (n_folds,)
        Share of every column that each fold should get; they sum to 1.
    sizes : ndarray of shape (n_folds,), or None
        Number of units in each fold; None where units are groups of unlike sizes.
    rng : RandomState or None
        Order of equal units. None keeps theirs.

    Returns
    -------
    fold : ndarray of shape (n_units,), int
        The fold of every unit.

    Notes
    -----
    Units are assigned one by one, as in iterative stratification, and then exchanged.
    The heaviest come first. A unit's weight is the sum of its shares of all columns,
    :math:`\sum_c u_c / t_c` with its counts :math:`u` and the totals :math:`t`: rare
    labels and large groups come first, while there is still room to balance them, and
    rows with nothing known come last and fill the folds up.
    """
    n_units = units.shape[0]
    order = np.arange(n_units) if rng is None else rng.permutation(n_units)
    totals = units.sum(axis=0)
    weights = units @ np.divide(1, totals, out=np.zeros_like(totals), where=totals > 0)
    # rounded, so that sums in another order do not change the order of equal units
    order = order[np.argsort(-weights[order].round(12), kind="stable")]
    folds = _Folds(units[order], shares, sizes)
    folds.deal()
    folds.cover()
    folds.level()
    return folds.fold[np.argsort(order)]


class _Folds:
    r"""Folds that are being filled with units, from the heaviest to the lightest.

    Attributes
    ----------
    units : sparse array of shape (n_units, n_columns)
        Counts; columns without any are left out.
    expected : ndarray of shape (n_folds, n_columns)
        What every fold should get.
    price : ndarray of shape (n_columns,)
        Cost of a fold without anything of a column; 0 where the column is too rare to
        reach every fold.
    fold : ndarray of shape (n_units,), int
        The fold of every unit.
    counts, n_holders : ndarray of shape (n_folds, n_columns)
        What every fold has of a column, and in how many units. Set by :meth:`deal`.

    Notes
    -----
    The cost of an assignment with counts :math:`n_{fc}` is

    .. math:: \sum_{f,c} (n_{fc} - e_{fc})^2 / e_{fc} + \sum_{f,c: n_{fc} = 0} p_c

    with the expected counts :math:`e` and the prices :math:`p`. In the chi-squared
    term, one label more or less matters most to the rarest column.
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
        self.holders = self.units.tocsc()
        self.sizes = sizes
        is_frequent = np.diff(self.holders.indptr) >= len(shares)
        self.price = np.where(is_frequent, price, 0.0)
        self.expected = np.outer(shares, totals[totals > 0])
        self.fold = np.empty(units.shape[0], dtype=np.intp)

    def deal(self) -> None:
        r"""Assign the units in order, each to the fold where unevenness grows least.

        Notes
        -----
        A unit with counts :math:`u` in fold :math:`f` adds
        :math:`\sum_c (2 (n_{fc} - e_{fc}) u_c + u_c^2) / e_{fc}` to the cost; half of
        it is compared.
        """
        inverse = 1 / self.expected
        relative_surplus = -np.ones_like(inverse)  # (count - expected) / expected
        handicap = _TIE * np.arange(len(inverse))  # infinite for a full fold
        room = np.full(len(inverse), np.inf) if self.sizes is None else 1.0 * self.sizes
        for start in range(0, len(self.fold), _CHUNK):
            chunk = self.units[start : start + _CHUNK].toarray()
            for unit, counts in enumerate(chunk, start):
                growth = relative_surplus @ counts
                growth = growth + inverse @ (0.5 * counts * counts) + handicap
                fold = int(growth.argmin())
                self.fold[unit] = fold
                relative_surplus[fold] += counts * inverse[fold]
                room[fold] -= 1
                if room[fold] == 0:
                    handicap[fold] = np.inf
        self._count()

    def cover(self) -> None:
        """Bring every label that is frequent enough into every fold.

        Each step brings one missing label to a fold by the cheapest exchange, even if
        the exchange costs another label. Units that moved then rest for some steps.
        So the walk can leave a dead end, which greedy steps could not; the best
        assignment that it passed is kept.
        """
        cost, best_cost, best_fold = 0.0, 0.0, self.fold.copy()
        rests_until = np.zeros(len(self.fold), dtype=np.intp)
        for step in range(_N_STEPS):
            missing = self._most_costly_missing_labels()
            if not len(missing):
                break
            taker, column = missing[step % len(missing)]
            found = self._find_exchange(column, taker, rests_until <= step)
            if found is None:
                continue
            self._exchange(taker, found.given, found.taken)
            moved = [unit for unit in (found.given, found.taken) if unit >= 0]
            rests_until[moved] = step + _N_RESTS
            cost += found.change
            if cost < best_cost:
                best_cost, best_fold = cost, self.fold.copy()
        self.fold = best_fold
        self._count()

    def _most_costly_missing_labels(self) -> NDArray[np.intp]:
        """List the folds and columns of highest price that have nothing."""
        missing = np.argwhere((self.n_holders == 0) & (self.price > 0))
        if not len(missing):
            return missing
        prices = self.price[missing[:, 1]]
        return missing[prices == prices.max()]

    def level(self) -> None:
        """Exchange units as long as this makes an uneven column more even."""
        allowed = np.maximum(1.0, _TOLERANCE * self.expected) - _TIE
        free = np.ones(len(self.fold), dtype=bool)
        rarest_first = np.argsort(self.expected[0], kind="stable")
        for column in np.tile(rarest_first, _N_PASSES):
            for _ in range(_N_EXCHANGES):
                surplus = self.counts[:, column] - self.expected[:, column]
                if np.all(np.abs(surplus) < allowed[:, column]):
                    break
                taker = int(surplus.argmin())
                found = self._find_exchange(column, taker, free)
                if found is None or found.change >= 0:
                    break
                self._exchange(taker, found.given, found.taken)

    def _find_exchange(
        self, column: int, taker: int, free: NDArray[np.bool_]
    ) -> "_Exchange | None":
        """Find the cheapest exchange that brings a unit with a label to a fold.

        Parameters
        ----------
        column : int
            The label.
        taker : int
            The fold that is to get it.
        free : ndarray of shape (n_units,), bool
            Units that may move.

        Returns
        -------
        exchange : _Exchange or None
            None if there is none at all.
        """
        holders = self.holders.indices[slice(*self.holders.indptr[column : column + 2])]
        taken = _thin(np.flatnonzero((self.fold == taker) & free))
        if self.sizes is None:  # then a fold may also get one unit more
            taken = np.append(taken, -1)
        best: _Exchange | None = None
        for giver in range(len(self.counts)):
            given = _thin(holders[(self.fold[holders] == giver) & free[holders]])
            if giver == taker or not (len(given) and len(taken)):
                continue
            change = self._changes(giver, taker, given, taken)
            i, j = np.unravel_index(change.argmin(), change.shape)
            if best is None or change[i, j] < best.change:
                best = _Exchange(float(change[i, j]), int(given[i]), int(taken[j]))
        return best

    def _exchange(self, taker: int, given: int, taken: int) -> None:
        giver = int(self.fold[given])
        for unit, source, target in ((given, giver, taker), (taken, taker, giver)):
            if unit >= 0:
                counts = self.units[[unit]].toarray()[0]
                for fold, sign in ((source, -1), (target, 1)):
                    self.counts[fold] += sign * counts
                    self.n_holders[fold] += sign * (counts > 0)
                self.fold[unit] = target

    def _count(self) -> None:
        folds = [self.units[self.fold == fold] for fold in range(len(self.expected))]
        self.counts = np.array([fold.sum(axis=0) for fold in folds])
        self.n_holders = np.array([(fold > 0).sum(axis=0) for fold in folds])

    def _changes(
        self, giver: int, taker: int, given: NDArray[np.intp], taken: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        """Compute how every exchange of a given for a taken unit changes the cost.

        Returns
        -------
        change : ndarray of shape (n_given, n_taken)
            Rounded, so that ties do not depend on the machine.

        Notes
        -----
        The giver's counts change by :math:`-d` and the taker's by :math:`+d`, with
        :math:`d = g - b`: the counts of the given unit less those of the unit that
        comes back. With the relative surpluses :math:`s` of both folds, the unevenness
        of a column changes by

        .. math:: 2 (s_t - s_g) d + (1 / e_t + 1 / e_g) d^2.

        The square is multiplied out into :math:`g^2 + b^2 - 2 g b`, so that no array
        has three axes.
        """
        gift = self.units[given].toarray()
        back = self.units[taken].toarray() * (taken >= 0)[:, np.newaxis]
        surplus = (self.counts - self.expected) / self.expected
        slope = 2 * (surplus[taker] - surplus[giver])
        curvature = 1 / self.expected[taker] + 1 / self.expected[giver]
        # a fold pays when its last holder leaves, and is paid back for its first one
        last = self.price * (self.n_holders == 1)
        none = self.price * (self.n_holders == 0)
        of_gift = gift @ slope + gift**2 @ curvature
        of_gift += (gift > 0) @ (last[giver] - none[taker])
        of_back = back**2 @ curvature - back @ slope
        of_back += (back > 0) @ (last[taker] - none[giver])
        of_both = 2 * (gift * curvature) @ back.T
        # where both units hold the label, neither fold loses its last holder
        of_both += ((gift > 0) * (last[giver] + last[taker])) @ (back > 0).T
        return np.round(of_gift[:, np.newaxis] + of_back - of_both, 6)


class _Exchange(NamedTuple):
    """A unit that moves to another fold, and the one that comes back for it.

    Attributes
    ----------
    change : float
        By how much it changes the cost.
    given : int
        The unit that moves.
    taken : int
        The unit that comes back, or -1 for none.
    """

    change: float
    given: int
    taken: int


def _thin(units: NDArray[np.intp]) -> NDArray[np.intp]:
    """Pick a few units, from the lightest to the heaviest."""
    return units[:: -(len(units) // _N_CANDIDATES + 1)]
