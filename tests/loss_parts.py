"""Batches of logits and labels, and formulas of losses by hand, in double precision."""

import numpy as np
import torch

NAN = float("nan")


def batch(rng, n_rows=20, n_categories=3, *, unknown=0.5, scale=2.0):
    """Return logits and targets, as arrays of double precision."""
    logits = rng.normal(0, scale, (n_rows, n_categories))
    target = (rng.random((n_rows, n_categories)) < 0.4).astype(float)
    target[rng.random(target.shape) < unknown] = NAN
    return logits, target


def sigmoid(s):
    return 1 / (1 + np.exp(-s))


def value_of(loss, logits, target, **rest):
    """Evaluate a loss, and its gradient, in double precision."""
    tensor = torch.tensor(logits, requires_grad=True)
    value = loss(tensor, torch.from_numpy(target), **rest)
    value.backward()
    return float(value.detach()), tensor.grad.numpy()


def slopes_of(function, logits, h=1e-6):
    """Return the derivative of a function of all logits by finite differences."""
    slopes = np.zeros_like(logits)
    for index in np.ndindex(logits.shape):
        shift = np.zeros_like(logits)
        shift[index] = h
        slopes[index] = (function(logits + shift) - function(logits - shift)) / (2 * h)
    return slopes
