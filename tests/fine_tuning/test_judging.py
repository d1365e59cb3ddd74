"""How the candidates of one category are judged."""

import json
from dataclasses import fields, replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import hmean
from sklearn.metrics import roc_auc_score

from cftlearn._features._principal_axes import make_feature_spaces
from cftlearn.fine_tuning._category_task import CategoryTask
from cftlearn.fine_tuning._judging import (
    JudgedCandidates,
    auc_within_folds,
    judge_candidates,
)
from cftlearn.labels._encoding import KnownLabels
from cftlearn.metrics._objectives import make_objective
from cftlearn.solvers._proximal import ProximalSolver


def test_only_labels_of_one_fold_are_compared(rng):
    """Oracle: scikit-learn in each fold, weighted by pairs."""
    folds = rng.integers(0, 3, 60)
    y = rng.random(60) < 0.4
    logits = rng.normal(size=60) + y + 10.0 * folds  # every fold has a bias of its own
    scores, pairs = [], []
    for fold in range(3):
        own = folds == fold
        scores.append(roc_auc_score(y[own], logits[own]))
        pairs.append(np.sum(y[own]) * np.sum(~y[own]))
    expected = np.average(scores, weights=pairs)
    assert auc_within_folds(logits, y, folds) == pytest.approx(expected)
    assert abs(roc_auc_score(y, logits) - expected) > 0.05


def test_folds_of_one_class_compare_nothing(rng):
    y = np.array([True, True, False, False, True])
    folds = np.array([0, 0, 1, 1, 2])
    assert np.isnan(auc_within_folds(rng.normal(size=5), y, folds))
    folds[4] = 1
    logits = np.array([0.0, 0.0, 1.0, 3.0, 2.0])
    assert auc_within_folds(logits, y, folds) == 0.5


# --- a category, judged -----------------------------------------------------------

OBJECTIVE = make_objective("roc_auc")


def make_task(rng, fitted, held_out, *, n_samples=400, n_features=5, **changes):
    """Make a category: labels of the first rows to fit, of the next ones held out."""
    Z = rng.normal(size=(n_samples, n_features))
    coef = rng.normal(size=n_features)
    y = Z @ coef + rng.normal(size=n_samples) > 0.5
    first, last = len(fitted), len(fitted) + len(held_out)
    y[:first], y[first:last] = fitted, held_out
    Z[:last] += y[:last, None] * coef  # so that the labels can be learnt
    mean, scale = Z.mean(axis=0), Z.std(axis=0)
    task = CategoryTask(
        name="a",
        Z=Z,
        fitted=KnownLabels(np.arange(first), y[:first]),
        Z_val=Z,
        held_out=KnownLabels(np.arange(first, last), y[first:last]),
        same_rows=True,
        coef=rng.normal(size=n_features),
        intercept=0.7,
        feature_mean=mean,
        feature_scale=scale,
        seed=3,
        spaces=make_feature_spaces(Z, mean, scale, ("standard", "tempered")),
    )
    return replace(task, **changes)


def labels_of(n_positive, n_negative):
    return np.arange(n_positive + n_negative) < n_positive


@pytest.fixture
def task(rng):
    return make_task(rng, labels_of(30, 50), labels_of(12, 20))


def judge(task, *, refit=False, **parameters):
    return judge_candidates(task, ProximalSolver(**parameters), OBJECTIVE, refit)


def logits(judged, Z):
    return (judged.coef * judged.spread[:, None]) @ Z.T + judged.intercept[:, None]


def test_candidates_that_fit_no_held_out_label_are_judged_on_them_all(task):
    """Oracle: scikit-learn, on the logits of the weights themselves."""
    judged = judge(task)
    y, found = task.held_out.y, logits(judged, task.Z[task.held_out.rows])
    assert len(judged.candidates) == len(judged.held_out) == len(judged.coef)
    assert_allclose(judged.left_out, found, rtol=1e-4, atol=1e-4)
    expected = [roc_auc_score(y, row) for row in found]
    assert_allclose(judged.held_out, expected, atol=1e-3)
    assert np.isnan(judged.against_unknown).all()


@pytest.mark.parametrize("refit", [False, True])
def test_candidates_are_fitted_to_the_labels_to_fit_or_to_all(task, refit):
    solver = ProximalSolver()
    judged = judge_candidates(task, solver, OBJECTIVE, refit)
    known, train, held_out, _ = task.known()
    fit = known if refit else train
    problem = task.problem(OBJECTIVE, train, held_out)
    paths = list(solver.fit_paths(replace(problem, train=fit), fit))
    coef = np.concatenate([path.coef for path in paths])
    assert_allclose(judged.coef * judged.spread[:, None], coef, atol=5e-3)
    intercept = np.concatenate([path.intercept for path in paths])
    assert_allclose(judged.intercept, intercept, atol=5e-3)
    listed = solver.candidates(replace(problem, train=fit))
    assert judged.candidates == listed


def test_logits_of_the_kept_weights_vary_equally(task):
    judged = judge(task)
    assert_allclose(np.std(judged.coef @ task.Z.T, axis=1), 1.0, rtol=1e-3)
    assert judged.initial_spread == pytest.approx(np.std(task.Z @ task.coef))
    assert judged.coef.dtype == judged.left_out.dtype == np.float32
    assert 0 < judged.seconds < 60


def test_a_refit_is_judged_by_fits_without_the_label(rng):
    """Features of noise: fitted labels look right, left out they do not."""
    task = make_task(rng, labels_of(20, 20), labels_of(20, 20), n_features=30)
    noise = replace(task, Z=rng.normal(size=task.Z.shape))
    noise = replace(noise, Z_val=noise.Z)
    judged = judge(noise, refit=True)
    seen = logits(judged, noise.Z[noise.held_out.rows])
    free = np.array([candidate.spread > 2 for candidate in judged.candidates])
    resubstituted = [roc_auc_score(noise.held_out.y, row) for row in seen[free]]
    assert np.mean(resubstituted) > 0.8
    assert np.mean(judged.held_out[free]) < 0.7
    assert np.mean(judged.fitted[free]) < 0.7


def half_harmonic_mean(*counts):
    return hmean(counts) / 2


def test_labels_of_each_kind_are_counted(task):
    labels = judge(task).labels
    assert labels.held_out == pytest.approx(half_harmonic_mean(12, 20))
    assert labels.against_unknown == 0.0
    assert labels.fitted == pytest.approx(half_harmonic_mean(30, 50))
    assert labels.memory == pytest.approx(half_harmonic_mean(30, 12))


def test_the_initial_weights_are_judged_alike(task):
    initial = judge(task).initial
    own = task.Z @ task.coef + task.intercept
    held_out = own[task.held_out.rows]
    assert initial.held_out == pytest.approx(roc_auc_score(task.held_out.y, held_out))
    assert np.isnan(initial.against_unknown)
    seen = own[task.fitted.rows[task.fitted.y]]
    unseen = held_out[task.held_out.y]
    memory = roc_auc_score(labels_of(30, 12), np.append(seen, unseen))
    assert initial.memory == pytest.approx(memory)


@pytest.mark.parametrize("crossed", [False, True])
def test_what_regressions_memorised_that_were_fitted_here_says_nothing(task, crossed):
    if crossed:
        folds = np.arange(32) % 2
        task = replace(task, unseen=np.linspace(-1, 1, 32), folds=folds)
    judged = judge(replace(task, fitted_here=True))
    other = judge(task)
    assert judged.labels == other.labels._replace(memory=0.0)
    assert other.labels.memory > 0.0
    assert np.isnan(judged.initial.memory)
    assert judged.initial.held_out == other.initial.held_out


def test_initial_weights_that_saw_held_out_labels_are_judged_by_others(task, rng):
    unseen = rng.normal(size=32)
    folds = rng.integers(0, 2, 32)
    judged = judge(replace(task, unseen=unseen, folds=folds), toward=("zero",))
    y = task.held_out.y
    expected = auc_within_folds(unseen, y, folds)
    assert judged.initial.held_out == pytest.approx(expected)
    assert expected != pytest.approx(roc_auc_score(y, unseen))
    own = task.Z @ task.coef + task.intercept
    positives = np.append(task.fitted.rows[task.fitted.y], task.held_out.rows[y])
    memory = roc_auc_score(labels_of(42, 12), np.append(own[positives], unseen[y]))
    assert judged.initial.memory == pytest.approx(memory)
    assert judged.labels.memory == pytest.approx(half_harmonic_mean(12, 12))


def test_spare_rows_are_in_no_background(task):
    spare, unknown = task.spare_rows(), task.unknown_rows()
    assert len(spare) == 64
    assert np.isin(spare, unknown).all()
    rest = np.setdiff1d(unknown, spare)
    rows = task.known(spare)
    problem = task.problem(OBJECTIVE, rows.train, rows.held_out, spare)
    assert problem.unknown.n_rows == len(rest)
    assert_allclose(problem.unknown.mean, task.Z[rest].mean(axis=0))
    n_known = len(rows.everything.y)
    assert_array_equal(rows.with_spare.Z[n_known:], task.Z[spare])
    assert_array_equal(rows.with_spare.y[:n_known], rows.everything.y)
    rng = np.random.default_rng(0)
    few = make_task(rng, labels_of(6, 6), labels_of(3, 3), n_samples=25)
    assert len(few.spare_rows()) == 1  # a quarter of the unknown labels, and no more


def test_without_held_out_negatives_unknown_labels_stand_in(rng):
    task = make_task(rng, labels_of(30, 50), labels_of(12, 0), n_samples=300)
    judged = judge(task)
    unknown = task.spare_rows()
    y = labels_of(12, len(unknown))
    rows = np.append(task.held_out.rows, unknown)
    expected = [roc_auc_score(y, row) for row in logits(judged, task.Z[rows])]
    assert_allclose(judged.against_unknown, expected, atol=2e-3)
    own = roc_auc_score(y, task.Z[rows] @ task.coef)
    assert judged.initial.against_unknown == pytest.approx(own)
    assert np.isnan(judged.held_out).all()
    assert np.isnan(judged.initial.held_out)
    assert judged.labels.held_out == 0.0
    expected = half_harmonic_mean(12, len(unknown))
    assert judged.labels.against_unknown == pytest.approx(expected)


@pytest.mark.parametrize("held_out", [labels_of(0, 9), labels_of(0, 0)], ids=len)
def test_without_held_out_positives_fitted_labels_alone_are_compared(rng, held_out):
    judged = judge(make_task(rng, labels_of(30, 50), held_out))
    assert judged.labels == (0.0, 0.0, pytest.approx(18.75), 0.0)
    assert np.isnan([*judged.held_out, *judged.against_unknown, *judged.initial]).all()
    assert (judged.fitted > 0.5).all()


def test_the_labels_that_judge_are_at_most_so_many(rng):
    task = make_task(rng, labels_of(140, 150), labels_of(50, 0), n_samples=1400)
    labels = judge(task, scalings=("standard",), unknown_weights=(0.0,)).labels
    assert labels.fitted == pytest.approx(half_harmonic_mean(128, 128))
    assert labels.against_unknown == pytest.approx(half_harmonic_mean(50, 64))


def test_what_was_judged_is_the_same_after_a_checkpoint(task):
    judged = judge(task)
    arrays, plain = judged.pack()
    assert all(isinstance(value, np.ndarray) for value in arrays.values())
    assert not any(isinstance(value, np.ndarray) for value in plain.values())
    stored = json.loads(json.dumps(plain))  # tuples are lists in a file
    again = JudgedCandidates.unpack(arrays, stored)
    assert again.candidates == judged.candidates
    assert again.labels._asdict() == judged.labels._asdict()
    assert again.initial.memory == judged.initial.memory
    for part in fields(judged):
        value = getattr(judged, part.name)
        if isinstance(value, np.ndarray | float):
            assert_array_equal(getattr(again, part.name), value)
