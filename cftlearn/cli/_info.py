"""``cftlearn info``: what a saved model is."""

import argparse
from pathlib import Path

DESCRIPTION = (
    "Print a saved model's parameters and categories, and what CFT did for each "
    "category. Its network is not loaded."
)
EXAMPLES = """\
example:
  cftlearn info model
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``info``."""
    parser.add_argument("model", type=Path, help="folder of a saved model")


def run(arguments: argparse.Namespace) -> int:
    """Print what a saved model is."""
    from cftlearn.cli._model_table import print_model

    print_model(arguments.model)
    return 0
