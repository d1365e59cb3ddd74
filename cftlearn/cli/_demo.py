"""``cftlearn demo``: the whole method, from hidden labels to a saved model."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch

from cftlearn._dependencies import import_optional
from cftlearn.classifier import CFTClassifier
from cftlearn.datasets import load_digit_panels
from cftlearn.displays import CategoryScoreDisplay, FitnessCurveDisplay
from cftlearn.fine_tuning import CategoryWiseFineTuner
from cftlearn.labels import hide_labels, label_summary
from cftlearn.metrics import partial_average_precision_score, partial_roc_auc_score
from cftlearn.persistence import load_model, save_model

_OBJECTIVE = "average_precision"
_TITLES = {
    "auto": "the default",
    "ga": "genetic algorithm on AP",
    "bce": "gradient descent on BCE",
}


@dataclass(frozen=True)
class _Scores:
    """Logits on the test panels, and their scores per category."""

    logits: NDArray[np.float64]
    auc: NDArray[np.float64]
    ap: NDArray[np.float64]

    @classmethod
    def of(cls, logits: NDArray[np.float64], target: NDArray[np.float64]) -> "_Scores":
        auc = partial_roc_auc_score(target, logits, average=None)
        ap = partial_average_precision_score(target, logits, average=None)
        return cls(logits, auc, ap)


def make_demo_network() -> Any:
    """Make the demo's network: three convolutions, 128 features, ten logits."""
    from torch import nn

    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(64, 64, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64 * 4 * 12, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )


def run_demo(
    *, known: float, seed: int, max_epochs: int, output: Path, n_jobs: int
) -> dict[str, float]:
    """Run the demo and print what it does.

    Parameters
    ----------
    known : float
        Share of the training and validation labels that stay known, in (0, 1].
    seed : int
        Seed of panels, hidden labels, network and refits.
    max_epochs : int
        Epochs of stage one.
    output : Path
        Folder for ``demo.png`` and ``model``.
    n_jobs : int
        Workers over categories.

    Returns
    -------
    mean_ap : dict of str to float
        Mean average precision on the test panels ``"before"`` CFT, and after CFT by
        ``"auto"``, by ``"ga"`` and by ``"bce"``.
    """
    plt = import_optional("matplotlib", feature="The demo's figure", extra="plots")
    plt.use("Agg")
    output.mkdir(parents=True, exist_ok=True)  # now, if it cannot be made
    started = time.perf_counter()
    panels = {
        subset: load_digit_panels(subset, random_state=seed)
        for subset in ("train", "validation", "test")
    }
    y = hide_labels(panels["train"].target, known=known, random_state=seed)
    y_val = hide_labels(panels["validation"].target, known=known, random_state=seed + 1)
    _print_task(panels, y, y_val, known, seed)

    data = panels["train"].images, y
    validation_data = (panels["validation"].images, y_val)

    def refit(module: Any, solver: str, *, train: bool) -> CFTClassifier:
        model = CFTClassifier(
            module,
            train=train,
            max_epochs=max_epochs,
            fine_tuner=CategoryWiseFineTuner(solver, objective=_OBJECTIVE),
            n_jobs=n_jobs,
            random_state=seed,
            verbose=1,
        )
        return model.fit(*data, validation_data=validation_data)

    first = refit(make_demo_network, "auto", train=True)
    if all(line["status"] == "skipped" for line in first.report_):
        raise ValueError(
            "no category has the known labels that a refit needs; got known="
            f"{known:g}. Let more labels stay known with --known."
        )
    refits = {"auto": first}
    for solver in ("ga", "bce"):
        refits[solver] = refit(first.module_, solver, train=False)

    test = panels["test"]
    before = _Scores.of(_trained_logits(first, test.images), test.target)
    after = {
        name: _Scores.of(model.decision_function(test.images), test.target)
        for name, model in refits.items()
    }
    for name, model in refits.items():
        print(
            f"\nCFT by {_TITLES[name]}, scores on {len(test.target)} fully labelled "
            "test panels"
        )
        _print_table(model, before, after[name])
    figure, folder = _write(refits, before, after["auto"], output)
    print(
        f"\nfigure  {figure}\nmodel   {folder}; to load it:\n"
        "        from cftlearn import load_model\n"
        "        from cftlearn.cli._demo import make_demo_network\n"
        f"        model = load_model({str(folder)!r}, module=make_demo_network)\n"
        f"done in {time.perf_counter() - started:.0f} s"
    )
    scores = {"before": before, **after}
    return {name: float(item.ap.mean()) for name, item in scores.items()}


def _trained_logits(
    model: CFTClassifier, images: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Logits of the network as stage one left it."""
    import torch

    with torch.inference_mode():
        network = model.module_.to("cpu").eval()
        return network(torch.from_numpy(images)).double().numpy()


def _print_task(
    panels: dict[str, Bunch],
    y: NDArray[np.float64],
    y_val: NDArray[np.float64],
    known: float,
    seed: int,
) -> None:
    sizes = {subset: len(bunch.target) for subset, bunch in panels.items()}
    counts = label_summary(np.concatenate([y, y_val]))
    positives = sum(line["n_positive"] for line in counts)
    negatives = sum(line["n_negative"] for line in counts)
    print(
        "Digit panels: three scanned digits side by side under noise; ten categories, "
        "'does this digit appear?'\n"
        f"{sizes['train']} training, {sizes['validation']} validation and "
        f"{sizes['test']} test panels from different scans; seed {seed}\n"
        f"{known:.0%} of the training and validation labels stay known: {positives} "
        f"positives and {negatives} negatives\n"
        "Stage one assumes every unknown label negative; the validation labels train "
        "nothing and only choose the refits."
    )


def _print_table(model: CFTClassifier, before: _Scores, after: _Scores) -> None:
    print(
        f"{'digit':>5} {'known +/-':>10} {'AUC before':>11} {'after':>6} "
        f"{'AP before':>10} {'after':>6} {'solver':>8} {'iter':>5} {'s':>5}  outcome"
    )
    for j, line in enumerate(model.report_):
        counts = f"{line['n_positive']}/{line['n_negative']}"
        solver = line["solver"] or "-"
        print(
            f"{line['category']:>5} {counts:>10} "
            f"{before.auc[j]:>11.3f} {after.auc[j]:>6.3f} "
            f"{before.ap[j]:>10.3f} {after.ap[j]:>6.3f} "
            f"{solver:>8} {line['n_iter']:>5} {line['seconds']:>5.1f}  "
            f"{line['status']}: {line['reason']}"
        )
    gain = after.ap.mean() - before.ap.mean()
    seconds = sum(line["seconds"] for line in model.report_)
    print(
        f"{'mean':>5} {'':>10} {before.auc.mean():>11.3f} {after.auc.mean():>6.3f} "
        f"{before.ap.mean():>10.3f} {after.ap.mean():>6.3f} {'':>8} {'':>5} "
        f"{seconds:>5.1f}  mean AP {gain:+.3f}"
    )


def _write(
    refits: dict[str, CFTClassifier], before: _Scores, after: _Scores, output: Path
) -> tuple[Path, Path]:
    """Write the figure and the model."""
    model = refits["auto"]
    plt = import_optional(
        "matplotlib.pyplot", feature="The demo's figure", extra="plots"
    )
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    CategoryScoreDisplay(
        [f"digit {name}" for name in model.categories_],
        before.ap,
        after.ap,
        "average precision on test panels",
    ).plot(left)
    left.set_title("Before and after CFT")
    FitnessCurveDisplay.from_estimator(refits["ga"], ax=right)
    right.set_title("The genetic algorithm, one thin line per category")
    path = output / "demo.png"
    figure.savefig(path, dpi=120)
    plt.close(figure)
    folder = save_model(model, output / "model", overwrite=True)
    _check_reload(model, folder)
    return path, folder


def _check_reload(model: CFTClassifier, folder: Path) -> None:
    sample = load_digit_panels("test", n_samples=8, random_state=0).images
    loaded = load_model(folder, module=make_demo_network)
    loaded.device_ = model.device_  # a GPU's convolutions have other last digits
    if not np.allclose(
        loaded.decision_function(sample), model.decision_function(sample)
    ):
        raise ValueError(f"The model in {folder} does not predict as the one saved.")
