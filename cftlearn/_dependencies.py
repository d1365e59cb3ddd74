"""The one place for optional imports and for scikit-learn's private names."""

import importlib
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
    "import_optional",
    "make_constraint",
    "validate_params",
]


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
