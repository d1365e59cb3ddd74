"""The whole method, by what its users see."""

import copy
import functools
import pickle

import numpy as np
import pytest
import sklearn
import torch
from numpy.testing import assert_allclose, assert_array_equal
from optional import optional
from report_parts import n_held_out
from scipy import sparse
from scipy.special import expit
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from cftlearn import CategoryWiseFineTuner, CFTClassifier
from cftlearn.classifier import _preparation
from cftlearn.exceptions import (
    NonFiniteLossError,
    SeenLabelsWarning,
    UndefinedCategoryWarning,
)
from cftlearn.losses._registry import TREATMENTS
from cftlearn.metrics import partial_roc_auc_score, partial_roc_auc_scorer
from cftlearn.solvers import GeneticSolver, GradientSolver

pd = optional("pandas")

NAMES = ["Edema", "Fracture", "Cyst"]


class SmallNetwork(nn.Module):
    """A network by class: no arguments, a layer with a name."""

    def __init__(self, bias=True):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 8), nn.Tanh())
        self.fc = nn.Linear(8, 3, bias=bias)

    def forward(self, X):
        return self.fc(self.body(X))


@pytest.fixture
def make_model(quick_tuner):
    """Return a classifier that fits in a few milliseconds."""
    return functools.partial(
        CFTClassifier, fine_tuner=quick_tuner, max_epochs=2, random_state=0
    )


@pytest.fixture
def held_out_problem(partial_problem):
    """Rows to fit and other rows to choose by."""
    Z, y, _ = partial_problem
    return Z[:80], y[:80], (Z[80:], y[80:])


@pytest.fixture
def images(rng, partial_problem):
    """Images of one channel, 5 by 4."""
    return rng.standard_normal((120, 1, 5, 4)).astype(np.float32)


def conv_network():
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 3 * 2, 3))


def assert_regressions(coef, Z, targets):
    """Oracle: scikit-learn on standardised features, by one of five penalties."""
    scaler = StandardScaler().fit(Z)
    for own, target in zip(coef, targets.T, strict=True):
        used = ~np.isnan(target)
        distances = []
        for spread in (0.1, 0.3, 1.0, 3.0, 10.0):
            C = spread**2 / Z.shape[1]
            model = LogisticRegression(C=C, max_iter=10_000, tol=1e-8)
            model.fit(scaler.transform(Z[used]), target[used])
            row = model.coef_[0] / scaler.scale_
            distances.append(np.abs(own - row).max() / np.abs(row).max())
        assert min(distances) < 0.03


# -------------------------------------------------------------- features as inputs
def test_stage_one_on_features_is_negative_mode(make_model, held_out_problem):
    """Oracle: scikit-learn, unknown labels called negative."""
    Z, y, validation_data = held_out_problem
    model = make_model().fit(Z, y, validation_data=validation_data)
    targets = np.nan_to_num(y, nan=0.0)
    assert_regressions(model.fine_tuner_.coef_init_, Z, targets)
    assert model.module_ is None
    assert model.head_ is None


def test_stage_one_may_ignore_unknown_labels(make_model, held_out_problem):
    Z, y, validation_data = held_out_problem
    model = make_model(unknown="ignore").fit(Z, y, validation_data=validation_data)
    assert_regressions(model.fine_tuner_.coef_init_, Z, y)


def test_outputs_have_their_shapes_and_types(make_model, partial_problem):
    Z, y, _ = partial_problem
    model = make_model().fit(Z, y)
    assert model.coef_.shape == (3, 6)
    assert model.intercept_.shape == (3,)
    assert_array_equal(model.classes_, [[0, 1]] * 3)
    assert model.n_features_in_ == 6
    logits = model.decision_function(Z)
    assert logits.shape == (120, 3)
    assert_allclose(logits, Z @ model.coef_.T + model.intercept_)
    proba = model.predict_proba(Z)
    assert_allclose(proba, expit(logits))
    decided = model.predict(Z)
    assert decided.dtype == np.int64
    assert_array_equal(decided, proba >= 0.5)


def test_frames_give_names(make_model, partial_problem):
    Z, y, _ = partial_problem
    X = pd.DataFrame(Z, columns=list("abcdef"))
    labels = pd.DataFrame(y, columns=NAMES).astype("Int8")
    model = make_model().fit(X, labels)
    assert model.feature_names_in_.tolist() == list("abcdef")
    assert model.categories_.tolist() == NAMES
    assert [line["category"] for line in model.report_] == NAMES
    counts = [(line["n_positive"], line["n_negative"]) for line in model.report_]
    assert counts == [(np.nansum(c), np.sum(c == 0)) for c in y.T]
    for line, column in zip(model.report_, y.T, strict=True):
        assert line["n_unknown"] == np.isnan(column).sum()
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(X[list("fabcde")])


def test_fit_changes_neither_inputs_nor_parameters(make_model, partial_problem):
    Z, y, _ = partial_problem
    Z_before, y_before = Z.copy(), y.copy()
    model = make_model(threshold=np.array([0.3, 0.4, 0.5]))
    params = {key: repr(value) for key, value in model.get_params().items()}
    model.fit(Z, y)
    assert_array_equal(Z, Z_before)
    assert_array_equal(y, y_before)
    assert {key: repr(value) for key, value in model.get_params().items()} == params
    assert not hasattr(model.fine_tuner, "coef_")


def test_refits_judged_alone_never_lose_on_held_out_labels(make_model, partial_problem):
    Z, y, _ = partial_problem
    solver = GradientSolver(max_epochs=30, patience=30, pooled=False)
    tuner = CategoryWiseFineTuner(solver)
    for line in make_model(fine_tuner=tuner).fit(Z, y).report_:
        assert line["roc_auc_after"] >= line["roc_auc_before"]
        gained = line["roc_auc_after"] > line["roc_auc_before"]
        assert (line["status"] == "refitted") is gained


# --------------------------------------------------------------------- 1-D targets
@pytest.mark.parametrize(
    "classes",
    [["no", "yes"], [-1, 1], [0, 1], [False, True], [2.0, 7.0]],
    ids=["strings", "signs", "binary", "booleans", "floats"],
)
@pytest.mark.parametrize("network", [False, True], ids=["features", "network"])
def test_one_dimensional_targets(make_model, partial_problem, classes, network):
    Z, _, y_full = partial_problem
    y = np.array(classes)[y_full[:, 0].astype(int)]
    module = nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 1)) if network else None
    model = make_model(module).fit(Z, y)
    assert_array_equal(model.classes_, classes)
    assert model.decision_function(Z).shape == (120,)
    proba = model.predict_proba(Z)
    assert proba.shape == (120, 2)
    assert_allclose(proba.sum(axis=1), 1.0)
    assert_allclose(proba[:, 1], expit(model.decision_function(Z)))
    decided = model.predict(Z)
    assert decided.dtype == model.classes_.dtype
    assert_array_equal(decided, model.classes_[(proba[:, 1] >= 0.5).astype(int)])
    expected = roc_auc_score(y_full[:, 0], proba[:, 1])
    assert model.score(Z, y) == pytest.approx(expected)


def test_signs_and_strings_are_the_same_problem(make_model, partial_problem):
    Z, _, y_full = partial_problem
    codes = y_full[:, 0].astype(int)
    models = [
        make_model().fit(Z, np.array(classes)[codes])
        for classes in (["no", "yes"], [-1, 1])
    ]
    assert_array_equal(models[0].coef_, models[1].coef_)


# ------------------------------------------------------------------------ networks
@pytest.mark.parametrize(
    "module",
    [
        pytest.param(SmallNetwork(), id="instance"),
        pytest.param(SmallNetwork, id="class"),
        pytest.param(lambda: SmallNetwork(), id="function"),
        pytest.param(functools.partial(SmallNetwork, bias=False), id="partial"),
    ],
)
@pytest.mark.parametrize("retrain", [False, True])
def test_networks_of_every_form(make_model, partial_problem, module, retrain):
    Z, y, _ = partial_problem
    model = make_model(module, retrain=retrain).fit(Z, y)
    assert isinstance(model.module_, SmallNetwork)
    assert model.head_ == "fc"
    assert model.coef_.shape == (3, 8)
    with torch.no_grad():
        features = model.module_.body(torch.from_numpy(Z).float()).double().numpy()
    expected = features @ model.coef_.T + model.intercept_
    assert_allclose(model.decision_function(Z), expected, rtol=1e-5, atol=1e-5)
    assert_array_equal(model.predict(Z), expit(expected) >= 0.5)


@pytest.mark.parametrize("retrain", [False, True, "average"])
def test_an_instance_is_never_trained_in_place(make_model, partial_problem, retrain):
    Z, y, _ = partial_problem
    module = SmallNetwork()
    before = copy.deepcopy(module.state_dict())
    model = make_model(module, retrain=retrain).fit(Z, y)
    made = model.module_
    networks = [made]
    if retrain == "average":
        networks = [part.network for part in made.parts]
    for network in networks:
        assert network is not module
        assert not torch.equal(network.body[0].weight, before["body.0.weight"])
    head = made.get_submodule(model.head_)
    assert not torch.equal(head.weight[:, :8], before["fc.weight"])
    for key, value in module.state_dict().items():
        assert torch.equal(value, before[key])


@pytest.mark.parametrize("retrain", [False, True, "average"])
def test_stage_one_trains_the_rows_that_cft_starts_from(
    make_model, held_out_problem, retrain
):
    Z, y, validation_data = held_out_problem
    model = make_model(SmallNetwork, retrain=retrain)
    model.fit(Z, y, validation_data=validation_data)
    head = model.module_.get_submodule(model.head_)
    # The mean of two layers is rounded to their type; of one, nothing is rounded.
    rtol = 1e-6 if retrain == "average" else 0
    rows = model.fine_tuner_.coef_init_, model.fine_tuner_.intercept_init_
    for own, parameter in zip(rows, (head.weight, head.bias), strict=True):
        assert_allclose(own, parameter.detach().numpy(), rtol=rtol)


def test_rows_are_predicted_some_at_a_time(monkeypatch, make_model, images):
    y = np.tile([[1, 0, 1], [0, 1, np.nan], [1, 0, 0]], (40, 1))
    model = make_model(conv_network, batch_size=64).fit(images, y)
    expected = model.predict_proba(images)
    model.set_params(batch_size=1)
    extract, sizes = CFTClassifier._features, []

    def count(fitted, inputs):
        sizes.append(len(inputs))
        return extract(fitted, inputs)

    monkeypatch.setattr(CFTClassifier, "_features", count)
    assert_allclose(model.predict_proba(images), expected, rtol=1e-5)
    assert sizes == [32, 32, 32, 24]


def test_unknown_labels_of_a_network_may_be_ignored(make_model, held_out_problem):
    """The loss of the first batch tells what unknown labels counted as."""
    Z, y, validation_data = held_out_problem
    module = SmallNetwork()
    with torch.no_grad():
        logits = module(torch.from_numpy(Z).float())
    targets = {"negative": np.nan_to_num(y, nan=0.0), "ignore": y}
    for unknown, target in targets.items():
        model = make_model(module, unknown=unknown, max_epochs=1)
        model.fit(Z, y, validation_data=validation_data)
        known = torch.from_numpy(~np.isnan(target))
        expected = nn.functional.binary_cross_entropy_with_logits(
            logits[known], torch.from_numpy(target)[known].float()
        )
        assert model.history_[0]["loss"] == pytest.approx(expected.item(), abs=1e-6)


def test_history_has_both_stages(make_model, partial_problem):
    Z, y, _ = partial_problem
    model = make_model(SmallNetwork, max_epochs=3).fit(Z, y)
    stages = [record["stage"] for record in model.history_]
    assert stages[:6] == ["train"] * 3 + ["retrain"] * 3
    assert set(stages[6:]) == {"cft"}
    assert len(stages) == 6 + len(model.fine_tuner_.history_)
    assert [record["epoch"] for record in model.history_[:6]] == [1, 2, 3] * 2
    once = make_model(SmallNetwork, max_epochs=3, retrain=False).fit(Z, y)
    assert once.history_[:3] == model.history_[:3]
    assert {record["stage"] for record in once.history_[3:]} == {"cft"}


@pytest.mark.parametrize("loss", ["asl", nn.functional.huber_loss])
def test_losses(make_model, partial_problem, loss):
    Z, y, _ = partial_problem
    if callable(loss):
        y = np.nan_to_num(y, nan=0.0)

        def loss(logits, targets, real=loss):
            known = ~torch.isnan(targets)
            return real(logits[known], targets[known])

    model = make_model(SmallNetwork, loss=loss).fit(Z, y)
    other = make_model(SmallNetwork).fit(Z, y)
    assert model.history_[0]["loss"] != other.history_[0]["loss"]


def test_a_loss_that_is_not_finite_stops_training(make_model, partial_problem):
    Z, y, _ = partial_problem
    model = make_model(SmallNetwork, loss=lambda logits, _: logits.sum() / 0.0)
    with pytest.raises(NonFiniteLossError, match="epoch 1, batch 1"):
        model.fit(Z, y)


def test_a_named_layer(make_model, partial_problem):
    class TwoHeads(SmallNetwork):
        def __init__(self):
            super().__init__()
            self.auxiliary = nn.Linear(8, 5)

    Z, y, _ = partial_problem
    with pytest.raises(ValueError, match=r"'auxiliary' .* 5 outputs for 3 categories"):
        make_model(TwoHeads).fit(Z, y)
    once = make_model(TwoHeads, head="fc", retrain=False).fit(Z, y)
    assert once.head_ == "fc"
    assert make_model(TwoHeads, head="fc").fit(Z, y).coef_.shape == (3, 2 * 8)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        pytest.param(
            lambda: nn.Sequential(nn.Linear(6, 3), nn.Sigmoid()),
            "must be the last step of the network",
            id="sigmoid",
        ),
        pytest.param(
            lambda: nn.Linear(6, 4), "4 outputs for 3 categories", id="wrong size"
        ),
        pytest.param(nn.Identity, "must have an nn.Linear", id="no layer"),
        pytest.param(dict, "must return a torch.nn.Module; got dict", id="no module"),
    ],
)
def test_wrong_networks_are_told_before_training(
    make_model, partial_problem, module, message
):
    Z, y, _ = partial_problem
    model = make_model(module, max_epochs=10**9)  # would take years
    with pytest.raises((TypeError, ValueError), match=message):
        model.fit(Z, y)


# ------------------------------------------------------------- networks as trained
def test_a_trained_network_is_kept(make_model, held_out_problem):
    Z, y, validation_data = held_out_problem
    module = SmallNetwork()
    model = make_model(module, train=False)
    model.fit(Z, y, validation_data=validation_data)
    for key, value in model.module_.state_dict().items():
        assert torch.equal(value, module.state_dict()[key])
    assert_array_equal(
        model.fine_tuner_.coef_init_, module.fc.weight.detach().double().numpy()
    )
    assert {record["stage"] for record in model.history_} == {"cft"}


def test_a_trained_network_without_new_labels_warns(make_model, partial_problem):
    Z, y, _ = partial_problem
    with pytest.warns(SeenLabelsWarning, match="Pass X_val="):
        make_model(SmallNetwork(), train=False).fit(Z, y)


def test_initial_weights_without_a_network(make_model, held_out_problem, rng):
    Z, y, validation_data = held_out_problem
    coef, intercept = rng.standard_normal((3, 6)), rng.standard_normal(3)
    tuner = CategoryWiseFineTuner("bce", coef_init=coef, intercept_init=intercept)
    model = CFTClassifier(train=False, fine_tuner=tuner)
    model.fit(Z, y, validation_data=validation_data)
    assert_array_equal(model.fine_tuner_.coef_init_, coef)
    assert_array_equal(model.fine_tuner_.intercept_init_, intercept)


def test_rows_to_start_from_must_be_clear(make_model, partial_problem):
    Z, y, _ = partial_problem
    with pytest.raises(ValueError, match="needs initial weights"):
        make_model(train=False).fit(Z, y)
    tuner = CategoryWiseFineTuner(
        "bce", coef_init=np.zeros((3, 8)), intercept_init=np.zeros(3)
    )
    with pytest.raises(ValueError, match="must not set `coef_init`"):
        CFTClassifier(SmallNetwork, fine_tuner=tuner).fit(Z, y)


# ------------------------------------------------------------------ held-out labels
@pytest.fixture
def spy_hold_out(monkeypatch):
    """Record what is held out, and flip its values if asked."""
    seen = {"flip": False}
    real = _preparation.split_labels

    def spy(*args):
        split = real(*args)
        held_out = split.held_out
        if seen["flip"]:
            held_out = held_out._replace(values=1.0 - held_out.values)
        seen["fitted"], seen["held_out"] = split.fitted, held_out
        return split._replace(held_out=held_out)

    monkeypatch.setattr(_preparation, "split_labels", spy)
    return seen


@pytest.mark.parametrize("unknown", ["negative", "ignore"])
def test_labels_held_out_are_left_out_of_stage_one(
    make_model, partial_problem, spy_hold_out, unknown
):
    """Oracle: scikit-learn without these cells; they are no negatives either."""
    Z, y, _ = partial_problem
    model = make_model(unknown=unknown).fit(Z, y)
    targets = np.nan_to_num(y, nan=0.0) if unknown == "negative" else y.copy()
    held = spy_hold_out["held_out"].known
    targets[held] = np.nan
    assert_regressions(model.fine_tuner_.coef_init_, Z, targets)
    assert_array_equal(held & spy_hold_out["fitted"].known, False)
    assert_array_equal(held | spy_hold_out["fitted"].known, ~np.isnan(y))
    assert [n_held_out(line) for line in model.report_] == held.sum(axis=0).tolist()
    assert_allclose(held.sum() / (~np.isnan(y)).sum(), 0.25, atol=0.02)


def test_every_category_holds_out_rows_of_its_own(
    make_model, partial_problem, spy_hold_out
):
    Z, _, y_full = partial_problem
    make_model().fit(Z, y_full[:, [0, 0]])
    held = spy_hold_out["held_out"].known
    assert_array_equal(held.sum(axis=0), 30)
    assert 0 < np.sum(held[:, 0] & held[:, 1]) < 20


@pytest.mark.parametrize("network", [False, True], ids=["features", "network"])
def test_values_of_held_out_labels_do_not_reach_stage_one(
    make_model, partial_problem, spy_hold_out, network
):
    Z, y, _ = partial_problem
    module = SmallNetwork if network else None
    options = {"retrain": False, "unknown": "negative"}  # one training, without rates
    model = make_model(module, **options).fit(Z, y)
    spy_hold_out["flip"] = True
    flipped = make_model(module, **options).fit(Z, y)
    if not network:  # they choose a penalty, and that is all
        targets = np.nan_to_num(y, nan=0.0)
        targets[spy_hold_out["held_out"].known] = np.nan
        for tuner in (model.fine_tuner_, flipped.fine_tuner_):
            assert_regressions(tuner.coef_init_, Z, targets)
        return
    for name in ("coef_init_", "intercept_init_"):
        assert_array_equal(
            getattr(model.fine_tuner_, name), getattr(flipped.fine_tuner_, name)
        )
    before = [line["roc_auc_before"] for line in model.report_]
    after = [line["roc_auc_before"] for line in flipped.report_]
    assert_allclose(np.add(before, after), 1.0)  # the choice did see other values


def test_validation_data_of_other_rows(make_model, held_out_problem):
    Z, y, (Z_val, y_val) = held_out_problem
    tuner = CategoryWiseFineTuner(GradientSolver(max_epochs=30), refit=False)
    model = make_model(fine_tuner=tuner).fit(Z, y, validation_data=(Z_val, y_val))
    before = model.fine_tuner_
    logits = Z_val @ before.coef_init_.T + before.intercept_init_
    scores = {
        "roc_auc_before": partial_roc_auc_score(y_val, logits, average=None),
        "roc_auc_after": partial_roc_auc_score(
            y_val, model.decision_function(Z_val), average=None
        ),
    }
    for key, expected in scores.items():
        assert_allclose([line[key] for line in model.report_], expected, atol=1e-6)
    n_known = (~np.isnan(y_val)).sum(axis=0).tolist()
    assert [n_held_out(line) for line in model.report_] == n_known


def test_values_of_validation_data_do_not_reach_stage_one(make_model, held_out_problem):
    Z, y, (Z_val, y_val) = held_out_problem
    options = {"retrain": False, "unknown": "negative"}  # one training, without rates
    models = [
        make_model(SmallNetwork, **options).fit(Z, y, validation_data=(Z_val, values))
        for values in (y_val, 1.0 - y_val)
    ]
    rows = [model.fine_tuner_.coef_init_ for model in models]
    assert_array_equal(rows[0], rows[1])


@pytest.mark.parametrize(
    "again",
    [
        pytest.param(lambda Z: Z, id="the same array"),
        pytest.param(np.copy, id="a copy"),
        pytest.param(pd.DataFrame, id="a frame"),
    ],
)
def test_validation_data_of_the_same_rows(make_model, partial_problem, rng, again):
    """Cells known in `y_val` alone are held out, not negative, in stage one."""
    Z, y, _ = partial_problem
    held = rng.random(y.shape) < 0.25
    y_fit, y_val = np.where(held, np.nan, y), np.where(held, y, np.nan)
    model = make_model().fit(Z, y_fit, validation_data=(again(Z), y_val))
    targets = np.nan_to_num(y_fit, nan=0.0)
    targets[~np.isnan(y_val)] = np.nan
    assert_regressions(model.fine_tuner_.coef_init_, Z, targets)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda Z, y: [Z, y], r"must be a tuple \(X_val, y_val\); got list"),
        (lambda Z, y: (Z, y, y), r"must be a tuple \(X_val, y_val\); got tuple"),
        (lambda Z, y: (Z[:, :4], y), "X has 4 features"),
        (
            lambda Z, y: (Z, y[:, :2]),
            "`y_val` must have the 3 categories that `fit` saw; got 2",
        ),
        (lambda Z, y: (Z[:9], y), r"`X_val` and `y_val` .* \[9, 40\]"),
        (lambda Z, y: (Z, y + 1.0), "`y_val` must hold 0"),
    ],
    ids=["list", "triple", "features", "categories", "length", "labels"],
)
def test_wrong_validation_data(make_model, held_out_problem, change, message):
    Z, y, validation_data = held_out_problem
    with pytest.raises(ValueError, match=message):
        make_model().fit(Z, y, validation_data=change(*validation_data))


def test_validation_data_of_reordered_categories(make_model, held_out_problem):
    Z, y, (Z_val, y_val) = held_out_problem
    labels = pd.DataFrame(y_val, columns=NAMES)[NAMES[::-1]]
    with pytest.raises(ValueError, match="Reorder its columns"):
        make_model().fit(
            Z, pd.DataFrame(y, columns=NAMES), validation_data=(Z_val, labels)
        )


# ------------------------------------------------------------------------ to_torch
@pytest.mark.parametrize(
    "module",
    [
        pytest.param(None, id="features"),
        pytest.param(SmallNetwork, id="network"),
        pytest.param(functools.partial(SmallNetwork, bias=False), id="no bias"),
        pytest.param(lambda: nn.Linear(6, 3), id="only a layer"),
    ],
)
def test_to_torch_gives_the_same_logits(make_model, partial_problem, module):
    Z, y, _ = partial_problem
    model = make_model(module, fine_tuner=CategoryWiseFineTuner()).fit(Z, y)
    assert any(line["status"] == "refitted" for line in model.report_)
    network = model.to_torch()
    assert not network.training
    with torch.no_grad():
        logits = network(torch.from_numpy(Z).float()).numpy()
    assert_allclose(logits, model.decision_function(Z), rtol=1e-5, atol=1e-5)
    if module is not None:
        assert network is not model.module_


def test_to_torch_of_a_one_dimensional_target(make_model, partial_problem):
    Z, _, y_full = partial_problem
    model = make_model().fit(Z, y_full[:, 0])
    with torch.no_grad():
        logits = model.to_torch()(torch.from_numpy(Z).float()).numpy()
    assert_allclose(logits[:, 0], model.decision_function(Z), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("retrain", "n_features"), [(False, 12), (True, 12), ("average", 2 * 12)]
)
def test_networks_take_images(make_model, partial_problem, images, retrain, n_features):
    _, y, _ = partial_problem
    model = make_model(conv_network, retrain=retrain).fit(images, y)
    assert model.coef_.shape == (3, n_features)
    with torch.no_grad():
        logits = model.to_torch()(torch.from_numpy(images)).numpy()
    assert_allclose(logits, model.decision_function(images), rtol=1e-4, atol=1e-5)


# ---------------------------------------------------------------- threshold, score
@pytest.mark.parametrize("threshold", [0.0, 0.2, 0.6, [0.1, 0.5, 0.9]])
def test_threshold(make_model, partial_problem, threshold):
    Z, y, _ = partial_problem
    model = make_model(threshold=threshold).fit(Z, y)
    expected = model.predict_proba(Z) >= np.broadcast_to(threshold, (120, 3))
    assert_array_equal(model.predict(Z), expected)
    assert expected.any()
    again = make_model().fit(Z, y).set_params(threshold=threshold)
    assert_array_equal(again.predict(Z), expected)


def test_the_threshold_itself_is_positive(make_model, partial_problem):
    Z, y, _ = partial_problem
    model = make_model().fit(Z, y)
    model.set_params(threshold=model.predict_proba(Z)[7])
    assert_array_equal(model.predict(Z)[7], 1)


@pytest.mark.parametrize(
    ("threshold", "message"),
    [
        (1.5, "'threshold' parameter of CFTClassifier must be"),
        ("high", "'threshold' parameter of CFTClassifier must be"),
        ([0.5, 0.5], r"one per category, shape \(3,\); got shape \(2,\)"),
        ([[0.5, 0.5, 0.5]], r"got shape \(1, 3\)"),
        ([0.5, 0.5, 1.5], r"must lie in \[0, 1\]; got 0.5 to 1.5"),
        ([0.5, 0.5, np.nan], r"must lie in \[0, 1\]; got nan"),
    ],
)
def test_wrong_thresholds(make_model, partial_problem, threshold, message):
    Z, y, _ = partial_problem
    with pytest.raises(ValueError, match=message):
        make_model(threshold=threshold).fit(Z, y)


def test_score_is_the_mean_auc_over_known_labels(make_model, partial_problem):
    Z, y, y_full = partial_problem
    model = make_model().fit(Z, y)
    logits = model.decision_function(Z)
    expected = [
        roc_auc_score(column[~np.isnan(column)], logit[~np.isnan(column)])
        for column, logit in zip(y.T, logits.T, strict=True)
    ]
    assert model.score(Z, y) == pytest.approx(np.mean(expected))
    assert model.score(Z, y) == partial_roc_auc_score(y, logits)
    assert model.score(Z, y_full) == pytest.approx(roc_auc_score(y_full, logits))


def test_score_refuses_reordered_categories(make_model, partial_problem):
    Z, y, _ = partial_problem
    labels = pd.DataFrame(y, columns=NAMES)
    model = make_model().fit(Z, labels)
    with pytest.raises(ValueError, match="in the same order"):
        model.score(Z, labels[NAMES[::-1]])


# ------------------------------------------------------------------- independence
@pytest.mark.parametrize("network", [False, True], ids=["features", "network"])
def test_seeds_fix_the_result(make_model, partial_problem, network):
    Z, y, _ = partial_problem
    module = SmallNetwork if network else None
    first, again, other = (
        make_model(module, random_state=seed).fit(Z, y) for seed in (1, 1, 2)
    )
    assert_array_equal(first.coef_, again.coef_)
    assert_array_equal(first.intercept_, again.intercept_)
    assert first.history_ == again.history_
    assert not np.array_equal(first.coef_, other.coef_)


def test_random_state_objects_move_on(make_model, partial_problem):
    Z, y, _ = partial_problem
    state = np.random.RandomState(1)
    first, second = (make_model(random_state=state).fit(Z, y) for _ in range(2))
    from_int = make_model(random_state=1).fit(Z, y)
    assert_array_equal(first.coef_, from_int.coef_)
    assert not np.array_equal(first.coef_, second.coef_)


def test_global_generators_stay_untouched(make_model, partial_problem):
    Z, y, _ = partial_problem
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    make_model(SmallNetwork, random_state=3, layers="auto").fit(Z, y)
    make_model(SmallNetwork, random_state=3).fit(Z, y)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert_array_equal(np.random.get_state()[1], before[1])


def test_workers_change_nothing(partial_problem):
    Z, y, _ = partial_problem
    solvers = [GradientSolver(max_epochs=30), GeneticSolver(n_generations=10)]
    tuner = CategoryWiseFineTuner(solvers)
    models = [
        CFTClassifier(fine_tuner=tuner, n_jobs=n_jobs, random_state=0).fit(Z, y)
        for n_jobs in (1, 2)
    ]
    assert_array_equal(models[0].coef_, models[1].coef_)
    assert_array_equal(models[0].intercept_, models[1].intercept_)
    assert models[0].history_ == models[1].history_


@pytest.mark.parametrize(
    ("device", "own", "expected"),
    [
        ("cpu", "auto", "cpu"),
        ("cpu", "cpu:0", "cpu:0"),
        ("auto", "auto", "auto"),
        ("auto", "cpu", "cpu"),
    ],
)
def test_the_cpu_by_name_holds_for_the_refits(partial_problem, device, own, expected):
    tuner = CategoryWiseFineTuner("proximal", device=own)
    model = CFTClassifier(fine_tuner=tuner, device=device, random_state=0)
    assert model.fit(*partial_problem[:2]).fine_tuner_.device == expected
    assert tuner.device == own


def test_a_refit_judged_alone_does_not_depend_on_others(make_model, partial_problem):
    """The penalty of initial weights does, so these are given."""
    Z, y, _ = partial_problem
    tuner = CategoryWiseFineTuner(
        GradientSolver(max_epochs=30, patience=30, pooled=False),
        coef_init=np.zeros((3, 6)),
        intercept_init=np.zeros(3),
    )
    model = make_model(fine_tuner=tuner).fit(Z, y)
    fewer = y.copy()
    fewer[::2, 1] = np.nan
    other = make_model(fine_tuner=tuner).fit(Z, fewer)
    for j in (0, 2):
        assert_array_equal(model.coef_[j], other.coef_[j])
        assert model.intercept_[j] == other.intercept_[j]
    assert not np.array_equal(model.coef_[1], other.coef_[1])


def test_named_categories_may_change_places(make_model, partial_problem):
    Z, y, _ = partial_problem
    labels = pd.DataFrame(y, columns=NAMES)
    order = [2, 0, 1]
    model = make_model().fit(Z, labels)
    other = make_model().fit(Z, labels.iloc[:, order])
    assert_array_equal(model.coef_[order], other.coef_)
    assert_array_equal(model.intercept_[order], other.intercept_)
    assert_array_equal(model.predict_proba(Z)[:, order], other.predict_proba(Z))


# -------------------------------------------------------------- categories that lack
@pytest.mark.parametrize("network", [False, True], ids=["features", "network"])
@pytest.mark.parametrize(
    ("kept", "reason"),
    [
        pytest.param(1.0, "no known negative", id="only positives"),
        pytest.param(0.0, "no known positive", id="only negatives"),
    ],
)
def test_categories_of_one_class_keep_their_row(
    make_model, partial_problem, kept, reason, network
):
    Z, y, _ = partial_problem
    y[y[:, 1] != kept, 1] = np.nan
    model = make_model(SmallNetwork if network else None)
    message = rf"1 .*lacks? known labels .*'Fracture' \({reason}"
    with pytest.warns(UndefinedCategoryWarning, match=message) as caught:
        model.fit(Z, pd.DataFrame(y, columns=NAMES))
    assert len(caught) == 1
    line = model.report_[1]
    assert line["status"] == "skipped"
    assert line["reason"].startswith(reason)
    assert line["solver"] is None
    assert np.isnan(line["roc_auc_before"])
    assert_array_equal(model.coef_[1], model.fine_tuner_.coef_init_[1])
    assert model.intercept_[1] == model.fine_tuner_.intercept_init_[1]
    assert np.isfinite(model.predict_proba(Z)).all()
    assert [line["status"] == "skipped" for line in model.report_] == [0, 1, 0]


def test_a_single_positive_is_not_enough(make_model, partial_problem):
    Z, y, _ = partial_problem
    y[np.flatnonzero(y[:, 0] == 1)[1:], 0] = np.nan
    with pytest.warns(UndefinedCategoryWarning, match=r"'0' \(only 1 known positive"):
        make_model().fit(Z, y)


@pytest.mark.parametrize(
    ("network", "unknown"),
    [
        *((False, unknown) for unknown in ("auto", "negative", "ignore")),
        *((True, unknown) for unknown in TREATMENTS),
    ],
)
def test_nothing_known_at_all(make_model, partial_problem, unknown, network):
    Z, y, _ = partial_problem
    if not network and unknown in ("weak_negative", "hill"):
        pytest.skip("needs a network")
    model = make_model(SmallNetwork if network else None, unknown=unknown)
    with pytest.raises(ValueError, match="`y` must hold a known label; got none"):
        model.fit(Z, np.full_like(y, np.nan))


# ---------------------------------------------------------------------- wrong inputs
def test_wrong_inputs_in_fit(make_model, partial_problem):
    Z, y, _ = partial_problem
    with pytest.raises(TypeError, match="parse data was passed"):
        make_model().fit(sparse.csr_array(Z), y)
    with pytest.raises(ValueError, match="must have one row per sample"):
        make_model().fit(Z[:50], y)
    with pytest.raises(ValueError, match="requires y to be passed"):
        make_model().fit(Z, None)
    with pytest.raises(ValueError, match="-1 for unknown"):
        make_model().fit(Z, np.nan_to_num(y, nan=-1.0))
    Z[3, 2] = np.nan
    with pytest.raises(ValueError, match="Input X contains NaN"):
        make_model().fit(Z, y)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        make_model(SmallNetwork).fit(Z, y)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"module": "resnet"}, "'module' parameter"),
        ({"unknown": "positive"}, "'unknown' parameter"),
        ({"loss": "hinge"}, "'loss' parameter"),
        ({"max_epochs": 0}, "'max_epochs' parameter"),
        ({"batch_size": 0}, "'batch_size' parameter"),
        ({"learning_rate": 0.0}, "'learning_rate' parameter"),
        ({"fine_tuner": "ga"}, "'fine_tuner' parameter"),
        ({"validation_fraction": 1.0}, "'validation_fraction' parameter"),
        ({"module": SmallNetwork, "device": "abacus"}, "`device` must be 'auto'"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_wrong_parameters(make_model, partial_problem, params, message):
    Z, y, _ = partial_problem
    with pytest.raises(ValueError, match=message):
        make_model(**params).fit(Z, y)


@pytest.mark.parametrize("network", [False, True], ids=["features", "network"])
def test_predicting_needs_the_features_of_fit(make_model, partial_problem, network):
    Z, y, _ = partial_problem
    model = make_model(SmallNetwork if network else None).fit(Z, y)
    with pytest.raises(ValueError, match="X has 4 features, but CFTClassifier is exp"):
        model.predict(Z[:, :4])


@pytest.mark.parametrize(
    ("shape", "error", "message"),
    [
        (
            (2, 3, 5, 4),
            ValueError,
            r"rows of shape \(1, 5, 4\) as in `fit`, rows first",
        ),
        ((1, 5, 4), ValueError, r"got shape \(1, 5, 4\)\. Pass x\[np\.newaxis\]"),
        ((2, 1, 5, 4, 1), ValueError, r"got shape \(2, 1, 5, 4, 1\)"),
        (
            (2, 1, 7, 4),
            ValueError,
            r"`module` must accept the rows of `X`; .* shape \(2, 1, 7, 4\)",
        ),
    ],
    ids=["channels", "one image", "videos", "height"],
)
def test_predicting_needs_the_images_of_fit(
    make_model, partial_problem, images, shape, error, message
):
    model = make_model(conv_network).fit(images, partial_problem[1])
    with pytest.raises(error, match=message):
        model.predict(np.zeros(shape, dtype=np.float32))


@pytest.mark.parametrize(
    "use",
    [
        lambda model, Z, _: model.predict(Z),
        lambda model, Z, _: model.predict_proba(Z),
        lambda model, Z, _: model.decision_function(Z),
        lambda model, Z, y: model.score(Z, y),
        lambda model, *_: model.to_torch(),
    ],
    ids=["predict", "predict_proba", "decision_function", "score", "to_torch"],
)
def test_fit_comes_first(make_model, partial_problem, use):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        use(make_model(), *partial_problem[:2])


def test_a_model_may_be_fitted_again(make_model, partial_problem, images):
    Z, y, _ = partial_problem
    model = make_model(conv_network).fit(images, y)
    model.set_params(module=None).fit(Z, y)
    assert_array_equal(model.coef_, make_model().fit(Z, y).coef_)
    assert model.module_ is None


# ------------------------------------------------------------- scikit-learn around it
def test_clones_are_unfitted_and_equal(make_model, partial_problem):
    Z, y, _ = partial_problem
    model = make_model(SmallNetwork(), threshold=[0.2, 0.3, 0.4]).fit(Z, y)
    copied = clone(model)
    assert not hasattr(copied, "coef_")
    assert copied.fine_tuner is not model.fine_tuner
    assert_array_equal(copied.fit(Z, y).coef_, model.coef_)


def test_parameters_reach_the_fine_tuner(quick_tuner):
    model = CFTClassifier(fine_tuner=quick_tuner)
    assert model.get_params()["fine_tuner__solver__max_epochs"] == 30
    model.set_params(fine_tuner__objective="average_precision", max_epochs=7)
    assert quick_tuner.objective == "average_precision"
    assert model.max_epochs == 7
    with pytest.raises(ValueError, match="Invalid parameter 'epochs'"):
        model.set_params(epochs=7)


@pytest.mark.parametrize("network", [False, True], ids=["features", "network"])
def test_pickles_predict_the_same(make_model, partial_problem, network):
    Z, y, _ = partial_problem
    model = make_model(SmallNetwork if network else None).fit(Z, y)
    loaded = pickle.loads(pickle.dumps(model))
    assert_array_equal(loaded.decision_function(Z), model.decision_function(Z))
    assert loaded.report_ == model.report_


@pytest.mark.parametrize("scoring", [None, partial_roc_auc_scorer])
def test_grid_search_over_solvers(make_model, partial_problem, scoring):
    from cftlearn.model_selection import PartialLabelKFold

    Z, y, _ = partial_problem
    solvers = [GradientSolver(loss=loss, max_epochs=10) for loss in ("bce", "asl")]
    search = GridSearchCV(
        make_model(),
        {"fine_tuner__solver": solvers},
        cv=PartialLabelKFold(3),
        scoring=scoring,
        error_score="raise",
    ).fit(Z, y)
    assert search.best_params_["fine_tuner__solver"] in solvers
    best = make_model()
    best.set_params(**search.best_params_).fit(Z, y)
    assert_array_equal(search.predict_proba(Z), best.predict_proba(Z))
    train, test = next(PartialLabelKFold(3).split(Z, y))
    first = clone(best).set_params(fine_tuner__solver=solvers[0])
    expected = first.fit(Z[train], y[train]).score(Z[test], y[test])
    assert search.cv_results_["split0_test_score"][0] == pytest.approx(expected)


@pytest.mark.parametrize("network", [False, True], ids=["features", "network"])
def test_cross_val_score(make_model, partial_problem, network):
    from cftlearn.model_selection import PartialLabelKFold

    Z, y, _ = partial_problem
    model = make_model(SmallNetwork if network else None)
    scores = cross_val_score(model, Z, y, cv=PartialLabelKFold(3), error_score="raise")
    assert scores.shape == (3,)
    assert (scores > 0.6).all()


def test_pipelines(make_model, partial_problem):
    Z, y, _ = partial_problem
    X = 100.0 * Z + 7.0
    pipeline = make_pipeline(StandardScaler(), make_model()).fit(X, y)
    scaled = StandardScaler().fit_transform(X)
    expected = make_model().fit(scaled, y)
    assert_array_equal(pipeline.predict(X), expected.predict(scaled))
    assert pipeline.score(X, y) == expected.score(scaled, y)


def test_a_fine_tuner_is_a_step_of_a_pipeline(quick_tuner, partial_problem):
    Z, y, _ = partial_problem
    pipeline = make_pipeline(StandardScaler(), quick_tuner.set_params(random_state=0))
    logits = pipeline.fit(Z, y).transform(Z)
    scaled = StandardScaler().fit_transform(Z)
    assert_array_equal(logits, clone(quick_tuner).fit(scaled, y).transform(scaled))


def test_validation_data_passes_through_a_pipeline(make_model, held_out_problem):
    """As routed metadata, and as it is: a Pipeline does not scale it."""
    Z, y, (Z_val, y_val) = held_out_problem
    scaler = StandardScaler().fit(Z)
    validation_data = (scaler.transform(Z_val), y_val)
    expected = make_model().fit(scaler.transform(Z), y, validation_data=validation_data)
    with sklearn.config_context(enable_metadata_routing=True):
        model = make_model().set_fit_request(validation_data=True)
        pipeline = make_pipeline(StandardScaler(), model)
        pipeline.fit(Z, y, validation_data=validation_data)
    assert_array_equal(pipeline[-1].coef_, expected.coef_)
    assert not np.array_equal(pipeline[-1].coef_, make_model().fit(Z, y).coef_)


def test_fine_tuners_give_frames(quick_tuner, partial_problem):
    Z, y, _ = partial_problem
    X = pd.DataFrame(Z, columns=list("abcdef"), index=np.arange(120) + 1000)
    labels = pd.DataFrame(y, columns=NAMES, index=X.index)
    tuner = quick_tuner.set_output(transform="pandas").fit(X, labels)
    frame = tuner.transform(X)
    assert frame.columns.tolist() == NAMES
    assert frame.index.equals(X.index)
    assert_allclose(frame.to_numpy(), Z @ tuner.coef_.T + tuner.intercept_)
    assert tuner.get_feature_names_out(list("abcdef")).tolist() == NAMES
    with pytest.raises(ValueError, match="not equal to feature_names_in_"):
        tuner.get_feature_names_out(list("fedcba"))


def test_progress_is_silent_where_output_is_no_terminal(
    make_model, partial_problem, capsys
):
    Z, y, _ = partial_problem
    make_model(SmallNetwork, verbose=1).fit(Z, y)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == ""


def test_parameters_of_a_default_fine_tuner_are_reached():
    model = CFTClassifier().set_params(fine_tuner__solver="ga", threshold=0.4)
    assert model.fine_tuner.solver == "ga"
    with pytest.raises(ValueError, match="Invalid parameter 'solvr'"):
        CFTClassifier().set_params(fine_tuner__solvr="ga")
    assert CFTClassifier().set_params(threshold=0.1).fine_tuner is None


def test_parameters_changed_after_fit_are_checked_or_do_not_matter(
    make_model, partial_problem
):
    Z, y, _ = partial_problem
    model = make_model().fit(Z, y)
    expected = model.decision_function(Z)
    model.set_params(module=lambda: None)
    assert_array_equal(model.decision_function(Z), expected)
    with pytest.raises(ValueError, match=r"`threshold` must lie in \[0, 1\]; got 5"):
        model.set_params(threshold=5).predict(Z)


def test_grid_search_reaches_the_solver_of_a_default_classifier(partial_problem):
    from cftlearn.model_selection import PartialLabelKFold

    Z, y, _ = partial_problem
    search = GridSearchCV(
        CFTClassifier(random_state=0),
        {"fine_tuner__solver": ["bce", GeneticSolver(n_generations=10)]},
        cv=PartialLabelKFold(3),
        scoring=partial_roc_auc_scorer,
        error_score="raise",
    ).fit(Z, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.fine_tuner is not None
