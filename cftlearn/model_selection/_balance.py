"""Deal rows or groups out so that every part gets its share of every column."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

# What an exchange of rows may pay for: a fold without any row, a category without a
# known positive in some fold, without a known negative; then evenness, in its units.
_EMPTY_FOLD, _NO_POSITIVE, _NO_NEGATIVE = 1e9, 1e6, 1e3
_TIE = 1e-9  # favours the earlier fold on ties, whatever the machine's rounding
_CHUNK = 8192  # units held densely at a time
_N_CANDIDATES = 32  # of each side of an exchange
_N_STEPS, _N_RESTS = 100, 3  # of the walk that brings absent labels to folds
_N_PASSES, _N_EXCHANGES = 3, 20  # over all columns, and in each of them
_TOLERANCE = 0.01  # share of a column that may be uneven; one row may be anyway


def deal(
    units: sparse.csr_array,
    shares: NDArray[np.float64],
    sizes: NDArray[np.intp] | None,
    rng: np.random.RandomState | None,
) -> NDArray[np.intp]:
    """Give every unit a fold, so that every column is spread by the shares.

    The order is heaviest first, where a unit weighs the sum of its shares of all
    columns: rare labels and large groups come first, rows with nothing known last.
    """
    n_units = units.shape[0]
    order = np.arange(n_units) if rng is None else rng.permutation(n_units)
    totals = units.sum(axis=0)
    weights = units @ np.divide(1, totals, out=np.zeros_like(totals), where=totals > 0)
    order = order[np.argsort(-weights[order].round(12), kind="stable")]
    hands = _Hands(units[order], shares, sizes)
    hands.deal()
    hands.cover()
    hands.level()
    return hands.fold[np.argsort(order)]


class _Hands:
    """Folds in the making, over units sorted from the heaviest to the lightest.

    Unevenness is the chi-squared sum over folds and columns of
    ``(count - expected)**2 / expected``: a label more or less matters most to the
    rarest column.
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
        """Give the units out in order, each to where unevenness grows least."""
        inverse = 1 / self.expected
        lack = -np.ones_like(inverse)  # (count - expected) / expected
        bar = _TIE * np.arange(len(inverse))
        room = np.full(len(inverse), np.inf) if self.sizes is None else 1.0 * self.sizes
        for start in range(0, len(self.fold), _CHUNK):
            chunk = self.units[start : start + _CHUNK].toarray()
            for unit, counts in enumerate(chunk, start):
                growth = lack @ counts + inverse @ (0.5 * counts * counts) + bar
                fold = int(growth.argmin())
                self.fold[unit] = fold
                lack[fold] += counts * inverse[fold]
                room[fold] -= 1
                if room[fold] == 0:
                    bar[fold] = np.inf
        self._count()

    def cover(self) -> None:
        """Bring every label that is frequent enough into every fold.

        Each step brings one absent label to its fold by the cheapest exchange, even
        if that costs another label; what moved then rests, so the walk goes on.
        """
        cost, best, best_fold = 0.0, 0.0, self.fold.copy()
        rests_until = np.zeros(len(self.fold), dtype=np.intp)
        for step in range(_N_STEPS):
            absent = np.argwhere((self.n_holders == 0) & (self.price > 0))
            if not len(absent):
                break
            prices = self.price[absent[:, 1]]
            dearest = absent[prices == prices.max()]
            taker, column = dearest[step % len(dearest)]
            found = self._find_exchange(column, taker, rests_until <= step)
            if found is None:
                continue
            self._exchange(taker, *found[1:])
            rests_until[[unit for unit in found[1:] if unit >= 0]] = step + _N_RESTS
            cost += found[0]
            if cost < best:
                best, best_fold = cost, self.fold.copy()
        self.fold = best_fold
        self._count()

    def level(self) -> None:
        """Exchange units as long as that makes an uneven column more even."""
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
                if found is None or found[0] >= 0:
                    break
                self._exchange(taker, *found[1:])

    def _find_exchange(
        self, column: int, taker: int, free: NDArray[np.bool_]
    ) -> tuple[float, int, int] | None:
        """Find the cheapest exchange that brings a unit with a label to a fold.

        Returns the change in cost, the unit given and the unit taken in return, or
        -1 for none; None if there is no exchange at all.
        """
        holders = self.holders.indices[slice(*self.holders.indptr[column : column + 2])]
        taken = _thin(np.flatnonzero((self.fold == taker) & free))
        if self.sizes is None:
            taken = np.append(taken, -1)
        best = None
        for giver in range(len(self.counts)):
            given = _thin(holders[(self.fold[holders] == giver) & free[holders]])
            if giver == taker or not (len(given) and len(taken)):
                continue
            change = self._changes(giver, taker, given, taken)
            i, j = np.unravel_index(change.argmin(), change.shape)
            if best is None or change[i, j] < best[0]:
                best = float(change[i, j]), int(given[i]), int(taken[j])
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
        """Tell how every exchange of a given for a taken unit changes the cost.

        Squares are multiplied out, so that no array has three axes.
        """
        gift = self.units[given].toarray()
        back = self.units[taken].toarray() * (taken >= 0)[:, np.newaxis]
        surplus = (self.counts - self.expected) / self.expected
        pull = 2 * (surplus[taker] - surplus[giver])
        bend = 1 / self.expected[taker] + 1 / self.expected[giver]
        last = self.price * (self.n_holders == 1)
        none = self.price * (self.n_holders == 0)
        of_gift = gift @ pull + gift**2 @ bend
        of_gift += (gift > 0) @ (last[giver] - none[taker])
        of_back = back**2 @ bend - back @ pull
        of_back += (back > 0) @ (last[taker] - none[giver])
        of_both = 2 * (gift * bend) @ back.T
        of_both += ((gift > 0) * (last[giver] + last[taker])) @ (back > 0).T
        return np.round(of_gift[:, np.newaxis] + of_back - of_both, 6)


def _thin(units: NDArray[np.intp]) -> NDArray[np.intp]:
    """Pick a few, from the lightest to the heaviest."""
    return units[:: -(len(units) // _N_CANDIDATES + 1)]
