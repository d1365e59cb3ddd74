"""Probabilities and thresholds of every category, set by known labels."""

from cftlearn.calibration._calibrator import CategoryCalibrator
from cftlearn.calibration._held_out import held_out_predictions
from cftlearn.calibration._tuning import tune_thresholds

__all__ = ["CategoryCalibrator", "held_out_predictions", "tune_thresholds"]
