"""Cross-fitting: every known label judges, by weights fitted without its fold."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cftlearn.fine_tuning._category_task import UnseenLogits
from cftlearn.fine_tuning._initial_coef import (
    InitialWeights,
    in_memory,
    take_weights,
)
from cftlearn.fine_tuning._penalty_choice import (
    choose_penalties,
    combine_evidence,
    judge_penalties,
    path_logits,
)
from cftlearn.fine_tuning._regression_paths import fit_regression_paths
from cftlearn.labels._groups import spread_over_groups
from cftlearn.labels._label_split import LabelSplit, deal_labels


class CrossFit(NamedTuple):
    """What cross-fitting hands to the refits.

    Attributes
    ----------
    unseen : UnseenLogits
        Logits of every known label.
    initial : InitialWeights
        Weights fitted to all labels.
    """

    unseen: UnseenLogits
    initial: InitialWeights


def cross_fit(
    Z: NDArray[np.floating[Any]],
    split: LabelSplit,
    n_folds: int,
    seeds: NDArray[np.integer],
    *,
    n_jobs: int | None,
) -> CrossFit:
    """Compute logits of known labels by logistic regressions without their fold.

    Parameters
    ----------
    Z : ndarray of shape (n_samples, n_features)
        Features.
    split : LabelSplit
        All labels as labels to fit, and none held out.
    n_folds : int
        How many regressions per category.
    seeds : ndarray of shape (n_categories,), int
        One seed per category.
    n_jobs : int or None
        Workers over categories.

    Returns
    -------
    crossed : CrossFit
        Logits of every known label, and weights fitted to all of them.

    Raises
    ------
    ValueError
        If the features are stored.

    Notes
    -----
    The labels of a fold do not choose the penalty of the weights that they judge: the
    labels of the other folds do, each by fits without its own fold. Those fits have
    seen the labels of this fold, as labels to fit and not as judges, so that no penalty
    was taken for ranking them well. The penalty of the weights fitted to all labels is
    chosen by all folds.
    """
    Z = in_memory(Z)
    targets, (weights, _) = split.targets(), split.relative_tables()
    folds = deal_labels(split.fitted, n_folds, seeds, split.groups)
    evidence, logits_by_fold = [], []
    for fold in range(n_folds):
        in_fold = folds == fold
        left_out = spread_over_groups(in_fold, split.groups)
        rest = np.where(left_out, np.nan, targets)
        paths = fit_regression_paths(Z, rest, n_jobs=n_jobs, weights=weights)
        logits_by_fold.append(path_logits(paths, Z, in_fold))
        judging = np.where(in_fold, targets, np.nan)
        evidence.append(judge_penalties(paths, logits_by_fold[-1], judging, weights))
    logits = np.full(targets.shape, np.nan)
    for fold, fold_logits in enumerate(logits_by_fold):
        others = [own for k, own in enumerate(evidence) if k != fold]
        chosen = choose_penalties(combine_evidence(others))
        for j, penalty in enumerate(chosen):
            logits[folds[:, j] == fold, j] = fold_logits[j][penalty]
    paths = fit_regression_paths(Z, targets, n_jobs=n_jobs, weights=weights)
    chosen = choose_penalties(combine_evidence(evidence))
    return CrossFit(UnseenLogits(logits, folds), take_weights(paths, chosen))
