"""Bad inputs: names in another order, and arrays that are more than numbers."""

from functools import cache
from typing import Any

import numpy as np

from cftlearn import CategoryWiseFineTuner, CFTClassifier, CFTEnsemble
from cftlearn.calibration import CategoryCalibrator, tune_thresholds
from cftlearn.displays import (
    CategoryScoreDisplay,
    LabelCoverageDisplay,
    ReliabilityDisplay,
    ThresholdDisplay,
)
from cftlearn.ensemble import combine_scores, merge_views, select_members
from cftlearn.labels import (
    PartialLabels,
    check_partial_labels,
    hide_labels,
    known_mask,
    label_summary,
    resolve_labels,
)
from cftlearn.metrics import (
    bootstrap_intervals,
    compare_scores,
    partial_average_precision_score,
    partial_f1_score,
    partial_log_loss,
    partial_roc_auc_score,
    partial_roc_auc_scorer,
)
from cftlearn.model_selection import (
    PartialLabelKFold,
    cross_val_predict,
    partial_train_test_split,
)

from .case import Case

NAMES, TURNED = ["cat", "dog"], ["dog", "cat"]
LETTERS = list("abcdefgh")
Z = np.sin(np.arange(32.0)).reshape(8, 4)
Y = np.array([[1, 0], [0, 1], [1, 1], [0, 0]] * 2, dtype=float)
S = np.linspace(0.1, 0.9, 16).reshape(8, 2)
MASKED = np.ma.array(S, mask=S > 0.6)
GROUPS = np.arange(8) // 2


def frame(values: Any, columns: Any = NAMES, index: Any = None) -> Any:
    import pandas

    return pandas.DataFrame(values, columns=columns, index=index)


def series(values: Any, index: Any = None) -> Any:
    import pandas

    return pandas.Series(values, index=index)


def dates(days: Any) -> Any:
    return np.asarray(days, dtype="datetime64[D]")


@cache
def model() -> CFTClassifier:
    return CFTClassifier(random_state=0).fit(Z, frame(Y))


def labels_changed() -> PartialLabels:
    labels = check_partial_labels(Y)
    labels.values[0, 1] = np.nan
    return labels


def arrow_table(values: Any) -> Any:
    import pyarrow

    columns = {name: values[:, j] for j, name in enumerate(NAMES)}
    return pyarrow.table(columns)


def uncertain() -> Any:
    table = Y.astype(int)
    table[2, 1] = -1
    return table


CASES = [
    Case(
        "CFTClassifier.fit",
        "rows of y in another order",
        lambda folder: CFTClassifier().fit(frame(Z, None), frame(Y)[::-1]),
        ValueError,
        "`X` and `y` must have their rows in the same order; got the same row labels "
        "in another one: 0 and 7 in row 0. Pass y.loc[X.index]; or, if they belong "
        "together by place, pass y.set_axis(X.index).",
        needs="pandas",
    ),
    Case(
        "CFTClassifier.fit",
        "labels of rows that X does not have",
        lambda folder: CFTClassifier().fit(
            frame(Z, None, LETTERS), frame(Y, index=list("abcdefgx"))
        ),
        ValueError,
        "`X` and `y` must have the same row labels; got 1 label in `y` that `X` does "
        "not have, the first 'x'. Take the rows of `y` by table.loc[X.index]; or, if "
        "they belong together by place, pass y.set_axis(X.index).",
        needs="pandas",
    ),
    Case(
        "CFTClassifier.fit",
        "rows in another order, with labels that repeat",
        lambda folder: CFTClassifier().fit(
            frame(Z, None, list("aabbccdd")), frame(Y, index=list("aabbccdd"))[::-1]
        ),
        ValueError,
        "`X` and `y` must have their rows in the same order; got the same row labels "
        "in another one: 'a' and 'd' in row 0. Labels repeat, so sort both by a column"
        " that tells rows apart; or, if they belong together by place, pass "
        "y.set_axis(X.index).",
        needs="pandas",
    ),
    Case(
        "CFTClassifier.fit",
        "rows of y_val in another order",
        lambda folder: CFTClassifier().fit(
            Z, Y, validation_data=(frame(Z, None), frame(Y)[::-1])
        ),
        ValueError,
        "`X_val` and `y_val` must have their rows in the same order; got the same row "
        "labels in another one: 0 and 7 in row 0. Pass y_val.loc[X_val.index]; or, if "
        "they belong together by place, pass y_val.set_axis(X_val.index).",
        needs="pandas",
    ),
    Case(
        "CFTClassifier.score",
        "rows of y in another order",
        lambda folder: model().score(frame(Z, None), frame(Y)[::-1]),
        ValueError,
        "`X` and `y` must have their rows in the same order; got the same row labels "
        "in another one: 0 and 7 in row 0. Pass y.loc[X.index]; or, if they belong "
        "together by place, pass y.set_axis(X.index).",
        needs="pandas",
    ),
    Case(
        "CategoryWiseFineTuner.fit",
        "rows of y in another order",
        lambda folder: CategoryWiseFineTuner().fit(frame(Z, None), frame(Y)[::-1]),
        ValueError,
        "`Z` and `y` must have their rows in the same order; got the same row labels "
        "in another one: 0 and 7 in row 0. Pass y.loc[Z.index]; or, if they belong "
        "together by place, pass y.set_axis(Z.index).",
        needs="pandas",
    ),
    Case(
        "CFTEnsemble.fit",
        "rows of y in another order",
        lambda folder: CFTEnsemble().fit(frame(Z, None), frame(Y)[::-1]),
        ValueError,
        "`X` and `y` must have their rows in the same order; got the same row labels "
        "in another one: 0 and 7 in row 0. Pass y.loc[X.index]; or, if they belong "
        "together by place, pass y.set_axis(X.index).",
        needs="pandas",
    ),
    Case(
        "metrics.partial_roc_auc_score",
        "rows of scores in another order",
        lambda folder: partial_roc_auc_score(frame(Y), frame(S)[::-1]),
        ValueError,
        "`y_true` and `y_score` must have their rows in the same order; got the same "
        "row labels in another one: 0 and 7 in row 0. Pass y_score.loc[y_true.index]; "
        "or, if they belong together by place, pass y_score.set_axis(y_true.index).",
        needs="pandas",
    ),
    Case(
        "metrics.partial_roc_auc_score",
        "1-D scores in another order",
        lambda folder: partial_roc_auc_score(series(Y[:, 0]), series(S[:, 0])[::-1]),
        ValueError,
        "`y_true` and `y_score` must have their rows in the same order; got the same "
        "row labels in another one: 0 and 7 in row 0. Pass y_score.loc[y_true.index]; "
        "or, if they belong together by place, pass y_score.set_axis(y_true.index).",
        needs="pandas",
    ),
    Case(
        "metrics.partial_roc_auc_scorer",
        "rows of y in another order",
        lambda folder: partial_roc_auc_scorer(model(), frame(Z, None), frame(Y)[::-1]),
        ValueError,
        "`X` and `y` must have their rows in the same order; got the same row labels "
        "in another one: 0 and 7 in row 0. Pass y.loc[X.index]; or, if they belong "
        "together by place, pass y.set_axis(X.index).",
        needs="pandas",
    ),
    Case(
        "metrics.bootstrap_intervals",
        "groups in another order",
        lambda folder: bootstrap_intervals(frame(Y), S, groups=series(GROUPS)[::-1]),
        ValueError,
        "`y_true` and `groups` must have their rows in the same order; got the same "
        "row labels in another one: 0 and 7 in row 0. Pass groups.loc[y_true.index]; "
        "or, if they belong together by place, pass groups.set_axis(y_true.index).",
        needs="pandas",
    ),
    Case(
        "metrics.compare_scores",
        "rows of one model in another order",
        lambda folder: compare_scores(Y, frame(S), frame(S)[::-1]),
        ValueError,
        "`score_a` and `score_b` must have their rows in the same order; got the same "
        "row labels in another one: 0 and 7 in row 0. Pass score_b.loc[score_a.index];"
        " or, if they belong together by place, pass score_b.set_axis(score_a.index).",
        needs="pandas",
    ),
    Case(
        "calibration.CategoryCalibrator.fit",
        "rows of y in another order",
        lambda folder: CategoryCalibrator().fit(frame(S), frame(Y)[::-1]),
        ValueError,
        "`X` and `y` must have their rows in the same order; got the same row labels "
        "in another one: 0 and 7 in row 0. Pass y.loc[X.index]; or, if they belong "
        "together by place, pass y.set_axis(X.index).",
        needs="pandas",
    ),
    Case(
        "calibration.tune_thresholds",
        "rows of probabilities in another order",
        lambda folder: tune_thresholds(frame(Y), frame(S)[::-1]),
        ValueError,
        "`y_true` and `y_proba` must have their rows in the same order; got the same "
        "row labels in another one: 0 and 7 in row 0. Pass y_proba.loc[y_true.index]; "
        "or, if they belong together by place, pass y_proba.set_axis(y_true.index).",
        needs="pandas",
    ),
    Case(
        "displays.ReliabilityDisplay.from_estimator",
        "rows of y in another order",
        lambda folder: ReliabilityDisplay.from_estimator(
            model(), frame(Z, None), frame(Y)[::-1]
        ),
        ValueError,
        "`X` and `y` must have their rows in the same order; got the same row labels "
        "in another one: 0 and 7 in row 0. Pass y.loc[X.index]; or, if they belong "
        "together by place, pass y.set_axis(X.index).",
        needs="pandas",
    ),
    Case(
        "displays.CategoryScoreDisplay.from_predictions",
        "rows after the refit in another order",
        lambda folder: CategoryScoreDisplay.from_predictions(
            Y, frame(S), frame(S)[::-1]
        ),
        ValueError,
        "`before` and `after` must have their rows in the same order; got the same row"
        " labels in another one: 0 and 7 in row 0. Pass after.loc[before.index]; or, "
        "if they belong together by place, pass after.set_axis(before.index).",
        needs="pandas",
    ),
    Case(
        "model_selection.PartialLabelKFold.split",
        "groups in another order",
        lambda folder: PartialLabelKFold(2).split(Z, frame(Y), series(GROUPS)[::-1]),
        ValueError,
        "`y` and `groups` must have their rows in the same order; got the same row "
        "labels in another one: 0 and 7 in row 0. Pass groups.loc[y.index]; or, if "
        "they belong together by place, pass groups.set_axis(y.index).",
        needs="pandas",
    ),
    Case(
        "model_selection.partial_train_test_split",
        "a further array in another order",
        lambda folder: partial_train_test_split(Z, frame(Y), series(GROUPS)[::-1]),
        ValueError,
        "`y` and `arrays[0]` must have their rows in the same order; got the same row "
        "labels in another one: 0 and 7 in row 0. Pass arrays[0].loc[y.index]; or, if "
        "they belong together by place, pass arrays[0].set_axis(y.index).",
        needs="pandas",
    ),
    Case(
        "model_selection.cross_val_predict",
        "rows of y in another order",
        lambda folder: cross_val_predict(
            CFTClassifier(), frame(Z, None), frame(Y)[::-1]
        ),
        ValueError,
        "`X` and `y` must have their rows in the same order; got the same row labels "
        "in another one: 0 and 7 in row 0. Pass y.loc[X.index]; or, if they belong "
        "together by place, pass y.set_axis(X.index).",
        needs="pandas",
    ),
    Case(
        "ensemble.combine_scores",
        "rows of one member in another order",
        lambda folder: combine_scores([frame(S), frame(S)[::-1]]),
        ValueError,
        "`scores[0]` and `scores[1]` must have their rows in the same order; got the "
        "same row labels in another one: 0 and 7 in row 0. Pass "
        "scores[1].loc[scores[0].index]; or, if they belong together by place, pass "
        "scores[1].set_axis(scores[0].index).",
        needs="pandas",
    ),
    Case(
        "ensemble.merge_views",
        "studies in another order",
        lambda folder: merge_views(frame(S), series(GROUPS)[::-1]),
        ValueError,
        "`scores` and `groups` must have their rows in the same order; got the same "
        "row labels in another one: 0 and 7 in row 0. Pass groups.loc[scores.index]; "
        "or, if they belong together by place, pass groups.set_axis(scores.index).",
        needs="pandas",
    ),
    Case(
        "ensemble.select_members",
        "rows of one member in another order",
        lambda folder: select_members(frame(Y), [S, frame(S)[::-1]]),
        ValueError,
        "`y_true` and `scores[1]` must have their rows in the same order; got the same"
        " row labels in another one: 0 and 7 in row 0. Pass "
        "scores[1].loc[y_true.index]; or, if they belong together by place, pass "
        "scores[1].set_axis(y_true.index).",
        needs="pandas",
    ),
    Case(
        "CFTClassifier.score",
        "columns of y in another order",
        lambda folder: model().score(Z, frame(Y, TURNED)),
        ValueError,
        "`y` must have the categories of `fit` in the same order; got ['dog', 'cat'] "
        "for ['cat', 'dog']. Reorder its columns: pass y[model.categories_].",
        needs="pandas",
    ),
    Case(
        "CFTClassifier.score",
        "a category that the model does not have",
        lambda folder: model().score(Z, frame(Y, ["cat", "cow"])),
        ValueError,
        "`y` must have the categories of `fit`; missing: 'dog'; unexpected: 'cow'. "
        "Rename its columns; or, if they are those columns in the same order, pass "
        "numpy.asarray(y), without names.",
        needs="pandas",
    ),
    Case(
        "CFTClassifier.score",
        "checked labels in another order",
        lambda folder: model().score(Z, check_partial_labels(frame(Y, TURNED))),
        ValueError,
        "`y` must have the categories of `fit` in the same order; got ['dog', 'cat'] "
        "for ['cat', 'dog']. Reorder its columns: pass "
        "check_partial_labels(table[model.categories_]).",
        needs="pandas",
    ),
    Case(
        "metrics.partial_roc_auc_scorer",
        "columns of y in another order",
        lambda folder: partial_roc_auc_scorer(model(), Z, frame(Y, TURNED)),
        ValueError,
        "`y` must have the categories of the model in the same order; got ['dog', "
        "'cat'] for ['cat', 'dog']. Reorder its columns: pass y[model.categories_].",
        needs="pandas",
    ),
    Case(
        "metrics.partial_roc_auc_scorer",
        "a table of pyarrow in another order",
        lambda folder: partial_roc_auc_scorer(
            model(), Z, arrow_table(Y).select(TURNED)
        ),
        ValueError,
        "`y` must have the categories of the model in the same order; got ['dog', "
        "'cat'] for ['cat', 'dog']. Reorder its columns: pass "
        "y.select(list(model.categories_)).",
        needs="pyarrow",
    ),
    Case(
        "metrics.partial_average_precision_score",
        "columns of scores in another order",
        lambda folder: partial_average_precision_score(frame(Y), frame(S, TURNED)),
        ValueError,
        "`y_score` must have the columns of `y_true` in the same order; got ['dog', "
        "'cat'] for ['cat', 'dog']. Reorder its columns: pass y_score[y_true.columns].",
        needs="pandas",
    ),
    Case(
        "metrics.partial_average_precision_score",
        "columns of scores without names",
        lambda folder: partial_average_precision_score(frame(Y), frame(S, None)),
        ValueError,
        "`y_score` must have the columns of `y_true`; missing: 'cat', 'dog'; "
        "unexpected: '0', '1'. Rename its columns; or, if they are those columns in "
        "the same order, pass numpy.asarray(y_score), without names.",
        needs="pandas",
    ),
    Case(
        "metrics.compare_scores",
        "columns of one model in another order",
        lambda folder: compare_scores(Y, frame(S), frame(S, TURNED)),
        ValueError,
        "`score_b` must have the columns of `score_a` in the same order; got ['dog', "
        "'cat'] for ['cat', 'dog']. Reorder its columns: pass "
        "score_b[score_a.columns].",
        needs="pandas",
    ),
    Case(
        "calibration.CategoryCalibrator.fit",
        "columns of scores in another order",
        lambda folder: CategoryCalibrator().fit(frame(S), frame(Y, TURNED)),
        ValueError,
        "`X` must have the categories of `y` in the same order; got ['cat', 'dog'] for"
        " ['dog', 'cat']. Reorder its columns: pass X[y.columns].",
        needs="pandas",
    ),
    Case(
        "calibration.CategoryCalibrator.transform",
        "columns of scores in another order",
        lambda folder: (
            CategoryCalibrator().fit(S, frame(Y)).transform(frame(S, TURNED))
        ),
        ValueError,
        "`X` must have the categories of `y` in the same order; got ['dog', 'cat'] for"
        " ['cat', 'dog']. Reorder its columns: pass X[calibrator.categories_].",
        needs="pandas",
    ),
    Case(
        "displays.ThresholdDisplay.from_predictions",
        "columns of probabilities in another order",
        lambda folder: ThresholdDisplay.from_predictions(
            frame(Y), frame(S, TURNED), category="cat"
        ),
        ValueError,
        "`y_proba` must have the columns of `y_true` in the same order; got ['dog', "
        "'cat'] for ['cat', 'dog']. Reorder its columns: pass y_proba[y_true.columns].",
        needs="pandas",
    ),
    Case(
        "displays.LabelCoverageDisplay.from_labels",
        "a frame's own names in another order",
        lambda folder: LabelCoverageDisplay.from_labels(frame(Y), categories=TURNED),
        ValueError,
        "`categories` must not give columns the names of other ones; got 'dog' for "
        "column 'cat' of `y`. To reorder, pass y[categories] and categories=None.",
        needs="pandas",
    ),
    Case(
        "labels.check_partial_labels",
        "a frame's own names in another order",
        lambda folder: check_partial_labels(frame(Y), categories=TURNED),
        ValueError,
        "`categories` must not give columns the names of other ones; got 'dog' for "
        "column 'cat' of `y`. To reorder, pass y[categories] and categories=None.",
        needs="pandas",
    ),
    Case(
        "ensemble.select_members",
        "columns of one member in another order",
        lambda folder: select_members(frame(Y), [S, frame(S, TURNED)]),
        ValueError,
        "`scores[1]` must have the columns of `y_true` in the same order; got ['dog', "
        "'cat'] for ['cat', 'dog']. Reorder its columns: pass "
        "scores[1][y_true.columns].",
        needs="pandas",
    ),
    Case(
        "ensemble.combine_scores",
        "columns of the weights in another order",
        lambda folder: combine_scores(
            [frame(S), frame(S)], weights=frame(np.eye(2), TURNED)
        ),
        ValueError,
        "`weights` must have the columns of the scores in the same order; got ['dog', "
        "'cat'] for ['cat', 'dog']. Reorder its columns: pass weights[categories].",
        needs="pandas",
    ),
    Case(
        "CFTClassifier.fit",
        "a threshold without one of the categories",
        lambda folder: CFTClassifier(threshold=series([0.5], ["cat"])).fit(Z, frame(Y)),
        ValueError,
        "`threshold` must name every category once; missing: 'dog'. Correct its index;"
        " or pass threshold.to_numpy(), with its values in this order: 'cat', 'dog'.",
        needs="pandas",
    ),
    Case(
        "CFTClassifier.fit",
        "a threshold that names a category twice",
        lambda folder: CFTClassifier(threshold=series([0.5, 0.5], ["cat", "cat"])).fit(
            Z, frame(Y)
        ),
        ValueError,
        "`threshold` must name every category once; missing: 'dog'; repeated: 'cat'. "
        "Correct its index; or pass threshold.to_numpy(), with its values in this "
        "order: 'cat', 'dog'.",
        needs="pandas",
    ),
    Case(
        "CFTClassifier.fit",
        "a threshold with names where y has none",
        lambda folder: CFTClassifier(threshold=series([0.5, 0.5], NAMES)).fit(Z, Y),
        ValueError,
        "`threshold` must name every category once; missing: '0', '1'; unexpected: "
        "'cat', 'dog'. Correct its index; or pass threshold.to_numpy(), with its "
        "values in this order: '0', '1'.",
        needs="pandas",
    ),
    Case(
        "CFTClassifier.fit",
        "durations as thresholds",
        lambda folder: CFTClassifier(threshold=np.ones(2, dtype="m8[s]")).fit(Z, Y),
        TypeError,
        "`threshold` must hold real numbers; got durations (dtype timedelta64[s]). "
        "Pass numbers, such as days: durations / numpy.timedelta64(1, 'D').",
    ),
    Case(
        "CFTClassifier.fit",
        "text as thresholds",
        lambda folder: CFTClassifier(threshold=["0.5", "0.5"]).fit(Z, Y),
        TypeError,
        "`threshold` must hold real numbers; got text (dtype <U3). Turn text that "
        "stands for numbers into numbers with astype(float).",
    ),
    Case(
        "CFTClassifier.fit",
        "a masked threshold",
        lambda folder: CFTClassifier(threshold=MASKED[7]).fit(Z, Y),
        TypeError,
        "`threshold` must be a plain array; got a masked array, whose mask would be "
        "dropped (2 of 2 cells are masked). Pass numpy.ma.filled(threshold, value), "
        "with the value that masked cells are to have.",
    ),
    Case(
        "calibration.CategoryCalibrator.fit",
        "a prevalence for an unknown category",
        lambda folder: CategoryCalibrator(
            prevalence=series([0.5, 0.5], ["cat", "cow"])
        ).fit(S, frame(Y)),
        ValueError,
        "`prevalence` must name every category once; missing: 'dog'; unexpected: "
        "'cow'. Correct its index; or pass prevalence.to_numpy(), with its values in "
        "this order: 'cat', 'dog'.",
        needs="pandas",
    ),
    Case(
        "calibration.CategoryCalibrator.fit",
        "a masked prevalence",
        lambda folder: CategoryCalibrator(prevalence=MASKED[7]).fit(S, Y),
        TypeError,
        "`prevalence` must be a plain array; got a masked array, whose mask would be "
        "dropped (2 of 2 cells are masked). Pass numpy.ma.filled(prevalence, value), "
        "with the value that masked cells are to have.",
    ),
    Case(
        "CategoryWiseFineTuner.fit",
        "initial weights of an unknown category",
        lambda folder: CategoryWiseFineTuner(
            coef_init=frame(np.ones((2, 4)), None, ["cat", "cow"]),
            intercept_init=[0, 0],
        ).fit(Z, frame(Y)),
        ValueError,
        "`coef_init` must name every category once; missing: 'dog'; unexpected: 'cow'."
        " Correct its index; or pass coef_init.to_numpy(), with its values in this "
        "order: 'cat', 'dog'.",
        needs="pandas",
    ),
    Case(
        "CFTEnsemble.fit",
        "weights of an unknown member",
        lambda folder: CFTEnsemble(
            [("one", model())], prefit=True, weights=series([1.0], ["two"])
        ).fit(Z, frame(Y)),
        ValueError,
        "`weights` must name every member once; missing: 'one'; unexpected: 'two'. "
        "Correct its index; or pass weights.to_numpy(), with its values in this order:"
        " 'one'.",
        needs="pandas",
    ),
    Case(
        "displays.CategoryScoreDisplay",
        "scores of an unknown category",
        lambda folder: CategoryScoreDisplay(
            NAMES, series([0.5, 0.5], ["cat", "cow"]), [1, 1], "AP"
        ),
        ValueError,
        "`before` must name every category once; missing: 'dog'; unexpected: 'cow'. "
        "Correct its index; or pass before.to_numpy(), with its values in this order: "
        "'cat', 'dog'.",
        needs="pandas",
    ),
    Case(
        "CFTClassifier.fit",
        "a masked X",
        lambda folder: CFTClassifier().fit(MASKED, Y),
        TypeError,
        "`X` must be a plain array; got a masked array, whose mask would be dropped (6"
        " of 16 cells are masked). Pass numpy.ma.filled(X, value), with the value that"
        " masked cells are to have.",
    ),
    Case(
        "CFTClassifier.fit",
        "a list of masked rows as X",
        lambda folder: CFTClassifier().fit(list(MASKED), Y),
        TypeError,
        "`X` must be a plain array; got a masked array at index 0, whose mask would be"
        " dropped (0 of 2 cells are masked). Pass [numpy.ma.filled(one, value) for one"
        " in X], with the value that masked cells are to have.",
    ),
    Case(
        "CFTClassifier.fit",
        "dates as X",
        lambda folder: CFTClassifier().fit(dates(np.arange(16).reshape(8, 2)), Y),
        TypeError,
        "`X` must hold real numbers; got dates (dtype datetime64[D]). Pass numbers, "
        "such as the days since a date: (dates - start) / numpy.timedelta64(1, 'D').",
    ),
    Case(
        "CFTClassifier.fit",
        "a column of dates in X",
        lambda folder: CFTClassifier().fit(
            frame(Z, None).assign(day=dates(np.arange(8))), Y
        ),
        TypeError,
        "`X` must hold real numbers; got dates (dtype datetime64[s] in column 'day'). "
        "Pass numbers, such as the days since a date: (dates - start) / "
        "numpy.timedelta64(1, 'D').",
        needs="pandas",
    ),
    Case(
        "CFTClassifier.fit",
        "numbers as text in X",
        lambda folder: CFTClassifier().fit(S.astype(str), Y),
        TypeError,
        "`X` must hold real numbers; got text (dtype <U32). Turn text that stands for "
        "numbers into numbers with astype(float).",
    ),
    Case(
        "CFTClassifier.fit",
        "a column of text in X",
        lambda folder: CFTClassifier().fit(frame(Z, None).assign(age="64"), Y),
        TypeError,
        "`X` must hold real numbers; got '64' of type str in row 0 in column 'age'. "
        "Each cell of this argument must be no string or other object, but a number. "
        "Convert it, or leave its column out.",
        needs="pandas",
    ),
    Case(
        "CFTClassifier.fit",
        "bytes in X",
        lambda folder: CFTClassifier().fit(S.astype("S"), Y),
        TypeError,
        "`X` must hold real numbers; got bytes (dtype |S32). Turn bytes that stand for"
        " numbers into numbers with astype(float).",
    ),
    Case(
        "CFTClassifier.fit",
        "complex numbers in X",
        lambda folder: CFTClassifier().fit(S + 1j, Y),
        ValueError,
        "Complex data not supported: `X` must hold real numbers; got complex numbers "
        "(dtype complex128). Pass real and imaginary parts as columns of their own.",
    ),
    Case(
        "CFTClassifier.fit",
        "records as X",
        lambda folder: CFTClassifier().fit(np.zeros((8, 2), dtype=[("a", float)]), Y),
        TypeError,
        "`X` must hold real numbers; got records (dtype [('a', '<f8')]). Turn records "
        "into a table with numpy.lib.recfunctions.structured_to_unstructured.",
    ),
    Case(
        "CFTClassifier.fit",
        "rows of different lengths in X",
        lambda folder: CFTClassifier().fit([[1.0], [1.0, 2.0]], Y[:2]),
        ValueError,
        "`X` must be a rectangular table; got parts of different shapes. Give all rows"
        " the same length.",
    ),
    Case(
        "CFTClassifier.predict",
        "a masked X",
        lambda folder: model().predict(np.ma.array(Z, mask=Z > 0)),
        TypeError,
        "`X` must be a plain array; got a masked array, whose mask would be dropped "
        "(15 of 32 cells are masked). Pass numpy.ma.filled(X, value), with the value "
        "that masked cells are to have.",
        needs="pandas",
    ),
    Case(
        "CFTClassifier.score",
        "a masked 1-D y",
        lambda folder: (
            CFTClassifier(random_state=0)
            .fit(Z, Y[:, 0])
            .score(Z, np.ma.array(Y[:, 0], mask=Y[:, 1]))
        ),
        TypeError,
        "`y` must be a plain array; got a masked array, whose mask would be dropped (4"
        " of 8 cells are masked). Pass y.astype(float).filled(np.nan): masked cells "
        "become unknown.",
    ),
    Case(
        "CategoryWiseFineTuner.fit",
        "masked features of every category",
        lambda folder: CategoryWiseFineTuner().fit(
            np.ma.array(np.ones((8, 2, 3)), mask=True), Y
        ),
        TypeError,
        "`Z` must be a plain array; got a masked array, whose mask would be dropped "
        "(48 of 48 cells are masked). Pass numpy.ma.filled(Z, value), with the value "
        "that masked cells are to have.",
    ),
    Case(
        "CFTEnsemble.fit",
        "a masked X",
        lambda folder: CFTEnsemble().fit(MASKED, Y),
        TypeError,
        "`X` must be a plain array; got a masked array, whose mask would be dropped (6"
        " of 16 cells are masked). Pass numpy.ma.filled(X, value), with the value that"
        " masked cells are to have.",
    ),
    Case(
        "metrics.partial_roc_auc_score",
        "masked scores",
        lambda folder: partial_roc_auc_score(Y, MASKED),
        TypeError,
        "`y_score` must be a plain array; got a masked array, whose mask would be "
        "dropped (6 of 16 cells are masked). Pass numpy.ma.filled(y_score, value), "
        "with the value that masked cells are to have.",
    ),
    Case(
        "metrics.partial_roc_auc_score",
        "durations as scores",
        lambda folder: partial_roc_auc_score(Y, (S * 100).astype("m8[s]")),
        TypeError,
        "`y_score` must hold real numbers; got durations (dtype timedelta64[s]). Pass "
        "numbers, such as days: durations / numpy.timedelta64(1, 'D').",
    ),
    Case(
        "metrics.partial_roc_auc_score",
        "a dictionary as scores",
        lambda folder: partial_roc_auc_score(Y, {"cat": S[:, 0]}),
        TypeError,
        "`y_score` must hold rows in a fixed order; got a dict, whose items have "
        "names. Pass one item of it, or pandas.DataFrame(y_score) if it holds columns.",
    ),
    Case(
        "metrics.partial_f1_score",
        "masked decisions",
        lambda folder: partial_f1_score(Y, np.ma.array(Y, mask=S > 0.6)),
        TypeError,
        "`y_pred` must be a plain array; got a masked array, whose mask would be "
        "dropped (6 of 16 cells are masked). Pass numpy.ma.filled(y_pred, value), with"
        " the value that masked cells are to have.",
    ),
    Case(
        "metrics.partial_log_loss",
        "masked probabilities",
        lambda folder: partial_log_loss(Y, MASKED),
        TypeError,
        "`y_proba` must be a plain array; got a masked array, whose mask would be "
        "dropped (6 of 16 cells are masked). Pass numpy.ma.filled(y_proba, value), "
        "with the value that masked cells are to have.",
    ),
    Case(
        "metrics.bootstrap_intervals",
        "masked groups",
        lambda folder: bootstrap_intervals(
            Y, S, groups=np.ma.array(GROUPS, mask=GROUPS > 2)
        ),
        TypeError,
        "`groups` must be a plain array; got a masked array, whose mask would be "
        "dropped (2 of 8 cells are masked). Give each masked row a group of its own.",
    ),
    Case(
        "calibration.CategoryCalibrator.transform",
        "masked scores",
        lambda folder: CategoryCalibrator().fit(S, Y).transform(MASKED),
        TypeError,
        "`X` must be a plain array; got a masked array, whose mask would be dropped (6"
        " of 16 cells are masked). Pass numpy.ma.filled(X, value), with the value that"
        " masked cells are to have.",
    ),
    Case(
        "calibration.tune_thresholds",
        "masked probabilities",
        lambda folder: tune_thresholds(Y, MASKED),
        TypeError,
        "`y_proba` must be a plain array; got a masked array, whose mask would be "
        "dropped (6 of 16 cells are masked). Pass numpy.ma.filled(y_proba, value), "
        "with the value that masked cells are to have.",
    ),
    Case(
        "ensemble.combine_scores",
        "masked scores of a member",
        lambda folder: combine_scores([S, MASKED]),
        TypeError,
        "`scores` must be a plain array; got a masked array at index 1, whose mask "
        "would be dropped (6 of 16 cells are masked). Pass [numpy.ma.filled(one, "
        "value) for one in scores], with the value that masked cells are to have.",
    ),
    Case(
        "model_selection.cross_val_predict",
        "a masked X",
        lambda folder: cross_val_predict(CFTClassifier(), MASKED, Y),
        TypeError,
        "`X` must be a plain array; got a masked array, whose mask would be dropped (6"
        " of 16 cells are masked). Pass numpy.ma.filled(X, value), with the value that"
        " masked cells are to have.",
    ),
    Case(
        "labels.check_partial_labels",
        "a list of masked rows",
        lambda folder: check_partial_labels(list(MASKED)),
        TypeError,
        "`y` must be a plain array; got a masked array at index 0, whose mask would be"
        " dropped (0 of 2 cells are masked). Fill each with "
        "numpy.ma.filled(row.astype(float), numpy.nan).",
    ),
    Case(
        "labels.check_partial_labels",
        "records",
        lambda folder: check_partial_labels(np.zeros(4, dtype=[("cat", int)])),
        TypeError,
        "`y` must hold real numbers; got records (dtype [('cat', '<i8')]). Turn "
        "records into a table with numpy.lib.recfunctions.structured_to_unstructured.",
    ),
    Case(
        "labels.check_partial_labels",
        "missing dates",
        lambda folder: check_partial_labels(np.full((2, 2), "NaT", dtype="M8[D]")),
        TypeError,
        "`y` must hold 0, 1 or NaN; got missing dates, NaT. Recode the labels first; "
        "np.nan marks the unknown ones. Drop columns that are not labels.",
    ),
    Case(
        "labels.check_partial_labels",
        "-1 in integers of pyarrow",
        lambda folder: check_partial_labels(arrow_table(uncertain())),
        ValueError,
        "`y` must hold 0 (negative), 1 (positive) or NaN (unknown); got -1.0 in "
        "category 'dog' (column 1, 1 cell, first in row 2). CheXpert's tables write "
        "-1.0 for uncertain, other sets write -1 for unknown: choose with "
        "cftlearn.labels.resolve_labels(y, uncertain=...), or, if no cell is missing, "
        "pass an integer array, np.asarray(y, dtype=int), in which -1 is unknown.",
        needs="pyarrow",
    ),
    Case(
        "labels.check_partial_labels",
        "-1 in integers of pandas",
        lambda folder: check_partial_labels(frame(uncertain())),
        ValueError,
        "`y` must hold 0 (negative), 1 (positive) or NaN (unknown); got -1.0 in "
        "category 'dog' (column 1, 1 cell, first in row 2). CheXpert's tables write "
        "-1.0 for uncertain, other sets write -1 for unknown: choose with "
        "cftlearn.labels.resolve_labels(y, uncertain=...), or, if no cell is missing, "
        "pass an integer array, np.asarray(y, dtype=int), in which -1 is unknown.",
        needs="pandas",
    ),
    Case(
        "metrics.partial_average_precision_score",
        "labels changed after their check",
        lambda folder: partial_average_precision_score(labels_changed(), S),
        ValueError,
        "`y_true` must be PartialLabels as they were checked; got the value nan with "
        "known=True in category '1', row 0 (1 such cell). One of the two was changed: "
        "pass check_partial_labels(values).",
    ),
    Case(
        "CFTClassifier.fit",
        "labels changed after their check",
        lambda folder: CFTClassifier().fit(Z, labels_changed()),
        ValueError,
        "`y` must be PartialLabels as they were checked; got the value nan with "
        "known=True in category '1', row 0 (1 such cell). One of the two was changed: "
        "pass check_partial_labels(values).",
    ),
    Case(
        "labels.known_mask",
        "labels changed after their check",
        lambda folder: known_mask(labels_changed()),
        ValueError,
        "`y` must be PartialLabels as they were checked; got the value nan with "
        "known=True in category '1', row 0 (1 such cell). One of the two was changed: "
        "pass check_partial_labels(values).",
    ),
    Case(
        "labels.label_summary",
        "labels changed after their check",
        lambda folder: label_summary(labels_changed()),
        ValueError,
        "`y` must be PartialLabels as they were checked; got the value nan with "
        "known=True in category '1', row 0 (1 such cell). One of the two was changed: "
        "pass check_partial_labels(values).",
    ),
    Case(
        "labels.hide_labels",
        "labels changed after their check",
        lambda folder: hide_labels(labels_changed(), known=0.5),
        ValueError,
        "`y` must be PartialLabels as they were checked; got the value nan with "
        "known=True in category '1', row 0 (1 such cell). One of the two was changed: "
        "pass check_partial_labels(values).",
    ),
    Case(
        "labels.resolve_labels",
        "labels changed after their check",
        lambda folder: resolve_labels(labels_changed()),
        ValueError,
        "`table` must be PartialLabels as they were checked; got the value nan with "
        "known=True in category '1', row 0 (1 such cell). One of the two was changed: "
        "pass check_partial_labels(values).",
    ),
    Case(
        "metrics.partial_roc_auc_score",
        "labels put together of parts that differ",
        lambda folder: partial_roc_auc_score(
            PartialLabels(Y, Y[:3] == 1, np.array(NAMES)), S
        ),
        ValueError,
        "`y_true` must be PartialLabels whose parts belong together; got shapes (8, "
        "2), (3, 2), (2,) and dtypes float64, bool of values and known. Pass "
        "check_partial_labels(values, categories=names).",
    ),
]
