"""Run a network over batches of rows, and record a layer's input or output."""

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cftlearn._devices import autocast
from cftlearn._inputs import Inputs, SkippedRow
from cftlearn.exceptions import first_line
from cftlearn.networks._heads import check_head_inputs
from cftlearn.networks._precision import failure_of, other_precision


@dataclass(frozen=True)
class Tap:
    """Where features are taken.

    Attributes
    ----------
    layer : str
        Dotted name of a layer; empty for the network itself.
    side : {"input", "output"}
        The layer's input or its output. A layer whose input is taken must be the last
        step of the network.
    parameter : str
        The parameter that chose the layer, for errors.
    """

    layer: str
    side: Literal["input", "output"]
    parameter: str = "layer"


@dataclass(frozen=True)
class _Call:
    """The inputs and the output of a layer in one forward pass."""

    inputs: tuple[Any, ...]
    output: Any


def feature_batches(
    module: nn.Module,
    tap: Tap,
    inputs: Inputs,
    batches: Iterable[NDArray[np.intp]],
    *,
    device: str,
    num_workers: int = 0,
    amp: bool = False,
    skipped: list[SkippedRow] | None = None,
) -> Generator[tuple[NDArray[np.intp], NDArray[np.float32]], None, None]:
    """Compute features batch by batch, in evaluation mode.

    Parameters
    ----------
    module : nn.Module
        The network; its mode and device are left as they were found.
    tap : Tap
        Where features are taken.
    inputs : Inputs
        Rows.
    batches : iterable of ndarray of int
        Rows of every batch.
    device : str
        Torch device.
    num_workers : int, default=0
        Processes that read rows.
    amp : bool, default=False
        Compute in half precision where it is safe.
    skipped : list, default=None
        Rows whose image file cannot be read are appended; see :meth:`Inputs.batches`.

    Yields
    ------
    rows : ndarray of int
        Rows of the batch.
    features : ndarray of shape (n_rows, n_features), float32
        Their features; of shape (n_rows, n_categories, n_features) if the layer has a
        vector of its own for every category.

    Raises
    ------
    ValueError
        If the network does not accept the rows, the layer does not run once with one
        vector per row, or features are not finite.
    torch.OutOfMemoryError
        If a batch does not fit on the device.
    """
    calls: list[_Call] = []
    precision = autocast(device) if amp else nullcontext()
    layer = module.get_submodule(tap.layer)
    hook = layer.register_forward_hook(
        lambda _, arguments, output: calls.append(_Call(arguments, output))
    )
    try:
        with evaluating_on(module, device):
            for rows, batch in inputs.batches(
                batches, num_workers=num_workers, skipped=skipped
            ):
                with torch.inference_mode(), precision:
                    output = run_batch(module, batch, device)
                    tapped = _tapped(calls, output, tap, len(rows))
                if tap.side == "input" and not amp:  # too coarse to compare products
                    logits = calls[0].output
                    check_head_inputs(layer, tap.layer, tapped, logits, len(rows))
                calls.clear()
                features = tapped.float().cpu().numpy()
                _check_finite(features, rows, inputs)
                yield rows, features
    finally:
        hook.remove()


def natural_tap(module: nn.Module, row: Inputs, device: str) -> Tap:
    """Find the input of a network's last step, by a forward pass of one row.

    Parameters
    ----------
    module : nn.Module
        The network; its mode and device are left as they were found.
    row : Inputs
        One row.
    device : str
        Torch device.

    Returns
    -------
    tap : Tap
        The input of the last ``nn.Linear``, if its output is that of the network; else
        the network's output, if it is that of an ``nn.Identity`` or there is no
        ``nn.Linear``.

    Raises
    ------
    ValueError
        If the network ends in something else.
    """
    layers = dict(module.named_modules())
    linear = [name for name, layer in layers.items() if isinstance(layer, nn.Linear)]
    if not linear:
        return Tap("", "output")
    identities = [
        name for name, layer in layers.items() if isinstance(layer, nn.Identity)
    ]
    outputs: dict[str, Any] = {}
    hooks = [
        layers[name].register_forward_hook(
            lambda *call, name=name: outputs.update({name: call[2]})
        )
        for name in [linear[-1], *identities]
    ]
    try:
        with evaluating_on(module, device), torch.inference_mode():
            _, batch = next(row.batches(row.in_order(1)))
            output = run_batch(module, batch, device)
    finally:
        for hook in hooks:
            hook.remove()
    if _is_same(output, outputs.get(linear[-1])):
        return Tap(linear[-1], "input")
    if any(_is_same(output, outputs.get(name)) for name in identities):
        return Tap("", "output")
    raise ValueError(
        f"The last step of the network must be its last nn.Linear, {linear[-1]!r}, or "
        f"an nn.Identity in its place; the network returns {_kind(output)}. Name the "
        "layer whose output are the features with `layer`; layer='' takes what the "
        "network returns."
    )


@contextmanager
def evaluating_on(module: nn.Module, device: str) -> Iterator[None]:
    """Move a network to a device in evaluation mode, and back afterwards.

    Parameters
    ----------
    module : nn.Module
        The network.
    device : str
        Torch device.

    Yields
    ------
    None
        While the network is there.
    """
    # A frozen TorchScript module has no mode: it computes as in evaluation mode.
    modes = [(part, getattr(part, "training", False)) for part in module.modules()]
    tensors = chain(module.parameters(), module.buffers())
    home = next((tensor.device for tensor in tensors), torch.device("cpu"))
    try:
        module.to(device).eval()
        yield
    finally:
        for part, was_training in modes:
            part.training = was_training
        module.to(home)


def run_batch(module: nn.Module, batch: Tensor, device: str) -> Any:
    """Run a network on one batch; describe the batch if it fails.

    Parameters
    ----------
    module : nn.Module
        The network, on the device.
    batch : Tensor
        Its input.
    device : str
        Torch device.

    Returns
    -------
    output : object
        What the network returns.

    Raises
    ------
    ValueError
        If the network does not accept the batch.
    torch.OutOfMemoryError
        If the batch does not fit on the device.
    """
    try:
        return module(batch.to(device))
    except torch.OutOfMemoryError as error:
        raise torch.OutOfMemoryError(
            f"The network needs more memory than there is on {device} for batches of "
            f"{len(batch)} rows. Lower `batch_size`. ({first_line(error)})"
        ) from error
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        advice = ""
        if other_precision(module, batch) is None:
            advice = (
                " Check shape and type of `X`: channels first (one of them for a grey "
                "image), and X.astype('float32') / 255 for images of bytes."
            )
        raise ValueError(
            "`module` must accept the rows of `X`; "
            f"{failure_of(module, batch, error)}{advice}"
        ) from error


def _check_finite(
    features: NDArray[np.float32], rows: NDArray[np.intp], inputs: Inputs
) -> None:
    finite = np.isfinite(features.reshape(len(rows), -1)).all(axis=1)
    if not finite.all():
        wrong = rows[~finite]
        raise ValueError(
            f"The network must give finite features; it gave NaN or infinity for "
            f"{len(wrong)} of {len(rows)} rows of a batch, the first is "
            f"{inputs.location(int(wrong[0]))}. Check these inputs, or the network's "
            "weights."
        )


def _tapped(calls: list[_Call], output: Any, tap: Tap, n_rows: int) -> Tensor:
    """Check what the layer did in one forward pass, and return the features."""
    if len(calls) != 1:
        raise ValueError(
            f"{_named(tap)} must run once in a forward pass; it ran {len(calls)} "
            f"times. Name another layer with `{tap.parameter}`."
        )
    call = calls[0]
    if tap.side == "output":
        return _vectors(call.output, tap, n_rows)
    features = call.inputs[0]
    if tap.parameter != "head":  # `check_head_inputs` allows vectors per category
        features = _vectors(features, tap, n_rows)
    if not _is_same(output, call.output):
        raise ValueError(
            f"{_named(tap)} must be the last step of the network, which must return "
            f"its logits; the network returns {_kind(output)}. Remove what follows it "
            f"(a sigmoid, say), or name the last layer with `{tap.parameter}`."
        )
    return features


def _vectors(tensor: Any, tap: Tap, n_rows: int) -> Tensor:
    """Check that there is one vector per row; axes of length one do not count."""
    verb = "see" if tap.side == "input" else "give"
    if not isinstance(tensor, Tensor):
        raise ValueError(
            f"{_named(tap)} must {verb} a tensor; it {verb}s a "
            f"{type(tensor).__name__}. Name another layer with `{tap.parameter}`."
        )
    axes = tensor.shape[1:]
    is_flat = len(axes) == 1 or (
        tap.side == "output" and max(axes, default=1) == (axes.numel())
    )
    if not is_flat or len(tensor) != n_rows:
        raise ValueError(
            f"{_named(tap)} must {verb} one vector per row; it {verb}s an array of "
            f"shape {tuple(tensor.shape)} for {n_rows} rows. Pool or flatten "
            f"{'before' if tap.side == 'input' else 'after'} it."
        )
    return tensor.reshape(n_rows, -1)


def _is_same(output: Any, layer_output: Any) -> bool:
    """Return whether a network's output equals that of a layer, in any precision."""
    if not isinstance(output, Tensor) or not isinstance(layer_output, Tensor):
        return False
    return output.shape == layer_output.shape and torch.allclose(
        output, layer_output.to(output.dtype), rtol=0, atol=0, equal_nan=True
    )


def _named(tap: Tap) -> str:
    if not tap.layer and tap.side == "output":
        return "The network"
    kind = "classification layer" if tap.side == "input" else "layer"
    return f"The {kind} {tap.layer!r}"


def _kind(output: Any) -> str:
    if isinstance(output, Tensor):
        return f"another tensor, of shape {tuple(output.shape)}"
    return f"a {type(output).__name__}"
