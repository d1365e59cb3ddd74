"""Bad pseudo-labels, soft labels, rules that choose them, and mixtures."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils._param_validation import InvalidParameterError

from cftlearn import CFTClassifier
from cftlearn.labels import resolve_labels, soft_labels
from cftlearn.training import LogicMix, NetworkTrainer, PartialMixUp, PseudoLabels

from .case import Case

NAN = np.nan
X = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)
Y = np.array([[1, NAN], [0, 1], [NAN, 0], [1, NAN], [0, 1], [NAN, 0]])
PSEUDO = np.where(np.isnan(Y), 0.7, NAN)


def network() -> Any:
    from torch import nn

    return nn.Linear(3, 2)


def fit(
    pseudo: Any = PSEUDO, weight: Any = None, y: Any = Y, **parameters: Any
) -> Callable[[Path], object]:
    def call(folder: Path) -> object:
        model = CFTClassifier(**{"module": network()} | parameters)
        given = {"pseudo_labels": pseudo, "pseudo_weight": weight}
        return model.fit(X, y, **given)

    return call


def fit_on_same_rows(folder: Path) -> object:
    """Pass labels of the same rows to choose by, one of them with a pseudo-label."""
    y_val = np.where(np.arange(6)[:, None] == 0, np.where(np.isnan(Y), 1, NAN), NAN)
    model = CFTClassifier(network())
    return model.fit(X, Y, X_val=X, y_val=y_val, pseudo_labels=PSEUDO)


def trainer(**finer: Any) -> Callable[[Path], object]:
    return lambda folder: CFTClassifier(trainer=NetworkTrainer(**finer)).fit(X, Y)


def select(
    scores: Any = PSEUDO, y: Any = Y, **parameters: Any
) -> Callable[[Path], object]:
    rule = PseudoLabels(**{"rule": "threshold"} | parameters)
    return lambda folder: rule.select(scores, y)


def mix(
    way: Any, labels: Any = None, dtype: str = "float32"
) -> Callable[[Path], object]:
    def call(folder: Path) -> object:
        import torch

        inputs = torch.ones((4, 3), dtype=getattr(torch, dtype))
        return way(inputs, torch.ones((4, 2)) if labels is None else labels())

    return call


def short_labels() -> Any:
    import torch

    return torch.ones((3, 2))


def changed(row: int, column: int, value: float) -> Any:
    table = PSEUDO.copy()
    table[row, column] = value
    return table


FIT, SELECT = "CFTClassifier.fit", "training.PseudoLabels.select"
NEEDS_NETWORK = (
    "`pseudo_labels` needs a `module` and train=True, since pseudo-labels train a "
    "network and nothing else; got {}. Pass pseudo_labels=None, or a network to train."
)

CASES = [
    Case(
        FIT,
        "pseudo-labels for plain features",
        fit(module=None),
        ValueError,
        NEEDS_NETWORK.format("module=None"),
    ),
    Case(
        FIT,
        "pseudo-labels for a network that is trained already",
        fit(train=False),
        ValueError,
        NEEDS_NETWORK.format("train=False"),
    ),
    Case(
        FIT,
        "a weight without pseudo-labels",
        fit(pseudo=None, weight=0.5),
        ValueError,
        "`pseudo_weight` needs `pseudo_labels`, whose weight it is; got "
        "pseudo_labels=None. Pass both, or pseudo_weight=None.",
    ),
    Case(
        FIT,
        "a pseudo-label of a known cell",
        fit(changed(1, 1, 0.25)),
        ValueError,
        "`pseudo_labels` must be NaN where `y` is known; got 1 number beside a known "
        "label, the first 0.25 in category '1', row 1, where `y` is 1. Pass "
        "numpy.where(cftlearn.labels.known_mask(y), numpy.nan, pseudo_labels).",
    ),
    Case(
        FIT,
        "pseudo-labels of all cells",
        fit(np.full(Y.shape, 0.5)),
        ValueError,
        "`pseudo_labels` must be NaN where `y` is known; got 8 numbers beside a known "
        "label, the first 0.5 in category '0', row 0, where `y` is 1. Pass "
        "numpy.where(cftlearn.labels.known_mask(y), numpy.nan, pseudo_labels).",
    ),
    Case(
        FIT,
        "a pseudo-label of a cell that is held out",
        fit_on_same_rows,
        ValueError,
        "`pseudo_labels` must be NaN where `y_val` is known; got 1 number beside a "
        "known label, the first 0.7 in category '1', row 0, where `y_val` is 1. Pass "
        "numpy.where(cftlearn.labels.known_mask(y_val), numpy.nan, pseudo_labels).",
    ),
    Case(
        FIT,
        "logits as pseudo-labels",
        fit(changed(2, 0, -1.5)),
        ValueError,
        "`pseudo_labels` must hold numbers in [0, 1] or NaN; got -1.5 in category '0', "
        "row 2 (1 such cell). Turn logits into probabilities with scipy.special.expit.",
    ),
    Case(
        FIT,
        "an infinite pseudo-label",
        fit(changed(2, 0, np.inf)),
        ValueError,
        "`pseudo_labels` must hold numbers in [0, 1] or NaN; got inf in category '0', "
        "row 2 (1 such cell). Turn logits into probabilities with scipy.special.expit.",
    ),
    Case(
        FIT,
        "pseudo-labels of fewer rows",
        fit(PSEUDO[:5]),
        ValueError,
        "`pseudo_labels` must have one number for each cell of `y`, shape (6, 2); got "
        "shape (5, 2). Write NaN for cells without one.",
    ),
    Case(
        FIT,
        "pseudo-labels as text",
        fit([["a", "b"]] * 6),
        TypeError,
        "`pseudo_labels` must hold real numbers; got text (dtype <U1). Turn text that "
        "stands for numbers into numbers with astype(float).",
    ),
    Case(
        FIT,
        "masked pseudo-labels",
        fit(np.ma.array(np.zeros(Y.shape), mask=~np.isnan(Y))),
        TypeError,
        "`pseudo_labels` must be a plain array; got a masked array, whose mask would "
        "be dropped (8 of 12 cells are masked). Pass "
        "pseudo_labels.astype(float).filled(np.nan): masked cells become unknown.",
    ),
    Case(
        FIT,
        "a negative weight of a pseudo-label",
        fit(weight=-1),
        ValueError,
        "`pseudo_weight` must be finite and 0 or more; got -1 in category '1', row 0 "
        "(4 such cells). Pass 0 for a pseudo-label that must not count.",
    ),
    Case(
        FIT,
        "a weight of a pseudo-label that is NaN",
        fit(weight=np.where(np.arange(6) == 2, NAN, 1.0)),
        ValueError,
        "`pseudo_weight` must be finite and 0 or more; got nan in category '0', row 2 "
        "(1 such cell). Pass 0 for a pseudo-label that must not count.",
    ),
    Case(
        FIT,
        "a weight of pseudo-labels per category",
        fit(weight=[1.0, 2.0]),
        ValueError,
        "`pseudo_weight` must be one number, or one per row, shape (6,), or one per "
        "cell, shape (6, 2); got shape (2,). For one per category, pass "
        "numpy.tile(weights, (len(y), 1)).",
    ),
    Case(
        "labels.resolve_labels",
        "soft labels",
        lambda folder: resolve_labels([[1, -1]], uncertain="soft"),
        ValueError,
        "`uncertain` must be 'unknown', 'positive' or 'negative'; got 'soft' for "
        "category '0'. A label is 1, 0 or unknown. Leave these cells unknown, and pass "
        "numbers between 0 and 1 to `fit` as `pseudo_labels`: those of "
        "cftlearn.labels.soft_labels, or of LabelTable.soft_labels.",
    ),
    Case(
        "labels.soft_labels",
        "a policy that does not exist",
        lambda folder: soft_labels([[1, -1]], uncertain="maybe"),
        ValueError,
        "`uncertain` must be 'unknown', 'positive' or 'negative'; got 'maybe' for "
        "category '0'.",
    ),
    Case(
        "labels.soft_labels",
        "a policy of a category that does not exist",
        lambda folder: soft_labels([[1, -1]], uncertain={"cat": "positive"}),
        ValueError,
        "`uncertain` must name categories of the table; got 'cat'. The table has: '0', "
        "'1'.",
    ),
    Case(
        "labels.soft_labels",
        "a fifth state",
        lambda folder: soft_labels([[1, 2]]),
        ValueError,
        "`table` must hold 0 (negative), 1 (positive) or NaN (unknown); got 2.0 in "
        "category '1' (column 1, 1 cell, first in row 0). If this came from "
        'cross_val_predict with method="predict_proba", scikit-learn recoded NaN as 2: '
        "use cftlearn.model_selection.cross_val_predict, or pass y with no NaN.",
    ),
    Case(
        SELECT,
        "logits as scores",
        select(changed(0, 1, 3.5)),
        ValueError,
        "`scores` must hold numbers in [0, 1] or NaN; got 3.5 in category '1', row 0 "
        "(1 such cell). Turn logits into probabilities with scipy.special.expit.",
    ),
    Case(
        SELECT,
        "scores of fewer rows",
        select(PSEUDO[:5]),
        ValueError,
        "`scores` must have one number for each cell of `y`, shape (6, 2); got shape "
        "(5, 2). Write NaN for cells without one.",
    ),
    Case(
        SELECT,
        "a threshold of both classes below 0.5",
        select(threshold=0.3),
        ValueError,
        "`threshold` must be 0.5 or more, since cells of 1 - threshold or less become "
        "negative; got 0.3. Pass a pair, that of negatives first, or "
        "positive_only=True.",
    ),
    Case(
        SELECT,
        "a pair of thresholds in the wrong order",
        select(threshold=(0.9, 0.1)),
        ValueError,
        "`threshold` must be a probability, or a pair of them, that of negatives first "
        "and not above that of positives; got (0.9, 0.1). Pass threshold=(0.1, 0.9), "
        "for example.",
    ),
    Case(
        SELECT,
        "three thresholds",
        select(threshold=(0.1, 0.5, 0.9)),
        ValueError,
        "`threshold` must be a probability, or a pair of them, that of negatives first "
        "and not above that of positives; got (0.1, 0.5, 0.9). Pass threshold=(0.1, "
        "0.9), for example.",
    ),
    Case(
        SELECT,
        "a share above 1",
        select(rule="top_share", share=20),
        InvalidParameterError,
        "The 'share' parameter of PseudoLabels must be a float in the range (0.0, "
        "1.0]. Got 20 instead.",
    ),
    Case(
        "training.NetworkTrainer",
        "a rule with a threshold below 0.5",
        trainer(pseudo_labels=PseudoLabels("threshold", threshold=0.2)),
        ValueError,
        "`threshold` must be 0.5 or more, since cells of 1 - threshold or less become "
        "negative; got 0.2. Pass a pair, that of negatives first, or "
        "positive_only=True.",
    ),
    Case(
        "training.NetworkTrainer",
        "mixtures of three to two rows",
        trainer(mix=LogicMix(k_min=3, k_max=2)),
        ValueError,
        "`k_min` must be at most `k_max`; got k_min=3 and k_max=2. Pass k_max=3, or "
        "more.",
    ),
    Case(
        "training.LogicMix",
        "a probability above 1",
        mix(LogicMix(50)),
        InvalidParameterError,
        "The 'probability' parameter of LogicMix must be a float in the range [0.0, "
        "1.0]. Got 50 instead.",
    ),
    Case(
        "training.LogicMix",
        "whole numbers",
        mix(LogicMix(), dtype="int64"),
        TypeError,
        "`mix` needs inputs of real numbers, of which a mean is another input; got "
        "torch.int64. Convert images to floats in `input_transform`; numbers that "
        "stand for words cannot be mixed.",
    ),
    Case(
        "training.PartialMixUp",
        "labels of fewer rows",
        mix(PartialMixUp(), short_labels),
        ValueError,
        "`labels` must have a row for each row of `X`, shape (4, n_categories); got "
        "shape (3, 2).",
    ),
]
