"""Copy a network, or what a callable makes."""

import copy
from typing import Any

from torch import nn

from cftlearn._seeding import seeded_torch
from cftlearn.networks._precision import check_parameters


def copy_or_make(module: Any, seed: int) -> nn.Module:
    """Copy or make a network, so that the caller's module is not changed.

    Parameters
    ----------
    module : nn.Module or callable
        A module, or a class or function that makes one. What it makes is copied, too:
        it may return the same module every time.
    seed : int
        Seed of torch's generator while the callable runs.

    Returns
    -------
    network : nn.Module
        The copy.

    Raises
    ------
    TypeError
        If it is neither, or the callable needs arguments or returns no module.
    ValueError
        If its parameters have no values, or are sparse.
    """
    if isinstance(module, nn.Module):
        check_parameters(module)
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
    check_parameters(made)
    return copy.deepcopy(made)
