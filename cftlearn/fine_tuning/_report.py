"""What the refit of one category answers, and its line of the report."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cftlearn.fine_tuning._category_task import CategoryData


@dataclass(frozen=True)
class CategoryResult:
    """A category's row, its line in the report, and its history.

    Attributes
    ----------
    coef, intercept : ndarray of shape (n_features,), float
        The row.
    report : dict
        Its line.
    history : list of dict
        One record per iteration.
    left_out : ndarray of shape (n_held_out,), float64
        Logits of the held-out labels by a row that was not fitted to them: the trained
        one, the one chosen before the last refit, or fits that leave a label out.
    """

    coef: NDArray[np.float64]
    intercept: float
    report: dict[str, Any]
    history: list[dict[str, Any]]
    left_out: NDArray[np.float64]

    def pack(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Take it apart for a checkpoint."""
        plain = {key: getattr(self, key) for key in ("intercept", "report", "history")}
        return {"coef": self.coef, "left_out": self.left_out}, plain

    @classmethod
    def unpack(cls, arrays: dict[str, NDArray[Any]], plain: dict[str, Any]) -> Self:
        """Put it together again."""
        values: dict[str, Any] = {**arrays, **plain}
        return cls(**values)


def start_report(data: CategoryData) -> dict[str, Any]:
    """Count the labels of a category."""
    labels = np.concatenate([data.y, data.y_val])
    return {
        "category": data.name,
        "n_positive": int(np.count_nonzero(labels == 1.0)),
        "n_negative": int(np.count_nonzero(labels == 0.0)),
        "n_unknown": 0,  # counted by the caller, which knows whose rows are the same
        "n_held_out": int(np.count_nonzero(~np.isnan(data.y_val))),
    }


def outcome(
    status: str,
    reason: str,
    before: float = np.nan,
    after: float = np.nan,
    solver: str | None = None,
    n_iter: int = 0,
    weight: float = 0.0,
) -> dict[str, Any]:
    """Say how a category ended."""
    return {
        "status": status,
        "solver": solver,
        "score_before": before,
        "score_after": after,
        "n_iter": n_iter,
        "weight": weight,
        "reason": reason,
    }


def skipped(data: CategoryData, reason: str) -> CategoryResult:
    """Leave a category as it was."""
    report = start_report(data) | outcome("skipped", reason) | {"seconds": 0.0}
    left_out = data.trained_logits()
    return CategoryResult(data.coef, data.intercept, report, [], left_out)
