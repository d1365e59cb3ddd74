"""Splits and out-of-fold predictions for targets with unknown labels."""

from cftlearn.model_selection._cross_val_predict import cross_val_predict
from cftlearn.model_selection._split import PartialLabelKFold, partial_train_test_split

__all__ = ["PartialLabelKFold", "cross_val_predict", "partial_train_test_split"]
