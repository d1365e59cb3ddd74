"""Single solvers and lists, judged by the held-out labels of all categories."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cftlearn import CategoryWiseFineTuner
from cftlearn.datasets import make_partial_multilabel
from cftlearn.fine_tuning import _pooled_refit, _solver_names
from cftlearn.fine_tuning._batched_refit import BatchedPooledRefit, BatchedRefit
from cftlearn.fine_tuning._best_solver import BestSolverRefit
from cftlearn.fine_tuning._pooled_refit import PooledRefit
from cftlearn.fine_tuning._solver_names import make_refit_method
from cftlearn.metrics._objectives import make_objective
from cftlearn.solvers import GeneticSolver, GradientSolver
from cftlearn.solvers._protocol import CategorySolver, Checkpoint, RowFit

AUC = make_objective("roc_auc")


class Wanderer(CategorySolver):
    """Random weights: some rank a category's few held-out labels well by luck."""

    @property
    def name(self):
        return "wanderer"

    def path_length(self, problem):
        return 8

    def fit_row(self, problem):
        rng = np.random.default_rng(problem.random_state)
        path = [
            Checkpoint(k, rng.standard_normal(len(problem.coef)), 0.0)
            for k in range(1, 9)
        ]
        return RowFit(path[-1].coef, 0.0, 8, 8, "n_iter", [], path)


class Means(CategorySolver):
    """The difference of class means, in two steps; also many categories at once."""

    def __init__(self, *, batched=True):
        self.batched = batched

    @property
    def name(self):
        return "means"

    def path_length(self, problem):
        return 2

    def fit_row(self, problem):
        Z, y = problem.train
        end = Z[y].mean(axis=0) - Z[~y].mean(axis=0)
        path = [
            Checkpoint(1, (problem.coef + end) / 2, 0.5),
            Checkpoint(2, end.astype(float), 1.0),
        ]
        return RowFit(path[1].coef, 1.0, 2, 2, "n_iter", [{"iteration": 2}], path)

    def fit_many(self, problems, *, device):
        return [self.fit_row(problem) for problem in problems]

    def batch_device(self, objective, device):
        return "cpu" if self.batched else None


@pytest.fixture
def problem():
    Z, y, _ = make_partial_multilabel(
        400, n_features=8, n_categories=6, known=0.3, random_state=3
    )
    return Z, y


def trained(Z, y, noise):
    """Give initial weights that rank well, less so with noise."""
    rng = np.random.default_rng(0)
    filled = np.where(np.isnan(y), np.nanmean(y, axis=0), y)
    coef = np.linalg.lstsq(Z - Z.mean(0), filled - filled.mean(0), rcond=None)[0].T
    coef += noise * np.abs(coef).max() * rng.standard_normal(coef.shape)
    return {"coef_init": coef, "intercept_init": np.zeros(len(coef))}


def test_luck_with_a_few_labels_replaces_nothing(problem):
    start = trained(*problem, 0.0)
    tuner = CategoryWiseFineTuner(Wanderer(), random_state=0, **start).fit(*problem)
    assert {line["status"] for line in tuner.report_} == {"kept"}
    assert_array_equal(tuner.coef_, start["coef_init"])
    assert all("refits would weigh only" in line["reason"] for line in tuner.report_)


def test_what_ranks_better_everywhere_is_taken(problem):
    start = trained(*problem, 1.0)
    tuner = CategoryWiseFineTuner(Means(batched=False), random_state=0, **start)
    tuner.fit(*problem)
    refitted = [line for line in tuner.report_ if line["status"] == "refitted"]
    assert len(refitted) >= 4
    for line in refitted:
        assert line["solver"] == "means"
        assert line["n_iter"] in (1, 2)
        assert 0.5 < line["weight"] <= 1.0
        own = [r for r in tuner.history_ if r["category"] == line["category"]]
        assert [r["phase"] for r in own] == ["choose", "choose", "refit"]
        weights = sum(r.get("weight", 0.0) for r in own)
        assert weights == pytest.approx(line["weight"])


@pytest.mark.parametrize("refit", [True, False])
def test_categories_together_give_what_they_give_one_by_one(problem, refit):
    Z, y = problem
    start = trained(Z, y, 1.0)
    one, other = (
        CategoryWiseFineTuner(
            Means(batched=batched), refit=refit, random_state=0, **start
        ).fit(Z, y)
        for batched in (True, False)
    )
    assert_allclose(one.coef_, other.coef_, rtol=1e-12)
    assert_allclose(one.intercept_, other.intercept_, rtol=1e-12)
    for line, twin in zip(one.report_, other.report_, strict=True):
        assert line["reason"] == twin["reason"]


def test_a_callable_must_rise_on_the_own_labels(problem):
    def never_more(y_true, y_score):
        return -float(np.mean(np.abs(y_score)))  # best for small logits

    start = trained(*problem, 1.0)
    start["coef_init"] *= 1e-3
    tuner = CategoryWiseFineTuner(
        Means(batched=False), objective=never_more, random_state=0, **start
    ).fit(*problem)
    assert {line["status"] for line in tuner.report_} == {"kept"}


def test_the_genetic_algorithm_maximises_a_callable(problem):
    def accuracy(y_true, y_score):
        return float(np.mean(y_true == (y_score > 0)))

    Z, y = problem
    start = trained(Z, y, 1.0)
    solver = GeneticSolver(n_generations=16)
    tuner = CategoryWiseFineTuner(
        solver, objective=accuracy, random_state=0, device="cpu", **start
    ).fit(Z, y)
    refitted = [line for line in tuner.report_ if line["status"] == "refitted"]
    assert len(refitted) >= 3
    assert all(line["accuracy_after"] > line["accuracy_before"] for line in refitted)
    assert "evidence by accuracy" in refitted[0]["reason"]


@pytest.mark.parametrize("batched", [True, False])
def test_a_killed_fit_goes_on_and_ends_the_same(
    problem, tmp_path, monkeypatch, batched
):
    start = trained(*problem, 1.0)

    def fit(**parameters):
        tuner = CategoryWiseFineTuner(Means(batched=batched), random_state=0, **start)
        return tuner.set_params(**parameters).fit(*problem)

    expected = fit()
    owner = BatchedPooledRefit if batched else PooledRefit

    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(owner, "_refit", interrupt)
        with pytest.raises(KeyboardInterrupt):
            fit(checkpoint=tmp_path)
    assert len(list(tmp_path.glob("*.npz"))) == 6
    with monkeypatch.context() as patch:  # what is judged is not judged again
        patch.setattr(Means, "path_length", lambda self, problem: 2)
        judge = "cftlearn.fine_tuning._solver_candidates.judge_runs"
        patch.setattr(judge, interrupt)
        patch.setattr("cftlearn.fine_tuning._batched_refit.judge_runs", interrupt)
        resumed = fit(checkpoint=tmp_path)
    assert_array_equal(resumed.coef_, expected.coef_)
    refitted = [line for line in expected.report_ if line["status"] == "refitted"]
    assert len(list(tmp_path.glob("*-refit.npz"))) == len(refitted) > 3


@pytest.mark.parametrize(
    ("solver", "expected"),
    [
        ("ga", PooledRefit),
        ("bce", PooledRefit),
        ("proximal", PooledRefit),
        (["ga", "asl"], PooledRefit),
        (GeneticSolver.published(), BestSolverRefit),
        (GradientSolver.published(), BestSolverRefit),
        (["ga", GradientSolver.published()], BestSolverRefit),
    ],
)
def test_published_solvers_are_judged_category_by_category(solver, expected):
    method = make_refit_method(solver, AUC, refit=True, device="cpu")
    assert type(method) is expected
    assert method.pooled == (expected is PooledRefit)


@pytest.mark.parametrize(
    ("solver", "expected"),
    [("ga", BatchedPooledRefit), (GeneticSolver.published(), BatchedRefit)],
)
def test_the_same_holds_on_a_device(solver, expected, monkeypatch):
    monkeypatch.setattr(_solver_names, "batch_device", lambda *_: "cpu")
    method = make_refit_method(solver, AUC, refit=True, device="cpu")
    assert type(method) is expected


def test_a_category_that_is_clearly_against_refits_keeps_its_weights(
    problem, monkeypatch
):
    weigh = _pooled_refit.weigh

    def refuse_first(evidence, log_prior):
        first, *others = weigh(evidence, log_prior)
        return [replace(first, is_refused=True), *others]

    monkeypatch.setattr(_pooled_refit, "weigh", refuse_first)
    tuner = CategoryWiseFineTuner(
        Means(batched=False), random_state=0, **trained(*problem, 1.0)
    ).fit(*problem)
    statuses = [line["status"] for line in tuner.report_]
    assert statuses[0] == "kept"
    assert "refitted" in statuses
    assert tuner.report_[0]["reason"].startswith("its own labels are clearly against")
