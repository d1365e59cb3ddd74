"""Calibration of a classifier by the labels that were held out of its refits."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from cftlearn.calibration._calibrator import CategoryCalibrator
from cftlearn.calibration._maps import KnownScores
from cftlearn.labels._held_out_scores import HeldOutScores

Floats = NDArray[np.float64]
Calibration = str | CategoryCalibrator | None


class FittedTuner(Protocol):
    """What calibration reads of a fine-tuner."""

    categories_: NDArray[Any]
    classes_: NDArray[Any]
    _held_out: HeldOutScores


class FittedClassifier(Protocol):
    """What probabilities are made of."""

    calibrator_: CategoryCalibrator | None

    def decision_function(self, X: Any) -> Floats:
        """Compute logits."""


def held_out_predictions(model: Any) -> tuple[Floats, Floats]:
    """Give labels that were held out of the refits, and honest predictions of them.

    After the last refit a model has seen every known label. These predictions come
    from before: a category that kept its trained row is predicted by that row, one that
    was refitted by ``solver="auto"`` by fits that leave the label out, and by any other
    solver by the row that was chosen before the last refit. Thresholds may be tuned on
    them, and calibration is checked by them.

    Parameters
    ----------
    model : CFTClassifier or CategoryWiseFineTuner
        Fitted in this session or unpickled; ``save_model`` does not keep them.

    Returns
    -------
    y_true : ndarray of shape (n_rows, n_categories), float64
        1 or 0 where a label was held out, NaN elsewhere. Rows are those of ``X``, or
        of ``X_val`` where ``fit`` was given other rows to choose by.
    y_proba : ndarray of shape (n_rows, n_categories), float64
        Probabilities, calibrated if the model is; NaN where ``y_true`` is.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If the model is not fitted.
    TypeError
        If it is no CFTClassifier or CategoryWiseFineTuner.
    ValueError
        If it was loaded by ``load_model``.

    See Also
    --------
    tune_thresholds : Thresholds by these predictions.
    cftlearn.model_selection.cross_val_predict : For all rows, at the cost of refits.

    Notes
    -----
    The same labels chose among candidates of a refit and fitted the calibration (two
    numbers per category), so predictions are a little better than on new rows.

    Examples
    --------
    >>> from cftlearn import CFTClassifier
    >>> from cftlearn.calibration import held_out_predictions
    >>> from cftlearn.datasets import make_partial_multilabel
    >>> X, y, _ = make_partial_multilabel(random_state=0)
    >>> model = CFTClassifier(random_state=0).fit(X, y)
    >>> y_true, y_proba = held_out_predictions(model)
    >>> y_true.shape == y_proba.shape == y.shape
    True
    """
    tuner = getattr(model, "fine_tuner_", model)
    check_is_fitted(model)
    if not hasattr(tuner, "coef_init_"):
        raise TypeError(
            "`model` must be a CFTClassifier or a CategoryWiseFineTuner; got "
            f"{type(model).__name__}."
        )
    held_out: HeldOutScores | None = getattr(tuner, "_held_out", None)
    if held_out is None:
        raise ValueError(
            "`model` must have been fitted in this session or unpickled: save_model "
            "does not keep predictions of held-out labels. Compute them before saving."
        )
    calibrator = getattr(model, "calibrator_", None)
    shape = held_out.n_rows, len(held_out.columns)
    y_true, y_proba = np.full(shape, np.nan), np.full(shape, np.nan)
    for j, own in enumerate(held_out.columns):
        y_true[own.rows, j] = own.y
        y_proba[own.rows, j] = (
            expit(own.logits)
            if calibrator is None
            else calibrator._proba_of(j, own.logits)
        )
    return y_true, y_proba


def start_calibrator(
    calibration: Calibration, n_categories: int
) -> CategoryCalibrator | None:
    """Make a classifier's calibrator, and check its parameters before the training.

    Parameters
    ----------
    calibration : str, CategoryCalibrator or None
        The classifier's parameter. None gives None.
    n_categories : int
        How many.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range.
    """
    if calibration is None:
        return None
    calibrator = (
        CategoryCalibrator(calibration)  # type: ignore[arg-type]
        if isinstance(calibration, str)
        else clone(calibration)
    )
    calibrator._validate_params()
    calibrator._check_prevalence(n_categories)
    return calibrator


def calibrate(calibrator: CategoryCalibrator | None, tuner: FittedTuner) -> None:
    """Fit a calibrator to the held-out labels of a fine-tuner; None stays None."""
    if calibrator is None:
        return
    columns = [KnownScores(own.logits, own.y) for own in tuner._held_out.columns]
    calibrator._fit_columns(columns, tuner.categories_)
    calibrator.classes_ = tuner.classes_


def calibrated_proba(model: FittedClassifier, X: Any) -> Floats:
    """Give probabilities in the shape of the logits that they are made of."""
    logits: Floats = model.decision_function(X)
    if model.calibrator_ is None:
        proba: Floats = expit(logits)
        return proba
    table = logits.reshape(len(logits), -1)
    return model.calibrator_._proba(table).reshape(logits.shape)


def folded_rows(
    coef: Floats, intercept: Floats, calibrator: CategoryCalibrator | None
) -> tuple[Floats, Floats]:
    """Give rows and biases whose logits are calibrated log odds.

    Parameters
    ----------
    coef : ndarray of shape (n_categories, n_features)
        Rows.
    intercept : ndarray of shape (n_categories,)
        Biases.
    calibrator : CategoryCalibrator or None
        Fitted. None folds nothing in.

    Returns
    -------
    coef, intercept : ndarray
        Of the same shapes.

    Raises
    ------
    ValueError
        If a category's curve is isotonic.
    """
    if calibrator is None:
        return coef, intercept
    curved = [
        str(name)
        for name, curve in zip(calibrator.categories_, calibrator.curves_, strict=True)
        if curve is not None
    ]
    if curved:
        raise ValueError(
            'Only calibration="sigmoid" can be folded into the rows of a network; '
            f"{len(curved)} categories have an isotonic curve, the first "
            f"{curved[0]!r}. Take the logits, and calibrate them with "
            "calibrator_.transform."
        )
    slope = calibrator.slope_
    return slope[:, None] * coef, slope * intercept + calibrator.intercept_
