"""Stage one: how a network is trained."""

from cftlearn.training._mixing import LogicMix, PartialMixUp
from cftlearn.training._pseudo_labels import PseudoLabels
from cftlearn.training._trainer import NetworkTrainer

__all__ = ["LogicMix", "NetworkTrainer", "PartialMixUp", "PseudoLabels"]
