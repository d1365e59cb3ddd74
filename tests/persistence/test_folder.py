"""Saving and loading: the same predictions, no pickle, nothing destroyed."""

import copy
import functools
import hashlib
import importlib.util
import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from model_parts import read_document, set_value, sign
from numpy.testing import assert_allclose, assert_array_equal
from optional import optional
from safetensors.numpy import load_file
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from torch import nn

from cftlearn import (
    CategoryWiseFineTuner,
    CFTClassifier,
    CFTEnsemble,
    load_model,
    save_model,
)
from cftlearn._files import is_hidden
from cftlearn._inputs import ArrayInputs
from cftlearn._report._columns import before_and_after, score_columns
from cftlearn.calibration import CategoryCalibrator
from cftlearn.exceptions import ModelFormatError
from cftlearn.feature_extraction._widening import widen_network
from cftlearn.images import ImageTransform
from cftlearn.networks._joined import join_networks
from cftlearn.solvers import GeneticSolver, GradientSolver

pd = optional("pandas")

DATA = Path(__file__).parent.parent / "data"
FILES = {"model.json", "arrays.safetensors"}


@pytest.fixture
def make_model(quick_tuner):
    return functools.partial(
        CFTClassifier, fine_tuner=quick_tuner, max_epochs=2, random_state=0
    )


@pytest.fixture
def model(make_model, partial_problem):
    """Return a fitted classifier of features."""
    return make_model().fit(*partial_problem[:2])


@pytest.fixture
def network_model(make_model, network_factory, partial_problem):
    """Return a fitted classifier with a single network."""
    return make_model(network_factory, retrain=False).fit(*partial_problem[:2])


def assert_same_model(loaded, model, X):
    assert type(loaded) is type(model)
    for name in ("coef_", "intercept_", "categories_", "classes_"):
        one, other = getattr(loaded, name), getattr(model, name)
        assert one.dtype == other.dtype, name
        assert_array_equal(one, other)
    pd.testing.assert_frame_equal(
        pd.DataFrame(loaded.report_), pd.DataFrame(model.report_)
    )
    assert loaded.n_features_in_ == model.n_features_in_
    assert loaded.history_ == []
    if isinstance(model, CFTClassifier):
        assert_array_equal(loaded.decision_function(X), model.decision_function(X))
        assert_array_equal(loaded.predict(X), model.predict(X))
        assert_array_equal(loaded.fine_tuner_.coef_init_, model.fine_tuner_.coef_init_)
    else:
        assert_array_equal(loaded.transform(X), model.transform(X))
        assert_array_equal(loaded.coef_init_, model.coef_init_)


# --------------------------------------------------------------------- round trips
SOLVERS = {
    "by name": "bce",
    "object": GeneticSolver(n_generations=5, mutation_scale=0.2),
    "list": ["asl", GradientSolver(max_epochs=5), GeneticSolver(n_generations=5)],
}


@pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS)
def test_fine_tuners(tmp_path, partial_problem, solver):
    Z, y, _ = partial_problem
    tuner = CategoryWiseFineTuner(solver, objective="average_precision", random_state=3)
    tuner.fit(Z, y)
    loaded = load_model(save_model(tuner, tmp_path / "model"))
    assert_same_model(loaded, tuner, Z)
    assert repr(loaded) == repr(tuner)
    assert_array_equal(clone(loaded).fit(Z, y).coef_, tuner.coef_)


@pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS)
def test_classifiers_of_features(tmp_path, partial_problem, solver):
    Z, y, _ = partial_problem
    model = CFTClassifier(fine_tuner=CategoryWiseFineTuner(solver), random_state=0)
    model.fit(Z, y)
    loaded = load_model(save_model(model, tmp_path / "model"))
    assert_same_model(loaded, model, Z)
    assert repr(loaded) == repr(model)
    assert loaded.score(Z, y) == model.score(Z, y)
    assert_array_equal(clone(loaded).fit(Z, y).coef_, model.coef_)


@pytest.mark.parametrize("retrain", [False, True, "average"])
def test_classifiers_with_a_network(
    tmp_path, make_model, network_factory, partial_problem, retrain
):
    Z, y, _ = partial_problem
    network_model = make_model(network_factory, retrain=retrain).fit(Z, y)
    path = save_model(network_model, tmp_path / "model")
    for module in (network_factory, network_factory()):
        loaded = load_model(path, module=module)
        assert_same_model(loaded, network_model, Z)
        assert loaded.module is module
        assert not loaded.module_.training
        assert loaded.head_ == network_model.head_
        with torch.no_grad():
            logits = loaded.to_torch()(torch.from_numpy(Z).float()).numpy()
        assert_allclose(logits, network_model.decision_function(Z), atol=1e-5)


def join_copies(model, layers):
    """Make a classifier's network one of two with other weights, both of them wide."""
    shape = (2, *model.input_shape_)
    row = ArrayInputs(np.ones(shape, dtype=np.float32))
    networks = [copy.deepcopy(model.module_) for _ in range(2)]
    nn.init.normal_(next(networks[1].parameters()))
    pairs = [widen_network(net, model.head_, layers, row, "cpu") for net in networks]
    model.module_, model.head_ = join_networks(pairs)
    nn.init.normal_(model.module_.own_parts[0].scale)
    tuner = model.fine_tuner_
    rng = np.random.default_rng(0)
    tuner.coef_ = rng.standard_normal(model.module_.head.weight.shape)
    tuner.coef_init_ = model.coef_ = tuner.coef_
    tuner.n_features_in_ = tuner.coef_.shape[1]
    return model


@pytest.mark.parametrize("layers", [[], "auto", ["0", ""]], ids=str)
def test_classifiers_with_a_joined_network(
    tmp_path, network_model, network_factory, partial_problem, layers
):
    Z = partial_problem[0]
    model = join_copies(network_model, layers)
    path = save_model(model, tmp_path / "model")
    for module in (network_factory, network_factory()):
        loaded = load_model(path, module=module)
        assert_same_model(loaded, model, Z)
        assert loaded.module is module
        assert loaded.head_ == "head"
        with torch.no_grad():
            logits = loaded.to_torch()(torch.from_numpy(Z).float()).numpy()
        assert_allclose(logits, model.decision_function(Z), atol=1e-5)
    again = save_model(loaded, tmp_path / "again")
    assert_same_model(load_model(again, module=network_factory), model, Z)


def test_every_file_is_listed_with_its_digest(tmp_path, network_model):
    path = save_model(network_model, tmp_path / "model")
    document = read_document(path)
    assert document["format"] == 2
    assert list(document) == ["format", "digest", "cftlearn", "files", "model"]
    assert document["files"] == {
        name: {
            "bytes": len((path / name).read_bytes()),
            "sha256": hashlib.sha256((path / name).read_bytes()).hexdigest(),
        }
        for name in ("arrays.safetensors", "network.pt")
    }
    text = (path / "model.json").read_text().replace(document["digest"], "0" * 64)
    assert document["digest"] == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda d: d.clear(), "is damaged"),
        (lambda d: d.update(parts=7), "is damaged"),
        (lambda d: d["parts"][0].update(width="8"), "is damaged"),
        (lambda d: d["parts"][0].update(layers=["0"]), "is damaged"),
        (lambda d: d["parts"][0].update(head="fc"), "`module` must have the archi"),
        (lambda d: d["parts"].pop(), "is damaged"),
        (lambda d: d.update(n_outputs=10**9), "is damaged"),
        (lambda d: d["parts"][0].update(width=10**9), "is damaged"),
        (lambda d: d["parts"].extend([{"width": 1}] * 5), "is damaged"),
    ],
)
def test_damaged_descriptions(
    tmp_path, network_model, network_factory, damage, message
):
    path = save_model(join_copies(network_model, ["0"]), tmp_path / "model")
    document = read_document(path)
    damage(document["model"]["joined_network"])
    sign(path, document)
    error = ModelFormatError if "damaged" in message else ValueError
    with pytest.raises(error, match=message):
        load_model(path, module=network_factory)


def test_a_joined_network_in_another_module(tmp_path, network_model):
    path = save_model(join_copies(network_model, []), tmp_path / "model")
    with pytest.raises(ValueError, match="`module` must have the architecture"):
        load_model(path, module=nn.Linear(6, 3))


def test_a_module_given_for_loading_stays_as_it_is(
    tmp_path, network_model, network_factory
):
    module = network_factory()
    before = {key: value.clone() for key, value in module.state_dict().items()}
    load_model(save_model(network_model, tmp_path / "model"), module=module)
    assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())


def test_images(tmp_path, make_model, partial_problem, rng):
    def network():
        return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(12, 3))

    images = rng.standard_normal((120, 1, 5, 4)).astype(np.float32)
    model = make_model(network).fit(images, partial_problem[1])
    loaded = load_model(save_model(model, tmp_path / "model"), module=network)
    assert_same_model(loaded, model, images)
    with pytest.raises(ValueError, match=r"rows of shape \(1, 5, 4\)"):
        loaded.predict(images[:, :, 0])


@pytest.mark.parametrize(
    "classes",
    [
        np.array(["no", "yes"]),
        np.array(["no", "yes"], dtype=object),
        np.array([-1, 1], dtype=np.int8),
        np.array([False, True]),
        np.array([0.0, 1.0], dtype=np.float32),
    ],
    ids=["strings", "objects", "small integers", "booleans", "floats"],
)
def test_one_dimensional_targets(tmp_path, make_model, partial_problem, classes):
    Z, _, y_full = partial_problem
    model = make_model().fit(Z, classes[y_full[:, 0].astype(int)])
    loaded = load_model(save_model(model, tmp_path / "model"))
    assert_same_model(loaded, model, Z)
    assert loaded.predict_proba(Z).shape == (120, 2)


def test_names_of_frames(tmp_path, make_model, partial_problem):
    Z, y, _ = partial_problem
    X = pd.DataFrame(Z, columns=list("abcdef"))
    labels = pd.DataFrame(y, columns=["Œdème", "骨折", 'a "quoted"\nname'])
    model = make_model().fit(X, labels)
    loaded = load_model(save_model(model, tmp_path / "model"))
    assert_same_model(loaded, model, X)
    assert loaded.feature_names_in_.tolist() == list("abcdef")
    assert loaded.categories_.tolist() == labels.columns.tolist()
    with pytest.raises(ValueError, match="feature names should match"):
        loaded.predict(X[list("fedcba")])


@pytest.mark.parametrize(
    "threshold",
    [
        np.array([0.1, 0.5, 0.9]),
        np.array([0.1, 0.5, 0.9], dtype=">f8"),
        np.array([0.1, 0.5, 0.9], dtype=np.float16),
        np.array([0.1, 0.0, 0.5, 0.0, 0.9])[::2],
        [0.1, 0.5, 0.9],
        np.float32(0.3),
        np.array(0.3),
    ],
    ids=["array", "big-endian", "half", "strided", "list", "scalar", "0-D"],
)
def test_thresholds(tmp_path, make_model, partial_problem, threshold):
    Z, y, _ = partial_problem
    model = make_model(threshold=threshold).fit(Z, y)
    loaded = load_model(save_model(model, tmp_path / "model"))
    assert_array_equal(loaded.threshold, threshold)
    assert np.shape(loaded.threshold) == np.shape(threshold)
    assert_array_equal(loaded.predict(Z), model.predict(Z))


@pytest.mark.parametrize("order", ["C", "F"])
def test_rows_to_start_from(tmp_path, partial_problem, rng, order):
    Z, y, _ = partial_problem
    coef = np.asarray(rng.standard_normal((3, 6)), order=order)
    tuner = CategoryWiseFineTuner("bce", coef_init=coef, intercept_init=np.zeros(3))
    tuner.fit(Z, y)
    loaded = load_model(save_model(tuner, tmp_path / "model"))
    assert_same_model(loaded, tuner, Z)
    assert_array_equal(loaded.coef_init, coef)


def test_numpy_scalars_become_python_ones(tmp_path, partial_problem):
    Z, y, _ = partial_problem
    solver = GradientSolver(
        max_epochs=np.int64(5),
        learning_rate=np.float32(0.125),
        standardize=np.bool_(False),
    )
    tuner = CategoryWiseFineTuner(solver, random_state=np.int32(3)).fit(Z, y)
    loaded = load_model(save_model(tuner, tmp_path / "model"))
    assert_same_model(loaded, tuner, Z)
    assert type(loaded.random_state) is int
    assert type(loaded.solver.max_epochs) is int
    assert type(loaded.solver.learning_rate) is float
    assert loaded.solver.standardize is False


def test_skipped_categories_keep_their_undefined_scores(
    tmp_path, make_model, partial_problem
):
    Z, y, _ = partial_problem
    y[y[:, 1] == 1, 1] = np.nan
    with pytest.warns(UserWarning, match="known labels"):
        model = make_model().fit(Z, y)
    loaded = load_model(save_model(model, tmp_path / "model"))
    assert_same_model(loaded, model, Z)
    assert np.isnan(loaded.report_[1]["roc_auc_before"])


def test_a_loaded_model_can_be_saved_again(tmp_path, model, partial_problem):
    first = load_model(save_model(model, tmp_path / "first"))
    save_model(first, tmp_path / "second")
    for name in FILES:
        one = (tmp_path / "first" / name).read_bytes()
        assert one == (tmp_path / "second" / name).read_bytes()


# ---------------------------------------------------------------------- the folder
def test_the_folder_holds_no_pickle(tmp_path, model, network_model):
    path = save_model(model, tmp_path / "features")
    assert {file.name for file in path.iterdir()} == FILES
    path = save_model(network_model, tmp_path / "network")
    assert {file.name for file in path.iterdir()} == FILES | {"network.pt"}
    assert load_file(path / "arrays.safetensors")
    state = torch.load(path / "network.pt", weights_only=True)
    assert set(state) == set(network_model.module_.state_dict())


def test_paths(tmp_path, model, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert save_model(model, "new/folders/model") == Path("new/folders/model")
    assert [file.name for file in (tmp_path / "new/folders").iterdir()] == ["model"]
    (tmp_path / "empty").mkdir()
    save_model(model, tmp_path / "empty")  # nothing there that could be lost
    assert load_model(str(tmp_path / "empty")).n_features_in_ == 6


def test_an_earlier_model_is_replaced_only_if_asked(
    tmp_path, model, network_model, partial_problem
):
    Z = partial_problem[0]
    path = save_model(network_model, tmp_path / "model")
    with pytest.raises(FileExistsError, match="Pass overwrite=True to replace it"):
        save_model(model, path)
    assert (path / "network.pt").is_file()
    save_model(model, path, overwrite=True)
    assert {file.name for file in path.iterdir()} == FILES
    assert_same_model(load_model(path), model, Z)
    assert [file.name for file in tmp_path.iterdir()] == ["model"]


def contents(path):
    if path.is_file():
        return path.read_bytes()
    return {str(f.relative_to(path)): f.read_bytes() for f in path.rglob("*.*")}


def a_file(path, _):
    path.write_text("thesis")


def a_folder(path, _):
    path.mkdir()
    (path / "thesis.tex").write_text("thesis")


def a_model_of_another_library(path, _):
    path.mkdir()
    (path / "model.json").write_text('{"format": "layers-model"}')
    (path / "weights.bin").write_bytes(b"12")


def only_a_document(path, _):
    path.mkdir()
    (path / "model.json").write_text('{"my": "settings"}')


def a_model_with_notes(path, model):
    save_model(model, path)
    (path / "notes.txt").write_text("do not lose")


def a_model_with_an_empty_folder(path, model):
    save_model(model, path)
    (path / "plots").mkdir()


def a_model_with_weights_of_another_one(path, model):
    save_model(model, path)
    (path / "network.pt").write_text("do not lose")


def ensemble_of(model):
    rng = np.random.default_rng(0)
    Z, y = rng.standard_normal((40, 6)), rng.integers(0, 2, (40, 3)).astype(float)
    return CFTEnsemble([("a", model), ("b", model)], prefit=True).fit(Z, y)


def a_model_with_notes_in_members(path, model):
    save_model(ensemble_of(model), path)
    (path / "members" / "notes.txt").write_text("do not lose")


def a_model_with_notes_in_a_member(path, model):
    save_model(ensemble_of(model), path)
    (path / "members" / "1" / "notes.txt").write_text("do not lose")


def a_model_with_a_link_for_a_member(path, model):
    save_model(ensemble_of(model), path)
    (path / "members" / "2").symlink_to(path.parent)


def a_model_with_a_folder(path, model):
    save_model(model, path)
    (path / "plots").mkdir()
    (path / "plots" / "auc.png").write_bytes(b"png")


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    "occupy",
    [
        a_file,
        a_folder,
        a_model_of_another_library,
        only_a_document,
        a_model_with_notes,
        a_model_with_a_folder,
        a_model_with_an_empty_folder,
        a_model_with_weights_of_another_one,
        a_model_with_notes_in_members,
        a_model_with_notes_in_a_member,
        a_model_with_a_link_for_a_member,
    ],
)
def test_what_is_no_model_alone_is_never_destroyed(tmp_path, model, occupy, overwrite):
    path = tmp_path / "place"
    occupy(path, model)
    before = contents(path)
    with pytest.raises(FileExistsError, match=r"must be (a folder, or )?free"):
        save_model(model, path, overwrite=overwrite)
    assert contents(path) == before
    assert [file.name for file in tmp_path.iterdir()] == ["place"]


def interrupt_writing(monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr("cftlearn.persistence._folder.save", fail)


def interrupt_moving(monkeypatch, error):
    """Fail when the new folder is moved to where the earlier one was."""
    rename = Path.rename

    def fail(self, target):
        is_whole = self.name == "new" and not is_hidden(target.parent.name)
        if is_whole and target.name != "whole":
            raise error
        return rename(self, target)

    def fail_to_exchange(*_):
        raise error

    monkeypatch.setattr(Path, "rename", fail)
    monkeypatch.setattr("cftlearn._files._folders.exchange", fail_to_exchange)


def interrupt_between_renames(monkeypatch, error):
    """Fail between two renames, where folders cannot be exchanged."""
    rename = Path.rename

    def fail(self, target):
        if self.name == "whole" and target.name == "place":
            raise error
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    monkeypatch.setattr("cftlearn._files._folders.exchange", lambda *_: False)


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt("ctrl-C")])
@pytest.mark.parametrize(
    "interrupt", [interrupt_writing, interrupt_moving, interrupt_between_renames]
)
def test_an_interrupted_save_keeps_the_earlier_model(
    tmp_path, model, network_model, partial_problem, monkeypatch, interrupt, error
):
    path = save_model(model, tmp_path / "place")
    before = contents(path)
    with monkeypatch.context() as patch:
        interrupt(patch, error)
        with pytest.raises(type(error), match=str(error)):
            save_model(network_model, path, overwrite=True)
    assert contents(path) == before
    assert [file.name for file in tmp_path.iterdir()] == ["place"]
    assert_same_model(load_model(path), model, partial_problem[0])


@pytest.mark.parametrize("interrupt", [interrupt_writing, interrupt_moving])
def test_an_interrupted_first_save_leaves_nothing(
    tmp_path, model, monkeypatch, interrupt
):
    interrupt(monkeypatch, OSError("disk full"))
    with pytest.raises(OSError, match="disk full"):
        save_model(model, tmp_path / "place")
    assert list(tmp_path.iterdir()) == []


# ----------------------------------------------------------- trainers and transforms
def test_trainers_are_saved(tmp_path, network_model, network_factory):
    network_model.set_params(
        trainer__pos_weight=[0.5, 2.0, 1.0],
        trainer__ema_decay=0.99,
        trainer__checkpoint=tmp_path / "kept",
    )
    save_model(network_model, tmp_path / "model")
    loaded = load_model(tmp_path / "model", module=network_factory)
    expected = network_model.trainer.get_params() | {"checkpoint": f"{tmp_path}/kept"}
    assert loaded.trainer.get_params() == expected


def test_transforms_of_images_are_saved(tmp_path, model, partial_problem):
    transform = ImageTransform((32, 48), mode="L", mean=(0.5,), std=0.25, crop=0.9)
    save_model(model.set_params(input_transform=transform), tmp_path / "model")
    assert load_model(tmp_path / "model").input_transform == transform
    model.set_params(input_transform=np.asarray)
    match = r"`input_transform` must be text, .* got .*Pass a cftlearn\.images\.Image"
    with pytest.raises(TypeError, match=match):
        save_model(model, tmp_path / "other")
    assert not (tmp_path / "other").exists()


# ------------------------------------------------------------------ what is refused
def auc(y_true, y_score):
    return float(np.mean(y_score[y_true == 1]) - np.mean(y_score[y_true == 0]))


class OwnSolver(GradientSolver):
    """A solver of one's own."""


@pytest.mark.parametrize(
    ("change", "name"),
    [
        pytest.param(
            lambda model: model.set_params(random_state=np.random.RandomState(0)),
            "random_state",
            id="RandomState",
        ),
        pytest.param(
            lambda model: model.set_params(loss=nn.functional.huber_loss),
            "loss",
            id="loss",
        ),
        pytest.param(
            lambda model: model.set_params(fine_tuner__objective=auc),
            "fine_tuner.objective",
            id="objective",
        ),
        pytest.param(
            lambda model: model.set_params(fine_tuner__solver=["bce", OwnSolver()]),
            "fine_tuner.solver.1",
            id="solver",
        ),
        pytest.param(
            lambda model: model.set_params(trainer__schedule=auc),
            "trainer.schedule",
            id="schedule",
        ),
        pytest.param(
            lambda model: model.set_params(trainer__augment=str.upper),
            "trainer.augment",
            id="augment",
        ),
        pytest.param(
            lambda model: model.set_params(threshold={0.1, 0.2, 0.3}),
            "threshold",
            id="set",
        ),
    ],
)
def test_parameters_that_are_no_text(tmp_path, model, change, name):
    change(model)
    with pytest.raises(TypeError, match=rf"parameter `{name}` must be text, a number"):
        save_model(model, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_the_advice_of_the_error_works(tmp_path, make_model, partial_problem):
    Z, y, _ = partial_problem
    tuner = CategoryWiseFineTuner(GradientSolver(max_epochs=5), objective=auc)
    model = make_model(fine_tuner=tuner).fit(Z, y)
    for name, part in {"fine_tuner": model, "fine_tuner_": model}.items():
        with pytest.raises(TypeError, match=rf"`{name}.objective` .* set_params"):
            save_model(model, tmp_path / "model")
        getattr(part, name).set_params(objective="roc_auc")
    loaded = load_model(save_model(model, tmp_path / "model"))
    assert_same_model(loaded, model, Z)


def test_unfitted_models(tmp_path):
    for model in (CFTClassifier(), CategoryWiseFineTuner()):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            save_model(model, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_other_classes(tmp_path, model):
    class Own(CFTClassifier):
        pass

    for other in (make_pipeline(model), Own(), GeneticSolver(), "model"):
        name = type(other).__name__
        with pytest.raises(TypeError, match=f"`model` must be .*; got {name}"):
            save_model(other, tmp_path / "model")


# ------------------------------------------------------------------ damaged folders
@pytest.mark.parametrize("place", ["nothing", "file", "folder"])
def test_where_there_is_no_model(tmp_path, place):
    path = tmp_path / "place"
    if place == "file":
        path.write_text("thesis")
    if place == "folder":
        path.mkdir()
    with pytest.raises(FileNotFoundError, match=r"has no model\.json"):
        load_model(path)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory, network_factory):
    """Save a classifier with a network once, to be damaged in copies."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((50, 6)), rng.integers(0, 2, (50, 3))
    tuner = CategoryWiseFineTuner(GradientSolver(max_epochs=5))
    model = CFTClassifier(network_factory, fine_tuner=tuner, max_epochs=1)
    return save_model(model.fit(X, y), tmp_path_factory.mktemp("pristine") / "model")


@pytest.fixture
def saved(tmp_path, pristine):
    return Path(shutil.copytree(pristine, tmp_path / "model"))


def test_an_undamaged_copy_loads(saved, network_factory):
    load_model(saved, module=network_factory)


@pytest.mark.parametrize("name", ["arrays.safetensors", "network.pt"])
def test_missing_files(saved, network_factory, name):
    (saved / name).unlink()
    with pytest.raises(ModelFormatError, match="is damaged"):
        load_model(saved, module=network_factory)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.6, 0.9, 0.999])
@pytest.mark.parametrize("name", ["model.json", "arrays.safetensors", "network.pt"])
def test_truncated_files(saved, network_factory, name, share):
    whole = (saved / name).read_bytes()
    (saved / name).write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ModelFormatError, match="is damaged"):
        load_model(saved, module=network_factory)


@pytest.mark.parametrize(
    "junk", [b"\xff\xfe\x00junk", b"{}", b"null", b"[1, 2]", b"[" * 5000]
)
@pytest.mark.parametrize("name", ["model.json", "arrays.safetensors", "network.pt"])
def test_files_of_another_kind(saved, network_factory, name, junk):
    (saved / name).write_bytes(junk)
    with pytest.raises(ModelFormatError, match="is damaged"):
        load_model(saved, module=network_factory)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", "one"),
        ("format", None),
        ("model", []),
        ("model.class", "Popen"),
        ("model.params.treshold", 0.5),
        ("model.params.threshold", {"array": "elsewhere"}),
        ("model.params.fine_tuner.params.solver", {"class": "Popen"}),
        ("model.categories_.dtype", "<f8x"),
        ("model.classes_.values", [["a", 1], [0]]),
        ("model.fine_tuner_.report_", 3),
        ("model.fine_tuner_.report_", [{"category": "0"}]),
        ("model.fine_tuner_.report_", [1.0]),
        ("model.input_shape", 7),
    ],
)
def test_documents_that_make_no_sense(saved, network_factory, key, value):
    set_value(saved, key, value)
    with pytest.raises(ModelFormatError, match="is damaged"):
        load_model(saved, module=network_factory)


def test_newer_formats(saved, network_factory):
    set_value(saved, "format", 3)
    with pytest.raises(ModelFormatError, match=r"has format 3; .* Upgrade cftlearn"):
        load_model(saved, module=network_factory)


class Burglar:
    """An object whose pickle writes a file when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize(
    "save",
    [torch.save, lambda x, f: f.write_bytes(pickle.dumps(x, protocol=2))],
    ids=["torch", "pickle"],
)
def test_pickles_are_not_executed(saved, network_factory, tmp_path, save):
    trace = tmp_path / "executed"
    save({"0.weight": Burglar(trace)}, saved / "network.pt")
    sign(saved)
    with pytest.raises(ModelFormatError, match="is damaged"):
        load_model(saved, module=network_factory)
    assert not trace.exists()


# ------------------------------------------------------------------------- modules
def test_modules_that_do_not_fit(saved, network_factory):
    with pytest.raises(ValueError, match="`module` must be given"):
        load_model(saved)
    with pytest.raises(ValueError, match="must have the architecture of the saved"):
        load_model(saved, module=network_factory(n_hidden=9))
    with pytest.raises(ValueError, match="must have the architecture of the saved"):
        load_model(saved, module=nn.Linear(6, 3))
    with pytest.raises(TypeError, match=r"must be a torch\.nn\.Module"):
        load_model(saved, module="resnet")


def test_modules_that_are_too_much(tmp_path, model, network_factory):
    path = save_model(model, tmp_path / "model")
    with pytest.raises(ValueError, match="`module` must be None"):
        load_model(path, module=network_factory)


# ------------------------------------------------------------------- older formats
@pytest.fixture(scope="module")
def script():
    """Import ``data/make_saved_model.py``, which wrote the golden models."""
    spec = importlib.util.spec_from_file_location(
        "make_saved_model", DATA / "make_saved_model.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_format_1(script):
    model = load_model(DATA / "model_format_1", module=script.make_network)
    X = script.make_features()
    expected = json.loads((DATA / "model_format_1_predictions.json").read_text())
    assert_allclose(
        model.decision_function(X), expected["decision_function"], rtol=1e-4, atol=1e-5
    )
    assert_array_equal(model.predict(X), expected["predict"])
    assert model.categories_.tolist() == ["œdème", "cyst"]
    assert model.feature_names_in_.tolist() == ["sin1", "sin2", "sin3", "sin5"]
    assert [solver.name for solver in model.fine_tuner.solver] == ["bce", "ga"]
    assert len(model.report_) == 2


@pytest.mark.parametrize("folder", ["model_format_1", "model_format_2/features"])
def test_older_reports_are_translated(script, tmp_path, folder):
    """Their metric is the objective; nothing is made up that they do not say."""
    path = DATA / folder
    document = json.loads((path / "model.json").read_text())
    tuner = document["model"]["fine_tuner_"]
    metric = tuner["params"]["objective"]
    module = script.make_network if folder == "model_format_1" else None
    model = load_model(path, module=module)
    again = load_model(save_model(model, tmp_path / "again"), module=module)
    for loaded in (model, again):
        for line, old in zip(loaded.report_, tuner["report_"], strict=True):
            assert line["metric"] == metric
            assert before_and_after(line) == (old["score_before"], old["score_after"])
            assert line["n_held_out"] == old["n_held_out"]
            columns = score_columns(metric)
            unknown = [line[f"n_held_out_{kind}"] for kind in ("positive", "negative")]
            unknown += [line[columns.before_low], line[columns.gain_high]]
            assert np.isnan(unknown).all()
            assert "score_before" not in line


FORMAT_2 = sorted(path.name for path in (DATA / "model_format_2").iterdir())


@pytest.mark.parametrize("name", FORMAT_2)
def test_format_2(script, tmp_path, name):
    X = script.make_features()
    expected = json.loads((DATA / "model_format_2_predictions.json").read_text())
    path = DATA / "model_format_2" / name
    has_network = any(path.rglob("network.pt"))
    module = script.make_network if has_network else None
    model = load_model(path, module=module)
    found = script.predict(model, X)
    assert set(found) == set(expected[name])
    for method, values in found.items():
        if method == "predict":
            assert values == expected[name][method]
        else:
            assert_allclose(values, expected[name][method], rtol=1e-4, atol=1e-5)
    again = load_model(save_model(model, tmp_path / "again"), module=module)
    assert script.predict(again, X) == found


def test_the_golden_models_are_of_all_kinds():
    assert FORMAT_2 == [
        "ensemble",
        "features",
        "fine_tuner",
        "joined",
        "network",
        "two_classes",
    ]
    stored = load_file(DATA / "model_format_2" / "features" / "arrays.safetensors")
    assert {"calibrator_.curves_.0", "threshold"} <= set(stored)
    for path in (DATA / "model_format_2").rglob("model.json"):
        assert json.loads(path.read_text())["format"] == 2


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_calibrators(tmp_path, make_model, partial_problem, method):
    Z, y, _ = partial_problem
    calibrator = CategoryCalibrator(
        method, prevalence=[0.2, np.nan, 0.4], min_isotonic=3
    )
    model = make_model(calibration=calibrator).fit(Z, y)
    loaded = load_model(save_model(model, tmp_path / "model"))
    assert_same_model(loaded, model, Z)
    assert_array_equal(loaded.predict_proba(Z), model.predict_proba(Z))
    for name in ("slope_", "intercept_", "shift_"):
        one, other = getattr(loaded.calibrator_, name), getattr(model.calibrator_, name)
        assert_array_equal(one, other)
    for one, other in zip(
        loaded.calibrator_.curves_, model.calibrator_.curves_, strict=True
    ):
        assert (one is None) == (other is None) == (method == "sigmoid")
        assert one is None or all(map(np.array_equal, one, other))
    assert_array_equal(loaded.calibration.prevalence, calibrator.prevalence)


def test_models_that_could_not_be_loaded_are_not_saved(tmp_path, model):
    model.fine_tuner_.coef_ = np.full_like(model.coef_, np.inf)
    with pytest.raises(ValueError, match=r"must be as `fit` left it .*finite numbers"):
        save_model(model, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_networks_that_could_not_be_loaded_are_not_saved(tmp_path, network_model):
    class Own(nn.Module):
        def get_extra_state(self):
            return Path("somewhere")

        def set_extra_state(self, state):
            pass

    network_model.module_.add_module("own", Own())
    with pytest.raises(
        ValueError, match=r"network\.pt must be the state dict of a net"
    ):
        save_model(network_model, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_classes_that_are_no_text(tmp_path, make_model, partial_problem):
    Z, _, y_full = partial_problem
    dates = np.array(["2020-01-01", "2021-01-01"], dtype="datetime64[D]")
    model = make_model().fit(Z, y_full[:, 0])
    model.classes_ = dates
    with pytest.raises(TypeError, match=r"`classes_` must hold texts or numbers"):
        save_model(model, tmp_path / "model")


@pytest.mark.parametrize("combine", ["mean", "rank_mean"])
def test_an_ensemble_comes_back_with_its_members(partial_problem, tmp_path, combine):
    Z, y, _ = partial_problem
    frame = pd.DataFrame(y, columns=["Ödem", "b", "c"])
    convex = CFTClassifier(fine_tuner=CategoryWiseFineTuner("proximal"))
    members = [("first", convex), ("zweites Modell", CategoryWiseFineTuner("proximal"))]
    model = CFTEnsemble(members, combine=combine, weights="best", random_state=0)
    model.fit(Z, frame)
    save_model(model, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert_array_equal(loaded.decision_function(Z), model.decision_function(Z))
    assert loaded.report_ == model.report_
    assert list(loaded.categories_) == ["Ödem", "b", "c"]
    assert list(loaded.named_estimators_) == ["first", "zweites Modell"]
    assert loaded.combine == combine
    again = clone(loaded).fit(Z, frame)
    assert_array_equal(again.decision_function(Z), model.decision_function(Z))
    save_model(loaded, tmp_path / "model", overwrite=True)
    shutil.rmtree(tmp_path / "model" / "members" / "1")
    with pytest.raises(ModelFormatError, match="damaged"):
        load_model(tmp_path / "model")


def test_networks_of_an_ensemble_need_modules(
    partial_problem, network_factory, tmp_path
):
    Z, y, _ = partial_problem
    convex = CategoryWiseFineTuner("proximal")
    small = CFTClassifier(
        network_factory, max_epochs=1, fine_tuner=convex, device="cpu"
    )
    model = CFTEnsemble([("a", small), ("b", CFTClassifier(fine_tuner=convex))])
    save_model(model.fit(Z, y), tmp_path / "model")
    for module in (network_factory, {"a": network_factory}):
        loaded = load_model(tmp_path / "model", module=module)
        found, expected = loaded.predict_proba(Z), model.predict_proba(Z)
        assert_allclose(found, expected, rtol=1e-6)
    for module in (None, {"b": network_factory}):
        with pytest.raises(ValueError, match="`module` must be given"):
            load_model(tmp_path / "model", module=module)


def test_an_ensemble_of_foreign_members_is_refused(partial_problem, tmp_path):
    Z, y, y_full = partial_problem
    forest = RandomForestClassifier(2, random_state=0).fit(Z, y_full)
    model = CFTEnsemble([("forest", forest)], prefit=True).fit(Z, y)
    with pytest.raises(TypeError, match="of these; got RandomForestClassifier"):
        save_model(model, tmp_path / "model")
    assert not any(tmp_path.iterdir())


# ----------------------------------------------------------- parameters with labels


@pytest.fixture
def named_problem(partial_problem):
    """Return features, and labels with names."""
    Z, y = partial_problem[:2]
    return Z, pd.DataFrame(y, columns=["cat", "dog", "owl"][: y.shape[1]])


def reversed_series(names, values):
    """Return values by name, in the opposite order."""
    return pd.Series(values, index=names)[::-1]


@pytest.mark.parametrize("kind", ["Series", "Tensor"])
def test_a_threshold_is_saved_in_the_order_of_the_categories(
    tmp_path, make_model, named_problem, kind
):
    Z, y = named_problem
    values = np.linspace(0.1, 0.8, y.shape[1])
    threshold = (
        torch.tensor(values) if kind == "Tensor" else reversed_series(y.columns, values)
    )
    model = make_model(threshold=threshold).fit(Z, y)
    loaded = load_model(save_model(model, tmp_path / "model"))
    assert loaded.threshold == values.tolist()
    assert_array_equal(loaded.predict(Z), model.predict(Z))
    loaded.set_params(threshold=values[::-1])
    assert not np.array_equal(loaded.predict(Z), model.predict(Z))


def test_other_parameters_with_names_are_saved_in_the_order_of_the_categories(
    tmp_path, make_model, named_problem
):
    Z, y = named_problem
    n = y.shape[1]
    coef = np.arange(float(n * Z.shape[1])).reshape(n, -1)
    rates = np.array([np.nan, 0.2, 0.3])[:n]
    tuner = CategoryWiseFineTuner(
        "bce",
        coef_init=pd.DataFrame(coef, index=y.columns)[::-1],
        intercept_init=reversed_series(y.columns, np.arange(float(n))),
    )
    calibration = CategoryCalibrator(prevalence=reversed_series(y.columns, rates))
    model = make_model(fine_tuner=tuner, calibration=calibration).fit(Z, y)
    loaded = load_model(save_model(model, tmp_path / "model"))
    assert_array_equal(loaded.fine_tuner.coef_init, coef)
    assert_array_equal(loaded.fine_tuner.intercept_init, np.arange(n))
    assert_array_equal(loaded.calibration.prevalence, rates)
    assert_array_equal(loaded.predict_proba(Z), model.predict_proba(Z))
    again = clone(loaded).fit(Z, y)
    assert_array_equal(again.predict_proba(Z), model.predict_proba(Z))


def test_weights_with_names_are_saved_in_the_order_of_the_members(
    tmp_path, make_model, named_problem
):
    Z, y = named_problem
    members = [("one", make_model()), ("other", make_model(random_state=1))]
    weights = pd.Series({"other": 1.0, "one": 3.0})
    threshold = reversed_series(y.columns, np.linspace(0.1, 0.8, y.shape[1]))
    model = CFTEnsemble(members, weights=weights, threshold=threshold).fit(Z, y)
    loaded = load_model(save_model(model, tmp_path / "model"))
    assert loaded.weights == [3.0, 1.0]
    assert_array_equal(loaded.predict(Z), model.predict(Z))


def test_a_threshold_of_other_names_is_not_saved(tmp_path, make_model, named_problem):
    model = make_model().fit(*named_problem)
    model.set_params(threshold=pd.Series({"fox": 0.5}))
    with pytest.raises(ValueError, match="`threshold` must name every category once"):
        save_model(model, tmp_path / "model")


def test_predictions_depend_on_no_parameter_that_is_said_to_be_free(
    tmp_path, make_model, network_factory, partial_problem
):
    """What cannot be saved can be replaced; not the threshold and the transform."""
    Z, y = partial_problem[:2]
    model = make_model(network_factory).fit(Z, y)
    before = model.predict_proba(Z), model.predict(Z)
    seen = []
    for name in set(model.get_params(deep=False)) - {"module"}:  # which is not saved
        changed = copy.copy(model).set_params(**{name: object()})
        with pytest.raises((TypeError, ModelFormatError, ValueError)) as caught:
            save_model(changed, tmp_path / name)
        if "predictions do not depend on it" in str(caught.value):
            seen.append(name)
            default = CFTClassifier().get_params(deep=False)[name]
            changed.set_params(**{name: default})
            assert_allclose(changed.predict_proba(Z), before[0], rtol=0, atol=1e-6)
            assert_array_equal(changed.predict(Z), before[1])
    assert "threshold" not in seen
    assert "input_transform" not in seen
    assert {"loss", "random_state", "fine_tuner", "calibration"} <= set(seen)
