"""Tables with names, shuffled: the result is the same, or there is an error."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cftlearn import CategoryWiseFineTuner, CFTClassifier, CFTEnsemble
from cftlearn.calibration import CategoryCalibrator, tune_thresholds
from cftlearn.displays import CategoryScoreDisplay, LabelCoverageDisplay
from cftlearn.ensemble import combine_scores, merge_views, select_members
from cftlearn.labels import check_partial_labels, label_summary
from cftlearn.metrics import (
    bootstrap_intervals,
    compare_scores,
    partial_average_precision_score,
    partial_f1_score,
    partial_f1_scorer,
    partial_log_loss,
    partial_roc_auc_score,
    partial_roc_auc_scorer,
)
from cftlearn.model_selection import (
    PartialLabelKFold,
    cross_val_predict,
    partial_train_test_split,
)

pd = pytest.importorskip("pandas")
N_ROWS, NAMES, FEATURES = 40, ["cat", "dog", "bat"], list("abcd")
_RNG = np.random.default_rng(0)
_X = _RNG.standard_normal((N_ROWS, 4))
_LOGITS = _X[:, :3] + 0.3 * _RNG.standard_normal((N_ROWS, 3))
_LABELS = (_LOGITS + _RNG.standard_normal((N_ROWS, 3)) > 0).astype(float)
_LABELS[_RNG.random(_LABELS.shape) < 0.2] = np.nan


class Tables:
    """All that has names, of the same rows and categories."""

    def __init__(self, labels=None):
        self.X = pd.DataFrame(_X, columns=FEATURES, index=labels)
        self.y = pd.DataFrame(_LABELS, columns=NAMES, index=labels)
        self.scores = pd.DataFrame(_LOGITS, columns=NAMES, index=labels)
        self.proba = 1 / (1 + np.exp(-self.scores))
        self.groups = pd.Series(np.arange(N_ROWS) // 4, index=labels)
        self.threshold = pd.Series([0.2, 0.5, 0.8], index=NAMES)


FITTED = CFTClassifier(random_state=0).fit(Tables().X, Tables().y)


def by_name(lines, key):
    return {line["category"]: line[key] for line in lines}


def read_before(t):
    """Score labels that are read already: they keep names, but no labels of rows."""
    labels = check_partial_labels(Tables().y[t.y.columns])
    return partial_roc_auc_score(labels, Tables().scores[t.scores.columns])


def decisions(model, t):
    return model.set_params(threshold=t.threshold).predict(t.X).mean(axis=0)


def calibrated(t):
    calibrator = CategoryCalibrator(prevalence=t.threshold).fit(t.scores, t.y)
    return by_name(calibrator.report_, "intercept")


def tuned(t):
    return by_name(tune_thresholds(t.y, t.proba, return_report=True)[1], "threshold")


def drawn(t):
    display = CategoryScoreDisplay(NAMES, t.threshold, t.threshold, "AP")
    return dict(zip(display.categories, display.before, strict=True))


def merged(t):
    table, names = merge_views(t.scores, t.groups)
    return dict(zip(names.tolist(), table.sum(axis=1), strict=True))


def initial(t):
    weights = pd.DataFrame(np.outer(t.threshold, np.ones(4)), index=t.threshold.index)
    tuner = CategoryWiseFineTuner(
        "proximal", coef_init=weights, intercept_init=t.threshold, random_state=0
    )
    return tuner.fit(_X, pd.DataFrame(_LABELS, columns=NAMES)).coef_init_[:, 0]


def split(t):
    parts = partial_train_test_split(t.X, t.y, t.groups, random_state=0)
    return sum(len(part.index.symmetric_difference(parts[0].index)) for part in parts)


ENTRIES = {
    "roc": lambda t: partial_roc_auc_score(t.y, t.scores),
    "average precision": lambda t: partial_average_precision_score(t.y, t.scores),
    "log loss": lambda t: partial_log_loss(t.y, t.proba),
    "f1": lambda t: partial_f1_score(t.y, (t.proba > 0.5).astype(int)),
    "1-D": lambda t: partial_roc_auc_score(t.y.cat.fillna(0), t.scores.cat),
    "read labels": read_before,
    "intervals": lambda t: by_name(
        bootstrap_intervals(
            t.y, t.scores, groups=t.groups, n_resamples=2, method="percentile"
        ),
        "estimate",
    ),
    "comparison": lambda t: by_name(
        compare_scores(t.y, t.scores, t.proba, n_resamples=2), "difference"
    ),
    "score": lambda t: FITTED.score(t.X, t.y),
    "scorer": lambda t: partial_roc_auc_scorer(FITTED, t.X, t.y),
    "f1 scorer": lambda t: partial_f1_scorer(FITTED, t.X, t.y),
    "ensemble": lambda t: (
        CFTEnsemble([("a", FITTED)], prefit=True)
        .fit(Tables().X, Tables().y)
        .score(t.X, t.y)
    ),
    "decisions": lambda t: decisions(FITTED, t),
    "calibrator": calibrated,
    "thresholds": tuned,
    "display": drawn,
    "views": merged,
    "initial weights": initial,
    "split": split,
    "means": lambda t: combine_scores([t.scores, t.proba]).sum(),
    "members": lambda t: select_members(t.y, [t.scores, t.proba]).sum(),
    "summary": lambda t: by_name(label_summary(t.y), "n_positive"),
}


def _ordered(n):
    own = list(range(n))
    return st.one_of(st.just(own), st.permutations(own))


@st.composite
def shuffled_tables(draw):
    labels = [f"r{i}" for i in range(N_ROWS)] if draw(st.booleans()) else None
    tables = Tables(labels)
    rows, columns = draw(_ordered(N_ROWS)), draw(_ordered(3))
    for name in ("X", "y", "scores", "proba", "groups"):
        table = getattr(tables, name)
        own_rows = rows if draw(st.booleans()) else draw(_ordered(N_ROWS))
        table = table.iloc[own_rows]
        if name == "X":
            table = table[[FEATURES[j] for j in draw(_ordered(4))]]
        elif name != "groups":
            own = columns if draw(st.booleans()) else draw(_ordered(3))
            table = table[[NAMES[j] for j in own]]
        setattr(tables, name, table)
    tables.threshold = tables.threshold.iloc[draw(_ordered(3))]
    return tables


@pytest.mark.parametrize("name", ENTRIES)
@settings(max_examples=15, deadline=None)
@given(tables=shuffled_tables())
def test_shuffling_what_has_names_never_changes_a_result_silently(name, tables):
    expected = ENTRIES[name](Tables())
    try:
        found = ENTRIES[name](tables)
    except ValueError as error:
        assert "order" in str(error)  # noqa: PT017
        return
    assert found == pytest.approx(expected, abs=1e-6)


# ---------------------------------------------------------------------- values by name
TURNED = ["bat", "cat", "dog"]


def test_factors_of_a_trainer_go_by_their_names():
    torch = pytest.importorskip("torch")
    from cftlearn.training import NetworkTrainer

    def coef(factors):
        torch.manual_seed(0)
        model = CFTClassifier(
            torch.nn.Linear(4, 3),
            trainer=NetworkTrainer(pos_weight=factors),
            max_epochs=2,
            retrain=False,
            random_state=0,
            device="cpu",
        )
        model.fit(_X, pd.DataFrame(_LABELS, columns=NAMES))
        assert model.trainer.pos_weight is factors
        return model.module_.weight.detach().numpy()

    factors = pd.Series([0.1, 5.0, 40.0], index=NAMES)
    expected = coef(factors.to_numpy())
    np.testing.assert_array_equal(coef(factors[TURNED]), expected)
    assert not np.array_equal(coef(factors.to_numpy()[::-1]), expected)
    with pytest.raises(ValueError, match="`pos_weight` must name every category once"):
        coef(factors[:2])


def test_initial_weights_go_by_their_names():
    y = pd.DataFrame(_LABELS, columns=NAMES)
    coef = pd.DataFrame(np.arange(12.0).reshape(3, 4), index=NAMES, columns=FEATURES)
    bias = pd.Series([1.0, 2.0, 3.0], index=NAMES)
    tuner = CategoryWiseFineTuner(
        coef_init=coef.loc[TURNED], intercept_init=bias[TURNED[::-1]], random_state=0
    ).fit(_X, y)
    np.testing.assert_array_equal(tuner.coef_init_, coef)
    np.testing.assert_array_equal(tuner.intercept_init_, bias)


def test_weights_of_an_ensemble_go_by_their_names():
    t = Tables()
    other = CFTClassifier(random_state=1).fit(t.X, t.y)
    weights = pd.DataFrame(
        [[1.0, 0.0, 0.5], [0.0, 1.0, 0.5]], index=["one", "two"], columns=NAMES
    )

    def weigh(given):
        members = [("one", FITTED), ("two", other)]
        return CFTEnsemble(members, prefit=True, weights=given).fit(t.X, t.y).weights_

    np.testing.assert_array_equal(weigh(weights[::-1]), weights)
    np.testing.assert_array_equal(
        weigh(pd.Series([0, 1], ["two", "one"]))[:, 0], [1, 0]
    )
    with pytest.raises(ValueError, match=r"`weights` must have .* in the same order"):
        weigh(weights[TURNED])
    with pytest.raises(ValueError, match="name every member once; missing: 'two'"):
        weigh(weights.rename({"two": "three"}))


def test_values_and_intervals_of_a_display_go_by_their_names():
    values = pd.Series([0.1, 0.5, 0.9], index=NAMES)
    ends = pd.DataFrame([values - 0.1, values + 0.1])
    display = CategoryScoreDisplay(NAMES, values[TURNED], values, "AP")
    np.testing.assert_array_equal(display.before, values)
    CategoryScoreDisplay(NAMES, values, values, "AP", before_interval=ends)
    with pytest.raises(ValueError, match="`before_interval` must have the names"):
        CategoryScoreDisplay(NAMES, values, values, "AP", before_interval=ends[TURNED])
    counts = pd.Series([1, 5, 9], index=NAMES)
    found = LabelCoverageDisplay(NAMES, counts[TURNED], counts, counts).n_positive
    assert found.tolist() == [1, 5, 9]


@pytest.mark.parametrize("library", ["pyarrow", "polars"])
def test_tables_of_other_libraries_go_the_whole_way(library):
    pytest.importorskip(library)
    pa = pytest.importorskip("pyarrow")

    def convert(frame):
        table = pa.Table.from_pandas(frame, preserve_index=False)
        if library == "polars":
            import polars

            return polars.from_arrow(table)
        return table

    t = Tables()
    X, y = convert(t.X), convert(t.y)
    model = CFTClassifier(random_state=0).fit(X, y)
    assert model.categories_.tolist() == NAMES
    assert model.feature_names_in_.tolist() == FEATURES
    assert model.score(X, y) == pytest.approx(FITTED.score(t.X, t.y))
    proba = cross_val_predict(CFTClassifier(random_state=0), X, y, cv=2)
    expected = cross_val_predict(CFTClassifier(random_state=0), t.X, t.y, cv=2)
    np.testing.assert_allclose(proba, expected, rtol=0, atol=1e-9)
    with pytest.raises(ValueError, match=r"pass y\.select\(list\(model\.categories_\)"):
        partial_roc_auc_scorer(model, X, convert(t.y[TURNED]))


@pytest.mark.parametrize("index", [None, [f"r{i}" for i in range(N_ROWS)]], ids=str)
def test_rows_chosen_by_scikit_learn_keep_belonging_together(index):
    t = Tables(index)
    model = CFTClassifier(random_state=0)
    parts = train_test_split(t.X, t.y, random_state=0)
    fitted = model.fit(parts[0], parts[2])
    assert 0 < fitted.score(parts[1], parts[3].reset_index(drop=True)) <= 1
    folds = PartialLabelKFold(2, shuffle=True, random_state=0)
    for estimator in (model, make_pipeline(StandardScaler(), model)):
        scores = cross_val_score(
            estimator, t.X, t.y, cv=folds, scoring=partial_roc_auc_scorer
        )
        assert np.isfinite(scores).all()


def test_masks_of_items_of_a_dataset_are_not_dropped():
    torch = pytest.importorskip("torch")

    class Items(torch.utils.data.Dataset):
        def __len__(self):
            return N_ROWS

        def __getitem__(self, row):
            return np.ma.array(_X[row].astype(np.float32), mask=_X[row] > 1)

    model = CFTClassifier(torch.nn.Linear(4, 3), max_epochs=1, device="cpu")
    with pytest.raises(Exception, match="must be a plain array; got a masked array"):
        model.fit(Items(), _LABELS)
