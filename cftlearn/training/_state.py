"""Everything that training changes, in memory and in the file it goes on from."""

import json
import re
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from cftlearn._features._stored import digest_of_rows
from cftlearn._files import digest, sign_folder, write_whole
from cftlearn._inputs import ArrayInputs, Inputs
from cftlearn.training import NetworkTrainer
from cftlearn.training._optimization import MovingAverage

_STATE_FILE = "training.pt"


class BestEpoch(NamedTuple):
    """The best epoch so far.

    Attributes
    ----------
    epoch : int
        Its number.
    value : float
        What was monitored, higher is better.
    weights : dict
        State dict of the network, on the CPU.
    """

    epoch: int
    value: float
    weights: dict[str, Any]


@dataclass
class TrainingState:
    """A training under way.

    Attributes
    ----------
    network : nn.Module
        What is trained.
    wrapped : nn.Module
        What is called in training: the network, or what shares it with other processes.
    optimizer : Optimizer
        What moves it.
    schedule : LRScheduler
        What moves the learning rate.
    scaler : torch.amp.GradScaler
        What scales the loss; does nothing unless it is enabled.
    average : MovingAverage or None
        What is kept in the end instead of ``network``.
    order : numpy.random.Generator
        Where the order of rows comes from.
    history : list of dict
        One record per finished epoch.
    best : BestEpoch or None
        Where one is looked for.
    """

    network: nn.Module
    wrapped: nn.Module
    optimizer: Optimizer
    schedule: LRScheduler
    scaler: torch.amp.GradScaler
    average: MovingAverage | None
    order: np.random.Generator
    history: list[dict[str, Any]] = field(default_factory=list)
    best: BestEpoch | None = None

    @property
    def evaluated(self) -> nn.Module:
        """Give the network that is evaluated and kept."""
        return self.network if self.average is None else self.average.network

    def note(self, value: float) -> None:
        """Keep the weights of the last epoch if it is the best one."""
        if self.best is None or value > self.best.value:
            weights = {
                name: tensor.detach().cpu().clone()
                for name, tensor in self.evaluated.state_dict().items()
            }
            self.best = BestEpoch(len(self.history), value, weights)

    def finish(self) -> None:
        """Leave in the network what is to be kept, in evaluation mode."""
        if self.best is not None:
            self.network.load_state_dict(self.best.weights)
        elif self.average is not None:
            self.network.load_state_dict(self.average.network.state_dict())
        self.network.eval()

    def pack(self) -> dict[str, Any]:
        """Give tensors and plain values."""
        packed: dict[str, Any] = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": self.scaler.state_dict(),
            "order": json.dumps(self.order.bit_generator.state),
            "random": torch.get_rng_state(),
            "random on GPUs": _cuda_states(),
            "history": self.history,
        }
        if self.average is not None:
            packed["average"] = self.average.network.state_dict()
            packed["average steps"] = self.average.n_steps
        if self.best is not None:
            packed["best"] = tuple(self.best)
        return packed

    def unpack(self, packed: dict[str, Any]) -> None:
        """Take on what :meth:`pack` gave, the global generators of torch, too."""
        self.network.load_state_dict(packed["network"])
        self.optimizer.load_state_dict(packed["optimizer"])
        self.schedule.load_state_dict(packed["schedule"])
        self.scaler.load_state_dict(packed["scaler"])
        self.order.bit_generator.state = json.loads(packed["order"])
        self.history = packed["history"]
        if self.average is not None:
            self.average.network.load_state_dict(packed["average"])
            self.average.n_steps = packed["average steps"]
        if "best" in packed:
            self.best = BestEpoch(*packed["best"])
        torch.set_rng_state(packed["random"])
        if packed["random on GPUs"]:
            torch.cuda.set_rng_state_all(packed["random on GPUs"])


def state_place(trainer: NetworkTrainer, network: nn.Module, **fit: Any) -> Path | None:
    """Name the file of a training's state, in a folder of this fit alone.

    Parameters
    ----------
    trainer : NetworkTrainer
        Its ``checkpoint`` is the folder, made where it does not exist.
    network : nn.Module
        As it was before training.
    **fit
        What else makes this fit differ from others, by the words of an error.

    Returns
    -------
    place : path or None
        None without a ``checkpoint``.

    Raises
    ------
    ValueError
        If the folder is of another fit.
    """
    if trainer.checkpoint is None:
        return None
    weights = [_bytes(tensor) for tensor in network.state_dict().values()]
    settings = trainer.get_params()
    for irrelevant in ("checkpoint", "fabric", "num_workers"):
        settings.pop(irrelevant)
    signature = {
        "version": version("cftlearn"),
        "network": digest(str(network), *weights),
        "trainer": digest(*((name, _described(v)) for name, v in settings.items())),
    }
    signature |= {name: digest(_described(value)) for name, value in fit.items()}
    root = Path(trainer.checkpoint)
    sign_folder(root, signature)
    return root / _STATE_FILE


def save_state(place: Path | None, state: TrainingState) -> None:
    """Write the state of a training, or nothing where there is no place."""
    if place is None:
        return
    write_whole(place, lambda file: torch.save(state.pack(), file))
    if len(state.history) == 1:  # told now, not when it is to go on
        load_state(place, state)


def load_state(place: Path | None, state: TrainingState) -> None:
    """Go on from a file; nothing in it is executed.

    Parameters
    ----------
    place : path or None
        None, or a file that is not there, changes nothing.
    state : TrainingState
        What takes it on.

    Raises
    ------
    ValueError
        If the file cannot be read.
    """
    if place is None or not place.exists():
        return
    try:
        state.unpack(torch.load(place, map_location="cpu", weights_only=True))
    except (
        EOFError,
        KeyError,
        OSError,
        RuntimeError,
        TypeError,
        UnpicklingError,
        ValueError,
    ) as error:
        reason = str(error).strip().splitlines()
        raise ValueError(
            f"`checkpoint` must hold a state of training; {str(place)!r} cannot be "
            f"read ({type(error).__name__}: {reason[0] if reason else ''}). Delete "
            "the folder to train from the start; an optimizer or schedule of one's own "
            "must have a state_dict of tensors and plain values."
        ) from error


def _described(value: Any) -> Any:
    """Give what tells one setting from another in any process."""
    if isinstance(value, Inputs):
        return _fingerprint(value)
    if isinstance(value, (list, tuple)):
        return tuple(_described(part) for part in value)
    if isinstance(value, (str, np.ndarray)):
        return value
    if hasattr(value, "__qualname__"):  # a function or class
        return f"{value.__module__}.{value.__qualname__}"
    settings = {
        name: setting
        for name, setting in sorted(getattr(value, "__dict__", {}).items())
        if isinstance(setting, (bool, int, float, str, tuple))
    }
    return re.sub(r" at 0x[0-9a-fA-F]+", "", f"{value!r} {settings}")


def _fingerprint(inputs: Inputs) -> str:
    """Tell inputs from others: by their numbers, by their paths, or by how many."""
    transform = _described(inputs.transform)
    if isinstance(inputs, ArrayInputs):
        array = inputs.items
        flat = array.reshape(len(array), -1) if array.ndim != 2 else array
        return digest(digest_of_rows(flat), array.shape, inputs.rows, transform)
    paths = None if inputs.paths is None else list(inputs.paths)
    return digest(inputs.rows, paths, transform)


def _bytes(tensor: torch.Tensor) -> NDArray[np.uint8]:
    """View a tensor of any type, some of which numpy does not know."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy()


def _cuda_states() -> list[torch.Tensor]:
    return torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
