"""What solvers pass on their way: folds, evidence, and the average."""

import json
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import roc_auc_score

from cftlearn.datasets import make_partial_multilabel
from cftlearn.fine_tuning._category_task import make_tasks
from cftlearn.fine_tuning._initial_coef import InitialWeights
from cftlearn.fine_tuning._solver_candidates import (
    N_FOLDS,
    JudgedSolvers,
    deal_folds,
    judge_solvers,
)
from cftlearn.fine_tuning._solver_shares import (
    RefittedRow,
    Shares,
    refit_shares,
)
from cftlearn.labels import check_partial_labels
from cftlearn.labels._label_split import split_labels
from cftlearn.metrics._objectives import make_objective
from cftlearn.solvers._protocol import CategorySolver, Checkpoint, RowFit

AUC = make_objective("roc_auc")


class Means(CategorySolver):
    """Go from the initial weights to the difference of class means in steps."""

    def __init__(self, *, n_steps=3, has_path=True):
        self.n_steps = n_steps
        self.has_path = has_path
        self.problems = []

    @property
    def name(self):
        return "means"

    def path_length(self, problem):
        return self.n_steps if self.has_path else None

    def fit_row(self, problem):
        self.problems.append(problem)
        Z, y = problem.train
        end = Z[y].mean(axis=0) - Z[~y].mean(axis=0)
        n_iter = problem.n_iter or 2
        path = [
            Checkpoint(
                k, problem.coef + k / self.n_steps * (end - problem.coef), 0.1 * k
            )
            for k in range(1, n_iter + 1)
        ]
        last = path[-1]
        return RowFit(
            last.coef,
            last.intercept,
            n_iter,
            n_iter,
            "n_iter",
            [{"iteration": k, "loss": 1.0 / k} for k in range(1, n_iter + 1)],
            path if self.has_path else [],
        )


@pytest.fixture
def task():
    Z, y, _ = make_partial_multilabel(
        300, n_features=6, n_categories=2, known=0.4, random_state=3
    )
    rng = np.random.default_rng(0)
    initial = InitialWeights(rng.standard_normal((2, 6)), np.array([0.3, -0.2]))
    seeds = np.arange(2)
    split = split_labels(check_partial_labels(y), 0.25, seeds)
    return make_tasks(Z, Z, split, initial, [Means()], seeds)[0]


@pytest.mark.parametrize(("n_positive", "n_negative"), [(1, 1), (2, 40), (7, 5)])
def test_folds_share_each_class_evenly(n_positive, n_negative):
    y = np.arange(n_positive + n_negative) < n_positive
    folds = deal_folds(y, 0, N_FOLDS)
    for label in (True, False):
        counts = np.bincount(folds[y == label], minlength=N_FOLDS)
        assert counts[0] == counts.max()  # so the first fold has both classes
        assert counts.max() - counts.min() <= 1


def test_a_run_sees_all_labels_but_its_fold(task):
    solver = Means()
    judged = judge_solvers(task, [solver], AUC, True)
    _, train, held_out, _ = task.known()
    assert len(solver.problems) == N_FOLDS
    for fold, problem in enumerate(solver.problems):
        assert problem.validation is None
        assert problem.n_iter == 3
        kept = judged.folds != fold
        assert_array_equal(problem.train.Z, np.vstack([train.Z, held_out.Z[kept]]))
        assert_array_equal(problem.train.y, np.append(train.y, held_out.y[kept]))
    assert [c.n_iter for c in judged.candidates] == [1, 2, 3]


def test_without_a_refit_no_held_out_label_is_seen(task):
    solver = Means()
    judge_solvers(task, [solver], AUC, False)
    (problem,) = solver.problems
    assert_array_equal(problem.train.Z, task.known().train.Z)


def test_evidence_is_the_auc_of_pairs_within_a_fold(task):
    judged = judge_solvers(task, [Means()], AUC, True)
    _, train, held_out, _ = task.known()
    for k in range(3):
        total = pairs = 0.0
        for fold in range(N_FOLDS):
            own = judged.folds == fold
            Z = np.vstack([train.Z, held_out.Z[~own]])
            y = np.append(train.y, held_out.y[~own])
            end = Z[y].mean(axis=0) - Z[~y].mean(axis=0)
            coef = task.coef + (k + 1) / 3 * (end - task.coef)
            logits = held_out.Z[own] @ coef + 0.1 * (k + 1)
            assert_allclose(judged.left_out[k, own], logits)
            truth = held_out.y[own]
            n_pairs = truth.sum() * (~truth).sum()
            total += n_pairs * roc_auc_score(truth, logits)
            pairs += n_pairs
        assert judged.held_out[k] == pytest.approx(total / pairs)


def test_a_solver_without_a_path_is_one_candidate(task):
    solver = Means(has_path=False)
    judged = judge_solvers(task, [solver], AUC, True)
    (problem,) = solver.problems
    assert problem.n_iter is None
    assert problem.validation is not None
    assert [(c.n_iter, c.label) for c in judged.candidates] == [
        (2, "the chosen iteration")
    ]


def test_paths_of_other_iterations_are_refused(task):
    class Fickle(Means):
        def path_length(self, problem):
            return 3

        def fit_row(self, problem):
            fit = super().fit_row(problem)
            del fit.path[len(self.problems) % 2]
            return fit

    match = r"`RowFit.path` must hold the same iterations .* 'means' returned \['iter"
    with pytest.raises(ValueError, match=match):
        judge_solvers(task, [Fickle()], AUC, True)


def test_the_scale_of_a_callable_does_not_matter(task):
    def accuracy(y_true, y_score):
        return float(np.mean(y_true == (y_score > 0)))

    def in_thousands(y_true, y_score):
        return 1000.0 * accuracy(y_true, y_score) - 7.0

    one, other = (
        judge_solvers(task, [Means()], make_objective(metric), True)
        for metric in (accuracy, in_thousands)
    )
    assert_allclose(one.held_out, other.held_out)
    assert one.initial_held_out == 0.5
    y, values = task.known().held_out.y, [r["score_val"] for r in one.history]
    assert values == [pytest.approx(accuracy(y, own)) for own in one.left_out]
    assert_array_equal(np.argsort(values), np.argsort(one.held_out, kind="stable"))


def test_a_callable_that_says_nothing_is_no_evidence(task):
    judged = judge_solvers(task, [Means()], make_objective(lambda y, z: 0.25), True)
    assert_array_equal(judged.held_out, [0.5] * 3)


@pytest.mark.parametrize("refit", [True, False])
def test_one_candidate_alone_is_itself(task, refit):
    solver = Means()
    judged = judge_solvers(task, [solver], AUC, refit)
    shares = {task.name: Shares(judged.candidates, np.array([0.0, 1.0, 0.0]), 0.0)}
    row = refit_shares(task, [solver], AUC, shares, refit)
    rows = task.known().everything if refit else task.known().train
    assert_array_equal(solver.problems[-1].train.y, rows.y)
    expected = solver.fit_row(solver.problems[-1]).path[1]
    assert_allclose(row.coef, expected.coef)
    assert row.intercept == pytest.approx(expected.intercept)


def test_an_average_has_the_mean_spread_and_the_mean_at_the_mean(task):
    solver = Means()
    judged = judge_solvers(task, [solver], AUC, True)
    weights = np.array([0.2, 0.1, 0.3])
    shares = {task.name: Shares(judged.candidates, weights, 0.4)}
    row = refit_shares(task, [solver], AUC, shares, True)
    path = solver.fit_row(solver.problems[-1]).path
    every = [(0.4, task.coef, task.intercept)]
    every += [
        (w, own.coef, own.intercept) for w, own in zip(weights, path, strict=True)
    ]
    Z = task.known().everything.Z
    spread = np.array([np.std(Z @ coef) for _, coef, _ in every])
    share = np.array([weight for weight, _, _ in every])
    direction = sum(w * c / s for (w, c, _), s in zip(every, spread, strict=True))
    assert_allclose(row.coef, (share @ spread) * direction)
    at_mean = sum(w * (c @ task.feature_mean + b) for w, c, b in every)
    assert row.coef @ task.feature_mean + row.intercept == pytest.approx(at_mean)


def test_left_out_logits_are_averaged_like_weights(task):
    """Where no held-out label is fitted, both are of the same run."""
    solver = Means()
    judged = judge_solvers(task, [solver], AUC, False)
    weights = np.array([0.2, 0.1, 0.3])
    shares = {task.name: Shares(judged.candidates, weights, 0.4)}
    row = refit_shares(task, [solver], AUC, shares, False)
    logits = task.known().held_out.Z @ row.coef + row.intercept
    assert_allclose(judged.average(task, weights, 0.4), logits)


def test_results_survive_a_checkpoint(task):
    judged = judge_solvers(task, [Means()], AUC, True)
    shares = {task.name: Shares(judged.candidates, np.full(3, 0.2), 0.4)}
    row = refit_shares(task, [Means()], AUC, shares, True)
    for result, kind in ((judged, JudgedSolvers), (row, RefittedRow)):
        arrays, plain = result.pack()
        again = kind.unpack(arrays, json.loads(json.dumps(plain)))
        arrays_again, plain_again = again.pack()
        assert plain_again == plain
        for name, values in arrays.items():
            assert_array_equal(arrays_again[name], values)


def test_with_groups_held_out_labels_are_left_out_together(task):
    solver = Means()
    judged = judge_solvers(replace(task, has_groups=True), [solver], AUC, True)
    (problem,) = solver.problems
    assert_array_equal(problem.train.Z, task.known().train.Z)
    assert set(judged.folds) == {0}
