"""What a fit that fails, or is interrupted, leaves behind: nothing."""

import contextlib
import importlib
from pathlib import Path

import numpy as np
import pytest
from sklearn.exceptions import DataConversionWarning

from cftlearn import CategoryWiseFineTuner, CFTClassifier, CFTEnsemble
from cftlearn.base import unchanged_by_errors
from cftlearn.calibration import CategoryCalibrator
from cftlearn.datasets import make_partial_multilabel

X, Y, _ = make_partial_multilabel(80, known=0.7, random_state=0)


def estimators():
    return {
        "classifier": CFTClassifier(random_state=0),
        "fine-tuner": CategoryWiseFineTuner(random_state=0),
        "ensemble": CFTEnsemble([("one", CFTClassifier(random_state=0))]),
        "calibrator": CategoryCalibrator(),
    }


# The last thing that each fit does.
LAST_STEPS = {
    "classifier": "cftlearn.classifier._classifier.warn_skipped",
    "fine-tuner": "cftlearn.fine_tuning._fine_tuner.warn_skipped",
    "ensemble": "cftlearn.ensemble._ensemble.CFTEnsemble._weigh",
    "calibrator": "cftlearn.calibration._calibrator._warn_of_missing_classes",
}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("has_earlier_fit", [False, True])
@pytest.mark.parametrize("name", LAST_STEPS)
def test_nothing_changes(name, has_earlier_fit, error, monkeypatch):
    estimator = estimators()[name]
    inputs = X[:, : Y.shape[1]] if name == "calibrator" else X
    if has_earlier_fit:
        estimator.fit(inputs, Y)
    before = dict(vars(estimator))

    def fail(*_, **__):
        raise error("in the last step")

    monkeypatch.setattr(LAST_STEPS[name], fail)
    with pytest.raises(error, match="in the last step"):
        estimator.fit(inputs[:60], Y[:60])
    after = vars(estimator)
    assert after.keys() == before.keys()
    assert all(after[key] is before[key] for key in before)


@pytest.mark.parametrize("records", [True, False])
def test_torch_records_gradients_as_before(records):
    torch = pytest.importorskip("torch")

    def interrupted():
        with unchanged_by_errors(CFTEnsemble()):
            torch.set_grad_enabled(not records)
            raise KeyboardInterrupt

    with torch.set_grad_enabled(records):
        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert torch.is_grad_enabled() is records


def test_without_an_error_what_was_set_stays():
    estimator = CategoryCalibrator()
    with unchanged_by_errors(estimator):
        estimator.mark_ = np.ones(1)
    assert estimator.mark_ == 1


@pytest.mark.parametrize("name", LAST_STEPS)
def test_a_warning_of_labels_names_the_line_that_called_fit(name):
    estimator = estimators()[name]
    y = np.arange(80)[:, None] % 2.0
    inputs = X[:, :1] if name == "calibrator" else X
    with pytest.warns(DataConversionWarning, match="column-vector") as caught:
        estimator.fit(inputs, y)
    lines = [each for each in caught if each.category is DataConversionWarning]
    assert {each.filename for each in lines} == {__file__}


@pytest.fixture
def faults(monkeypatch):
    """Return the benchmark that interrupts fits at random lines."""
    monkeypatch.syspath_prepend(Path(__file__).parent.parent / "benchmarks")
    return importlib.import_module("faults_fits")


NAMES = [
    "classifier",
    "network",
    "fine-tuner",
    "genetic",
    "gradient",
    "ensemble",
    "calibrator",
    "extractor",
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_a_fit_interrupted_at_some_line_changes_nothing(name, faults):
    """`python benchmarks/faults_fits.py` interrupts 200 of each."""
    assert faults.interrupt(name, 3, seed=1) == []


def test_what_an_interrupted_fit_changes_is_noticed(faults, monkeypatch):
    monkeypatch.setattr(
        "cftlearn.calibration._calibrator.unchanged_by_errors",
        lambda _: contextlib.nullcontext(),
    )
    assert faults.interrupt("calibrator", 30, seed=1)
