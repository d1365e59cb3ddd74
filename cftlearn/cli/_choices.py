"""The words that options take, as help lists them.

The modules that own these words import numpy, pandas and scikit-learn, which takes more
than a second. Help must not wait for that, so the words stand here again where no small
module has them; a test compares them with their owners.
"""

from cftlearn.losses._registry import LOSSES, TREATMENTS

FORMATS = (  # cftlearn.datasets.LOADERS
    "csv",
    "chexpert",
    "coco",
    "lvis",
    "open_images",
    "vaw",
    "voc",
    "nus_wide",
    "vg200",
)
MERGES = ("max", "mean")  # `how` of cftlearn.ensemble.merge_views
OBJECTIVES = ("average_precision", "roc_auc")  # of the fine-tuner
OUTPUTS = ("text", "csv", "json")  # what `predict` writes


def solvers() -> list[str]:
    """Return the solvers that the fine-tuner takes by name."""
    return sorted({"auto", "ga", "proximal", *LOSSES})


def treatments() -> list[str]:
    """Return what unknown labels can be in stage one."""
    return sorted(TREATMENTS)
