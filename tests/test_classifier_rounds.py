"""Further rounds of training, the published recipe, and logits before the refit."""

import copy
import math

import numpy as np
import pytest
import torch
from classifier_parts import output, spy
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from torch import nn

import cftlearn.classifier._network_fit as trainings
import cftlearn.training._trainings as stage_one
from cftlearn import CategoryWiseFineTuner, CFTClassifier, load_model, save_model
from cftlearn.fine_tuning._choice import Choice
from cftlearn.solvers import GeneticSolver, GradientSolver
from cftlearn.training import NetworkTrainer

RETRAIN = [False, True, "average"]
by_retrain = pytest.mark.parametrize("retrain", RETRAIN)


@pytest.fixture
def problem(partial_problem):
    Z, y, _ = partial_problem
    return Z.astype(np.float32), y


def say_auc(monkeypatch, *by_round):
    """Have rounds rank held-out labels as told, whatever they do."""
    told = property(lambda self: by_round[self.number - 1])
    monkeypatch.setattr(trainings.Round, "held_out_auc", told)


def rounds_of(model):
    """Return the records of rounds."""
    return [row for row in model.history_ if row["stage"] == "round"]


def assert_same_fit(one, other):
    assert_array_equal(one.coef_, other.coef_)
    assert_array_equal(one.intercept_, other.intercept_)
    pairs = zip(
        one.module_.state_dict().values(),
        other.module_.state_dict().values(),
        strict=True,
    )
    for own, same in pairs:
        assert torch.equal(own, same)
    for line, same in zip(one.report_, other.report_, strict=True):
        shared = line.keys() - {"seconds"}
        assert {k: line[k] for k in shared} == {k: same[k] for k in shared}


# ------------------------------------------------------------------ which round is kept
@by_retrain
@pytest.mark.parametrize("second", [0.69, 0.7, math.nan])
def test_a_round_that_does_not_gain_leaves_no_trace(
    make_model, problem, monkeypatch, retrain, second
):
    X, y = problem
    one = make_model(retrain=retrain, calibration="sigmoid").fit(X, y)
    say_auc(monkeypatch, 0.7, second, 0.9)
    model = make_model(retrain=retrain, calibration="sigmoid", rounds=3).fit(X, y)
    assert_same_fit(model, one)
    assert_array_equal(model.predict_proba(X), one.predict_proba(X))
    (record,) = rounds_of(model)
    expected = {"stage": "round", "round": 2, "gain": second - 0.7}
    assert record == pytest.approx(expected, nan_ok=True)
    # All that the history has more is what the round did.
    rest = [row for row in model.history_ if "round" not in row]
    assert rest == one.history_
    further = [row for row in model.history_ if row.get("round") == 2]
    assert [row["stage"] for row in further] == ["train"] * 3 + ["round"]


@by_retrain
def test_a_round_that_gains_replaces_the_one_before(
    make_model, problem, monkeypatch, retrain
):
    X, y = problem
    one = make_model(retrain=retrain).fit(X, y)
    say_auc(monkeypatch, 0.7, 0.8, 0.75)
    two, three = (
        make_model(retrain=retrain, rounds=rounds).fit(X, y) for rounds in (2, 3)
    )
    assert_same_fit(two, three)
    assert not np.allclose(output(two.module_, X), output(one.module_, X), atol=1e-3)
    assert [row["round"] for row in rounds_of(two)] == [2]
    records = rounds_of(three)
    assert [row["round"] for row in records] == [2, 3]
    assert [row["gain"] for row in records] == pytest.approx([0.1, -0.05])
    stages = [(row["stage"], row.get("round")) for row in three.history_]
    order = list(dict.fromkeys(stages))
    expected = [("train", None), ("train", 2), ("round", 2), ("train", 3), ("round", 3)]
    again = [("retrain", None)] if retrain else []
    assert order == [*expected, *again, ("cft", None)]
    assert_allclose(output(three.to_torch(), X), three.decision_function(X), atol=1e-5)
    assert three.coef_.shape == (3, 16 if retrain == "average" else 8)


def test_every_further_round_is_measured_by_the_best(make_model, problem, monkeypatch):
    say_auc(monkeypatch, 0.5, 0.6, 0.8, 0.7)
    records = rounds_of(make_model(rounds=9).fit(*problem))
    assert [row["gain"] for row in records] == pytest.approx([0.1, 0.2, -0.1])


def mean_auc(scores):
    """Average the ROC AUC of categories, by half the harmonic mean of their labels."""
    auc = [roc_auc_score(y, logits) for _, y, logits, _ in scores.columns]
    counts = [(y.sum(), (~y).sum()) for _, y, _, _ in scores.columns]
    return np.average(auc, weights=[1 / (1 / p + 1 / n) for p, n in counts])


def test_the_gain_is_that_of_held_out_labels(make_model, problem, monkeypatch):
    X, y = problem
    choices = spy(monkeypatch, trainings, "fit_on_split")
    model = make_model(rounds=3, retrain=False).fit(X, y)
    auc = [mean_auc(choice.tuner.held_out_) for _, _, choice in choices]
    records = rounds_of(model)
    assert len(records) == len(auc) - 1 >= 1
    assert records[0]["gain"] == pytest.approx(auc[1] - auc[0])
    assert records[0]["gain"] != 0


@by_retrain
def test_fits_repeat(make_model, problem, monkeypatch, retrain):
    say_auc(monkeypatch, 0.5, 0.6, 0.7)
    one, two = (make_model(retrain=retrain, rounds=3).fit(*problem) for _ in range(2))
    assert_same_fit(one, two)
    assert one.history_ == two.history_


def test_networks_of_all_rounds_start_elsewhere(
    make_model, problem, monkeypatch, network_factory
):
    say_auc(monkeypatch, 0.5, 0.6, 0.7)
    made = spy(monkeypatch, stage_one, "fit_network")
    make_model(module=network_factory, learning_rate=1e-9, rounds=3).fit(*problem)
    weights = [call[2].network[0].weight for call in made]
    assert len(weights) == 4  # three rounds, and all labels
    for i, own in enumerate(weights):
        for other in weights[:i]:
            assert (own - other).abs().max() > 0.1


@pytest.mark.parametrize("changes", [{"train": False}, {"module": None}])
def test_rounds_need_a_training(make_model, problem, monkeypatch, changes):
    trained = spy(monkeypatch, stage_one, "fit_network")
    X, y = problem
    rule = (
        "`rounds` above 1 needs a `module` and train=True.*got rounds=3. Pass rounds=1"
    )
    with pytest.raises(ValueError, match=rule):
        make_model(rounds=3, **changes).fit(X, y, validation_data=(X, y))
    assert not trained


# ------------------------------------------------------------------------ soft targets
@pytest.mark.parametrize("solver", ["quick", "auto"])
def test_targets_come_from_fits_without_held_out_labels(
    make_model, problem, monkeypatch, solver, quick_tuner
):
    X, y = problem
    say_auc(monkeypatch, 0.5, 0.6, 0.4)
    honest = spy(monkeypatch, Choice, "weights_without_held_out")
    targets = spy(monkeypatch, trainings, "soft_targets")
    trained = spy(monkeypatch, trainings, "train_without_held_out")
    tuner = quick_tuner if solver == "quick" else CategoryWiseFineTuner()
    make_model(rounds=3, retrain=False, fine_tuner=tuner).fit(X, y)
    assert len(trained) == 3
    assert len(honest) == len(targets) == 2
    assert trained[0][1]["soft"] is None
    for number, (call, weights) in enumerate(zip(targets, honest, strict=True)):
        (logits, unknown, share, _), _, soft = call
        (choice,), _, (coef, intercept, *_) = weights
        Z = choice.features.Z
        assert_allclose(logits, Z @ coef.T + intercept, atol=1e-5)
        assert not np.allclose(coef, choice.tuner.coef_, rtol=1e-3)
        assert_array_equal(unknown, np.isnan(y))
        assert trained[number + 1][1]["soft"] is soft
        assert_array_equal(np.isnan(soft), ~np.isnan(y))
        assert_allclose(np.nanmean(soft, axis=0), share, atol=1e-5)


def test_known_labels_stay_as_they_are(make_model, problem, monkeypatch):
    """And held-out ones are trained on neither as labels nor as unknown ones."""
    X, y = problem
    say_auc(monkeypatch, 0.5, 0.6)
    made = spy(monkeypatch, stage_one, "fit_network")
    for unknown in ("negative", "auto"):
        made.clear()
        make_model(rounds=2, unknown=unknown).fit(X, y)
        first, second, last = (call[0][3] for call in made)
        is_unknown = np.isnan(y)
        if unknown == "negative":
            assert first.soft is None
            assert not first.values[is_unknown].any()
            held_out = np.isnan(first.values)
        else:
            held_out = np.isnan(first.values) & ~is_unknown
        assert held_out.any(axis=0).all()
        assert not (held_out & is_unknown).any()
        # Unknown cells are no negatives any more.
        assert_array_equal(np.isnan(second.values), is_unknown | held_out)
        assert second.unknown is last.unknown is None
        assert_array_equal(np.isnan(second.soft), ~is_unknown)
        assert_array_equal(last.values, y)
        assert np.all((last.soft[is_unknown] > 0) & (last.soft[is_unknown] < 1))


@pytest.mark.parametrize("best", [1, 2])
def test_the_last_training_takes_targets_of_the_best_round(
    make_model, problem, monkeypatch, best
):
    X, y = problem
    say_auc(monkeypatch, 0.5, 0.6 if best == 2 else 0.4, 0.1)
    choices, kept = spy(monkeypatch, trainings, "fit_on_split"), []
    original = Choice.take

    def take(choice, *arguments):
        kept.append((choice, copy.copy(choice.weights)))
        original(choice, *arguments)

    monkeypatch.setattr(Choice, "take", take)
    targets = spy(monkeypatch, trainings, "soft_targets")
    again = spy(monkeypatch, trainings, "train_on_all_labels")
    make_model(rounds=3).fit(X, y)
    ((arguments, keywords, _),) = again
    if best == 1:
        assert keywords["soft"] is None
        return
    assert len(targets) == 3  # two for rounds, one for this
    (logits, *_), _, soft = targets[-1]
    assert keywords["soft"] is soft
    ((choice, weights),) = kept
    assert choice is choices[1][2]
    # By weights that all labels were fitted to: none is held out any more.
    Z = choice.features.Z
    assert_allclose(logits, Z @ weights.coef.T + weights.intercept, atol=1e-5)
    assert arguments[1].network is not None


def test_values_of_validation_data_do_not_reach_a_second_round_as_labels(
    make_model, problem, monkeypatch
):
    X, y = problem
    say_auc(monkeypatch, 0.5, 0.6)
    made = spy(monkeypatch, stage_one, "fit_network")
    model = make_model(rounds=2)
    model.fit(X[:80], y[:80], validation_data=(X[80:], y[80:]))
    first, second, last = (call[0][3] for call in made)
    is_unknown = np.isnan(y)
    assert first.values.shape == second.soft.shape == (80, 3)
    assert_array_equal(np.isnan(second.soft), ~is_unknown[:80])
    # Their unknown cells have no probability, and are left out.
    assert last.values.shape == last.soft.shape == (120, 3)
    assert_array_equal(last.values, y)
    assert np.isnan(last.soft[80:]).all()
    assert_array_equal(np.isnan(last.soft[:80]), ~is_unknown[:80])
    assert_allclose(output(model.to_torch(), X), model.decision_function(X), atol=1e-5)
    assert len(rounds_of(model)) == 1


@by_retrain
@pytest.mark.parametrize("what", ["no positive", "no label"])
def test_a_category_whose_labels_are_all_held_out(make_model, problem, retrain, what):
    """The fits without held-out labels keep its initial weights."""
    X, y = problem
    X_val, y_val, y = X[80:], y[80:], y[:80].copy()
    y[(y[:, 1] == 1) | (what == "no label"), 1] = np.nan
    model = make_model(rounds=2, retrain=retrain, fine_tuner=CategoryWiseFineTuner())
    model.fit(X[:80], y, validation_data=(X_val, y_val))
    assert [line["status"] for line in model.report_] == ["refitted"] * 3
    assert np.isfinite(model.decision_function(X)).all()
    assert len(rounds_of(model)) == 1


@pytest.mark.parametrize("unknown", ["negative", "ignore", "hill"])
def test_every_treatment_has_rounds(make_model, problem, monkeypatch, unknown):
    X, y = problem
    say_auc(monkeypatch, 0.5, 0.6)
    one, two = (
        make_model(rounds=rounds, unknown=unknown, max_epochs=15).fit(X, y)
        for rounds in (1, 2)
    )
    assert two.score(X, y) > 0.75
    if unknown == "negative":  # its networks call too little positive
        assert output(two.module_, X).mean() > output(one.module_, X).mean()


def test_one_category_of_known_labels_has_nothing_to_soften(problem, quick_tuner):
    X, _ = problem
    y = np.where(X[:, 0] > 0, "yes", "no")
    network = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 1))
    model = CFTClassifier(
        network, fine_tuner=quick_tuner, max_epochs=4, rounds=2, random_state=0
    ).fit(X, y)
    assert len(rounds_of(model)) == 1
    assert np.isfinite(model.decision_function(X)).all()


# ------------------------------------------------------------------------- checkpoints
def test_every_round_has_folders_of_its_own(
    make_model, problem, monkeypatch, tmp_path, quick_tuner
):
    X, y = problem
    say_auc(monkeypatch, 0.5, 0.6, 0.7)
    plain = make_model(rounds=3).fit(X, y)
    tuner = clone(quick_tuner).set_params(checkpoint=tmp_path / "refits")
    model = make_model(
        rounds=3,
        trainer=NetworkTrainer(checkpoint=tmp_path / "epochs"),
        fine_tuner=tuner,
    ).fit(X, y)
    assert_same_fit(model, plain)

    def folders(root):
        return {each.name for each in root.iterdir() if each.is_dir()}

    assert folders(tmp_path / "epochs") == {"round 2", "round 3", "second of round 3"}
    assert folders(tmp_path / "refits") == {"round 2", "round 3"}
    for folder in ("", "round 2", "round 3"):
        stored = (tmp_path / "refits" / folder).glob("*.npz")
        assert len([path for path in stored if "-refit" not in path.name]) == 3
    assert model.fine_tuner.checkpoint == tmp_path / "refits"
    assert model.trainer.checkpoint == tmp_path / "epochs"


@pytest.mark.parametrize("n_saved", [2, 4, 7, 10])
def test_a_fit_that_was_stopped_goes_on(
    make_model, problem, monkeypatch, tmp_path, n_saved
):
    import cftlearn.training._loop as loop

    X, y = problem
    say_auc(monkeypatch, 0.5, 0.6, 0.7)
    expected = make_model(rounds=3).fit(X, y)
    original, saved = loop.save_state, []

    def save_and_die(path, state):
        original(path, state)
        saved.append(path)
        if len(saved) == n_saved:
            raise KeyboardInterrupt

    model = make_model(rounds=3, trainer=NetworkTrainer(checkpoint=tmp_path / "c"))
    with monkeypatch.context() as patched:
        patched.setattr(loop, "save_state", save_and_die)
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, y)
    assert saved[-1].parent.name == {2: "c", 4: "round 2", 7: "round 3"}.get(
        n_saved, "second of round 3"
    )
    assert_same_fit(model.fit(X, y), expected)
    assert model.history_ == expected.history_


# ----------------------------------------------------------------------- parameters
@pytest.mark.parametrize("rounds", [0, 1.5, "2", None])
def test_wrong_rounds_are_named(make_model, problem, rounds):
    with pytest.raises(ValueError, match="The 'rounds' parameter"):
        make_model(rounds=rounds).fit(*problem)


def test_the_published_recipe(network_factory):
    network = network_factory()
    model = CFTClassifier.published(network)
    tuner = model.fine_tuner
    changed = {"module": network, "unknown": "negative", "retrain": False}
    expected = CFTClassifier().get_params(deep=False) | changed
    assert model.get_params(deep=False) == expected | {"fine_tuner": tuner}
    expected = CategoryWiseFineTuner().get_params(deep=False)
    expected |= {"solver": tuner.solver, "objective": "roc_auc", "refit": False}
    assert tuner.get_params(deep=False) == expected
    assert type(tuner.solver) is GeneticSolver
    assert tuner.solver.get_params() == GeneticSolver.published().get_params()
    other = CFTClassifier.published(network, objective="average_precision")
    assert other.fine_tuner.objective == "average_precision"
    assert other.fine_tuner is not tuner


def test_the_published_recipe_can_be_changed(network_factory):
    tuner = CategoryWiseFineTuner("proximal")
    model = CFTClassifier.published(
        network_factory, unknown="ignore", max_epochs=7, fine_tuner=tuner, rounds=2
    )
    assert (model.unknown, model.max_epochs, model.rounds) == ("ignore", 7, 2)
    assert model.retrain is False
    assert model.fine_tuner is tuner
    copied = clone(model)
    assert copied.get_params()["fine_tuner__solver"] == "proximal"
    assert copied.get_params()["unknown"] == "ignore"
    with pytest.raises(TypeError, match="n_epochs"):
        CFTClassifier.published(network_factory, n_epochs=7)


def test_the_published_recipe_fits(network_factory, problem):
    X, y = problem
    model = CFTClassifier.published(network_factory(), max_epochs=3, random_state=0)
    model = clone(model).set_params(fine_tuner__solver__n_generations=5)
    assert model.fine_tuner.solver.population_size == 50
    model.fit(X[:80], y[:80], validation_data=(X[80:], y[80:]))
    assert {row["stage"] for row in model.history_} == {"train", "cft"}
    # The best weights on held-out labels are kept as they are.
    held_out = y[80:]
    for j, line in enumerate(model.report_):
        known = ~np.isnan(held_out[:, j])
        logits = model.decision_function(X[80:])[known, j]
        assert roc_auc_score(held_out[known, j], logits) == pytest.approx(
            line["roc_auc_after"]
        )


# -------------------------------------------------------------- logits before the refit
def test_initial_logits_of_features_are_regressions(problem, quick_tuner):
    X, y = problem
    model = CFTClassifier(fine_tuner=quick_tuner, random_state=0)
    model.fit(X[:80], y[:80], validation_data=(X[80:], y[80:]))
    initial = model.decision_function(X, initial=True)
    assert initial.shape == (120, 3)
    assert not np.allclose(initial, model.decision_function(X), atol=1e-2)
    for own, target in zip(initial.T, np.nan_to_num(y[:80]).T, strict=True):
        # Whatever the penalty, they rank as a regression of Negative mode does.
        oracle = LogisticRegression().fit(X[:80], target).decision_function(X)
        assert np.corrcoef(own, oracle)[0, 1] > 0.95


@by_retrain
@pytest.mark.parametrize("rounds", [1, 2])
def test_initial_logits_are_the_output_of_the_network(
    make_model, problem, monkeypatch, tmp_path, retrain, rounds
):
    X, y = problem
    say_auc(monkeypatch, 0.5, 0.6)
    model = make_model(retrain=retrain, rounds=rounds, batch_size=7).fit(X, y)
    before = model.coef_.copy()
    initial = model.decision_function(X, initial=True)
    assert initial.shape == (120, 3)
    assert_allclose(initial, output(model.module_, X), atol=1e-5)
    refitted = model.decision_function(X)
    assert not np.allclose(initial, refitted, atol=1e-2)
    assert_allclose(refitted, output(model.to_torch(), X), atol=1e-5)
    assert_array_equal(model.coef_, before)
    loaded = load_model(save_model(model, tmp_path / "model"), module=model.module)
    assert_array_equal(loaded.decision_function(X, initial=True), initial)


def test_initial_logits_of_a_trained_network(make_model, problem):
    X, y = problem
    model = make_model(train=False)
    model.fit(X[:80], y[:80], validation_data=(X[80:], y[80:]))
    initial = model.decision_function(X, initial=True)
    assert_allclose(initial, output(model.module, X), atol=1e-5)


@pytest.mark.parametrize("has_network", [False, True])
def test_initial_logits_of_one_category(problem, has_network):
    X, _ = problem
    y = np.where(X[:, 0] > 0, "yes", "no")
    network = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 1))
    model = CFTClassifier(
        network if has_network else None,
        fine_tuner=CategoryWiseFineTuner(GradientSolver(max_epochs=5)),
        max_epochs=2,
        retrain=False,
        random_state=0,
    ).fit(X, y)
    initial = model.decision_function(X, initial=True)
    assert initial.shape == (120,)
    if has_network:
        assert_allclose(initial, output(model.module_, X)[:, 0], atol=1e-5)


def test_a_checkpoint_of_one_round_is_continued_by_more(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 5)).astype(np.float32)
    y = (X[:, :2] > 0).astype(float)
    y[rng.random(y.shape) < 0.5] = np.nan
    model = CFTClassifier(nn.Linear(5, 2), max_epochs=1, random_state=0)
    expected = clone(model).set_params(rounds=2).fit(X, y)
    model.set_params(trainer=NetworkTrainer(checkpoint=tmp_path / "kept"))
    model.fit(X, y)
    model.set_params(rounds=2).fit(X, y)
    assert_array_equal(model.coef_, expected.coef_)
