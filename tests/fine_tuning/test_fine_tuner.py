"""CategoryWiseFineTuner: what it selects on, what it refits on, what it leaves."""

import logging
import pickle

import numpy as np
import pytest
from optional import optional
from report_parts import n_held_out
from scipy import sparse
from scipy.special import expit
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.preprocessing import StandardScaler

from cftlearn import CategoryWiseFineTuner, CFTClassifier
from cftlearn.datasets import make_partial_multilabel
from cftlearn.exceptions import UndefinedCategoryWarning
from cftlearn.fine_tuning._regression_paths import SPREADS, fit_regression_paths
from cftlearn.labels import PartialLabels, check_partial_labels
from cftlearn.labels._label_split import split_labels
from cftlearn.solvers import GeneticSolver, GradientSolver
from cftlearn.solvers._protocol import CategorySolver, RowFit

pd = optional("pandas")

QUICK = GeneticSolver(n_generations=15)


@pytest.fixture
def problem():
    return make_partial_multilabel(
        400, n_features=8, n_categories=4, known=0.4, random_state=3
    )


class Recorder(CategorySolver):
    """A solver that returns a given row and remembers its problems."""

    def __init__(self, row=None, bias=0.0, label="recorder"):
        self.row = row
        self.bias = bias
        self.label = label

    @property
    def name(self):
        return self.label

    def fit_row(self, problem):
        if not hasattr(self, "problems"):
            self.problems = []
        self.problems.append(problem)
        n_iter = 3 if problem.n_iter is None else problem.n_iter
        coef = problem.coef if self.row is None else np.asarray(self.row, dtype=float)
        return RowFit(coef, self.bias, n_iter, 5, "max_iter", [{"iteration": 1}])


# What reaches a solver


def test_unknown_labels_never_reach_a_solver(problem):
    Z, y, _ = problem
    recorder = Recorder()
    CategoryWiseFineTuner(recorder, refit=False, random_state=0).fit(Z, y)
    for j, seen in enumerate(recorder.problems[:4]):  # then come refits
        known = ~np.isnan(y[:, j])
        assert len(seen.train.y) + len(seen.validation.y) == known.sum()
        rows = np.concatenate([seen.train.Z, seen.validation.Z])
        labels = np.concatenate([seen.train.y, seen.validation.y])
        order = np.lexsort(rows.T)
        expected = np.lexsort(Z[known].T)
        np.testing.assert_array_equal(rows[order], Z[known][expected])
        np.testing.assert_array_equal(labels[order], y[known, j][expected] == 1)


def test_a_quarter_of_each_class_is_held_out(problem):
    Z, y, _ = problem
    recorder = Recorder()
    tuner = CategoryWiseFineTuner(recorder, random_state=0).fit(Z, y)
    for j in range(4):
        held_out = recorder.problems[j].validation
        for state in (0, 1):
            n_known = (y[:, j] == state).sum()
            assert (held_out.y == state).sum() == round(0.25 * n_known)
        assert n_held_out(tuner.report_[j]) == len(held_out.y)


def test_refit_sees_all_known_labels_and_the_chosen_iteration(problem):
    Z, y, _ = problem
    good = LogisticRegression().fit(Z[~np.isnan(y[:, 0])], y[~np.isnan(y[:, 0]), 0])
    recorder = Recorder(good.coef_[0], 0.25)
    zeros = {"coef_init": np.zeros((4, 8)), "intercept_init": np.zeros(4)}
    tuner = CategoryWiseFineTuner(recorder, random_state=0, **zeros).fit(Z, y)
    assert tuner.report_[0]["status"] == "refitted"
    choose = recorder.problems[0]
    refit = next(each for each in recorder.problems if each.n_iter is not None)
    assert refit.validation is None
    assert refit.n_iter == 3
    assert len(refit.train.y) == len(choose.train.y) + len(choose.validation.y)
    assert tuner.report_[0]["n_iter"] == 3
    phases = [(r["phase"], r["solver"]) for r in tuner.history_]
    assert phases[:2] == [("choose", "recorder"), ("refit", "recorder")]


def test_validation_data_is_selected_on_and_refitted_but_not_fitted_before(problem):
    Z, y, _ = problem
    recorder = Recorder()
    rows = slice(0, 300)
    tuner = CategoryWiseFineTuner(recorder, refit=False, random_state=0)
    tuner.fit(Z[rows], y[rows], validation_data=(Z[300:], y[300:]))
    for j, seen in enumerate(recorder.problems[:4]):
        known, known_val = ~np.isnan(y[rows, j]), ~np.isnan(y[300:, j])
        np.testing.assert_array_equal(seen.train.Z, Z[rows][known])
        np.testing.assert_array_equal(seen.validation.Z, Z[300:][known_val])
        line = tuner.report_[j]
        assert n_held_out(line) == known_val.sum()
        assert line["n_positive"] == np.nansum(y[:, j])
        assert line["n_positive"] + line["n_negative"] + line["n_unknown"] == len(y)


@pytest.mark.parametrize("copied", [False, True])
def test_same_rows_with_other_cells_are_counted_once(problem, copied):
    Z, y, _ = problem
    labels = check_partial_labels(y)
    fitted, held_out = split_labels(labels, 0.25, np.arange(4))[:2]
    Z_val = Z.copy() if copied else Z
    tuner = CategoryWiseFineTuner(QUICK, random_state=0)
    tuner.fit(Z, fitted.values, validation_data=(Z_val, held_out.values))
    for j, line in enumerate(tuner.report_):
        assert line["n_positive"] + line["n_negative"] + line["n_unknown"] == len(y)
        assert n_held_out(line) == held_out.known[:, j].sum()


def test_same_rows_with_the_same_cells_are_refused(problem):
    Z, y, _ = problem
    first = np.argwhere(~np.isnan(y))[0]
    match = (
        rf"`y_val` must hold other known labels .* got {np.sum(~np.isnan(y))} labels "
        rf"known in both, the first in category '{first[1]}', row {first[0]}"
    )
    with pytest.raises(ValueError, match=match):
        CategoryWiseFineTuner(QUICK).fit(Z, y, validation_data=(Z, y))


def test_held_out_labels_choose_the_initial_weights_and_are_not_fitted(problem):
    """Flipped held-out labels may choose another penalty, and change nothing else."""
    Z, y, _ = problem
    labels = check_partial_labels(y)
    split = split_labels(labels, 0.25, np.arange(4))
    held_out = split.held_out
    flipped = np.where(held_out.known, 1 - held_out.values, np.nan)
    paths = fit_regression_paths(Z, split.targets(), n_jobs=None)
    chosen = []
    for values in (held_out.values, flipped):
        tuner = CategoryWiseFineTuner(QUICK, random_state=0)
        tuner.fit(Z, split.fitted.values, validation_data=(Z, values))
        for j, coef in enumerate(tuner.coef_init_):
            (place,) = np.flatnonzero((paths.coef[j] == coef).all(axis=1))
            assert tuner.intercept_init_[j] == paths.intercept[j, place]
            chosen.append(place)
    assert chosen[:4] != chosen[4:]


@pytest.mark.parametrize("unknown", ["negative", "ignore"])
def test_initial_weights_are_scikit_learns_with_a_penalty_chosen(problem, unknown):
    Z, y, _ = problem
    model = CFTClassifier(
        unknown=unknown, fine_tuner=CategoryWiseFineTuner(QUICK), random_state=0
    )
    model.fit(Z[:300], y[:300], validation_data=(Z[300:], y[300:]))
    tuner = model.fine_tuner_
    for j in range(4):
        target = y[:300, j] if unknown == "ignore" else np.nan_to_num(y[:300, j])
        used = ~np.isnan(target)
        scaler = StandardScaler().fit(Z[:300])
        distances = []
        for spread in SPREADS:
            oracle = LogisticRegression(C=spread**2 / Z.shape[1], tol=1e-8)
            oracle.fit(scaler.transform(Z[:300][used]), target[used])
            expected = oracle.decision_function(scaler.transform(Z))
            logits = Z @ tuner.coef_init_[j] + tuner.intercept_init_[j]
            distances.append(np.abs(logits - expected).max())
        assert min(distances) < 0.05


# The choice


def test_row_is_replaced_only_by_a_better_one(problem):
    Z, y, _ = problem
    good = np.stack(
        [
            LogisticRegression().fit(Z[rows], y[rows, j]).coef_[0]
            for j, rows in enumerate(~np.isnan(y).T)
        ]
    )
    trained = {"coef_init": good, "intercept_init": np.full(4, 0.5)}
    worse = CategoryWiseFineTuner(Recorder(-good[0]), random_state=0, **trained)
    worse.fit(Z, y)
    assert worse.report_[0]["status"] == "kept"
    assert worse.report_[0]["solver"] is None
    assert "refits would weigh only 0.0" in worse.report_[0]["reason"]
    np.testing.assert_array_equal(worse.coef_[0], good[0])
    assert worse.intercept_[0] == 0.5


def test_a_solver_that_judges_alone_replaces_no_equal_row(problem):
    Z, y, _ = problem
    recorder = Recorder(np.ones(8))
    recorder.pooled = False
    trained = {"coef_init": np.ones((4, 8)), "intercept_init": np.full(4, 0.5)}
    equal = CategoryWiseFineTuner(recorder, random_state=0, **trained).fit(Z, y)
    assert equal.report_[0]["status"] == "kept"
    assert "no refit scored above" in equal.report_[0]["reason"]


def test_best_solver_of_a_list_is_taken_per_category(problem):
    Z, y, _ = problem
    rows = ~np.isnan(y[:, 0])
    good = LogisticRegression().fit(Z[rows], y[rows, 0]).coef_[0]
    solvers = [Recorder(-good, label="bad"), Recorder(good, label="good")]
    for solver in solvers:
        solver.pooled = False
    zeros = {"coef_init": np.zeros((4, 8)), "intercept_init": np.zeros(4)}
    tuner = CategoryWiseFineTuner(solvers, random_state=0, **zeros).fit(Z, y)
    assert tuner.report_[0]["solver"] == "good"
    assert (
        "bad ran 5 iterations (max_iter), good 5 (max_iter)"
        in tuner.report_[0]["reason"]
    )


@pytest.mark.parametrize(
    ("objective", "oracle"),
    [("roc_auc", roc_auc_score), ("average_precision", average_precision_score)],
)
def test_reported_scores_are_the_objective_on_held_out_labels(
    problem, objective, oracle
):
    Z, y, _ = problem
    held = slice(300, 400)
    tuner = CategoryWiseFineTuner(
        QUICK, objective=objective, refit=False, random_state=0
    )
    tuner.fit(Z[:300], y[:300], validation_data=(Z[held], y[held]))
    before = Z[held] @ tuner.coef_init_.T
    after = tuner.transform(Z[held])
    for j, line in enumerate(tuner.report_):
        rows = ~np.isnan(y[held, j])
        truth = y[held][rows, j]
        scores = line[f"{objective}_before"], line[f"{objective}_after"]
        assert scores[0] == pytest.approx(oracle(truth, before[rows, j]))
        assert scores[1] == pytest.approx(oracle(truth, after[rows, j]), abs=1e-6)


@pytest.mark.parametrize("per_category", [False, True])
def test_logits_before_the_refit_are_those_of_the_initial_weights(
    problem, per_category
):
    Z, y, _ = problem
    if per_category:
        Z = np.stack([Z + j for j in range(4)], axis=1)
    tuner = CategoryWiseFineTuner(QUICK, random_state=0).fit(Z, y)
    found = tuner.transform(Z, initial=True)
    for j in range(4):
        own = Z[:, j] if per_category else Z
        expected = own @ tuner.coef_init_[j] + tuner.intercept_init_[j]
        np.testing.assert_allclose(found[:, j], expected)
    assert not np.allclose(found, tuner.transform(Z))


def test_refits_help_on_fully_labelled_rows():
    gains = []
    for seed in range(3):
        Z, y, y_full = make_partial_multilabel(3000, known=0.1, random_state=seed)
        tuner = CategoryWiseFineTuner("auto", random_state=0).fit(Z[:1500], y[:1500])
        before = Z[1500:] @ tuner.coef_init_.T
        after = tuner.transform(Z[1500:])
        gains.append(
            roc_auc_score(y_full[1500:], after) - roc_auc_score(y_full[1500:], before)
        )
    assert np.mean(gains) > 0.005


# Independence


def test_n_jobs_changes_nothing(problem):
    Z, y, _ = problem
    fits = [
        CategoryWiseFineTuner([QUICK, GradientSolver(max_epochs=20)], n_jobs=n_jobs)
        .set_params(random_state=0)
        .fit(Z.astype(np.float32), y)
        for n_jobs in (1, 2)
    ]
    np.testing.assert_array_equal(fits[0].coef_, fits[1].coef_)
    np.testing.assert_array_equal(fits[0].intercept_, fits[1].intercept_)


def test_hiding_cells_of_one_category_leaves_the_others_alone(problem):
    """Where each category is judged alone; the initial weights are given."""
    Z, y, _ = problem
    changed = y.copy()
    changed[:200, 1] = np.nan
    trained = {"coef_init": np.ones((4, 8)), "intercept_init": np.zeros(4)}
    alone = GeneticSolver(n_generations=15, pooled=False)
    fits = [
        CategoryWiseFineTuner(alone, random_state=0, **trained).fit(Z, labels)
        for labels in (y, changed)
    ]
    others = [0, 2, 3]
    np.testing.assert_array_equal(fits[0].coef_[others], fits[1].coef_[others])
    assert not np.array_equal(fits[0].coef_[1], fits[1].coef_[1])


def test_order_of_named_categories_does_not_matter(problem):
    Z, y, _ = problem
    frame = pd.DataFrame(y, columns=["a", "b", "c", "d"])
    order = ["c", "a", "d", "b"]
    one = CategoryWiseFineTuner(QUICK, random_state=0).fit(Z, frame)
    other = CategoryWiseFineTuner(QUICK, random_state=0).fit(Z, frame[order])
    # sums over categories are taken in another order
    np.testing.assert_allclose(one.coef_[[2, 0, 3, 1]], other.coef_, rtol=1e-9)
    np.testing.assert_array_equal(other.categories_, order)


# What cannot be refitted


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ([np.nan] * 400, "no known label"),
        ([1.0] * 400, "no known negative, none left to fit"),
        ([0.0] * 400, "no known positive, none left to fit"),
        ([1.0] + [0.0] * 399, "only 1 known positive, none left to hold out"),
    ],
    ids=["unknown", "positive", "negative", "one positive"],
)
def test_category_that_cannot_be_refitted_stays_as_it_was(problem, labels, reason):
    Z, y, _ = problem
    y = y.copy()
    y[:, 2] = labels
    coef = np.arange(32.0).reshape(4, 8)
    tuner = CategoryWiseFineTuner(
        QUICK, coef_init=coef, intercept_init=np.arange(4.0), random_state=0
    )
    with pytest.warns(
        UndefinedCategoryWarning, match="1 category lacks .* '2'"
    ) as caught:
        tuner.fit(Z, y)
    assert caught[0].filename == __file__
    with pytest.warns(UndefinedCategoryWarning) as caught:
        CFTClassifier(fine_tuner=tuner, random_state=0).fit(Z, y)
    assert caught[0].filename == __file__
    assert tuner.report_[2]["status"] == "skipped"
    assert tuner.report_[2]["reason"] == reason
    assert np.isnan(tuner.report_[2]["roc_auc_before"])
    np.testing.assert_array_equal(tuner.coef_[2], coef[2])
    assert tuner.intercept_[2] == 2.0


def test_one_warning_lists_all_categories_without_a_class():
    rng = np.random.default_rng(0)
    y = np.ones((50, 12))
    y[:, 0] = rng.random(50) < 0.5
    with pytest.warns(
        UndefinedCategoryWarning, match="11 categories lack .*and 1 more"
    ) as w:
        tuner = CategoryWiseFineTuner(QUICK, random_state=0).fit(rng.random((50, 3)), y)
    assert len(w) == 1
    # Negative-mode rows of one class: the smoothed log-odds, no direction.
    np.testing.assert_array_equal(tuner.coef_[1:], 0)
    np.testing.assert_allclose(expit(tuner.intercept_[1]), 38.5 / 39)


# scikit-learn's ways


def test_transform_names_and_output_frame(problem):
    Z, y, _ = problem
    frame = pd.DataFrame(y, columns=["cat", "dog", "cow", "hen"])
    X = pd.DataFrame(Z, columns=[f"f{i}" for i in range(8)])
    tuner = CategoryWiseFineTuner(QUICK, random_state=0).set_output(transform="pandas")
    logits = tuner.fit(X, frame).transform(X)
    assert list(logits.columns) == ["cat", "dog", "cow", "hen"]
    np.testing.assert_array_equal(tuner.feature_names_in_, X.columns)
    np.testing.assert_allclose(logits, Z @ tuner.coef_.T + tuner.intercept_)
    with pytest.raises(ValueError, match="feature names"):
        tuner.transform(X.rename(columns={"f0": "g0"}))


def test_clone_and_pickle(problem):
    Z, y, _ = problem
    tuner = CategoryWiseFineTuner(QUICK, random_state=0).fit(Z, y)
    copied = clone(tuner)
    assert not hasattr(copied, "coef_")
    assert copied.solver is not tuner.solver
    loaded = pickle.loads(pickle.dumps(tuner))
    np.testing.assert_array_equal(loaded.transform(Z), tuner.transform(Z))


def test_parameters_of_the_solver_are_reached(problem):
    tuner = CategoryWiseFineTuner(GeneticSolver())
    tuner.set_params(solver__population_size=20)
    assert tuner.solver.population_size == 20


def test_progress_is_logged_and_silent_by_default(problem, caplog, capsys):
    Z, y, _ = problem
    with caplog.at_level(logging.INFO, logger="cftlearn"):
        CategoryWiseFineTuner(QUICK, random_state=0).fit(Z, y)
    assert len(caplog.messages) == 4
    assert caplog.messages[0].startswith("0: ")
    assert capsys.readouterr() == ("", "")


# Bad input


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"solver": "newton"}, "'solver' parameter"),
        ({"solver": []}, "at least one solver; got an empty list"),
        ({"solver": ["ga", "newton"]}, "a list of these; got 'newton'"),
        ({"solver": ["ga", QUICK]}, r"different names, .*; got \['ga', 'ga'\]"),
        ({"objective": "accuracy"}, "'objective' parameter"),
        ({"validation_fraction": 1.0}, "'validation_fraction' parameter"),
        ({"coef_init": np.ones((4, 8))}, "given together; got only coef_init"),
        ({"intercept_init": np.ones(4)}, "given together; got only intercept_init"),
        (
            {"coef_init": np.ones((3, 8)), "intercept_init": np.ones(3)},
            r"`coef_init` must have shape \(4, 8\)",
        ),
        (
            {"coef_init": np.full((4, 8), np.nan), "intercept_init": np.ones(4)},
            "coef_init contains NaN",
        ),
    ],
)
def test_bad_parameters(problem, params, match):
    Z, y, _ = problem
    with pytest.raises(ValueError, match=match):
        CategoryWiseFineTuner(**params).fit(Z, y)


def test_unreachable_device(problem):
    Z, y, _ = problem
    with pytest.raises(
        ValueError, match=r"`device` must be 'auto' or a device .*'tpu9'"
    ):
        CategoryWiseFineTuner("bce", device="tpu9").fit(Z, y)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (lambda Z, y: (Z[:-1], y), ValueError, "numbers of samples"),
        (lambda Z, y: (sparse.csr_matrix(Z), y), TypeError, "[Ss]parse"),
        (lambda Z, y: (np.full_like(Z, np.nan), y), ValueError, "contains NaN"),
        (lambda Z, y: (Z, np.full_like(y, 2.0)), ValueError, "got 2.0 in category '0'"),
        (lambda Z, y: (Z, None), ValueError, "requires y to be passed"),
        (lambda Z, y: (Z, sparse.csr_matrix(np.nan_to_num(y))), TypeError, "dense"),
    ],
    ids=["length", "sparse Z", "NaN in Z", "2 in y", "no y", "sparse y"],
)
def test_bad_data(problem, change, error, match):
    Z, y, _ = problem
    with pytest.raises(error, match=match):
        CategoryWiseFineTuner(QUICK).fit(*change(Z, y))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda Z, y: [Z, y], r"must be a tuple \(X_val, y_val\); got list"),
        (
            lambda Z, y: (Z[:, :3], y),
            "X has 3 features, but CategoryWiseFineTuner is expecting 8",
        ),
        (lambda Z, y: (Z[:9], y), "`X_val` and `y_val` must have one row per sample"),
        (lambda Z, y: (Z + 1, y[:, :3]), "the 4 categories that `fit` saw; got 3"),
        (lambda Z, y: (Z + 1, y - 2), "`y_val` must hold 0"),
    ],
)
def test_bad_validation_data(problem, change, match):
    Z, y, _ = problem
    with pytest.raises(ValueError, match=match):
        CategoryWiseFineTuner(QUICK).fit(Z, y, validation_data=change(Z, y))


def test_validation_frame_with_other_order_is_refused(problem):
    Z, y, _ = problem
    frame = pd.DataFrame(y, columns=list("abcd"))
    with pytest.raises(ValueError, match="categories of `fit` in the same order"):
        CategoryWiseFineTuner(QUICK).fit(
            Z, frame, validation_data=(Z + 1, frame[list("bacd")])
        )


def test_inputs_are_not_changed(problem):
    Z, y, _ = problem
    coef, intercept = np.ones((4, 8)), np.ones(4)
    kept = [array.copy() for array in (Z, y, coef, intercept)]
    CategoryWiseFineTuner(
        QUICK, coef_init=coef, intercept_init=intercept, random_state=0
    ).fit(Z, y)
    for array, before in zip((Z, y, coef, intercept), kept, strict=True):
        np.testing.assert_array_equal(array, before)


def test_hold_out_keeps_one_of_each_class_where_there_are_two():
    values = np.full((20, 3), np.nan)
    values[:2, 0], values[2:4, 0] = 1, 0
    values[0, 1], values[1:11, 1] = 1, 0
    values[:10, 2], values[10:, 2] = 1, 0
    labels = check_partial_labels(values)
    fitted, held_out = split_labels(labels, 0.25, np.arange(3))[:2]
    assert isinstance(fitted, PartialLabels)
    positive = [np.nansum(part.values, axis=0).tolist() for part in (fitted, held_out)]
    assert positive == [[1, 1, 8], [1, 0, 2]]
    assert not (fitted.known & held_out.known).any()
    np.testing.assert_array_equal(fitted.known | held_out.known, labels.known)
