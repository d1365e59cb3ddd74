"""The members of an ensemble: checked, fitted, compared, and asked for scores."""

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn import get_config
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from cftlearn._dependencies import StrOptions, end_with_parent, validate_params
from cftlearn.base import PartialLabelMixin
from cftlearn.calibration._calibrator import calibrated_weights
from cftlearn.classifier import CFTClassifier
from cftlearn.ensemble._combination import (
    Floats,
    log_odds,
    mean_log_odds,
    member_weights,
    silent_columns,
    weighted_mean,
)
from cftlearn.fine_tuning import CategoryWiseFineTuner
from cftlearn.fine_tuning._report import unlabelled
from cftlearn.labels._names import check_columns, column_names
from cftlearn.labels._plain_arrays import (
    read_numbers,
    refuse_masked,
    refuse_without_rows,
)
from cftlearn.model_selection import partial_train_test_split

Members = list[tuple[str, Any]]

_HOW_TO_PASS = 'Pass CFTEnsemble([("first", model_1), ("second", model_2)]).'


@validate_params(
    {"transforms": ["array-like"], "combine": [StrOptions({"mean", "logit_mean"})]},
    prefer_skip_nested_validation=True,
)
def augmented_scores(
    model: Any,
    X: Any,
    transforms: Sequence[Callable[[Any], Any]],
    *,
    combine: Literal["mean", "logit_mean"] = "mean",
) -> Floats:
    """Average a model's probabilities over changed copies of its inputs.

    This is test-time augmentation: an image and its mirror image show the same.

    Parameters
    ----------
    model : estimator
        Fitted, with ``decision_function``, ``predict_proba`` or ``transform``, as
        :class:`~cftlearn.CFTEnsemble` takes it.
    X : array-like of shape (n_samples, ...)
        What the model takes.
    transforms : sequence of callable
        Each takes all of ``X`` and returns as many rows in the same order, such as
        ``lambda X: X[..., ::-1]``; it must not change ``X`` in place. ``X`` as it is
        counts as well.
    combine : {"mean", "logit_mean"}, default="mean"
        Average probabilities or log odds.

    Returns
    -------
    proba : ndarray of shape (n_samples, n_categories), float64
        Probability of the positive class; one column for a 1-D target.

    Raises
    ------
    TypeError
        If a transform cannot be called, or the model gives no scores.
    ValueError
        If a transform changes the number of rows, or the model does not accept what
        it returns.

    Examples
    --------
    >>> from cftlearn import CFTClassifier
    >>> from cftlearn.datasets import make_partial_multilabel
    >>> from cftlearn.ensemble import augmented_scores
    >>> X, y, _ = make_partial_multilabel(random_state=0)
    >>> model = CFTClassifier(random_state=0).fit(X, y)
    >>> augmented_scores(model, X, [lambda X: X + 0.1, lambda X: X - 0.1]).shape
    (500, 5)
    """
    logits = [member_logits(model, X, "`model`")]
    for index, transform in enumerate(transforms):
        if not callable(transform):
            raise TypeError(
                f"`transforms` must hold functions; got {type(transform).__name__} at "
                f"index {index}. Pass a list such as [lambda X: X[..., ::-1]]."
            )
        logits.append(member_logits(model, transform(X), "`model`"))
        if logits[-1].shape != logits[0].shape:
            raise ValueError(
                f"`transforms` must keep the {len(logits[0])} rows of `X`; the one at "
                f"index {index} returned {len(logits[-1])}."
            )
    table = np.stack(logits)
    shares = member_weights(None, len(table), table.shape[2])
    average = mean_log_odds if combine == "mean" else weighted_mean
    proba: Floats = expit(average(table, shares))
    return proba


def as_table(rows: Any, name: str) -> Any:
    """Return what has rows to take as it is; convert anything else to an array."""
    if rows is not None:  # which has an answer of its own
        refuse_without_rows(rows, name, takes_dataset=name.startswith("X"))
    has_rows = hasattr(rows, "shape") or hasattr(rows, "__getitem__")
    if has_rows or rows is None:
        return rows
    array = np.asarray(rows)
    if array.ndim == 0:
        raise TypeError(
            f"`{name}` must be a table or another sequence of rows; got "
            f"{type(rows).__name__}. Pass an array, a frame or a list."
        )
    return array


def check_members(estimators: object) -> Members:
    """Check names and members, and leave out those that are ``"drop"``.

    Parameters
    ----------
    estimators : list of (str, estimator)
        What the user passed.

    Returns
    -------
    members : list of (str, estimator)
        At least one.

    Raises
    ------
    TypeError, ValueError
        If they are anything else.
    """
    given: list[Any] = estimators if isinstance(estimators, list) else [estimators]
    for one in given:
        is_pair = isinstance(one, tuple) and len(one) == 2 and isinstance(one[0], str)
        if not is_pair or not (one[1] == "drop" or hasattr(one[1], "fit")):
            raise TypeError(
                "`estimators` must be a list of (name, estimator); got "
                f"{type(one).__name__} {one!r:.60} in it. {_HOW_TO_PASS}"
            )
    members: Members = [pair for pair in given if pair[1] != "drop"]
    if not members:
        raise ValueError(
            f"`estimators` must hold at least one member; got none. {_HOW_TO_PASS}"
        )
    return members


def split_rows(
    X: Any,
    known: Any,
    y: Any,
    *,
    fraction: float,
    groups: NDArray[np.intp] | None,
    seed: int,
) -> tuple[Any, Any, Any, NDArray[np.intp], NDArray[np.intp]]:
    """Split rows for members from rows that choose among them.

    Parameters
    ----------
    X, y : array-like
        Rows and their labels.
    known : array-like
        The labels that count, of which both parts are to have their share.
    fraction : float
        Share of the rows that choose.
    groups : ndarray of shape (n_samples,), int, or None
        Groups that stay whole.
    seed : int
        Of the split.

    Returns
    -------
    X, X_val, y : array-like
        Rows to fit, rows that choose, and labels to fit.
    rows, rows_val : ndarray of int
        Numbers of the rows of both parts.
    """
    numbers = np.arange(len(y))
    X, X_val, _, _, y, _, rows, rows_val = partial_train_test_split(
        X,
        known,
        y,
        numbers,
        test_size=fraction,
        groups=groups,
        random_state=seed,
    )
    return X, X_val, y, rows, rows_val


def weights_for_members(given: Any, weights: Floats | None) -> Floats | None:
    """Return the weights that members are fitted with, in the shape that they came in.

    Parameters
    ----------
    given : array-like of shape (n_samples,) or (n_samples, n_categories), or None
        What the user passed.
    weights : ndarray of shape (n_samples, n_categories), or None
        The same, read; None if all labels count alike.

    Returns
    -------
    weights : ndarray, or None
        One per row where there was one per row, as most estimators take them.
    """
    if given is None:
        return None
    table = read_numbers(given, "sample_weight").astype(np.float64)
    is_alike = weights is None and bool((table == 1.0).all())
    return None if is_alike else table


def check_members_take_weights(names: list[str], members: list[Any]) -> None:
    """Refuse members that would be fitted as if labels had no weights.

    Parameters
    ----------
    names : list of str
        Of the members.
    members : list of estimator
        Not fitted.

    Raises
    ------
    ValueError
        If the ``fit`` of one of them, or of the last step of a pipeline, takes none.
    """
    for name, member in zip(names, members, strict=True):
        last = member.steps[-1][1] if isinstance(member, Pipeline) else member
        if not takes_weights(last):
            raise ValueError(
                "`estimators` must take the weights of labels where `sample_weight` is "
                f"given; member {name!r}, {type(last).__name__}, does not. Leave it "
                "out, or pass sample_weight=None."
            )


def fit_member(
    member: Any,
    X: Any,
    y: Any,
    seed: int,
    groups: NDArray[np.intp] | None = None,
    sample_weight: Floats | None = None,
) -> Any:
    """Fit a clone with a seed of its own, where the user has set none.

    Parameters
    ----------
    member : estimator
        Not fitted.
    X, y : array-like
        What it is fitted on.
    seed : int
        Of every ``random_state`` in it that is None.
    groups : ndarray of shape (n_samples,), int, default=None
        The group of every row, for a member that takes them.
    sample_weight : ndarray, default=None
        Weights of the labels, which the member must take.

    Returns
    -------
    fitted : estimator
        The clone.
    """
    end_with_parent()
    fitted = clone(member)
    params = fitted.get_params(deep=True)
    unset = [
        name
        for name in sorted(params)
        if name.split("__")[-1] == "random_state" and params[name] is None
    ]
    fitted.set_params(**dict.fromkeys(unset, seed))
    with warnings.catch_warnings():  # the ensemble has warned, at the user's line
        warnings.simplefilter("ignore", DataConversionWarning)
        extra = _argument(fitted, "groups", groups)
        extra |= _argument(fitted, "sample_weight", sample_weight)
        return fitted.fit(X, y, **extra)


def takes_weights(estimator: Any) -> bool:
    """Return whether an estimator's ``fit`` takes the weights of labels.

    Parameters
    ----------
    estimator : estimator
        One of ours, which do without a name in the signature, or another.
    """
    is_ours = isinstance(estimator, PartialLabelMixin)
    return is_ours or has_fit_parameter(estimator, "sample_weight")


def _takes(estimator: Any, name: str) -> bool:
    if name == "sample_weight":
        return takes_weights(estimator)
    return bool(has_fit_parameter(estimator, name))


def _argument(member: Any, name: str, values: Any) -> dict[str, Any]:
    """Return the argument of ``fit`` by which a member takes groups, or weights."""
    if values is None:
        return {}
    if not isinstance(member, Pipeline):
        return {name: values} if _takes(member, name) else {}
    step, last = member.steps[-1]
    if not _takes(last, name):
        return {}
    if not get_config()["enable_metadata_routing"]:
        return {f"{step}__{name}": values}
    requests = member.get_metadata_routing().consumes("fit", [name])
    if name == "sample_weight" and not requests:
        raise ValueError(
            "`estimators` must take the weights of labels where `sample_weight` is "
            f"given; the step {step!r} of a pipeline does not ask for them. Call "
            "set_fit_request(sample_weight=True) on it."
        )
    return {name: values} if requests else {}


def check_same_features(X: Any, X_val: Any) -> None:
    """Check that validation rows have the columns of the rows to fit.

    Where validation rows choose nothing, no member ever sees them.

    Parameters
    ----------
    X, X_val : array-like of shape (n_samples, ...)
        Rows to fit, and validation rows. What has no shape is accepted.

    Raises
    ------
    TypeError, ValueError
        If ``X_val`` is masked, or has rows of another shape, or has the names of the
        columns of ``X`` in another order.
    """
    refuse_masked(X_val, "X_val")
    own, other = getattr(X, "shape", None), getattr(X_val, "shape", None)
    if own is None or other is None:
        return
    if tuple(own[1:]) != tuple(other[1:]):
        raise ValueError(
            "`X_val` must have rows of the shape of those of `X`, "
            f"{tuple(own[1:])}; got {tuple(other[1:])}. Pass the same features."
        )
    names, names_val = column_names(X), column_names(X_val)
    if names and names_val and Counter(names) == Counter(names_val):
        check_columns(
            X_val, names, name="X_val", owner="the columns of `X`", order="X.columns"
        )


def check_same_categories(
    members: Members, categories: NDArray[Any], classes: NDArray[Any]
) -> NDArray[Any]:
    """Check that fitted members and labels mean the same categories.

    Parameters
    ----------
    members : list of (str, estimator)
        Fitted. Those that do not know their categories are trusted.
    categories : ndarray of shape (n_categories,), object
        Names of the labels; ``"0"``, ``"1"``, and so on where they have none.
    classes : ndarray
        Classes of the labels.

    Returns
    -------
    categories : ndarray of shape (n_categories,), object
        The names, those of a member where labels have none.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If a member is not fitted.
    ValueError
        If categories or classes differ.
    """
    nameless = [str(j) for j in range(len(categories))]
    names, owner = list(categories), "`y`"
    for name, member in members:
        check_is_fitted(member)
        last = member.steps[-1][1] if hasattr(member, "steps") else member
        own = list(getattr(last, "categories_", nameless))
        if classes.ndim == 1 and not np.array_equal(member.classes_, classes):
            raise ValueError(
                f"`y` must have the classes of member {name!r}, "
                f"{np.asarray(member.classes_).tolist()}; got {classes.tolist()}."
            )
        if names == nameless and len(own) == len(names):
            names, owner = own, f"member {name!r}"
        if own not in (nameless, names):
            raise ValueError(
                f"Member {name!r} must have the categories of {owner} in the same "
                f"order; got {own[:5]} for {names[:5]}. Reorder the columns of `y`, "
                "or fit the member again."
            )
    return np.array(names, dtype=object)


def member_logits(member: Any, X: Any, name: str) -> Floats:
    """Score rows by whatever a fitted model offers.

    Parameters
    ----------
    member : estimator
        With ``decision_function``, whose values are taken as log odds. Else, or where
        its probabilities are calibrated, with ``predict_proba``, in any of
        scikit-learn's forms. Else with ``transform`` to logits, as
        :class:`cftlearn.CategoryWiseFineTuner` has.
    X : array-like
        Rows.
    name : str
        What errors call the model.

    Returns
    -------
    logits : ndarray of shape (n_samples, n_categories), float64
        Finite, or NaN in all rows of a category that the model cannot score. One
        column for a 1-D target.

    Raises
    ------
    TypeError
        If the model has none of the three.
    ValueError
        If its scores are not a table of such numbers.
    """
    if hasattr(member, "decision_function") and not _is_calibrated(member):
        logits = np.asarray(member.decision_function(X), dtype=np.float64)
    elif hasattr(member, "predict_proba"):
        logits = log_odds(_positive_proba(member, X))
    elif hasattr(member, "transform"):
        logits = np.asarray(member.transform(X), dtype=np.float64)
    else:
        raise TypeError(
            f"{name} must have `decision_function`, `predict_proba` or `transform`; "
            f"got {type(member).__name__}."
        )
    if logits.ndim == 1:
        logits = logits[:, np.newaxis]
    problem = ""
    if logits.ndim != 2:
        problem = f"shape {logits.shape}"
    elif not _are_scores(logits):
        problem = "NaN or infinity"
    if problem:
        raise ValueError(
            f"{name} must give one finite score per row and category; got {problem}."
        )
    return logits


def _are_scores(logits: Floats) -> bool:
    """Check that some category has scores, and that those which have are whole."""
    silent = silent_columns(logits)
    return bool((np.isfinite(logits) | silent).all() and not silent.all())


def all_logits(members: dict[str, Any], X: Any, n_categories: int) -> Floats:
    """Score rows by every member.

    Parameters
    ----------
    members : dict of str to estimator
        Fitted.
    X : array-like
        Rows.
    n_categories : int
        How many columns every member must give.

    Returns
    -------
    logits : ndarray of shape (n_members, n_samples, n_categories), float64
        Finite, or NaN in a whole column.

    Raises
    ------
    TypeError, ValueError
        As :func:`member_logits`, and if shapes differ.
    """
    tables: list[Floats] = []
    for name, member in members.items():
        tables.append(member_logits(member, X, f"Member {name!r}"))
        shape = len(tables[0]), n_categories
        if tables[-1].shape != shape:
            raise ValueError(
                f"Member {name!r} must score {shape[0]} rows and {shape[1]} "
                f"categories; got shape {tables[-1].shape}."
            )
    return np.stack(tables)


def weights_of_members(members: dict[str, Any]) -> tuple[Floats, Floats]:
    """Return the weights of members that are linear in the features of ``X``.

    Parameters
    ----------
    members : dict of str to estimator
        Fitted.

    Returns
    -------
    coef : ndarray of shape (n_members, n_categories, n_features)
        Weights.
    intercept : ndarray of shape (n_members, n_categories)
        Their biases; NaN in a category that a member cannot score.

    Raises
    ------
    ValueError
        If a member is not linear, or its calibration is isotonic.
    """
    for name, member in members.items():
        has_network = getattr(member, "module_", None) is not None
        if not hasattr(member, "coef_") or has_network:
            raise ValueError(
                "Members must be linear in the features of `X` to become one linear "
                f"model; got {type(member).__name__} {name!r}. Fit "
                "CategoryWiseFineTuner members on features that they share."
            )
    weights = [
        calibrated_weights(
            np.atleast_2d(member.coef_),
            _intercept(member),
            getattr(member, "calibrator_", None),
        )
        for member in members.values()
    ]
    return (
        np.stack([coef for coef, _ in weights]),
        np.stack([intercept for _, intercept in weights]),
    )


def _intercept(member: Any) -> Floats:
    intercept = np.ravel(member.intercept_).astype(np.float64)
    if isinstance(member, (CFTClassifier, CategoryWiseFineTuner)):
        intercept[unlabelled(member.report_)] = np.nan
    return intercept


def _is_calibrated(member: Any) -> bool:
    """Check whether probabilities are calibrated, while log odds are not."""
    last = member[-1] if hasattr(member, "steps") else member
    return getattr(last, "calibrator_", None) is not None


def _positive_proba(member: Any, X: Any) -> Floats:
    """Compute the probabilities of the positive class, one column per category."""
    proba = member.predict_proba(X)
    if not isinstance(proba, list):
        table = np.asarray(proba, dtype=np.float64)
        is_binary = np.ndim(getattr(member, "classes_", [[]])[0]) == 0
        return table[:, 1:] if is_binary and table.shape[1:] == (2,) else table
    columns = []
    for j, one in enumerate(proba):  # a multi-output classifier returns a list
        column = np.flatnonzero(np.asarray(member.classes_[j]) == 1)
        never = np.zeros(len(one))  # where the member was fitted on no positive
        columns.append(np.asarray(one)[:, column[0]] if len(column) else never)
    return np.column_stack(columns)
