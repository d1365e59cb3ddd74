"""Parameters that a model file says an estimator has, checked by its own rules."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cftlearn.calibration import CategoryCalibrator
from cftlearn.calibration._thresholds import check_threshold
from cftlearn.classifier import CFTClassifier
from cftlearn.ensemble import CFTEnsemble
from cftlearn.exceptions import first_line
from cftlearn.fine_tuning import CategoryWiseFineTuner
from cftlearn.fine_tuning._solver_names import make_solvers
from cftlearn.images import ImageTransform
from cftlearn.persistence._faults import Fault, broken
from cftlearn.solvers import ProximalSolver
from cftlearn.training import LogicMix, NetworkTrainer, PartialMixUp, PseudoLabels
from cftlearn.training._mixing import check_mix
from cftlearn.training._pseudo_labels import check_pseudo_labels

Params = dict[str, Any]

_TRANSFORMS = ("augment", "input_transform")  # that may be an ImageTransform


def make_estimator(cls: type, params: Params, prefix: str) -> Any:
    """Build an estimator whose parameters are valid.

    Parameters
    ----------
    cls : type
        Its class, one that is saved.
    params : dict
        Some or all of its parameters.
    prefix : str
        What the names of its parameters begin with.

    Returns
    -------
    estimator : estimator
        Not fitted.

    Raises
    ------
    Fault
        If a parameter is unknown, or out of its range.
    """
    if cls is ImageTransform:
        try:
            return ImageTransform.from_params(params)
        except (TypeError, ValueError) as error:
            raise _invalid(prefix, error) from None
    unexpected = set(params) - set(cls._get_param_names())  # type: ignore[attr-defined]
    if unexpected:
        rule = f"hold parameters of {cls.__name__}"
        raise broken(f"{prefix}params", rule, min(unexpected))
    estimator: Any = cls(**params)
    for name, value in params.items():
        _check_types(estimator, name, value, f"{prefix}{name}")
    try:
        estimator._validate_params()
        _FURTHER.get(cls, _nothing)(estimator)
    except (TypeError, ValueError) as error:
        raise _invalid(prefix, error) from None
    return estimator


def as_numbers(value: Any, name: str) -> NDArray[np.float64]:
    """Convert a list or an array to numbers.

    Parameters
    ----------
    value : object
        What a parameter is.
    name : str
        Its name, for the error.

    Returns
    -------
    numbers : ndarray, float64
        The same.

    Raises
    ------
    ValueError
        If it holds anything else.
    """
    array = np.asarray(value) if _is_regular(value) else np.empty(0, dtype=object)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"`{name}` must hold numbers; got others.")
    return array.astype(np.float64)


def _check_types(estimator: Any, name: str, value: Any, place: str) -> None:
    """Refuse what scikit-learn's constraints let pass and nobody would write."""
    constraints = estimator._parameter_constraints[name]
    takes_bool = {"boolean", "verbose"} & {c for c in constraints if type(c) is str}
    if isinstance(value, bool) and not takes_bool:
        raise broken(place, "be no truth value", value)
    if isinstance(value, ImageTransform) and name not in _TRANSFORMS:
        raise broken(place, "be no ImageTransform", value)


def _is_regular(value: Any) -> bool:
    """Check whether a list is one of numbers, or of equally long lists of them."""
    if isinstance(value, np.ndarray):
        return True
    if not isinstance(value, (list, tuple)):
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    lengths = {len(v) if isinstance(v, (list, tuple)) else -1 for v in value}
    return len(lengths) < 2 and all(map(_is_regular, value))


def _check_classifier(model: CFTClassifier) -> None:
    _check_probabilities(model.threshold)
    if not all(isinstance(layer, str) for layer in model.layers or ()):
        raise ValueError("`layers` must hold names; got others.")
    if isinstance(model.calibration, CategoryCalibrator):
        _check_calibrator(model.calibration)


def _check_ensemble(model: CFTEnsemble) -> None:
    _check_probabilities(model.threshold)
    if model.weights is not None and not isinstance(model.weights, str):
        _check_finite(model.weights, "weights")


def _check_fine_tuner(tuner: CategoryWiseFineTuner) -> None:
    if not isinstance(tuner.solver, str):
        make_solvers(tuner.solver, "cpu")
    for name in ("coef_init", "intercept_init"):
        if getattr(tuner, name) is not None:
            _check_finite(getattr(tuner, name), name)


def _check_calibrator(calibrator: CategoryCalibrator) -> None:
    if calibrator.prevalence is None:
        return
    values = as_numbers(calibrator.prevalence, "prevalence")
    if ((values <= 0) | (values >= 1)).any():  # NaN is unknown
        raise ValueError("`prevalence` must lie in (0, 1); got others.")


def _check_trainer(trainer: NetworkTrainer) -> None:
    if trainer.pos_weight is None or isinstance(trainer.pos_weight, str):
        return
    if (_check_finite(trainer.pos_weight, "pos_weight") <= 0).any():
        raise ValueError("`pos_weight` must be above 0; got less.")


def _check_proximal(solver: ProximalSolver) -> None:
    for name in ("spreads", "unknown_weights"):
        as_numbers(getattr(solver, name), name)
    for name in ("scalings", "toward"):
        if not all(isinstance(item, str) for item in getattr(solver, name)):
            raise ValueError(f"`{name}` must hold names; got others.")
    solver.check_parameters()


def _check_probabilities(threshold: Any) -> None:
    values = _check_finite(threshold, "threshold")
    if values.ndim > 1:
        raise ValueError(f"`threshold` must be one or a list; got {values.ndim} axes.")
    check_threshold(values, [str(j) for j in range(values.size)])


def _check_finite(value: Any, name: str) -> NDArray[np.float64]:
    values = as_numbers(value, name)
    if not values.size or not np.isfinite(values).all():
        raise ValueError(f"`{name}` must hold finite numbers, at least one.")
    return values


def _nothing(_: Any) -> None:
    pass


_FURTHER: dict[type, Callable[[Any], None]] = {
    CFTClassifier: _check_classifier,
    CFTEnsemble: _check_ensemble,
    CategoryCalibrator: _check_calibrator,
    CategoryWiseFineTuner: _check_fine_tuner,
    LogicMix: check_mix,
    NetworkTrainer: _check_trainer,
    PartialMixUp: check_mix,
    ProximalSolver: _check_proximal,
    PseudoLabels: check_pseudo_labels,
}


def _invalid(prefix: str, error: Exception) -> Fault:
    reason = first_line(error).rstrip(".")
    return Fault(f"`{prefix}params` in model.json must be valid: {reason:.300}")
