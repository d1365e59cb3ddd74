"""Parameters of a model file are checked by the rules of their estimators."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from model_parts import set_value

from cftlearn import CategoryWiseFineTuner, CFTClassifier, CFTEnsemble, load_model
from cftlearn.calibration import CategoryCalibrator
from cftlearn.exceptions import ModelFormatError
from cftlearn.images import ImageTransform
from cftlearn.persistence._faults import Fault
from cftlearn.persistence._parameters import as_numbers, make_estimator
from cftlearn.solvers import GeneticSolver, GradientSolver, ProximalSolver
from cftlearn.training import LogicMix, NetworkTrainer, PartialMixUp, PseudoLabels

GOLDEN = Path(__file__).parents[1] / "data" / "model_format_2"
IMAGES = ImageTransform(32)


@pytest.mark.parametrize(
    ("cls", "params"),
    [
        (CFTClassifier, {"threshold": [0.1, 0.9], "layers": ["0", ""], "n_jobs": 2}),
        (CFTClassifier, {"layers": "auto", "retrain": "average", "verbose": True}),
        (CFTClassifier, {"input_transform": IMAGES, "threshold": np.array(0.3)}),
        (CFTClassifier, {"calibration": CategoryCalibrator(prevalence=[0.1, np.nan])}),
        (CFTEnsemble, {"weights": [1, 2], "combine": "mean"}),
        (CFTEnsemble, {"weights": "greedy"}),
        (CategoryWiseFineTuner, {"solver": ["bce", "ga", ProximalSolver()]}),
        (CategoryWiseFineTuner, {"coef_init": [[0, 1]], "intercept_init": (0.5,)}),
        (NetworkTrainer, {"pos_weight": [1, 2.5], "augment": IMAGES}),
        (NetworkTrainer, {"pos_weight": "balanced"}),
        (NetworkTrainer, {"pseudo_labels": PseudoLabels("soft"), "mix": "logic"}),
        (PseudoLabels, {"rule": "threshold", "threshold": (0.1, 0.9)}),
        (LogicMix, {"k_min": 3, "k_max": 3}),
        (PartialMixUp, {"alpha": 0.5}),
        (ProximalSolver, {"spreads": [1.0], "toward": ["zero"]}),
        (GeneticSolver, {"population_size": 10}),
        (GradientSolver, {"standardize": False}),
        (ImageTransform, {"size": [32, 48], "mode": "L", "mean": 0.5, "std": [0.2]}),
    ],
)
def test_valid_ones(cls, params):
    made = make_estimator(cls, params, "")
    if cls is ImageTransform:
        assert made == ImageTransform((32, 48), mode="L", mean=0.5, std=(0.2,))
        return
    assert {name: made.get_params(deep=False)[name] for name in params} == params


@pytest.mark.parametrize(
    ("cls", "params", "match"),
    [
        (CFTClassifier, {"treshold": 0.5}, "parameters of CFTClassifier; got 'tresh"),
        (CFTClassifier, {"threshold": 1.5}, "'threshold' parameter of CFTClassifier"),
        (CFTClassifier, {"threshold": [0.5, 2]}, r"`threshold` must lie in \[0, 1\]"),
        (CFTClassifier, {"threshold": ["a"]}, "`threshold` must hold numbers"),
        (CFTClassifier, {"threshold": [True]}, "`threshold` must hold numbers"),
        (CFTClassifier, {"threshold": [[0.1], 0.2]}, "`threshold` must hold numbers"),
        (CFTClassifier, {"threshold": []}, "`threshold` must hold finite numbers"),
        (CFTClassifier, {"threshold": [[0.5]]}, "`threshold` must be one or a list"),
        (CFTClassifier, {"max_epochs": True}, "`p.max_epochs` .* no truth value"),
        (CFTClassifier, {"max_epochs": 2.0}, "'max_epochs' parameter"),
        (CFTClassifier, {"loss": IMAGES}, "`p.loss` .* be no ImageTransform"),
        (CFTClassifier, {"loss": "mse"}, "'loss' parameter"),
        (CFTClassifier, {"layers": [1]}, "`layers` must hold names"),
        (CFTClassifier, {"trainer": GeneticSolver()}, "'trainer' parameter"),
        (CFTClassifier, {"random_state": -1}, "'random_state' parameter"),
        (
            CFTClassifier,
            {"calibration": CategoryCalibrator(prevalence=2.0)},
            "`prevalence` must lie in",
        ),
        (CFTEnsemble, {"weights": [np.nan]}, "`weights` must hold finite numbers"),
        (CFTEnsemble, {"threshold": "high"}, "'threshold' parameter"),
        (CategoryWiseFineTuner, {"solver": []}, "at least one solver"),
        (CategoryWiseFineTuner, {"solver": ["auto"]}, "`solver` must be 'auto', or"),
        (CategoryWiseFineTuner, {"solver": [[1]]}, "`solver` must be"),
        (CategoryWiseFineTuner, {"solver": [{}]}, "`solver` must be"),
        (CategoryWiseFineTuner, {"coef_init": [["a"]]}, "`coef_init` must hold num"),
        (CategoryWiseFineTuner, {"intercept_init": [np.inf]}, "must hold finite"),
        (CategoryCalibrator, {"prevalence": [1.0]}, "`prevalence` must lie in"),
        (CategoryCalibrator, {"prevalence": ["x"]}, "`prevalence` must hold numbers"),
        (NetworkTrainer, {"pos_weight": [0]}, "`pos_weight` must be above 0"),
        (NetworkTrainer, {"pos_weight": ["a"]}, "`pos_weight` must hold numbers"),
        (NetworkTrainer, {"pseudo_labels": LogicMix()}, "'pseudo_labels' parameter"),
        (NetworkTrainer, {"mix": "both"}, "'mix' parameter"),
        (PseudoLabels, {"threshold": [0.9, 0.1]}, "`threshold` must be a probability"),
        (PseudoLabels, {"threshold": [False, True]}, "`threshold` must be a probab"),
        (PseudoLabels, {"threshold": ["a", {}]}, "`threshold` must be a probability"),
        (PseudoLabels, {"weight": 0}, "'weight' parameter"),
        (LogicMix, {"k_min": 4}, "`k_min` must be at most `k_max`"),
        (PartialMixUp, {"alpha": 2.0}, "'alpha' parameter"),
        (ProximalSolver, {"spreads": [-1.0]}, "`spreads`"),
        (ProximalSolver, {"spreads": ["a"]}, "`spreads` must hold numbers"),
        (ProximalSolver, {"toward": [["zero"]]}, "`toward` must hold names"),
        (ProximalSolver, {"scalings": [{}]}, "`scalings` must hold names"),
        (GeneticSolver, {"population_size": 1}, "'population_size' parameter"),
        (GradientSolver, {"loss": {}}, "'loss' parameter"),
        (ImageTransform, {"size": -3}, "`size` must be"),
        (ImageTransform, {"size": [1, [2]]}, "`size` must be"),
        (ImageTransform, {"mode": []}, "must be valid"),
        (ImageTransform, {"interpolation": {}}, "must be"),
        (ImageTransform, {"colour": 1}, "'colour' too"),
    ],
)
def test_others(cls, params, match):
    with pytest.raises(Fault, match=match):
        make_estimator(cls, params, "p.")


@pytest.mark.parametrize(
    ("value", "shape"),
    [(3, ()), (0.5, ()), ([1, 2.5], (2,)), ([[1], [2]], (2, 1)), (np.eye(2), (2, 2))],
)
def test_numbers(value, shape):
    numbers = as_numbers(value, "p")
    assert numbers.shape == shape
    assert numbers.dtype == np.float64


@pytest.mark.parametrize(
    ("key", "value", "match"),
    [
        ("params.threshold", {"array": "coef_"}, "the array of its own name"),
        ("params.threshold", {"array": ["threshold"]}, "the array of its own name"),
        ("params.threshold", {"tuple": 5}, "hold a `class` and its `params`"),
        (
            "params.fine_tuner",
            {"class": "Popen", "params": {}},
            "`fine_tuner.class` .*",
        ),
        ("params.fine_tuner", {"class": ["a"], "params": {}}, "`fine_tuner.class` .*"),
        ("params.fine_tuner.params", [], r"`fine_tuner.params` in .* be an object"),
        (
            "params.fine_tuner.params.solver",
            {"class": "GeneticSolver"},
            "hold a `class`",
        ),
        ("params.fine_tuner.coef_", 7, "hold what a CategoryWiseFineTuner has"),
        (
            "params.trainer",
            {"class": "NetworkTrainer", "params": {}, "x": 1},
            "hold what",
        ),
        ("params", None, "`params` in model.json must be an object"),
    ],
)
def test_how_they_are_written(tmp_path, key, value, match):
    path = Path(shutil.copytree(GOLDEN / "features", tmp_path / "model"))
    set_value(path, f"model.{key}", value)
    with pytest.raises(ModelFormatError, match=match):
        load_model(path)
