"""The whole method: train, refit every category, decide."""

from cftlearn.classifier._classifier import CFTClassifier

__all__ = ["CFTClassifier"]
