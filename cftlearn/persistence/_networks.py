"""Networks of saved models: made, and filled with the weights of the folder."""

import copy
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from cftlearn.networks._heads import head_weights
from cftlearn.networks._joined import rebuild_joined
from cftlearn.persistence._faults import Fault, shown
from cftlearn.persistence._network_file import NETWORK


def join_copies(
    structure: dict[str, Any] | None,
    make: Callable[[], nn.Module],
    state: Mapping[str, Any],
) -> nn.Module:
    """Make a network, or join copies of it as the folder says.

    Parameters
    ----------
    structure : dict or None
        How they are joined; its sizes have been checked.
    make : callable
        Makes the network of the caller, whose errors are not the folder's.
    state : mapping of str to Tensor
        The weights, which say how many copies there are.

    Returns
    -------
    network : nn.Module
        With weights that do not matter.

    Raises
    ------
    Fault
        If the description and the weights do not fit each other.
    ValueError
        If the network has no such layers.
    """
    if structure is None:
        return make()
    numbers = {key.split(".")[1] for key in state if key.startswith("parts.")}
    n_parts = len(structure["parts"])
    if numbers != {str(i) for i in range(n_parts)}:
        raise Fault(
            f"{NETWORK} must hold {n_parts} networks, as model.json says; got those of "
            f"{shown(sorted(numbers))}"
        )
    first = make()
    try:
        return rebuild_joined(structure, partial(copy.deepcopy, first))
    except AttributeError as error:
        raise _unfit(error) from error


def check_architecture(make: Callable[[], nn.Module], state: Mapping[str, Any]) -> None:
    """Check, without memory for it, that a network has the weights of the folder.

    Parameters
    ----------
    make : callable
        Builds the network that the folder names.
    state : mapping of str to Tensor
        The weights.

    Raises
    ------
    Fault
        If it would have others, such as those of an option that makes it huge.
    """
    try:
        with torch.device("meta"):
            own = make().state_dict()
    except (NotImplementedError, RuntimeError):
        return  # it computes while it is made, and must be made to be known
    for name in own | dict(state):
        shapes = [getattr(each.get(name), "shape", None) for each in (own, state)]
        if shapes[0] != shapes[1]:
            raise Fault(
                "`architecture` in model.json must be that of the weights; "
                f"`{name:.60}` would have shape {shown(shapes[0])}, and has "
                f"{shown(shapes[1])}"
            )


def fill_network(network: nn.Module, state: Mapping[str, Any], model: Any) -> None:
    """Load a state dict into a network.

    Parameters
    ----------
    network : nn.Module
        Is changed in place.
    state : mapping of str to Tensor
        Of a network of the same architecture.
    model : CFTClassifier
        Whose network it is, with its weights and the name of its layer.

    Raises
    ------
    Fault
        If weights are not finite, or those of the classification layer do not fit the
        categories.
    ValueError
        If the network has another architecture.
    """
    own = network.state_dict()
    for name, value in own.items():
        _check_kind(name, value, state.get(name))
    try:
        network.load_state_dict(state)
    except (RuntimeError, TypeError) as error:
        raise _unfit(error) from error
    for name, parameter in network.named_parameters():
        if not torch.isfinite(parameter.detach()).all():
            raise Fault(f"`{name}` in {NETWORK} must be finite; it is not")
    try:
        coef, _ = head_weights(network, model.head_)
    except AttributeError as error:
        raise _unfit(error) from error
    if coef.shape != model.coef_.shape:
        raise Fault(
            f"`{model.head_}` in {NETWORK} must have shape {model.coef_.shape}, as the "
            f"weights after the refits; got {coef.shape}"
        )


def _check_kind(name: str, own: Any, saved: Any) -> None:
    """Refuse integers where a network computes with real numbers, and the reverse."""
    if not isinstance(own, Tensor) or saved is None:
        return
    if not isinstance(saved, Tensor):
        raise Fault(f"`{name:.60}` in {NETWORK} must be a tensor; got {shown(saved)}")
    if saved.is_floating_point() != own.is_floating_point():
        raise Fault(
            f"`{name:.60}` in {NETWORK} must hold {_word(own)}; got {_word(saved)}"
        )


def _word(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _unfit(error: Exception) -> ValueError:
    return ValueError(
        "`module` must have the architecture of the saved network; "
        f"{str(error).splitlines()[-1].strip()}"
    )
