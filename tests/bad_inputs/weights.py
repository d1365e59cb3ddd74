"""Bad weights of labels: every fit, score and metric that takes them answers alike."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cftlearn import CategoryWiseFineTuner, CFTClassifier, CFTEnsemble
from cftlearn.base import CategorySolver, RowFit
from cftlearn.calibration import CategoryCalibrator, tune_thresholds
from cftlearn.datasets import make_partial_multilabel
from cftlearn.ensemble import select_members
from cftlearn.metrics import bootstrap_intervals, compare_scores, partial_f1_score

from .case import Case

X, Y, _ = make_partial_multilabel(
    40, n_features=4, n_categories=2, known=0.8, random_state=0
)
KNOWN_ROW = int(np.flatnonzero(~np.isnan(Y).any(axis=1))[0])
N_KNOWN = int((~np.isnan(Y)).sum())
PROBA = np.full(Y.shape, 0.5)


def rows(value: Any) -> Any:
    """Return weights of rows, of which one is another."""
    weight = np.ones(40)
    weight[KNOWN_ROW] = value
    return weight


def cells(value: Any) -> Any:
    """Return weights of cells, of which one is another."""
    weight = np.ones(Y.shape)
    weight[KNOWN_ROW, 1] = value
    return weight


def frame(values: Any, columns: Any = ("cat", "dog")) -> Any:
    import pandas

    return pandas.DataFrame(values, columns=list(columns))


class Unweighted(CategorySolver):
    """A solver of one's own, from before there were weights."""

    name = "own"

    def fit_row(self, problem: Any) -> RowFit:
        """Return the initial weights."""
        return RowFit(problem.coef, problem.intercept, 0, 0, "n_iter")


def tuner(**parameters: Any) -> CategoryWiseFineTuner:
    return CategoryWiseFineTuner(random_state=0, **parameters)


def classifier(**parameters: Any) -> CFTClassifier:
    return CFTClassifier(random_state=0, **parameters)


def network(**parameters: Any) -> CFTClassifier:
    from torch import nn

    return CFTClassifier(
        nn.Linear(4, 2), max_epochs=1, device="cpu", random_state=0, **parameters
    )


def unweighted(logits: Any, targets: Any) -> Any:
    """Return a loss of all labels alike."""
    return ((logits - targets.nan_to_num()) ** 2).mean()


def ensemble(**parameters: Any) -> CFTEnsemble:
    return CFTEnsemble([("one", classifier())], random_state=0, **parameters)


def fit(
    make: Callable[[], Any], weights: Callable[[], Any], **others: Any
) -> Callable[[Path], object]:
    return lambda folder: make().fit(X, Y, sample_weight=weights(), **others)


TUNER, CLASSIFIER, ENSEMBLE = (
    "CategoryWiseFineTuner.fit",
    "CFTClassifier.fit",
    "CFTEnsemble.fit",
)
SHAPE = (
    "`sample_weight` must have one weight per row of `y`, shape (40,), or one per "
    "label, shape (40, 2); got shape {}. Pass one weight per row, or one per row and "
    "category."
)
ROW = (
    "`sample_weight` must be finite numbers of 0 or more where a label is known; got "
    f"{{}} in row {KNOWN_ROW} (1 such weight). Pass 0 for a label that must not count."
)
CELL = ROW.replace(f"row {KNOWN_ROW}", f"row {KNOWN_ROW}, category '1'")
ZERO = (
    "`sample_weight` must be above zero for some known label; got a weight of zero for "
    f"all {N_KNOWN} of them. Pass sample_weight=None to weigh all labels equally."
)
ALONE = (
    "`sample_weight_val` must be given with `X_val` and `y_val`, whose labels it "
    "weighs; got it without them. Pass sample_weight for the labels of `y`."
)
SOLVER = (
    "`solver` must accept the weights of labels where `sample_weight` is given; "
    "Unweighted ('own') does not. Let it read problem.train.weight and set "
    "accepts_sample_weight = True, or pass sample_weight=None."
)
OBJECTIVE = (
    "`objective` must take the weights of labels where `sample_weight` is given, as "
    "metric(y_true, y_score, *, sample_weight=None); got 'plain', which does not. Add "
    "the argument, or pass sample_weight=None."
)


def plain(y_true: Any, y_score: Any) -> float:
    """Score without weights."""
    return float(np.mean((y_score > 0) == y_true))


CASES = [
    *(
        case
        for entry, make in (
            (TUNER, tuner),
            (CLASSIFIER, classifier),
            (ENSEMBLE, ensemble),
        )
        for case in (
            Case(
                entry,
                "too few weights",
                fit(make, lambda: np.ones(39)),
                ValueError,
                SHAPE.format("(39,)"),
            ),
            Case(
                entry,
                "weights of other categories",
                fit(make, lambda: np.ones((40, 3))),
                ValueError,
                SHAPE.format("(40, 3)"),
            ),
            Case(
                entry,
                "a negative weight of a label",
                fit(make, lambda: rows(-1)),
                ValueError,
                ROW.format("-1.0"),
            ),
            Case(
                entry,
                "a weight of a cell that is NaN",
                fit(make, lambda: cells(np.nan)),
                ValueError,
                CELL.format("nan"),
            ),
            Case(
                entry,
                "an infinite weight",
                fit(make, lambda: cells(np.inf)),
                ValueError,
                CELL.format("inf"),
            ),
            Case(
                entry,
                "no weight above 0",
                fit(make, lambda: np.zeros(40)),
                ValueError,
                ZERO,
            ),
            Case(
                entry,
                "weights of validation rows that are not there",
                fit(make, lambda: None, sample_weight_val=np.ones(5)),
                ValueError,
                ALONE,
            ),
        )
    ),
    Case(
        TUNER,
        "weights that are text",
        fit(tuner, lambda: ["much"] * 40),
        TypeError,
        "`sample_weight` must hold real numbers; got text (dtype <U4). Turn text that "
        "stands for numbers into numbers with astype(float).",
    ),
    Case(
        CLASSIFIER,
        "masked weights",
        fit(classifier, lambda: np.ma.array(np.ones(40), mask=np.arange(40) == 3)),
        TypeError,
        "`sample_weight` must be a plain array; got a masked array, whose mask would "
        "be dropped (1 of 40 cells are masked). Pass numpy.ma.filled(sample_weight, "
        "value), with the value that masked cells are to have.",
    ),
    Case(
        CLASSIFIER,
        "one weight for all",
        fit(classifier, lambda: 2.0),
        ValueError,
        SHAPE.format("()"),
    ),
    Case(
        CLASSIFIER,
        "weights by columns in another order",
        lambda folder: classifier().fit(
            X, frame(Y), sample_weight=frame(np.full((40, 2), 2.0), ["dog", "cat"])
        ),
        ValueError,
        "`sample_weight` must have the categories of `y` in the same order; got "
        "['dog', 'cat'] for ['cat', 'dog']. Reorder its columns: pass "
        "sample_weight[y.columns].",
        needs="pandas",
    ),
    Case(
        TUNER,
        "weights by rows in another order",
        lambda folder: tuner().fit(
            X, frame(Y), sample_weight=frame(np.full((40, 2), 2.0))[::-1]
        ),
        ValueError,
        "`y` and `sample_weight` must have their rows in the same order; got the same "
        "row labels in another one: 0 and 39 in row 0. Pass "
        "sample_weight.loc[y.index]; or, if they belong together by place, pass "
        "sample_weight.set_axis(y.index).",
        needs="pandas",
    ),
    Case(
        TUNER,
        "a solver without weights",
        fit(lambda: tuner(solver=Unweighted()), lambda: rows(2)),
        ValueError,
        SOLVER,
    ),
    Case(
        CLASSIFIER,
        "a solver without weights",
        fit(lambda: classifier(fine_tuner=tuner(solver=Unweighted())), lambda: rows(2)),
        ValueError,
        SOLVER,
    ),
    Case(
        CLASSIFIER,
        "a loss without weights",
        lambda folder: network(loss=unweighted).fit(X, Y, sample_weight=rows(2)),
        ValueError,
        "`loss` must take the weights of labels where `sample_weight` is given, as "
        "loss(logits, targets, weight=None); got unweighted, which does not. Add the "
        "argument, pass a name of cftlearn.losses.available(), or pass "
        "sample_weight=None.",
    ),
    Case(
        CLASSIFIER,
        "a risk without weights",
        lambda folder: network(unknown="nnpu").fit(X, Y, sample_weight=rows(2)),
        ValueError,
        "`unknown` must leave known labels to `loss`, which weighs them, where "
        "`sample_weight` is given; got NonNegativePULoss, in whose means known labels "
        "count alike. Pass another treatment, or pass sample_weight=None.",
    ),
    Case(
        TUNER,
        "an objective without weights",
        fit(lambda: tuner(objective=plain), lambda: rows(2)),
        ValueError,
        OBJECTIVE,
    ),
    Case(
        ENSEMBLE,
        "an objective without weights",
        fit(lambda: ensemble(objective=plain), lambda: rows(2)),
        ValueError,
        OBJECTIVE,
    ),
    Case(
        ENSEMBLE,
        "a member without weights",
        lambda folder: CFTEnsemble([("near", KNeighborsClassifier())]).fit(
            X, (Y[:, 0] == 1).astype(int), sample_weight=rows(2)
        ),
        ValueError,
        "`estimators` must take the weights of labels where `sample_weight` is given; "
        "member 'near', KNeighborsClassifier, does not. Leave it out, or pass "
        "sample_weight=None.",
    ),
    Case(
        ENSEMBLE,
        "a pipeline that ends without weights",
        lambda folder: CFTEnsemble(
            [("near", make_pipeline(StandardScaler(), KNeighborsClassifier()))]
        ).fit(X, (Y[:, 0] == 1).astype(int), sample_weight=rows(2)),
        ValueError,
        "`estimators` must take the weights of labels where `sample_weight` is given; "
        "member 'near', KNeighborsClassifier, does not. Leave it out, or pass "
        "sample_weight=None.",
    ),
    Case(
        TUNER,
        "weights of validation rows that are negative",
        lambda folder: tuner().fit(
            X[:20], Y[:20], X_val=X[20:], y_val=Y[20:], sample_weight_val=-np.ones(20)
        ),
        ValueError,
        "`sample_weight_val` must be finite numbers of 0 or more where a label is "
        "known; got -1.0 in row 0 (19 such weights). Pass 0 for a label that must not "
        "count.",
    ),
    Case(
        "CFTClassifier.score",
        "too few weights",
        lambda folder: classifier().fit(X, Y).score(X, Y, np.ones(39)),
        ValueError,
        SHAPE.format("(39,)"),
    ),
    Case(
        "metrics.partial_f1_score",
        "a negative weight of a label",
        lambda folder: partial_f1_score(Y, np.round(PROBA), sample_weight=rows(-1)),
        ValueError,
        ROW.format("-1.0"),
    ),
    Case(
        "metrics.bootstrap_intervals",
        "no weight above 0",
        lambda folder: bootstrap_intervals(Y, PROBA, sample_weight=np.zeros(40)),
        ValueError,
        ZERO,
    ),
    Case(
        "metrics.compare_scores",
        "too few weights",
        lambda folder: compare_scores(Y, PROBA, PROBA, sample_weight=np.ones(3)),
        ValueError,
        SHAPE.format("(3,)").replace("`y`", "`y_true`"),
    ),
    Case(
        "calibration.CategoryCalibrator.fit",
        "a weight that is NaN",
        lambda folder: CategoryCalibrator().fit(X[:, :2], Y, cells(np.nan)),
        ValueError,
        CELL.format("nan"),
    ),
    Case(
        "calibration.tune_thresholds",
        "a metric without weights",
        lambda folder: tune_thresholds(Y, PROBA, metric=plain, sample_weight=rows(2)),
        ValueError,
        "`metric` must take the weights of labels where `sample_weight` is given, as "
        "metric(y_true, y_pred, *, sample_weight=None); got 'plain', which does not. "
        "Add the argument, or pass sample_weight=None.",
    ),
    Case(
        "ensemble.select_members",
        "an objective without weights",
        lambda folder: select_members(
            Y, [PROBA], objective=plain, sample_weight=rows(2)
        ),
        ValueError,
        OBJECTIVE,
    ),
]
