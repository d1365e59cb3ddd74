"""Finished categories on disk, so that a killed fit can go on where it was."""

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

from cftlearn._files import claim_folder, digest, open_atomically
from cftlearn.fine_tuning._category_task import CategoryData
from cftlearn.metrics._objectives import Objective
from cftlearn.solvers._protocol import CategorySolver

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
        "solver": digest(
            pooled,
            [(type(solver).__qualname__, solver.get_params()) for solver in solvers],
        ),
        "objective": objective.name,
        "refit": str(refit),
        "device": "cpu" if device is None else device.partition(":")[0],
        "categories": digest([data.name for data in categories]),
        "seed": digest([data.seed for data in categories]),
        "features": _digest_of_matrices([data.Z for data in categories]),
        "validation features": ""
        if first.same_rows
        else _digest_of_matrices([data.Z_val for data in categories]),
        "labels": digest(*chain.from_iterable(arrays)),
        "trained rows": digest(*((data.coef, data.intercept) for data in categories)),
    }
    root = Path(folder)
    claim_folder(root, fit)
    return {data.name: root / f"{digest(data.name)[:20]}.npz" for data in categories}


def compute_and_save(
    place: Path | None, make: Callable[..., Any], *arguments: Any
) -> Any:
    """Compute the result of a category, and save it.

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
    with open_atomically(place, "wb") as file:
        np.savez(file, **contents)
    return made


def _as_plain(value: Any) -> Any:
    """Give a number of Python for one of numpy, as a custom solver may report."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(
        "The history of a solver must hold numbers and text; got "
        f"{type(value).__name__} {value!r}."
    )


def load_result(place: Path, kind: type[Storable]) -> Any:
    """Load the result of a category: the same, bit for bit, as when it was saved.

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


def _digest_of_matrices(matrices: list[Any]) -> str:
    """Compute the digest of every category's features, or of those they share."""
    if all(Z is matrices[0] for Z in matrices):
        return digest(matrices[0])
    return digest(matrices)
