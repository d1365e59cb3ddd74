"""Predictions of the labels that were held out of the refits."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from cftlearn.calibration._calibrator import column_proba
from cftlearn.labels._held_out_scores import HeldOutScores

Floats = NDArray[np.float64]


def held_out_predictions(model: Any) -> tuple[Floats, Floats]:
    """Return labels that were held out of the refits, and honest predictions of them.

    After the last refit a model has seen every known label. These predictions come
    from before it. A category that kept its initial weights is predicted by these. A
    category that ``solver="auto"`` refitted is predicted by fits that leave the label
    out, and with any other solver by the weights that were chosen before the last
    refit. So thresholds may be tuned on these predictions, and calibration be checked.

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
    held_out: HeldOutScores | None = getattr(tuner, "held_out_", None)
    if held_out is None:
        raise ValueError(
            "`model` must have been fitted in this session or unpickled: save_model "
            "does not keep predictions of held-out labels. Compute them before saving."
        )
    calibrator = getattr(model, "calibrator_", None)
    shape = held_out.n_rows, len(held_out.columns)
    y_true, y_proba = np.full(shape, np.nan), np.full(shape, np.nan)
    for j, column in enumerate(held_out.columns):
        y_true[column.rows, j] = column.y
        y_proba[column.rows, j] = column_proba(calibrator, j, column.logits)
    return y_true, y_proba
