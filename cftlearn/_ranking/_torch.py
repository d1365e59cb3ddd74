"""The ranking kernels in torch, on the device where the scores are."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def roc_auc(scores: Tensor, y: NDArray[np.bool_], *, exact: bool) -> Tensor:
    """See :func:`cftlearn._ranking.batch_roc_auc`."""
    n_positive = int(np.count_nonzero(y))
    n_pairs = n_positive * (len(y) - n_positive)
    if n_pairs == 0:
        return _all_nan(scores)
    keys = _sorted_keys(scores, y, exact)
    n_misranked = _positive_ranks(keys, n_positive).sum(dim=1, dtype=torch.float64)
    tied = ((keys[:, 1:] ^ keys[:, :-1]) == 1).any(dim=1)
    if bool(tied.any()):
        flipped = torch.sort(keys[tied] ^ 1, dim=1).values ^ 1
        strictly = _positive_ranks(flipped, n_positive).sum(dim=1, dtype=torch.float64)
        n_misranked[tied] = (n_misranked[tied] + strictly) / 2
    n_misranked -= n_positive * (n_positive - 1) / 2
    return 1.0 - n_misranked / n_pairs


def average_precision(scores: Tensor, y: NDArray[np.bool_], *, exact: bool) -> Tensor:
    """See :func:`cftlearn._ranking.batch_average_precision`."""
    n_positive = int(np.count_nonzero(y))
    if n_positive in (0, len(y)):
        return _all_nan(scores)
    keys = _sorted_keys(scores, y, exact)
    ranks = _positive_ranks(keys, n_positive)
    index = torch.arange(n_positive, device=keys.device)
    precision = (index + 1).double() / (ranks + 1).double()
    codes = torch.gather(keys, 1, ranks)
    tied_with_next = codes[:, 1:] == codes[:, :-1]
    last = torch.full_like(ranks, n_positive - 1)
    last[:, :-1] = torch.where(tied_with_next, n_positive - 1, index[:-1])
    last = torch.cummin(last.flip(1), dim=1).values.flip(1)
    return torch.gather(precision, 1, last).mean(dim=1)


def _all_nan(scores: Tensor) -> Tensor:
    return torch.full(
        (len(scores),), float("nan"), dtype=torch.float64, device=scores.device
    )


def _sorted_keys(scores: Tensor, y: NDArray[np.bool_], exact: bool) -> Tensor:
    """Pack scores and labels into integers, best first and negatives first in ties."""
    labels = torch.as_tensor(y, device=scores.device)
    if scores.dtype != torch.float32:
        return torch.sort(_dense_ranks(scores.double(), labels), dim=1).values
    bits = (scores.detach() + 0.0).view(torch.int32)
    bits = ~(bits ^ ((bits >> 31) & 0x7FFFFFFF))
    keys = bits.long() << 1 if exact else bits & ~1
    return torch.sort(keys | labels, dim=1).values


def _dense_ranks(scores: Tensor, labels: Tensor) -> Tensor:
    """Replace 64-bit scores by their rank, so that a bit is free for the label."""
    ordered, order = torch.sort(scores.detach(), dim=1, descending=True)
    keys = torch.zeros(scores.shape, dtype=torch.int64, device=scores.device)
    keys[:, 1:] = torch.cumsum(ordered[:, 1:] != ordered[:, :-1], dim=1)
    return (keys << 1) | labels[order]


def _positive_ranks(keys: Tensor, n_positive: int) -> Tensor:
    """Positions of the positives in each row of sorted keys."""
    flat = torch.nonzero((keys & 1).flatten()).flatten()
    ranks = flat.reshape(len(keys), n_positive)
    offsets = torch.arange(len(keys), device=keys.device) * keys.shape[1]
    return ranks - offsets[:, None]
