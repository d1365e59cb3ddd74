"""Fits in threads of one process: the results of the fits alone, bit for bit."""

import random
import threading

import numpy as np
import pytest
import torch
from joblib import parallel_config
from torch import nn

from cftlearn import CategoryWiseFineTuner, CFTClassifier, CFTEnsemble
from cftlearn.datasets import make_partial_multilabel
from cftlearn.solvers import GeneticSolver
from cftlearn.training import NetworkTrainer

X, Y, _ = make_partial_multilabel(120, known=0.6, random_state=0)
X, Y = X.astype(np.float32), Y[:, :2]
NETWORK = nn.Sequential(nn.Linear(20, 16), nn.ReLU(), nn.Dropout(0.4), nn.Linear(16, 2))

GA = GeneticSolver(n_generations=20)


def jittered(row):
    return row + 0.1 * torch.randn(row.shape).numpy() + random.random()


def fit(seed, **parameters):
    model = CFTClassifier(
        NETWORK, max_epochs=2, batch_size=40, random_state=seed, **parameters
    )
    return model.fit(X, Y).decision_function(X)


def global_states():
    return (
        torch.get_rng_state().numpy().tobytes(),
        str(np.random.get_state()),
        str(random.getstate()),
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
    )


@pytest.mark.parametrize(
    "parameters",
    [
        pytest.param({}, id="dropout"),
        pytest.param({"trainer": NetworkTrainer(augment=jittered)}, id="augment"),
        pytest.param({"trainer": NetworkTrainer(mix="logic")}, id="mix"),
        pytest.param({"fine_tuner": CategoryWiseFineTuner(GA)}, id="ga"),
        pytest.param({"fine_tuner": CategoryWiseFineTuner("bce")}, id="bce"),
    ],
)
def test_two_networks_in_threads_are_those_of_fits_alone(parameters):
    alone = [fit(seed, **parameters) for seed in range(2)]
    before = global_states()
    together = [None, None]

    def run(seed):
        together[seed] = fit(seed, **parameters)

    threads = [threading.Thread(target=run, args=[seed]) for seed in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(together, alone)
    assert global_states() == before


def test_an_ensemble_in_threads_is_that_of_one_worker():
    network = CFTClassifier(NETWORK, max_epochs=20, batch_size=40)
    members = [("a", network), ("b", network), ("c", CategoryWiseFineTuner(GA))]
    ensemble = CFTEnsemble(members, weights="greedy", random_state=0)
    expected = ensemble.fit(X, Y).decision_function(X)
    before = global_states()
    with parallel_config("threading", n_jobs=3):
        ensemble.fit(X, Y)
    np.testing.assert_array_equal(ensemble.decision_function(X), expected)
    assert global_states() == before


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_fit_that_fails_restores_global_states(error):
    def fail(row):
        raise error("in the transform")

    before = global_states()
    with pytest.raises((error, ValueError), match="in the transform"):
        fit(0, trainer=NetworkTrainer(augment=fail))
    assert global_states() == before
