"""Files of Keras: checked before Keras reads them, and read without needless refusals.

Keras allocates what a file declares, and older releases execute what it names.
"""

import inspect
import json
import math
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cftlearn._dependencies import import_optional
from cftlearn.exceptions import first_line
from cftlearn.networks._archives import check_archive
from cftlearn.networks._errors import ArchiveError

_HDF5 = b"\x89HDF\r\n\x1a\n"
_MOST_UNPACKED = 2**26
_MOST_RATIO = 20
_MOST_CONFIG = 2**27  # bytes
# Settings that are sizes of what Keras allocates, and the largest that networks have.
_SIZES = {
    "depth_multiplier",
    "filters",
    "input_dim",
    "key_dim",
    "max_tokens",
    "num_heads",
    "output_dim",
    "units",
    "value_dim",
}
_SHAPES = {"batch_input_shape", "batch_shape", "shape", "target_shape"}
_MOST_SIZE = 10**7
_MOST_INPUTS = 2**28  # numbers of a row
# Layers that hold code of Python, or a module that is pickled.
_CODE = {"Lambda", "TFOpLambda", "SlicingOpLambda", "TorchModuleWrapper", "JaxLayer"}
_HALF = {"bfloat16", "float16", "float64", "mixed_bfloat16", "mixed_float16"}


def read_config(file: Path) -> dict[str, Any]:
    """Check a file of Keras, and read the description of its model.

    Parameters
    ----------
    file : Path
        A regular file.

    Returns
    -------
    config : dict
        As Keras writes it in JSON.

    Raises
    ------
    ArchiveError
        If the file is damaged, declares much more than it holds, or holds code.
    """
    with file.open("rb") as opened:
        start = opened.read(8)
    if start == _HDF5:
        text = _hdf5_config(file)
    elif start[:2] == b"PK":
        text = _zipped_config(file)
    else:
        raise ArchiveError("neither HDF5 nor an archive")
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ArchiveError("damaged: the model is not described in JSON") from error
    if not isinstance(config, dict) or not isinstance(config.get("config"), dict):
        raise ArchiveError("damaged: it describes no model")
    for name, value in _settings(config):
        _check_setting(name, value)
    return config


def _hdf5_config(file: Path) -> str | bytes:
    h5py = import_optional("h5py", feature="load_keras", extra="keras")
    try:
        with h5py.File(file, "r") as opened:
            _check_hdf5(opened, file.stat().st_size)
            config = opened.attrs.get("model_config")
    except ArchiveError:
        raise
    except Exception as error:  # h5py raises errors of any type
        raise ArchiveError(f"damaged: {first_line(error).rstrip('.')}") from error
    if not isinstance(config, (str, bytes)):
        raise ArchiveError(
            "weights without a model; build it, load them, and call model.save(path)"
        )
    return config


def _zipped_config(file: Path) -> bytes:
    h5py = import_optional("h5py", feature="load_keras", extra="keras")
    with file.open("rb") as content:
        names = check_archive(content)
    if "config.json" not in names:
        raise ArchiveError("an archive without the config.json of a model")
    try:
        with zipfile.ZipFile(file) as archive:
            for name in names:
                if name.endswith(".h5"):
                    with archive.open(name) as entry, h5py.File(entry) as opened:
                        _check_hdf5(opened, archive.getinfo(name).file_size)
            if archive.getinfo("config.json").file_size > _MOST_CONFIG:
                raise ArchiveError("its config.json is too long for a model")
            return archive.read("config.json")
    except ArchiveError:
        raise
    except Exception as error:  # h5py raises errors of any type
        raise ArchiveError(f"damaged: {first_line(error).rstrip('.')}") from error


def _check_hdf5(opened: Any, n_bytes: int) -> None:
    """Check that a file holds itself what it declares."""
    declared = 0
    for item in _objects(opened):
        if hasattr(item, "dtype"):
            if item.external or item.is_virtual:
                raise ArchiveError("it takes weights from other files")
            declared += item.size * item.dtype.itemsize
        for name in item.attrs:
            attribute = item.attrs.get_id(name)
            declared += math.prod(attribute.shape) * attribute.dtype.itemsize
        if declared > max(_MOST_UNPACKED, _MOST_RATIO * n_bytes):
            raise ArchiveError(
                f"{n_bytes:,} bytes that declare {declared:,} or more, which no "
                "network does"
            )


def _objects(opened: Any) -> Iterator[Any]:
    """Yield groups and data sets of a file, each of them once."""
    h5py = import_optional("h5py", feature="load_keras", extra="keras")
    waiting, seen = [opened["/"]], set()
    while waiting:
        item = waiting.pop()
        place = h5py.h5o.get_info(item.id).addr
        if place in seen:
            continue
        seen.add(place)
        yield item
        if not isinstance(item, h5py.Group):
            continue
        for name in item:
            if isinstance(item.get(name, getlink=True), h5py.ExternalLink):
                raise ArchiveError("it takes weights from other files")
            waiting.append(item[name])


def _settings(config: Any) -> Iterator[tuple[str, Any]]:
    """Yield name and value of every setting, at any depth."""
    waiting = [config]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            yield from item.items()
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)


def _check_setting(name: str, value: Any) -> None:
    if name == "class_name" and value in _CODE:
        raise ArchiveError(f"a layer {value}, which is code and not executed")
    is_foreign = isinstance(value, str) and value.partition(".")[0] not in (
        "keras",
        "builtins",
    )
    if name == "module" and is_foreign:
        raise ArchiveError(f"code of {value}, which is not executed")
    most = _MOST_INPUTS if name in _SHAPES else _MOST_SIZE
    if name in _SHAPES and isinstance(value, list):
        numbers = [n for n in value if isinstance(n, int) and not isinstance(n, bool)]
        value = math.prod(abs(n) for n in numbers)
    is_size = name in _SIZES | _SHAPES and isinstance(value, (int, float))
    if is_size and not value <= most:
        raise ArchiveError(f"{name!r} is {value:g}, more than any network has")


def simplified(config: dict[str, Any], keras: Any) -> tuple[dict[str, Any], bool]:
    """Leave out what asks for nothing, and compute in single precision.

    Parameters
    ----------
    config : dict
        As :func:`read_config` returns it.
    keras : module
        Keras.

    Returns
    -------
    config : dict
        A copy without settings that the installed Keras does not know, if their value
        is the one that changes nothing, such as ``groups: 1``. Policies of half, mixed
        and double precision are float32.
    changed : bool
        Whether it differs.
    """
    new: dict[str, Any] = _simplified(config, keras)
    return new, new != config


def _simplified(item: Any, keras: Any) -> Any:
    if isinstance(item, list):
        return [_simplified(part, keras) for part in item]
    if not isinstance(item, dict):
        return item
    new = {name: _simplified(value, keras) for name, value in item.items()}
    settings = new.get("config")
    layer = getattr(keras.layers, str(new.get("class_name")), None)
    if not isinstance(settings, dict) or not inspect.isclass(layer):
        return new
    known = _arguments(layer)
    kept = {
        name: value
        for name, value in settings.items()
        if name in known or not _asks_for_nothing(name, value)
    }
    if _policy(kept.get("dtype")) in _HALF:
        kept["dtype"] = "float32"
    return new | {"config": kept}


def _arguments(layer: type) -> set[str]:
    """Return the arguments of a layer, with those that it passes on."""
    names: set[str] = set()
    for kind in layer.__mro__:
        if "__init__" in vars(kind):
            names |= set(inspect.signature(kind.__init__).parameters)  # type: ignore[misc]
    return names


def _asks_for_nothing(name: str, value: Any) -> bool:
    if value is None or value is False:
        return True
    ones = value if isinstance(value, list) else [value]
    return name in ("groups", "dilation_rate") and all(one == 1 for one in ones)


def _policy(dtype: Any) -> str:
    """Return the name of a policy of precision, which may be an object of Keras."""
    if isinstance(dtype, dict):
        settings = dtype.get("config")
        dtype = settings.get("name") if isinstance(settings, dict) else None
    return str(dtype)
