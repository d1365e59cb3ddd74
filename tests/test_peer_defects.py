"""What goes wrong in other packages, by name, and what cftlearn does there.

The defects were found in mlcpl 0.1.7, LibAUC 2.0.1, torchmetrics 1.9, scikit-learn 1.9,
skorch 1.4, iterative-stratification, and the code of papers. No test needs one of them,
apart from scikit-learn. What concerns one loss on unknown labels alone is tested with
that loss.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import GridSearchCV
from torch import nn

from cftlearn import CategoryWiseFineTuner, CFTClassifier
from cftlearn.calibration import CategoryCalibrator
from cftlearn.datasets import load_chexpert, load_voc
from cftlearn.exceptions import NonFiniteLossError, UndefinedCategoryWarning
from cftlearn.labels import LabelState, check_partial_labels, hide_labels
from cftlearn.losses import (
    LargeLoss,
    PartialBCEWithLogitsLoss,
    PartialLoss,
    PartialStrictlyProperLoss,
    SelectiveLoss,
    SelfPacedCorrectionLoss,
    available,
    make_loss,
)
from cftlearn.metrics import (
    partial_average_precision_score,
    partial_log_loss,
    partial_roc_auc_score,
    partial_roc_auc_scorer,
)
from cftlearn.model_selection import PartialLabelKFold, cross_val_predict
from cftlearn.solvers import GeneticSolver, GradientSolver, ProximalSolver

DATA = Path(__file__).parent / "data"
NAN = float("nan")
QUICK = {"max_epochs": 2, "random_state": 0, "device": "cpu"}


def loss_and_gradient(loss, logits, target):
    logits = torch.tensor(logits, dtype=torch.float32, requires_grad=True)
    value = loss(logits, torch.tensor(target, dtype=torch.float32))
    (gradient,) = torch.autograd.grad(value, logits)
    return float(value.detach()), gradient.numpy()


# mlcpl: losses


@pytest.mark.parametrize("name", available())
@pytest.mark.parametrize("size", [16.5, 17.0, 100.0, 200.0])
def test_mlcpl_a_logit_above_16_has_a_gradient_that_is_nan(name, size):
    """Right, wrong or unknown: log(sigmoid(x)) has no gradient there."""
    logits = [[size, size, size], [-size, -size, -size]]
    target = [[1, 0, NAN], [1, 0, NAN]]
    value, gradient = loss_and_gradient(make_loss(name), logits, target)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()
    assert (gradient[:, 2] == 0).all()
    assert gradient[1, 0] < 0.0  # a wrong one is corrected


def test_mlcpl_a_wrong_and_certain_logit_has_an_infinite_loss():
    value, _ = loss_and_gradient(PartialBCEWithLogitsLoss(), [[-200.0]], [[1.0]])
    assert value == 200.0


@pytest.mark.parametrize("name", available())
def test_mlcpl_a_batch_without_a_known_label_is_nan(name):
    value, gradient = loss_and_gradient(make_loss(name), [[3.0, -3.0]], [[NAN, NAN]])
    assert value == 0.0
    assert (gradient == 0.0).all()


@pytest.mark.parametrize("name", available())
def test_mlcpl_a_target_of_minus_1_trains_as_very_negative(name):
    with pytest.raises(ValueError, match=r"must hold labels in \[0, 1\] or NaN"):
        make_loss(name)(torch.zeros(1, 2), torch.tensor([[-1.0, 1.0]]))


@pytest.mark.parametrize("true", [0.02, 0.1, 0.3, 0.5, 0.7, 0.95])
def test_mlcpl_the_strictly_proper_loss_has_its_optimum_elsewhere(true):
    """Squashed twice, .1 is estimated as .20 and .3 as .63."""
    loss = PartialStrictlyProperLoss(reduction="none")
    logits = torch.linspace(-20, 20, 40_001, dtype=torch.float64)
    positive, negative = (loss(logits, torch.full_like(logits, k)) for k in (1.0, 0.0))
    best = (true * positive + (1 - true) * negative).argmin()
    assert float(loss.predict_proba(logits[best])) == pytest.approx(true, abs=2e-3)


# Losses on unknown labels


def test_large_loss_a_share_of_all_cells_drops_known_ones():
    """More cells are to be dropped than are unknown: only those are."""
    loss = LargeLoss("rejection", share_per_epoch=1.0)
    loss.set_epoch(5, 10)
    logits = torch.full((4, 4), 3.0, requires_grad=True)
    target = torch.zeros(4, 4)
    target[0, 0] = NAN
    joined = PartialLoss(PartialBCEWithLogitsLoss(), loss)
    joined.set_epoch(5, 10)
    (gradient,) = torch.autograd.grad(joined(logits, target), logits)
    assert gradient[0, 0] == 0.0
    assert (gradient.flatten()[1:] > 0).all()


def test_splc_known_negatives_become_positives():
    """Where the network is sure of a positive, only an unknown label becomes one."""
    loss = SelfPacedCorrectionLoss()
    loss.set_epoch(5, 10)
    logits = torch.tensor([[8.0, 8.0]], requires_grad=True)
    joined = PartialLoss(PartialBCEWithLogitsLoss(), loss)
    joined.set_epoch(5, 10)
    value = joined(logits, torch.tensor([[0.0, NAN]]))
    (gradient,) = torch.autograd.grad(value, logits)
    assert gradient[0, 0] > 0.0  # toward a negative
    assert gradient[0, 1] < 0.0  # toward a positive


def test_csl_the_surest_cells_are_chosen_among_unknown_ones():
    loss = SelectiveLoss(prior=[0.01] * 3, top=1, gamma=0.0)
    logits = torch.tensor([[9.0, 2.0, 1.0]], requires_grad=True)
    (gradient,) = torch.autograd.grad(
        loss(logits, torch.tensor([[0.0, NAN, NAN]])), logits
    )
    assert gradient[0, 0] == gradient[0, 1] == 0.0
    assert gradient[0, 2] > 0.0


# mlcpl: the genetic algorithm, and fine-tuning


def share_right(y_true, y_score):
    """Return the share of right signs, which depends on the bias."""
    return float(np.mean((y_score > 0) == (y_true == 1)))


@pytest.fixture
def shifted_problem():
    """Return features, labels and weights of which only the biases are wrong."""
    rng = np.random.default_rng(0)
    Z = rng.standard_normal((300, 2))
    y = (Z > 0.0).astype(float)
    y[rng.random(y.shape) < 0.3] = np.nan
    return Z, y, np.eye(2), np.full(2, 0.6)


@pytest.mark.parametrize("solver", [GeneticSolver(), GeneticSolver.published()])
def test_mlcpl_the_bias_of_the_best_individual_is_lost(shifted_problem, solver):
    Z, y, coef, intercept = shifted_problem
    solver.set_params(n_generations=100, patience=100, mutation_scale=0.05)
    tuner = CategoryWiseFineTuner(
        solver,
        objective=share_right,
        coef_init=coef,
        intercept_init=intercept,
        refit=False,
        random_state=0,
        device="cpu",
    ).fit(Z, y)
    assert (tuner.intercept_ != intercept).any()
    logits = Z @ tuner.coef_.T + tuner.intercept_
    np.testing.assert_array_equal(logits, tuner.transform(Z))


def negative_log_loss(y_true, y_score):
    """Return a score that is never above 0."""
    return -float(np.mean(np.logaddexp(0, np.where(y_true == 1, -y_score, y_score))))


def test_mlcpl_a_fitness_below_0_or_nan_ends_in_a_crash(shifted_problem):
    Z, y, coef, intercept = shifted_problem
    tuner = CategoryWiseFineTuner(
        GeneticSolver(n_generations=20),
        objective=negative_log_loss,
        coef_init=coef,
        intercept_init=intercept,
        random_state=0,
        device="cpu",
    ).fit(Z, y)
    for line in tuner.report_:
        assert line["status"] in ("refitted", "kept")
        assert np.isfinite(tuner.coef_).all()


def test_mlcpl_a_category_of_one_class_is_left_without_a_word(shifted_problem):
    Z, y, coef, intercept = shifted_problem
    y[y[:, 1] == 0, 1] = np.nan
    tuner = CategoryWiseFineTuner(
        GradientSolver(max_epochs=5),
        coef_init=coef,
        intercept_init=intercept,
        random_state=0,
    )
    with pytest.warns(UndefinedCategoryWarning, match="keeps its initial weights: '1'"):
        tuner.fit(Z, y)
    assert tuner.report_[1]["status"] == "skipped"
    assert "negative" in tuner.report_[1]["reason"]
    np.testing.assert_array_equal(tuner.coef_[1], coef[1])


def test_mlcpl_no_seed_makes_a_run_the_same_again(shifted_problem):
    Z, y, coef, intercept = shifted_problem

    def fitted():
        return CategoryWiseFineTuner(
            GeneticSolver(n_generations=10),
            coef_init=coef,
            intercept_init=intercept,
            random_state=3,
        ).fit(Z, y)

    torch.rand(3)
    first = fitted()
    np.random.rand(3)
    np.testing.assert_array_equal(first.coef_, fitted().coef_)


def test_mlcpl_the_defaults_crash():
    """No metric, no optimizer and a GPU: there, all three have to be passed."""
    rng = np.random.default_rng(0)
    Z = rng.standard_normal((60, 3))
    CategoryWiseFineTuner(ProximalSolver(), random_state=0).fit(Z, (Z > 0) * 1)


def test_mlcpl_every_epoch_is_printed(capsys, shifted_problem):
    Z, y, *_ = shifted_problem
    CategoryWiseFineTuner(GradientSolver(max_epochs=3), random_state=0).fit(Z, y)
    CFTClassifier(nn.Sequential(nn.Linear(2, 2)), **QUICK).fit(Z, y)
    assert capsys.readouterr() == ("", "")


# mlcpl: metrics


def test_mlcpl_probabilities_are_squashed_again_for_calibration(closed_figures):
    pytest.importorskip("matplotlib", reason="the plots extra")
    from cftlearn.displays import ReliabilityDisplay

    y = np.array([[1.0], [0.0], [NAN], [1.0], [0.0]])
    perfect = np.nan_to_num(y, nan=0.5)
    display = ReliabilityDisplay.from_predictions(y, perfect, strategy="uniform")
    np.testing.assert_array_equal(display.prob_pred, display.prob_true)
    assert partial_log_loss(y, perfect) == pytest.approx(0.0)


def test_mlcpl_unknown_labels_reach_a_ranking_metric():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, (80, 2)).astype(float)
    known = rng.random(truth.shape) < 0.6
    y, scores = np.where(known, truth, NAN), rng.random(truth.shape)
    for own, theirs in (
        (partial_average_precision_score, average_precision_score),
        (partial_roc_auc_score, roc_auc_score),
    ):
        expected = [theirs(truth[k, j], scores[k, j]) for j, k in enumerate(known.T)]
        np.testing.assert_allclose(own(y, scores, average=None), expected)


# mlcpl and LibAUC: loaders


def test_mlcpl_uncertain_and_blank_of_chexpert_become_the_same():
    table = load_chexpert(DATA / "chexpert" / "train.csv")
    counts = [np.sum(table.states == state) for state in LabelState]
    assert min(counts) > 0
    uncertain = table.states == LabelState.UNCERTAIN
    y = table.labels(uncertain="positive")
    assert (y[uncertain] == 1).all()
    assert np.isnan(y[table.states == LabelState.BLANK]).all()


def test_libauc_pandas_3_leaves_minus_1_and_nan_in_labels_of_chexpert():
    """Assigning by df[column].replace(inplace=True) has no effect with pandas 3."""
    table = load_chexpert(DATA / "chexpert" / "train.csv")
    y = table.labels(uncertain="negative", blank="negative")
    assert set(np.unique(y)) == {0.0, 1.0}


def test_libauc_a_blank_of_chexpert_is_negative_without_asking():
    table = load_chexpert(DATA / "chexpert" / "train.csv")
    assert np.isnan(table.labels()[table.states == LabelState.BLANK]).all()


def test_several_packages_read_minus_1_of_chexpert_in_different_ways():
    with pytest.raises(ValueError, match="for uncertain"):
        check_partial_labels([[1.0, -1.0], [0.0, 1.0]])


def test_mlcpl_difficult_objects_of_voc_are_positive():
    table = load_voc(DATA / "VOCdevkit", categories=["chair", "sofa", "dog", "cat"])
    sofa = table.states[:, 1]
    assert sofa[0] == LabelState.UNCERTAIN
    assert np.isnan(table.labels()[0, 1])


# LibAUC: loss and score


@pytest.mark.parametrize("name", available())
def test_libauc_unknown_labels_dilute_the_loss(name):
    """Its mean divides by the batch; ours by the known labels."""
    loss = make_loss(name)
    logits, target = torch.tensor([[0.3]]), torch.tensor([[1.0]])
    alone = loss(logits, target)
    more = torch.cat([logits, torch.ones(9, 1)])
    diluted = loss(more, torch.cat([target, torch.full((9, 1), NAN)]))
    assert float(diluted) == pytest.approx(float(alone))


@pytest.mark.parametrize("name", available())
def test_asl_a_sum_makes_the_step_depend_on_the_batch(name):
    loss, logits, target = make_loss(name), torch.randn(4, 3), torch.ones(4, 3)
    twice = loss(torch.cat([logits, logits]), torch.cat([target, target]))
    assert float(twice) == pytest.approx(float(loss(logits, target)))


def test_libauc_an_undefined_auc_is_minus_1():
    y, scores = np.array([[1.0, 1.0], [1.0, 0.0]]), np.array([[0.1, 0.9], [0.2, 0.1]])
    with pytest.warns(UndefinedCategoryWarning, match="'0'"):
        values = partial_roc_auc_score(y, scores, average=None)
    np.testing.assert_array_equal(values, [NAN, 1.0])


# torchmetrics


@pytest.mark.parametrize(
    "metric", [partial_roc_auc_score, partial_average_precision_score]
)
def test_torchmetrics_a_category_of_one_class_is_0_in_the_macro_mean(metric):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, (40, 3)).astype(float)
    scores = rng.random(y.shape)
    expected = metric(y[:, :2], scores[:, :2])
    for value in (0.0, 1.0):
        y[:, 2] = value
        with pytest.warns(UndefinedCategoryWarning, match="'2'"):
            assert metric(y, scores) == pytest.approx(expected)


@pytest.mark.parametrize(
    "metric", [partial_roc_auc_score, partial_average_precision_score]
)
def test_torchmetrics_a_column_that_is_all_ignored_is_an_index_error(metric):
    y = np.array([[1.0, NAN], [0.0, NAN], [1.0, NAN]])
    scores = np.array([[0.9, 0.1], [0.1, 0.2], [0.8, 0.3]])
    with pytest.warns(UndefinedCategoryWarning):
        assert metric(y, scores) == 1.0


def test_torchmetrics_a_float_target_with_nan_is_refused():
    y = np.array([[1.0], [0.0], [NAN]], dtype=np.float32)
    assert partial_roc_auc_score(y, np.array([[0.9], [0.1], [0.5]])) == 1.0


# Simulators


def test_csl_and_hcp_mean_different_things_by_the_share():
    """One keeps labels with that probability, the other drops them."""
    y = hide_labels(np.eye(300), known=0.2, random_state=0)
    assert np.mean(~np.isnan(y)) == pytest.approx(0.2, abs=0.01)


def test_csl_and_mlcpl_count_fixed_labels_per_category_differently():
    """N of each class, or N of both together."""
    y = hide_labels(
        np.tile([[0.0], [1.0]], (50, 3)),
        known=10,
        scheme="fixed_per_category",
        random_state=0,
    )
    assert (np.sum(y == 1, axis=0) == 10).all()
    assert (np.sum(y == 0, axis=0) == 10).all()


def test_mlcpl_the_rarer_class_limits_the_other_one():
    truth = np.zeros((50, 1))
    truth[:3] = 1.0
    y = hide_labels(truth, known=10, scheme="fixed_per_category", random_state=0)
    assert (np.sum(y == 1), np.sum(y == 0)) == (3, 10)


# scikit-learn


def test_scikit_learn_nan_in_y_is_an_error(partial_problem):
    Z, y, _ = partial_problem
    model = CFTClassifier(random_state=0).fit(Z, y)
    assert model.predict_proba(Z).shape == y.shape


def test_scikit_learn_minus_1_among_integers_is_a_third_class(partial_problem):
    Z, y, _ = partial_problem
    integers = np.nan_to_num(y, nan=-1).astype(int)
    first, second = (
        CFTClassifier(random_state=0).fit(Z, own).predict_proba(Z)
        for own in (y, integers)
    )
    np.testing.assert_array_equal(first, second)


def test_scikit_learn_a_constant_column_stops_the_fit(partial_problem):
    Z, y, _ = partial_problem
    y[:, 1] = np.where(y[:, 1] == 1, 1.0, NAN)
    y[:, 2] = NAN
    with pytest.warns(UndefinedCategoryWarning):
        model = CFTClassifier(random_state=0).fit(Z, y)
    proba = model.predict_proba(Z)
    assert np.isfinite(proba[:, :2]).all()
    assert np.isnan(proba[:, 2]).all()  # nothing was learned of it


def test_scikit_learn_cross_val_predict_recodes_nan_as_a_class(partial_problem):
    Z, y, truth = partial_problem
    y[:, 0] = np.where(truth[:, 0] == 1, 1.0, NAN)  # classes {1, NaN} were inverted
    y[::10, 0] = truth[::10, 0]
    proba = cross_val_predict(CFTClassifier(random_state=0), Z, y, cv=3)
    assert proba.shape == y.shape
    assert roc_auc_score(truth[:, 0], proba[:, 0]) > 0.5


def test_scikit_learn_a_search_stops_at_nan_in_y(partial_problem):
    Z, y, _ = partial_problem
    search = GridSearchCV(
        CFTClassifier(random_state=0),
        {"fine_tuner__solver": ["proximal"]},
        cv=PartialLabelKFold(2),
        scoring=partial_roc_auc_scorer,
    )
    search.set_params(estimator__fine_tuner=CategoryWiseFineTuner())
    assert np.isfinite(search.fit(Z, y).best_score_)


def test_scikit_learn_calibration_refuses_several_categories(partial_problem):
    Z, y, _ = partial_problem
    logits = Z[:, :3]
    proba = CategoryCalibrator().fit(logits, y).transform(logits)
    assert proba.shape == y.shape
    assert ((proba > 0) & (proba < 1)).all()


def test_iterstrat_nan_in_y_is_an_error(partial_problem):
    Z, y, _ = partial_problem
    for _, test in PartialLabelKFold(3).split(Z, y):
        for column in y[test].T:
            assert {0.0, 1.0} <= set(column[~np.isnan(column)])


def test_scikit_learn_one_unknown_label_drops_the_row():
    """A row counts for the categories in which it is known."""
    rng = np.random.default_rng(0)
    Z = rng.standard_normal((200, 2))
    y = (Z > 0).astype(float)
    y[::2, 0], y[1::2, 1] = NAN, NAN  # no row is known in full
    with pytest.raises(ValueError, match="NaN"):
        LogisticRegression().fit(Z, y[:, 0])
    model = CFTClassifier(random_state=0).fit(Z, y)
    assert partial_roc_auc_score((Z > 0) * 1.0, model.decision_function(Z)) > 0.98


# skorch


@pytest.mark.parametrize("unknown", ["ignore", "negative", "auto"])
def test_skorch_nan_in_y_trains_to_a_loss_of_nan(partial_problem, unknown):
    Z, y, _ = partial_problem
    network = nn.Sequential(nn.Linear(Z.shape[1], 4), nn.ReLU(), nn.Linear(4, 3))
    model = CFTClassifier(network, unknown=unknown, **QUICK).fit(Z, y)
    losses = [line["loss"] for line in model.history_ if "loss" in line]
    assert losses
    assert np.isfinite(losses).all()
    assert np.isfinite(model.predict_proba(Z)).all()


def nan_loss(logits, target):
    return (logits * NAN).mean()


def test_skorch_a_loss_of_nan_is_no_error(partial_problem):
    Z, y, _ = partial_problem
    network = nn.Sequential(nn.Linear(Z.shape[1], 3))
    with pytest.raises(NonFiniteLossError):
        CFTClassifier(network, loss=nan_loss, unknown="ignore", **QUICK).fit(Z, y)


def test_skorch_the_module_of_the_user_is_trained_in_place(partial_problem):
    Z, y, _ = partial_problem
    network = nn.Sequential(nn.Linear(Z.shape[1], 3))
    before = network[0].weight.detach().clone()
    CFTClassifier(network, **QUICK).fit(Z, y)
    torch.testing.assert_close(network[0].weight.detach(), before, rtol=0, atol=0)


def test_skorch_predict_proba_returns_logits(partial_problem):
    Z, y, _ = partial_problem
    network = nn.Sequential(nn.Linear(Z.shape[1], 3))
    proba = CFTClassifier(network, **QUICK).fit(Z, y).predict_proba(100 * Z)
    assert proba.min() >= 0.0
    assert proba.max() <= 1.0


def test_lightgbm_unknown_labels_become_negative_without_a_word(partial_problem):
    """In Ignore mode they change nothing; Negative mode has to be asked for."""
    Z, y, _ = partial_problem
    network = nn.Sequential(nn.Linear(Z.shape[1], 3))
    means = {}
    for unknown in ("ignore", "negative"):
        model = CFTClassifier(network, unknown=unknown, learning_rate=0.1, **QUICK)
        model.set_params(max_epochs=20, batch_size=16).fit(Z, y)
        means[unknown] = model.decision_function(Z, initial=True).mean()
    assert means["ignore"] > means["negative"] + 0.3
