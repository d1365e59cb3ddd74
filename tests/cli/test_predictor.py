"""A saved model, as commands use it."""

import numpy as np
import pytest

from cftlearn import CategoryWiseFineTuner, CFTClassifier, save_model
from cftlearn.cli._options import ReadingOptions
from cftlearn.cli._predictor import Predictor
from cftlearn.cli._settings import SettingsError
from cftlearn.datasets import make_partial_multilabel


@pytest.fixture(scope="module")
def problem():
    return make_partial_multilabel(80, random_state=0)[:2]


def read(model, folder):
    save_model(model, folder)
    return Predictor.read(folder, None, ReadingOptions(device="cpu"))


def test_a_fine_tuner_gives_probabilities(problem, tmp_path):
    X, y = problem
    tuner = CategoryWiseFineTuner("proximal", random_state=0).fit(X, y)
    predictor = read(tuner, tmp_path / "m")
    expected = 1 / (1 + np.exp(-tuner.transform(X)))
    np.testing.assert_allclose(predictor.predict_features(X), expected)
    np.testing.assert_array_equal(predictor.thresholds, np.full(y.shape[1], 0.5))
    with pytest.raises(SettingsError, match="predicts from features, not from images"):
        predictor.predict_images(["a.png"])


def test_one_threshold_is_that_of_every_category(problem, tmp_path):
    X, y = problem
    model = CFTClassifier(threshold=0.3, random_state=0)
    model.set_params(fine_tuner__solver="proximal").fit(X, y)
    predictor = read(model, tmp_path / "m")
    np.testing.assert_array_equal(predictor.thresholds, np.full(y.shape[1], 0.3))
    assert predictor.categories == [str(j) for j in range(y.shape[1])]
    np.testing.assert_array_equal(predictor.predict_features(X), model.predict_proba(X))


def test_options_reach_the_network(photo_model):
    options = ReadingOptions(batch_size=7, num_workers=1, device="cpu")
    predictor = Predictor.read(photo_model, "cli_parts:make_network", options)
    assert predictor.is_of_images
    assert predictor.model.batch_size == 7
    assert predictor.model.trainer.num_workers == 1
    assert predictor.model.device_ == "cpu"
    with pytest.raises(SettingsError, match="predicts from images, not from features"):
        predictor.predict_features(np.zeros((1, 2)))


@pytest.mark.parametrize("quiet", [True, False])
def test_progress_does_not_mix_with_lines(photo_model, monkeypatch, quiet):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    predictor = Predictor(None, photo_model, ReadingOptions(quiet=quiet))
    with predictor.progress(3, prints=True) as progress:
        assert progress.disable
    with predictor.progress(3) as progress:
        assert bool(progress.disable) is quiet
