"""Cross-fitting with a network: every known label judges one that did not see it."""

import functools

import numpy as np
import pytest
from classifier_parts import output, spy
from numpy.testing import assert_allclose, assert_array_equal
from report_parts import n_held_out
from scipy.special import expit
from sklearn.metrics import roc_auc_score
from torch import nn

import cftlearn.classifier._network_fit as trainings
import cftlearn.training._trainings as stage_one
from cftlearn import CategoryWiseFineTuner, CFTClassifier, load_model, save_model
from cftlearn.exceptions import UndefinedCategoryWarning
from cftlearn.training import NetworkTrainer

N_FOLDS = 3


@pytest.fixture
def make_model(network_factory):
    """Return a classifier of three folds that fits in a fraction of a second."""
    network = network_factory()

    def make(cross_fit=N_FOLDS, *, tuner=None, **parameters):
        refits = CategoryWiseFineTuner(cross_fit=cross_fit, **tuner or {})
        plain = {
            "module": network,
            "fine_tuner": refits,
            "max_epochs": 3,
            "learning_rate": 0.01,
            "random_state": 0,
        }
        return CFTClassifier(**plain | parameters)

    return make


@pytest.fixture
def problem(partial_problem):
    Z, y, _ = partial_problem
    return Z.astype(np.float32), y


# ---------------------------------------------------------------------- the trainings
@pytest.mark.parametrize("n_folds", [2, 4])
@pytest.mark.parametrize("unknown", ["auto", "negative"])
def test_every_label_judges_once_and_trains_the_others(
    make_model, problem, monkeypatch, n_folds, unknown
):
    X, y = problem
    made = spy(monkeypatch, stage_one, "fit_network")
    make_model(n_folds, unknown=unknown).fit(X, y)
    assert len(made) == n_folds + 1
    known = ~np.isnan(y)
    times = np.zeros(y.shape, dtype=int)
    for arguments, _, _ in made[:-1]:
        targets, held_out = arguments[3], arguments[4]
        judges = ~np.isnan(held_out.labels)
        times += judges
        assert_array_equal(held_out.labels[judges], y[judges])
        assert np.isnan(targets.values[judges]).all()
        trains = known & ~judges
        assert_array_equal(targets.values[trains], y[trains])
        if targets.unknown is not None:
            assert not (targets.unknown & known).any()
        for state in (0, 1):  # of either class as many in every fold
            shares = (judges & (y == state)).sum(axis=0)
            assert np.abs(shares - (y == state).sum(axis=0) / n_folds).max() < 1
    assert_array_equal(times, known)
    targets = made[-1][0][3]
    expected = np.nan_to_num(y) if unknown == "negative" else y
    assert_array_equal(targets.values, expected)


def test_the_history_names_folds(make_model, problem):
    model = make_model().fit(*problem)
    stages = [(row["stage"], row.get("fold")) for row in model.history_]
    training = [("train", fold) for fold in range(3) for _ in range(3)]
    assert stages[:12] == training + [("retrain", None)] * 3
    assert sorted(set(stages[12:])) == [("cft", fold) for fold in range(3)]
    names = [set(row) for row in model.history_[:12]]
    assert all("val_score" in own for own in names[:9])
    assert not any("val_score" in own for own in names[9:])


def test_all_networks_start_elsewhere(
    make_model, problem, monkeypatch, network_factory
):
    made = spy(monkeypatch, stage_one, "fit_network")
    make_model(module=network_factory, learning_rate=1e-9).fit(*problem)
    weights = [call[2].network[0].weight for call in made]
    assert len(weights) == 4
    for i, own in enumerate(weights):
        for other in weights[:i]:
            assert (own - other).abs().max() > 0.1


@pytest.mark.parametrize("retrain", [False, True, "average"])
def test_the_last_network_is_kept(make_model, problem, monkeypatch, retrain):
    """Whatever ``retrain`` says: it has no part in cross-fitting."""
    X, y = problem
    made = spy(monkeypatch, trainings, "train_on_all_labels")
    choices = spy(monkeypatch, trainings, "fit_on_split")
    model = make_model(retrain=retrain).fit(X, y)
    ((_, _, last),) = made
    assert model.module_ is last.network
    assert_allclose(
        model.decision_function(X, initial=True), output(last.network, X), atol=1e-5
    )
    assert model.coef_.shape == (3, 8)
    assert_allclose(output(model.to_torch(), X), model.decision_function(X), atol=1e-5)
    # A fold's refit has the features of another network, and is left behind.
    for _, _, choice in choices:
        assert not np.allclose(model.coef_, choice.tuner.coef_, atol=1e-2)
    assert model.score(X, y) > 0.8


def test_fits_repeat_with_any_number_of_workers(make_model, problem):
    X, y = problem
    one, two, three = (
        make_model(n_jobs=n_jobs, calibration="sigmoid").fit(X, y)
        for n_jobs in (None, None, 2)
    )
    for other in (two, three):
        assert_array_equal(one.coef_, other.coef_)
        assert_array_equal(one.predict_proba(X), other.predict_proba(X))
    assert one.history_ == two.history_


# -------------------------------------------------------------------------- the labels
def test_every_known_label_has_a_score_by_a_network_that_did_not_see_it(
    make_model, problem, monkeypatch
):
    X, y = problem
    choices = spy(monkeypatch, trainings, "fit_on_split")
    model = make_model().fit(X, y)
    scores = model.fine_tuner_.held_out_
    assert scores.n_rows == len(X)
    for j, column in enumerate(scores.columns):
        assert_array_equal(column.rows, np.flatnonzero(~np.isnan(y[:, j])))
        assert_array_equal(column.y, y[column.rows, j] == 1)
        for arguments, _, choice in choices:
            split = arguments[3]
            own = split.held_out.known[column.rows, j]
            # One fold's scores are those of its own refit, on another scale.
            expected = choice.results[j].left_out
            assert own.sum() == len(expected)
            if len(expected) > 2:
                matched = np.corrcoef(column.logits[own], expected)[0, 1]
                assert matched == pytest.approx(1)
        assert roc_auc_score(column.y, column.logits) > 0.7


def test_reports_count_all_labels(make_model, problem):
    X, y = problem
    model = make_model().fit(X, y)
    for j, line in enumerate(model.report_):
        counts = [int((y[:, j] == state).sum()) for state in (1, 0)]
        assert [line["n_positive"], line["n_negative"]] == counts
        assert n_held_out(line) == sum(counts)
        assert line["n_unknown"] == len(y) - sum(counts)
        assert line["category"] == str(j)
        assert line["status"] == "refitted"
        assert line["roc_auc_after"] > line["roc_auc_before"]
        assert "by 3 networks that each saw the labels of other folds" in line["reason"]


def test_categories_of_few_labels(make_model, problem):
    X, y = problem
    y = y.copy()
    y[:, :2] = np.nan
    y[:4, 0] = [1, 0, 0, 0]
    y[:5, 1] = 0
    with pytest.warns(UndefinedCategoryWarning, match=r"'1' \(no known positive\)"):
        model = make_model(5).fit(X, y)
    one, two, _ = model.report_
    assert n_held_out(one) == 4
    assert (two["status"], n_held_out(two)) == ("skipped", 5)
    assert [len(own.y) for own in model.fine_tuner_.held_out_.columns[:2]] == [4, 5]
    # What was skipped stays as the network has it.
    initial = model.decision_function(X, initial=True)
    assert_allclose(model.decision_function(X)[:, 1], initial[:, 1])
    assert np.isfinite(model.decision_function(X)).all()


def test_one_category_of_known_labels(problem, make_model):
    X, _ = problem
    y = np.where(X[:, 0] > 0, "yes", "no")
    network = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 1))
    model = make_model(module=network, calibration="sigmoid").fit(X, y)
    assert model.decision_function(X).shape == (120,)
    assert model.predict_proba(X).shape == (120, 2)
    assert np.mean(model.predict(X) == y) > 0.7
    assert n_held_out(model.report_[0]) == 120


# -------------------------------------------------------------------------- calibration
@pytest.mark.parametrize("calibration", ["sigmoid", "isotonic"])
def test_probabilities_are_calibrated(make_model, problem, tmp_path, calibration):
    X, y = problem
    model = make_model(calibration=calibration).fit(X, y)
    proba = model.predict_proba(X)
    known = ~np.isnan(y)
    assert abs(proba[known].mean() - y[known].mean()) < 0.08
    assert not np.allclose(proba, expit(model.decision_function(X)), atol=1e-2)
    if calibration == "sigmoid":
        network = model.to_torch(calibrated=True)
        assert_allclose(expit(output(network, X)), proba, atol=1e-5)
    loaded = load_model(save_model(model, tmp_path / "model"), module=model.module)
    assert_array_equal(loaded.predict_proba(X), proba)


def test_scores_lie_where_those_of_the_last_network_do(make_model, problem):
    """Held-out rows are a sample of all: as a whole, their logits differ little."""
    X, y = problem
    model = make_model().fit(X, y)
    logits = model.decision_function(X)
    for j, column in enumerate(model.fine_tuner_.held_out_.columns):
        own = logits[column.rows, j]
        assert column.logits.mean() == pytest.approx(own.mean(), abs=0.3 * own.std())
        assert column.logits.std() == pytest.approx(own.std(), rel=0.3)


# ------------------------------------------------------------------------------ errors
@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"rounds": 2}, "rounds=1"),
        ({"train": False}, "train=True"),
        ({"tuner": {"solver": "proximal"}}, "solver='auto' and refit=True"),
        ({"tuner": {"refit": False}}, "solver='auto' and refit=True"),
        ({"module": None, "unknown": "ignore"}, "unknown other than 'ignore'"),
        ({}, "X_val=None"),
    ],
)
def test_what_contradicts_cross_fitting_is_told_before_training(
    make_model, problem, monkeypatch, changes, rule
):
    X, y = problem
    trained = spy(monkeypatch, stage_one, "fit_network")
    others = None if changes else (X, y)
    model = make_model(7, **changes)
    with pytest.raises(ValueError, match=rf"cross_fit=None without {rule}") as caught:
        model.fit(X, y, validation_data=others)
    assert str(caught.value).endswith("got cross_fit=7.")
    assert not trained
    model.set_params(fine_tuner__cross_fit=None)  # the remedy
    if "tuner" not in changes:
        return
    assert model.fit(X, y).report_


@pytest.mark.parametrize("cross_fit", [1, 2.5, "3"])
def test_wrong_numbers_of_folds(make_model, problem, monkeypatch, cross_fit):
    trained = spy(monkeypatch, stage_one, "fit_network")
    with pytest.raises(ValueError, match="The 'cross_fit' parameter"):
        make_model(cross_fit).fit(*problem)
    assert not trained


@pytest.mark.parametrize(
    ("parameter", "value", "message"),
    [
        ("validation_fraction", 2, "The 'validation_fraction' parameter"),
        ("solver", ["nothing"], "`solver` must be 'auto'.*got 'nothing'"),
        ("objective", "accuracy", "The 'objective' parameter"),
    ],
)
def test_wrong_fine_tuners_are_told_before_training(
    make_model, problem, monkeypatch, parameter, value, message
):
    trained = spy(monkeypatch, stage_one, "fit_network")
    with pytest.raises(ValueError, match=message):
        make_model(None, tuner={parameter: value}).fit(*problem)
    assert not trained


# ------------------------------------------------------------------------- checkpoints
@pytest.fixture
def make_saved(make_model, tmp_path):
    return functools.partial(
        make_model,
        trainer=NetworkTrainer(checkpoint=tmp_path / "epochs"),
        tuner={"checkpoint": tmp_path / "refits"},
    )


def test_every_fold_has_folders_of_its_own(make_model, make_saved, problem, tmp_path):
    X, y = problem
    expected, model = make_model().fit(X, y), make_saved().fit(X, y)
    assert_array_equal(model.coef_, expected.coef_)
    folds = {"fold 0", "fold 1", "fold 2"}
    epochs, refits = (
        {each.name for each in (tmp_path / name).iterdir()}
        for name in ("epochs", "refits")
    )
    assert epochs == folds | {"second"}
    assert refits == folds
    for fold in folds:
        assert len(list((tmp_path / "refits" / fold).glob("*.npz"))) == 3
    assert model.fine_tuner.checkpoint == tmp_path / "refits"
    again = make_saved().fit(X, y)
    assert_array_equal(again.coef_, expected.coef_)


@pytest.mark.parametrize("n_saved", [2, 5, 8, 11])
def test_a_fit_that_was_stopped_goes_on(
    make_model, make_saved, problem, monkeypatch, n_saved
):
    import cftlearn.training._loop as loop

    X, y = problem
    expected = make_model().fit(X, y)
    original, saved = loop.save_state, []

    def save_and_die(path, state):
        original(path, state)
        saved.append(path)
        if len(saved) == n_saved:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(loop, "save_state", save_and_die)
        with pytest.raises(KeyboardInterrupt):
            make_saved().fit(X, y)
    folders = ["fold 0", "fold 1", "fold 2", "second"]
    assert saved[-1].parent.name == folders[n_saved // 3]
    model = make_saved().fit(X, y)
    assert_array_equal(model.coef_, expected.coef_)
    assert model.history_[:12] == expected.history_[:12]


def test_patience_stops_the_last_training_where_the_first_was_best(
    make_model, problem, monkeypatch
):
    made = spy(monkeypatch, trainings, "train_without_held_out")
    trainer = NetworkTrainer(patience=2)
    model = make_model(trainer=trainer, max_epochs=30, learning_rate=0.05)
    model.fit(*problem)
    n_epochs = made[0][2].n_epochs
    last = [row for row in model.history_ if row["stage"] == "retrain"]
    assert len(last) == n_epochs < 30
