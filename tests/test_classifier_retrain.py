"""The second training of a classifier, and unknown labels, by what its users see."""

import copy
import functools
import pickle

import numpy as np
import pytest
import torch
from classifier_parts import output
from joined_parts import PerCategory
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold
from torch import nn

import cftlearn.classifier._network_fit as trainings
from cftlearn import (
    CategoryWiseFineTuner,
    CFTClassifier,
    TorchFeatureExtractor,
    load_model,
    save_model,
)
from cftlearn.exceptions import NonFiniteLossError
from cftlearn.images import ImageTransform
from cftlearn.solvers import GeneticSolver, GradientSolver
from cftlearn.training import NetworkTrainer

RETRAIN = [False, True, "average"]


@pytest.fixture
def problem(partial_problem):
    Z, y, _ = partial_problem
    return Z.astype(np.float32), y


@pytest.fixture
def same_rows(problem, rng):
    """Labels of the same rows, of which some only choose."""
    X, y = problem
    chooses = rng.random(y.shape) < 0.3
    return X, np.where(chooses, np.nan, y), (X, np.where(chooses, y, np.nan))


def spy_on_trainings(monkeypatch):
    """Keep what every training made, before networks are joined."""
    kept = []
    for name in ("train_without_held_out", "train_on_all_labels"):
        original = getattr(trainings, name)

        def spy(*arguments, original=original, **keywords):
            made = original(*arguments, **keywords)
            kept.append((copy.deepcopy(made.network), made))
            return made

        monkeypatch.setattr(trainings, name, spy)
    return kept


# ---------------------------------------------------------------------- both networks
@pytest.mark.parametrize("retrain", RETRAIN)
def test_the_report_says_which_network_its_scores_are_of(make_model, problem, retrain):
    X, y = problem
    model = make_model(retrain=retrain).fit(X, y)
    told = "; scores of the network that decided, not of the one trained last"
    for line in model.report_:
        assert line["reason"].endswith(told) is bool(retrain)
        assert line["reason"].count(told) == bool(retrain)
        assert not np.isnan(line["roc_auc_before"])


def test_the_average_is_that_of_two_networks(make_model, problem, monkeypatch):
    X, y = problem
    kept = spy_on_trainings(monkeypatch)
    model = make_model().fit(X, y)
    (first, _), (second, _) = kept
    expected = (output(first, X) + output(second, X)) / 2
    assert_allclose(output(model.module_, X), expected, atol=1e-5)
    assert not model.module_.training
    assert not np.allclose(output(first, X), output(second, X), atol=1e-2)
    # What the fine-tuner reports as initial is that mean, too.
    tuner = model.fine_tuner_
    features = model._features(model._read_inputs(X))
    initial = features @ tuner.coef_init_.T + tuner.intercept_init_
    assert_allclose(initial, expected, atol=1e-5)


@pytest.mark.parametrize("retrain", RETRAIN)
@pytest.mark.parametrize("layers", [None, [""], ["0", ""]])
def test_to_torch_is_the_decision_function(make_model, problem, retrain, layers):
    X, y = problem
    model = make_model(retrain=retrain, layers=layers).fit(X, y)
    logits = model.decision_function(X)
    assert_allclose(output(model.to_torch(), X), logits, atol=1e-5)
    assert_allclose(model.predict_proba(X), expit(logits))
    assert model.coef_.shape[1] == model.fine_tuner_.n_features_in_
    widths = {None: 8, ("",): 14, ("0", ""): 22}[
        tuple(layers) if isinstance(layers, list) else layers
    ]
    # The input of both networks is one block.
    n_input = 6 if layers else 0
    if retrain == "average":
        widths = 2 * widths - n_input
    assert model.coef_.shape == (3, widths)
    assert model.score(X, y) > 0.7


@pytest.mark.parametrize("layers", [None, ["0", ""]])
def test_the_logits_are_a_third_and_two_thirds(make_model, problem, layers):
    """Oracle: the refits of either network alone, at equal spread."""
    X, y = problem
    first_alone = make_model(retrain=False, layers=layers).fit(X, y)
    second_alone = make_model(retrain=True, layers=layers).fit(X, y)
    logits = make_model(layers=layers).fit(X, y).decision_function(X)
    own, other = (each.decision_function(X) for each in (first_alone, second_alone))
    expected = own / 3 + 2 / 3 * other * own.std(axis=0) / other.std(axis=0)
    expected -= expected.mean(axis=0)
    assert_allclose(logits - logits.mean(axis=0), expected, atol=1e-4)


def test_both_networks_start_from_weights_of_their_own(
    make_model, problem, network_factory, monkeypatch
):
    kept = spy_on_trainings(monkeypatch)
    make_model(module=network_factory, learning_rate=1e-9).fit(*problem)
    first, second = (network[0].weight for network, _ in kept)
    assert (first - second).abs().max() > 0.1


def test_one_training_is_a_part_of_two(make_model, problem):
    X, y = problem
    one, two, both = (make_model(retrain=retrain).fit(X, y) for retrain in RETRAIN)
    stages = [[row["stage"] for row in each.history_[:6]] for each in (one, two, both)]
    assert stages[0][:4] == ["train"] * 3 + ["cft"]
    assert stages[1] == stages[2] == ["train"] * 3 + ["retrain"] * 3
    assert one.history_[:3] == two.history_[:3] == both.history_[:3]
    assert two.history_[3:6] == both.history_[3:6]
    for line, other in zip(one.report_, both.report_, strict=True):
        assert other["reason"].startswith(line["reason"])
        kept = line.keys() - {"seconds", "reason"}
        for key in kept:
            assert line[key] == pytest.approx(other[key], nan_ok=True), key
    assert two.coef_.shape == one.coef_.shape == (3, 8)
    assert both.head_ == "head"
    assert one.head_ == two.head_ == "2"


@pytest.mark.parametrize("retrain", RETRAIN)
def test_fits_repeat(make_model, problem, retrain):
    X, y = problem
    one, two = (make_model(retrain=retrain).fit(X, y) for _ in range(2))
    assert_array_equal(one.coef_, two.coef_)
    assert_array_equal(one.decision_function(X), two.decision_function(X))


def test_without_a_network_there_is_nothing_to_train_again(problem, quick_tuner):
    X, y = problem
    expected = None
    for retrain in RETRAIN:
        model = CFTClassifier(fine_tuner=quick_tuner, retrain=retrain, random_state=0)
        coef = model.fit(X, y).coef_
        expected = coef if expected is None else expected
        assert_array_equal(coef, expected)
        assert model.module_ is None


def test_a_trained_network_is_not_trained_again(make_model, problem):
    X, y = problem
    model = make_model(train=False)
    model.fit(X[:80], y[:80], validation_data=(X[80:], y[80:]))
    assert {row["stage"] for row in model.history_} == {"cft"}
    assert model.coef_.shape == (3, 8)
    assert_allclose(output(model.module_, X), output(model.module, X), atol=1e-6)


# -------------------------------------------------------------------- validation data
@pytest.mark.parametrize("unknown", ["auto", "hill", "ignore", "negative"])
@pytest.mark.parametrize("retrain", [True, "average"])
def test_other_rows_are_trained_on_at_last(make_model, problem, retrain, unknown):
    X, y = problem
    model = make_model(retrain=retrain, unknown=unknown)
    model.fit(X[:80], y[:80], validation_data=(X[80:], y[80:]))
    assert_allclose(output(model.to_torch(), X), model.decision_function(X), atol=1e-5)
    again = np.where(np.isnan(y[80:]), np.nan, 1 - y[80:])
    other = make_model(retrain=retrain, unknown=unknown)
    other.fit(X[:80], y[:80], validation_data=(X[80:], again))
    losses = [
        [row["loss"] for row in each.history_ if row["stage"] == "retrain"]
        for each in (model, other)
    ]
    assert losses[0] != losses[1], "their labels were trained on"
    firsts = [
        next(row["loss"] for row in each.history_ if row["stage"] == "train")
        for each in (model, other)
    ]
    assert firsts[0] == firsts[1], "and not before"


@pytest.mark.parametrize("retrain", [True, "average"])
def test_labels_of_the_same_rows_are_trained_on(make_model, same_rows, retrain):
    X, y, validation_data = same_rows
    model = make_model(retrain=retrain, unknown="ignore")
    model.fit(X, y, validation_data=validation_data)
    everything = np.where(np.isnan(y), validation_data[1], y)
    second = [row for row in model.history_ if row["stage"] == "retrain"]
    assert len(second) == 3
    assert [line["n_positive"] for line in model.report_] == np.nansum(
        everything, axis=0
    ).tolist()


def colour_network():
    return nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 3))


@pytest.mark.parametrize("retrain", [True, "average"])
def test_images_are_read_twice(photos, quick_tuner, retrain):
    rows = (photos / "labels.csv").read_text().splitlines()[1:]
    cells = [row.split(",") for row in rows]
    paths = [str(photos / "images" / row[0]) for row in cells]
    y = np.array([[float(c) if c else np.nan for c in row[3:]] for row in cells])
    torch.manual_seed(0)
    network = colour_network()
    made = []
    for workers in (0, 2):
        model = CFTClassifier(
            network,
            input_transform=ImageTransform(8),
            fine_tuner=quick_tuner,
            trainer=NetworkTrainer(num_workers=workers),
            max_epochs=2,
            retrain=retrain,
            random_state=0,
        )
        model.fit(paths[:40], y[:40], validation_data=(paths[40:], y[40:]))
        made.append(model.decision_function(paths))
    assert made[0].shape == (60, 3)
    assert_array_equal(made[0], made[1])


# -------------------------------------------------------------------------- solvers
@pytest.mark.parametrize(
    "tuner",
    [
        CategoryWiseFineTuner(),
        CategoryWiseFineTuner(refit=False),
        CategoryWiseFineTuner(GeneticSolver(n_generations=5, population_size=10)),
        CategoryWiseFineTuner(
            [GradientSolver(max_epochs=20), GeneticSolver(n_generations=5), "proximal"]
        ),
        CategoryWiseFineTuner(GradientSolver(max_epochs=20), refit=False),
    ],
    ids=["auto", "auto without refit", "ga", "several", "bce without refit"],
)
@pytest.mark.parametrize("retrain", [True, "average"])
def test_every_solver_is_repeated(make_model, problem, tuner, retrain):
    X, y = problem
    model = make_model(retrain=retrain, fine_tuner=tuner).fit(X, y)
    assert model.fine_tuner is tuner
    assert_allclose(output(model.to_torch(), X), model.decision_function(X), atol=1e-5)
    assert model.score(X, y) > 0.55
    assert {line["status"] for line in model.report_} <= {"refitted", "kept"}


def test_jobs_change_nothing(make_model, problem):
    X, y = problem
    tuner = CategoryWiseFineTuner(GeneticSolver(n_generations=5, population_size=10))
    one, two = (
        make_model(fine_tuner=tuner, n_jobs=n_jobs).fit(X, y) for n_jobs in (1, 2)
    )
    assert_array_equal(one.coef_, two.coef_)
    assert_array_equal(one.intercept_, two.intercept_)


def test_a_vector_per_category(problem, quick_tuner):
    X, y = problem
    for retrain in RETRAIN:
        model = CFTClassifier(
            PerCategory(),
            head="rows",
            fine_tuner=quick_tuner,
            retrain=retrain,
            max_epochs=2,
            random_state=0,
        ).fit(X, y)
        n_features = 8 if retrain == "average" else 4
        assert model.coef_.shape == (3, n_features)
        logits = model.decision_function(X)
        assert_allclose(output(model.to_torch(), X), logits, atol=1e-5)


@pytest.mark.parametrize("retrain", RETRAIN)
def test_one_category_of_known_labels(problem, quick_tuner, retrain):
    X, _ = problem
    y = np.where(X[:, 0] + 0.3 * X[:, 1] > 0, "yes", "no")
    model = CFTClassifier(
        nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 1)),
        fine_tuner=quick_tuner,
        retrain=retrain,
        max_epochs=10,
        learning_rate=0.05,
        random_state=0,
    ).fit(X, y)
    assert model.classes_.tolist() == ["no", "yes"]
    assert model.decision_function(X).shape == (120,)
    assert model.predict_proba(X).shape == (120, 2)
    assert np.mean(model.predict(X) == y) > 0.8
    assert all(row.get("known_log_ratio", 0) == 0 for row in model.history_)


# --------------------------------------------------------------------- unknown labels
def test_auto_of_equal_rates_is_ignore(make_model, problem, monkeypatch):
    """Bit for bit, whichever unknown cells are left out of what is not added."""
    from cftlearn.labels._known_rates import KnownRates

    monkeypatch.setattr(
        "cftlearn.training._rate_probe.estimate_known_rates",
        lambda cells, totals: KnownRates.equal(len(cells)),
    )
    X, y = problem
    auto, ignore = (make_model(unknown=name).fit(X, y) for name in ("auto", "ignore"))
    assert_array_equal(auto.coef_, ignore.coef_)
    assert_array_equal(auto.decision_function(X), ignore.decision_function(X))
    other = make_model(unknown="hill").fit(X, y)
    assert (other.coef_ != ignore.coef_).any()


@pytest.mark.parametrize("unknown", ["auto", "hill", "weak_negative"])
def test_an_unknown_weight_of_zero_is_ignore(make_model, problem, unknown):
    X, y = problem
    trainer = NetworkTrainer(unknown_weight=0)
    zero = make_model(unknown=unknown, trainer=trainer).fit(X, y)
    ignore = make_model(unknown="ignore").fit(X, y)
    assert_array_equal(zero.coef_, ignore.coef_)


def test_a_weak_negative_of_weight_one_lies_between(make_model, problem):
    """Unknown labels lower the probabilities, the more the heavier they are."""
    X, y = problem
    means = [
        output(
            make_model(
                unknown="weak_negative",
                trainer=NetworkTrainer(unknown_weight=weight),
                max_epochs=15,
                retrain=False,
            )
            .fit(X, y)
            .module_,
            X,
        ).mean()
        for weight in (0.0, 0.3, 3.0)
    ]
    assert means[0] > means[1] > means[2]


@pytest.mark.parametrize("unknown", ["hill", "weak_negative"])
def test_features_alone_have_no_such_loss(problem, quick_tuner, unknown):
    X, y = problem
    model = CFTClassifier(unknown=unknown, fine_tuner=quick_tuner)
    with pytest.raises(
        ValueError, match=rf"got unknown='{unknown}' without a `module`"
    ):
        model.fit(X, y)


# ---------------------------------------------------------------------- calibration
@pytest.mark.parametrize("retrain", RETRAIN)
@pytest.mark.parametrize("calibration", ["sigmoid", "isotonic"])
def test_probabilities_are_calibrated(make_model, problem, retrain, calibration):
    X, y = problem
    model = make_model(retrain=retrain, calibration=calibration).fit(X, y)
    proba = model.predict_proba(X)
    assert np.all((proba >= 0) & (proba <= 1))
    known = ~np.isnan(y)
    assert abs(proba[known].mean() - y[known].mean()) < 0.08
    if calibration == "sigmoid":
        network = model.to_torch(calibrated=True)
        assert_allclose(expit(output(network, X)), proba, atol=1e-5)


# ------------------------------------------------------------------------- persistence
@pytest.mark.parametrize("layers", [None, ["0", ""]])
@pytest.mark.parametrize("retrain", [True, "average"])
def test_models_can_be_saved(make_model, problem, tmp_path, retrain, layers):
    X, y = problem
    model = make_model(retrain=retrain, layers=layers, calibration="sigmoid").fit(X, y)
    folder = save_model(model, tmp_path / "model")
    loaded = load_model(folder, module=model.module)
    for made in (loaded, pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert_array_equal(made.predict_proba(X), model.predict_proba(X))
        assert_allclose(output(made.module_, X), output(model.module_, X))
        assert made.retrain == retrain
        assert made.layers == layers
    again = loaded.fit(X, y)
    assert_array_equal(again.predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize("layers", [None, "auto"])
def test_joined_networks_are_exported_to_onnx(make_model, problem, tmp_path, layers):
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    X, y = problem
    model = make_model(layers=layers).fit(X, y)
    path = tmp_path / "model.onnx"
    rows = torch.from_numpy(X)
    torch.onnx.export(model.to_torch(), (rows,), path, dynamo=True, verbose=False)
    session = runtime.InferenceSession(path)
    (logits,) = session.run(None, {session.get_inputs()[0].name: X})
    assert_allclose(logits, model.decision_function(X), atol=1e-4)


# --------------------------------------------------------------------- scikit-learn
def test_parameters_are_cloned(make_model):
    model = make_model(retrain=True, unknown="hill", layers=["0"])
    other = clone(model)
    params = other.get_params()
    assert (params["retrain"], params["unknown"]) == (True, "hill")
    assert params["layers"] == ["0"]
    other.set_params(retrain="average", trainer__unknown_weight=0.5, layers="auto")
    assert other.trainer.unknown_weight == 0.5
    assert model.trainer is None


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("retrain", "both"),
        ("retrain", 2),
        ("retrain", None),
        ("unknown", "nothing"),
        ("layers", "some"),
        ("layers", 3),
        ("trainer", NetworkTrainer(unknown_weight=-1)),
    ],
)
def test_wrong_parameters_are_named(make_model, problem, parameter, value):
    name = "unknown_weight" if parameter == "trainer" else parameter
    with pytest.raises(ValueError, match=f"The '{name}' parameter"):
        make_model(**{parameter: value}).fit(*problem)


def test_a_search_over_both_parameters(make_model, problem):
    X, _ = problem
    y = (X[:, :3] > 0).astype(float)
    grid = {"unknown": ["auto", "hill"], "retrain": [False, "average"]}
    model = make_model(max_epochs=1)
    search = GridSearchCV(model, grid, cv=KFold(2), error_score="raise").fit(X, y)
    assert len(search.cv_results_["params"]) == 4
    best = search.best_estimator_
    assert_array_equal(search.predict(X), best.predict(X))
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


# -------------------------------------------------------------------------- what fails
def fail_in_second(monkeypatch):
    def fail(*_, **__):
        raise NonFiniteLossError("the second training failed")

    monkeypatch.setattr(trainings, "train_on_all_labels", fail)


def test_a_failing_second_training_leaves_no_fit(make_model, problem, monkeypatch):
    X, y = problem
    fail_in_second(monkeypatch)
    model = make_model()
    with pytest.raises(NonFiniteLossError, match="the second training failed"):
        model.fit(X, y)
    assert not hasattr(model, "coef_")
    assert not hasattr(model, "fine_tuner_")


def test_a_network_that_dies_in_the_second_training(make_model, problem, monkeypatch):
    """Its features are the same in every row; the first network still counts."""
    X, y = problem
    original = trainings.train_on_all_labels

    def die(*arguments, **keywords):
        made = original(*arguments, **keywords)
        with torch.no_grad():
            made.network[0].weight.zero_()
            made.network[0].bias.zero_()
        return made

    expected = make_model(retrain=False).fit(X, y).decision_function(X)
    monkeypatch.setattr(trainings, "train_on_all_labels", die)
    for retrain in (True, "average"):
        model = make_model(retrain=retrain, fine_tuner=CategoryWiseFineTuner())
        logits = model.fit(X, y).decision_function(X)
        assert np.isfinite(logits).all()
        assert np.isfinite(model.coef_).all()
    model = make_model().fit(X, y)
    for own, other in zip(model.decision_function(X).T, expected.T, strict=True):
        assert np.corrcoef(own, other)[0, 1] == pytest.approx(1)


def test_a_checkpoint_of_both_trainings(make_model, problem, tmp_path, monkeypatch):
    """A fit that was stopped in the second training ends like one that was not."""
    import cftlearn.training._loop as loop

    X, y = problem
    expected = make_model(max_epochs=4).fit(X, y)
    original, saved = loop.save_state, []

    def save_and_die(path, state):
        original(path, state)
        saved.append(path)
        if len(saved) == 6:
            raise KeyboardInterrupt

    model = make_model(max_epochs=4, trainer=NetworkTrainer(checkpoint=tmp_path / "c"))
    with monkeypatch.context() as patched:
        patched.setattr(loop, "save_state", save_and_die)
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, y)
    assert saved[-1].parent.name == "second"
    model.fit(X, y)
    assert model.history_[:8] == expected.history_[:8]
    assert_array_equal(model.coef_, expected.coef_)
    assert_array_equal(model.decision_function(X), expected.decision_function(X))


@pytest.mark.parametrize("retrain", RETRAIN)
def test_the_fine_tuner_can_be_fitted_again_to_the_features_of_the_network(
    make_model, problem, retrain
):
    X, y = problem
    model = make_model(retrain=retrain).fit(X, y)
    tuner = model.fine_tuner_
    assert_array_equal(tuner.coef_init, tuner.coef_init_)
    assert_array_equal(tuner.intercept_init, tuner.intercept_init_)
    Z = TorchFeatureExtractor(model.module_).fit_transform(X)
    again = clone(tuner).fit(Z, y)
    assert again.coef_.shape == model.coef_.shape
    assert_array_equal(again.coef_init_, tuner.coef_init_)


@pytest.mark.parametrize("with_network", [True, False])
def test_parts_know_the_classes_of_a_1d_target(problem, with_network):
    X, _ = problem
    y = np.where(X[:, 0] > 0, "yes", "no")
    module = functools.partial(nn.Linear, X.shape[1], 1) if with_network else None
    model = CFTClassifier(
        module, max_epochs=1, calibration="sigmoid", random_state=0
    ).fit(X, y)
    for part in (model, model.fine_tuner_, model.calibrator_):
        assert part.classes_.tolist() == ["no", "yes"]
