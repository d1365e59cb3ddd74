"""Category-wise fine-tuning of initial weights on features."""

import logging
from collections.abc import Callable
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, Self, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from cftlearn._dependencies import (
    N_JOBS,
    Interval,
    StrOptions,
    check_feature_names_in,
)
from cftlearn._features._per_category import (
    category_logits,
    check_categories,
    is_per_category,
    read_category_features,
)
from cftlearn._features._stored import logits_of
from cftlearn._report._html import ReportMixin
from cftlearn._seeding import category_seeds
from cftlearn.base import (
    FitWeights,
    PartialLabelMixin,
    unchanged_by_errors,
    weights_of_fit,
)
from cftlearn.fine_tuning._category_task import CategoryTask, UnseenLogits, make_tasks
from cftlearn.fine_tuning._checkpoint import checkpoint_paths
from cftlearn.fine_tuning._cross_fit import cross_fit
from cftlearn.fine_tuning._initial_coef import (
    InitialWeights,
    fit_initial_weights,
    read_initial_weights,
)
from cftlearn.fine_tuning._report import (
    CategoryResult,
    mark_unlabelled,
    name_scores,
    unlabelled,
    warn_skipped,
)
from cftlearn.fine_tuning._solver_names import (
    SOLVER_NAMES,
    RefitMethod,
    choose_workers,
    make_refit_method,
)
from cftlearn.fine_tuning._validation_rows import validation_pair, warn_of_scale
from cftlearn.fine_tuning._workers import CategoryWorkers
from cftlearn.labels._groups import read_groups
from cftlearn.labels._held_out_scores import HeldOutScores
from cftlearn.labels._label_split import (
    LabelSplit,
    hold_out_given,
    hold_out_nothing,
    split_labels,
)
from cftlearn.labels._names import (
    check_same_rows,
)
from cftlearn.labels._plain_arrays import check_flag, refuse_unlike_numbers
from cftlearn.metrics._objectives import make_objective, try_objective
from cftlearn.solvers._protocol import CategorySolver, check_weights_accepted

_LOGGER = logging.getLogger("cftlearn")


class CategoryWiseFineTuner(
    ReportMixin, PartialLabelMixin, TransformerMixin, BaseEstimator
):
    """Refit every category's logistic regression on its known labels.

    Takes features ``Z`` and the weights of a trained classification layer. Some known
    labels are held out. Each category's weights are refitted on the other known
    labels, and the held-out labels of all categories together judge the refit. If they
    support it, the category is refitted once more on all its known labels [1]_. If they
    do not, if its own labels are clearly against it, or if known labels of a class are
    missing, the category keeps its initial weights. ``report_`` says which of these
    happened, and why.

    ``solver="auto"`` fits about forty penalised logistic regressions per category
    (:class:`~cftlearn.solvers.ProximalSolver`). Each of them, and the initial weights,
    counts by how well it ranks labels that it was not fitted to. One category has too
    few held-out labels to choose by, so evidence is pooled: what ranks better over all
    categories counts more in each of them. The result is the average of the candidates
    if they together count more than the initial weights. So a category may be changed
    although its own few held-out labels do not support it, and ``reason`` then says so.
    A category without a known negative can be refitted too: its unknown labels stand in
    as weak negatives.

    Any other solver, and a list of them, is judged in the same way. It runs without
    each of three folds of the held-out labels, and weights that it passes on its way
    count by how well they rank that fold, over all categories. Solvers with
    ``pooled=False``, such as :meth:`GeneticSolver.published()
    <cftlearn.solvers.GeneticSolver.published>`, are the exception: there each category
    takes the iteration that scores best on its own held-out labels. Results depend
    neither on the order of the columns of ``y``, up to rounding, nor on ``n_jobs``.

    Parameters
    ----------
    solver : str, solver object, or list of them, default="auto"
        How to refit. ``"ga"`` is :class:`~cftlearn.solvers.GeneticSolver`,
        ``"proximal"`` is :class:`~cftlearn.solvers.ProximalSolver`, and ``"bce"``,
        ``"asl"`` and all other names of :func:`cftlearn.losses.available` are
        :class:`~cftlearn.solvers.GradientSolver` with that loss. The weights of a list
        of solvers are averaged, each by what held-out labels say of it.
    objective : {"roc_auc", "average_precision"} or callable, default="roc_auc"
        What reports show, and what the genetic algorithm maximises. Refits are judged
        by ranking. A callable also judges all solvers but ``"auto"``, and no refit is
        taken by which it falls on a category's held-out labels. A callable has the
        signature ``metric(y_true, y_score) -> float``, gets known labels and logits of
        one category, and is better when higher; with ``sample_weight`` it must take
        that, too.
    coef_init : array-like of shape (n_categories, n_features), default=None
        The initial weights, one vector per category. None fits logistic regressions
        in Negative mode first, without the held-out labels. These choose one of five
        penalties for each category, by how weights rank them in this category and in
        all others. Without a held-out label, the penalty is scikit-learn's ``C = 1 /
        n_features`` on standardised features.
    intercept_init : array-like of shape (n_categories,), default=None
        Their biases; must be given if and only if ``coef_init`` is.
    validation_fraction : float, default=0.25
        Share in (0, 1) of every category's known positives and known negatives to
        hold out where ``fit`` gets no ``X_val``.
    refit : bool, default=True
        Refit on all known labels after the choice, where a refit was chosen.
    cross_fit : int, default=None
        Number of folds, 2 or more. The initial weights are fitted once without each
        fold of known labels, and once to all of them. Every known label then judges,
        none is held out, and ``validation_fraction`` is not used. The penalty of the
        weights that a fold judges is chosen by the other folds. Only for
        ``coef_init=None`` with ``solver="auto"`` and ``refit=True``.
    checkpoint : str or path, default=None
        A folder that stores every finished category. If a fit is killed, the same call
        continues it from there, and ends with the same result, bit for bit. Needs an
        integer ``random_state``. A callable ``objective`` is recognised by its name
        only. A folder is for one fit, not for a grid search.
    n_jobs : int, default=None
        Workers over categories, as in scikit-learn. A worker uses one thread. Has no
        effect on what runs on a GPU.
    random_state : int, RandomState instance or None, default=None
        Seed of the held-out labels and of the solvers.
    device : str, default="auto"
        Torch device of the gradient solvers named by a string, and of
        :class:`~cftlearn.solvers.GeneticSolver`: ``"auto"`` takes a GPU where there
        is one. On a CUDA GPU the genetic algorithm refits all categories together, with
        other random numbers than on the CPU. It stays on the CPU in a list of
        several solvers, where labels have weights and, with ``"auto"``, where
        ``objective`` is a callable.
    verbose : int, default=0
        Above 0, shows a progress bar where the output is a terminal.

    Attributes
    ----------
    coef_ : ndarray of shape (n_categories, n_features), float64
        The weights after CFT.
    intercept_ : ndarray of shape (n_categories,), float64
        Their biases.
    coef_init_ : ndarray of shape (n_categories, n_features), float64
        The initial weights.
    intercept_init_ : ndarray of shape (n_categories,), float64
        Their biases.
    categories_ : ndarray of shape (n_categories,), object
        Names of the categories.
    classes_ : ndarray of shape (n_categories, 2), or (2,) for a 1-D target
        The classes of each category.
    report_ : list of dict, one per category
        ``category``; ``n_positive``, ``n_negative`` and ``n_unknown`` labels;
        ``n_held_out_positive`` and ``n_held_out_negative``, those of them that judged;
        ``status`` ("refitted", "kept", "skipped" or "unlabelled", see the
        :ref:`Glossary <statuses>`) with its ``reason``, which says whose labels
        decided; the ``solver`` that found the weights ("auto" where ``"auto"`` averaged
        them, None if the initial ones were kept) and its ``n_iter``; ``metric``, the
        name of the objective; ``weight``, how much refits count in the new weights,
        from 0 to 1; ``seconds``. For ``"roc_auc"`` the scores are ``roc_auc_before``
        and ``roc_auc_after``, and so for any ``metric``: the objective on the held-out
        labels, by the initial weights and by the new ones (before the last refit; with
        ``"auto"``, by fits that left these labels out). ``roc_auc_before_low`` and
        ``_high``, ``roc_auc_after_low`` and ``_high`` are the ends of their 95 %
        intervals, ``roc_auc_gain_low`` and ``_high`` those of the difference, all by
        the same draws of these labels. They are NaN with fewer than two held-out
        labels of a class, and for a callable with more than 10,000 labels, or that is
        not finite for a draw. They do not know that these labels chose the refit, so
        those of the new weights lie a little too high. ``pandas.DataFrame(report_)`` is
        the table.
    history_ : list of dict
        One record per iteration: ``category``, ``solver``, ``phase`` ("choose", or
        "refit" on all known labels), ``iteration``, and the solver's numbers. Where all
        categories judge, phase "choose" has one per candidate, with its ``weight``.
    held_out_ : HeldOutScores
        The labels that judged the refits, and logits by fits that did not see them;
        see :func:`cftlearn.calibration.held_out_predictions`. Not saved.
    features_per_category_ : bool
        Whether ``Z`` had features for every category, shape (n_samples, n_categories,
        n_features).
    n_features_in_ : int
        Number of features seen in ``fit``.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where ``Z`` has string column names.

    See Also
    --------
    CFTClassifier : The whole method, from inputs to decisions.

    References
    ----------
    .. [1] Chong et al., "Category-Wise Fine-Tuning for Image Multi-label
       Classification with Partial Labels", ICONIP 2023; arXiv 2401.16991.

    Examples
    --------
    >>> from cftlearn import CategoryWiseFineTuner
    >>> from cftlearn.datasets import make_partial_multilabel
    >>> Z, y, _ = make_partial_multilabel(known=0.5, random_state=0)
    >>> tuner = CategoryWiseFineTuner("bce", random_state=0).fit(Z, y)
    >>> tuner.transform(Z).shape
    (500, 5)
    >>> tuner.report_[0]["n_positive"], tuner.report_[0]["n_negative"]
    (59, 189)
    """

    held_out_: HeldOutScores

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "solver": [
            StrOptions(SOLVER_NAMES),
            CategorySolver,
            list,
        ],
        "objective": [StrOptions({"roc_auc", "average_precision"}), callable],
        "coef_init": ["array-like", None],
        "intercept_init": ["array-like", None],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "refit": ["boolean"],
        "checkpoint": [str, PathLike, None],
        "cross_fit": [Interval(Integral, 2, None, closed="left"), None],
        "n_jobs": N_JOBS,
        "random_state": ["random_state"],
        "device": [str],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        solver: str | CategorySolver | list[str | CategorySolver] = "auto",
        *,
        objective: str | Callable[[NDArray, NDArray], float] = "roc_auc",
        coef_init: ArrayLike | None = None,
        intercept_init: ArrayLike | None = None,
        validation_fraction: float = 0.25,
        refit: bool = True,
        cross_fit: int | None = None,
        checkpoint: str | PathLike[str] | None = None,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        device: str = "auto",
        verbose: int = 0,
    ) -> None:
        self.solver = solver
        self.objective = objective
        self.coef_init = coef_init
        self.intercept_init = intercept_init
        self.validation_fraction = validation_fraction
        self.refit = refit
        self.cross_fit = cross_fit
        self.checkpoint = checkpoint
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    def fit(
        self,
        Z: ArrayLike,
        y: ArrayLike,
        *,
        X_val: ArrayLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        validation_data: tuple[ArrayLike, ArrayLike] | None = None,
        **weights: Unpack[FitWeights],
    ) -> Self:
        """Refit every category.

        Parameters
        ----------
        Z : array-like or stored array of shape (n_samples, n_features) or \
(n_samples, n_categories, n_features)
            Features, as the initial weights expect them: the same for all categories,
            or a vector of its own for each, as networks with attention per category
            compute them; category ``c`` is then fitted on ``Z[:, c]``. NaN is not
            accepted. A memory map, or anything else with ``shape``, ``dtype`` and
            slices (HDF5, zarr), is read some rows at a time and needs ``coef_init``.
        y : array-like of shape (n_samples, n_categories) or (n_samples,)
            1 positive, 0 negative, NaN unknown, in any form that
            :func:`cftlearn.labels.check_partial_labels` accepts; or 1-D with two
            classes.
        X_val : as ``Z``, default=None
            Features of rows to choose by. They may be ``Z`` itself with other known
            cells in ``y_val``. A Pipeline with ``transform_input=["X_val"]`` transforms
            them too, see the :ref:`User Guide <validation_rows>`. None holds out known
            labels of ``y``: honest only if the initial weights were not fitted to
            those labels.
        y_val : array-like of shape (n_val, n_categories) or (n_val,), default=None
            Their labels, in the order of the categories of ``y``.
        sample_weight_val : array-like of shape (n_val,) or (n_val, n_categories), \
default=None
            How much each of these counts, relative to their mean in its category.
        groups : array-like of shape (n_samples,), default=None
            The group of every row, such as its patient: texts, numbers or anything else
            that can be compared. In a category, all labels of a group are held out, or
            none is; and no label judges a fit that saw others of its group. Other
            categories may hold other groups out. With ``X_val``, its rows must be of
            other groups. See the :ref:`User Guide <groups>`.
        validation_data : tuple (X_val, y_val), default=None
            Another way to pass both. No Pipeline can transform what is in it.
        **weights : dict
            ``sample_weight``, of shape (n_samples,) or (n_samples, n_categories), None
            by default: how much each label counts, where it is fitted and where it
            judges, relative to the mean over the known labels of its category: 0 or
            more, and anything where the label is unknown. A label of weight 0 is
            unknown; of a 1-D target, a row of weight 0 is left out. See the :ref:`User
            Guide <weighted_labels>`. scikit-learn would take a weight in the signature
            for a number of repeated rows, which it is not.

        Returns
        -------
        self : CategoryWiseFineTuner
            The fitted transformer.

        Raises
        ------
        TypeError, ValueError
            If a parameter is out of its range, features, labels or weights are not
            accepted, shapes do not match, ``checkpoint`` holds another fit, ``device``
            cannot be used or is a GPU that cannot evaluate ``objective``, or ``solver``
            or ``objective`` cannot take weights.
        RuntimeError
            If processes keep ending before their categories.

        Warns
        -----
        UndefinedCategoryWarning
            Once, naming the categories that could not be refitted.
        WorkerLostWarning
            If a process ended before its category, which another one then refits.
        ValidationScaleWarning
            If ``X_val`` is not in the scale of ``Z``.
        """
        with unchanged_by_errors(self):
            pair = validation_pair(validation_data, X_val, y_val, sample_weight_val)
            both = weights_of_fit(weights, self), sample_weight_val
            return self._fit(Z, y, pair, groups, both)

    def _fit(
        self,
        Z: ArrayLike,
        y: ArrayLike,
        validation_data: tuple[ArrayLike, ArrayLike] | None,
        groups: ArrayLike | None,
        sample_weights: tuple[ArrayLike | None, ArrayLike | None],
    ) -> Self:
        self._validate_params()
        self._check_seed()
        self._method()
        check_same_rows(Z=Z, y=y, groups=groups, sample_weight=sample_weights[0])
        features = self._read_features(Z, reset=True)
        labels = self._read_targets(features, y)
        numbers = read_groups(groups, len(labels.values))
        check_categories(features, len(self.categories_))
        seeds, n_rows = self._category_seeds(), len(features)
        features, labels, weights, numbers, rows = self._weigh_targets(
            features, labels, sample_weights[0], y, numbers
        )
        features_val = features
        initial = unseen = None
        if self.cross_fit is not None:
            self._check_cross_fit(validation_data)
            split = hold_out_nothing(labels, numbers, weights)
            unseen, initial = cross_fit(
                features, split, self.cross_fit, seeds, n_jobs=self.n_jobs
            )
        elif validation_data is None:
            split = split_labels(
                labels, self.validation_fraction, seeds, numbers, weights
            )
        else:
            features_val, held_out = self._read_validation(
                Z, features, labels, validation_data, self._read_features, "X"
            )
            warn_of_scale(features, features_val, stacklevel=3)
            held_out, weights_val = self._weigh_validation(
                held_out, sample_weights[1], validation_data
            )
            split = hold_out_given(
                labels,
                held_out,
                numbers,
                same_rows=features_val is features,
                weights=weights,
                weights_val=weights_val,
            )
        method = self._method(weighted=split.is_weighted)
        self._refit(method, features, features_val, split, seeds, initial, unseen)
        if validation_data is None:
            self.held_out_ = self.held_out_.among_rows(rows, n_rows)
        warn_skipped(self.report_, self.solver, stacklevel=3)
        return self

    def _method(self, *, weighted: bool = False) -> RefitMethod:
        objective = make_objective(self.objective)
        try_objective(objective, weighted=weighted)
        method = make_refit_method(
            self.solver, objective, refit=self.refit, device=self.device
        )
        if weighted:
            check_weights_accepted(method.solvers)
        return method

    def _category_seeds(self) -> NDArray[np.int64]:
        base_seed = check_random_state(self.random_state).randint(2**31 - 1)
        return category_seeds(base_seed, self.categories_)

    def _refit(
        self,
        method: RefitMethod,
        features: Any,
        features_val: Any,
        split: LabelSplit,
        seeds: NDArray[np.int64],
        initial: InitialWeights | None = None,
        unseen: UnseenLogits | None = None,
    ) -> list[CategoryResult]:
        """Refit every category, and store the results."""
        if initial is None:
            initial = self._initial_weights(features, features_val, split)
        self.coef_init_, self.intercept_init_ = initial.coef, initial.intercept
        is_given = not initial.fitted_here
        learned = [is_given or bool(own.any()) for own in split.fitted.known.T]
        if unseen is not None:  # every label judges; none is only fitted
            split = split._replace(fitted=split.held_out, held_out=split.fitted)
        tasks = make_tasks(
            features, features_val, split, initial, method.solvers, seeds, unseen
        )
        run = CategoryWorkers(
            choose_workers(method.solvers, self.n_jobs),
            self.verbose,
            self._checkpoint_paths(method, tasks),
            busy_with_products=method.busy_with_products,
        )
        results = method(tasks, run)
        results = name_scores(tasks, results, make_objective(self.objective))
        n_other = 0 if split.same_rows else len(features_val)
        self._store(results, len(features) + n_other)
        mark_unlabelled(self.report_, learned)
        self.held_out_ = HeldOutScores.from_logits(
            split.held_out,
            [result.left_out for result in results],
            [task.held_out.weight for task in tasks],
        )
        return results

    def _checkpoint_paths(
        self, method: RefitMethod, tasks: list[CategoryTask]
    ) -> dict[str, Path]:
        if self.checkpoint is None:
            return {}
        return checkpoint_paths(
            self.checkpoint,
            method.solvers,
            make_objective(self.objective),
            tasks,
            method=type(method).__qualname__,
            refit=self.refit,
            device=method.device,
        )

    def transform(self, Z: ArrayLike, *, initial: bool = False) -> NDArray[np.float64]:
        """Compute the logits of every category.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_features) or \
(n_samples, n_categories, n_features)
            Features, of as many axes as in ``fit``.
        initial : bool, default=False
            Return the logits before the refit, by ``coef_init_`` and
            ``intercept_init_``.

        Returns
        -------
        logits : ndarray of shape (n_samples, n_categories), float64
            ``Z @ coef_.T + intercept_``, or of each ``Z[:, c]`` with its own weights;
            above 0 the positive class is likelier. NaN in a category without a known
            label that was fitted, unless ``coef_init`` knew it.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        ValueError
            If ``Z`` has other features than in ``fit``, or NaN.
        TypeError
            If ``initial`` is neither True nor False.
        """
        check_is_fitted(self)
        check_flag(initial, "initial")
        features = self._read_features(Z)
        compute = category_logits if self.features_per_category_ else logits_of
        weights = self.coef_, self.intercept_
        if initial:
            weights = self.coef_init_, self.intercept_init_
        logits = compute(features, *weights)
        logits[:, unlabelled(self.report_)] = np.nan
        return logits

    def get_feature_names_out(
        self, input_features: ArrayLike | None = None
    ) -> NDArray[Any]:
        """Return the names of the columns of :meth:`transform`: the categories.

        Parameters
        ----------
        input_features : array-like of str of shape (n_features,), default=None
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

    def _check_cross_fit(self, validation_data: object) -> None:
        for rule, is_kept in (
            ("solver='auto'", self.solver == "auto"),
            ("refit=True", self.refit),
            ("coef_init=None", self.coef_init is None),
            ("X_val=None", validation_data is None),
        ):
            if not is_kept:
                raise ValueError(
                    f"`cross_fit` must be None without {rule}: it fits the initial "
                    "weights once per fold, and every known label of `y` judges; got "
                    f"cross_fit={self.cross_fit}."
                )

    def _read_features(
        self, Z: ArrayLike, name: str = "Z", *, reset: bool = False
    ) -> Any:
        if reset:
            self.features_per_category_ = is_per_category(Z)
        if not self.features_per_category_:
            return self._read_matrix(Z, name, reset=reset)
        plain = refuse_unlike_numbers(Z, name)
        return read_category_features(plain, self, name, reset=reset)

    def _initial_weights(self, Z: Any, Z_val: Any, split: LabelSplit) -> InitialWeights:
        """Check the initial weights, or fit Negative-mode ones to labels to fit."""
        if (self.coef_init is None) != (self.intercept_init is None):
            raise ValueError(
                "`coef_init` and `intercept_init` must be given together; got only "
                f"{'intercept_init' if self.coef_init is None else 'coef_init'}. Pass "
                "both, or neither."
            )
        if self.coef_init is None:
            return fit_initial_weights(
                Z,
                split.targets(),
                Z_val,
                split.held_out.values,
                n_jobs=self.n_jobs,
                weights=split.relative_tables(),
            )
        return read_initial_weights(
            self.coef_init,
            self.intercept_init,
            self.categories_,
            Z.shape[-1],
            getattr(self, "feature_names_in_", None),
        )

    def _check_seed(self) -> None:
        """Refuse a checkpoint of a fit that no later call could continue."""
        if self.checkpoint is not None and not isinstance(self.random_state, Integral):
            raise ValueError(
                "`checkpoint` needs a seed, or the call that continues would not be "
                "the same fit; got random_state="
                f"{self.random_state!r}. Pass random_state=0."
            )

    def _store(self, results: list[CategoryResult], n_cells: int) -> None:
        self.coef_ = np.stack([result.coef for result in results])
        self.intercept_ = np.array([result.intercept for result in results])
        for result in results:
            line = result.report
            _LOGGER.info("%(category)s: %(status)s, %(reason)s", line)
            line["n_unknown"] = n_cells - line["n_positive"] - line["n_negative"]
        self.report_ = [result.report for result in results]
        self.history_ = [record for result in results for record in result.history]


def check_before_stage_one(
    tuner: CategoryWiseFineTuner, *, has_seed: bool, weighted: bool = False
) -> None:
    """Raise now what a fine-tuner would raise only after hours of training.

    Parameters
    ----------
    tuner : CategoryWiseFineTuner
        Not fitted.
    has_seed : bool
        Whether it will get a seed where it has none.
    weighted : bool, default=False
        Whether labels have weights.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range, ``objective`` returns no number, ``solver``
        or ``objective`` cannot take weights that there are, or ``checkpoint`` is set
        without a seed.
    """
    tuner._validate_params()
    tuner._method(weighted=weighted)
    if not has_seed:
        tuner._check_seed()
