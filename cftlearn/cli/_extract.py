"""``cftlearn extract``: features of images, once."""

from collections.abc import Sequence
from pathlib import Path

from cftlearn._heads import head_rows, last_linear
from cftlearn._inputs import image_files
from cftlearn._networks import copy_or_make
from cftlearn.cli._features import FEATURES, write_paths, write_rows
from cftlearn.cli._networks import make_transform, read_network
from cftlearn.cli._settings import Settings
from cftlearn.feature_extraction import TorchFeatureExtractor
from cftlearn.networks import Architecture


def run_extract(
    settings: Settings,
    paths: Sequence[Path],
    *,
    layer: str | None,
    output: Path,
    batch_size: int | None,
) -> None:
    """Write the features of images to a folder.

    Parameters
    ----------
    settings : Settings
        The network, the transform and the device.
    paths : sequence of Path
        Images, and folders of images.
    layer : str or None
        Whose output to take; None takes what the classification layer sees.
    output : Path
        The folder.
    batch_size : int or None
        Images at a time.
    """
    files = [
        file
        for path in paths
        for file in (image_files(path, "paths") if path.is_dir() else [str(path)])
    ]
    network = read_network(settings.network, n_outputs=1)
    module = copy_or_make(network.module, seed=0)
    output.mkdir(parents=True, exist_ok=True)
    extractor = TorchFeatureExtractor(
        module,
        layer=layer,
        input_transform=make_transform(settings.image),
        batch_size=batch_size or 64,
        device=settings.device or "auto",
        out=output / FEATURES,
        verbose=1,
    )
    Z = extractor.fit_transform(files)
    if layer is None and not isinstance(network.module, Architecture):
        # an architecture's layer may be a new one, of random rows
        write_rows(output, *head_rows(module, network.head or last_linear(module)))
    write_paths(output, files)  # last: the folder is complete with it
    print(f"{Z.shape[0]} images, {Z.shape[1]} features: {output / FEATURES}")
