"""``cftlearn refit``: new weights for the categories of a trained network."""

import argparse

from cftlearn.cli._fit import add_fitting

DESCRIPTION = (
    "As `fit`, but the network is already trained: its features are computed once, and "
    "every category is refitted on its known labels. Labels that the network was "
    "trained on cannot fairly choose the refits: name other labels with --validation "
    "or [data] validation_where."
)
EXAMPLES = """\
examples:
  cftlearn refit --network model --labels new.csv --images photos --output model2
  cftlearn refit --network chexnet.pt2 --labels labels.csv --images photos \\
      --validation valid.csv --output model
  cftlearn refit --features features --labels labels.csv --output model

`cftlearn fit --help` shows a configuration.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``refit``."""
    add_fitting(parser)


def run(arguments: argparse.Namespace) -> int:
    """Refit and save a model."""
    from cftlearn.cli._fitting import run_fitting

    return run_fitting(arguments, train=False)
