"""Penalised paths against scikit-learn, scipy, and refits without some rows."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from cftlearn._features._principal_axes import Coordinates
from cftlearn.solvers import _penalised_paths
from cftlearn.solvers._batched_lbfgs import BatchedLBFGS
from cftlearn.solvers._batched_loss import PathProblem
from cftlearn.solvers._penalised_paths import (
    JointFit,
    _DensePath,
    _LargePath,
    fit_paths,
)

SHAPES = {"more rows": (80, 6), "more axes": (25, 40)}
BRANCHES = {"dense": _DensePath, "large": _LargePath}
by_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
by_branch = pytest.mark.parametrize("branch", BRANCHES)
by_type = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["f4", "f8"])
few = settings(max_examples=15)

SLACK = 1e-2  # in nats of the objective: how far from its minimum a fit may stop


@pytest.fixture
def fit(monkeypatch):
    """Return a function that fits by one branch, whatever the size of the problem."""

    def by(branch, problem):
        if branch == "large":
            monkeypatch.setattr(_penalised_paths, "_DENSE_UNKNOWNS", -1)
        path = fit_path(problem)
        monkeypatch.undo()
        assert isinstance(path, BRANCHES[branch])
        return path

    return by


def fit_path(problem):
    return fit_paths([problem])[0]


def make_problem(shape, dtype=np.float64, *, seed=0, n_path=3, n_lead=1, noise=1.0):
    """Draw rows of falling variance, noisy labels, weights and a path of penalties."""
    rng = np.random.default_rng(seed)
    n, n_axes = shape
    deviation = np.linspace(2, 0.5, n_axes)
    rows = rng.standard_normal(shape) * deviation
    signal = rows @ rng.standard_normal(n_axes) / np.linalg.norm(deviation)
    y = signal + noise * rng.standard_normal(n) > 0.3
    y[:2] = [True, False]
    lead = np.ones((n, n_lead))
    lead[:, 1:] = signal[:, None] + rng.standard_normal((n, n_lead - 1))
    penalties = np.logspace(1, -1, n_path)[:, None] * rng.uniform(0.5, 2, n_axes)
    return PathProblem(
        rows=Coordinates(rows.astype(dtype)),
        lead=lead,
        y=y.astype(np.float64),
        weight=rng.uniform(0.3, 2, n),
        penalties=penalties,
    )


def objective(problem, k, lead, weights):
    """State what fit k minimises."""
    logits = problem.lead @ lead + problem.rows.base.astype(np.float64) @ weights
    loss = np.logaddexp(0, logits) - problem.y * logits
    return problem.weight @ loss + 0.5 * problem.penalties[k] @ weights**2


def minimise(problem, k):
    """Ask scipy for fit k: its lead, its weights and the minimum."""
    n_lead = problem.lead.shape[1]
    design = np.hstack([problem.lead, problem.rows.base.astype(np.float64)])
    stiffness = np.append(np.full(n_lead, 1e-6), problem.penalties[k])

    def loss(found):
        logits = design @ found
        each = np.logaddexp(0, logits) - problem.y * logits
        gradient = design.T @ (problem.weight * (expit(logits) - problem.y))
        total = problem.weight @ each + 0.5 * stiffness @ found**2
        return total, gradient + stiffness * found

    start = np.zeros(design.shape[1])
    found = minimize(loss, start, jac=True, method="BFGS", options={"gtol": 1e-7}).x
    return found[:n_lead], found[n_lead:], loss(found)[0]


def ask_scikit_learn(problem, k):
    """Ask scikit-learn for fit k, whose lead is one column of ones."""
    root = np.sqrt(problem.penalties[k])
    model = LogisticRegression(solver="newton-cholesky", tol=1e-10)
    model.fit(problem.rows.base.astype(np.float64) / root, problem.y, problem.weight)
    return model.intercept_[0], model.coef_[0] / root


def take(problem, rows):
    """Make the problem of some rows."""
    return PathProblem(
        Coordinates(problem.rows.base[rows]),
        problem.lead[rows],
        problem.y[rows],
        problem.weight[rows],
        problem.penalties,
    )


def without(problem, rows):
    weight = problem.weight.copy()
    weight[rows] = 0.0
    return replace(problem, weight=weight)


def predict(problem, path):
    return path.lead @ problem.lead.T + path.weights @ problem.rows.base.T.astype(
        np.float64
    )


# --- fits -------------------------------------------------------------------------


@by_type
@by_shape
@by_branch
@pytest.mark.parametrize("n_lead", [1, 2], ids=["bias", "bias and slope"])
def test_fits_minimise_the_stated_objective(fit, branch, shape, dtype, n_lead):
    problem = make_problem(shape, dtype, n_lead=n_lead)
    path = fit(branch, problem)
    assert path.weights.shape == problem.penalties.shape
    assert path.lead.shape == (len(problem.penalties), n_lead)
    for k in range(len(problem.penalties)):
        lead, weights, least = minimise(problem, k)
        found = objective(problem, k, path.lead[k], path.weights[k])
        assert found - least < SLACK
        expected = problem.lead @ lead + problem.rows.base @ weights
        error = np.linalg.norm(predict(problem, path)[k] - expected)
        assert error < 0.03 * np.linalg.norm(expected)


@by_shape
@by_branch
def test_fits_agree_with_scikit_learn(fit, branch, shape):
    problem = make_problem(shape)
    path = fit(branch, problem)
    for k in range(len(problem.penalties)):
        bias, weights = ask_scikit_learn(problem, k)
        assert path.lead[k, 0] == pytest.approx(bias, abs=0.05)
        assert_allclose(path.weights[k], weights, atol=0.05)


@by_type
@by_shape
def test_both_branches_give_the_same_fits(fit, shape, dtype):
    problem = make_problem(shape, dtype, n_lead=2)
    dense, large = (fit(branch, problem) for branch in BRANCHES)
    assert_allclose(large.lead, dense.lead, atol=0.05)
    assert_allclose(large.weights, dense.weights, atol=0.05)


@few
@given(seed=st.integers(0, 1000), n_lead=st.integers(1, 2))
def test_fits_in_as_many_unknowns_as_rows_are_those_in_as_many_as_axes(seed, n_lead):
    """Axes on which no row has a coordinate change the branch and nothing else."""
    problem = make_problem((12, 5), seed=seed, n_lead=n_lead)
    padded = replace(
        problem,
        rows=Coordinates(np.pad(problem.rows.base, ((0, 0), (0, 10)))),
        penalties=np.pad(problem.penalties, ((0, 0), (0, 10)), constant_values=1.0),
    )
    primal, dual = fit_path(problem), fit_path(padded)
    assert_allclose(dual.lead, primal.lead, atol=0.01)
    assert_allclose(dual.weights[:, :5], primal.weights, atol=0.01)
    assert_allclose(dual.weights[:, 5:], 0, atol=1e-9)
    rows = np.arange(12)
    assert_allclose(dual.left_out(rows), primal.left_out(rows), atol=0.05)


@by_branch
def test_weights_count_like_copies(fit, branch):
    problem = make_problem((40, 5))
    times = np.arange(40) % 3 + 1
    copied = replace(
        take(problem, np.repeat(np.arange(40), times)), weight=np.ones(times.sum())
    )
    once = fit(branch, replace(problem, weight=times.astype(np.float64)))
    again = fit(branch, copied)
    assert_allclose(again.weights, once.weights, atol=0.02)
    assert_allclose(again.lead, once.lead, atol=0.02)


@by_shape
@by_branch
def test_a_smaller_penalty_fits_closer(fit, branch, shape):
    problem = make_problem(shape, n_path=5)
    path = fit(branch, problem)
    shapes = problem.penalties[0]
    losses = [
        objective(problem, 0, *row) for row in zip(path.lead, path.weights, strict=True)
    ]
    lengths = np.sum(path.weights**2 * shapes, axis=1)
    fits = np.array(losses) - 0.5 * lengths
    assert (np.diff(lengths) > 0).all()
    assert (np.diff(fits) < 0).all()


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((20, 5), _DensePath),
        ((20, 50), _LargePath),
        ((20, 6), _LargePath),
        ((21, 5), _LargePath),
        ((5, 50), _DensePath),
    ],
    ids=str,
)
def test_size_decides_how_to_fit(monkeypatch, shape, expected):
    monkeypatch.setattr(_penalised_paths, "_DENSE_UNKNOWNS", 5)
    monkeypatch.setattr(_penalised_paths, "_DENSE_ROWS", 20)
    assert type(fit_path(make_problem(shape))) is expected


# --- difficult labels and rows ----------------------------------------------------


@by_shape
@by_branch
def test_separable_labels_stay_finite(fit, branch, shape):
    problem = make_problem(shape, noise=0.0, n_lead=2)
    separable = replace(
        problem,
        y=(problem.lead[:, 1] > 0).astype(np.float64),
        penalties=np.array([[1.0], [1e-4]]) * np.ones(shape[1]),
    )
    path = fit(branch, separable)
    logits = predict(separable, path)
    assert np.isfinite(logits).all()
    assert np.abs(logits).max() < 1e4
    assert (((logits > 0) == (separable.y > 0)).mean(axis=1) > 0.95).all()
    assert np.isfinite(path.left_out(np.arange(5))).all()


@by_shape
@by_branch
@pytest.mark.parametrize("label", [0.0, 1.0], ids=["negatives", "positives"])
def test_labels_of_one_class_stay_finite(fit, branch, shape, label):
    problem = make_problem(shape)
    path = fit(branch, replace(problem, y=np.full(len(problem.y), label)))
    logits = predict(problem, path)
    assert np.isfinite(logits).all()
    assert ((logits > 0) == (label > 0)).all()
    assert np.isfinite(path.left_out(np.arange(5))).all()


@by_type
@by_branch
@pytest.mark.parametrize("n_axes", [4, 60], ids=["more rows", "more axes"])
def test_a_row_many_times_is_one_row_of_great_weight(fit, branch, dtype, n_axes):
    single = make_problem((15, n_axes), dtype, n_lead=2)
    times = np.where(np.arange(15) == 4, 30, 1)
    copied = take(single, np.repeat(np.arange(15), times))
    path = fit(branch, copied)
    heavy = fit(branch, replace(single, weight=single.weight * times))
    logits = predict(single, path)
    assert_allclose(logits, predict(single, heavy), atol=0.05, rtol=0.02)
    assert_allclose(predict(single, path)[:, 4], predict(copied, path)[:, 4])
    # one of many copies says little of itself
    assert_allclose(path.left_out(np.array([4]))[:, 0], logits[:, 4], atol=0.2)


@pytest.mark.parametrize("seed", [33, 92])
@by_branch
def test_labels_of_very_different_weights_are_fitted_to_the_end(fit, branch, seed):
    """Full steps of Newton's method would go astray here."""
    problem = replace(
        make_problem((30, 5), seed=seed, n_path=2),
        weight=10 ** np.random.default_rng(seed).uniform(-2, 2, 30),
        penalties=np.array([[1e-2], [1e-4]]) * np.ones(5),
    )
    path = fit(branch, problem)
    for k in range(2):
        _, _, least = minimise(problem, k)
        found = objective(problem, k, path.lead[k], path.weights[k])
        assert found == pytest.approx(least, rel=0.01, abs=0.05)


@by_branch
def test_rows_without_coordinates_are_fitted_by_the_lead_alone(fit, branch):
    problem = replace(make_problem((30, 5)), rows=Coordinates(np.zeros((30, 5))))
    path = fit(branch, problem)
    rate = problem.weight @ problem.y / problem.weight.sum()
    assert_allclose(path.weights, 0, atol=1e-9)
    assert_allclose(path.lead[:, 0], np.log(rate / (1 - rate)), atol=0.02)
    no_axes = replace(
        problem, rows=Coordinates(np.zeros((30, 0))), penalties=np.ones((2, 0))
    )
    path = fit("dense", no_axes)
    assert_allclose(path.lead[:, 0], np.log(rate / (1 - rate)), atol=0.02)
    assert np.isfinite(path.left_out(np.arange(30))).all()


@by_shape
@by_branch
def test_rows_of_weight_zero_are_predicted_and_not_fitted(fit, branch, shape):
    problem = make_problem(shape)
    idle = np.arange(len(problem.y)) % 3 == 0
    some = without(problem, idle)
    path = fit(branch, some)
    mirrored = replace(some, y=np.where(idle, 1 - some.y, some.y))
    other = fit(branch, mirrored)
    assert_array_equal(other.weights, path.weights)
    assert_array_equal(other.lead, path.lead)
    rows = np.arange(len(idle)) if branch == "dense" else np.flatnonzero(idle)
    assert_array_equal(other.left_out(rows), path.left_out(rows))
    assert_allclose(
        path.left_out(np.flatnonzero(idle)),
        predict(problem, path)[:, idle],
        atol=1e-6,
    )
    alone = fit(branch, take(problem, ~idle))
    assert_allclose(alone.weights, path.weights, atol=0.02)
    assert_allclose(alone.lead, path.lead, atol=0.02)


# --- rows left out ----------------------------------------------------------------


def refits_without_each(problem):
    """Logits of each row by scikit-learn's fit to the others, (n_path, n)."""
    logits = np.empty((len(problem.penalties), len(problem.y)))
    for i in range(len(problem.y)):
        rest = without(problem, i)
        for k in range(len(problem.penalties)):
            bias, weights = ask_scikit_learn(rest, k)
            logits[k, i] = bias + problem.rows.base[i] @ weights
    return logits


def bias_shifts(problem, path):
    """How far the bias moves when a row is left out, to first order."""
    chance = expit(predict(problem, path))
    curvature = problem.weight * chance * (1 - chance)
    pull = problem.weight * (chance - problem.y)
    return pull / curvature.sum(axis=1, keepdims=True)


def errors_left_out(problem, path):
    """Compare left-out logits with refits: errors, those of logits as fitted, ranks."""
    expected = refits_without_each(problem)
    fitted = predict(problem, path)
    found = path.left_out(np.arange(len(problem.y))) + bias_shifts(problem, path)
    pairs = zip(found, expected, strict=True)
    agreement = np.array([spearmanr(one, other)[0] for one, other in pairs])
    return np.abs(found - expected), np.abs(fitted - expected), agreement


@pytest.mark.parametrize("shape", [(40, 5), (24, 30)], ids=SHAPES)
@pytest.mark.parametrize("noise", [1.0, 3.0], ids=["signal", "noise"])
def test_left_out_logits_are_those_of_refits_without_the_row(fit, shape, noise):
    problem = make_problem(shape, seed=1, noise=noise)
    error, fitted, agreement = errors_left_out(problem, fit("dense", problem))
    assert (np.median(error, axis=1) < 0.1 * np.median(fitted, axis=1)).all()
    assert (np.mean(error**2, axis=1) < 0.25 * np.mean(fitted**2, axis=1)).all()
    assert (agreement > 0.99).all()


@pytest.mark.parametrize("shape", [(60, 5), (24, 30)], ids=SHAPES)
def test_large_problems_are_fitted_again_without_all_the_rows(fit, shape):
    problem = make_problem(shape, seed=1)
    path = fit("large", problem)
    rows = np.array([3, 1, 8])
    weight = problem.weight.copy()
    weight[rows] = 0.0
    again = predict(problem, fit("large", replace(problem, weight=weight)))
    assert_allclose(path.left_out(rows), again[:, rows], atol=0.02)
    before = predict(problem, path)
    assert not np.allclose(before[:, rows], again[:, rows], atol=0.02)


def test_large_problems_are_asked_by_halves_where_nothing_would_stay(fit):
    problem = make_problem((200, 5), seed=1)
    path = fit("large", problem)
    positives, negatives = np.flatnonzero(problem.y), np.flatnonzero(problem.y == 0)
    evidence = path.placements(positives, negatives).mean(axis=1)
    oracle = fit("dense", problem).placements(positives, negatives).mean(axis=1)
    assert_allclose(evidence, oracle, atol=0.05)
    assert (evidence > 0.6).all()


def test_large_problems_are_fitted_again_once_for_all_paths_and_orders(monkeypatch):
    monkeypatch.setattr(_penalised_paths, "_DENSE_UNKNOWNS", -1)
    first = make_problem((60, 5), seed=1)
    second = replace(first, penalties=3 * first.penalties)
    paths, minimise, calls = fit_paths([first, second]), BatchedLBFGS.minimise, []

    def count(*args):
        calls.append(args)
        return minimise(*args)

    monkeypatch.setattr(BatchedLBFGS, "minimise", count)
    rows = np.array([5, 2, 7, 30])
    for path in paths:
        path.left_out(rows)  # what was asked for all of them answers for some, too
        path.placements(rows[2:], rows[:2])
        assert_array_equal(path.left_out(rows)[:, ::-1], path.left_out(rows[::-1]))
    assert len(calls) == 1
    alone = fit_paths([second])[0]
    assert_allclose(paths[1].left_out(rows), alone.left_out(rows), atol=0.02)


@by_branch
def test_left_out_logits_may_be_asked_for_in_any_order(fit, branch):
    path = fit(branch, make_problem((30, 5)))
    some = np.array([7, 3, 29])
    found = path.left_out(some)
    assert_allclose(path.left_out(some[::-1]), found[:, ::-1], rtol=1e-6)
    assert path.left_out(some[:0]).shape == (3, 0)


def test_single_rows_are_left_out_one_by_one(fit):
    path = fit("dense", make_problem((30, 5)))
    everything = path.left_out(np.arange(30))
    some = np.array([7, 3, 29])
    assert_allclose(path.left_out(some), everything[:, some], rtol=1e-6)


@pytest.mark.parametrize("shape", [(22, 4), (14, 25)], ids=SHAPES)
@pytest.mark.parametrize("noise", [0.5, 5.0], ids=["signal", "noise"])
def test_evidence_is_the_auc_of_refits_without_both_rows(fit, shape, noise):
    problem = make_problem(shape, seed=3, noise=noise, n_path=2)
    path = fit("dense", problem)
    positives, negatives = np.flatnonzero(problem.y), np.flatnonzero(problem.y == 0)
    margin = np.empty((2, len(positives), len(negatives)))
    for a, i in enumerate(positives):
        for b, j in enumerate(negatives):
            rest = without(problem, [i, j])
            for k in range(2):
                _, weights = ask_scikit_learn(rest, k)
                margin[k, a, b] = (
                    problem.rows.base[i] - problem.rows.base[j]
                ) @ weights
    won = (margin > 0).mean(axis=(1, 2))
    found = path.placements(positives, negatives).mean(axis=1)
    assert found.shape == (2,)
    assert_allclose(found, won, atol=0.05)
    used = [roc_auc_score(problem.y, logits) for logits in predict(problem, path)]
    assert (np.abs(found - won) < 0.35 * np.abs(used - won)).all()


@pytest.mark.parametrize(
    "n_axes",
    [
        3,
        300,
    ],
    ids=SHAPES,
)
def test_evidence_of_labels_without_signal_is_one_half(n_axes):
    y = np.arange(12) % 2
    found = []
    for seed in range(100):
        rows = np.random.default_rng(seed).standard_normal((12, n_axes))
        penalties = np.full((1, n_axes), n_axes)  # logits of a spread of 1
        problem = PathProblem(
            Coordinates(rows), np.ones((12, 1)), y, np.ones(12), penalties
        )
        path = fit_path(problem)
        found.append(path.placements(np.arange(1, 12, 2), np.arange(0, 12, 2)))
    assert np.mean(found) == pytest.approx(0.5, abs=0.08)


@by_branch
def test_evidence_of_rows_not_fitted_is_their_auc(fit, branch):
    problem = make_problem((60, 5), noise=2.0)
    idle = np.arange(20)
    path = fit(branch, without(problem, idle))
    y = problem.y[:20] == 1
    expected = [roc_auc_score(y, logits[:20]) for logits in predict(problem, path)]
    found = path.placements(idle[y], idle[~y]).mean(axis=1)
    assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("more", ["positives", "negatives"])
def test_evidence_of_many_rows_leaves_them_out_one_by_one(monkeypatch, fit, more):
    problem = make_problem((40, 5), noise=3.0)
    path = fit("dense", problem)
    positives = np.flatnonzero(problem.y)[:8]
    negatives = np.flatnonzero(problem.y == 0)[:8]
    in_pairs = path.placements(positives, negatives)
    monkeypatch.setattr(_penalised_paths, "_MOST_PAIRED", 8)
    assert_array_equal(path.placements(positives, negatives), in_pairs)
    if more == "positives":
        negatives = negatives[:7]
    else:
        positives = positives[:7]
    monkeypatch.setattr(_penalised_paths, "_MOST_PAIRED", 7)
    rows = np.concatenate([positives, negatives])
    expected = [roc_auc_score(problem.y[rows], row) for row in path.left_out(rows)]
    found = path.placements(positives, negatives).mean(axis=1)
    assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("branch", ["dense"])
def test_evidence_of_rows_that_are_all_alike_is_one_half(fit, branch):
    problem = replace(
        make_problem((20, 3)), rows=Coordinates(np.zeros((20, 3))), weight=np.zeros(20)
    )
    path = fit(branch, problem)
    found = path.placements(np.arange(5), np.arange(5, 12)).mean(axis=1)
    assert_allclose(found, 0.5)


@pytest.mark.parametrize("penalty", [1e-9, 1e-2, 1.0])
@by_shape
@pytest.mark.parametrize("branch", ["dense"])
def test_a_fit_never_believes_a_label_less_for_having_seen_it(
    fit, branch, shape, penalty
):
    problem = make_problem(shape, noise=5.0, n_path=1)
    problem = replace(problem, penalties=np.full((1, shape[1]), penalty))
    path = fit(branch, problem)
    rows = np.arange(shape[0])
    gain = (predict(problem, path) - path.left_out(rows))[0]
    assert np.isfinite(gain).all()
    # so far as the Hessian's single precision goes
    assert (np.where(problem.y == 1, gain, -gain) > -0.01).all()


def test_leverage_beyond_one_is_taken_for_rounding(fit):
    """A row with all the say in its logit cannot move it the other way."""
    problem = make_problem((20, 5), n_path=1)
    path = fit("dense", problem)
    gain = predict(problem, path) - path.left_out(np.arange(20))
    path.__dict__["_covariance"] = 50 * path._covariance
    beyond = predict(problem, path) - path.left_out(np.arange(20))
    assert (np.sign(beyond) == np.sign(gain)).all()
    assert (np.abs(beyond) > 50 * np.abs(gain)).all()


@by_type
@pytest.mark.parametrize("seed", range(4))
def test_rows_that_are_alike_tie_whatever_the_rounding(dtype, seed):
    rng = np.random.default_rng(seed)
    rows = np.full((150, 6), -0.3)
    rows[:6] = rng.normal(size=(6, 6))
    y = (np.arange(150) % 2).astype(float)
    ones, penalties = np.ones((150, 1)), np.full((1, 6), 3.0)
    rows = Coordinates(rows.astype(dtype))
    path = fit_path(PathProblem(rows, ones, y, ones[:, 0], penalties))
    positives, negatives = (6 + np.flatnonzero(y[6:] == label) for label in (1, 0))
    assert_allclose(path.placements(positives, negatives), 0.5)


# --- joint fits -------------------------------------------------------------------


def test_a_joint_fit_is_that_of_all_paths_together():
    first = make_problem((60, 5), seed=1)
    second = replace(first, penalties=3 * first.penalties)
    joint = JointFit()
    assert [joint.add(problem) for problem in (first, second)] == [0, 1]
    for k, expected in reversed(list(enumerate(fit_paths([first, second])))):
        assert_array_equal(joint.take(k).weights, expected.weights)
    with pytest.raises(KeyError, match="1"):  # given away, and forgotten
        joint.take(1)
    with pytest.raises(ValueError, match="Paths must be added before the first"):
        joint.add(first)


# --- rows that must be left out together ----------------------------------------------


def test_rows_of_a_part_are_left_out_together(fit):
    """Oracle: fits without the part. The size does not matter."""
    problem = make_problem((60, 5), seed=1)
    parts = np.full(60, -1)
    parts[[3, 1, 8, 20]], parts[[4, 9]] = 0, 1
    path = fit_paths([problem], parts)[0]
    assert not path.asks_many
    rows = np.array([9, 3, 1, 4, 8, 20])
    found = path.left_out(rows)
    for part in (0, 1):
        weight = np.where(parts == part, 0.0, problem.weight)
        again = predict(problem, fit("large", replace(problem, weight=weight)))
        own = parts[rows] == part
        assert_allclose(found[:, own], again[:, rows[own]], atol=0.02)
    alone = fit("dense", problem).left_out(rows)
    assert not np.allclose(found, alone, atol=0.05)


def test_evidence_compares_rows_of_one_part():
    """Oracle: scikit-learn in each part, weighted by positives."""
    problem = make_problem((80, 5), seed=2)
    parts = np.arange(80) % 3
    path = fit_paths([problem], parts)[0]
    positives, negatives = np.flatnonzero(problem.y), np.flatnonzero(problem.y == 0)
    found = path.placements(positives, negatives).mean(axis=1)
    logits, y = path.left_out(np.arange(80)), problem.y
    counts = [np.sum(y[parts == k]) for k in range(3)]
    for own, value in zip(logits, found, strict=True):
        aucs = [roc_auc_score(y[parts == k], own[parts == k]) for k in range(3)]
        assert value == pytest.approx(np.average(aucs, weights=counts))


def test_a_positive_without_a_negative_in_its_part_takes_the_mean():
    problem = make_problem((60, 5), seed=3)
    positives, negatives = np.flatnonzero(problem.y), np.flatnonzero(problem.y == 0)
    parts = np.zeros(60, dtype=np.intp)
    parts[positives[:2]] = 1
    found = fit_paths([problem], parts)[0].placements(positives, negatives)
    mean = found[:, 2:].mean(axis=1, keepdims=True)
    assert_allclose(found[:, :2], np.repeat(mean, 2, axis=1))


def test_a_part_is_not_halved_where_nothing_would_stay():
    problem = make_problem((200, 5), seed=1)
    positives = np.flatnonzero(problem.y)
    path = fit_paths([problem], np.where(problem.y > 0, 0, -1))[0]
    assert (path.left_out(positives) < 0).all()  # by fits without any positive
