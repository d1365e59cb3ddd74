"""Trace a small default fit: how much code it passes, how often ``y`` changes form.

    python benchmarks/trace_fit.py
    python benchmarks/trace_fit.py --fit features --json

Two fits are traced: ``CFTClassifier(random_state=0)`` on features, and the same with a
small network and two epochs. Each runs once untraced, so that modules that are imported
on first use do not count. Code in C and in other packages is not seen. Counted are:

files
    Files of cftlearn that a called function stands in.
functions
    Functions and methods of cftlearn that were called. A comprehension, a generator
    expression or a lambda belongs to the function that it stands in.
names
    Qualified names of what was called, where these are names of their own: two
    comprehensions of a function are one name. Python 3.12 runs comprehensions without
    a call, so compare this number between runs of one version only.
deepest
    The longest chain of calls of cftlearn, calls of other packages left out; and
    without comprehensions and the like.
forms of y
    The forms in which ``y`` is passed. All arguments of all functions are looked at,
    with the elements of containers and the attributes of cftlearn's objects, but not
    what an estimator keeps, nor what a function only returns. A form is

    - a record of cftlearn (a dataclass or named tuple) with a field that holds labels,
      or another such record, by its class;
    - a bare array, by its class, its precision, its shape and what it says.

    Arrays are recognised by their values, which must be 1, 0 or NaN:

    - a table has the shape of ``y``. It holds labels if its ones are ones of ``y`` and
      none of its zeros is. It says which are known if it marks labels of both classes
      and no unknown one, or just the unknown ones;
    - a column has one value per sample, and is the same for one category;
    - a batch has as many columns as ``y``; its rows are rows of a table seen before;
    - known labels are a vector of those of one category in a table seen before, or in
      two of them (first to fit, then held out), perhaps with a zero at the end, which
      is the background.

    Row numbers of positives, sorted labels and counts are not recognised.

The goals are those of the plan for the fit on features. That plan counted 31 files, 207
names, a chain of 19 calls and ten forms before the code was rearranged.
"""

import argparse
import json
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, is_dataclass
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

import cftlearn
from cftlearn import CFTClassifier
from cftlearn.datasets import make_partial_multilabel

PACKAGE = Path(cftlearn.__file__).resolve().parent
GOALS = {"files": 18, "names": 120, "forms": 5}
N_SAMPLES, N_FEATURES, N_CATEGORIES = 200, 20, 5
_INNER = re.compile(r"(?:\.<locals>)?\.?<(?:listcomp|dictcomp|setcomp|genexpr|lambda)>")
_FEWEST = 3  # positives or known labels, below which a match may be chance
_SHORTEST = 8  # vector of known labels
_DEEPEST = 5  # attributes of attributes


class LabelFinder:
    """Recognise what holds labels of ``y``, by its values.

    Parameters
    ----------
    y : ndarray of shape (n_samples, n_categories)
        1, 0 and NaN.
    """

    def __init__(self, y: NDArray[np.float64]) -> None:
        self.y = y
        self.tables: list[NDArray[np.float64]] = []
        self.rows: set[bytes] = set()
        self.vectors: set[bytes] = set()
        self._remember(y)

    def describe(self, values: Any) -> str | None:
        """Name the form of an array; None where it holds no labels."""
        array = _as_array(values)
        if array is None or not (_is_binary(array[:1]) and _is_binary(array)):
            return None  # most arrays: after a look at their first row
        meaning = self._meaning(array)
        if meaning is None:
            return None
        dtype = str(getattr(values, "dtype", array.dtype)).removeprefix("torch.")
        return f"{type(values).__name__} of {dtype}: {meaning}"

    def _meaning(self, array: NDArray[np.float64]) -> str | None:
        says = "1, 0, NaN" if np.isnan(array).any() else "1, 0"
        for what, shape, parts in (
            ("table", self.y.shape, [self.y]),
            ("column", self.y.shape[:1], list(self.y.T)),
        ):
            if array.shape != shape:
                continue
            if any(_holds(array, part) for part in parts):
                if what == "table":
                    self._remember(array)
                return f"{what} of labels ({says})"
            is_mask = any(_marks(array, part) for part in parts)
            return f"{what}, which are known" if is_mask else None
        if array.ndim == 2:
            is_batch = all(row.tobytes() in self.rows for row in array)
            return f"batch of labels ({says})" if is_batch else None
        return f"known labels ({says})" if self._is_known_labels(array) else None

    def _is_known_labels(self, vector: NDArray[np.float64]) -> bool:
        if len(vector) < _SHORTEST:
            return False
        with_background = vector[-1] == 0.0 and vector[:-1].tobytes() in self.vectors
        return with_background or vector.tobytes() in self.vectors

    def _remember(self, table: NDArray[np.float64]) -> None:
        """Keep the rows of a table, and its known labels, also beside other tables'."""
        if any(np.array_equal(table, other, equal_nan=True) for other in self.tables):
            return
        self.rows |= {row.tobytes() for row in table}
        both = [
            pair for other in self.tables for pair in ((table, other), (other, table))
        ]
        for parts in ((table,), *both):
            for j in range(table.shape[1]):
                columns = [part[:, j] for part in parts]
                known = np.concatenate(
                    [column[~np.isnan(column)] for column in columns]
                )
                self.vectors.add(known.tobytes())
        self.tables.append(table.copy())


def _as_array(values: Any) -> NDArray[np.float64] | None:
    """Read an array, a tensor or a table of numbers; None for anything else."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    if not isinstance(values, np.ndarray) and not hasattr(values, "iloc"):
        return None
    array = np.asarray(values)
    if array.dtype.kind not in "biuf" or array.ndim not in (1, 2) or not array.size:
        return None
    return np.asarray(array, dtype=np.float64, order="C")


def _is_binary(array: NDArray[np.float64]) -> bool:
    return bool(((array == 0.0) | (array == 1.0) | np.isnan(array)).all())


def _holds(array: NDArray[np.float64], y: NDArray[np.float64]) -> bool:
    positive = array == 1.0
    if np.count_nonzero(positive) < _FEWEST or not (y[positive] == 1.0).all():
        return False
    return not (y[array == 0.0] == 1.0).any()


def _marks(array: NDArray[np.float64], y: NDArray[np.float64]) -> bool:
    marked, unknown = array == 1.0, np.isnan(y)
    if np.count_nonzero(marked) < _FEWEST or np.isnan(array).any():
        return False
    if np.array_equal(marked, unknown):
        return True
    return not unknown[marked].any() and len(np.unique(y[marked])) == 2


@dataclass
class Trace:
    """What a fit passed on its way.

    Attributes
    ----------
    functions, names : dict of str to set of str
        By file, without and with comprehensions.
    deepest : list of str
        The chain of calls, the outermost first.
    forms : dict of str to str
        Forms of ``y``, and where each was seen first.
    """

    functions: dict[str, set[str]] = field(default_factory=dict)
    names: dict[str, set[str]] = field(default_factory=dict)
    deepest: list[str] = field(default_factory=list)
    forms: dict[str, str] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        """Count everything that the table shows."""
        chain = [name for name in self.deepest if not _INNER.search(name)]
        return {
            "files": len(self.functions),
            "functions": sum(map(len, self.functions.values())),
            "names": sum(map(len, self.names.values())),
            "deepest": len(self.deepest),
            "deepest_functions": len(chain),
            "forms": len(self.forms),
        }


class Tracer:
    """Follows a fit, call by call.

    Parameters
    ----------
    y : ndarray of shape (n_samples, n_categories)
        The labels that are fitted.
    """

    def __init__(self, y: NDArray[np.float64]) -> None:
        self.trace = Trace()
        self.finder = LabelFinder(y)
        self._files: dict[CodeType, str | None] = {}
        self._seen: dict[int, tuple[Any, list[str]]] = {}  # keeps what it has an id of

    def run(self, fit: Callable[[], Any]) -> Trace:
        """Trace what a function calls in this thread."""
        sys.setprofile(self._on_event)
        try:
            fit()
        finally:
            sys.setprofile(None)
        return self.trace

    def _on_event(self, frame: FrameType, event: str, _: object) -> None:
        if event != "call":
            return
        file = self._file(frame.f_code)
        if file is None:
            return
        name = frame.f_code.co_qualname
        self.trace.names.setdefault(file, set()).add(name)
        function = _INNER.sub("", name)
        self.trace.functions.setdefault(file, set()).add(function)
        chain = list(self._chain(frame))
        if len(chain) > len(self.trace.deepest):
            self.trace.deepest = chain[::-1]
        if function == name:
            for value in _arguments(frame):
                for form in self._forms(value, _DEEPEST):
                    self.trace.forms.setdefault(form, f"{file}: {name}")

    def _chain(self, frame: FrameType | None) -> Iterator[str]:
        while frame is not None:
            if self._file(frame.f_code) is not None:
                yield frame.f_code.co_qualname
            frame = frame.f_back

    def _file(self, code: CodeType) -> str | None:
        """Name the file of cftlearn that some code stands in."""
        if code not in self._files:
            path = Path(code.co_filename)
            is_own = PACKAGE in path.parents and code.co_name != "<module>"
            self._files[code] = str(path.relative_to(PACKAGE)) if is_own else None
        return self._files[code]

    def _forms(self, value: Any, depth: int) -> list[str]:
        """List the forms of labels that a value is, or has within it."""
        if depth == 0 or value is None or isinstance(value, (str, bytes, int, float)):
            return []
        if id(value) in self._seen:
            return self._seen[id(value)][1]
        bare = self.finder.describe(value)
        if bare is not None:
            return self._keep(value, [bare])
        found: list[str] = []
        for part in _parts(value):
            forms = self._forms(part, depth - 1)
            is_array = self.finder.describe(part) is not None
            if _is_record(value) and (is_array or type(part).__name__ in forms):
                found.append(type(value).__name__)
            if not (_is_own(value) and is_array):
                found += forms
        found = list(dict.fromkeys(found))
        return self._keep(value, found) if _is_record(value) else found

    def _keep(self, value: Any, forms: list[str]) -> list[str]:
        self._seen[id(value)] = value, forms
        return forms


def _arguments(frame: FrameType) -> list[Any]:
    code = frame.f_code
    n_named = code.co_argcount + code.co_kwonlyargcount
    n_all = n_named + bool(code.co_flags & 0x04) + bool(code.co_flags & 0x08)
    local = frame.f_locals
    return [local[name] for name in code.co_varnames[:n_all] if name in local]


def _parts(value: Any) -> Iterator[Any]:
    """Go through what a container, or an object of cftlearn, holds."""
    if isinstance(value, dict):
        parts = list(value.values())
    elif isinstance(value, (tuple, list)):
        parts = list(value)
    elif _is_own(value) and not isinstance(value, BaseEstimator):
        parts = list(getattr(value, "__dict__", {}).values())
        parts += [getattr(value, name, None) for name in _slots(value)]
    else:
        return
    for part in parts:
        if isinstance(part, (dict, tuple, list)) and not _is_own(part):
            yield from _parts(part)
        else:
            yield part


def _slots(value: Any) -> tuple[str, ...]:
    return tuple(getattr(type(value), "__slots__", ()))


def _is_own(value: Any) -> bool:
    return type(value).__module__.partition(".")[0] == "cftlearn"


def _is_record(value: Any) -> bool:
    return _is_own(value) and (is_dataclass(value) or isinstance(value, tuple))


def make_network() -> Any:
    """Make the network of the second fit."""
    from torch import nn

    return nn.Sequential(
        nn.Linear(N_FEATURES, 16), nn.ReLU(), nn.Linear(16, N_CATEGORIES)
    )


FITS: dict[str, dict[str, Any]] = {
    "features": {},
    "network": {"module": make_network, "max_epochs": 2, "device": "cpu"},
}


def trace_fit(name: str) -> Trace:
    """Trace one of the fits.

    Parameters
    ----------
    name : {"features", "network"}
        Which.

    Returns
    -------
    trace : Trace
        What it passed.
    """
    X, y, _ = make_partial_multilabel(
        N_SAMPLES,
        n_features=N_FEATURES,
        n_categories=N_CATEGORIES,
        known=0.4,
        random_state=0,
    )
    X = X.astype(np.float32)

    def fit() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            CFTClassifier(random_state=0, **FITS[name]).fit(X, y)

    fit()
    return Tracer(y).run(fit)


def print_trace(name: str, trace: Trace) -> None:
    counts = trace.counts()
    print(f"\nfit on {name}")
    for what in ("files", "functions", "names", "forms"):
        goal = f", goal {GOALS[what]}" if what in GOALS and name == "features" else ""
        print(f"  {counts[what]:>4} {what}{goal}")
    print(f"  {counts['deepest']:>4} deepest ({counts['deepest_functions']} functions)")
    print("\n  functions  names  file")
    for file in sorted(trace.functions):
        n_functions, n_names = len(trace.functions[file]), len(trace.names[file])
        print(f"  {n_functions:>9}  {n_names:>5}  {file}")
    print("\n  forms of y, and where each is seen first")
    for form, where in trace.forms.items():
        print(f"  {form:<52} {where}")
    print("\n  deepest chain")
    for depth, caller in enumerate(trace.deepest, start=1):
        print(f"  {depth:>4} {caller}")


def as_document(trace: Trace) -> dict[str, Any]:
    """Write a trace as JSON can."""
    return {
        "counts": trace.counts(),
        "functions": {f: sorted(trace.functions[f]) for f in sorted(trace.functions)},
        "names": {f: sorted(trace.names[f]) for f in sorted(trace.names)},
        "deepest": trace.deepest,
        "forms": trace.forms,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fit", choices=tuple(FITS), action="append", dest="fits")
    parser.add_argument("--json", action="store_true", help="print all names, as JSON")
    options = parser.parse_args()
    traces = {name: trace_fit(name) for name in options.fits or FITS}
    if options.json:
        documents = {name: as_document(trace) for name, trace in traces.items()}
        print(json.dumps(documents, indent=1))
        return
    print(f"python {sys.version.split()[0]}, cftlearn {cftlearn.__version__}")
    for name, trace in traces.items():
        print_trace(name, trace)


if __name__ == "__main__":
    main()
