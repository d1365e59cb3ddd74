"""Fitted models in folders, without pickle."""

from cftlearn.persistence._folder import load_model, save_model

__all__ = ["load_model", "save_model"]
