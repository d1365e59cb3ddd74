"""Features of a trained network, as a transformer."""

from cftlearn.feature_extraction._extractor import TorchFeatureExtractor

__all__ = ["TorchFeatureExtractor"]
