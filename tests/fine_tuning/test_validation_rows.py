"""Rows to choose by: two ways to pass them, a Pipeline's, and their scale."""

import warnings

import numpy as np
import pytest
import sklearn
from optional import optional
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from torch import nn

from cftlearn import CategoryWiseFineTuner, CFTClassifier, CFTEnsemble
from cftlearn._inputs import ArrayInputs
from cftlearn.datasets import make_partial_multilabel
from cftlearn.exceptions import SeenLabelsWarning, ValidationScaleWarning
from cftlearn.fine_tuning._validation_rows import validation_pair, warn_of_scale

pd = optional("pandas")

X, Y, _ = make_partial_multilabel(400, known=0.6, random_state=0)
Y = Y[:, :2]
RAW = X * np.linspace(0.1, 200, X.shape[1]) + 50
FIT, VAL, TEST = slice(0, 200), slice(200, 300), slice(300, 400)
NETWORK = nn.Linear(20, 2)
ESTIMATORS = {
    "classifier": CFTClassifier(random_state=0),
    "network": CFTClassifier(NETWORK, max_epochs=2, random_state=0),
    "fine-tuner": CategoryWiseFineTuner(random_state=0),
    "ensemble": CFTEnsemble(
        [("a", CFTClassifier()), ("b", CategoryWiseFineTuner("proximal"))],
        weights="greedy",
        random_state=0,
    ),
}


@pytest.fixture(params=ESTIMATORS)
def estimator(request):
    return clone(ESTIMATORS[request.param])


def scores(model, rows):
    compute = model.transform if hasattr(model, "transform") else None
    return (compute or model.decision_function)(rows)


def test_both_ways_to_pass_them_are_one(estimator):
    apart = clone(estimator).fit(X[FIT], Y[FIT], X_val=X[VAL], y_val=Y[VAL])
    together = clone(estimator).fit(X[FIT], Y[FIT], validation_data=(X[VAL], Y[VAL]))
    without = clone(estimator).fit(X[FIT], Y[FIT])
    np.testing.assert_array_equal(scores(apart, X), scores(together, X))
    assert not np.array_equal(scores(apart, X), scores(without, X))


def test_a_pipeline_transforms_them(estimator):
    scaler = StandardScaler().fit(RAW[FIT])
    expected = clone(estimator).fit(
        scaler.transform(RAW[FIT]),
        Y[FIT],
        X_val=scaler.transform(RAW[VAL]),
        y_val=Y[VAL],
    )
    with sklearn.config_context(enable_metadata_routing=True):
        last = estimator.set_fit_request(X_val=True, y_val=True)
        steps = [("scale", StandardScaler()), ("last", last)]
        pipeline = Pipeline(steps, transform_input=["X_val"])
        pipeline.fit(RAW[FIT], Y[FIT], X_val=RAW[VAL], y_val=Y[VAL])
    np.testing.assert_array_equal(
        scores(pipeline, RAW[TEST]), scores(expected, scaler.transform(RAW[TEST]))
    )


@pytest.mark.parametrize("last", [CFTClassifier(random_state=0), CFTEnsemble()])
def test_a_pipeline_with_routing_scores(last):
    """It passes `sample_weight=None` on, which the last step must know of."""
    pipeline = make_pipeline(StandardScaler(), last).fit(RAW[FIT], Y[FIT])
    expected = pipeline.score(RAW[TEST], Y[TEST])
    with sklearn.config_context(enable_metadata_routing=True):
        assert pipeline.score(RAW[TEST], Y[TEST]) == expected
        with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
            pipeline.score(RAW[TEST], Y[TEST], sample_weight=np.ones(len(Y[TEST])))


def test_a_pipeline_that_does_not_transform_them_warns(estimator):
    pipeline = Pipeline([("scale", StandardScaler()), ("last", estimator)])
    with pytest.warns(ValidationScaleWarning, match="in 20 of 20 columns compared"):
        pipeline.fit(RAW[FIT], Y[FIT], last__X_val=RAW[VAL], last__y_val=Y[VAL])


def test_a_pipeline_asks_what_to_do_with_them():
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(StandardScaler(), CFTClassifier())
        with pytest.raises(UnsetMetadataPassedError, match="set_fit_request"):
            pipeline.fit(RAW[FIT], Y[FIT], X_val=RAW[VAL], y_val=Y[VAL])


def test_the_warning_names_the_line_that_called_fit(estimator):
    with pytest.warns(ValidationScaleWarning) as caught:
        estimator.fit(RAW[FIT], Y[FIT], X_val=X[VAL], y_val=Y[VAL])
    assert caught[0].filename == __file__


def test_rows_that_are_passed_are_no_seen_labels():
    model = CFTClassifier(NETWORK, train=False, random_state=0)
    with pytest.warns(SeenLabelsWarning, match=r"Pass X_val=\.\.\., y_val=\.\.\."):
        model.fit(X[FIT], Y[FIT])
    with warnings.catch_warnings():
        warnings.simplefilter("error", SeenLabelsWarning)
        model.fit(X[FIT], Y[FIT], X_val=X[VAL], y_val=Y[VAL])


def test_a_pair():
    assert validation_pair(None, None, None) is None
    assert validation_pair((1, 2), None, None) == (1, 2)
    assert validation_pair(None, 3, 4) == (3, 4)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (((1, 2), 3, 4), "`validation_data` and `X_val`, `y_val` mean the same rows"),
        (((1, 2), None, 4), "mean the same rows; got both"),
        ((None, 3, None), "`y_val` must be given with `X_val`"),
        ((None, None, 4), "`X_val` must be given with `y_val`"),
        (((None, 2), None, None), "`X_val` must be given with `y_val`"),
        (([1, 2], None, None), "got list of 2"),
        (((1, 2, 3), None, None), "got tuple of 3"),
        ((7, None, None), "got int"),
    ],
)
def test_half_a_pair_or_two_is_refused(given, match):
    with pytest.raises(ValueError, match=match):
        validation_pair(*given)


def warns(rows, others):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_scale(rows, others, stacklevel=1)
    return [each.category for each in caught] == [ValidationScaleWarning]


def split(table, n_others, seed):
    order = np.random.default_rng(seed).permutation(len(table))
    return table[order[n_others:]], table[order[:n_others]]


def drawn_tables():
    rng = np.random.default_rng(0)
    n, d = 300, 30
    common = rng.standard_normal((n, 1))
    return {
        "normal": rng.standard_normal((n, d)),
        "one common cause": common + 0.1 * rng.standard_normal((n, d)),
        "heavy tails": rng.standard_t(1.5, (n, d)),
        "lognormal": np.exp(2 * rng.standard_normal((n, d))),
        "counts": rng.poisson(0.3, (n, d)).astype(float),
        "rare words": (rng.random((n, d)) < 0.02).astype(float),
        "even coins": rng.integers(0, 2, (n, d)).astype(float),
        "constant": np.ones((n, d)),
        "cancer": load_breast_cancer().data,
        "wine": load_wine().data,
        "digits": load_digits().data,
    }


TABLES = drawn_tables()


@pytest.mark.parametrize("n_others", [5, 20, 75])
@pytest.mark.parametrize("name", TABLES)
def test_rows_of_the_same_kind_do_not_warn(name, n_others):
    assert not any(warns(*split(TABLES[name], n_others, seed)) for seed in range(20))


@pytest.mark.parametrize("name", ["cancer", "wine", "digits"])
def test_another_class_does_not_warn(name):
    load = {"cancer": load_breast_cancer, "wine": load_wine, "digits": load_digits}
    data = load[name]()
    for one in np.unique(data.target):
        rows, others = data.data[data.target != one], data.data[data.target == one]
        assert not warns(rows, others)


@pytest.mark.parametrize("scaled", ["training", "validation"])
@pytest.mark.parametrize(
    ("name", "scaler"),
    [
        ("cancer", StandardScaler()),
        ("cancer", MinMaxScaler()),
        ("wine", StandardScaler()),
        ("digits", StandardScaler()),
        ("digits", MinMaxScaler()),
        ("counts", StandardScaler()),
        ("rare words", StandardScaler()),
        ("constant", StandardScaler()),
        ("lognormal", StandardScaler()),
    ],
)
def test_rows_in_another_scale_warn(name, scaler, scaled):
    rows, others = split(TABLES[name], 60, 0)
    scaler.fit(rows)
    if scaled == "training":
        rows = scaler.transform(rows)
    else:
        others = scaler.transform(others)
    assert warns(rows, others)


def test_what_cannot_be_compared_does_not_warn():
    rows, far = X[FIT], RAW[VAL]
    assert warns(rows, far)
    assert warns(pd.DataFrame(rows), far)
    assert not warns(rows, far[:19])
    assert not warns(rows[:, :2], far[:, :2])
    assert not warns(rows, far[:, :5])
    assert not warns(rows.tolist(), far)
    assert not warns(rows.astype(object), far)


def test_images_in_bytes_and_in_fractions():
    images = np.random.default_rng(0).integers(0, 256, (60, 3, 8, 8), dtype=np.uint8)
    rows = ArrayInputs(images)
    assert warns(rows, ArrayInputs(images / 255))
    assert not warns(rows.take(np.arange(30)), rows.take(np.arange(30, 60)))
