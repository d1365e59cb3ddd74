"""``cftlearn extract``: compute features of images once."""

import argparse
from pathlib import Path

from cftlearn.cli._options import (
    add_network,
    add_reading,
    add_skipping,
    reading_options,
    settings_given,
)

DESCRIPTION = (
    "Run images through a network, and write the input of its classification layer to "
    "OUTPUT/features.npy, one row per image; the paths of the images to "
    "OUTPUT/paths.csv; and the weights of a trained layer to OUTPUT/rows.npz. After "
    "an interruption, the same command goes on where it stopped."
)
EXAMPLES = """\
examples:
  cftlearn extract photos --network torchvision:resnet50 --weights DEFAULT \\
      --output features
  cftlearn fit --features features --labels labels.csv --output model
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``extract``."""
    parser.add_argument("paths", nargs="+", type=Path, help="images, or folders")
    add_network(parser)
    parser.add_argument("--layer", help="write the output of this layer instead")
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="folder for the features",
    )
    add_skipping(parser)
    add_reading(parser)


def run(arguments: argparse.Namespace) -> int:
    """Extract features. The exit code is 3 if images were skipped."""
    from cftlearn.cli._configuration import read_settings
    from cftlearn.cli._extraction import extract

    n_skipped = extract(
        read_settings(None, settings_given(arguments)),
        arguments.paths,
        layer=arguments.layer,
        output=arguments.output,
        reading=reading_options(arguments),
        skip_unreadable=arguments.skip_unreadable,
    )
    return 3 if n_skipped else 0
