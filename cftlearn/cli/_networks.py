"""The network and the image transform that settings describe."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cftlearn.classifier import CFTClassifier
from cftlearn.cli._settings import (
    NetworkSettings,
    Settings,
    SettingsError,
    check_known,
)
from cftlearn.images import ImageTransform
from cftlearn.networks import Architecture, load_keras, load_network
from cftlearn.networks._architecture import LIBRARIES
from cftlearn.persistence import load_model
from cftlearn.persistence._folder import is_saved_model, load_without_network

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
    if is_saved_model(path):
        saved = _saved_classifier(path)
        _check_can_be_made(path, saved)
        whole: Any = load_model(path)
        head = settings.head or saved.head_
        return Network(whole.to_torch(), head, architecture_of(saved))
    if path.suffix.lower() in _KERAS:
        return Network(load_keras(path), settings.head, None)
    return Network(load_network(path), settings.head, None)


def saved_network(settings: NetworkSettings) -> CFTClassifier | None:
    """Read the saved model that settings name as a network, if they name one.

    Raises
    ------
    SettingsError
        If that model has no network.
    """
    if settings.name is None or not is_saved_model(settings.name):
        return None
    return _saved_classifier(Path(settings.name))


def _saved_classifier(folder: Path) -> CFTClassifier:
    saved = load_without_network(folder)
    if not isinstance(saved, CFTClassifier) or saved.head_ is None:
        raise SettingsError(f"{folder} has no network; it predicts from features.")
    return saved


def _check_can_be_made(folder: Path, saved: CFTClassifier) -> None:
    if needs_code(saved):
        raise SettingsError(
            f"{folder} has the weights of a network whose code is yours; name the "
            f"code, --network {own_name(saved)} --weights {folder / 'network.pt'}."
        )


def architecture_of(saved: Any) -> Architecture | None:
    """Give the architecture that a saved model names, if it names one."""
    module = getattr(saved, "module", None)
    return module if isinstance(module, Architecture) else None


def needs_code(saved: Any) -> bool:
    """Tell whether a saved model has a network that its folder cannot make."""
    own = architecture_of(saved)
    has_network = getattr(saved, "head_", None) is not None
    return has_network and (own is None or own.library not in LIBRARIES)


def own_name(saved: Any) -> str:
    """Give the name of a saved model's architecture, or a word for one."""
    own = architecture_of(saved)
    return "FILE" if own is None else own.name


def make_transform(settings: Settings) -> ImageTransform:
    """Make the transform of section ``[image]``.

    What it leaves out is as in the saved model that is the network, if one is.

    Raises
    ------
    SettingsError
        If there is no such parameter.
    ValueError
        If one is out of its range.
    """
    known = set(ImageTransform().get_params())
    for name in settings.image:
        check_known(name, known, "section [image]")
    saved = saved_network(settings.network)
    transform = ImageTransform() if saved is None else saved.input_transform
    if not isinstance(transform, ImageTransform):
        transform = ImageTransform()
    return ImageTransform.from_params(transform.get_params() | settings.image)
