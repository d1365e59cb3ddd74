"""What a label is: the encoding of partially known ``y``, and ways to hide labels."""

from cftlearn.labels._encoding import (
    PartialLabels,
    check_partial_labels,
    encode_binary_labels,
    known_mask,
)
from cftlearn.labels._hiding import hide_labels
from cftlearn.labels._policies import resolve_labels
from cftlearn.labels._soft_labels import soft_labels
from cftlearn.labels._states import LabelState
from cftlearn.labels._summary import label_summary

__all__ = [
    "LabelState",
    "PartialLabels",
    "check_partial_labels",
    "encode_binary_labels",
    "hide_labels",
    "known_mask",
    "label_summary",
    "resolve_labels",
    "soft_labels",
]
