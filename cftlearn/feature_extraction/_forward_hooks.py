"""Run a network over batches of rows, and catch what a layer sees or gives."""

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cftlearn._inputs import Inputs, SkippedRow
from cftlearn.networks._heads import check_head_inputs


@dataclass(frozen=True)
class Tap:
    """Where features are taken.

    Attributes
    ----------
    layer : str
        Dotted name of a layer; empty for the network itself.
    side : {"input", "output"}
        What the layer sees, or what it gives. A layer of which the input is taken must
        be the last step of the network.
    parameter : str
        What errors call the choice of the layer.
    """

    layer: str
    side: Literal["input", "output"]
    parameter: str = "layer"


@dataclass(frozen=True)
class _Pass:
    """What a layer saw and gave in one run."""

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
        Takes image files that cannot be read; see :meth:`Inputs.batches`.

    Yields
    ------
    rows : ndarray of int
        Rows of the batch.
    features : ndarray of shape (n_rows, n_features), float32
        Their features; not yet checked to be finite.

    Raises
    ------
    ValueError
        If the network does not accept the rows, or the layer does not run once and
        give one vector per row.
    torch.OutOfMemoryError
        If a batch does not fit on the device.
    """
    passes: list[_Pass] = []
    precision = autocast(device) if amp else nullcontext()
    layer = module.get_submodule(tap.layer)
    hook = layer.register_forward_hook(
        lambda _, seen, output: passes.append(_Pass(seen, output))
    )
    try:
        with _evaluating_on(module, device):
            for rows, batch in inputs.batches(
                batches, num_workers=num_workers, skipped=skipped
            ):
                with torch.inference_mode(), precision:
                    output = _forward(module, batch, device)
                    found = _tapped(passes, output, tap, len(rows))
                if tap.side == "input" and not amp:  # half precision is no product
                    seen = passes[0]
                    check_head_inputs(layer, tap.layer, found, seen.output, len(rows))
                passes.clear()
                yield rows, found.float().cpu().numpy()
    finally:
        hook.remove()


def natural_tap(module: nn.Module, row: Inputs, device: str) -> Tap:
    """Find what the last step of a network sees, by a run on one row.

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
        The input of the last ``nn.Linear``, if its output is the network's; else the
        network's output, if an ``nn.Identity`` gives it or there is no ``nn.Linear``.

    Raises
    ------
    ValueError
        If neither is so.
    """
    layers = dict(module.named_modules())
    linear = [name for name, layer in layers.items() if isinstance(layer, nn.Linear)]
    if not linear:
        return Tap("", "output")
    blank = [name for name, layer in layers.items() if isinstance(layer, nn.Identity)]
    given: dict[str, Any] = {}
    hooks = [
        layers[name].register_forward_hook(
            lambda *run, name=name: given.update({name: run[2]})
        )
        for name in [linear[-1], *blank]
    ]
    try:
        with _evaluating_on(module, device), torch.inference_mode():
            _, batch = next(row.batches(row.in_order(1)))
            output = _forward(module, batch, device)
    finally:
        for hook in hooks:
            hook.remove()
    if _is_same(output, given.get(linear[-1])):
        return Tap(linear[-1], "input")
    if any(_is_same(output, given.get(name)) for name in blank):
        return Tap("", "output")
    raise ValueError(
        f"The last step of the network must be its last nn.Linear, {linear[-1]!r}, or "
        f"an nn.Identity in its place; the network returns {_kind(output)}. Name the "
        "layer whose output are the features with `layer`; layer='' takes what the "
        "network returns."
    )


def autocast(device: str) -> torch.autocast:
    """Compute in half precision: bfloat16, or float16 on GPUs that lack it."""
    kind = torch.device(device).type
    is_short = kind == "mps" or (kind == "cuda" and not torch.cuda.is_bf16_supported())
    return torch.autocast(kind, torch.float16 if is_short else torch.bfloat16)


def non_finite_error(wrong: NDArray[np.intp], inputs: Inputs) -> ValueError:
    """Name rows whose features are not finite."""
    return ValueError(
        f"The network must give finite features; it gave NaN or infinity for "
        f"{len(wrong)} rows, the first is {inputs.location(int(wrong[0]))}. Check "
        "these inputs, or the network's weights."
    )


@contextmanager
def _evaluating_on(module: nn.Module, device: str) -> Iterator[None]:
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


def _forward(module: nn.Module, batch: Tensor, device: str) -> Any:
    """Run a network; say what it was given if it fails."""
    try:
        return module(batch.to(device))
    except torch.OutOfMemoryError as error:
        raise torch.OutOfMemoryError(
            f"The network needs more memory than there is on {device} for batches of "
            f"{len(batch)} rows. Lower `batch_size`. ({_first_line(error)})"
        ) from error
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        raise ValueError(
            f"`module` must accept the rows of `X`; it failed on a batch of shape "
            f"{tuple(batch.shape)} and type {batch.dtype}: "
            f"{_first_line(error).rstrip('.')}. Check shape and type of `X`: channels "
            "first (one of them for a grey image), and X.astype('float32') / 255 for "
            "images of bytes."
        ) from error


def _tapped(passes: list[_Pass], output: Any, tap: Tap, n_rows: int) -> Tensor:
    if len(passes) != 1:
        raise ValueError(
            f"{_named(tap)} must run once in a forward pass; it ran {len(passes)} "
            f"times. Name another layer with `{tap.parameter}`."
        )
    seen = passes[0]
    if tap.side == "output":
        return _vectors(seen.output, tap, n_rows)
    features = seen.inputs[0]
    if tap.parameter != "head":
        features = _vectors(features, tap, n_rows)
    if not _is_same(output, seen.output):
        raise ValueError(
            f"{_named(tap)} must be the last step of the network, which must return "
            f"its logits; the network returns {_kind(output)}. Remove what follows it "
            f"(a sigmoid, say), or name the last layer with `{tap.parameter}`."
        )
    return features


def _vectors(found: Any, tap: Tap, n_rows: int) -> Tensor:
    """Check that there is one vector per row; axes of length one do not count."""
    verb = "see" if tap.side == "input" else "give"
    if not isinstance(found, Tensor):
        raise ValueError(
            f"{_named(tap)} must {verb} a tensor; it {verb}s a {type(found).__name__}. "
            f"Name another layer with `{tap.parameter}`."
        )
    axes = found.shape[1:]
    is_flat = len(axes) == 1 or (
        tap.side == "output" and max(axes, default=1) == (axes.numel())
    )
    if not is_flat or len(found) != n_rows:
        raise ValueError(
            f"{_named(tap)} must {verb} one vector per row; it {verb}s an array of "
            f"shape {tuple(found.shape)} for {n_rows} rows. Pool or flatten "
            f"{'before' if tap.side == 'input' else 'after'} it."
        )
    return found.reshape(n_rows, -1)


def _is_same(output: Any, given: Any) -> bool:
    """Tell whether a network's output is what one of its layers gave."""
    if not isinstance(output, Tensor) or not isinstance(given, Tensor):
        return False
    return output.shape == given.shape and torch.allclose(
        output, given, rtol=0, atol=0, equal_nan=True
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


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
