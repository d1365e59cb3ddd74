"""An architecture by its name, which makes networks and can be saved as text."""

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from numbers import Integral
from typing import TYPE_CHECKING, Any

from cftlearn._dependencies import import_optional
from cftlearn.exceptions import first_line

if TYPE_CHECKING:
    from torch import nn

LIBRARIES = ("torchvision", "timm")
_MOST_OUTPUTS = 1_000_000  # with 2,048 features, a layer of 8 GB
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.]+")  # neither a hub nor a folder
_FILES = (".pt", ".pth", ".bin", ".ckpt", ".safetensors")
# Options of the libraries that would load other weights, or set the number of outputs.
_NOT_OPTIONS = {
    "checkpoint_path",
    "num_classes",
    "pretrained",
    "pretrained_cfg",
    "pretrained_cfg_overlay",
    "weights",
    "weights_backbone",
}


@dataclass(frozen=True)
class Architecture:
    """A network by the name of its architecture, for ``CFTClassifier(module=...)``.

    Calling it builds the network. Unlike a module it is small, equal to its copies, and
    can be written as text: a grid search clones it, and :func:`cftlearn.save_model`
    stores it, so that :func:`cftlearn.load_model` needs no ``module``.

    Parameters
    ----------
    name : str
        ``"torchvision:densenet121"``, ``"timm:resnet50"``, or
        ``"package.module:callable"`` for a function or class of your own.
    n_outputs : int
        Number of categories, from 1 to 1,000,000. A classification layer of another
        size is replaced by a new ``nn.Linear`` with random weights.
    weights : str or path, default=None
        Initial weights of the network. None: random weights. ``"DEFAULT"``, or another
        name that the library knows: weights that the library downloads. A path ending
        in .pt, .pth, .bin, .ckpt or .safetensors: a state dict, alone or as the entry
        ``state_dict``, ``model_state_dict`` or ``model`` of a checkpoint; the prefixes
        of DataParallel, Lightning and torch.compile are removed. No code in the file is
        executed.
    options : dict, default=None
        Keyword arguments of the architecture: text, numbers, lists and dicts.

    Raises
    ------
    ValueError
        If the name has another form, ``n_outputs`` is out of its range, ``options``
        cannot be written as JSON, or an option must be passed as ``weights`` or
        ``n_outputs``.

    See Also
    --------
    load_network : A network whose code is in its file.

    Notes
    -----
    A saved model is rebuilt automatically only from ``torchvision:`` and ``timm:``. In
    a folder from somebody else, the name of a callable could be that of any code, so
    ``load_model`` asks for ``module=`` instead of importing it.

    Examples
    --------
    >>> from cftlearn import CFTClassifier
    >>> from cftlearn.networks import Architecture
    >>> network = Architecture("torchvision:densenet121", n_outputs=14)
    >>> model = CFTClassifier(network, random_state=0)
    """

    name: str
    n_outputs: int
    weights: str | os.PathLike[str] | None = None
    options: dict[str, Any] | None = None

    def __init__(
        self,
        name: str,
        *,
        n_outputs: int,
        weights: str | os.PathLike[str] | None = None,
        options: dict[str, Any] | None = None,
    ) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "n_outputs", n_outputs)
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "options", options)
        self._check()

    @property
    def library(self) -> str:
        """The part of the name before the colon."""
        return self.name.partition(":")[0]

    def __hash__(self) -> int:
        return hash((self.name, self.n_outputs))

    def __call__(self) -> "nn.Module":
        """Build the network.

        Returns
        -------
        network : torch.nn.Module
            With ``n_outputs`` logits, in training mode.

        Raises
        ------
        ImportError
            If the library is not installed, or there is no such callable.
        ValueError
            If the library has no such architecture, the architecture no such option, or
            the network no ``nn.Linear``.
        ModelFormatError
            If the file of weights cannot be read, or weights are missing in it.

        Warns
        -----
        PartialWeightsWarning
            If a file has weights that the network does not have, or its classification
            layer is not used.
        """
        from cftlearn.networks._weights import load_weights, resized

        if not self._has_file():
            return resized(self._build(self.weights), self.n_outputs)
        return load_weights(self._build(None), self.weights, self.n_outputs)

    def without_weights(self) -> "nn.Module":
        """Build the network with random weights, without reading any file.

        Returns
        -------
        network : torch.nn.Module
            With ``n_outputs`` logits, in training mode.
        """
        from cftlearn.networks._weights import resized

        return resized(self._build(None), self.n_outputs)

    def describe(self) -> dict[str, Any]:
        """Return the arguments as values that JSON can hold.

        Returns
        -------
        arguments : dict
            Keyword arguments of an equal architecture, and its name.
        """
        weights = None if self.weights is None else os.fspath(self.weights)
        return {
            "name": self.name,
            "n_outputs": int(self.n_outputs),
            "weights": weights,
            "options": self.options,
        }

    def _has_file(self) -> bool:
        if self.weights is None:
            return False
        return isinstance(self.weights, os.PathLike) or self.weights.endswith(_FILES)

    def _build(self, weights: Any) -> "nn.Module":
        _, _, model = self.name.partition(":")
        options = dict(self.options or {})
        try:
            if self.library == "torchvision":
                return _from_torchvision(model, weights, options)
            if self.library == "timm":
                return _from_timm(model, weights, options)
            return _imported(self.library, model)(**options)
        except TypeError as error:
            raise ValueError(
                f"`options` must be arguments of {self.name!r}; got {options}: {error}."
            ) from error

    def _check(self) -> None:
        _, _, model = str(self.name).partition(":")
        fits = _PLAIN_NAME.fullmatch(model) and _PLAIN_NAME.fullmatch(self.library)
        if not isinstance(self.name, str) or not fits:
            raise ValueError(
                "`name` must be 'torchvision:<model>', 'timm:<model>' or "
                f"'package.module:callable'; got {self.name!r}."
            )
        is_count = isinstance(self.n_outputs, Integral) and not isinstance(
            self.n_outputs, bool
        )
        if not is_count or not 1 <= self.n_outputs <= _MOST_OUTPUTS:
            raise ValueError(
                "`n_outputs` must be the number of categories, a whole number from 1 "
                f"to {_MOST_OUTPUTS:,}; got {self.n_outputs!r}."
            )
        self._check_options()
        if self.library in LIBRARIES or self.weights is None or self._has_file():
            return
        raise ValueError(
            "`weights` must be None or the path of a state dict (.pt, .pth, "
            f".safetensors) for a callable of your own; got {self.weights!r}."
        )

    def _check_options(self) -> None:
        options = self.options or {}
        try:
            as_text = json.loads(json.dumps(options, allow_nan=False))
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(
                f"`options` must hold plain values, which JSON can write; {error}."
            ) from error
        if as_text != options:
            raise ValueError(
                "`options` must hold text, numbers, lists and dicts with text as keys; "
                f"got {options!r}, which JSON reads as {as_text!r}."
            )
        misplaced = sorted(_NOT_OPTIONS & set(options))
        if misplaced and self.library in LIBRARIES:
            raise ValueError(
                f"`options` must not hold {misplaced[0]!r}; pass it as `weights` or "
                "`n_outputs`."
            )


def _from_torchvision(model: str, weights: Any, options: dict[str, Any]) -> "nn.Module":
    models = import_optional(
        "torchvision.models", feature="Architecture", extra="vision"
    )
    if model not in models.list_models(module=models):
        raise ValueError(
            "`name` must be a classification network of torchvision.models; got "
            f"{model!r}. torchvision.models.list_models() lists them."
        )
    try:
        network: nn.Module = models.get_model(model, weights=weights, **options)
    except KeyError as error:
        if weights is None:
            raise
        raise _unknown_weights(
            model, weights, [item.name for item in models.get_model_weights(model)]
        ) from error
    except OSError as error:
        if weights is None:
            raise
        raise _not_downloaded(model, weights, error) from error
    return network


def _from_timm(model: str, weights: Any, options: dict[str, Any]) -> "nn.Module":
    timm = import_optional("timm", feature="Architecture", extra="vision")
    if not timm.is_model(model):
        raise ValueError(
            f"`name` must be a network of timm; got {model!r}. timm.list_models("
            f"'*{model[:6]}*') lists those of a similar name."
        )
    if weights not in (None, "DEFAULT"):
        plain = model.partition(".")[0]
        model = f"{plain}.{weights}"
        known = timm.list_pretrained(f"{plain}.*")
        if model not in known:
            names = [name.partition(".")[2] for name in known]
            raise _unknown_weights(plain, weights, names)
    try:
        network: nn.Module = timm.create_model(
            model, pretrained=weights is not None, **options
        )
    except OSError as error:
        if weights is None:
            raise
        raise _not_downloaded(model, weights, error) from error
    return network


def _unknown_weights(model: str, weights: Any, known: list[str]) -> ValueError:
    listed = ", ".join(map(repr, ["DEFAULT", *known] if known else []))
    return ValueError(
        f"`weights` must be a name of weights that the library has for {model!r}: "
        f"{listed or 'there are none'}; got {weights!r}. The file of a state dict ends "
        f"in {', '.join(_FILES)}."
    )


def _not_downloaded(model: str, weights: Any, error: OSError) -> OSError:
    cause = getattr(error, "reason", error)  # of urllib's errors
    reason = getattr(cause, "strerror", None) or first_line(error)
    return OSError(
        f"`weights` {weights!r} of {model!r} must be downloaded once, which failed "
        f"({reason}). Try again with a network, or pass the path of a file of weights: "
        "those that the library downloaded elsewhere, or your own state dict."
    )


def _imported(package: str, path: str) -> Callable[..., Any]:
    try:
        found: Any = import_module(package)
        for part in path.split("."):
            found = getattr(found, part)
    except (AttributeError, ImportError) as error:
        raise ImportError(
            f"`name` must name a callable that can be imported; got "
            f"'{package}:{path}' ({error}). Networks of libraries are "
            "'torchvision:<model>' and 'timm:<model>'."
        ) from error
    return found
