"""Probabilities that say how often a category is positive."""

import warnings
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils.validation import (
    assert_all_finite,
    check_is_fitted,
    validate_data,
)

from cftlearn._dependencies import Interval, StrOptions, check_feature_names_in
from cftlearn.base import PartialLabelMixin, unchanged_by_errors
from cftlearn.calibration._maps import (
    IDENTITY,
    AffineMap,
    KnownScores,
    StepMap,
    fit_affine_maps,
    fit_step_map,
    is_least_slope,
)
from cftlearn.exceptions import UndefinedCategoryWarning, list_some
from cftlearn.labels._held_out_scores import HeldOutScores
from cftlearn.labels._names import (
    align_by_category,
    check_columns,
    check_same_rows,
    order_of,
)
from cftlearn.labels._plain_arrays import read_numbers, refuse_unlike_numbers
from cftlearn.labels._weights import taken, weigh_labels

Floats = NDArray[np.float64]


class CategoryCalibrator(PartialLabelMixin, TransformerMixin, BaseEstimator):
    """Turn the logits of every category into calibrated probabilities.

    The calibrator is fitted to known labels that the scores have not seen. Unknown
    labels have no influence. Afterwards, three in ten samples with a probability of
    0.3 are positive: *of those whose label is known*. Where positives are written down
    more often than negatives, this is too many for all samples together; ``prevalence``
    corrects it where the true share is known.

    Parameters
    ----------
    method : {"sigmoid", "isotonic"}, default="sigmoid"
        ``"sigmoid"`` is Platt's [1]_: a slope above 0 and a bias, so that the order of
        samples, and with it AUC and AP, stays as it is. ``"isotonic"`` is any rising
        curve: it follows scores that are wrong in other ways, makes many scores equal
        and needs many labels.
    prevalence : float or array-like of shape (n_categories,), default=None
        True share of positives in (0, 1) where the probabilities will be used, for all
        categories or each; NaN where it is not known. A Series that is labelled by
        categories goes by these names, not by place. The log odds of a category are
        shifted by those of its prevalence less those of the share among the labels it
        was calibrated on [2]_ [3]_. This is right if labels of positives, and of
        negatives, are known or not whatever the features say. None shifts nothing.
    shrinkage : float, default=10
        How strongly categories with few labels follow the fit of all categories
        together. That fit counts as much as so many labels for a category's bias, and
        as twenty times as many for its slope. 0 fits each category by itself, with
        Platt's smoothed targets.
    min_isotonic : int, default=100
        Known labels of a category's rarer class below which ``"isotonic"`` takes a
        sigmoid; ``report_`` says so.

    Attributes
    ----------
    slope_, intercept_ : ndarray of shape (n_categories,), float64
        Of the sigmoid, ``expit(slope_ * logits + intercept_)``, with the shift to
        ``prevalence``. 1 and 0 where a category was left as it is, NaN where the curve
        is isotonic.
    curves_ : list, one per category
        None; or for an isotonic curve the logits of its corners and its probabilities
        there, each an ndarray of shape (n_corners,).
    shift_ : ndarray of shape (n_categories,), float64
        By how much ``prevalence`` shifted the log odds.
    report_ : list of dict, one per category
        ``category``; ``n_positive`` and ``n_negative`` labels; ``method`` ("sigmoid",
        "isotonic", or None for a category left as it is) with its ``reason``;
        ``slope``, ``intercept`` and ``shift``.
    categories_ : ndarray of shape (n_categories,), object
        Names of the categories.
    classes_ : ndarray of shape (n_categories, 2), or (2,) for a 1-D target
        The classes of each category.
    n_features_in_ : int
        Number of columns of ``X`` in ``fit``.
    feature_names_in_ : ndarray of shape (n_categories,)
        Names of the columns, where ``X`` has string column names.

    See Also
    --------
    cftlearn.CFTClassifier : Its ``calibration`` fits one to held-out labels.
    tune_thresholds : Decisions of every category.
    sklearn.calibration.CalibratedClassifierCV : For one target, all known.

    References
    ----------
    .. [1] Platt, "Probabilistic outputs for support vector machines and comparisons to
       regularized likelihood methods", Advances in Large Margin Classifiers, 1999.
    .. [2] Elkan, "The foundations of cost-sensitive learning", IJCAI 2001.
    .. [3] Saerens, Latinne and Decaestecker, "Adjusting the outputs of a classifier to
       new a priori probabilities", Neural Computation 14, 2002.

    Examples
    --------
    >>> import numpy as np
    >>> from cftlearn.calibration import CategoryCalibrator
    >>> from cftlearn.datasets import make_partial_multilabel
    >>> X, y, _ = make_partial_multilabel(2000, known=0.5, random_state=0)
    >>> too_sure = 5 * X[:, :5]
    >>> calibrator = CategoryCalibrator().fit(too_sure, y)
    >>> proba = calibrator.transform(too_sure)
    >>> bool(abs(proba[:, 0].mean() - np.nanmean(y[:, 0])) < 0.05)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "method": [StrOptions({"sigmoid", "isotonic"})],
        "prevalence": [Interval(Real, 0, 1, closed="neither"), "array-like", None],
        "shrinkage": [Interval(Real, 0, None, closed="left")],
        "min_isotonic": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        method: Literal["sigmoid", "isotonic"] = "sigmoid",
        *,
        prevalence: float | ArrayLike | None = None,
        shrinkage: float = 10,
        min_isotonic: int = 100,
    ) -> None:
        self.method = method
        self.prevalence = prevalence
        self.shrinkage = shrinkage
        self.min_isotonic = min_isotonic

    def fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Calibrate every category on its known labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_categories)
            Logits (``decision_function``, ``CategoryWiseFineTuner.transform``) of rows
            whose labels the model was not fitted to. Not probabilities: pass
            ``scipy.special.logit`` of them. A category that the model cannot score may
            be NaN in all rows, and stays so.
        y : array-like of shape (n_samples, n_categories) or (n_samples,)
            1 positive, 0 negative, NaN unknown, in any form that
            :func:`cftlearn.labels.check_partial_labels` accepts; or 1-D with two
            classes: then every column of ``X`` holds scores of this one target.
        sample_weight : array-like of shape (n_samples,) or \
(n_samples, n_categories), default=None
            For how many labels each of them counts, as scikit-learn's Platt scaling
            takes it: 0 or more where a label is known. A label of weight 0 is unknown.

        Returns
        -------
        self : CategoryCalibrator
            The fitted calibrator.

        Raises
        ------
        TypeError, ValueError
            If a parameter is out of its range, scores, labels or weights are not
            accepted, or shapes, names of columns or row labels do not match.

        Warns
        -----
        UndefinedCategoryWarning
            Once, naming the categories that lack a known positive or a known negative
            and were left as they are.
        """
        with unchanged_by_errors(self):
            return self._fit(X, y, sample_weight)

    def _fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None) -> Self:
        self._validate_params()
        check_same_rows(X=X, y=y, sample_weight=sample_weight)
        plain = refuse_unlike_numbers(X, "X")
        scores = validate_data(self, plain, dtype=np.float64, ensure_all_finite=False)
        labels = self._read_targets(scores, y)
        labels, weights = weigh_labels(labels, sample_weight, y)
        values, names = labels.values, labels.categories
        if self._is_binary():
            values = np.repeat(values, scores.shape[1], axis=1)
            if weights is not None:
                weights = np.repeat(weights, scores.shape[1], axis=1)
            names = np.array([str(j) for j in range(scores.shape[1])], dtype=object)
            names = getattr(self, "feature_names_in_", names)
        if values.shape != scores.shape:
            raise ValueError(
                "`X` must have one column of scores per category of `y`; got "
                f"{scores.shape[1]} columns for {values.shape[1]} categories. Pass the "
                "logits of these categories, in their order."
            )
        if not self._is_binary():
            self._check_names(X, names, order_of(y, "y"))
        unscored = np.isnan(scores).all(axis=0)
        assert_all_finite(scores[:, ~unscored], input_name="X")
        known = ~np.isnan(values) & ~unscored
        columns = [
            KnownScores(
                scores[rows, j], values[rows, j] == 1.0, taken(weights, (rows, j))
            )
            for j, rows in enumerate(known.T)
        ]
        self._fit_columns(columns, names)
        _warn_of_missing_classes(self.report_, stacklevel=3)
        return self

    def transform(self, X: ArrayLike) -> Floats:
        """Compute probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_categories)
            Logits, as in ``fit``.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_categories), float64
            Probability of the positive class of every category.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        ValueError
            If ``X`` has other columns than in ``fit``, or NaN.
        """
        check_is_fitted(self)
        if not self._is_binary():
            self._check_names(X, self.categories_, "calibrator.categories_")
        plain = refuse_unlike_numbers(X, "X")
        scores = validate_data(
            self, plain, dtype=np.float64, reset=False, ensure_all_finite=False
        )
        calibrated = [record["method"] is not None for record in self.report_]
        unscored = np.isnan(scores).all(axis=0) & ~np.array(calibrated)
        assert_all_finite(scores[:, ~unscored], input_name="X")
        return self._proba(scores)

    def get_feature_names_out(
        self, input_features: ArrayLike | None = None
    ) -> NDArray[Any]:
        """Name the columns of :meth:`transform`: the categories.

        Parameters
        ----------
        input_features : array-like of str of shape (n_categories,), default=None
            Not used; checked against the names seen in ``fit``.

        Returns
        -------
        names : ndarray of shape (n_categories,), object
            ``categories_``.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        ValueError
            If ``input_features`` do not match those of ``fit``.
        """
        check_is_fitted(self)
        check_feature_names_in(self, input_features, generate_names=False)
        return self.categories_.astype(object)

    @staticmethod
    def _check_names(X: Any, expected: NDArray[Any], order: str) -> None:
        """Check that scores with names stand in the order of the categories."""
        check_columns(
            X,
            expected,
            name="X",
            owner="the categories of `y`",
            order=order,
            numbers_are_names=False,
        )

    def _proba(self, logits: Floats) -> Floats:
        """Compute the probabilities of a table of logits."""
        columns = [self._column_proba(j, column) for j, column in enumerate(logits.T)]
        return np.column_stack(columns)

    def _column_proba(self, j: int, logits: Floats) -> Floats:
        """Compute the probabilities of one category's logits."""
        curve = self.curves_[j]
        if curve is None:
            mapped = self.slope_[j] * logits + self.intercept_[j]
        else:
            mapped = logit(StepMap(*curve).proba(logits)) + self.shift_[j]
        proba: Floats = expit(mapped)
        return proba

    def _check_prevalence(self, categories: NDArray[Any]) -> Floats:
        """Read the prevalence of every category; NaN where it is not known."""
        given = np.nan if self.prevalence is None else self.prevalence
        aligned = align_by_category(given, categories, "prevalence")
        hint = "Write one number, or one per category in the order of `y`."
        prevalence = read_numbers(aligned, "prevalence", hint=hint).astype(np.float64)
        n_categories = len(categories)
        if prevalence.shape not in ((), (n_categories,)):
            raise ValueError(
                "`prevalence` must be one number or one per category, shape "
                f"{(n_categories,)}; got shape {prevalence.shape}. Write NaN for a "
                "category whose prevalence is not known."
            )
        wrong = (prevalence <= 0) | (prevalence >= 1)
        if wrong.any():
            first = prevalence[wrong].ravel()[0]
            raise ValueError(
                "`prevalence` must lie in (0, 1), or be NaN where it is not known; got "
                f"{first}. Give a share, not a count or a percentage."
            )
        return np.broadcast_to(prevalence, (n_categories,))

    def _fit_columns(
        self, columns: Sequence[KnownScores], categories: NDArray[Any]
    ) -> None:
        """Calibrate categories whose known labels lie apart from each other's."""
        self.categories_ = categories
        self.n_features_in_ = len(columns)
        prevalence = self._check_prevalence(categories)
        maps = self._fit_maps(columns)
        # log odds of the true prevalence, less those of the labels fitted to
        self.shift_ = np.array(
            [
                0.0
                if j not in maps or np.isnan(prevalence[j])
                else logit(prevalence[j]) - logit(column.share)
                for j, column in enumerate(columns)
            ]
        )
        all_maps = [maps.get(j, IDENTITY) for j in range(len(columns))]
        self.curves_ = [tuple(m) if isinstance(m, StepMap) else None for m in all_maps]
        lines = [m if isinstance(m, AffineMap) else (np.nan, np.nan) for m in all_maps]
        self.slope_ = np.array([slope for slope, _ in lines])
        self.intercept_ = np.array([bias for _, bias in lines]) + self.shift_
        self.report_ = [
            self._report(j, column, maps.get(j)) for j, column in enumerate(columns)
        ]

    def _fit_maps(
        self, columns: Sequence[KnownScores]
    ) -> dict[int, AffineMap | StepMap]:
        """Fit the map of every category that has labels of both classes."""
        fittable = [j for j, column in enumerate(columns) if column.n_rarer]
        affine = fit_affine_maps([columns[j] for j in fittable], self.shrinkage)
        maps: dict[int, AffineMap | StepMap] = dict(zip(fittable, affine, strict=True))
        if self.method == "isotonic":
            for j in fittable:
                if columns[j].n_rarer >= self.min_isotonic:
                    maps[j] = fit_step_map(columns[j])
        return maps

    def _report(
        self, j: int, column: KnownScores, fitted: AffineMap | StepMap | None
    ) -> dict[str, Any]:
        method, reason = self._explain(column, fitted)
        n_positive = int(np.count_nonzero(column.y))
        return {
            "category": str(self.categories_[j]),
            "n_positive": n_positive,
            "n_negative": len(column.y) - n_positive,
            "method": method,
            "reason": reason,
            "slope": float(self.slope_[j]),
            "intercept": float(self.intercept_[j]),
            "shift": float(self.shift_[j]),
        }

    def _explain(
        self, column: KnownScores, fitted: AffineMap | StepMap | None
    ) -> tuple[str | None, str]:
        """Return the method that a category was calibrated by, and the reason."""
        if fitted is None:
            missing = "negative" if column.y.any() else "positive"
            return None, f"no known {missing}" if len(column.y) else "no known label"
        if isinstance(fitted, StepMap):
            return "isotonic", f"{len(column.y)} known labels"
        if self.method == "isotonic":
            return "sigmoid", (
                f"isotonic needs {self.min_isotonic} known labels of the rarer class; "
                f"there are {column.n_rarer:g}"
            )
        if is_least_slope(fitted, column):
            return "sigmoid", (
                "positives do not have higher scores; order stays, little else"
            )
        return "sigmoid", f"{len(column.y)} known labels"


def _warn_of_missing_classes(report: list[dict[str, Any]], stacklevel: int) -> None:
    left = [
        f"{record['category']!r} ({record['reason']})"
        for record in report
        if record["method"] is None
    ]
    if not left:
        return
    lack = "category lacks" if len(left) == 1 else "categories lack"
    warnings.warn(
        f"{len(left)} {lack} labels to calibrate by and stayed as they are: "
        f"{list_some(left, 10, separator='; ')}. Calibration needs a known positive "
        "and a known negative that the scores have not seen.",
        UndefinedCategoryWarning,
        stacklevel=stacklevel + 1,
    )


Calibration = str | CategoryCalibrator | None


def start_calibrator(
    calibration: Calibration, categories: NDArray[Any]
) -> CategoryCalibrator | None:
    """Build a classifier's calibrator, and check its parameters before the training.

    Parameters
    ----------
    calibration : str, CategoryCalibrator or None
        The classifier's parameter.
    categories : ndarray of shape (n_categories,)
        Names of the categories.

    Returns
    -------
    calibrator : CategoryCalibrator or None
        Not fitted. None where ``calibration`` is None.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range.
    """
    if calibration is None:
        return None
    calibrator = (
        CategoryCalibrator(calibration)  # type: ignore[arg-type]
        if isinstance(calibration, str)
        else clone(calibration)
    )
    calibrator._validate_params()
    calibrator._check_prevalence(categories)
    return calibrator


def calibrate(
    calibrator: CategoryCalibrator | None,
    held_out: HeldOutScores,
    categories: NDArray[Any],
    classes: NDArray[Any],
    *,
    stacklevel: int,
) -> None:
    """Fit a calibrator to labels that were held out of the refits.

    Parameters
    ----------
    calibrator : CategoryCalibrator or None
        Is fitted in place. None stays None.
    held_out : HeldOutScores
        Labels, and logits of fits that did not see them.
    categories : ndarray of shape (n_categories,)
        Names of the categories.
    classes : ndarray of shape (n_categories, 2) or (2,)
        Classes of the categories, or of a 1-D target.
    stacklevel : int
        In whose name to warn: a caller so many calls up.

    Warns
    -----
    UndefinedCategoryWarning
        Once, naming the categories that were left as they are.
    """
    if calibrator is None:
        return
    columns = [
        KnownScores(column.logits, column.y, column.weight)
        for column in held_out.columns
    ]
    calibrator._fit_columns(columns, categories)
    _warn_of_missing_classes(calibrator.report_, stacklevel + 1)
    calibrator.classes_ = classes


def calibrated_proba(calibrator: CategoryCalibrator | None, logits: Floats) -> Floats:
    """Compute probabilities from logits, with a calibrator if there is one.

    Parameters
    ----------
    calibrator : CategoryCalibrator or None
        Fitted. None takes logits for log odds.
    logits : ndarray of shape (n_samples, n_categories) or (n_samples,)
        Scores.

    Returns
    -------
    proba : ndarray of the shape of ``logits``, float64
        Probabilities.
    """
    if calibrator is None:
        proba: Floats = expit(logits)
        return proba
    table = logits.reshape(len(logits), -1)
    return calibrator._proba(table).reshape(logits.shape)


def column_proba(
    calibrator: CategoryCalibrator | None, j: int, logits: Floats
) -> Floats:
    """Compute the probabilities of one category.

    Parameters
    ----------
    calibrator : CategoryCalibrator or None
        Fitted. None takes logits for log odds.
    j : int
        Index of the category.
    logits : ndarray of shape (n_samples,)
        Its scores.

    Returns
    -------
    proba : ndarray of shape (n_samples,), float64
        Probabilities.
    """
    if calibrator is None:
        proba: Floats = expit(logits)
        return proba
    return calibrator._column_proba(j, logits)


def calibrated_weights(
    coef: Floats, intercept: Floats, calibrator: CategoryCalibrator | None
) -> tuple[Floats, Floats]:
    """Compute weights whose logits are calibrated log odds.

    Parameters
    ----------
    coef : ndarray of shape (n_categories, n_features)
        Weights.
    intercept : ndarray of shape (n_categories,)
        Biases.
    calibrator : CategoryCalibrator or None
        Fitted. None changes nothing.

    Returns
    -------
    coef, intercept : ndarray
        Of the same shapes.

    Raises
    ------
    ValueError
        If a category's curve is isotonic.

    Notes
    -----
    With slope :math:`a` and intercept :math:`c` of the calibrator, the log odds are
    :math:`a (w^T z + b) + c = (a w)^T z + (a b + c)`.
    """
    if calibrator is None:
        return coef, intercept
    curved = [
        str(name)
        for name, curve in zip(calibrator.categories_, calibrator.curves_, strict=True)
        if curve is not None
    ]
    if curved:
        raise ValueError(
            'Only calibration="sigmoid" can become part of the weights of a network; '
            f"{len(curved)} categories have an isotonic curve, the first "
            f"{curved[0]!r}. Take the logits, and calibrate them with "
            "calibrator_.transform."
        )
    slope = calibrator.slope_
    return slope[:, None] * coef, slope * intercept + calibrator.intercept_
