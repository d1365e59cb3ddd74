"""The proximal solver: what it fits, what it may fit, and what may not matter."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from proximal_problems import make_problem
from scipy.stats import rankdata
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from cftlearn import CategoryWiseFineTuner
from cftlearn._features._principal_axes import make_feature_spaces
from cftlearn.datasets import make_partial_multilabel
from cftlearn.metrics._objectives import make_objective
from cftlearn.solvers import ProximalSolver
from cftlearn.solvers._candidates import SPACES
from cftlearn.solvers._families import space_of
from cftlearn.solvers._penalised_families import prior_precision
from cftlearn.solvers._protocol import CategoryProblem, KnownRows

SCALINGS = ("standard", "tempered", "decorrelated")
by_scaling = pytest.mark.parametrize("scaling", SCALINGS)
few = settings(max_examples=10)


def paths_of(solver, problem, weight=None):
    return list(solver.fit_paths(problem, problem.train, weight))


def rows_of(solver, problem, weight=None):
    """Return all rows and biases, in the order of the candidates."""
    fitted = paths_of(solver, problem, weight)
    return (
        np.concatenate([one.coef for one in fitted]),
        np.concatenate([one.intercept for one in fitted]),
    )


def with_labels(problem, y):
    return replace(problem, train=KnownRows(problem.train.Z, np.asarray(y)))


# --- the choice -------------------------------------------------------------------


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["f4", "f8"])
def test_keeps_the_candidate_that_scores_best_on_validation(metric, dtype):
    problem, _ = make_problem(dtype=dtype, objective=make_objective(metric))
    solver = ProximalSolver()
    fit = solver.fit_row(problem)
    candidates = solver.candidates(problem)
    assert (fit.n_iter_run, fit.stopped_by) == (len(candidates), "path")
    assert [record["iteration"] for record in fit.history] == list(
        range(1, len(candidates) + 1)
    )
    assert [record["candidate"] for record in fit.history] == list(map(str, candidates))
    held_out = problem.validation
    coef, intercept = rows_of(solver, problem)
    scores = [
        problem.objective.single(held_out.y, held_out.Z @ row + bias)
        for row, bias in zip(coef, intercept, strict=True)
    ]
    assert_allclose([record["score_val"] for record in fit.history], scores)
    assert scores[fit.n_iter - 1] == max(scores)
    assert_array_equal(fit.coef, coef[fit.n_iter - 1])
    assert fit.intercept == intercept[fit.n_iter - 1]
    assert fit.coef.dtype == np.float64


def test_equal_scores_are_settled_by_the_prior():
    problem, _ = make_problem(objective=make_objective(lambda y, scores: 0.5))
    fit = ProximalSolver().fit_row(problem)
    priors = [item.log_prior for item in ProximalSolver().candidates(problem)]
    assert fit.n_iter - 1 == np.argmax(priors)


@few
@given(seed=st.integers(0, 100))
def test_given_number_of_a_candidate_fits_it_on_the_labels_to_fit(seed):
    problem, Z = make_problem(20, seed=seed)
    solver = ProximalSolver(spreads=(1.0, 3.0), unknown_weights=(0.0, 0.1))
    coef, intercept = rows_of(solver, problem)
    given_number = replace(problem, validation=None)
    for k in range(len(coef)):
        fit = solver.fit_row(replace(given_number, n_iter=k + 1))
        assert (fit.n_iter, fit.n_iter_run) == (k + 1, k + 1)
        assert fit.stopped_by == "n_iter"
        assert [each.n_iter for each in fit.path] == list(range(1, k + 2))
        # alone or as one of a path: the same up to where Newton's method stops
        logits = Z @ coef[k] + intercept[k]
        assert_allclose(Z @ fit.coef + fit.intercept, logits, rtol=1e-6, atol=1e-6)


def test_fits_neither_the_validation_labels_nor_the_trained_bias():
    problem, _ = make_problem()
    solver = ProximalSolver()
    coef, intercept = rows_of(solver, problem)
    held_out = problem.validation
    other = replace(
        problem,
        intercept=5.0,
        validation=KnownRows(held_out.Z, ~held_out.y),
    )
    again = rows_of(solver, other)
    assert_array_equal(again[0], coef)
    assert_array_equal(again[1], intercept)


def test_leaves_the_row_as_trained_where_nothing_can_be_fitted():
    problem, _ = make_problem(n_unknown=0)
    problem = with_labels(problem, np.ones(60, dtype=bool))
    fit = ProximalSolver().fit_row(problem)
    assert (fit.n_iter, fit.n_iter_run, fit.history) == (0, 0, [])
    assert_array_equal(fit.coef, problem.coef)
    assert fit.intercept == problem.intercept


def test_validation_labels_are_needed_to_choose():
    problem, _ = make_problem(validation=None)
    with pytest.raises(ValueError, match=r"`problem.validation` must be given where"):
        ProximalSolver().fit_row(problem)


def test_spaces_are_needed():
    problem, _ = make_problem(spaces={})
    with pytest.raises(
        ValueError, match=r"`problem.spaces` must hold 'standard'.*\[\]"
    ):
        ProximalSolver().fit_row(problem)


# --- what may be fitted -----------------------------------------------------------


def families(problem, **params):
    found = ProximalSolver(**params).candidates(problem)
    return list(dict.fromkeys(map(path_of, found)))


def path_of(candidate):
    """Name what candidates of one path have in common."""
    toward = candidate.family.removeprefix("toward ")
    return candidate.scaling, toward, candidate.unknown_weight


def test_candidates_are_all_combinations():
    problem, _ = make_problem()
    found = ProximalSolver().candidates(problem)
    assert len(found) == len(set(found)) == (3 * 3 + 1) * 4
    expected = {(scaling, "zero", u) for scaling in SCALINGS for u in (0.0, 0.03, 0.3)}
    assert set(families(problem)) == expected | {
        ("standard", "the initial weights", 0.0)
    }
    for start in range(0, len(found), 4):
        path = found[start : start + 4]
        assert len(set(map(path_of, path))) == 1
        assert [candidate.spread for candidate in path] == [0.4, 1.0, 2.5, 6.0]


def test_without_unknown_rows_there_is_no_background():
    problem, _ = make_problem(n_unknown=0)
    assert {weight for _, _, weight in families(problem)} == {0.0}
    assert families(problem, unknown_weights=(0.3,), toward=("zero",)) == []


def test_positives_alone_are_fitted_against_the_background():
    problem, _ = make_problem()
    Z, y = problem.train
    problem = replace(problem, train=KnownRows(Z[y], y[y]))
    found = families(problem)
    assert {toward for _, toward, _ in found} == {"zero"}
    assert {weight for _, _, weight in found} == {0.03, 0.3}
    fit = ProximalSolver().fit_row(problem)
    assert fit.n_iter > 0
    assert fit.history[fit.n_iter - 1]["score_val"] > 0.65


def test_negatives_alone_are_not_fitted():
    problem = with_labels(make_problem()[0], np.zeros(60, dtype=bool))
    assert families(problem) == []


def test_a_row_of_zeros_is_nothing_to_pull_to():
    problem, _ = make_problem(coef=np.zeros(6))
    assert {toward for _, toward, _ in families(problem)} == {"zero"}
    assert families(problem, toward=("row",)) == []


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"toward": ("zero",)}, 9 * 4),
        ({"toward": ("row",)}, 4),
        ({"scalings": ("tempered",)}, 3 * 4),
        ({"scalings": ("standard",), "unknown_weights": [0]}, 2 * 4),
        ({"spreads": np.array([1.0, 2.0])}, 10 * 2),
    ],
    ids=str,
)
def test_parameters_say_what_is_fitted(params, expected):
    problem, _ = make_problem()
    solver = ProximalSolver(**params)
    assert len(solver.candidates(problem)) == expected
    assert solver.fit_row(problem).n_iter_run == expected


def test_candidates_say_what_they_are():
    problem, _ = make_problem()
    first, last = (ProximalSolver().candidates(problem)[k] for k in (0, -1))
    assert str(first) == "standard features toward zero, unknown weight 0, spread 0.4"
    assert str(last).startswith("tempered features toward zero, unknown weight 0.3")
    (row,) = {str(c) for c in ProximalSolver(spreads=[1]).candidates(problem)} - {
        str(c) for c in ProximalSolver(spreads=[1], toward=["zero"]).candidates(problem)
    }
    assert row == (
        "standard features toward the initial weights, unknown weight 0, spread 1"
    )


# --- what is fitted ---------------------------------------------------------------


@pytest.mark.parametrize("spread", [0.5, 2.0])
def test_standard_features_toward_zero_agree_with_scikit_learn(spread):
    problem, Z = make_problem()
    solver = ProximalSolver(
        spreads=(spread,),
        unknown_weights=(0.0,),
        scalings=("standard",),
        toward=("zero",),
    )
    fitted = paths_of(solver, problem)[0]
    scaled = (problem.train.Z - problem.feature_mean) / problem.feature_scale
    oracle = LogisticRegression(C=spread**2 / 6, solver="newton-cholesky", tol=1e-10)
    oracle.fit(scaled, problem.train.y)
    coef = oracle.coef_[0] / problem.feature_scale
    assert_allclose(fitted.coef[0], coef, atol=0.01)
    bias = oracle.intercept_[0] - coef @ problem.feature_mean
    assert fitted.intercept[0] == pytest.approx(bias, abs=0.02)
    assert fitted.spread[0] == pytest.approx(np.std(Z @ fitted.coef[0]), rel=1e-6)


@by_scaling
def test_wider_spreads_give_wider_logits(scaling):
    problem, Z = make_problem()
    solver = ProximalSolver(scalings=(scaling,))
    for fitted in paths_of(solver, problem):
        if fitted.candidates[0].independent:
            assert (np.diff(fitted.spread) > 0).all()
        assert_allclose(fitted.spread, np.std(Z @ fitted.coef.T, axis=0), rtol=1e-6)


@by_scaling
def test_rows_that_are_drawn_have_the_spread_that_is_asked_for(scaling):
    """Of weights drawn as the penalty supposes, logits vary as much as named."""
    problem, Z = make_problem()
    space = space_of(problem, SPACES[scaling])
    rng = np.random.default_rng(0)
    deviation = 1.0 / np.sqrt(prior_precision(space, scaling))
    drawn = deviation * rng.standard_normal((4000, len(deviation)))
    coef, _ = space.leave(drawn, np.zeros(4000))
    assert np.var(Z @ coef.T, axis=0).mean() == pytest.approx(1.0, rel=0.05)


def test_a_hard_pull_toward_the_row_keeps_its_ranking():
    problem, Z = make_problem()
    hard = ProximalSolver(spreads=(1e-4, 3.0), toward=("row",))
    tight, loose = rows_of(hard, problem)[0]
    ranks = rankdata(Z @ problem.coef)
    assert_array_equal(rankdata(Z @ tight), ranks)
    assert (rankdata(Z @ loose) != ranks).any()
    factor = (tight / problem.coef).mean()  # Platt scaling: the slope stays free
    inside = (problem.train.Z @ problem.coef)[:, None]
    oracle = LogisticRegression(C=np.inf, tol=1e-8).fit(inside, problem.train.y)
    assert factor == pytest.approx(oracle.coef_[0, 0], rel=0.02)


def test_the_scale_of_the_initial_weights_does_not_matter():
    problem, Z = make_problem()
    solver = ProximalSolver(toward=("row",))
    coef, intercept = rows_of(solver, problem)
    for factor in (1e-6, 1e6):
        other = rows_of(solver, replace(problem, coef=factor * problem.coef))
        assert_allclose(Z @ other[0].T + other[1], Z @ coef.T + intercept, rtol=1e-5)


@by_scaling
@pytest.mark.parametrize("weight", [0.01, 0.05])
def test_the_background_stands_for_unknown_rows_as_weighted_negatives(scaling, weight):
    n, n_unknown, d = 60, 3000, 5
    problem, Z = make_problem(n, d, n_unknown)
    solver = ProximalSolver(
        spreads=(1.0,),
        unknown_weights=(weight,),
        scalings=(scaling,),
        toward=("zero",),
    )
    fitted = paths_of(solver, problem)[0]
    without = paths_of(clone(solver).set_params(unknown_weights=(0.0,)), problem)[0]
    space = problem.spaces["tempered" if scaling == "tempered" else "standard"]
    shape = space.variances**0.5 if scaling == "decorrelated" else np.ones(d)
    root = np.sqrt(shape * np.sum(space.variances / shape))
    rows = np.concatenate([problem.train.Z, Z[2 * n :]])
    y = np.concatenate([problem.train.y, np.zeros(n_unknown, dtype=bool)])
    oracle = LogisticRegression(solver="newton-cholesky", tol=1e-10)
    oracle.fit(
        space.coordinates(rows) / root,
        y,
        np.where(np.arange(len(y)) < n, 1.0, weight),
    )
    logits = oracle.decision_function(space.coordinates(Z) / root)
    found = Z @ fitted.coef[0] + fitted.intercept[0]
    plain = Z @ without.coef[0] + without.intercept[0]

    def distance(one):
        return 1 - np.corrcoef(one, logits)[0, 1]

    assert distance(found) < 0.01
    assert distance(found) < 0.5 * distance(plain)
    assert np.std(found) == pytest.approx(np.std(logits), rel=0.2)
    assert np.mean(found) == pytest.approx(np.mean(logits), abs=0.4)


def test_balanced_classes_are_explicit_weights():
    problem, _ = make_problem()
    y = problem.train.y
    own = np.random.default_rng(0).uniform(0.5, 2, len(y))
    for weight in (None, own):
        given_weight = np.ones(len(y)) if weight is None else weight
        total, positive = given_weight.sum(), given_weight[y].sum()
        factor = np.where(y, total / 2 / positive, total / 2 / (total - positive))
        explicit = rows_of(ProximalSolver(), problem, given_weight * factor)
        balanced = rows_of(ProximalSolver(class_weight="balanced"), problem, weight)
        assert_allclose(balanced[0], explicit[0], rtol=1e-7, atol=1e-9)
        assert_allclose(balanced[1], explicit[1], rtol=1e-7, atol=1e-9)
        plain = rows_of(ProximalSolver(), problem, weight)
        assert np.abs(plain[1] - balanced[1]).max() > 0.1


def test_balance_of_one_class_is_left_as_it_is():
    problem = with_labels(make_problem()[0], np.ones(60, dtype=bool))
    plain = rows_of(ProximalSolver(), problem)
    balanced = rows_of(ProximalSolver(class_weight="balanced"), problem)
    assert_array_equal(balanced[0], plain[0])


def test_labels_of_weight_zero_are_not_fitted():
    problem, _ = make_problem()
    idle = np.arange(60) % 2 == 0
    weight = np.where(idle, 0.0, 1.0)
    coef, intercept = rows_of(ProximalSolver(), problem, weight)
    other = with_labels(problem, problem.train.y ^ idle)
    again = rows_of(ProximalSolver(), other, weight)
    assert_array_equal(again[0], coef)
    assert_array_equal(again[1], intercept)


# --- what may not matter ----------------------------------------------------------


@few
@given(factors=st.lists(st.floats(1e-3, 1e3), min_size=6, max_size=6))
@pytest.mark.parametrize("scaling", ["standard", "decorrelated"])
def test_rescaled_features_leave_the_logits(scaling, factors):
    solver = ProximalSolver(scalings=(scaling,))
    (problem, Z), (other, scaled) = make_problem(), make_problem(factors=factors)
    coef, intercept = rows_of(solver, problem)
    again = rows_of(solver, other)
    expected = Z @ coef.T + intercept
    assert_allclose(scaled @ again[0].T + again[1], expected, rtol=1e-4, atol=1e-4)


@by_scaling
def test_one_scale_of_all_features_does_not_matter(scaling):
    solver = ProximalSolver(scalings=(scaling,))
    (problem, Z), (other, scaled) = make_problem(), make_problem(factors=50.0)
    coef, intercept = rows_of(solver, problem)
    again = rows_of(solver, other)
    expected = Z @ coef.T + intercept
    assert_allclose(scaled @ again[0].T + again[1], expected, rtol=1e-4, atol=1e-4)


def test_tempered_features_do_see_their_scales():
    solver = ProximalSolver(scalings=("tempered",))
    factors = np.array([1.0, 1.0, 1.0, 30.0, 1.0, 1.0])
    (problem, Z), (other, scaled) = make_problem(), make_problem(factors=factors)
    logits = Z @ rows_of(solver, problem)[0].T
    assert np.abs(logits - scaled @ rows_of(solver, other)[0].T).max() > 0.1


def test_the_order_of_labels_does_not_matter():
    problem, Z = make_problem()
    order = np.random.default_rng(0).permutation(60)
    shuffled = replace(
        problem, train=KnownRows(problem.train.Z[order], problem.train.y[order])
    )
    coef, intercept = rows_of(ProximalSolver(), problem)
    again = rows_of(ProximalSolver(), shuffled)
    assert_allclose(Z @ again[0].T + again[1], Z @ coef.T + intercept, atol=1e-4)


def test_the_order_of_scalings_does_not_matter():
    problem, _ = make_problem()
    found = []
    for scalings in (SCALINGS, SCALINGS[::-1]):
        fitted = paths_of(ProximalSolver(scalings=scalings), problem)
        found.append(
            {
                candidate: one.coef[k]
                for one in fitted
                for k, candidate in enumerate(one.candidates)
            }
        )
    assert set(found[0]) == set(found[1])
    for candidate, row in found[0].items():
        assert_allclose(found[1][candidate], row, rtol=1e-7)


@pytest.mark.parametrize("d", [100, 6], ids=["more features", "more rows"])
def test_single_precision_gives_nearly_the_same_rows(d):
    (problem, Z), (single, _) = (
        make_problem(30, d, 20, dtype=dtype) for dtype in (np.float64, np.float32)
    )
    assert single.train.Z.dtype == np.float32
    coef, intercept = rows_of(ProximalSolver(), problem)
    again = rows_of(ProximalSolver(), single)
    expected = Z @ coef.T + intercept
    assert_allclose(Z @ again[0].T + again[1], expected, rtol=0.01, atol=0.01)


# --- parameters -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"spreads": ()}, "`spreads` must hold at least one number; got none"),
        (
            {"spreads": (1.0, 0.0)},
            "`spreads` must hold numbers in \\(0, 1e6\\); got 0.0",
        ),
        (
            {"spreads": (np.nan,)},
            "`spreads` must hold numbers in \\(0, 1e6\\); got nan",
        ),
        ({"spreads": ("1",)}, "`spreads` must hold numbers in \\(0, 1e6\\); got '1'"),
        ({"spreads": 1.0}, "'spreads' parameter .* must be an array-like"),
        ({"unknown_weights": ()}, "`unknown_weights` must hold at least one number"),
        ({"unknown_weights": (-0.1,)}, r"must hold numbers in \[0, 1\]; got -0.1"),
        ({"unknown_weights": (1.1,)}, r"`unknown_weights` must .* got 1.1"),
        (
            {"scalings": ("raw",)},
            "`scalings` must be a tuple of 'standard', 'tempered', 'decorrelated'; "
            "got 'raw'",
        ),
        ({"scalings": ()}, r"`scalings` must be a tuple of .* got \(\)"),
        ({"scalings": "standard"}, "'scalings' parameter .* must be an array-like"),
        ({"toward": ("one",)}, "`toward` must be a tuple of 'zero', 'row'; got 'one'"),
        ({"toward": ()}, r"`toward` must be a tuple of .* got \(\)"),
        ({"class_weight": "equal"}, "`class_weight` must be None or 'balanced'; got"),
        ({"class_weight": 2}, "'class_weight' parameter"),
    ],
    ids=str,
)
def test_parameters_out_of_range(params, match):
    problem, _ = make_problem()
    with pytest.raises(ValueError, match=match):
        ProximalSolver(**params).fit_row(problem)


def test_parameters_are_kept_copied_and_set():
    params = {
        "spreads": (0.5, 2.0),
        "unknown_weights": [0.0, 0.1],
        "scalings": ("tempered",),
        "toward": ("zero",),
        "class_weight": "balanced",
    }
    solver = ProximalSolver(**params)
    assert solver.get_params() == params
    assert all(solver.get_params()[name] is value for name, value in params.items())
    copied = clone(solver)
    assert copied is not solver
    assert copied.get_params() == params
    assert isinstance(copied.spreads, tuple)
    assert isinstance(copied.scalings, tuple)
    assert clone(ProximalSolver()).get_params() == ProximalSolver().get_params()
    assert copied.set_params(spreads=(1.0,)).spreads == (1.0,)
    assert solver.spreads == (0.5, 2.0)
    tuner = CategoryWiseFineTuner(solver)
    assert tuner.set_params(solver__toward=("row",)).solver.toward == ("row",)
    assert clone(tuner).get_params()["solver__scalings"] == ("tempered",)


def test_a_fit_changes_neither_the_solver_nor_the_problem():
    problem, Z = make_problem()
    before = Z.copy(), problem.coef.copy(), problem.train.y.copy()
    solver = ProximalSolver()
    state = dict(vars(solver))
    solver.fit_row(problem)
    assert vars(solver) == state
    for now, then in zip((Z, problem.coef, problem.train.y), before, strict=True):
        assert_array_equal(now, then)


# --- in the fine-tuner ------------------------------------------------------------


def mean_auc(y, logits):
    return np.mean([roc_auc_score(y[:, j], logits[:, j]) for j in range(y.shape[1])])


@pytest.fixture(scope="module")
def partial_labels():
    """Features, labels, and which of the full labels were never seen."""
    Z, y, y_full = make_partial_multilabel(
        600, n_features=12, n_categories=4, known=0.3, random_state=0
    )
    return Z[:400], y[:400], Z[400:], y_full[400:]


@pytest.mark.parametrize("refit", [True, False], ids=["refit", "no refit"])
@pytest.mark.parametrize(
    "solver",
    [
        "proximal",
        ProximalSolver(spreads=(1.0, 3.0), scalings=("standard",)),
        [ProximalSolver(class_weight="balanced")],
    ],
    ids=["by name", "by object", "in a list"],
)
def test_improves_rows_on_unseen_samples(partial_labels, solver, refit):
    Z, y, Z_test, y_test = partial_labels
    tuner = CategoryWiseFineTuner(solver, refit=refit, random_state=0).fit(Z, y)
    before = Z_test @ tuner.coef_init_.T + tuner.intercept_init_
    assert mean_auc(y_test, tuner.transform(Z_test)) > mean_auc(y_test, before) + 0.02
    assert "proximal" in {record["solver"] for record in tuner.report_}
    assert {record["status"] for record in tuner.report_} <= {"refitted", "kept"}
    gains = [
        record["roc_auc_after"] - record["roc_auc_before"] for record in tuner.report_
    ]
    assert np.mean(gains) > 0.0


class AloneProximalSolver(ProximalSolver):
    """Judged by the labels of each category alone."""

    pooled = False


def test_refitted_rows_are_candidates_fitted_on_all_known_labels(partial_labels):
    Z, y, _, _ = partial_labels
    solver = AloneProximalSolver(unknown_weights=(0.0,), toward=("zero",))
    tuner = CategoryWiseFineTuner(solver, random_state=0).fit(Z, y)
    refitted = [record["status"] == "refitted" for record in tuner.report_]
    assert any(refitted)
    j = refitted.index(True)
    moments = StandardScaler().fit(Z)
    known = ~np.isnan(y[:, j])
    problem = CategoryProblem(
        train=KnownRows(Z[known], y[known, j] == 1),
        validation=None,
        coef=tuner.coef_init_[j],
        intercept=float(tuner.intercept_init_[j]),
        objective=make_objective("roc_auc"),
        feature_mean=moments.mean_,
        feature_scale=moments.scale_,
        random_state=0,
        n_iter=tuner.report_[j]["n_iter"],
        spaces=make_feature_spaces(
            Z, moments.mean_, moments.scale_, ("standard", "tempered")
        ),
    )
    fit = solver.fit_row(problem)
    assert_allclose(tuner.coef_[j], fit.coef, rtol=1e-3, atol=1e-5)


def test_histories_name_candidates(partial_labels):
    Z, y, _, _ = partial_labels
    tuner = CategoryWiseFineTuner("proximal", random_state=0).fit(Z, y)
    first = tuner.history_[0]
    assert (first["solver"], first["phase"], first["iteration"]) == (
        "proximal",
        "choose",
        1,
    )
    assert "spread 0.4" in first["candidate"]


@pytest.mark.parametrize("refit", [True, False], ids=["refit", "no refit"])
def test_number_of_workers_does_not_matter(partial_labels, refit):
    Z, y, _, _ = partial_labels
    tuner = CategoryWiseFineTuner("proximal", random_state=0, refit=refit)
    one = clone(tuner).fit(Z, y)
    with parallel_config(backend="threading", n_jobs=2):
        two = clone(tuner).fit(Z, y)
    assert_array_equal(two.coef_, one.coef_)
    assert_array_equal(two.intercept_, one.intercept_)


def test_categories_are_independent_where_they_are_judged_alone(partial_labels):
    Z, y, _, _ = partial_labels
    tuner = CategoryWiseFineTuner(AloneProximalSolver(), random_state=0).fit(Z, y)
    other = y.copy()
    other[:200, 1] = np.nan
    again = CategoryWiseFineTuner(AloneProximalSolver(), random_state=0).fit(Z, other)
    assert_array_equal(again.coef_[[0, 2, 3]], tuner.coef_[[0, 2, 3]])
