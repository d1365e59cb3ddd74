"""How the learned attributes of an estimator are written to a model file, and read."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch

from cftlearn._report._columns import score_columns, translate_line
from cftlearn.persistence._array_file import ARRAYS, StoredArrays
from cftlearn.persistence._faults import Fault, broken

Arrays = dict[str, NDArray[Any]]

_MOST_TABLE_BYTES = 2**26  # of names or classes in memory
_TABLE_TYPES = re.compile(r"\|O|[<>]U([1-9][0-9]{0,8})|[<>|][biuf][1-8]")
_KINDS: dict[str, tuple[type, ...]] = {
    "O": (str, int, float, bool),
    "U": (str,),
    "b": (bool,),
    "i": (int,),
    "u": (int,),
    "f": (float,),
}


@dataclass(frozen=True)
class Entry:
    """What a model file holds about one estimator.

    Attributes
    ----------
    values : dict
        What JSON can hold.
    arrays : dict of str to ndarray
        The arrays of all estimators in the file, where one is written.
    prefix : str
        What the names of this estimator's arrays begin with.
    stored : StoredArrays
        The same, where one is read.
    """

    values: dict[str, Any]
    arrays: Arrays
    prefix: str
    stored: StoredArrays

    @classmethod
    def to_write(cls, values: dict[str, Any], arrays: Arrays, prefix: str) -> "Entry":
        """Make one that is to be filled."""
        return cls(values, arrays, prefix, StoredArrays({}))

    @classmethod
    def to_read(
        cls, values: dict[str, Any], stored: StoredArrays, prefix: str
    ) -> "Entry":
        """Make one that is to be read."""
        return cls(values, {}, prefix, stored)

    def value(self, name: str) -> Any:
        """Return a value that must be there.

        Raises
        ------
        Fault
            If it is not.
        """
        if name not in self.values:
            raise Fault(f"model.json must hold `{self.prefix}{name}`; got none")
        return self.values[name]

    def fault(self, name: str, rule: str, value: Any) -> Fault:
        """Return the fault that a value breaks a rule."""
        return broken(f"{self.prefix}{name}", rule, value)

    @property
    def n_categories(self) -> int:
        """Return the number of categories, which has been checked."""
        return len(self.value("categories_")["values"])


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
    in_document: ClassVar[bool] = True  # and not beside it

    @property
    def name(self) -> str:
        """Return the name in the document."""
        return self.key or self.attribute

    def write(self, value: Any, entry: Entry) -> None:
        """Add the value to an entry."""
        entry.values[self.name] = value

    def read(self, entry: Entry) -> Any:
        """Return the value that an entry holds.

        Raises
        ------
        Fault
            If there is none, or it is none that was written.
        """
        return entry.value(self.name)


class Flag(Plain):
    """A truth value, False in files that are older than it."""

    def read(self, entry: Entry) -> bool:
        """Return the value that an entry holds."""
        value = entry.values.get(self.name, False)
        if not isinstance(value, bool):
            raise entry.fault(self.name, "be true or false", value)
        return value


class Count(Plain):
    """A number of things, 1 or more."""

    def write(self, value: Any, entry: Entry) -> None:
        """Add the value to an entry."""
        entry.values[self.name] = int(value)

    def read(self, entry: Entry) -> int:
        """Return the value that an entry holds."""
        value = entry.value(self.name)
        if type(value) is not int or value < 1:
            raise entry.fault(self.name, "be a number, 1 or more", value)
        return value


class Text(Plain):
    """A text, or None."""

    def read(self, entry: Entry) -> str | None:
        """Return the value that an entry holds."""
        value = entry.value(self.name)
        if value is not None and not isinstance(value, str):
            raise entry.fault(self.name, "be a text or null", value)
        return value


class Table(Plain):
    """A small array of names or classes, written as JSON with its type."""

    def write(self, value: Any, entry: Entry) -> None:
        """Add the array to an entry."""
        table = np.asarray(value)
        values = table.tolist()
        for item in _flat(values):
            if not isinstance(item, (str, int, float)):
                raise TypeError(
                    f"`{entry.prefix}{self.name}` must hold texts or numbers to be "
                    f"saved; got {type(item).__name__} {item!r:.60}. Fit the model "
                    "with classes that are texts or numbers."
                )
        entry.values[self.name] = {"dtype": table.dtype.str, "values": values}

    def read(self, entry: Entry) -> NDArray[Any]:
        """Return the array that an entry holds."""
        table = entry.value(self.name)
        if not isinstance(table, dict) or set(table) != {"dtype", "values"}:
            raise entry.fault(self.name, "hold `dtype` and `values`", table)
        dtype, values = table["dtype"], table["values"]
        known = isinstance(dtype, str) and _TABLE_TYPES.fullmatch(dtype)
        if not known or not _exists(dtype):
            rule = "be a type of texts or numbers"
            raise entry.fault(f"{self.name}.dtype", rule, dtype)
        items = self._items(values, entry)
        kind = np.dtype(dtype).kind
        wrong = [item for item in items if type(item) not in _KINDS[kind]]
        if wrong:
            raise entry.fault(self.name, f"hold values of type {dtype}", wrong[0])
        if np.dtype(dtype).itemsize * len(items) > _MOST_TABLE_BYTES:
            rule = f"take at most {_MOST_TABLE_BYTES} bytes in all"
            raise entry.fault(f"{self.name}.dtype", rule, dtype)
        return self._converted(values, items, dtype, entry)

    def _items(self, values: Any, entry: Entry) -> list[Any]:
        """Return the items of a list, or of a list of equally long ones."""
        rows = values if isinstance(values, list) else None
        if not rows:
            rule = "hold a list of values, at least one"
            raise entry.fault(self.name, rule, values)
        widths = {len(row) if isinstance(row, list) else None for row in rows}
        items = list(_flat(rows))
        if len(widths) > 1 or any(isinstance(item, (list, dict)) for item in items):
            raise entry.fault(self.name, "hold values, or pairs of them", values)
        return items

    def _converted(
        self, values: list[Any], items: list[Any], dtype: str, entry: Entry
    ) -> NDArray[Any]:
        """Convert to an array, which must hold the same values."""
        fault = entry.fault(self.name, f"hold values of type {dtype}", values)
        try:
            with np.errstate(over="ignore"):
                array = np.array(values, dtype=dtype)
        except OverflowError:
            raise fault from None
        if list(_flat(array.tolist())) != items:
            raise fault
        return array


class Shape(Plain):
    """The shape of a network's input; None where there is no network."""

    def write(self, value: Any, entry: Entry) -> None:
        """Add the shape to an entry."""
        entry.values[self.name] = [int(n) for n in value or ()]

    def read(self, entry: Entry) -> tuple[int, ...] | None:
        """Return the shape that an entry holds."""
        shape = entry.value(self.name)
        is_list = isinstance(shape, list)
        if not is_list or not all(type(n) is int and n >= 0 for n in shape):
            raise entry.fault(self.name, "be a list of lengths", shape)
        if entry.value("head_") is not None:
            return tuple(shape)
        if shape:
            raise entry.fault(self.name, "be empty where there is no network", shape)
        return None


class Names(Plain):
    """The members of an ensemble, of which only the names are in this file."""

    def write(self, value: Any, entry: Entry) -> None:
        """Add the names to an entry."""
        entry.values[self.name] = list(value)

    def read(self, entry: Entry) -> Bunch:
        """Return members by name, each None until it is loaded."""
        names = entry.value(self.name)
        are_names = isinstance(names, list) and all(isinstance(n, str) for n in names)
        if not are_names or not names or len(set(names)) < len(names):
            raise entry.fault(self.name, "be a list of different names", names)
        return Bunch(**dict.fromkeys(names))


_NUMBER = (int, float, type(None))
_ANY = (str, int, float, bool, type(None))
_WORDS = {
    str: "a text",
    int: "an integer, 0 or more",
    float: "a number",
    bool: "true or false",
    list: "a list of texts",
    type(None): "null",
}
# What the values of a report's record are. Others may be any plain value.
_RECORD: Mapping[str, tuple[type, ...]] = {
    "category": (str,),
    "n_positive": (int,),
    "n_negative": (int,),
    "n_unknown": (int,),
    "n_held_out": (int,),  # of models older than the next two
    "n_held_out_positive": (int, type(None)),
    "n_held_out_negative": (int, type(None)),
    "n_iter": (int,),
    "status": (str,),
    "reason": (str,),
    "solver": (str, type(None)),
    "method": (str, type(None)),
    "members": (list,),
    "score": _NUMBER,
    "score_best": _NUMBER,
    "metric": (str,),
    "weight": _NUMBER,
    "seconds": _NUMBER,
    "slope": _NUMBER,
    "intercept": _NUMBER,
    "shift": _NUMBER,
}


@dataclass(frozen=True)
class Report(Plain):
    """A report: one record per category, NaN written as null.

    Attributes
    ----------
    undefined : tuple of str
        Keys whose null was a NaN. Other keys may be None in memory, too.
    needed : tuple of str
        Keys that every record has, beside those.
    """

    undefined: tuple[str, ...] = ()
    needed: tuple[str, ...] = ()

    def write(self, value: Any, entry: Entry) -> None:
        """Add the report to an entry."""
        entry.values[self.name] = [
            {
                key: None if cell != cell else as_plain(cell)
                for key, cell in record.items()
            }
            for record in value
        ]

    def read(self, entry: Entry) -> list[dict[str, Any]]:
        """Return the report that an entry holds."""
        report = entry.value(self.name)
        n = entry.n_categories
        if not isinstance(report, list) or len(report) != n:
            rule = f"be a list of {n} records, one per category"
            raise entry.fault(self.name, rule, report)
        names = entry.value("categories_")["values"]
        report = [self._translated(record, entry) for record in report]
        for j, (record, name) in enumerate(zip(report, names, strict=True)):
            self._check_record(record, str(name), f"{self.name}[{j}]", entry)
        return [
            record
            | {key: np.nan for key in self._undefined(record) if record[key] is None}
            for record in report
        ]

    def _translated(self, record: Any, entry: Entry) -> Any:
        """Return a record as it is written today."""
        return record

    def _undefined(self, record: dict[str, Any]) -> tuple[str, ...]:
        """Return the keys of a record whose null was a NaN."""
        return self.undefined

    def _check_record(self, record: Any, name: str, place: str, entry: Entry) -> None:
        needed = {"category", *self.needed}
        if isinstance(record, dict):
            needed |= set(self._undefined(record))
        if not isinstance(record, dict) or not needed <= set(record):
            rule = f"hold {', '.join(sorted(needed))}"
            raise entry.fault(place, rule, record)
        scores = self._undefined(record)
        for key, value in record.items():
            types = _RECORD.get(key, _NUMBER if key in scores else _ANY)
            is_wrong = type(value) not in types
            if not is_wrong and key in _RECORD and key.startswith("n_"):
                is_wrong = value is not None and value < 0
            if not is_wrong and key == "members":
                is_wrong = not all(isinstance(item, str) for item in value)
            if is_wrong:
                words = " or ".join(_WORDS[one] for one in types)
                raise entry.fault(f"{place}.{key:.60}", f"be {words}", value)
        if record["category"] != name:
            rule = f"be the category's name, {name[:60]!r}"
            raise entry.fault(f"{place}.category", rule, record["category"])


class RefitReport(Report):
    """The report of a fine-tuner, whose columns of scores are named after the metric.

    Files that are older than these names are translated.
    """

    def _translated(self, record: Any, entry: Entry) -> Any:
        if not isinstance(record, dict):
            return record
        objective = entry.value("params").get("objective")
        is_named = isinstance(objective, str)
        return translate_line(record, objective if is_named else "roc_auc")

    def _undefined(self, record: dict[str, Any]) -> tuple[str, ...]:
        metric = record.get("metric")
        if not isinstance(metric, str):
            return self.undefined
        return (*self.undefined, *score_columns(metric))


@dataclass(frozen=True)
class Array(Plain):
    """An array of numbers, kept beside the document.

    Attributes
    ----------
    axes : tuple of str
        What its axes are: ``"categories"``, ``"features"`` and ``"members"`` have the
        lengths that the document says, any other name has any length above 0.
    may_be_none : bool
        Whether None takes its place, and is not written.
    """

    axes: tuple[str, ...] = ()
    may_be_none: bool = False
    in_document: ClassVar[bool] = False

    def write(self, value: Any, entry: Entry) -> None:
        """Add the array to an entry."""
        if not (self.may_be_none and value is None):
            entry.arrays[entry.prefix + self.name] = value

    def read(self, entry: Entry) -> Any:
        """Return the array that an entry holds."""
        name = entry.prefix + self.name
        if self.may_be_none and name not in entry.stored:
            return None
        shape = tuple(_length_of(axis, entry) for axis in self.axes)
        return entry.stored.take_numbers(name, shape)


@dataclass(frozen=True)
class Curves(Plain):
    """The isotonic curves of a calibrator: per category two arrays, or None.

    Attributes
    ----------
    report : str
        Key of a report in the same entry, which says who has a curve.
    """

    report: str = ""
    in_document: ClassVar[bool] = False

    def write(self, value: Any, entry: Entry) -> None:
        """Add the curves to an entry."""
        for j, curve in enumerate(value):
            if curve is not None:
                entry.arrays[f"{entry.prefix}{self.name}.{j}"] = np.stack(curve)

    def read(self, entry: Entry) -> list[tuple[NDArray[Any], ...] | None]:
        """Return the curves that an entry holds."""
        report = entry.value(self.report)
        return [self._read_curve(j, record, entry) for j, record in enumerate(report)]

    def _read_curve(
        self, j: int, record: dict[str, Any], entry: Entry
    ) -> tuple[NDArray[Any], ...] | None:
        if record["method"] != "isotonic":
            return None
        name = f"{entry.prefix}{self.name}.{j}"
        curve = entry.stored.take_numbers(name, (2, None))
        logits, proba = curve
        rises = (np.diff(logits) >= 0).all() and (np.diff(proba) >= 0).all()
        if not rises or not np.isfinite(logits).all():
            raise broken(name, "hold finite corners that rise", curve.shape, ARRAYS)
        if not (proba[0] > 0 and proba[-1] < 1):
            rule = "hold probabilities in (0, 1)"
            raise broken(name, rule, proba[[0, -1]].tolist(), ARRAYS)
        return tuple(curve)


def as_plain(value: Any) -> Any:
    """Replace paths and numbers of numpy by what JSON can hold; NaN by an array."""
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return np.array(value)  # JSON has neither NaN nor infinity
    return value


def _exists(dtype: str) -> bool:
    try:
        return np.dtype(dtype).str == dtype
    except (TypeError, ValueError):  # too long a text
        return False


def _flat(values: list[Any]) -> list[Any]:
    """Return the items of a list, or of the lists in it."""
    if values and all(isinstance(row, list) for row in values):
        return [item for row in values for item in row]
    return values


def _length_of(axis: str, entry: Entry) -> int | None:
    if axis == "categories":
        return entry.n_categories
    if axis == "features":
        n_features: int = entry.value("n_features_in_")
        return n_features
    if axis == "members":
        return len(entry.value("members"))
    return None
