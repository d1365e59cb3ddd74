"""Shares of positives, given by a user or estimated from rates."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from cftlearn.labels._known_rates import KnownRates, LabelTotals


def per_category(values: Any, name: str) -> Tensor | None:
    """Return shares in [0, 1], one for all categories or one for each.

    Raises
    ------
    ValueError
        If they are not.
    """
    if values is None:
        return None
    tensor = torch.as_tensor(np.asarray(values, dtype=np.float64)).reshape(-1)
    if not len(tensor) or not bool(((tensor >= 0) & (tensor <= 1)).all()):
        raise ValueError(
            f"`{name}` must hold shares in [0, 1], one per category or one for all; "
            f"got {values!r}."
        )
    return tensor


def count_labels(target: Tensor, unknown: Tensor | None) -> LabelTotals:
    """Count the known labels of a training, among cells that count."""
    counted = ~torch.isnan(target)
    counts = LabelTotals.of(target.double().cpu().numpy())
    if unknown is not None:
        counted = counted | unknown
        # A cell that is held out is no row for its category.
        counts = counts._replace(n_rows=counted.sum(dim=0).cpu().numpy())
    return counts


def share_of_positives(rates: KnownRates, totals: LabelTotals) -> Tensor:
    """Return the share of positives among all rows of every category."""
    return torch.from_numpy(totals.positive_share(rates))


def share_among_unknown(rates: KnownRates, totals: LabelTotals) -> Tensor:
    """Return the share of positives among the unknown cells of every category."""
    n_unknown = totals.n_rows - totals.n_positive - totals.n_negative
    n_positive = totals.n_rows * totals.positive_share(rates) - totals.n_positive
    share = np.clip(n_positive / np.maximum(n_unknown, 1.0), 0.0, 1.0)
    return torch.from_numpy(share)
