"""The plan of a training, made from the parameters of an estimator."""

import numpy as np
import pytest
import torch
from training_parts import FakeFabric

from cftlearn._inputs import read_inputs
from cftlearn.labels._label_split import TrainingTargets
from cftlearn.losses import PartialBCEWithLogitsLoss
from cftlearn.metrics._objectives import make_objective
from cftlearn.training import NetworkTrainer
from cftlearn.training._plan import HeldOut, make_plan

TARGETS = np.array([[1.0, 0.0], [0.0, np.nan], [0.0, 1.0], [0.0, 1.0]])


def plan_of(trainer, loss="bce", device="cpu"):
    return make_plan(
        trainer,
        TrainingTargets(TARGETS),
        loss=loss,
        max_epochs=2,
        batch_size=8,
        learning_rate=0.1,
        seed=3,
        device=device,
    )


def test_without_a_trainer_its_defaults_hold():
    plan = plan_of(None)
    assert plan.trainer.get_params() == NetworkTrainer().get_params()
    assert isinstance(plan.loss, PartialBCEWithLogitsLoss)
    assert plan.loss.pos_weight is None
    assert (plan.device, plan.seed, plan.verbose) == ("cpu", 3, 0)


def test_positives_are_weighed_in_the_loss():
    plan = plan_of(NetworkTrainer(pos_weight="balanced"))
    assert torch.equal(plan.loss.pos_weight, torch.tensor([3.0, 0.5]))
    match = "`pos_weight` needs a loss that has this parameter, such as 'asl', 'bce', "
    with pytest.raises(ValueError, match=match):
        plan_of(NetworkTrainer(pos_weight="balanced"), loss=lambda logits, y: logits)


def test_the_device_is_that_of_the_processes():
    plan = plan_of(NetworkTrainer(fabric=FakeFabric()), device="auto")
    assert plan.device == "cuda:1"
    assert plan.processes.size == 2


@pytest.mark.parametrize(("n_rows", "n_steps"), [(1, 1), (24, 1), (25, 2), (48, 2)])
def test_a_step_is_several_batches(n_rows, n_steps):
    assert plan_of(NetworkTrainer(accumulation_steps=3)).n_steps(n_rows) == n_steps


def test_rows_without_held_out_labels_are_not_scored():
    labels = TARGETS.copy()
    labels[[0, 2]] = np.nan
    inputs = read_inputs(np.arange(8.0).reshape(4, 2))
    held_out = HeldOut(inputs, labels, make_objective("roc_auc"))
    scored = held_out.with_known_labels()
    assert scored.inputs.rows.tolist() == [1, 3]
    np.testing.assert_array_equal(scored.labels, labels[[1, 3]])
    nothing = held_out._replace(labels=np.full_like(labels, np.nan))
    assert nothing.with_known_labels() is None
