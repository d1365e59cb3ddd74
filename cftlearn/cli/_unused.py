"""Settings and options that a run has no use for: refused, or said.

An option of the command line is an order, and one that does nothing would mislead. It
is refused. A configuration may serve several commands, so what does not apply in it is
named in a warning.
"""

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

from cftlearn.cli._settings import Settings, SettingsError

# Parameters of section [train] that apply although nothing is trained.
_WITHOUT_NETWORK = {"threshold", "unknown", "validation_fraction"}
_WITHOUT_TRAINING = {
    "batch_size",
    "layers",
    "num_workers",
    "threshold",
    "validation_fraction",
}


class UnusedSettingsWarning(UserWarning):
    """A configuration has settings that this command does not use."""


class _Run(NamedTuple):
    """What decides which settings apply."""

    settings: Settings
    trains: bool

    @property
    def has_network(self) -> bool:
        return self.settings.data.features is None

    @property
    def has_validation(self) -> bool:
        data = self.settings.data
        return data.validation is not None or data.validation_where is not None

    @property
    def estimates_rates(self) -> bool:
        """Whether unknown labels are held out beside the known ones."""
        is_auto = self.settings.train.get("unknown", "auto") == "auto"
        return self.has_network and self.trains and is_auto


class _Rule(NamedTuple):
    """Settings that do not apply, and why."""

    is_active: Callable[[_Run], bool]
    is_unused: Callable[[str], bool]
    reason: str


def _is_of_network(name: str) -> bool:
    section, _, key = name.partition(".")
    if section == "train":
        return key not in _WITHOUT_NETWORK
    return name == "data.images" or section in ("network", "image")


def _is_of_training(name: str) -> bool:
    section, _, key = name.partition(".")
    return section == "train" and key not in _WITHOUT_TRAINING


def _computes_on_cpu(run: _Run) -> bool:
    """Whether no part of a run can use another device."""
    solver = run.settings.refit.get("solver", "auto")
    names = solver if isinstance(solver, list) else [solver]
    is_cpu = run.settings.device in ("auto", "cpu")
    return not (run.has_network or is_cpu) and set(names) <= {"auto", "proximal"}


_RULES = (
    _Rule(
        lambda run: not run.has_network,
        _is_of_network,
        "the features are computed already, so that no network reads images or trains",
    ),
    _Rule(lambda run: not run.trains, _is_of_training, "`refit` trains nothing"),
    _Rule(
        lambda run: run.has_validation and not run.estimates_rates,
        lambda name: name == "train.validation_fraction",
        "rows are named that choose the refits, so that none are held out",
    ),
    _Rule(
        _computes_on_cpu,
        lambda name: name == "device",
        "these solvers compute on the CPU",
    ),
    _Rule(
        lambda run: run.settings.refit.get("cross_fit") is not None,
        lambda name: name == "train.retrain",
        "with cross_fit the last network is always trained on all labels",
    ),
)


def check_used(
    settings: Settings,
    arguments: Mapping[str, Any],
    source: Path | None,
    *,
    trains: bool,
) -> None:
    """Refuse arguments that do not apply; warn of settings in a file that do not.

    Parameters
    ----------
    settings : Settings
        All settings of ``fit`` or ``refit``.
    arguments : mapping of str to object
        Those that arguments set, by dotted name. None is not given.
    source : Path or None
        The configuration, for the warning.
    trains : bool
        Whether the command trains.

    Raises
    ------
    SettingsError
        If an argument does not apply.

    Warns
    -----
    UnusedSettingsWarning
        Naming the settings of the file that do not apply.
    """
    run = _Run(settings, trains)
    active = [rule for rule in _RULES if rule.is_active(run)]
    for rule in active:
        unused = [name for name in _names_of(settings) if rule.is_unused(name)]
        refuse_given(
            {option_of(name): arguments.get(name) for name in unused}, rule.reason
        )
        if unused:
            warnings.warn(
                f"{source} has settings that are not used here, since {rule.reason}: "
                f"{', '.join(unused)}.",
                UnusedSettingsWarning,
                stacklevel=2,
            )


def refuse_given(values: Mapping[str, Any], reason: str) -> None:
    """Refuse options that were given although they do not apply.

    Parameters
    ----------
    values : mapping of str to object
        Values by option, such as ``"--images"``. None is not given.
    reason : str
        Why they do not apply.

    Raises
    ------
    SettingsError
        Naming all that were given.
    """
    given = [name for name, value in values.items() if value is not None]
    if given:
        verb = "does" if len(given) == 1 else "do"
        raise SettingsError(
            f"{' and '.join(given)} {verb} not apply: {reason}. Leave "
            f"{'it' if len(given) == 1 else 'them'} out."
        )


def option_of(name: str) -> str:
    """Return the option that sets a setting, which has a dotted name."""
    key = name.rpartition(".")[2]
    return "--network" if name == "network.name" else f"--{key.replace('_', '-')}"


def _names_of(settings: Settings) -> Iterable[str]:
    """List the settings that are set, by dotted name."""
    for section in ("data", "network"):
        part = getattr(settings, section)
        for item in fields(part):
            if getattr(part, item.name) is not None:
                yield f"{section}.{item.name}"
    if settings.device is not None:
        yield "device"
    for section in ("image", "train", "refit"):
        yield from (f"{section}.{name}" for name in getattr(settings, section))
