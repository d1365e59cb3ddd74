"""Label tables of real sets, and data made on the spot."""

from cftlearn.datasets._chexpert import load_chexpert
from cftlearn.datasets._coco import load_coco
from cftlearn.datasets._digit_panels import load_digit_panels
from cftlearn.datasets._label_csv import load_label_csv
from cftlearn.datasets._label_table import LabelTable
from cftlearn.datasets._lvis import load_lvis
from cftlearn.datasets._nus_wide import load_nus_wide
from cftlearn.datasets._open_images import load_open_images
from cftlearn.datasets._synthetic import make_partial_multilabel
from cftlearn.datasets._vaw import load_vaw
from cftlearn.datasets._vg import load_vg200
from cftlearn.datasets._voc import load_voc

__all__ = [
    "LabelTable",
    "load_chexpert",
    "load_coco",
    "load_digit_panels",
    "load_label_csv",
    "load_lvis",
    "load_nus_wide",
    "load_open_images",
    "load_vaw",
    "load_vg200",
    "load_voc",
    "make_partial_multilabel",
]
