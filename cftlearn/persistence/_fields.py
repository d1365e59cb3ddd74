"""How the learned attributes of an estimator are written to a model file, and read."""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Entry:
    """What a model file holds about one estimator.

    Attributes
    ----------
    values : dict
        What JSON can hold.
    arrays : dict of str to ndarray
        The arrays of all estimators in the file.
    prefix : str
        What the names of this estimator's arrays begin with.
    """

    values: dict[str, Any]
    arrays: Arrays
    prefix: str


@dataclass(frozen=True)
class Plain:
    """A learned attribute that JSON can hold as it is.

    Attributes
    ----------
    attribute : str
        Its name in the estimator.
    key : str, default=""
        Its name in the document; by default that of the attribute.
    """

    attribute: str
    key: str = ""

    @property
    def name(self) -> str:
        """Return the name in the document."""
        return self.key or self.attribute

    def write(self, value: Any, entry: Entry) -> None:
        """Add the value to an entry."""
        entry.values[self.name] = value

    def read(self, entry: Entry) -> Any:
        """Return the value that an entry holds."""
        return entry.values[self.name]


class Flag(Plain):
    """A truth value, False in files that are older than it."""

    def read(self, entry: Entry) -> bool:
        """Return the value that an entry holds."""
        return bool(entry.values.get(self.name, False))


class Table(Plain):
    """A small array of names or classes, written as JSON with its type."""

    def write(self, value: Any, entry: Entry) -> None:
        """Add the array to an entry."""
        table = np.asarray(value)
        entry.values[self.name] = {"dtype": table.dtype.str, "values": table.tolist()}

    def read(self, entry: Entry) -> NDArray[Any]:
        """Return the array that an entry holds."""
        table = entry.values[self.name]
        return np.array(table["values"], dtype=np.dtype(table["dtype"]))


class Shape(Plain):
    """The shape of a network's input; None where there is no network."""

    def write(self, value: Any, entry: Entry) -> None:
        """Add the shape to an entry."""
        entry.values[self.name] = list(value or ())

    def read(self, entry: Entry) -> tuple[int, ...] | None:
        """Return the shape that an entry holds."""
        shape = tuple(entry.values[self.name])
        return None if entry.values["head_"] is None else shape


class Names(Plain):
    """The members of an ensemble, of which only the names are in this file."""

    def write(self, value: Any, entry: Entry) -> None:
        """Add the names to an entry."""
        entry.values[self.name] = list(value)

    def read(self, entry: Entry) -> Bunch:
        """Return members by name, each None until it is loaded."""
        return Bunch(**dict.fromkeys(entry.values[self.name]))


@dataclass(frozen=True)
class Report(Plain):
    """A report: one record per category, NaN written as null.

    Attributes
    ----------
    undefined : tuple of str
        Keys whose null was a NaN. Other keys may be None in memory, too.
    """

    undefined: tuple[str, ...] = ()

    def write(self, value: Any, entry: Entry) -> None:
        """Add the report to an entry."""
        entry.values[self.name] = [
            {key: None if cell != cell else cell for key, cell in record.items()}
            for record in value
        ]

    def read(self, entry: Entry) -> list[dict[str, Any]]:
        """Return the report that an entry holds."""
        return [
            record | {key: np.nan for key in self.undefined if record[key] is None}
            for record in entry.values[self.name]
        ]


@dataclass(frozen=True)
class Array(Plain):
    """An array, kept beside the document.

    Attributes
    ----------
    may_be_none : bool
        Whether None takes its place, and is not written.
    """

    may_be_none: bool = False

    def write(self, value: Any, entry: Entry) -> None:
        """Add the array to an entry."""
        if not (self.may_be_none and value is None):
            entry.arrays[entry.prefix + self.name] = value

    def read(self, entry: Entry) -> Any:
        """Return the array that an entry holds."""
        name = entry.prefix + self.name
        return entry.arrays.get(name) if self.may_be_none else entry.arrays[name]


@dataclass(frozen=True)
class Curves(Plain):
    """The isotonic curves of a calibrator: per category two arrays, or None.

    Attributes
    ----------
    report : str
        Key of a report in the same entry, which has a record per category.
    """

    report: str = ""

    def write(self, value: Any, entry: Entry) -> None:
        """Add the curves to an entry."""
        for j, curve in enumerate(value):
            if curve is not None:
                entry.arrays[f"{entry.prefix}{self.name}.{j}"] = np.stack(curve)

    def read(self, entry: Entry) -> list[tuple[NDArray[Any], ...] | None]:
        """Return the curves that an entry holds."""
        names = [
            f"{entry.prefix}{self.name}.{j}"
            for j in range(len(entry.values[self.report]))
        ]
        return [
            tuple(entry.arrays[name]) if name in entry.arrays else None
            for name in names
        ]


def as_plain(value: Any) -> Any:
    """Replace paths and numbers of numpy by what JSON can hold; NaN by an array."""
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and np.isnan(value):
        return np.array(value)  # JSON has no NaN
    return value
