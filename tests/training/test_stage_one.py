"""Stage one without a classifier: a network, its classification layer, a history."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from training_parts import PLAN, same_weights, train

from cftlearn._inputs import read_inputs
from cftlearn.labels._label_split import TrainingTargets
from cftlearn.training import NetworkTrainer
from cftlearn.training._stage_one import fit_network


def test_a_network_is_copied_and_trained(problem, module, held_out):
    X, y = problem
    before = {name: value.clone() for name, value in module.state_dict().items()}
    made = fit_network(PLAN, module, read_inputs(X), TrainingTargets(y), held_out)
    expected, history = train(module, X, y, held_out.with_known_labels())
    assert same_weights(made.network, expected)
    assert made.history == history
    assert (made.head, made.device) == ("2", "cpu")
    np.testing.assert_array_equal(made.coef, expected[2].weight.detach().double())
    np.testing.assert_array_equal(made.intercept, expected[2].bias.detach().double())
    assert all(torch.equal(module.state_dict()[name], before[name]) for name in before)


def test_a_trained_network_stays_as_it_is(problem, module):
    X, y = problem
    made = fit_network(PLAN, module, read_inputs(X), TrainingTargets(y), train=False)
    assert made.history == []
    assert made.network is not module
    assert same_weights(made.network, module)


def test_held_out_labels_are_scored_if_asked(problem, module, held_out):
    X, y = problem
    plan = replace(PLAN, trainer=NetworkTrainer(validate=False))
    made = fit_network(plan, module, read_inputs(X), TrainingTargets(y), held_out)
    assert "val_loss" not in made.history[0]
    unknown = held_out._replace(labels=np.full_like(held_out.labels, np.nan))
    made = fit_network(PLAN, module, read_inputs(X), TrainingTargets(y), unknown)
    assert "val_loss" not in made.history[0]


def test_a_wrong_layer_raises_before_training(problem):
    calls = []

    def loss(logits, targets):
        calls.append(1)
        return logits.sum()

    X, y = problem
    squashed = nn.Sequential(nn.Linear(6, 3), nn.Sigmoid())
    with pytest.raises(ValueError, match="must be the last step of the network"):
        fit_network(
            replace(PLAN, loss=loss), squashed, read_inputs(X), TrainingTargets(y)
        )
    assert not calls
