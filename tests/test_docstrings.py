"""Docstrings say what the code does: parameters, defaults, attributes, sections."""

import importlib
import inspect
import re
from enum import Enum

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from cftlearn import CategoryWiseFineTuner, CFTClassifier, CFTEnsemble

numpydoc_validate = pytest.importorskip("numpydoc.validate", reason="the lint extra")

MODULES = [
    "cftlearn",
    "cftlearn.calibration",
    "cftlearn.datasets",
    "cftlearn.displays",
    "cftlearn.ensemble",
    "cftlearn.images",
    "cftlearn.labels",
    "cftlearn.losses",
    "cftlearn.metrics",
    "cftlearn.model_selection",
    "cftlearn.networks",
    "cftlearn.solvers",
    "cftlearn.training",
]
# Not held to: extended summaries, See Also, examples of exceptions and torch modules'
# own methods, capitals and periods of descriptions that start with a value.
IGNORED = {"ES01", "SA01", "SA04", "EX01", "RT02", "RT03", "PR08", "PR09", "GL08"}


def public_objects():
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        for name in module.__all__:
            item = getattr(module, name)
            if inspect.isclass(item) and issubclass(item, Enum):
                continue  # whose signature is not ours
            if inspect.isclass(item) or inspect.isfunction(item):
                yield pytest.param(item, id=f"{module_name}.{name}")


def documented_parameters(item):
    section = re.split(r"\n\s*Parameters\n\s*-+\n", inspect.getdoc(item) or "")
    if len(section) < 2:
        return {}
    body = re.split(r"\n\w[\w ]*\n-+\n", section[1])[0]
    entries = re.findall(r"(?m)^\*{0,2}(\w[\w, ]*) : ((?:.|\\\n)+)$", body)
    return {name: text for names, text in entries for name in names.split(", ")}


@pytest.mark.parametrize("item", list(public_objects()))
def test_numpydoc_finds_nothing(item):
    path = f"{item.__module__}.{item.__qualname__}"
    errors = [
        error
        for error in numpydoc_validate.validate(path)["errors"]
        if error[0] not in IGNORED
    ]
    assert not errors


@pytest.mark.parametrize("item", list(public_objects()))
def test_documented_parameters_and_defaults_are_those_of_the_signature(item):
    documented = documented_parameters(item)
    signature = inspect.signature(item)
    if not documented and not signature.parameters:
        return
    if inspect.isclass(item) and issubclass(item, (tuple, Exception)):
        return
    assert set(documented) == set(signature.parameters)
    for name, parameter in signature.parameters.items():
        text = documented[name]
        if parameter.default is inspect.Parameter.empty:
            assert "default=" not in text, name
        else:
            stated = text.split("default=")[-1].strip()
            assert stated.strip("'\"") == str(parameter.default), name


@pytest.mark.parametrize(
    "estimator", [CategoryWiseFineTuner, CFTClassifier, CFTEnsemble]
)
def test_documented_attributes_are_those_of_a_fitted_estimator(estimator):
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    X = pandas.DataFrame(rng.standard_normal((60, 3)), columns=list("abc"))
    y = (rng.random((60, 2)) < 0.5).astype(float)
    fitted = estimator(random_state=0).fit(X, y)
    body = inspect.getdoc(estimator).split("Attributes\n----------\n")[1]
    body = re.split(r"\n\w[\w ]*\n-+\n", body)[0]
    documented = set(re.findall(r"(?m)^(\w+_) :", body))
    present = {
        name for name in vars(fitted) if name.endswith("_") and not name.startswith("_")
    }
    assert isinstance(fitted, BaseEstimator)
    assert documented == present
