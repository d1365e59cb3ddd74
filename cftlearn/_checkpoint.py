"""Finished categories on disk, so that a killed fit can go on where it was."""

import hashlib
import json
import os
from collections.abc import Callable
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any, Protocol, Self
from uuid import uuid4
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from cftlearn._category_data import CategoryData
from cftlearn._stored_features import batches
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
    device: str | None = None,
) -> dict[str, Path]:
    """Name the file of every category, in a folder of this fit alone.

    Files are written beside their place and moved there, so one that is there is
    whole. They hold arrays and JSON; nothing in them is executed.

    Parameters
    ----------
    folder : str or path
        Made where it does not exist.
    solvers, objective, categories, pooled, refit, device
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
        "device": "cpu" if device is None else device.partition(":")[0],
        "categories": _digest([data.name for data in categories]),
        "seed": _digest([data.seed for data in categories]),
        "features": _digest_of_rows(first.Z),
        "validation features": "" if first.same_rows else _digest_of_rows(first.Z_val),
        "labels": _digest(*chain.from_iterable(arrays)),
        "trained rows": _digest(*((data.coef, data.intercept) for data in categories)),
    }
    root = Path(folder)
    root.mkdir(parents=True, exist_ok=True)
    _check_fit(root, fit)
    return {data.name: root / f"{_digest(data.name)[:20]}.npz" for data in categories}


def kept(place: Path | None, make: Callable[..., Any], *arguments: Any) -> Any:
    """Make what a category is to give, and write it.

    Parameters
    ----------
    place : path or None
        Its file. None keeps nothing.
    make : callable
        Makes a :class:`Storable` from ``arguments``.

    Returns
    -------
    made : Storable
        What was made.
    """
    made = make(*arguments)
    if place is None:
        return made
    arrays, plain = made.pack()
    contents: dict[str, Any] = {_PLAIN: np.array(json.dumps(plain, default=_as_plain))}
    contents |= arrays
    _write(place, lambda file: np.savez(file, **contents))
    return made


def _check_fit(root: Path, fit: dict[str, str]) -> None:
    """Sign a new folder; refuse one that another fit has signed."""
    note = root / _FIT_FILE
    if not note.exists():
        text = json.dumps(fit, indent=1).encode()
        _write(note, lambda file: file.write(text), replaces=False)
    try:
        other = dict(json.loads(note.read_text()))  # perhaps of a fit that was faster
    except (TypeError, ValueError) as error:
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


def finished(place: Path, kind: type[Storable]) -> Any:
    """Read a finished category: the same, bit for bit, as when it was made.

    Parameters
    ----------
    place : path
        Its file.
    kind : type
        What it is.

    Returns
    -------
    made : Storable
        Of that type.

    Raises
    ------
    ValueError
        If the file is not one of ours.
    """
    try:
        with np.load(place, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return kind.unpack(arrays, json.loads(str(arrays.pop(_PLAIN))))
    except (BadZipFile, EOFError, KeyError, OSError, TypeError, ValueError) as error:
        raise ValueError(
            f"A file in `checkpoint` must be a finished category; {str(place)!r} "
            f"cannot be read ({error!r}). Delete it, and the category is refitted."
        ) from error


def _digest_of_rows(Z: Any) -> str:
    """Give a fingerprint of a matrix that may be larger than memory."""
    total = hashlib.sha256(f"{Z.dtype.str} {Z.shape}".encode())
    for rows in batches(Z):
        total.update(np.ascontiguousarray(rows).data)
    return total.hexdigest()


def _write(
    place: Path, fill: Callable[[Any], object], *, replaces: bool = True
) -> None:
    """Write a file so that it is there whole or not at all.

    With ``replaces=False`` a file that somebody else has put there meanwhile stays.
    """
    beside = place.with_name(f"{place.name}.{uuid4().hex}.part")
    try:
        with beside.open("wb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        if replaces:
            beside.replace(place)
        else:
            try:
                os.link(beside, place)
            except FileExistsError:
                pass  # somebody was faster
            except OSError:
                beside.replace(place)  # a file system without links
    finally:
        beside.unlink(missing_ok=True)
