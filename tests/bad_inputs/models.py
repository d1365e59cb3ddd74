"""Bad inputs of `save_model` and `load_model`: folders that are no saved model."""

import os
import shutil
import struct
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from model_parts import read_document, set_value, sign
from safetensors.numpy import load_file, save_file

from cftlearn import CategoryWiseFineTuner, CFTClassifier, load_model, save_model
from cftlearn.exceptions import ModelFormatError
from cftlearn.solvers import GeneticSolver

from .case import Case

DATA = Path(__file__).parent.parent / "data"
REMEDY = "Restore the folder from a copy, or save the model again."
FEATURES = "format_2/features"


def damage_case(
    fault: str, kind: str, damage: Callable[[Path], object], reason: str
) -> Case:
    """Return a case: a golden model with some damage, and the reason that is given.

    A reason that begins with ``/`` or ``!`` is the rest of a message of another form.
    """
    message = "The model in {folder}/model"
    if reason.startswith("/"):
        message += f"{reason} {REMEDY}"
    elif reason.startswith("!"):
        message += reason[1:]
    else:
        message += f" is damaged: {reason} {REMEDY}"
    name = f"{fault} ({kind})"
    return Case("load_model", name, damaged(damage, kind), ModelFormatError, message)


def make_network() -> object:
    from torch import nn

    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2))


def damaged(
    damage: Callable[[Path], object], kind: str = "format_2/features"
) -> Callable[[Path], object]:
    """Return a call that loads a golden model with some damage."""

    def call(folder: Path) -> object:
        path = Path(shutil.copytree(DATA / f"model_{kind}", folder / "model"))
        damage(path)
        needs_module = any(path.rglob("network.pt")) or "network" in kind
        return load_model(path, module=make_network if needs_module else None)

    return call


def put(key: str, value: object) -> Callable[[Path], object]:
    """Return what changes a value of model.json, with digests that are right."""
    return partial(set_value, key=key, value=value)


def remove(key: str) -> Callable[[Path], object]:
    def change(path: Path) -> None:
        document = read_document(path)
        *parents, last = key.split(".")
        node = document
        for name in parents:
            node = node[name]
        del node[last]
        sign(path, document)

    return change


def text(old: str, new: str) -> Callable[[Path], object]:
    """Return what changes the text of model.json, and no digest."""

    def change(path: Path) -> None:
        file = path / "model.json"
        file.write_bytes(file.read_bytes().replace(old.encode(), new.encode(), 1))

    return change


def windows_line_ends(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))


def arrays(**changes: object) -> Callable[[Path], object]:
    """Return what replaces arrays; those of None are deleted."""

    def change(path: Path) -> None:
        stored = load_file(path / "arrays.safetensors")
        for name, value in changes.items():
            full = name if name in stored else f"fine_tuner_.{name}"
            stored.pop(full, None)
            if value is not None:
                stored[full] = np.asarray(value)
        save_file(stored, path / "arrays.safetensors")
        sign(path)

    return change


def header(content: bytes) -> Callable[[Path], object]:
    """Return what writes another header of arrays.safetensors."""

    def change(path: Path) -> None:
        data = struct.pack("<Q", len(content)) + content
        (path / "arrays.safetensors").write_bytes(data)
        sign(path)

    return change


def flip(name: str) -> Callable[[Path], object]:
    def change(path: Path) -> None:
        data = bytearray((path / name).read_bytes())
        data[-1] ^= 1
        (path / name).write_bytes(bytes(data))

    return change


def write(name: str, data: bytes, *, signed: bool = True) -> Callable[[Path], object]:
    def change(path: Path) -> None:
        (path / name).write_bytes(data)
        if signed:
            sign(path)

    return change


def replace(name: str, make: Callable[[Path], object]) -> Callable[[Path], object]:
    """Return what puts something else in the place of a file or folder."""

    def change(path: Path) -> None:
        target = path / name
        shutil.rmtree(target) if target.is_dir() else target.unlink()
        make(target)

    return change


def link_to(target: str) -> Callable[[Path], object]:
    return lambda path: path.symlink_to(target)


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**40)


def state(content: object) -> Callable[[Path], object]:
    """Return what saves something else as the network."""

    def change(path: Path) -> None:
        import torch

        torch.save(content, path / "network.pt")
        sign(path)

    return change


def weights(value: object, key: str = "0.weight") -> Callable[[Path], object]:
    """Return what replaces one tensor of the network."""

    def change(path: Path) -> None:
        import torch

        stored = torch.load(path / "network.pt", weights_only=True)
        stored[key] = torch.as_tensor(value)
        torch.save(stored, path / "network.pt")
        sign(path)

    return change


def deflated(path: Path) -> None:
    with zipfile.ZipFile(path / "network.pt") as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path / "network.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in records.items():
            archive.writestr(name, bytes(10**7) if name.endswith("/0") else data)
    sign(path)


def fitted() -> CFTClassifier:
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((40, 3)), rng.integers(0, 2, (40, 2)).astype(float)
    tuner = CategoryWiseFineTuner("bce", coef_init=np.eye(2, 3), intercept_init=[0, 0])
    return CFTClassifier(fine_tuner=tuner).fit(X, y)


def save_changed(change: Callable[[CFTClassifier], object], folder: Path) -> object:
    model = fitted()
    change(model)
    return save_model(model, folder / "model")


def set_weight(model: CFTClassifier) -> None:
    model.fine_tuner_.coef_ = np.full((2, 3), np.nan)


def unlisted(path: Path) -> None:
    """Leave the last file out of the list, with a digest that is right."""
    document = read_document(path)
    document["files"].popitem()
    sign(path, document, list_files=False)


FORMAT_1, NETWORK = "format_1", "format_2/network"
ENSEMBLE, BINARY = "format_2/ensemble", "format_2/two_classes"
JOINED, TUNER = "format_2/joined", "format_2/fine_tuner"
WIDE = {"dtype": "<U500000000", "values": ["œdème", "cyst"]}
SWAPPED = {"dtype": "<i8", "values": [[1, 0], [0, 1]]}
TWICE = {"dtype": "|O", "values": ["cyst", "cyst"]}
ARCHITECTURE = {"name": "timm:resnet18", "weights": None, "options": None}

DAMAGE = [
    # model.json itself
    damage_case(
        "one letter of a name",
        FEATURES,
        text("cyst", "cysu"),
        (
            "model.json must have the SHA-256 that it names, 3d1f4b6fad09...; got "
            "336149a9c57e..., so it was changed."
        ),
    ),
    damage_case(
        "one digit of a number",
        FEATURES,
        text("0.25", "0.75"),
        (
            "model.json must have the SHA-256 that it names, 3d1f4b6fad09...; got "
            "073627583d9f..., so it was changed."
        ),
    ),
    damage_case(
        "its own digest cut out",
        FEATURES,
        text('"digest"', '"digesd"'),
        (
            "`digest` in model.json must stand behind the format, in a file that "
            "nobody has edited or written anew; got none there."
        ),
    ),
    damage_case(
        "line ends of Windows",
        FEATURES,
        lambda path: windows_line_ends(path / "model.json"),
        (
            "model.json must have the line ends that save_model wrote; got those of "
            "Windows, as git writes them with core.autocrlf unless `* -text` is in "
            ".gitattributes."
        ),
    ),
    damage_case(
        "format true",
        FEATURES,
        put("format", True),
        ("`format` in model.json must be 1 or 2; got True."),
    ),
    damage_case(
        "format -5",
        FEATURES,
        put("format", -5),
        ("`format` in model.json must be 1 or 2; got -5."),
    ),
    damage_case(
        "format 2.0",
        FEATURES,
        put("format", 2.0),
        ("`format` in model.json must be 1 or 2; got 2.0."),
    ),
    damage_case(
        "format as text",
        FEATURES,
        put("format", "1"),
        ("`format` in model.json must be 1 or 2; got '1'."),
    ),
    damage_case(
        "format of a newer version",
        FEATURES,
        put("format", 3),
        (
            "! has format 3; this version of cftlearn reads formats up to 2. Upgrade "
            "cftlearn."
        ),
    ),
    damage_case(
        "half of model.json",
        FEATURES,
        write("model.json", b'{"format": 2', signed=False),
        ("model.json must be JSON; got something else in line 1, column 13."),
    ),
    damage_case(
        "nothing in model.json",
        FEATURES,
        write("model.json", b"", signed=False),
        ("model.json must be JSON; got something else in line 1, column 1."),
    ),
    damage_case(
        "a list",
        FEATURES,
        write("model.json", b"[1, 2]", signed=False),
        ("model.json must hold an object with a `format`; got list without one."),
    ),
    damage_case(
        "other bytes",
        FEATURES,
        write("model.json", b"\xff\xfe", signed=False),
        ("model.json must be text in UTF-8; byte 0 is none."),
    ),
    damage_case(
        "100,000 lists",
        FORMAT_1,
        write("model.json", b"[" * 10**5, signed=False),
        ("model.json must be at most 100 levels deep; it is deeper."),
    ),
    damage_case(
        "150 lists",
        FORMAT_1,
        write("model.json", b"[" * 150 + b"]" * 150, signed=False),
        ("model.json must be at most 100 levels deep; it is deeper."),
    ),
    damage_case(
        "a name twice",
        FORMAT_1,
        text('"n_jobs": null', '"n_jobs": 1, "n_jobs": 2'),
        ("model.json must name everything once; got 'n_jobs' twice."),
    ),
    damage_case(
        "NaN",
        FORMAT_1,
        text('"n_jobs": null', '"n_jobs": NaN'),
        ("model.json must hold finite numbers; got 'NaN'."),
    ),
    damage_case(
        "a number beyond all",
        FORMAT_1,
        text('"n_jobs": null', '"n_jobs": 1e999'),
        ("model.json must hold finite numbers; got '1e999'."),
    ),
    damage_case(
        "5,000 digits",
        FORMAT_1,
        text('"n_jobs": null', '"n_jobs": ' + "9" * 5000),
        ("model.json must hold short numbers; got a very long one."),
    ),
    damage_case(
        "a terabyte of model.json",
        FORMAT_1,
        replace("model.json", huge),
        ("model.json must have at most 67108864 bytes; got 1099511627776."),
    ),
    damage_case(
        "a pipe as model.json",
        FORMAT_1,
        replace("model.json", os.mkfifo),
        ("model.json must be a file; got a pipe."),
    ),
    damage_case(
        "a link to itself",
        FORMAT_1,
        replace("model.json", link_to("model.json")),
        ("model.json must be a file; got links in a circle."),
    ),
    damage_case(
        "no version",
        FEATURES,
        remove("cftlearn"),
        (
            "model.json must hold cftlearn, digest, files, format, model; got "
            "['digest', 'files', 'format', 'model']."
        ),
    ),
    damage_case(
        "no list of files",
        FEATURES,
        remove("files"),
        (
            "model.json must hold cftlearn, digest, files, format, model; got "
            "['cftlearn', 'digest', 'format', 'model']."
        ),
    ),
    # what it says of the model
    damage_case(
        "an unknown class",
        FEATURES,
        put("model.class", "Popen"),
        (
            "`class` in model.json must be CFTClassifier, CategoryWiseFineTuner or "
            "CFTEnsemble; got 'Popen'."
        ),
    ),
    damage_case(
        "class GeneticSolver",
        FEATURES,
        put("model.class", "GeneticSolver"),
        (
            "`class` in model.json must be CFTClassifier, CategoryWiseFineTuner or "
            "CFTEnsemble; got 'GeneticSolver'."
        ),
    ),
    damage_case(
        "no classes_",
        FEATURES,
        remove("model.classes_"),
        ("model.json must hold `classes_`; got none."),
    ),
    damage_case(
        "no categories_",
        TUNER,
        remove("model.categories_"),
        ("model.json must hold `categories_`; got none."),
    ),
    damage_case(
        "no report",
        TUNER,
        remove("model.report_"),
        ("model.json must hold `report_`; got none."),
    ),
    damage_case(
        "no params",
        FEATURES,
        remove("model.params"),
        (
            "`model` in model.json must hold a `class` and its `params`; got "
            "{'calibrator_': {'calibrations': [...], 'categories_': {...}, 'class': "
            "'CategoryCalibrator', 'classes_': {...}, ...}, 'categories_': {'dtype': "
            "'|O', 'values': [...]}, 'class': 'CFTClassifier', 'classes_': {'dtype': "
            "'<i8', 'values': [...]}, ...}."
        ),
    ),
    damage_case(
        "something unknown",
        FEATURES,
        put("model.hook", "os.system"),
        ("`model` in model.json must hold what a CFTClassifier has; got 'hook'."),
    ),
    damage_case(
        "an unknown parameter",
        FEATURES,
        put("model.params.treshold", 0.5),
        (
            "`params` in model.json must hold parameters of CFTClassifier; got "
            "'treshold'."
        ),
    ),
    damage_case(
        "threshold 5",
        FEATURES,
        put("model.params.threshold", 5.0),
        (
            "`params` in model.json must be valid: The 'threshold' parameter of "
            "CFTClassifier must be a float in the range [0.0, 1.0] or an array-like. "
            "Got 5.0 instead."
        ),
    ),
    damage_case(
        "max_epochs true",
        FEATURES,
        put("model.params.max_epochs", True),
        ("`max_epochs` in model.json must be no truth value; got True."),
    ),
    damage_case(
        "loss as a list",
        FEATURES,
        put("model.params.loss", ["bce"]),
        (
            "`params` in model.json must be valid: The 'loss' parameter of "
            "CFTClassifier must be a str among {'asl', 'bce', 'focal', 'spa'} or "
            "a callable. Got ['bce'] instead."
        ),
    ),
    damage_case(
        "threshold as words",
        FORMAT_1,
        put("model.params.threshold", ["high", "low"]),
        (
            "`params` in model.json must be valid: `threshold` must hold numbers; got"
            " others."
        ),
    ),
    damage_case(
        "three thresholds",
        FORMAT_1,
        put("model.params.threshold", [0.1, 0.2, 0.3]),
        (
            "`threshold` in model.json must be one number, or 2, one per category; "
            "got (3,)."
        ),
    ),
    damage_case(
        "an unknown solver",
        TUNER,
        put("model.params.solver", ["bce", "sgd"]),
        (
            "`params` in model.json must be valid: `solver` must be 'auto', or 'ga', "
            "'proximal', a loss ('asl', 'bce', 'focal', 'spa'), a solver object, or a "
            "list of these; got 'sgd'."
        ),
    ),
    damage_case(
        "a parameter's array elsewhere",
        FORMAT_1,
        put("model.params.threshold", {"array": "coef_"}),
        ("`threshold` in model.json must be the array of its own name; got 'coef_'."),
    ),
    damage_case(
        "text of 500,000,000 letters",
        FEATURES,
        put("model.categories_", WIDE),
        (
            "`categories_.dtype` in model.json must take at most 67108864 bytes in "
            "all; got '<U500000000'."
        ),
    ),
    damage_case(
        "text of 500,000,000 letters",
        FORMAT_1,
        put("model.categories_", WIDE),
        (
            "`categories_.dtype` in model.json must take at most 67108864 bytes in "
            "all; got '<U500000000'."
        ),
    ),
    damage_case(
        "a type that is none",
        FORMAT_1,
        put("model.classes_.dtype", "(99999,99999)f8"),
        (
            "`classes_.dtype` in model.json must be a type of texts or numbers; got "
            "'(99999,99999)f8'."
        ),
    ),
    damage_case(
        "swapped classes",
        FORMAT_1,
        put("model.classes_", SWAPPED),
        (
            "`classes_` in model.json must be [0, 1] for each of 2 categories; got "
            "[[1, 0], [0, 1]]."
        ),
    ),
    damage_case(
        "classes in another order",
        BINARY,
        put("model.classes_.values", ["oui", "non"]),
        (
            "`classes_` in model.json must be two classes, the lower one first; got "
            "['oui', 'non']."
        ),
    ),
    damage_case(
        "a category twice",
        FORMAT_1,
        put("model.categories_", TWICE),
        ("`categories_` in model.json must hold every name once; got 'cyst'."),
    ),
    damage_case(
        "a category less",
        FORMAT_1,
        put("model.categories_.values", ["cyst"]),
        (
            "`classes_` in model.json must be [0, 1] for each of 1 categories; got "
            "[[0, 1], [0, 1]]."
        ),
    ),
    damage_case(
        "categories as a text",
        FORMAT_1,
        put("model.categories_.values", "cyst"),
        (
            "`categories_` in model.json must hold a list of values, at least one; "
            "got 'cyst'."
        ),
    ),
    damage_case(
        "other categories in a part",
        FORMAT_1,
        put("model.fine_tuner_.categories_.values", ["a", "b"]),
        (
            "`fine_tuner_.report_[0].category` in model.json must be the category's "
            "name, 'a'; got 'œdème'."
        ),
    ),
    damage_case(
        "a feature less",
        FORMAT_1,
        put("model.feature_names_in_.values", ["a", "b"]),
        (
            "`n_features_in_` in model.json must be 2, the number of names of "
            "features; got 4."
        ),
    ),
    damage_case(
        "n_features_in_ 10**9",
        FORMAT_1,
        put("model.n_features_in_", 10**9),
        (
            "`n_features_in_` in model.json must be 4, the number of names of "
            "features; got 1000000000."
        ),
    ),
    damage_case(
        "another category in the report",
        FORMAT_1,
        put("model.fine_tuner_.report_.0.category", "cyst"),
        (
            "`fine_tuner_.report_[0].category` in model.json must be the category's "
            "name, 'œdème'; got 'cyst'."
        ),
    ),
    damage_case(
        "a count as text",
        FORMAT_1,
        put("model.fine_tuner_.report_.0.n_positive", "7"),
        (
            "`fine_tuner_.report_[0].n_positive` in model.json must be an integer, 0 "
            "or more; got '7'."
        ),
    ),
    damage_case(
        "a removed calibrator",
        FEATURES,
        put("model.calibrator_", None),
        (
            "`calibrator_` in model.json must be there, for `calibration` is not "
            "null; got None."
        ),
    ),
    damage_case(
        "no calibrator",
        BINARY,
        remove("model.calibrator_"),
        (
            "`calibrator_` in model.json must be there, for `calibration` is not "
            "null; got None."
        ),
    ),
    damage_case(
        "no layer's name",
        NETWORK,
        put("model.head_", None),
        (
            "`input_shape` in model.json must be empty where there is no network; got"
            " [4]."
        ),
    ),
    damage_case(
        "10**9 outputs",
        NETWORK,
        put("model.architecture", {**ARCHITECTURE, "n_outputs": 10**9}),
        (
            "`architecture.n_outputs` in model.json must be the number of categories,"
            " 2; got 1000000000."
        ),
    ),
    damage_case(
        "10**9 outputs of a joined network",
        JOINED,
        put("model.joined_network.n_outputs", 10**9),
        (
            "`joined_network.n_outputs` in model.json must be the number of "
            "categories, 2; got 1000000000."
        ),
    ),
    damage_case(
        "10**9 features of a joined network",
        JOINED,
        put("model.joined_network.parts.0.width", 10**9),
        (
            "`joined_network.parts` in model.json must have the widths of the "
            "fine-tuner's features, 10 in all; got 1000000005."
        ),
    ),
    # other files
    damage_case(
        "a flipped bit of weights",
        FEATURES,
        flip("arrays.safetensors"),
        (
            "arrays.safetensors must have the SHA-256 that model.json says, "
            "328b010400c5...; got 71804b3f9daa..., so one of them was changed."
        ),
    ),
    damage_case(
        "a flipped bit of a network",
        NETWORK,
        flip("network.pt"),
        (
            "network.pt must have the SHA-256 that model.json says, f1692358aed4...; "
            "got 09d0f167e029..., so one of them was changed."
        ),
    ),
    damage_case(
        "a flipped bit of a member",
        ENSEMBLE,
        flip("members/1/network.pt"),
        (
            "!/members/1 is damaged: network.pt must have the SHA-256 that model.json"
            " says, ac8fcf9bf42f...; got ecd69125dcf2..., so one of them was changed."
            " Restore the folder from a copy, or save the model again."
        ),
    ),
    damage_case(
        "a deleted file",
        NETWORK,
        lambda path: (path / "network.pt").unlink(),
        ("the folder must hold network.pt; there is none."),
    ),
    damage_case(
        "a file that is not listed",
        NETWORK,
        unlisted,
        (
            "`files` in model.json must list arrays.safetensors, network.pt; got "
            "arrays.safetensors."
        ),
    ),
    damage_case(
        "a member that is not listed",
        ENSEMBLE,
        unlisted,
        (
            "members/2/model.json must have the SHA-256 that the ensemble's "
            "model.json says; it is another file."
        ),
    ),
    damage_case(
        "a pipe as weights",
        FORMAT_1,
        replace("arrays.safetensors", os.mkfifo),
        ("arrays.safetensors must be a file; got a pipe."),
    ),
    damage_case(
        "a device as a network",
        FORMAT_1,
        replace("network.pt", link_to("/dev/zero")),
        ("network.pt must be a file; got a device."),
    ),
    damage_case(
        "a folder as a network",
        FORMAT_1,
        replace("network.pt", Path.mkdir),
        ("network.pt must be a file; got a folder."),
    ),
    damage_case(
        "a link as a member",
        ENSEMBLE,
        replace("members/0", link_to("/")),
        ("members/0 must be a folder; got a link."),
    ),
    damage_case(
        "a link as members",
        ENSEMBLE,
        replace("members", link_to("/")),
        ("members must be a folder; got a link."),
    ),
    damage_case(
        "one member of two",
        ENSEMBLE,
        lambda path: shutil.rmtree(path / "members/1"),
        ("the folder must hold members/1/model.json; there is none."),
    ),
    damage_case(
        "a member less",
        ENSEMBLE,
        put("model.members", ["plain", "network"]),
        ("`weights_` in arrays.safetensors must have shape (2, 2); got (3, 2)."),
    ),
    damage_case(
        "a member of other categories",
        ENSEMBLE,
        lambda path: (
            shutil.rmtree(path / "members/2"),
            shutil.copytree(DATA / "model_format_2/two_classes", path / "members/2"),
            sign(path),
        ),
        (
            "`categories_` of member `zweites Modell` in model.json must be ['œdème',"
            " 'cyst']; got ['0']."
        ),
    ),
    # arrays
    damage_case(
        "int8 weights",
        FORMAT_1,
        arrays(coef_=np.ones((2, 5), np.int8)),
        (
            "`fine_tuner_.coef_` in arrays.safetensors must hold float64 or float32; "
            "got 'int8'."
        ),
    ),
    damage_case(
        "an intercept of shape (1,)",
        FORMAT_1,
        arrays(intercept_=np.zeros(1)),
        (
            "`fine_tuner_.intercept_` in arrays.safetensors must have shape (2,); got"
            " (1,)."
        ),
    ),
    damage_case(
        "NaN weights",
        FORMAT_1,
        arrays(coef_=np.full((2, 5), np.nan)),
        (
            "`fine_tuner_.coef_` in arrays.safetensors must hold finite numbers; got "
            "nan."
        ),
    ),
    damage_case(
        "infinite intercepts",
        FORMAT_1,
        arrays(intercept_=np.full(2, np.inf)),
        (
            "`fine_tuner_.intercept_` in arrays.safetensors must hold finite numbers;"
            " got inf."
        ),
    ),
    damage_case(
        "no weights",
        FORMAT_1,
        arrays(coef_=None),
        ("arrays.safetensors must hold `fine_tuner_.coef_`; got none."),
    ),
    damage_case(
        "an array too many",
        FORMAT_1,
        arrays(more=np.zeros(2)),
        (
            "arrays.safetensors must hold the arrays that model.json speaks of, and "
            "no others; got 'fine_tuner_.more' too."
        ),
    ),
    damage_case(
        "a threshold of 7",
        FORMAT_1,
        arrays(threshold=np.full(2, 7.0)),
        (
            "`params` in model.json must be valid: `threshold` must lie in [0, 1]; "
            "got 7.0 to 7.0."
        ),
    ),
    damage_case(
        "no isotonic curve",
        FEATURES,
        arrays(**{"calibrator_.curves_.0": None}),
        ("arrays.safetensors must hold `calibrator_.curves_.0`; got none."),
    ),
    damage_case(
        "negative weights of members",
        ENSEMBLE,
        arrays(weights_=[[2.0, 1], [-1, 0], [0, 0]]),
        (
            "`weights_` in arrays.safetensors must be 0 or more, and sum to 1 in "
            "every category; got '-1 at the least, sums [1. 1.]'."
        ),
    ),
    damage_case(
        "no array in the header",
        FORMAT_1,
        header(b'{"coef_": 7}'),
        ("`coef_` in arrays.safetensors must have a type, a shape and offsets; got 7."),
    ),
    damage_case(
        "a type that numpy has not",
        FORMAT_1,
        header(b'{"a": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}'),
        ("`a` in arrays.safetensors must hold numbers or truth values; got 'BF16'."),
    ),
    damage_case(
        "a terabyte by its shape",
        FORMAT_1,
        header(
            b'{"a": {"dtype": "F64", "shape": [137438953472], "data_offsets": [0, 8]}}'
        ),
        (
            "`a` in arrays.safetensors must have 1099511627776 bytes by its shape; "
            "got [0, 8]."
        ),
    ),
    damage_case(
        "cut weights",
        FORMAT_1,
        write("arrays.safetensors", b"\x99" * 20),
        (
            "arrays.safetensors must hold as many bytes as it says; got 20, so it was"
            " cut or changed."
        ),
    ),
    # the network
    damage_case(
        "no archive",
        FORMAT_1,
        write("network.pt", b"PK\x03\x04 nothing"),
        (
            "network.pt must be the state dict of a network, of tensors and plain "
            "values; it is not (no archive)."
        ),
    ),
    damage_case(
        "bytes of any length in the state",
        NETWORK,
        state({"a": bytearray(5)}),
        (
            "network.pt must be the state dict of a network, of tensors and plain "
            "values; it is not (it holds a __builtin__.bytearray beside tensors)."
        ),
    ),
    damage_case(
        "a deflate bomb",
        NETWORK,
        deflated,
        (
            "network.pt must hold uncompressed records; got 'data.pkl' of 473 bytes "
            "in 323."
        ),
    ),
    damage_case(
        "no dictionary",
        NETWORK,
        state([1, 2, 3]),
        (
            "network.pt must be the state dict of a network, of tensors and plain "
            "values; got a list."
        ),
    ),
    damage_case(
        "an object in the state",
        NETWORK,
        state({"a": np.ones(2)}),
        (
            "network.pt must be the state dict of a network, of tensors and plain "
            "values; got 'numpy._core.multiarray._reconstruct'."
        ),
    ),
    damage_case(
        "int8 weights of a network",
        NETWORK,
        weights(np.ones((5, 4), np.int8)),
        ("`0.weight` in network.pt must hold float32; got int8."),
    ),
    damage_case(
        "NaN weights of a network",
        NETWORK,
        weights(np.full((5, 4), np.nan, np.float32)),
        ("`0.weight` in network.pt must be finite; it is not."),
    ),
]


def of_a_pipeline(folder: Path) -> object:
    from sklearn.pipeline import make_pipeline

    return save_model(make_pipeline(fitted()), folder / "model")  # type: ignore[arg-type]


def of_a_solver(folder: Path) -> object:
    return save_model(GeneticSolver(), folder / "model")  # type: ignore[arg-type]


def nowhere(folder: Path) -> object:
    return load_model(folder / "nothing")


def in_a_file(folder: Path) -> object:
    (folder / "model").write_text("a thesis")
    return load_model(folder / "model")


def without_module(folder: Path) -> object:
    return load_model(DATA / "model_format_2/network")


def with_a_module_too_many(folder: Path) -> object:
    return load_model(DATA / "model_format_2/features", module=make_network)


def with_another_module(folder: Path) -> object:
    from torch import nn

    return load_model(DATA / "model_format_2/network", module=nn.Linear(4, 2))


UNFIT = "`model` must be as `fit` left it to be saved: "
FIT_AGAIN = " Set what is wrong with set_params, or fit the model again."


def unfit_case(
    fault: str, change: Callable[[CFTClassifier], object], reason: str
) -> Case:
    call = partial(save_changed, change)
    return Case("save_model", fault, call, ValueError, UNFIT + reason + FIT_AGAIN)


CASES = [
    *DAMAGE,
    Case(
        "load_model",
        "nothing there",
        nowhere,
        FileNotFoundError,
        "`path` must be a folder written by save_model; {folder}/nothing has no "
        "model.json.",
    ),
    Case(
        "load_model",
        "a file",
        in_a_file,
        FileNotFoundError,
        "`path` must be a folder written by save_model; {folder}/model has no "
        "model.json.",
    ),
    Case(
        "load_model",
        "no module for a network",
        without_module,
        ValueError,
        "`module` must be given: the saved model has a network, and only its weights "
        "are in the folder. Pass load_model(path, module=...) with a module of the "
        "same architecture.",
    ),
    Case(
        "load_model",
        "a module for features",
        with_a_module_too_many,
        ValueError,
        "`module` must be None: the saved model has no network.",
    ),
    Case(
        "load_model",
        "a module of another architecture",
        with_another_module,
        ValueError,
        "`module` must have the architecture of the saved network; Unexpected key(s) "
        'in state_dict: "0.weight", "0.bias", "2.weight", "2.bias".',
    ),
    Case(
        "save_model",
        "a Pipeline",
        of_a_pipeline,
        TypeError,
        "`model` must be a CFTClassifier, a CategoryWiseFineTuner or a CFTEnsemble of "
        "these; got Pipeline. Save the steps of a Pipeline one by one.",
    ),
    Case(
        "save_model",
        "a solver",
        of_a_solver,
        TypeError,
        "`model` must be a CFTClassifier, a CategoryWiseFineTuner or a CFTEnsemble of "
        "these; got GeneticSolver. Save the steps of a Pipeline one by one.",
    ),
    unfit_case(
        "a threshold that was set to 5",
        lambda model: model.set_params(threshold=5.0),
        "`params` in model.json must be valid: The 'threshold' parameter of "
        "CFTClassifier must be a float in the range [0.0, 1.0] or an array-like. Got "
        "5.0 instead.",
    ),
    unfit_case(
        "a calibration that was never fitted",
        lambda model: model.set_params(calibration="sigmoid"),
        "`calibrator_` in model.json must be there, for `calibration` is not null; "
        "got None.",
    ),
    unfit_case(
        "weights that are NaN",
        set_weight,
        "`fine_tuner_.coef_` in arrays.safetensors must hold finite numbers; got nan.",
    ),
]
