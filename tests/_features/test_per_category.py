"""Features of which every category has a vector of its own."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn

from cftlearn import CategoryWiseFineTuner, CFTClassifier, load_model, save_model
from cftlearn._features._per_category import StoredCategoryFeatures, features_of
from cftlearn.solvers import GeneticSolver, GradientSolver

N_CATEGORIES = 3
TUNERS = [
    pytest.param(CategoryWiseFineTuner(random_state=0), id="auto"),
    pytest.param(CategoryWiseFineTuner(random_state=0, cross_fit=3), id="cross-fit"),
    pytest.param(CategoryWiseFineTuner("proximal", random_state=0), id="proximal"),
    pytest.param(
        CategoryWiseFineTuner(GradientSolver(max_epochs=40), random_state=0), id="bce"
    ),
    pytest.param(
        CategoryWiseFineTuner(
            GeneticSolver(n_generations=15), random_state=0, validation_fraction=0.4
        ),
        id="ga",
    ),
]


def repeated(Z):
    return np.repeat(Z[:, np.newaxis], N_CATEGORIES, axis=1)


@pytest.fixture
def own_problem(rng):
    """Labels that depend on each category's own features alone."""
    Z = rng.standard_normal((150, N_CATEGORIES, 5))
    rows = rng.standard_normal((N_CATEGORIES, 5))
    y = (np.einsum("ncd,cd->nc", Z, rows) > 0).astype(float)
    return Z, np.where(rng.random(y.shape) < 0.4, np.nan, y), y


# --------------------------------------------------------------------- fine-tuner
@pytest.mark.parametrize("tuner", TUNERS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_repeated_features_give_what_shared_ones_give(partial_problem, tuner, dtype):
    Z, y, _ = partial_problem
    Z = Z.astype(dtype)
    shared = clone(tuner).fit(Z, y)
    own = clone(tuner).fit(repeated(Z), y)
    room = 1e-8 if dtype == np.float64 else 1e-3
    np.testing.assert_allclose(own.coef_, shared.coef_, atol=room)
    np.testing.assert_allclose(own.intercept_, shared.intercept_, atol=room)
    np.testing.assert_allclose(own.coef_init_, shared.coef_init_, atol=room)
    status = [line["status"] for line in shared.report_]
    assert [line["status"] for line in own.report_] == status
    assert own.n_features_in_ == shared.n_features_in_
    np.testing.assert_allclose(
        own.transform(repeated(Z)), shared.transform(Z), atol=10 * room
    )


@pytest.mark.parametrize("tuner", TUNERS[:1])
def test_repeated_validation_features(partial_problem, tuner):
    Z, y, y_full = partial_problem
    shared = clone(tuner).fit(Z[:80], y[:80], validation_data=(Z[80:], y[80:]))
    own = clone(tuner).fit(
        repeated(Z[:80]), y[:80], validation_data=(repeated(Z[80:]), y[80:])
    )
    np.testing.assert_allclose(own.coef_, shared.coef_, atol=1e-8)
    others = np.where(np.isnan(y), y_full, np.nan)
    others[60:] = np.nan
    same = clone(tuner).fit(repeated(Z), y, validation_data=(repeated(Z), others))
    assert same.report_[0]["n_unknown"] == int(np.isnan(y[60:, 0]).sum())


def test_every_row_is_fitted_on_its_own_features(own_problem):
    Z, y, y_full = own_problem
    tuner = CategoryWiseFineTuner(random_state=0).fit(Z[:100], y[:100])
    logits = tuner.transform(Z[100:])
    expected = np.einsum("ncd,cd->nc", Z[100:], tuner.coef_) + tuner.intercept_
    np.testing.assert_allclose(logits, expected, atol=1e-10)
    assert ((logits > 0) == y_full[100:]).mean() > 0.85
    assert tuner.coef_.shape == (N_CATEGORIES, 5)


@pytest.mark.parametrize("tuner", [TUNERS[0], TUNERS[2]])
def test_one_category_is_what_its_matrix_alone_gives(own_problem, tuner, monkeypatch):
    """The candidates of a category know nothing of the others' features.

    Only the penalty of initial weights is chosen with the others, so it is fixed here.
    """
    monkeypatch.setattr(
        "cftlearn.fine_tuning._initial_coef.choose_penalties",
        lambda evidence: np.full(len(evidence.gains), 2),
    )
    Z, y, _ = own_problem
    whole = clone(tuner).fit(Z, y)
    other = Z.copy()
    other[:, 1:] = other[::-1, 1:]
    changed = clone(tuner).fit(other, y)
    np.testing.assert_array_equal(whole.coef_init_[0], changed.coef_init_[0])
    assert (whole.coef_init_[1] != changed.coef_init_[1]).any()
    alone = clone(tuner).fit(Z[:, 0], y[:, :1])
    np.testing.assert_allclose(alone.coef_init_[0], whole.coef_init_[0], atol=1e-8)


@pytest.mark.parametrize("tuner", TUNERS[:1])
def test_workers_change_nothing(own_problem, tuner):
    Z, y, _ = own_problem
    one = clone(tuner).fit(Z, y)
    two = clone(tuner).set_params(n_jobs=2).fit(Z, y)
    np.testing.assert_array_equal(one.coef_, two.coef_)
    np.testing.assert_array_equal(one.intercept_, two.intercept_)


def test_order_of_categories_changes_nothing(own_problem):
    Z, y, _ = own_problem
    names = np.array(["a", "b", "c"])
    pandas = pytest.importorskip("pandas")
    order = [2, 0, 1]
    tuner = CategoryWiseFineTuner(random_state=0)
    first = clone(tuner).fit(Z, pandas.DataFrame(y, columns=names))
    turned = pandas.DataFrame(y[:, order], columns=names[order])
    second = clone(tuner).fit(Z[:, order], turned)
    np.testing.assert_allclose(second.coef_, first.coef_[order], atol=1e-10)


def slices_alone(Z):
    """What h5py and zarr have in common."""

    class Stored:
        shape, dtype = Z.shape, Z.dtype

        def __getitem__(self, key):
            return Z[key]

    return Stored()


@pytest.mark.parametrize(
    ("kind", "n_jobs"),
    [
        ("memory map", 1),
        ("memory map", 2),
        ("half memory map", 1),
        ("half memory map", 2),
        ("slices", 1),
        ("slices", 2),
        ("HDF5", 1),
    ],
)
def test_stored_features(own_problem, tmp_path, kind, n_jobs):
    Z, y, _ = own_problem
    Z = Z.astype(np.float16).astype(np.float32)
    if kind == "slices":
        stored = slices_alone(Z)
    elif kind == "HDF5":
        h5py = pytest.importorskip("h5py")
        stored = h5py.File(tmp_path / "Z.h5", "w").create_dataset("Z", data=Z)
    else:
        dtype = np.float16 if kind == "half memory map" else np.float32
        np.save(tmp_path / "Z.npy", Z.astype(dtype))
        stored = np.load(tmp_path / "Z.npy", mmap_mode="r")
    rows = {"coef_init": np.ones((3, 5)), "intercept_init": np.zeros(3)}
    tuner = CategoryWiseFineTuner(random_state=0, n_jobs=n_jobs, **rows)
    expected = clone(tuner).fit(Z, y)
    read = clone(tuner).fit(stored, y)
    np.testing.assert_allclose(read.coef_, expected.coef_, atol=1e-5)
    np.testing.assert_allclose(read.transform(stored), expected.transform(Z), atol=1e-4)


def test_stored_features_need_rows_and_finite_values(own_problem):
    Z, y, _ = own_problem
    with pytest.raises(ValueError, match="`coef_init` and `intercept_init` must be"):
        CategoryWiseFineTuner().fit(slices_alone(Z), y)
    Z[7, 1, 2] = np.nan
    with pytest.raises(ValueError, match="nan in row 7, category 1, column 2"):
        CategoryWiseFineTuner().fit(slices_alone(Z), y)
    with pytest.raises(ValueError, match="numbers; got complex numbers"):
        CategoryWiseFineTuner().fit(slices_alone(Z.astype(complex)), y)


def test_views_copy_nothing(own_problem):
    Z, _, _ = own_problem
    assert np.shares_memory(features_of(Z, 1), Z)
    assert features_of(Z[:, 0], 1).shape == (150, 5)
    stored = StoredCategoryFeatures(Z)
    np.testing.assert_array_equal(
        features_of(stored, 2)[[5, 1]], Z[[5, 1], 2].astype(np.float32)
    )


def test_a_checkpoint_knows_every_category(own_problem, tmp_path):
    Z, y, _ = own_problem
    tuner = CategoryWiseFineTuner(random_state=0, checkpoint=tmp_path / "fit")
    first = clone(tuner).fit(Z, y)
    again = clone(tuner).fit(Z, y)
    np.testing.assert_array_equal(first.coef_, again.coef_)
    Z[3, 2, 1] += 1.0
    with pytest.raises(ValueError, match="differs in: features"):
        clone(tuner).set_params(
            coef_init=first.coef_init_, intercept_init=first.intercept_init_
        ).fit(Z, y)


def test_shapes_that_do_not_fit(own_problem):
    Z, y, _ = own_problem
    tuner = CategoryWiseFineTuner(random_state=0)
    with pytest.raises(ValueError, match=r"every category of `y`; got shape \(150, 2"):
        tuner.fit(Z[:, :2], y)
    with pytest.raises(ValueError, match="at least one sample, category and feature"):
        tuner.fit(Z[:, :, :0], y)
    with pytest.raises(ValueError, match="one row per sample"):
        tuner.fit(Z[:10], y)
    with pytest.raises(ValueError, match="contains NaN"):
        tuner.fit(np.full_like(Z, np.nan), y)
    with pytest.raises(ValueError, match="Found array with dim 4"):
        tuner.fit(Z[np.newaxis], y)
    tuner.fit(Z, y)
    for wrong in (Z[:, 0], Z[:, :2], Z[:, :, :4]):
        with pytest.raises(ValueError, match=r"must have shape \(n_samples, 3, 5\)"):
            tuner.transform(wrong)
    with pytest.raises(ValueError, match=r"must have shape \(n_samples, 3, 5\)"):
        clone(tuner).fit(Z, y, validation_data=(Z[:, 0], y))
    tuner.fit(Z[:, 0], y)
    with pytest.raises(ValueError, match="Found array with dim 3"):
        tuner.transform(Z)


def test_lists_are_read(own_problem):
    Z, y, _ = own_problem
    tuner = CategoryWiseFineTuner(random_state=0)
    np.testing.assert_array_equal(
        clone(tuner).fit(Z.tolist(), y).coef_, clone(tuner).fit(Z, y).coef_
    )


def test_save_and_load(own_problem, tmp_path):
    Z, y, _ = own_problem
    tuner = CategoryWiseFineTuner(random_state=0).fit(Z, y)
    loaded = load_model(save_model(tuner, tmp_path / "model"))
    np.testing.assert_array_equal(loaded.transform(Z), tuner.transform(Z))


# --------------------------------------------------------------------- classifier
class Rows(nn.Module):
    """One row per category, each for its own vector, as SSGRL ends."""

    def __init__(self, n_categories, n_features):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_categories, n_features))
        self.bias = nn.Parameter(torch.zeros(n_categories))

    def forward(self, z):
        return (z * self.weight).sum(-1) + self.bias


class Attention(nn.Module):
    """Parts of an input, weighed anew for each category."""

    def __init__(self, rows=Rows):
        super().__init__()
        self.embed = nn.Linear(5, 6)
        self.queries = nn.Parameter(torch.randn(N_CATEGORIES, 6))
        self.rows = rows(N_CATEGORIES, 6)

    def forward(self, x):
        parts = torch.tanh(self.embed(x))
        weights = torch.softmax(parts @ self.queries.T, dim=1)
        return self.rows(torch.einsum("npc,npd->ncd", weights, parts))


@pytest.mark.parametrize(
    ("train", "retrain", "n_features"),
    [(True, "average", 2 * 6), (True, False, 6), (False, "average", 6)],
)
def test_a_network_with_rows_per_category(
    own_problem, tmp_path, train, retrain, n_features
):
    X, y, _ = own_problem
    X = X.astype(np.float32)
    model = CFTClassifier(
        Attention(),
        head="rows",
        train=train,
        retrain=retrain,
        max_epochs=3,
        random_state=0,
    )
    model.fit(X[:100], y[:100], validation_data=(X[100:], y[100:]))
    assert model.coef_.shape == (N_CATEGORIES, n_features)
    with torch.inference_mode():
        logits = model.to_torch()(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(logits, model.decision_function(X), atol=1e-4)
    folder = save_model(model, tmp_path / "model")
    loaded = load_model(folder, module=Attention())
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


class Cosine(Rows):
    def forward(self, z):
        return nn.functional.cosine_similarity(z, self.weight, dim=-1) + self.bias


class Mixed(Rows):
    def forward(self, z):
        return z.mean(1) @ self.weight.T + self.bias


def test_rows_that_compute_something_else_are_refused(own_problem):
    X, y, _ = own_problem
    model = CFTClassifier(Attention(Cosine), head="rows", max_epochs=1)
    with pytest.raises(ValueError, match="this Cosine computes something else"):
        model.fit(X, y)
    model = CFTClassifier(Attention(Mixed), head="rows", max_epochs=1)
    with pytest.raises(ValueError, match="this Mixed computes something else"):
        model.fit(X, y)
