"""Bad inputs of metrics."""

from pathlib import Path

import numpy as np

from cftlearn.metrics import partial_average_precision_score

from .case import Case


def scores_of_other_length(folder: Path) -> object:
    return partial_average_precision_score(np.ones((3, 2)), np.zeros((2, 2)))


CASES = [
    Case(
        "metrics.partial_average_precision_score",
        "fewer rows of scores than of labels",
        scores_of_other_length,
        ValueError,
        "Scores must have the shape of `y_true`, (3, 2); got (2, 2). Score the rows "
        "and categories of y_true, in their order.",
    ),
]
