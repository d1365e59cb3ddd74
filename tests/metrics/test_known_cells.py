from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from cftlearn.exceptions import UndefinedCategoryWarning
from cftlearn.metrics import (
    partial_average_precision_score,
    partial_f1_score,
    partial_log_loss,
    partial_roc_auc_score,
    partial_score,
)

NAN = float("nan")
SAME = {  # as the library's own metric, of this kind
    "roc_auc": (metrics.roc_auc_score, partial_roc_auc_score, "score"),
    "average_precision": (
        metrics.average_precision_score,
        partial_average_precision_score,
        "score",
    ),
    "log_loss": (metrics.log_loss, partial_log_loss, "probability"),
    "f1": (metrics.f1_score, partial_f1_score, "decision"),
}


@pytest.fixture
def problem(rng):
    truth = rng.integers(0, 2, (60, 4)).astype(float)
    y = np.where(rng.random(truth.shape) < 0.4, NAN, truth)
    return y, rng.random(truth.shape)


@pytest.mark.parametrize("average", ["macro", "micro", "weighted", None])
@pytest.mark.parametrize(("metric", "own", "kind"), SAME.values(), ids=SAME)
def test_it_is_the_librarys_own_metric(problem, metric, own, kind, average):
    y, other = problem
    if kind == "decision":
        other = (other > 0.5).astype(int)
    expected = own(y, other, average=average)
    got = partial_score(y, other, metric, kind=kind, average=average)
    np.testing.assert_allclose(got, expected)


def test_every_category_is_scored_on_its_known_rows(problem):
    y, scores = problem
    decisions = (scores > 0.5).astype(int)
    got = partial_score(
        y, decisions, metrics.precision_score, kind="decision", average=None
    )
    for j, value in enumerate(got):
        known = ~np.isnan(y[:, j])
        assert value == metrics.precision_score(y[known, j], decisions[known, j])


def test_options_are_bound():
    y, decisions = [[1.0, 0.0], [0.0, NAN], [1.0, 1.0]], [[1, 0], [1, 1], [1, 1]]
    specificity = partial(metrics.recall_score, pos_label=0)
    got = partial_score(y, decisions, specificity, kind="decision", average=None)
    np.testing.assert_array_equal(got, [0.0, 1.0])


@pytest.mark.parametrize("average", ["macro", "weighted", None])
def test_what_lacks_a_class_is_nan_unless_told_otherwise(average):
    y = np.array([[1.0, 0.0, NAN], [0.0, 0.0, NAN], [1.0, NAN, NAN]])
    decisions = np.array([[1, 0, 0], [1, 1, 1], [1, 0, 0]])
    accuracy = partial(
        partial_score, y, decisions, metrics.accuracy_score, kind="decision"
    )
    with pytest.warns(UndefinedCategoryWarning, match="2 of 3 .*: '1', '2'") as caught:
        strict = accuracy(average=average)
    assert caught[0].filename == __file__
    with pytest.warns(UndefinedCategoryWarning, match="1 of 3 .*known label: '2'"):
        lax = accuracy(average=average, needs_both_classes=False)
    if average is None:
        np.testing.assert_array_equal(strict, [2 / 3, NAN, NAN])
        np.testing.assert_array_equal(lax, [2 / 3, 0.5, NAN])
    else:
        assert strict == pytest.approx(2 / 3)
        assert lax == pytest.approx((2 / 3 + 0.5) / 2 if average == "macro" else 2 / 3)


def test_nothing_known_of_a_class_in_all_of_them():
    y, scores = [[1.0, NAN], [1.0, 1.0]], [[0.1, 0.2], [0.3, 0.4]]
    for average in ("micro", "macro"):
        with pytest.warns(UndefinedCategoryWarning, match="2 of 2"):
            assert np.isnan(
                partial_score(y, scores, metrics.roc_auc_score, average=average)
            )


def test_names_must_agree(problem):
    y, scores = problem
    names = list("abcd")
    frames = [pd.DataFrame(y, columns=names), pd.DataFrame(scores, columns=names[::-1])]
    with pytest.raises(ValueError, match="in the same order"):
        partial_score(*frames, metrics.roc_auc_score)


def test_a_target_of_two_classes_is_scored():
    got = partial_score(["no", "yes", "yes"], [0.1, 0.2, 0.3], metrics.roc_auc_score)
    assert got == 1.0
