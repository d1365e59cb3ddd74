"""``arrays.safetensors``: its header is checked before its arrays are read."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load

from cftlearn.persistence._document import strict_json
from cftlearn.persistence._faults import Fault, broken, shown

ARRAYS = "arrays.safetensors"

_DTYPES = {
    "BOOL": "?",
    "U8": "u1",
    "I8": "i1",
    "U16": "u2",
    "I16": "i2",
    "U32": "u4",
    "I32": "i4",
    "U64": "u8",
    "I64": "i8",
    "F16": "f2",
    "F32": "f4",
    "F64": "f8",
}


class StoredArrays:
    """The arrays of a model, each of which something must take.

    Parameters
    ----------
    arrays : dict of str to ndarray
        By name.
    """

    def __init__(self, arrays: dict[str, NDArray[Any]]) -> None:
        self._arrays = arrays
        self._untaken = set(arrays)

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    def take(self, name: str) -> NDArray[Any]:
        """Return an array.

        Raises
        ------
        Fault
            If there is none of this name.
        """
        if name not in self._arrays:
            raise Fault(f"{ARRAYS} must hold `{name:.60}`; got none")
        self._untaken.discard(name)
        return self._arrays[name]

    def take_numbers(self, name: str, shape: tuple[int | None, ...]) -> NDArray[Any]:
        """Return an array of floating-point numbers.

        Parameters
        ----------
        name : str
            Its name.
        shape : tuple of (int or None)
            Its shape; None stands for any length above 0.

        Raises
        ------
        Fault
            If there is none, or it is of another type or shape.
        """
        array = self.take(name)
        fits = len(array.shape) == len(shape) and all(
            found == needed if needed is not None else found > 0
            for found, needed in zip(array.shape, shape, strict=True)
        )
        if not fits:
            words = str(shape).replace("None", "any")
            raise broken(name, f"have shape {words}", array.shape, ARRAYS)
        if array.dtype not in (np.float64, np.float32):
            rule = "hold float64 or float32"
            raise broken(name, rule, array.dtype.name, ARRAYS)
        return array

    def check_all_taken(self) -> None:
        """Check that no array is left over.

        Raises
        ------
        Fault
            If one is.
        """
        if self._untaken:
            rule = "hold the arrays that model.json speaks of, and no others"
            raise Fault(f"{ARRAYS} must {rule}; got {shown(min(self._untaken))} too")


def read_arrays(data: bytes) -> StoredArrays:
    """Read the bytes of a safetensors file.

    Parameters
    ----------
    data : bytes
        The whole file.

    Returns
    -------
    arrays : StoredArrays
        By name.

    Raises
    ------
    Fault
        If it is damaged, or holds a type that numpy has not.
    """
    n_header = int.from_bytes(data[:8], "little")
    if n_header > len(data) - 8:  # also of fewer than 8 bytes
        raise Fault(
            f"{ARRAYS} must hold as many bytes as it says; got {len(data)}, so it was "
            "cut or changed"
        )
    try:
        text = data[8 : 8 + n_header].decode("utf-8")
    except UnicodeDecodeError:
        raise Fault(f"{ARRAYS} must have a header of text; got other bytes") from None
    header = strict_json(text, f"The header of {ARRAYS}")
    if not isinstance(header, dict):
        raise Fault(f"The header of {ARRAYS} must be an object; got {shown(header)}")
    header.pop("__metadata__", None)
    for name, entry in header.items():
        _check_entry(name, entry)
    try:
        return StoredArrays(load(data))
    except SafetensorError as error:
        raise Fault(f"{ARRAYS} must be a safetensors file; got {error!s:.80}") from None


def _check_entry(name: str, entry: Any) -> None:
    """Check one array's type, shape and length."""
    place = f"{name:.60}"
    keys = {"dtype", "shape", "data_offsets"}
    if not isinstance(entry, dict) or set(entry) != keys:
        raise broken(place, "have a type, a shape and offsets", entry, ARRAYS)
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise broken(place, "hold numbers or truth values", dtype, ARRAYS)
    for rule, lengths in (("a shape", shape), ("offsets", offsets)):
        is_list = isinstance(lengths, list)
        if not is_list or not all(type(n) is int and n >= 0 for n in lengths):
            raise broken(place, f"have {rule} of lengths", lengths, ARRAYS)
    n_bytes = math.prod(shape) * np.dtype(_DTYPES[dtype]).itemsize
    if len(offsets) != 2 or offsets[1] - offsets[0] != n_bytes:
        raise broken(place, f"have {n_bytes} bytes by its shape", offsets, ARRAYS)
