"""Positive-unlabelled risks: what known positives say of unknown cells."""

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from cftlearn.labels._known_rates import KnownRates, LabelTotals
from cftlearn.losses._checks import (
    check_above_zero,
    check_non_negative,
    check_probability,
)
from cftlearn.losses._unknown._per_category import (
    count_labels,
    per_category,
    share_among_unknown,
    share_of_positives,
    shares_of_batch,
)
from cftlearn.losses._unknown._protocol import Cells, UnknownLoss

Surrogate = Literal["sigmoid", "logistic"]


class _PriorLoss(UnknownLoss):
    """A loss that needs a share of positives, given or estimated in a training."""

    _given: Tensor | None

    def __init__(self, prior: object, name: str) -> None:
        super().__init__()
        self.register_buffer("_given", per_category(prior, name))
        self._name = name
        self._totals: LabelTotals | None = None
        self._rates: KnownRates | None = None
        self._estimated: Tensor | None = None

    @property
    def estimates_rates(self) -> bool:  # type: ignore[override]
        """Whether the share of positives is estimated."""
        return self._given is None

    @property
    def is_active(self) -> bool:
        """Whether the share of positives is there."""
        return self._given is not None or self._estimated is not None

    def start(self, target: Tensor, unknown: Tensor | None = None) -> None:
        """Count known labels, from which shares are estimated."""
        self._totals = count_labels(target, unknown)
        self._estimate()

    def set_rates(self, rates: KnownRates) -> None:
        """Estimate the share of positives, once labels are counted as well."""
        self._rates = rates
        self._estimate()

    def _estimate(self) -> None:
        if self._rates is not None and self._totals is not None:
            self._estimated = self.share(self._rates, self._totals)

    def share(self, rates: KnownRates, totals: LabelTotals) -> Tensor:
        """Return the share of positives that the loss needs."""
        raise NotImplementedError

    def prior_of(self, cells: Cells) -> Tensor:
        """Return the share of positives of every category of a batch."""
        prior = self._estimated if self._given is None else self._given
        if prior is None:
            raise ValueError(
                f"`{self._name}` must be given, or estimated in a training of "
                f"CFTClassifier; {type(self).__name__} has none. Pass "
                f"{self._name}=[...], one share per category."
            )
        return shares_of_batch(prior, self._name, cells.logits)


class ExpectedPositiveLoss(_PriorLoss):
    r"""Keep the mean prediction at the expected share of positives (EPR).

    Unknown cells have no loss of their own; the batch as a whole has.

    Parameters
    ----------
    n_positive : float, default=None
        Expected positives in a row, of all categories together, 0 or more: the
        published form.
    prevalence : float or array-like of shape (n_categories,), default=None
        Expected share of positives of every category, in [0, 1]. Without either, a
        training estimates it, after a warm-up in which unknown cells are left out.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range, or both are given.

    Notes
    -----
    With the mean prediction :math:`\bar p_c` over the cells of category :math:`c` in
    the batch, known ones too, and :math:`C` categories, the loss is
    :math:`((\sum_c \bar p_c - k) / C)^2` for ``n_positive`` [1]_, and
    :math:`\sum_c (\bar p_c - \pi_c)^2 / C` for ``prevalence``. In a training it
    counts 1 beside the sum of the losses of known labels over the number of all cells,
    as published.

    References
    ----------
    .. [1] Cole et al., "Multi-Label Learning from Single Positive Labels", CVPR 2021,
       equation 4.

    Examples
    --------
    >>> import torch
    >>> from cftlearn.losses import ExpectedPositiveLoss
    >>> loss = ExpectedPositiveLoss(n_positive=1)
    >>> loss(torch.zeros(1, 4), torch.full((1, 4), float("nan")))
    tensor(0.0625)
    """

    def __init__(
        self, *, n_positive: float | None = None, prevalence: object = None
    ) -> None:
        super().__init__(prevalence, "prevalence")
        if n_positive is not None:
            check_non_negative(n_positive, "n_positive")
            if prevalence is not None:
                raise ValueError(
                    "`n_positive` must be None where there is a `prevalence`; got "
                    f"n_positive={n_positive}. Pass one of the two."
                )
        self.n_positive = n_positive

    @property
    def prevalence(self) -> Tensor | None:
        """The share of positives that was given."""
        return self._given

    @property
    def estimates_rates(self) -> bool:  # type: ignore[override]
        """Whether the share of positives is estimated."""
        return self.n_positive is None and self._given is None

    @property
    def is_active(self) -> bool:
        """Whether it is known how many positives to expect."""
        return self.n_positive is not None or super().is_active

    def default_weight(self, n_unknown_per_known: float) -> float:
        """Return how many cells there are for a known one."""
        return 1.0 + n_unknown_per_known

    def share(self, rates: KnownRates, totals: LabelTotals) -> Tensor:
        """Return the share of positives among all rows."""
        return share_of_positives(rates, totals)

    def of_batch(self, cells: Cells) -> Tensor:
        """Compute the squared distance of mean predictions from what is expected."""
        expected = means_over(torch.sigmoid(cells.logits), cells.counted)
        if self.n_positive is not None:
            return ((expected.sum() - self.n_positive) / expected.shape[0]) ** 2
        present = cells.counted.any(dim=0)
        excess = torch.where(present, expected - self.prior_of(cells), 0.0)
        return (excess**2).mean()


class NonNegativePULoss(_PriorLoss):
    r"""Estimate the risk of unknown cells from those and known positives (nnPU).

    Unknown cells are negatives, less what a share of positives among them costs there;
    that is estimated from known positives, which are taken for a random sample of all
    positives.

    Parameters
    ----------
    prior : float or array-like of shape (n_categories,), default=None
        Share of positives among unknown cells, in [0, 1]. None: a training estimates
        it, after a warm-up in which unknown cells are left out.
    balanced_prior : float, default=None
        In (0, 1), 0.5 for example: the risk as if this were the share of positives, for
        categories of few positives (imbalanced nnPU) [2]_. None keeps the share.
    surrogate : {"sigmoid", "logistic"}, default="sigmoid"
        Loss of one cell: the probability of the wrong class, or its log loss.
    beta : float, default=0.0
        How far below 0 the estimated risk of negatives may fall, 0 or more.
    gamma : float, default=1.0
        Factor, in [0, 1], on the step back where it fell further.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range.

    Notes
    -----
    With :math:`\pi` the share, :math:`R_P^\pm` and :math:`R_U^-` the mean losses of
    known positives and of unknown cells in the batch as positives or negatives, a
    category costs

    .. math:: \pi R_P^+ + \max(-\beta, R_U^- - \pi R_P^-)

    and where the difference is below :math:`-\beta`, the step goes along its negative
    gradient times :math:`\gamma` alone [1]_. A category without known positives in the
    batch has :math:`R_P = 0` there. With ``balanced_prior`` :math:`\pi'`,
    the first factor is :math:`\pi'` and the difference is multiplied by
    :math:`(1 - \pi') / (1 - \pi)`. The value is the mean over categories with unknown
    cells in the batch. Papers have no known negatives and take all rows for unknown
    ones; here known labels of both classes keep their own loss, and the risk is that of
    unknown cells alone.

    References
    ----------
    .. [1] Kiryo et al., "Positive-Unlabeled Learning with Non-Negative Risk Estimator",
       NeurIPS 2017; arXiv 1703.00593, equation 6 and algorithm 1.
    .. [2] Su et al., "Positive-Unlabeled Learning from Imbalanced Data", IJCAI 2021.

    Examples
    --------
    >>> import torch
    >>> from cftlearn.losses import NonNegativePULoss
    >>> loss = NonNegativePULoss(prior=0.2)
    >>> loss(torch.zeros(2, 1), torch.tensor([[1.0], [float("nan")]]))
    tensor(0.5000)
    """

    counts_known = True

    def __init__(
        self,
        *,
        prior: object = None,
        balanced_prior: float | None = None,
        surrogate: Surrogate = "sigmoid",
        beta: float = 0.0,
        gamma: float = 1.0,
    ) -> None:
        super().__init__(prior, "prior")
        if balanced_prior is not None:
            check_probability(
                balanced_prior, "balanced_prior", from_zero=False, below_one=True
            )
        self.balanced_prior = balanced_prior
        self.surrogate = _check_surrogate(surrogate)
        self.beta = check_non_negative(beta, "beta")
        self.gamma = check_probability(gamma, "gamma")

    def share(self, rates: KnownRates, totals: LabelTotals) -> Tensor:
        """Return the share of positives among unknown cells."""
        return share_among_unknown(rates, totals)

    @property
    def prior(self) -> Tensor | None:
        """The share of positives that was given."""
        return self._given

    def of_batch(self, cells: Cells) -> Tensor:
        """Compute the mean risk of categories."""
        prior = self.prior_of(cells)
        as_positive, as_negative = class_losses(cells.logits, self.surrogate)
        first, factor = prior, torch.ones_like(prior)
        if self.balanced_prior is not None:
            first = torch.full_like(prior, self.balanced_prior)
            # Without negatives among unknown cells there is no risk of them.
            is_mixed = prior < 1
            ratio = (1 - first) / torch.where(is_mixed, 1 - prior, 1.0)
            factor = torch.where(is_mixed, ratio, 0.0)
        positive = first * means_over(as_positive, cells.positive)
        negative = factor * (
            means_over(as_negative, cells.unknown)
            - prior * means_over(as_negative, cells.positive)
        )
        # The value that papers report, and the gradient of the step back.
        back = -self.gamma * negative
        corrected = (positive - self.beta).detach() + (back - back.detach())
        risks = torch.where(negative < -self.beta, corrected, positive + negative)
        present = cells.unknown.any(dim=0)
        return torch.where(present, risks, 0.0).sum() / present.sum().clamp(min=1)


class VariationalPULoss(UnknownLoss):
    r"""Set known positives apart from all rows, without any share of positives (VPU).

    Parameters
    ----------
    temperature : float, default=1.0
        The published :math:`\alpha`, above 0: logits are divided by
        :math:`\min(1, \alpha \, \mathrm{std})`, with their standard deviation in the
        batch.
    gamma : float, default=0.55
        0 or more; raising it makes rows without label weigh less in rare categories.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range.

    Notes
    -----
    With :math:`p = \sigma(s / T)` a category costs

    .. math:: w \log \mathrm{mean}_A \, p - \mathrm{mean}_P \log p, \qquad
              w = (\mathrm{mean}_A \, p)^\gamma,

    over known positives :math:`P` and all rows :math:`A` of the batch, :math:`w` and
    :math:`T` without gradient [1]_ [2]_. The value is the mean over the categories that
    have a known positive in the batch: without one the first part is not bounded. The
    defaults are those for MS-COCO; for PASCAL VOC they are 2 and 0.85. The mixing of
    rows that [1]_ adds is ``NetworkTrainer(mix=...)``.

    References
    ----------
    .. [1] Chen et al., "A Variational Approach for Learning from Positive and Unlabeled
       Data", NeurIPS 2020.
    .. [2] Yuan et al., "Positive Label Is All You Need for Multi-Label Classification",
       arXiv 2306.16016.

    Examples
    --------
    >>> import torch
    >>> from cftlearn.losses import VariationalPULoss
    >>> loss = VariationalPULoss(gamma=0)
    >>> loss(torch.tensor([[2.0], [-2.0]]), torch.tensor([[1.0], [float("nan")]]))
    tensor(-0.5662)
    """

    counts_known = True

    def __init__(self, *, temperature: float = 1.0, gamma: float = 0.55) -> None:
        super().__init__()
        self.temperature = check_above_zero(temperature, "temperature")
        self.gamma = check_non_negative(gamma, "gamma")

    def default_weight(self, n_unknown_per_known: float) -> float:
        """Return 1: the loss has known positives in it."""
        return 1.0

    def of_batch(self, cells: Cells) -> Tensor:
        """Compute the mean over categories with a known positive."""
        counted = cells.counted
        log_p = logsigmoid(cells.logits / self._divisors(cells))
        n_counted = counted.sum(dim=0).clamp(min=1).to(log_p)
        among = torch.where(counted, log_p, float("-inf"))
        has_positive = cells.positive.any(dim=0)
        # Where nothing counts, a sum over nothing would have a NaN gradient.
        among = torch.where(has_positive, among, 0.0)
        log_mean = torch.logsumexp(among, dim=0) - n_counted.log()
        weight = torch.exp(self.gamma * log_mean.detach())
        losses = weight * log_mean - means_over(log_p, cells.positive)
        n_categories = has_positive.sum().clamp(min=1)
        return torch.where(has_positive, losses, 0.0).sum() / n_categories

    def _divisors(self, cells: Cells) -> Tensor:
        """Return what logits are divided by; 1 where they do not vary."""
        logits, counted = cells.logits.detach(), cells.counted
        mean = means_over(logits, counted)
        spread = means_over((logits - mean) ** 2, counted).sqrt()
        scaled = (self.temperature * spread).clamp(max=1.0)
        return torch.where(spread > 0, scaled, 1.0)


class BiasedNegativesLoss(UnknownLoss):
    r"""Estimate the risk from positives, unknown rows and *biased* negatives (PUbN).

    Known negatives are often no random sample: a report names the findings that one
    might expect. This estimator corrects for it [1]_. It needs, for every cell, the
    probability to be either positive or of the kind of negatives that become known.
    Estimate that first, by a network that tells known cells from unknown ones with
    :class:`NonNegativePULoss`, all known cells as its positives.

    Parameters
    ----------
    selected_proba : array-like of shape (n_samples, n_categories)
        These probabilities, in [0, 1], of all rows of the training set: of ``X`` in
        :class:`cftlearn.CFTClassifier`, which then needs ``retrain=False`` if it gets
        other rows as ``X_val``.
    prior : float or array-like of shape (n_categories,)
        Share of positives among all rows, in [0, 1].
    negative_share : float or array-like of shape (n_categories,)
        Share, among all rows, of negatives of the kind that become known, in [0, 1].
    threshold : float, default=0.5
        In (0, 1): from which probability on cells are represented by known ones, and
        below which by all rows.
    surrogate : {"sigmoid", "logistic"}, default="sigmoid"
        Loss of one cell: the probability of the wrong class, or its log loss.

    Attributes
    ----------
    replaces_known : bool
        True: the risk has the losses of known labels in it, and ``loss=`` adds none.
    has_values_of_rows : bool
        True: it has probabilities of the rows of the training set, and of no others.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range.

    Notes
    -----
    With the probability :math:`h`, the shares :math:`\pi` and :math:`\rho`, losses
    :math:`\ell^\pm` and means over known positives, known negatives and all rows of the
    batch,

    .. math::
        R = \pi E_P[\ell^+] + \rho E_N[\ell^-]
        + E_A[\mathbf 1_{h \le \eta} (1 - h) \ell^-]
        + \pi E_P\bigl[\mathbf 1_{h > \eta} \tfrac{1 - h}{h} \ell^-\bigr]
        + \rho E_N\bigl[\mathbf 1_{h > \eta} \tfrac{1 - h}{h} \ell^-\bigr].

    The paper chooses :math:`\eta` per data set by a quantile of :math:`h`.

    References
    ----------
    .. [1] Hsieh, Niu and Sugiyama, "Classification from Positive, Unlabeled and Biased
       Negative Data", ICML 2019; arXiv 1810.00846, equations 4 to 6.

    Examples
    --------
    >>> import torch
    >>> from cftlearn.losses import BiasedNegativesLoss
    >>> loss = BiasedNegativesLoss([[0.9], [0.1]], prior=0.3, negative_share=0.2)
    >>> target = torch.tensor([[1.0], [float("nan")]])
    >>> loss(torch.zeros(2, 1), target, rows=torch.tensor([0, 1]))
    tensor(0.3917)
    """

    needs_rows = True
    replaces_known = True
    has_values_of_rows = True
    counts_known = True
    selected_proba: Tensor

    def __init__(
        self,
        selected_proba: Any,
        *,
        prior: object,
        negative_share: object,
        threshold: float = 0.5,
        surrogate: Surrogate = "sigmoid",
    ) -> None:
        super().__init__()
        proba = torch.as_tensor(np.asarray(selected_proba, dtype=np.float64))
        if proba.ndim != 2 or not bool(((proba >= 0) & (proba <= 1)).all()):
            got = f"shape {tuple(proba.shape)}"
            if proba.ndim == 2:
                wrong = ~((proba >= 0) & (proba <= 1))
                row, column = (int(each[0]) for each in torch.nonzero(wrong).T)
                got = f"{proba[row, column]:g} in row {row}, column {column}"
            raise ValueError(
                "`selected_proba` must hold probabilities in [0, 1], shape (n_samples, "
                f"n_categories); got {got}."
            )
        self.register_buffer("selected_proba", proba.float())
        for name, value in (("prior", prior), ("negative_share", negative_share)):
            shares = per_category(value, name)
            if shares is None or len(shares) not in (1, proba.shape[1]):
                raise ValueError(
                    f"`{name}` must hold one share per category, {proba.shape[1]}, or "
                    f"one for all; got {value!r}."
                )
            self.register_buffer(f"_{name}", shares)
        self.threshold = check_probability(
            threshold, "threshold", from_zero=False, below_one=True
        )
        self.surrogate = _check_surrogate(surrogate)

    _prior: Tensor
    _negative_share: Tensor

    def default_weight(self, n_unknown_per_known: float) -> float:
        """Return 1."""
        return 1.0

    def start(self, target: Tensor, unknown: Tensor | None = None) -> None:
        """Check that there is a probability for every cell.

        Raises
        ------
        ValueError
            If there is not.
        """
        if target.shape != self.selected_proba.shape:
            raise ValueError(
                "`selected_proba` must hold one probability per cell of `y`, shape "
                f"{tuple(target.shape)}; got shape "
                f"{tuple(self.selected_proba.shape)}."
            )

    def of_batch(self, cells: Cells) -> Tensor:
        """Compute the mean risk of categories that have cells in the batch."""
        logits = cells.logits
        rows = cells.checked_rows(
            len(self.selected_proba), "`selected_proba` has no others."
        )
        h = self.selected_proba[rows].to(logits)
        prior, share = self._prior.to(logits), self._negative_share.to(logits)
        as_positive, as_negative = class_losses(logits, self.surrogate)
        by_known = h > self.threshold
        # The quotient is used only where the probability is above the threshold.
        odds = torch.where(by_known, (1 - h) / torch.where(by_known, h, 1.0), 0.0)
        by_unknown = torch.where(by_known, 0.0, 1 - h)
        risks = (
            prior * means_over(as_positive + odds * as_negative, cells.positive)
            + share * means_over((1 + odds) * as_negative, cells.negative)
            + means_over(by_unknown * as_negative, cells.counted)
        )
        present = cells.counted.any(dim=0)
        return torch.where(present, risks, 0.0).sum() / present.sum().clamp(min=1)


def means_over(values: Tensor, cells: Tensor) -> Tensor:
    """Return the mean over some cells of every category; 0 where it has none."""
    return torch.where(cells, values, 0.0).sum(dim=0) / cells.sum(dim=0).clamp(min=1)


def class_losses(logits: Tensor, surrogate: Surrogate) -> tuple[Tensor, Tensor]:
    """Compute the loss of every cell as a positive, and as a negative."""
    if surrogate == "sigmoid":
        return torch.sigmoid(-logits), torch.sigmoid(logits)
    return softplus(-logits), softplus(logits)


def _check_surrogate(surrogate: Surrogate) -> Surrogate:
    if surrogate not in ("sigmoid", "logistic"):
        raise ValueError(
            f"`surrogate` must be 'sigmoid' or 'logistic'; got {surrogate!r}."
        )
    return surrogate
