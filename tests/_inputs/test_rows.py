"""Rows of a network's input, in memory or read when they are needed."""

from pathlib import Path

import numpy as np
import pytest
from input_parts import Pixels, Squares, paths_below, read, values_of

from cftlearn._inputs import read_inputs
from cftlearn.exceptions import ImageFileError

Image = pytest.importorskip("PIL.Image", reason="the images extra")

WORKERS = [0, 2]
pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")  # 1 core


def test_rows_of_arrays_are_transformed_one_by_one(rng):
    X = rng.standard_normal((6, 4))
    inputs = read_inputs(X, lambda row: row.reshape(2, 2) * 2)
    assert inputs.row_shape == (4,)
    np.testing.assert_allclose(read(inputs), 2 * X.reshape(6, 2, 2), rtol=1e-6)


def test_rows_can_be_taken_by_indices_and_masks(folder):
    inputs = read_inputs(folder, Pixels())
    paths = paths_below(folder)
    taken = inputs.take([7, 2, 2]).take([True, False, True])
    assert len(taken) == 2
    assert taken.location(1) == f"row 2 ({paths[2]!r})"
    np.testing.assert_array_equal(read(taken), values_of([paths[7], paths[2]]))
    assert len(inputs.take([])) == 0
    assert len(inputs) == 8


def test_taken_arrays_are_not_copied(rng):
    X = rng.standard_normal((9, 2))
    taken = read_inputs(X).take(X[:, 0] > 0)
    assert taken.items is X
    np.testing.assert_array_equal(read(taken), X[X[:, 0] > 0].astype(np.float32))


def test_inputs_are_equal_where_their_rows_are(folder, rng):
    paths, X = paths_below(folder), rng.standard_normal((8, 2))
    arrays, images = read_inputs(X), read_inputs(paths, Pixels())
    assert arrays.equals(read_inputs(X.copy()))
    assert not arrays.equals(read_inputs(X[::-1]))
    assert not arrays.equals(read_inputs(X[:4]))
    assert arrays.take([1, 2]).equals(read_inputs(X[1:3]))
    assert images.equals(read_inputs(folder, Pixels()))
    assert not images.equals(images.take([1, 0, 2, 3, 4, 5, 6, 7]))
    assert not images.equals(arrays)
    assert not arrays.equals(images)


def test_a_transform_replaces_the_inputs_own_one(folder, rng):
    inputs = read_inputs(folder, Pixels())
    flipped = read(inputs, transform=lambda image: Pixels()(image)[:, :, ::-1])
    np.testing.assert_array_equal(flipped, values_of(paths_below(folder))[..., ::-1])
    X = rng.standard_normal((3, 2))
    doubled = read(read_inputs(X), transform=lambda row: 2 * row)
    np.testing.assert_allclose(doubled, 2 * X, rtol=1e-6)


@pytest.mark.parametrize("num_workers", WORKERS)
def test_images_that_cannot_be_read_are_named_or_skipped(folder, num_workers):
    paths = paths_below(folder)
    for row in (1, 4, 5):
        Path(paths[row]).write_bytes(b"")
    inputs = read_inputs(paths, Pixels())
    batches = [np.array(rows) for rows in ([7, 1, 0], [4, 5], [2])]
    place = (
        rf"`X` must hold images that can be read; row 1: Image '{paths[1]}' is empty"
    )
    with pytest.raises(ImageFileError, match=place):
        list(inputs.batches(batches, num_workers=num_workers))
    skipped = []
    kept = list(inputs.batches(batches, num_workers=num_workers, skipped=skipped))
    assert [rows.tolist() for rows, _ in kept] == [[7, 0], [2]]
    assert [(row, path) for row, path, _ in skipped] == [
        (row, paths[row]) for row in (1, 4, 5)
    ]
    assert "is empty (0 bytes)" in skipped[0].reason


@pytest.mark.parametrize("num_workers", WORKERS)
@pytest.mark.parametrize("skipped", [None, []], ids=["raise", "skip"])
def test_rows_of_different_shapes_name_both(folder, num_workers, skipped):
    paths = paths_below(folder)
    Image.new("RGB", (9, 9)).save(paths[3])
    inputs = read_inputs(paths, Pixels())
    message = (
        rf"row 7 \('{paths[7]}'\) and row 3 \('{paths[3]}'\) of shapes \(3, 4, 5\) and "
        r"\(3, 9, 9\).* Resize in `transform`"
    )
    options = {"num_workers": num_workers, "skipped": skipped}
    with pytest.raises(ValueError, match=message):
        list(inputs.batches([np.array([7, 0, 3])], **options))
    apart = list(inputs.batches([np.array([7, 0]), np.array([3])], **options))
    assert len(apart) == 2


def test_rows_of_different_types_name_both():
    def make(row):
        return np.zeros(2, dtype=np.uint8 if row else np.float32)

    with pytest.raises(ValueError, match=r"row 0 and row 1 .*float32 and torch\.uint8"):
        read(read_inputs(Squares(2, make)))


def fail(_):
    raise KeyError("no such colour")


@pytest.mark.parametrize("num_workers", WORKERS)
def test_a_failing_transform_names_the_row(folder, num_workers):
    inputs = read_inputs(folder, fail).take([6, 2])
    message = r"row 2 \('.*'\) failed: KeyError: 'no such colour'"
    with pytest.raises(ValueError, match=message) as caught:
        list(inputs.batches([np.array([1])], num_workers=num_workers))
    if num_workers:
        assert "in fail" in caught.value.__notes__[0]
    else:
        assert isinstance(caught.value.__cause__, KeyError)


def test_a_sentence_of_a_failing_transform_ends_once():
    def fail(_):
        raise RuntimeError("It is empty.")

    with pytest.raises(ValueError, match=r"failed: RuntimeError: It is empty\.$"):
        read(read_inputs(np.ones((1, 2)), fail))


@pytest.mark.parametrize("item", ["text", None, {"x": 1}, np.array(["a"])], ids=str)
def test_items_that_are_no_numbers_are_refused(item):
    with pytest.raises(ValueError, match=r"row 0 failed: TypeError: got \w+\. Make a"):
        read(read_inputs(Squares(1, lambda _: item)))
