"""``cftlearn extract``: features of images, once."""

import sys
import warnings
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from cftlearn.cli._features import FEATURES, sign, write_paths, write_rows
from cftlearn.cli._image_paths import expand_paths
from cftlearn.cli._networks import make_transform, read_network, saved_network
from cftlearn.cli._predictor import ReadingOptions
from cftlearn.cli._settings import Settings
from cftlearn.exceptions import SkippedRowsWarning
from cftlearn.feature_extraction import TorchFeatureExtractor
from cftlearn.images import ImageTransform
from cftlearn.networks import Architecture
from cftlearn.networks._heads import head_weights, last_linear
from cftlearn.networks._making import copy_or_make


def run_extract(
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
        Whose output to take; None takes what the classification layer sees.
    output : Path
        The folder.
    reading : ReadingOptions
        How to read and compute.
    skip_unreadable : bool
        Name unreadable images on stderr and go on, rather than stop.

    Returns
    -------
    n_skipped : int
        How many images could not be read.
    """
    files = expand_paths(paths, skips=skip_unreadable)
    network = read_network(settings.network, n_outputs=1)
    transform = make_transform(settings)
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
        warnings.simplefilter("ignore", SkippedRowsWarning)  # they are named below
        Z = extractor.fit_transform(files)
    if layer is None and not isinstance(network.module, Architecture):
        # an architecture's layer may be a new one, of random rows
        saved = saved_network(settings.network)
        names = None if saved is None else [str(name) for name in saved.categories_]
        rows = head_weights(module, network.head or last_linear(module))
        write_rows(output, *rows, names)
    skipped = extractor.skipped_ if skip_unreadable else []
    left_out = {row for row, *_ in skipped}
    # last: the folder is complete with it
    write_paths(output, [f for row, f in enumerate(files) if row not in left_out])
    for *_, reason in skipped:
        print(f"cftlearn extract: skipped: {reason}", file=sys.stderr)
    if not reading.quiet:
        print(f"{Z.shape[0]} images, {Z.shape[1]} features: {output / FEATURES}")
    return len(skipped)


def _signature(
    settings: Settings, files: list[str], layer: str | None, transform: ImageTransform
) -> dict[str, Any]:
    """Say what is extracted, by what tells it apart from something else."""
    told = "\0".join(files).encode(errors="surrogateescape")
    return {
        "images": f"{len(files)}, {sha256(told).hexdigest()}",
        "network": str(settings.network),
        "layer": layer,
        "image size or scale": str(transform),
    }
