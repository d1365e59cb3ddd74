"""What a model file says of an estimator, and the estimator again."""

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import Bunch

from cftlearn.calibration import CategoryCalibrator
from cftlearn.classifier import CFTClassifier
from cftlearn.ensemble import CFTEnsemble
from cftlearn.fine_tuning import CategoryWiseFineTuner
from cftlearn.images import ImageTransform
from cftlearn.networks import Architecture
from cftlearn.persistence._calibrators import put_together, take_apart
from cftlearn.solvers import GeneticSolver, GradientSolver, ProximalSolver
from cftlearn.training import NetworkTrainer

if TYPE_CHECKING:
    pass


Arrays = dict[str, NDArray[Any]]


_CLASSES: dict[str, type] = {
    cls.__name__: cls
    for cls in (
        CFTClassifier,
        CFTEnsemble,
        CategoryCalibrator,
        CategoryWiseFineTuner,
        GeneticSolver,
        GradientSolver,
        ImageTransform,
        NetworkTrainer,
        ProximalSolver,
    )
}


_ROWS = ("coef_", "intercept_", "coef_init_", "intercept_init_")


_TABLES = ("categories_", "classes_", "feature_names_in_")  # names and classes


_UNDEFINED = ("score_before", "score_after")  # NaN in a report, null in JSON


_CHOSEN_BY = ("score_best", "score")


def described(estimator: BaseEstimator, prefix: str, arrays: Arrays) -> dict[str, Any]:
    """Describe an estimator by its parameters and what it has learned."""
    document: dict[str, Any] = {
        "class": type(estimator).__name__,
        "params": {
            name: encoded(value, f"{prefix}{name}", arrays)
            for name, value in estimator.get_params(deep=False).items()
            if name not in ("module", "estimators", "fabric")
        },
    }
    for name in _TABLES:
        if hasattr(estimator, name):
            table = np.asarray(getattr(estimator, name))
            document[name] = {"dtype": table.dtype.str, "values": table.tolist()}
    if hasattr(estimator, "n_features_in_"):
        document["n_features_in_"] = int(estimator.n_features_in_)
    if isinstance(estimator, CategoryWiseFineTuner) and hasattr(estimator, "coef_"):
        arrays |= {f"{prefix}{name}": getattr(estimator, name) for name in _ROWS}
        document["per_category"] = estimator._per_category
        document["report_"] = _without_nan(estimator.report_)
    document |= take_apart(estimator, prefix, arrays)
    if isinstance(estimator, CFTEnsemble):
        arrays[f"{prefix}weights_"] = estimator.weights_
        if estimator.reference_ is not None:
            arrays[f"{prefix}reference_"] = estimator.reference_
        document["members"] = list(estimator.named_estimators_)
        document["choices"] = _without_nan(estimator.report_)
    if isinstance(estimator, CFTClassifier):
        document["head_"] = estimator.head_
        document["input_shape"] = list(estimator._input_shape or ())
        if isinstance(estimator.module, Architecture):
            document["architecture"] = estimator.module.describe()
        tuner = estimator.fine_tuner_
        document["fine_tuner_"] = described(tuner, f"{prefix}fine_tuner_.", arrays)
        document["calibrator_"] = encoded(
            estimator.calibrator_, f"{prefix}calibrator_", arrays
        )
    return document


def _without_nan(report: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {key: None if value != value else value for key, value in line.items()}
        for line in report
    ]


def encoded(value: Any, name: str, arrays: Arrays) -> Any:
    """Write a parameter as JSON, its arrays aside."""
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and np.isnan(value):
        value = np.array(value)  # of which JSON has no word
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        arrays[name] = value
        return {"array": name}
    if isinstance(value, (list, tuple)):
        items = [encoded(v, f"{name}.{i}", arrays) for i, v in enumerate(value)]
        return {"tuple": items} if isinstance(value, tuple) else items
    if isinstance(value, ImageTransform):
        return {"class": type(value).__name__, "params": value.get_params()}
    if _CLASSES.get(type(value).__name__) is type(value):
        return described(value, f"{name}.", arrays)
    remedy = (
        "Pass a cftlearn.images.ImageTransform; or save with input_transform=None, and "
        "set it again with set_params after loading."
        if name == "input_transform"
        else "Set another value with set_params before saving (predictions do not "
        "depend on it), or use pickle."
    )
    raise TypeError(
        f"The parameter `{name}` must be text, a number, an array or an estimator of "
        f"cftlearn to be saved; got {type(value).__name__}. {remedy}"
    )


def rebuilt(document: dict[str, Any], prefix: str, arrays: Arrays) -> Any:
    """Make the estimator that a document describes."""
    params = {
        k: decoded(v, arrays, f"{prefix}{k}") for k, v in document["params"].items()
    }
    estimator = _CLASSES[document["class"]](**params)
    for name in _TABLES:
        if name in document:
            table = document[name]
            values = np.array(table["values"], dtype=np.dtype(table["dtype"]))
            setattr(estimator, name, values)
    if "n_features_in_" in document:
        estimator.n_features_in_ = document["n_features_in_"]
    if "report_" in document:
        for name in _ROWS:
            setattr(estimator, name, arrays[f"{prefix}{name}"])
        estimator.report_ = [
            line | {key: np.nan for key in _UNDEFINED if line[key] is None}
            for line in document["report_"]
        ]
        estimator.history_ = []
        estimator._per_category = document.get("per_category", False)
    put_together(estimator, document, prefix, arrays)
    if "members" in document:
        estimator.weights_ = arrays[f"{prefix}weights_"]
        estimator.reference_ = arrays.get(f"{prefix}reference_")
        estimator.report_ = [
            line | {key: np.nan for key in _CHOSEN_BY if line[key] is None}
            for line in document["choices"]
        ]
        estimator.named_estimators_ = Bunch(**dict.fromkeys(document["members"]))
    if "fine_tuner_" in document:
        tuner = rebuilt(document["fine_tuner_"], f"{prefix}fine_tuner_.", arrays)
        estimator.fine_tuner_ = tuner
        estimator.coef_, estimator.intercept_ = tuner.coef_, tuner.intercept_
        estimator.report_, estimator.history_ = tuner.report_, []
        calibrator = document.get("calibrator_")
        estimator.calibrator_ = decoded(calibrator, arrays, f"{prefix}calibrator_")
        estimator.head_, estimator.module_ = document["head_"], None
        has_network = estimator.head_ is not None
        estimator._input_shape = tuple(document["input_shape"]) if has_network else None
    return estimator


def decoded(value: Any, arrays: Arrays, name: str) -> Any:
    if isinstance(value, list):
        return [decoded(v, arrays, f"{name}.{i}") for i, v in enumerate(value)]
    if not isinstance(value, dict):
        return value
    if "tuple" in value:
        return tuple(decoded(value["tuple"], arrays, name))
    if "array" in value:
        return arrays[value["array"]]
    return rebuilt(value, f"{name}.", arrays)
