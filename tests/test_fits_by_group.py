"""Fits with groups of rows: no label judges a fit that saw another one of its group."""

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_array_equal
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from cftlearn import CategoryWiseFineTuner, CFTClassifier, CFTEnsemble
from cftlearn.calibration import held_out_predictions, tune_thresholds
from cftlearn.datasets import make_partial_multilabel
from cftlearn.labels._groups import spread_over_groups
from cftlearn.metrics import partial_roc_auc_score, partial_roc_auc_scorer
from cftlearn.model_selection import PartialLabelKFold, cross_val_predict
from cftlearn.training import _trainings

N = 120  # rows, in pairs


@pytest.fixture(scope="module")
def twins():
    """Return rows without any signal: each is there twice, with the same labels."""
    rng = np.random.default_rng(0)
    X = np.repeat(rng.standard_normal((N, 100)), 2, axis=0)
    y = np.repeat((rng.random((N, 6)) < 0.4).astype(float), 2, axis=0)
    order = rng.permutation(2 * N)
    return X[order], y[order], np.repeat(np.arange(N), 2)[order]


@pytest.fixture(scope="module")
def problem():
    X, y, _ = make_partial_multilabel(N, known=0.6, random_state=0)
    return X, y, np.array([f"patient {i // 3}" for i in range(N)])


def make_network():
    return nn.Sequential(nn.Linear(20, 8), nn.ReLU(), nn.Linear(8, 5))


def judged(model):
    """Return the mean AUC of labels that judged, by fits that did not see them."""
    y, proba = held_out_predictions(model)
    return partial_roc_auc_score(y, np.nan_to_num(proba))


SOLVERS = {
    "auto": CategoryWiseFineTuner(random_state=0),
    "auto, no refit": CategoryWiseFineTuner(refit=False, random_state=0),
    "cross-fitted": CategoryWiseFineTuner(cross_fit=4, random_state=0),
    "proximal": CategoryWiseFineTuner("proximal", random_state=0),
    "classifier": CFTClassifier(
        fine_tuner=CategoryWiseFineTuner(cross_fit=4), random_state=0
    ),
}


@pytest.mark.parametrize("name", SOLVERS)
def test_a_twin_does_not_speak_for_its_label(name, twins):
    """Where nothing can be learnt, only twins can make labels look predictable."""
    X, y, groups = twins
    tuner = sklearn.clone(SOLVERS[name])
    alone = judged(tuner.fit(X, y))
    together = judged(tuner.fit(X, y, groups=groups))
    assert alone > 0.8
    assert together < 0.62


@pytest.mark.parametrize("name", SOLVERS)
def test_no_candidate_is_judged_by_a_twin(name, twins, monkeypatch):
    X, y, groups = twins
    seen = []

    def spy(task, *arguments):
        seen.append((task, judge(task, *arguments)))
        return seen[-1][1]

    from cftlearn.fine_tuning import _auto

    judge = _auto.judge_candidates
    monkeypatch.setattr(_auto, "judge_candidates", spy)
    sklearn.clone(SOLVERS[name]).fit(X, y, groups=groups)
    assert len(seen) == (0 if name == "proximal" else 6)
    aucs = [found.held_out.mean() for _, found in seen]
    assert np.mean(aucs or [0.0]) < 0.6
    for task, found in seen:
        assert np.isnan(found.fitted).all()
        fitted, held_out = (groups[part.rows] for part in (task.fitted, task.held_out))
        assert not np.intersect1d(fitted, held_out).size


ESTIMATORS = {
    "features": CFTClassifier(random_state=0),
    "ignore": CFTClassifier(unknown="ignore", random_state=0),
    "cross-fitted": CFTClassifier(
        fine_tuner=CategoryWiseFineTuner(cross_fit=3), random_state=0
    ),
    "calibrated": CFTClassifier(calibration="sigmoid", random_state=0),
    "network": CFTClassifier(make_network, max_epochs=2, random_state=0),
    "negative": CFTClassifier(
        make_network, unknown="negative", max_epochs=2, random_state=0
    ),
    "rounds": CFTClassifier(make_network, rounds=2, max_epochs=2, random_state=0),
    "cross-fitted network": CFTClassifier(
        make_network,
        max_epochs=2,
        fine_tuner=CategoryWiseFineTuner(cross_fit=2),
        random_state=0,
    ),
    "fine-tuner": CategoryWiseFineTuner(random_state=0),
    "gradients": CategoryWiseFineTuner("bce", random_state=0),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_groups_are_held_out_as_a_whole(name, problem):
    X, y, groups = problem
    model = sklearn.clone(ESTIMATORS[name]).fit(X, y, groups=groups)
    held_out = ~np.isnan(held_out_predictions(model)[0])
    numbers = np.arange(N) // 3
    whole = spread_over_groups(held_out, numbers) & ~np.isnan(y)
    assert_array_equal(held_out, whole)
    share = held_out.sum(axis=0) / whole.shape[0]
    is_crossed = "cross-fitted" in name
    known = ~np.isnan(y)
    if is_crossed:
        assert_array_equal(held_out, known)
    else:
        share = held_out.sum(axis=0) / known.sum(axis=0)
        assert np.abs(share - 0.25).max() < 0.08


@pytest.mark.parametrize("name", ["features", "network", "fine-tuner"])
def test_names_of_groups_do_not_matter(name, problem):
    X, y, groups = problem
    model = sklearn.clone(ESTIMATORS[name])
    pandas = pytest.importorskip("pandas")
    coefs = [
        model.fit(X, y, groups=own).coef_.copy()
        for own in (groups, np.arange(N) // 3, groups.tolist(), pandas.Series(groups))
    ]
    for own in coefs[1:]:
        assert_array_equal(own, coefs[0])
    assert (model.fit(X, y).coef_ != coefs[0]).any()


@pytest.mark.parametrize("unknown", ["auto", "negative", "hill"])
def test_no_cell_of_a_held_out_group_is_trained_on(unknown, problem, monkeypatch):
    X, y, groups = problem
    calls, fit_network = [], _trainings.fit_network

    def spy(plan, module, inputs, targets, held_out=None, probe=None, **rest):
        calls.append((targets, held_out, probe))
        return fit_network(plan, module, inputs, targets, held_out, probe, **rest)

    monkeypatch.setattr(_trainings, "fit_network", spy)
    model = CFTClassifier(make_network, unknown=unknown, max_epochs=2, random_state=0)
    model.fit(X, y, groups=groups)
    (targets, held_out, probe), (again, _, _) = calls
    trained = ~np.isnan(targets.values)
    aside = ~np.isnan(held_out.labels)
    if targets.unknown is not None:
        trained |= targets.unknown
    if probe is not None:
        aside |= probe.unknown
    numbers = np.arange(N) // 3
    both = spread_over_groups(trained, numbers) & spread_over_groups(aside, numbers)
    assert not both.any()
    assert (probe is not None) == (unknown == "auto")
    known = ~np.isnan(y)
    assert_array_equal(again.values[known], y[known])  # the second sees all labels


def test_networks_of_folds_divide_no_group(problem, monkeypatch):
    X, y, groups = problem
    calls, fit_network = [], _trainings.fit_network

    def spy(plan, module, inputs, targets, held_out=None, *rest, **options):
        calls.append((targets, held_out))
        return fit_network(plan, module, inputs, targets, held_out, *rest, **options)

    monkeypatch.setattr(_trainings, "fit_network", spy)
    sklearn.clone(ESTIMATORS["cross-fitted network"]).fit(X, y, groups=groups)
    assert len(calls) == 3
    numbers = np.arange(N) // 3
    for targets, held_out in calls[:2]:
        trained, aside = ~np.isnan(targets.values), ~np.isnan(held_out.labels)
        both = spread_over_groups(trained, numbers) & spread_over_groups(aside, numbers)
        assert not both.any()


def test_validation_rows_of_other_groups_are_left_out_together(twins):
    X, y, groups = twins
    other = groups >= N // 2
    rows, rest = {"X_val": X[other], "y_val": y[other]}, (X[~other], y[~other])
    tuner = CategoryWiseFineTuner(random_state=0)
    assert judged(tuner.fit(*rest, **rows)) > 0.7
    assert judged(tuner.fit(*rest, groups=groups[~other], **rows)) < 0.62


# --- what takes groups from others ----------------------------------------------------


class Spy(CFTClassifier):
    """Remembers the groups of its last fit, as all clones do."""

    seen: list = []  # noqa: RUF012

    def fit(self, X, y, *, groups=None):
        self.seen.append(groups)
        return super().fit(X, y, groups=groups)


@pytest.fixture
def seen():
    Spy.seen.clear()
    return Spy.seen


@pytest.fixture
def _routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


SCORED = {"scoring": partial_roc_auc_scorer}


def check_no_group_is_divided(seen, groups, n_folds, *, refit=False):
    parts = seen[:n_folds]
    assert len(seen) == n_folds + refit
    for own in parts:  # without the patients of one fold
        assert 0 < len(np.unique(own)) < len(np.unique(groups))
        assert len(own) == np.isin(groups, own).sum()


def test_cross_validation_without_routing(problem, seen):
    X, y, groups = problem
    found = cross_validate(
        Spy(random_state=0),
        X,
        y,
        groups=groups,
        cv=GroupKFold(3),
        params={"groups": groups},
        **SCORED,
    )
    assert np.isfinite(found["test_score"]).all()
    check_no_group_is_divided(seen, groups, 3)


@pytest.mark.usefixtures("_routing")
def test_cross_validation_with_routing(problem, seen):
    X, y, groups = problem
    model = Spy(random_state=0)
    arguments = {"cv": GroupKFold(3), "params": {"groups": groups}, **SCORED}
    with pytest.raises(ValueError, match="groups"):  # nobody said who is to get them
        cross_validate(model, X, y, error_score="raise", **arguments)
    seen.clear()
    cross_validate(model.set_fit_request(groups=True), X, y, **arguments)
    check_no_group_is_divided(seen, groups, 3)
    seen.clear()
    cross_validate(model.set_fit_request(groups=False), X, y, **arguments)
    assert seen == [None] * 3


def test_own_cross_validation(problem, seen):
    X, y, groups = problem
    params = {"groups": groups}
    model = Spy(random_state=0)
    cross_val_predict(model, X, y, groups=groups, cv=3, params=params)
    check_no_group_is_divided(seen, groups, 3)


@pytest.mark.usefixtures("_routing")
def test_a_search_passes_groups_to_the_splitter_and_to_all_fits(problem, seen):
    X, y, groups = problem
    model = make_pipeline(
        StandardScaler(), Spy(random_state=0).set_fit_request(groups=True)
    )
    search = GridSearchCV(
        model, {"spy__unknown": ["negative"]}, cv=PartialLabelKFold(2), **SCORED
    )
    search.fit(X, y, groups=groups)
    check_no_group_is_divided(seen, groups, 2, refit=True)
    assert_array_equal(seen[-1], groups)


def test_a_search_without_routing_passes_them_to_the_splitter_alone(problem, seen):
    X, y, groups = problem
    search = GridSearchCV(
        Spy(random_state=0),
        {"unknown": ["negative"]},
        cv=PartialLabelKFold(2),
        refit=False,
        **SCORED,
    )
    search.fit(X, y, groups=groups)
    assert seen == [None, None]


def test_a_pipeline_passes_them_to_its_last_step(problem, seen):
    X, y, groups = problem
    model = make_pipeline(StandardScaler(), Spy(random_state=0))
    assert_array_equal(model.fit(X, y, spy__groups=groups).predict(X).shape, y.shape)
    assert_array_equal(seen[0], groups)


MEMBERS = {
    "itself": lambda: Spy(random_state=0),
    "pipeline": lambda: make_pipeline(StandardScaler(), Spy(random_state=0)),
}


@pytest.mark.parametrize("name", MEMBERS)
def test_an_ensemble_divides_no_group_and_passes_them_on(name, problem, seen):
    X, y, groups = problem
    unaware = make_pipeline(StandardScaler(), Unaware())
    members = [("own", MEMBERS[name]()), ("other", Unaware()), ("last", unaware)]
    model = CFTEnsemble(members, weights="best", random_state=0)
    model.fit(X, y, groups=groups)
    assert len(np.unique(seen[0])) < N // 3
    assert 0.6 * N < len(seen[0]) < 0.9 * N
    rows = model.estimators_[1].n_rows_
    assert rows == len(seen[0])
    assert np.bincount(seen[0]).max() == 3
    assert np.unique(np.bincount(seen[0])).tolist() in ([3], [0, 3])  # whole patients
    model = CFTEnsemble(members[:1], random_state=0).fit(X, y, groups=groups)
    assert_array_equal(seen[1], np.arange(N) // 3)


@pytest.mark.usefixtures("_routing")
@pytest.mark.parametrize("asks", [True, False])
def test_an_ensemble_asks_a_pipeline_with_routing(asks, problem, seen):
    X, y, groups = problem
    last = Spy(random_state=0).set_fit_request(groups=asks)
    pipeline = Pipeline([("scale", StandardScaler()), ("last", last)])
    CFTEnsemble([("one", pipeline)], random_state=0).fit(X, y, groups=groups)
    assert (seen[0] is not None) == asks


class Unaware(sklearn.base.ClassifierMixin, sklearn.base.BaseEstimator):
    """Knows no groups."""

    def fit(self, X, y):
        self.n_rows_ = len(X)
        self.classes_ = np.tile([0, 1], (y.shape[1], 1))
        return self

    def decision_function(self, X):
        return np.asarray(X)[:, :5]


def test_thresholds_and_calibration_rest_on_whole_groups(twins):
    X, y, groups = twins
    model = CFTClassifier(calibration="sigmoid", random_state=0)
    spread = [
        np.nanstd(held_out_predictions(model.fit(X, y, groups=own))[1])
        for own in (None, groups)
    ]
    assert spread[1] < 0.3 * spread[0]  # which would be sure of what it cannot know
    y_true, proba = held_out_predictions(model)
    assert tune_thresholds(y_true, proba).shape == (6,)


def test_a_checkpoint_is_for_fits_with_the_same_groups(problem, tmp_path):
    X, y, groups = problem
    tuner = CategoryWiseFineTuner(random_state=0, checkpoint=tmp_path)
    first = tuner.fit(X, y, groups=groups).coef_
    assert_array_equal(tuner.fit(X, y, groups=np.arange(N) // 3).coef_, first)
    with pytest.raises(ValueError, match="groups"):
        tuner.fit(X, y)


def test_the_report_says_that_groups_stay_whole():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((30, 3)), (np.arange(30) < 5).astype(float)[:, None]
    groups = np.maximum(np.arange(30) - 4, 0)  # all positives are in the first one
    tuner = CategoryWiseFineTuner("bce", random_state=0)
    message = "only 5 known positives in groups that stay whole, none left to hold out"
    with pytest.warns(Warning, match=message):
        tuner.fit(X, np.hstack([y, y[::-1]]), groups=groups)
    assert tuner.report_[0]["status"] == "skipped"
    assert tuner.report_[1]["status"] != "skipped"
    auto = CategoryWiseFineTuner(random_state=0).fit(X, y.ravel(), groups=groups)
    line = auto.report_[0]
    assert line["n_held_out_positive"] + line["n_held_out_negative"] == 6
    assert auto.report_[0]["reason"].startswith("no held-out labels of both classes")


@pytest.mark.parametrize("name", ["features", "fine-tuner"])
def test_a_fit_with_bad_groups_changes_nothing(name, problem):
    X, y, groups = problem
    model = sklearn.clone(ESTIMATORS[name]).fit(X, y, groups=groups)
    before = dict(vars(model))
    for bad in (groups[1:], ["a"] * N, [None] * N):
        with pytest.raises(ValueError, match="`groups`"):
            model.fit(X[:, :3], y, groups=bad)
        assert vars(model) == before


def test_folds_without_a_pair_judge_nothing(problem):
    X, y, _ = problem
    groups = (y[:, 0] == 1).astype(int)  # one has all positives, the other none
    tuner = CategoryWiseFineTuner(cross_fit=2, random_state=0)
    tuner.fit(X, y, groups=groups)
    assert np.isnan([line["score_val"] for line in tuner.history_[:4]]).all()
    assert np.isfinite(tuner.coef_).all()
