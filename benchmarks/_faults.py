"""Stop a fit at some line of cftlearn, and compare what it leaves with what was."""

import copy
import random
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_info

import cftlearn

PACKAGE = str(Path(cftlearn.__file__).parent)
# Blocks that restore something: a second interrupt in them cannot be undone.
_RESTORING = (
    "evaluating_on",
    "one_thread",
    "one_torch_thread",
    "unchanged_by_errors",
)


class LineCounter:
    """Counts lines of cftlearn that run, and raises an error at one of them.

    Parameters
    ----------
    stop_at : int or None
        Number of the line; None counts all.
    error : type
        What to raise.
    """

    def __init__(self, stop_at: int | None = None, error: Any = KeyboardInterrupt):
        self.n_lines, self.stop_at, self.error = 0, stop_at, error
        self.where = ""

    def __call__(self, frame: FrameType, event: str, _: Any) -> Any:
        """Trace frames of the package alone."""
        code = frame.f_code
        if not code.co_filename.startswith(PACKAGE) or code.co_name in _RESTORING:
            return None
        if event == "line":
            self.n_lines += 1
            if self.n_lines == self.stop_at:
                self.where = f"{code.co_filename[len(PACKAGE) :]}:{frame.f_lineno}"
                raise self.error("injected")
        return self

    def run(self, work: Callable[[], Any]) -> BaseException | None:
        """Run something under this trace; return what it raised."""
        before = sys.gettrace()
        sys.settrace(self)
        try:
            work()
        except BaseException as error:
            return error
        finally:
            sys.settrace(before)
        return None


def snapshot(estimator: Any) -> dict[str, Any]:
    """Copy the attributes of an estimator, and global states."""
    return {"attributes": copy.deepcopy(vars(estimator)), "globals": global_states()}


def global_states() -> dict[str, Any]:
    """Collect what belongs to the process, and a fit must leave as it was."""
    return {
        "torch": torch.get_rng_state().numpy().copy(),
        "numpy": np.random.get_state(),
        "python": random.getstate(),
        "torch threads": torch.get_num_threads(),
        "threads": sorted((i["filepath"], i["num_threads"]) for i in threadpool_info()),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "gradients": torch.is_grad_enabled(),
        "floats": np.geterr(),
        "warnings": list(warnings.filters),
    }


def differences(one: Any, other: Any, path: str = "") -> list[str]:
    """List where two values differ, through containers and objects."""
    if type(one) is not type(other):
        return [f"{path}: {type(one).__name__} and {type(other).__name__}"]
    if isinstance(one, (torch.Tensor, np.ndarray)):
        return [] if _are_same_arrays(one, other) else [path]
    if isinstance(one, dict):
        if one.keys() != other.keys():
            return [f"{path}: keys {sorted(map(str, one.keys() ^ other.keys()))}"]
        return [d for k in one for d in differences(one[k], other[k], f"{path}/{k}")]
    if isinstance(one, (list, tuple)):
        if len(one) != len(other):
            return [f"{path}: {len(one)} and {len(other)} items"]
        pairs = enumerate(zip(one, other, strict=True))
        return [d for i, (a, b) in pairs for d in differences(a, b, f"{path}/{i}")]
    if callable(one) and not isinstance(one, torch.nn.Module):
        return []  # a copy of a function is itself
    if hasattr(one, "__dict__"):
        return differences(vars(one), vars(other), path)
    is_nan = isinstance(one, float) and np.isnan([one, other]).all()
    return [] if one == other or is_nan else [f"{path}: {one!r} and {other!r}"]


def _are_same_arrays(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if one.dtype == object:
        return bool(one.tolist() == other.tolist())
    return bool(one.tobytes() == other.tobytes())
