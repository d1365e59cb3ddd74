"""Several models as one: their weights, their means, and the views of a case."""

from numbers import Integral, Real
from typing import Any, ClassVar, Literal, Self, Unpack

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.base import ClassifierMixin
from sklearn.utils import Bunch, check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from cftlearn._dependencies import N_JOBS, BaseComposition, Interval, StrOptions
from cftlearn._report._html import ReportMixin
from cftlearn._seeding import category_seeds
from cftlearn.base import (
    FitWeights,
    PartialLabelMixin,
    refuse_no_known,
    unchanged_by_errors,
    weights_of_fit,
)
from cftlearn.calibration._thresholds import check_threshold
from cftlearn.classifier import CFTClassifier
from cftlearn.ensemble._combination import (
    COMBINATIONS,
    Combination,
    Floats,
    in_order_of_names,
    mean_log_odds,
    member_weights,
    ranks_among,
    reference_rows,
    silent_columns,
    weighted_mean,
    weights_without,
)
from cftlearn.ensemble._members import (
    Members,
    all_logits,
    as_table,
    check_members,
    check_members_take_weights,
    check_same_categories,
    check_same_features,
    fit_member,
    split_rows,
    weights_for_members,
    weights_of_members,
)
from cftlearn.ensemble._selection import (
    SELECTIONS,
    MemberChoice,
    choose_members,
    report_choices,
    warn_unjudged,
)
from cftlearn.fine_tuning._validation_rows import validation_pair, warn_of_scale
from cftlearn.labels import PartialLabels
from cftlearn.labels._encoding import UNKNOWN
from cftlearn.labels._groups import read_groups
from cftlearn.labels._names import check_same_rows
from cftlearn.labels._plain_arrays import refuse_masked
from cftlearn.labels._weights import taken, weigh_labels
from cftlearn.metrics._objectives import ObjectiveLike, make_objective, try_objective


def _gives_probabilities(ensemble: "CFTEnsemble") -> bool:
    if ensemble.combine == "rank_mean":
        raise AttributeError(
            'A mean of ranks is no probability: with combine="rank_mean" there are '
            'decision_function and score. Pass combine="mean" to decide.'
        )
    return True


class CFTEnsemble(ReportMixin, PartialLabelMixin, ClassifierMixin, BaseComposition):
    """Average several models, with equal weights or with weights per category.

    Members are models of the same categories: seeds, networks, solvers, training
    schemes. With ``weights="best"`` or ``"greedy"`` held-out labels choose among them
    in each category [1]_ [2]_.

    Parameters
    ----------
    estimators : list of (str, estimator), default=None
        Members and their names. Each has ``decision_function``, whose values are
        taken as log odds, ``predict_proba``, or ``transform`` to logits. They are
        cloned, and get seeds of their own where ``random_state`` is None; ``"drop"``
        leaves one out. None: ``CFTClassifier`` with ``n_estimators`` seeds.
    combine : {"mean", "logit_mean", "rank_mean"}, default="mean"
        Average probabilities, log odds, or ranks among the scores of reference rows
        (``reference_``). Ranks need no common scale, but are not probabilities: then
        there is neither ``predict`` nor ``predict_proba``.
    weights : {"best", "greedy"} or array-like of shape (n_members,) or \
(n_members, n_categories), default=None
        See :func:`cftlearn.ensemble.select_members`. None weighs all equally.
    objective : {"roc_auc", "average_precision"} or callable, default="roc_auc"
        What weights maximise on held-out labels; a callable
        ``metric(y_true, y_score) -> float`` is better when higher.
    n_estimators : int, default=3
        How many members where ``estimators`` is None, at most 10,000.
    prefit : bool, default=False
        Take the members as they are, fitted. ``fit`` then needs rows that no member
        was fitted on. Cloning, and so cross-validation, undoes members that are not
        wrapped in :class:`sklearn.frozen.FrozenEstimator`.
    validation_fraction : float, default=0.25
        Share in (0, 1) of the rows that no member is fitted on, where labels are to
        choose and ``fit`` gets no ``X_val``.
    threshold : float or array-like of shape (n_categories,), default=0.5
        Probability in [0, 1] from which :meth:`predict` says positive.
    n_jobs : int, default=None
        Members to fit at a time, in processes.
    random_state : int, RandomState instance or None, default=None
        Seed of the members and of the rows to hold out.

    Attributes
    ----------
    estimators_ : list of estimator
        The fitted members.
    named_estimators_ : sklearn.utils.Bunch
        The same by name.
    weights_ : ndarray of shape (n_members, n_categories), float64
        They sum to 1 in every category.
    reference_ : ndarray of shape (n_members, n_reference, n_categories), or None
        Sorted scores of held-out rows, else of those of ``fit``: ranks are among them.
    categories_ : ndarray of shape (n_categories,), object
        Names of the categories.
    classes_ : ndarray of shape (n_categories, 2), or (2,) for a 1-D target
        The classes of each category.
    report_ : list of dict, one per category
        Keys ``category``, ``n_positive``, ``n_negative``, ``n_unknown`` (labels of
        ``y``), ``members`` (names of those with a weight, the heaviest first),
        ``score_best`` and ``score`` (objective of the best member and of the ensemble
        on held-out labels, NaN where these chose nothing), ``status`` (``"alike"``,
        ``"given"``, ``"selected"``, or ``"unjudged"`` where held-out labels lack a
        class).
    n_features_in_ : int
        Length of the second axis of ``X`` in ``fit``, where members know it.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where members know them.

    See Also
    --------
    cftlearn.ensemble.combine_scores : The same for plain arrays of scores.

    Notes
    -----
    Whole rows are held out, not single labels of rows that stay: a member that takes
    unknown labels for negatives would learn the held-out positives as such. With few
    labels the members can lose more by that than the choice gains; None holds out none.

    References
    ----------
    .. [1] Chong et al., "Category-Wise Fine-Tuning for Image Multi-label
       Classification with Partial Labels", ICONIP 2023; arXiv 2401.16991.
    .. [2] Caruana et al., "Ensemble Selection from Libraries of Models", ICML 2004.

    Examples
    --------
    >>> from cftlearn import CategoryWiseFineTuner, CFTClassifier, CFTEnsemble
    >>> from cftlearn.datasets import make_partial_multilabel
    >>> X, y, y_full = make_partial_multilabel(1000, known=0.3, random_state=0)
    >>> convex = CFTClassifier(fine_tuner=CategoryWiseFineTuner("proximal"))
    >>> members = [("auto", CFTClassifier()), ("proximal", convex)]
    >>> model = CFTEnsemble(members, weights="greedy", random_state=0)
    >>> model.fit(X[:500], y[:500]).weights_.shape
    (2, 5)
    """

    reference_: Any  # an array, or None

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimators": [list, None],
        "combine": [COMBINATIONS],
        "weights": [SELECTIONS, "array-like", None],
        "objective": [StrOptions({"roc_auc", "average_precision"}), callable],
        "n_estimators": [Interval(Integral, 1, 10_000, closed="both")],
        "prefit": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "threshold": [Interval(Real, 0, 1, closed="both"), "array-like"],
        "n_jobs": N_JOBS,
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimators: Members | None = None,
        *,
        combine: Combination = "mean",
        weights: Literal["best", "greedy"] | ArrayLike | None = None,
        objective: ObjectiveLike = "roc_auc",
        n_estimators: int = 3,
        prefit: bool = False,
        validation_fraction: float = 0.25,
        threshold: float | ArrayLike = 0.5,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.estimators = estimators
        self.combine = combine
        self.weights = weights
        self.objective = objective
        self.n_estimators = n_estimators
        self.prefit = prefit
        self.validation_fraction = validation_fraction
        self.threshold = threshold
        self.n_jobs = n_jobs
        self.random_state = random_state

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters, with ``deep`` those of the members too.

        Parameters
        ----------
        deep : bool, default=True
            Whether to add members by name and theirs as ``<name>__<parameter>``.

        Returns
        -------
        params : dict
            By name.
        """
        return dict(self._get_params("estimators", deep=deep))

    def set_params(self, **params: Any) -> Self:
        """Set parameters; a member by its name, its own by ``<name>__<parameter>``.

        Parameters
        ----------
        **params : dict
            ``name="drop"`` leaves a member out.

        Returns
        -------
        self : CFTEnsemble
            Itself.

        Raises
        ------
        ValueError
            If there is none of that name.
        """
        self._set_params("estimators", **params)
        return self

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        *,
        X_val: Any = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        validation_data: tuple[Any, ArrayLike] | None = None,
        **weights: Unpack[FitWeights],
    ) -> Self:
        """Fit the members and weigh them.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            What the members take. With ``prefit=True``, rows that none has seen.
        y : array-like of shape (n_samples, n_categories) or (n_samples,)
            1 positive, 0 negative, NaN unknown, in any form that
            :func:`cftlearn.labels.check_partial_labels` accepts; or 1-D with two
            classes, all known.
        X_val : as ``X``, default=None
            Other rows, to choose by and to rank among; no member is fitted on them.
            Only with ``weights="best"``, ``"greedy"`` or ``combine="rank_mean"``. A
            Pipeline with ``transform_input=["X_val"]`` transforms them too, see the
            :ref:`User Guide <validation_rows>`.
        y_val : array-like of shape (n_val, n_categories) or (n_val,), default=None
            Their labels, in the order of the categories of ``y``.
        sample_weight_val : array-like of shape (n_val,) or (n_val, n_categories), \
default=None
            How much each of these counts.
        groups : array-like of shape (n_samples,), default=None
            The group of every row, such as its patient. No group is divided between the
            members and the rows that choose. Members whose ``fit`` takes ``groups``
            get them, and so do the last steps of pipelines that take them. With
            ``X_val``, its rows must be of other groups.
        validation_data : tuple (X_val, y_val), default=None
            Another way to pass both. No Pipeline can transform what is in it.
        **weights : dict
            ``sample_weight``, of shape (n_samples,) or (n_samples, n_categories), None
            by default: how much each label counts, where members are fitted and where
            it judges them: 0 or more, and anything where the label is unknown. A label
            of weight 0 is unknown. All members, and the last steps of pipelines, must
            take weights of this shape. See the :ref:`User Guide <weighted_labels>`.
            scikit-learn would take a weight in the signature for a number of repeated
            rows, which it is not.

        Returns
        -------
        self : CFTEnsemble
            The fitted ensemble.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            With ``prefit=True``, if a member is not fitted.
        TypeError, ValueError
            If a parameter is out of its range, labels or weights are not accepted, or
            members differ in their categories, or take no weights that there are.

        Warns
        -----
        UndefinedCategoryWarning
            Once, naming the categories that held-out labels could not judge; there
            all members weigh the same.
        ValidationScaleWarning
            If ``X_val`` is not in the scale of ``X``.
        """
        with unchanged_by_errors(self):
            pair = validation_pair(validation_data, X_val, y_val, sample_weight_val)
            both = weights_of_fit(weights, self), sample_weight_val
            return self._fit(X, y, pair, groups, both)

    def _fit(
        self,
        X: Any,
        y: ArrayLike,
        validation_data: tuple[Any, ArrayLike] | None,
        groups: ArrayLike | None,
        sample_weights: tuple[ArrayLike | None, ArrayLike | None],
    ) -> Self:
        self._validate_params()
        X, y = as_table(X, "X"), as_table(y, "y")
        check_same_rows(X=X, y=y, groups=groups, sample_weight=sample_weights[0])
        refuse_masked(X, "X")
        labels = self._read_targets(X, y)
        numbers: Any = read_groups(groups, len(labels.values))
        all_labels = labels
        labels, weights = weigh_labels(labels, sample_weights[0], y)
        given = weights_for_members(sample_weights[0], weights)
        names, members = self._named_members()
        is_weighted = not (weights is None and sample_weights[1] is None)
        # before members are trained
        try_objective(make_objective(self.objective), weighted=is_weighted)
        if given is not None and not self.prefit:
            check_members_take_weights(names, members)
        split_seed, member_seed = check_random_state(self.random_state).randint(
            2**31 - 1, size=2
        )
        if validation_data is not None:
            X_val, held_out = self._read_other_rows(X, validation_data)
            warn_of_scale(X, X_val, stacklevel=3)
            held_out, held_out_weights = self._weigh_validation(
                held_out, sample_weights[1], validation_data
            )
        elif self.prefit or not isinstance(self.weights, str):
            X_val, held_out, held_out_weights = X, labels, weights
        else:
            parts = split_rows(
                X,
                y if labels is all_labels else labels.values,
                y,
                fraction=self.validation_fraction,
                groups=numbers,
                seed=int(split_seed),
            )
            X, X_val, y, rows, rows_val = parts
            numbers, given = taken(numbers, rows), taken(given, rows)
            held_out, held_out_weights = (
                labels.of_rows(rows_val),
                taken(weights, rows_val),
            )
        if self.prefit:
            self.estimators_ = members
            self.categories_ = check_same_categories(
                list(zip(names, members, strict=True)), self.categories_, self.classes_
            )
        else:
            seeds = category_seeds(int(member_seed), np.array(names))
            self.estimators_ = Parallel(n_jobs=self.n_jobs)(
                delayed(fit_member)(member, X, y, int(seed), numbers, given)
                for member, seed in zip(members, seeds, strict=True)
            )
        self.named_estimators_ = Bunch(
            **dict(zip(names, self.estimators_, strict=True))
        )
        for attribute in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.estimators_[0], attribute):
                setattr(self, attribute, getattr(self.estimators_[0], attribute))
        check_threshold(self.threshold, self.categories_)
        self._weigh(X_val, labels, held_out, held_out_weights)
        return self

    def decision_function(self, X: Any) -> Floats:
        """Compute the log odds of every category, or the mean rank.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            What the members take.

        Returns
        -------
        scores : ndarray of shape (n_samples, n_categories)
            Log odds; above 0 the positive class is likelier. With
            ``combine="rank_mean"`` shares in (0, 1). (n_samples,) for a 1-D target.
            Members that were fitted without a label of a category do not count there;
            NaN if none is left.

        Raises
        ------
        sklearn.exceptions.NotFittedError, ValueError
            Before ``fit``; if members do not accept ``X``.
        """
        check_is_fitted(self, "weights_")
        logits, silent = self._member_logits(X)
        weights, has_member = weights_without(self.weights_, silent)
        if self.combine == "mean":
            scores = mean_log_odds(logits, weights)
        else:
            scores = weighted_mean(self._to_average(logits), weights)
        scores[:, ~has_member] = np.nan
        return scores.ravel() if self._is_binary() else scores

    @available_if(_gives_probabilities)
    def predict_proba(self, X: Any) -> Floats:
        """Compute probabilities; not with ``combine="rank_mean"``.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            What the members take.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_categories)
            Probability of the positive class of every category; NaN where
            :meth:`decision_function` is. For a 1-D target shape (n_samples, 2), one
            column per class.

        Raises
        ------
        sklearn.exceptions.NotFittedError, ValueError
            Before ``fit``; if members do not accept ``X``.
        """
        proba = expit(self.decision_function(X))
        return np.column_stack([1 - proba, proba]) if self._is_binary() else proba

    @available_if(_gives_probabilities)
    def predict(self, X: Any) -> NDArray[Any]:
        """Decide every category by ``threshold``; not with ``combine="rank_mean"``.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            What the members take.

        Returns
        -------
        y : ndarray of shape (n_samples, n_categories), int64
            1 or 0; -1, unknown, where :meth:`decision_function` is NaN. For a 1-D
            target the classes, of shape (n_samples,).

        Raises
        ------
        sklearn.exceptions.NotFittedError, ValueError
            Before ``fit``; if members do not accept ``X``.
        """
        proba = expit(self.decision_function(X))
        threshold = check_threshold(self.threshold, self.categories_)
        is_positive = proba >= threshold
        decided = np.where(np.isnan(proba), UNKNOWN, is_positive).astype(np.int64)
        return self.classes_[decided] if self._is_binary() else decided

    def score(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Compute the mean ROC AUC over known labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            What the members take.
        y : array-like of shape (n_samples, n_categories) or (n_samples,)
            Labels, NaN unknown.
        sample_weight : array-like of shape (n_samples,) or \
(n_samples, n_categories), default=None
            How much each label counts.

        Returns
        -------
        score : float
            :func:`cftlearn.metrics.partial_roc_auc_score` with its defaults.

        Raises
        ------
        sklearn.exceptions.NotFittedError, TypeError, ValueError
            Before ``fit``; if inputs, labels or weights are not accepted.
        """
        check_same_rows(X=X, y=y, sample_weight=sample_weight)
        return self._score(self.decision_function(X), y, sample_weight)

    def linear_rows(self) -> tuple[Floats, Floats]:
        """Compute the ensemble as one logistic regression per category.

        A mean of the logits of linear models of the same features is a linear model
        itself, and costs no more than one of them.

        Returns
        -------
        coef : ndarray of shape (n_categories, n_features), float64
            Weights whose logits are :meth:`decision_function`.
        intercept : ndarray of shape (n_categories,), float64
            Their biases.

        Raises
        ------
        sklearn.exceptions.NotFittedError, ValueError
            Before ``fit``; if ``combine`` is not ``"logit_mean"``, or a member is not
            linear (a ``CategoryWiseFineTuner``, or a ``CFTClassifier`` without a
            network).
        """
        check_is_fitted(self, "weights_")
        if self.combine != "logit_mean":
            raise ValueError(
                '`combine` must be "logit_mean" for one linear model; got '
                f"{self.combine!r}."
            )
        coef, bias = weights_of_members(dict(self.named_estimators_))
        silent = np.isnan(bias)
        weights, has_member = weights_without(self.weights_, silent)
        mean_bias = np.einsum("mc,mc->c", weights, np.where(silent, 0.0, bias))
        mean_bias[~has_member] = np.nan
        return np.einsum("mc,mcd->cd", weights, coef), mean_bias

    def _named_members(self) -> tuple[list[str], list[Any]]:
        if self.estimators is None and self.prefit:
            raise ValueError(
                "`estimators` must hold fitted members with prefit=True; got None. "
                'Pass CFTEnsemble([("first", model_1), ("second", model_2)], '
                "prefit=True)."
            )
        members: Members = [
            (f"seed{i}", CFTClassifier()) for i in range(self.n_estimators)
        ]
        if self.estimators is not None:
            members = check_members(self.estimators)
            self._validate_names([name for name, _ in members])
        return [name for name, _ in members], [member for _, member in members]

    def _read_other_rows(
        self, X: Any, other: tuple[Any, Any]
    ) -> tuple[Any, PartialLabels]:
        if self.prefit:
            raise ValueError(
                "`X_val` must be None with prefit=True, where no member is fitted to "
                "`X` and `y`: these are the rows to choose by; got "
                f"{type(other[0]).__name__}. Pass fit(X_val, y_val)."
            )
        check_same_rows(X_val=other[0], y_val=other[1])
        X_val, y_val = as_table(other[0], "X_val"), as_table(other[1], "y_val")
        check_same_features(X, X_val)
        held_out = self._read_more_targets(X_val, y_val, ("X_val", "y_val"))
        refuse_no_known(held_out, "y_val")
        if not isinstance(self.weights, str) and self.combine != "rank_mean":
            how = "None" if self.weights is None else "an array"
            raise ValueError(
                "`X_val` must be None where nothing is chosen or ranked by it; got "
                f"{type(other[0]).__name__} with weights={how} and "
                f'combine={self.combine!r}. Pass CFTEnsemble(weights="greedy"), or '
                "leave `X_val` and `y_val` out."
            )
        return X_val, held_out

    def _member_logits(self, X: Any) -> tuple[Floats, NDArray[np.bool_]]:
        """Return scores, 0 where a member has none; and which members have none."""
        refuse_masked(X, "X")
        logits = all_logits(dict(self.named_estimators_), X, len(self.categories_))
        return np.nan_to_num(logits), silent_columns(logits)

    def _weigh(
        self,
        X_val: Any,
        labels: PartialLabels,
        held: PartialLabels,
        held_weights: Floats | None,
    ) -> None:
        """Set reference, weights and report."""
        held = held._replace(categories=self.categories_)
        by_labels, by_rank = isinstance(self.weights, str), self.combine == "rank_mean"
        logits, silent = np.empty(0), np.empty(0, dtype=bool)
        if by_labels or by_rank:
            logits, silent = self._member_logits(X_val)
        self.reference_ = reference_rows(logits) if by_rank else None
        if by_labels:
            how: Any = self.weights
            status = "selected"
            choices = choose_members(
                held,
                self._to_average(logits),
                how,
                self.objective,
                silent=silent,
                sample_weight=held_weights,
            )
            warn_unjudged(held, choices, stacklevel=4)
        else:
            status = "alike" if self.weights is None else "given"
            shape = len(self.estimators_), len(self.categories_)
            names = list(self.named_estimators_)
            own = in_order_of_names(self.weights, names, self.categories_)
            given = member_weights(own, *shape)
            choices = [MemberChoice(weights) for weights in given.T]
        self.weights_ = np.column_stack([choice.weights for choice in choices])
        labels = labels._replace(categories=self.categories_)
        names = list(self.named_estimators_)
        self.report_ = report_choices(labels, choices, names, status)

    def _to_average(self, logits: Floats) -> Floats:
        if self.combine == "rank_mean":
            return ranks_among(logits, self.reference_)
        return expit(logits) if self.combine == "mean" else logits
