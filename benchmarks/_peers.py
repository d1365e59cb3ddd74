"""The methods that quality.py compares: peers, and this package's own refits.

A method takes a problem, the objective and a seed, and hands back rows. Peers never
touch a category whose fitted or held-out known labels lack a class, as mlcpl does.
"""

import functools
import importlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from _mlcpl import discarded_prints, import_mlcpl, linear, tensor
from _problems import Problem
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score
from sklearn.preprocessing import StandardScaler

from cftlearn import CategoryWiseFineTuner
from cftlearn.base import CategorySolver
from cftlearn.datasets import make_partial_multilabel
from cftlearn.exceptions import UndefinedCategoryWarning
from cftlearn.solvers import GeneticSolver, GradientSolver

Floats = NDArray[np.floating[Any]]
Metric = Callable[[NDArray[Any], Floats], float]

OBJECTIVES = ("average_precision", "roc_auc")
METRICS: dict[str, Metric] = {
    "average_precision": average_precision_score,
    "roc_auc": roc_auc_score,
}
CS = np.logspace(-4, 2, 7)
MAX_ITER = 1000
MLCPL_EPOCHS = 5000
MLCPL_PATIENCE = 300
MLCPL_GA = {
    "num_pop": 50,
    "Cr": 0.2,
    "mutation_p": 0.5,
    "mutation_range": 0.001,
    "elitism": 1,
}
MLCPL_ASL = {"clip": 0.05, "gamma_pos": 0, "gamma_neg": 4, "reduction": "sum"}
MLCPL_LEARNING_RATE = 1e-4
LIBAUC_EPOCHS = 100
LIBAUC_DECAY_EPOCHS = (50, 75)
LIBAUC_BATCH = 128
INSTALL = {
    "mlcpl": "pip install --no-deps mlcpl==0.1.7 torchmetrics==1.9.0 "
    "lightning-utilities tensorboard protobuf absl-py; and pandas and pillow",
    "libauc": "pip install --no-deps libauc==2.0.1; and torchvision, tqdm, scipy, "
    "pandas and pillow",
}


@dataclass(frozen=True)
class Rows:
    """The head after a method."""

    coef: NDArray[np.float64]
    intercept: NDArray[np.float64]


@dataclass(frozen=True)
class Category:
    """One category on standardised features; the initial weights are in their scale."""

    Z: NDArray[np.float64]
    y: NDArray[np.float64]
    Z_held: NDArray[np.float64]
    y_held: NDArray[np.float64]
    coef: NDArray[np.float64]
    intercept: float
    seed: int


@dataclass(frozen=True)
class LibAUCRecipe:
    """Loss, optimiser and sampling of a peer from LibAUC.

    Settings are those of the recipes that LibAUC 2.0 brings for CIFAR-10. Their
    learning rates fall to a tenth after half and three quarters of the epochs. Half of
    a batch is positive, the sampler's default: the recipe for AUCMLoss has a fifth,
    which did a little worse here.
    """

    loss: str
    optimizer: str
    sampling_rate: float
    loss_settings: dict[str, Any]
    optimizer_settings: dict[str, Any]


RECIPES = {
    "roc_auc": LibAUCRecipe(
        loss="AUCMLoss",
        optimizer="PESG",
        sampling_rate=0.5,
        loss_settings={"margin": 1.0},
        optimizer_settings={
            "lr": 0.1,
            "epoch_decay": 2e-3,
            "weight_decay": 1e-5,
            "momentum": 0.9,
        },
    ),
    "average_precision": LibAUCRecipe(
        loss="AveragePrecisionLoss",
        optimizer="SOAP",
        sampling_rate=0.5,
        loss_settings={"margin": 0.6, "gamma": 0.1},
        optimizer_settings={"lr": 1e-3, "mode": "adam", "weight_decay": 2e-4},
    ),
}

Fit = Callable[[Problem, str, int], Rows]


@dataclass(frozen=True)
class Method:
    """A way to refit, with its settings in words."""

    fit: Fit
    settings: str
    objectives: tuple[str, ...] = OBJECTIVES
    package: str | None = None
    solver: str | None = None
    uses_objective: bool = True


def refittable(problem: Problem) -> NDArray[np.bool_]:
    """Return which categories have both classes among fitted and held-out labels."""
    return np.all(
        [
            (labels == state).any(axis=0)
            for labels in (problem.y, problem.y_held)
            for state in (0.0, 1.0)
        ],
        axis=0,
    )


def unchanged(problem: Problem, objective: str, seed: int) -> Rows:
    return Rows(problem.coef, problem.intercept)


# --- this package -------------------------------------------------------------------


def ours(solver: str | CategorySolver, *, refit: bool = True) -> Fit:
    def fit(problem: Problem, objective: str, seed: int) -> Rows:
        tuner = CategoryWiseFineTuner(
            solver,
            objective=objective,
            coef_init=problem.coef,
            intercept_init=problem.intercept,
            refit=refit,
            n_jobs=1,
            random_state=seed,
            device="cpu",
        )
        held_out = (problem.Z, problem.y_held)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UndefinedCategoryWarning)
            tuner.fit(problem.Z, problem.y, validation_data=held_out)
        return Rows(tuner.coef_, tuner.intercept_)

    return fit


# --- mlcpl --------------------------------------------------------------------------


def mlcpl_ga(problem: Problem, objective: str, seed: int) -> Rows:
    metric = mlcpl_metric(objective)
    solver = import_mlcpl().GAForLinear(device="cpu", metric=metric, **MLCPL_GA)
    return fit_by_mlcpl(problem, solver, metric, seed)


def mlcpl_bp(problem: Problem, objective: str, seed: int) -> Rows:
    cft = import_mlcpl()
    losses = importlib.import_module("mlcpl.losses")
    solver = cft.BP(
        device="cpu",
        loss_fn=losses.PartialAsymmetricWithLogitLoss(**MLCPL_ASL),
        optimizer_class=torch.optim.Adam,
        optimizer_kwargs={"lr": MLCPL_LEARNING_RATE},
    )
    return fit_by_mlcpl(problem, solver, mlcpl_metric(objective), seed)


def fit_by_mlcpl(problem: Problem, solver: Any, metric: Any, seed: int) -> Rows:
    torch.manual_seed(seed)
    with discarded_prints():
        heads, _ = import_mlcpl().CFT(
            list(map(linear, problem.coef, problem.intercept)),
            training_data=(tensor(problem.Z), tensor(problem.y)),
            validation_data=(tensor(problem.Z), tensor(problem.y_held)),
            optimizer=solver,
            epochs=MLCPL_EPOCHS,
            early_stopping=MLCPL_PATIENCE,
            validation_metric=metric,
            device="cpu",
        )
    weights = [head.weight.detach().double().numpy()[0] for head in heads]
    biases = [head.bias.detach().double().item() for head in heads]
    return Rows(np.stack(weights), np.array(biases))


@functools.cache
def mlcpl_metric(objective: str) -> Callable[[torch.Tensor, torch.Tensor], Any]:
    """Return torchmetrics' function, without checks that cost a fifth of the time."""
    torchmetrics = importlib.import_module("torchmetrics.functional.classification")
    name = {"average_precision": "average_precision", "roc_auc": "auroc"}[objective]
    function = getattr(torchmetrics, f"binary_{name}")

    def metric(preds: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return function(preds, target.long(), validate_args=False)

    return metric


# --- peers on standardised features -------------------------------------------------


def refit_standardised(
    problem: Problem, seed: int, fit_row: Callable[[Category], tuple[Floats, float]]
) -> Rows:
    """Refit what can be refitted on standardised features; rows in the raw scale."""
    raw = problem.Z.astype(np.float64)
    scaler = StandardScaler().fit(raw)
    mean, scale = scaler.mean_, scaler.scale_
    Z = scaler.transform(raw)
    coef, intercept = problem.coef.copy(), problem.intercept.copy()
    for j in np.flatnonzero(refittable(problem)):
        rows = ~np.isnan(problem.y[:, j])
        rows_held = ~np.isnan(problem.y_held[:, j])
        row, bias = fit_row(
            Category(
                Z=Z[rows],
                y=problem.y[rows, j],
                Z_held=Z[rows_held],
                y_held=problem.y_held[rows_held, j],
                coef=coef[j] * scale,
                intercept=float(intercept[j] + coef[j] @ mean),
                seed=1000 * seed + int(j),
            )
        )
        coef[j] = row / scale
        intercept[j] = bias - coef[j] @ mean
    return Rows(coef, intercept)


def ignore_lr(problem: Problem, objective: str, seed: int) -> Rows:
    """Choose each category's penalty by the objective on its held-out labels."""
    metric = METRICS[objective]

    def score(model: LogisticRegression, category: Category) -> float:
        return metric(category.y_held, model.decision_function(category.Z_held))

    return refit_standardised(problem, seed, functools.partial(regress, score=score))


def ignore_lr_ll(problem: Problem, objective: str, seed: int) -> Rows:
    """Choose each category's penalty by log loss on its held-out labels."""

    def score(model: LogisticRegression, category: Category) -> float:
        return -log_loss(category.y_held, model.predict_proba(category.Z_held))

    return refit_standardised(problem, seed, functools.partial(regress, score=score))


def regress(
    category: Category, score: Callable[[LogisticRegression, Category], float]
) -> tuple[Floats, float]:
    """Fit known labels with each penalty, then all known labels with the best.

    Of penalties that score the same the strongest is taken, as scikit-learn's
    LogisticRegressionCV does.
    """
    models = [logistic(C).fit(category.Z, category.y) for C in CS]
    best = CS[int(np.argmax([score(model, category) for model in models]))]
    model = logistic(best).fit(
        np.concatenate([category.Z, category.Z_held]),
        np.concatenate([category.y, category.y_held]),
    )
    return model.coef_[0], float(model.intercept_[0])


def logistic(C: float) -> LogisticRegression:
    return LogisticRegression(C=float(C), max_iter=MAX_ITER)


# --- LibAUC -------------------------------------------------------------------------


def libauc(problem: Problem, objective: str, seed: int) -> Rows:
    fit_row = functools.partial(descend, objective=objective)
    with discarded_prints():
        return refit_standardised(problem, seed, fit_row)


def descend(category: Category, objective: str) -> tuple[Floats, float]:
    """Train a row from where stage one left it; keep the best epoch, or the start."""
    recipe = RECIPES[objective]
    torch.manual_seed(category.seed)  # PESG draws its reference row
    head = linear(category.coef, category.intercept)
    loss, optimizer = make_libauc(recipe, head, len(category.y))
    batches = sampled_batches(category, recipe.sampling_rate)
    Z, y, Z_held = map(tensor, (category.Z, category.y, category.Z_held))

    def row_and_score() -> tuple[Floats, float, float]:
        with torch.no_grad():
            logits = head(Z_held)[:, 0].numpy()
        row = head.weight.detach().numpy()[0].astype(np.float64)
        return row, head.bias.item(), METRICS[objective](category.y_held, logits)

    best = row_and_score()
    for epoch in range(LIBAUC_EPOCHS):
        if epoch in LIBAUC_DECAY_EPOCHS:
            decay(optimizer)
        for rows in batches():
            optimizer.zero_grad()
            scores = torch.sigmoid(head(Z[rows]))
            loss(scores, y[rows][:, None], index=rows).backward()
            optimizer.step()
        now = row_and_score()
        if now[2] > best[2]:
            best = now
    return best[0], best[1]


def make_libauc(
    recipe: LibAUCRecipe, head: torch.nn.Linear, n_known: int
) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    """Make loss and optimiser on the CPU; LibAUC itself would take any GPU."""
    cpu = torch.device("cpu")
    settings = dict(recipe.loss_settings)
    if recipe.loss == "AveragePrecisionLoss":
        settings["data_len"] = n_known
    losses = importlib.import_module("libauc.losses")
    loss = getattr(losses, recipe.loss)(**settings, device=cpu)
    optimizers = importlib.import_module("libauc.optimizers")
    optimizer = getattr(optimizers, recipe.optimizer)(
        head.parameters(), loss_fn=loss, **recipe.optimizer_settings, device=cpu
    )
    return loss, optimizer


def decay(optimizer: Any) -> None:
    """Divide the learning rate by 10, and move PESG's reference row, as recipes do."""
    if type(optimizer).__name__ == "PESG":
        optimizer.update_regularizer(decay_factor=10)
    else:
        optimizer.update_lr(decay_factor=10)


def sampled_batches(category: Category, rate: float) -> Callable[[], torch.Tensor]:
    """Let LibAUC's sampler choose the rows of an epoch's batches.

    It fails where a batch takes all negatives or more, and runs no batch where one
    asks for more of both classes than there are. So batches shrink until they take
    fewer negatives than there are; a single negative makes one batch of all rows.
    """
    n_negative = int((category.y == 0).sum())
    if n_negative == 1:
        return torch.arange(len(category.y))[None].clone
    DualSampler = importlib.import_module("libauc.sampler").DualSampler
    batch = min(LIBAUC_BATCH, len(category.y), int((n_negative - 1) / (1 - rate)))
    batch = max(batch, 2)
    sampler = DualSampler(
        dataset=None,
        batch_size=batch,
        labels=category.y,
        sampling_rate=rate,
        random_seed=category.seed,
    )

    def epoch() -> torch.Tensor:
        return torch.from_numpy(np.fromiter(sampler, dtype=np.int64)).reshape(-1, batch)

    return epoch


# --- what there is ------------------------------------------------------------------


def in_words(settings: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in settings.items())


def libauc_method(objective: str) -> Method:
    recipe = RECIPES[objective]
    return Method(
        libauc,
        f"{recipe.loss}({in_words(recipe.loss_settings)}), {recipe.optimizer}"
        f"({in_words(recipe.optimizer_settings)}), learning rate / 10 after epochs "
        f"{LIBAUC_DECAY_EPOCHS}, DualSampler batches of {LIBAUC_BATCH} or fewer with "
        f"{recipe.sampling_rate:.0%} positives, {LIBAUC_EPOCHS} epochs, best on "
        "held-out labels, standardised features",
        objectives=(objective,),
        package="libauc",
    )


def own_method(solver: str) -> Method:
    return Method(ours(solver), f"CategoryWiseFineTuner({solver!r})", solver=solver)


_STAGE_TWO = f"at most {MLCPL_EPOCHS} epochs, early stopping {MLCPL_PATIENCE}"
_LR = (
    f"LogisticRegression(max_iter={MAX_ITER}) on standardised features and known "
    f"labels, C of {', '.join(f'{C:g}' for C in CS)} by held-out "
)
_BP = f"asymmetric loss, Adam {MLCPL_LEARNING_RATE}, {_STAGE_TWO}"
PEERS = {
    "mlcpl_ga": Method(
        mlcpl_ga,
        f"mlcpl CFT, GAForLinear({in_words(MLCPL_GA)}), {_STAGE_TWO}",
        package="mlcpl",
    ),
    "ga_published": Method(
        ours(GeneticSolver.published(), refit=False),
        "the same with this package's kernels: GeneticSolver.published(), refit=False",
    ),
    "mlcpl_bp": Method(
        mlcpl_bp, f"mlcpl CFT, BP({in_words(MLCPL_ASL)}), {_BP}", package="mlcpl"
    ),
    "bp_published": Method(
        ours(GradientSolver.published(), refit=False),
        "the same in this package: GradientSolver.published(), refit=False",
    ),
    "ignore_lr": Method(
        ignore_lr, _LR + "objective, then on all known labels with that C"
    ),
    "ignore_lr_ll": Method(
        ignore_lr_ll,
        _LR + "log loss, then on all known labels with that C",
        uses_objective=False,
    ),
    "libauc_auc": libauc_method("roc_auc"),
    "libauc_ap": libauc_method("average_precision"),
}
OURS = {name: own_method(name) for name in ("ga", "bce", "asl", "proximal", "auto")}
METHODS = {
    "an": Method(unchanged, "the initial weights, unchanged", uses_objective=False),
    **PEERS,
    **OURS,
}


def missing(name: str) -> str | None:
    """Return why a method cannot run here, or nothing."""
    method = METHODS[name]
    if method.package is not None:
        try:
            import_package(method.package)
        except ImportError as error:
            reason = str(error).split(". ")[0]
            return f"{reason}; to install it: {INSTALL[method.package]}"
    if method.solver is not None:
        return refused(method.solver)
    return None


def import_package(package: str) -> None:
    """Import a peer; a process that timed methods has paid for it before."""
    if package == "mlcpl":
        import_mlcpl()
    else:
        for part in ("losses", "optimizers", "sampler"):
            importlib.import_module(f"libauc.{part}")


def refused(solver: str) -> str | None:
    """Try the name of a solver on a few rows; it may be older than this version."""
    Z, y, _ = make_partial_multilabel(
        40, n_features=2, n_categories=2, known=1.0, random_state=0
    )
    try:
        CategoryWiseFineTuner(solver, random_state=0, device="cpu").fit(Z, y)
    except (TypeError, ValueError) as error:
        return f"this version of cftlearn refuses it: {error}"
    return None


@functools.cache
def warm_up(name: str) -> None:
    """Let a method import and allocate before its clock runs; mlcpl only imports."""
    method = METHODS[name]
    if method.package is not None:
        import_package(method.package)
    if method.package != "mlcpl":
        method.fit(small_problem(), method.objectives[0], 0)


def small_problem() -> Problem:
    Z, y, _ = make_partial_multilabel(
        60, n_features=3, n_categories=2, known=1.0, random_state=0
    )
    held = np.arange(60) % 4 == 0
    return Problem(
        Z=Z,
        y=np.where(held[:, None], np.nan, y),
        y_held=np.where(held[:, None], y, np.nan),
        Z_test=Z,
        y_test=y,
        coef=np.zeros((2, 3)),
        intercept=np.zeros(2),
    )
