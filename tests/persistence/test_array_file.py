"""The file of arrays: its header before its arrays, and every array taken."""

import json
import struct

import numpy as np
import pytest
from safetensors.numpy import save

from cftlearn.persistence._array_file import StoredArrays, read_arrays
from cftlearn.persistence._faults import Fault


def file_of(header, rest=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + rest


def entry(dtype="F64", shape=(1,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


@pytest.mark.parametrize("dtype", list("?bBhHiIqQefd"))
def test_all_types(dtype):
    array = np.arange(6).reshape(2, 3).astype(dtype)
    stored = read_arrays(save({"a": array, "none": np.zeros((0, 3))}))
    np.testing.assert_array_equal(stored.take("a"), array)
    assert stored.take("a").dtype == array.dtype
    assert stored.take("none").shape == (0, 3)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "as many bytes as it says; got 0"),
        (b"\xff" * 8, "as many bytes as it says; got 8"),
        (file_of({"a": entry()}), "must be a safetensors file"),
        (file_of(b"\xff\xff"), "a header of text"),
        (file_of(b"[" * 10**5), "at most 100 levels deep"),
        (file_of([1]), "must be an object"),
        (file_of(b'{"a": 1, "a": 2}'), "name everything once"),
        (file_of({"a": 7}), "a type, a shape and offsets; got 7"),
        (
            file_of({"a": entry("BF16")}, bytes(8)),
            "numbers or truth values; got 'BF16'",
        ),
        (file_of({"a": entry(shape=[True])}, bytes(8)), "a shape of lengths"),
        (file_of({"a": entry(shape=[-1])}, bytes(8)), "a shape of lengths"),
        (file_of({"a": entry(shape=[2**70])}, bytes(8)), "bytes by its shape"),
        (file_of({"a": entry(offsets=[0])}, bytes(8)), "8 bytes by its shape"),
        (file_of({"a": entry(offsets=[8, 16])}, bytes(8)), "must be a safetensors"),
        (file_of({"a": entry(), "b": entry()}, bytes(8)), "must be a safetensors"),
    ],
)
def test_damaged_files(data, match):
    with pytest.raises(Fault, match=match):
        read_arrays(data)


def test_what_must_be_taken():
    stored = StoredArrays({"a": np.zeros((2, 3)), "b": np.zeros(2, np.float32)})
    assert "a" in stored
    with pytest.raises(Fault, match="must hold `c`; got none"):
        stored.take("c")
    stored.take_numbers("a", (2, None))
    with pytest.raises(Fault, match="and no others; got 'b' too"):
        stored.check_all_taken()
    stored.take_numbers("b", (2,))
    stored.check_all_taken()


@pytest.mark.parametrize(
    ("array", "shape", "match"),
    [
        (np.zeros((2, 3)), (2, 2), r"have shape \(2, 2\); got \(2, 3\)"),
        (np.zeros((2, 3)), (6,), r"have shape \(6,\); got \(2, 3\)"),
        (np.zeros((2, 0)), (2, None), r"have shape \(2, any\); got \(2, 0\)"),
        (np.zeros(2, np.float16), (2,), "hold float64 or float32; got 'float16'"),
        (np.zeros(2, np.int64), (2,), "hold float64 or float32; got 'int64'"),
    ],
)
def test_numbers_of_another_kind(array, shape, match):
    with pytest.raises(Fault, match=match):
        StoredArrays({"a": array}).take_numbers("a", shape)
