"""Bad groups of rows: every fit, split and test that takes them answers alike."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cftlearn import CategoryWiseFineTuner, CFTClassifier, CFTEnsemble
from cftlearn.datasets import make_partial_multilabel
from cftlearn.ensemble import merge_views
from cftlearn.metrics import bootstrap_intervals
from cftlearn.model_selection import (
    PartialLabelKFold,
    cross_val_predict,
    partial_train_test_split,
)

from .case import Case

X, Y, _ = make_partial_multilabel(
    40, n_features=4, n_categories=2, known=0.8, random_state=0
)
G = np.arange(40) // 2
LABELS = np.column_stack([G % 2, G % 2]).astype(float)  # all positives in one group


def with_item(item: object) -> Any:
    """Return groups of which the fifth row has another one."""
    groups = np.empty(40, dtype=object)
    groups[:] = [f"p{number}" for number in G]
    groups[5] = item
    return groups


def masked() -> Any:
    return np.ma.array(G, mask=np.arange(40) == 3)


def series(values: Any, index: Any = None) -> Any:
    import pandas

    return pandas.Series(values, index=index)


def table(index: Any) -> Any:
    import pandas

    return pandas.DataFrame(Y, index=index, columns=["cat", "dog"])


def fit(make: Callable[[], Any], groups: Callable[[], Any]) -> Callable[[Path], object]:
    return lambda folder: make().fit(X, Y, groups=groups())


def tuner() -> CategoryWiseFineTuner:
    return CategoryWiseFineTuner(random_state=0)


def crossed() -> CategoryWiseFineTuner:
    return CategoryWiseFineTuner(cross_fit=2, random_state=0)


def classifier() -> CFTClassifier:
    return CFTClassifier(random_state=0)


def ensemble() -> CFTEnsemble:
    return CFTEnsemble([("one", classifier())], weights="best", random_state=0)


TUNER, CLASSIFIER, ENSEMBLE = (
    "CategoryWiseFineTuner.fit",
    "CFTClassifier.fit",
    "CFTEnsemble.fit",
)
SHORT = (
    "`groups` and `y` must have one row per sample; found input variables with "
    "inconsistent numbers of samples: [39, 40]. Pass one group per row of `y`."
)
NAMELESS = (
    "`groups` must name the group of every row; got {} in row 5 (1 such rows). Give "
    "each of these rows a group of its own."
)
ONE = (
    "`groups` must name at least two groups, of which some are held out; got one group "
    "for 40 rows. Pass groups=None to hold out labels of single rows, or X_val=..., "
    "y_val=... of other groups."
)
OTHER_ORDER = (
    "`{}` and `groups` must have their rows in the same order; got the same row labels "
    "in another one: 0 and 39 in row 0. Pass groups.loc[{}.index]; or, if they belong "
    "together by place, pass groups.set_axis({}.index)."
)

CASES = [
    Case(TUNER, "too few groups", fit(tuner, lambda: G[1:]), ValueError, SHORT),
    Case(
        CLASSIFIER, "too few groups", fit(classifier, lambda: G[1:]), ValueError, SHORT
    ),
    Case(ENSEMBLE, "too few groups", fit(ensemble, lambda: G[1:]), ValueError, SHORT),
    Case(
        "model_selection.partial_train_test_split",
        "too few groups",
        lambda folder: partial_train_test_split(X, Y, groups=G[1:]),
        ValueError,
        SHORT,
    ),
    Case(
        "model_selection.PartialLabelKFold.split",
        "too few groups",
        lambda folder: list(PartialLabelKFold(2).split(X, Y, G[1:])),
        ValueError,
        SHORT,
    ),
    Case(
        TUNER,
        "a row without a group",
        fit(tuner, lambda: with_item(None)),
        ValueError,
        NAMELESS.format("None"),
    ),
    Case(
        CLASSIFIER,
        "a group that is NaN",
        fit(classifier, lambda: np.where(np.arange(40) == 5, np.nan, G)),
        ValueError,
        NAMELESS.format("nan"),
    ),
    Case(
        ENSEMBLE,
        "a group that is NaN",
        fit(ensemble, lambda: with_item(float("nan"))),
        ValueError,
        NAMELESS.format("nan"),
    ),
    Case(
        CLASSIFIER,
        "a group that is NA",
        fit(classifier, lambda: series(with_item(None), None).astype("string")),
        ValueError,
        NAMELESS.format("<NA>"),
        needs="pandas",
    ),
    Case(
        CLASSIFIER,
        "a group that is a dict",
        fit(classifier, lambda: with_item({"patient": 1})),
        TypeError,
        "`groups` must hold names that can be compared, such as texts or numbers; got "
        "dict in row 5. Pass one text or number per row.",
    ),
    Case(
        TUNER,
        "two columns of groups",
        fit(tuner, lambda: np.column_stack([G, G])),
        ValueError,
        "`groups` must be 1-D, one group per row; got shape (40, 2). Pass one column.",
    ),
    Case(
        CLASSIFIER,
        "the name of a column in place of groups",
        fit(classifier, lambda: "patient"),
        ValueError,
        "`groups` must be 1-D, one group per row; got shape (). Pass one column.",
    ),
    Case(
        CLASSIFIER,
        "groups that are read once",
        fit(classifier, lambda: iter(G.tolist())),
        TypeError,
        "`groups` must hold rows in a fixed order; got a list_iterator, which gives "
        "its items once. Pass list(groups).",
    ),
    Case(
        CLASSIFIER,
        "groups by the number of the row",
        fit(classifier, lambda: dict(enumerate(G.tolist()))),
        TypeError,
        "`groups` must hold rows in a fixed order; got a dict, whose items have names. "
        "Pass one item of it, or pandas.DataFrame(groups) if it holds columns.",
    ),
    Case(
        TUNER,
        "masked groups",
        fit(tuner, masked),
        TypeError,
        "`groups` must be a plain array; got a masked array, whose mask would be "
        "dropped (1 of 40 cells are masked). Give each masked row a group of its own.",
    ),
    Case(TUNER, "one group", fit(tuner, lambda: [7] * 40), ValueError, ONE),
    Case(CLASSIFIER, "one group", fit(classifier, lambda: ["a"] * 40), ValueError, ONE),
    Case(TUNER, "one group to cross-fit", fit(crossed, lambda: G * 0), ValueError, ONE),
    Case(
        ENSEMBLE,
        "one group",
        fit(ensemble, lambda: G * 0),
        ValueError,
        "`groups` must name at least two groups; got one group for 40 rows. Pass "
        "groups=None to split the rows of it.",
    ),
    Case(
        TUNER,
        "more folds than groups",
        lambda folder: crossed().fit(X, LABELS, groups=(LABELS[:, 0] == 1) * 1),
        ValueError,
        "`cross_fit` must be at most 1, the largest number of groups with known labels "
        "of a class in one category, so that every fold has labels; got 2. Pass "
        "cross_fit=None.",
    ),
    Case(
        TUNER,
        "groups in another order than labels",
        lambda folder: tuner().fit(
            X, table(np.arange(40)), groups=series(G, np.arange(40))[::-1]
        ),
        ValueError,
        OTHER_ORDER.format("y", "y", "y"),
        needs="pandas",
    ),
    Case(
        CLASSIFIER,
        "groups in another order than labels",
        lambda folder: classifier().fit(
            X, table(np.arange(40)), groups=series(G, np.arange(40))[::-1]
        ),
        ValueError,
        OTHER_ORDER.format("y", "y", "y"),
        needs="pandas",
    ),
    Case(
        TUNER,
        "a group with labels to fit and to choose by",
        lambda folder: tuner().fit(
            X,
            np.where(np.arange(40)[:, None] % 2, np.nan, Y),
            X_val=X,
            y_val=np.where(np.arange(40)[:, None] % 2, Y, np.nan),
            groups=G,
        ),
        ValueError,
        "`y_val` must hold labels of other groups than `y` in each category; got 28 "
        "labels of `y` with others of their group in `y_val`, the first in category "
        "'0', row 0, whose group is also in row 1 of `y_val`. Set them to NaN in one "
        "of the two.",
    ),
    Case(
        "model_selection.cross_val_predict",
        "too few groups",
        lambda folder: cross_val_predict(classifier(), X, Y, groups=G[1:], cv=2),
        ValueError,
        SHORT,
    ),
    Case(
        "metrics.bootstrap_intervals",
        "a group that is a dict",
        lambda folder: bootstrap_intervals(
            Y, X[:, :2], groups=with_item({}), n_resamples=2
        ),
        TypeError,
        "`groups` must hold names that can be compared, such as texts or numbers; got "
        "dict in row 5. Pass one text or number per row.",
    ),
    Case(
        "ensemble.merge_views",
        "a group that is a dict",
        lambda folder: merge_views(X, with_item({})),
        TypeError,
        "`groups` must hold names that can be compared, such as texts or numbers; got "
        "dict in row 5. Pass one text or number per row.",
    ),
]
