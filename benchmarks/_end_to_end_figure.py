"""The figure of end_to_end.py: gains over the plain loop, a dot per cell."""

from pathlib import Path
from typing import Any

import numpy as np
from _end_to_end_methods import METHODS, REFERENCE
from _end_to_end_summary import Cell, Line, comparable, in_order, means

METRIC = "mAP"
LINEAR = 0.02  # gains up to this are on a linear scale, larger ones on a logarithmic
TICKS = (-0.3, -0.1, -0.03, -0.01, 0.0, 0.01, 0.03, 0.1, 0.3)
# Okabe and Ito's colours, apart for all kinds of colour vision.
COLOURS = ("#D55E00", "#009E73", "#0072B2", "#CC79A7", "#E69F00", "#56B4E9")


def draw_figure(lines: list[Line], path: Path) -> None:
    """Draw a panel per scheme; methods in rows, cells as dots, their mean as a bar."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot as plt
    except ImportError as error:
        print(f"\nno figure: {error}; pip install matplotlib")
        return
    cells, _ = comparable(lines)
    names = [name for name in in_order(cells) if name != REFERENCE]
    if not names:
        print(f"\nno figure: nothing to compare with {REFERENCE}")
        return
    schemes = list(dict.fromkeys(cell[1] for cell in cells))
    scores = means(cells, METRIC)
    shares = sorted({cell[2] for cell in cells}, key=share_of)
    colours = dict(zip(shares, COLOURS, strict=False))
    figure, axes = plt.subplots(
        1,
        len(schemes),
        figsize=(1.8 + 4.7 * len(schemes), 1.8 + 0.3 * len(names)),
        layout="constrained",
        sharex=True,
        sharey=True,
        squeeze=False,
    )
    for own, scheme in zip(axes[0], schemes, strict=True):
        part = {cell: s for cell, s in scores.items() if cell[1] == scheme}
        draw_panel(own, part, names, colours)
        own.set_title(f"{scheme} (cells: {len(part)})")
    figure.suptitle(f"Gain in test {METRIC} over a plain loop on known labels")
    handles = [
        plt.Line2D([], [], color=c, marker="o", linestyle="", label=label_of(share))
        for share, c in colours.items()
    ]
    handles.append(
        plt.Line2D([], [], color="black", marker="|", ms=12, mew=2, ls="", label="mean")
    )
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=len(handles),
        frameon=False,
    )
    figure.savefig(path, dpi=150)
    plt.close(figure)
    print(f"\ndrawn     {path}")


def share_of(known: str) -> float:
    """Return a share to sort by; no share comes first."""
    return 0.0 if known == "-" else float(known)


def label_of(known: str) -> str:
    return "one positive a row" if known == "-" else f"{float(known):.0%} known"


def draw_panel(
    axes: Any,
    scores: dict[Cell, dict[str, float]],
    names: list[str],
    colours: dict[str, str],
) -> None:
    shares = list(colours)
    for row, name in enumerate(names):
        gains = {c: s[name] - s[REFERENCE] for c, s in scores.items() if name in s}
        if not gains:
            continue
        # Known shares lie above each other, so that dots do not hide dots.
        offsets = [shift(shares.index(cell[2]), len(shares)) for cell in gains]
        axes.scatter(
            list(gains.values()),
            row + np.array(offsets),
            color=[colours[cell[2]] for cell in gains],
            s=18,
            alpha=0.8,
            linewidth=0,
        )
        axes.plot(
            float(np.mean(list(gains.values()))), row, "|", color="black", ms=14, mew=2
        )
    families = [METHODS[name].family for name in names]
    for row in range(1, len(names)):
        if families[row] != families[row - 1]:
            axes.axhline(row - 0.5, color="0.5", linewidth=0.8)
    axes.axvline(0, color="black", linewidth=0.8, zorder=0)
    axes.set_xscale("symlog", linthresh=LINEAR, linscale=1.0)
    axes.set_xticks(TICKS, [f"{tick:+.2f}" if tick else "0" for tick in TICKS])
    axes.minorticks_off()
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(axis="x", color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(axis="x", labelsize=8, rotation=45)
    axes.set_xlabel(f"{METRIC} minus that of {REFERENCE}")


def shift(rank: int, n_shares: int) -> float:
    """Spread known shares over the height of a row."""
    return 0.0 if n_shares == 1 else 0.5 * (rank / (n_shares - 1) - 0.5)
