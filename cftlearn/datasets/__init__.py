"""Label tables of real sets, and data made on the spot."""

from cftlearn.datasets._chexpert import load_chexpert
from cftlearn.datasets._digit_panels import load_digit_panels
from cftlearn.datasets._label_csv import load_label_csv
from cftlearn.datasets._label_table import LabelTable
from cftlearn.datasets._nus_wide import load_nus_wide
from cftlearn.datasets._synthetic import make_partial_multilabel
from cftlearn.datasets._vaw import load_vaw
from cftlearn.datasets._vg import load_vg200

__all__ = [
    "LabelTable",
    "load_chexpert",
    "load_digit_panels",
    "load_label_csv",
    "load_nus_wide",
    "load_vaw",
    "load_vg200",
    "make_partial_multilabel",
]
