"""What scikit-learn's meta-estimators do with unknown labels, as the guide says."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_selection import (
    RFE,
    RFECV,
    SelectFromModel,
    SelectKBest,
    SequentialFeatureSelector,
)
from sklearn.inspection import permutation_importance
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
    permutation_test_score,
    train_test_split,
    validation_curve,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.semi_supervised import SelfTrainingClassifier

from cftlearn import CFTClassifier
from cftlearn.datasets import make_partial_multilabel
from cftlearn.metrics import partial_roc_auc_scorer
from cftlearn.model_selection import PartialLabelKFold

# scikit-learn converts the labels to integers before it refuses them.
pytestmark = pytest.mark.filterwarnings("ignore:invalid value encountered in cast")

PAGE = Path(__file__).parent.parent / "docs" / "user_guide" / "model_selection.md"
GRID = {"unknown": ["ignore"]}
CV = PartialLabelKFold(2)
SCORED = {"cv": CV, "scoring": partial_roc_auc_scorer}
NAN = "Input y contains NaN"
ONE_COLUMN = "y should be a 1d array"


@pytest.fixture(scope="module")
def problem():
    X, y, _ = make_partial_multilabel(
        60, n_features=4, n_categories=2, known=0.8, random_state=0
    )
    return X, y


@pytest.fixture
def model(quick_tuner):
    return CFTClassifier(fine_tuner=quick_tuner, unknown="ignore", random_state=0)


# By the names of the table: a call that refuses unknown labels, and the words for it.
REFUSES = {
    "StackingClassifier": (lambda m: StackingClassifier([("m", m)], cv=CV).fit, NAN),
    "VotingClassifier": (lambda m: VotingClassifier([("m", m)]).fit, NAN),
    "OneVsRestClassifier": (lambda m: OneVsRestClassifier(m).fit, NAN),
    "OneVsOneClassifier": (lambda m: OneVsOneClassifier(m).fit, ONE_COLUMN),
    "MultiOutputClassifier": (lambda m: MultiOutputClassifier(m).fit, NAN),
    "ClassifierChain": (lambda m: ClassifierChain(m).fit, NAN),
    "CalibratedClassifierCV": (lambda m: CalibratedClassifierCV(m, cv=CV).fit, NAN),
    "BaggingClassifier": (lambda m: BaggingClassifier(m).fit, NAN),
    "AdaBoostClassifier": (lambda m: AdaBoostClassifier(m).fit, ONE_COLUMN),
    "RFE": (lambda m: RFE(m).fit, NAN),
    "RFECV": (lambda m: RFECV(m, **SCORED).fit, NAN),
    "SelectKBest": (lambda m: SelectKBest(k=2).fit, NAN),
    "SelfTrainingClassifier": (lambda m: SelfTrainingClassifier(m).fit, ONE_COLUMN),
    "TunedThresholdClassifierCV": (
        lambda m: TunedThresholdClassifierCV(m, cv=CV).fit,
        NAN,
    ),
    "FixedThresholdClassifier": (lambda m: FixedThresholdClassifier(m).fit, NAN),
    "TransformedTargetRegressor": (lambda m: TransformedTargetRegressor(m).fit, NAN),
}
# A call as the table says, which works.
WORKS = {
    "SelectFromModel": lambda m, X, y: SelectFromModel(m).fit(X, y),
    "SequentialFeatureSelector": lambda m, X, y: SequentialFeatureSelector(
        m, n_features_to_select=1, **SCORED
    ).fit(X, y),
    "GridSearchCV": lambda m, X, y: GridSearchCV(m, GRID, **SCORED).fit(X, y),
    "RandomizedSearchCV": lambda m, X, y: RandomizedSearchCV(
        m, GRID, n_iter=1, **SCORED
    ).fit(X, y),
    "cross_val_score": lambda m, X, y: cross_val_score(m, X, y, **SCORED),
    "cross_validate": lambda m, X, y: cross_validate(m, X, y, **SCORED)["test_score"],
    "learning_curve": lambda m, X, y: learning_curve(
        m, X, y, train_sizes=[0.9], **SCORED
    )[2],
    "validation_curve": lambda m, X, y: validation_curve(
        m, X, y, param_name="unknown", param_range=["ignore"], **SCORED
    )[1],
    "permutation_test_score": lambda m, X, y: permutation_test_score(
        m, X, y, n_permutations=1, **SCORED
    )[1],
    "permutation_importance": lambda m, X, y: (
        permutation_importance(
            m.fit(X, y), X, y, n_repeats=1, scoring=partial_roc_auc_scorer
        ).importances
    ),
    "train_test_split": lambda m, X, y: m.fit(*train_test_split(X, y)[::2]).coef_,
}
# The same with a whole number of folds.
WHOLE_NUMBERS = {
    "GridSearchCV": lambda m, X, y: GridSearchCV(m, GRID, cv=2).fit(X, y),
    "RandomizedSearchCV": lambda m, X, y: RandomizedSearchCV(
        m, GRID, n_iter=1, cv=2
    ).fit(X, y),
    "SequentialFeatureSelector": lambda m, X, y: SequentialFeatureSelector(m, cv=2).fit(
        X, y
    ),
    "cross_val_predict": lambda m, X, y: cross_val_predict(m, X, y, cv=2),
    "cross_val_score": lambda m, X, y: cross_val_score(m, X, y, cv=2),
    "cross_validate": lambda m, X, y: cross_validate(m, X, y, cv=2),
    "learning_curve": lambda m, X, y: learning_curve(m, X, y, cv=2),
    "validation_curve": lambda m, X, y: validation_curve(
        m, X, y, param_name="unknown", param_range=["ignore"], cv=2
    ),
    "permutation_test_score": lambda m, X, y: permutation_test_score(m, X, y, cv=2),
    "train_test_split": lambda m, X, y: train_test_split(X, y, stratify=y),
}


def rows_of_the_page():
    """Return what the two tables say: by name, what happens and what to use."""
    text = PAGE.read_text(encoding="utf-8")
    part = text.split("(meta_estimators)=")[1].split("\n## ")[1]
    rows = {}
    for line in part.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| `"):
            for name in cells[0].replace("`", "").split(", "):
                assert name not in rows
                rows[name] = cells[1]
    return rows


def test_every_row_of_the_page_is_run():
    rows = rows_of_the_page()
    assert set(rows) == {*REFUSES, *WORKS, "cross_val_predict"}
    for name, (_, words) in REFUSES.items():
        assert f'"{words}' in rows[name], name
    for name in WORKS:
        assert rows[name].startswith("works"), name


@pytest.mark.parametrize("name", REFUSES)
def test_what_refuses_unknown_labels(name, model, problem):
    make, words = REFUSES[name]
    with pytest.raises(ValueError, match=words):
        make(model)(*problem)


@pytest.mark.parametrize("name", WORKS)
def test_what_works_with_a_splitter_and_a_scorer_for_unknown_labels(
    name, model, problem
):
    with warnings.catch_warnings():  # few labels lack a class in some folds
        warnings.simplefilter("ignore")
        result = WORKS[name](model, *problem)
    numbers = getattr(result, "best_score_", result)
    if isinstance(numbers, (float, np.ndarray)):
        assert np.isfinite(numbers).all()
    else:
        assert 0 < result.transform(problem[0]).shape[1] <= 4


@pytest.mark.parametrize("name", WHOLE_NUMBERS)
def test_a_whole_number_of_folds_is_refused(name, model, problem):
    with pytest.raises(ValueError, match=NAN):
        WHOLE_NUMBERS[name](model, *problem)


def test_a_metric_by_name_is_refused(model, problem):
    X, y = problem
    with pytest.raises(ValueError, match="Input y_true contains NaN"):
        cross_val_score(model, X, y, cv=CV, scoring="roc_auc", error_score="raise")
    with pytest.raises(ValueError, match="Input y_true contains NaN"):
        permutation_importance(model.fit(X, y), X, y, scoring="roc_auc")


@pytest.mark.parametrize("method", ["predict_proba", "decision_function"])
def test_cross_val_predict_recodes_unknown_labels(model, problem, method):
    with pytest.raises(ValueError, match="scikit-learn recoded NaN as 2"):
        cross_val_predict(model, *problem, cv=CV, method=method)


def test_cross_val_predict_of_decisions_works(model, problem):
    decided = cross_val_predict(model, *problem, cv=CV)
    assert np.isin(decided, (0, 1)).all()
