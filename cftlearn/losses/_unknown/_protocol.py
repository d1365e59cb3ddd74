"""What every loss of unknown labels has, and how the training calls it."""

from typing import Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor, nn

from cftlearn.labels._known_rates import KnownRates
from cftlearn.losses._checks import check_tensors
from cftlearn.losses._parameters import describe_parameters, parameters_of


class Cells(NamedTuple):
    """Cells of one batch, after they were checked.

    Attributes
    ----------
    logits : Tensor of shape (n_rows, n_categories)
        Raw scores.
    positive, negative, unknown : Tensor of shape (n_rows, n_categories), bool
        Which cells are known positives, known negatives, and unknown cells that count.
        No cell is in two of them; a cell may be in none.
    rows : Tensor of shape (n_rows,), int, or None
        Numbers of the rows in the training set.
    """

    logits: Tensor
    positive: Tensor
    negative: Tensor
    unknown: Tensor
    rows: Tensor | None = None

    @classmethod
    def of(
        cls,
        logits: Tensor,
        target: Tensor,
        unknown: Tensor | None,
        rows: Tensor | None = None,
    ) -> Self:
        """Check a batch, and set logits of cells that do not count to 0.

        A NaN that is masked after the loss was computed still has a NaN gradient.
        """
        check_tensors(logits=logits, target=target, unknown=unknown, rows=rows)
        if target.shape != logits.shape or logits.ndim != 2:
            raise ValueError(
                "`target` and `logits` must both have the shape (n_samples, "
                f"n_categories); got {tuple(target.shape)} and {tuple(logits.shape)}."
            )
        is_unknown = torch.isnan(target)
        if unknown is None:
            unknown = is_unknown
        elif unknown.shape != target.shape or unknown.dtype != torch.bool:
            raise ValueError(
                "`unknown` must be a bool tensor of the shape of `target`, "
                f"{tuple(target.shape)}; got {unknown.dtype} of shape "
                f"{tuple(unknown.shape)}."
            )
        if rows is not None and rows.shape != target.shape[:1]:
            raise ValueError(
                "`rows` must hold one number per row of `target`, shape "
                f"({len(target)},); got shape {tuple(rows.shape)}."
            )
        positive, negative = target == 1, target == 0
        counts = positive | negative | unknown
        return cls(torch.where(counts, logits, 0.0), positive, negative, unknown, rows)

    @property
    def counted(self) -> Tensor:
        """Cells of any of the three kinds."""
        return self.positive | self.negative | self.unknown

    def checked_rows(self, n_rows: int, remedy: str) -> Tensor:
        """Return the numbers of the rows, if all are from 0 to below ``n_rows``.

        Raises
        ------
        ValueError
            If they are not; ``remedy`` says what to do.
        """
        rows = self.rows
        if rows is None or bool(((rows < 0) | (rows >= n_rows)).any()):
            got = None if rows is None else int(rows[(rows < 0) | (rows >= n_rows)][0])
            raise ValueError(
                f"`rows` must be numbers from 0 to below {n_rows}, the rows of the "
                f"training set; got {got}. {remedy}"
            )
        return rows


class UnknownLoss(nn.Module):
    """What unknown cells add to the loss of known ones; the base class.

    A subclass computes :meth:`cell_losses`, of every cell alone, or :meth:`of_batch`
    where cells of a batch depend on each other. The loss of known cells is another
    one, and is added by the training or by
    :class:`~cftlearn.losses.PartialLoss`.

    A loss of one's own is a subclass; an object of it is an ``unknown`` of
    :class:`cftlearn.CFTClassifier`.

    Attributes
    ----------
    estimates_rates : bool
        Whether :meth:`set_rates` changes the loss, so that a training estimates how
        often labels of each class are known.
    keeps_state : bool
        Whether the loss remembers rows or batches: it then needs a training of one
        process. It does so in training mode alone; see ``torch.nn.Module.eval``.
    needs_rows : bool
        Whether it needs the numbers of the rows, ``rows``.
    follows_epochs : bool
        Whether it changes over the epochs, so that :meth:`set_epoch` must be called.
    replaces_known : bool
        Whether the losses of known labels are in it, so that no other one is added.
    has_values_of_rows : bool
        Whether it was made with a value for every row, so that a training on other
        rows as well cannot use it.
    counts_known : bool
        Whether means over known labels are in it, in which all count alike. It is
        refused where labels have weights.
    epoch, n_epochs : int
        The epoch under way, from 0, and how many there will be.

    See Also
    --------
    cftlearn.losses.available : Names of the losses that there are.
    """

    estimates_rates: ClassVar[bool] = False
    replaces_known: ClassVar[bool] = False
    has_values_of_rows: ClassVar[bool] = False
    counts_known: ClassVar[bool] = False
    keeps_state: bool = False
    needs_rows: bool = False
    follows_epochs: bool = False

    def __init__(self) -> None:
        super().__init__()
        self.epoch, self.n_epochs = 0, 1
        self._knows_epoch = False

    def parameters_given(self) -> dict[str, Any]:
        """Return the parameters of the loss as plain values.

        Returns
        -------
        params : dict
            Numbers, words, lists in place of tensors, and None.
        """
        # Not `get_params`: scikit-learn would take the loss for an estimator.
        return parameters_of(self)

    def extra_repr(self) -> str:
        """Show the parameters."""
        return describe_parameters(self)

    def default_weight(self, n_unknown_per_known: float) -> float:
        """Return how much unknown cells count together, where all known ones count 1.

        Parameters
        ----------
        n_unknown_per_known : float
            How many unknown cells there are for a known one.

        Returns
        -------
        weight : float
            By default ``n_unknown_per_known``: every unknown cell counts as much as a
            known one, as published losses have it.
        """
        return n_unknown_per_known

    @property
    def is_active(self) -> bool:
        """Whether unknown cells have any gradient now."""
        return True

    def start(self, target: Tensor, unknown: Tensor | None = None) -> None:
        """Take the labels of all rows, once, before a training.

        Parameters
        ----------
        target : Tensor of shape (n_samples, n_categories)
            1, 0, or NaN where unknown.
        unknown : Tensor of shape (n_samples, n_categories), bool, default=None
            Unknown cells that count; None means all.
        """

    def set_epoch(self, epoch: int, n_epochs: int) -> None:
        """Tell the loss where the training is; call it before every epoch.

        Parameters
        ----------
        epoch : int
            Its number, from 0.
        n_epochs : int
            How many epochs the training has.

        Raises
        ------
        ValueError
            If ``epoch`` is not in [0, n_epochs).
        """
        if not 0 <= epoch < n_epochs:
            raise ValueError(
                f"`epoch` must be in [0, n_epochs) = [0, {n_epochs}); got {epoch}. "
                "Epochs are counted from 0."
            )
        self.epoch, self.n_epochs = epoch, n_epochs
        self._knows_epoch = True

    def set_rates(self, rates: KnownRates) -> None:
        """Take the rates at which labels are known; most losses do without."""

    def forward(
        self,
        logits: Tensor,
        target: Tensor,
        unknown: Tensor | None = None,
        rows: Tensor | None = None,
    ) -> Tensor:
        """Compute the mean over the unknown cells of a batch.

        Parameters
        ----------
        logits : Tensor of shape (n_rows, n_categories)
            Raw scores, before any sigmoid.
        target : Tensor of shape (n_rows, n_categories)
            1, 0, or NaN where unknown.
        unknown : Tensor of shape (n_rows, n_categories), bool, default=None
            The unknown cells that count. None means all that are NaN in ``target``.
        rows : Tensor of shape (n_rows,), int, default=None
            Numbers of the rows in the training set, for losses that keep state.

        Returns
        -------
        loss : Tensor, scalar
            0 where there is no unknown cell.

        Raises
        ------
        ValueError
            If shapes differ, or the loss needs ``rows`` and gets none, or needs
            :meth:`set_epoch` and it was not called.
        TypeError
            If one of them is no tensor.
        """
        cells = Cells.of(logits, target, unknown, rows)
        if self.needs_rows and rows is None:
            raise ValueError(
                f"`rows` must hold the numbers of the rows in the training set, which "
                f"{type(self).__name__} needs; got None."
            )
        if self.follows_epochs and not self._knows_epoch:
            raise ValueError(
                f"`set_epoch` must be called before every epoch: {type(self).__name__} "
                "changes over a training; got no call. Call loss.set_epoch(epoch, "
                "n_epochs), with epochs counted from 0."
            )
        return self.of_batch(cells)

    def of_batch(self, cells: Cells) -> Tensor:
        """Compute the mean over the unknown cells of a batch that was checked."""
        return mean_over(self.cell_losses(cells.logits), cells.unknown)

    def cell_losses(self, logits: Tensor) -> Tensor:
        """Compute the loss of every cell, as if its label were unknown.

        Parameters
        ----------
        logits : Tensor of shape (n_rows, n_categories)
            Raw scores.

        Returns
        -------
        losses : Tensor of shape (n_rows, n_categories)
            One per cell.

        Raises
        ------
        NotImplementedError
            If a subclass has neither this method nor :meth:`of_batch`.
        """
        raise NotImplementedError


def mean_over(values: Tensor, cells: Tensor) -> Tensor:
    """Return the mean of the values of some cells; 0 where there is none."""
    return torch.where(cells, values, 0.0).sum() / cells.sum().clamp(min=1)
