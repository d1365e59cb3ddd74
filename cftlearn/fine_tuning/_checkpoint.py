"""Finished categories on disk, so that a killed fit can be continued."""

import io
import json
import os
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any, Protocol, Self
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from cftlearn._files import check_sealed, claim_folder, digest, open_sealed
from cftlearn.fine_tuning._category_task import CategoryTask
from cftlearn.metrics._objectives import Objective
from cftlearn.solvers._protocol import CategorySolver

_PLAIN = "plain"  # the array that holds everything which is not an array, as JSON


class Storable(Protocol):
    """What can be split into arrays and plain values, and built again from them."""

    def pack(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return arrays, and values that JSON keeps as they are."""

    @classmethod
    def unpack(cls, arrays: dict[str, NDArray[Any]], plain: dict[str, Any]) -> Self:
        """Build it again from what :meth:`pack` returned."""


def checkpoint_paths(
    folder: str | os.PathLike[str],
    solvers: list[CategorySolver],
    objective: Objective,
    categories: list[CategoryTask],
    *,
    method: str,
    refit: bool,
    device: str | None = None,
) -> dict[str, Path]:
    """Return the file of every category, in a folder of this fit alone.

    Files hold arrays and JSON; nothing in them is executed.

    Parameters
    ----------
    folder : str or path
        Created if it does not exist.
    solvers, objective, categories, refit, device
        What the result of the fit depends on.
    method : str
        Which way to refit: each stores results of its own kind.

    Returns
    -------
    paths : dict of str to path
        One per category, by its name.

    Raises
    ------
    ValueError
        If the folder holds categories of another fit.
    """
    first = categories[0]
    initial = [(task.coef, task.intercept, task.fitted_here) for task in categories]
    known = [(task.fitted, task.held_out) for task in categories]
    arrays = [
        (*fitted[:2], *held_out[:2], task.unseen)
        for task, (fitted, held_out) in zip(categories, known, strict=True)
    ]
    weights = [own.weight for parts in known for own in parts]
    fit = {
        "version": version("cftlearn"),
        "solver": digest(
            method,
            [(type(solver).__qualname__, solver.get_params()) for solver in solvers],
        ),
        "objective": objective.name,
        "refit": str(refit),
        "device": "cpu" if device is None else device.partition(":")[0],
        "categories": digest([task.name for task in categories]),
        "seed": digest([task.seed for task in categories]),
        "features": _digest_of_matrices([task.Z for task in categories]),
        "validation features": ""
        if first.same_rows
        else _digest_of_matrices([task.Z_val for task in categories]),
        "labels": digest(*chain.from_iterable(arrays)),
        "initial weights": digest(*initial),
        "groups": str(first.has_groups),
    }
    if any(own is not None for own in weights):
        fit["sample_weight"] = digest(*weights)
    root = Path(folder)
    claim_folder(root, fit)
    # A file counts only under its own name, so it counts for its category and fit.
    names = {task.name: digest(fit, task.name)[:20] for task in categories}
    return {category: root / f"{name}.npz" for category, name in names.items()}


def save_result(path: Path, result: Storable) -> None:
    """Save the result of a category; the file is whole, or not there at all.

    A fingerprint of its name and content stands at its end.

    Parameters
    ----------
    path : path
        The category's file.
    result : Storable
        Its result.

    Raises
    ------
    TypeError
        If a solver recorded something that is neither number nor text.
    """
    arrays, plain = result.pack()
    contents: dict[str, Any] = {_PLAIN: np.array(json.dumps(plain, default=_as_plain))}
    contents |= arrays
    data = io.BytesIO()
    np.savez(data, **contents)
    with open_sealed(path, path.name) as file:
        file.write(data.getbuffer())


def _as_plain(value: Any) -> Any:
    """Return a number of numpy, which a custom solver may record, as one of Python."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(
        "The history of a solver must hold numbers and text; got "
        f"{type(value).__name__} {value!r}."
    )


def load_result(path: Path, kind: type[Storable]) -> Any:
    """Load the result of a category: the same, bit for bit, as when it was saved.

    Parameters
    ----------
    path : path
        The category's file.
    kind : type
        Type of the result.

    Returns
    -------
    result : Storable
        The result, of that type.

    Raises
    ------
    ValueError
        If the file is not what :func:`save_result` wrote under this name.
    """
    try:
        n_bytes = check_sealed(path, path.name)
        content = path.read_bytes()[:n_bytes]
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return kind.unpack(arrays, json.loads(str(arrays.pop(_PLAIN))))
    except (BadZipFile, EOFError, KeyError, OSError, TypeError, ValueError) as error:
        raise ValueError(
            f"A file in `checkpoint` must be a finished category; {str(path)!r} "
            f"cannot be read: {_reason(error)}. Delete it, and the category is "
            "refitted."
        ) from error


def _reason(error: Exception) -> str:
    words = getattr(error, "strerror", None) or str(error)
    return words.rstrip(".") or type(error).__name__


def _digest_of_matrices(matrices: list[Any]) -> str:
    """Compute the digest of every category's features, or of those they share."""
    if all(Z is matrices[0] for Z in matrices):
        return digest(matrices[0])
    return digest(matrices)
