"""Archives of torch: checked before anything in them is unpacked or executed."""

import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from cftlearn.exceptions import first_line
from cftlearn.networks._errors import ArchiveError
from cftlearn.networks._pickles import check_pickles, is_archive

_BLOCK_BYTES = 2**20
# torch compresses code alone, which is small and has no long runs of one byte.
_MOST_UNPACKED = 2**26
_MOST_RATIO = 20
_MOST_ENTRIES = 1_000_000
_MOST_JSON = 2**28  # bytes of a program's operators
_EXPRESSION = re.compile(r"(?:[A-Za-z0-9_ +\-*/%(),<>=!&|~]|(?<=[0-9])\.)*")
_SMALL_CALL = re.compile(r"(?<![A-Za-z0-9_])[a-z_][A-Za-z0-9_]*\s*\(")


@contextmanager
def open_archive(file: IO[bytes]) -> Iterator[zipfile.ZipFile]:
    """Open an archive; what is none, or damaged where it is read, is an ArchiveError.

    Parameters
    ----------
    file : binary file
        Open for reading.

    Yields
    ------
    archive : zipfile.ZipFile
        Of which nothing was checked but its list of entries.

    Raises
    ------
    ArchiveError
        If it is no archive, or an entry that is read is damaged or has a password.
    """
    if not is_archive(file):
        raise ArchiveError("no archive")
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive
    except (
        zipfile.BadZipFile,
        EOFError,
        NotImplementedError,  # of a compression that Python does not know
        OSError,
        RuntimeError,  # of a password
        ValueError,
        zlib.error,
    ) as error:
        raise ArchiveError(f"damaged: {first_line(error).rstrip('.')}") from error


def check_archive(file: IO[bytes]) -> list[str]:
    """Check sizes and checksums of an archive; unpack nothing.

    Parameters
    ----------
    file : binary file
        Open for reading.

    Returns
    -------
    names : list of str
        Of its entries.

    Raises
    ------
    ArchiveError
        If it is no archive, is damaged, or unpacks to much more than its own size.
    """
    n_bytes = file.seek(0, io.SEEK_END)
    with open_archive(file) as archive:
        entries = archive.infolist()
        _check_sizes(entries, n_bytes)
        for entry in entries:
            _check_content(archive, entry)
    return [entry.filename for entry in entries]


def _check_sizes(entries: list[zipfile.ZipInfo], n_bytes: int) -> None:
    unpacked = sum(entry.file_size for entry in entries)
    most = max(_MOST_UNPACKED, _MOST_RATIO * n_bytes)
    if unpacked > most or len(entries) > _MOST_ENTRIES:
        raise ArchiveError(
            f"{n_bytes:,} bytes that unpack to {unpacked:,} in {len(entries):,} "
            "entries, which no network does"
        )
    names = {entry.filename for entry in entries}
    if len(names) != len(entries):
        raise ArchiveError("damaged: two entries have one name")


def _check_content(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    """Read an entry to its end, where Python compares its checksum."""
    n_bytes = 0
    with archive.open(entry) as content:
        while block := content.read(_BLOCK_BYTES):
            n_bytes += len(block)
    if n_bytes != entry.file_size:
        raise ArchiveError(f"damaged: {entry.filename!r} is cut short")


def check_program(file: Path) -> None:
    """Check that no code of Python is executed when a program is loaded.

    torch executes pickles of a program, and Python expressions of its sizes.

    Parameters
    ----------
    file : Path
        An archive that was checked.

    Raises
    ------
    ArchiveError
        If it holds code.
    """
    with zipfile.ZipFile(file) as archive:
        for entry in archive.infolist():
            folder, _, name = entry.filename.rpartition("/")
            if "/aotinductor" in f"/{folder}":
                raise ArchiveError("it holds compiled code, which is not executed")
            if name.endswith(".json"):
                _check_json(archive, entry)
            elif name.endswith(".pt"):
                _check_pickle(archive, entry)


def _check_json(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    if entry.file_size > _MOST_JSON:
        raise ArchiveError(f"{entry.filename!r} has {entry.file_size:,} bytes")
    try:
        document = json.loads(archive.read(entry))
    except (ValueError, RecursionError) as error:
        raise ArchiveError(f"damaged: {entry.filename!r} is no JSON") from error
    for key, value in _members(document):
        is_pickle = key == "use_pickle" and value is True
        is_pickle |= key == "path_name" and str(value).startswith("opaque_obj")
        if is_pickle:
            raise ArchiveError(
                "it holds pickled objects, which are code and not executed"
            )
        if key == "expr_str" and not _is_expression(value):
            raise ArchiveError("it holds an expression that is code, not a size")


def _members(document: Any) -> Iterator[tuple[str, Any]]:
    """Yield the members of all objects in a document of JSON."""
    waiting = [document]
    while waiting:
        item = waiting.pop()
        parts: Iterable[Any] = item if isinstance(item, list) else ()
        if isinstance(item, dict):
            yield from item.items()
            parts = item.values()
        waiting.extend(part for part in parts if isinstance(part, (dict, list)))


def _is_expression(text: Any) -> bool:
    """Return whether a text is arithmetic on sizes, such as Max(Symbol('s0'), 2)."""
    if not isinstance(text, str) or "__" in text:
        return False
    unquoted = re.sub(r"'[A-Za-z0-9_]*'", "", text)
    is_plain = _EXPRESSION.fullmatch(unquoted) is not None
    return is_plain and _SMALL_CALL.search(unquoted) is None


def _check_pickle(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    """Check that torch reads a pickle as tensors, and need not execute it."""
    import torch

    content = archive.read(entry)
    if not content:
        return
    nested = io.BytesIO(content)
    if is_archive(nested):
        check_archive(nested)
    check_pickles(nested)
    try:
        torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises errors of any type
        raise ArchiveError(
            f"{entry.filename!r} holds more than tensors, which is not executed"
        ) from error


def cause_of(error: BaseException) -> str:
    """Say in a few words why torch cannot read weights.

    Parameters
    ----------
    error : Exception
        Of ``torch.load``.

    Returns
    -------
    cause : str
        Without advice and colours of torch.
    """
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    found = re.search(r"GLOBAL (\S+) was not|instantiate (?:type|class) (\S+)", text)
    if found is not None:
        name = (found.group(1) or found.group(2)).rstrip(",.")
        return f"it holds a {name} beside tensors"
    found = re.search(
        r"(?:WeightsUnpickler error|PytorchStreamReader \S+ ?): ?(.*)", text
    )
    line = found.group(1) if found is not None else text.strip().partition("\n")[0]
    # Torch goes on with what its own developers or a caller of torch.load might do.
    sentence = re.split(r"\. (?=[A-Z])", line or type(error).__name__)[0]
    return sentence.strip().rstrip(".") or type(error).__name__
