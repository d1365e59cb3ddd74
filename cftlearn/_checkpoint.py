"""Finished categories on disk, so that a killed fit can go on where it was."""

import hashlib
import json
import os
from collections.abc import Callable
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any, Protocol, Self
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from cftlearn._category_data import CategoryData
from cftlearn.base import CategorySolver
from cftlearn.metrics._objectives import Objective

_FIT_FILE = "fit.json"
_PLAIN = "plain"  # the array that holds everything which is not an array, as JSON


class Storable(Protocol):
    """What can be taken apart into arrays and plain values, and put together again."""

    def pack(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Give arrays, and values that JSON keeps as they are."""

    @classmethod
    def unpack(cls, arrays: dict[str, NDArray[Any]], plain: dict[str, Any]) -> Self:
        """Put together what :meth:`pack` took apart."""


def checkpoint_places(
    folder: str | os.PathLike[str],
    solvers: list[CategorySolver],
    objective: Objective,
    categories: list[CategoryData],
    *,
    pooled: bool,
    refit: bool,
) -> dict[str, Path]:
    """Name the file of every category, in a folder of this fit alone.

    Files are written beside their place and moved there, so one that is there is
    whole. They hold arrays and JSON; nothing in them is executed.

    Parameters
    ----------
    folder : str or path
        Made where it does not exist.
    solvers, objective, categories, pooled, refit
        What makes this fit differ from others.

    Returns
    -------
    places : dict of str to path
        By category.

    Raises
    ------
    ValueError
        If the folder holds categories of another fit.
    """
    first = categories[0]
    arrays = [(data.y, data.y_val, data.unseen) for data in categories]
    fit = {
        "version": version("cftlearn"),
        "solver": _digest(
            pooled,
            [(type(solver).__qualname__, solver.get_params()) for solver in solvers],
        ),
        "objective": objective.name,
        "refit": str(refit),
        "categories": _digest([data.name for data in categories]),
        "seed": _digest([data.seed for data in categories]),
        "features": _digest(first.Z.shape, first.feature_mean, first.feature_scale),
        "labels": _digest(first.Z_val.shape, *chain.from_iterable(arrays)),
        "trained rows": _digest(*((data.coef, data.intercept) for data in categories)),
    }
    root = Path(folder)
    root.mkdir(parents=True, exist_ok=True)
    _check_fit(root, fit)
    return {data.name: root / f"{_digest(data.name)[:20]}.npz" for data in categories}


def resumed(
    place: Path | None, kind: type[Storable], make: Callable[..., Any], *arguments: Any
) -> Any:
    """Read a finished category, or make it and write it.

    Parameters
    ----------
    place : path or None
        Its file. None keeps nothing.
    kind : type
        What ``make`` returns.
    make : callable
        Makes it from ``arguments``.

    Returns
    -------
    made : Storable
        The same, bit for bit, whether it was made or read.

    Raises
    ------
    ValueError
        If the file is not one of ours.
    """
    if place is None:
        return make(*arguments)
    if place.exists():
        return _read(place, kind)
    made = make(*arguments)
    arrays, plain = made.pack()
    contents: dict[str, Any] = {_PLAIN: np.array(json.dumps(plain, default=_as_plain))}
    contents |= arrays
    _write(place, lambda file: np.savez(file, **contents))
    return made


def _check_fit(root: Path, fit: dict[str, str]) -> None:
    """Sign a new folder; refuse one that another fit has signed."""
    note = root / _FIT_FILE
    if not note.exists():
        _write(note, lambda file: file.write(json.dumps(fit, indent=1).encode()))
        return
    try:
        other = dict(json.loads(note.read_text()))
    except ValueError as error:
        raise ValueError(
            f"`checkpoint` must name a folder of ours; {str(note)!r} is not. Name "
            "another folder."
        ) from error
    changed = [name for name in fit if other.get(name) != fit[name]]
    if changed:
        raise ValueError(
            f"`checkpoint` must name a new folder, or that of the same fit; "
            f"{str(root)!r} holds a fit that differs in: {', '.join(changed)}. Name "
            "another folder, or delete this one."
        )


def _digest(*parts: object) -> str:
    """Give a fingerprint of arrays, and of what has a text."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            total.update(f"{part.dtype.str} {part.shape}".encode())
            total.update(np.ascontiguousarray(part).data)
        elif isinstance(part, tuple):
            total.update(_digest(*part).encode())
        else:
            total.update(repr(part).encode())
    return total.hexdigest()


def _as_plain(value: Any) -> Any:
    """Give a number of Python for one of numpy, as a custom solver may report."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(
        "The history of a solver must hold numbers and text; got "
        f"{type(value).__name__} {value!r}."
    )


def _read(place: Path, kind: type[Storable]) -> Storable:
    try:
        with np.load(place, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return kind.unpack(arrays, json.loads(str(arrays.pop(_PLAIN))))
    except (BadZipFile, EOFError, KeyError, ValueError, OSError) as error:
        raise ValueError(
            f"A file in `checkpoint` must be a finished category; {str(place)!r} "
            f"cannot be read ({error!r}). Delete it, and the category is refitted."
        ) from error


def _write(place: Path, fill: Callable[[Any], object]) -> None:
    """Write a file so that it is there whole or not at all."""
    beside = place.with_name(f"{place.name}.{os.getpid()}.part")
    with beside.open("wb") as file:
        fill(file)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(place)
