"""Arrays that are more than numbers are refused, and numbers of any kind are read."""

import datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from cftlearn.labels._plain_arrays import (
    read_numbers,
    refuse_masked,
    refuse_unlike_numbers,
    refuse_without_rows,
)

pd = pytest.importorskip("pandas")
TABLE = np.array([[1.0, 2.0], [3.0, 4.0]])
DAY = datetime.date(2020, 1, 1)


def frame_of(column):
    return pd.DataFrame({"a": [1.0, 2.0], "b": column})


@pytest.mark.parametrize(
    "values",
    [
        TABLE,
        TABLE.astype(np.float16),
        TABLE.astype(np.longdouble),
        TABLE.astype(np.uint8),
        TABLE.astype(">f8"),
        TABLE.astype(object),
        TABLE.tolist(),
        tuple(map(tuple, TABLE)),
        list(TABLE),
        pd.DataFrame(TABLE),
        pd.DataFrame(TABLE).astype("Int8"),
        pd.DataFrame(TABLE).astype("category"),
        pd.DataFrame(TABLE).astype(object),
        pd.DataFrame(TABLE).astype(pd.SparseDtype(float)),
        [[Decimal(1), Fraction(2)], [np.float32(3), 4]],
    ],
    ids=lambda values: f"{type(values).__name__} {getattr(values, 'dtype', '')}",
)
def test_numbers_of_any_kind_are_read(values):
    found = read_numbers(values, "X")
    assert type(found) is np.ndarray
    assert found.dtype == np.float64
    assert_array_equal(found, TABLE)
    assert_array_equal(np.asarray(refuse_unlike_numbers(values, "X")), TABLE)


def test_single_precision_stays_and_nothing_is_copied():
    values = TABLE.astype(np.float32)
    assert read_numbers(values, "X") is values
    assert refuse_unlike_numbers(TABLE, "X") is TABLE
    frame = frame_of([1, 2])
    assert refuse_unlike_numbers(frame, "X") is frame


def test_tensors_and_tables_of_other_libraries_are_read():
    torch = pytest.importorskip("torch")
    pa = pytest.importorskip("pyarrow")
    tables = torch.tensor(TABLE), pa.table({"a": [1.0, 3.0], "b": [2, 4]})
    for values in tables:
        assert_array_equal(read_numbers(values, "X"), TABLE)
    for tensor in (
        torch.tensor(TABLE, requires_grad=True),
        torch.tensor(TABLE, dtype=torch.bfloat16),
        torch.tensor(TABLE).to_sparse(),
    ):
        with pytest.raises(TypeError, match=r"numpy can read; .* X\.detach\(\)\.cpu"):
            read_numbers(tensor, "X")


def test_missing_cells_become_nan():
    for missing in (None, np.nan, pd.NA):
        found = read_numbers(np.array([[missing, 1]], dtype=object), "X")
        assert_array_equal(found, [[np.nan, 1.0]])


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        (np.ma.array(TABLE, mask=TABLE > 3), r"array, whose .* \(1 of 4 cells are"),
        (np.ma.array(TABLE), r"array, whose .* \(0 of 4 cells are"),
        ([TABLE[0], np.ma.array(TABLE[1], mask=True)], "array at index 1, .*2 of 2"),
        ((np.ma.array(TABLE[0]),), "array at index 0"),
    ],
    ids=["masked", "not masked", "list", "tuple"],
)
def test_masks_are_not_dropped(values, shown):
    with pytest.raises(TypeError, match=f"`X` must be a plain .* got a masked {shown}"):
        read_numbers(values, "X")


def test_the_remedies_for_masks_work():
    masked = np.ma.array(TABLE, mask=TABLE > 3)
    filled = np.ma.filled(masked, 0.5)
    refuse_masked(filled, "X")
    rows = [np.ma.filled(one, 0.5) for one in masked]
    assert_array_equal(read_numbers(rows, "X"), filled)
    with pytest.raises(TypeError, match=r"masked\)\. Leave it out\.$"):
        refuse_masked(masked, "X", remedy="Leave it out.")


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        (TABLE.astype("M8[D]"), r"dates \(dtype datetime64\[D\]\)"),
        (TABLE.astype("m8[s]"), r"durations \(dtype timedelta64\[s\]\)"),
        (TABLE.astype(str), r"text \(dtype <U32\)"),
        (TABLE.astype("S3"), r"bytes \(dtype \|S3\)"),
        (np.zeros(2, dtype=[("a", float)]), "records"),
        (np.zeros((2, 2), dtype=[("a", float)]), "records"),
        ([["1", "2"]], "text"),
        (np.array([["1", 2]], dtype=object), "'1' of type str in row 0, column 0"),
        (np.array([[1, DAY]], dtype=object), "of type date in row 0, column 1"),
        (np.array([[1], [b"2"]], dtype=object), "b'2' of type bytes in row 1, col"),
        (np.array([np.timedelta64(1, "D")], dtype=object), "of type timedelta64 in ro"),
        (frame_of(["1", "2"]), "'1' of type str in row 0 in column 'b'"),
        (
            frame_of(pd.Series(["1", "2"], dtype="category")),
            "str in row 0 in column 'b",
        ),
        (frame_of(pd.to_datetime(["2020"] * 2)), r"dates .* in column 'b'\)"),
        (frame_of(pd.to_datetime(["2020"] * 2, utc=True)), r"dates .* in column 'b'\)"),
        (frame_of(pd.to_timedelta([1, 2])), r"durations .* in column 'b'\)"),
        (frame_of(pd.period_range("2020", periods=2)), "of type Period in row 0 in co"),
        (frame_of([{}, {}]), "{} of type dict in row 0 in column 'b'"),
        (pd.Series(["1", "2"]), "'1' of type str in row 0"),
    ],
    ids=str,
)
def test_what_numpy_would_make_numbers_of_is_refused(values, shown):
    for read in (read_numbers, refuse_unlike_numbers):
        with pytest.raises(
            TypeError, match=f"`X` must hold real numbers; got .*{shown}"
        ):
            read(values, "X")


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ("abc", "text ('abc')"),
        (b"1", "bytes (b'1')"),
        (bytearray(b"12"), "bytes (bytearray(b'12'))"),
        (PurePosixPath("Z.npy"), "a path (PurePosixPath('Z.npy'))"),
        (max, "builtin_function_or_method"),
    ],
    ids=str,
)
def test_what_is_no_table_is_refused(values, shown):
    for read in (refuse_unlike_numbers, read_numbers):
        with pytest.raises(TypeError) as caught:
            read(values, "X")
        start = f"`X` must hold real numbers; got {shown}. Pass an array, a frame or "
        assert str(caught.value).startswith(start)


def test_complex_numbers_are_refused_as_scikit_learn_does():
    for values in (TABLE + 1j, frame_of([1j, 2j])):
        with pytest.raises(ValueError, match="Complex data not supported: `X` must"):
            refuse_unlike_numbers(values, "X")


@pytest.mark.parametrize("name", ["pyarrow", "polars"])
def test_columns_of_other_libraries_are_judged_one_by_one(name):
    pytest.importorskip(name)
    pa = pytest.importorskip("pyarrow")
    for column, shown in (
        ([DAY, DAY], r"dates .* in column 'b'"),
        (["1", "2"], "(text|'1' of type str)"),
    ):
        values = pa.table({"a": [1.0, 2.0], "b": column})
        if name == "polars":
            import polars

            values = polars.from_arrow(values)
        with pytest.raises(TypeError, match=f"real numbers; got {shown}"):
            refuse_unlike_numbers(values, "X")


def test_tables_that_are_not_computed_are_refused():
    class Lazy:
        columns = ("a",)

        def collect(self):
            raise AssertionError

    with pytest.raises(TypeError, match=r"in memory; got Lazy, .* Pass X\.collect\(\)"):
        refuse_unlike_numbers(Lazy(), "X")


def test_sparse_matrices_are_left_to_those_who_take_them():
    matrix = sparse.csr_array(TABLE)
    assert refuse_unlike_numbers(matrix, "X") is matrix
    with pytest.raises(TypeError, match=r"must be dense; .* Pass X\.toarray\(\)\."):
        read_numbers(matrix, "X")


def test_parts_of_different_shapes_are_refused():
    with pytest.raises(
        ValueError, match=r"different shapes\. Give all rows the same l"
    ):
        refuse_unlike_numbers([[1.0], [1.0, 2.0]], "X")
    with pytest.raises(ValueError, match=r"different shapes\. Cut them\."):
        read_numbers([TABLE, TABLE[:, :1]], "X", hint="Cut them.")


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        (None, r"None\. Pass an array, a frame or a list\."),
        ({"a": [1]}, r"a dict, whose items have names\. .*pandas\.DataFrame\(X\)"),
        ({1, 2}, r"a set, whose items have no order\. Pass a list of rows"),
        ((row for row in [[1.0]]), r"a generator, .* once\. Pass list\(X\)\."),
        (np.ones(2).flat, r"a flatiter, .* once\. Pass list\(X\)\."),
    ],
    ids=["None", "dict", "set", "generator", "flat"],
)
def test_what_has_no_rows_is_refused(values, shown):
    for read in (read_numbers, refuse_unlike_numbers, refuse_without_rows):
        with pytest.raises(
            TypeError, match=f"^`X` must hold rows in a fixed order; got {shown}"
        ):
            read(values, "X")


@pytest.mark.parametrize("takes_dataset", [True, False])
def test_a_data_loader_is_refused_with_what_to_pass(takes_dataset):
    torch_data = pytest.importorskip("torch.utils.data")

    class Own(torch_data.DataLoader):
        pass

    shown = r"X\.dataset; `batch_size` sets" if takes_dataset else "arrays that its"
    with pytest.raises(TypeError, match=f"got a Own, which gives batches.*{shown}"):
        refuse_without_rows(Own([1, 2]), "X", takes_dataset=takes_dataset)


def test_what_has_rows_passes():
    sparse_dict = sparse.dok_array(np.eye(2))  # a dict, too
    for values in ([1], (), np.ones(1), "text", range(3), sparse_dict):
        assert refuse_without_rows(values, "X") is None
