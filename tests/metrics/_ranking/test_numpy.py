"""The ranking kernels against scikit-learn, on numpy and on torch."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score, roc_auc_score

from cftlearn.metrics._ranking import _numpy, batch_average_precision, batch_roc_auc

METRICS = {
    "roc_auc": (batch_roc_auc, roc_auc_score),
    "average_precision": (batch_average_precision, average_precision_score),
}
by_metric = pytest.mark.parametrize("metric", METRICS)
by_backend = pytest.mark.parametrize("backend", ["numpy", "torch"])
by_type = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["f4", "f8"])
few = settings(max_examples=40)
by_exact = pytest.mark.parametrize("exact", [True, False], ids=["exact", "rounded"])

TINY = np.finfo(np.float32).smallest_subnormal
HUGE = np.finfo(np.float32).max


def evaluate(metric, scores, y, *, backend="numpy", exact=True):
    """Run a kernel and hand the values back as an array."""
    kernel = METRICS[metric][0]
    if backend == "torch":
        values = kernel(torch.tensor(scores), y, exact=exact)
        assert isinstance(values, torch.Tensor)
        assert values.dtype == torch.float64
        return values.numpy()
    values = kernel(scores, y, exact=exact)
    assert isinstance(values, np.ndarray)
    assert values.dtype == np.float64
    return values


def oracle(metric, scores, y):
    """Ask scikit-learn, one vector at a time; ranks stand for scores it refuses."""
    ranks = [rankdata(row, method="dense") for row in scores]
    return np.array([METRICS[metric][1](y, row) for row in ranks])


def alternating(n):
    return np.arange(n) % 2 == 0


CASES = {
    "random": lambda rng: (rng.standard_normal((5, 300)), rng.random(300) < 0.3),
    "rare positives": lambda rng: (rng.standard_normal((5, 500)), np.arange(500) < 2),
    "one positive": lambda rng: (rng.standard_normal((3, 50)), np.arange(50) == 7),
    "one negative": lambda rng: (rng.standard_normal((3, 50)), np.arange(50) != 7),
    "ties": lambda rng: (rng.integers(0, 4, (6, 200)), rng.random(200) < 0.4),
    "ties in some rows": lambda rng: (
        np.vstack([rng.standard_normal((2, 90)), rng.integers(0, 3, (2, 90))]),
        rng.random(90) < 0.5,
    ),
    "constant": lambda rng: (np.full((2, 40), 0.7), rng.random(40) < 0.3),
    "two rows": lambda rng: (
        np.array([[0.1, 0.2], [0.2, 0.1], [0.5, 0.5]]),
        np.array([True, False]),
    ),
    "perfect and inverted": lambda rng: (
        np.array([[1.0, 2, 3, 4], [4.0, 3, 2, 1]]),
        np.array([False, False, True, True]),
    ),
    "saturated": lambda rng: (
        np.clip(rng.normal(0, 2, (4, 200)), -1, 1),
        rng.random(200) < 0.4,
    ),
    "infinities": lambda rng: (
        rng.choice([-np.inf, -HUGE, -1.0, 0.0, 1.0, HUGE, np.inf], (6, 80)),
        rng.random(80) < 0.5,
    ),
    "both zeros": lambda rng: (
        rng.choice([-1.0, -0.0, 0.0, 1.0], (6, 40)),
        rng.random(40) < 0.5,
    ),
    "denormals": lambda rng: (
        rng.choice(np.arange(-6, 7, 2) * float(TINY), (6, 60)),
        rng.random(60) < 0.5,
    ),
    "large offset": lambda rng: (
        1e6 + rng.integers(0, 50, (4, 100)),
        rng.random(100) < 0.5,
    ),
}


@pytest.mark.parametrize("case", CASES)
@by_exact
@by_type
@by_backend
@by_metric
def test_kernels_agree_with_scikit_learn(metric, backend, dtype, exact, case, rng):
    scores, y = CASES[case](rng)
    scores = scores.astype(dtype)
    values = evaluate(metric, scores, y, backend=backend, exact=exact)
    assert values.shape == (len(scores),)
    scores = scores.astype(np.float64)  # finite ones for the oracle's older versions
    finite = np.where(np.isinf(scores), np.copysign(1e300, scores), scores)
    assert_allclose(
        values, oracle(metric, finite, y), rtol=0, atol=1e-12 if exact else 1e-6
    )


def _neighbours(dtype):
    """Give scores in steps of one unit in the last place, all signs and scales."""
    pairs = []
    for start in (1.0, -1.0, 1e-20, -1e30, 0.0):
        first = dtype(start)
        second = np.nextafter(first, dtype(np.inf))
        third = np.nextafter(second, dtype(np.inf))
        pairs += [first, second, third]
    return np.array(pairs, dtype=dtype)


@by_type
@by_backend
@by_metric
def test_exact_kernels_tell_adjacent_floats_apart(metric, backend, dtype, rng):
    scores = _neighbours(dtype)
    y = rng.random((20, len(scores))) < 0.5
    for labels in y:
        values = evaluate(metric, scores[np.newaxis], labels, backend=backend)
        expected = oracle(metric, scores[np.newaxis], labels)
        assert_allclose(values, expected, rtol=0, atol=1e-12)


@by_backend
def test_rounding_ties_adjacent_float32_and_leaves_float64_alone(backend):
    y = np.array([False, True])
    single = np.array([[1.0, np.nextafter(np.float32(1), np.float32(2))]], np.float32)
    double = np.array([[1.0, np.nextafter(1.0, 2.0)]])
    assert evaluate("roc_auc", single, y, backend=backend, exact=True) == 1.0
    assert evaluate("roc_auc", single, y, backend=backend, exact=False) == 0.5
    assert evaluate("roc_auc", double, y, backend=backend, exact=False) == 1.0


@by_exact
@by_type
@by_backend
@by_metric
def test_many_samples(metric, backend, dtype, exact, rng):
    n = 200_000
    y = rng.random(n) < 0.02
    scores = np.stack([rng.standard_normal(n) + y, np.round(rng.random(n), 2)])
    scores = scores.astype(dtype)
    values = evaluate(metric, scores, y, backend=backend, exact=exact)
    expected = [METRICS[metric][1](y, row) for row in scores]
    assert_allclose(values, expected, rtol=0, atol=1e-12 if exact else 1e-6)


def test_sums_of_ranks_do_not_overflow():
    n = 200_000
    y = alternating(n)
    scores = np.where(y, 0.0, 1.0).astype(np.float32)[np.newaxis]
    for exact in (True, False):
        assert evaluate("roc_auc", scores, y, exact=exact) == 0.0
        assert evaluate("roc_auc", -scores, y, exact=exact) == 1.0


@by_backend
@by_metric
@pytest.mark.parametrize("label", [0, 1])
def test_one_class_is_undefined(metric, backend, label):
    y = np.full(6, label)
    values = evaluate(metric, np.zeros((3, 6)), y, backend=backend)
    assert values.shape == (3,)
    assert np.isnan(values).all()


@by_backend
@by_metric
@pytest.mark.parametrize("dtype", [np.float16, np.int8, np.int64, np.uint8, bool])
def test_other_types_are_ranked_as_numbers(metric, backend, dtype, rng):
    scores = rng.integers(0, 2, (4, 60)).astype(dtype)
    if dtype not in (np.uint8, bool):
        scores = (scores - rng.integers(0, 50, (4, 60))).astype(dtype)
    y = rng.random(60) < 0.5
    values = evaluate(metric, scores, y, backend=backend)
    assert_allclose(values, oracle(metric, scores, y), rtol=0, atol=1e-12)


@by_metric
def test_foreign_byte_order_and_lists_are_ranked_as_numbers(metric, rng):
    scores = rng.standard_normal((3, 50)).astype(np.float32)
    y = rng.random(50) < 0.5
    expected = oracle(metric, scores, y)
    for form in (scores.astype(">f4"), scores.astype(">f8"), scores.tolist()):
        assert_allclose(evaluate(metric, form, y), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "labels",
    [
        lambda y: y.astype(np.float64),
        lambda y: y.astype(np.int8),
        lambda y: y.tolist(),
        torch.tensor,
    ],
    ids=["float", "int8", "list", "tensor"],
)
@by_backend
def test_labels_of_any_type(backend, labels, rng):
    scores = rng.standard_normal((2, 30))
    y = rng.random(30) < 0.5
    values = evaluate("roc_auc", scores, labels(y), backend=backend)
    assert_array_equal(values, evaluate("roc_auc", scores, y, backend=backend))


VIEWS = {
    "every other sample": lambda scores: scores[:, ::2],
    "reversed": lambda scores: scores[:, ::-1],
    "every other row": lambda scores: scores[::2],
    "transposed": lambda scores: scores[:, : len(scores)].T,
}


@pytest.mark.parametrize("view", VIEWS)
@by_exact
@by_type
@by_metric
def test_views_are_ranked_and_left_as_they_were(metric, dtype, exact, view, rng):
    scores = rng.integers(-20, 20, (40, 80)).astype(dtype)
    before = scores.copy()
    scores.flags.writeable = False
    seen = VIEWS[view](scores)
    y = rng.random(seen.shape[1]) < 0.5
    values = evaluate(metric, seen, y, exact=exact)
    assert_allclose(values, oracle(metric, seen, y), rtol=0, atol=1e-12)
    assert_array_equal(scores, before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@by_exact
@by_metric
def test_tensor_views_are_ranked_and_left_as_they_were(metric, dtype, exact):
    scores = torch.randint(-20, 20, (40, 80)).to(dtype)
    before = scores.clone()
    for seen in (scores[:, ::2], scores[:, :40].T, scores[::2]):
        y = np.arange(seen.shape[1]) % 3 == 0
        values = METRICS[metric][0](seen, y, exact=exact).numpy()
        expected = oracle(metric, seen.numpy(), y)
        assert_allclose(values, expected, rtol=0, atol=1e-12)
    assert torch.equal(scores, before)


@by_metric
def test_tensors_that_need_a_gradient_are_ranked_without_one(metric):
    scores = torch.randn(2, 30, requires_grad=True)
    values = METRICS[metric][0](scores, alternating(30))
    assert not values.requires_grad


@by_backend
@by_metric
def test_no_vectors_give_no_values(metric, backend):
    values = evaluate(metric, np.zeros((0, 4)), [0, 1, 0, 1], backend=backend)
    assert values.shape == (0,)


@by_backend
@by_metric
@pytest.mark.parametrize(
    ("shape", "n_labels"), [((4,), 4), ((2, 4), 3), ((1, 2, 4), 4)], ids=str
)
def test_other_shapes_are_refused(metric, backend, shape, n_labels):
    with pytest.raises(ValueError, match=r"`scores` must have shape.*; got \("):
        evaluate(metric, np.zeros(shape), np.ones(n_labels), backend=backend)


# --- properties -------------------------------------------------------------------


@st.composite
def problems(draw):
    """Draw scores, many of them tied, with labels of both classes."""
    n = draw(st.integers(2, 30))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    width = 8 * np.dtype(dtype).itemsize
    floats = st.floats(allow_nan=False, width=width)
    elements = draw(
        st.sampled_from([floats, st.sampled_from([-1.0, -0.0, 0.0, 2.5, np.inf])])
    )
    scores = draw(arrays(dtype, (2, n), elements=elements))
    y = draw(arrays(np.bool_, n).filter(lambda y: 0 < y.sum() < len(y)))
    return scores, y


@by_backend
@by_metric
@few
@given(problem=problems())
def test_any_scores_agree_with_scikit_learn(metric, backend, problem):
    scores, y = problem
    values = evaluate(metric, scores, y, backend=backend)
    assert_allclose(values, oracle(metric, scores, y), rtol=0, atol=1e-12)


@by_exact
@by_backend
@by_metric
@few
@given(problem=problems(), seed=st.integers(0, 100))
def test_the_order_of_samples_does_not_matter(metric, backend, exact, problem, seed):
    scores, y = problem
    order = np.random.default_rng(seed).permutation(len(y))
    before = evaluate(metric, scores, y, backend=backend, exact=exact)
    after = evaluate(metric, scores[:, order], y[order], backend=backend, exact=exact)
    assert_array_equal(after, before)


@by_backend
@by_metric
@few
@given(problem=problems())
def test_strictly_monotone_maps_do_not_matter(metric, backend, problem):
    scores, y = problem
    dense = np.stack([rankdata(row, method="dense") for row in scores])
    before = evaluate(metric, scores, y, backend=backend)
    for mapped in (dense, dense.astype(np.float32), dense**3 - 1e5, np.exp(dense / 9)):
        assert_array_equal(evaluate(metric, mapped, y, backend=backend), before)


@by_exact
@by_backend
@few
@given(problem=problems())
def test_negated_scores_give_the_complement_of_the_auc(backend, exact, problem):
    scores, y = problem
    if not exact and scores.dtype == np.float32:  # what rounding keeps apart
        scores = (scores.view(np.int32) & ~3).view(np.float32)
    upright = evaluate("roc_auc", scores, y, backend=backend, exact=exact)
    negated = evaluate("roc_auc", -scores, y, backend=backend, exact=exact)
    assert_allclose(negated, 1 - upright, rtol=0, atol=1e-12)


@by_exact
@by_type
@by_metric
@few
@given(seed=st.integers(0, 50))
def test_both_backends_agree_to_the_last_digit(metric, dtype, exact, seed):
    rng = np.random.default_rng(seed)
    y = rng.random(64) < 0.5
    scores = np.round(rng.standard_normal((3, 64)), seed % 4).astype(dtype)
    on_numpy = evaluate(metric, scores, y, exact=exact)
    on_torch = evaluate(metric, scores, y, exact=exact, backend="torch")
    assert_allclose(on_torch, on_numpy, rtol=0, atol=1e-14)


@by_exact
@by_type
@by_metric
def test_blocks_of_score_vectors_do_not_matter(monkeypatch, metric, dtype, exact, rng):
    scores = rng.integers(0, 9, (11, 40)).astype(dtype)  # with ties
    y = rng.random(40) < 0.3
    whole = evaluate(metric, scores, y, exact=exact)
    for size in (1, 80, 200):
        monkeypatch.setattr(_numpy, "_BLOCK", size)
        assert_array_equal(evaluate(metric, scores, y, exact=exact), whole)
    assert_allclose(whole, oracle(metric, scores, y))
