"""Shares of several states stacked, for a few categories or for hundreds."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cftlearn.displays._axes import (
    MOST_ROWS,
    height_of_rows,
    list_beside,
    name_rows,
    new_axes,
    shown_name,
)
from cftlearn.labels._names import align_by_category
from cftlearn.labels._plain_arrays import refuse_unlike_numbers

_MOST_NAMED = 5  # at either end
_HALF = 0.5


class State(NamedTuple):
    """One state of labels, and how it is drawn."""

    name: str
    colour: str
    hatch: str | None = None
    edge: str = "none"


def read_counts(
    categories: NDArray[np.object_], **counts: ArrayLike
) -> list[NDArray[np.int64]]:
    """Check that there is one count per category of every state."""
    arrays, n_categories = [], len(categories)
    for name, given in counts.items():
        aligned = align_by_category(given, categories, name)
        array = np.asarray(refuse_unlike_numbers(aligned, name))
        is_whole = array.dtype.kind in "iu" or not array.size
        if array.shape != (n_categories,) or not is_whole or (array < 0).any():
            raise ValueError(
                f"`{name}` must hold one whole number per category, 0 or more, shape "
                f"{(n_categories,)}; got shape {array.shape}, dtype {array.dtype}."
            )
        arrays.append(array.astype(np.int64))
    return arrays


def plot_shares(
    ax: Any,
    feature: str,
    categories: NDArray[np.object_],
    counts: dict[State, NDArray[np.int64]],
) -> Any:
    """Stack the shares of all states; the first two of them are known labels.

    The last one is the rest up to 1. Where it is more than half everywhere, the axis
    ends early.

    Parameters
    ----------
    ax : matplotlib.axes.Axes or None
        Where to draw.
    feature : str
        Who asks, for the error where matplotlib is missing.
    categories : ndarray of shape (n_categories,), object
        Names.
    counts : dict of State to ndarray of shape (n_categories,)
        Labels in each state.

    Returns
    -------
    ax : matplotlib.axes.Axes
        What was drawn on.
    """
    table = np.array(list(counts.values()))
    total = table.sum(axis=0)
    shown = np.flatnonzero(total)
    shares = table[:, shown] / total[shown]
    known = table[:2, shown].sum(axis=0) / total[shown]
    order = np.lexsort((-shares[0], -known))
    shown, shares, known = shown[order], shares[:, order], known[order]
    has_rows = len(shown) <= MOST_ROWS
    size = (7.5, height_of_rows(len(shown))) if has_rows else (8, 4.5)
    ax = new_axes(ax, feature, size)
    cells = table.sum()
    labels = [
        f"{state.name} ({_percent(part.sum() / cells) if cells else 'none'})"
        for state, part in counts.items()
    ]
    draw = _draw_rows if has_rows else _draw_silhouette
    draw(ax, list(counts), labels, shares)
    limit = _limit(1.0 - shares[-1])
    label = "share of samples"
    if limit < 1.0:
        label += f"\n(up to {limit:.2g}, the rest is {list(counts)[-1].name})"
    if has_rows:
        name_rows(ax, categories[shown][::-1])
        ax.set(xlim=(0, limit), xlabel=label)
        _write_counts(ax, table[0, shown][::-1])
    else:
        ax.set(ylim=(0, limit), xlim=(0, len(shown)), ylabel=label)
        ax.set_xlabel(f"{len(shown):,} categories, best known first")
        _name_ends(ax, categories[shown], known)
    left_out = len(total) - len(shown)
    ax.legend(
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=len(labels) if not has_rows else 2,
        frameon=False,
        title=f"{left_out:,} of {len(total):,} have no samples" if left_out else None,
    )
    return ax


def _draw_rows(
    ax: Any, states: list[State], labels: list[str], shares: NDArray[np.float64]
) -> None:
    left = np.zeros(shares.shape[1])
    height = np.arange(shares.shape[1])[::-1]  # the first one on top
    for state, label, share in zip(states, labels, shares, strict=True):
        ax.barh(height, share, left=left, height=0.8, label=label, **_style(state))
        left += share


def _draw_silhouette(
    ax: Any, states: list[State], labels: list[str], shares: NDArray[np.float64]
) -> None:
    baseline = np.zeros(shares.shape[1])
    for state, label, share in zip(states, labels, shares, strict=True):
        ax.stairs(
            baseline + share,
            np.arange(len(share) + 1),
            baseline=baseline,
            fill=True,
            label=label,
            **_style(state),
        )
        baseline = baseline + share


def _style(state: State) -> dict[str, Any]:
    return {
        "facecolor": state.colour,
        "hatch": state.hatch,
        "edgecolor": state.edge,
        "linewidth": 0,
    }


def _limit(stated: NDArray[np.float64]) -> float:
    """End the axis early where even the fullest category is less than half full."""
    most = stated.max(initial=0.0)
    return 1.0 if most == 0.0 or most > _HALF else float(1.05 * most)


def _write_counts(ax: Any, positives: NDArray[np.int64]) -> None:
    """Write known positives right of their bars: shares do not tell how few."""
    style = {"fontsize": "small", "ha": "right"}
    for height, count in enumerate(positives):
        where = ax.get_yaxis_transform()
        ax.text(1.1, height, f"{count:,}", transform=where, va="center", **style)
    ax.text(1.1, 1.0, "positives", transform=ax.transAxes, va="bottom", **style)


def _name_ends(ax: Any, names: NDArray[np.object_], known: NDArray[np.float64]) -> None:
    ends = (
        ("best known", range(_MOST_NAMED)),
        ("least known", range(len(names) - _MOST_NAMED, len(names))),
    )
    list_beside(
        ax,
        [
            (
                title,
                [f"{shown_name(names[j])}: {_percent(known[j])}" for j in columns],
            )
            for title, columns in ends
        ],
    )


def _percent(share: float) -> str:
    """Write a share in percent, with two figures where it is small."""
    if share == 0.0 or share >= 0.1:
        return f"{share:.0%}"
    return f"{share * 100:.2g}%"
