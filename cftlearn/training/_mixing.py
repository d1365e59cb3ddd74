"""Mixtures of the rows of a batch, and what is known of the labels of a mixture."""

from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from sklearn.base import BaseEstimator

from cftlearn._dependencies import Interval

if TYPE_CHECKING:
    from torch import Generator, Tensor

_SHARE = Interval(Real, 0, 1, closed="both")


class Mixture(NamedTuple):
    """Which rows of a batch are mixed, and how much there is of each.

    Attributes
    ----------
    rows : Tensor of shape (n_rows, n_parts), int
        Rows of the batch that are mixed; the first of them is the row itself.
    shares : Tensor of shape (n_rows, n_parts)
        Their shares, which sum to 1. Rows of share 0 take no part.
    """

    rows: "Tensor"
    shares: "Tensor"

    def to(self, device: Any) -> "Mixture":
        """Return it on a device."""
        return Mixture(self.rows.to(device), self.shares.to(device))

    def parts(self, values: "Tensor") -> "Tensor":
        """Return values of all parts, of shape (n_rows, n_parts, n_categories)."""
        return values[self.rows]

    def takes_part(self) -> "Tensor":
        """Return which parts have a share, of shape (n_rows, n_parts, 1)."""
        return (self.shares > 0).unsqueeze(-1)

    def inputs(self, X: "Tensor") -> "Tensor":
        """Return the mixed inputs.

        Parameters
        ----------
        X : Tensor of shape (n_rows, ...)
            Inputs of real numbers.

        Returns
        -------
        mixed : Tensor of shape (n_rows, ...)
            Of the same type.
        """
        shape = (-1, *(1,) * (X.ndim - 1))
        mixed = X * self.shares[:, 0].to(X.dtype).reshape(shape)
        for rows, shares in zip(self.rows.T[1:], self.shares.T[1:], strict=True):
            # Not 0 times the other rows: they may not be finite, and mostly are many.
            mixes = shares > 0
            own = shares[mixes].to(X.dtype).reshape(shape)
            mixed[mixes] += own * X[rows[mixes]]
        return mixed


class _Mix(BaseEstimator):
    """What both ways to mix share."""

    def __call__(
        self, X: "Tensor", labels: "Tensor", generator: "Generator | None" = None
    ) -> "tuple[Tensor, Tensor]":
        """Mix the rows of a batch.

        Parameters
        ----------
        X : Tensor of shape (n_rows, ...)
            Inputs of real numbers: images, or features. Not token numbers.
        labels : Tensor of shape (n_rows, n_categories)
            1, 0, or a soft label between them; NaN unknown.
        generator : torch.Generator, default=None
            Draws what is mixed. None takes torch's own generator.

        Returns
        -------
        X : Tensor of shape (n_rows, ...)
            The mixed inputs; the given ones are left alone.
        labels : Tensor of shape (n_rows, n_categories)
            Their labels; NaN unknown.

        Raises
        ------
        TypeError, ValueError
            If a parameter is out of its range, inputs are no real numbers, or there is
            another number of rows of labels.
        """
        check_mix(self)
        check_inputs(X)
        if labels.ndim != 2 or len(labels) != len(X):
            raise ValueError(
                "`labels` must have a row for each row of `X`, shape "
                f"({len(X)}, n_categories); got shape {tuple(labels.shape)}."
            )
        mixture = self.draw(len(X), generator)
        mixed = self.mix_labels(labels, mixture.to(labels.device))
        return mixture.to(X.device).inputs(X), mixed

    def draw(self, n_rows: int, generator: "Generator | None" = None) -> Mixture:
        """Draw which rows of a batch are mixed.

        Parameters
        ----------
        n_rows : int
            Rows of the batch.
        generator : torch.Generator, default=None
            None takes torch's own generator.

        Returns
        -------
        mixture : Mixture
            Where there is only one row, it stays alone.
        """
        raise NotImplementedError

    def mix_labels(self, labels: "Tensor", mixture: Mixture) -> "Tensor":
        """Return what is known of the labels of a mixture.

        Parameters
        ----------
        labels : Tensor of shape (n_rows, n_categories)
            Labels of the rows; NaN unknown.
        mixture : Mixture
            What :meth:`draw` returned.

        Returns
        -------
        labels : Tensor of shape (n_rows, n_categories)
            NaN unknown.
        """
        raise NotImplementedError


class LogicMix(_Mix):
    r"""Mix images of a batch, and combine their labels by a three-valued OR.

    A row becomes the mean of itself and of one or a few other rows [1]_. A category is
    in a mixture if it is in one of its images: the label is 1 if it is known to be 1 in
    any of them, 0 if it is known to be 0 in all, and else unknown. For a training, pass
    ``mix="logic"`` or an object of this class to :class:`NetworkTrainer`; in a loop of
    your own, call the object with every batch.
    Read more in the :ref:`User Guide <mixing>`.

    Parameters
    ----------
    probability : float, default=0.5
        In [0, 1]: chance of a row to be mixed. Others stay as they are.
    k_min : int, default=2
        Rows of the smallest mixture, 2 or more.
    k_max : int, default=3
        Rows of the largest one. All numbers from ``k_min`` on are equally likely; but
        no mixture has more rows than the batch.

    See Also
    --------
    PartialMixUp : Mix two rows, with labels between 0 and 1.

    Notes
    -----
    Of soft labels, the probability that one of the images has the category is taken, as
    if they were independent: :math:`1 - \prod_i (1 - t_i)`.

    The other rows are drawn from the batch, each at most once. In the published code
    [1]_ a row can be drawn twice, and be mixed with itself.

    References
    ----------
    .. [1] The first author's package mlcpl, version 0.1.7, ``augs.LogicMix``.

    Examples
    --------
    >>> import torch
    >>> from cftlearn.training import LogicMix
    >>> X = torch.tensor([[0.0], [2.0]])
    >>> labels = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, float("nan")]])
    >>> mixed, labels = LogicMix(probability=1)(X, labels)
    >>> mixed[0], labels[0]
    (tensor([1.]), tensor([1., 0., nan]))
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "probability": [_SHARE],
        "k_min": [Interval(Integral, 2, None, closed="left")],
        "k_max": [Interval(Integral, 2, None, closed="left")],
    }

    def __init__(
        self, probability: float = 0.5, k_min: int = 2, k_max: int = 3
    ) -> None:
        self.probability = probability
        self.k_min = k_min
        self.k_max = k_max

    def draw(self, n_rows: int, generator: "Generator | None" = None) -> Mixture:
        """Draw which rows of a batch are mixed.

        Parameters
        ----------
        n_rows : int
            Rows of the batch.
        generator : torch.Generator, default=None
            None takes torch's own generator.

        Returns
        -------
        mixture : Mixture
            Where there is only one row, it stays alone.
        """
        import torch

        where = _device_of(generator)
        chance = torch.rand(n_rows, generator=generator, device=where)
        bounds = self.k_min, self.k_max + 1
        k = torch.randint(*bounds, (n_rows,), generator=generator, device=where)
        k = k.clamp(max=n_rows)
        k[chance >= self.probability] = 1
        rows = _other_rows(n_rows, min(self.k_max, n_rows) - 1, generator)
        place = torch.arange(rows.shape[1], device=where)
        return Mixture(rows, (place < k.unsqueeze(1)) / k.unsqueeze(1))

    def mix_labels(self, labels: "Tensor", mixture: Mixture) -> "Tensor":
        """Return the three-valued OR of the labels of every mixture.

        Parameters
        ----------
        labels : Tensor of shape (n_rows, n_categories)
            1, 0, or a soft label between them; NaN unknown.
        mixture : Mixture
            What :meth:`draw` returned.

        Returns
        -------
        labels : Tensor of shape (n_rows, n_categories)
            NaN unknown.
        """
        import torch

        parts = torch.where(mixture.takes_part(), mixture.parts(labels), 0.0)
        is_unknown = torch.isnan(parts).any(dim=1) & ~(parts == 1).any(dim=1)
        one_of_them = 1 - (1 - torch.nan_to_num(parts)).prod(dim=1)
        mixed = torch.where(is_unknown, torch.nan, one_of_them)
        # 1 - (1 - t) is not t in floating point.
        return torch.where(mixture.shares[:, :1] == 1, labels, mixed)


class PartialMixUp(_Mix):
    r"""Mix pairs of rows, and their labels, of which some are unknown.

    A row becomes :math:`\lambda x_1 + (1 - \lambda) x_2` of itself and another row of
    the batch, with a :math:`\lambda` of its own between ``alpha`` and 1: it is mostly
    itself. Labels are mixed alike: MixUp [1]_ for partial labels [2]_. In the mean an
    unknown label counts 0.5; a label that is unknown in the row itself stays unknown.
    For a training, pass ``mix="mixup"`` or an object of this class to
    :class:`NetworkTrainer`; in a loop of your own, call the object with every batch.
    Read more in the :ref:`User Guide <mixing>`.

    Parameters
    ----------
    alpha : float, default=0.75
        In [0, 1]: the smallest share of the row itself. It is no parameter of a beta
        distribution, as in MixUp.

    See Also
    --------
    LogicMix : Mix several rows, with labels that stay 1, 0 or unknown.

    Notes
    -----
    The loss must accept labels between 0 and 1. The published code [2]_ has one
    :math:`\lambda` for a batch, and mixes its first half with its second; the same for
    single samples has a :math:`\lambda` for each, as here.

    References
    ----------
    .. [1] Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018.
    .. [2] The package mlcpl, version 0.1.7, ``augs.MixUpPME``.

    Examples
    --------
    >>> import torch
    >>> from cftlearn.training import PartialMixUp
    >>> X = torch.tensor([[0.0], [1.0]])
    >>> labels = torch.tensor([[0.0, float("nan")], [1.0, 1.0]])
    >>> mixed, labels = PartialMixUp(alpha=0.75)(X, labels)
    >>> bool(0 <= mixed[0, 0] <= 0.25), bool(labels[0, 0] == mixed[0, 0])
    (True, True)
    >>> labels[0, 1]
    tensor(nan)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {"alpha": [_SHARE]}

    def __init__(self, alpha: float = 0.75) -> None:
        self.alpha = alpha

    def draw(self, n_rows: int, generator: "Generator | None" = None) -> Mixture:
        """Draw which rows of a batch are mixed.

        Parameters
        ----------
        n_rows : int
            Rows of the batch.
        generator : torch.Generator, default=None
            None takes torch's own generator.

        Returns
        -------
        mixture : Mixture
            Where there is only one row, it stays alone.
        """
        import torch

        own = torch.rand(n_rows, generator=generator, device=_device_of(generator))
        own = self.alpha + (1 - self.alpha) * own
        rows = _other_rows(n_rows, min(1, n_rows - 1), generator)
        if rows.shape[1] == 1:
            return Mixture(rows, torch.ones_like(own).unsqueeze(1))
        return Mixture(rows, torch.stack([own, 1 - own], dim=1))

    def mix_labels(self, labels: "Tensor", mixture: Mixture) -> "Tensor":
        """Return the means of the labels of every pair.

        Parameters
        ----------
        labels : Tensor of shape (n_rows, n_categories)
            1, 0, or a soft label between them; NaN unknown.
        mixture : Mixture
            What :meth:`draw` returned.

        Returns
        -------
        labels : Tensor of shape (n_rows, n_categories)
            NaN where the label of the row itself is unknown.
        """
        import torch

        parts = torch.nan_to_num(mixture.parts(labels), nan=0.5)
        shares = mixture.shares.to(labels.dtype).unsqueeze(-1)
        mean = (shares * parts).sum(dim=1).clamp(0.0, 1.0)
        return torch.where(torch.isnan(labels), torch.nan, mean)


MIXES = {"logic": LogicMix, "mixup": PartialMixUp}


def make_mix(given: "str | _Mix | None") -> "_Mix | None":
    """Return the way to mix that a trainer's parameter means.

    Parameters
    ----------
    given : str, LogicMix, PartialMixUp or None
        A key of ``MIXES``, or an object.

    Returns
    -------
    mix : LogicMix, PartialMixUp or None
        None without any.
    """
    return MIXES[given]() if isinstance(given, str) else given


def check_mix(mix: _Mix) -> None:
    """Check the parameters of a way to mix.

    Parameters
    ----------
    mix : LogicMix or PartialMixUp
        As a user has set it.

    Raises
    ------
    ValueError
        If a parameter is out of its range.
    """
    mix._validate_params()
    if isinstance(mix, LogicMix) and mix.k_min > mix.k_max:
        raise ValueError(
            f"`k_min` must be at most `k_max`; got k_min={mix.k_min} and "
            f"k_max={mix.k_max}. Pass k_max={mix.k_min}, or more."
        )


def check_inputs(X: "Tensor") -> None:
    """Refuse inputs that have no mean.

    Parameters
    ----------
    X : Tensor
        A batch of inputs.

    Raises
    ------
    TypeError
        If they are no real numbers.
    """
    if not X.is_floating_point():
        raise TypeError(
            "`mix` needs inputs of real numbers, of which a mean is another input; got "
            f"{X.dtype}. Convert images to floats in `input_transform`; numbers that "
            "stand for words cannot be mixed."
        )


def _other_rows(n_rows: int, n_others: int, generator: "Generator | None") -> "Tensor":
    """Return every row with other ones, drawn without replacement.

    They are drawn as distances, from 1 to ``n_rows - 1``. Each is drawn among those
    that are left, and then counted up by the smaller ones that are taken.
    """
    import torch

    where = _device_of(generator)
    distances = torch.zeros((n_rows, 1), dtype=torch.long, device=where)
    for number in range(n_others):
        n_left = n_rows - 1 - number
        drawn = torch.randint(
            1, n_left + 1, (n_rows, 1), generator=generator, device=where
        )
        taken = distances[:, 1:].sort(dim=1).values
        for smaller in taken.T:
            drawn += (drawn >= smaller.unsqueeze(1)).long()
        distances = torch.cat([distances, drawn], dim=1)
    rows = torch.arange(n_rows, device=where).unsqueeze(1)
    return (rows + distances) % n_rows


def _device_of(generator: "Generator | None") -> Any:
    return "cpu" if generator is None else generator.device
