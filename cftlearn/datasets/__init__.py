"""Label tables of real sets, and data made on the spot."""

from cftlearn.datasets._chexpert import load_chexpert
from cftlearn.datasets._digit_panels import load_digit_panels
from cftlearn.datasets._label_table import LabelTable
from cftlearn.datasets._synthetic import make_partial_multilabel

__all__ = [
    "LabelTable",
    "load_chexpert",
    "load_digit_panels",
    "make_partial_multilabel",
]
