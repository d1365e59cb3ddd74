"""Augmentation of training images, by steps that a configuration names."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from typing import Any

from cftlearn.cli._settings import SettingsError
from cftlearn.images import ImageTransform

_RULE = (
    "`train.augment` must be 'package.module:callable', a table with such a `name` and "
    "its options, or a list of these"
)


@dataclass(frozen=True)
class Augmentation:
    """Change an image at random, then turn it into the network's input.

    It can be pickled if its steps can, so that other processes can read images.

    Attributes
    ----------
    settings : object
        The description of the steps, by which checkpoints distinguish augmentations.
    transform : ImageTransform
        The last step. It is the only one for images outside the training.
    steps : list of callable
        Each maps an image to an image.
    """

    settings: Any
    transform: ImageTransform
    steps: list[Callable[[Any], Any]] = field(repr=False)

    def __call__(self, image: Any) -> Any:
        """Turn one image into a tensor."""
        for step in self.steps:
            image = step(image)
        return self.transform(image)


def make_augmentation(settings: Any, transform: ImageTransform) -> Augmentation:
    """Import the steps that a configuration names.

    Parameters
    ----------
    settings : str, dict or list of these
        A class is called once, with its options; its result is called with every
        image. A function is called with every image and its options.
    transform : ImageTransform
        The step after these.

    Returns
    -------
    augmentation : Augmentation
        A callable for ``NetworkTrainer(augment=...)``.

    Raises
    ------
    SettingsError
        If a step has no name, cannot be imported, or does not take its options.
    """
    listed = settings if isinstance(settings, list) else [settings]
    return Augmentation(settings, transform, [_import_step(entry) for entry in listed])


def _import_step(entry: Any) -> Callable[..., Any]:
    options = dict(entry) if isinstance(entry, dict) else {"name": entry}
    name = options.pop("name", None)
    if not isinstance(name, str):
        raise SettingsError(f"{_RULE}; got {entry!r}.")
    found = _imported(name)
    if not isinstance(found, type):
        return partial(found, **options)
    try:
        made: Callable[..., Any] = found(**options)
    except (TypeError, ValueError) as error:
        raise SettingsError(
            f"`train.augment` must have options that {name} takes; got {options}: "
            f"{error}."
        ) from error
    return made


def _imported(name: str) -> Callable[..., Any]:
    module, colon, attributes = name.partition(":")
    if not (module and colon and attributes):
        raise SettingsError(f"{_RULE}; got {name!r}.")
    try:
        found: Any = import_module(module)
        for attribute in attributes.split("."):
            found = getattr(found, attribute)
    except AttributeError as error:
        raise SettingsError(f"{_RULE}; {module} has no {attributes!r}.") from error
    except ImportError as error:
        raise SettingsError(
            f"{_RULE}; {name!r} cannot be imported: {error}."
        ) from error
    if not callable(found):
        raise SettingsError(f"{_RULE}; {name} cannot be called.")
    return found
