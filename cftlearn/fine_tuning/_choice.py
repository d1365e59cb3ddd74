"""What held-out labels chose on the features of one network, to be fitted on others."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cftlearn._features._per_category import check_categories
from cftlearn.fine_tuning._category_task import make_tasks
from cftlearn.fine_tuning._fine_tuner import CategoryWiseFineTuner
from cftlearn.fine_tuning._initial_coef import InitialWeights
from cftlearn.fine_tuning._report import CategoryResult
from cftlearn.fine_tuning._solver_names import RefitMethod, choose_workers
from cftlearn.fine_tuning._two_networks import (
    NetworkFeatures,
    average_with_head,
    move_scores,
    share_weights,
)
from cftlearn.fine_tuning._workers import CategoryWorkers
from cftlearn.labels._label_split import LabelSplit

_SCORED_BEFORE = "scores of the network that decided, not of the one trained last"


def fit_on_split(
    tuner: CategoryWiseFineTuner,
    Z: Any,
    Z_val: Any,
    split: LabelSplit,
    initial: InitialWeights | None = None,
) -> "Choice":
    """Fit a fine-tuner to labels that a classifier has held out already.

    The split must be made before stage one, which may not see the held-out labels.

    Parameters
    ----------
    tuner : CategoryWiseFineTuner
        Fitted in place.
    Z : array-like or stored array
        Features, as in its ``fit``.
    Z_val : array-like or stored array
        Features of the rows whose labels choose; not read if the rows are the same.
    split : LabelSplit
        Labels of these rows.
    initial : InitialWeights, default=None
        Regressions that the classifier has fitted. None takes ``coef_init``.

    Returns
    -------
    choice : Choice
        What was chosen, to be fitted on other features too.

    Raises
    ------
    TypeError, ValueError
        As ``fit``.
    """
    tuner._validate_params()
    method = tuner._method(weighted=split.is_weighted)
    features = tuner._read_features(Z, reset=True)
    tuner.categories_ = split.fitted.categories
    tuner.classes_ = np.tile([0, 1], (len(tuner.categories_), 1))
    check_categories(features, len(tuner.categories_))
    features_val = features if split.same_rows else tuner._read_features(Z_val)
    seeds = tuner._category_seeds()
    results = tuner._refit(method, features, features_val, split, seeds, initial)
    own = InitialWeights(tuner.coef_init_, tuner.intercept_init_)
    first = NetworkFeatures(features, features_val, own)
    return Choice(tuner, method, results, first, split, seeds)


Join = Callable[[InitialWeights, InitialWeights], InitialWeights]


@dataclass(frozen=True)
class Choice:
    """What held-out labels chose on the features of one network.

    Attributes
    ----------
    tuner : CategoryWiseFineTuner
        Fitted.
    method : RefitMethod
        How it refits.
    results : list of CategoryResult
        What was chosen.
    features : NetworkFeatures
        What it was chosen on.
    split : LabelSplit
        The labels.
    seeds : ndarray of shape (n_categories,), int
        Seeds of the categories.
    """

    tuner: CategoryWiseFineTuner
    method: RefitMethod
    results: list[CategoryResult]
    features: NetworkFeatures
    split: LabelSplit
    seeds: NDArray[np.int64]

    @property
    def weights(self) -> InitialWeights:
        """The weights of the fine-tuner."""
        return InitialWeights(self.tuner.coef_, self.tuner.intercept_)

    def weights_without_held_out(self) -> InitialWeights:
        """Fit what was chosen to the labels to fit alone."""
        fitted = self.split.fitted
        nothing = fitted.restricted_to(np.zeros_like(fitted.known))
        only_fitted = LabelSplit(fitted, nothing, True, weights=self.split.weights)
        return self._repeat(self.features, only_fitted)

    def take(self, second: NetworkFeatures, join: Join | None = None) -> None:
        """Fit what was chosen on the features of a network that saw all labels.

        The fine-tuner takes the new weights, and the new initial weights as parameters.

        Parameters
        ----------
        second : NetworkFeatures
            That network.
        join : callable, default=None
            Arranges weights on the features of both networks, whose logits are to be
            added, as weights on all of their features. None takes those of the second
            alone.
        """
        tuner, first = self.tuner, self.features
        own, initial = self.weights, second.initial
        weights = average_with_head(second, self._repeat(second, self.split))
        logits = second.logits(weights)
        if join is not None:
            parts = share_weights(first, own, second, weights, self.split)
            logits = first.logits(parts[0]) + second.logits(parts[1])
            weights = join(*parts)
            initial = join(
                *(
                    InitialWeights(each.coef / 2, each.intercept / 2)
                    for each in (first.initial, second.initial)
                )
            )
        for j, line in enumerate(tuner.report_):
            if line["status"] == "skipped":  # there is nothing to average with
                weights.coef[j] = initial.coef[j]
                weights.intercept[j] = initial.intercept[j]
            elif not line["reason"].endswith(_SCORED_BEFORE):
                # No label is left that could score the second network.
                line["reason"] += f"; {_SCORED_BEFORE}"
        tuner.held_out_ = move_scores(tuner.held_out_, first.logits(own), logits)
        tuner.coef_init_, tuner.intercept_init_ = initial.coef, initial.intercept
        # The parameters belong to the same features, so that a clone can be fitted.
        tuner.set_params(
            coef_init=initial.coef.copy(), intercept_init=initial.intercept.copy()
        )
        tuner.coef_, tuner.intercept_ = weights.coef, weights.intercept
        tuner.n_features_in_ = tuner.coef_.shape[1]

    def _repeat(self, network: NetworkFeatures, split: LabelSplit) -> InitialWeights:
        """Refit on the features of a network what was chosen."""
        Z, Z_val, initial = network
        solvers = self.method.solvers
        tasks = make_tasks(
            Z, Z if split.same_rows else Z_val, split, initial, solvers, self.seeds
        )
        run = CategoryWorkers(
            choose_workers(solvers, self.tuner.n_jobs),
            self.tuner.verbose,
            {},
            busy_with_products=self.method.busy_with_products,
        )
        coef, intercept = initial.coef.copy(), initial.intercept.copy()
        for j, own in enumerate(self.method.repeat(tasks, self.results, run)):
            if own is not None:
                coef[j], intercept[j] = own
        return InitialWeights(coef, intercept)
