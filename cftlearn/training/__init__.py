"""Stage one: how a network is trained."""

from cftlearn.training._trainer import NetworkTrainer

__all__ = ["NetworkTrainer"]
