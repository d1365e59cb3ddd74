"""The whole method on what its users have: paths, images, tensors, Datasets."""

import functools

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from optional import optional
from report_parts import n_held_out
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from torch import nn
from torch.utils.data import Dataset

from cftlearn import CFTClassifier, load_model, save_model
from cftlearn.classifier import _network_fit
from cftlearn.exceptions import ImageFileError, NonFiniteLossError
from cftlearn.images import ImageTransform
from cftlearn.metrics import partial_roc_auc_scorer
from cftlearn.model_selection import PartialLabelKFold
from cftlearn.training import NetworkTrainer

pd = optional("pandas")

Image = pytest.importorskip("PIL.Image", reason="the images extra")

N_ROWS, SIZE = 60, (5, 4)
TRANSFORM = ImageTransform(SIZE, mode="L", mean=(0.5,), std=(0.25,))


def conv_network():
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 3 * 2, 3))


@pytest.fixture(scope="module")
def pictures():
    """Grey pictures, and labels of which some are unknown."""
    rng = np.random.default_rng(3)
    bytes_ = rng.integers(0, 256, (N_ROWS, *SIZE), dtype=np.uint8)
    signal = bytes_.reshape(N_ROWS, -1)[:, :3] + 60 * rng.standard_normal((N_ROWS, 3))
    y = (signal > np.median(signal, axis=0)).astype(np.float64)
    y[rng.random(y.shape) < 0.3] = np.nan
    return bytes_, y


@pytest.fixture(scope="module")
def folder(pictures, tmp_path_factory):
    """Return a folder of the pictures, in the order of their names."""
    folder = tmp_path_factory.mktemp("Röntgen bilder")
    for row, picture in enumerate(pictures[0]):
        Image.fromarray(picture).save(folder / f"{row:03}.png")
    return folder


@pytest.fixture(scope="module")
def paths(folder):
    return sorted(map(str, folder.iterdir()))


@pytest.fixture
def arrays(pictures):
    """What the transform makes of the pictures."""
    pixels = pictures[0][:, np.newaxis].astype(np.float32) * np.float32(1 / 255)
    return (pixels - np.float32(0.5)) / np.float32(0.25)


@pytest.fixture
def make_model(quick_tuner):
    return functools.partial(
        CFTClassifier,
        conv_network,
        input_transform=TRANSFORM,
        fine_tuner=quick_tuner,
        max_epochs=2,
        batch_size=16,
        random_state=0,
        device="cpu",
    )


class Pictures(Dataset):
    """A Dataset that counts what is read of it."""

    def __init__(self, arrays, labels=None):
        self.arrays, self.labels, self.read = arrays, labels, []

    def __len__(self):
        return len(self.arrays)

    def __getitem__(self, row):
        self.read.append(int(row))
        return torch.from_numpy(self.arrays[row]), self.labels


FORMS = {
    "list": lambda folder, paths, arrays: paths,
    "array": lambda folder, paths, arrays: np.array(paths),
    "Series": lambda folder, paths, arrays: pd.Series(paths, index=range(7, 7 + 60)),
    "Path objects": lambda folder, paths, arrays: [folder / p for p in paths],
    "folder": lambda folder, paths, arrays: folder,
    "images": lambda folder, paths, arrays: [Image.open(path) for path in paths],
}
AS_THEY_ARE = {
    "tensor": torch.from_numpy,
    "list of tensors": lambda arrays: list(torch.from_numpy(arrays)),
    "Dataset": Pictures,
    "doubles": lambda arrays: arrays.astype(np.float64),
    "list": lambda arrays: arrays.tolist(),
}


@pytest.fixture
def expected(make_model, arrays, pictures):
    """Return the model fitted on arrays."""
    return make_model(input_transform=None).fit(arrays, pictures[1])


# ------------------------------------------------------------------- every form of X
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_images_are_read_when_they_are_needed(
    make_model, folder, paths, arrays, pictures, expected, form
):
    X = form(folder, paths, arrays)
    model = make_model().fit(X, pictures[1])
    assert_array_equal(model.coef_, expected.coef_)
    assert model.history_ == expected.history_
    assert_array_equal(model.decision_function(X), expected.decision_function(arrays))
    assert model.score(X, pictures[1]) == expected.score(arrays, pictures[1])
    assert not hasattr(model, "n_features_in_")


@pytest.mark.parametrize("form", AS_THEY_ARE.values(), ids=AS_THEY_ARE)
def test_tensors_and_datasets(make_model, arrays, pictures, expected, form):
    X = form(arrays)
    model = make_model(input_transform=None).fit(X, pictures[1])
    assert_array_equal(model.coef_, expected.coef_)
    assert_array_equal(model.predict_proba(X), expected.predict_proba(arrays))
    assert model.predict(X).shape == (N_ROWS, 3)


def test_a_model_of_images_takes_arrays_of_the_networks_shape(
    make_model, paths, arrays, pictures, expected
):
    model = make_model().fit(paths, pictures[1]).set_params(input_transform=None)
    assert_array_equal(model.predict(arrays), expected.predict(arrays))
    with pytest.raises(
        ValueError, match="holds images, which need the parameter `input_transform`"
    ):
        model.predict(paths)


def test_a_model_of_arrays_takes_images(make_model, paths, arrays, expected):
    model = expected.set_params(input_transform=TRANSFORM)
    assert_array_equal(
        model.decision_function(paths[:7]), model.decision_function(paths)[:7]
    )
    with pytest.raises(ValueError, match=r"row 0 failed: TypeError: `image` must be a"):
        model.predict(arrays)


def test_rows_of_arrays_may_have_a_transform(make_model, arrays, pictures, expected):
    """Bytes with channels last, say, as they come."""

    def scale(row):
        return (torch.from_numpy(row).permute(2, 0, 1) * (1 / 255) - 0.5) / 0.25

    X = pictures[0][..., np.newaxis]
    model = make_model(input_transform=scale).fit(X, pictures[1])
    assert_allclose(model.coef_, expected.coef_, rtol=1e-3, atol=1e-4)
    assert model.n_features_in_ == 5


def test_fitting_again_forgets_the_columns_of_a_frame(make_model, paths, pictures):
    y = pictures[1]
    flat = pd.DataFrame(pictures[0].reshape(N_ROWS, -1)).add_prefix("pixel")
    model = make_model().set_params(module=None).fit(flat, y)
    assert model.n_features_in_ == 20
    model.set_params(module=conv_network).fit(paths, y)
    assert not hasattr(model, "n_features_in_")
    assert not hasattr(model, "feature_names_in_")


def test_to_torch_gives_the_same_logits(make_model, paths, arrays, pictures):
    model = make_model().fit(paths, pictures[1])
    with torch.no_grad():
        logits = model.to_torch()(torch.from_numpy(arrays)).numpy()
    assert_allclose(logits, model.decision_function(paths), rtol=1e-4, atol=1e-5)


def test_a_saved_model_reads_images(make_model, paths, pictures, tmp_path):
    model = make_model(trainer=NetworkTrainer(ema_decay=0.9)).fit(paths, pictures[1])
    save_model(model, tmp_path / "model")
    loaded = load_model(tmp_path / "model", module=conv_network)
    assert_array_equal(loaded.decision_function(paths), model.decision_function(paths))
    assert loaded.trainer.ema_decay == 0.9


# ------------------------------------------------------------------ validation data
def split(y):
    """Hide a part of the labels, and the others."""
    held = np.random.default_rng(1).random(y.shape) < 0.25
    return np.where(held, np.nan, y), np.where(held, y, np.nan)


@pytest.mark.parametrize(
    "again",
    [
        pytest.param(lambda paths: paths, id="the same list"),
        pytest.param(list, id="a copy"),
        pytest.param(np.array, id="an array"),
    ],
)
def test_validation_data_of_the_same_images(
    make_model, monkeypatch, paths, arrays, pictures, again
):
    """Are known to be the same: no label is negative, and features are read once."""
    passes = []
    extract = _network_fit.extract_features

    def count(network, head, inputs, **options):
        passes.append(len(inputs))
        return extract(network, head, inputs, **options)

    y, y_val = split(pictures[1])
    expected = make_model(input_transform=None)
    expected.fit(arrays, y, validation_data=(arrays.copy(), y_val))
    monkeypatch.setattr(_network_fit, "extract_features", count)
    model = make_model().fit(paths, y, validation_data=(again(paths), y_val))
    assert passes == 2 * [N_ROWS], "once per network"
    assert_array_equal(model.coef_, expected.coef_)
    with pytest.raises(ValueError, match="must hold other known labels than `y`"):
        make_model().fit(paths, y, validation_data=(again(paths), pictures[1]))


def test_validation_data_of_other_images(make_model, paths, pictures):
    y = pictures[1]
    other = make_model().fit(paths[:40], y[:40], validation_data=(paths[40:], y[40:]))
    reversed_ = make_model().fit(paths, y, validation_data=(paths[::-1], y[::-1]))
    assert n_held_out(other.report_[0]) == np.sum(~np.isnan(y[40:, 0]))
    assert n_held_out(reversed_.report_[0]) == np.sum(~np.isnan(y[:, 0]))


# ------------------------------------------------------------- scikit-learn around it
def test_grid_search_over_paths(make_model, paths, pictures):
    search = GridSearchCV(
        make_model(max_epochs=1),
        {"trainer__weight_decay": [0.0, 0.1], "fine_tuner__solver": ["bce"]},
        cv=PartialLabelKFold(2),
        scoring=partial_roc_auc_scorer,
        error_score="raise",
    ).fit(paths, pictures[1])
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.trainer.weight_decay in (0.0, 0.1)
    assert search.predict(paths[:5]).shape == (5, 3)
    train, _ = next(PartialLabelKFold(2).split(np.array(paths), pictures[1]))
    assert clone(search.best_estimator_).fit(np.array(paths)[train], pictures[1][train])


def test_pipelines_of_paths(make_model, folder, paths, pictures):
    names = [path.rpartition("/")[2] for path in paths]
    in_folder = FunctionTransformer(
        lambda names: [f"{folder}/{name}" for name in names]
    )
    pipeline = make_pipeline(in_folder, make_model()).fit(names, pictures[1])
    expected = make_model().fit(paths, pictures[1])
    assert_array_equal(pipeline.predict_proba(names), expected.predict_proba(paths))


def test_parameters_reach_the_trainer():
    model = CFTClassifier().set_params(trainer__patience=3, max_epochs=2)
    assert model.trainer.patience == 3
    assert model.get_params()["trainer__patience"] == 3
    assert CFTClassifier().set_params(max_epochs=2).trainer is None
    with pytest.raises(ValueError, match="Invalid parameter 'patients'"):
        CFTClassifier().set_params(trainer__patients=3)


# ---------------------------------------------------------------- training of images
def test_default_trainers_are_no_trainer(make_model, paths, pictures, expected):
    model = make_model(trainer=NetworkTrainer()).fit(paths, pictures[1])
    assert model.history_ == expected.history_
    unscored = make_model(trainer=NetworkTrainer(validate=False))
    unscored.fit(paths, pictures[1])
    assert_array_equal(unscored.coef_, model.coef_)
    assert "val_loss" not in unscored.history_[0]
    assert {"val_loss", "val_score"} < set(model.history_[0])


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_workers_and_augmentation(make_model, paths, pictures):
    def flip(image):
        pixels = TRANSFORM(image)
        return pixels.flip(2) if torch.rand(()) < 0.5 else pixels

    models = [
        make_model(trainer=NetworkTrainer(augment=flip, num_workers=n)).fit(
            paths, pictures[1]
        )
        for n in (0, 2)
    ]
    assert_array_equal(models[0].coef_, models[1].coef_)
    assert models[0].history_ == models[1].history_
    assert_array_equal(
        models[0].decision_function(paths), models[1].decision_function(paths)
    )
    plain = make_model().fit(paths, pictures[1])
    assert plain.history_[0]["loss"] != models[0].history_[0]["loss"]


def test_balanced_weights_reach_the_loss(make_model, arrays, pictures):
    y = pictures[1]
    held = np.random.default_rng(1).random(y.shape) < 0.25
    y_fit, y_val = np.where(held, np.nan, y), np.where(held, y, np.nan)
    losses = {}
    for unknown in ("negative", "ignore"):
        targets = np.nan_to_num(y_fit) if unknown == "negative" else y_fit
        targets = np.where(held & ~np.isnan(y), np.nan, targets)
        weights = np.nansum(targets == 0, axis=0) / np.nansum(targets == 1, axis=0)
        for pos_weight in ("balanced", weights):
            model = make_model(input_transform=None, unknown=unknown)
            model.set_params(trainer__pos_weight=pos_weight)
            model.fit(arrays, y_fit, validation_data=(arrays, y_val))
            losses[unknown, str(pos_weight)] = model.history_[0]["loss"]
        assert losses[unknown, "balanced"] == pytest.approx(
            losses[unknown, str(weights)], rel=1e-6
        )
    assert len(set(np.round(list(losses.values()), 5))) == 2


def test_early_stopping_in_a_fit(make_model, paths, pictures):
    model = make_model(max_epochs=50, learning_rate=0.2)
    model.set_params(trainer__patience=2).fit(paths, pictures[1])
    stage_one = [line for line in model.history_ if line["stage"] == "train"]
    scores = [line["val_score"] for line in stage_one]
    best = int(np.argmax(scores)) + 1
    assert len(scores) == best + 2 < 50
    again = [line for line in model.history_ if line["stage"] == "retrain"]
    assert len(again) == best, "no label is left to stop the second training by"


# --------------------------------------------------------------------------- reading
@pytest.mark.parametrize(("retrain", "n_trainings"), [(False, 1), ("average", 2)])
def test_every_row_is_read_as_often_as_is_needed(
    make_model, arrays, pictures, retrain, n_trainings
):
    """The trial of one row, two epochs, and the features; scores of the first epochs.

    Estimating rates would read rows again.
    """
    data = Pictures(arrays)
    model = make_model(input_transform=None, unknown="negative", retrain=retrain)
    model.fit(data, pictures[1])
    scored = len(
        np.flatnonzero(~np.isnan(pictures[1]).all(axis=1))
    )  # at most: the rows with a label held out
    n_read = len(data.read)
    least = n_trainings * (1 + 3 * N_ROWS)
    assert least < n_read <= least + 2 * scored
    data.read.clear()
    model.predict(data)
    assert data.read == list(range(N_ROWS))


def test_features_are_not_kept(make_model, paths, pictures):
    model = make_model().fit(paths, pictures[1])
    seen = [model, model.fine_tuner_]
    large = [
        name
        for item in seen
        for name, value in vars(item).items()
        if isinstance(value, np.ndarray) and value.size >= N_ROWS * 12
    ]
    assert not large


# -------------------------------------------------------------------------- bad input
def test_an_image_that_cannot_be_read_is_named(make_model, paths, pictures, tmp_path):
    broken = tmp_path / "leer.png"
    broken.write_bytes(b"")
    X = [*paths[:7], str(broken), *paths[8:]]
    with pytest.raises(ImageFileError, match=r"row 7: .*leer\.png"):
        make_model().fit(X, pictures[1])
    model = make_model().fit(paths, pictures[1])
    with pytest.raises(ImageFileError, match=r"row 7: .*leer\.png"):
        model.predict(X)


def test_a_missing_image_is_told_before_training(make_model, paths, pictures):
    X = [*paths[:-1], "nowhere/zürich.png"]
    with pytest.raises(ImageFileError, match=r"row 59 \('nowhere/zürich\.png'\)"):
        make_model(max_epochs=10**9).fit(X, pictures[1])


def test_a_loss_that_is_not_finite_names_the_image(make_model, paths, pictures):
    def spoil(image):
        pixels = TRANSFORM(image)
        wrong = np.array_equal(np.asarray(image)[..., 0], pictures[0][41])
        return torch.full_like(pixels, np.inf) if wrong else pixels

    model = make_model(input_transform=spoil)
    with pytest.raises(NonFiniteLossError, match=r"rows 41 \('.*041\.png'\)"):
        model.fit(paths, np.nan_to_num(pictures[1]))


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ([], ValueError, "`X` must hold at least one row; got none"),
        (["a.png"] * 60, ImageFileError, "60 of 60 do not exist"),
        (None, (TypeError, ValueError), "X"),
        ("no folder", ImageFileError, "which is not there"),
    ],
    ids=["nothing", "no files", "None", "no folder"],
)
def test_inputs_that_are_none(make_model, pictures, X, error, message):
    with pytest.raises(error, match=message):
        make_model().fit(X, pictures[1])


def test_lengths_must_agree(make_model, paths, folder, pictures):
    for X in (paths[:9], Pictures(np.zeros((9, 1, 5, 4), np.float32))):
        with pytest.raises(ValueError, match=r"one row per sample; .* \[9, 60\]"):
            make_model().fit(X, pictures[1])


def test_a_transform_that_is_none(make_model, paths, pictures):
    with pytest.raises(
        ValueError, match="holds images, which need the parameter `input_transform`"
    ):
        make_model(input_transform=None).fit(paths, pictures[1])
    with pytest.raises(
        ValueError, match="'input_transform' parameter of CFTClassifier"
    ):
        make_model(input_transform="resize").fit(paths, pictures[1])
    with pytest.raises(ValueError, match="'trainer' parameter of CFTClassifier"):
        make_model(trainer="adam").fit(paths, pictures[1])
