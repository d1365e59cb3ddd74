"""Rows of two inputs, one after the other."""

import pickle

import numpy as np
import pytest
import torch
from input_parts import Noise, Pixels, Squares, read, values_of

from cftlearn._inputs import ArrayInputs, read_inputs
from cftlearn._inputs._rows import join_inputs
from cftlearn.exceptions import ImageFileError


def png_files(photos):
    return sorted(str(path) for path in (photos / "images").glob("*.png"))


@pytest.fixture
def arrays(rng):
    return rng.standard_normal((5, 3)), rng.standard_normal((4, 3))


def test_arrays_become_one_array(arrays):
    joined = join_inputs(*map(read_inputs, arrays))
    assert isinstance(joined, ArrayInputs)
    assert joined.row_shape == (3,)
    expected = torch.from_numpy(np.concatenate(arrays)).float()
    assert torch.equal(read(joined), expected)
    assert joined.equals(read_inputs(np.concatenate(arrays)))


def test_arrays_are_copied(arrays):
    joined = join_inputs(*map(read_inputs, arrays))
    before = read(joined)
    arrays[0][:] = arrays[1][:] = 0
    assert torch.equal(read(joined), before)


def test_taken_rows_stay_taken(arrays):
    first, second = map(read_inputs, arrays)
    joined = join_inputs(first.take([4, 1]), second.take([2]))
    expected = np.stack([arrays[0][4], arrays[0][1], arrays[1][2]])
    assert torch.equal(read(joined), torch.from_numpy(expected).float())
    assert torch.equal(read(joined.take([2, 0])), read(joined)[[2, 0]])


def test_a_memory_map_is_read_when_needed(arrays, tmp_path):
    np.save(tmp_path / "a.npy", arrays[0])
    stored = ArrayInputs(np.load(tmp_path / "a.npy", mmap_mode="r"))
    assert isinstance(stored.items, np.memmap)
    for parts in ((stored, read_inputs(arrays[1])), (read_inputs(arrays[1]), stored)):
        joined = join_inputs(*parts)
        assert len(joined) == 9
        assert not isinstance(joined.items, np.ndarray)
        assert torch.equal(read(joined), torch.cat([read(part) for part in parts]))


def test_the_transform_of_the_first_is_kept(arrays):
    first, second = (read_inputs(X, transform=np.negative) for X in arrays)
    joined = join_inputs(first, second)
    expected = -torch.from_numpy(np.concatenate(arrays)).float()
    assert torch.equal(read(joined), expected)
    assert torch.equal(read(joined, transform=np.abs), expected.abs())


def test_paths_stay_with_their_rows(photos):
    paths = png_files(photos)[:6]
    first, second = (read_inputs(part, Pixels()) for part in (paths[:4], paths[4:]))
    joined = join_inputs(first.take([3, 0]), second)
    chosen = [paths[3], paths[0], *paths[4:]]
    np.testing.assert_array_equal(read(joined).numpy(), values_of(chosen))
    assert [joined.path(row) for row in range(4)] == chosen
    assert joined.location(3) == f"row 3 ({paths[5]!r})"


def test_an_unreadable_file_of_the_second_is_named(photos, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    paths = png_files(photos)[:2]
    joined = join_inputs(
        read_inputs(paths, Pixels()), read_inputs([str(broken)], Pixels())
    )
    with pytest.raises(ImageFileError, match=r"row 2: .*broken\.png"):
        read(joined)


def test_an_array_beside_a_dataset_is_read_by_rows():
    own = np.full((2, 2), 7.0)
    data = read_inputs(Squares(3, make=lambda row: (np.full(2, float(row)), "label")))
    joined = join_inputs(read_inputs(own), data)
    assert joined.paths is None
    assert read(joined)[:, 0].tolist() == [7, 7, 0, 1, 2]


def test_workers_read_the_same(arrays, photos):
    paths = png_files(photos)[:4]
    joined = join_inputs(
        read_inputs(paths[:2], Pixels()), read_inputs(paths[2:], Pixels())
    )
    assert torch.equal(read(joined, num_workers=2), read(joined))
    noisy = join_inputs(*(read_inputs(X, Noise()) for X in arrays))
    assert torch.equal(read(noisy, num_workers=2, seed=3), read(noisy, seed=3))
    assert torch.equal(read(pickle.loads(pickle.dumps(joined))), read(joined))


def test_inputs_can_be_joined_with_themselves(arrays, photos):
    paths = png_files(photos)[:2]
    for own in (read_inputs(arrays[0]), read_inputs(paths, Pixels())):
        joined = join_inputs(own, own)
        assert torch.equal(read(joined), torch.cat([read(own), read(own)]))
    assert [joined.path(row) for row in range(4)] == [*paths, *paths]
