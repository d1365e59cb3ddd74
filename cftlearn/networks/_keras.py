"""Load networks of Keras as torch modules."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cftlearn._dependencies import import_optional
from cftlearn._files import check_regular
from cftlearn.exceptions import first_line
from cftlearn.networks._errors import ArchiveError, split_error
from cftlearn.networks._exported import backbone_of
from cftlearn.networks._keras_files import read_config, simplified
from cftlearn.networks._split import SplitNetwork, log_removed_sigmoid

_TOLERANCE = 1e-4
_ANY_SIZE = 96  # pixels, of an input that leaves its size open


class _Backbone(nn.Module):
    """Features of a Keras model, from inputs with channels first."""

    def __init__(self, model: Any, *, channels_last: bool) -> None:
        super().__init__()
        self.model = model
        self.channels_last = channels_last

    def forward(self, x: Tensor) -> Tensor:
        x = torch.movedim(x, 1, -1) if self.channels_last else x
        return self.model(x, training=False)


def load_keras(path: str | os.PathLike[str]) -> nn.Module:
    """Load a model of Keras as a torch network, ready to be refitted.

    Reads a .h5 or .keras file of one input and one output, such as a CNN for chest
    radiographs with 14 sigmoids, by Keras 3 on torch. The returned network does not
    need Keras. Images have **channels first**, (n, channels, height, width), as
    everywhere in torch. Their values are those that the Keras model takes; a layer that
    rescales them stays in the network. A sigmoid at the end is removed, and the logger
    "cftlearn" says so. A model in half or mixed precision computes in float32.

    Parameters
    ----------
    path : str or path-like
        The file. A model with custom layers must be loaded by code that has them, and
        layers that hold code (``Lambda``) are refused.

    Returns
    -------
    network : torch.nn.Module
        It returns logits, and has a ``backbone`` and, as its classification layer, an
        ``nn.Linear`` named ``head``. It computes as in evaluation mode: pass it to
        ``CFTClassifier(train=False)``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If Keras is not installed, or was imported with another backend than torch.
    ValueError
        If Keras cannot read the file, or the model does not end in a Dense layer with a
        sigmoid or no activation.
    ArithmeticError
        If the network gives other numbers than the Keras model.

    See Also
    --------
    load_network : Networks of TorchScript and torch.export.

    Examples
    --------
    >>> from cftlearn import CFTClassifier
    >>> from cftlearn.networks import load_keras
    >>> network = load_keras("chexpert.h5")  # doctest: +SKIP
    >>> model = CFTClassifier(network, train=False)  # doctest: +SKIP
    """
    file = Path(path)
    check_regular(file, f"`path` must be a file; {file}")
    keras = _keras_on_torch()
    with keras.device("cpu"):
        model = _loaded(keras, file)
        dense, has_sigmoid = _last_dense(keras, model, file.name)
        channels_last = _has_channels_last(model)
        part = keras.Model(model.inputs, dense.input)
        inputs = _example(model, channels_last=channels_last)
        with torch.no_grad():
            features = _Backbone(part, channels_last=channels_last).eval()
            backbone = _exported(features, inputs, file.name)
            bias = None if dense.bias is None else dense.bias.value.detach()
            network = SplitNetwork(backbone, dense.kernel.value.detach().T, bias).eval()
            original = _Backbone(model, channels_last=channels_last)
            _compare(network, original, inputs, has_sigmoid)
    if has_sigmoid:
        log_removed_sigmoid(file.name)
    return network


def _keras_on_torch() -> Any:
    """Import Keras with torch as its backend, which is chosen once per process."""
    asked_for = os.environ.get("KERAS_BACKEND")
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "torch"
    try:
        keras = import_optional("keras", feature="load_keras", extra="keras")
    finally:  # Keras has read it
        os.environ.pop("KERAS_BACKEND", None)
        if asked_for is not None:
            os.environ["KERAS_BACKEND"] = asked_for
    backend = keras.config.backend()
    if backend != "torch":
        raise ImportError(
            f"load_keras needs Keras on torch; it is imported with {backend} already. "
            "Start anew with the environment variable KERAS_BACKEND=torch, or call "
            "load_keras before importing keras."
        )
    return keras


def _loaded(keras: Any, file: Path) -> Any:
    try:
        config, is_changed = simplified(read_config(file), keras)
    except ArchiveError as error:
        raise ValueError(
            f"`path` must be a model that Keras saved; {file} is not ({error})."
        ) from error
    try:
        if is_changed:
            model = _built(keras, config)
            model.load_weights(file)
        else:
            model = keras.saving.load_model(file, compile=False, safe_mode=True)
    except Exception as error:  # layers raise errors of any type
        raise ValueError(
            f"`path` must be a model that Keras {keras.__version__} can load; {file}: "
            f"{_cause(error).rstrip('.')}. If it has layers of your own, load it in "
            "Keras and save a model without them."
        ) from error
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise split_error(
            file.name,
            f"has {len(model.inputs)} inputs and {len(model.outputs)} outputs, not one "
            "of each",
            "Save a keras.Model of one input and one output.",
        )
    return model


def _built(keras: Any, config: dict[str, Any]) -> Any:
    """Build a model without its weights."""
    if "module" in config:
        return keras.models.model_from_json(json.dumps(config))
    is_sequential = config.get("class_name") == "Sequential"  # of Keras 2, or .h5
    kind = keras.Sequential if is_sequential else keras.Model
    return kind.from_config(config["config"])


def _cause(error: Exception) -> str:
    """Return what went wrong, not the settings that Keras writes before it."""
    if "void16" in str(error):
        return "a .h5 file cannot hold bfloat16; save the model as .keras"
    _, _, cause = str(error).partition("Exception encountered: ")
    line = cause.strip().partition("\n")[0] or first_line(error)
    return line.partition(" Full object config")[0]


def _last_dense(keras: Any, model: Any, source: str) -> tuple[Any, bool]:
    """Find the last Dense layer, and whether a sigmoid follows it."""
    layers = list(model.layers)
    activation = keras.activations.linear
    last = layers.pop()
    if isinstance(last, keras.layers.Activation) and layers:
        activation, last = last.activation, layers.pop()
    if not isinstance(last, keras.layers.Dense):
        raise split_error(
            source,
            f"ends in a {type(last).__name__} layer",
            "Save the model up to its last Dense layer.",
        )
    names = [getattr(a, "__name__", str(a)) for a in (last.activation, activation)]
    others = [name for name in names if name != "linear"]
    if others not in ([], ["sigmoid"]):
        raise split_error(
            source,
            f"ends in {' and '.join(others)}",
            "Categories need one sigmoid each, or no activation.",
        )
    return last, bool(others)


def _has_channels_last(model: Any) -> bool:
    if len(model.inputs[0].shape) <= 2:  # no images
        return False
    layers = model._flatten_layers()
    return all(getattr(item, "data_format", "") != "channels_first" for item in layers)


def _example(model: Any, *, channels_last: bool) -> Tensor:
    sizes = [_ANY_SIZE if size is None else size for size in model.inputs[0].shape[1:]]
    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand((3, *sizes), generator=generator)
    return torch.movedim(inputs, -1, 1).contiguous() if channels_last else inputs


def _exported(backbone: nn.Module, inputs: Tensor, source: str) -> nn.Module:
    rows = {0: torch.export.Dim.DYNAMIC}
    try:
        program = torch.export.export(
            backbone, (inputs,), dynamic_shapes=(rows,), strict=False
        )
    except Exception as error:  # layers raise errors of any type
        raise split_error(
            source,
            f"cannot be exported by torch for any number of rows ({first_line(error)})",
            "Rebuild it in torch, and load its weights there.",
        ) from error
    return backbone_of(program.module())


def _compare(
    network: nn.Module, original: nn.Module, inputs: Tensor, has_sigmoid: bool
) -> None:
    for some in (inputs, inputs[:1]):
        got = network(some)
        got = torch.sigmoid(got) if has_sigmoid else got
        expected = original(some)
        room = _TOLERANCE * max(1.0, float(expected.abs().max()))
        if got.shape != expected.shape or not (got - expected).abs().max() <= room:
            raise ArithmeticError(
                "The network gives other numbers than the Keras model, on "
                f"{len(some)} random rows. Rebuild it in torch, and load its weights "
                "there."
            )
