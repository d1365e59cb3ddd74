"""What a further round is trained on, beside the known labels."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cftlearn.labels._label_split import LabelSplit
from cftlearn.labels._pseudo_labels import PseudoTargets, no_pseudo
from cftlearn.training import PseudoLabels
from cftlearn.training._pseudo_labels import KnownScores, choose


class RoundTargets(NamedTuple):
    """Targets of unknown cells.

    Attributes
    ----------
    soft : ndarray of shape (n_samples, n_categories), float32, or None
        Probabilities of all unknown cells, in place of their treatment.
    pseudo : PseudoTargets or None
        Targets of single cells: those from outside, and those that were chosen.
    n_chosen : int or None
        How many were chosen; None where all unknown cells have probabilities.
    """

    soft: NDArray[np.float32] | None = None
    pseudo: PseudoTargets | None = None
    n_chosen: int | None = None


def choose_targets(
    rule: PseudoLabels,
    scores: NDArray[Any],
    known: list[KnownScores],
    pseudo: PseudoTargets | None,
) -> RoundTargets:
    """Choose pseudo-labels, and put them beside those from outside.

    Parameters
    ----------
    rule : PseudoLabels
        Any rule but ``"soft"``.
    scores : ndarray of shape (n_samples, n_categories)
        Those of unknown cells; NaN elsewhere.
    known : list of KnownScores, one per category
        Those of held-out labels, which the rule ``"adaptive"`` needs.
    pseudo : PseudoTargets or None
        Those from outside, which stay as they are.

    Returns
    -------
    targets : RoundTargets
        Without probabilities.
    """
    outside = no_pseudo(scores.shape) if pseudo is None else pseudo
    chosen = choose(rule, np.where(outside.cells, np.nan, scores), known)
    is_chosen = ~np.isnan(chosen)
    both = PseudoTargets(
        np.where(is_chosen, chosen, outside.values).astype(np.float32),
        np.where(is_chosen, rule.weight, outside.weights).astype(np.float32),
    )
    return RoundTargets(pseudo=both, n_chosen=int(is_chosen.sum()))


def held_out_scores(
    logits: NDArray[np.float64], split: LabelSplit
) -> list[KnownScores]:
    """Return the scores of held-out labels, by their class.

    Parameters
    ----------
    logits : ndarray of shape (n_samples, n_categories)
        Of the rows with held-out labels.
    split : LabelSplit
        The labels.

    Returns
    -------
    known : list of KnownScores, one per category
        Of weights that must not be fitted to these labels.
    """
    both = []
    for j, column in enumerate(logits.T):
        rows, y, *_ = split.held_out.of_category(j)
        both.append(KnownScores(column[rows[y]], column[rows[~y]]))
    return both
