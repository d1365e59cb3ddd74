"""Bad inputs of prevalences, of the check how labels went missing, and of codes."""

from pathlib import Path

import numpy as np
from sklearn.metrics import accuracy_score
from sklearn.utils._param_validation import InvalidParameterError

from cftlearn.labels import (
    check_missing_at_random,
    decode_labels,
    encode_labels,
    estimate_prevalence,
    label_summary,
)
from cftlearn.metrics import partial_score

from .case import Case

Y = [[1.0, 0.0], [np.nan, 1.0], [0.0, np.nan]]
SCORES = [[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]]


def prevalence(scores=SCORES, y=Y, **parameters):
    return lambda folder: estimate_prevalence(scores, y, **parameters)


def check(scores=SCORES, y=Y, **parameters):
    return lambda folder: check_missing_at_random(scores, y, **parameters)


def encode(*arguments, **parameters):
    return lambda folder: encode_labels(*arguments, **parameters)


def decode(*arguments, **parameters):
    return lambda folder: decode_labels(*arguments, **parameters)


def frames_of_other_columns(folder: Path) -> object:
    import pandas as pd

    y = pd.DataFrame(Y, columns=["a", "b"])
    return estimate_prevalence(pd.DataFrame(SCORES, columns=["a", "c"]), y)


CASES = [
    Case(
        "labels.estimate_prevalence",
        "too few rows",
        prevalence(SCORES[:2]),
        ValueError,
        "`scores` must have the shape of `y`, (3, 2); got (2, 2). Score the "
        "rows and categories of y, in their order.",
    ),
    Case(
        "labels.estimate_prevalence",
        "scores of three axes",
        prevalence([SCORES]),
        ValueError,
        "`scores` must have the shape of `y`, (3, 2); got (1, 3, 2). A list of "
        "arrays from predict_proba of a multi-output classifier becomes one "
        "table with np.column_stack([p[:, 1] for p in scores]).",
    ),
    Case(
        "labels.estimate_prevalence",
        "a score is NaN",
        prevalence([[0.1, np.nan], *SCORES[1:]]),
        ValueError,
        "`scores` must be finite numbers; got nan in category '1', row 0 (1 "
        "such cell). Cells with unknown labels need scores too; only a "
        "category that the model cannot score may be NaN, in all rows.",
    ),
    Case(
        "labels.estimate_prevalence",
        "scores are infinite",
        prevalence([[np.inf, 1], [-np.inf, 1], [0, 1]]),
        ValueError,
        "`scores` must be finite numbers; got inf in category '0', row 0 (2 "
        "such cells). Cells with unknown labels need scores too; only a "
        "category that the model cannot score may be NaN, in all rows.",
    ),
    Case(
        "labels.estimate_prevalence",
        "scores are text",
        prevalence([["a", "b"]] * 3),
        TypeError,
        "`scores` must hold real numbers; got text (dtype <U1). Turn text that "
        "stands for numbers into numbers with astype(float).",
    ),
    Case(
        "labels.estimate_prevalence",
        "a label is 2",
        prevalence(y=[[1, 2], [0, 1], [1, 0]]),
        ValueError,
        "`y` must hold 0 (negative), 1 (positive) or NaN (unknown); got 2.0 in "
        "category '1' (column 1, 1 cell, first in row 0). If this came from "
        'cross_val_predict with method="predict_proba", scikit-learn recoded '
        "NaN as 2: use cftlearn.model_selection.cross_val_predict, or pass y "
        "with no NaN.",
    ),
    Case(
        "labels.estimate_prevalence",
        "confidence in per cent",
        prevalence(confidence=95),
        InvalidParameterError,
        "The 'confidence' parameter of estimate_prevalence must be a float in "
        "the range (0.0, 1.0). Got 95 instead.",
    ),
    Case(
        "labels.estimate_prevalence",
        "one draw",
        prevalence(n_resamples=1),
        InvalidParameterError,
        "The 'n_resamples' parameter of estimate_prevalence must be an int in "
        "the range [2, inf). Got 1 instead.",
    ),
    Case(
        "labels.estimate_prevalence",
        "columns of other names",
        frames_of_other_columns,
        ValueError,
        "`scores` must have the columns of `y`; missing: 'b'; unexpected: 'c'. "
        "Rename its columns; or, if they are those columns in the same order, "
        "pass numpy.asarray(scores), without names.",
        "pandas",
    ),
    Case(
        "labels.check_missing_at_random",
        "one column of scores",
        check([0.1, 0.2, 0.3]),
        ValueError,
        "`scores` must have the shape of `y`, (3, 2); got (3,). Score the rows "
        "and categories of y, in their order.",
    ),
    Case(
        "labels.check_missing_at_random",
        "a masked array of scores",
        check(np.ma.masked_equal(SCORES, 0.1)),
        TypeError,
        "`scores` must be a plain array; got a masked array, whose mask would "
        "be dropped (1 of 6 cells are masked). Pass numpy.ma.filled(scores, "
        "value), with the value that masked cells are to have.",
    ),
    Case(
        "labels.label_summary",
        "scores of another shape",
        lambda folder: label_summary(Y, scores=[[1.0]]),
        ValueError,
        "`scores` must have the shape of `y`, (3, 2); got (1, 1). Score the "
        "rows and categories of y, in their order.",
    ),
    Case(
        "labels.encode_labels",
        "a class as ignore_index",
        encode(Y, to="torchmetrics", ignore_index=0),
        ValueError,
        "`ignore_index` must be an integer other than 0 and 1; got 0, which is "
        "a class. Pass the code of unknown labels.",
    ),
    Case(
        "labels.encode_labels",
        "NaN as ignore_index",
        encode(Y, to="torchmetrics", ignore_index=np.nan),
        TypeError,
        "`ignore_index` must be an integer other than 0 and 1; got nan. Pass "
        "the code of unknown labels.",
    ),
    Case(
        "labels.encode_labels",
        "a class as missing_label",
        encode(Y, to="scikit-activeml", missing_label=1.0),
        ValueError,
        "`missing_label` must be NaN, None or a number other than 0 and 1; got "
        "1.0, which is a class. Pass the code of unknown labels.",
    ),
    Case(
        "labels.encode_labels",
        "text as missing_label",
        encode(Y, to="scikit-activeml", missing_label="?"),
        TypeError,
        "`missing_label` must be NaN, None or a number other than 0 and 1; got "
        "'?'. Pass the code of unknown labels.",
    ),
    Case(
        "labels.encode_labels",
        "ignore_index for another package",
        encode(Y, to="csl", ignore_index=-100),
        ValueError,
        "`ignore_index` is a code of torchmetrics; got -100 with 'csl'. Leave it out.",
    ),
    Case(
        "labels.encode_labels",
        "missing_label for another package",
        encode(Y, to="hcp", missing_label=None),
        ValueError,
        "`missing_label` is a code of scikit-activeml; got None with 'hcp'. "
        "Leave it out.",
    ),
    Case(
        "labels.encode_labels",
        "uncertain labels",
        encode([[1.0, -1.0]], to="csl"),
        ValueError,
        "`y` must hold 0 (negative), 1 (positive) or NaN (unknown); got -1.0 "
        "in category '1' (column 1, 1 cell, first in row 0). CheXpert's tables "
        "write -1.0 for uncertain, other sets write -1 for unknown: choose "
        "with cftlearn.labels.resolve_labels(y, uncertain=...), or, if no cell "
        "is missing, pass an integer array, np.asarray(y, dtype=int), in which "
        "-1 is unknown.",
    ),
    Case(
        "labels.decode_labels",
        "NaN in the code of HCP",
        decode([[1, np.nan]], source="hcp"),
        ValueError,
        "`y` must hold 1 (positive), -1 (negative) or 0 (unknown) with "
        "source='hcp'; got nan in category '1', row 0 (1 such cell). Pass the "
        "`source` whose code it is, or recode these cells.",
    ),
    Case(
        "labels.decode_labels",
        "booleans in the code of HCP",
        decode([[True, False]], source="hcp"),
        TypeError,
        "`y` must hold 1, -1 or 0 with source='hcp'; got booleans, of which "
        "False would be unknown. Pass y.astype(int) if it is; if False is "
        "negative, pass y itself where labels are expected.",
    ),
    Case(
        "labels.decode_labels",
        "a float -1 in the code of mlcpl",
        decode([[1.0, -1.0]], source="mlcpl"),
        ValueError,
        "`y` must hold 0 (negative), 1 (positive) or NaN (unknown); got -1.0 "
        "in category '1' (column 1, 1 cell, first in row 0). CheXpert's tables "
        "write -1.0 for uncertain, other sets write -1 for unknown: choose "
        "with cftlearn.labels.resolve_labels(y, uncertain=...), or, if no cell "
        "is missing, pass an integer array, np.asarray(y, dtype=int), in which "
        "-1 is unknown.",
    ),
    Case(
        "labels.decode_labels",
        "a 2 in the code of CSL",
        decode([[1, 2], [2, 0]], source="csl"),
        ValueError,
        "`y` must hold 1 (positive), 0 (negative) or -1 (unknown) with "
        "source='csl'; got 2 in category '1', row 0 (2 such cells). Pass the "
        "`source` whose code it is, or recode these cells.",
    ),
    Case(
        "labels.decode_labels",
        "another ignore_index",
        decode([[1, -1]], source="torchmetrics", ignore_index=-100),
        ValueError,
        "`y` must hold 1 (positive), 0 (negative) or -100 (unknown) with "
        "source='torchmetrics'; got -1 in category '1', row 0 (1 such cell). "
        "Pass the `source` whose code it is, or recode these cells.",
    ),
    Case(
        "labels.decode_labels",
        "NaN where a number is missing",
        decode([[1, np.nan]], source="scikit-activeml", missing_label=-1),
        ValueError,
        "`y` must hold 1 (positive), 0 (negative) or -1 (unknown) with "
        "source='scikit-activeml'; got nan in category '1', row 0 (1 such "
        "cell). Pass the `source` whose code it is, or recode these cells.",
    ),
    Case(
        "labels.decode_labels",
        "one axis",
        decode([1, 0], source="csl"),
        ValueError,
        "`y` must be 2-D with shape (n_samples, n_categories); got 1-D with "
        "shape (2,). Use np.reshape(y, (-1, 1)) for one category.",
    ),
    Case(
        "metrics.partial_score",
        "no function as metric",
        lambda folder: partial_score(Y, SCORES, "f1"),
        InvalidParameterError,
        "The 'metric' parameter of partial_score must be a callable. Got 'f1' instead.",
    ),
    Case(
        "metrics.partial_score",
        "probabilities as decisions",
        lambda folder: partial_score(Y, SCORES, accuracy_score, kind="decision"),
        ValueError,
        "`y_pred` must hold decisions 0 or 1; got 0.1. Turn probabilities into "
        "decisions with y_proba >= threshold.",
    ),
    Case(
        "metrics.partial_score",
        "scores as probabilities",
        lambda folder: partial_score(
            Y, 10 * np.array(SCORES), accuracy_score, kind="probability"
        ),
        ValueError,
        "`y_proba` must hold probabilities in [0, 1]; got values from 1 to 6. "
        "Turn logits into probabilities with scipy.special.expit.",
    ),
]
