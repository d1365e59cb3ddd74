"""What quality.py makes of its lines: tables, claims and a figure."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _peers import METHODS, OBJECTIVES, OURS, PEERS
from _tables import print_table
from numpy.typing import NDArray

METRIC_NAMES = {"average_precision": "mAP", "roc_auc": "mAUC"}
MOVED = 0.01  # a category counts as worse or improved beyond this
CLOSE = 0.005  # a cell counts as close to the best peer within this
BELOW = 0.003  # a cell counts as below the initial weights beyond this

Cell = tuple[str, str, str, str]  # source, trunk, scheme, known share
Means = dict[Cell, dict[str, float]]


@dataclass(frozen=True)
class Line:
    """One line of the CSV: a method on a problem.

    Attributes
    ----------
    n_scored, n_refittable : int
        Categories with both classes in the test rows, and categories with both among
        the labels to fit and among those held out.
    mAP, mAUC : float
        Means over the scored categories.
    worse, improved : float
        Shares of the scored categories whose own score by the objective moved from
        that of the initial weights by more than MOVED.
    seconds : float
        Wall time of the method.
    """

    source: str
    trunk: str
    scheme: str
    known: str
    seed: int
    objective: str
    method: str
    n_scored: int
    n_refittable: int
    mAP: float
    mAUC: float
    worse: float
    improved: float
    seconds: float

    @property
    def cell(self) -> Cell:
        """Name what seeds are averaged over."""
        return self.source, self.trunk, self.scheme, self.known

    @property
    def moved(self) -> bool:
        """Return whether any category's score changed noticeably."""
        return self.worse + self.improved > 0

    @property
    def key(self) -> tuple[Any, ...]:
        """Return what tells lines apart."""
        return *self.cell, self.seed, self.objective, self.method

    @property
    def score(self) -> float:
        """The objective's own metric."""
        return float(getattr(self, METRIC_NAMES[self.objective]))


@dataclass(frozen=True)
class Claims:
    """How one method stands to the best peer and to the initial weights."""

    n_cells: int
    close: float  # share of cells not below the best peer by more than CLOSE
    best: float  # share of cells above every peer
    n_below: int  # cells below the initial weights by more than BELOW
    worst: float  # smallest difference to the initial weights
    distance: float  # mean difference to the best peer


# --- the summary --------------------------------------------------------------------


def comparable(lines: list[Line], subject: str) -> list[Line]:
    """Keep what can be compared, cell by cell.

    That is cells where peers may refit some category or the subject did, the seeds of
    the subject (of ``an`` where the subject is absent), and methods that ran on all of
    these seeds.
    """
    groups: dict[tuple[Any, ...], dict[str, list[Line]]] = {}
    for line in lines:
        methods = groups.setdefault((*line.cell, line.objective), {})
        methods.setdefault(line.method, []).append(line)
    kept = []
    for methods in groups.values():
        reference = methods.get(subject) or methods.get("an") or []
        if not any(line.n_refittable or line.moved for line in reference):
            continue
        seeds = {line.seed for line in reference}
        for own in methods.values():
            if seeds <= {line.seed for line in own}:
                kept += [line for line in own if line.seed in seeds]
    return kept


def mean_scores(lines: Iterable[Line], objective: str) -> Means:
    """Mean of the objective's metric over seeds, by cell and method."""
    return {
        cell: {method: float(np.mean(values)) for method, values in methods.items()}
        for cell, methods in seed_scores(lines, objective).items()
    }


def seed_scores(
    lines: Iterable[Line], objective: str
) -> dict[Cell, dict[str, list[float]]]:
    scores: dict[Cell, dict[str, list[float]]] = {}
    for line in lines:
        if line.objective == objective:
            methods = scores.setdefault(line.cell, {})
            methods.setdefault(line.method, []).append(line.score)
    return scores


def best_peer(scores: dict[str, float]) -> str | None:
    peers = [method for method in scores if method in PEERS]
    return max(peers, key=lambda method: scores[method]) if peers else None


def contested(means: Means, subject: str) -> Means:
    """Keep the cells with the subject, the initial weights and a peer."""
    return {
        cell: scores
        for cell, scores in means.items()
        if subject in scores and "an" in scores and best_peer(scores)
    }


def differences(
    means: Means, subject: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Subtract the best peer and the initial weights, cell by cell,."""
    to_peer = [s[subject] - s[best_peer(s) or ""] for s in means.values()]
    to_floor = [s[subject] - s["an"] for s in means.values()]
    return np.array(to_peer), np.array(to_floor)


def check_claims(means: Means, subject: str) -> Claims | None:
    means = contested(means, subject)
    if not means:
        return None
    to_peer, to_floor = differences(means, subject)
    return Claims(
        n_cells=len(means),
        close=float(np.mean(to_peer >= -CLOSE)),
        best=float(np.mean(to_peer > 0)),
        n_below=int(np.sum(to_floor < -BELOW)),
        worst=float(to_floor.min()),
        distance=float(to_peer.mean()),
    )


def failing_cells(means: Means, subject: str) -> Means:
    """Keep the contested cells where the subject is not close, or below the floor."""
    means = contested(means, subject)
    if not means:
        return {}
    to_peer, to_floor = differences(means, subject)
    fails = (to_peer < -CLOSE) | (to_floor < -BELOW)
    return {cell: means[cell] for cell, bad in zip(means, fails, strict=True) if bad}


def mean_shares(lines: Iterable[Line], column: str) -> dict[str, float]:
    """Mean of ``worse`` or ``improved`` over problems, by method."""
    shares: dict[str, list[float]] = {}
    for line in lines:
        shares.setdefault(line.method, []).append(getattr(line, column))
    return {method: float(np.mean(values)) for method, values in shares.items()}


def cell_groups(cells: Iterable[Cell]) -> Iterator[tuple[str, set[Cell]]]:
    """Group cells: all, by scheme, by known share, by both."""
    cells = list(cells)
    yield "all", set(cells)
    keys: list[Callable[[Cell], str]] = [
        lambda cell: cell[2],
        lambda cell: f"{cell[3]} known",
        lambda cell: f"{cell[2]} {cell[3]}",
    ]
    for key in keys:
        for name in dict.fromkeys(map(key, cells)):
            yield name, {cell for cell in cells if key(cell) == name}


def in_order(methods: Iterable[str]) -> list[str]:
    methods = set(methods)
    return [method for method in METHODS if method in methods]


# --- printing -----------------------------------------------------------------------


def print_summary(all_lines: list[Line], subject: str) -> None:
    lines = comparable(all_lines, subject)
    print_left_out(all_lines, lines)
    for objective in OBJECTIVES:
        own = [line for line in lines if line.objective == objective]
        if own:
            print_cells(own, objective)
            print_claims(own, objective, subject)
            print_shares(own, objective)
    print_seconds(all_lines)


def print_left_out(all_lines: list[Line], lines: list[Line]) -> None:
    nothing = {line.cell for line in all_lines} - {line.cell for line in lines}
    if nothing:
        print(f"\n{len(nothing)} cells without a category to refit are left out:")
        print("  " + "; ".join(" ".join(cell) for cell in sorted(nothing)))
    kept = {line.key for line in lines}
    partial = {
        (*line.cell, line.objective, line.method)
        for line in all_lines
        if line.key not in kept and line.cell not in nothing
    }
    for entry in sorted(partial):
        print(
            f"left out  some or all seeds of {' '.join(entry)}: other seeds than auto"
        )


def print_cells(lines: list[Line], objective: str) -> None:
    name = METRIC_NAMES[objective]
    print(f"\n{objective}: test {name} by cell, mean and standard deviation over seeds")
    scores = seed_scores(lines, objective)
    methods = in_order(line.method for line in lines)
    rows = [
        [
            *cell,
            *(mean_and_deviation(own.get(method, [])) for method in methods),
            best_peer({method: float(np.mean(own[method])) for method in own}) or "",
        ]
        for cell, own in scores.items()
    ]
    print_table(["source", "trunk", "scheme", "known", *methods, "best peer"], rows)


def mean_and_deviation(values: list[float]) -> str:
    if not values:
        return "-"
    if len(values) == 1:
        return f"{values[0]:.3f}"
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"


def print_claims(lines: list[Line], objective: str, subject: str) -> None:
    means = mean_scores(lines, objective)
    print(f"\n{objective}: {subject} against the best peer of each cell, and AN")
    if check_claims(means, subject) is None:
        print(f"not checked: no cell with lines of {subject} and of a peer")
        return
    rows = []
    for name, cells in cell_groups(means):
        claims = check_claims({c: means[c] for c in means if c in cells}, subject)
        if claims is not None:
            rows.append(
                [
                    name,
                    str(claims.n_cells),
                    f"{claims.close:.1%}",
                    f"{claims.best:.1%}",
                    f"{claims.distance:+.4f}",
                    str(claims.n_below),
                    f"{claims.worst:+.4f}",
                ]
            )
    head = ["cells", f">= best - {CLOSE}", "> every peer", "mean distance"]
    print_table(["", *head, f"< AN - {BELOW}", "least to AN"], rows)
    print_failing(failing_cells(means, subject), subject)


def print_failing(means: Means, subject: str) -> None:
    print(
        f"\n{len(means)} cells where {subject} is not close to the best peer, or below"
    )
    rows = []
    for cell, scores in means.items():
        peer = best_peer(scores) or ""
        to_peer, to_floor = (
            scores[subject] - scores[peer],
            scores[subject] - scores["an"],
        )
        rows.append(
            [
                *cell,
                f"{scores[subject]:.4f}",
                peer,
                f"{scores[peer]:.4f}",
                f"{to_peer:+.4f}" + ("!" if to_peer < -CLOSE else " "),
                f"{scores['an']:.4f}",
                f"{to_floor:+.4f}" + ("!" if to_floor < -BELOW else " "),
            ]
        )
    head = ["source", "trunk", "scheme", "known", subject, "best peer"]
    print_table([*head, "its score", "to it", "AN", "to AN"], rows)


def print_shares(lines: list[Line], objective: str) -> None:
    methods = in_order(line.method for line in lines)
    groups = list(cell_groups(dict.fromkeys(line.cell for line in lines)))
    for column, word in (("worse", "worse"), ("improved", "better")):
        print(f"\n{objective}: share of categories {word} than AN by over {MOVED}")
        rows = []
        for name, cells in groups:
            own = mean_shares((line for line in lines if line.cell in cells), column)
            rows.append(
                [name, *(f"{own[m]:.1%}" if m in own else "-" for m in methods)]
            )
        print_table(["", *methods], rows)


def print_seconds(lines: list[Line]) -> None:
    print("\nSeconds of stage two, per problem and objective")
    rows = []
    for method in in_order(line.method for line in lines):
        took = [line.seconds for line in lines if line.method == method]
        numbers = (np.median(took), max(took), sum(took))
        rows.append([method, str(len(took)), *(f"{number:.2f}" for number in numbers)])
    print_table(["method", "n", "median", "max", "sum"], rows)


# --- the figure ---------------------------------------------------------------------

# Okabe and Ito's colours, apart for all kinds of colour vision.
LOOKS = {
    "uniform": ("#0072B2", "o"),
    "report_like": ("#D55E00", "^"),
    "single_positive": ("#000000", "s"),
}
KINDS = {"this package": "#56B4E9", "peers": "#DDDDDD", "AN": "#FFFFFF"}


def draw_figure(all_lines: list[Line], subject: str, path: Path) -> None:
    """Draw, per objective, gains over AN by cell and distances to the best method."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot as plt
    except ImportError as error:
        print(f"\nno figure: {error}; pip install matplotlib")
        return
    lines = comparable(all_lines, subject)
    means = {name: mean_scores(lines, name) for name in OBJECTIVES}
    drawn = [name for name in OBJECTIVES if means[name]]
    if not drawn:
        print("\nno figure: no cell to compare")
        return
    figure, axes = plt.subplots(
        len(drawn),
        2,
        figsize=(11, 5 * len(drawn)),
        layout="constrained",
        squeeze=False,
    )
    for (left, right), name in zip(axes, drawn, strict=True):
        draw_gains(left, contested(means[name], subject), name, subject)
        draw_distances(right, means[name], name)
    figure.savefig(path, dpi=150)
    plt.close(figure)
    print(f"\ndrawn     {path}")


def draw_gains(axes: Any, means: Means, objective: str, subject: str) -> None:
    ends = [0.0]
    for scheme, (colour, marker) in LOOKS.items():
        own = [scores for cell, scores in means.items() if cell[2] == scheme]
        if not own:
            continue
        gains_of_peer = [s[best_peer(s) or ""] - s["an"] for s in own]
        gains = [s[subject] - s["an"] for s in own]
        ends += gains_of_peer + gains
        axes.scatter(
            gains_of_peer,
            gains,
            color=colour,
            marker=marker,
            alpha=0.75,
            edgecolor="white",
            linewidth=0.5,
            label=f"{scheme} ({len(own)} cells)",
        )
    margin = 0.05 * (max(ends) - min(ends)) or 0.01
    limits = (min(ends) - margin, max(ends) + margin)
    axes.axhline(0, color="0.7", linewidth=0.8, zorder=0)
    axes.axvline(0, color="0.7", linewidth=0.8, zorder=0)
    axes.axline((0, 0), slope=1, color="0.3", linewidth=1, linestyle="--", zorder=0)
    name = METRIC_NAMES[objective]
    axes.set(
        xlim=limits,
        ylim=limits,
        aspect="equal",
        xlabel=f"gain of the best peer over AN, test {name}",
        ylabel=f"gain of {subject} over AN, test {name}",
        title=f"{objective}: {subject} is best above the line",
    )
    axes.locator_params(nbins=6)
    if len(ends) > 1:
        axes.legend(loc="best")


def draw_distances(axes: Any, means: Means, objective: str) -> None:
    distances: dict[str, list[float]] = {}
    for scores in means.values():
        best = max(scores.values())
        for method, score in scores.items():
            distances.setdefault(method, []).append(best - score)
    order = sorted(distances, key=lambda m: float(np.mean(distances[m])), reverse=True)
    mean = {
        "marker": "D",
        "markerfacecolor": "white",
        "markeredgecolor": "black",
        "markersize": 5,
    }
    boxes = axes.boxplot(
        [distances[method] for method in order],
        orientation="horizontal",
        tick_labels=order,
        patch_artist=True,
        showmeans=True,
        widths=0.6,
        medianprops={"color": "black"},
        meanprops=mean,
        flierprops={"marker": ".", "markeredgecolor": "0.5"},
    )
    kinds = [kind_of(method) for method in order]
    for kind, box in zip(kinds, boxes["boxes"], strict=True):
        box.set_facecolor(KINDS[kind])
    box_of = dict(zip(kinds, boxes["boxes"], strict=True))
    shown = {kind: box_of[kind] for kind in KINDS if kind in box_of}
    shown["mean"] = boxes["means"][0]
    axes.set(
        xlabel=f"test {METRIC_NAMES[objective]} below the best method of the cell",
        title=f"{objective}: distance to the best, {len(means)} cells",
    )
    axes.set_xlim(left=0)
    axes.legend(
        shown.values(),
        shown.keys(),
        loc="upper center",
        bbox_to_anchor=(0.5, -0.12),
        ncols=len(shown),
        frameon=False,
    )


def kind_of(method: str) -> str:
    if method in OURS:
        return "this package"
    return "peers" if method in PEERS else "AN"
