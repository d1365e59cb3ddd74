"""Trainings that several processes share; ``test_fabric.py`` runs this as a script.

``python fabric_fits.py FOLDER`` starts a second process itself, trains everything in
``LIKE_ONE``, ``AGREED`` and ``ERRORS`` in both, leaves ``NAME.RANK.pt`` in the folder
for each of these, and ends with an error that nobody catches.
"""

import copy
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

from cftlearn._inputs import read_inputs
from cftlearn.labels._label_split import TrainingTargets
from cftlearn.losses import make_loss
from cftlearn.metrics._objectives import make_objective
from cftlearn.training import NetworkTrainer
from cftlearn.training._distributed import processes_of
from cftlearn.training._loop import train_network
from cftlearn.training._plan import HeldOut, TrainingPlan
from cftlearn.training._trainer import check_trainer

N_ROWS, N_INPUTS, N_CATEGORIES = 45, 6, 3


def make_problem():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N_ROWS, N_INPUTS)).astype(np.float32)
    noise = rng.standard_normal((N_ROWS, N_CATEGORIES))
    y = (X[:, :N_CATEGORIES] + noise > 0).astype(np.float64)
    y[rng.random(y.shape) < 0.5] = np.nan
    return X, y


def make_held_out():
    X, y = make_problem()
    return HeldOut(read_inputs(X[::-1].copy()), 1 - y, make_objective("roc_auc"))


def make_network(*layers):
    torch.manual_seed(0)
    hidden = (nn.Linear(N_INPUTS, 8), *layers, nn.Tanh())
    return nn.Sequential(*hidden, nn.Linear(8, N_CATEGORIES))


def train(fabric, X, y, *layers, held_out=None, loss="bce", batch_size=16, **finer):
    """Train a network with a Fabric, or alone with None."""
    trainer = NetworkTrainer(fabric=fabric, **finer)
    check_trainer(trainer, 0)
    processes = processes_of(fabric)
    plan = TrainingPlan(
        loss=make_loss(loss),
        max_epochs=3,
        batch_size=batch_size,
        learning_rate=1e-2,
        seed=0,
        device=processes.resolve_device("cpu"),
        trainer=trainer,
        processes=processes,
    )
    network = make_network(*layers)
    targets = TrainingTargets(y)
    trained = train_network(network, read_inputs(X), targets, plan, held_out)
    return {
        "network": copy.deepcopy(network).state_dict(),
        "history": trained.history,
        "class": type(network).__name__,
    }


# -------------------------------------------- what one process ends with, too
def plain(fabric, folder):
    return train(fabric, *make_problem())


def asymmetric_loss(fabric, folder):
    return train(fabric, *make_problem(), loss="asl")


def everything(fabric, folder):
    return train(
        fabric,
        *make_problem(),
        held_out=make_held_out(),
        batch_size=5,
        accumulation_steps=3,
        gradient_clip=0.05,
        ema_decay=0.9,
        optimizer="sgd",
    )


def fewer_rows_than_processes(fabric, folder):
    return train(fabric, *make_problem(), batch_size=1, accumulation_steps=2)


def a_part_without_known_labels(fabric, folder):
    X, y = make_problem()
    y[3:] = np.nan
    X[np.isnan(y).all(axis=1)] = 7.0
    return train(fabric, X, y, batch_size=4)


def early_stopping(fabric, folder):
    return train(
        fabric, *make_problem(), held_out=make_held_out(), patience=1, monitor="loss"
    )


def bfloat16_of_ours(fabric, folder):
    return train(fabric, *make_problem(), amp=True)


def resumed(fabric, folder):
    """Stop after an epoch, as all processes of a killed job do, and go on."""
    from cftlearn.training import _loop

    options = {"checkpoint": folder / "kept", "ema_decay": 0.9}
    finished = _loop._is_over
    _loop._is_over = lambda state, plan: len(state.history) == 1
    try:
        first = train(fabric, *make_problem(), **options)
    finally:
        _loop._is_over = finished
    return train(fabric, *make_problem(), **options) | {"first": first["history"]}


# ---------------------------------------------------- what the processes agree on
def noise_and_norms(fabric, folder):
    """Augmented, with dropout and batch norm: unlike alone, but the same in both."""
    layers = (nn.BatchNorm1d(8), nn.Dropout(0.5))
    return train(
        fabric,
        *make_problem(),
        *layers,
        held_out=make_held_out(),
        ema_decay=0.5,
        augment=lambda row: row + torch.randn(N_INPUTS).numpy(),
    )


def noise_resumed(fabric, folder):
    from cftlearn.training import _loop

    finished = _loop._is_over
    noisy = {"augment": add_noise, "checkpoint": folder / "noisy"}
    layers = (nn.Dropout(0.5),)
    expected = train(fabric, *make_problem(), *layers, augment=add_noise)
    _loop._is_over = lambda state, plan: len(state.history) == 2
    try:
        train(fabric, *make_problem(), *layers, **noisy)
    finally:
        _loop._is_over = finished
    made = train(fabric, *make_problem(), *layers, **noisy)
    same = all(
        torch.equal(made["network"][name], value)
        for name, value in expected["network"].items()
    )
    return made | {"same": same and made["history"] == expected["history"]}


def add_noise(row):
    return row + torch.randn(N_INPUTS).numpy()


def make_model(fabric, **params):
    from cftlearn import CategoryWiseFineTuner, CFTClassifier
    from cftlearn.solvers import GradientSolver

    options = {"max_epochs": 2, "learning_rate": 2e-3} | params
    return CFTClassifier(
        make_network(),
        trainer=NetworkTrainer(fabric=fabric),
        fine_tuner=CategoryWiseFineTuner(GradientSolver(max_epochs=20)),
        batch_size=16,
        random_state=0,
        device="cpu",
        **options,
    )


def result_of(model, X):
    """Return what a fit of two networks ended with."""
    (kind,) = {type(part.network).__name__ for part in model.module_.parts}
    return {
        "network": model.module_.state_dict(),
        "history": [row for row in model.history_ if row["stage"] != "cft"],
        "proba": torch.from_numpy(model.predict_proba(X)),
        "class": kind,
    }


def a_whole_fit(fabric, folder):
    from cftlearn import save_model

    X, y = make_problem()
    model = make_model(fabric).fit(X, y)
    if fabric is None or fabric.is_global_zero:
        save_model(model, folder / "model")
    return result_of(model, X)


def positives_known_more_often(fabric, folder):
    """What unknown labels add to the loss depends on rates that are estimated."""
    rng = np.random.default_rng(1)
    X = rng.standard_normal((400, N_INPUTS)).astype(np.float32)
    y = (X[:, :N_CATEGORIES] > 0).astype(np.float64)
    y[rng.random(y.shape) > np.where(y == 1.0, 0.7, 0.1)] = np.nan
    model = make_model(fabric, max_epochs=4, learning_rate=0.05).fit(X, y)
    return result_of(model, X)


# ----------------------------------------------------------------- errors of one
def error_of(act):
    """Return the error that every process must end with, instead of a hang."""
    try:
        act()
    except Exception as error:
        return {"error": type(error).__name__, "text": str(error)}
    return {}


def a_row_that_is_not_finite(fabric, folder):
    X, y = make_problem()
    X[11] = np.nan
    return error_of(lambda: train(fabric, X, np.nan_to_num(y)))


def an_item_that_cannot_be_read(fabric, folder):
    X, y = make_problem()
    X[11, 0] = 1e9

    def read(row):
        if row[0] == 1e9:
            raise OSError("the scanner is gone")
        return row

    return error_of(lambda: train(fabric, X, np.nan_to_num(y), augment=read))


def a_held_out_row_that_is_not_finite(fabric, folder):
    held_out = make_held_out()
    held_out.inputs.items[40] = np.inf
    return error_of(lambda: train(fabric, *make_problem(), held_out=held_out))


def a_forward_pass_that_fails(fabric, folder):
    """Batch norm cannot train on the single row of the second process."""
    X, y = make_problem()[0][:3], np.ones((3, N_CATEGORIES))
    return error_of(lambda: train(fabric, X, y, nn.BatchNorm1d(8), batch_size=3))


def other_labels(fabric, folder):
    X, y = make_problem()
    if fabric is not None and fabric.global_rank == 1:
        y = 1 - y
    return error_of(lambda: train(fabric, X, y))


def a_folder_of_another_training(fabric, folder):
    path = folder / "other"
    train(fabric, *make_problem(), checkpoint=path)
    options = {"weight_decay": 0.5, "checkpoint": path}
    return error_of(lambda: train(fabric, *make_problem(), **options))


def a_folder_that_only_one_sees(fabric, folder):
    """Unlike all others, also without an error, where there is one process."""
    rank = 0 if fabric is None else fabric.global_rank
    path = folder / "own"
    train(fabric, *make_problem(), checkpoint=path)
    from cftlearn.training import _loop

    load_state = _loop.load_state
    if rank == 1:
        _loop.load_state = lambda path, state: None
    try:
        return error_of(lambda: train(fabric, *make_problem(), checkpoint=path))
    finally:
        _loop.load_state = load_state


LIKE_ONE = (
    plain,
    asymmetric_loss,
    everything,
    fewer_rows_than_processes,
    a_part_without_known_labels,
    early_stopping,
    bfloat16_of_ours,
    resumed,
    a_whole_fit,
    positives_known_more_often,
)
AGREED = (noise_and_norms, noise_resumed)
ERRORS = (
    a_row_that_is_not_finite,
    an_item_that_cannot_be_read,
    a_held_out_row_that_is_not_finite,
    a_forward_pass_that_fails,
    other_labels,
    a_folder_of_another_training,
    a_folder_that_only_one_sees,
)


def main():
    from lightning_fabric import Fabric

    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    fabric = Fabric(accelerator="cpu", devices=2, strategy="ddp")
    fabric.launch()
    for scenario in (*LIKE_ONE, *AGREED, *ERRORS):
        made = scenario(fabric, folder / "files")
        torch.save(made, folder / f"{scenario.__name__}.{fabric.global_rank}.pt")
    X, y = make_problem()
    X[11] = np.nan
    train(fabric, X, np.nan_to_num(y))


if __name__ == "__main__":
    main()
