"""Features on disk: read as an array would be, some rows at a time."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from optional import optional
from scipy import sparse

from cftlearn import CategoryWiseFineTuner, CFTClassifier
from cftlearn._features import _stored
from cftlearn._features._stored import (
    StoredFeatures,
    gather,
    is_stored,
    logits_of,
    read_stored,
)
from cftlearn.datasets import make_partial_multilabel
from cftlearn.solvers import GeneticSolver

pd = optional("pandas")


class Slices:
    """What HDF5 and zarr have in common; remembers how much was read at once."""

    def __init__(self, values):
        self._values = values
        self.shape, self.dtype = values.shape, values.dtype
        self.most = 0

    def __getitem__(self, rows):
        if not isinstance(rows, slice):
            raise TypeError("only slices here")
        read = self._values[rows]
        self.most = max(self.most, len(read))
        return read


def on_disk(kind, values, folder):
    """Store an array, and open it."""
    if kind == "memmap":
        place = folder / "features.npy"
        np.save(place, values)
        return np.load(place, mmap_mode="r")
    if kind == "hdf5":
        h5py = pytest.importorskip("h5py")
        file = h5py.File(folder / "features.h5", "w")
        return file.create_dataset("Z", data=values, chunks=(16, values.shape[1]))
    if kind == "zarr":
        zarr = pytest.importorskip("zarr")
        return zarr.array(values, chunks=(16, values.shape[1]))
    return Slices(values)


@pytest.fixture
def problem():
    Z, y, _ = make_partial_multilabel(300, known=0.4, random_state=0)
    return Z.astype(np.float16), y


def rows_of(y, d):
    rng = np.random.default_rng(0)
    n = y.shape[1]
    return {"coef_init": rng.standard_normal((n, d)), "intercept_init": np.zeros(n)}


by_kind = pytest.mark.parametrize("kind", ["memmap", "hdf5", "zarr", "slices"])


@by_kind
@pytest.mark.parametrize("solver", ["auto", GeneticSolver(n_generations=5)], ids=str)
def test_a_fit_is_that_of_an_array(problem, tmp_path, monkeypatch, kind, solver):
    monkeypatch.setattr(_stored, "_BATCH_BYTES", 40 * 20 * 4)
    Z, y = problem
    stored = on_disk(kind, Z, tmp_path)
    start = rows_of(y, Z.shape[1])
    tuner = CategoryWiseFineTuner(solver, random_state=0, **start)
    expected = tuner.fit(Z.astype(np.float32), y)
    logits, coef = expected.transform(Z.astype(np.float32)), expected.coef_
    again = CategoryWiseFineTuner(solver, random_state=0, n_jobs=2, **start)
    again.fit(stored, y)
    assert_array_equal(again.coef_, coef)
    assert_allclose(again.transform(stored), logits, rtol=1e-12)
    assert again.n_features_in_ == 20
    if kind == "slices":
        assert stored.most == 40


def test_a_classifier_takes_them_too(problem, tmp_path):
    Z, y = problem
    start = CategoryWiseFineTuner(**rows_of(y, Z.shape[1]))
    model = CFTClassifier(fine_tuner=start, random_state=0)
    expected = model.fit(Z.astype(np.float32), y).predict_proba(Z.astype(np.float32))
    stored = on_disk("memmap", Z, tmp_path)
    assert_allclose(model.fit(stored, y).predict_proba(stored), expected, rtol=1e-6)
    assert model.predict(stored).shape == y.shape
    assert model.score(stored, y) > 0.5


def test_validation_data_may_be_stored(problem, tmp_path):
    Z, y = problem
    stored = on_disk("slices", Z, tmp_path)
    start = rows_of(y, Z.shape[1])
    tuner = CategoryWiseFineTuner(random_state=0, **start)
    expected = tuner.fit(Z[:200], y[:200], validation_data=(Z[200:], y[200:])).coef_
    other = on_disk("memmap", Z[200:], tmp_path)
    tuner.fit(Slices(Z[:200]), y[:200], validation_data=(other, y[200:]))
    assert_allclose(tuner.coef_, expected, rtol=1e-3)
    seen, judges = y.copy(), y.copy()
    seen[::3], judges[1::3], judges[2::3] = np.nan, np.nan, np.nan
    tuner.fit(stored, seen, validation_data=(stored, judges))
    assert tuner.report_[0]["n_unknown"] == np.isnan(y[:, 0]).sum()


@settings(max_examples=30)
@given(
    index=st.lists(st.integers(0, 49), max_size=80),
    batch=st.integers(1, 60),
    from_map=st.booleans(),
)
def test_rows_are_read_in_any_order(tmp_path_factory, index, batch, from_map):
    values = np.arange(150, dtype=np.float16).reshape(50, 3)
    kind = "memmap" if from_map else "slices"
    stored = StoredFeatures(on_disk(kind, values, tmp_path_factory.mktemp("rows")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_stored, "_BATCH_BYTES", batch * 12)
        index = np.array(index, dtype=np.intp)
        assert_array_equal(stored[index], values[index])
        out = np.zeros((len(index), 3), dtype=np.float32)
        gather(stored, index, out)
        assert_array_equal(out, values[index])
        mask = np.isin(np.arange(50), index)
        assert_array_equal(stored[mask], values[mask])
        assert_array_equal(stored[7:19], values[7:19])
        assert_array_equal(
            logits_of(stored, np.eye(3)[:2], [1, 2]), values[:, :2] + [1.0, 2.0]
        )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arrays_are_gathered_and_multiplied_alike(dtype):
    values = np.random.default_rng(0).standard_normal((9, 4))
    rows = np.array([3, 0, 8, 3])
    out = np.zeros((4, 4), dtype=np.float32)
    gather(values.astype(dtype), rows, out)
    assert_array_equal(out, values.astype(np.float32)[rows])
    found = logits_of(values.astype(dtype), np.arange(4.0), 2.0)
    assert found.shape == (9,)
    assert_allclose(found, values.astype(dtype) @ np.arange(4.0) + 2, rtol=1e-12)


def test_what_is_read_some_rows_at_a_time(tmp_path):
    values = np.ones((4, 2))
    assert is_stored(on_disk("memmap", values.astype(np.float16), tmp_path))
    assert is_stored(on_disk("memmap", values.astype(np.uint8), tmp_path))
    assert is_stored(Slices(values))
    for other in (
        values,
        values.astype(np.float16),
        on_disk("memmap", values, tmp_path),
        on_disk("memmap", values.astype(np.float32), tmp_path),
        values.tolist(),
        pd.DataFrame(values),
        pd.Series([1.0]),
        sparse.csr_array(values),
        torch.ones(4, 2),
        "text",
        None,
    ):
        assert not is_stored(other)


@pytest.mark.parametrize(
    ("value", "named"), [(np.nan, "nan"), (np.inf, "inf"), (1e300, "inf")]
)
def test_a_value_that_is_not_finite_is_named_with_its_place(problem, value, named):
    Z, y = problem
    Z = Z.astype(np.float64)
    Z[257, 3] = value
    tuner = CategoryWiseFineTuner(**rows_of(y, 20))
    with (
        pytest.raises(
            ValueError, match=f"`Z` must be finite.* got {named} in row 257, "
        ),
    ):
        tuner.fit(Slices(Z), y)


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        (np.ones(8), r"must have shape \(n_samples, n_features\).*got shape \(8,\)"),
        (np.ones((0, 3)), r"at least one of each; got shape \(0, 3\)"),
        (np.ones((8, 2), dtype="U3"), "must hold real numbers; got the type <U3"),
        (np.ones((8, 2), dtype=complex), "must hold real numbers"),
    ],
)
def test_other_matrices_are_refused(values, rule):
    with pytest.raises(ValueError, match=rule):
        read_stored(Slices(values))


def test_rows_to_start_from_are_needed(problem):
    Z, y = problem
    with pytest.raises(ValueError, match="`coef_init` and `intercept_init` must be"):
        CategoryWiseFineTuner().fit(Slices(Z), y)
    with pytest.raises(ValueError, match="`coef_init` and `intercept_init` must be"):
        CFTClassifier().fit(Slices(Z), y)


def test_other_numbers_of_features_and_rows_are_refused(problem):
    Z, y = problem
    tuner = CategoryWiseFineTuner(random_state=0, **rows_of(y, 20)).fit(Slices(Z), y)
    with pytest.raises(
        ValueError, match="X has 19 features, but CategoryWiseFineTuner"
    ):
        tuner.transform(Slices(Z[:, :19]))
    with pytest.raises(ValueError, match="one row per sample"):
        tuner.fit(Slices(Z), y[:-1])


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("view", ["turned", "columns", "rows", "whole"])
def test_views_of_a_memory_map_are_read_as_they_are(problem, tmp_path, view, n_jobs):
    Z, y = problem
    Z = Z.astype(np.float32)
    if view == "turned":
        mapped = on_disk("memmap", np.ascontiguousarray(Z.T), tmp_path).T
    elif view == "columns":
        mapped = on_disk("memmap", np.hstack([Z, Z]), tmp_path)[:, 20:]
    elif view == "rows":
        mapped = on_disk("memmap", np.vstack([Z, Z + 1, Z]), tmp_path)[600:]
    else:
        mapped = on_disk("memmap", np.asfortranarray(Z), tmp_path)
    assert_array_equal(mapped, Z)
    tuner = CategoryWiseFineTuner(random_state=0, n_jobs=n_jobs)
    expected = CategoryWiseFineTuner(random_state=0).fit(Z, y)
    found = tuner.fit(mapped, y)
    assert_allclose(found.coef_init_, expected.coef_init_, rtol=1e-3, atol=1e-4)
    assert_allclose(found.coef_, expected.coef_, rtol=1e-3, atol=1e-4)


def test_the_same_rows_are_known_by_another_name(problem):
    Z, y = problem
    tuner = CategoryWiseFineTuner(random_state=0, **rows_of(y, 20))
    with pytest.raises(ValueError, match="must hold other known labels than `y`"):
        tuner.fit(Slices(Z), y, validation_data=(Slices(Z.copy()), y))
    seen, judges = y.copy(), y.copy()
    seen[::2], judges[1::2] = np.nan, np.nan
    tuner.fit(Slices(Z), seen, validation_data=(Slices(Z.copy()), judges))
    assert tuner.report_[0]["n_unknown"] == np.isnan(y[:, 0]).sum()


def test_a_memory_map_may_have_lost_its_file(problem, tmp_path):
    Z, y = problem
    expected = CategoryWiseFineTuner(random_state=0, **rows_of(y, 20)).fit(
        Z.astype(np.float32), y
    )
    mapped = on_disk("memmap", Z.astype(np.float32), tmp_path)
    (tmp_path / "features.npy").unlink()
    for n_jobs in (1, 2):
        tuner = CategoryWiseFineTuner(random_state=0, n_jobs=n_jobs, **rows_of(y, 20))
        assert_allclose(tuner.fit(mapped, y).coef_, expected.coef_, rtol=1e-6)


def test_what_cannot_be_sent_is_refused(problem):
    Z, y = problem
    tuner = CategoryWiseFineTuner(random_state=0, **rows_of(y, 20))
    with (
        parallel_config("loky", n_jobs=2),
        pytest.raises(ValueError, match="got Slices, which cannot be sent there"),
    ):
        tuner.fit(Slices(Z), y)
