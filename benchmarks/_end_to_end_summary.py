"""What end_to_end.py makes of its lines: comparisons cell by cell, as tables."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from _end_to_end_methods import BEFORE, METHODS, PEERS, REFERENCE
from _tables import print_table
from numpy.typing import NDArray

METRICS = ("mAP", "mAUC")
CLOSE = 0.005  # a cell counts as close to the best method within this
HARM = 0.01  # a category counts as harmed beyond this
FAMILIES = ("loops", "regressions", "mlcpl", "ours")

Cell = tuple[str, str, str]  # source, scheme, known share


@dataclass(frozen=True)
class Line:
    """One line of the CSV: a method on a problem.

    Attributes
    ----------
    epochs : int
        Passes of every network.
    n_scored : int
        Categories with both classes among the known labels of the test rows.
    mAP, mAUC : float
        Means over the scored categories.
    seconds : float
        Wall time, from labels to scores of the test rows.
    category_ap : str
        Average precision of every category in 1/10000, ``-`` where it is not scored.
    """

    source: str
    scheme: str
    known: str
    seed: int
    epochs: int
    method: str
    n_scored: int
    mAP: float
    mAUC: float
    seconds: float
    category_ap: str

    @property
    def cell(self) -> Cell:
        """Name what seeds are averaged over."""
        return self.source, self.scheme, self.known

    @property
    def key(self) -> tuple[Any, ...]:
        """Return what tells lines apart."""
        return *self.cell, self.seed, self.method


Cells = dict[Cell, dict[str, dict[int, Line]]]  # by cell, method and seed


@dataclass(frozen=True)
class Against:
    """How a method stands to another, over the cells that have both."""

    n_cells: int
    above: float  # share of cells
    gain: float  # mean over cells
    least: float  # in the worst cell
    worst: Cell


@dataclass(frozen=True)
class Standing:
    """How a method stands in its cells.

    Attributes
    ----------
    distance, close : float
        Mean distance to the best method of the cell, and the share of cells within
        CLOSE of it.
    best : float or None
        Share of cells where no peer other than itself scores as much; None without
        such peers.
    spread : float or None
        Standard deviation over seeds, mean over cells; None with one seed.
    harmed : float
        Share of categories whose average precision is below that of the reference by
        more than HARM, mean over problems.
    cost : float
        Seconds relative to the reference, median over problems.
    """

    n_cells: int
    distance: float
    close: float
    best: float | None
    spread: float | None
    harmed: float
    cost: float


def pack_ap(scores: NDArray[np.float64]) -> str:
    """Write scores of categories in little space."""
    return " ".join("-" if np.isnan(s) else str(round(10_000 * s)) for s in scores)


def unpack_ap(text: str) -> NDArray[np.float64]:
    """Read what ``pack_ap`` wrote."""
    parts = text.split()
    return np.array([np.nan if part == "-" else int(part) / 10_000 for part in parts])


# --- comparisons --------------------------------------------------------------------


def comparable(lines: Iterable[Line]) -> tuple[Cells, list[str]]:
    """Keep, per cell, the seeds of the reference and methods that ran on all of them.

    Returns
    -------
    cells : dict
        Lines by cell, method and seed.
    left_out : list of str
        What was left out, and why.
    """
    groups: Cells = {}
    unheard_of = set()
    for line in lines:
        if line.method not in METHODS:
            unheard_of.add(line.method)
            continue
        methods = groups.setdefault(line.cell, {})
        methods.setdefault(line.method, {})[line.seed] = line
    kept: Cells = {}
    left_out = [f"{name}: no method has this name" for name in sorted(unheard_of)]
    for cell, methods in groups.items():
        seeds = set(methods.get(REFERENCE, {}))
        if not seeds:
            left_out.append(f"{' '.join(cell)}: it has no {REFERENCE}")
            continue
        kept[cell] = {}
        for name, own in methods.items():
            if seeds <= set(own):
                kept[cell][name] = {seed: own[seed] for seed in sorted(seeds)}
            else:
                lacks = sorted(seeds - set(own))
                left_out.append(f"{name} on {' '.join(cell)}: no seeds {lacks}")
    return kept, left_out


def means(cells: Cells, metric: str) -> dict[Cell, dict[str, float]]:
    """Average a metric over seeds."""
    return {
        cell: {name: float(np.mean(values(own, metric))) for name, own in named.items()}
        for cell, named in cells.items()
    }


def values(lines: dict[int, Line], metric: str) -> list[float]:
    return [getattr(line, metric) for line in lines.values()]


def compare(cells: Cells, metric: str, method: str, other: str) -> Against | None:
    """Subtract another method, cell by cell."""
    gains = {
        cell: scores[method] - scores[other]
        for cell, scores in means(cells, metric).items()
        if method in scores and other in scores
    }
    if not gains:
        return None
    worst = min(gains, key=lambda cell: gains[cell])
    return Against(
        n_cells=len(gains),
        above=float(np.mean([gain > 0 for gain in gains.values()])),
        gain=float(np.mean(list(gains.values()))),
        least=gains[worst],
        worst=worst,
    )


def standing(cells: Cells, metric: str, method: str) -> Standing | None:
    """Compare a method with all others of its cells."""
    own = {cell: named for cell, named in cells.items() if method in named}
    if not own:
        return None
    scores = means(own, metric)
    distances = np.array([max(s.values()) - s[method] for s in scores.values()])
    best = []
    for s in scores.values():
        peers = [s[peer] for peer in PEERS if peer in s and peer != method]
        if peers:
            best.append(s[method] > max(peers))
    spreads = [
        np.std(values(named[method], metric), ddof=1)
        for named in own.values()
        if len(named[method]) > 1
    ]
    pairs = [
        (line, named[REFERENCE][seed])
        for named in own.values()
        for seed, line in named[method].items()
    ]
    return Standing(
        n_cells=len(own),
        distance=float(distances.mean()),
        close=float(np.mean(distances <= CLOSE)),
        best=float(np.mean(best)) if best else None,
        spread=float(np.mean(spreads)) if spreads else None,
        harmed=float(np.mean([harm(line, other) for line, other in pairs])),
        cost=float(np.median([line.seconds / other.seconds for line, other in pairs])),
    )


def harm(line: Line, reference: Line) -> float:
    """Return the share of scored categories that are worse than the reference's."""
    difference = unpack_ap(line.category_ap) - unpack_ap(reference.category_ap)
    scored = difference[~np.isnan(difference)]
    # The CSV holds four digits; differences of these are exact to far more.
    return float(np.mean(scored.round(6) < -HARM)) if len(scored) else 0.0


def cell_groups(cells: Cells) -> Iterator[tuple[str, Cells]]:
    """Group cells: all, by scheme, by known share, by source."""
    yield "all", cells
    keys: list[Callable[[Cell], str]] = [
        lambda cell: cell[1],
        lambda cell: f"{cell[2]} known",
        lambda cell: cell[0],
    ]
    for key in keys:
        for name in dict.fromkeys(map(key, cells)):
            yield name, {cell: own for cell, own in cells.items() if key(cell) == name}


def in_order(cells: Cells) -> list[str]:
    """List the methods of some cells in the order of the table of methods."""
    present = {name for named in cells.values() for name in named}
    return [name for name in METHODS if name in present]


# --- printing -----------------------------------------------------------------------


def print_summary(lines: list[Line]) -> None:
    """Print all tables."""
    cells, left_out = comparable(lines)
    for entry in left_out:
        print(f"left out  {entry}")
    if not cells:
        print(f"nothing to compare: no line of {REFERENCE}")
        return
    for metric in METRICS:
        for family in FAMILIES:
            print_cells(cells, metric, family)
        for name, group in list(cell_groups(cells)):
            if name == "all" or name in {cell[1] for cell in cells}:
                print_against(group, metric, name)
        print_standing(cells, metric)
        print_gains(cells, metric)


def print_cells(cells: Cells, metric: str, family: str) -> None:
    names = [n for n in in_order(cells) if METHODS[n].family == family]
    if not names:
        return
    print(f"\nTest {metric} by cell: {family}; mean ± standard deviation over seeds")
    rows = [
        [*cell, *(mean_and_spread(named.get(name), metric) for name in names)]
        for cell, named in sorted(cells.items())
    ]
    print_table(["source", "scheme", "known", *names], rows)


def mean_and_spread(lines: dict[int, Line] | None, metric: str) -> str:
    if not lines:
        return "-"
    scores = values(lines, metric)
    if len(scores) == 1:
        return f"{scores[0]:.3f}"
    return f"{np.mean(scores):.3f} ± {np.std(scores, ddof=1):.3f}"


def print_against(cells: Cells, metric: str, name: str) -> None:
    """Print each method against the loops that a user would write instead."""
    others = [REFERENCE, "loop_ignore_2", "loop_ignore_3", "loop_negative"]
    print(f"\n{metric}, {name} cells: share above another method, and mean gain")
    rows = []
    for method in in_order(cells):
        row = [method]
        for other in others:
            found = compare(cells, metric, method, other)
            row += ["-", "-"] if found is None or method == other else brief(found)
        found = compare(cells, metric, method, REFERENCE)
        row += (
            [str(found.n_cells), f"{found.least:+.3f}", " ".join(found.worst)]
            if (found is not None)
            else ["0", "-", "-"]
        )
        rows.append(row)
    head = [word for other in others for word in (f"> {other}", "gain")]
    print_table(["", *head, "cells", f"least to {REFERENCE}", "in cell"], rows)


def brief(against: Against) -> list[str]:
    return [f"{against.above:.0%}", f"{against.gain:+.4f}"]


def print_standing(cells: Cells, metric: str) -> None:
    print(
        f"\n{metric}, all cells: against the best method of the cell and against every "
        f"peer\n(harmed: share of categories with AP below {REFERENCE}'s by more than "
        f"{HARM}; cost: seconds over {REFERENCE}'s)"
    )
    rows = []
    for method in in_order(cells):
        found = standing(cells, metric, method)
        if found is not None:
            rows.append(
                [
                    method,
                    str(found.n_cells),
                    f"{found.distance:.4f}",
                    f"{found.close:.0%}",
                    "-" if found.best is None else f"{found.best:.0%}",
                    "-" if found.spread is None else f"{found.spread:.4f}",
                    f"{found.harmed:.1%}",
                    "-" if method.endswith(BEFORE) else f"{found.cost:.1f}",
                ]
            )
    head = ["cells", "to the best", f"within {CLOSE}", "> every peer", "spread"]
    print_table(["", *head, "harmed", "cost"], rows)


def print_gains(cells: Cells, metric: str) -> None:
    """Print mean gains over the reference by scheme, known share and source."""
    print(f"\n{metric}: mean gain over {REFERENCE} by group of cells")
    groups = list(cell_groups(cells))
    rows = []
    for method in in_order(cells):
        found = [compare(g, metric, method, REFERENCE) for _, g in groups]
        rows.append([method, *("-" if f is None else f"{f.gain:+.4f}" for f in found)])
    print_table(["", *(name for name, _ in groups)], rows)
