"""Bad inputs of many entries: what has no rows, objectives, labels on values."""

from pathlib import Path
from typing import Any

import numpy as np

from cftlearn import CategoryWiseFineTuner, CFTClassifier, CFTEnsemble, save_model
from cftlearn.calibration import CategoryCalibrator
from cftlearn.datasets import make_partial_multilabel
from cftlearn.ensemble import combine_scores, merge_views, select_members
from cftlearn.metrics import partial_roc_auc_score
from cftlearn.model_selection import (
    PartialLabelKFold,
    cross_val_predict,
    partial_train_test_split,
)

from .case import Case

X, Y, _ = make_partial_multilabel(
    40, n_features=4, n_categories=2, known=0.8, random_state=0
)
NAN = np.nan


def make_network() -> Any:
    from torch import nn

    return nn.Linear(4, 2)


def make_extractor() -> Any:
    from cftlearn import TorchFeatureExtractor

    return TorchFeatureExtractor(make_network())


def loader() -> Any:
    from torch.utils.data import DataLoader

    return DataLoader(X)  # type: ignore[arg-type]


def tuner(objective: Any) -> CategoryWiseFineTuner:
    return CategoryWiseFineTuner(objective=objective)


def save_with(folder: Path, **params: Any) -> None:
    save_model(fitted().set_params(**params), folder / "model")


def fitted() -> CFTClassifier:
    weights = CategoryWiseFineTuner(
        "bce", coef_init=np.ones((2, 4)), intercept_init=np.zeros(2)
    )
    return CFTClassifier(fine_tuner=weights, random_state=0).fit(X, Y)


def export(path: Path, **options: Any) -> None:
    from cftlearn.networks import export_onnx

    export_onnx(fitted(), path, **options)


def one_argument(scores: Any) -> float:
    return 1.0


def scorer(estimator: Any, X: Any, y: Any) -> float:
    return 1.0


ROWS = "must hold rows in a fixed order; got"
LOADER = f"{ROWS} a DataLoader, which gives batches in an order of its own."
TO_NETWORK = "Pass the dataset of it, X.dataset; `batch_size` sets the batches."
TO_ARRAYS = "Pass the arrays that its dataset is made of."
ONCE = "which gives its items once."
NAMED = (
    f"{ROWS} a dict, whose items have names. Pass one item of it, or "
    "pandas.DataFrame({}) if it holds columns."
)
UNORDERED = (
    f"{ROWS} a set, whose items have no order. Pass a list of rows in the order of "
    "the labels."
)
SIGNATURE = (
    "`objective` must take two arguments, metric(y_true, y_score) -> float; got {}. "
    "Write a function of the labels and the scores of one category."
)
RESULT = (
    "`objective` must return one number per call; got {}. Write it as "
    "metric(y_true, y_score) -> float, higher for better scores."
)
FINITE = (
    "`objective` must return finite numbers; got {} for 40 known labels with 20 "
    "positives. Return a number for every pair of labels and scores."
)
HALF_NAN = (
    "`scores` must be finite numbers; got nan at {} (1 such cells). A category may be "
    "NaN in all rows, if a model cannot score it, or in none."
)
NOT_SAVED = (
    "The parameter `{}` must be text, a number, an array or an estimator of cftlearn "
    "to be saved; got {}."
)
FREE = (
    "Set another value with set_params before saving (predictions do not depend on "
    "it), or use pickle."
)


CASES = [
    # ------------------------------------------------------------- what has no rows
    Case(
        "CFTClassifier.fit",
        "a DataLoader for a network",
        lambda folder: CFTClassifier(make_network()).fit(loader(), Y),
        TypeError,
        f"`X` {LOADER} {TO_NETWORK}",
    ),
    Case(
        "CFTClassifier.fit",
        "a DataLoader as validation rows",
        lambda folder: CFTClassifier(make_network()).fit(X, Y, X_val=loader(), y_val=Y),
        TypeError,
        f"`X_val` {LOADER} {TO_NETWORK.replace('X.', 'X_val.')}",
    ),
    Case(
        "CFTClassifier.fit",
        "a DataLoader as features",
        lambda folder: CFTClassifier().fit(loader(), Y),
        TypeError,
        f"`X` {LOADER} {TO_ARRAYS}",
    ),
    Case(
        "CFTClassifier.predict",
        "a DataLoader as features",
        lambda folder: fitted().predict(loader()),
        TypeError,
        f"`X` {LOADER} {TO_ARRAYS}",
    ),
    Case(
        "CFTClassifier.fit",
        "a DataLoader as labels",
        lambda folder: CFTClassifier().fit(X, loader()),
        TypeError,
        f"`y` {LOADER} {TO_ARRAYS}",
    ),
    Case(
        "TorchFeatureExtractor.fit",
        "a DataLoader",
        lambda folder: make_extractor().fit(loader()),
        TypeError,
        f"`X` {LOADER} {TO_NETWORK}",
    ),
    Case(
        "TorchFeatureExtractor.transform",
        "a DataLoader",
        lambda folder: make_extractor().fit(X).transform(loader()),
        TypeError,
        f"`X` {LOADER} {TO_NETWORK}",
    ),
    Case(
        "CategoryWiseFineTuner.fit",
        "a DataLoader",
        lambda folder: CategoryWiseFineTuner().fit(loader(), Y),
        TypeError,
        f"`Z` {LOADER} {TO_ARRAYS}",
    ),
    Case(
        "CFTEnsemble.fit",
        "a DataLoader",
        lambda folder: CFTEnsemble().fit(loader(), Y),
        TypeError,
        f"`X` {LOADER} {TO_NETWORK}",
    ),
    Case(
        "model_selection.cross_val_predict",
        "a DataLoader",
        lambda folder: cross_val_predict(CFTClassifier(), loader(), Y),
        TypeError,
        f"`X` {LOADER} {TO_ARRAYS}",
    ),
    Case(
        "CFTClassifier.fit",
        "a generator of rows",
        lambda folder: CFTClassifier().fit((row for row in X), Y),
        TypeError,
        f"`X` {ROWS} a generator, {ONCE} Pass list(X).",
    ),
    Case(
        "CFTClassifier.fit",
        "a generator of rows for a network",
        lambda folder: CFTClassifier(make_network()).fit((row for row in X), Y),
        TypeError,
        f"`X` {ROWS} a generator, {ONCE} Pass list(X).",
    ),
    Case(
        "CFTClassifier.fit",
        "a generator of labels",
        lambda folder: CFTClassifier().fit(X, (row for row in Y)),
        TypeError,
        f"`y` {ROWS} a generator, {ONCE} Pass list(y).",
    ),
    Case(
        "CategoryWiseFineTuner.transform",
        "an iterator of rows",
        lambda folder: fitted().fine_tuner_.transform(iter(X.tolist())),
        TypeError,
        f"`Z` {ROWS} a list_iterator, {ONCE} Pass list(Z).",
    ),
    Case(
        "TorchFeatureExtractor.fit",
        "a map of rows",
        lambda folder: make_extractor().fit(map(list, X)),
        TypeError,
        f"`X` {ROWS} a map, {ONCE} Pass list(X).",
    ),
    Case(
        "CFTEnsemble.fit",
        "pairs of rows and labels by zip",
        lambda folder: CFTEnsemble().fit(zip(X, Y, strict=True), Y),
        TypeError,
        f"`X` {ROWS} a zip, {ONCE} Pass list(X).",
    ),
    Case(
        "model_selection.partial_train_test_split",
        "a generator of rows",
        lambda folder: partial_train_test_split((row for row in X), Y),
        TypeError,
        f"`X` {ROWS} a generator, {ONCE} Pass list(X).",
    ),
    Case(
        "model_selection.PartialLabelKFold.split",
        "a generator of labels",
        lambda folder: list(PartialLabelKFold(2).split(X, (row for row in Y))),  # type: ignore[arg-type]
        TypeError,
        f"`y` {ROWS} a generator, {ONCE} Pass list(y).",
    ),
    Case(
        "metrics.partial_roc_auc_score",
        "a generator of labels",
        lambda folder: partial_roc_auc_score((row for row in Y), Y),  # type: ignore[arg-type]
        TypeError,
        f"`y_true` {ROWS} a generator, {ONCE} Pass list(y_true).",
    ),
    Case(
        "ensemble.combine_scores",
        "a generator of members",
        lambda folder: combine_scores(X for _ in range(2)),
        TypeError,
        f"`scores` {ROWS} a generator, {ONCE} Pass list(scores).",
    ),
    Case(
        "ensemble.select_members",
        "a dictionary of members",
        lambda folder: select_members(Y, {"one": X}),
        TypeError,
        f"`scores` {NAMED.format('scores')}",
    ),
    Case(
        "CFTClassifier.fit",
        "a dictionary of columns",
        lambda folder: CFTClassifier().fit({"age": X[:, 0]}, Y),
        TypeError,
        f"`X` {NAMED.format('X')}",
    ),
    Case(
        "CFTClassifier.predict",
        "a dictionary of columns",
        lambda folder: fitted().predict({"age": X[:, 0]}),
        TypeError,
        f"`X` {NAMED.format('X')}",
    ),
    Case(
        "TorchFeatureExtractor.fit",
        "a set of paths",
        lambda folder: make_extractor().fit({"a.png", "b.png"}),
        TypeError,
        f"`X` {UNORDERED}",
    ),
    Case(
        "calibration.CategoryCalibrator.fit",
        "a set as scores",
        lambda folder: CategoryCalibrator().fit({0.5}, Y),
        TypeError,
        f"`X` {UNORDERED}",
    ),
    Case(
        "CFTClassifier.fit",
        "None as features",
        lambda folder: CFTClassifier().fit(None, Y),
        TypeError,
        f"`X` {ROWS} None. Pass an array, a frame or a list.",
    ),
    Case(
        "CFTClassifier.fit",
        "None as inputs of a network",
        lambda folder: CFTClassifier(make_network()).fit(None, Y),
        TypeError,
        f"`X` {ROWS} None. Pass an array, a frame or a list.",
    ),
    # ------------------------------------------------------------------- objectives
    Case(
        "CategoryWiseFineTuner.fit",
        "an objective with one argument",
        lambda folder: tuner(one_argument).fit(X, Y),
        TypeError,
        SIGNATURE.format("one_argument(scores: Any) -> float"),
    ),
    Case(
        "CFTClassifier.fit",
        "an objective with one argument",
        lambda folder: CFTClassifier(
            make_network(), fine_tuner=tuner(lambda scores: 1.0)
        ).fit(X, Y),
        TypeError,
        SIGNATURE.format("<lambda>(scores)"),
    ),
    Case(
        "CFTEnsemble.fit",
        "a scorer as objective",
        lambda folder: CFTEnsemble(objective=scorer).fit(X, Y),
        TypeError,
        SIGNATURE.format("scorer(estimator: Any, X: Any, y: Any) -> float"),
    ),
    Case(
        "ensemble.select_members",
        "an objective without arguments",
        lambda folder: select_members(Y, [X[:, :2]], objective=lambda: 1.0),  # type: ignore[arg-type, misc]
        TypeError,
        SIGNATURE.format("<lambda>()"),
    ),
    Case(
        "CFTClassifier.fit",
        "an objective that returns an array",
        lambda folder: CFTClassifier(
            make_network(), fine_tuner=tuner(lambda y, scores: scores)
        ).fit(X, Y),
        TypeError,
        RESULT.format("ndarray of shape (40,)"),
    ),
    Case(
        "CFTClassifier.fit",
        "an objective that returns None",
        lambda folder: CFTClassifier(
            make_network(), fine_tuner=tuner(lambda y, scores: None)
        ).fit(X, Y),
        TypeError,
        RESULT.format("NoneType None"),
    ),
    Case(
        "CategoryWiseFineTuner.fit",
        "an objective that returns text",
        lambda folder: tuner(lambda y, scores: "high").fit(X, Y),
        TypeError,
        RESULT.format("str 'high'"),
    ),
    Case(
        "CFTClassifier.fit",
        "an objective that is always NaN",
        lambda folder: CFTClassifier(
            make_network(), fine_tuner=tuner(lambda y, scores: NAN)
        ).fit(X, Y),
        ValueError,
        FINITE.format("nan"),
    ),
    Case(
        "CFTEnsemble.fit",
        "an objective that is infinite",
        lambda folder: CFTEnsemble(
            weights="best", objective=lambda y, scores: np.inf
        ).fit(X, Y),
        ValueError,
        FINITE.format("inf"),
    ),
    # --------------------------------------------- categories that nobody can score
    Case(
        "ensemble.combine_scores",
        "a model without any score",
        lambda folder: combine_scores([[[0.5]], [[NAN]]]),
        ValueError,
        "`scores` must hold scores of every model in some category; got NaN in all "
        "cells of model 1. Leave this model out.",
    ),
    Case(
        "ensemble.select_members",
        "one score that is missing",
        lambda folder: select_members([[1.0], [0.0]], [[[0.5], [NAN]]]),
        ValueError,
        HALF_NAN.format("(0, 1, 0)"),
    ),
    Case(
        "ensemble.merge_views",
        "one score that is missing",
        lambda folder: merge_views([[0.5], [NAN]], [1, 1]),
        ValueError,
        HALF_NAN.format("(1, 0)"),
    ),
    Case(
        "ensemble.combine_scores",
        "a weight that is missing",
        lambda folder: combine_scores([[[0.5]], [[0.6]]], weights=[1.0, NAN]),
        ValueError,
        "`weights` must be finite numbers; got nan at (1,) (1 such cells). Write 0 for "
        "a model that is not to count.",
    ),
    # ------------------------------------------------------------- what is not saved
    Case(
        "save_model",
        "a set as thresholds",
        lambda folder: save_with(folder, threshold={0.5}),
        TypeError,
        f"{NOT_SAVED.format('threshold', 'set')} Set a number, or a list with one "
        "number per category, with set_params before saving, or use pickle.",
    ),
    Case(
        "save_model",
        "a threshold of other names",
        lambda folder: save_with(
            folder, threshold=__import__("pandas").Series({"fox": 0.5, "1": 0.5})
        ),
        ValueError,
        "`threshold` must name every category once; missing: '0'; unexpected: 'fox'. "
        "Correct its index; or pass threshold.to_numpy(), with its values in this "
        "order: '0', '1'.",
        needs="pandas",
    ),
    Case(
        "save_model",
        "a loss that is a function",
        lambda folder: save_with(folder, loss=max),
        TypeError,
        f"{NOT_SAVED.format('loss', 'builtin_function_or_method')} {FREE}",
    ),
    Case(
        "save_model",
        "a generator of random numbers",
        lambda folder: save_with(folder, random_state=np.random.RandomState(0)),
        TypeError,
        f"{NOT_SAVED.format('random_state', 'RandomState')} {FREE}",
    ),
    *(
        Case(
            where,
            f"text for the truth value {name!r}",
            act,
            TypeError,
            f"`{name}` must be True or False; got 'no'.",
        )
        for where, name, act in (
            (
                "CategoryWiseFineTuner.transform",
                "initial",
                lambda folder: fitted().fine_tuner_.transform(X, initial="no"),
            ),
            (
                "CFTClassifier.decision_function",
                "initial",
                lambda folder: fitted().decision_function(X, initial="no"),
            ),
            (
                "CFTClassifier.to_torch",
                "calibrated",
                lambda folder: fitted().to_torch(calibrated="no"),
            ),
            (
                "save_model",
                "overwrite",
                lambda folder: save_model(fitted(), folder / "m", overwrite="no"),
            ),
            (
                "networks.export_onnx",
                "sigmoid",
                lambda folder: export(folder / "m.onnx", sigmoid="no"),
            ),
        )
    ),
]
