"""The network and the image transform that settings describe."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cftlearn.classifier import CFTClassifier
from cftlearn.cli._settings import NetworkSettings, Section, SettingsError, check_known
from cftlearn.images import ImageTransform
from cftlearn.networks import Architecture, load_keras, load_network
from cftlearn.persistence import is_saved_model, load_model

_KERAS = (".h5", ".hdf5", ".keras")


@dataclass(frozen=True)
class Network:
    """A network to train or to refit.

    Attributes
    ----------
    module : torch.nn.Module or Architecture
        What a classifier takes.
    head : str or None
        Name of its classification layer; None finds it.
    saved_as : Architecture or None
        What a saved model makes it from again; None if text cannot say.
    """

    module: Any
    head: str | None
    saved_as: Architecture | None


def read_network(settings: NetworkSettings, n_outputs: int) -> Network:
    """Find the network that the settings name.

    Parameters
    ----------
    settings : NetworkSettings
        Its name, weights and head.
    n_outputs : int
        Categories.

    Raises
    ------
    SettingsError
        If no network is named, or weights do not go with it.
    OSError, ValueError
        If it cannot be made or read.
    """
    name = settings.name
    if name is None:
        raise SettingsError(
            "A network must be named: --network torchvision:densenet121, or "
            'name = "torchvision:densenet121" in [network].'
        )
    path = Path(name)
    if ":" in name and not path.exists():
        architecture = Architecture(
            name,
            n_outputs=n_outputs,
            weights=settings.weights,
            options=settings.options,
        )
        return Network(architecture, settings.head, architecture)
    if settings.weights is not None or settings.options is not None:
        raise SettingsError(
            f"{name} has weights of its own; leave `weights` and `options` out."
        )
    if not path.exists():
        raise SettingsError(
            "`network` must be 'torchvision:<model>', 'timm:<model>', "
            f"'package.module:callable', a file or a saved model; got {name!r}, which "
            "is not there."
        )
    if path.is_dir() and is_saved_model(path):
        saved = load_model(path)
        if not isinstance(saved, CFTClassifier) or saved.module_ is None:
            raise SettingsError(f"{name} has no network; it predicts from features.")
        made_from = saved.module if isinstance(saved.module, Architecture) else None
        return Network(saved.to_torch(), settings.head or saved.head_, made_from)
    if path.suffix.lower() in _KERAS:
        return Network(load_keras(path), settings.head, None)
    return Network(load_network(path), settings.head, None)


def make_transform(section: Section) -> ImageTransform:
    """Make the transform of section ``[image]``.

    Raises
    ------
    SettingsError
        If there is no such parameter.
    ValueError
        If one is out of its range.
    """
    known = set(ImageTransform().get_params())
    for name in section:
        check_known(name, known, "section [image]")
    return ImageTransform.from_params(section)
