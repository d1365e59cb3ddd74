"""Read state dicts from files, without executing anything in them."""

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from cftlearn._files import check_regular
from cftlearn.exceptions import ModelFormatError, first_line
from cftlearn.networks._archives import cause_of, check_archive
from cftlearn.networks._errors import ArchiveError
from cftlearn.networks._pickles import check_pickles, is_archive

_WRAPPERS = ("state_dict", "model_state_dict", "model")
_MOST_HEADER = 10**8  # bytes, of safetensors
_SAVE_AGAIN = (
    "If you trust the file, load it by torch.load(path, weights_only=False) where its "
    "code is, and save the state_dict() of the network alone"
)
_COPY_AGAIN = "Copy it again, or save model.state_dict() again by torch.save"
_OTHER_FILES = (
    (b"version https://git-lfs", "is a pointer of Git LFS", "Run git lfs pull"),
    (
        b"\x89HDF",
        "is a file of HDF5",
        "A model of Keras goes through cftlearn.networks.load_keras",
    ),
    (b"<", "is text (HTML)", "Fetch it again"),
)


def read_state(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Read a state dict without executing anything in its file.

    Parameters
    ----------
    path : str or path
        A safetensors file, or one of ``torch.save``; the content tells which.

    Returns
    -------
    state : dict of str to Tensor
        On the CPU, each with its values.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ModelFormatError
        If it holds no state dict, or more than tensors and plain values; or it is
        damaged, or unpacks to much more than its own size.
    """
    file = Path(path)
    check_regular(file, f"`weights` must be a file; {file}", ModelFormatError)
    start = _start_of(file)
    try:
        if file.suffix == ".safetensors" or _is_safetensors(start, file):
            loaded: Any = load_file(file)
        else:
            _check_start(start, file)
            with file.open("rb") as content:
                if is_archive(content):
                    _check_kind(check_archive(content), file)
                check_pickles(content)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of torch, about types refused below
                loaded = torch.load(file, map_location="cpu", weights_only=True)
    except ModelFormatError:
        raise
    except (ArchiveError, SafetensorError) as error:
        raise _unreadable(file, first_line(error).rstrip(".")) from error
    except Exception as error:  # torch raises errors of any type
        raise _unreadable(file, cause_of(error)) from error
    return _tensors_of(loaded, file)


def _start_of(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(64)
    except OSError as error:
        raise ModelFormatError(
            f"`weights` must be a file that can be read; {file} cannot be opened "
            f"({error.strerror}). Check its permissions."
        ) from error


def _is_safetensors(start: bytes, file: Path) -> bool:
    n_bytes = int.from_bytes(start[:8], "little")
    return start[8:9] == b"{" and n_bytes <= min(file.stat().st_size, _MOST_HEADER)


def _check_start(start: bytes, file: Path) -> None:
    if not start:
        raise _unreadable(file, "it is empty", "Copy it again")
    for mark, what, remedy in _OTHER_FILES:
        if start.startswith(mark):
            raise _unreadable(file, f"it {what}", remedy)


def _check_kind(names: list[str], file: Path) -> None:
    """Check that an archive has weights, and no program."""
    inside = {name.partition("/")[2] for name in names}
    if "data.pkl" in inside and not any(name.startswith("code/") for name in inside):
        return
    is_network = "data.pkl" in inside or any("models/" in name for name in names)
    if is_network:
        raise _unreadable(
            file,
            "it is a program",
            "A TorchScript file or an exported program goes through "
            "cftlearn.networks.load_network",
        )
    raise _unreadable(file, "it is an archive of something else", "Check the path")


def _unreadable(file: Path, cause: str, remedy: str = "") -> ModelFormatError:
    if not remedy:
        remedy = _SAVE_AGAIN if "beside tensors" in cause else _COPY_AGAIN
    return ModelFormatError(
        f"`weights` must be a state dict, of tensors alone; {file} cannot be read as "
        f"one: {cause}. {remedy}."
    )


def _tensors_of(loaded: Any, file: Path) -> dict[str, Tensor]:
    """Find the state dict in a checkpoint."""
    for wrapper in _WRAPPERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(wrapper), Mapping):
            loaded = loaded[wrapper]
    tensors = isinstance(loaded, Mapping) and {
        key: value
        for key, value in loaded.items()
        if isinstance(key, str) and isinstance(value, Tensor)
    }
    if not tensors:
        raise ModelFormatError(
            f"`weights` must be a state dict; {file} holds a {type(loaded).__name__} "
            f"without tensors, or with entries other than {', '.join(_WRAPPERS)}."
        )
    for key, value in tensors.items():
        _check_dense(key, value, file)
    return tensors


def _check_dense(key: str, value: Tensor, file: Path) -> None:
    remedy = "Save the network in float32"
    if value.is_meta:
        kind, remedy = "on the device 'meta', without values", "Save the loaded network"
    elif value.layout != torch.strided:
        kind, remedy = f"{value.layout}", "Save it with to_dense()"
    elif value.is_nested or value.is_quantized:
        kind = "nested" if value.is_nested else "quantized"
    else:
        return
    raise ModelFormatError(
        f"`weights` must hold dense tensors; in {file}, {key!r} is {kind}. {remedy}."
    )
