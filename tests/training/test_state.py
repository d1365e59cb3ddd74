"""Checkpoints: a training that stopped continues bit for bit."""

import json
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.base import clone
from torch import nn
from training_parts import (
    PLAN,
    add_noise,
    same_weights,
    train,
)

from cftlearn import CFTClassifier
from cftlearn._files import open_sealed
from cftlearn.datasets import make_partial_multilabel
from cftlearn.losses import PartialAsymmetricLoss, make_loss
from cftlearn.training import NetworkTrainer
from cftlearn.training._state import TrainingState, load_state, save_state

FINER = {
    "plain": {},
    "everything": {
        "ema_decay": 0.9,
        "patience": 6,
        "optimizer": "sgd",
        "schedule": "cosine",
        "augment": add_noise,
        "accumulation_steps": 2,
        "gradient_clip": 1.0,
    },
}


@pytest.fixture
def dropping():
    return nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 3)
    )


@pytest.mark.parametrize("finer", FINER.values(), ids=FINER)
def test_a_stopped_training_continues_where_it_was(
    problem, dropping, held_out, tmp_path, finer, monkeypatch
):
    plan = replace(PLAN, max_epochs=6)
    expected, history = train(dropping, *problem, held_out, plan=plan, **finer)
    options = finer | {"checkpoint": tmp_path / "kept"}
    epochs = []

    def count(*_):
        epochs.append(1)
        if len(epochs) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr("cftlearn.training._epoch.steps_of_epoch", spied(count))
    with pytest.raises(KeyboardInterrupt):
        train(dropping, *problem, held_out, plan=plan, **options)
    again, other = train(dropping, *problem, held_out, plan=plan, **options)
    assert len(epochs) == 7
    assert same_weights(again, expected)
    assert other == history
    once_more, other = train(dropping, *problem, held_out, plan=plan, **options)
    assert len(epochs) == 7, "a training that has ended is not run again"
    assert same_weights(once_more, expected)
    assert other == history


def spied(act):
    from cftlearn.training._epoch import steps_of_epoch

    def spy(*arguments):
        act()
        return steps_of_epoch(*arguments)

    return spy


def noisy_network():
    return nn.Sequential(
        nn.Linear(20, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 5)
    )


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
@pytest.mark.parametrize(
    ("n_saved", "stopped"),
    [(2, "."), (7, "second")],
    ids=["first training", "second training"],
)
def test_a_killed_fit_ends_the_same_bit_for_bit(
    tmp_path, quick_tuner, n_saved, stopped
):
    code = """
        import os, signal, sys
        import torch
        from torch import nn
        from cftlearn import CFTClassifier
        from cftlearn.training import _loop
        from cftlearn.datasets import make_partial_multilabel
        from cftlearn.training import NetworkTrainer

        torch.set_num_threads(1)
        save_state, saved = _loop.save_state, []

        def until_killed(path, state):
            if len(saved) == int(sys.argv[2]):
                os.kill(os.getpid(), signal.SIGKILL)
            saved.append(path)
            save_state(path, state)

        _loop.save_state = until_killed
        X, y = make_partial_multilabel(150, known=0.4, random_state=0)[:2]
        CFTClassifier(
            lambda: nn.Sequential(
                nn.Linear(20, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 5)
            ),
            trainer=NetworkTrainer(ema_decay=0.9, checkpoint=sys.argv[1]),
            max_epochs=5, batch_size=32, random_state=0, device="cpu",
        ).fit(X, y)
    """
    folder = tmp_path / "kept"
    command = [sys.executable, "-c", textwrap.dedent(code), str(folder), str(n_saved)]
    killed = subprocess.run(command, timeout=120, check=False)
    assert killed.returncode == -signal.SIGKILL
    state = torch.load(folder / stopped / "training.pt", weights_only=True)
    assert [record["epoch"] for record in state["history"]] == [1, 2]

    X, y = make_partial_multilabel(150, known=0.4, random_state=0)[:2]
    model = CFTClassifier(
        noisy_network,
        trainer=NetworkTrainer(ema_decay=0.9),
        fine_tuner=quick_tuner,
        max_epochs=5,
        batch_size=32,
        random_state=0,
        device="cpu",
    )
    plain = model.fit(X, y)
    resumed = clone(model).set_params(trainer__checkpoint=folder).fit(X, y)
    assert resumed.history_ == plain.history_
    assert same_weights(resumed.module_, plain.module_)
    assert_array_equal(resumed.coef_, plain.coef_)
    with pytest.raises(ValueError, match=r"differs in: .*\bseed\b"):
        resumed.set_params(random_state=1).fit(X, y)


def test_losses_differ_by_their_settings(problem, module, tmp_path):
    one, other = PartialAsymmetricLoss(), PartialAsymmetricLoss(gamma_negative=2.0)
    train(module, *problem, plan=replace(PLAN, loss=one), checkpoint=tmp_path)
    train(module, *problem, plan=replace(PLAN, loss=one), checkpoint=tmp_path)
    with pytest.raises(ValueError, match=r"differs in: loss\."):
        train(module, *problem, plan=replace(PLAN, loss=other), checkpoint=tmp_path)


CHANGES = {
    "seed": lambda X, y, p: (X, y, replace(p, seed=1), {}),
    "max_epochs": lambda X, y, p: (X, y, replace(p, max_epochs=5), {}),
    "learning_rate": lambda X, y, p: (X, y, replace(p, learning_rate=0.1), {}),
    "loss": lambda X, y, p: (X, y, replace(p, loss=make_loss("asl")), {}),
    "inputs": lambda X, y, p: (X + 1, y, p, {}),
    "labels": lambda X, y, p: (X, 1 - y, p, {}),
    "trainer": lambda X, y, p: (X, y, p, {"weight_decay": 0.3}),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_folder_of_another_training_is_refused(problem, module, tmp_path, what):
    train(module, *problem, checkpoint=tmp_path)
    before = (tmp_path / "training.pt").read_bytes()
    X, y, plan, finer = CHANGES[what](*problem, PLAN)
    with pytest.raises(ValueError, match=rf"differs in: {what}\. Name"):
        train(module, X, y, plan=plan, checkpoint=tmp_path, **finer)
    assert (tmp_path / "training.pt").read_bytes() == before


def test_a_folder_of_another_network_is_refused(problem, module, tmp_path):
    train(module, *problem, checkpoint=tmp_path)
    with torch.no_grad():
        module[0].weight[0, 0] += 1e-6
    with pytest.raises(ValueError, match=r"differs in: network\."):
        train(module, *problem, checkpoint=tmp_path)


def test_a_folder_of_another_validation_is_refused(problem, module, held_out, tmp_path):
    train(module, *problem, held_out, checkpoint=tmp_path)
    other = held_out._replace(labels=1 - held_out.labels)
    with pytest.raises(ValueError, match=r"differs in: validation\."):
        train(module, *problem, other, checkpoint=tmp_path)
    with pytest.raises(ValueError, match=r"differs in: validation, objective\."):
        train(module, *problem, checkpoint=tmp_path)


def test_workers_may_change_between_two_runs(problem, module, tmp_path):
    first, _ = train(module, *problem, checkpoint=tmp_path)
    again, _ = train(module, *problem, checkpoint=str(tmp_path), num_workers=2)
    assert same_weights(first, again)


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 not a zip", None])
def test_damaged_states_are_refused(problem, module, tmp_path, damage):
    train(module, *problem, checkpoint=tmp_path)
    path = tmp_path / "training.pt"
    path.write_bytes(path.read_bytes()[:-100] if damage is None else damage)
    with pytest.raises(ValueError, match=r"'.*training\.pt' cannot be read: .* Delete"):
        train(module, *problem, checkpoint=tmp_path)


def test_a_pickle_in_the_folder_is_not_executed(problem, module, tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    train(module, *problem, checkpoint=tmp_path)
    with open_sealed(
        tmp_path / "training.pt", (tmp_path / "fit.json").read_bytes()
    ) as f:
        torch.save({"network": Trap()}, f)
    with pytest.raises(ValueError, match="cannot be read"):
        train(module, *problem, checkpoint=tmp_path)
    assert not (tmp_path / "sprung").exists()


def test_a_schedule_that_cannot_be_saved_raises_after_one_epoch(
    problem, module, tmp_path
):
    class Odd(torch.optim.lr_scheduler.StepLR):
        def __init__(self, optimizer):
            super().__init__(optimizer, 1)
            self.path = Path("strange")

    with pytest.raises(ValueError, match=r"must have a state_dict of tensors and plai"):
        train(module, *problem, schedule=lambda o, _: Odd(o), checkpoint=tmp_path)


def test_the_note_of_a_folder_is_plain_text(problem, module, tmp_path):
    train(module, *problem, checkpoint=tmp_path)
    note = json.loads((tmp_path / "fit.json").read_text())
    assert {"version", "network", "trainer", "seed", "inputs", "labels"} <= set(note)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "fit.json",
        "training.pt",
    ]


def test_every_changed_byte_of_a_state_is_told(problem, module, tmp_path):
    train(module, *problem, checkpoint=tmp_path)
    path = tmp_path / "training.pt"
    whole = path.read_bytes()
    for place in range(0, len(whole), len(whole) // 60):
        changed = bytearray(whole)
        changed[place] ^= 1
        path.write_bytes(changed)
        with pytest.raises(ValueError, match="it was changed"):
            load_state(path, None)


def test_a_state_of_another_training_is_refused(problem, module, tmp_path):
    train(module, *problem, checkpoint=tmp_path / "one")
    train(module, *problem, checkpoint=tmp_path / "other", weight_decay=0.5)
    (tmp_path / "other" / "training.pt").replace(tmp_path / "one" / "training.pt")
    with pytest.raises(ValueError, match="written for something else"):
        train(module, *problem, checkpoint=tmp_path / "one")


def test_a_full_disk_keeps_the_state_before(problem, module, tmp_path):
    resource = pytest.importorskip("resource")
    train(module, *problem, checkpoint=tmp_path)
    whole = (tmp_path / "training.pt").read_bytes()
    state = TrainingState(*[None] * 7)
    state.state_dict = lambda: {"weights": torch.zeros(100_000)}
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    words = (
        r"training\.pt' cannot be written: the file would be larger .* before has not"
    )
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
        with pytest.raises(OSError, match=words):
            save_state(tmp_path / "training.pt", state)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (tmp_path / "training.pt").read_bytes() == whole
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["fit.json", "training.pt"]
