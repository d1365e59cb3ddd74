"""The methods that end_to_end.py compares.

A method returns logits of the test rows and the seconds it took. What methods share,
such as the loops of an ensemble, runs once per problem and counts in full for each.
"""

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import _mlcpl_loops
import numpy as np
from _loops import (
    BATCH,
    C_UNCHOSEN,
    CS,
    FEWEST_TO_CHOOSE,
    FOLDS,
    LEARNING_RATE,
    WEAK_WEIGHT,
    WEIGHT_DECAY,
    Problem,
    logits_of,
    loop,
    regressions,
)
from _mlcpl import import_part
from _problems import make_mlp
from numpy.typing import NDArray
from sklearn.base import clone

from cftlearn import CategoryWiseFineTuner, CFTClassifier, losses
from cftlearn.solvers import GeneticSolver

Logits = NDArray[np.float64]
Timed = tuple[Any, float]

REFERENCE = "loop_ignore"
BEFORE = "_before"
# Parameters of CFTClassifier by name of the method, `fine_tuner__solver` and the like
# included. A variant that this version refuses is left out with its reason.
OURS: dict[str, dict[str, Any]] = {
    "cft": {},
    "cft_ignore": {"unknown": "ignore"},
    "cft_negative": {"unknown": "negative"},
    "cft_weak_negative": {"unknown": "weak_negative"},
    "cft_hill": {"unknown": "hill"},
    "cft_no_retrain": {"retrain": False},
    "cft_layers": {"layers": "auto"},
    "cft_rounds": {"rounds": 3},
    "cft_published": {
        "unknown": "negative",
        "fine_tuner": CategoryWiseFineTuner(GeneticSolver.published(), refit=False),
    },
}
# Every loss of unknown labels, and of known ones, in one training: compare them with
# cft_no_retrain, which is "auto" with "bce".
LOSSES: dict[str, dict[str, Any]] = {
    f"unknown_{name}": {"unknown": name, "retrain": False}
    for name in losses.available("unknown")
    if name != "auto"
} | {
    f"loss_{name}": {"loss": name, "retrain": False}
    for name in losses.available()
    if name != "bce"
}
OURS |= LOSSES
# They run on request: for hours with hundreds of categories, or for several trainings.
SLOW = {
    name + stage
    for name in ("cft_published", "cft_layers", "cft_rounds", *LOSSES)
    for stage in ("", "_before")
}
NOT_IN_MLCPL = {
    "mlcpl_ll_cp": "mlcpl 0.1.7 has no permanent correction of large losses"
}
INSTALL = "pip install --no-deps mlcpl==0.1.7"


@dataclass
class Runs:
    """What has been run on a problem."""

    problem: Problem
    seed: int
    done: dict[Any, Timed] = field(default_factory=dict)

    def once(self, key: Any, run: Callable[[], Any]) -> Timed:
        """Return what ``run`` returns and its seconds, from memory where it ran."""
        if key not in self.done:
            started = time.perf_counter()
            made = run()
            self.done[key] = made, time.perf_counter() - started
        return self.done[key]


@dataclass(frozen=True)
class Method:
    """A way from labels to scores, with its settings in words.

    Attributes
    ----------
    run : callable
        Maps runs to logits and seconds.
    settings : str
        What it is.
    family : {"loops", "regressions", "mlcpl", "ours"}
        Which table shows it.
    is_peer : bool
        Whether it has the cost of one training, and is not this package's.
    needs_vectors : bool
        Whether it cannot take images.
    """

    run: Callable[[Runs], tuple[Logits, float]]
    settings: str
    family: str
    is_peer: bool = True
    needs_vectors: bool = False


# --- peers --------------------------------------------------------------------------


def loops(runs: Runs, *, unknown_weight: float, members: int = 1) -> Timed:
    """Average the logits of loops with different seeds."""
    parts = [
        runs.once(
            ("loop", unknown_weight, member),
            functools.partial(
                loop,
                runs.problem,
                runs.seed + 1000 * member,
                unknown_weight=unknown_weight,
            ),
        )
        for member in range(members)
    ]
    logits = np.mean([logits for logits, _ in parts], axis=0)
    return logits, sum(seconds for _, seconds in parts)


def lr(runs: Runs, *, unknown: str) -> Timed:
    return runs.once(
        ("lr", unknown),
        lambda: regressions(runs.problem, runs.seed, unknown=unknown),
    )


def mlcpl(runs: Runs, *, name: str) -> Timed:
    return runs.once(name, lambda: _mlcpl_loops.run(name, runs.problem, runs.seed))


def loop_method(settings: str, weight: float, members: int = 1) -> Method:
    return Method(
        functools.partial(loops, unknown_weight=weight, members=members),
        settings,
        "loops",
        is_peer=members == 1,
    )


def lr_method(unknown: str, settings: str) -> Method:
    return Method(
        functools.partial(lr, unknown=unknown),
        f"LogisticRegression per category, {settings}; C of "
        f"{', '.join(f'{C:g}' for C in CS)} by log loss in {FOLDS} folds, {C_UNCHOSEN} "
        f"below {FEWEST_TO_CHOOSE} labels of a class; vectors only",
        "regressions",
        needs_vectors=True,
    )


# --- this package -------------------------------------------------------------------


def make_classifier(name: str, module: Any, seed: int, epochs: int) -> CFTClassifier:
    """Build a variant; its parameters may be those of the fine-tuner or trainer."""
    settings = {
        parameter: clone(value, safe=False) for parameter, value in OURS[name].items()
    }
    model = CFTClassifier(module, random_state=seed, max_epochs=epochs, device="cpu")
    known = model.get_params(deep=False)
    unknown = [one for one in settings if one.partition("__")[0] not in known]
    if unknown:
        raise TypeError(f"CFTClassifier has no parameter {', '.join(unknown)}")
    return model.set_params(**settings)


def fit_ours(runs: Runs, name: str) -> dict[str, Logits]:
    """Fit a variant; return logits after the refit, and of the initial weights."""
    problem = runs.problem
    model = make_classifier(name, problem.make_network, runs.seed, problem.epochs)
    model.fit(problem.X, problem.y)
    return {
        "": np.asarray(model.decision_function(problem.X_test)),
        BEFORE: logits_of(model.module_.to("cpu"), problem.X_test),
    }


def ours(runs: Runs, *, name: str, stage: str) -> Timed:
    logits, seconds = runs.once(name, lambda: fit_ours(runs, name))
    return logits[stage], seconds


def own_methods(name: str) -> dict[str, Method]:
    """Return a variant's two methods: after the refit, and its initial weights."""
    words = ", ".join(f"{key}={value!r}" for key, value in OURS[name].items())
    return {
        name + stage: Method(
            functools.partial(ours, name=name, stage=stage),
            f"CFTClassifier({' '.join(words.split())})" + tail,
            "ours",
            is_peer=False,
        )
        for stage, tail in (("", ""), (BEFORE, ", its initial weights"))
    }


# --- what there is ------------------------------------------------------------------

TRAINING = (
    f"AdamW {LEARNING_RATE}, one cycle, weight decay {WEIGHT_DECAY}, batches of {BATCH}"
)
_MLCPL = {
    "mlcpl_ignore": "PartialBCEWithLogitLoss",
    "mlcpl_negative": "PartialNegativeBCEWithLogitLoss",
    "mlcpl_csl": "PartialSelectiveBCEWithLogitLoss, shares by a first loop",
    "mlcpl_p_asl": "PartialSelectiveAsymmetricWithLogitLoss, shares likewise",
    "mlcpl_ll_r": "LargeLossRejection",
    "mlcpl_ll_ct": "LargeLossCorrectionTemporary",
    "mlcpl_ll_cp": "large loss, permanent correction",
    "mlcpl_curriculum": "CurriculumLabeling, anew after 1/2 and 3/4 of the epochs",
}
METHODS: dict[str, Method] = {
    REFERENCE: loop_method("a loop on known labels, BCE", 0.0),
    "loop_ignore_2": loop_method("mean logits of 2 such loops", 0.0, 2),
    "loop_ignore_3": loop_method("mean logits of 3 such loops", 0.0, 3),
    "loop_negative": loop_method("a loop, unknown labels as negatives", 1.0),
    "loop_weak": loop_method(
        f"a loop, unknown labels as negatives of weight {WEAK_WEIGHT}", WEAK_WEIGHT
    ),
    "lr_known": lr_method("ignore", "known labels"),
    "lr_negative": lr_method("negative", "unknown labels as negatives"),
    **{
        name: Method(functools.partial(mlcpl, name=name), f"mlcpl's {words}", "mlcpl")
        for name, words in _MLCPL.items()
    },
    **{name: method for own in OURS for name, method in own_methods(own).items()},
}
PEERS = [name for name, method in METHODS.items() if method.is_peer]


def missing(name: str) -> str | None:
    """Return why a method cannot run here, or nothing."""
    if name in NOT_IN_MLCPL:
        return NOT_IN_MLCPL[name]
    family = METHODS[name].family
    if family == "mlcpl":
        try:
            import_part("losses")
            import_part("pseudo_labeling")
        except ImportError as error:
            return f"{error}; to install it: {INSTALL}"
    if family == "ours":
        return refused(name.removesuffix(BEFORE))
    return None


@functools.cache
def refused(name: str) -> str | None:
    """Fit a variant on a few rows; this version may not know its parameters."""
    runs = Runs(small_problem(), 0)
    try:
        fit_ours(runs, name)
    except (TypeError, ValueError, AttributeError) as error:
        return f"this version of cftlearn refuses it: {' '.join(str(error).split())}"
    return None


def small_problem() -> Problem:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3)).astype(np.float32)
    y = (X[:, :2] > 0).astype(np.float64)
    y[::3, 0] = np.nan
    return Problem(X, y, X, y, functools.partial(make_mlp, 3, 2), epochs=1)


@functools.cache
def warm_up() -> None:
    """Let torch and scikit-learn allocate before the first clock runs."""
    runs = Runs(small_problem(), 0)
    for name in (REFERENCE, "lr_known", "cft"):
        METHODS[name].run(runs)
