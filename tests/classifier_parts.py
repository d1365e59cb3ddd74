"""What tests of classifiers with a network share."""

import torch


def output(network, X):
    """Return the logits of a network."""
    with torch.inference_mode():
        return network.eval()(torch.from_numpy(X)).double().numpy()


def spy(monkeypatch, owner, name):
    """Keep arguments and result of every call."""
    original, calls = getattr(owner, name), []

    def call(*arguments, **keywords):
        made = original(*arguments, **keywords)
        calls.append((arguments, keywords, made))
        return made

    monkeypatch.setattr(owner, name, call)
    return calls
