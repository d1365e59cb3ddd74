"""The parameters of training, and what goes together."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from training_parts import (
    DDPStrategy,
    FakeFabric,
    FSDPStrategy,
)

from cftlearn import CFTClassifier
from cftlearn.training import NetworkTrainer
from cftlearn.training._distributed import processes_of
from cftlearn.training._trainer import check_trainer


def test_it_is_cloned_with_its_parameters():
    trainer = NetworkTrainer(weight_decay=0.1, pos_weight=[1.0, 2.0])
    copied = clone(trainer)
    assert copied is not trainer
    assert copied.get_params() == trainer.get_params()
    assert set(trainer._parameter_constraints) == set(trainer.get_params())


@pytest.mark.parametrize(
    "params",
    [
        {"optimizer": "lion"},
        {"schedule": "step"},
        {"weight_decay": -0.1},
        {"ema_decay": 1.0},
        {"ema_decay": 0.0},
        {"amp": "half"},
        {"accumulation_steps": 0},
        {"pos_weight": "heavy"},
        {"monitor": "auc"},
        {"patience": 0},
        {"augment": "flip"},
        {"num_workers": -1},
        {"gradient_clip": 0.0},
        {"checkpoint": 3},
    ],
    ids=str,
)
def test_wrong_parameters_are_refused(params):
    with pytest.raises(ValueError, match=f"'{next(iter(params))}' parameter of Net"):
        check_trainer(NetworkTrainer(**params), 0)


@pytest.mark.parametrize("seed", [None, np.random.RandomState(0)], ids=str)
def test_a_checkpoint_needs_a_seed(tmp_path, seed):
    with pytest.raises(ValueError, match=r"Pass random_state=0"):
        check_trainer(NetworkTrainer(checkpoint=tmp_path), seed)


# ------------------------------------------------------------------------------ Fabric
def test_a_clone_keeps_the_very_fabric():
    fabric = FakeFabric()
    trainer = NetworkTrainer(fabric=fabric, pos_weight=[1.0, 2.0])
    cloned = clone(trainer)
    assert cloned is not trainer
    assert cloned.fabric is trainer.fabric is fabric
    assert cloned.pos_weight == [1.0, 2.0]
    assert cloned.pos_weight is not trainer.pos_weight
    model = clone(clone(CFTClassifier(trainer=trainer)))
    assert model.trainer is not trainer
    assert model.get_params()["trainer__fabric"] is fabric
    assert model.set_params(trainer__fabric=None).trainer.fabric is None
    assert trainer.fabric is fabric


@pytest.mark.parametrize("act", [pickle.dumps, copy.deepcopy])
def test_a_pickle_is_refused(act):
    model = CFTClassifier(trainer=NetworkTrainer(fabric=FakeFabric()))
    with pytest.raises(TypeError, match=r"`fabric` .* set_params\(trainer__fabric=No"):
        act(model)
    model.set_params(trainer__fabric=None)
    assert isinstance(act(model), (bytes, CFTClassifier))


def test_a_fabric_must_be_one():
    with pytest.raises(ValueError, match="'fabric' parameter of NetworkTrainer"):
        check_trainer(NetworkTrainer(fabric="ddp"), 0)


def test_other_strategies_are_refused():
    fabric = FakeFabric(FSDPStrategy())
    with pytest.raises(ValueError, match=r"strategy 'ddp', .*got FSDPStrategy"):
        check_trainer(NetworkTrainer(fabric=fabric), 0)


@pytest.mark.parametrize(
    ("precision", "amp"),
    [
        ("16-mixed", False),
        ("bf16-true", False),
        ("64-true", False),
        ("bf16-mixed", True),
        ("16-mixed", True),
    ],
)
def test_unclear_precisions_are_refused(precision, amp):
    fabric = FakeFabric(DDPStrategy(precision))
    with pytest.raises(ValueError, match=rf"got '{precision}' and amp={amp}\. Pass"):
        check_trainer(NetworkTrainer(fabric=fabric, amp=amp), 0)


@pytest.mark.parametrize(("precision", "amp"), [("bf16-mixed", False), ("32-true", 1)])
def test_clear_precisions_are_taken(precision, amp):
    fabric = FakeFabric(DDPStrategy(precision))
    check_trainer(NetworkTrainer(fabric=fabric, amp=bool(amp)), 0)
    assert processes_of(fabric).precision == precision


@pytest.mark.parametrize("seed", [None, np.random.RandomState(0)], ids=str)
def test_several_processes_need_a_seed(seed):
    with pytest.raises(ValueError, match=r"`fabric` needs a seed, .* random_state=0"):
        check_trainer(NetworkTrainer(fabric=FakeFabric()), seed)
    check_trainer(NetworkTrainer(fabric=FakeFabric(size=1)), seed)
