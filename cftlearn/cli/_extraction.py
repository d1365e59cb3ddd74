"""What ``cftlearn extract`` does: the features of images, in a folder."""

import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cftlearn.cli._console import print_problem
from cftlearn.cli._features import (
    FEATURES,
    fingerprint,
    sign,
    write_head,
    write_paths,
)
from cftlearn.cli._image_paths import expand_paths
from cftlearn.cli._networks import (
    Network,
    make_transform,
    read_network,
    saved_network,
)
from cftlearn.cli._options import ReadingOptions
from cftlearn.cli._settings import Settings, SettingsError
from cftlearn.cli._unused import refuse_given
from cftlearn.exceptions import SkippedRowsWarning
from cftlearn.feature_extraction import TorchFeatureExtractor
from cftlearn.images import ImageTransform
from cftlearn.networks import Architecture

_MOST_NAMED = 10  # layers in an error


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
    _refuse_repeated(files)
    if layer is not None:
        refuse_given(
            {"--head": settings.network.head}, "the output of --layer is written"
        )
    network = read_network(settings.network, n_outputs=1)
    transform = make_transform(settings)
    from cftlearn.networks._making import copy_or_make

    module = copy_or_make(network.module, seed=0)
    trained = None
    if layer is None and not isinstance(network.module, Architecture):
        trained = _trained_head(module, network)  # others may have random weights
    module, tapped = _ending_before(module, network.head, layer)
    extractor = TorchFeatureExtractor(
        module,
        layer=tapped,
        input_transform=transform,
        batch_size=reading.batch_size or 64,
        num_workers=reading.num_workers,
        device=reading.device,
        out=output / FEATURES,
        on_error="skip" if skip_unreadable else "raise",
        verbose=0 if reading.quiet else 1,
    )
    extractor.fit(files)  # one row shows what is wrong, before anything is written
    sign(output, _signature(settings, files, layer, transform))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkippedRowsWarning)  # each is named below
        Z = extractor.transform(files)
    if trained is not None:
        saved = saved_network(settings.network)
        names = None if saved is None else [str(name) for name in saved.categories_]
        write_head(output, *trained, names)
    skipped = extractor.skipped_ if skip_unreadable else []
    skipped_rows = {row for row, *_ in skipped}
    # This file comes last: with it the folder is complete.
    write_paths(
        output, [file for row, file in enumerate(files) if row not in skipped_rows]
    )
    for *_, reason in skipped:
        print_problem(f"cftlearn extract: skipped: {reason}")
    if not reading.quiet:
        print(f"{Z.shape[0]} images, {Z.shape[1]} features: {output / FEATURES}")
    return len(skipped)


def _refuse_repeated(files: list[str]) -> None:
    repeated = [file for file, count in Counter(files).items() if count > 1]
    if repeated:
        raise SettingsError(
            "Every image must be named once, so that labels find its row; "
            f"{repeated[0]!r} is named {files.count(repeated[0])} times. Name files, "
            "or their folder, but not both."
        )


def _trained_head(module: Any, network: Network) -> tuple[Any, Any]:
    """Return the weights of the classification layer."""
    from cftlearn.networks._heads import head_weights, last_linear

    return head_weights(module, network.head or last_linear(module))


def _ending_before(
    module: Any, head: str | None, layer: str | None
) -> tuple[Any, str | None]:
    """Return the network, and the layer whose output to write.

    The input of the last linear layer is found by itself. Before another layer, a step
    is put that hands it on.
    """
    from torch import nn

    from cftlearn.networks._heads import last_linear, with_layer

    if layer is not None or head is None:
        return module, layer
    names = dict(module.named_modules())
    if head not in names:
        last = ", ".join(map(repr, list(names)[-_MOST_NAMED:]))
        raise SettingsError(
            f"`head` must name a layer of the network; got {head!r}. The last ones "
            f"are: {last}."
        )
    if head == last_linear(module):
        return module, None
    steps = nn.Sequential(nn.Identity(), names[head])
    return with_layer(module, head, steps), f"{head}.0"


def _signature(
    settings: Settings, files: list[str], layer: str | None, transform: ImageTransform
) -> dict[str, Any]:
    """Return what distinguishes this extraction from others, by the words of errors."""
    return {
        "images": fingerprint(files),
        "network": str(settings.network),
        "layer": layer,
        "image size or scale": str(transform),
    }
