"""The ranking kernels in torch, on the device where the scores are.

Score vectors of several categories are ranked at once, whatever the number of samples
that each has: a category's vectors are padded, and padding sorts behind every score.
No step depends on the values, so a GPU never waits for the host.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_PADDING = {torch.int32: 2**31 - 2, torch.int64: 2**62}  # above every key, label 0


def roc_auc(scores: Tensor, y: NDArray[np.bool_], *, exact: bool) -> Tensor:
    """See :func:`cftlearn.metrics._ranking.batch_roc_auc`."""
    return padded_roc_auc(*_one_category(scores, y), exact=exact)[0]


def average_precision(scores: Tensor, y: NDArray[np.bool_], *, exact: bool) -> Tensor:
    """See :func:`cftlearn.metrics._ranking.batch_average_precision`."""
    return padded_average_precision(*_one_category(scores, y), exact=exact)[0]


def padded_roc_auc(scores: Tensor, y: Tensor, known: Tensor, *, exact: bool) -> Tensor:
    """Compute the area under the ROC curve of many categories' score vectors.

    Parameters
    ----------
    scores : Tensor of shape (n_categories, n_vectors, n_samples)
        Without NaN, higher for positives, float32 or float64; of any value where
        ``known`` is False.
    y : Tensor of shape (n_categories, n_samples), bool
        True labels.
    known : Tensor of shape (n_categories, n_samples), bool
        False marks padding.
    exact : bool
        False rounds float32 scores to 23 significant bits first; float64 is not
        affected.

    Returns
    -------
    score : Tensor of shape (n_categories, n_vectors), float64
        Between 0 and 1; ties count one half. NaN where a category has one class only.
    """
    n_positive, n_negative = _count(y, known)
    if scores.numel() == 0:
        return _all_nan(scores)
    keys = _sorted_keys(scores, y, known, exact)
    first, last = _ends_of_ties(keys)
    # the mean rank of a tie, twice; rank - index = number of negatives above
    ranks = torch.where(_is_positive(keys), first + last, 0).sum(2, dtype=torch.int64)
    n_misranked = ranks.double() / 2 - n_positive * (n_positive - 1) / 2
    n_pairs = n_positive * n_negative  # 0 / 0 where there is one class
    return 1.0 - torch.where(n_pairs > 0, n_misranked, torch.nan) / n_pairs


def padded_average_precision(
    scores: Tensor, y: Tensor, known: Tensor, *, exact: bool
) -> Tensor:
    """Compute the average precision of many categories' score vectors.

    Parameters
    ----------
    scores : Tensor of shape (n_categories, n_vectors, n_samples)
        Without NaN, higher for positives, float32 or float64; of any value where
        ``known`` is False.
    y : Tensor of shape (n_categories, n_samples), bool
        True labels.
    known : Tensor of shape (n_categories, n_samples), bool
        False marks padding.
    exact : bool
        False rounds float32 scores to 23 significant bits first; float64 is not
        affected.

    Returns
    -------
    score : Tensor of shape (n_categories, n_vectors), float64
        Between 0 and 1; tied scores are one threshold. NaN where a category has one
        class only.
    """
    n_positive, n_negative = _count(y, known)
    if scores.numel() == 0:
        return _all_nan(scores)
    keys = _sorted_keys(scores, y, known, exact)
    positive = _is_positive(keys)
    last = _ends_of_ties(keys)[1]
    found = torch.cumsum(positive, dim=2, dtype=torch.int32)
    precision = torch.gather(found, 2, last.long()).double() / (last + 1)
    total = torch.where(positive, precision, 0.0).sum(2)
    return torch.where(n_negative > 0, total, torch.nan) / n_positive


def _one_category(
    scores: Tensor, y: NDArray[np.bool_]
) -> tuple[Tensor, Tensor, Tensor]:
    if scores.dtype != torch.float32:
        scores = scores.double()
    labels = torch.as_tensor(y, device=scores.device)[None]
    return scores[None], labels, torch.ones_like(labels)


def _count(y: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Count positives and negatives, (n_categories, 1), exactly."""
    n_positive = (y & known).sum(1, keepdim=True).double()
    return n_positive, known.sum(1, keepdim=True) - n_positive


def _all_nan(scores: Tensor) -> Tensor:
    return torch.full(
        scores.shape[:2], torch.nan, dtype=torch.float64, device=scores.device
    )


def _sorted_keys(scores: Tensor, y: Tensor, known: Tensor, exact: bool) -> Tensor:
    """Pack scores and labels into integers, best first and negatives first in ties."""
    y, padding = y[:, None], ~known[:, None]
    scores = scores.detach().contiguous()  # so that sums have one order
    if scores.dtype != torch.float32:
        keys = _dense_ranks(scores.double(), y, padding)
    else:
        bits = (scores + 0.0).view(torch.int32)  # -0.0 becomes 0.0
        bits ^= (bits >> 31) & 0x7FFFFFFF  # order-preserving: negatives flipped
        bits.bitwise_not_()  # descending
        keys = bits.long() << 1 if exact else bits.bitwise_and_(~1)
        keys |= y
        keys.masked_fill_(padding, _PADDING[keys.dtype])
    return torch.sort(keys, dim=2).values


def _dense_ranks(scores: Tensor, y: Tensor, padding: Tensor) -> Tensor:
    """Replace 64-bit scores by their rank, so that a bit is free for the label."""
    ordered, order = torch.sort(scores, dim=2, descending=True)
    keys = torch.zeros(scores.shape, dtype=torch.int64, device=scores.device)
    keys[..., 1:] = torch.cumsum(ordered[..., 1:] != ordered[..., :-1], dim=2)
    keys = (keys << 1) | torch.gather(y.expand_as(order), 2, order)
    own = torch.gather(padding.expand_as(order), 2, order)
    return keys.masked_fill_(own, _PADDING[keys.dtype])


def _is_positive(keys: Tensor) -> Tensor:
    return (keys & 1).bool()


def _ends_of_ties(keys: Tensor) -> tuple[Tensor, Tensor]:
    """Find where the group of equal scores of every sorted key starts and ends."""
    codes = keys >> 1
    n = keys.shape[2]
    index = torch.arange(n, device=keys.device, dtype=torch.int32)
    starts = torch.ones_like(keys, dtype=torch.bool)
    torch.ne(codes[..., 1:], codes[..., :-1], out=starts[..., 1:])
    ends = torch.ones_like(starts)
    ends[..., :-1] = starts[..., 1:]
    first = torch.cummax(torch.where(starts, index, 0), dim=2).values
    last = torch.where(ends, index, n).to(torch.int32).flip(2)
    return first, torch.cummin(last, dim=2).values.flip(2)
