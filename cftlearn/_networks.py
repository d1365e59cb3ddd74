"""Split a network into backbone and classification layer, and put it together again."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cftlearn._heads import check_head_inputs


def copy_or_make(module: Any, seed: int) -> nn.Module:
    """Give a network that is ours to change, with seeded initial weights.

    Parameters
    ----------
    module : nn.Module or callable
        A module, which is copied, or a class or function that makes one.
    seed : int
        Seed of torch's generator while a factory runs.

    Raises
    ------
    TypeError
        If it is neither, or the factory makes no module.
    """
    if isinstance(module, nn.Module):
        return copy.deepcopy(module)
    if not callable(module):
        raise TypeError(
            "`module` must be a torch.nn.Module or a callable that makes one; got "
            f"{type(module).__name__}."
        )
    with seeded_torch(seed):
        try:
            made = module()
        except TypeError as error:
            raise TypeError(
                f"A callable `module` must make a network without arguments; {error}. "
                "Bind them first: module=lambda: Network(...)."
            ) from error
    if not isinstance(made, nn.Module):
        raise TypeError(
            "A callable `module` must return a torch.nn.Module; got "
            f"{type(made).__name__}."
        )
    return made


@contextmanager
def seeded_torch(seed: int) -> Iterator[None]:
    """Seed torch's global generators, and restore them afterwards."""
    devices = range(torch.cuda.device_count()) or None  # named, or torch warns
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        yield


def extract_features(
    module: nn.Module,
    head: str,
    X: NDArray[Any],
    *,
    batch_size: int,
    device: str,
) -> NDArray[np.float32]:
    """Compute the inputs of the classification layer, in evaluation mode.

    Parameters
    ----------
    module : nn.Module
        The network; its mode and device are left as they were found.
    head : str
        Dotted name of the classification layer.
    X : ndarray of shape (n_samples, ...)
        Inputs of the network.
    batch_size : int
        Rows at a time.
    device : str
        Torch device.

    Returns
    -------
    Z : ndarray of shape (n_samples, n_features), float32
        Features; of shape (n_samples, n_categories, n_features) if the layer gives
        every category a vector of its own.

    Raises
    ------
    ValueError
        If the layer is not the last one of the forward pass, is not reached exactly
        once, sees anything but one vector per row, or is not linear; or features are
        not finite.
    """
    seen: list[tuple[Tensor, Tensor]] = []
    layer = module.get_submodule(head)
    hook = layer.register_forward_hook(
        lambda _, inputs, output: seen.append((inputs[0].detach(), output.detach()))
    )
    modes = [(part, part.training) for part in module.modules()]
    home = next(module.parameters()).device
    Z: NDArray[np.float32] | None = None
    try:
        module.to(device).eval()
        for start in range(0, len(X), batch_size):
            batch = to_tensor(X[start : start + batch_size], device)
            with torch.inference_mode():
                output = _forward(module, batch)
            _check_head_is_last(seen, output, head)
            check_head_inputs(layer, head, *seen[0], len(batch))
            features = seen.pop()[0].float().cpu().numpy()
            if Z is None:
                Z = np.empty((len(X), *features.shape[1:]), dtype=np.float32)
            Z[start : start + len(batch)] = features
    finally:
        hook.remove()
        for part, was_training in modes:
            part.training = was_training
        module.to(home)
    if Z is None:
        raise ValueError("`X` must hold at least one row; got none.")
    wrong = np.flatnonzero(~np.isfinite(Z.reshape(len(Z), -1)).all(axis=1))
    if len(wrong):
        raise ValueError(
            f"The network must give finite features; it gave NaN or infinity for "
            f"{len(wrong)} rows, the first is row {wrong[0]}. Check these inputs, or "
            "the network's weights."
        )
    return Z


def to_tensor(X: NDArray[Any], device: str) -> Tensor:
    """Hand a batch to torch; floats become float32."""
    tensor = torch.from_numpy(np.ascontiguousarray(X)).to(device)
    return tensor.float() if tensor.is_floating_point() else tensor


def _forward(module: nn.Module, batch: Tensor) -> Any:
    """Run a network; say what it was given if it fails."""
    try:
        return module(batch)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        raise ValueError(
            f"`module` must accept the rows of `X`; it failed on a batch of shape "
            f"{tuple(batch.shape)} and type {batch.dtype}: "
            f"{str(error).strip().splitlines()[0]} Check shape and type of `X`: "
            "channels first, and X.astype('float32') / 255 for images of bytes."
        ) from error


def _check_head_is_last(
    seen: list[tuple[Tensor, Tensor]], output: Any, head: str
) -> None:
    if len(seen) != 1:
        raise ValueError(
            f"The classification layer {head!r} must run once in a forward pass; it "
            f"ran {len(seen)} times. Name another layer with `head`."
        )
    logits = seen[0][1]
    if (
        not isinstance(output, Tensor)
        or output.shape != logits.shape
        or not torch.allclose(output, logits, rtol=0, atol=0, equal_nan=True)
    ):
        raise ValueError(
            f"The classification layer {head!r} must be the last step of the network, "
            "which must return its logits; the network returns "
            f"{_kind(output)}. Remove what follows it (a sigmoid, say), or name the "
            "last layer with `head`."
        )


def _kind(output: Any) -> str:
    if isinstance(output, Tensor):
        return f"another tensor, of shape {tuple(output.shape)}"
    return f"a {type(output).__name__}"
