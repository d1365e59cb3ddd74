"""What a fitted estimator has learned, held against itself."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cftlearn.calibration import CategoryCalibrator
from cftlearn.classifier import CFTClassifier
from cftlearn.ensemble import CFTEnsemble
from cftlearn.exceptions import first_line
from cftlearn.fine_tuning import CategoryWiseFineTuner
from cftlearn.networks import Architecture
from cftlearn.persistence._array_file import ARRAYS
from cftlearn.persistence._faults import Fault, broken
from cftlearn.persistence._fields import Entry
from cftlearn.persistence._parameters import as_numbers

_EQUAL = 1e-6  # of sums of weights
_ARCHITECTURE = ("name", "n_outputs", "weights", "options")
_MOST_OPTION = 10**5  # a number that may say how many layers to make


def check_names(estimator: Any, prefix: str) -> None:
    """Check categories, classes and names of features.

    Parameters
    ----------
    estimator : estimator
        With some of ``categories_``, ``classes_``, ``feature_names_in_`` and
        ``n_features_in_``.
    prefix : str
        What the names of its attributes begin with.

    Raises
    ------
    Fault
        If names are no different texts, or lengths differ.
    """
    for name in ("categories_", "feature_names_in_"):
        if hasattr(estimator, name):
            _check_unique(getattr(estimator, name), f"{prefix}{name}")
    if hasattr(estimator, "feature_names_in_"):
        n_names = len(estimator.feature_names_in_)
        n_features = getattr(estimator, "n_features_in_", None)
        if n_features != n_names:
            rule = f"be {n_names}, the number of names of features"
            raise broken(f"{prefix}n_features_in_", rule, n_features)
    if hasattr(estimator, "classes_"):
        names = getattr(estimator, "categories_", ())
        _check_classes(estimator.classes_, len(names), f"{prefix}classes_")


def check_fine_tuner(tuner: CategoryWiseFineTuner, prefix: str) -> None:
    """Check that weights are finite.

    Parameters
    ----------
    tuner : CategoryWiseFineTuner
        With all that it has learned.
    prefix : str
        What the names of its attributes begin with.

    Raises
    ------
    Fault
        If one is not, or ``coef_init`` has another shape.
    """
    is_skipped = np.array([line["status"] == "skipped" for line in tuner.report_])
    for name in ("coef_", "intercept_", "coef_init_", "intercept_init_"):
        _check_finite(getattr(tuner, name), f"{prefix}{name}", is_skipped)
    for name, n_axes in (("coef_init", 2), ("intercept_init", 1)):
        # Not its width: 0.1 wrote that of one network of two.
        given = getattr(tuner, name)
        if given is None:
            continue
        shape = np.shape(given)
        if len(shape) != n_axes or shape[0] != len(tuner.coef_):
            rule = f"have {len(tuner.coef_)} rows, one per category"
            raise broken(f"{prefix}{name}", rule, shape)


def check_calibrator(calibrator: CategoryCalibrator, prefix: str) -> None:
    """Check that slopes are above 0, or that there is a curve.

    Parameters
    ----------
    calibrator : CategoryCalibrator
        With all that it has learned.
    prefix : str
        What the names of its attributes begin with.

    Raises
    ------
    Fault
        If that is not so.
    """
    has_curve = np.array([curve is not None for curve in calibrator.curves_])
    for name in ("slope_", "intercept_", "shift_"):
        values = getattr(calibrator, name)
        is_free = has_curve & (name != "shift_")
        _check_finite(values[~is_free], f"{prefix}{name}")
        if not np.isnan(values[is_free]).all():
            rule = "be NaN where the curve is isotonic"
            raise broken(f"{prefix}{name}", rule, values.tolist(), ARRAYS)
    if not (calibrator.slope_[~has_curve] > 0).all():
        rule = "be above 0"
        least = float(calibrator.slope_[~has_curve].min())
        raise broken(f"{prefix}slope_", rule, least, ARRAYS)
    _check_per_category(calibrator, "prevalence", prefix)


def check_classifier(model: CFTClassifier, prefix: str) -> None:
    """Check that the parts of a classifier are those of the same categories.

    Parameters
    ----------
    model : CFTClassifier
        With all that it has learned.
    prefix : str
        What the names of its attributes begin with.

    Raises
    ------
    Fault
        If they are not, or one is missing.
    """
    tuner, calibrator = model.fine_tuner_, model.calibrator_
    if not isinstance(tuner, CategoryWiseFineTuner) or not hasattr(tuner, "coef_"):
        raise broken(f"{prefix}fine_tuner_", "be a fitted fine-tuner", tuner)
    if calibrator is None and model.calibration is not None:
        rule = "be there, for `calibration` is not null"
        raise broken(f"{prefix}calibrator_", rule, None)
    is_fitted = isinstance(calibrator, CategoryCalibrator)
    if calibrator is not None and not (is_fitted and hasattr(calibrator, "slope_")):
        raise broken(f"{prefix}calibrator_", "be a fitted calibrator", calibrator)
    for name, part in (("fine_tuner_", tuner), ("calibrator_", calibrator)):
        if part is not None:
            _check_same(part, model, f"{prefix}{name}.")
    if model.head_ is None and model.module is not None:
        raise broken(f"{prefix}head_", "name a layer of the network", None)
    _check_inputs(model, prefix)
    _check_per_category(model, "threshold", prefix)


def check_ensemble(model: CFTEnsemble, prefix: str) -> None:
    """Check weights of members, and what their ranks are among.

    Parameters
    ----------
    model : CFTEnsemble
        With all that it has learned but its members.
    prefix : str
        What the names of its attributes begin with.

    Raises
    ------
    Fault
        If weights are negative or do not sum to 1, or a reference is not sorted.
    """
    weights, reference = model.weights_, model.reference_
    _check_finite(weights, f"{prefix}weights_")
    if weights.min() < 0 or (abs(weights.sum(axis=0) - 1) > _EQUAL).any():
        rule = "be 0 or more, and sum to 1 in every category"
        found = f"{weights.min():.3g} at the least, sums {weights.sum(axis=0)[:5]}"
        raise broken(f"{prefix}weights_", rule, found, ARRAYS)
    if (reference is not None) != (model.combine == "rank_mean"):
        rule = "be there where `combine` is 'rank_mean', and only there"
        raise broken(f"{prefix}reference_", rule, model.combine, ARRAYS)
    if reference is not None:
        _check_finite(reference, f"{prefix}reference_")
        if (np.diff(reference, axis=1) < 0).any():
            rule, found = "be sorted along its rows", "falling numbers"
            raise broken(f"{prefix}reference_", rule, found, ARRAYS)
    for j, line in enumerate(model.report_):
        unknown = set(line["members"]) - set(model.named_estimators_)
        if unknown:
            place = f"{prefix}choices[{j}].members"
            raise broken(place, "name members", min(unknown))
    _check_per_category(model, "threshold", prefix)


def check_member(member: Any, ensemble: CFTEnsemble, name: str) -> None:
    """Check that a member has the categories of its ensemble.

    Parameters
    ----------
    member : estimator
        Loaded.
    ensemble : CFTEnsemble
        Loaded without its members.
    name : str
        The member's name.

    Raises
    ------
    Fault
        If it has others. Members that were fitted to labels without names are named by
        their numbers.
    """
    nameless = [str(j) for j in range(len(ensemble.categories_))]
    names = list(ensemble.categories_)
    if list(member.categories_) not in (names, nameless):
        found = list(member.categories_)
        raise broken(f"categories_` of member `{name:.60}", f"be {names[:5]}", found)
    found, expected = member.classes_.tolist(), ensemble.classes_.tolist()
    if found != expected:
        raise broken(f"classes_` of member `{name:.60}", f"be {expected[:5]}", found)


def read_architecture(described: Any, entry: Entry) -> Architecture:
    """Read the name of a network, which must have an output per category.

    Parameters
    ----------
    described : object
        As :meth:`Architecture.describe` returned it.
    entry : Entry
        Of the classifier.

    Returns
    -------
    architecture : Architecture
        It is not built.

    Raises
    ------
    Fault
        If the description makes no sense.
    """
    if not isinstance(described, dict) or set(described) != set(_ARCHITECTURE):
        rule = f"hold {', '.join(_ARCHITECTURE)}"
        raise entry.fault("architecture", rule, described)
    name, n_outputs, weights, options = (described[key] for key in _ARCHITECTURE)
    for key, value in (("name", name), ("weights", weights)):
        if not isinstance(value, str) and not (key == "weights" and value is None):
            raise entry.fault(f"architecture.{key}", "be a text", value)
    if options is not None and not isinstance(options, dict):
        raise entry.fault("architecture.options", "be an object or null", options)
    if type(n_outputs) is not int or n_outputs != entry.n_categories:
        rule = f"be the number of categories, {entry.n_categories}"
        raise entry.fault("architecture.n_outputs", rule, n_outputs)
    numbers = [n for n in _numbers_in(options) if abs(n) > _MOST_OPTION]
    if numbers:
        rule = f"hold numbers up to {_MOST_OPTION}"
        raise entry.fault("architecture.options", rule, numbers[0])
    try:
        return Architecture(name, n_outputs=n_outputs, weights=weights, options=options)
    except ValueError as error:
        reason = first_line(error).rstrip(".")
        raise Fault(f"`architecture` in model.json is not valid: {reason}") from None


def check_structure(structure: Any, entry: Entry) -> None:
    """Check the description of a joined network before anything is built.

    Parameters
    ----------
    structure : object
        As :meth:`JoinedNetwork.describe` returned it.
    entry : Entry
        Of the classifier.

    Raises
    ------
    Fault
        If it makes no sense, or has other numbers of features and categories.
    """
    name = "joined_network"
    keys = {"category_wise", "n_outputs", "parts"}
    if not isinstance(structure, dict) or set(structure) != keys:
        raise entry.fault(name, f"hold {', '.join(sorted(keys))}", structure)
    if not isinstance(structure["category_wise"], bool):
        found = structure["category_wise"]
        raise entry.fault(f"{name}.category_wise", "be true or false", found)
    n_outputs = structure["n_outputs"]
    if type(n_outputs) is not int or n_outputs != entry.n_categories:
        rule = f"be the number of categories, {entry.n_categories}"
        raise entry.fault(f"{name}.n_outputs", rule, n_outputs)
    parts = structure["parts"]
    if not isinstance(parts, list) or not parts:
        raise entry.fault(f"{name}.parts", "be a list of parts", parts)
    widths = [
        width
        for i, part in enumerate(parts)
        for width in _part_widths(part, f"{name}.parts[{i}]", entry)
    ]
    tuner = entry.values.get("fine_tuner_")
    n_features = tuner.get("n_features_in_") if isinstance(tuner, dict) else None
    if sum(widths) != n_features:
        rule = f"have the widths of the fine-tuner's features, {n_features} in all"
        raise entry.fault(f"{name}.parts", rule, sum(widths))


def _numbers_in(options: Any) -> Iterator[float]:
    """Yield all numbers in options."""
    if isinstance(options, (dict, list)):
        inner = options.values() if isinstance(options, dict) else options
        for item in inner:
            yield from _numbers_in(item)
    elif isinstance(options, (int, float)):
        yield options


def _part_widths(part: Any, place: str, entry: Entry) -> list[int]:
    """Return the widths of a part's blocks of features."""
    if not isinstance(part, dict) or set(part) not in (
        {"width"},
        {"head", "layers", "width"},
    ):
        raise entry.fault(place, "hold a width, and maybe a head and layers", part)
    layers = part.get("layers", [])
    if not isinstance(layers, list):
        raise entry.fault(f"{place}.layers", "be a list", layers)
    if "head" in part and not isinstance(part["head"], (str, type(None))):
        raise entry.fault(f"{place}.head", "be the name of a layer", part["head"])
    for layer in layers:
        is_layer = isinstance(layer, dict) and set(layer) == {
            "name",
            "width",
            "channel_axis",
        }
        if not is_layer or not isinstance(layer["name"], str):
            rule = "have a name, a width and a channel_axis"
            raise entry.fault(f"{place}.layers", rule, layer)
        axis = layer["channel_axis"]
        if axis is not None and (type(axis) is not int or axis not in (1, -1)):
            rule = "have the channel_axis 1, -1 or null"
            raise entry.fault(f"{place}.layers", rule, axis)
    widths = [part["width"], *(layer["width"] for layer in layers)]
    for width in widths:
        if type(width) is not int or width < 1:
            raise entry.fault(f"{place}.width", "be a number, 1 or more", width)
    return widths


def _check_unique(names: NDArray[Any], place: str) -> None:
    listed = names.tolist()
    if names.ndim != 1 or not all(isinstance(name, str) for name in listed):
        raise broken(place, "be a list of names", listed)
    if len(set(listed)) < len(listed):
        twice, _ = Counter(listed).most_common(1)[0]
        raise broken(place, "hold every name once", twice)


def _check_classes(classes: NDArray[Any], n_categories: int, place: str) -> None:
    if classes.ndim == 2:
        expected = [[0, 1]] * n_categories
        if classes.dtype.kind != "i" or classes.tolist() != expected:
            rule = f"be [0, 1] for each of {n_categories} categories"
            raise broken(place, rule, classes.tolist())
        return
    listed = classes.tolist()
    if n_categories != 1:
        rule = f"be pairs, for there are {n_categories} categories"
        raise broken(place, rule, listed)
    kinds = {isinstance(one, str) for one in listed}
    if len(listed) != 2 or len(kinds) > 1 or not listed[0] < listed[1]:
        raise broken(place, "be two classes, the lower one first", listed)


def _check_finite(
    values: NDArray[Any], place: str, may_be_nan: NDArray[np.bool_] | None = None
) -> None:
    """Refuse NaN and infinity; a skipped category may be NaN as a whole."""
    finite = np.isfinite(values)
    if finite.all():
        return
    if may_be_nan is not None:
        whole = np.isnan(values).reshape(len(values), -1).all(axis=1)
        finite[whole & may_be_nan] = True
    if not finite.all():
        first = values[~finite][0]
        rule = "hold finite numbers"
        raise broken(place, rule, float(first), ARRAYS)


def _check_inputs(model: CFTClassifier, prefix: str) -> None:
    """Check that all that says how many features there are says the same."""
    if model.head_ is None:
        expected, other = model.fine_tuner_.n_features_in_, "that of the fine-tuner"
    elif model.input_shape_ and model.input_transform is None:
        expected, other = model.input_shape_[0], "the first length of `input_shape`"
    else:
        return
    is_needed = model.head_ is None  # a network may be fitted to what is no array
    n_features = getattr(model, "n_features_in_", None if is_needed else expected)
    if n_features != expected:
        raise broken(f"{prefix}n_features_in_", f"be {other}, {expected}", n_features)


def _check_same(part: Any, model: CFTClassifier, prefix: str) -> None:
    """Check that a part has the categories and classes of its classifier.

    Of a 1-D target, a part may know what stands for its classes: 0 and 1.
    """
    for name in ("categories_", "classes_"):
        own, expected = getattr(part, name), getattr(model, name)
        if own.ndim == expected.ndim and own.tolist() != expected.tolist():
            rule = "be those of the classifier"
            raise broken(f"{prefix}{name}", rule, own.tolist())


def _check_per_category(estimator: Any, name: str, prefix: str) -> None:
    """Check that a parameter has one number, or one per category."""
    value = getattr(estimator, name)
    shape = () if value is None else as_numbers(value, name).shape
    if shape not in ((), (len(estimator.categories_),)):
        rule = f"be one number, or {len(estimator.categories_)}, one per category"
        raise broken(f"{prefix}{name}", rule, shape)
