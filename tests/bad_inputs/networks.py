"""Bad inputs of networks: architectures, files of weights and programs, modules."""

import io
import os
import pickle
import sys
import zipfile
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import numpy as np

from cftlearn.exceptions import ModelFormatError

from .case import Case

ARCHITECTURE = "networks.Architecture"
NETWORK = "networks.load_network"
KERAS = "networks.load_keras"
CLASSIFIER = "CFTClassifier"
WEIGHTS = (
    "`weights` must be a state dict, of tensors alone; {folder}/a.pt cannot be read"
)
PROGRAM = (
    "`path` must be a TorchScript file or a program of torch.export.save; "
    "{folder}/a.pt is not"
)
COPY = "Copy it again, or save model.state_dict() again by torch.save."
CODE = (
    "If you trust the file, load it by torch.load(path, weights_only=False) where its "
    "code is, and save the state_dict() of the network alone."
)


def make() -> object:
    from torch import nn

    return nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 3))


def described(**given: object) -> Callable[[Path], object]:
    def call(folder: Path) -> object:
        from cftlearn.networks import Architecture

        arguments = {"name": "a.b:c", "n_outputs": 3} | given
        return Architecture(**arguments)  # type: ignore[arg-type]

    return call


def weights(write: Callable[[Path], object]) -> Callable[[Path], object]:
    """Build a network with weights of a file that is written before."""

    def call(folder: Path) -> object:
        from types import ModuleType

        from cftlearn.networks import Architecture

        module = ModuleType("catalogue_networks")
        module.make = make  # type: ignore[attr-defined]
        sys.modules[module.__name__] = module
        try:
            write(folder / "a.pt")
            return Architecture(
                "catalogue_networks:make", n_outputs=3, weights=folder / "a.pt"
            )()
        finally:
            del sys.modules[module.__name__]

    return call


def saved(change: Callable[[dict], object]) -> Callable[[Path], object]:
    """Save what is made of a state dict."""

    def write(path: Path) -> object:
        import torch

        state = dict(make().state_dict())  # type: ignore[attr-defined]
        return torch.save(change(state), path)

    return weights(write)


def content(data: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data)


def archive(**entries: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in entries.items():
            file.writestr(f"a/{name.replace('__', '.')}", data)
    return out.getvalue()


def program(write: Callable[[Path], object]) -> Callable[[Path], object]:
    def call(folder: Path) -> object:
        from cftlearn.networks import load_network

        write(folder / "a.pt")
        return load_network(folder / "a.pt")

    return call


def save_state(path: Path) -> object:
    import torch

    return torch.save(make().state_dict(), path)  # type: ignore[attr-defined]


def flipped_bit(path: Path) -> object:
    save_state(path)
    data = bytearray(path.read_bytes())
    data[data.index(b"0.weight")] ^= 1
    return path.write_bytes(data)


def plain_module(folder: Path) -> object:
    from cftlearn.networks import load_network

    return load_network(make())  # type: ignore[arg-type]


def keras(write: Callable[[Path], object], name: str = "a.pt") -> Callable:
    def call(folder: Path) -> object:
        from cftlearn.networks import load_keras

        write(folder / name)
        return load_keras(folder / name)

    return call


def hdf5(path: Path) -> object:
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = (
            '{"class_name": "Sequential", "config": {"layers": '
            '[{"class_name": "Dense", "config": {"units": 1000000000}}]}}'
        )
    return path


def fitted(change: Callable[[object], object], **options: object) -> Callable:
    """Fit a classifier on a changed network."""

    def call(folder: Path) -> object:
        from cftlearn import CFTClassifier

        rng = np.random.default_rng(0)
        X = rng.standard_normal((40, 6)).astype(np.float32)
        y = (rng.random((40, 3)) < 0.5).astype(float)
        model = CFTClassifier(change(make()), max_epochs=1, **options)  # type: ignore[arg-type]
        return model.fit(X, y)

    return call


def sparse(network: object) -> object:
    from torch import nn

    layer = network[0]  # type: ignore[index]
    layer.weight = nn.Parameter(layer.weight.detach().to_sparse())
    return network


def pos_weight(make_weight: Callable[[], object]) -> Callable[[Path], object]:
    def call(folder: Path) -> object:
        import torch

        from cftlearn.losses import PartialBCEWithLogitsLoss

        loss = PartialBCEWithLogitsLoss(pos_weight=make_weight())  # type: ignore[arg-type]
        return loss(torch.zeros(4, 5), torch.ones(4, 5))

    return call


def ones(*shape: int) -> Callable[[], object]:
    def call() -> object:
        import torch

        return torch.ones(shape)

    return call


def n_outputs(given: object) -> Case:
    return Case(
        ARCHITECTURE,
        f"{given!r} outputs",
        described(n_outputs=given),
        ValueError,
        "`n_outputs` must be the number of categories, a whole number from 1 to "
        f"1,000,000; got {given!r}.",
    )


def unreadable(fault: str, data: bytes, cause: str, remedy: str = COPY) -> Case:
    return Case(
        ARCHITECTURE,
        fault,
        weights(content(data)),
        ModelFormatError,
        f"{WEIGHTS} as one: {cause}. {remedy}",
    )


def no_tensors(fault: str, change: Callable[[dict], object], answer: str) -> Case:
    return Case(ARCHITECTURE, fault, saved(change), ModelFormatError, answer)


def other_precision(name: str, dtype: str) -> Case:
    return Case(
        CLASSIFIER,
        f"a network in {name}",
        fitted(lambda network: getattr(network, name)()),
        ValueError,
        "`module` must accept the rows of `X`; it failed on a batch of shape (1, 6) "
        "and type torch.float32: mat1 and mat2 must have the same dtype, but got Float "
        f"and {name.capitalize()}. Its weights are {dtype}, and rows come in "
        "torch.float32: convert it by module.float().",
    )


def first_weight(change: Callable) -> Callable[[dict], object]:
    return lambda state: state | {"0.weight": change(state["0.weight"])}


CASES = [
    n_outputs(10**9),
    n_outputs(0),
    n_outputs(True),
    n_outputs(2.5),
    Case(
        ARCHITECTURE,
        "no library in the name",
        described(name="resnet50"),
        ValueError,
        "`name` must be 'torchvision:<model>', 'timm:<model>' or "
        "'package.module:callable'; got 'resnet50'.",
    ),
    Case(
        ARCHITECTURE,
        "options that JSON cannot write",
        described(options={"sizes": {1, 2}}),
        ValueError,
        "`options` must hold plain values, which JSON can write; Object of type set is "
        "not JSON serializable.",
    ),
    Case(
        ARCHITECTURE,
        "weights by name for code of one's own",
        described(weights="DEFAULT"),
        ValueError,
        "`weights` must be None or the path of a state dict (.pt, .pth, .safetensors) "
        "for a callable of your own; got 'DEFAULT'.",
    ),
    Case(
        ARCHITECTURE,
        "no file of weights",
        weights(lambda path: None),
        FileNotFoundError,
        "`weights` must be a file; {folder}/a.pt does not exist. Check the path.",
    ),
    Case(
        ARCHITECTURE,
        "a folder of weights",
        weights(lambda path: Path(path).mkdir()),
        ModelFormatError,
        "`weights` must be a file; {folder}/a.pt is a folder. Name a file in it.",
    ),
    Case(
        ARCHITECTURE,
        "a pipe of weights",
        weights(os.mkfifo),
        ModelFormatError,
        "`weights` must be a file; {folder}/a.pt is a pipe, which may never end. "
        "Copy what it holds to a file.",
    ),
    unreadable("an empty file", b"", "it is empty", "Copy it again."),
    unreadable(
        "a file of HDF5",
        b"\x89HDF\r\n\x1a\n",
        "it is a file of HDF5",
        "A model of Keras goes through cftlearn.networks.load_keras.",
    ),
    unreadable(
        "a pointer of Git LFS",
        b"version https://git-lfs.github.com/spec/v1",
        "it is a pointer of Git LFS",
        "Run git lfs pull.",
    ),
    unreadable("a web page", b"<html>", "it is text (HTML)", "Fetch it again."),
    unreadable("text", b"weights", "it is no file of torch.save, or damaged"),
    unreadable(
        "another pickle", pickle.dumps([1.0]), "it is no file of torch.save, or damaged"
    ),
    unreadable(
        "an archive of something else",
        archive(document__xml=b""),
        "it is an archive of something else",
        "Check the path.",
    ),
    unreadable(
        "a TorchScript file",
        archive(data__pkl=b"", **{"code/net__py": b""}),
        "it is a program",
        "A TorchScript file or an exported program goes through "
        "cftlearn.networks.load_network.",
    ),
    Case(
        ARCHITECTURE,
        "a flipped bit",
        weights(flipped_bit),
        ModelFormatError,
        f"{WEIGHTS} as one: damaged: Bad CRC-32 for file 'a/data.pkl'. {COPY}",
    ),
    no_tensors(
        "the arguments of a script",
        lambda state: {"state_dict": state, "arguments": Namespace(epochs=3)},
        f"{WEIGHTS} as one: it holds a argparse.Namespace beside tensors. {CODE}",
    ),
    no_tensors(
        "a whole network",
        lambda state: make(),
        f"{WEIGHTS} as one: it holds a torch.nn.modules.container.Sequential beside "
        f"tensors. {CODE}",
    ),
    no_tensors(
        "no tensor",
        lambda state: {"epoch": 3},
        "`weights` must be a state dict; {folder}/a.pt holds a dict without tensors, "
        "or with entries other than state_dict, model_state_dict, model.",
    ),
    no_tensors(
        "weights that are missing",
        lambda state: {"0.weight": state["0.weight"]},
        "`weights` must hold all weights of the network; {folder}/a.pt lacks 0.bias. "
        "Name the architecture that was trained, with its options.",
    ),
    no_tensors(
        "weights of another shape",
        first_weight(lambda weight: weight[:5]),
        "`weights` must hold all weights of the network; {folder}/a.pt has another "
        "shape in 0.weight (5, 6) for (8, 6). Name the architecture that was trained, "
        "with its options.",
    ),
    no_tensors(
        "weights of a network in a wrapper",
        lambda state: {f"{p}.{key}": state[key] for key in state for p in "ab"},
        "`weights` must hold all weights of the network; {folder}/a.pt lacks 0.weight, "
        "0.bias; has beside them a.0.weight, b.0.weight, a.0.bias, b.0.bias, "
        "a.1.weight and 3 more. Name the architecture that was trained, with its "
        "options.",
    ),
    no_tensors(
        "sparse weights",
        first_weight(lambda weight: weight.to_sparse()),
        "`weights` must hold dense tensors; in {folder}/a.pt, '0.weight' is "
        "torch.sparse_coo. Save it with to_dense().",
    ),
    no_tensors(
        "weights without values",
        first_weight(lambda weight: weight.to("meta")),
        "`weights` must hold dense tensors; in {folder}/a.pt, '0.weight' is on the "
        "device 'meta', without values. Save the loaded network.",
    ),
    no_tensors(
        "whole numbers",
        first_weight(lambda weight: weight.char()),
        "`weights` must hold finite numbers in floating point; {folder}/a.pt has "
        "0.weight of type torch.int8. Save the network in float32.",
    ),
    no_tensors(
        "weights that are NaN",
        first_weight(lambda weight: weight * float("nan")),
        "`weights` must hold finite numbers in floating point; {folder}/a.pt has NaN "
        "or infinity in 0.weight. Save the weights of an epoch before its training "
        "failed.",
    ),
    Case(
        NETWORK,
        "a module",
        plain_module,
        TypeError,
        "`path` must be a file, an ExportedProgram or a ScriptModule; got Sequential. "
        "A plain module goes to CFTClassifier(module=...).",
    ),
    Case(
        NETWORK,
        "no file",
        program(lambda path: None),
        FileNotFoundError,
        "`path` must be a file; {folder}/a.pt does not exist. Check the path.",
    ),
    Case(
        NETWORK,
        "a pipe",
        program(os.mkfifo),
        ModelFormatError,
        "`path` must be a file; {folder}/a.pt is a pipe, which may never end. "
        "Copy what it holds to a file.",
    ),
    Case(
        NETWORK,
        "text",
        program(content(b"text")),
        ModelFormatError,
        f"{PROGRAM} (no archive).",
    ),
    Case(
        NETWORK,
        "weights alone",
        program(save_state),
        ModelFormatError,
        f"{PROGRAM} (a file of torch.save, with weights but without code: load these "
        "by Architecture(name, n_outputs=..., weights=path)).",
    ),
    Case(
        NETWORK,
        "a flipped bit",
        program(flipped_bit),
        ModelFormatError,
        f"{PROGRAM} (damaged: Bad CRC-32 for file 'a/data.pkl').",
    ),
    Case(
        NETWORK,
        "pickled objects",
        program(content(archive(config__json=b'{"use_pickle": true}'))),
        ModelFormatError,
        f"{PROGRAM} (it holds pickled objects, which are code and not executed).",
    ),
    Case(
        NETWORK,
        "a size that is code",
        program(content(archive(model__json=b'{"expr_str": "exec(x)"}'))),
        ModelFormatError,
        f"{PROGRAM} (it holds an expression that is code, not a size).",
    ),
    Case(
        KERAS,
        "no file",
        keras(lambda path: None),
        FileNotFoundError,
        "`path` must be a file; {folder}/a.pt does not exist. Check the path.",
    ),
    Case(
        KERAS,
        "a pipe",
        keras(os.mkfifo),
        ValueError,
        "`path` must be a file; {folder}/a.pt is a pipe, which may never end. "
        "Copy what it holds to a file.",
    ),
    Case(
        KERAS,
        "text",
        keras(content(b"text"), "a.h5"),
        ValueError,
        "`path` must be a model that Keras saved; {folder}/a.h5 is not (neither HDF5 "
        "nor an archive).",
        "h5py",
    ),
    Case(
        KERAS,
        "10^9 outputs",
        keras(hdf5, "a.h5"),
        ValueError,
        "`path` must be a model that Keras saved; {folder}/a.h5 is not ('units' is "
        "1e+09, more than any network has).",
        "h5py",
    ),
    other_precision("double", "torch.float64"),
    other_precision("half", "torch.float16"),
    Case(
        CLASSIFIER,
        "a network without values",
        fitted(lambda network: network.to("meta")),  # type: ignore[attr-defined]
        ValueError,
        "`module` must have parameters that hold values; they are on the device "
        "'meta', which keeps only shapes: 0.weight, 0.bias, 1.weight, 1.bias. Make the "
        "network on the CPU and load its weights, or call "
        "network.to_empty(device='cpu') before load_state_dict.",
    ),
    Case(
        CLASSIFIER,
        "a sparse network",
        fitted(sparse),
        ValueError,
        "`module` must have parameters that hold dense tensors; they are sparse: "
        "0.weight. Store parameter.to_dense() in their place.",
    ),
    Case(
        "losses.PartialBCEWithLogitsLoss",
        "a factor too few",
        pos_weight(ones(4)),
        ValueError,
        "`pos_weight` must hold one factor per category, shape (5,); got shape (4,).",
    ),
    Case(
        "losses.PartialBCEWithLogitsLoss",
        "a column of factors",
        pos_weight(ones(5, 1)),
        ValueError,
        "`pos_weight` must hold one factor per category, shape (5,); got shape (5, 1).",
    ),
    Case(
        "losses.PartialBCEWithLogitsLoss",
        "a list of factors",
        pos_weight(lambda: [1.0] * 5),
        TypeError,
        "`pos_weight` must be a tensor of one factor per category; got list. Pass "
        "torch.tensor([...]).",
    ),
]
