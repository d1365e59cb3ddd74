"""Category-wise fine-tuning of rows on features."""

import logging
import warnings
from collections.abc import Callable
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_is_fitted

from cftlearn._auto_refit import auto_refit
from cftlearn._category_data import CategoryResult, matrices_of_categories
from cftlearn._category_features import (
    category_logits,
    check_categories,
    is_per_category,
    read_category_features,
)
from cftlearn._category_refit import refit_category
from cftlearn._checkpoint import checkpoint_places
from cftlearn._dependencies import Interval, StrOptions, check_feature_names_in
from cftlearn._held_out_scores import HeldOutScores
from cftlearn._initial_rows import logistic_rows
from cftlearn._label_split import LabelSplit, cross_fit
from cftlearn._report_html import ReportMixin
from cftlearn._seeding import category_seeds
from cftlearn._solver_choice import lockstep_device, make_solvers, workers_of
from cftlearn._stored_features import logits_of
from cftlearn._workers import CategoryWorkers
from cftlearn.base import CategorySolver, PartialLabelMixin
from cftlearn.exceptions import UndefinedCategoryWarning
from cftlearn.labels import PartialLabels
from cftlearn.metrics._objectives import make_objective
from cftlearn.model_selection._hold_out import hold_out_labels, stage_one_targets
from cftlearn.solvers._proximal import ProximalSolver

__all__ = ["CategoryWiseFineTuner"]

_LOGGER = logging.getLogger("cftlearn")
_NEEDS = {  # of a refit, by whether the solver is "auto"
    True: "A refit needs a known positive, and a known negative or unknown labels.",
    False: "A refit needs at least two known positives and two known negatives, or "
    "validation_data that holds both classes.",
}


class CategoryWiseFineTuner(
    ReportMixin, PartialLabelMixin, TransformerMixin, BaseEstimator
):
    """Refit every category's logistic regression on its known labels.

    Takes features ``Z`` and the rows of a trained classification layer, holds out
    some known labels, refits each row on the others, and lets the held-out labels
    judge; then it is refitted on all known labels [1]_. The trained row stands where
    they do not support a refit, or where known labels of a class are missing;
    ``report_`` says so.

    ``solver="auto"`` fits every category by some forty penalised logistic regressions
    (:class:`~cftlearn.solvers.ProximalSolver`) and weighs them, and the trained row,
    by how each ranks labels that it did not see: held-out ones above all, left out of
    a fit one by one. A category's own labels are too few to choose by, so evidence is
    pooled: what ranks better over all categories weighs more in each. The new row is
    the average by weight, if refits outweigh the trained row. A category without a
    known negative can be refitted too, since unknown labels stand in as weak ones.

    With any other solver categories are independent, and the refit that scores best
    on a category's own held-out labels is taken. In both cases results depend neither
    on the order of the columns of ``y`` nor on ``n_jobs``.

    Parameters
    ----------
    solver : {"auto", "ga", "bce", "asl", "proximal"}, solver object, or list of \
them, default="auto"
        How to refit. ``"ga"`` is :class:`~cftlearn.solvers.GeneticSolver`, ``"bce"``
        and ``"asl"`` are :class:`~cftlearn.solvers.GradientSolver` with that loss,
        ``"proximal"`` is :class:`~cftlearn.solvers.ProximalSolver`. With a list each
        category takes the solver that scores best on its held-out labels.
    objective : {"roc_auc", "average_precision"} or callable, default="roc_auc"
        What a refit is judged by, and what the genetic algorithm maximises.
        ``"auto"`` always judges by ranking, and takes no refit by which a callable
        falls on the held-out labels. A callable has the signature
        ``metric(y_true, y_score) -> float``, gets known labels and logits of one
        category, and is better when higher.
    coef_init : array-like of shape (n_categories, n_features), default=None
        The trained rows. None fits Negative-mode logistic regressions first, leaving
        the held-out labels out.
    intercept_init : array-like of shape (n_categories,), default=None
        Their biases; must be given if and only if ``coef_init`` is.
    validation_fraction : float, default=0.25
        Share in (0, 1) of every category's known positives and known negatives to
        hold out where ``fit`` gets no ``validation_data``.
    refit : bool, default=True
        Refit each replaced row on all known labels after the choice.
    cross_fit : int, default=None
        Number of folds, 2 or more: the rows to start from are fitted once without
        each fold of known labels, and once to all of them. Every known label then
        judges, none is held out, and ``validation_fraction`` is not used. Only for
        ``coef_init=None`` with ``solver="auto"`` and ``refit=True``.
    checkpoint : str or path, default=None
        A folder that keeps every finished category. A fit that was killed goes on
        there when it is called again, and ends as if it had never been interrupted,
        bit for bit. Needs an integer ``random_state``; of a callable ``objective`` it
        only knows the name. A folder is for one fit, not for a grid search.
    n_jobs : int, default=None
        Workers over categories, as in scikit-learn. A worker uses one thread. Has no
        effect on what runs on a GPU.
    random_state : int, RandomState instance or None, default=None
        Seed of the held-out labels and of the solvers.
    device : str, default="auto"
        Torch device of the gradient solvers named by a string, and of
        :class:`~cftlearn.solvers.GeneticSolver`: ``"auto"`` takes a GPU where there
        is one. On a CUDA GPU the genetic algorithm refits all categories in lockstep,
        with other random numbers than on the CPU. It stays on the CPU in a list of
        several solvers and, with ``"auto"``, where ``objective`` is a callable.
    verbose : int, default=0
        Above 0, shows a progress bar where the output is a terminal.

    Attributes
    ----------
    coef_ : ndarray of shape (n_categories, n_features), float64
        The rows after CFT.
    intercept_ : ndarray of shape (n_categories,), float64
        Their biases.
    coef_init_ : ndarray of shape (n_categories, n_features), float64
        The rows before.
    intercept_init_ : ndarray of shape (n_categories,), float64
        Their biases.
    categories_ : ndarray of shape (n_categories,), object
        Names of the categories.
    classes_ : ndarray of shape (n_categories, 2), or (2,) for a 1-D target
        The classes of each category.
    report_ : list of dict, one per category
        ``category``; ``n_positive``, ``n_negative``, ``n_unknown`` and
        ``n_held_out`` labels; ``status`` ("refitted", "kept" or "skipped") with its
        ``reason``; the ``solver`` whose row stands (None if the trained one does)
        and its ``n_iter``; ``score_before`` and ``score_after``, the objective on
        the held-out labels (before the last refit; with ``"auto"``, of fits that left
        them out); ``weight``, the share of refits in the new row; ``seconds``.
        ``pandas.DataFrame(report_)`` is the table.
    history_ : list of dict
        One record per iteration: ``category``, ``solver``, ``phase`` ("choose", or
        "refit" on all known labels), ``iteration``, and the solver's numbers; with
        ``"auto"`` one per candidate, with its ``weight``.
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

    _per_category = False  # whether features have three axes

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "solver": [
            StrOptions({"auto", "ga", "bce", "asl", "proximal"}),
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
        "n_jobs": [Integral, None],
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
        validation_data: tuple[ArrayLike, ArrayLike] | None = None,
    ) -> Self:
        """Refit every category.

        Parameters
        ----------
        Z : array-like or stored array of shape (n_samples, n_features) or \
(n_samples, n_categories, n_features)
            Features, as the trained rows expect them: the same for all categories, or
            a vector of its own for each, as networks with attention per category give
            them; row ``c`` is then fitted on ``Z[:, c]``. NaN is not accepted. A memory
            map, or whatever else has ``shape``, ``dtype`` and slices (HDF5, zarr),
            is read some rows at a time and needs ``coef_init``.
        y : array-like of shape (n_samples, n_categories) or (n_samples,)
            1 positive, 0 negative, NaN unknown, in any form that
            :func:`cftlearn.labels.check_partial_labels` accepts; or 1-D with two
            classes.
        validation_data : tuple (Z_val, y_val), default=None
            Features and labels to choose by, of the same columns. They may be the
            same rows with other known cells. None holds out known labels of ``y``:
            honest only if the rows were not trained on those labels.

        Returns
        -------
        self : CategoryWiseFineTuner
            The fitted transformer.

        Raises
        ------
        TypeError, ValueError
            If a parameter is out of its range, features or labels are not accepted,
            shapes do not match, ``checkpoint`` holds another fit, or ``device`` cannot
            be used or is a GPU that cannot evaluate ``objective``.
        RuntimeError
            If processes keep ending before their categories.

        Warns
        -----
        UndefinedCategoryWarning
            Once, naming the categories that could not be refitted.
        WorkerLostWarning
            If a process ended before its category, which another one then refits.
        """
        self._validate_params()
        self._check_seed()
        objective = make_objective(self.objective)
        auto = isinstance(self.solver, str) and self.solver == "auto"
        solvers = [ProximalSolver()] if auto else make_solvers(self.solver, self.device)
        device = lockstep_device(solvers, objective, self.device)
        features = self._read_features(Z, reset=True)
        labels = self._read_targets(features, y)
        check_categories(features, len(self.categories_))
        base_seed = check_random_state(self.random_state).randint(2**31 - 1)
        seeds = category_seeds(base_seed, self.categories_)
        split = self._split(Z, features, labels, validation_data, seeds)
        seen = labels if split.folds is not None else split.fitted
        self.coef_init_, self.intercept_init_ = self._initial_rows(
            features, seen, split.held_out if split.same_rows else None
        )
        matrices = matrices_of_categories(
            features, split.features_val, solvers, len(seeds)
        )
        categories = split.categories(
            matrices, self.coef_init_, self.intercept_init_, seeds
        )
        places: dict[str, Path] = {}
        if self.checkpoint is not None:
            places = checkpoint_places(
                self.checkpoint,
                solvers,
                objective,
                categories,
                pooled=auto,
                refit=self.refit,
                device=device,
            )
        n_jobs = workers_of(solvers, self.n_jobs)
        run = CategoryWorkers(n_jobs, self.verbose, places, busy_with_products=auto)
        if auto:
            results = auto_refit(categories, objective, refit=self.refit, run=run)
        elif device is not None:
            from cftlearn._lockstep_refit import LockstepRefit

            lockstep = LockstepRefit(
                solvers[0], objective, refit=self.refit, device=device
            )
            results = lockstep(categories, places, verbose=self.verbose)
        else:
            tasks = [(data, solvers, objective, self.refit) for data in categories]
            results = run(refit_category, CategoryResult, tasks)
        n_other = 0 if split.same_rows else len(split.features_val)
        self._store(results, len(features) + n_other)
        self._held_out = HeldOutScores.of(
            split.held_out, [result.left_out for result in results]
        )
        return self

    def transform(self, Z: ArrayLike) -> NDArray[np.float64]:
        """Compute the logits of every category.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_features) or \
(n_samples, n_categories, n_features)
            Features, of as many axes as in ``fit``.

        Returns
        -------
        logits : ndarray of shape (n_samples, n_categories), float64
            ``Z @ coef_.T + intercept_``, or of each ``Z[:, c]`` with its own row; above
            0 the positive class is likelier.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        ValueError
            If ``Z`` has other features than in ``fit``, or NaN.
        """
        check_is_fitted(self)
        features = self._read_features(Z)
        compute = category_logits if self._per_category else logits_of
        return compute(features, self.coef_, self.intercept_)

    def get_feature_names_out(
        self, input_features: ArrayLike | None = None
    ) -> NDArray[Any]:
        """Name the columns of :meth:`transform`: the categories.

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

    def _split(
        self,
        Z: ArrayLike,
        features: NDArray[np.floating[Any]],
        labels: PartialLabels,
        validation_data: tuple[ArrayLike, ArrayLike] | None,
        seeds: NDArray[np.int64],
    ) -> LabelSplit:
        """Tell labels to fit from labels to choose by."""
        if self.cross_fit is not None:
            self._check_cross_fit(validation_data)
            return cross_fit(
                features, labels, self.cross_fit, seeds, n_jobs=self.n_jobs
            )
        if validation_data is None:
            parts = hold_out_labels(labels, self.validation_fraction, seeds)
            return LabelSplit(parts[0], features, parts[1], same_rows=True)
        features_val, held_out = self._read_validation(
            Z,
            features,
            labels,
            validation_data,
            self._read_features,
            "Z",
        )
        return LabelSplit(labels, features_val, held_out, features_val is features)

    def _check_cross_fit(self, validation_data: object) -> None:
        for rule, is_kept in (
            ("solver='auto'", self.solver == "auto"),
            ("refit=True", self.refit),
            ("coef_init=None", self.coef_init is None),
            ("validation_data=None", validation_data is None),
        ):
            if not is_kept:
                raise ValueError(
                    f"`cross_fit` must be None without {rule}: it fits the rows to "
                    "start from once per fold, and lets every known label of `y` "
                    f"judge; got cross_fit={self.cross_fit}."
                )

    def _read_features(self, Z: ArrayLike, *, reset: bool = False) -> Any:
        if reset:
            self._per_category = is_per_category(Z)
        if not self._per_category:
            return self._read_matrix(Z, "Z", reset=reset)
        return read_category_features(Z, self, reset=reset)

    def _initial_rows(
        self,
        Z: NDArray[np.floating[Any]],
        labels: PartialLabels,
        held_out: PartialLabels | None,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Check the trained rows, or fit Negative-mode ones without held-out cells."""
        if (self.coef_init is None) != (self.intercept_init is None):
            raise ValueError(
                "`coef_init` and `intercept_init` must be given together; got only "
                f"{'intercept_init' if self.coef_init is None else 'coef_init'}."
            )
        if self.coef_init is None:
            targets = stage_one_targets(labels, None if self.cross_fit else held_out)
            return logistic_rows(Z, targets, n_jobs=self.n_jobs)
        coef = check_array(self.coef_init, dtype=np.float64, input_name="coef_init")
        intercept = check_array(
            self.intercept_init,
            dtype=np.float64,
            ensure_2d=False,
            input_name="intercept_init",
        )
        shape = (len(self.categories_), Z.shape[-1])
        if coef.shape != shape or intercept.shape != shape[:1]:
            raise ValueError(
                f"`coef_init` must have shape {shape} and `intercept_init` shape "
                f"{shape[:1]}, one row per category of `y`; got {coef.shape} and "
                f"{intercept.shape}."
            )
        return coef.copy(), intercept.copy()

    def _check_seed(self) -> None:
        """Refuse a checkpoint of a fit that no other one could go on with."""
        if self.checkpoint is not None and not isinstance(self.random_state, Integral):
            raise ValueError(
                "`checkpoint` needs a seed, or the fit that goes on would not be the "
                "one that was interrupted; got random_state="
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
        skipped = [line for line in self.report_ if line["status"] == "skipped"]
        if skipped:
            shown = "; ".join(
                f"{line['category']!r} ({line['reason']})" for line in skipped[:10]
            )
            more = f"; and {len(skipped) - 10} more" if len(skipped) > 10 else ""
            lack = "category lacks" if len(skipped) == 1 else "categories lack"
            warnings.warn(
                f"{len(skipped)} {lack} known labels and stayed as trained: "
                f"{shown}{more}. {_NEEDS[self.solver == 'auto']}",
                UndefinedCategoryWarning,
                stacklevel=3,
            )
