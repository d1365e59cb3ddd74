"""Initial weights: logistic regressions, where no network brings its own."""

from collections import Counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array

from cftlearn._features._per_category import StoredCategoryFeatures
from cftlearn._features._stored import StoredFeatures
from cftlearn.fine_tuning._penalty_choice import (
    choose_penalties,
    judge_penalties,
    path_logits,
)
from cftlearn.fine_tuning._regression_paths import (
    RegressionPaths,
    fit_regression_paths,
)
from cftlearn.labels._names import align_by_category, check_columns, column_names
from cftlearn.labels._plain_arrays import refuse_unlike_numbers

LabelWeights = tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]


class InitialWeights(NamedTuple):
    """The weights that refits start from.

    Attributes
    ----------
    coef : ndarray of shape (n_categories, n_features), float64
        One vector per category, in the scale of the features.
    intercept : ndarray of shape (n_categories,), float64
        Their biases.
    fitted_here : bool
        Whether they are regressions on these features and labels, and so know nothing
        that refits do not. A network may have been trained elsewhere.
    """

    coef: NDArray[np.float64]
    intercept: NDArray[np.float64]
    fitted_here: bool = False


def fit_initial_weights(
    Z: NDArray[np.floating[Any]] | StoredFeatures | StoredCategoryFeatures,
    targets: NDArray[np.float64],
    Z_val: NDArray[np.floating[Any]] | StoredFeatures | StoredCategoryFeatures,
    held_out: NDArray[np.float64],
    *,
    n_jobs: int | None,
    weights: LabelWeights = (None, None),
) -> InitialWeights:
    """Fit one L2-penalised logistic regression per category.

    Parameters
    ----------
    Z : ndarray of shape (n_samples, n_features)
        Features; they are standardised internally. (n_samples, n_categories,
        n_features) if every category has its own.
    targets : ndarray of shape (n_samples, n_categories)
        1, 0, or NaN for cells to leave out. Where one class is absent, the weights are
        zero and the bias is the smoothed log-odds of the positives' share.
    Z_val : ndarray or stored features, of as many axes as ``Z``
        Features of the rows of ``held_out``; ``Z`` itself if they are the same rows.
    held_out : ndarray of shape (n_val_samples, n_categories)
        1, 0, or NaN: labels that choose the penalty, and are not fitted.
    n_jobs : int or None
        Workers over categories.
    weights : tuple of (ndarray or None, ndarray or None), default=(None, None)
        How much each cell of ``targets``, and of ``held_out``, counts; None counts them
        alike.

    Returns
    -------
    initial : InitialWeights
        Weights in the scale of ``Z``.

    Raises
    ------
    ValueError
        If the features are stored.

    Notes
    -----
    Five penalties are fitted. Each category takes the one that ranks held-out labels
    best, of this category and of all, see
    :func:`~cftlearn.fine_tuning._penalty_choice.choose_penalties`. Where held-out
    labels of both classes are known in no category, the penalty is the one under which
    logits have a standard deviation of 1 a priori: scikit-learn's ``C = 1 / d`` for
    ``d`` standardised features.

    The weights are not fitted again to the held-out labels after the choice, which
    still are to judge them. All that they reveal to the weights is which of the five
    it is.
    """
    to_fit, to_judge = weights
    paths = fit_regression_paths(in_memory(Z), targets, n_jobs=n_jobs, weights=to_fit)
    logits = path_logits(paths, Z_val, ~np.isnan(held_out))
    evidence = judge_penalties(paths, logits, held_out, to_judge)
    return take_weights(paths, choose_penalties(evidence))


def read_initial_weights(
    coef_init: Any,
    intercept_init: Any,
    categories: NDArray[Any],
    n_features: int,
    feature_names: NDArray[Any] | None,
) -> InitialWeights:
    """Read the initial weights that a user passed.

    Parameters
    ----------
    coef_init : array-like of shape (n_categories, n_features)
        Weights. A frame that is labelled by categories goes by these.
    intercept_init : array-like of shape (n_categories,)
        Their biases.
    categories : ndarray of shape (n_categories,), object
        Names of the categories.
    n_features : int
        How many features there are.
    feature_names : ndarray of shape (n_features,), or None
        Their names.

    Returns
    -------
    initial : InitialWeights
        Copies.

    Raises
    ------
    TypeError, ValueError
        If they are no such numbers, or names differ.
    """
    coef_init = align_by_category(coef_init, categories, "coef_init")
    intercept_init = align_by_category(intercept_init, categories, "intercept_init")
    features = column_names(coef_init)
    # other names may be those of a layer, such as 0, 1, 2: then place counts
    if (
        features
        and feature_names is not None
        and Counter(features) == Counter(feature_names)
    ):
        check_columns(
            coef_init,
            feature_names,
            name="coef_init",
            owner="the columns of `Z`",
            order="Z.columns",
        )
    refuse_unlike_numbers(coef_init, "coef_init")
    refuse_unlike_numbers(intercept_init, "intercept_init")
    coef = check_array(coef_init, dtype=np.float64, input_name="coef_init")
    intercept = check_array(
        intercept_init,
        dtype=np.float64,
        ensure_2d=False,
        input_name="intercept_init",
    )
    shape = len(categories), n_features
    if coef.shape != shape or intercept.shape != shape[:1]:
        raise ValueError(
            f"`coef_init` must have shape {shape} and `intercept_init` shape "
            f"{shape[:1]}, one row per category of `y`; got {coef.shape} and "
            f"{intercept.shape}. Pass weights of a layer on these features."
        )
    return InitialWeights(coef.copy(), intercept.copy(), fitted_here=False)


def in_memory(Z: Any) -> NDArray[np.floating[Any]]:
    """Return features, but refuse stored ones, on which no weights can be fitted.

    Parameters
    ----------
    Z : ndarray, StoredFeatures or StoredCategoryFeatures
        Features.

    Returns
    -------
    features : ndarray
        ``Z`` itself.

    Raises
    ------
    ValueError
        If they are stored.
    """
    if isinstance(Z, (StoredFeatures, StoredCategoryFeatures)):
        raise ValueError(
            "`coef_init` and `intercept_init` must be given with features that are not "
            "in memory: no initial weights can be fitted on them. Pass the "
            "classification layer of the network that made the features."
        )
    features: NDArray[np.floating[Any]] = Z
    return features


def take_weights(paths: RegressionPaths, chosen: NDArray[np.intp]) -> InitialWeights:
    """Take the fit of one penalty for each category.

    Parameters
    ----------
    paths : RegressionPaths
        All fits.
    chosen : ndarray of shape (n_categories,), int
        Which penalty.

    Returns
    -------
    initial : InitialWeights
        The fits.
    """
    categories = np.arange(len(chosen))
    return InitialWeights(
        paths.coef[categories, chosen],
        paths.intercept[categories, chosen],
        fitted_here=True,
    )
