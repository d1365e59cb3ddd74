"""What a label is: the encoding of partially known ``y``, and ways to hide labels."""

from cftlearn.labels._encoding import (
    PartialLabels,
    check_partial_labels,
    encode_binary_labels,
    known_mask,
)
from cftlearn.labels._foreign_codes import decode_labels, encode_labels
from cftlearn.labels._hiding import hide_labels
from cftlearn.labels._missing_at_random import check_missing_at_random
from cftlearn.labels._policies import resolve_labels
from cftlearn.labels._prevalence import estimate_prevalence
from cftlearn.labels._soft_labels import soft_labels
from cftlearn.labels._states import LabelState
from cftlearn.labels._summary import label_summary

__all__ = [
    "LabelState",
    "PartialLabels",
    "check_missing_at_random",
    "check_partial_labels",
    "decode_labels",
    "encode_binary_labels",
    "encode_labels",
    "estimate_prevalence",
    "hide_labels",
    "known_mask",
    "label_summary",
    "resolve_labels",
    "soft_labels",
]
