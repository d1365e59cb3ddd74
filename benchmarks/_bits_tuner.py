"""Cases of same_bits.py: the fine-tuner, with every solver and kind of features."""

import contextlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import torch
from _bits import CASES, Results, case, expected, of_files, of_model
from _bits_problems import features, halves, signed_auc, without_negatives
from torch.overrides import TorchFunctionMode

from cftlearn import CategoryWiseFineTuner
from cftlearn.base import CategoryProblem, CategorySolver, RowFit
from cftlearn.calibration import held_out_predictions
from cftlearn.solvers import GeneticSolver, GradientSolver, ProximalSolver

OBJECTIVES = ("roc_auc", "average_precision", signed_auc)
QUICK = GeneticSolver(n_generations=20)


class MeanSolver(CategorySolver):
    """Point from the mean of negatives to that of positives, as a user might."""

    @property
    def name(self) -> str:
        """Short name for reports."""
        return "mean"

    def fit_row(self, problem: CategoryProblem) -> RowFit:
        """Refit one category."""
        Z, y = problem.train
        coef = Z[y].mean(axis=0) - Z[~y].mean(axis=0)
        return RowFit(coef.astype(np.float64), 0.0, 1, 1, "max_iter", [])


SOLVERS: dict[str, Any] = {
    "auto": "auto",
    "ga": "ga",
    "bce": "bce",
    "asl": "asl",
    "proximal": "proximal",
    "names": ["ga", "bce", "proximal"],
    "objects": [QUICK, GradientSolver(loss="asl", max_epochs=30), MeanSolver()],
    "own": MeanSolver(),
    "ga_published": GeneticSolver.published().set_params(n_generations=12),
    "ga_roulette": GeneticSolver(
        n_generations=15, selection="roulette", intercept="evolve", elite_size=3
    ),
    "ga_raw": GeneticSolver(n_generations=15, scale_free=False, population_size=20),
    "bce_published": GradientSolver.published("bce").set_params(max_epochs=40),
    "asl_published": GradientSolver.published().set_params(max_epochs=40),
    "proximal_balanced": ProximalSolver(
        spreads=(0.5, 3.0), scalings=("standard",), class_weight="balanced"
    ),
    "proximal_row": ProximalSolver(toward=("row",), unknown_weights=(0.0, 0.1)),
}


def fit(
    Z: Any,
    y: Any,
    solver: Any = "auto",
    *,
    validation_data: Any = None,
    **parameters: Any,
) -> CategoryWiseFineTuner:
    """Fit a fine-tuner on the CPU with a fixed seed."""
    given = {"random_state": 0, "device": "cpu"} | parameters
    tuner = CategoryWiseFineTuner(solver, **given)
    return tuner.fit(Z, y, validation_data=validation_data)


def results_of(tuner: CategoryWiseFineTuner, Z: Any) -> Results:
    """Add what was held out to what a fine-tuner says."""
    return of_model(tuner, Z) | {"held_out": held_out_predictions(tuner)}


def initial(c: int = 5, d: int = 12) -> dict[str, Any]:
    """Make weights to start from."""
    rng = np.random.default_rng(7)
    return {
        "coef_init": rng.standard_normal((c, d)) / 4,
        "intercept_init": rng.standard_normal(c) / 4,
    }


def _fitted(solver: Any, parameters: dict[str, Any], _: Path) -> Results:
    Z, y = features()
    return results_of(fit(Z, y, solver, **parameters), Z)


for _name, _solver in SOLVERS.items():
    CASES[f"tuner.{_name}"] = partial(_fitted, _solver, {})
for _name in ("auto", "proximal", "bce"):
    for _objective in OBJECTIVES[1:]:
        CASES[f"tuner.{_name}_{getattr(_objective, '__name__', _objective)}"] = partial(
            _fitted, _name, {"objective": _objective}
        )
CASES["tuner.ga_average_precision"] = partial(
    _fitted, QUICK, {"objective": "average_precision"}
)
CASES["tuner.ga_signed_auc"] = partial(
    _fitted, GeneticSolver(n_generations=5), {"objective": signed_auc}
)
for _name, _solver in (
    ("auto", "auto"),
    ("ga", QUICK),
    ("objects", SOLVERS["objects"]),
):
    CASES[f"tuner.{_name}_no_refit"] = partial(_fitted, _solver, {"refit": False})
    CASES[f"tuner.{_name}_initial"] = partial(_fitted, _solver, initial())
    CASES[f"tuner.{_name}_two_jobs"] = partial(_fitted, _solver, {"n_jobs": 2})
CASES["tuner.auto_cross_fit"] = partial(_fitted, "auto", {"cross_fit": 3})


@case("tuner.generator")
def generator(_: Path) -> Results:
    Z, y = features()
    return results_of(fit(Z, y, QUICK, random_state=np.random.RandomState(4)), Z)


def _lacking(solver: Any, _: Path) -> Results:
    Z, y = without_negatives()
    return results_of(fit(Z, y, solver), Z)


for _name, _solver in {"auto": "auto", "ga": QUICK, "bce": "bce"}.items():
    CASES[f"tuner.{_name}_lacking_classes"] = partial(_lacking, _solver)


@case("tuner.validation")
def validation(_: Path) -> Results:
    Z, y = features(300)
    fitted, held_out = halves(y)
    results: Results = {}
    for name, solver in {"auto": "auto", "ga": QUICK}.items():
        others = fit(Z[:200], y[:200], solver, validation_data=(Z[200:], y[200:]))
        same = fit(Z, fitted, solver, validation_data=(Z, held_out))
        for kind, tuner in {"others": others, "same": same}.items():
            found = results_of(tuner, Z)
            results |= {f"{name}.{kind}.{key}": found[key] for key in found}
    return results


# --- kinds of features ----------------------------------------------------------------


@case("tuner.large")
def large(_: Path) -> Results:
    """Take more rows and features than exact Hessians are used for."""
    Z, y = features(520, 330, 2, known=0.9)
    Z = Z.astype(np.float32)
    return results_of(fit(Z, y), Z) | {
        f"proximal.{name}": value
        for name, value in results_of(
            fit(Z, y, ProximalSolver(spreads=(1.0,)), **initial(2, 330)), Z
        ).items()
    }


@case("tuner.stored")
def stored(folder: Path) -> Results:
    """Read features from files of half, single and double precision."""
    Z, y = features()
    results: Results = {}
    for dtype in ("float16", "float32", "float64"):
        np.save(folder / f"{dtype}.npy", Z.astype(dtype))
        mapped = np.load(folder / f"{dtype}.npy", mmap_mode="r")
        for name, solver in {"auto": "auto", "ga": QUICK, "bce": "bce"}.items():
            tuner = fit(mapped, y, solver, **initial())
            results[f"{name}.{dtype}"] = [tuner.coef_, tuner.intercept_]
            results[f"{name}.{dtype}.logits"] = tuner.transform(mapped)
    np.save(folder / "turned.npy", np.asfortranarray(Z))
    turned = np.load(folder / "turned.npy", mmap_mode="r")
    results["turned"] = fit(turned, y).coef_
    return results


@case("tuner.per_category")
def per_category(folder: Path) -> Results:
    """Give every category features of its own."""
    Z, y = features()
    own = np.stack([np.roll(Z, j, axis=1) * (1 + j) for j in range(5)], axis=1)
    np.save(folder / "own.npy", own.astype(np.float32))
    mapped = np.load(folder / "own.npy", mmap_mode="r")
    results = results_of(fit(own, y), own)
    for name, solver in {"ga": QUICK, "bce": "bce"}.items():
        results |= {
            f"{name}.{k}": v for k, v in of_model(fit(own, y, solver), own).items()
        }
    results["initial"] = fit(own, y, **initial()).coef_
    results["stored"] = fit(mapped, y, **initial()).coef_
    return results


# --- checkpoints ----------------------------------------------------------------------


def _resumed(solver: Any, folder: Path) -> Results:
    """Lose a category of a fit, and go on."""
    Z, y = features()
    fit(Z, y, solver, checkpoint=folder)
    names = sorted(path.name for path in folder.iterdir())
    (folder / next(name for name in names if name.endswith(".npz"))).unlink()
    tuner = fit(Z, y, solver, checkpoint=folder)
    again = fit(Z, y, solver, checkpoint=folder)
    return results_of(tuner, Z) | {
        "again": [again.coef_, again.intercept_],
        "n_files": len(names),
        "names": of_files(folder)["files.names"],
    }


for _name, _solver in {"auto": "auto", "ga": QUICK}.items():
    CASES[f"tuner.{_name}_resumed"] = partial(_resumed, _solver)


@case("tuner.interrupted")
def interrupted(folder: Path) -> Results:
    """Interrupt a fit, and go on."""
    Z, y = features()
    calls: list[int] = []

    def stops(y_true: np.ndarray, y_score: np.ndarray) -> float:
        calls.append(len(y_true))
        if len(calls) == 400:
            raise KeyboardInterrupt
        return signed_auc(y_true, y_score)

    solver = GeneticSolver(n_generations=3)
    with expected(KeyboardInterrupt):
        fit(Z, y, solver, objective=stops, checkpoint=folder)
    n_first = len(list(folder.glob("*.npz")))
    tuner = fit(Z, y, solver, objective=stops, checkpoint=folder)
    return results_of(tuner, Z) | {"n_calls": len(calls), "n_first": n_first}


# --- a GPU that is not there ----------------------------------------------------------


class _OnTheCpu(TorchFunctionMode):
    """Let torch use the CPU where it is told to use a GPU."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        args = [_on_the_cpu(value) for value in args]
        named = {key: _on_the_cpu(value) for key, value in (kwargs or {}).items()}
        return func(*args, **named)


def _on_the_cpu(value: Any) -> Any:
    is_device = isinstance(value, (str, torch.device))
    return "cpu" if is_device and str(value).startswith("cuda") else value


@contextlib.contextmanager
def pretended_gpu() -> Iterator[None]:
    """Take the CPU for a GPU: what is batched for one then runs here, bit for bit."""
    memory = SimpleNamespace(total_memory=2**31)
    with (
        mock.patch("torch.cuda.is_available", return_value=True),
        mock.patch("torch.cuda.get_device_properties", return_value=memory),
        _OnTheCpu(),
    ):
        yield


def _batched(solver: Any, parameters: dict[str, Any], folder: Path) -> Results:
    Z, y = features(300)
    y[200:, 1] = np.nan  # categories of different sizes
    with pretended_gpu():
        tuner = fit(Z, y, solver, **{"device": "auto"} | parameters)
    return results_of(tuner, Z)


for _name, _solver, _parameters in (
    ("default", QUICK, {}),
    ("by_name", "ga", {"device": "cuda"}),
    ("published", SOLVERS["ga_published"], {}),
    ("roulette", SOLVERS["ga_roulette"], {"objective": "average_precision"}),
    ("no_refit", QUICK, {"refit": False, "objective": "average_precision"}),
    ("initial", QUICK, initial()),
):
    CASES[f"batched.{_name}"] = partial(_batched, _solver, _parameters)


@case("batched.features")
def batched_features(folder: Path) -> Results:
    """Read features from a file, choose by other rows, and keep what is done."""
    Z, y = features(300)
    np.save(folder / "Z.npy", Z.astype(np.float16))
    mapped = np.load(folder / "Z.npy", mmap_mode="r")
    own = np.stack([np.roll(Z, j, axis=1) for j in range(5)], axis=1)
    data = Z[200:], y[200:]
    kept = {"checkpoint": folder / "kept", "device": "auto"}
    with pretended_gpu():
        fits = {
            "stored": fit(mapped, y, QUICK, device="auto", **initial()),
            "other_rows": fit(
                Z[:200], y[:200], QUICK, device="auto", validation_data=data
            ),
            "per_category": fit(own, y, QUICK, device="auto"),
            "kept": fit(Z, y, QUICK, **kept),
            "again": fit(Z, y, QUICK, **kept),
        }
    return {name: [tuner.coef_, tuner.intercept_] for name, tuner in fits.items()} | {
        "names": of_files(folder / "kept")["files.names"]
    }
