"""Rows of a network's input, in memory or read when they are needed."""

import os
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from cftlearn._inputs import ArrayInputs, is_array_like, read_inputs, to_tensor
from cftlearn.exceptions import ImageFileError

Image = pytest.importorskip("PIL.Image", reason="the images extra")

WORKERS = [0, 2]
pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")  # 1 core


class Pixels:
    """Bytes of an image, channels first; workers find it by its name."""

    def __call__(self, image):
        return np.array(image).transpose(2, 0, 1)


class Noise:
    """Add something from every global generator."""

    def __call__(self, row):
        drawn = torch.rand(()).item() + np.random.rand() + random.random()
        return torch.from_numpy(np.asarray(row, dtype=np.float64)) + drawn


class Squares(Dataset):
    def __init__(self, n_rows=9, make=lambda row: (np.full(2, row**2), "label")):
        self.n_rows, self.make = n_rows, make

    def __len__(self):
        return self.n_rows

    def __getitem__(self, row):
        return self.make(row)


class Endless(IterableDataset):
    def __iter__(self):
        yield 0


class Stored:
    """An array on disk, as h5py has it: no rows in any order."""

    def __init__(self, values):
        self.values, self.shape, self.dtype = values, values.shape, values.dtype

    def __len__(self):
        return len(self.values)

    def __getitem__(self, row):
        assert isinstance(row, (int, slice))
        return self.values[row]


@pytest.fixture
def folder(tmp_path, rng):
    """Eight images below a folder, and what is no image."""
    for row in range(8):
        part = tmp_path / ("ä" if row % 2 else "b")
        part.mkdir(exist_ok=True)
        values = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
        Image.fromarray(values).save(part / f"{row}.{'PNG' if row % 3 else 'bmp'}")
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "0.png").write_bytes(b"hidden")
    (tmp_path / "b" / "._0.png").write_bytes(b"hidden")
    (tmp_path / "labels.csv").write_text("image,dog")
    (tmp_path / "folder.png").mkdir()
    return tmp_path


def paths_below(folder):
    return sorted(
        str(path)
        for path in folder.rglob("[0-9].*")
        if path.is_file() and ".cache" not in path.parts
    )


def read(inputs, **options):
    """Read all rows at once."""
    batch = list(inputs.batches([np.arange(len(inputs))], **options))
    assert len(batch) == 1
    assert batch[0][0].tolist() == list(range(len(inputs)))
    return batch[0][1]


def values_of(paths):
    arrays = []
    for path in paths:
        with Image.open(path) as image:
            arrays.append(np.array(image).transpose(2, 0, 1))
    return np.stack(arrays)


# ------------------------------------------------------------------- in memory
@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (np.float64, torch.float32),
        (np.float16, torch.float32),
        (">f8", torch.float32),
        (np.int64, torch.int64),
        (np.uint8, torch.uint8),
        (bool, torch.bool),
    ],
)
def test_arrays_give_their_rows(rng, dtype, expected):
    X = rng.integers(0, 2, (7, 2, 3)).astype(dtype)[:, ::-1]
    inputs = read_inputs(X)
    assert inputs.row_shape == (2, 3)
    tensor = read(inputs)
    assert tensor.dtype == expected
    np.testing.assert_array_equal(tensor, X.astype(np.float64))
    order = np.array([6, 0, 0, 3])
    ((rows, batch),) = inputs.batches([order])
    assert rows.tolist() == order.tolist()
    np.testing.assert_array_equal(batch, X[order].astype(np.float64))


@pytest.mark.parametrize(
    "X",
    [
        [[1.0, 2.0], [3.0, 4.0]],
        torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True),
        torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.bfloat16),
        [torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])],
    ],
    ids=["list", "gradient", "bfloat16", "list of tensors"],
)
def test_whatever_holds_numbers_is_an_array(X):
    assert is_array_like(X)
    assert read(read_inputs(X)).tolist() == [[1, 2], [3, 4]]


def test_frames_are_arrays():
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame({"a": [1.0, 3.0], "b": [2.0, 4.0]})
    assert is_array_like(X)
    assert read(read_inputs(X)).tolist() == [[1, 2], [3, 4]]


def test_memory_maps_are_not_read_whole(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(12.0).reshape(4, 3))
    X = np.load(tmp_path / "a.npy", mmap_mode="r")
    inputs = read_inputs(X)
    assert np.shares_memory(inputs.items, X)
    np.testing.assert_array_equal(read(inputs.take([2])), X[2:3])


def test_arrays_on_disk_are_read_row_by_row(rng):
    X = rng.standard_normal((6, 2, 3))
    inputs = read_inputs(Stored(X))
    assert not is_array_like(Stored(X))
    assert inputs.row_shape == (2, 3)
    ((_, batch),) = inputs.batches([np.array([4, 0, 4])])
    np.testing.assert_array_equal(batch, X[[4, 0, 4]].astype(np.float32))


def test_rows_of_arrays_are_transformed_one_by_one(rng):
    X = rng.standard_normal((6, 4))
    inputs = read_inputs(X, lambda row: row.reshape(2, 2) * 2)
    assert inputs.row_shape == (4,)
    np.testing.assert_allclose(read(inputs), 2 * X.reshape(6, 2, 2), rtol=1e-6)


# -------------------------------------------------------------------- datasets
@pytest.mark.parametrize(
    "make",
    [
        lambda row: (np.full(2, row**2), "label"),
        lambda row: [torch.full((2,), row**2), 1],
        lambda row: torch.full((2,), row**2),
        lambda row: np.full(2, row**2),
    ],
    ids=["tuple", "list", "tensor", "array"],
)
def test_datasets_give_items_or_their_first_parts(make):
    inputs = read_inputs(Squares(make=make))
    assert inputs.row_shape is None
    assert not is_array_like(Squares())
    assert read(inputs)[:, 1].tolist() == [row**2 for row in range(9)]


def test_scalar_items_make_a_vector():
    assert read(read_inputs(Squares(make=np.float64))).shape == (9,)


def test_tensor_datasets_are_datasets():
    X = torch.rand(5, 3)
    assert torch.equal(read(read_inputs(TensorDataset(X, torch.ones(5)))), X)


def test_datasets_without_a_length_are_refused():
    with pytest.raises(TypeError, match=r"must be a map-style Dataset.* got Endless"):
        read_inputs(Endless())


# ---------------------------------------------------------------------- images
@pytest.mark.parametrize(
    "make",
    [
        list,
        tuple,
        np.array,
        lambda paths: np.array(paths, dtype=object),
        lambda paths: [Path(path) for path in paths],
        lambda paths: pytest.importorskip("pandas").Series(paths, index=range(3, 11)),
        lambda paths: pytest.importorskip("pandas").Index(paths),
    ],
    ids=["list", "tuple", "array", "objects", "Path", "Series", "Index"],
)
def test_paths_are_read_when_needed(folder, make):
    paths = paths_below(folder)
    X = make(paths)
    assert not is_array_like(X)
    inputs = read_inputs(X, Pixels())
    assert len(inputs) == 8
    assert inputs.row_shape is None
    assert inputs.location(3) == f"row 3 ({paths[3]!r})"
    np.testing.assert_array_equal(read(inputs), values_of(paths))


@pytest.mark.parametrize("kind", [str, Path])
def test_a_folder_gives_the_images_below_it_in_the_order_of_their_names(folder, kind):
    inputs = read_inputs(kind(folder), Pixels())
    assert list(inputs.paths) == paths_below(folder)
    assert not is_array_like(kind(folder))


def test_images_in_memory(folder):
    images = [Image.open(path).copy() for path in paths_below(folder)]
    inputs = read_inputs(images, Pixels())
    assert inputs.location(2) == "row 2"
    np.testing.assert_array_equal(read(inputs), values_of(paths_below(folder)))


# ------------------------------------------------------------------------ take
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


# ------------------------------------------------------------------ randomness
@pytest.mark.parametrize("num_workers", WORKERS)
def test_what_is_random_depends_on_the_seed_alone(folder, num_workers):
    inputs = read_inputs(folder, Noise())
    batches = np.array_split(np.random.default_rng(1).permutation(8), 3)

    def draw(seed, num_workers=0):
        pairs = inputs.batches(iter(batches), seed=seed, num_workers=num_workers)
        rows, values = zip(*pairs, strict=True)
        assert all(map(np.array_equal, rows, batches))
        return torch.cat(values)

    random.seed(3)
    first = draw(5)
    torch.rand(1), np.random.rand(), random.random()
    again = draw(5, num_workers)
    assert first.dtype == torch.float32
    assert torch.equal(first, again)
    assert not torch.equal(first, draw(6))


def test_rows_of_one_batch_and_batches_draw_differently():
    inputs = read_inputs(np.zeros((4, 1)), Noise())
    batches = [np.array([0, 0, 1]), np.array([0, 0, 1])]
    values = torch.cat([batch for _, batch in inputs.batches(batches)])
    assert len(values.unique()) == 6


def test_the_global_generators_are_left_alone(folder):
    inputs = read_inputs(folder, Noise())
    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    expected = torch.rand(1).item(), np.random.rand(), random.random()
    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    list(inputs.batches(inputs.in_order(3)))
    assert (torch.rand(1).item(), np.random.rand(), random.random()) == expected


def test_a_transform_replaces_the_inputs_own_one(folder, rng):
    inputs = read_inputs(folder, Pixels())
    flipped = read(inputs, transform=lambda image: Pixels()(image)[:, :, ::-1])
    np.testing.assert_array_equal(flipped, values_of(paths_below(folder))[..., ::-1])
    X = rng.standard_normal((3, 2))
    doubled = read(read_inputs(X), transform=lambda row: 2 * row)
    np.testing.assert_allclose(doubled, 2 * X, rtol=1e-6)


# ---------------------------------------------------------------------- errors
@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ([], ValueError, r"`X` must hold at least one row; got none"),
        (np.empty((0, 3)), ValueError, r"must hold at least one row"),
        (Squares(0), ValueError, r"must hold at least one row"),
        (5, TypeError, r"numbers with rows first.* got int of shape \(\)"),
        ([[1], [2, 3]], ValueError, r"must hold rows of one shape; .* torch Dataset"),
        ([["a"], ["b"]], TypeError, r"got list of shape \(2, 1\) and type <U1"),
        ({"a": 1}, TypeError, r"must hold numbers .* got dict"),
        (["a.png", None], TypeError, r"paths in every row.* got None in row 1\. Leave"),
        (["a.png", 3.5], TypeError, r"paths in every row.* got 3\.5 in row 1"),
        ("no/such/folder", ImageFileError, r"'no/such/folder', which is not there"),
        (["a.png", b"b.png"], TypeError, r"got b'b\.png' in row 1"),
    ],
)
def test_other_inputs_are_refused(X, error, message):
    with pytest.raises(error, match=message):
        read_inputs(X, Pixels() if isinstance(X, list) and X[:1] == ["a.png"] else None)


def test_sparse_matrices_are_refused():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match=r"numbers with rows first"):
        read_inputs(sparse.eye_array(3))


def test_names_of_parameters_reach_the_errors(folder):
    names = {"name": "X_val", "transform_name": "input_transform"}
    with pytest.raises(ValueError, match=r"`X_val` holds images.*`input_transform`"):
        read_inputs(folder, **names)
    with pytest.raises(TypeError, match=r"`input_transform` must be callable; got int"):
        read_inputs(folder, 3, **names)
    with pytest.raises(ValueError, match=r"`X_val` and `input_transform` must give"):
        read(read_inputs(folder, lambda image: image, **names))


def test_images_need_a_transform(folder):
    message = (
        r"`X` holds images, which need the parameter `transform`.*ImageTransform\(224\)"
    )
    with pytest.raises(ValueError, match=message):
        read_inputs(folder)
    with pytest.raises(ValueError, match=message):
        read_inputs([Image.new("L", (3, 3))])


def test_missing_files_are_told_at_once(folder, monkeypatch):
    monkeypatch.chdir(folder)
    X = ["b/0.bmp", "b/9.png", "b"]
    message = (
        r"2 of 3 do not exist, the first is row 1 \('b/9\.png'\), seen from "
        rf"{folder}\. Check"
    )
    with pytest.raises(ImageFileError, match=message):
        read_inputs(X, Pixels())
    assert len(read_inputs(X, Pixels(), check_files=False)) == 3
    with pytest.raises(ImageFileError, match=r"1 of 1 do not exist"):
        read_inputs(["a text, not a path " * 20], Pixels())


def test_a_single_file_is_no_folder(folder):
    with pytest.raises(ImageFileError, match=r"a single path; .* a file\. Pass a list"):
        read_inputs(folder / "labels.csv", Pixels())


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / "a.txt").touch()
    with pytest.raises(ImageFileError, match=r"without any \(\.bmp, \.gif, "):
        read_inputs(tmp_path, Pixels())


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


@pytest.mark.parametrize("item", ["text", None, {"x": 1}, np.array(["a"])], ids=str)
def test_items_that_are_no_numbers_are_refused(item):
    with pytest.raises(ValueError, match=r"row 0 failed: TypeError: got \w+\. Make a"):
        read(read_inputs(Squares(1, lambda _: item)))


def test_transforms_that_cannot_travel_are_refused(folder, monkeypatch):
    monkeypatch.setattr("multiprocessing.get_start_method", lambda: "spawn")
    inputs = read_inputs(folder, lambda image: image)
    with pytest.raises(TypeError, match=r"pickle can send .* or pass num_workers=0"):
        list(inputs.batches(inputs.in_order(4), num_workers=1))


def leave(_):
    os._exit(1)


def test_a_process_that_ends_is_told():
    inputs = read_inputs(np.zeros((4, 1)), leave)
    with pytest.raises(RuntimeError, match=r"A process that read rows ended.*num_work"):
        list(inputs.batches([np.arange(4)], num_workers=1))


# ------------------------------------------------------------------- to_tensor
def test_views_with_gaps_and_read_only_arrays_are_handed_over():
    array = np.arange(12.0).reshape(3, 4)[:, ::2]
    array.flags.writeable = False
    assert to_tensor(array).tolist() == [[0, 2], [4, 6], [8, 10]]
    assert ArrayInputs(array).row_shape == (2,)
