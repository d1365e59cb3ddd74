"""solver="auto": candidates of all categories, weighed together."""

import json
import warnings
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from data import make_auto_results
from report_parts import n_held_out
from scipy.special import expit

from cftlearn import CategoryWiseFineTuner, CFTClassifier
from cftlearn._features._principal_axes import make_feature_spaces
from cftlearn._report._columns import score_columns
from cftlearn._seeding import category_seeds
from cftlearn.datasets import make_partial_multilabel
from cftlearn.exceptions import UndefinedCategoryWarning
from cftlearn.fine_tuning._auto import (
    AutoRefit,
    average_weights,
    evidence_of,
    missing_labels,
)
from cftlearn.fine_tuning._category_task import NO_ROWS, CategoryTask
from cftlearn.fine_tuning._evidence import Verdict, weigh
from cftlearn.fine_tuning._judging import (
    InitialEvidence,
    JudgedCandidates,
    LabelCounts,
    judge_candidates,
)
from cftlearn.labels import hide_labels
from cftlearn.labels._encoding import KnownLabels
from cftlearn.metrics import partial_average_precision_score, partial_roc_auc_score
from cftlearn.metrics._objectives import make_objective
from cftlearn.solvers import ProximalSolver
from cftlearn.solvers._candidates import Candidate
from cftlearn.solvers._protocol import KnownRows


def problem(n_samples=600, *, known=0.3, scheme="uniform", seed=0, **settings):
    """Training rows with hidden labels, complete test rows, the true rows."""
    Z, _, full = make_partial_multilabel(
        n_samples, known=1.0, random_state=seed, **settings
    )
    half = n_samples // 2
    hidden = hide_labels(full[:half], known=known, scheme=scheme, random_state=seed)
    return Z[:half], hidden, Z[half:], full[half:]


def noise_rows(y, Z, seed=0):
    rng = np.random.default_rng(seed)
    shape = y.shape[1], Z.shape[1]
    return {"coef_init": rng.normal(size=shape), "intercept_init": np.zeros(shape[0])}


def true_rows(Z, full):
    """Rows that separate classes as well as a line can."""
    from sklearn.linear_model import LogisticRegression

    fits = [LogisticRegression(C=100, max_iter=1000).fit(Z, t) for t in full.T]
    return {
        "coef_init": np.concatenate([fit.coef_ for fit in fits]),
        "intercept_init": np.concatenate([fit.intercept_ for fit in fits]),
    }


def statuses(tuner):
    return [line["status"] for line in tuner.report_]


@pytest.mark.parametrize("scheme", ["uniform", "report_like"])
@pytest.mark.parametrize("objective", ["roc_auc", "average_precision"])
def test_bad_rows_are_replaced(scheme, objective):
    Z, y, Z_test, full = problem(scheme=scheme)
    tuner = CategoryWiseFineTuner(
        objective=objective, **noise_rows(y, Z), random_state=0
    ).fit(Z, y)
    before = Z_test @ tuner.coef_init_.T
    score = {
        "roc_auc": partial_roc_auc_score,
        "average_precision": partial_average_precision_score,
    }[objective]
    assert statuses(tuner) == ["refitted"] * 5
    assert score(full, tuner.transform(Z_test)) > score(full, before) + 0.1
    keys = f"{objective}_after", f"{objective}_before"
    gains = [line[keys[0]] - line[keys[1]] for line in tuner.report_]
    assert np.nanmean(gains) > 0.1
    for line in tuner.report_:
        assert line["weight"] > 0.5
        assert line["reason"].startswith(
            f"refits weigh {line['weight']:.2f}, by the labels of all 5 categories "
        )
        assert line["solver"] == "auto"


def test_rows_that_are_right_stay_as_they_are():
    Z, y, Z_test, full = problem(2000, known=0.05, n_features=40)
    rows = true_rows(np.concatenate([Z, Z_test]), np.concatenate([true_y(Z), full]))
    tuner = CategoryWiseFineTuner(**rows, random_state=0).fit(Z, y)
    assert statuses(tuner) == ["kept"] * 5
    np.testing.assert_array_equal(tuner.coef_, rows["coef_init"])
    np.testing.assert_array_equal(tuner.intercept_, rows["intercept_init"])
    for line in tuner.report_:
        assert line["weight"] == line["n_iter"] == 0
        assert line["reason"].startswith("refits would weigh only 0.")
        assert line["roc_auc_after"] == line["roc_auc_before"]


def true_y(Z, n_features=40):
    """The complete labels of the training rows that ``problem`` hides."""
    _, _, full = make_partial_multilabel(
        2 * len(Z), known=1.0, random_state=0, n_features=n_features
    )
    return full[: len(Z)]


def test_noise_does_not_look_like_a_gain():
    """With many features any labels can be fitted; left out, they stay noise."""
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(80, 200))
    y = rng.integers(0, 2, size=(80, 6)).astype(float)
    y[rng.random(y.shape) < 0.4] = np.nan
    tuner = CategoryWiseFineTuner(random_state=0).fit(Z, y)
    scores = [line["roc_auc_after"] for line in tuner.report_]
    assert 0.35 < np.mean(scores) < 0.65


def test_scores_after_are_near_those_of_new_rows():
    Z, y, Z_test, full = problem(4000, known=0.5, n_features=60)
    tuner = CategoryWiseFineTuner(random_state=0, **noise_rows(y, Z)).fit(Z, y)
    told = np.array([line["roc_auc_after"] for line in tuner.report_])
    true = partial_roc_auc_score(full, tuner.transform(Z_test), average=None)
    np.testing.assert_allclose(told, true, atol=0.09)
    assert abs(np.mean(told - true)) < 0.03


def test_order_of_categories_does_not_matter():
    pd = pytest.importorskip("pandas")
    Z, y, _, _ = problem()
    frame = pd.DataFrame(y, columns=list("abcde"))
    order = [3, 0, 4, 1, 2]
    one = CategoryWiseFineTuner(random_state=0).fit(Z, frame)
    other = CategoryWiseFineTuner(random_state=0).fit(Z, frame.iloc[:, order])
    np.testing.assert_allclose(other.coef_, one.coef_[order], rtol=1e-9)
    np.testing.assert_allclose(other.intercept_, one.intercept_[order], rtol=1e-9)


def test_workers_do_not_matter():
    Z, y, _, _ = problem()
    fits = [CategoryWiseFineTuner(random_state=0, n_jobs=n).fit(Z, y) for n in (1, 2)]
    np.testing.assert_array_equal(fits[0].coef_, fits[1].coef_)
    np.testing.assert_array_equal(fits[0].intercept_, fits[1].intercept_)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scale_and_place_of_features_do_not_matter(dtype):
    Z, y, _, _ = problem()
    rows = noise_rows(y, Z)
    moved = {
        "coef_init": rows["coef_init"] / 1000,
        "intercept_init": rows["intercept_init"] - rows["coef_init"].sum(axis=1) * 5,
    }
    one = CategoryWiseFineTuner(random_state=0, **rows).fit(Z.astype(dtype), y)
    far = (1000 * (Z + 5)).astype(dtype)
    other = CategoryWiseFineTuner(random_state=0, **moved).fit(far, y)
    spread = one.transform(Z).std()
    np.testing.assert_allclose(
        other.transform(far), one.transform(Z), atol=0.01 * spread
    )


def test_pooled_evidence_reaches_a_category_with_too_few_labels():
    Z, y, _, _ = problem(2000, known=0.3)
    few = np.flatnonzero(y[:, 0] == 1)[:1], np.flatnonzero(y[:, 0] == 0)[:3]
    known = np.isin(np.arange(len(y)), np.concatenate(few))
    y[~known, 0] = np.nan
    tuner = CategoryWiseFineTuner(random_state=0, **noise_rows(y, Z)).fit(Z, y)
    line = tuner.report_[0]
    assert (line["n_positive"], line["n_negative"]) == (1, 3)
    assert line["status"] == "refitted"
    assert "by the labels of all 5 categories together" in line["reason"]
    assert line["reason"].endswith("; here no labels of both classes are held out")
    assert np.isnan(line["roc_auc_after"])  # no positive is left to be held out


def test_a_category_without_negatives_is_refitted_against_unknown_labels():
    Z, y, Z_test, full = problem(2000, known=0.5)
    y[y[:, 0] == 0, 0] = np.nan
    tuner = CategoryWiseFineTuner(random_state=0, **noise_rows(y, Z)).fit(Z, y)
    assert tuner.report_[0]["n_negative"] == 0
    assert tuner.report_[0]["status"] == "refitted"
    assert partial_roc_auc_score(full[:, :1], tuner.transform(Z_test)[:, :1]) > 0.7


def test_single_positive_labels_are_refitted():
    Z, y, Z_test, full = problem(2000, known=None, scheme="single_positive")
    tuner = CategoryWiseFineTuner(random_state=0, **noise_rows(y, Z)).fit(Z, y)
    assert statuses(tuner) == ["refitted"] * 5
    assert partial_roc_auc_score(full, tuner.transform(Z_test)) > 0.7


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        ([np.nan] * 60, "no known label"),
        ([0.0] * 20 + [np.nan] * 40, "no known positive"),
        ([1.0] * 60, "no known negative, and no unknown label to stand in"),
    ],
    ids=["no label", "no positive", "only positives"],
)
def test_categories_that_cannot_be_refitted_stay_and_say_why(column, reason):
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(60, 4))
    y = np.column_stack([(Z[:, 0] > 0).astype(float), column])
    is_unlabelled = reason == "no known label"
    says = "has no known label to fit" if is_unlabelled else f"lacks .*{reason}"
    with pytest.warns(UndefinedCategoryWarning, match=f"1 category {says}"):
        tuner = CategoryWiseFineTuner(random_state=0).fit(Z, y)
    assert statuses(tuner) == ["refitted", "unlabelled" if is_unlabelled else "skipped"]
    assert reason in tuner.report_[1]["reason"]
    np.testing.assert_array_equal(tuner.coef_[1], tuner.coef_init_[1])


def test_without_any_held_out_pair_nothing_moves():
    Z, y, _, _ = problem()
    y[:, :] = np.nan
    y[0], y[1:4] = 1.0, 0.0  # the only positive cannot be held out
    tuner = CategoryWiseFineTuner(random_state=0).fit(Z, y)
    assert statuses(tuner) == ["kept"] * 5
    assert "no held-out labels of both classes" in tuner.report_[0]["reason"]
    np.testing.assert_array_equal(tuner.coef_, tuner.coef_init_)


def test_without_refit_held_out_labels_only_choose():
    """What they say moves weights, but no candidate."""
    from cftlearn.metrics._objectives import make_objective
    from cftlearn.solvers import ProximalSolver

    Z, y, _, _ = problem(known=1.0)
    first = np.where(np.arange(len(y)) < 200, y[:, 0], np.nan)
    held_out = np.where(np.isnan(first), y[:, 0], np.nan)
    candidates = {}
    for name, labels in (("right", held_out), ("wrong", 1 - held_out)):
        for refit in (False, True):
            task = task_of(Z, first, labels)
            objective = make_objective("roc_auc")
            found = judge_candidates(task, ProximalSolver(), objective, refit)
            candidates[name, refit] = found.coef
    np.testing.assert_array_equal(
        candidates["right", False], candidates["wrong", False]
    )
    assert not np.allclose(candidates["right", True], candidates["wrong", True])


def known_labels(y):
    rows = np.flatnonzero(~np.isnan(y))
    return KnownLabels(rows, y[rows] == 1.0)


def task_of(Z, y, y_val):
    mean, scale = Z.mean(axis=0), Z.std(axis=0)
    names = "standard", "tempered"
    return CategoryTask(
        name="a",
        Z=Z,
        fitted=known_labels(y),
        Z_val=Z,
        held_out=known_labels(y_val),
        same_rows=True,
        coef=np.ones(Z.shape[1]),
        intercept=0.0,
        feature_mean=mean,
        feature_scale=scale,
        seed=0,
        spaces=make_feature_spaces(Z, mean, scale, names),
    )


def test_a_callable_objective_has_a_veto():
    Z, y, _, _ = problem()
    rows = noise_rows(y, Z)
    trained = {np.float64(np.round(w, 6)) for w in rows["coef_init"][:, 0]}

    def prefers_the_start(y_true, y_score):
        """Return 1 for logits of a spread that only the initial weights have."""
        return float(np.std(y_score) > 3)

    assert trained
    big = {"coef_init": 10 * rows["coef_init"], "intercept_init": np.zeros(5)}
    tuner = CategoryWiseFineTuner(
        objective=prefers_the_start, random_state=0, **big
    ).fit(Z, y)
    assert statuses(tuner) == ["kept"] * 5
    assert "held-out prefers_the_start did not rise" in tuner.report_[0]["reason"]


def test_a_callable_objective_that_stays_equal_is_no_gain():
    Z, y, _, _ = problem()
    rows = noise_rows(y, Z)
    tuner = CategoryWiseFineTuner(
        objective=lambda y_true, y_score: 1.0, random_state=0, **rows
    ).fit(Z, y)
    assert statuses(tuner) == ["kept"] * 5
    assert CategoryWiseFineTuner(random_state=0, **rows).fit(Z, y).report_[0][
        "status"
    ] == ("refitted")


def test_a_category_that_is_clearly_against_keeps_its_initial_weights():
    """Others gain by their refits, but its weights are those that drew its labels."""
    Z, y, _, _ = problem(4000, known=0.3)
    rows = noise_rows(y, Z)
    rows["coef_init"][0] = true_rows(Z, true_y(Z, n_features=20))["coef_init"][0]
    labels = y.copy()
    rng = np.random.default_rng(0)
    fitted = rng.random(len(y)) < 0.7
    labels[fitted, 0] = 1 - labels[fitted, 0]  # most of what is fitted is wrong
    y_val = np.where(fitted[:, None], np.nan, y)
    labels[~fitted] = np.nan
    tuner = CategoryWiseFineTuner(random_state=0, refit=False, **rows)
    tuner.fit(Z, labels, X_val=Z, y_val=y_val)
    assert statuses(tuner) == ["kept"] + ["refitted"] * 4
    assert "greatest standard error" in tuner.report_[0]["reason"]
    np.testing.assert_array_equal(tuner.coef_[0], rows["coef_init"][0])
    assert "standard error: roc_auc -" in tuner.report_[0]["reason"]


def test_what_is_refused_is_kept_although_refits_outweigh(monkeypatch):
    def refuse_the_first(evidence, log_prior):
        first, *others = weigh(evidence, log_prior)
        assert first.initial < 0.5
        return [replace(first, is_refused=True), *others]

    monkeypatch.setattr("cftlearn.fine_tuning._auto.weigh", refuse_the_first)
    Z, y, _, _ = problem()
    rows = noise_rows(y, Z)
    tuner = CategoryWiseFineTuner(random_state=0, **rows).fit(Z, y)
    assert statuses(tuner) == ["kept"] + ["refitted"] * 4
    np.testing.assert_array_equal(tuner.coef_[0], rows["coef_init"][0])


# --- the average ------------------------------------------------------------------


def judged_like(task, rng, n_candidates=3):
    """Return made-up candidates whose logits have different spreads."""
    shape = n_candidates, task.Z.shape[1]
    return JudgedCandidates(
        candidates=[],
        coef=rng.normal(size=shape).astype(np.float32),
        intercept=rng.normal(size=n_candidates),
        spread=np.array([0.5, 2.0, 8.0]),
        left_out=rng.normal(size=(n_candidates, len(task.held_out.y))).astype("f"),
        held_out=np.zeros(n_candidates),
        against_unknown=np.zeros(n_candidates),
        fitted=np.zeros(n_candidates),
        labels=LabelCounts(1.0, 0.0, 0.0, 0.0),
        initial_spread=4.0,
        initial=InitialEvidence(0.5, 0.5, 0.5),
        seconds=0.0,
    )


def a_task(all_positive=False):
    Z, y, _, _ = problem(known=0.6)
    column = np.where(y[:, 0] == 0, np.nan, y[:, 0]) if all_positive else y[:, 0]
    first = np.arange(len(y)) < 200
    return task_of(Z, np.where(first, column, np.nan), np.where(first, np.nan, column))


def test_the_average_has_the_mean_spread_of_what_it_averages(rng):
    """Brute force: unit spreads are averaged, and the mean spread is given back."""
    task = a_task()
    judged = judged_like(task, rng)
    weights, initial = np.array([0.2, 0.1, 0.3]), 0.4
    average = average_weights(task, judged, weights, initial)
    direction = initial * task.coef / 4.0
    for weight, coef in zip(weights, judged.coef.astype(float), strict=True):
        direction = direction + weight * coef
    spread = 0.2 * 0.5 + 0.1 * 2.0 + 0.3 * 8.0 + 0.4 * 4.0
    np.testing.assert_allclose(average.coef, spread * direction, rtol=1e-6)
    known = np.concatenate([task.fitted.rows, task.held_out.rows])
    y = np.concatenate([task.fitted.y, task.held_out.y])
    proba = expit(task.Z[known] @ average.coef + average.intercept)
    assert proba.mean() == pytest.approx(y.mean(), abs=1e-6)


def test_left_out_logits_are_averaged_like_the_weights(rng):
    task = a_task()
    judged = judged_like(task, rng)
    weights, initial = np.array([0.2, 0.1, 0.3]), 0.4
    average = average_weights(task, judged, weights, initial)
    left_out = (initial / 4.0) * (task.initial_logits() - task.intercept)
    for k in range(3):
        without_bias = judged.left_out[k] - judged.intercept[k]
        left_out = left_out + weights[k] * without_bias / judged.spread[k]
    expected = 4.3 * left_out + average.intercept
    np.testing.assert_allclose(average.left_out, expected, rtol=1e-5)


def test_without_negatives_the_bias_is_that_of_the_candidates(rng):
    """At the mean of the features the average says what the candidates say there."""
    task = a_task(all_positive=True)
    judged = judged_like(task, rng)
    weights, initial = np.array([0.2, 0.1, 0.3]), 0.4
    average = average_weights(task, judged, weights, initial)
    mean = task.feature_mean
    coefs = judged.coef * judged.spread[:, None]
    expected = weights @ (coefs @ mean + judged.intercept)
    expected += initial * (task.coef @ mean + task.intercept)
    found = average.coef @ mean + average.intercept
    assert found == pytest.approx(expected, rel=1e-5)


# --- golden values ----------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(make_auto_results.PROBLEMS))
def test_results_are_those_of_the_golden_file(name):
    found = make_auto_results.refit(name)
    golden = json.loads(make_auto_results.PATH.read_text(encoding="utf-8"))[name]
    assert found["status"] == golden["status"]
    for key in ("weight", "coef", "intercept", "roc_auc_before", "roc_auc_after"):
        np.testing.assert_allclose(found[key], golden[key], rtol=1e-4, atol=1e-6)


def test_history_has_every_candidate_and_its_weight():
    Z, y, _, _ = problem()
    tuner = CategoryWiseFineTuner(random_state=0).fit(Z, y)
    for line in tuner.report_:
        records = [r for r in tuner.history_ if r["category"] == line["category"]]
        assert [r["iteration"] for r in records] == list(range(1, len(records) + 1))
        assert len({r["candidate"] for r in records}) == len(records) > 30
        weights = np.array([r["weight"] for r in records])
        assert weights.sum() == pytest.approx(line["weight"])
        assert np.count_nonzero(weights >= 0.01) == line["n_iter"]


def test_probabilities_have_the_mean_of_the_known_labels():
    Z, y, _, _ = problem(known=0.6)
    tuner = CategoryWiseFineTuner(random_state=0).fit(Z, y)
    chance = 1 / (1 + np.exp(-tuner.transform(Z)))
    for j in range(5):
        known = ~np.isnan(y[:, j])
        assert chance[known, j].mean() == pytest.approx(y[known, j].mean(), abs=1e-6)


def test_validation_data_of_other_rows_all_labelled():
    Z, y, Z_val, full = problem(1000, known=0.1)
    tuner = CategoryWiseFineTuner(random_state=0, **noise_rows(y, Z))
    tuner.fit(Z, y, validation_data=(Z_val[:200], full[:200]))
    assert statuses(tuner) == ["refitted"] * 5
    assert [n_held_out(line) for line in tuner.report_] == [200] * 5
    scores = tuner.transform(Z_val[200:])
    assert partial_roc_auc_score(full[200:], scores) > 0.75


def test_one_dimensional_targets():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 10))
    y = np.where(X[:, 0] + rng.normal(size=200) > 0, "yes", "no")
    model = CFTClassifier(random_state=0).fit(X[:100], y[:100])
    assert np.mean(model.predict(X[100:]) == y[100:]) > 0.65


def test_two_negatives_are_enough_not_to_do_harm():
    """Reports that hardly ever deny a finding: many positives, two negatives."""
    Z, y, Z_test, full = problem(3000, known=0.3)
    rng = np.random.default_rng(0)
    for j in range(5):
        negatives = np.flatnonzero(y[:, j] == 0)
        y[rng.permutation(negatives)[2:], j] = np.nan
    tuner = CategoryWiseFineTuner(random_state=0).fit(Z, y)
    before = Z_test @ tuner.coef_init_.T
    gain = partial_roc_auc_score(full, tuner.transform(Z_test), average=None)
    gain -= partial_roc_auc_score(full, before, average=None)
    assert [line["n_negative"] for line in tuner.report_] == [2] * 5
    assert gain.min() > -0.03


@pytest.mark.parametrize("labels", [[1], [1, 0], [1, 1, 0], [0]], ids=str)
def test_a_category_with_too_few_labels_to_hold_out_does_not_stop_the_fit(labels):
    Z, y, _, _ = problem()
    y[:, 0] = np.nan
    y[: len(labels), 0] = labels
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedCategoryWarning)
        tuner = CategoryWiseFineTuner(random_state=0).fit(Z, y)
    assert np.isfinite(tuner.coef_).all()
    assert statuses(tuner)[1:] == ["refitted"] * 4


def test_all_labels_may_be_in_the_validation_data():
    Z, y, Z_test, full = problem()
    seen = y.copy()
    seen[:, 0] = np.nan
    tuner = CategoryWiseFineTuner(random_state=0, **noise_rows(y, Z))
    tuner.fit(Z, seen, validation_data=(Z_test, full))
    assert statuses(tuner) == ["refitted"] * 5


@pytest.mark.parametrize("shift", [10.0, 1e4])
def test_the_origin_of_features_does_not_matter_without_known_negatives(shift):
    Z, y, _, _ = problem()
    y[y[:, 0] == 0, 0] = np.nan
    rows, logits = noise_rows(y, Z), []
    for moved in (0.0, shift):
        rows["intercept_init"] = -moved * rows["coef_init"].sum(axis=1)
        tuner = CategoryWiseFineTuner(random_state=0, **rows).fit(Z + moved, y)
        logits.append(tuner.transform(Z + moved)[:, 0])
    np.testing.assert_allclose(logits[1].mean(), logits[0].mean(), atol=0.05)
    np.testing.assert_allclose(logits[1].std(), logits[0].std(), rtol=0.02)


def test_equal_rows_are_not_ranked_by_rounding():
    """Sparse features make many rows alike; rounding must not tell them apart."""
    rng = np.random.default_rng(0)
    Z = (rng.random((600, 40)) < 0.02).astype(np.float64)
    _, y, _, _ = problem(1200)
    found = [
        CategoryWiseFineTuner(random_state=0, **noise_rows(y, Z)).fit(features, y)
        for features in (Z, Z.astype(np.float32), 3 * Z)
    ]
    scores = [[line["score_val"] for line in tuner.history_] for tuner in found]
    np.testing.assert_allclose(scores[1], scores[0], atol=0.05)
    np.testing.assert_allclose(scores[2], scores[0], atol=0.05)


@pytest.mark.parametrize("all_positive", [True, False])
def test_without_known_negatives_the_bias_is_the_mean_of_the_candidates(all_positive):
    """The background has set the candidates' biases; nothing else can set one."""
    Z, y, _, _ = problem(known=0.5)
    Z = Z + 3.0
    y[(y[:, 0] == 0), 0] = np.nan
    if not all_positive:
        y[np.flatnonzero(np.isnan(y[:, 0]))[:5], 0] = 0.0
    weights = noise_rows(y, Z)
    weights["intercept_init"][0] = 1000.0  # counts at the smallest weight
    tuner = CategoryWiseFineTuner(random_state=0, **weights).fit(Z, y)
    assert tuner.report_[0]["status"] == "refitted"
    trust = [r["weight"] for r in tuner.history_ if r["category"] == "0"]
    task = task_of(Z, y[:, 0], np.full(len(y), np.nan))
    task = replace(task, seed=int(category_seeds(0, tuner.categories_)[0]))
    spare = task.spare_rows() if all_positive else NO_ROWS  # they stand in, and judge
    known = task.known().everything
    nothing = KnownRows(Z[:0], known.y[:0])
    stated = task.problem(make_objective("roc_auc"), known, nothing, spare)
    stated = replace(stated, coef=weights["coef_init"][0])
    paths = list(ProximalSolver().fit_paths(stated, known))
    means = np.concatenate([p.coef @ Z.mean(axis=0) + p.intercept for p in paths])
    initial = Z.mean(axis=0) @ weights["coef_init"][0] + 1000.0
    expected = trust @ means + (1 - np.sum(trust)) * initial
    found = tuner.transform(Z)[:, 0].mean()
    if all_positive:
        assert found == pytest.approx(expected, abs=0.02)
    else:  # there, known labels set it
        assert found != pytest.approx(expected, abs=0.1)


# --- what mutants showed to be unguarded ------------------------------------------


@pytest.mark.parametrize("refit", [False, True])
@pytest.mark.parametrize(
    ("fitted", "held_out", "unknown", "reasons"),
    [
        ([], [], True, ("no known label left to fit", "no known label")),
        ([], [1, 0], True, ("no known label left to fit", "")),
        ([0, 0], [0], True, ("no known positive left to fit", "no known positive")),
        ([0, 0], [1], True, ("no known positive left to fit", "")),
        ([1, 0], [], False, ("", "")),
        ([1, 1], [1], True, ("", "")),
        ([1, 1], [1], False, ("no known negative left to fit, and", "no known neg")),
        ([1, 1], [0], False, ("no known negative left to fit, and", "")),
    ],
    ids=str,
)
def test_labels_that_a_refit_lacks_are_named(fitted, held_out, unknown, reasons, refit):
    y = np.array(fitted + held_out + [np.nan] * unknown, dtype=float)
    first = np.arange(len(y)) < len(fitted)
    if len(y) == 1:
        y, first = np.append(y, np.nan), np.array([True, True])
    Z = np.random.default_rng(0).normal(size=(len(y), 1))
    task = task_of(Z, np.where(first, y, np.nan), np.where(first, np.nan, y))
    found = missing_labels(task, refit)
    expected = reasons[refit]
    assert found.startswith(expected)
    assert bool(found) == bool(expected)
    assert ("left to fit" in found) == (bool(found) and not refit)


def test_evidence_is_arranged_by_the_candidates_of_all(rng):
    listed = [
        Candidate(f"toward {toward}", "standard", 0.0, spread, 0.0, toward == "zero")
        for toward in ("zero", "row")
        for spread in (1.0, 2.0)
    ]
    judged = replace(
        judged_like(a_task(), rng, 2),
        candidates=[listed[3], listed[0]],
        held_out=np.array([0.9, 0.6]),
        against_unknown=np.array([0.8, 0.5]),
        fitted=np.array([0.7, 0.4]),
        labels=LabelCounts(1.0, 2.0, 3.0, 4.0),
        initial=InitialEvidence(0.1, 0.2, 0.3),
    )
    found = evidence_of(judged, listed)
    nan = np.nan
    np.testing.assert_array_equal(found.held_out, [0.6, nan, nan, 0.9])
    np.testing.assert_array_equal(found.against_unknown, [0.5, nan, nan, 0.8])
    np.testing.assert_array_equal(found.fitted, [0.4, nan, nan, 0.7])
    assert found.available.tolist() == [True, False, False, True]
    assert found.independent.tolist() == [True, True, False, False]
    counts = found.held_out_labels, found.against_unknown_labels, found.fitted_labels
    assert (*counts, found.memory_labels) == (1.0, 2.0, 3.0, 4.0)
    assert (found.initial_held_out, found.initial_against_unknown) == (0.1, 0.2)
    assert found.memory == 0.3


def test_initial_weights_without_any_spread_are_averaged_too(rng):
    """Weights of 0 have no spread to divide by; they add nothing but their share."""
    task = a_task()
    task = replace(task, coef=np.zeros(task.Z.shape[1]))
    judged = replace(judged_like(task, rng), initial_spread=0.0)
    average = average_weights(task, judged, np.array([0.2, 0.1, 0.3]), 0.4)
    direction = np.array([0.2, 0.1, 0.3]) @ judged.coef.astype(float)
    np.testing.assert_allclose(average.coef, 2.7 * direction, rtol=1e-6)
    assert np.isfinite(average.left_out).all()


# --- what the report says of the decision ------------------------------------------


def decided(gain, pooled, initial, *, n_pooled=4, objective="roc_auc", own=0.0):
    """The reason, for evidence that is made up."""
    labels = LabelCounts(10.0, 0.0, 10.0, 0.0)
    refit = AutoRefit(make_objective(objective), refit=True)
    verdict = Verdict(initial, np.zeros(1), gain, pooled, False)
    return refit._reason(SimpleNamespace(labels=labels), verdict, n_pooled, own)


@pytest.mark.parametrize(
    ("verdict", "own", "reason"),
    [
        (
            (0.01, 0.02, 0.1),
            0.03,
            "refits weigh 0.90, by the labels of all 4 categories together: mean "
            "roc_auc +0.020; here roc_auc +0.030",
        ),
        (
            (-0.01, 0.02, 0.1),
            -0.03,
            "refits weigh 0.90, by the labels of all 4 categories together: mean "
            "roc_auc +0.020; here roc_auc -0.030, so its own labels alone say "
            "otherwise",
        ),
        (
            (-0.01, -0.02, 0.9),
            -0.03,
            "refits would weigh only 0.10, by the labels of all 4 categories together: "
            "mean roc_auc -0.020; here roc_auc -0.030",
        ),
        (
            (0.01, -0.02, 0.9),
            0.03,
            "refits would weigh only 0.10, by the labels of all 4 categories together: "
            "mean roc_auc -0.020; here roc_auc +0.030, so its own labels alone say "
            "otherwise",
        ),
        (
            (-0.01, -0.02, 0.1),
            -0.03,
            "refits weigh 0.90, by the prior odds for refits, which do not yield to "
            "the labels of all 4 categories together: mean roc_auc -0.020; here "
            "roc_auc -0.030, so its own labels alone say otherwise",
        ),
        (
            (0.01, 0.02, 0.9),
            0.03,
            "refits would weigh only 0.10, by the prior odds for the initial weights, "
            "which do not yield to the labels of all 4 categories together: mean "
            "roc_auc +0.020; here roc_auc +0.030, so its own labels alone say "
            "otherwise",
        ),
    ],
    ids=["yes", "yes, not here", "no", "no, but here", "prior", "prior of initial"],
)
def test_the_reason_says_what_decided(verdict, own, reason):
    assert decided(*verdict, own=own) == reason


def test_the_reason_names_the_metric_of_every_number():
    reason = decided(0.01, 0.02, 0.1, objective="average_precision", own=0.03)
    assert "mean roc_auc +0.020; here average_precision +0.030" in reason


def test_the_only_category_is_judged_by_its_own_labels():
    assert decided(0.01, 0.02, 0.1, n_pooled=1, own=0.03) == (
        "refits weigh 0.90, by the labels of this category, the only one: here roc_auc "
        "+0.030"
    )


@pytest.mark.parametrize("objective", ["roc_auc", "average_precision"])
def test_the_numbers_of_the_reason_are_those_of_the_columns(objective):
    Z, y, _, _ = problem()
    tuner = CategoryWiseFineTuner(
        objective=objective, random_state=0, **noise_rows(y, Z)
    ).fit(Z, y)
    for line in tuner.report_:
        assert line["metric"] == objective
        gain = line[f"{objective}_after"] - line[f"{objective}_before"]
        assert f"here {objective} {gain:+.3f}" in line["reason"]
        assert line[f"{objective}_gain_low"] < gain < line[f"{objective}_gain_high"]
        for part in ("before", "after"):
            low, score, high = (
                line[f"{objective}_{part}{end}"] for end in ("_low", "", "_high")
            )
            assert 0 <= low < score < high <= 1
        ours, theirs = (tuner.held_out_.columns, line["n_held_out_positive"])
        column = ours[int(line["category"])]
        assert theirs == column.y.sum()
        assert line["n_held_out_negative"] == (~column.y).sum()


def test_unknown_labels_that_stand_in_are_named():
    Z, y, _, _ = problem(2000, known=0.5)
    y[y[:, 0] == 0, 0] = np.nan
    tuner = CategoryWiseFineTuner(random_state=0, **noise_rows(y, Z)).fit(Z, y)
    line = tuner.report_[0]
    assert "; here roc_auc against unknown labels +0." in line["reason"]
    assert np.isnan([line[column] for column in score_columns("roc_auc")]).all()
    assert line["n_held_out_negative"] == 0 < line["n_held_out_positive"]


def test_a_kept_category_gains_nothing():
    Z, y, Z_test, full = problem(2000, known=0.05, n_features=40)
    rows = true_rows(np.concatenate([Z, Z_test]), np.concatenate([true_y(Z), full]))
    tuner = CategoryWiseFineTuner(**rows, random_state=0).fit(Z, y)
    for line in tuner.report_:
        assert (line["roc_auc_gain_low"], line["roc_auc_gain_high"]) == (0.0, 0.0)
        assert line["roc_auc_before_low"] == line["roc_auc_after_low"]
