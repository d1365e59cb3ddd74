"""``cftlearn demo``: the whole method, from hidden labels to a saved model."""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch

from cftlearn._dependencies import import_optional
from cftlearn.classifier import CFTClassifier
from cftlearn.cli import _arguments
from cftlearn.datasets import load_digit_panels
from cftlearn.displays import CategoryScoreDisplay, FitnessCurveDisplay
from cftlearn.fine_tuning import CategoryWiseFineTuner
from cftlearn.labels import hide_labels, label_summary
from cftlearn.metrics import partial_average_precision_score, partial_roc_auc_score

DESCRIPTION = (
    "Paste scikit-learn's scanned digits into panels, and hide most labels of 'which "
    "digits appear?'. Train a small network with the hidden labels assumed negative, "
    "refit every category by CFT, and compare both on fully labelled test panels."
)
EXAMPLES = """\
example:
  cftlearn demo --known 0.2 --output demo-output
"""
_OBJECTIVE = "average_precision"
_TITLES = {  # by solver; the first one also trains the network and is saved
    "auto": "the default",
    "ga": "genetic algorithm on AP",
    "bce": "gradient descent on BCE",
}


@dataclass(frozen=True)
class _Scores:
    """AUC and AP per category on the test panels."""

    auc: NDArray[np.float64]
    ap: NDArray[np.float64]

    @classmethod
    def of(cls, logits: NDArray[np.float64], target: NDArray[np.float64]) -> "_Scores":
        auc = partial_roc_auc_score(target, logits, average=None)
        ap = partial_average_precision_score(target, logits, average=None)
        return cls(auc, ap)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``demo``."""
    parser.add_argument(
        "--known",
        type=_arguments.fraction,
        default=0.1,
        help="fraction of the labels that stay known (default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=_arguments.seed,
        default=0,
        help="seed of all random numbers (default: %(default)s)",
    )
    parser.add_argument(
        "--max-epochs",
        type=_arguments.count,
        default=20,
        help="epochs to train the network (default: %(default)s)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("demo-output"),
        help="folder for the figure and the model (default: %(default)s)",
    )
    parser.add_argument(
        "--n-jobs",
        type=_arguments.n_jobs,
        default=1,
        help="workers over categories, -1 for all cores (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the demo."""
    run_demo(
        known=arguments.known,
        seed=arguments.seed,
        max_epochs=arguments.max_epochs,
        output=arguments.output,
        n_jobs=arguments.n_jobs,
    )
    return 0


def make_demo_network() -> Any:
    """Build the demo's network: three convolutions, 128 features, ten logits."""
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
        Fraction of the training and validation labels that stay known, in (0, 1].
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
    output.mkdir(parents=True, exist_ok=True)  # fail now if it cannot be made
    started = time.perf_counter()
    panels = {
        subset: load_digit_panels(subset, random_state=seed)
        for subset in ("train", "validation", "test")
    }
    y = hide_labels(panels["train"].target, known=known, random_state=seed)
    y_val = hide_labels(panels["validation"].target, known=known, random_state=seed + 1)
    _print_task(panels, y, y_val, known, seed)
    settings = {
        "max_epochs": max_epochs,
        "n_jobs": n_jobs,
        "random_state": seed,
        "verbose": 1,
    }
    models = _fit_all(panels, y, y_val, known, settings)
    test = panels["test"]
    before = _Scores.of(_trained_logits(models["auto"], test.images), test.target)
    after = {
        name: _Scores.of(model.decision_function(test.images), test.target)
        for name, model in models.items()
    }
    for name, model in models.items():
        print(
            f"\nCFT by {_TITLES[name]}, scores on {len(test.target)} fully labelled "
            "test panels"
        )
        _print_table(model, before, after[name])
    figure, folder = _write(models, before, after["auto"], output)
    print(
        f"\nfigure  {figure}\nmodel   {folder}; to load it:\n"
        "        from cftlearn import load_model\n"
        "        from cftlearn.cli._demo import make_demo_network\n"
        f"        model = load_model({str(folder)!r}, module=make_demo_network)\n"
        f"done in {time.perf_counter() - started:.0f} s"
    )
    scores = {"before": before, **after}
    return {name: float(item.ap.mean()) for name, item in scores.items()}


def _fit_all(
    panels: dict[str, Bunch],
    y: NDArray[np.float64],
    y_val: NDArray[np.float64],
    known: float,
    settings: dict[str, Any],
) -> dict[str, CFTClassifier]:
    """Train the network once, and refit it by every solver."""
    models: dict[str, CFTClassifier] = {}
    for solver in _TITLES:
        is_first = not models
        model = CFTClassifier(
            make_demo_network if is_first else models["auto"].module_,
            train=is_first,
            retrain=False,  # on labels by which later refits are chosen
            fine_tuner=CategoryWiseFineTuner(solver, objective=_OBJECTIVE),
            **settings,
        )
        validation_data = panels["validation"].images, y_val
        model.fit(panels["train"].images, y, validation_data=validation_data)
        if all(line["status"] == "skipped" for line in model.report_):
            raise ValueError(
                "no category has the known labels that a refit needs; got known="
                f"{known:g}. Keep more labels known: pass a higher --known."
            )
        models[solver] = model
    return models


def _trained_logits(
    model: CFTClassifier, images: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return the logits of the network after stage one."""
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
    """Print the task, the sizes of its data and how many labels are known."""
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
        f"positive, {negatives} negative\n"
        "Stage one assumes that every unknown label is negative. The validation labels "
        "only choose the refits."
    )


def _print_table(model: CFTClassifier, before: _Scores, after: _Scores) -> None:
    """Print the scores of every category before and after CFT, and the means."""
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
    models: dict[str, CFTClassifier], before: _Scores, after: _Scores, output: Path
) -> tuple[Path, Path]:
    """Write the figure and the model; return their paths."""
    from cftlearn.persistence import save_model

    model = models["auto"]
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
    FitnessCurveDisplay.from_estimator(models["ga"], ax=right)
    right.set_title("The genetic algorithm, one thin line per category")
    path = output / "demo.png"
    figure.savefig(path, dpi=120)
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
