"""``cftlearn demo``: the whole method beside plain training loops, on real digits."""

import argparse
from pathlib import Path
from typing import Any

from cftlearn.cli import _arguments

DESCRIPTION = (
    "Paste scikit-learn's scanned digits into panels, and hide most labels of 'which "
    "digits appear?'. Train one small network in three ways: by a plain loop that "
    "leaves unknown labels out, by the same loop with unknown labels as negatives, and "
    "by CFTClassifier with its defaults. Compare them on fully labelled test panels."
)
EXAMPLES = """\
examples:
  cftlearn demo --known 0.2 --output demo-output
  cftlearn demo --scheme report_like

report_like: positives are known more often than negatives.
"""
_SCHEMES = ("uniform", "report_like")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``demo``."""
    parser.add_argument(
        "--known",
        type=_arguments.fraction,
        default=0.1,
        help="fraction of the labels that stay known (default: %(default)s)",
    )
    parser.add_argument(
        "--scheme",
        choices=_SCHEMES,
        default="uniform",
        help="how labels are hidden: all alike, or as in reports, which mention "
        "positives more often (default: %(default)s)",
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
        help="epochs of every training (default: %(default)s)",
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
    from cftlearn.cli._demo_run import run_demo

    run_demo(
        known=arguments.known,
        scheme=arguments.scheme,
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
