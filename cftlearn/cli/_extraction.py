"""What ``cftlearn extract`` does: the features of images, in a folder."""

import sys
import warnings
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from cftlearn.cli._features import FEATURES, sign, write_head, write_paths
from cftlearn.cli._image_paths import expand_paths
from cftlearn.cli._networks import (
    Network,
    make_transform,
    read_network,
    saved_network,
)
from cftlearn.cli._options import ReadingOptions
from cftlearn.cli._settings import NetworkSettings, Settings
from cftlearn.exceptions import SkippedRowsWarning
from cftlearn.feature_extraction import TorchFeatureExtractor
from cftlearn.images import ImageTransform
from cftlearn.networks import Architecture


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
