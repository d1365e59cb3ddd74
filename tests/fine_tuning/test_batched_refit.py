"""The refit of many categories at once: choice, groups, memory, and who calls it."""

import gc
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from report_parts import n_held_out
from sklearn.base import clone

import cftlearn.fine_tuning
import cftlearn.solvers._padded_rows
from cftlearn import CategoryWiseFineTuner
from cftlearn._features._stored import StoredFeatures
from cftlearn.base import CategorySolver, KnownRows, RowFit
from cftlearn.datasets import make_partial_multilabel
from cftlearn.exceptions import UndefinedCategoryWarning
from cftlearn.fine_tuning._batched_refit import BatchedRefit
from cftlearn.fine_tuning._solver_names import batch_device
from cftlearn.fine_tuning._workers import CategoryWorkers
from cftlearn.metrics._objectives import make_objective
from cftlearn.solvers import GeneticSolver, GradientSolver, ProximalSolver

ALONE = CategoryWorkers(None, 0, {}, busy_with_products=False)
QUICK = GeneticSolver(n_generations=15, population_size=20)
ALONE_QUICK = GeneticSolver(  # each category is judged alone, as in the paper
    n_generations=15, population_size=20, mutation="genes", pooled=False
)
AUC, AP = make_objective("roc_auc"), make_objective("average_precision")


@pytest.fixture
def problem():
    Z, y, _ = make_partial_multilabel(
        400, n_features=8, n_categories=5, known=0.4, random_state=3
    )
    y[200:, 1] = np.nan  # categories of different sizes
    return Z, y


@pytest.fixture
def batched_on_the_cpu(monkeypatch):
    """Take torch's CPU for a GPU."""
    monkeypatch.setattr(
        cftlearn.fine_tuning._solver_names, "batch_device", lambda *_: "cpu"
    )


def fit(Z, y, solver=QUICK, **parameters):
    validation_data = parameters.pop("validation_data", None)
    tuner = CategoryWiseFineTuner(solver, **({"random_state": 0} | parameters))
    return tuner.fit(Z, y, validation_data=validation_data)


def assert_same_tuners(one, other, *, rtol=1e-9):
    np.testing.assert_allclose(one.coef_, other.coef_, rtol=rtol, atol=1e-9)
    np.testing.assert_allclose(one.intercept_, other.intercept_, rtol=1e-7, atol=1e-7)
    for line, twin in zip(one.report_, other.report_, strict=True):
        skipped = {"seconds", "reason"}
        plain = {key: value for key, value in line.items() if key not in skipped}
        assert plain == pytest.approx({key: twin[key] for key in plain}, nan_ok=True)
    assert len(one.history_) == len(other.history_)


# The same rules as on the CPU


@pytest.mark.usefixtures("batched_on_the_cpu")
@pytest.mark.parametrize("refit", [True, False])
@pytest.mark.parametrize("objective", ["roc_auc", "average_precision"])
def test_reports_and_histories_have_the_form_of_the_cpu(
    problem, objective, refit, monkeypatch
):
    tuner = fit(*problem, objective=objective, refit=refit)
    monkeypatch.undo()
    other = fit(*problem, objective=objective, refit=refit, device="cpu")
    for line, twin in zip(tuner.report_, other.report_, strict=True):
        assert list(line) == list(twin)
        same = ["category", "n_positive", "n_negative", "n_unknown", "metric"]
        same += ["n_held_out_positive", "n_held_out_negative"]
        assert [line[key] for key in same] == [twin[key] for key in same]
        before = f"{objective}_before"
        assert line[before] == pytest.approx(twin[before], abs=1e-12)
        assert {key: type(value) for key, value in line.items()} == {
            key: type(twin[key]) if key != "solver" else type(line[key]) for key in twin
        }
    forms = [
        {(tuple(record), record["phase"]) for record in run.history_}
        for run in (tuner, other)
    ]
    assert forms[0] == forms[1]
    assert tuner.coef_.dtype == other.coef_.dtype == np.float64


@pytest.mark.usefixtures("batched_on_the_cpu")
@pytest.mark.parametrize(
    "solver", [ALONE_QUICK, GeneticSolver.published().set_params(n_generations=15)]
)
def test_a_row_is_replaced_only_where_held_out_labels_support_it(problem, solver):
    Z, y = problem
    tuner = fit(Z, y, solver, refit=False)
    statuses = [line["status"] for line in tuner.report_]
    assert "refitted" in statuses
    for j, line in enumerate(tuner.report_):
        own = [r for r in tuner.history_ if r["category"] == str(j)]
        assert len(own) == 15
        if line["status"] == "kept":
            assert line["roc_auc_after"] == line["roc_auc_before"]
            assert line["solver"] is None
            np.testing.assert_array_equal(tuner.coef_[j], tuner.coef_init_[j])
            assert tuner.intercept_[j] == tuner.intercept_init_[j]
        else:
            assert line["roc_auc_after"] > line["roc_auc_before"]
            best = own[line["n_iter"] - 1]["score_val"]
            assert line["roc_auc_after"] == pytest.approx(best, abs=1e-12)
            assert line["reason"].endswith("; ga ran 15 iterations (max_iter)")


@pytest.mark.usefixtures("batched_on_the_cpu")
def test_the_refit_on_everything_runs_as_long_as_the_choice_says(problem):
    tuner = fit(*problem, ALONE_QUICK)
    for line in tuner.report_:
        name = line["category"]
        own = [r for r in tuner.history_ if r["category"] == name]
        refits = [r["iteration"] for r in own if r["phase"] == "refit"]
        assert refits == list(range(1, line["n_iter"] + 1))


@pytest.mark.usefixtures("batched_on_the_cpu")
def test_rows_that_nothing_beats_are_kept_bit_for_bit(problem):
    Z, y = problem
    y = np.where(np.isnan(y), y, Z[:, :5] > 0)
    rows = {"coef_init": np.eye(5, 8) * 7, "intercept_init": np.arange(5.0)}
    tuner = fit(Z, y, ALONE_QUICK, **rows)
    assert {line["status"] for line in tuner.report_} == {"kept"}
    np.testing.assert_array_equal(tuner.coef_, rows["coef_init"])
    np.testing.assert_array_equal(tuner.intercept_, rows["intercept_init"])
    assert tuner.report_[0]["reason"].startswith("no refit scored above 1.0000")


@pytest.mark.usefixtures("batched_on_the_cpu")
@pytest.mark.filterwarnings("ignore::cftlearn.exceptions.UndefinedCategoryWarning")
def test_categories_that_lack_labels_are_skipped(problem):
    Z, y = problem
    y[y[:, 2] == 0, 2] = np.nan
    y[:, 4] = np.nan
    tuner = fit(Z, y)
    statuses = [line["status"] for line in tuner.report_]
    assert (statuses[2], statuses[4]) == ("skipped", "unlabelled")
    assert not {"skipped", "unlabelled"} & {statuses[j] for j in (0, 1, 3)}
    assert tuner.report_[2]["reason"] == "no known negatives, none left to fit" or (
        "no known negative" in tuner.report_[2]["reason"]
    )
    y[:] = np.nan
    y[:3] = 1.0  # one class alone
    rows = {"coef_init": np.zeros((5, 8)), "intercept_init": np.zeros(5)}
    with pytest.warns(UndefinedCategoryWarning, match="5 categories lack"):
        nothing = CategoryWiseFineTuner(QUICK, random_state=0, **rows).fit(Z, y)
    assert nothing.history_ == []


@pytest.mark.usefixtures("batched_on_the_cpu")
def test_columns_and_their_order_do_not_matter(problem):
    Z, y = problem
    names = np.array(list("abcde"))
    pd = pytest.importorskip("pandas", reason="the dataframes extra")
    # the penalty of initial weights that are fitted here depends on all categories
    initial = CategoryWiseFineTuner("bce", random_state=0).fit(Z, y)
    coef, intercept = initial.coef_init_, initial.intercept_init_
    whole = fit(
        Z, pd.DataFrame(y, columns=names), coef_init=coef, intercept_init=intercept
    )
    order = [3, 0, 4]
    some = fit(
        Z,
        pd.DataFrame(y[:, order], columns=names[order]),
        coef_init=coef[order],
        intercept_init=intercept[order],
    )
    np.testing.assert_allclose(some.coef_, whole.coef_[order], rtol=1e-9, atol=1e-9)
    assert [line["n_iter"] for line in some.report_] == [
        whole.report_[j]["n_iter"] for j in order
    ]


# Features


@pytest.mark.usefixtures("batched_on_the_cpu")
def test_stored_features_are_read_as_those_in_memory(problem, tmp_path):
    Z, y = problem
    path = tmp_path / "features.npy"
    np.save(path, Z.astype(np.float16))
    rows = {"coef_init": np.ones((5, 8)), "intercept_init": np.zeros(5)}
    stored = fit(np.load(path, mmap_mode="r"), y, **rows)
    in_memory = fit(np.load(path).astype(np.float32), y, **rows)
    # float32 sums may turn two scores round; the same bits come in, so they do not
    assert_same_tuners(stored, in_memory, rtol=1e-5)


def test_features_are_read_once_whatever_the_batch(problem, monkeypatch):
    Z, y = problem
    reads = []

    class Counted(StoredFeatures):
        def __getitem__(self, rows):
            reads.append(rows)
            return super().__getitem__(rows)

    refit = BatchedRefit(QUICK, AUC, refit=True, device="cpu")
    data = categories_of(Z.astype(np.float32), y)
    expected = refit(data, ALONE)
    monkeypatch.setattr(
        cftlearn.solvers._padded_rows,
        "row_batches",
        lambda n, d: (slice(k, min(k + 70, n)) for k in range(0, n, 70)),
    )
    monkeypatch.setattr(cftlearn.solvers._padded_rows, "_COPIED_BYTES", 100)
    stored = Counted(Z.astype(np.float32))
    results = refit([replace(own, Z=stored, Z_val=stored) for own in data], ALONE)
    assert reads == [slice(k, min(k + 70, 400)) for k in range(0, 400, 70)]
    for result, twin in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result.coef, twin.coef)


def test_categories_may_have_features_of_their_own(problem):
    data = categories_of(*problem)
    refit = BatchedRefit(QUICK, AUC, refit=True, device="cpu")
    expected = refit(data, ALONE)
    own = [one.Z.copy() if k % 2 else one.Z for k, one in enumerate(data)]
    copied = [replace(one, Z=Z, Z_val=Z) for one, Z in zip(data, own, strict=True)]
    for result, twin in zip(refit(copied, ALONE), expected, strict=True):
        np.testing.assert_array_equal(result.coef, twin.coef)


@pytest.mark.usefixtures("batched_on_the_cpu")
def test_validation_data_of_other_rows(problem):
    Z, y = problem
    parts = slice(0, 250), slice(250, None)
    y[250:300, 1] = np.arange(50) % 2
    train, held_out = [(Z[part], y[part]) for part in parts]
    tuner = fit(*train, validation_data=held_out)
    for j, line in enumerate(tuner.report_):
        known = ~np.isnan(held_out[1][:, j])
        assert n_held_out(line) == known.sum()
        logits = held_out[0][known] @ tuner.coef_init_[j]
        expected = AUC.single(held_out[1][known, j] == 1, logits)
        assert line["roc_auc_before"] == pytest.approx(expected, abs=1e-12)


# Groups


def categories_of(Z, y):
    """What a fine-tuner hands to its workers."""
    seen = []

    class Caught(Exception):
        pass

    def catch(make, kind, tasks, *arguments):
        seen.extend(tasks)
        raise Caught

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            cftlearn.fine_tuning._fine_tuner, "CategoryWorkers", lambda *a, **k: catch
        )
        with pytest.raises(Caught):
            CategoryWiseFineTuner(QUICK, random_state=0, device="cpu").fit(Z, y)
    return seen


@pytest.mark.parametrize("objective", [AUC, AP], ids=["auc", "ap"])
def test_groups_do_not_matter(problem, objective):
    data = categories_of(*problem)
    whole = BatchedRefit(QUICK, objective, refit=True, device="cpu")
    expected = whole(data, ALONE)
    parts = BatchedRefit(QUICK, objective, refit=True, device="cpu", memory=180_000)
    groups = []
    refit_group = parts._refit
    parts._refit = lambda group: groups.append(len(group)) or refit_group(group)
    results = parts(data, ALONE)
    assert sum(groups) == 5
    assert 1 < len(groups) < 5
    for result, twin in zip(results, expected, strict=True):
        np.testing.assert_allclose(result.coef, twin.coef, rtol=1e-9, atol=1e-9)
        assert result.report["n_iter"] == twin.report["n_iter"]
        assert result.report["category"] == twin.report["category"]


def test_categories_of_like_sizes_go_together(problem, monkeypatch):
    sizes = (~np.isnan(problem[1])).sum(axis=0)
    monkeypatch.setattr(
        "cftlearn.fine_tuning._batched_refit._MOST_PADDING", sizes[0] // 2
    )
    problem[1][100:, 1] = np.nan
    refit = BatchedRefit(QUICK, AUC, refit=True, device="cpu")
    groups = []
    refit_group = refit._refit
    refit._refit = lambda group: (
        groups.append([c.task.name for c in group]) or refit_group(group)
    )
    refit(categories_of(*problem), ALONE)
    assert sorted(map(len, groups)) == [1, 4]
    assert ["1"] in groups  # a quarter of the labels


def test_a_category_that_does_not_fit_is_named(problem):
    refit = BatchedRefit(QUICK, AUC, refit=True, device="cpu", memory=40_000)
    match = (
        r"`device` must have memory for the known rows of a category; '\d' needs "
        r"\S+ GiB of the 3.73e-05 GiB that may be used on 'cpu'. Pass device=\"cpu\""
    )
    with pytest.raises(ValueError, match=match):
        refit(categories_of(*problem), ALONE)


def test_parameters_are_checked_before_anything_is_read(problem):
    solver = clone(QUICK).set_params(elite_size=20)
    with pytest.raises(ValueError, match="`elite_size` must be less than"):
        BatchedRefit(solver, AUC, refit=True, device="cpu")([], ALONE)


# Checkpoints


@pytest.mark.usefixtures("batched_on_the_cpu")
def test_a_killed_fit_goes_on_and_ends_the_same(problem, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "cftlearn.solvers._problem_batch._BYTES_WITHOUT_DEVICE", 180_000
    )
    expected = fit(*problem, ALONE_QUICK)
    n_refitted = []
    refit_group = BatchedRefit._refit

    def refit_until_killed(self, group):
        n_refitted.append(len(group))
        if len(n_refitted) == 2:
            raise KeyboardInterrupt
        return refit_group(self, group)

    monkeypatch.setattr(BatchedRefit, "_refit", refit_until_killed)
    with pytest.raises(KeyboardInterrupt):
        fit(*problem, ALONE_QUICK, checkpoint=tmp_path)
    resumed = fit(*problem, ALONE_QUICK, checkpoint=tmp_path)
    assert sum(n_refitted) == 5 + n_refitted[1]  # the first group was not done again
    for name in ("coef_", "intercept_"):
        np.testing.assert_array_equal(getattr(resumed, name), getattr(expected, name))
    assert resumed.history_ == expected.history_
    monkeypatch.undo()
    monkeypatch.setattr(
        cftlearn.fine_tuning._solver_names, "batch_device", lambda *_: "cuda"
    )
    with pytest.raises(ValueError, match="one that differs in: device"):
        fit(*problem, ALONE_QUICK, checkpoint=tmp_path)


# A solver of one's own


class MeansSolver(CategorySolver):
    """Point from the mean of the negatives to that of the positives."""

    def __init__(self, *, batched=True):
        self.batched = batched
        self.calls = []

    @property
    def name(self):
        return "means"

    def fit_row(self, problem):
        Z, y = problem.train
        coef = (Z[y].mean(axis=0) - Z[~y].mean(axis=0)).astype(np.float64)
        return RowFit(coef, 0.5, 1, 1, "path", [{"iteration": 1, "n_known": len(y)}])


class BatchedMeansSolver(MeansSolver):
    """The same of many categories at once, as matrix products."""

    def batch_device(self, objective, device):
        return "cpu" if self.batched and device == "auto" else None

    def fit_many(self, problems, *, device):
        self.calls.append([problem.n_iter for problem in problems])
        assert device == "cpu"
        n_known = [len(problem.train.y) for problem in problems]
        coef = np.zeros((len(problems), len(problems[0].coef)))
        for own, problem in zip(coef, problems, strict=True):
            Z, y = problem.train  # gathered here, one category at a time
            own[:] = Z[y].mean(axis=0) - Z[~y].mean(axis=0)
        return [
            RowFit(own, 0.5, 1, 1, "path", [{"iteration": 1, "n_known": n}])
            for own, n in zip(coef, n_known, strict=True)
        ]


@pytest.mark.parametrize("objective", ["roc_auc", lambda y, z: np.mean(y == (z > 0))])
@pytest.mark.parametrize("refit", [True, False])
def test_a_solver_of_ones_own_fits_many_categories(problem, refit, objective):
    solver = BatchedMeansSolver()
    weights = {"coef_init": np.ones((5, 8)), "intercept_init": np.zeros(5)}
    # a clone of the solver would not remember its calls
    tuner = fit(*problem, solver, refit=refit, objective=objective, **weights)
    alone = BatchedMeansSolver(batched=False)
    other = fit(*problem, alone, refit=refit, objective=objective, **weights)
    refitted = [line["status"] == "refitted" for line in tuner.report_]
    assert any(refitted)
    calls = tuner.solver.calls  # without a refit, on the labels to fit alone
    assert calls == [[None] * 5, [1] * sum(refitted)]
    assert alone.calls == []
    np.testing.assert_array_equal(tuner.coef_, other.coef_)
    assert tuner.history_ == other.history_
    for line, twin in zip(tuner.report_, other.report_, strict=True):
        assert {**line, "seconds": 0} == {**twin, "seconds": 0}
    for own, twin in zip(tuner.held_out_.columns, other.held_out_.columns, strict=True):
        np.testing.assert_allclose(own.logits, twin.logits, rtol=1e-12)


def test_a_solver_of_ones_own_reads_features_from_a_file(problem, tmp_path):
    Z, y = problem
    np.save(tmp_path / "Z.npy", Z.astype(np.float16))
    weights = {"coef_init": np.ones((5, 8)), "intercept_init": np.zeros(5)}
    stored = np.load(tmp_path / "Z.npy", mmap_mode="r")
    tuner = fit(stored, y, BatchedMeansSolver(), **weights)
    in_memory = fit(stored.astype(np.float32), y, BatchedMeansSolver(), **weights)
    np.testing.assert_array_equal(tuner.coef_, in_memory.coef_)


class OneByOneSolver(MeansSolver):
    """Leaves `fit_many` as it is."""

    def batch_device(self, objective, device):
        return "cpu"

    def batch_bytes(self, n_rows, row_bytes):
        return 0  # any number of categories fits

    def fit_row(self, problem):
        assert isinstance(problem.train, KnownRows)
        assert problem.unknown.n_rows == 400 - len(problem.train.y) - (
            0 if problem.validation is None else len(problem.validation.y)
        )
        self.calls.append(problem.unknown.mean)
        return super().fit_row(problem)


def test_by_default_many_are_fitted_one_after_the_other(problem):
    solver = OneByOneSolver()
    solver.pooled = False
    tuner = fit(*problem, solver, refit=False)
    fit(*problem, MeansSolver(), refit=False)
    Z, y = problem
    means = [Z[np.isnan(y[:, j])].mean(axis=0) for j in range(5)]
    order = sorted(range(5), key=lambda j: (-np.sum(~np.isnan(y[:, j])), j))
    np.testing.assert_allclose(
        np.sort(tuner.solver.calls, axis=0), np.sort([means[j] for j in order], axis=0)
    )


class ForgetfulSolver(BatchedMeansSolver):
    def fit_many(self, problems, *, device):
        return super().fit_many(problems, device=device)[1:]


class WrongSolver(BatchedMeansSolver):
    """Returns other things than fits, of many categories or of one."""

    def __init__(self, returned=None, batched=True):
        super().__init__(batched=batched)
        self.returned = returned

    def fit_many(self, problems, *, device):
        return self.returned

    def fit_row(self, problem):
        return self.returned


@pytest.mark.parametrize(
    ("returned", "batched", "message"),
    [
        (None, True, "`fit_many` must return a list .* returned NoneType"),
        ([0.5], True, "`fit_many` must return a list .* returned float"),
        (None, False, "`fit_row` must return a RowFit .* returned NoneType"),
        ((1, 2), False, "`fit_row` must return a RowFit .* returned tuple"),
    ],
)
def test_a_solver_must_return_fits(problem, returned, batched, message):
    with pytest.raises(TypeError, match=message):
        fit(*problem, WrongSolver(returned, batched))


def test_a_solver_must_return_a_fit_for_each_problem(problem):
    match = "`fit_many` must return one RowFit .*'means' returned 4 for 5 problems"
    with pytest.raises(ValueError, match=match):
        fit(*problem, ForgetfulSolver())


# Who is refitted so


@pytest.fixture
def with_a_gpu(monkeypatch):
    """Let the library believe in a GPU."""
    found = {"auto": "cuda"}
    monkeypatch.setattr(
        "cftlearn._devices.resolve_device", lambda device: found.get(device, device)
    )


class OwnSolver(GeneticSolver):
    """A solver that fits in another way."""

    def fit_row(self, problem):
        return super().fit_row(problem)


CALLABLE = make_objective(lambda y_true, y_score: 0.0)


@pytest.mark.usefixtures("with_a_gpu")
@pytest.mark.parametrize(
    ("solvers", "objective", "device", "expected"),
    [
        ([GeneticSolver()], AUC, "cuda", "cuda"),
        ([GeneticSolver()], AP, "cuda:1", "cuda:1"),
        ([GeneticSolver.published()], AUC, "auto", "cuda"),
        ([GeneticSolver()], AUC, "cpu", None),
        ([GeneticSolver()], AUC, "mps", None),
        ([GeneticSolver()], CALLABLE, "auto", None),
        ([GeneticSolver()], CALLABLE, "cpu", None),
        ([OwnSolver()], AUC, "cuda", None),
        ([GradientSolver()], CALLABLE, "cuda", None),
        ([ProximalSolver()], AUC, "cuda", None),
        ([GeneticSolver(), GradientSolver()], AUC, "cuda", None),
    ],
)
def test_who_is_refitted_on_a_gpu(solvers, objective, device, expected):
    assert batch_device(solvers, objective, device) == expected


@pytest.mark.usefixtures("with_a_gpu")
def test_a_gpu_by_name_refuses_a_function_of_python(problem):
    def accuracy(y_true, y_score):
        return float(np.mean(y_true == (y_score > 0)))

    match = r"`objective` must be 'roc_auc' or .*; got 'accuracy' with device='cuda'"
    with pytest.raises(ValueError, match=match):
        fit(*problem, objective=accuracy, device="cuda")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_nothing_changes(problem):
    assert batch_device([GeneticSolver()], AUC, "auto") is None
    with pytest.raises(ValueError, match=r"`device` must be 'auto' .* got 'cuda' \("):
        fit(*problem, device="cuda")
    one, other = (fit(*problem, device=device) for device in ("auto", "cpu"))
    np.testing.assert_array_equal(one.coef_, other.coef_)
    assert one.history_ == other.history_


def test_the_cpu_by_name_needs_no_torch():
    code = (
        "import sys, numpy as np\n"
        "from cftlearn import CategoryWiseFineTuner\n"
        "from cftlearn.solvers import GeneticSolver\n"
        "rng = np.random.default_rng(0)\n"
        "Z, y = rng.standard_normal((60, 3)), rng.integers(2, size=(60, 2)) * 1.0\n"
        "solver = GeneticSolver(n_generations=2)\n"
        "CategoryWiseFineTuner(solver, device='cpu', random_state=0).fit(Z, y)\n"
        "raise SystemExit('torch' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.gpu
@pytest.mark.parametrize("objective", ["roc_auc", "average_precision"])
def test_a_gpu_refits_as_torch_on_the_cpu_does(problem, objective, monkeypatch):
    """In double precision, where rounding hardly ever turns two scores round."""
    on_gpu = fit(*problem, objective=objective, device="cuda", n_jobs=2)
    automatic = fit(*problem, objective=objective)
    monkeypatch.setattr(
        cftlearn.fine_tuning._solver_names, "batch_device", lambda *_: "cpu"
    )
    here = fit(*problem, objective=objective)
    assert_same_tuners(on_gpu, here, rtol=1e-6)
    assert_same_tuners(automatic, on_gpu)


@pytest.mark.gpu
def test_a_gpu_in_single_precision_reaches_the_scores_of_the_cpu(problem):
    Z, y = problem
    solver = clone(QUICK).set_params(n_generations=60)
    on_gpu = fit(Z.astype(np.float32), y, solver, device="cuda")
    here = fit(Z.astype(np.float32), y, solver, device="cpu")
    gains = [
        line["roc_auc_after"] - twin["roc_auc_after"]
        for line, twin in zip(on_gpu.report_, here.report_, strict=True)
    ]
    assert abs(np.mean(gains)) < 0.03


@pytest.mark.gpu
@pytest.mark.parametrize("objective", [AUC, AP], ids=["auc", "ap"])
def test_a_gpu_keeps_within_its_memory(rng, objective):
    """Features, populations and ranking together.

    Far smaller bounds do not hold: features are read and put in place up to 0.3 GiB at
    a time, which a quarter of a GPU's memory leaves room for.
    """
    memory = 2**27
    Z = rng.standard_normal((20_000, 63)).astype(np.float32)
    y = (Z[:, :10] + rng.standard_normal((20_000, 10)) > 0.5).astype(float)
    data = categories_of(Z, np.where(rng.random(y.shape) < 0.5, y, np.nan))
    refit = BatchedRefit(QUICK, objective, refit=True, device="cuda", memory=memory)
    gc.collect()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    results = refit(data, ALONE)
    assert "refitted" in {result.report["status"] for result in results}
    assert torch.cuda.max_memory_allocated() - before <= memory
