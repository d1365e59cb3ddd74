"""Cases of same_bits.py: calibration, ensembles, splits, metrics and intervals."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from _bits import CASES, Results, case, of_model, split
from _bits_problems import features, frames, signed_auc
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cftlearn import CategoryWiseFineTuner, CFTClassifier, CFTEnsemble, metrics
from cftlearn.calibration import (
    CategoryCalibrator,
    held_out_predictions,
    tune_thresholds,
)
from cftlearn.ensemble import (
    augmented_scores,
    combine_scores,
    merge_views,
    select_members,
)
from cftlearn.model_selection import (
    PartialLabelKFold,
    cross_val_predict,
    partial_train_test_split,
)
from cftlearn.solvers import ProximalSolver

QUICK = CategoryWiseFineTuner(
    ProximalSolver(spreads=(0.5, 2.0), scalings=("standard",))
)


def scores(n: int = 400, c: int = 5, *, seed: int = 0) -> tuple[Any, Any, Any]:
    """Make partly known labels, scores that tell something of them, and groups."""
    rng = np.random.default_rng(seed)
    _, y = features(n, 6, c, known=0.6)
    truth = np.where(np.isnan(y), rng.random(y.shape) < 0.3, y)
    logits = 1.5 * truth - 0.5 + rng.standard_normal(y.shape)
    groups = np.array([f"g{g}" for g in rng.integers(n // 3, size=n)])
    return y, np.round(logits, 2), groups  # rounded: some are tied


def proba_of(logits: Any) -> Any:
    return 1 / (1 + np.exp(-logits))


@case("calibrator")
def calibrator(_: Path) -> Results:
    y, logits, _ = scores()
    y[:, 3] = np.where(y[:, 3] == 1.0, 1.0, np.nan)
    found: Results = {}
    for name, options in {
        "sigmoid": {},
        "alone": {"shrinkage": 0},
        "isotonic": {"method": "isotonic", "min_isotonic": 20},
        "prevalence": {"prevalence": [0.1, 0.2, np.nan, 0.5, 0.4]},
    }.items():
        fitted = CategoryCalibrator(**options).fit(logits, y)
        found |= {f"{name}.{k}": v for k, v in of_model(fitted, logits).items()}
    binary = CategoryCalibrator().fit(logits[:, :1], (logits[:, 0] > 0.3).astype(int))
    return found | {"binary": binary.transform(logits[:, :1])}


@case("thresholds")
def thresholds(_: Path) -> Results:
    y, logits, _ = scores()
    y[12:, 4] = np.nan
    found: Results = {}
    for metric in ("f1", "f0.5", "youden", "recall>=0.9", "precision>=0.6"):
        for rare in ("pooled", "default"):
            chosen, report = tune_thresholds(
                y, proba_of(logits), metric=metric, rare=rare, return_report=True
            )
            found[f"{metric}.{rare}"] = chosen
            found |= split(f"{metric}.{rare}.report", report)
    own = tune_thresholds(
        y, proba_of(logits), metric=lambda t, p: float((t == p).mean())
    )
    return found | {"callable": own}


# --- ensembles ------------------------------------------------------------------------

ENSEMBLES: dict[str, dict[str, Any]] = {
    "seeds": {},
    "logits": {"combine": "logit_mean"},
    "ranks": {"combine": "rank_mean"},
    "best": {"weights": "best"},
    "greedy": {"weights": "greedy", "objective": "average_precision"},
    "greedy_ranks": {"weights": "greedy", "combine": "rank_mean"},
    "greedy_callable": {"weights": "greedy", "objective": signed_auc},
    "given": {"weights": [1.0, 2.0, 0.5], "threshold": 0.3},
}


def members(random_state: int | None = None) -> list[tuple[str, Any]]:
    """Make members of three kinds."""
    quick = CFTClassifier(fine_tuner=QUICK, random_state=random_state)
    return [
        ("auto", CFTClassifier(random_state=random_state)),
        ("proximal", clone(quick).set_params(calibration="sigmoid")),
        ("scaled", make_pipeline(StandardScaler(), quick)),
    ]


def _ensemble(parameters: dict[str, Any], _: Path) -> Results:
    X, y = features(260)
    model = CFTEnsemble(members(), random_state=0, **parameters).fit(X, y)
    return of_model(model, X)


for _name, _parameters in ENSEMBLES.items():
    CASES[f"ensemble.{_name}"] = partial(_ensemble, _parameters)


@case("ensemble.default")
def default_ensemble(_: Path) -> Results:
    X, y = features(150)
    return of_model(CFTEnsemble(n_estimators=2, random_state=0).fit(X, y), X)


@case("ensemble.prefit")
def prefit(_: Path) -> Results:
    X, y = features(300)
    fitted = [
        (name, FrozenEstimator(model.fit(X[:150], y[:150])))
        for name, model in members(random_state=3)
    ]
    model = CFTEnsemble(fitted, prefit=True, weights="greedy").fit(X[150:], y[150:])
    data = X[150:220], y[150:220]
    other = CFTEnsemble(members(), weights="best", random_state=1)
    other.fit(X[:150], y[:150], validation_data=data)
    return of_model(model, X) | {"other": [other.weights_, other.decision_function(X)]}


@case("ensemble.functions")
def ensemble_functions(_: Path) -> Results:
    y, first, groups = scores()
    second, third = (scores(seed=seed)[1] for seed in (1, 2))
    table = proba_of(np.stack([first, second, third]))
    found: Results = {}
    for how in ("best", "greedy"):
        for objective in ("roc_auc", "average_precision", signed_auc):
            key = f"{how}.{getattr(objective, '__name__', objective)}"
            found[key] = select_members(y, table, how=how, objective=objective)
    for how in ("mean", "logit_mean", "rank_mean"):
        found[how] = [
            combine_scores(table, how=how),
            combine_scores(table, how=how, weights=found["greedy.roc_auc"]),
        ]
    found["reference"] = combine_scores(
        table, how="rank_mean", reference=np.sort(table[:, :50], axis=1)
    )
    for how in ("max", "mean"):
        found[f"views.{how}"] = merge_views(first, groups, how=how)
    X, labels = features()
    model = CFTClassifier(fine_tuner=QUICK, random_state=0).fit(X, labels)
    for how in ("mean", "logit_mean"):
        found[f"augmented.{how}"] = augmented_scores(
            model, X, [lambda X: X * 1.1, lambda X: X - 0.1], combine=how
        )
    return found


# --- splits ---------------------------------------------------------------------------


@case("splits")
def splits(_: Path) -> Results:
    y, logits, groups = scores(150)
    found: Results = {}
    for name, options in {
        "plain": {},
        "shuffled": {"n_splits": 3, "shuffle": True, "random_state": 1},
    }.items():
        for own in (None, groups):
            folds = PartialLabelKFold(**options).split(logits, y, own)
            key = "groups" if own is not None else "rows"
            found[f"{name}.{key}"] = [list(fold) for fold in folds]
            found[f"{name}.{key}.parts"] = partial_train_test_split(
                logits, y, test_size=0.3, groups=own, random_state=2
            )
    found["counted"] = partial_train_test_split(logits, y, test_size=20, random_state=0)
    return found


@case("cross_validation")
def cross_validation(_: Path) -> Results:
    X, y = features(180, 8, 4)
    model = CFTClassifier(fine_tuner=QUICK, random_state=0)
    found: Results = {}
    for method in ("predict_proba", "decision_function", "predict"):
        found[method] = cross_val_predict(model, X, y, cv=3, method=method)
    groups = np.arange(len(X)) // 2
    found["groups"] = cross_val_predict(model, X, y, groups=groups, cv=3)
    named = cross_val_predict(model, *frames(), cv=2)
    folds = PartialLabelKFold(3)
    for name in (
        "partial_roc_auc_scorer",
        "partial_average_precision_scorer",
        "partial_f1_scorer",
        "neg_partial_log_loss_scorer",
    ):
        scorer = getattr(metrics, name)
        found[name] = cross_val_score(model, X, y, cv=folds, scoring=scorer)
    search = GridSearchCV(
        CFTClassifier(random_state=0),
        {"fine_tuner__solver": ["proximal", "auto"]},
        cv=folds,
        scoring=metrics.partial_roc_auc_scorer,
    ).fit(X, y)
    return found | {
        "frames": named,
        "search": [search.cv_results_["mean_test_score"], search.best_params_],
    }


# --- metrics --------------------------------------------------------------------------


@case("metrics")
def all_metrics(_: Path) -> Results:
    y, logits, _ = scores()
    y[:, 4] = np.where(y[:, 4] == 1.0, np.nan, y[:, 4])
    found: Results = {}
    for average in ("macro", "micro", "weighted", None):
        for name, score in (
            ("partial_roc_auc_score", logits),
            ("partial_average_precision_score", logits.astype(np.float32)),
            ("partial_f1_score", (logits > 0).astype(int)),
            ("partial_log_loss", proba_of(logits)),
        ):
            try:
                value = getattr(metrics, name)(y, score, average=average)
            except ValueError:  # an average that it does not have
                value = "refused"
            found[f"{name}.{average}"] = value
    return found


@case("intervals")
def intervals(_: Path) -> Results:
    y, logits, groups = scores(200, 3)
    found: Results = {}
    for metric in ("roc_auc", "average_precision"):
        for own in (None, groups):
            key = f"{metric}.{'rows' if own is None else 'groups'}"
            options = {"metric": metric, "groups": own, "n_resamples": 200}
            options["random_state"] = 0
            found[key] = metrics.bootstrap_intervals(y, logits, **options)
            found[f"{key}.compared"] = metrics.compare_scores(
                y, logits, np.round(logits**3, 1), **options
            )
    found["percentile"] = metrics.bootstrap_intervals(
        y, logits, method="percentile", n_resamples=100, random_state=0
    )
    return found


@case("held_out")
def held_out(_: Path) -> Results:
    X, y = features()
    model = CFTClassifier(random_state=0, calibration="sigmoid").fit(X, y)
    y_true, y_proba = held_out_predictions(model)
    return {
        "thresholds": tune_thresholds(y_true, y_proba, min_labels=3),
        "auc": metrics.partial_roc_auc_score(
            y_true, np.nan_to_num(y_proba), average=None
        ),
    }
