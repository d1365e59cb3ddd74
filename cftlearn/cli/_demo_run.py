"""What ``cftlearn demo`` does: data, fits, table and figure."""

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch

from cftlearn._dependencies import import_optional
from cftlearn._files import check_writable_file, open_atomically
from cftlearn.classifier import CFTClassifier
from cftlearn.cli._demo import make_demo_network
from cftlearn.datasets import load_digit_panels
from cftlearn.labels import hide_labels, label_summary
from cftlearn.metrics import partial_average_precision_score

_CFT = "cft"
_TITLES = {  # by name in what run_demo returns: column of the table, legend
    "masked": ("masked", "loop, unknown labels left out"),
    "masked_twice": ("two masked", "mean of two such loops"),
    "negative": ("negatives", "loop, unknown labels as negatives"),
    _CFT: ("CFT", "CFTClassifier, defaults"),
}
_STYLES = {
    "masked": ("o", "#999999"),
    "masked_twice": ("^", "#666666"),
    "negative": ("s", "#D55E00"),
    _CFT: ("D", "#0072B2"),
}


@dataclass(frozen=True)
class _Result:
    """What one way of training came to.

    Attributes
    ----------
    ap : ndarray of shape (n_categories,)
        Average precision on the test panels.
    seconds : float
        What training took.
    """

    ap: NDArray[np.float64]
    seconds: float

    @classmethod
    def of(cls, logits: NDArray[np.float64], test: Bunch, seconds: float) -> "_Result":
        ap = partial_average_precision_score(test.target, logits, average=None)
        return cls(ap, seconds)


def run_demo(
    *,
    known: float,
    seed: int,
    max_epochs: int,
    output: Path,
    n_jobs: int,
    scheme: str = "uniform",
) -> dict[str, float]:
    """Run the demo and print what it does.

    Parameters
    ----------
    known : float
        Fraction of the training labels that stay known, in (0, 1].
    seed : int
        Seed of panels, hidden labels, networks and refits.
    max_epochs : int
        Epochs of every training.
    output : Path
        Folder for ``demo.png`` and ``model``.
    n_jobs : int
        Workers over categories.
    scheme : {"uniform", "report_like"}, default="uniform"
        How labels are hidden, as in :func:`cftlearn.labels.hide_labels`.

    Returns
    -------
    mean_ap : dict of str to float
        Mean average precision on the test panels of the loop that leaves unknown
        labels out (``"masked"``), of the mean of two such loops (``"masked_twice"``),
        of the loop that takes unknown labels for negatives (``"negative"``), and of
        ``CFTClassifier`` (``"cft"``).
    """
    plt = import_optional("matplotlib", feature="The demo's figure", extra="plots")
    plt.use("Agg")
    from cftlearn.persistence._target import check_target

    output.mkdir(parents=True, exist_ok=True)
    check_target(output / "model", overwrite=True)  # now, not after the training
    check_writable_file(output / "demo.png")
    started = time.perf_counter()
    train, test = (
        load_digit_panels(subset, random_state=seed) for subset in ("train", "test")
    )
    y = hide_labels(train.target, known=known, scheme=scheme, random_state=seed)  # type: ignore[arg-type]
    _print_task(train, test, y, seed)
    model = CFTClassifier(
        make_demo_network,
        max_epochs=max_epochs,
        n_jobs=n_jobs,
        random_state=seed,
        verbose=1,
    )
    cft = _fit(model, train.images, y, test, known)
    results = {**_run_loops(train.images, y, test, model, seed), _CFT: cft}
    _print_table(model, results)
    figure, folder = _write(model, results, output)
    print(
        f"\nfigure  {figure}\nmodel   {folder}; to load it:\n"
        "        from cftlearn import load_model\n"
        "        from cftlearn.cli._demo import make_demo_network\n"
        f"        model = load_model({str(folder)!r}, module=make_demo_network)\n"
        f"done in {time.perf_counter() - started:.0f} s"
    )
    return {name: float(result.ap.mean()) for name, result in results.items()}


def train_plainly(
    images: NDArray[np.float32],
    y: NDArray[np.float64],
    *,
    max_epochs: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
) -> Any:
    """Train the demo's network by a usual loop that leaves NaN out of the loss.

    Parameters
    ----------
    images : ndarray of shape (n_samples, 1, height, width)
        Panels.
    y : ndarray of shape (n_samples, n_categories)
        1, 0, or NaN to leave out.
    max_epochs, batch_size : int
        Passes over the panels, and panels at a time.
    learning_rate : float
        Peak of the schedule.
    seed : int
        Seed of weights and batches.

    Returns
    -------
    network : torch.nn.Module
        Trained, in evaluation mode.
    """
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits

    from cftlearn._devices import resolve_device

    device = resolve_device("auto")
    torch.manual_seed(seed)
    network = make_demo_network().to(device)
    inputs = torch.from_numpy(images).to(device)
    targets = torch.from_numpy(y).float().to(device)
    n_steps = -(-len(inputs) // batch_size)
    optimizer = torch.optim.AdamW(network.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, learning_rate, total_steps=max_epochs * n_steps
    )
    for _ in range(max_epochs):
        for rows in torch.randperm(len(inputs)).to(device).tensor_split(n_steps):
            known = ~targets[rows].isnan()
            total = binary_cross_entropy_with_logits(
                network(inputs[rows])[known], targets[rows][known], reduction="sum"
            )
            optimizer.zero_grad()
            (total / known.sum().clamp(min=1)).backward()
            optimizer.step()
            schedule.step()
    return network.eval()


def _run_loops(
    images: NDArray[np.float32],
    y: NDArray[np.float64],
    test: Bunch,
    model: CFTClassifier,
    seed: int,
) -> dict[str, _Result]:
    """Train by the loops, with the settings of the model, and score."""
    import torch

    def run(targets: NDArray[np.float64], seed: int) -> tuple[Any, float]:
        started = time.perf_counter()
        network = train_plainly(
            images,
            targets,
            max_epochs=model.max_epochs,
            batch_size=model.batch_size,
            learning_rate=model.learning_rate,
            seed=seed,
        )
        seconds = time.perf_counter() - started
        with torch.inference_mode():
            logits = network.cpu()(torch.from_numpy(test.images)).double().numpy()
        return logits, seconds

    (first, seconds), (second, more) = run(y, seed), run(y, seed + 1)
    negative, seconds_negative = run(np.nan_to_num(y), seed)
    return {
        "masked": _Result.of(first, test, seconds),
        "masked_twice": _Result.of((first + second) / 2, test, seconds + more),
        "negative": _Result.of(negative, test, seconds_negative),
    }


def _fit(
    model: CFTClassifier,
    images: NDArray[np.float32],
    y: NDArray[np.float64],
    test: Bunch,
    known: float,
) -> _Result:
    """Fit the model and score it."""
    started = time.perf_counter()
    model.fit(images, y)
    seconds = time.perf_counter() - started
    if all(line["status"] in ("skipped", "unlabelled") for line in model.report_):
        raise ValueError(
            "no category has the known labels that a refit needs; got known="
            f"{known:g}. Keep more labels known: pass a higher --known."
        )
    return _Result.of(model.decision_function(test.images), test, seconds)


def _print_task(train: Bunch, test: Bunch, y: NDArray[np.float64], seed: int) -> None:
    """Print the task, the sizes of its data and how many labels are known."""
    counts = label_summary(y)
    positives = sum(line["n_positive"] for line in counts)
    negatives = sum(line["n_negative"] for line in counts)
    print(
        "Digit panels: three scanned digits side by side under noise; ten categories, "
        "'does this digit appear?'\n"
        f"{len(train.target)} training panels, {len(test.target)} test panels from "
        f"other scans; seed {seed}\n"
        f"{(positives + negatives) / y.size:.0%} of the training labels stay known: "
        f"{positives} positive, {negatives} negative\n"
        "The same network is trained by a plain loop that leaves unknown labels out "
        "('masked'),\nby this loop with unknown labels as negatives, and by "
        "CFTClassifier with its defaults.\nCFTClassifier trains two networks; so the "
        "mean of two masked loops is shown, too."
    )


def _print_table(model: CFTClassifier, results: dict[str, _Result]) -> None:
    """Print the scores of every category, their means, and what was estimated."""
    columns = [title for title, _ in _TITLES.values()]
    print(
        f"\nAverage precision on fully labelled test panels\n"
        f"{'digit':>7} {'known +/-':>10} "
        + " ".join(f"{title:>10}" for title in columns)
    )
    for j, line in enumerate(model.report_):
        counts = f"{line['n_positive']}/{line['n_negative']}"
        scores = (result.ap[j] for result in results.values())
        _print_line(line["category"], counts, [f"{score:.3f}" for score in scores])
    means = [f"{result.ap.mean():.3f}" for result in results.values()]
    _print_line("mean", "", means)
    _print_line("seconds", "", [f"{each.seconds:.0f}" for each in results.values()])
    gains = [
        f"{results[_CFT].ap.mean() - result.ap.mean():+.3f} ({_TITLES[name][0]})"
        for name, result in results.items()
        if name != _CFT
    ]
    print(f"mean AP of CFT beside that of the loops: {', '.join(gains)}")
    print(_estimate(model))


def _print_line(name: str, counts: str, values: list[str]) -> None:
    print(f"{name:>7} {counts:>10} " + " ".join(f"{value:>10}" for value in values))


def _estimate(model: CFTClassifier) -> str:
    """Return in words what held-out labels say of unknown ones."""
    estimates = [row for row in model.history_ if "known_log_ratio" in row]
    log_ratio = estimates[-1]["known_log_ratio"] if estimates else 0.0
    if log_ratio == 0.0:
        return (
            "CFT estimated that positives are known as often as negatives, so it left "
            "unknown\nlabels out, too."
        )
    return (
        f"CFT estimated that positives are known {math.exp(log_ratio):.1f} times as "
        "often as\nnegatives, so unknown labels counted as somewhat negative."
    )


def _write(
    model: CFTClassifier, results: dict[str, _Result], output: Path
) -> tuple[Path, Path]:
    """Write the figure and the model; return their paths."""
    from cftlearn.persistence import save_model

    plt = import_optional(
        "matplotlib.pyplot", feature="The demo's figure", extra="plots"
    )
    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    order = np.argsort(results[_CFT].ap)
    places = np.arange(len(order))
    values = np.array([result.ap[order] for result in results.values()])
    axes.hlines(
        places, values.min(axis=0), values.max(axis=0), color="#DDDDDD", lw=2, zorder=0
    )
    for (name, result), ap in zip(results.items(), values, strict=True):
        marker, color = _STYLES[name]
        label = f"{_TITLES[name][1]}: mean {result.ap.mean():.3f}"
        axes.plot(ap, places, marker, color=color, label=label)
    axes.set_yticks(places, [f"digit {model.categories_[j]}" for j in order])
    axes.set(xlabel="average precision on fully labelled test panels")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper left", frameon=False)
    path = output / "demo.png"
    with open_atomically(path, "wb") as file:
        figure.savefig(file, format="png", dpi=120)
    plt.close(figure)
    folder = save_model(model, output / "model", overwrite=True)
    _check_reload(model, folder)
    return path, folder


def _check_reload(model: CFTClassifier, folder: Path) -> None:
    """Check that the saved model predicts the same."""
    from cftlearn.persistence import load_model

    sample = load_digit_panels("test", n_samples=8, random_state=0).images
    loaded = load_model(folder, module=make_demo_network)
    loaded.device_ = model.device_  # a GPU's convolutions have other last digits
    if not np.allclose(
        loaded.decision_function(sample), model.decision_function(sample)
    ):
        raise ValueError(f"The model in {folder} does not predict as the one saved.")
