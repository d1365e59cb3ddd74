"""Several models as one: their weights, their means, and the views of a case."""

from cftlearn.ensemble._combination import combine_scores, merge_views
from cftlearn.ensemble._ensemble import CFTEnsemble
from cftlearn.ensemble._members import augmented_scores
from cftlearn.ensemble._selection import select_members

__all__ = [
    "CFTEnsemble",
    "augmented_scores",
    "combine_scores",
    "merge_views",
    "select_members",
]
