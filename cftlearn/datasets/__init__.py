"""Label tables of real sets, and data made on the spot."""

from cftlearn.datasets._coco import load_coco
from cftlearn.datasets._digit_panels import load_digit_panels
from cftlearn.datasets._label_table import LabelTable
from cftlearn.datasets._lvis import load_lvis
from cftlearn.datasets._open_images import load_open_images
from cftlearn.datasets._synthetic import make_partial_multilabel
from cftlearn.datasets._voc import load_voc

__all__ = [
    "LabelTable",
    "load_coco",
    "load_digit_panels",
    "load_lvis",
    "load_open_images",
    "load_voc",
    "make_partial_multilabel",
]
