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
    labels = values.index.tolist() if hasattr(values, "iloc") else None
    if labels is not None and labels != list(range(len(labels))):
        raise ValueError(
            f"`{name}` must hold shares in the order of the categories, whose names a "
            f"loss does not know; got labels {labels[:3]}. Pass "
            f"{name}.loc[categories].to_numpy()."
        )
    try:
        numbers = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(
            f"`{name}` must hold numbers; got {values!r:.100}. Pass one share in "
            "[0, 1] per category, or one for all."
        ) from None
    tensor = torch.from_numpy(numbers.reshape(-1))
    if not len(tensor) or not bool(((tensor >= 0) & (tensor <= 1)).all()):
        raise ValueError(
            f"`{name}` must hold shares in [0, 1], one per category or one for all; "
            f"got {values!r}."
        )
    return tensor


def shares_of_batch(shares: Tensor, name: str, logits: Tensor) -> Tensor:
    """Return one share per category of a batch, in the type of its logits.

    Raises
    ------
    ValueError
        If there are others than one per category, or one for all.
    """
    n_categories = logits.shape[1]
    if len(shares) not in (1, n_categories):
        raise ValueError(
            f"`{name}` must hold one share per category, {n_categories}, or one for "
            f"all; got {len(shares)}."
        )
    return shares.to(logits).expand(n_categories)


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
