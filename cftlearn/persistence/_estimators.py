"""What a model file says about an estimator, and the estimator that it describes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from cftlearn.calibration import CategoryCalibrator
from cftlearn.classifier import CFTClassifier
from cftlearn.ensemble import CFTEnsemble
from cftlearn.fine_tuning import CategoryWiseFineTuner
from cftlearn.images import ImageTransform
from cftlearn.networks import Architecture
from cftlearn.persistence._fields import (
    Array,
    Arrays,
    Curves,
    Entry,
    Flag,
    Names,
    Plain,
    Report,
    Shape,
    Table,
    as_plain,
)
from cftlearn.solvers import GeneticSolver, GradientSolver, ProximalSolver
from cftlearn.training import NetworkTrainer

STRUCTURE = "joined_network"  # which classifiers with a plain network have not


class _Nested(Plain):
    """An estimator in another one, or None."""

    def write(self, value: Any, entry: Entry) -> None:
        entry.values[self.name] = encode(
            value, f"{entry.prefix}{self.name}", entry.arrays
        )

    def read(self, entry: Entry) -> Any:
        value = entry.values.get(self.name)  # files older than calibration lack one
        return decode(value, f"{entry.prefix}{self.name}", entry.arrays)


class _Module(Plain):
    """The network that was passed, if it is an :class:`Architecture`."""

    def write(self, value: Any, entry: Entry) -> None:
        if isinstance(value, Architecture):
            entry.values[self.name] = value.describe()

    def read(self, entry: Entry) -> Architecture | None:
        described = entry.values.get(self.name)
        return None if described is None else Architecture(**described)


class _Structure(Plain):
    """How the network is joined of copies of the one that was passed, if it is."""

    def write(self, value: Any, entry: Entry) -> None:
        if value is None:
            return
        from cftlearn.networks._joined import JoinedNetwork

        if isinstance(value, JoinedNetwork):
            entry.values[self.name] = value.describe()

    def read(self, entry: Entry) -> None:
        """Leave it to who reads the weights, which go into the network."""


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
    complete : callable
        Sets what else a fitted estimator has.
    """

    learned: tuple[Plain, ...] = ()
    evidence: str = ""
    not_saved: tuple[str, ...] = ()
    complete: Callable[[Any], None] = _nothing_more


# Each is saved where an estimator has it, whether the rest is learned or not.
_ALWAYS = (
    Table("categories_"),
    Table("classes_"),
    Table("feature_names_in_"),
    Plain("n_features_in_"),
)

_PLANS: dict[type, _Plan] = {
    CFTClassifier: _Plan(
        learned=(
            Plain("head_"),
            _Structure("module_", key=STRUCTURE),
            Shape("input_shape_", key="input_shape"),
            _Module("module", key="architecture"),
            _Nested("fine_tuner_"),
            _Nested("calibrator_"),
        ),
        evidence="fine_tuner_",
        not_saved=("module",),
        complete=_complete_classifier,
    ),
    CategoryWiseFineTuner: _Plan(
        learned=(
            Array("coef_"),
            Array("intercept_"),
            Array("coef_init_"),
            Array("intercept_init_"),
            Flag("features_per_category_", key="per_category"),
            Report("report_", undefined=("score_before", "score_after")),
        ),
        evidence="report_",
        complete=_complete_fine_tuner,
    ),
    CategoryCalibrator: _Plan(
        learned=(
            Array("slope_"),
            Array("intercept_"),
            Array("shift_"),
            Curves("curves_", report="calibrations"),
            Report(
                "report_", key="calibrations", undefined=("slope", "intercept")
            ),  # which an isotonic curve has not
        ),
        evidence="calibrations",
    ),
    CFTEnsemble: _Plan(
        learned=(
            Array("weights_"),
            Array("reference_", may_be_none=True),
            Names("named_estimators_", key="members"),
            Report("report_", key="choices", undefined=("score_best", "score")),
        ),
        evidence="members",
        not_saved=("estimators",),
    ),
    NetworkTrainer: _Plan(not_saved=("fabric",)),
    GeneticSolver: _Plan(),
    GradientSolver: _Plan(),
    ImageTransform: _Plan(),
    ProximalSolver: _Plan(),
}
_CLASSES = {cls.__name__: cls for cls in _PLANS}


def describe(estimator: BaseEstimator, prefix: str, arrays: Arrays) -> dict[str, Any]:
    """Describe an estimator by its parameters and what it has learned.

    Parameters
    ----------
    estimator : estimator
        Of one of the classes that are saved; fitted or not.
    prefix : str
        What the names of its arrays begin with.
    arrays : dict of str to ndarray
        Gets the arrays of this estimator.

    Returns
    -------
    document : dict
        What JSON can hold.

    Raises
    ------
    TypeError
        If a parameter cannot be written.
    """
    plan = _PLANS[type(estimator)]
    document: dict[str, Any] = {
        "class": type(estimator).__name__,
        "params": {
            name: encode(value, f"{prefix}{name}", arrays)
            for name, value in estimator.get_params(deep=False).items()
            if name not in plan.not_saved
        },
    }
    entry = Entry(document, arrays, prefix)
    fields = [field for field in _ALWAYS if hasattr(estimator, field.attribute)]
    if plan.learned and all(hasattr(estimator, f.attribute) for f in plan.learned):
        fields += plan.learned
    for field in fields:
        field.write(getattr(estimator, field.attribute), entry)
    return document


def rebuild(document: dict[str, Any], prefix: str, arrays: Arrays) -> Any:
    """Build the estimator that a document describes.

    Parameters
    ----------
    document : dict
        As :func:`describe` returned it.
    prefix : str
        What the names of its arrays begin with.
    arrays : dict of str to ndarray
        All arrays of the file.

    Returns
    -------
    estimator : estimator
        As it was when it was described, without its network and its members.

    Raises
    ------
    AttributeError, KeyError, TypeError, ValueError
        If the document makes no sense.
    """
    cls = _CLASSES[document["class"]]
    params = {
        name: decode(value, f"{prefix}{name}", arrays)
        for name, value in document["params"].items()
    }
    estimator = cls(**params)
    plan, entry = _PLANS[cls], Entry(document, arrays, prefix)
    unexpected = set(document) - {field.name for field in (*_ALWAYS, *plan.learned)}
    unexpected -= {"class", "params"}
    if unexpected:
        raise ValueError(f"{cls.__name__} has no {sorted(unexpected)[0]!r}")
    fields = [field for field in _ALWAYS if field.name in document]
    is_fitted = plan.evidence in document
    if is_fitted:
        fields += plan.learned
    for field in fields:
        setattr(estimator, field.attribute, field.read(entry))
    if is_fitted:
        plan.complete(estimator)
    return estimator


def encode(value: Any, name: str, arrays: Arrays) -> Any:
    """Write a parameter as JSON, and its arrays beside it.

    Parameters
    ----------
    value : object
        The parameter.
    name : str
        What it is called, with the names of the estimators around it.
    arrays : dict of str to ndarray
        Gets the arrays.

    Returns
    -------
    encoded : object
        What JSON can hold.

    Raises
    ------
    TypeError
        If the value cannot be written.
    """
    value = as_plain(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        arrays[name] = value
        return {"array": name}
    if isinstance(value, (list, tuple)):
        items = [encode(v, f"{name}.{i}", arrays) for i, v in enumerate(value)]
        return {"tuple": items} if isinstance(value, tuple) else items
    if isinstance(value, ImageTransform):  # its tuples may be lists afterwards
        return {"class": type(value).__name__, "params": value.get_params()}
    if type(value) in _PLANS:
        return describe(value, f"{name}.", arrays)
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


def decode(value: Any, name: str, arrays: Arrays) -> Any:
    """Return the parameter that :func:`encode` wrote.

    Parameters
    ----------
    value : object
        What JSON holds.
    name : str
        What the parameter is called.
    arrays : dict of str to ndarray
        All arrays of the file.

    Returns
    -------
    decoded : object
        The parameter.
    """
    if isinstance(value, list):
        return [decode(v, f"{name}.{i}", arrays) for i, v in enumerate(value)]
    if not isinstance(value, dict):
        return value
    if "tuple" in value:
        return tuple(decode(value["tuple"], name, arrays))
    if "array" in value:
        return arrays[value["array"]]
    return rebuild(value, f"{name}.", arrays)
