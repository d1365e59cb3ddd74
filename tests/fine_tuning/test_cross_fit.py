"""Cross-fitting: every known label judges, by rows that did not see it."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import roc_auc_score

from cftlearn import CategoryWiseFineTuner, CFTClassifier
from cftlearn.datasets import make_partial_multilabel
from cftlearn.exceptions import UndefinedCategoryWarning
from cftlearn.fine_tuning._cross_fit import cross_fit
from cftlearn.fine_tuning._initial_coef import fit_initial_weights
from cftlearn.labels import check_partial_labels
from cftlearn.labels._label_split import LabelSplit, deal_labels
from cftlearn.metrics import partial_roc_auc_score

SEEDS = np.arange(4)


@pytest.fixture(scope="module")
def problem():
    return make_partial_multilabel(300, n_categories=4, known=0.3, random_state=1)


def test_folds_share_known_labels_of_either_class_evenly(problem):
    labels = check_partial_labels(problem[1])
    folds = deal_labels(labels, 4, SEEDS)
    assert_array_equal(folds >= 0, labels.known)
    for j in range(4):
        for state in (0.0, 1.0):
            own = folds[labels.values[:, j] == state, j]
            assert np.ptp(np.bincount(own, minlength=4)) <= 1
            assert (np.diff(own) < 0).any()  # in no order
            assert (np.diff(own) != (own[1] - own[0])).any()


def test_a_label_is_judged_by_rows_that_did_not_see_it(problem):
    Z, y, _ = problem
    labels = check_partial_labels(y)
    nothing = labels.restricted_to(np.zeros_like(labels.known))
    split = LabelSplit(labels, nothing, same_rows=True)
    logits, folds = cross_fit(Z, split, 3, SEEDS, n_jobs=None)
    assert_array_equal(np.isnan(logits), ~labels.known)
    for j in range(4):
        for fold in range(3):
            own = folds[:, j] == fold
            targets = np.nan_to_num(y[:, [j]], nan=0.0)
            targets[own] = np.nan
            coef, intercept = fit_initial_weights(Z, targets, n_jobs=None)
            expected = Z[own] @ coef[0] + intercept[0]
            assert_allclose(logits[own, j], expected, rtol=1e-6)


def test_the_report_has_scores_of_rows_that_did_not_see_the_labels(problem):
    Z, y, _ = problem
    tuner = CategoryWiseFineTuner(cross_fit=4, random_state=0).fit(Z, y)
    for j, line in enumerate(tuner.report_):
        known = ~np.isnan(y[:, j])
        assert line["n_held_out"] == line["n_positive"] + line["n_negative"]
        assert line["n_held_out"] == known.sum()
        assert line["n_unknown"] == (~known).sum()
        seen = Z[known] @ tuner.coef_init_[j] + tuner.intercept_init_[j]
        assert line["score_before"] < roc_auc_score(y[known, j], seen)


def test_rows_to_start_from_have_seen_all_labels(problem):
    Z, y, _ = problem
    tuner = CategoryWiseFineTuner(cross_fit=4, random_state=0).fit(Z, y)
    coef, intercept = fit_initial_weights(Z, np.nan_to_num(y, nan=0.0), n_jobs=None)
    assert_allclose(tuner.coef_init_, coef)
    assert_allclose(tuner.intercept_init_, intercept)


def test_no_candidate_starts_from_a_row_that_saw_its_judges(problem):
    Z, y, _ = problem
    tuner = CategoryWiseFineTuner(cross_fit=4, random_state=0).fit(Z, y)
    candidates = [record["candidate"] for record in tuner.history_]
    assert candidates
    assert not any("toward row" in candidate for candidate in candidates)


@pytest.mark.parametrize("which", ["tuner", "classifier"])
def test_refits_gain_on_test_rows(which):
    Z, y, full = make_partial_multilabel(1200, known=0.3, random_state=0)
    test = slice(600, None)
    tuner = CategoryWiseFineTuner(cross_fit=3, random_state=0)
    if which == "tuner":
        logits = tuner.fit(Z[:600], y[:600]).transform(Z[test])
    else:
        model = CFTClassifier(fine_tuner=tuner).fit(Z[:600], y[:600])
        logits, tuner = model.decision_function(Z[test]), model.fine_tuner_
    before = Z[test] @ tuner.coef_init_.T
    gain = partial_roc_auc_score(full[test], logits)
    gain -= partial_roc_auc_score(full[test], before)
    assert gain > 0.02


def test_neither_order_nor_workers_matter(problem):
    Z, y, _ = problem
    tuner = CategoryWiseFineTuner(cross_fit=3, random_state=0)
    names = check_partial_labels(y).categories
    expected = tuner.fit(Z, y).coef_
    order = np.array([2, 0, 3, 1])
    swapped = check_partial_labels(y[:, order], categories=names[order])
    tuner.set_params(n_jobs=2).fit(Z, swapped)
    assert_allclose(tuner.coef_, expected[order], rtol=1e-6)


def test_few_labels_are_enough(problem):
    Z, y, _ = problem
    y = y.copy()
    y[:, :2] = np.nan
    y[:3, 0] = [1, 0, 0]
    with pytest.warns(UndefinedCategoryWarning, match=r"'1' \(no known label\)"):
        tuner = CategoryWiseFineTuner(cross_fit=5, random_state=0).fit(Z, y)
    assert tuner.report_[1]["status"] == "skipped"
    assert tuner.report_[0]["status"] != "skipped"
    assert np.isfinite(tuner.coef_).all()


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"solver": "bce"}, "solver='auto'"),
        ({"refit": False}, "refit=True"),
        ({"coef_init": np.zeros((4, 20)), "intercept_init": np.zeros(4)}, "coef_init"),
    ],
)
def test_what_cannot_be_cross_fitted_is_refused(problem, changes, rule):
    Z, y, _ = problem
    tuner = CategoryWiseFineTuner(cross_fit=3).set_params(**changes)
    with pytest.raises(ValueError, match=f"`cross_fit` must be None without {rule}"):
        tuner.fit(Z, y)


def test_validation_data_and_cross_fitting_exclude_each_other(problem):
    Z, y, _ = problem
    tuner = CategoryWiseFineTuner(cross_fit=3)
    for model in (tuner, CFTClassifier(fine_tuner=tuner)):
        with pytest.raises(ValueError, match="without validation_data=None"):
            model.fit(Z, y, validation_data=(Z, y))


def test_networks_and_ignore_mode_are_not_cross_fitted(problem):
    Z, y, _ = problem
    tuner = CategoryWiseFineTuner(cross_fit=3)
    for model in (
        CFTClassifier(lambda: None, fine_tuner=tuner),
        CFTClassifier(fine_tuner=tuner, unknown="ignore"),
    ):
        with pytest.raises(ValueError, match="cross_fit=None with a `module`"):
            model.fit(Z, y)
