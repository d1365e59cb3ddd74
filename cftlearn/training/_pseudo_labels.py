"""Which unknown labels get a pseudo-label, by the scores of a network or refit."""

from numbers import Real
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator

from cftlearn._dependencies import Interval, StrOptions
from cftlearn.labels import PartialLabels, check_partial_labels
from cftlearn.labels._pseudo_labels import read_probabilities

RULES = {"soft", "threshold", "top_share", "adaptive"}
_SHARE = Interval(Real, 0, 1, closed="right")
_OPEN = Interval(Real, 0, 1, closed="neither")


class PseudoLabels(BaseEstimator):
    r"""Choose pseudo-labels of unknown cells by their scores.

    A model that was trained on known labels says what it believes of unknown ones; some
    of these then train the next model: self-training, or curriculum labelling [1]_. As
    ``pseudo_labels`` of :class:`NetworkTrainer` an object of this class says what
    further ``rounds`` of :class:`cftlearn.CFTClassifier` are trained on;
    :meth:`select` applies it to scores of your own. Known labels never change, and
    unknown cells that are not chosen stay what they were.
    Read more in the :ref:`User Guide <pseudo_labels>`.

    Parameters
    ----------
    rule : {"soft", "threshold", "top_share", "adaptive"}, default="soft"
        ``"soft"`` takes the probability of every unknown cell as its target.
        ``"threshold"`` makes labels 1 and 0 of the cells beyond ``threshold``.
        ``"top_share"`` makes labels 1 and 0 of the ``share`` of unknown cells whose
        probabilities are the most extreme, over all rows at once. ``"adaptive"`` has a
        threshold of its own for every category, see Notes.
    threshold : float or (float, float), default=0.9
        For ``"threshold"``: cells of this probability or more become positive, those of
        ``1 - threshold`` or less negative; at least 0.5. A pair has the threshold of
        negatives first.
    share : float, default=0.1
        For ``"top_share"``: share in (0, 1] of the unknown cells. Where cells tie at
        its end, none of these is taken, so the order of rows changes nothing.
    per : {"category", "all"}, default="category"
        For ``"top_share"``: the share of every category, or of all cells together.
    error : float, default=0.05
        For ``"adaptive"``: share in (0, 1) of the known labels of one class that may
        have a score as extreme as the pseudo-labels of the other class.
    positive_only : bool, default=False
        Take positives alone: with ``"top_share"`` the cells of the highest
        probabilities, as far as these are 0.5 or more. Not used by ``"soft"``.
    weight : float, default=1.0
        How much each chosen label counts in a training beside a known label, which
        counts 1; above 0. Not used by ``"soft"``, whose targets count as much as the
        known labels together, or as ``unknown_weight`` of the trainer says.

    See Also
    --------
    NetworkTrainer : Takes it as ``pseudo_labels``.
    cftlearn.labels.soft_labels : Targets of uncertain cells.

    Notes
    -----
    With ``"adaptive"``, a cell becomes positive if its score is above those of all but
    a share ``error`` of the category's known negatives, and negative if it is below
    those of all but such a share of its known positives. A cell for which both, or
    neither, is true stays unknown. With :math:`n` known labels the limit is the one of
    rank :math:`\lceil (n + 1)(1 - error) \rceil`; if that exceeds :math:`n`, they are
    too few, and the class has no pseudo-labels in this category: 19 are needed for
    0.05. If an unknown negative is like a known one, its chance to become positive is
    then at most ``error``. Where positives are much rarer than negatives, that can
    still be many of the positives: lower ``error`` there, or use ``"threshold"``.

    The idea is that of Ruan et al. [2]_: known labels of a category show how scores of
    its two classes are distributed, those of unknown labels are distributed alike, and
    a threshold per category should follow from that. They follow the distributions
    through a training, and add a loss that drives both classes apart. The ranks and
    their bound, and one choice per round by labels that no weight was fitted to, are
    ours.

    References
    ----------
    .. [1] Cascante-Bonilla et al., "Curriculum Labeling: Revisiting Pseudo-Labeling
       for Semi-Supervised Learning", AAAI 2021.
    .. [2] Ruan et al., "Learning Semantic-Aware Threshold for Multi-Label Image
       Recognition with Partial Labels", arXiv 2507.23263.

    Examples
    --------
    >>> import numpy as np
    >>> from cftlearn.training import PseudoLabels
    >>> scores = [[0.97, 0.4], [0.6, 0.02], [0.1, 0.5]]
    >>> y = [[None, 1], [None, None], [0, None]]
    >>> PseudoLabels("threshold", threshold=0.9).select(scores, y)
    array([[ 1., nan],
           [nan,  0.],
           [nan, nan]])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "rule": [StrOptions(RULES)],
        "threshold": [Interval(Real, 0, 1, closed="both"), tuple, list],
        "share": [_SHARE],
        "per": [StrOptions({"category", "all"})],
        "error": [_OPEN],
        "positive_only": ["boolean"],
        "weight": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        rule: Literal["soft", "threshold", "top_share", "adaptive"] = "soft",
        *,
        threshold: float | tuple[float, float] = 0.9,
        share: float = 0.1,
        per: Literal["category", "all"] = "category",
        error: float = 0.05,
        positive_only: bool = False,
        weight: float = 1.0,
    ) -> None:
        self.rule = rule
        self.threshold = threshold
        self.share = share
        self.per = per
        self.error = error
        self.positive_only = positive_only
        self.weight = weight

    def select(self, scores: ArrayLike, y: ArrayLike) -> Any:
        """Choose pseudo-labels.

        Parameters
        ----------
        scores : array-like or DataFrame of shape (n_samples, n_categories)
            Probabilities in [0, 1] that cells are positive; NaN where there is none.
            ``"adaptive"`` also needs scores of known cells, by a model that was not
            trained on their labels: :func:`cftlearn.model_selection.cross_val_predict`.
        y : array-like or DataFrame of shape (n_samples, n_categories)
            Labels, NaN unknown, in any form that
            :func:`cftlearn.labels.check_partial_labels` accepts.

        Returns
        -------
        pseudo_labels : ndarray or DataFrame of shape (n_samples, n_categories)
            1, 0, or with ``"soft"`` a probability, for unknown cells that were chosen;
            NaN elsewhere. A frame if ``scores`` is one, with its names.

        Raises
        ------
        TypeError, ValueError
            If a parameter is out of its range, a score is no probability, or scores and
            labels have other shapes, categories or rows.
        """
        check_pseudo_labels(self)
        labels = check_partial_labels(y)
        values = read_probabilities(scores, y, labels, "scores")
        unknown = np.where(labels.known, np.nan, values)
        chosen = choose(self, unknown, _known_scores(values, labels))
        frame: Any = scores
        if hasattr(frame, "iloc"):
            return type(frame)(chosen, index=frame.index, columns=frame.columns)
        return chosen


class KnownScores(NamedTuple):
    """Scores of the known labels of one category.

    Attributes
    ----------
    positive, negative : ndarray, each of one dimension
        Those of its positives, and of its negatives.
    """

    positive: NDArray[np.floating[Any]]
    negative: NDArray[np.floating[Any]]


def make_rule(given: str | PseudoLabels | None) -> PseudoLabels:
    """Return the rule that a trainer's parameter means.

    Parameters
    ----------
    given : str, PseudoLabels or None
        A name of a rule; None is ``"soft"``.

    Returns
    -------
    rule : PseudoLabels
        With the defaults, if it was a name.
    """
    if isinstance(given, PseudoLabels):
        return given
    return PseudoLabels(given or "soft")  # type: ignore[arg-type]


def check_pseudo_labels(rule: PseudoLabels) -> None:
    """Check the parameters of a rule.

    Parameters
    ----------
    rule : PseudoLabels
        As a user has set it.

    Raises
    ------
    ValueError
        If a parameter is out of its range.
    """
    rule._validate_params()
    _limits(rule)


def choose(
    rule: PseudoLabels, scores: NDArray[Any], known: list[KnownScores]
) -> NDArray[Any]:
    """Choose pseudo-labels by checked scores.

    Parameters
    ----------
    rule : PseudoLabels
        How; its parameters are checked.
    scores : ndarray of shape (n_samples, n_categories)
        Probabilities of unknown cells; NaN elsewhere.
    known : list of KnownScores, one per category
        What ``"adaptive"`` compares them with.

    Returns
    -------
    chosen : ndarray of shape (n_samples, n_categories)
        Pseudo-labels; NaN elsewhere. With ``"soft"`` these are the scores.
    """
    if rule.rule == "soft":
        return scores
    if rule.rule == "threshold":
        low, high = _limits(rule)
        positive, negative = scores >= high, scores <= low
        negative &= ~positive
    elif rule.rule == "top_share":
        extreme = scores if rule.positive_only else np.maximum(scores, 1 - scores)
        taken = _top_share(extreme, rule.share, rule.per)
        positive, negative = taken & (scores >= 0.5), taken & (scores < 0.5)
    else:
        positive, negative = _beyond_the_other_class(scores, known, rule.error)
    if rule.positive_only:
        negative = np.zeros_like(negative)
    chosen = np.full(scores.shape, np.nan, dtype=scores.dtype)
    chosen[positive], chosen[negative] = 1.0, 0.0
    return chosen


def _limits(rule: PseudoLabels) -> tuple[float, float]:
    """Return the thresholds of negatives and of positives."""
    threshold = rule.threshold
    if isinstance(threshold, (tuple, list)):
        limits = tuple(threshold)
        are_numbers = [
            isinstance(each, Real) and not isinstance(each, bool) for each in limits
        ]
        is_pair = len(limits) == 2 and all(are_numbers)
        if not is_pair or not 0 <= limits[0] <= limits[1] <= 1:
            raise ValueError(
                "`threshold` must be a probability, or a pair of them, that of "
                f"negatives first and not above that of positives; got {threshold!r}. "
                "Pass threshold=(0.1, 0.9), for example."
            )
        return float(limits[0]), float(limits[1])
    if threshold < 0.5 and not rule.positive_only:
        raise ValueError(
            "`threshold` must be 0.5 or more, since cells of 1 - threshold or less "
            f"become negative; got {threshold}. Pass a pair, that of negatives first, "
            "or positive_only=True."
        )
    # Rounded: 1 - 0.9 is a little less than 0.1 in floating point.
    return round(1.0 - float(threshold), 12), float(threshold)


def _top_share(extreme: NDArray[Any], share: float, per: str) -> NDArray[np.bool_]:
    """Mark the cells of the highest numbers; NaN marks cells that do not take part."""
    columns = [extreme.ravel()] if per == "all" else list(extreme.T)
    taken = []
    for column in columns:
        ranked = np.sort(column[~np.isnan(column)])[::-1]
        n_taken = round(share * len(ranked))
        if n_taken == len(ranked):
            taken.append(~np.isnan(column))
        else:  # cells as high as the first one that is not taken are left out as well
            taken.append(column > ranked[n_taken])
    if per == "all":
        return taken[0].reshape(extreme.shape)
    return np.column_stack(taken)


def _beyond_the_other_class(
    scores: NDArray[Any], known: list[KnownScores], error: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Mark cells above nearly all known negatives, and below nearly all positives."""
    above = [_upper_limit(each.negative, error) for each in known]
    below = [-_upper_limit(-each.positive, error) for each in known]
    positive, negative = scores > above, scores < below
    return positive & ~negative, negative & ~positive


def _upper_limit(scores: NDArray[Any], error: float) -> float:
    """Return a score that a further one exceeds with a chance of at most ``error``."""
    # Rounded first: 20 * 0.95 is a little more than 19 in floating point.
    rank = int(np.ceil(np.round((len(scores) + 1) * (1.0 - error), 9)))
    if rank > len(scores):
        return np.inf
    return float(np.sort(scores)[rank - 1])


def _known_scores(values: NDArray[Any], labels: PartialLabels) -> list[KnownScores]:
    both = []
    for j, column in enumerate(values.T):
        rows, y, _ = labels.of_category(j)
        has_score = ~np.isnan(column[rows])
        own = column[rows]
        both.append(KnownScores(own[y & has_score], own[~y & has_score]))
    return both
