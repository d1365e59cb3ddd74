"""Cases of same_bits.py: the classifier with a network, and the feature extractor."""

import contextlib
import itertools
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _bits import CASES, Results, case, expected, of_files, split
from _bits_classifier import fit as fit_classifier
from _bits_classifier import results_of
from _bits_problems import (
    features,
    halves,
    make_network,
    panels,
    squared_error,
    trained_network,
)
from torch import nn

from cftlearn import CategoryWiseFineTuner, CFTClassifier, TorchFeatureExtractor
from cftlearn.images import ImageTransform
from cftlearn.losses import PartialAsymmetricLoss, PartialBCEWithLogitsLoss
from cftlearn.training import NetworkTrainer

TRAINERS: dict[str, dict[str, Any]] = {
    "sgd": {"optimizer": "sgd", "schedule": "cosine", "gradient_clip": 0.5},
    "adam": {"optimizer": "adam", "schedule": "constant", "weight_decay": 0.1},
    "averaged": {"ema_decay": 0.9, "accumulation_steps": 2},
    "half_precision": {"amp": True},
    "balanced": {"pos_weight": "balanced", "patience": 1, "monitor": "loss"},
    "weighted": {"pos_weight": list(range(1, 11)), "patience": 1},
    "not_validated": {"validate": False},
}


def fit(X: Any, y: Any, **parameters: Any) -> CFTClassifier:
    """Fit a network for two epochs, and its last layer by the default fine-tuner."""
    small = {"module": make_network, "max_epochs": 2, "batch_size": 32}
    return fit_classifier(X, y, **(small | parameters))


def _fitted(parameters: dict[str, Any], _: Path) -> Results:
    X, y = panels()
    return results_of(fit(X, y, **parameters), X)


for _unknown, _loss in itertools.product(
    ("negative", "ignore"), ("bce", "asl", squared_error)
):
    _name = f"network.{_unknown}_{getattr(_loss, '__name__', _loss)}"
    CASES[_name] = partial(_fitted, {"unknown": _unknown, "loss": _loss})
for _name, _options in TRAINERS.items():
    CASES[f"network.trainer_{_name}"] = partial(
        _fitted, {"trainer": NetworkTrainer(**_options), "unknown": "ignore"}
    )
for _solver in ("ga", "bce"):
    CASES[f"network.solver_{_solver}"] = partial(
        _fitted,
        {"fine_tuner": CategoryWiseFineTuner(_solver), "module": trained_network},
    )
CASES["network.head"] = partial(_fitted, {"head": "8", "calibration": "sigmoid"})


@case("network.trained")
def trained(_: Path) -> Results:
    X, y = panels(220)
    data = X[160:], y[160:]
    module = trained_network()
    model = fit(X[:160], y[:160], module=module, train=False, validation_data=data)
    return results_of(model, X) | {"untouched": dict(module.state_dict())}


@case("network.trained_without_validation")
def seen_labels(_: Path) -> Results:
    X, y = panels()
    return results_of(fit(X, y, module=trained_network(), train=False), X)


@case("network.other_rows")
def other_rows(_: Path) -> Results:
    X, y = panels(220)
    return results_of(fit(X[:160], y[:160], validation_data=(X[160:], y[160:])), X)


@case("network.same_rows")
def same_rows(_: Path) -> Results:
    X, y = panels()
    fitted, held_out = halves(y)
    return results_of(fit(X, fitted, validation_data=(X, held_out)), X)


@case("network.rows_and_vectors")
def vectors(_: Path) -> Results:
    X, y = features(150, 6, 3)
    network = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    with torch.random.fork_rng():
        torch.manual_seed(1)
        for layer in (network[0], network[2]):
            layer.reset_parameters()
    data = torch.utils.data.TensorDataset(torch.from_numpy(X).float())
    return {
        "array": fit(X, y, module=network).coef_,
        "tensor": fit(torch.from_numpy(X), y, module=network).coef_,
        "dataset": fit(data, y, module=network).coef_,
    }


@case("network.resumed")
def resumed(folder: Path) -> Results:
    """Interrupt a training, and go on."""
    X, y = panels()
    stop = _StopAfter(8)
    parameters: dict[str, Any] = {
        "trainer": NetworkTrainer(checkpoint=folder, ema_decay=0.9),
        "max_epochs": 3,
    }
    with expected(KeyboardInterrupt):
        fit(X, y, loss=stop, **parameters)
    stop.n_left = 1000
    model = fit(X, y, loss=stop, **parameters)
    return results_of(model, X) | {"n_calls": 1000 - stop.n_left}


class _StopAfter:
    """A loss that is computed a number of times."""

    def __init__(self, n_left: int) -> None:
        self.n_left = n_left
        self.__name__ = "stop_after"
        self.__qualname__ = "stop_after"

    def __call__(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        if self.n_left == 0:
            raise KeyboardInterrupt
        self.n_left -= 1
        return squared_error(logits, targets)


@case("losses")
def losses(_: Path) -> Results:
    rng = np.random.default_rng(0)
    logits = torch.from_numpy(3 * rng.standard_normal((40, 5))).requires_grad_()
    target = rng.choice([0.0, 1.0, 0.3, np.nan], size=(40, 5))
    results = {}
    for kind, make in (
        ("bce", PartialBCEWithLogitsLoss),
        ("asl", PartialAsymmetricLoss),
    ):
        for reduction in ("mean", "sum", "none"):
            value = make(reduction=reduction)(logits, torch.from_numpy(target))
            (gradient,) = torch.autograd.grad(value.sum(), logits)
            results[f"{kind}.{reduction}"] = [value, gradient]
    return results


# --- images ---------------------------------------------------------------------------


def write_images(folder: Path, n: int = 24) -> list[str]:
    """Write images of several kinds."""
    from PIL import Image

    rng = np.random.default_rng(0)
    folder.mkdir()
    for number in range(n):
        shape = (int(rng.integers(12, 20)), int(rng.integers(12, 20)), 3)
        pixels = rng.integers(256, size=shape, dtype=np.uint8)
        image = Image.fromarray(pixels)
        if number % 4 == 1:
            image = image.convert("L")
        elif number % 4 == 2:
            image = Image.fromarray(pixels[..., 0].astype(np.uint16) * 200)
        exif = Image.Exif()
        exif[0x0112] = 1 + number % 8  # the orientation
        suffix = "jpg" if number % 4 == 3 else "png"
        image.save(folder / f"{number:02}.{suffix}", exif=exif)
    return sorted(map(str, folder.iterdir()))


def make_image_network(n_outputs: int = 3) -> nn.Module:
    """Make a network for images of 8 times 8 pixels."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return nn.Sequential(
            nn.Conv2d(3, 4, 3, stride=2),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(16, n_outputs),
        )


def image_labels(n: int = 24) -> np.ndarray:
    """Make labels of images."""
    rng = np.random.default_rng(1)
    return rng.choice([0.0, 1.0, np.nan], size=(n, 3), p=(0.45, 0.35, 0.2))


class Flip:
    """Turn an image over; for training only."""

    def __init__(self, transform: ImageTransform) -> None:
        self.transform = transform

    def __call__(self, image: Any) -> torch.Tensor:
        turned = self.transform(image)
        return turned.flip(-1) if torch.rand(()) < 0.5 else turned


@case("network.images")
def images(folder: Path) -> Results:
    paths, transform = write_images(folder / "images"), ImageTransform(8)
    trainer = NetworkTrainer(augment=Flip(transform))
    parameters: dict[str, Any] = {
        "module": make_image_network,
        "input_transform": transform,
        "trainer": trainer,
        "batch_size": 8,
    }
    model = fit(paths, image_labels(), **parameters)
    with_worker = fit(
        str(folder / "images"),
        image_labels(),
        **parameters | {"trainer": NetworkTrainer(num_workers=1)},
    )
    return results_of(model, paths[:5]) | {"with_worker": with_worker.coef_}


@case("images")
def transforms(folder: Path) -> Results:
    from cftlearn.images import read_image

    results: Results = {}
    settings: dict[str, Any] = {
        "default": {"size": 10},
        "grey": {"size": (6, 9), "mode": "L", "mean": 0.5, "std": 0.5},
        "area": {"size": 7, "interpolation": "area", "crop": 0.8},
        "bicubic": {"size": 9, "interpolation": "bicubic", "scale": 1.0},
    }
    paths = write_images(folder / "images")
    results["pixels"] = [np.asarray(read_image(path)) for path in paths]
    for name, options in settings.items():
        transform = ImageTransform(**options)
        results[name] = [transform(read_image(path)) for path in paths]
    return results


@case("extractor")
def extractor(folder: Path) -> Results:
    with contextlib.chdir(folder):  # files of features keep a digest of the paths
        return _extracted(Path("images"), Path("out"))


def _extracted(images: Path, out: Path) -> Results:
    paths, transform = write_images(images), ImageTransform(8)
    network = make_image_network()
    out.mkdir()

    def features_of(X: Any, **options: Any) -> Any:
        given = {"input_transform": transform, "batch_size": 5, "device": "cpu"}
        made = TorchFeatureExtractor(network, **(given | options))
        return made.fit_transform(X)

    stored = features_of(paths, out=out / "Z.npy", dtype="float16")
    arrays = np.random.default_rng(0).standard_normal((11, 3, 8, 8))
    return {
        "paths": features_of(paths),
        "folder": features_of(images),
        "worker": features_of(paths, num_workers=1),
        "layer": features_of(paths, layer="3"),
        "output": features_of(paths, layer=""),
        "half_precision": features_of(paths, amp=True),
        "arrays": features_of(arrays, input_transform=None),
        "panels": TorchFeatureExtractor(trained_network, device="cpu").transform(
            panels()[0]
        ),
        "stored": np.array(stored),
        **of_files(out),
    }


@case("extractor.skipped")
def skipped(folder: Path) -> Results:
    paths = write_images(folder / "images")
    Path(paths[3]).write_bytes(b"no image")
    made = TorchFeatureExtractor(
        make_image_network,
        input_transform=ImageTransform(8),
        on_error="skip",
        out=folder / "Z.npy",
        device="cpu",
    )
    Z = np.array(made.fit_transform(paths))
    reasons = [{"row": row, "reason": reason} for row, _, reason in made.skipped_]
    return {"Z": Z, "kept": made.kept_} | split("skipped", reasons)


if find_spec("lightning") or find_spec("lightning_fabric"):

    @case("network.fabric")
    def fabric(_: Path) -> Results:
        try:
            from lightning.fabric import Fabric
        except ImportError:
            from lightning_fabric import Fabric

        X, y = panels()
        alone = Fabric(accelerator="cpu", devices=1)
        alone.launch()
        return results_of(fit(X, y, trainer=NetworkTrainer(fabric=alone)), X)
