"""Inputs from what a user has: numbers, images, a Dataset."""

from pathlib import Path

import numpy as np
import pytest
import torch
from input_parts import Pixels, Squares, paths_below, read, values_of
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from cftlearn._inputs import is_array_like, read_inputs
from cftlearn.exceptions import ImageFileError
from cftlearn.images import ImageTransform

Image = pytest.importorskip("PIL.Image", reason="the images extra")


WORKERS = [0, 2]


pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")  # 1 core


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
        lambda paths: pytest.importorskip("numpy", minversion="2.0").array(
            paths, dtype=np.dtypes.StringDType()
        ),
        lambda paths: [Path(path) for path in paths],
        lambda paths: pytest.importorskip("pandas").Series(paths, index=range(3, 11)),
        lambda paths: pytest.importorskip("pandas").Index(paths),
    ],
    ids=["list", "tuple", "array", "objects", "texts", "Path", "Series", "Index"],
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
        ({"a": 1}, TypeError, r"must hold rows in a fixed order; got a dict, whose"),
        (iter([1]), TypeError, r"got a list_iterator, which .* Pass list\(X\)"),
        (DataLoader([1]), TypeError, r"got a DataLoader.* Pass .* X\.dataset;"),
        (np.zeros((2, 3), complex), TypeError, r"must hold numbers .* type complex128"),
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
    with pytest.raises(ImageFileError, match=r"without any \(\.apng, .*\.webp\)"):
        read_inputs(tmp_path, Pixels())


def test_one_image_is_no_list_of_rows():
    image = Image.new("L", (4, 3))
    assert not is_array_like(image)
    with pytest.raises(TypeError, match=r"one image of the size \(4, 3\).*: \[image\]"):
        read_inputs(image, Pixels())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: torch.empty(2, 3, device="meta"), "on the device 'meta', which has"),
        (lambda: [torch.empty(3, device="meta")], "on the device 'meta'"),
        (lambda: torch.eye(2).to_sparse(), r"is torch\.sparse_coo, .*x\.to_dense\(\)"),
        (lambda: torch.eye(2).to_sparse_csr(), r"is torch\.sparse_csr"),
    ],
    ids=["meta", "list of meta", "sparse", "sparse rows"],
)
@pytest.mark.filterwarnings("ignore:Sparse")
def test_tensors_without_all_their_values_are_refused(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        read_inputs(make())


def test_a_range_of_values_belongs_to_the_transform(tmp_path):
    values = np.array([[0, 4095]], np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    with pytest.raises(ImageFileError, match="All are below 4,096"):
        read(read_inputs(tmp_path, ImageTransform((1, 2))))
    transform = ImageTransform((1, 2), mean=0, std=1, value_range=(0, 4095))
    assert read(read_inputs(tmp_path, transform))[0, 0].tolist() == [[0, 1]]


def test_what_is_no_file_is_told(folder):
    with pytest.raises(ImageFileError, match="1 of 1 are folders, pipes or devices"):
        read_inputs([folder], Pixels())
