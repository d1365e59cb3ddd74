"""``network.pt``: checked in every part before torch reads it."""

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from cftlearn.networks._archives import open_archive
from cftlearn.networks._errors import ArchiveError
from cftlearn.networks._pickles import ITEM_BYTES, check_opcodes
from cftlearn.persistence._faults import Fault, shown

if TYPE_CHECKING:
    from torch import Tensor

NETWORK = "network.pt"

_MOST_BYTES = 2**24  # of the list of tensors: some 80,000 of them
_MOST_AXES = 64  # of a tensor, as in torch
_RULE = f"{NETWORK} must be the state dict of a network, of tensors and plain values"
_DAMAGED = "a list of tensors that cannot be read"
_UNREADABLE = (  # what pickle and torch raise for bytes that are none of theirs
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
)


class _Storage(NamedTuple):
    """Numbers of tensors: how many bytes each has, and all of them."""

    item_bytes: int
    n_bytes: int


def read_state(file: BinaryIO) -> "dict[str, Tensor]":
    """Read a state dict.

    Parameters
    ----------
    file : binary file object
        What ``torch.save`` wrote.

    Returns
    -------
    state : dict of str to Tensor
        On the CPU. A network may have written plain values beside its tensors.

    Raises
    ------
    Fault
        If the file would take more memory than it has bytes, or holds anything but
        tensors and plain values.
    """
    import torch

    check_state_file(file)
    try:
        state: dict[str, Tensor] = torch.load(
            file, map_location="cpu", weights_only=True
        )
    except _UNREADABLE as error:
        raise _no_state(_DAMAGED) from error
    return state  # as it is: torch keeps versions of layers beside the tensors


def check_state_file(file: BinaryIO) -> None:
    """Check a file of ``torch.save`` without reading its tensors.

    Parameters
    ----------
    file : binary file object
        Anywhere; at its beginning afterwards.

    Raises
    ------
    Fault
        If it is no state dict, or a tensor in it is larger than its bytes.
    """
    try:
        with open_archive(file) as archive:
            records = _check_records(archive)
            listed = archive.read(records["data.pkl"])
        check_opcodes(BytesIO(listed))
    except ArchiveError as error:
        raise Fault(f"{_RULE}; it is not ({error})") from error
    file.seek(0)
    try:
        state = _StateReader(listed, records).load()
    except _UNREADABLE as error:
        raise _no_state(_DAMAGED) from error
    if not isinstance(state, dict) or not all(isinstance(key, str) for key in state):
        raise _no_state(f"a {type(state).__name__}")


def _check_records(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Check that records are as long as their bytes; return them by name."""
    records: dict[str, zipfile.ZipInfo] = {}
    folders = set()
    for record in archive.infolist():
        folder, _, name = record.filename.partition("/")
        folders.add(folder)
        is_plain = record.compress_type == zipfile.ZIP_STORED
        if not is_plain or record.compress_size != record.file_size:
            raise Fault(
                f"{NETWORK} must hold uncompressed records; got {shown(name)} of "
                f"{record.file_size} bytes in {record.compress_size}"
            )
        if name in records or len(folders) > 1:
            raise _no_state(f"a second record {shown(name)}")
        records[name] = record
    if "data.pkl" not in records or "constants.pkl" in records:
        raise _no_state("an archive of something else")
    if records["data.pkl"].file_size > _MOST_BYTES:
        raise Fault(f"{NETWORK} must list its tensors in {_MOST_BYTES} bytes; got more")
    return records


class _StateReader(pickle.Unpickler):
    """Reads the list of tensors, and makes none: it compares sizes.

    It knows the few names below and no others, and none of them does anything. What it
    accepts, torch's own weights-only loader reads afterwards.
    """

    def __init__(self, listed: bytes, records: dict[str, zipfile.ZipInfo]) -> None:
        super().__init__(BytesIO(listed))
        self._records = records

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a name."""
        known: dict[tuple[str, str], Callable[..., Any]] = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch", "Size"): tuple,
            ("builtins", "set"): set,
            ("_codecs", "encode"): _encode,
            ("torch._utils", "_rebuild_parameter"): _keep_first,
            ("torch._utils", "_rebuild_tensor_v2"): _check_tensor,
            ("torch._utils", "_rebuild_tensor_v3"): _check_typed_tensor,
        }
        module = "builtins" if module == "__builtin__" else module  # of Python 2
        if (module, name) in known:
            return known[module, name]
        if module in ("torch", "torch.storage") and name in ITEM_BYTES:
            return _Storage(ITEM_BYTES[name], 0)
        if module == "torch":
            import torch

            dtype = getattr(torch, name, None)
            if isinstance(dtype, torch.dtype):
                return _Storage(dtype.itemsize, 0)
        raise _no_state(shown(f"{module}.{name}"))

    def persistent_load(self, pid: Any) -> _Storage:
        """Return the size of a storage, which must be that of its record."""
        is_known = isinstance(pid, tuple) and len(pid) == 5 and pid[0] == "storage"
        if not is_known or not isinstance(pid[1], _Storage):
            raise _no_state(shown(pid))
        _, kind, key, _, n_items = pid
        record = self._records.get(f"data/{key}")
        n_bytes = kind.item_bytes * n_items if type(n_items) is int else -1
        if record is None or record.file_size != n_bytes:
            found = "none" if record is None else record.file_size
            raise Fault(
                f"{NETWORK} must hold {n_bytes} bytes in record {shown(key)}; got "
                f"{found}"
            )
        return _Storage(kind.item_bytes, n_bytes)


def _check_tensor(
    storage: Any, offset: Any, shape: Any, strides: Any, *_: Any
) -> _Storage:
    """Check that a tensor lies in its storage, and is not larger."""
    lengths = (offset, *shape, *strides)
    is_known = isinstance(storage, _Storage) and len(shape) == len(strides)
    are_lengths = all(type(n) is int and n >= 0 for n in lengths)
    if not is_known or not are_lengths or len(shape) > _MOST_AXES:
        raise _no_state(f"a tensor of shape {shown(shape)}")
    # A stride of 0 repeats numbers, and takes no memory.
    reach = [(n - 1) * step for n, step in zip(shape, strides, strict=True)]
    most = storage.n_bytes // storage.item_bytes
    if 0 not in shape and offset + sum(reach) >= most:
        raise Fault(
            f"{NETWORK} must hold all numbers of its tensors; got shape "
            f"{shown(tuple(shape))} in a storage of {most}"
        )
    return storage


def _check_typed_tensor(
    storage: Any,
    offset: Any,
    shape: Any,
    strides: Any,
    needs_gradient: Any,
    hooks: Any,
    dtype: Any,
    *_: Any,
) -> _Storage:
    """Check a tensor whose storage has no type."""
    if not isinstance(dtype, _Storage) or not isinstance(storage, _Storage):
        raise _no_state("a tensor without a type")
    typed = _Storage(dtype.item_bytes, storage.n_bytes)
    return _check_tensor(typed, offset, shape, strides)


def _keep_first(tensor: Any, *_: Any) -> Any:
    return tensor


def _encode(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise _no_state(f"bytes in {shown(encoding)}")
    return text.encode("latin1")


def _no_state(found: str) -> Fault:
    return Fault(f"{_RULE}; got {found}")
