"""Label tables of real data sets, and small data that need no file.

A new loader is a file of its own and its lines in this one: ``LOADERS`` is the table
that the command line reads too. A loader takes ``path`` first and returns a
:class:`LabelTable`; its other arguments are its options.
"""

from collections.abc import Callable, Mapping

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

LOADERS: Mapping[str, Callable[..., LabelTable]] = {
    "csv": load_label_csv,
    "chexpert": load_chexpert,
    "coco": load_coco,
    "lvis": load_lvis,
    "open_images": load_open_images,
    "vaw": load_vaw,
    "voc": load_voc,
    "nus_wide": load_nus_wide,
    "vg200": load_vg200,
}

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
