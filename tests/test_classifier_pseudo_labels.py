"""Pseudo-labels in a fit: where they train, and that they do nothing else."""

import functools

import numpy as np
import pytest
import sklearn
from classifier_parts import spy
from numpy.testing import assert_array_equal
from sklearn.model_selection import GridSearchCV, cross_validate
from torch import nn

import cftlearn.classifier._network_fit as trainings
import cftlearn.classifier._preparation as preparation
import cftlearn.training._trainings as stage_one
from cftlearn import CategoryWiseFineTuner, load_model, save_model
from cftlearn.datasets import LabelTable
from cftlearn.metrics import partial_roc_auc_score, partial_roc_auc_scorer
from cftlearn.model_selection import PartialLabelKFold
from cftlearn.training import LogicMix, NetworkTrainer, PartialMixUp, PseudoLabels

RETRAIN = [False, True, "average"]
NAN = np.nan


@pytest.fixture
def problem(partial_problem):
    """Inputs, labels, and pseudo-labels of a half of the unknown cells."""
    Z, y, y_full = partial_problem
    rng = np.random.default_rng(1)
    has_one = np.isnan(y) & (rng.random(y.shape) < 0.5)
    pseudo = np.where(has_one, 0.8 * y_full + 0.1, NAN)
    return Z.astype(np.float32), y, pseudo


def same_fit(one, other):
    return all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("coef_", "intercept_")
    )


def targets_of(calls):
    return [call[0][3] for call in calls]


# --------------------------------------------------------------- where they train
@pytest.mark.parametrize("retrain", RETRAIN)
@pytest.mark.parametrize("unknown", ["auto", "ignore", "negative", "hill"])
def test_they_train_the_network_in_place_of_a_treatment(
    make_model, problem, monkeypatch, unknown, retrain
):
    X, y, pseudo = problem
    made = spy(monkeypatch, stage_one, "fit_network")
    sampled = spy(monkeypatch, stage_one, "sample_unknown")
    weight = np.linspace(0.1, 2, len(X))
    model = make_model(unknown=unknown, retrain=retrain)
    model.fit(X, y, pseudo_labels=pseudo, pseudo_weight=weight)
    both = targets_of(made)
    assert len(both) == (2 if retrain else 1)
    has_one = ~np.isnan(pseudo)
    # With "auto" a part of the unknown cells only estimates rates.
    left_out = sampled[0][2] if unknown == "auto" else np.zeros_like(has_one)
    for targets in both:
        kept = has_one & ~left_out if targets is both[0] else has_one
        assert kept.sum() > 20
        expected = np.where(kept, pseudo, NAN).astype(np.float32)
        assert_array_equal(targets.pseudo, expected)
        expected = np.where(kept, weight[:, None], 0).astype(np.float32)
        assert_array_equal(targets.pseudo_weight, expected)
        assert np.isnan(targets.values[kept]).all()
        if targets.unknown is not None:
            assert not targets.unknown[kept].any()
            assert targets.unknown.any()
        if unknown == "negative":
            assert (targets.values[np.isnan(y) & ~has_one] == 0).all()
    if unknown == "auto":
        assert (left_out & has_one).sum() > 10
    if retrain:  # all known labels are what they are
        known = ~np.isnan(y)
        assert_array_equal(both[1].values[known], y[known])


@pytest.mark.parametrize("share", [0.25, 0.6])
def test_cells_held_out_with_their_group_stay_unseen(
    make_model, problem, monkeypatch, share
):
    X, y, pseudo = problem
    groups = np.arange(len(X)) // 4
    made = spy(monkeypatch, stage_one, "fit_network")
    chosen = spy(monkeypatch, trainings, "fit_on_split")
    model = make_model(unknown="ignore", validation_fraction=share)
    model.fit(X, y, groups=groups, pseudo_labels=pseudo)
    first, second = targets_of(made)
    split = chosen[0][0][3]
    unseen = split.cells_held_out()
    assert (unseen & ~np.isnan(pseudo)).sum() > 10
    assert np.isnan(first.pseudo[unseen]).all()
    assert not first.pseudo_weight[unseen].any()
    others = np.where(unseen, NAN, pseudo).astype(np.float32)
    assert_array_equal(first.pseudo, others)
    assert_array_equal(second.pseudo, pseudo.astype(np.float32))


def test_they_never_judge_and_no_refit_takes_them(make_model, problem, monkeypatch):
    X, y, pseudo = problem
    splits = spy(monkeypatch, trainings, "fit_on_split")
    plain = make_model(calibration="sigmoid").fit(X, y)
    model = make_model(calibration="sigmoid").fit(X, y, pseudo_labels=pseudo)
    (one, _, _), (other, _, _) = splits
    for own, same in zip(one[3].fitted, other[3].fitted, strict=True):
        assert_array_equal(own, same)
    for own, same in zip(one[3].held_out, other[3].held_out, strict=True):
        assert_array_equal(own, same)
    counts = ("n_positive", "n_negative", "n_unknown")
    for line, same in zip(model.report_, plain.report_, strict=True):
        assert [line[name] for name in counts] == [same[name] for name in counts]
    assert not same_fit(model, plain)  # but the network is another one
    for line, same in zip(
        model.calibrator_.report_, plain.calibrator_.report_, strict=True
    ):
        assert line["n_positive"] == same["n_positive"]


def test_validation_rows_have_none(make_model, problem, monkeypatch):
    X, y, pseudo = problem
    made = spy(monkeypatch, stage_one, "fit_network")
    model = make_model()
    model.fit(X[:80], y[:80], X_val=X[80:], y_val=y[80:], pseudo_labels=pseudo[:80])
    first, second = targets_of(made)
    assert first.pseudo.shape == (80, 3)
    assert_array_equal(second.pseudo[:80], pseudo[:80].astype(np.float32))
    assert np.isnan(second.pseudo[80:]).all()
    assert not second.pseudo_weight[80:].any()


def test_every_fold_has_its_own(make_model, problem, monkeypatch):
    X, y, pseudo = problem
    made = spy(monkeypatch, stage_one, "fit_network")
    tuner = CategoryWiseFineTuner(cross_fit=2)
    make_model(fine_tuner=tuner, unknown="ignore").fit(X, y, pseudo_labels=pseudo)
    assert len(made) == 3
    for targets in targets_of(made):
        assert_array_equal(targets.pseudo, pseudo.astype(np.float32))


# ---------------------------------------------------------------- what they change
@pytest.mark.parametrize("what", ["none", "no weight", "not a number"])
def test_without_any_that_counts_a_fit_is_as_before(make_model, problem, what):
    X, y, pseudo = problem
    given = {
        "none": {"pseudo_labels": None},
        "no weight": {"pseudo_labels": pseudo, "pseudo_weight": 0},
        "not a number": {"pseudo_labels": pseudo * NAN},
    }
    assert same_fit(make_model().fit(X, y, **given[what]), make_model().fit(X, y))


def test_right_ones_help_and_wrong_ones_harm(make_model, partial_problem):
    Z, _, y_full = partial_problem
    X = Z.astype(np.float32)
    rng = np.random.default_rng(0)
    y = np.where(rng.random(y_full.shape) < 0.75, NAN, y_full)
    auc = []
    for right in (1, NAN, 0):
        wanted = y_full if right else 1 - y_full
        pseudo = np.where(np.isnan(y), wanted, NAN) + 0 * right
        model = make_model(max_epochs=40, unknown="ignore", retrain=False)
        model.fit(X[:80], y[:80], pseudo_labels=pseudo[:80])
        logits = model.decision_function(X[80:], initial=True)
        auc.append(partial_roc_auc_score(y_full[80:], logits))
    assert auc[0] > auc[1] + 0.02 > auc[2] + 0.2


def test_soft_labels_of_a_table_are_trained_on(make_model, problem, monkeypatch):
    """The recipe for CheXpert: uncertain cells are unknown, and have soft labels."""
    X, _, _ = problem
    states = np.random.default_rng(0).integers(4, size=(120, 3)).astype(np.uint8)
    names = np.array(["a", "b", "c"], dtype=object)
    paths = np.array([f"{i}.jpg" for i in range(120)], dtype=object)
    table = LabelTable(paths, states, names, {})
    made = spy(monkeypatch, stage_one, "fit_network")
    soft = table.soft_labels(uncertain={"a": "positive"}, random_state=0)
    make_model(unknown="ignore").fit(X, table.labels(), pseudo_labels=soft)
    pseudo = targets_of(made)[0].pseudo
    assert_array_equal(~np.isnan(pseudo[:, 0]), states[:, 0] == 3)
    assert np.isnan(pseudo[:, 1:]).all()
    assert np.nanmin(pseudo) >= 0.55


@pytest.mark.parametrize("other", ["pseudo_labels", "pseudo_weight"])
def test_a_checkpoint_is_of_one_table_of_them(make_model, problem, tmp_path, other):
    X, y, pseudo = problem
    model = make_model(trainer=NetworkTrainer(checkpoint=tmp_path / "c"))
    model.fit(X, y, pseudo_labels=pseudo, pseudo_weight=0.5)
    changed = {"pseudo_labels": pseudo, "pseudo_weight": 0.5}
    changed[other] = changed[other] * 0.5
    with pytest.raises(ValueError, match=r"labels"):
        model.fit(X, y, **changed)


# ------------------------------------------------------------------ how they get there
@pytest.mark.parametrize("by_row", [False, True])
def test_a_search_takes_those_of_its_rows(make_model, problem, monkeypatch, by_row):
    X, y, pseudo = problem
    read = spy(monkeypatch, preparation, "read_pseudo_labels")
    weight = np.linspace(0.5, 1, 120) if by_row else 0.5
    given = {"pseudo_labels": pseudo, "pseudo_weight": weight}
    with sklearn.config_context(enable_metadata_routing=True):
        model = make_model(max_epochs=1, retrain=False)
        model.set_fit_request(pseudo_labels=True, pseudo_weight=True)
        search = GridSearchCV(
            model,
            {"learning_rate": [0.01]},
            cv=PartialLabelKFold(3),
            scoring=partial_roc_auc_scorer,
        ).fit(X, y, **given)
        cross_validate(
            model,
            X,
            y,
            cv=PartialLabelKFold(3),
            scoring=partial_roc_auc_scorer,
            params=given,
        )
    assert np.isfinite(search.best_score_)
    assert len(read) == 7
    n_rows = 0
    for (own, own_weight, own_y, labels), _, targets in read:
        assert len(own) == len(own_y) == len(labels.values)
        if by_row:
            assert len(own_weight) == len(own)
        rows = [np.flatnonzero((y == row).all(axis=1) | _same(y, row)) for row in own_y]
        assert all(len(each) for each in rows)
        for row, values in zip(rows, own, strict=True):
            assert any(np.array_equal(pseudo[i], values, equal_nan=True) for i in row)
        assert targets is not None
        n_rows += len(own)
    assert n_rows == 120 + 2 * 2 * 120


def _same(y, row):
    return ((y == row) | (np.isnan(y) & np.isnan(row))).all(axis=1)


# --------------------------------------------------------------------------- rounds
def say_auc(monkeypatch, *by_round):
    told = property(lambda self: by_round[self.number - 1])
    monkeypatch.setattr(trainings.Round, "held_out_auc", told)


RULES = {
    "threshold": PseudoLabels("threshold", threshold=0.7, weight=0.5),
    "top_share": PseudoLabels("top_share", share=0.2),
    "pooled": PseudoLabels("top_share", share=0.2, per="all"),
    "adaptive": PseudoLabels("adaptive", error=0.3),
    "positives": PseudoLabels("threshold", threshold=0.6, positive_only=True),
}


@pytest.mark.parametrize(
    ("rule", "unknown"),
    [
        *((rule, "auto") for rule in RULES),
        ("threshold", "negative"),
        ("pooled", "hill"),
    ],
)
def test_rounds_are_trained_on_what_a_rule_chooses(
    make_model, problem, monkeypatch, rule, unknown
):
    X, y, _ = problem
    say_auc(monkeypatch, 0.5, 0.6)
    made = spy(monkeypatch, stage_one, "fit_network")
    chosen = spy(monkeypatch, trainings, "choose_targets")
    trainer = NetworkTrainer(pseudo_labels=RULES[rule])
    model = make_model(rounds=2, unknown=unknown, trainer=trainer, max_epochs=15)
    model.fit(X, y)
    first, second, last = targets_of(made)
    assert first.pseudo is None
    (record,) = [line for line in model.history_ if line["stage"] == "round"]
    assert record == {
        "stage": "round",
        "round": 2,
        "n_pseudo_labels": chosen[0][2].n_chosen,
        "gain": pytest.approx(0.1),
    }
    for targets, call in zip((second, last), chosen, strict=True):
        cells = targets.pseudo_weight > 0
        assert 0 < cells.sum() < np.isnan(y).sum()
        assert not cells[~np.isnan(y)].any()
        assert set(np.unique(targets.pseudo[cells])) <= {0.0, 1.0}
        assert set(np.unique(targets.pseudo_weight[cells])) == {RULES[rule].weight}
        assert_array_equal(targets.pseudo, call[2].pseudo.values)
        assert targets.soft is None
        # Other unknown cells keep their treatment.
        rest = np.isnan(y) & ~cells
        if unknown == "negative":
            assert (targets.values[rest] == 0).all()
        else:  # also with "auto", whose rates are those of the first round
            assert_array_equal(targets.unknown, rest)
    assert_array_equal(last.values[~np.isnan(y)], y[~np.isnan(y)])


def test_a_rule_chooses_by_calibrated_probabilities(make_model, problem, monkeypatch):
    X, y, _ = problem
    say_auc(monkeypatch, 0.5, 0.6)
    made = spy(monkeypatch, stage_one, "fit_network")
    soft = spy(monkeypatch, trainings, "soft_targets")
    trainer = NetworkTrainer(pseudo_labels="threshold")
    make_model(rounds=2, trainer=trainer, max_epochs=15).fit(X, y)
    expected = PseudoLabels("threshold").select(soft[0][2], y)
    assert_array_equal(targets_of(made)[1].pseudo, expected.astype(np.float32))


@pytest.mark.parametrize("has_others", [False, True])
def test_adaptive_thresholds_compare_with_held_out_labels(
    make_model, problem, monkeypatch, has_others
):
    X, y, _ = problem
    say_auc(monkeypatch, 0.5, 0.6)
    made = spy(monkeypatch, stage_one, "fit_network")
    honest = spy(monkeypatch, trainings.Choice, "weights_without_held_out")
    rule = PseudoLabels("adaptive", error=0.3)
    model = make_model(
        rounds=2, trainer=NetworkTrainer(pseudo_labels=rule), max_epochs=15
    )
    rows = slice(70) if has_others else slice(None)
    others = {"X_val": X[70:], "y_val": y[70:]} if has_others else {}
    model.fit(X[rows], y[rows], **others)
    (choice,), _, weights = honest[0]
    Z = choice.features.Z
    logits = Z @ weights.coef.T + weights.intercept
    if has_others:
        more = choice.features.Z_val @ weights.coef.T + weights.intercept
        logits, held_out = np.vstack([logits, more]), y[70:]
        held_out = np.vstack([y[:70] * NAN, held_out])
    else:
        held_out = choice.split.held_out.values
    scores = np.argsort(np.argsort(logits, axis=0), axis=0) / len(logits)
    expected = rule.select(scores, held_out)
    expected = np.where(np.isnan(y[rows]), expected[rows], NAN)
    found = targets_of(made)[1].pseudo
    assert (~np.isnan(found)).sum() > 10
    assert_array_equal(found, expected.astype(np.float32))


@pytest.mark.parametrize("rule", ["soft", "threshold"])
def test_those_from_outside_stay_in_every_round(make_model, problem, monkeypatch, rule):
    X, y, pseudo = problem
    say_auc(monkeypatch, 0.5, 0.6)
    made = spy(monkeypatch, stage_one, "fit_network")
    trainer = NetworkTrainer(pseudo_labels=rule)
    model = make_model(rounds=2, trainer=trainer, unknown="ignore", max_epochs=15)
    model.fit(X, y, pseudo_labels=pseudo, pseudo_weight=0.25)
    outside = ~np.isnan(pseudo)
    for targets in targets_of(made):
        assert_array_equal(targets.pseudo[outside], pseudo[outside].astype(np.float32))
        assert (targets.pseudo_weight[outside] == 0.25).all()
    further = targets_of(made)[1]
    if rule == "soft":
        assert_array_equal(np.isnan(further.soft), ~np.isnan(y) | outside)
    else:
        assert (further.pseudo_weight == 1).sum() > 0


def test_rounds_end_where_nothing_is_chosen(make_model, problem):
    X, y, _ = problem
    trainer = NetworkTrainer(pseudo_labels=PseudoLabels("threshold", threshold=1.0))
    model = make_model(rounds=3, trainer=trainer).fit(X, y)
    (record,) = [line for line in model.history_ if line["stage"] == "round"]
    expected = {"stage": "round", "round": 2, "n_pseudo_labels": 0, "gain": 0.0}
    assert record == expected
    assert same_fit(model, make_model().fit(X, y))


def test_the_default_is_soft(make_model, problem):
    X, y, _ = problem
    expected = make_model(rounds=2).fit(X, y)
    for given in ("soft", PseudoLabels()):
        model = make_model(rounds=2, trainer=NetworkTrainer(pseudo_labels=given))
        model.fit(X, y)
        assert same_fit(model, expected)
        assert model.history_ == expected.history_


# ----------------------------------------------------------------- kept with a model
@pytest.mark.parametrize(
    "finer",
    [
        {"pseudo_labels": PseudoLabels("threshold", threshold=(0.1, 0.8))},
        {"pseudo_labels": "top_share", "mix": "logic"},
        {"mix": LogicMix(0.3, k_max=5)},
        {"mix": PartialMixUp(0.6)},
    ],
    ids=["pair", "names", "logic", "mixup"],
)
def test_a_saved_model_keeps_them(make_model, problem, tmp_path, finer):
    X, y, pseudo = problem
    model = make_model(trainer=NetworkTrainer(**finer))
    model.fit(X, y, pseudo_labels=pseudo)
    loaded = load_model(save_model(model, tmp_path / "m"), module=model.module)
    for name, value in finer.items():
        kept = getattr(loaded.trainer, name)
        if isinstance(value, str):
            assert kept == value
        else:
            assert type(kept) is type(value)
            assert kept.get_params() == value.get_params()
    assert_array_equal(loaded.decision_function(X), model.decision_function(X))


@pytest.mark.parametrize("mix", ["logic", "mixup"])
@pytest.mark.parametrize("n_saved", [2, 5])
def test_a_training_on_mixtures_goes_on_bit_for_bit(
    make_model, problem, monkeypatch, tmp_path, mix, n_saved
):
    import cftlearn.training._loop as loop

    X, y, pseudo = problem
    network = nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 3)
    )
    make_model = functools.partial(make_model, module=network, batch_size=16)
    expected = make_model(trainer=NetworkTrainer(mix=mix))
    expected.fit(X, y, pseudo_labels=pseudo)
    assert not same_fit(expected, make_model().fit(X, y, pseudo_labels=pseudo))
    original, saved = loop.save_state, []

    def save_and_die(path, state):
        original(path, state)
        saved.append(path)
        if len(saved) == n_saved:
            raise KeyboardInterrupt

    trainer = NetworkTrainer(mix=mix, checkpoint=tmp_path / "c")
    model = make_model(trainer=trainer)
    with monkeypatch.context() as patched:
        patched.setattr(loop, "save_state", save_and_die)
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, y, pseudo_labels=pseudo)
    model.fit(X, y, pseudo_labels=pseudo)
    assert same_fit(model, expected)
    model.set_params(trainer__mix=PartialMixUp(0.9))
    with pytest.raises(ValueError, match="trainer"):
        model.fit(X, y, pseudo_labels=pseudo)


def test_a_label_of_weight_zero_is_unknown_to_pseudo_labels(make_model, problem):
    X, y, pseudo = problem
    row, j = np.argwhere(~np.isnan(y))[0]
    weights = np.ones(y.shape)
    weights[row, j] = 0.0
    pseudo[row, j] = 0.6
    y_without = y.copy()
    y_without[row, j] = NAN
    weighted = make_model().fit(X, y, pseudo_labels=pseudo, sample_weight=weights)
    assert same_fit(weighted, make_model().fit(X, y_without, pseudo_labels=pseudo))
    with pytest.raises(ValueError, match="must be NaN where `y` is known"):
        make_model().fit(X, y, pseudo_labels=pseudo)
