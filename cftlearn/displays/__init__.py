"""Figures in scikit-learn's manner: made from results, drawn on one's own axes."""

from cftlearn.displays._category_score import CategoryScoreDisplay
from cftlearn.displays._fitness_curve import FitnessCurveDisplay
from cftlearn.displays._label_share import LabelCoverageDisplay, LabelStateDisplay
from cftlearn.displays._reliability import ReliabilityDisplay
from cftlearn.displays._threshold import ThresholdDisplay

__all__ = [
    "CategoryScoreDisplay",
    "FitnessCurveDisplay",
    "LabelCoverageDisplay",
    "LabelStateDisplay",
    "ReliabilityDisplay",
    "ThresholdDisplay",
]
