"""Draw the problem and the fix in one picture, and again in one column for phones.

    OMP_NUM_THREADS=1 python benchmarks/landing_figure.py --folder docs

Digit panels with one label in ten known: what is known of three of them, what calling
the rest negative makes of it, and the average precision of every digit on test panels
by the demo's network: trained with unknown labels as negatives, trained with them left
out, and by CFTClassifier. Prints what it draws.
"""

import argparse
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import torch
from _machine import describe_machine
from matplotlib.patches import Rectangle

from cftlearn import CFTClassifier
from cftlearn.cli._demo import make_demo_network
from cftlearn.cli._demo_run import train_plainly
from cftlearn.datasets import load_digit_panels
from cftlearn.labels import hide_labels
from cftlearn.metrics import partial_average_precision_score

BLUE, ORANGE, GREY, INK = "#0072B2", "#D55E00", "#999999", "#222222"
SHOWN = 3
NEGATIVE, MASKED, CFT = "negatives", "left out", "CFT"


def main() -> None:
    """Fit, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--known", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    packages = ["cftlearn", "numpy", "scikit-learn", "torch"]
    print(*describe_machine(packages), sep="\n")
    seed = options.seed
    train, test = (
        load_digit_panels(subset, random_state=seed) for subset in ("train", "test")
    )
    y = hide_labels(train.target, known=options.known, random_state=seed)
    model = CFTClassifier(make_demo_network, random_state=seed).fit(train.images, y)
    logits = {CFT: model.decision_function(test.images)}
    for name, targets in ((MASKED, y), (NEGATIVE, np.nan_to_num(y))):
        network = train_plainly(
            train.images,
            targets,
            max_epochs=model.max_epochs,
            batch_size=model.batch_size,
            learning_rate=model.learning_rate,
            seed=seed,
        ).cpu()
        with torch.inference_mode():
            logits[name] = network(torch.from_numpy(test.images)).numpy()
    scores = {
        name: partial_average_precision_score(test.target, logits[name], average=None)
        for name in (NEGATIVE, MASKED, CFT)
    }
    wrong = np.isnan(y) & (train.target == 1)
    print(f"known     {np.mean(~np.isnan(y)):.3f} of {y.size} labels")
    print(f"wrong     {np.sum(wrong)} of {np.isnan(y).sum()} assumed negatives")
    print("          " + " ".join(f"{name:>9}" for name in scores))
    for digit, row in enumerate(zip(*scores.values(), strict=True)):
        print(f"digit {digit}   " + " ".join(f"{ap:>9.3f}" for ap in row))
    means = " ".join(f"{ap.mean():>9.3f}" for ap in scores.values())
    print(f"mean      {means}")
    for name, one_column in (("landing", False), ("landing_phone", True)):
        figure = draw(train, y, scores, options.known, one_column=one_column)
        figure.savefig(options.folder / f"{name}.png", dpi=160)


def draw(train, y, scores, known, *, one_column) -> plt.Figure:
    """Draw labels, assumed labels and scores."""
    mpl.rcParams.update({"font.size": 10, "text.color": INK})
    rows = telling_rows(train.target, y)
    if one_column:
        figure = plt.figure(figsize=(4.6, 9.6), layout="constrained")
        parts = figure.subfigures(3, 1, height_ratios=(1, 1, 1.3), hspace=0.02)
    else:
        figure = plt.figure(figsize=(12, 3.7), layout="constrained")
        parts = figure.subfigures(1, 3, width_ratios=(1.4, 1, 1.15), wspace=0.03)
    titles = (
        f"1  Of the labels, {known:.0%} are known",
        "2  To call the rest 0 is often wrong",
        "3  What three trainings make of it",
    )
    for part, title in zip(parts, titles, strict=True):
        part.suptitle(title, weight="bold", fontsize=11, x=0.02, ha="left")
    top = parts[0].subplots(SHOWN, 2, width_ratios=(1, 2))
    for axes, row in zip(top, rows, strict=True):
        axes[0].imshow(train.images[row, 0], cmap="gray_r")
        axes[0].axis("off")
        draw_labels(axes[1], y[row])
    second = parts[1].subplots(SHOWN, 1)
    for axes, row in zip(second, rows, strict=True):
        draw_labels(axes, np.nan_to_num(y[row]), train.target[row])
    draw_scores(parts[2].subplots(), scores)
    return figure


def telling_rows(target, y) -> list[int]:
    """Find panels of three digits with both known classes and a wrong assumption."""
    known = ~np.isnan(y)
    both = (known & (target == 1)).any(axis=1) & (known & (target == 0)).any(axis=1)
    hidden = (~known & (target == 1)).sum(axis=1)
    return list(np.flatnonzero(both & (target.sum(axis=1) == 3) & (hidden == 2))[:3])


def draw_labels(axes, labels, target=None) -> None:
    """Draw ten labels as cells; those at odds with ``target`` in orange."""
    for digit, label in enumerate(labels):
        is_wrong = target is not None and label != target[digit]
        colour = ORANGE if is_wrong else BLUE if label == 1 else "white"
        text = "?" if np.isnan(label) else f"{label:.0f}"
        hatch = "////" if np.isnan(label) else None
        axes.add_patch(
            Rectangle(
                (digit - 0.45, -0.45),
                0.9,
                0.9,
                facecolor="#f2f2f2" if hatch else colour,
                edgecolor="#d0d0d0" if hatch else GREY,
                hatch=hatch,
            )
        )
        ink = "white" if colour != "white" else INK
        axes.text(
            digit, 0, text, ha="center", va="center", color=GREY if hatch else ink
        )
        axes.text(
            digit, -0.75, str(digit), ha="center", va="bottom", size=8, color=GREY
        )
    if target is not None:
        missed = np.flatnonzero((target == 1) & (labels == 0))
        note = f"wrong: {' and '.join(map(str, missed))} are in the picture"
        axes.text(4.5, 0.65, note, ha="center", va="top", size=9, color=ORANGE)
    axes.set(xlim=(-0.6, 9.6), ylim=(1.3, -1.3), aspect="equal")
    axes.axis("off")


def draw_scores(axes, scores) -> None:
    """Draw the average precision of every digit by every way of training."""
    order = np.argsort(scores[CFT])
    place = np.arange(len(order))
    values = np.array([ap[order] for ap in scores.values()])
    axes.hlines(
        place, values.min(axis=0), values.max(axis=0), color="#dddddd", lw=2, zorder=0
    )
    styles = ((ORANGE, "s"), (GREY, "o"), (BLUE, "D"))
    for (name, ap), own, (colour, marker) in zip(
        scores.items(), values, styles, strict=True
    ):
        label = f"{name} {ap.mean():.2f}"
        axes.scatter(own, place, color=colour, label=label, marker=marker)
    axes.set_yticks(place, [f"digit {digit}" for digit in order])
    axes.set(xlabel="average precision on test panels")
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(-0.25, 1.0),
        ncols=3,
        frameon=False,
        columnspacing=0.8,
        handletextpad=0.2,
        title="unknown labels as (mean over digits)",
        alignment="left",
    )
    axes.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    main()
