"""Damaged images and files of networks: each is read, or refused in our words.

Files of all formats that are read are damaged by chance, and read one by one in
processes of their own. Anything but a result or an error of ours is a finding: another
error, a process that dies, a file that takes more than two GiB or half a minute. Of
archives, half are damaged inside, with right checksums::

    python benchmarks/fuzz_images.py --n 10000 --seed 0
    python benchmarks/fuzz_images.py --n 3000 --only networks
"""

import io
import os
import struct
import sys
import tempfile
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from _fuzzing import mutated, mutated_archive, report, try_all
from _machine import describe_machine
from _trials import trial_parser

from cftlearn.exceptions import ImageFileError, ModelFormatError

OUR_ERRORS = (ValueError, OSError, ArithmeticError)  # ModelFormatError is a ValueError


def main() -> int:
    parser = trial_parser(__doc__, 3_000, "damaged images, and of networks")
    parser.add_argument("--only", choices=["images", "networks"], help="one of both")
    parser.add_argument("--keep", type=Path, default=None, help="folder of findings")
    arguments = parser.parse_args()
    print(*describe_machine(["cftlearn", "numpy", "pillow", "torch"]), sep="\n")
    is_fine = True
    seeds = list(range(arguments.seed, arguments.seed + arguments.n))
    for name, case, files in (
        ("images", image_case, images),
        ("networks", network_case, networks),
    ):
        if arguments.only in (None, name):
            files()  # here once, not in every process
            is_fine &= report(name, *try_all(case, seeds), arguments.keep)
    return 0 if is_fine else 1


def image_case(seed: int) -> str:
    """Read one damaged image; return what came of it."""
    from cftlearn.images import read_image

    rng = np.random.default_rng([seed, 0])
    names = sorted(images())
    name = names[int(rng.integers(len(names)))]
    data = mutated(images()[name], rng)
    kind = name.partition(" ")[0]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.image")
        path.write_bytes(data)
        mode = "RGB" if rng.random() < 0.5 else "L"
        value_range = (0, 4095) if rng.random() < 0.3 else None
        try:
            image = read_image(path, mode=mode, value_range=value_range)
        except ImageFileError as error:
            check_text(error, folder)
            return f"{kind} refused"
        if image.mode != mode or np.asarray(image).dtype != np.uint8:
            raise AssertionError(f"{image.mode} instead of {mode}")
    return f"{kind} read"


def check_text(error: Exception, folder: str) -> None:
    """Check that an error is of one line, and names the file."""
    text = str(error)
    if "\n" in text or "\x1b" in text or folder not in text:
        raise AssertionError(f"the message {text!r}")


@cache
def images() -> dict[str, bytes]:
    """Small images of every format and mode that pillow writes."""
    from PIL import Image, features

    rng = np.random.default_rng(0)
    colours = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
    deep = Image.fromarray(rng.integers(0, 65536, (24, 32), dtype=np.uint16))
    modes = {mode: colours.convert(mode) for mode in ("1", "L", "P", "RGB", "CMYK")}
    modes["RGBA"] = colours.copy()
    modes["RGBA"].putalpha(colours.convert("L"))
    modes["LA"] = modes["RGBA"].convert("LA")
    modes["I;16"] = deep
    modes["F"] = colours.convert("F")
    ways: dict[str, dict[str, Any]] = {
        "PNG": {},
        "JPEG": {},
        "TIFF": {},
        "TIFF lzw": {"compression": "tiff_lzw"},
        "TIFF deflate": {"compression": "tiff_adobe_deflate"},
        "TIFF jpeg": {"compression": "jpeg"},
        "TIFF group4": {"compression": "group4"},
        "BMP": {},
        "DIB": {},
        "GIF": {},
        "PPM": {},
        "WEBP": {},
        "WEBP lossless": {"lossless": True},
        "JPEG2000": {},
        "AVIF": {},
    }
    exif = Image.Exif()
    exif[0x0112] = 6
    found = {}
    for way, options in ways.items():
        for mode, image in modes.items():
            kept = {"exif": exif} if way in ("PNG", "JPEG", "WEBP") else {}
            content = saved(image, way.partition(" ")[0], options | kept)
            if content:
                found[f"{way} {mode}"] = content
    if features.check("libtiff"):
        white = io.BytesIO()
        modes["L"].save(white, "TIFF", tiffinfo={262: 0})
        found["TIFF white is zero"] = white.getvalue()
    pages = io.BytesIO()
    modes["RGB"].save(pages, "TIFF", save_all=True, append_images=[modes["L"]])
    found["TIFF pages"] = pages.getvalue()
    photograph = io.BytesIO()
    modes["RGB"].save(photograph, "MPO", save_all=True, append_images=[modes["RGB"]])
    found["MPO photograph"] = photograph.getvalue()
    return found


def saved(image: Any, way: str, options: dict[str, Any]) -> bytes:
    """Write an image; empty if its mode has no such file."""
    out = io.BytesIO()
    try:
        image.save(out, way, **options)
    except (KeyError, OSError, ValueError, TypeError, struct.error):
        return b""
    return out.getvalue()


def network_case(seed: int) -> str:
    """Load one damaged file of a network; return what came of it."""
    rng = np.random.default_rng([seed, 1])
    names = sorted(networks())
    name = names[int(rng.integers(len(names)))]
    data, load = networks()[name]
    is_archive = data[:2] == b"PK"
    inside = is_archive and rng.random() < 0.5
    data = mutated_archive(data, rng) if inside else mutated(data, rng)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"a{name[name.index('.') :]}")
        path.write_bytes(data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                load(path)
            except OUR_ERRORS as error:
                if type(error) not in (ValueError, ModelFormatError, ArithmeticError):
                    raise AssertionError(f"{type(error)}: {error}") from error
                check_ours(error)
                return f"{name} refused"
    return f"{name} loaded"


def check_ours(error: Exception) -> None:
    """Check that an error is of one line, and names the parameter."""
    text = str(error)
    if (
        "\n" in text
        or "\x1b" in text
        or not text.startswith(("`", "The network gives"))
    ):
        raise AssertionError(f"the message {text!r}")


@cache
def networks() -> dict[str, tuple[bytes, Callable[[Path], Any]]]:
    """Files of one small network in every format, and what loads them."""
    import torch
    from safetensors.torch import save
    from torch import nn

    from cftlearn.networks import load_network
    from cftlearn.networks._weights import load_weights

    def make() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)).eval()

    def weights(path: Path) -> Any:
        return load_weights(make(), path, 3)

    torch.set_num_threads(1)  # threads do not survive the fork of a process
    network = make()
    state = network.state_dict()
    rows = {0: torch.export.Dim.DYNAMIC}
    program = torch.export.export(network, (torch.ones(2, 6),), dynamic_shapes=(rows,))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        script = torch.jit.script(network)
        found = {
            "state.pt": (written(lambda out: torch.save(state, out)), weights),
            "older state.pt": (
                written(
                    lambda out: torch.save(
                        state, out, _use_new_zipfile_serialization=False
                    )
                ),
                weights,
            ),
            "state.safetensors": (save(state), weights),
            "script.pt": (
                written(lambda out: torch.jit.save(script, out)),
                load_network,
            ),
            "program.pt2": (
                written(lambda out: torch.export.save(program, out)),
                load_network,
            ),
        }
    found |= keras_networks()
    for name, (data, load) in found.items():  # else all would be refused for nothing
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f"a{name[name.index('.') :]}")
            path.write_bytes(data)
            load(path)
    return found


def written(write: Callable[[io.BytesIO], Any]) -> bytes:
    """Return what is written."""
    out = io.BytesIO()
    write(out)
    return out.getvalue()


def keras_networks() -> dict[str, tuple[bytes, Callable[[Path], Any]]]:
    """Both formats of Keras; none where Keras is not installed on torch."""
    from cftlearn.networks import load_keras

    os.environ.setdefault("KERAS_BACKEND", "torch")
    try:
        import keras
    except ImportError:
        return {}
    if keras.config.backend() != "torch":
        return {}
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((6,)), layers.Dense(4, activation="relu"), layers.Dense(3)]
    )
    found: dict[str, tuple[bytes, Callable[[Path], Any]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("model.keras", "model.h5"):
            model.save(Path(folder, name))
            found[name] = Path(folder, name).read_bytes(), load_keras
    return found


if __name__ == "__main__":
    sys.exit(main())
