"""What a model file says about an estimator, and the estimator that it describes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from cftlearn.calibration import CategoryCalibrator
from cftlearn.classifier import CFTClassifier
from cftlearn.ensemble import CFTEnsemble
from cftlearn.fine_tuning import CategoryWiseFineTuner
from cftlearn.images import ImageTransform
from cftlearn.labels._names import align_by_category
from cftlearn.labels._plain_arrays import read_numbers
from cftlearn.networks import Architecture
from cftlearn.persistence._array_file import StoredArrays
from cftlearn.persistence._checks import (
    check_calibrator,
    check_classifier,
    check_ensemble,
    check_fine_tuner,
    check_names,
    check_structure,
    read_architecture,
)
from cftlearn.persistence._faults import broken
from cftlearn.persistence._fields import (
    Array,
    Arrays,
    Count,
    Curves,
    Entry,
    Flag,
    Names,
    Plain,
    RefitReport,
    Report,
    Shape,
    Table,
    Text,
    as_plain,
)
from cftlearn.persistence._losses import NAMES as LOSSES
from cftlearn.persistence._losses import is_loss, make_loss
from cftlearn.persistence._parameters import make_estimator
from cftlearn.solvers import GeneticSolver, GradientSolver, ProximalSolver
from cftlearn.training import LogicMix, NetworkTrainer, PartialMixUp, PseudoLabels

STRUCTURE = "joined_network"  # which classifiers with a plain network have not


class _Nested(Plain):
    """An estimator in another one, or None."""

    def write(self, value: Any, entry: Entry) -> None:
        entry.values[self.name] = encode(
            value, f"{entry.prefix}{self.name}", entry.arrays, _categories(entry)
        )

    def read(self, entry: Entry) -> Any:
        value = entry.values.get(self.name)  # files older than calibration lack one
        if value is None:
            return None
        return rebuild(value, f"{entry.prefix}{self.name}.", entry.stored)


def _categories(entry: Entry) -> list[str] | None:
    table = entry.values.get("categories_")
    return None if table is None else table["values"]


class _Module(Plain):
    """The network that was passed, if it is an :class:`Architecture`."""

    def write(self, value: Any, entry: Entry) -> None:
        if isinstance(value, Architecture):
            entry.values[self.name] = value.describe()

    def read(self, entry: Entry) -> Architecture | None:
        described = entry.values.get(self.name)
        return None if described is None else read_architecture(described, entry)


class _Structure(Plain):
    """How the network is joined of copies of the one that was passed, if it is."""

    def write(self, value: Any, entry: Entry) -> None:
        if value is None:
            return
        from cftlearn.networks._joined import JoinedNetwork

        if isinstance(value, JoinedNetwork):
            entry.values[self.name] = value.describe()

    def read(self, entry: Entry) -> None:
        """Check it, and leave it to who reads the weights, which go into it."""
        if self.name in entry.values:
            check_structure(entry.values[self.name], entry)


def _complete_fine_tuner(tuner: CategoryWiseFineTuner) -> None:
    tuner.history_ = []


def _complete_classifier(model: CFTClassifier) -> None:
    """Set what a classifier shares with its fine-tuner, and what is not saved."""
    tuner = model.fine_tuner_
    model.coef_, model.intercept_ = tuner.coef_, tuner.intercept_
    model.report_, model.history_ = tuner.report_, []
    model.module_ = None


def _nothing_more(_: Any) -> None:
    pass


def _no_check(_: Any, place: str) -> None:
    pass


@dataclass(frozen=True)
class _Plan:
    """What is saved of a class of estimators.

    Attributes
    ----------
    learned : tuple of field
        Attributes of a fitted estimator, in the order in which they are written.
    evidence : str
        A name that is in the document of a fitted estimator only.
    not_saved : tuple of str
        Parameters that cannot be written.
    check : callable
        Compares what a fitted estimator has learned; gets the estimator and its place.
    complete : callable
        Sets what else a fitted estimator has.
    """

    learned: tuple[Plain, ...] = ()
    evidence: str = ""
    not_saved: tuple[str, ...] = ()
    check: Callable[[Any, str], None] = _no_check
    complete: Callable[[Any], None] = _nothing_more


_COUNTS = ("n_positive", "n_negative", "n_unknown")
_OUTCOME = ("status", "solver", "reason")
# Each is saved where an estimator has it, whether the rest is learned or not.
_ALWAYS: tuple[Plain, ...] = (
    Table("categories_"),
    Table("classes_"),
    Table("feature_names_in_"),
    Count("n_features_in_"),
)

_PLANS: dict[type, _Plan] = {
    CFTClassifier: _Plan(
        learned=(
            Text("head_"),
            _Structure("module_", key=STRUCTURE),
            Shape("input_shape_", key="input_shape"),
            _Module("module", key="architecture"),
            _Nested("fine_tuner_"),
            _Nested("calibrator_"),
        ),
        evidence="fine_tuner_",
        not_saved=("module",),
        check=check_classifier,
        complete=_complete_classifier,
    ),
    CategoryWiseFineTuner: _Plan(
        learned=(
            Array("coef_", axes=("categories", "features")),
            Array("intercept_", axes=("categories",)),
            Array("coef_init_", axes=("categories", "features")),
            Array("intercept_init_", axes=("categories",)),
            Flag("features_per_category_", key="per_category"),
            RefitReport(
                "report_",
                undefined=("n_held_out_positive", "n_held_out_negative"),
                needed=(*_COUNTS, "metric", "n_iter", *_OUTCOME),
            ),
        ),
        evidence="report_",
        check=check_fine_tuner,
        complete=_complete_fine_tuner,
    ),
    CategoryCalibrator: _Plan(
        learned=(
            Array("slope_", axes=("categories",)),
            Array("intercept_", axes=("categories",)),
            Array("shift_", axes=("categories",)),
            Report(
                "report_",
                key="calibrations",
                undefined=("slope", "intercept"),  # which an isotonic curve has not
                needed=("n_positive", "n_negative", "method", "reason", "shift"),
            ),
            Curves("curves_", report="calibrations"),  # reads the report again
        ),
        evidence="calibrations",
        check=check_calibrator,
    ),
    CFTEnsemble: _Plan(
        learned=(
            Names("named_estimators_", key="members"),
            Array("weights_", axes=("members", "categories")),
            Array(
                "reference_", axes=("members", "rows", "categories"), may_be_none=True
            ),
            Report(
                "report_",
                key="choices",
                undefined=("score_best", "score"),
                needed=(*_COUNTS, "members", "status"),
            ),
        ),
        evidence="members",
        check=check_ensemble,
        not_saved=("estimators",),
    ),
    NetworkTrainer: _Plan(not_saved=("fabric",)),
    GeneticSolver: _Plan(),
    GradientSolver: _Plan(),
    ImageTransform: _Plan(),
    LogicMix: _Plan(),
    PartialMixUp: _Plan(),
    ProximalSolver: _Plan(),
    PseudoLabels: _Plan(),
}
# Predictions depend on these; on no other parameter once a model is fitted.
_REMEDIES = {
    "input_transform": "Pass a cftlearn.images.ImageTransform; or save with "
    "input_transform=None, and set it again with set_params after loading.",
    "threshold": "Set a number, or a list with one number per category, with "
    "set_params before saving, or use pickle.",
}
_CLASSES = {cls.__name__: cls for cls in _PLANS}


def describe(
    estimator: BaseEstimator,
    prefix: str,
    arrays: Arrays,
    categories: Iterable[str] | None = None,
) -> dict[str, Any]:
    """Describe an estimator by its parameters and what it has learned.

    Parameters
    ----------
    estimator : estimator
        Of one of the classes that are saved; fitted or not.
    prefix : str
        What the names of its arrays begin with.
    arrays : dict of str to ndarray
        Gets the arrays of this estimator.
    categories : iterable of str, default=None
        Names of the categories, for an estimator that has not learned its own.

    Returns
    -------
    document : dict
        What JSON can hold.

    Raises
    ------
    TypeError, ValueError
        If a parameter cannot be written, or names other categories.
    """
    plan = _PLANS[type(estimator)]
    categories = getattr(estimator, "categories_", categories)
    names = {"weights": getattr(estimator, "named_estimators_", None)}
    document: dict[str, Any] = {
        "class": type(estimator).__name__,
        "params": {
            name: encode(value, f"{prefix}{name}", arrays, names.get(name, categories))
            for name, value in estimator.get_params(deep=False).items()
            if name not in plan.not_saved
        },
    }
    entry = Entry.to_write(document, arrays, prefix)
    fields = [field for field in _ALWAYS if hasattr(estimator, field.attribute)]
    if plan.learned and all(hasattr(estimator, f.attribute) for f in plan.learned):
        fields += plan.learned
    for field in fields:
        field.write(getattr(estimator, field.attribute), entry)
    return document


def rebuild(document: Any, prefix: str, stored: StoredArrays) -> Any:
    """Build the estimator that a document describes.

    Parameters
    ----------
    document : dict
        As :func:`describe` returned it.
    prefix : str
        What the names of its arrays begin with.
    stored : StoredArrays
        All arrays of the file.

    Returns
    -------
    estimator : estimator
        As it was when it was described, without its network and its members.

    Raises
    ------
    Fault
        If the document says anything that :func:`describe` would not write.
    """
    place = prefix.rstrip(".") or "model"
    if not isinstance(document, dict) or not {"class", "params"} <= set(document):
        raise broken(place, "hold a `class` and its `params`", document)
    name = document["class"]
    if not isinstance(name, str) or name not in (*_CLASSES, *LOSSES):
        raise broken(f"{prefix}class", f"be one of {', '.join(_CLASSES)}", name)
    make = _rebuild_loss if name in LOSSES else _rebuild_estimator
    return make(document, prefix, stored)


def _rebuild_estimator(
    document: dict[str, Any], prefix: str, stored: StoredArrays
) -> Any:
    place, name = prefix.rstrip(".") or "model", document["class"]
    cls = _CLASSES[name]
    estimator = make_estimator(cls, _read_params(document, prefix, stored), prefix)
    plan, entry = _PLANS[cls], Entry.to_read(document, stored, prefix)
    known = {field.name for field in (*_ALWAYS, *plan.learned) if field.in_document}
    unexpected = set(document) - known - {"class", "params"}
    if unexpected:
        raise broken(place, f"hold what a {name} has", min(unexpected))
    has_learned = is_fitted(document)
    if any(field.in_document and field.name in document for field in plan.learned):
        entry.value(plan.evidence)  # who has learned one thing has learned all
    fields = [field for field in _ALWAYS if field.name in document]
    if has_learned:
        for needed in ("categories_", "classes_"):
            entry.value(needed)
        fields += plan.learned
    for field in fields:
        setattr(estimator, field.attribute, field.read(entry))
    if fields:
        check_names(estimator, prefix)
    if has_learned:
        plan.check(estimator, prefix)
        plan.complete(estimator)
    return estimator


def _rebuild_loss(document: dict[str, Any], prefix: str, stored: StoredArrays) -> Any:
    name = document["class"]
    unexpected = set(document) - {"class", "params"}
    if unexpected:
        raise broken(prefix.rstrip("."), f"hold what a {name} has", min(unexpected))
    return make_loss(name, _read_params(document, prefix, stored), prefix)


def is_fitted(document: dict[str, Any]) -> bool:
    """Check whether a document describes a fitted model.

    Parameters
    ----------
    document : dict
        That :func:`rebuild` has read.

    Returns
    -------
    is_fitted : bool
        False for parameters alone, and for what is no model.
    """
    plan = _PLANS[_CLASSES[document["class"]]]
    return bool(plan.evidence) and plan.evidence in document


def _read_params(
    document: dict[str, Any], prefix: str, stored: StoredArrays
) -> dict[str, Any]:
    params = document["params"]
    if not isinstance(params, dict):
        raise broken(f"{prefix}params", "be an object", params)
    return {
        name: decode(value, f"{prefix}{name}", stored) for name, value in params.items()
    }


def encode(
    value: Any, name: str, arrays: Arrays, categories: Iterable[str] | None
) -> Any:
    """Write a parameter as JSON, and its arrays beside it.

    Parameters
    ----------
    value : object
        The parameter.
    name : str
        What it is called, with the names of the estimators around it.
    arrays : dict of str to ndarray
        Gets the arrays.
    categories : iterable of str or None
        In whose order a pandas Series or frame is written, by its labels.

    Returns
    -------
    encoded : object
        What JSON can hold.

    Raises
    ------
    TypeError, ValueError
        If the value cannot be written, or its labels are other names.
    """
    value = as_plain(_without_labels(value, name, categories))
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        arrays[name] = value
        return {"array": name}
    if isinstance(value, (list, tuple)):
        items = [encode(v, f"{name}.{i}", arrays, None) for i, v in enumerate(value)]
        return {"tuple": items} if isinstance(value, tuple) else items
    if is_loss(value):
        params = {
            own: encode(part, f"{name}.{own}", arrays, None)
            for own, part in value.parameters_given().items()
        }
        return {"class": type(value).__name__, "params": params}
    if isinstance(value, ImageTransform):  # its tuples may be lists afterwards
        return {"class": type(value).__name__, "params": value.get_params()}
    if type(value) in _PLANS:
        return describe(value, f"{name}.", arrays, categories)
    remedy = _REMEDIES.get(
        name,
        "Set another value with set_params before saving (predictions do not depend "
        "on it), or use pickle.",
    )
    raise TypeError(
        f"The parameter `{name}` must be text, a number, an array or an estimator of "
        f"cftlearn to be saved; got {type(value).__name__}. {remedy}"
    )


def _without_labels(value: Any, name: str, categories: Iterable[str] | None) -> Any:
    """Return numbers with labels as lists, in the order of the categories.

    So are numbers that are neither a list nor an array of numpy, such as a tensor.
    JSON has no NaN: with one they are an array.
    """
    if isinstance(value, (np.ndarray, np.generic)) or not hasattr(value, "__array__"):
        return value
    names = [] if categories is None else list(categories)
    numbers = read_numbers(align_by_category(value, names, name), name)
    return numbers.tolist() if np.isfinite(numbers).all() else numbers


def decode(value: Any, name: str, stored: StoredArrays) -> Any:
    """Return the parameter that :func:`encode` wrote.

    Parameters
    ----------
    value : object
        What JSON holds.
    name : str
        What the parameter is called.
    stored : StoredArrays
        All arrays of the file.

    Returns
    -------
    decoded : object
        The parameter.

    Raises
    ------
    Fault
        If :func:`encode` would not write the value.
    """
    if isinstance(value, list):
        return [decode(v, f"{name}.{i}", stored) for i, v in enumerate(value)]
    if not isinstance(value, dict):
        return value
    if set(value) == {"tuple"} and isinstance(value["tuple"], list):
        return tuple(decode(value["tuple"], name, stored))
    if set(value) == {"array"}:
        if value["array"] != name:
            raise broken(name, "be the array of its own name", value["array"])
        return stored.take(name)
    return rebuild(value, f"{name}.", stored)
