"""The network and the image transform that settings describe."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from cftlearn.classifier import CFTClassifier
from cftlearn.cli._settings import (
    NetworkSettings,
    Settings,
    SettingsError,
)
from cftlearn.images import ImageTransform
from cftlearn.networks import Architecture
from cftlearn.networks._architecture import LIBRARIES

_KERAS = (".h5", ".hdf5", ".keras")


@dataclass(frozen=True)
class Network:
    """A network to train or to refit.

    Attributes
    ----------
    module : torch.nn.Module or Architecture
        What a classifier takes.
    head : str or None
        Name of its classification layer. None finds it.
    saved_as : Architecture or None
        What a saved model builds it from again. None if a name cannot describe it.
    """

    module: Any
    head: str | None
    saved_as: Architecture | None


def read_network(settings: NetworkSettings, n_outputs: int) -> Network:
    """Load or describe the network that the settings name.

    Parameters
    ----------
    settings : NetworkSettings
        Its name, weights and head.
    n_outputs : int
        Number of categories.

    Returns
    -------
    network : Network
        What a classifier needs of it.

    Raises
    ------
    SettingsError
        If no network is named, or it cannot take the weights.
    OSError, ValueError
        If it cannot be built or read.
    """
    name = settings.name
    if name is None:
        raise SettingsError(
            "A network must be named: --network torchvision:densenet121, say; in a "
            'configuration, name = "torchvision:densenet121" in [network].'
        )
    path = Path(name)
    if ":" in name and not path.exists():
        return _named_architecture(name, settings, n_outputs)
    folder = _saved_folder(settings.weights)
    if folder is not None and settings.options is None and path.is_file():
        return _with_weights(folder, _read_file(path), settings.head, None)
    if settings.weights is not None or settings.options is not None:
        raise SettingsError(
            f"{name} has weights of its own; leave `weights` and `options` out."
        )
    if not path.exists():
        raise SettingsError(
            "`network` must be 'torchvision:<model>', 'timm:<model>', "
            f"'package.module:callable', a file or a saved model; got {name!r}, which "
            "does not exist."
        )
    return _read_from_path(path, settings.head)


def _named_architecture(
    name: str, settings: NetworkSettings, n_outputs: int
) -> Network:
    """Describe a network by its name; read it if its weights are a saved model."""
    folder = _saved_folder(settings.weights)
    describe = partial(Architecture, name, options=settings.options)
    if folder is None:
        architecture = describe(n_outputs=n_outputs, weights=settings.weights)
        return Network(architecture, settings.head, architecture)
    saved = _saved_classifier(folder)
    architecture = describe(n_outputs=len(saved.categories_))
    own = architecture_of(saved)
    if own is not None and own.name == name and settings.options is None:
        architecture = own  # with the options that the weights need
    return _with_weights(folder, architecture, settings.head, architecture)


def _with_weights(
    folder: Path, module: Any, head: str | None, saved_as: Architecture | None
) -> Network:
    """Build a network with the weights of a saved model."""
    from cftlearn.persistence import load_model

    # It may be two networks in one, whose weights are not those of the architecture.
    model: Any = load_model(folder, module=module)
    return Network(model.to_torch(), head or model.head_, saved_as)


def _read_from_path(path: Path, head: str | None) -> Network:
    """Load the network of a saved model, or of a file that torch or Keras exported."""
    from cftlearn.persistence import load_model
    from cftlearn.persistence._folder import is_saved_model

    if is_saved_model(path):
        saved = _saved_classifier(path)
        _check_can_be_built(path, saved)
        model: Any = load_model(path)
        return Network(model.to_torch(), head or saved.head_, architecture_of(saved))
    return Network(_read_file(path), head, None)


def _read_file(path: Path) -> Any:
    from cftlearn.networks import load_keras, load_network

    if path.suffix.lower() in _KERAS:
        return load_keras(path)
    return load_network(path)


def saved_network(settings: NetworkSettings) -> CFTClassifier | None:
    """Load the saved model that settings name as a network, but do not build it.

    Returns
    -------
    model : CFTClassifier or None
        None if the settings name another network, or none.

    Raises
    ------
    SettingsError
        If that model has no network.
    """
    folder = _saved_folder(settings.name) or _saved_folder(settings.weights)
    return None if folder is None else _saved_classifier(folder)


def _saved_folder(name: str | None) -> Path | None:
    """Return the folder of a saved model, if a name is one."""
    if name is None or not Path(name).is_dir():
        return None  # without the import of torch, which takes seconds
    from cftlearn.persistence._folder import is_saved_model

    return Path(name) if is_saved_model(name) else None


def _saved_classifier(folder: Path) -> CFTClassifier:
    from cftlearn.persistence._folder import load_without_network

    saved = load_without_network(folder)
    if not isinstance(saved, CFTClassifier) or saved.head_ is None:
        raise SettingsError(f"{folder} has no network; it predicts from features.")
    return saved


def _check_can_be_built(folder: Path, saved: CFTClassifier) -> None:
    if needs_code(saved):
        raise SettingsError(
            f"{folder} has only the weights of a network that your own code makes; "
            f"name the code, --network {own_name(saved)} --weights {folder}."
        )


def architecture_of(saved: Any) -> Architecture | None:
    """Return the architecture that a saved model names, if it names one."""
    module = getattr(saved, "module", None)
    return module if isinstance(module, Architecture) else None


def needs_code(saved: Any) -> bool:
    """Check whether only code of the user can build the network of a saved model."""
    own = architecture_of(saved)
    has_network = getattr(saved, "head_", None) is not None
    return has_network and (own is None or own.library not in LIBRARIES)


def own_name(saved: Any) -> str:
    """Return the name of a saved model's architecture, or FILE if it has none."""
    own = architecture_of(saved)
    return "FILE" if own is None else own.name


def make_transform(settings: Settings) -> ImageTransform:
    """Build the transform of section ``[image]``.

    Parameters that the section leaves out come from the saved model that is the
    network, if one is.

    Raises
    ------
    ValueError
        If a parameter is out of its range.
    """
    saved = saved_network(settings.network)
    transform = ImageTransform() if saved is None else saved.input_transform
    if not isinstance(transform, ImageTransform):
        transform = ImageTransform()
    return ImageTransform.from_params(transform.get_params() | settings.image)
