"""Cases of same_bits.py: the command line, from label files to scores."""

import contextlib
import csv
import importlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from _bits import Results, case, of_files, split_text
from _bits_networks import make_image_network, write_images

from cftlearn import cli

_NETWORK = '''"""The network that the command line names."""

import torch
from torch import nn


def make_network(width=4):
    return nn.Sequential(
        nn.Conv2d(3, width, 3, stride=2),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(4 * width, 7),
    )


def mirror(image):
    return image.transpose(0)
'''
_CONFIG = """
output = "configured"
seed = 3
device = "cpu"
[data]
labels = "labels.csv"
images = "images"
where = {split = "train"}
group = "person"
categories = ["blue", "red"]
uncertain = {blue = "positive"}
[network]
name = "named_network:make_network"
options = {width = 3}
[image]
size = 8
[train]
max_epochs = 1
batch_size = 16
augment = ["named_network:mirror"]
[refit]
solver = "proximal"
objective = "average_precision"
"""
_VALIDATED = """
seed = 1
device = "cpu"
[data]
labels = "labels.csv"
images = "images"
where = {split = "train"}
validation_where = {split = "test"}
[network]
name = "network.pt2"
[image]
size = 8
"""
_LABELS = ["--labels", "labels.csv", "--images", "images"]
_TRAIN = [*_LABELS, "--where", "split=train"]
_NAMED = ["--network", "named_network:make_network"]
_SIZE = ["--size", "8", "--device", "cpu"]


def _write_labels(paths: list[str]) -> None:
    rng = np.random.default_rng(2)
    with Path("labels.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "split", "person", "red", "green", "blue"])
        for number, path in enumerate(paths):
            cells = rng.choice(["1", "0", "", "-1"], size=3, p=(0.4, 0.4, 0.15, 0.05))
            split_name = "train" if number < 30 else "test"
            writer.writerow([Path(path).name, split_name, f"p{number // 2}", *cells])


def _export(path: Path) -> None:
    """Write a trained network with its code."""
    rows = torch.zeros(2, 3, 8, 8)
    shapes = ({0: torch.export.Dim.DYNAMIC},)
    network = make_image_network().eval()
    program = torch.export.export(network, (rows,), dynamic_shapes=shapes)
    torch.export.save(program, path)


@contextlib.contextmanager
def _workplace(folder: Path) -> Iterator[None]:
    """Work in a folder with images, labels, a network and a configuration."""
    with contextlib.chdir(folder):
        Path("named_network.py").write_text(_NETWORK, encoding="utf-8")
        Path("config.toml").write_text(_CONFIG, encoding="utf-8")
        Path("validated.toml").write_text(_VALIDATED, encoding="utf-8")
        _write_labels(write_images(Path("images"), 48))
        sys.path.insert(0, str(folder))
        sys.modules.pop("named_network", None)
        importlib.invalidate_caches()
        try:
            yield
        finally:
            sys.path.remove(str(folder))
            sys.modules.pop("named_network", None)


def call(*arguments: str) -> Results:
    """Call the command line; list its exit code and what it printed."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = cli.main(list(arguments))
        except SystemExit as error:
            code = error.code
    printed = split_text("stdout", out.getvalue()) | split_text(
        "stderr", err.getvalue()
    )
    return {"code": code, **printed}


def _of_calls(calls: dict[str, list[str]]) -> Results:
    return {
        f"{name}.{key}": value
        for name, arguments in calls.items()
        for key, value in call(*arguments).items()
    }


def _of_outputs(*names: str) -> Results:
    results: Results = {}
    for name in names:
        path = Path(name)
        results |= of_files(path, name) if path.is_dir() else {name: path.read_bytes()}
    return results


@case("command_line.fit")
def fit(folder: Path) -> Results:
    """Train a network, refit and save it, ask it and score it."""
    with _workplace(folder):
        model = ["fit", *_TRAIN, *_NAMED, *_SIZE, "--max-epochs", "2"]
        test = [*_LABELS, "--where", "split=test", *_NAMED, "--device", "cpu"]
        asked = ["predict", "model", "images", *_NAMED, "--device", "cpu"]
        scored = ["evaluate", "model", *test, "--resamples", "50"]
        calls = {
            "fit": [*model, "--output", "model"],
            "fit_again": [*model, "--output", "model"],
            "fit_quiet": [*model, "--output", "quiet", "--quiet", "--solver", "bce"],
            "configured": ["fit", "config.toml", "--n-jobs", "1"],
            "info": ["info", "model"],
            "predict": asked,
            "predict_one": ["predict", "model", "images/00.png", *_NAMED],
            "predict_model": [*asked, "--threshold", "model"],
            "predict_csv": [*asked, "--format", "csv", "--output", "scores.csv"],
            "predict_json": [*asked, "--format", "json", "--threshold", "0.4"],
            "evaluate": scored,
            "evaluate_group": [*scored, "--group", "person", "--output", "table.csv"],
            "evaluate_json": [*scored, "--json"],
            "evaluate_scores": ["evaluate", "--scores", "scores.csv", *_LABELS],
        }
        return _of_calls(calls) | _of_outputs(
            "model", "quiet", "configured", "scores.csv", "table.csv"
        )


@case("command_line.refit")
def refit(folder: Path) -> Results:
    """Extract features once, and refit what is trained already."""
    with _workplace(folder):
        model = ["fit", *_TRAIN, *_NAMED, *_SIZE, "--max-epochs", "1", "--quiet"]
        test = [*_LABELS, "--where", "split=test"]
        trained = [*_NAMED, "--weights", "model/network.pt", *_SIZE]
        exported = ["--network", "network.pt2", *_SIZE]
        _export(Path("network.pt2"))
        on_features = ["--labels", "labels.csv", "--features", "features"]
        on_rows = ["--labels", "labels.csv", "--features", "rows"]
        calls = {
            "fit": [*model, "--output", "model"],
            "extract": ["extract", "images", *_NAMED, *_SIZE, "--output", "features"],
            "extract_again": [
                "extract",
                "images",
                *_NAMED,
                *_SIZE,
                "--output",
                "features",
            ],
            "fit_features": ["fit", *on_features, "--output", "of_features"],
            "info": ["info", "of_features"],
            "predict": ["predict", "of_features", "features", "--format", "csv"],
            "evaluate": ["evaluate", "of_features", *on_features, "--resamples", "50"],
            "refit_refused": ["refit", *test, "--network", "model", "--output", "no"],
            "refit": ["refit", *test, *trained, "--output", "of_model"],
            "refit_validated": ["refit", "validated.toml", "--output", "validated"],
            "extract_exported": ["extract", "images", *exported, "--output", "rows"],
            "refit_features": ["refit", *on_rows, "--output", "of_rows"],
        }
        return _of_calls(calls) | _of_outputs(
            "features", "of_features", "of_model", "validated", "rows", "of_rows"
        )


@case("command_line.mistakes")
def mistakes(folder: Path) -> Results:
    """Ask for what is refused."""
    with _workplace(folder):
        Path("images/00.png").write_bytes(b"no image")
        skips = [*_NAMED, *_SIZE, "--skip-unreadable"]
        calls = {
            "no_command": [],
            "no_labels": ["fit", *_NAMED],
            "no_model": ["info", "absent"],
            "no_network": ["fit", *_TRAIN, "--network", "absent:nothing"],
            "no_column": ["fit", *_LABELS, *_NAMED, "--where", "part=train"],
            "unreadable": ["extract", "images", *_NAMED, *_SIZE, "--output", "one"],
            "skipped": ["extract", "images", *skips, "--output", "two"],
        }
        return _of_calls(calls) | _of_outputs("two")


@case("command_line.help")
def helps(_: Path) -> Results:
    commands = ("fit", "refit", "extract", "predict", "evaluate", "info", "demo")
    return _of_calls({name: [name, "--help"] for name in commands})
