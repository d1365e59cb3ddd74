"""``cftlearn evaluate``: AUC and AP of every category, with intervals and cases."""

import argparse
from pathlib import Path

from cftlearn.cli import _arguments
from cftlearn.cli._choices import MERGES
from cftlearn.cli._options import add_labels, add_network_of_model, add_reading

DESCRIPTION = (
    "Print AUC and AP of every category and their means, on known labels, with 95 % "
    "bootstrap intervals and the number of cases."
)
EXAMPLES = """\
examples:
  cftlearn evaluate model --labels labels.csv --images photos --where split=test
  cftlearn evaluate --scores scores.csv --labels test.csv --group patient_id
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``evaluate``."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("model", nargs="?", type=Path, help="folder of a saved model")
    source.add_argument(
        "--scores",
        type=Path,
        metavar="FILE",
        help="CSV that `predict` wrote, instead of a model",
    )
    add_labels(parser)
    parser.add_argument(
        "--merge-views",
        choices=MERGES,
        help="merge the scores of every --group first, such as the views of a study",
    )
    parser.add_argument(
        "--resamples",
        type=_arguments.resamples,
        default=2000,
        metavar="N",
        help="number of bootstrap resamples (default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=_arguments.seed,
        default=0,
        help="seed of the resamples (default: %(default)s)",
    )
    parser.add_argument(
        "--json", action="store_true", help="print JSON instead of a table"
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="also write the table as CSV"
    )
    add_network_of_model(parser)
    add_reading(parser)


def run(arguments: argparse.Namespace) -> int:
    """Score a model, or scores, on labelled images; print the table."""
    from cftlearn.cli._evaluation import evaluate

    return evaluate(arguments)
