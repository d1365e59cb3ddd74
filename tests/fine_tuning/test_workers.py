"""Workers: the same results from all of them, large matrices sent once."""

import os
import pickle
import signal
import sys
import threading
import warnings

import numpy as np
import pytest
from joblib import parallel_config
from numpy.testing import assert_array_equal

from cftlearn import CategoryWiseFineTuner
from cftlearn._features._principal_axes import make_feature_spaces
from cftlearn._features._stored import StoredFeatures
from cftlearn.datasets import make_partial_multilabel
from cftlearn.exceptions import WorkerLostWarning
from cftlearn.fine_tuning import _auto, _workers
from cftlearn.fine_tuning._category_task import CategoryTask
from cftlearn.labels._encoding import KnownLabels
from cftlearn.solvers import GeneticSolver
from cftlearn.solvers._protocol import CategorySolver, RowFit

SOLVERS = {"auto": "auto", "ga": GeneticSolver(n_generations=5)}
by_solver = pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS)


@pytest.fixture(scope="module")
def problem():
    Z, y, _ = make_partial_multilabel(200, known=0.4, random_state=0)
    rows = {"coef_init": np.ones((5, 20)), "intercept_init": np.zeros(5)}
    return Z, y, rows


def fit(problem, solver="auto", **settings):
    Z, y, rows = problem
    return CategoryWiseFineTuner(solver, random_state=0, **rows, **settings).fit(Z, y)


def assert_same(one, other):
    assert_array_equal(one.coef_, other.coef_)
    assert_array_equal(one.intercept_, other.intercept_)
    assert repr(one.history_) == repr(other.history_)


@by_solver
@pytest.mark.parametrize("backend", ["threading", "loky", "multiprocessing"])
def test_backends_of_joblib_give_what_one_worker_gives(problem, solver, backend):
    expected = fit(problem, solver)
    with parallel_config(backend, n_jobs=2):
        assert_same(fit(problem, solver), expected)


class Placed(CategorySolver):
    """A solver on some device, that tells in which process it ran."""

    def __init__(self, device):
        self.device = device

    @property
    def name(self):
        return "placed"

    def fit_row(self, problem):
        history = [{"iteration": 1, "process": os.getpid()}]
        return RowFit(problem.coef, problem.intercept, 1, 1, "max_iter", history)


@pytest.mark.parametrize("device", ["cpu", "cpu:0", None, "cuda", "cuda:1", "mps"])
def test_one_worker_where_a_solver_uses_a_gpu(problem, device):
    with parallel_config("loky"):
        tuner = fit(problem, Placed(device), n_jobs=2, refit=False)
    here = {record["process"] == os.getpid() for record in tuner.history_}
    assert here == {device in ("cuda", "cuda:1", "mps")}


def test_large_features_are_shared_by_threads(problem, monkeypatch):
    expected = fit(problem)
    monkeypatch.setattr(_workers, "_LARGE", 0)
    judge, threads = _auto.judge_candidates, set()

    def note_thread(*args):
        threads.add((os.getpid(), threading.get_ident()))
        return judge(*args)

    monkeypatch.setattr(_auto, "judge_candidates", note_thread)
    assert_same(fit(problem, n_jobs=2), expected)
    assert {pid for pid, _ in threads} == {os.getpid()}
    assert threads != {(os.getpid(), threading.get_ident())}


@by_solver
def test_dask_gives_what_one_worker_gives(problem, solver):
    distributed = pytest.importorskip("distributed", reason="dask is not installed")
    expected = fit(problem, solver)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own
        with (
            distributed.LocalCluster(
                n_workers=2, threads_per_worker=1, dashboard_address=None
            ) as cluster,
            distributed.Client(cluster),
            parallel_config("dask"),
        ):
            found = fit(problem, solver)
    assert_same(found, expected)


@by_solver
def test_ray_gives_what_one_worker_gives(problem, solver):
    ray = pytest.importorskip("ray", reason="ray is not installed")
    from ray.util.joblib import register_ray

    expected = fit(problem, solver)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
        try:
            register_ray()
            with parallel_config("ray", n_jobs=2):
                found = fit(problem, solver)
        finally:
            ray.shutdown()
    assert_same(found, expected)


# --- what travels -----------------------------------------------------------------


def task_of(Z, d=None):
    d = Z.shape[1] if d is None else d
    none = KnownLabels(np.array([], dtype=np.intp), np.array([], dtype=bool))
    mean, scale = np.zeros(d), np.ones(d)
    return CategoryTask(
        name="a",
        Z=Z,
        fitted=none,
        Z_val=Z,
        held_out=none,
        same_rows=True,
        coef=mean,
        intercept=0.0,
        feature_mean=mean,
        feature_scale=scale,
        seed=0,
        spaces=make_feature_spaces(Z[:300], mean, scale, ("standard", "tempered")),
    )


def test_matrices_travel_apart_and_come_back():
    task = task_of(np.random.default_rng(0).standard_normal((400, 200)))
    bare, rest, *matrices = _workers._without_matrices(task, ("more",))
    assert rest == ("more",)
    assert len(pickle.dumps((bare, rest))) < 20_000
    assert [id(matrix) for matrix in matrices] == [
        id(matrix) for matrix in _workers._without_matrices(task, ())[2:]
    ]
    assert matrices[0] is matrices[1] is task.Z
    again = _workers._compute_there(None, lambda task: task, bare, (), *matrices)
    assert again.Z is again.Z_val is task.Z
    for name, space in task.spaces.items():
        assert again.spaces[name].axes is space.axes
        assert_array_equal(again.spaces[name].variances, space.variances)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_a_file_travels_as_its_path(tmp_path, dtype):
    values = np.arange(4000, dtype=dtype).reshape(1000, 4) % 7
    np.save(tmp_path / "Z.npy", values)
    Z = np.load(tmp_path / "Z.npy", mmap_mode="r")
    stored = StoredFeatures(Z) if dtype == np.float16 else Z
    sent = pickle.dumps(_workers._without_matrices(task_of(stored), ())[2:4])
    assert len(sent) < 1000
    received = _workers._received(pickle.loads(sent)[0])
    assert type(received) is type(stored)
    assert_array_equal(received[:], values)


@pytest.mark.parametrize("kind", ["view", "changed copy", "memory"])
def test_what_is_not_the_file_travels_itself(tmp_path, kind):
    values = np.arange(40, dtype=np.float32).reshape(10, 4)
    np.save(tmp_path / "Z.npy", values)
    Z = np.load(tmp_path / "Z.npy", mmap_mode="c")
    if kind == "view":
        Z = np.load(tmp_path / "Z.npy", mmap_mode="r")[3:]
    elif kind == "changed copy":
        Z[0] = 7
    else:
        Z = values
    assert_array_equal(_workers._received(_workers._sent(Z)), np.asarray(Z))


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_features_in_a_file_are_fitted_alike(problem, tmp_path, n_jobs):
    Z, y, rows = problem
    np.save(tmp_path / "Z.npy", Z)
    mapped = np.load(tmp_path / "Z.npy", mmap_mode="r")
    expected = fit(problem)
    assert_same(fit((mapped, y, rows), n_jobs=n_jobs), expected)


# --- workers that are lost --------------------------------------------------------


class Fragile(CategorySolver):
    """Kills its process the first times that it runs."""

    name = "fragile"

    def __init__(self, folder=None, times=1):
        self.folder = folder
        self.times = times

    def fit_row(self, problem):
        for k in range(self.times):
            mark = self.folder / str(k)
            if not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        return RowFit(problem.coef + 1.0, 0.0, 1, 1, "n_iter")


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL here")
def test_a_lost_worker_does_not_lose_the_fit(problem, tmp_path):
    with pytest.warns(WorkerLostWarning, match="categories without a result are refit"):
        tuner = fit(problem, Fragile(tmp_path), n_jobs=2)
    assert [line["category"] for line in tuner.report_] == list("01234")
    assert tuner.coef_.shape == (5, 20)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL here")
def test_a_category_that_always_kills_its_worker_ends_the_fit(problem, tmp_path):
    with (
        pytest.warns(WorkerLostWarning),
        pytest.raises(RuntimeError, match=r"ended 4 times.*Pass a smaller n_jobs"),
    ):
        fit(problem, Fragile(tmp_path, times=50), n_jobs=2)
