"""``cftlearn predict``: the probability of every category, for one image or many."""

import argparse
from pathlib import Path

from cftlearn.cli import _arguments
from cftlearn.cli._choices import OUTPUTS
from cftlearn.cli._options import (
    add_network_of_model,
    add_reading,
    add_skipping,
    options_of_images,
    reading_options,
    settings_given,
)

DESCRIPTION = (
    "Print `name: probability`, one line per category, for every image; or write CSV "
    "or JSON."
)
EXAMPLES = """\
examples:
  cftlearn predict model xray.png
  cftlearn predict model xray.png --threshold model
  cftlearn predict model folder-of-images --format csv --output scores.csv
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``predict``."""
    parser.add_argument("model", type=Path, help="folder of a saved model")
    parser.add_argument(
        "images",
        nargs="+",
        type=Path,
        help="images, folders of images, or one folder that `extract` wrote",
    )
    parser.add_argument(
        "--format",
        choices=OUTPUTS,
        default="text",
        help="format of the output (default: text)",
    )
    parser.add_argument(
        "--threshold",
        type=_arguments.threshold,
        metavar="P",
        help=(
            "also say which categories are positive: from this probability on, or "
            "with `model` from the thresholds that the model was saved with"
        ),
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="write to a file, do not print"
    )
    add_skipping(parser)
    add_network_of_model(parser)
    add_reading(parser)


def run(arguments: argparse.Namespace) -> int:
    """Predict images. The exit code is 3 if some were skipped."""
    from cftlearn._files import check_writable_file
    from cftlearn.cli._prediction import predict, reads_features
    from cftlearn.cli._predictor import Predictor
    from cftlearn.cli._unused import refuse_given

    if arguments.output is not None:
        check_writable_file(arguments.output)  # now, not after all images
    network = settings_given(arguments)["network.name"]
    predictor = Predictor.read(arguments.model, network, reading_options(arguments))
    if reads_features(arguments.images) and not predictor.is_of_images:
        refuse_given(
            options_of_images(arguments)
            | {"--skip-unreadable": arguments.skip_unreadable or None},
            f"{arguments.images[0]} holds features, so that no image is read",
        )
    n_skipped = predict(
        predictor,
        arguments.images,
        output_format=arguments.format,
        output=arguments.output,
        threshold=arguments.threshold,
        skip_unreadable=arguments.skip_unreadable,
    )
    return 3 if n_skipped else 0
