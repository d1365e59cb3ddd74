"""What other packages need around them: optional imports, private names, workers."""

import importlib
import multiprocessing
import os
import threading
import time
from functools import cache
from numbers import Integral
from types import ModuleType

from sklearn.metrics._scorer import _Scorer as Scorer
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    StrOptions,
    make_constraint,
    validate_params,
)
from sklearn.utils.metaestimators import _BaseComposition as BaseComposition
from sklearn.utils.validation import _check_feature_names_in as check_feature_names_in

__all__ = [
    "N_JOBS",
    "BaseComposition",
    "HasMethods",
    "Interval",
    "Scorer",
    "StrOptions",
    "check_feature_names_in",
    "end_with_parent",
    "import_optional",
    "make_constraint",
    "validate_params",
]

_LOOK_SECONDS = 1.0  # between two looks at the parent


# The parameter `n_jobs`: joblib knows no 0, and fails on more than a C int holds.
N_JOBS = [
    Interval(Integral, None, -1, closed="right"),
    Interval(Integral, 1, 1024, closed="both"),
    None,
]


def import_optional(module: str, *, feature: str, extra: str) -> ModuleType:
    """Import a package that only some features need.

    Parameters
    ----------
    module : str
        Dotted name of the module, for example ``"matplotlib.pyplot"``.
    feature : str
        What the user asked for, as it should read in the error.
    extra : str
        The extra of cftlearn that installs the package.

    Returns
    -------
    module : module
        The imported module.

    Raises
    ------
    ImportError
        If the package is not installed; the message names the extra.
    """
    package = module.split(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != package:
            raise  # installed, but one of its own imports is missing
        raise ImportError(
            f"{feature} needs {package}, which is not installed. "
            f'Install it with: pip install "cftlearn[{extra}]".'
        ) from error


@cache
def end_with_parent() -> None:
    """End this process soon after the one that started it, if that was killed.

    joblib's own processes (loky) would wait for it, and keep their memory. Called in
    such a process, this starts a thread that looks once a second whether the parent is
    there; called again, or in any other process, it does nothing. On Windows a process
    cannot see that its parent has gone.
    """
    parent = multiprocessing.parent_process()
    kind = type(multiprocessing.current_process()).__module__
    if parent is None or not kind.startswith("joblib.") or os.name != "posix":
        return
    threading.Thread(
        target=_end_without, args=(parent.pid,), name="end-with-parent", daemon=True
    ).start()


def _end_without(parent: int | None) -> None:
    """Wait until the parent is another process, and end this one."""
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    os._exit(1)
