"""Ensembles: members, weights, means, and what they refuse."""

import pickle
from typing import ClassVar

import numpy as np
import pytest
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from optional import optional
from scipy.special import expit, logit
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cftlearn import CategoryWiseFineTuner, CFTClassifier, CFTEnsemble
from cftlearn.ensemble import augmented_scores
from cftlearn.exceptions import UndefinedCategoryWarning
from cftlearn.metrics import partial_roc_auc_score, partial_roc_auc_scorer
from cftlearn.model_selection import PartialLabelKFold

pd = optional("pandas")

NAN = np.nan


class FixedScores(BaseEstimator):
    """A fitted member that says what it is told, row by row."""

    def __init__(self, scores=None, method="decision_function"):
        self.scores = scores
        self.method = method

    def __getattr__(self, name):
        if not name.startswith("__") and name == vars(self).get("method"):
            return lambda X: np.asarray(self.scores)[np.asarray(X)[:, 0].astype(int)]
        raise AttributeError(name)

    def __sklearn_is_fitted__(self):
        return True

    def fit(self, X, y):
        return self


def rows(n):
    return np.arange(n)[:, np.newaxis]


@pytest.fixture
def members(quick_tuner):
    """Return two quick members that differ."""
    convex = CategoryWiseFineTuner("proximal")
    return [
        ("gradient", CFTClassifier(fine_tuner=quick_tuner)),
        ("convex", CFTClassifier(unknown="ignore", fine_tuner=convex)),
    ]


@pytest.fixture
def fixed():
    """Labels, and three members of which each knows one category best."""
    rng = np.random.default_rng(0)
    y = (rng.random((60, 3)) < 0.4).astype(float)
    logits = rng.standard_normal((3, *y.shape))
    for m in range(3):
        logits[m, :, m] += 2 * y[:, m]
    y[rng.random(y.shape) < 0.2] = NAN
    estimators = [(f"m{m}", FixedScores(logits[m])) for m in range(3)]
    return y, logits, estimators


def test_mean_of_probabilities(partial_problem, members):
    Z, y, _ = partial_problem
    ensemble = CFTEnsemble(members, random_state=0).fit(Z, y)
    probabilities = [member.predict_proba(Z) for member in ensemble.estimators_]
    assert_allclose(ensemble.predict_proba(Z), np.mean(probabilities, axis=0))
    assert_allclose(
        ensemble.decision_function(Z), logit(np.mean(probabilities, axis=0))
    )
    assert_array_equal(ensemble.predict(Z), ensemble.predict_proba(Z) >= 0.5)
    assert ensemble.score(Z, y) == partial_roc_auc_score(y, ensemble.predict_proba(Z))
    assert_array_equal(ensemble.weights_, np.full((2, 3), 0.5))
    assert ensemble.named_estimators_.convex is ensemble.estimators_[1]
    assert [line["status"] for line in ensemble.report_] == ["alike"] * 3
    assert ensemble.report_[0]["members"] == ["gradient", "convex"]


def test_mean_of_logits_is_one_row_per_category(partial_problem, members):
    Z, y, _ = partial_problem
    ensemble = CFTEnsemble(
        members, combine="logit_mean", weights=[[1, 2, 3], [3, 0, 1]], random_state=0
    ).fit(Z, y)
    logits = [member.decision_function(Z) for member in ensemble.estimators_]
    shares = np.array([[0.25, 1, 0.75], [0.75, 0, 0.25]])
    expected = (logits * shares[:, np.newaxis]).sum(axis=0)
    assert_allclose(ensemble.decision_function(Z), expected)
    coef, intercept = ensemble.linear_rows()
    assert_allclose(Z @ coef.T + intercept, expected)
    assert ensemble.report_[1]["members"] == ["gradient"]
    assert ensemble.report_[1]["status"] == "given"


def test_mean_of_ranks_needs_no_common_scale(fixed):
    y, logits, estimators = fixed
    plain = CFTEnsemble(estimators, combine="rank_mean", prefit=True).fit(rows(60), y)
    scaled = list(estimators)
    scaled[1] = ("m1", FixedScores(1e6 * logits[1] - 5))
    other = CFTEnsemble(scaled, combine="rank_mean", prefit=True).fit(rows(60), y)
    scores = plain.decision_function(rows(60))
    assert_allclose(other.decision_function(rows(60)), scores)
    assert ((scores > 0) & (scores < 1)).all()
    assert plain.reference_.shape == (3, 60, 3)
    single = [plain.decision_function([[i]])[0] for i in range(60)]
    assert_allclose(single, scores)
    for method in ("predict", "predict_proba"):
        assert not hasattr(plain, method)
        with pytest.raises(AttributeError, match=method) as raised:
            getattr(plain, method)
        assert "mean of ranks is no probability" in str(raised.value.__cause__)
    assert plain.score(rows(60), y) > 0.5


@pytest.mark.parametrize("combine", ["mean", "logit_mean", "rank_mean"])
def test_best_keeps_the_member_that_knows_the_category(fixed, combine):
    y, logits, estimators = fixed
    ensemble = CFTEnsemble(estimators, weights="best", prefit=True, combine=combine)
    ensemble.fit(rows(60), y)
    assert_array_equal(ensemble.weights_, np.eye(3))
    own = logits[[0, 1, 2], :, [0, 1, 2]].T
    for j in range(3):
        known = ~np.isnan(y[:, j])
        expected = roc_auc_score(y[known, j], own[known, j])
        assert_allclose(ensemble.report_[j]["score"], expected)
        assert ensemble.report_[j]["members"] == [f"m{j}"]
        assert ensemble.report_[j]["status"] == "selected"


@pytest.mark.parametrize("combine", ["mean", "logit_mean", "rank_mean"])
def test_greedy_reports_the_score_that_it_has(fixed, combine):
    y, _, estimators = fixed
    ensemble = CFTEnsemble(
        estimators,
        weights="greedy",
        prefit=True,
        combine=combine,
        objective="average_precision",
    ).fit(rows(60), y)
    assert_allclose(ensemble.weights_.sum(axis=0), 1)
    from cftlearn.metrics import partial_average_precision_score

    own = partial_average_precision_score(
        y, ensemble.decision_function(rows(60)), average=None
    )
    assert_allclose([line["score"] for line in ensemble.report_], own)
    for line in ensemble.report_:
        assert line["score"] >= line["score_best"]


def test_members_never_see_the_rows_that_choose(partial_problem):
    Z, y, _ = partial_problem

    class Recorder(LogisticRegression):
        seen: ClassVar[list] = []

        def fit(self, X, y):
            self.seen.append(X[:, 0].copy())
            return super().fit(X, np.arange(len(X)) % 2)

        def decision_function(self, X):
            self.seen.append(X[:, 0].copy())
            return np.column_stack([super().decision_function(X)] * 3)

    member = [("one", Recorder())]
    CFTEnsemble(member, weights="greedy", random_state=0).fit(Z, y)
    fitted, chose = Recorder.seen
    assert len(chose) == 30
    assert not set(fitted) & set(chose)
    assert set(fitted) | set(chose) == set(Z[:, 0])
    Recorder.seen.clear()
    CFTEnsemble(member, weights="best").fit(
        Z[:80], y[:80], validation_data=(Z[80:], y[80:])
    )
    assert_array_equal(Recorder.seen[0], Z[:80, 0])
    assert_array_equal(Recorder.seen[1], Z[80:, 0])
    Recorder.seen.clear()
    CFTEnsemble(member).fit(Z, y)
    assert_array_equal(Recorder.seen[0], Z[:, 0])
    assert len(Recorder.seen) == 1


def test_validation_rows_that_choose_nothing_are_refused(partial_problem):
    Z, y, _ = partial_problem
    given = {"X_val": Z[80:], "y_val": y[80:]}
    ensemble = CFTEnsemble([("a", CategoryWiseFineTuner("bce"))], random_state=0)
    for params in ({}, {"weights": [1.0], "combine": "logit_mean"}):
        with pytest.raises(ValueError, match="`X_val` must be None where nothing is"):
            clone(ensemble).set_params(**params).fit(Z[:80], y[:80], **given)
    ranks = ensemble.set_params(combine="rank_mean").fit(Z[:80], y[:80], **given)
    assert ranks.reference_.shape[1] == len(Z) - 80


def test_by_default_there_are_seeds_of_the_classifier(partial_problem):
    Z, y, _ = partial_problem
    Z, y = Z[:60], y[:60]
    ensemble = CFTEnsemble(n_estimators=2, random_state=0).fit(Z, y)
    first, second = ensemble.estimators_
    assert first.random_state != second.random_state
    assert not np.array_equal(first.coef_, second.coef_)
    with parallel_config("threading"):
        again = CFTEnsemble(n_estimators=2, random_state=0, n_jobs=2).fit(Z, y)
    assert_array_equal(again.decision_function(Z), ensemble.decision_function(Z))
    fewer = CFTEnsemble(n_estimators=1, random_state=0).fit(Z, y)
    assert_array_equal(fewer.estimators_[0].coef_, first.coef_)


def test_seeds_that_are_set_stay(partial_problem, members):
    Z, y, _ = partial_problem
    members[0][1].set_params(random_state=7)
    ensemble = CFTEnsemble(members, random_state=0).fit(Z, y)
    assert ensemble.estimators_[0].random_state == 7
    assert ensemble.estimators_[1].random_state is not None
    assert members[1][1].random_state is None  # the user's own is not touched


def test_members_are_reached_by_name(members):
    ensemble = CFTEnsemble(members)
    assert ensemble.get_params()["convex__unknown"] == "ignore"
    ensemble.set_params(convex__unknown="negative", gradient="drop", combine="mean")
    assert members[1][1].unknown == "negative"
    assert ensemble.estimators[0] == ("gradient", "drop")
    with pytest.raises(ValueError, match="Invalid parameter 'nonsense'"):
        ensemble.set_params(nonsense=1)
    assert CFTEnsemble().get_params()["n_estimators"] == 3


def test_dropped_members_are_not_fitted(partial_problem, members):
    Z, y, _ = partial_problem
    ensemble = CFTEnsemble(members, random_state=0).set_params(gradient="drop")
    ensemble.fit(Z, y)
    assert list(ensemble.named_estimators_) == ["convex"]
    with pytest.raises(ValueError, match="at least one member; got none"):
        ensemble.set_params(convex="drop").fit(Z, y)


def test_an_ensemble_works_in_a_search_and_survives_pickle(partial_problem, members):
    Z, y, _ = partial_problem
    search = GridSearchCV(
        CFTEnsemble(members, random_state=0),
        {"combine": ["mean", "rank_mean"], "convex__unknown": ["negative"]},
        cv=PartialLabelKFold(2),
        scoring=partial_roc_auc_scorer,
    ).fit(Z, y)
    best = search.best_estimator_
    copied = pickle.loads(pickle.dumps(best))
    assert_array_equal(copied.decision_function(Z), best.decision_function(Z))


def test_frozen_members_survive_cloning(partial_problem, members):
    Z, y, _ = partial_problem
    fitted = [
        (name, FrozenEstimator(member.set_params(random_state=0).fit(Z[:80], y[:80])))
        for name, member in members
    ]
    ensemble = clone(CFTEnsemble(fitted, prefit=True, weights="greedy"))
    ensemble.fit(Z[80:], y[80:])
    assert ensemble.estimators_[0].coef_ is members[0][1].coef_
    loose = [("one", clone(members[0][1]))]
    with pytest.raises(NotFittedError):
        CFTEnsemble(loose, prefit=True).fit(Z, y)


def test_members_of_all_kinds(partial_problem, quick_tuner):
    Z, y, y_full = partial_problem
    labels = y_full.astype(int)
    forest = RandomForestClassifier(5, random_state=0).fit(Z, labels)
    each = MultiOutputClassifier(LogisticRegression()).fit(Z, labels)
    kinds = [
        ("tuner", clone(quick_tuner).fit(Z, y)),
        ("pipeline", make_pipeline(StandardScaler(), CFTClassifier()).fit(Z, y)),
        ("forest", forest),
        ("each", each),
    ]
    ensemble = CFTEnsemble(kinds, prefit=True).fit(Z, y)
    expected = np.mean(
        [
            expit(kinds[0][1].transform(Z)),
            kinds[1][1].predict_proba(Z),
            np.column_stack([p[:, 1] for p in forest.predict_proba(Z)]),
            np.column_stack([p[:, 1] for p in each.predict_proba(Z)]),
        ],
        axis=0,
    )
    assert_allclose(ensemble.predict_proba(Z), expected, atol=1e-12)


def test_a_category_that_a_member_saw_one_class_of(partial_problem):
    Z, y, _ = partial_problem
    labels = np.column_stack([np.zeros(len(Z)), np.arange(len(Z)) % 2, np.ones(len(Z))])
    forest = RandomForestClassifier(2, random_state=0).fit(Z, labels)
    found = CFTEnsemble([("one", forest)], prefit=True).fit(Z, y).predict_proba(Z)
    assert_allclose(found[:, 0], 0, atol=1e-12)
    assert_allclose(found[:, 2], 1, atol=1e-12)


@pytest.mark.parametrize("method", ["decision_function", "predict_proba"])
def test_one_dimensional_targets_of_words(method):
    rng = np.random.default_rng(0)
    Z = rng.standard_normal((80, 3))
    y = np.where(Z[:, 0] + rng.standard_normal(80) > 0, "yes", "no")
    ensemble = CFTEnsemble(n_estimators=2, weights="greedy", random_state=0).fit(Z, y)
    assert ensemble.predict_proba(Z).shape == (80, 2)
    assert set(ensemble.predict(Z)) == {"yes", "no"}
    member = (RandomForestClassifier if method == "predict_proba" else CFTClassifier)(
        random_state=0
    ).fit(Z, y)
    prefit = CFTEnsemble([("one", member)], prefit=True).fit(Z, y)
    assert_allclose(prefit.predict_proba(Z), member.predict_proba(Z), atol=1e-12)
    with pytest.raises(ValueError, match=r"classes of member 'one', \['no', 'yes'\]"):
        prefit.fit(Z, np.where(y == "yes", 1, 0))


def test_networks_and_inputs_of_more_axes(network_factory):
    from torch import nn

    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 1, 2, 3)).astype(np.float32)
    y = (X.reshape(60, 6)[:, :3] > 0).astype(float)

    def make():
        return nn.Sequential(nn.Flatten(), *network_factory())

    tuner = CategoryWiseFineTuner("proximal")
    member = CFTClassifier(make, max_epochs=1, fine_tuner=tuner, device="cpu")
    members = [("a", member), ("b", member)]
    ensemble = CFTEnsemble(members, combine="logit_mean", random_state=0).fit(X, y)
    assert ensemble.predict_proba(X).shape == (60, 3)
    with pytest.raises(ValueError, match="must be linear in the features"):
        ensemble.linear_rows()
    mirrored = augmented_scores(ensemble, X, [lambda X: X[..., ::-1].copy()])
    both = [ensemble.predict_proba(X), ensemble.predict_proba(X[..., ::-1].copy())]
    assert_allclose(mirrored, np.mean(both, axis=0))


def test_names_come_from_labels_or_members(partial_problem, members):
    Z, y, _ = partial_problem
    frame = pd.DataFrame(y, columns=["Ödem", "b", "c"])
    fitted = [("one", members[1][1].fit(Z, frame))]
    ensemble = CFTEnsemble(fitted, prefit=True)
    assert list(ensemble.fit(Z, y).categories_) == ["Ödem", "b", "c"]
    assert ensemble.report_[0]["category"] == "Ödem"
    assert list(ensemble.fit(Z, frame).categories_) == ["Ödem", "b", "c"]
    with pytest.raises(ValueError, match=r"Member 'one' must have the categories"):
        ensemble.fit(Z, frame[["b", "Ödem", "c"]])
    with pytest.raises(ValueError, match=r"Member 'one' must have the categories"):
        ensemble.fit(Z, y[:, :2])
    other = clone(members[1][1]).fit(Z, frame[["b", "Ödem", "c"]])
    with pytest.raises(ValueError, match="'two' must have the categories of member"):
        CFTEnsemble([*fitted, ("two", other)], prefit=True).fit(Z, y)


def test_categories_that_cannot_judge_are_named_and_weigh_alike(fixed):
    y, _, estimators = fixed
    y[:, 1] = np.where(y[:, 1] == 1, NAN, y[:, 1])
    ensemble = CFTEnsemble(estimators, weights="best", prefit=True)
    with pytest.warns(UndefinedCategoryWarning, match="1 of 3 .*'1'") as caught:
        ensemble.fit(rows(60), y)
    assert caught[0].filename == __file__
    assert_allclose(ensemble.weights_[:, 1], 1 / 3)
    assert [line["status"] for line in ensemble.report_] == [
        "selected",
        "unjudged",
        "selected",
    ]
    assert np.isnan(ensemble.report_[1]["score"])


def test_permuted_categories_are_permuted(fixed):
    y, logits, estimators = fixed
    first = CFTEnsemble(estimators, weights="greedy", prefit=True).fit(rows(60), y)
    order = [2, 0, 1]
    turned = [(f"m{m}", FixedScores(logits[m][:, order])) for m in range(3)]
    second = CFTEnsemble(turned, weights="greedy", prefit=True)
    second.fit(rows(60), y[:, order])
    assert_array_equal(second.weights_, first.weights_[:, order])


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"estimators": []}, ValueError, "at least one member; got none"),
        ({"estimators": [CFTClassifier()]}, TypeError, r"got CFTClassifier .*Pass"),
        ({"estimators": [("a", "b")]}, TypeError, "list of .name, estimator."),
        ({"estimators": [("a", 1, 2)]}, TypeError, "list of .name, estimator."),
        (
            {"estimators": [("a", CFTClassifier()), ("a", CFTClassifier())]},
            ValueError,
            "not unique",
        ),
        ({"estimators": [("a__b", CFTClassifier())]}, ValueError, "must not contain"),
        ({"estimators": [("combine", CFTClassifier())]}, ValueError, "conflict"),
        ({"combine": "max"}, ValueError, "'combine' parameter of CFTEnsemble"),
        ({"weights": "worst"}, ValueError, "'weights' parameter of CFTEnsemble"),
        ({"weights": [1, 2, 3, 4]}, ValueError, "`weights` must have one number"),
        ({"objective": "f1"}, ValueError, "'objective' parameter of CFTEnsemble"),
        ({"n_estimators": 0}, ValueError, "'n_estimators' parameter of CFTEnsemble"),
        ({"prefit": True}, ValueError, "fitted members with prefit=True; got None"),
        ({"threshold": [0.5, 0.5]}, ValueError, "`threshold` must be one number or"),
    ],
    ids=str,
)
def test_parameters_that_are_refused(partial_problem, params, error, message):
    Z, y, _ = partial_problem
    with pytest.raises(error, match=message):
        CFTEnsemble(**params).fit(Z, y)


@pytest.mark.parametrize(
    ("scores", "method", "error", "message"),
    [
        (
            np.zeros((60, 2)),
            "decision_function",
            ValueError,
            r"3 categories; got shape",
        ),
        (np.full((60, 3), NAN), "decision_function", ValueError, "got NaN or infinity"),
        (np.full((60, 3), np.inf), "transform", ValueError, "got NaN or infinity"),
        (np.zeros((60, 3, 1)), "transform", ValueError, r"got shape \(60, 3, 1\)"),
        (np.zeros((60, 3)), "predict", TypeError, "must have `decision_function`"),
    ],
)
def test_members_whose_scores_are_refused(fixed, scores, method, error, message):
    y, _, _ = fixed
    member = [("odd", FixedScores(scores, method))]
    ensemble = CFTEnsemble(member, prefit=True, weights="best")
    with pytest.raises(error, match=f"Member 'odd'.*{message}"):
        ensemble.fit(rows(60), y)


def test_data_that_are_refused(partial_problem, members):
    Z, y, _ = partial_problem
    ensemble = CFTEnsemble(members, weights="best")
    for other in ((Z, y, y), [Z, y]):
        with pytest.raises(ValueError, match=r"must be a tuple \(X_val, y_val\)"):
            ensemble.fit(Z, y, validation_data=other)
    with pytest.raises(ValueError, match="`y_val` must have the 3 categories"):
        ensemble.fit(Z, y, validation_data=(Z, y[:, :2]))
    with pytest.raises(ValueError, match="`X_val` and `y_val` must have one row per"):
        ensemble.fit(Z, y, validation_data=(Z, y[:5]))
    with pytest.raises(ValueError, match="`X` and `y` must have one row per sample"):
        ensemble.fit(Z, y[:5])
    with pytest.raises(TypeError, match="rows in a fixed order; got a generator"):
        ensemble.fit((row for row in Z), y)
    with pytest.raises(NotFittedError):
        ensemble.decision_function(Z)
    with pytest.raises(ValueError, match='must be "logit_mean" for one linear model'):
        CFTEnsemble(members).fit(Z, y).linear_rows()


def test_augmented_scores_average_what_the_model_says(partial_problem):
    Z, y, _ = partial_problem
    model = CFTClassifier(random_state=0).fit(Z, y)
    plain = model.predict_proba(Z)
    assert_allclose(augmented_scores(model, Z, []), plain)
    assert_allclose(
        augmented_scores(model, Z, [np.negative, np.abs]).shape, plain.shape
    )
    both = model.decision_function(Z) + model.decision_function(2 * Z)
    found = augmented_scores(model, Z, [lambda X: 2 * X], combine="logit_mean")
    assert_allclose(found, expit(both / 2))
    with pytest.raises(
        ValueError, match="keep the 120 rows of `X`; the one at index 1"
    ):
        augmented_scores(model, Z, [np.abs, lambda X: X[:5]])
    with pytest.raises(TypeError, match="must hold functions; got str at index 0"):
        augmented_scores(model, Z, ["flip"])
    with pytest.raises(ValueError, match="'combine' parameter of augmented_scores"):
        augmented_scores(model, Z, [], combine="max")
