"""The authors' own package, mlcpl, without its data loaders and its prints."""

import contextlib
import functools
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn


@functools.cache
def import_mlcpl() -> Any:
    """Import ``mlcpl.cft``, with its ``CFT``, ``GAForLinear`` and ``BP``."""
    return import_part("cft")


def import_part(name: str) -> Any:
    """Import one module of mlcpl; ``losses`` and ``pseudo_labeling`` need torch only.

    ``import mlcpl`` would also import its data loaders, which need packages that these
    do not; so the package is entered without its ``__init__``.
    """
    _enter_mlcpl()
    return importlib.import_module(f"mlcpl.{name}")


@functools.cache
def _enter_mlcpl() -> None:
    spec = importlib.util.find_spec("mlcpl")
    if spec is None:
        raise ImportError("mlcpl is not installed")
    sys.modules["mlcpl"] = importlib.util.module_from_spec(spec)


def linear(row: NDArray[np.float64], bias: float) -> nn.Linear:
    layer = nn.Linear(len(row), 1)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(row)[None])
        layer.bias.fill_(bias)
    return layer


def tensor(array: NDArray[Any]) -> torch.Tensor:
    return torch.from_numpy(np.asarray(array, dtype=np.float32))


@contextlib.contextmanager
def discarded_prints() -> Iterator[None]:
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield
