import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from cftlearn.labels import check_partial_labels, decode_labels, encode_labels

PACKAGES = ["mlcpl", "csl", "hcp", "torchmetrics", "scikit-activeml"]
SHAPES = array_shapes(min_dims=2, max_dims=2, max_side=6)
LABELS = arrays(float, SHAPES, elements=st.sampled_from([0.0, 1.0, np.nan]))
Y = np.array([[1.0, 0.0, np.nan], [np.nan, 1.0, 0.0]])


@given(LABELS, st.sampled_from(PACKAGES))
def test_there_and_back(y, package):
    decoded = decode_labels(encode_labels(y, to=package), source=package)
    np.testing.assert_array_equal(decoded, y)
    assert decoded.dtype == np.float64


@given(LABELS, st.integers(-(2**40), 2**40).filter(lambda code: code not in (0, 1)))
def test_there_and_back_with_a_code_of_ones_own(y, code):
    for package, name in (
        ("torchmetrics", "ignore_index"),
        ("scikit-activeml", "missing_label"),
    ):
        encoded = encode_labels(y, to=package, **{name: code})
        decoded = decode_labels(encoded, source=package, **{name: code})
        np.testing.assert_array_equal(decoded, y)


def test_the_codes():
    nan = np.nan
    expected = {
        "mlcpl": [[1, 0, nan], [nan, 1, 0]],
        "csl": [[1, 0, -1], [-1, 1, 0]],
        "hcp": [[1, -1, 0], [0, 1, -1]],
        "torchmetrics": [[1, 0, -1], [-1, 1, 0]],
        "scikit-activeml": [[1, 0, nan], [nan, 1, 0]],
    }
    dtypes = {"csl": "i1", "hcp": "i1", "torchmetrics": "i8"}
    for package, cells in expected.items():
        encoded = encode_labels(Y, to=package)
        np.testing.assert_array_equal(encoded, cells)
        assert encoded.dtype == np.dtype(dtypes.get(package, "f8"))


@pytest.mark.parametrize("package", PACKAGES)
def test_frames_keep_names_and_index(package):
    frame = pd.DataFrame(Y, columns=["a", "b", "c"], index=["x", "y"])
    encoded = encode_labels(frame, to=package)
    decoded = decode_labels(encoded, source=package)
    pd.testing.assert_frame_equal(decoded, frame)
    assert list(encoded.index) == ["x", "y"]
    assert list(encoded.columns) == ["a", "b", "c"]


def test_integers_of_mlcpl_have_no_nan():
    decoded = decode_labels(np.array([[1, 0, -1]], dtype=np.int8), source="mlcpl")
    np.testing.assert_array_equal(decoded, [[1, 0, np.nan]])


def test_none_is_a_missing_label_of_scikit_activeml():
    encoded = encode_labels(Y, to="scikit-activeml", missing_label=None)
    assert encoded.tolist() == [[1, 0, None], [None, 1, 0]]
    decoded = decode_labels(encoded, source="scikit-activeml", missing_label=None)
    np.testing.assert_array_equal(decoded, Y)


def test_floats_of_csl_are_read():
    """The code is named, so that -1 has one meaning."""
    decoded = decode_labels([[1.0, 0.0, -1.0]], source="csl")
    np.testing.assert_array_equal(decoded, [[1, 0, np.nan]])


def test_the_result_is_a_copy():
    y = Y.copy()
    for call in (encode_labels, decode_labels):
        result = call(y, "mlcpl")
        result[:] = 0
        np.testing.assert_array_equal(y, Y)
    read = check_partial_labels(Y)
    decode_labels(read, "mlcpl")[:] = 0
    np.testing.assert_array_equal(read.values, Y)


# The packages themselves


def test_mlcpl_reads_the_code(monkeypatch):
    losses = pytest.importorskip("mlcpl.losses", reason="mlcpl is not installed")
    from cftlearn.losses import PartialBCEWithLogitsLoss

    target = torch.from_numpy(encode_labels(Y, to="mlcpl")).float()
    logits = torch.linspace(-2, 2, 6).reshape(2, 3)
    theirs = losses.PartialBCEWithLogitLoss(reduction="none")(logits, target)
    ours = PartialBCEWithLogitsLoss(reduction="none")(logits, target)
    torch.testing.assert_close(theirs.nan_to_num(), ours)


@pytest.mark.parametrize("code", [-1, -100])
def test_torchmetrics_reads_the_code(code):
    functional = pytest.importorskip(
        "torchmetrics.functional.classification", reason="torchmetrics is not installed"
    )
    from cftlearn.metrics import partial_roc_auc_score

    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, (60, 3)).astype(float)
    y = np.where(rng.random(truth.shape) < 0.4, np.nan, truth)
    scores = rng.random(truth.shape)
    theirs = functional.multilabel_auroc(
        torch.from_numpy(scores),
        torch.from_numpy(encode_labels(y, to="torchmetrics", ignore_index=code)),
        num_labels=3,
        average=None,
        ignore_index=code,
    )
    ours = partial_roc_auc_score(y, scores, average=None)
    np.testing.assert_allclose(theirs.numpy(), ours, atol=1e-6)


@pytest.mark.parametrize("code", [np.nan, None, -1])
def test_scikit_activeml_reads_the_code(code):
    utils = pytest.importorskip(
        "skactiveml.utils", reason="scikit-activeml is not installed"
    )
    encoded = encode_labels(Y, to="scikit-activeml", missing_label=code)
    is_labelled = utils.is_labeled(encoded, missing_label=code)
    np.testing.assert_array_equal(is_labelled, ~np.isnan(Y))
