"""Where figures are drawn, in which colours, and how categories are written there."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cftlearn._dependencies import import_optional
from cftlearn.labels._names import align_by_category
from cftlearn.labels._plain_arrays import read_numbers

# Okabe and Ito's colours, told apart by colour-blind readers. Markers, dashes or
# hatches differ too, for those who print in grey.
BLUE, ORANGE, VERMILION, BLACK = "#0072B2", "#E69F00", "#D55E00", "#000000"
GREY, PALE = "#999999", "#E6E6E6"

MOST_ROWS = 60  # categories that get a row and a name of their own
_LONGEST_NAME = 36


def new_axes(ax: Any, feature: str, size: tuple[float, float]) -> Any:
    """Return ``ax`` as it is, or the axes of a new figure."""
    if ax is not None:
        return ax
    plt = import_optional("matplotlib.pyplot", feature=feature, extra="plots")
    return plt.subplots(figsize=size, layout="constrained")[1]


def height_of_rows(n_rows: int) -> float:
    """Return the height in inches at which so many names can be read."""
    return float(np.clip(1.5 + 0.25 * n_rows, 3, 20))


def shown_name(name: object) -> str:
    """Write a name on one line, without its middle where it is very long.

    Both ends stay: names of one family differ in either.
    """
    line = " ".join("".join(c if c.isprintable() else " " for c in str(name)).split())
    if len(line) <= _LONGEST_NAME:
        return line
    ahead = _LONGEST_NAME * 2 // 3
    return f"{line[:ahead].rstrip()}…{line[ahead + 1 - _LONGEST_NAME :].lstrip()}"


def name_rows(ax: Any, names: Iterable[object]) -> None:
    """Write names beside rows 0, 1, ...; a dollar in one starts no formula."""
    shown = [shown_name(name) for name in names]
    ax.set_yticks(np.arange(len(shown)), shown, parse_math=False)
    ax.set_ylim(-0.7, max(len(shown), 1) - 0.3)


def list_beside(ax: Any, lists: Iterable[tuple[str, Iterable[str]]]) -> None:
    """Write lists right of the axes; a constrained layout makes room for them."""
    blocks = ["\n".join([title, *lines]) for title, lines in lists]
    ax.text(
        1.02,
        1.0,
        "\n\n".join(blocks),
        transform=ax.transAxes,
        va="top",
        fontsize="small",
        linespacing=1.4,
        parse_math=False,
    )


def read_names(categories: ArrayLike) -> NDArray[np.object_]:
    """Return the names of categories as an array of objects, whatever they are."""
    names = list(categories)  # type: ignore[arg-type]
    array = np.empty(len(names), dtype=object)
    array[:] = names
    return array


def values_per_category(
    values: ArrayLike, categories: NDArray[np.object_], name: str
) -> NDArray[Any]:
    """Read numbers per category; what has their names is put in their order."""
    return read_numbers(align_by_category(values, categories, name), name)


def count_of(number: int, one: str, many: str) -> str:
    """Write a number with its noun."""
    return f"{number:,} {one if number == 1 else many}"


def without_score(left_out: int, total: int) -> str | None:
    """Write how many categories are not drawn; None where all are."""
    if not left_out:
        return None
    have = "has" if left_out == 1 else "have"
    return f"{left_out:,} of {total:,} {have} no score"
