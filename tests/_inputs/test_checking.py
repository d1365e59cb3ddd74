"""Inputs of a network that a user passes to an estimator."""

import numpy as np
import pytest
import torch
from input_parts import Squares, read
from sklearn.base import BaseEstimator

from cftlearn._inputs import read_network_inputs


@pytest.fixture
def estimator():
    return BaseEstimator()


@pytest.mark.parametrize(
    "convert",
    [
        np.asarray,
        np.ndarray.tolist,
        torch.from_numpy,
        lambda X: list(torch.from_numpy(X)),
    ],
    ids=["array", "list", "tensor", "list of tensors"],
)
def test_numbers_in_memory_set_the_number_of_features(estimator, rng, convert):
    X = rng.standard_normal((5, 3, 4))
    inputs = read_network_inputs(estimator, convert(X), None, None)
    assert estimator.n_features_in_ == 3
    assert inputs.row_shape == (3, 4)
    np.testing.assert_array_equal(read(inputs), X.astype(np.float32))


def test_numbers_must_be_finite(estimator):
    with pytest.raises(ValueError, match="contains NaN"):
        read_network_inputs(estimator, np.full((2, 3), np.nan), None, None)


def test_other_inputs_have_no_number_of_features(estimator):
    read_network_inputs(estimator, np.ones((5, 3)), None, None)
    assert len(read_network_inputs(estimator, Squares(), None, None)) == 9
    assert not hasattr(estimator, "n_features_in_")


def test_names_of_columns_are_kept_until_another_fit(estimator):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(np.ones((5, 3)), columns=list("abc"))
    read_network_inputs(estimator, frame, None, None)
    assert estimator.feature_names_in_.tolist() == ["a", "b", "c"]
    read_network_inputs(estimator, Squares(), None, (3,))  # a prediction
    assert estimator.feature_names_in_.tolist() == ["a", "b", "c"]
    read_network_inputs(estimator, Squares(), None, None)
    assert not hasattr(estimator, "feature_names_in_")


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((3,), r"rows of shape \(3, 4\) .* got shape \(3,\)\. Pass x\[np\.newaxis\]"),
        ((3, 4), r"rows of shape \(3, 4\) .* got shape \(3, 4\)\. Pass x\[np"),
        ((5, 2, 4), r"rows of shape \(3, 4\) .* got shape \(5, 2, 4\)"),
        ((0, 3, 4), r"`X` must hold at least one row; got none"),
    ],
    ids=str,
)
def test_rows_of_another_shape_are_refused_after_fit(estimator, shape, message):
    read_network_inputs(estimator, np.ones((5, 3, 4)), None, None)
    with pytest.raises(ValueError, match=message):
        read_network_inputs(estimator, np.ones(shape), None, (3, 4))


def test_images_of_another_size_are_left_to_the_network(estimator):
    read_network_inputs(estimator, np.ones((5, 3, 4)), None, None)
    other = read_network_inputs(estimator, np.ones((5, 3, 9)), None, (3, 4))
    assert other.row_shape == (3, 9)


def test_any_rows_are_taken_where_their_shape_in_fit_is_unknown(estimator):
    read_network_inputs(estimator, Squares(), None, None)
    inputs = read_network_inputs(estimator, np.ones((5, 2)), None, ())
    assert inputs.row_shape == (2,)


def test_errors_name_the_transform_of_the_estimator(estimator):
    inputs = read_network_inputs(estimator, np.ones((2, 3)), str, None)
    with pytest.raises(ValueError, match="`X` and `input_transform` must give"):
        read(inputs)
