"""Everything that training changes, in memory and in the file of a checkpoint."""

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

from cftlearn._files import check_sealed, claim_folder, digest, open_sealed
from cftlearn._inputs import ArrayInputs, Inputs
from cftlearn.exceptions import first_line
from cftlearn.labels._known_rates import KnownRates
from cftlearn.losses._unknown._protocol import UnknownLoss
from cftlearn.training import NetworkTrainer
from cftlearn.training._optimization import MovingAverage

_NOTE, _STATE_FILE = "fit.json", "training.pt"


class BestEpoch(NamedTuple):
    """The best epoch so far.

    Attributes
    ----------
    epoch : int
        Its number.
    value : float
        What early stopping monitors; higher is better.
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
        The network that is trained.
    wrapped : nn.Module
        What to call in training: the network, or a wrapper that averages gradients
        over processes.
    optimizer : Optimizer
        Moves the weights.
    schedule : LRScheduler
        Moves the learning rate.
    scaler : torch.amp.GradScaler
        Scales the loss; does nothing unless it is enabled.
    average : MovingAverage or None
        Its weights are the result, in place of those of ``network``.
    order : numpy.random.Generator
        Draws the order of rows.
    history : list of dict
        One record per finished epoch.
    best : BestEpoch or None
        The best epoch so far; None without early stopping.
    rates : KnownRates or None
        The last estimate of how often labels are known; None without one.
    unknown_loss : UnknownLoss or None
        The loss of unknown labels; what it remembers of rows is a part of the state.
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
    rates: KnownRates | None = None
    unknown_loss: UnknownLoss | None = None

    @property
    def evaluated(self) -> nn.Module:
        """The network whose weights are evaluated and kept."""
        return self.network if self.average is None else self.average.network

    def update_best(self, value: float) -> None:
        """Keep the weights of the last epoch if its value is the best one."""
        if self.best is None or value > self.best.value:
            weights = {
                name: tensor.detach().cpu().clone()
                for name, tensor in self.evaluated.state_dict().items()
            }
            self.best = BestEpoch(len(self.history), value, weights)

    def set_final_weights(self) -> None:
        """Set the network to the weights of the result, in evaluation mode."""
        if self.best is not None:
            self.network.load_state_dict(self.best.weights)
        elif self.average is not None:
            self.network.load_state_dict(self.average.network.state_dict())
        self.network.eval()

    def state_dict(self) -> dict[str, Any]:
        """Return everything as tensors and plain values, for a file."""
        values: dict[str, Any] = {
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
            values["average"] = self.average.network.state_dict()
            values["average steps"] = self.average.n_steps
        if self.best is not None:
            values["best"] = tuple(self.best)
        if self.rates is not None:
            positive, negative, *numbers = self.rates
            both = torch.from_numpy(np.stack([positive, negative]))
            values["rates"] = both, *numbers
        if self.unknown_loss is not None:
            values["unknown loss"] = self.unknown_loss.state_dict()
        return values

    def load_state_dict(self, values: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned, torch's generators included."""
        self.network.load_state_dict(values["network"])
        self.optimizer.load_state_dict(values["optimizer"])
        self.schedule.load_state_dict(values["schedule"])
        self.scaler.load_state_dict(values["scaler"])
        self.order.bit_generator.state = json.loads(values["order"])
        self.history = values["history"]
        if self.average is not None:
            self.average.network.load_state_dict(values["average"])
            self.average.n_steps = values["average steps"]
        if "best" in values:
            self.best = BestEpoch(*values["best"])
        if "rates" in values:
            both, *numbers = values["rates"]
            self.rates = KnownRates(*both.numpy(), *numbers)
        if self.unknown_loss is not None:
            self.unknown_loss.load_state_dict(values["unknown loss"])
        torch.set_rng_state(values["random"])
        if values["random on GPUs"]:
            torch.cuda.set_rng_state_all(values["random on GPUs"])


def state_path(trainer: NetworkTrainer, network: nn.Module, **fit: Any) -> Path | None:
    """Return the file of a training's state, in a folder of this fit alone.

    Parameters
    ----------
    trainer : NetworkTrainer
        Its ``checkpoint`` is the folder; it is created if it does not exist.
    network : nn.Module
        As it was before training.
    **fit
        What else makes this fit differ from others; an error names it by its keyword.

    Returns
    -------
    path : Path or None
        None without a ``checkpoint``.

    Raises
    ------
    ValueError
        If the folder belongs to another fit.
    """
    if trainer.checkpoint is None:
        return None
    weights = [_bytes(tensor) for tensor in network.state_dict().values()]
    settings = trainer.get_params()
    # These may change between two starts of the same fit, and change no result.
    for irrelevant in ("checkpoint", "fabric", "num_workers"):
        settings.pop(irrelevant)
    signature = {
        "version": version("cftlearn"),
        "network": digest(str(network), *weights),
        "trainer": digest(*((name, _described(v)) for name, v in settings.items())),
    }
    signature |= {name: digest(_described(value)) for name, value in fit.items()}
    root = Path(trainer.checkpoint)
    claim_folder(root, signature, note=_NOTE)
    return root / _STATE_FILE


def save_state(path: Path | None, state: TrainingState) -> None:
    """Write the state of a training; None writes nothing.

    A fingerprint of the fit and of the content stands at the end of the file.
    """
    if path is None:
        return
    with open_sealed(path, _note_of(path)) as file:
        torch.save(state.state_dict(), file)
    # A state that cannot be read again raises after one epoch, not after a crash.
    if len(state.history) == 1:
        load_state(path, state)


def load_state(path: Path | None, state: TrainingState) -> None:
    """Restore the state of a training from a file, whose code is not executed.

    Parameters
    ----------
    path : Path or None
        None, or a file that does not exist, changes nothing.
    state : TrainingState
        Changed in place.

    Raises
    ------
    ValueError
        If the file cannot be read, was changed, or is that of another fit.
    """
    if path is None or not path.exists():
        return
    try:
        check_sealed(path, _note_of(path))
        state.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except (
        EOFError,
        KeyError,
        OSError,
        RuntimeError,
        TypeError,
        UnpicklingError,
        ValueError,
    ) as error:
        raise ValueError(
            f"`checkpoint` must hold a state of training; {str(path)!r} cannot be "
            f"read: {first_line(error).rstrip('.')}. Delete the folder to train from "
            "the start; an optimizer or schedule of one's own must have a state_dict "
            "of tensors and plain values."
        ) from error


def _note_of(path: Path) -> bytes:
    """Read what the folder of a state says of its fit."""
    note = path.with_name(_NOTE)
    return note.read_bytes() if note.is_file() else b""


def _described(value: Any) -> Any:
    """Describe a setting by what is the same in every process and run."""
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
    # A default repr holds an address, which is another one in every process.
    return re.sub(r" at 0x[0-9a-fA-F]+", "", f"{value!r} {settings}")


def _fingerprint(inputs: Inputs) -> str:
    """Describe inputs by their numbers, their paths, or how many there are."""
    transform = _described(inputs.transform)
    if isinstance(inputs, ArrayInputs):
        array = inputs.items
        flat = array.reshape(len(array), -1) if array.ndim != 2 else array
        return digest(digest(flat), array.shape, inputs.rows, transform)
    paths = None if inputs.paths is None else list(inputs.paths)
    return digest(inputs.rows, paths, transform)


def _bytes(tensor: torch.Tensor) -> NDArray[np.uint8]:
    """View a tensor as bytes: numpy does not have all of torch's types."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy()


def _cuda_states() -> list[torch.Tensor]:
    return torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
