"""Digests that are equal if results are equal to the last bit, and a list of cases.

A case is a function of an empty folder that returns named results. Numbers and words of
a report, of a model's file or of printed text are results of different names, so that
a change of wording does not look like a change of numbers.
"""

import contextlib
import hashlib
import json
import logging
import re
import struct
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

Results = dict[str, Any]
Case = Callable[[Path], Results]

CASES: dict[str, Case] = {}

_TEXT = {"reason", "candidate"}  # keys of what is written for people
_VARYING = {"seconds", "cftlearn"}  # keys of times and of the version
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")
_TIME = re.compile(r"\d+(?:\.\d+)? ?(?:s|ms|min|seconds?|minutes?)\b")
_FITTED = (
    "coef_",
    "intercept_",
    "coef_init_",
    "intercept_init_",
    "categories_",
    "classes_",
    "n_features_in_",
    "feature_names_in_",
    "head_",
    "slope_",
    "shift_",
    "curves_",
    "weights_",
    "reference_",
)
_METHODS = ("decision_function", "predict_proba", "predict", "transform")


def case(name: str) -> Callable[[Case], Case]:
    """Add a function to the cases."""

    def add(function: Case) -> Case:
        if name in CASES:
            raise ValueError(f"There are two cases {name!r}.")
        CASES[name] = function
        return function

    return add


def run_case(name: str, folder: Path) -> Results:
    """Run a case in an empty folder, and note what it warns of and logs.

    Parameters
    ----------
    name : str
        Its name.
    folder : Path
        Where it may write.

    Returns
    -------
    results : dict
        By the name of the case and the result.
    """
    with warnings.catch_warnings(record=True) as caught, _logged() as lines:
        warnings.simplefilter("always")
        results = CASES[name](folder)
    if lines:
        results["log.words"] = lines
    own = [w for w in caught if w.category.__module__.startswith("cftlearn")]
    if own:
        results["warnings.numbers"] = [warned.category.__name__ for warned in own]
        results["warnings.words"] = [str(warned.message) for warned in own]
    return {
        f"{name}/{item}": _without_folder(value, str(folder))
        for item, value in results.items()
    }


@contextlib.contextmanager
def _logged() -> Iterator[list[str]]:
    """Collect what cftlearn logs."""
    lines: list[str] = []
    logger, handler = logging.getLogger("cftlearn"), logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield lines
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def _without_folder(value: Any, folder: str) -> Any:
    """Write a folder of this run alone as one of every run."""
    if isinstance(value, str):
        return value.replace(folder, "<folder>")
    if isinstance(value, (list, tuple)):
        return [_without_folder(item, folder) for item in value]
    if isinstance(value, dict):
        return {key: _without_folder(item, folder) for key, item in value.items()}
    return value


# --- digests --------------------------------------------------------------------------


def digest(value: Any) -> str:
    """Compute sixteen digits of the SHA-256 of a value.

    Parameters
    ----------
    value : object
        Numbers, text, bytes, arrays, tensors, frames, and containers of them. Whether a
        number is of Python or numpy makes no difference, nor does the order of the
        items of a dict; the type of an array does.

    Returns
    -------
    digest : str
        Equal for equal values, NaN being equal to NaN.
    """
    sha = hashlib.sha256()
    for part in _pieces(value):
        sha.update(len(part).to_bytes(8, "little"))
        sha.update(part)
    return sha.hexdigest()[:16]


def _pieces(value: Any) -> Iterator[bytes]:
    """Write a value as bytes, piece by piece."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        yield b"float" + struct.pack("<d", np.nan if value != value else value)
    elif value is None or isinstance(value, (bool, int, str, bytes)):
        yield f"{type(value).__name__}{value!r}".encode(errors="surrogateescape")
    elif isinstance(value, dict):
        yield b"dict"
        for key in sorted(value, key=repr):
            yield from _pieces(key)
            yield from _pieces(value[key])
        yield b"end"
    elif isinstance(value, (list, tuple)):
        yield b"list"
        for item in value:
            yield from _pieces(item)
        yield b"end"
    else:
        yield from _pieces_of_arrays(value)


def _pieces_of_arrays(value: Any) -> Iterator[bytes]:
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        yield from _pieces([list(value.columns), value.dtypes.astype(str).tolist()])
        yield from _pieces([value[name].to_numpy() for name in value.columns])
        return
    if hasattr(value, "toarray"):
        yield f"{value.format}{value.nnz}".encode()
        value = value.toarray()
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    if not isinstance(value, np.ndarray):
        raise TypeError(f"A result must be made of plain values; got {type(value)}.")
    if value.dtype.kind == "O":
        yield from _pieces(value.tolist())
        return
    if value.dtype.kind == "f":
        value = np.where(np.isnan(value), value.dtype.type(np.nan), value)
    yield f"{value.dtype.str}{value.shape}".encode()
    yield value.tobytes()


# --- numbers and words ----------------------------------------------------------------


def split(name: str, value: Any) -> Results:
    """Take numbers and words of nested records apart; times and versions go.

    Parameters
    ----------
    name : str
        What the results are called.
    value : list or dict
        Records.

    Returns
    -------
    results : dict
        ``<name>.numbers``, with what codes say (a status, a solver's name), and
        ``<name>.words``: sentences, and the order of keys.
    """
    words: list[Any] = []
    numbers = _without_words(value, words)
    return {f"{name}.numbers": numbers, f"{name}.words": words}


def _without_words(value: Any, words: list[Any]) -> Any:
    if isinstance(value, dict):
        kept = {}
        for key, item in value.items():
            words.append(key)
            if key in _TEXT:
                words.append(item)
            elif key not in _VARYING:
                kept[key] = _without_words(item, words)
        return kept
    if isinstance(value, (list, tuple)):
        return [_without_words(item, words) for item in value]
    return value


def split_text(name: str, text: str) -> Results:
    """Take the numbers of printed text out; times go."""
    text = _TIME.sub("<time>", text)
    return {f"{name}.numbers": _NUMBER.findall(text), f"{name}.words": text}


# --- models and files -----------------------------------------------------------------


def of_model(model: Any, X: Any) -> Results:
    """List what a fitted model says, of itself and of some inputs.

    Parameters
    ----------
    model : estimator
        One of cftlearn's.
    X : array-like
        What it takes.

    Returns
    -------
    results : dict
        Its fitted attributes, report and history, and what its methods compute.
    """
    results = {name: getattr(model, name) for name in _FITTED if hasattr(model, name)}
    results |= {
        name: getattr(model, name)(X) for name in _METHODS if hasattr(model, name)
    }
    for name in ("report_", "history_"):
        if hasattr(model, name):
            results |= split(name, getattr(model, name))
    if hasattr(model, "fine_tuner_"):
        tuner = model.fine_tuner_
        results["initial"] = [tuner.coef_init_, tuner.intercept_init_]
    if getattr(model, "module_", None) is not None:
        results["state"] = dict(model.module_.state_dict())
    calibrator = getattr(model, "calibrator_", None)
    if calibrator is not None:
        logits = model.decision_function(X)
        own = of_model(calibrator, logits.reshape(len(logits), -1))
        results |= {f"calibrator.{key}": value for key, value in own.items()}
    return results


def of_files(folder: Path, name: str = "files") -> Results:
    """List the files of a folder, JSON and zipped arrays by what they hold.

    What JSON other than a model's says of its makers counts as words.
    """
    results: Results = {f"{name}.names": []}
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        path = file.relative_to(folder).as_posix()
        results[f"{name}.names"].append(path)
        if file.suffix == ".json":
            content = json.loads(file.read_text(encoding="utf-8"))
            if file.name == "model.json":
                results |= split(f"{name}.{path}", content)
            else:
                results[f"{name}.{path}.words"] = content
        elif file.suffix == ".npz":
            with np.load(file, allow_pickle=False) as arrays:
                results[f"{name}.{path}"] = dict(arrays)
        else:
            results[f"{name}.{path}"] = file.read_bytes()
    return results


@contextlib.contextmanager
def expected(error: type[BaseException]) -> Iterator[None]:
    """Go on after an error that a case provokes, and fail where there is none."""
    try:
        yield
    except error:
        return
    raise RuntimeError(f"There was no {error.__name__}.")
