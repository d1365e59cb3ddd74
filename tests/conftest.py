"""What the tests share: fixed randomness, one small problem, one small network."""

import csv
import functools
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings
from torch import nn

from cftlearn import CategoryWiseFineTuner, CFTClassifier
from cftlearn.solvers import GradientSolver

os.environ.setdefault("MPLBACKEND", "Agg")
settings.register_profile("cftlearn", deadline=None, derandomize=True)
settings.load_profile("cftlearn")

N_SAMPLES, N_FEATURES, N_CATEGORIES = 120, 6, 3


def pytest_configure(config):
    """Hide GPUs where no test of one is asked for, before torch looks for them.

    What the other tests expect are the CPU's numbers, also with ``device="auto"``.
    """
    if "gpu" not in config.option.markexpr.replace("not gpu", ""):
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


def pytest_runtest_setup(item):
    """Skip what is marked ``gpu`` where torch finds no CUDA GPU."""
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("needs a CUDA GPU, and pytest -m gpu")


@pytest.fixture(autouse=True)
def _fixed_torch():
    """Set one seed and one thread of torch, so that results do not depend on order."""
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def partial_problem():
    """Features, labels of which 40 % are hidden, and the labels before hiding.

    Every category is a linear function of the features plus noise; 30 % of its
    labels are positive.
    """
    rng = np.random.default_rng(42)
    Z = rng.standard_normal((N_SAMPLES, N_FEATURES))
    signal = Z @ rng.standard_normal((N_FEATURES, N_CATEGORIES))
    signal += rng.standard_normal(signal.shape)
    y_full = (signal > np.quantile(signal, 0.7, axis=0)).astype(np.float64)
    hidden = rng.random(y_full.shape) < 0.4
    return Z, np.where(hidden, np.nan, y_full), y_full


def make_network(
    n_inputs: int = N_FEATURES,
    n_outputs: int = N_CATEGORIES,
    n_hidden: int = 8,
    *,
    bias: bool = True,
) -> nn.Sequential:
    """Make a network whose classification layer is named "2"."""
    return nn.Sequential(
        nn.Linear(n_inputs, n_hidden),
        nn.Tanh(),
        nn.Linear(n_hidden, n_outputs, bias=bias),
    )


@pytest.fixture(scope="session")
def network_factory() -> Callable[..., nn.Sequential]:
    """Return the function that makes small networks; pickle finds it by its name."""
    return make_network


@pytest.fixture
def quick_tuner():
    """Return a fine-tuner that needs a few milliseconds a category."""
    return CategoryWiseFineTuner(GradientSolver(max_epochs=30, patience=30))


@pytest.fixture
def make_model(quick_tuner, network_factory):
    """Return what makes a classifier with a network that fits in a few milliseconds."""
    return functools.partial(
        CFTClassifier,
        module=network_factory(),
        fine_tuner=quick_tuner,
        max_epochs=3,
        learning_rate=0.01,
        random_state=0,
    )


@pytest.fixture
def closed_figures():
    """Draw on no screen, and leave no figure open."""
    from matplotlib import pyplot

    pyplot.switch_backend("Agg")
    yield
    pyplot.close("all")


@pytest.fixture(scope="session")
def photos(tmp_path_factory) -> Path:
    """Return a folder with 60 tiny images, ``labels.csv`` and a column per colour.

    A label says whether its colour is bright; of the first 40 rows, a third is blank.
    """
    Image = pytest.importorskip("PIL.Image", reason="the images extra")
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("photos")
    (folder / "images").mkdir()
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "split", "person", "red", "green", "blue"])
        for number in range(60):
            name, colour = f"{number:02}.png", rng.integers(256, size=3)
            pixels = colour + rng.integers(-40, 40, size=(12, 12, 3))
            image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
            image.save(folder / "images" / name)
            is_training = number < 40
            cells = [
                "" if is_training and rng.random() < 1 / 3 else int(value > 127)
                for value in colour
            ]
            split = "train" if is_training else "test"
            writer.writerow([name, split, f"p{number // 2}", *cells])
    return folder


@pytest.fixture(scope="session")
def photo_arguments(photos) -> list[str]:
    """Return arguments of ``cftlearn fit`` that take a fraction of a second."""
    labels, images = str(photos / "labels.csv"), str(photos / "images")
    told = ["--labels", labels, "--images", images, "--network"]
    told += ["cli_parts:make_network", "--size", "8", "--solver", "proximal"]
    return [*told, "--device", "cpu", "--where", "split=train"]


@pytest.fixture(scope="session")
def photo_model(photo_arguments, tmp_path_factory) -> Path:
    """Return a model that ``cftlearn fit`` saved; its network is one of ours."""
    from cftlearn.cli import main

    folder = tmp_path_factory.mktemp("fitted") / "model"
    told = ["--max-epochs", "2", "--quiet", "--output", str(folder)]
    assert main(["fit", *photo_arguments, *told]) == 0
    return folder
