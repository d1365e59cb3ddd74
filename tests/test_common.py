"""scikit-learn's own checks, for every estimator.

One of them cannot hold for estimators that hold labels out, see `NOT_REPEATED`.
"""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

from cftlearn import (
    CategoryWiseFineTuner,
    CFTClassifier,
    CFTEnsemble,
    TorchFeatureExtractor,
)
from cftlearn.calibration import CategoryCalibrator
from cftlearn.solvers import GeneticSolver, GradientSolver, ProximalSolver
from cftlearn.solvers._protocol import CategorySolver

ESTIMATORS = [
    CategoryWiseFineTuner(),
    CategoryWiseFineTuner("ga", objective="average_precision"),
    CategoryWiseFineTuner("asl", refit=False),
    CategoryWiseFineTuner("proximal"),
    CategoryWiseFineTuner(refit=False),
    CFTClassifier(),
    CFTClassifier(calibration="sigmoid"),
    CFTClassifier(unknown="ignore", fine_tuner=CategoryWiseFineTuner("bce")),
    CFTEnsemble(n_estimators=2),
    CFTEnsemble(n_estimators=2, combine="logit_mean", weights="greedy"),
]
EXTRACTORS = [
    TorchFeatureExtractor(nn.Flatten()),
    TorchFeatureExtractor(nn.Sequential(nn.Flatten(), nn.Tanh()), layer="1", amp=True),
]
CALIBRATORS = [
    CategoryCalibrator(),
    CategoryCalibrator("isotonic", min_isotonic=1, prevalence=0.3),
]
SOLVERS = [GeneticSolver, GradientSolver, ProximalSolver]


@pytest.mark.filterwarnings("ignore::cftlearn.exceptions.UndefinedCategoryWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks(ESTIMATORS + EXTRACTORS + CALIBRATORS)
def test_scikit_learn_check(estimator, check):
    check(estimator)


def test_every_estimator_is_checked():
    """The list above holds every public estimator of the package."""
    import cftlearn

    public = {getattr(cftlearn, name) for name in cftlearn.__all__}
    estimators = {
        item
        for item in public
        if isinstance(item, type) and issubclass(item, BaseEstimator)
    }
    assert estimators
    assert estimators == {type(estimator) for estimator in ESTIMATORS + EXTRACTORS}


def test_every_solver_is_exported():
    from cftlearn import solvers

    exported = {getattr(solvers, name) for name in solvers.__all__}
    assert exported == set(SOLVERS)
    assert all(issubclass(solver, CategorySolver) for solver in exported)


@pytest.mark.parametrize(
    "solver",
    [GeneticSolver.published(), GradientSolver.published(), ProximalSolver()],
    ids=str,
)
def test_solver_is_cloned_with_its_parameters(solver):
    copied = clone(solver)
    assert copied is not solver
    assert copied.get_params() == solver.get_params()
    assert set(solver._parameter_constraints) == set(copied.get_params())


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_integer_minus_one_is_unknown_and_float_is_refused(estimator):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 3))
    y = rng.integers(0, 2, size=(60, 2))
    y[:10, 0] = -1
    fitted = clone(estimator).set_params(random_state=0).fit(X, y)
    assert fitted.report_[0]["n_unknown"] == 10
    with pytest.raises(ValueError, match=r"write -1\.0 for uncertain"):
        clone(estimator).fit(X, y.astype(float))
