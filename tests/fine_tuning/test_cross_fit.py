"""Cross-fitting: every known label judges, by rows that did not see it."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from report_parts import n_held_out
from sklearn.metrics import roc_auc_score

from cftlearn import CategoryWiseFineTuner, CFTClassifier
from cftlearn.datasets import make_partial_multilabel
from cftlearn.exceptions import UndefinedCategoryWarning
from cftlearn.fine_tuning._cross_fit import cross_fit
from cftlearn.fine_tuning._evidence import effective_labels
from cftlearn.fine_tuning._penalty_choice import (
    choose_penalties,
    combine_evidence,
    judge_penalties,
    path_logits,
)
from cftlearn.fine_tuning._regression_paths import fit_regression_paths
from cftlearn.labels import check_partial_labels
from cftlearn.labels._groups import spread_over_groups
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


@pytest.fixture(scope="module")
def crossed(problem):
    """What cross-fitting finds, its targets, and fits without each of three folds."""
    Z, y, _ = problem
    labels = check_partial_labels(y)
    nothing = labels.restricted_to(np.zeros_like(labels.known))
    split = LabelSplit(labels, nothing, same_rows=True)
    found = cross_fit(Z, split, 3, SEEDS, n_jobs=None)
    targets = np.nan_to_num(y, nan=0.0)
    paths = [
        fit_regression_paths(
            Z, np.where(found.unseen.folds == fold, np.nan, targets), n_jobs=None
        )
        for fold in range(3)
    ]
    return found, targets, paths


def judge_fold(Z, crossed, fold):
    """Judge the fits without one fold by its labels."""
    found, targets, paths = crossed
    own = found.unseen.folds == fold
    logits = path_logits(paths[fold], Z, own)
    return judge_penalties(paths[fold], logits, np.where(own, targets, np.nan))


def test_a_label_is_judged_by_rows_that_did_not_see_it(problem, crossed):
    Z, y, _ = problem
    (logits, folds), _ = crossed[0]
    assert_array_equal(np.isnan(logits), np.isnan(y))
    for fold, paths in enumerate(crossed[2]):
        others = [judge_fold(Z, crossed, k) for k in range(3) if k != fold]
        chosen = choose_penalties(combine_evidence(others))
        for j in range(4):
            own = folds[:, j] == fold
            coef, bias = paths.coef[j, chosen[j]], paths.intercept[j, chosen[j]]
            assert_allclose(logits[own, j], Z[own] @ coef + bias, rtol=1e-6)


def test_a_fold_does_not_choose_the_penalty_that_it_judges(problem, monkeypatch):
    Z, y, _ = problem
    asked = []

    def choose(evidence):
        asked.append(evidence.labels)
        return choose_penalties(evidence)

    monkeypatch.setattr("cftlearn.fine_tuning._cross_fit.choose_penalties", choose)
    labels = check_partial_labels(y)
    nothing = labels.restricted_to(np.zeros_like(labels.known))
    split = LabelSplit(labels, nothing, same_rows=True)
    folds = cross_fit(Z, split, 3, SEEDS, n_jobs=None).unseen.folds
    by_fold = np.array(
        [
            [
                effective_labels(*[np.sum(y[folds[:, j] == k, j] == c) for c in (1, 0)])
                for j in range(4)
            ]
            for k in range(3)
        ]
    )
    for fold in range(3):
        assert_allclose(asked[fold], np.delete(by_fold, fold, axis=0).sum(axis=0))
    assert_allclose(asked[3], by_fold.sum(axis=0))  # of the fit to all labels


def test_the_report_has_scores_of_rows_that_did_not_see_the_labels(problem):
    Z, y, _ = problem
    tuner = CategoryWiseFineTuner(cross_fit=4, random_state=0).fit(Z, y)
    for j, line in enumerate(tuner.report_):
        known = ~np.isnan(y[:, j])
        assert n_held_out(line) == line["n_positive"] + line["n_negative"]
        assert n_held_out(line) == known.sum()
        assert line["n_unknown"] == (~known).sum()
        seen = Z[known] @ tuner.coef_init_[j] + tuner.intercept_init_[j]
        assert line["roc_auc_before"] < roc_auc_score(y[known, j], seen)


def test_rows_to_start_from_have_seen_all_labels(problem, crossed):
    Z, _, _ = problem
    found, targets, _ = crossed
    paths = fit_regression_paths(Z, targets, n_jobs=None)
    parts = [judge_fold(Z, crossed, fold) for fold in range(3)]
    chosen = choose_penalties(combine_evidence(parts))
    places = np.arange(4)
    assert_allclose(found.initial.coef, paths.coef[places, chosen])
    assert_allclose(found.initial.intercept, paths.intercept[places, chosen])


def test_the_tuner_starts_from_what_cross_fitting_found(problem):
    Z, y, _ = problem
    tuner = CategoryWiseFineTuner(cross_fit=4, random_state=0).fit(Z, y)
    labels = check_partial_labels(y)
    nothing = labels.restricted_to(np.zeros_like(labels.known))
    split = LabelSplit(labels, nothing, same_rows=True)
    seeds = tuner._category_seeds()
    _, initial = cross_fit(Z, split, 4, seeds, n_jobs=None)
    assert_array_equal(tuner.coef_init_, initial.coef)
    assert_array_equal(tuner.intercept_init_, initial.intercept)


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
    with pytest.warns(UndefinedCategoryWarning, match="no known label to fit: '1'"):
        tuner = CategoryWiseFineTuner(cross_fit=5, random_state=0).fit(Z, y)
    assert tuner.report_[1]["status"] == "unlabelled"
    assert tuner.report_[0]["status"] not in ("skipped", "unlabelled")
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
        with pytest.raises(ValueError, match="without X_val=None"):
            model.fit(Z, y, validation_data=(Z, y))


def test_ignore_mode_is_not_cross_fitted(problem):
    Z, y, _ = problem
    tuner = CategoryWiseFineTuner(cross_fit=3)
    model = CFTClassifier(fine_tuner=tuner, unknown="ignore")
    with pytest.raises(ValueError, match="without unknown other than 'ignore'"):
        model.fit(Z, y)


def test_unknown_labels_of_a_group_are_no_negatives_where_it_judges(monkeypatch):
    """Stage one would learn from them that the group's labels are negative."""
    rng = np.random.default_rng(0)
    Z, y = rng.standard_normal((60, 3)), (rng.random((60, 4)) < 0.4).astype(float)
    y[rng.random(y.shape) < 0.5] = np.nan
    labels, groups = check_partial_labels(y), np.arange(60) // 3
    nothing = labels.restricted_to(np.zeros_like(labels.known))
    split = LabelSplit(labels, nothing, same_rows=True, groups=groups)
    fitted = []

    def spy(Z, targets, **rest):
        fitted.append(targets)
        return fit_regression_paths(Z, targets, **rest)

    monkeypatch.setattr("cftlearn.fine_tuning._cross_fit.fit_regression_paths", spy)
    found = cross_fit(Z, split, 3, SEEDS, n_jobs=None)
    for fold in range(3):
        judges = found.unseen.folds == fold
        assert_array_equal(
            np.isnan(fitted[fold]), spread_over_groups(judges, groups), strict=True
        )
        assert (spread_over_groups(judges, groups) & ~labels.known).any()
    assert_array_equal(np.isnan(found.unseen.logits), ~labels.known)
    assert not np.isnan(fitted[3]).any()
