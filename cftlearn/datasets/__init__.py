"""Data for examples, tests and the demo, made on the spot."""

from cftlearn.datasets._digit_panels import load_digit_panels
from cftlearn.datasets._synthetic import make_partial_multilabel

__all__ = ["load_digit_panels", "make_partial_multilabel"]
