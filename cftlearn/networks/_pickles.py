"""Pickles of torch: checked before torch reads them, without executing anything."""

import io
import pickle
import pickletools
import zipfile
from typing import IO, Any

from cftlearn.networks._errors import ArchiveError

# A type that torch's reader of weights calls with any size, and that is then filled.
_NO_WEIGHTS = {"builtins bytearray", "__builtin__ bytearray"}
_PUTS = {"PUT", "BINPUT", "LONG_BINPUT"}
_LEGACY_PICKLES = 4  # mark, version, byte order and sizes, and then the weights
ITEM_BYTES = {  # of torch's types of storages
    "BoolStorage": 1,
    "ByteStorage": 1,
    "CharStorage": 1,
    "UntypedStorage": 1,
    "BFloat16Storage": 2,
    "HalfStorage": 2,
    "ShortStorage": 2,
    "FloatStorage": 4,
    "IntStorage": 4,
    "QInt32Storage": 4,
    "ComplexFloatStorage": 8,
    "DoubleStorage": 8,
    "LongStorage": 8,
    "ComplexDoubleStorage": 16,
}


def is_archive(file: IO[bytes]) -> bool:
    """Return whether a file is an archive, if perhaps a damaged one."""
    try:
        return zipfile.is_zipfile(file)
    except zipfile.BadZipFile:  # Python asks no more than that of some
        return True


def check_pickles(file: IO[bytes]) -> None:
    """Check the pickles of ``torch.save`` or ``torch.jit.save``.

    Parameters
    ----------
    file : binary file
        An archive whose sizes were checked, or a file in torch's older format.

    Raises
    ------
    ArchiveError
        If they are no pickles, name a type that takes any amount of memory, or name
        more numbers than are stored: torch would read what is behind them in memory.
    """
    if not is_archive(file):
        file.seek(0)
        for _ in range(_LEGACY_PICKLES):
            check_opcodes(file)
        return
    with zipfile.ZipFile(file) as archive:
        sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
        for name in sizes:
            folder, _, own = name.rpartition("/")
            if not own.endswith("pkl"):
                continue
            content = archive.read(name)
            check_opcodes(io.BytesIO(content))
            if own in ("data.pkl", "constants.pkl"):
                _check_storages(content, f"{folder}/{own.removesuffix('.pkl')}", sizes)


def check_opcodes(content: IO[bytes]) -> None:
    """Check the instructions of one pickle, and read to its end; execute none.

    Parameters
    ----------
    content : binary file
        At the beginning of the pickle.

    Raises
    ------
    ArchiveError
        If it is no pickle, or would take any amount of memory.
    """
    try:
        for number, (opcode, argument, _) in enumerate(pickletools.genops(content)):
            if opcode.name == "GLOBAL" and argument in _NO_WEIGHTS:
                name = str(argument).replace(" ", ".")
                raise ArchiveError(f"it holds a {name} beside tensors")
            # Python would make a list of that length.
            if opcode.name in _PUTS and int(argument or 0) > number:
                raise ArchiveError("it is damaged: its pickle skips numbers")
    except (ValueError, IndexError, MemoryError, OverflowError) as error:
        raise ArchiveError("it is no file of torch.save, or damaged") from error


def _check_storages(content: bytes, folder: str, sizes: dict[str, int]) -> None:
    """Check that the numbers a pickle names are stored, as many as it says."""
    reader = _StorageReader(io.BytesIO(content))
    try:
        reader.load()
    except Exception as error:  # pickle raises errors of any type
        raise ArchiveError("it is damaged: its pickle cannot be read") from error
    for kind, key, length in reader.storages:
        stored = sizes.get(f"{folder}/{key}")
        if stored is None or not isinstance(length, int) or length < 0:
            raise ArchiveError(f"it is damaged: its numbers {key!r} are missing")
        if stored < length * ITEM_BYTES.get(kind, 1):
            raise ArchiveError(
                f"it is damaged: {length:,} numbers {key!r} have only {stored:,} bytes"
            )


class _Inert:
    """What stands for every class and function that a pickle names; does nothing."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __setstate__(self, state: Any) -> None: ...

    def __setitem__(self, key: Any, value: Any) -> None: ...

    def append(self, item: Any) -> None: ...

    def extend(self, items: Any) -> None: ...


class _StorageReader(pickle.Unpickler):
    """Read which numbers a pickle names; nothing is imported, called or made."""

    def __init__(self, content: IO[bytes]) -> None:
        super().__init__(content)
        self.storages: list[tuple[str, str, Any]] = []

    def find_class(self, module: str, name: str) -> type[_Inert]:
        return type(name, (_Inert,), {"__module__": module})

    def persistent_load(self, pid: Any) -> _Inert:
        if isinstance(pid, tuple) and len(pid) >= 5 and pid[0] == "storage":
            self.storages.append((getattr(pid[1], "__name__", ""), str(pid[2]), pid[4]))
        return _Inert()
