"""``cftlearn extract``: compute features of images once."""

import argparse
import sys
import warnings
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from cftlearn.cli._configuration import read_settings
from cftlearn.cli._features import FEATURES, sign, write_head, write_paths
from cftlearn.cli._image_paths import expand_paths
from cftlearn.cli._networks import (
    Network,
    make_transform,
    read_network,
    saved_network,
)
from cftlearn.cli._options import (
    ReadingOptions,
    add_network,
    add_reading,
    add_skipping,
    reading_options,
    settings_given,
)
from cftlearn.cli._settings import NetworkSettings, Settings
from cftlearn.exceptions import SkippedRowsWarning
from cftlearn.feature_extraction import TorchFeatureExtractor
from cftlearn.images import ImageTransform
from cftlearn.networks import Architecture

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
    n_skipped = extract(
        read_settings(None, settings_given(arguments)),
        arguments.paths,
        layer=arguments.layer,
        output=arguments.output,
        reading=reading_options(arguments),
        skip_unreadable=arguments.skip_unreadable,
    )
    return 3 if n_skipped else 0


def extract(
    settings: Settings,
    paths: Sequence[Path],
    *,
    layer: str | None,
    output: Path,
    reading: ReadingOptions,
    skip_unreadable: bool,
) -> int:
    """Write the features of images to a folder.

    Parameters
    ----------
    settings : Settings
        The network and the transform.
    paths : sequence of Path
        Images, and folders of images.
    layer : str or None
        The layer whose output to write. None writes the input of the classification
        layer.
    output : Path
        The folder.
    reading : ReadingOptions
        How to read and compute.
    skip_unreadable : bool
        Name unreadable images on stderr and go on. Otherwise one stops the command.

    Returns
    -------
    n_skipped : int
        Number of images that could not be read.
    """
    files = expand_paths(paths, skips=skip_unreadable)
    network = read_network(settings.network, n_outputs=1)
    transform = make_transform(settings)
    from cftlearn.networks._making import copy_or_make

    module = copy_or_make(network.module, seed=0)
    sign(output, _signature(settings, files, layer, transform))
    extractor = TorchFeatureExtractor(
        module,
        layer=layer,
        input_transform=transform,
        batch_size=reading.batch_size or 64,
        num_workers=reading.num_workers,
        device=reading.device,
        out=output / FEATURES,
        on_error="skip" if skip_unreadable else "raise",
        verbose=0 if reading.quiet else 1,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkippedRowsWarning)  # each is named below
        Z = extractor.fit_transform(files)
    if layer is None:
        _write_trained_head(output, module, network, settings.network)
    skipped = extractor.skipped_ if skip_unreadable else []
    skipped_rows = {row for row, *_ in skipped}
    # This file comes last: with it the folder is complete.
    write_paths(
        output, [file for row, file in enumerate(files) if row not in skipped_rows]
    )
    for *_, reason in skipped:
        print(f"cftlearn extract: skipped: {reason}", file=sys.stderr)
    if not reading.quiet:
        print(f"{Z.shape[0]} images, {Z.shape[1]} features: {output / FEATURES}")
    return len(skipped)


def _write_trained_head(
    output: Path, module: Any, network: Network, settings: NetworkSettings
) -> None:
    """Write the weights of the classification layer, unless it may be a new one."""
    from cftlearn.networks._heads import head_weights, last_linear

    if isinstance(network.module, Architecture):
        return  # its layer may have random weights
    saved = saved_network(settings)
    names = None if saved is None else [str(name) for name in saved.categories_]
    coef, intercept = head_weights(module, network.head or last_linear(module))
    write_head(output, coef, intercept, names)


def _signature(
    settings: Settings, files: list[str], layer: str | None, transform: ImageTransform
) -> dict[str, Any]:
    """Return what distinguishes this extraction from others, by the words of errors."""
    all_paths = "\0".join(files).encode(errors="surrogateescape")
    return {
        "images": f"{len(files)}, {sha256(all_paths).hexdigest()}",
        "network": str(settings.network),
        "layer": layer,
        "image size or scale": str(transform),
    }
