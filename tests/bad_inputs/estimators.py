"""Bad inputs of the estimators, of their fits and of what combines them."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils._param_validation import InvalidParameterError

from cftlearn import CategoryWiseFineTuner, CFTClassifier, CFTEnsemble
from cftlearn.datasets import make_partial_multilabel
from cftlearn.ensemble import augmented_scores, combine_scores, select_members
from cftlearn.losses import available
from cftlearn.solvers import GeneticSolver, GradientSolver, ProximalSolver
from cftlearn.training import NetworkTrainer

from .case import Case

X, Y, _ = make_partial_multilabel(
    40, n_features=4, n_categories=2, known=0.8, random_state=0
)
COEF = np.ones((2, 4))


class Weights(BaseEstimator):
    """A fitted model of two categories, without the cost of a fit."""

    def fit(self, X: Any, y: Any) -> "Weights":
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def transform(self, X: Any) -> Any:
        return np.asarray(X)[:, :2]


FITTED = Weights()


def make_network() -> Any:
    from torch import nn

    return nn.Linear(4, 2)


CASES = [
    Case(
        "CFTClassifier.fit",
        "labels that are all unknown",
        lambda folder: CFTClassifier().fit(X, np.full_like(Y, np.nan)),
        ValueError,
        "`y` must hold a known label; got none among 80 cells. Write 1 for "
        "positive and 0 for negative, and pass other rows than these if "
        "their labels are really unknown.",
    ),
    Case(
        "CategoryWiseFineTuner.fit",
        "labels that are all unknown",
        lambda folder: CategoryWiseFineTuner().fit(X, np.full_like(Y, np.nan)),
        ValueError,
        "`y` must hold a known label; got none among 80 cells. Write 1 for "
        "positive and 0 for negative, and pass other rows than these if "
        "their labels are really unknown.",
    ),
    Case(
        "CFTEnsemble.fit",
        "labels that are all unknown",
        lambda folder: CFTEnsemble().fit(X, np.full_like(Y, np.nan)),
        ValueError,
        "`y` must hold a known label; got none among 80 cells. Write 1 for "
        "positive and 0 for negative, and pass other rows than these if "
        "their labels are really unknown.",
    ),
    Case(
        "CFTClassifier.fit",
        "validation rows in both forms",
        lambda folder: CFTClassifier().fit(
            X, Y, X_val=X, y_val=Y, validation_data=(X, Y)
        ),
        ValueError,
        "`validation_data` and `X_val`, `y_val` mean the same rows; got "
        "both. Pass X_val=..., y_val=... alone.",
    ),
    Case(
        "CFTClassifier.fit",
        "validation rows without labels",
        lambda folder: CFTClassifier().fit(X, Y, X_val=X),
        ValueError,
        "`y_val` must be given with `X_val`: rows choose by their labels; "
        "got None. Pass X_val=..., y_val=..., or neither.",
    ),
    Case(
        "CategoryWiseFineTuner.fit",
        "validation labels without rows",
        lambda folder: CategoryWiseFineTuner().fit(X, Y, y_val=Y),
        ValueError,
        "`X_val` must be given with `y_val`: rows choose by their labels; "
        "got None. Pass X_val=..., y_val=..., or neither.",
    ),
    Case(
        "CFTEnsemble.fit",
        "validation data as a list",
        lambda folder: CFTEnsemble().fit(X, Y, validation_data=[X, Y]),
        ValueError,
        "`validation_data` must be a tuple (X_val, y_val); got list of 2. "
        "Pass X_val=..., y_val=... instead.",
    ),
    Case(
        "CFTClassifier.fit",
        "validation data of three parts",
        lambda folder: CFTClassifier().fit(X, Y, validation_data=(X, Y, None)),
        ValueError,
        "`validation_data` must be a tuple (X_val, y_val); got tuple of 3. "
        "Pass X_val=..., y_val=... instead.",
    ),
    Case(
        "CFTClassifier.fit",
        "validation rows of another width",
        lambda folder: CFTClassifier().fit(X, Y, X_val=X[:, :3], y_val=Y),
        ValueError,
        "X has 3 features, but CFTClassifier is expecting 4 features as input.",
    ),
    Case(
        "CategoryWiseFineTuner.fit",
        "fewer validation rows than labels",
        lambda folder: CategoryWiseFineTuner().fit(X, Y, X_val=X[:5], y_val=Y),
        ValueError,
        "`X_val` and `y_val` must have one row per sample; found input "
        "variables with inconsistent numbers of samples: [5, 40].",
    ),
    Case(
        "CategoryWiseFineTuner.fit",
        "validation labels of other categories",
        lambda folder: CategoryWiseFineTuner().fit(X, Y, X_val=X + 1, y_val=Y[:, :1]),
        ValueError,
        "`y_val` must have the 2 categories that `fit` saw; got 1.",
    ),
    Case(
        "CategoryWiseFineTuner.fit",
        "a label that fits and chooses",
        lambda folder: CategoryWiseFineTuner().fit(X, Y, X_val=X, y_val=Y),
        ValueError,
        "`y_val` must hold other known labels than `y` where the rows are "
        "the same; got 64 labels known in both, the first in category '0', "
        "row 0. Set them to NaN in one of the two.",
    ),
    Case(
        "CFTEnsemble.fit",
        "validation rows for fitted members",
        lambda folder: CFTEnsemble([("a", CFTClassifier())], prefit=True).fit(
            X, Y, X_val=X, y_val=Y
        ),
        ValueError,
        "`X_val` must be None with prefit=True, where no member is fitted "
        "to `X` and `y`: these are the rows to choose by; got ndarray. Pass"
        " fit(X_val, y_val).",
    ),
    Case(
        "CFTClassifier.fit",
        "no workers",
        lambda folder: CFTClassifier(n_jobs=0).fit(X, Y),
        InvalidParameterError,
        "The 'n_jobs' parameter of CFTClassifier must be an int in the "
        "range (-inf, -1], an int in the range [1, 1024] or None. Got 0 "
        "instead.",
    ),
    Case(
        "CategoryWiseFineTuner.fit",
        "no workers",
        lambda folder: CategoryWiseFineTuner(n_jobs=0).fit(X, Y),
        InvalidParameterError,
        "The 'n_jobs' parameter of CategoryWiseFineTuner must be an int in "
        "the range (-inf, -1], an int in the range [1, 1024] or None. Got 0"
        " instead.",
    ),
    Case(
        "CFTEnsemble.fit",
        "no workers",
        lambda folder: CFTEnsemble(n_jobs=0).fit(X, Y),
        InvalidParameterError,
        "The 'n_jobs' parameter of CFTEnsemble must be an int in the range "
        "(-inf, -1], an int in the range [1, 1024] or None. Got 0 instead.",
    ),
    Case(
        "CFTClassifier.fit",
        "more workers than a machine has",
        lambda folder: CFTClassifier(n_jobs=10**12).fit(X, Y),
        InvalidParameterError,
        "The 'n_jobs' parameter of CFTClassifier must be an int in the "
        "range (-inf, -1], an int in the range [1, 1024] or None. Got "
        "1000000000000 instead.",
    ),
    Case(
        "CFTEnsemble.fit",
        "more members than memory holds",
        lambda folder: CFTEnsemble(n_estimators=10**12).fit(X, Y),
        InvalidParameterError,
        "The 'n_estimators' parameter of CFTEnsemble must be an int in the "
        "range [1, 10000]. Got 1000000000000 instead.",
    ),
    Case(
        "CategoryWiseFineTuner.fit",
        "more folds than labels",
        lambda folder: CategoryWiseFineTuner(cross_fit=10**9).fit(X, Y),
        ValueError,
        "`cross_fit` must be at most 25, the largest number of known labels"
        " of a class in one category, so that every fold has labels; got "
        "1000000000. Pass cross_fit=5, say.",
    ),
    Case(
        "CFTClassifier.fit",
        "more folds than labels",
        lambda folder: CFTClassifier(
            fine_tuner=CategoryWiseFineTuner(cross_fit=10**9)
        ).fit(X, Y),
        ValueError,
        "`cross_fit` must be at most 25, the largest number of known labels"
        " of a class in one category, so that every fold has labels; got "
        "1000000000. Pass cross_fit=5, say.",
    ),
    Case(
        "CategoryWiseFineTuner.fit",
        "cross-fitting with other rows",
        lambda folder: CategoryWiseFineTuner(cross_fit=2).fit(
            X, Y, X_val=X + 1, y_val=Y
        ),
        ValueError,
        "`cross_fit` must be None without X_val=None: it fits the initial "
        "weights once per fold, and every known label of `y` judges; got "
        "cross_fit=2.",
    ),
    Case(
        "CategoryWiseFineTuner.fit",
        "cross-fitting of given weights",
        lambda folder: CategoryWiseFineTuner(
            cross_fit=2, coef_init=COEF, intercept_init=[0, 0]
        ).fit(X, Y),
        ValueError,
        "`cross_fit` must be None without coef_init=None: it fits the "
        "initial weights once per fold, and every known label of `y` "
        "judges; got cross_fit=2.",
    ),
    Case(
        "CategoryWiseFineTuner.fit",
        "an unknown solver",
        lambda folder: CategoryWiseFineTuner(["bce", "newton"]).fit(X, Y),
        ValueError,
        "`solver` must be 'auto', or 'ga', 'proximal', a loss ('asl', "
        "'bce', 'focal', 'spa'), a solver object, or a list of these; got 'newton'.",
    ),
    Case(
        "CategoryWiseFineTuner.fit",
        "an empty list of solvers",
        lambda folder: CategoryWiseFineTuner([]).fit(X, Y),
        ValueError,
        "`solver` must name at least one solver; got an empty list. Pass "
        "solver='auto'.",
    ),
    Case(
        "CategoryWiseFineTuner.fit",
        "the same solver twice",
        lambda folder: CategoryWiseFineTuner(["bce", "bce"]).fit(X, Y),
        ValueError,
        "`solver` must be a list of solvers with different names, by which "
        "`report_` tells them apart; got ['bce', 'bce']. Leave one of them "
        "out, or set its `name`.",
    ),
    Case(
        "CategoryWiseFineTuner.fit",
        "initial weights without biases",
        lambda folder: CategoryWiseFineTuner(coef_init=COEF).fit(X, Y),
        ValueError,
        "`coef_init` and `intercept_init` must be given together; got only "
        "coef_init. Pass both, or neither.",
    ),
    Case(
        "CategoryWiseFineTuner.fit",
        "initial weights of another width",
        lambda folder: CategoryWiseFineTuner(
            coef_init=COEF[:, :2], intercept_init=[0, 0]
        ).fit(X, Y),
        ValueError,
        "`coef_init` must have shape (2, 4) and `intercept_init` shape "
        "(2,), one row per category of `y`; got (2, 2) and (2,). Pass "
        "weights of a layer on these features.",
    ),
    Case(
        "CategoryWiseFineTuner.fit",
        "a checkpoint without a seed",
        lambda folder: CategoryWiseFineTuner(checkpoint=folder / "kept").fit(X, Y),
        ValueError,
        "`checkpoint` needs a seed, or the call that continues would not be"
        " the same fit; got random_state=None. Pass random_state=0.",
    ),
    Case(
        "CategoryWiseFineTuner.fit",
        "no device of that name",
        lambda folder: CategoryWiseFineTuner("bce", device="gpu0").fit(X, Y),
        ValueError,
        "`device` must be 'auto' or a device that torch can use; got 'gpu0'"
        " (Invalid device string: 'gpu0'). Pass device=\"cpu\" to compute "
        "without a GPU.",
    ),
    Case(
        "CategoryWiseFineTuner.transform",
        "before fit",
        lambda folder: CategoryWiseFineTuner().transform(X),
        NotFittedError,
        "This CategoryWiseFineTuner instance is not fitted yet. Call 'fit' "
        "with appropriate arguments before using this estimator.",
    ),
    Case(
        "CFTClassifier.fit",
        "an unknown treatment",
        lambda folder: CFTClassifier(unknown="positive").fit(X, Y),
        InvalidParameterError,
        "The 'unknown' parameter of CFTClassifier must be a str among "
        f"{{{', '.join(map(repr, available('unknown')))}}} or an object implementing "
        "'of_batch', 'set_epoch' and 'set_rates'. Got 'positive' instead.",
    ),
    Case(
        "CFTClassifier.fit",
        "a treatment that needs a network",
        lambda folder: CFTClassifier(unknown="hill").fit(X, Y),
        ValueError,
        "`unknown` must be 'auto', 'ignore' or 'negative' for plain "
        "features; got unknown='hill' without a `module`. Pass a `module`, "
        "or another treatment.",
    ),
    Case(
        "CFTClassifier.fit",
        "layers without a network",
        lambda folder: CFTClassifier(layers=["fc"]).fit(X, Y),
        ValueError,
        "`layers` needs a `module`, of which they are layers; got "
        "layers=['fc'] without one. Pass layers=None.",
    ),
    Case(
        "CFTClassifier.fit",
        "rounds without a network",
        lambda folder: CFTClassifier(rounds=2).fit(X, Y),
        ValueError,
        "`rounds` above 1 needs a `module` and train=True, since every "
        "round trains a network; got rounds=2. Pass rounds=1.",
    ),
    Case(
        "CFTClassifier.fit",
        "no training and no weights",
        lambda folder: CFTClassifier(train=False).fit(X, Y),
        ValueError,
        "`train=False` without a `module` needs initial weights. Pass "
        "fine_tuner=CategoryWiseFineTuner(coef_init=..., "
        "intercept_init=...).",
    ),
    Case(
        "CFTClassifier.fit",
        "a threshold per category too many",
        lambda folder: CFTClassifier(threshold=[0.5, 0.5, 0.5]).fit(X, Y),
        ValueError,
        "`threshold` must be one number or one per category, shape (2,); "
        "got shape (3,).",
    ),
    Case(
        "CFTClassifier.fit",
        "a threshold above 1",
        lambda folder: CFTClassifier(threshold=[0.5, 50]).fit(X, Y),
        ValueError,
        "`threshold` must lie in [0, 1]; got 0.5 to 50.0.",
    ),
    Case(
        "CFTClassifier.fit",
        "a validation fraction of 1",
        lambda folder: CFTClassifier(validation_fraction=1.0).fit(X, Y),
        InvalidParameterError,
        "The 'validation_fraction' parameter of CFTClassifier must be a "
        "float in the range (0.0, 1.0). Got 1.0 instead.",
    ),
    Case(
        "CFTClassifier.set_params",
        "a misspelt parameter of a part",
        lambda folder: CFTClassifier().set_params(fine_tuner__sover="ga"),
        ValueError,
        "Invalid parameter 'sover' for estimator CategoryWiseFineTuner(). "
        "Valid parameters are: ['checkpoint', 'coef_init', 'cross_fit', "
        "'device', 'intercept_init', 'n_jobs', 'objective', 'random_state',"
        " 'refit', 'solver', 'validation_fraction', 'verbose'].",
    ),
    Case(
        "CFTEnsemble.fit",
        "members without names",
        lambda folder: CFTEnsemble([CFTClassifier()]).fit(X, Y),
        TypeError,
        "`estimators` must be a list of (name, estimator); got "
        'CFTClassifier CFTClassifier() in it. Pass CFTEnsemble([("first", '
        'model_1), ("second", model_2)]).',
    ),
    Case(
        "CFTEnsemble.fit",
        "all members dropped",
        lambda folder: CFTEnsemble([("a", "drop")]).fit(X, Y),
        ValueError,
        "`estimators` must hold at least one member; got none. Pass "
        'CFTEnsemble([("first", model_1), ("second", model_2)]).',
    ),
    Case(
        "CFTEnsemble.fit",
        "prefit without members",
        lambda folder: CFTEnsemble(prefit=True).fit(X, Y),
        ValueError,
        "`estimators` must hold fitted members with prefit=True; got None. "
        'Pass CFTEnsemble([("first", model_1), ("second", model_2)], '
        "prefit=True).",
    ),
    Case(
        "CFTEnsemble.fit",
        "a negative weight",
        lambda folder: CFTEnsemble(
            [("a", FITTED), ("b", FITTED)], prefit=True, weights=[-1, 2]
        ).fit(X, Y),
        ValueError,
        "`weights` must be 0 or more, and above 0 for some model in every "
        "category; got -1 at the least and sums down to 1.",
    ),
    Case(
        "CFTEnsemble.fit",
        "weights of three members for two",
        lambda folder: CFTEnsemble(
            [("a", FITTED), ("b", FITTED)], prefit=True, weights=[1, 1, 1]
        ).fit(X, Y),
        ValueError,
        "`weights` must have one number per model, or per model and "
        "category, shape (2,) or (2, 2); got (3,).",
    ),
    Case(
        "ensemble.select_members",
        "scores of other rows",
        lambda folder: select_members(Y, [X[:4, :2]]),
        ValueError,
        "`scores` must have the rows and categories of `y_true`, (40, 2); got (4, 2).",
    ),
    Case(
        "ensemble.combine_scores",
        "one score that is missing",
        lambda folder: combine_scores([[[0.5, np.nan], [0.5, 0.5]]]),
        ValueError,
        "`scores` must be finite numbers; got nan at (0, 0, 1) (1 such "
        "cells). A category may be NaN in all rows, if a model cannot score it, "
        "or in none.",
    ),
    Case(
        "ensemble.augmented_scores",
        "a transform that is no function",
        lambda folder: augmented_scores(FITTED, X, [7]),
        TypeError,
        "`transforms` must hold functions; got int at index 0. Pass a list "
        "such as [lambda X: X[..., ::-1]].",
    ),
    Case(
        "ensemble.augmented_scores",
        "a transform that drops rows",
        lambda folder: augmented_scores(FITTED, X, [lambda rows: rows[1:]]),
        ValueError,
        "`transforms` must keep the 40 rows of `X`; the one at index 0 returned 39.",
    ),
    Case(
        "solvers.GeneticSolver",
        "a population that fills the memory",
        lambda folder: CategoryWiseFineTuner(GeneticSolver(population_size=10**12)).fit(
            X, Y
        ),
        InvalidParameterError,
        "The 'population_size' parameter of GeneticSolver must be an int in"
        " the range [2, 100000]. Got 1000000000000 instead.",
    ),
    Case(
        "solvers.GeneticSolver",
        "a tournament without end",
        lambda folder: CategoryWiseFineTuner(GeneticSolver(tournament_size=10**12)).fit(
            X, Y
        ),
        InvalidParameterError,
        "The 'tournament_size' parameter of GeneticSolver must be an int in"
        " the range [1, 100000]. Got 1000000000000 instead.",
    ),
    Case(
        "solvers.GradientSolver",
        "a loss that does not exist",
        lambda folder: CategoryWiseFineTuner(GradientSolver(loss="mse")).fit(X, Y),
        InvalidParameterError,
        "The 'loss' parameter of GradientSolver must be a str among {'asl',"
        " 'bce', 'focal', 'spa'}. Got 'mse' instead.",
    ),
    Case(
        "solvers.ProximalSolver",
        "a negative spread",
        lambda folder: CategoryWiseFineTuner(ProximalSolver(spreads=[-1.0])).fit(X, Y),
        ValueError,
        "`spreads` must hold numbers in (0, 1e6); got -1.0.",
    ),
    Case(
        "training.NetworkTrainer",
        "a checkpoint without a seed",
        lambda folder: CFTClassifier(trainer=NetworkTrainer(checkpoint=folder)).fit(
            X, Y
        ),
        ValueError,
        "`checkpoint` needs a seed, or the training that continues would "
        "not be the one that was interrupted; got random_state=None. Pass "
        "random_state=0.",
    ),
    Case(
        "training.NetworkTrainer",
        "a moving average that never moves",
        lambda folder: CFTClassifier(trainer=NetworkTrainer(ema_decay=1.0)).fit(X, Y),
        InvalidParameterError,
        "The 'ema_decay' parameter of NetworkTrainer must be a float in the"
        " range (0.0, 1.0) or None. Got 1.0 instead.",
    ),
    Case(
        "training.NetworkTrainer",
        "patience of 0",
        lambda folder: CFTClassifier(trainer=NetworkTrainer(patience=0)).fit(X, Y),
        InvalidParameterError,
        "The 'patience' parameter of NetworkTrainer must be an int in the "
        "range [1, inf) or None. Got 0 instead.",
    ),
    Case(
        "training.NetworkTrainer",
        "factors for too many categories",
        lambda folder: CFTClassifier(
            make_network(), trainer=NetworkTrainer(pos_weight=[1, 1, 1])
        ).fit(X, Y),
        ValueError,
        "`pos_weight` must be 'balanced' or one factor per category, shape "
        "(2,); got shape (3,). Write 1 where positives count as negatives "
        "do.",
    ),
    Case(
        "training.NetworkTrainer",
        "a factor of 0",
        lambda folder: CFTClassifier(
            make_network(), trainer=NetworkTrainer(pos_weight=[1, 0])
        ).fit(X, Y),
        ValueError,
        "`pos_weight` must be finite and above 0; got 0.0 for category 1. "
        "Write 1 where positives count as negatives do.",
    ),
]
