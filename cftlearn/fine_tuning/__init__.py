"""Category-wise fine-tuning of initial weights on features."""

from cftlearn.fine_tuning._fine_tuner import CategoryWiseFineTuner

__all__ = ["CategoryWiseFineTuner"]
