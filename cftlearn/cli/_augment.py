"""Augmentation by name, for images that are trained on."""

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
    """Change an image at random, then make the network's input of it.

    It pickles as far as its steps do, so that other processes can read images.

    Attributes
    ----------
    settings : object
        What described the steps, for checkpoints to tell augmentations apart.
    transform : ImageTransform
        The last step, the only one for images that are not trained on.
    steps : list of callable
        From an image to an image.
    """

    settings: Any
    transform: ImageTransform
    steps: list[Callable[[Any], Any]] = field(repr=False)

    def __call__(self, image: Any) -> Any:
        """Make a tensor of one image."""
        for step in self.steps:
            image = step(image)
        return self.transform(image)


def make_augmentation(settings: Any, transform: ImageTransform) -> Augmentation:
    """Make the steps that a configuration names.

    Parameters
    ----------
    settings : str, dict or list of these
        A class is called with its options once; a function with every image and its
        options.
    transform : ImageTransform
        What follows the steps.

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
    return Augmentation(settings, transform, [_step(entry) for entry in listed])


def _step(entry: Any) -> Callable[..., Any]:
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
    package, colon, what = name.partition(":")
    if not (package and colon and what):
        raise SettingsError(f"{_RULE}; got {name!r}.")
    try:
        found: Any = import_module(package)
        for part in what.split("."):
            found = getattr(found, part)
    except (AttributeError, ImportError) as error:
        raise SettingsError(
            f"{_RULE}; {name!r} cannot be imported: {error}."
        ) from error
    if not callable(found):
        raise SettingsError(f"{_RULE}; {name} is no callable.")
    return found
