"""Seeds of torch inside a block, and its generators after it."""

import pytest
import torch

from cftlearn._seeding import seeded_torch


def fail(*_):
    raise OSError("out of order")


def test_seeded_torch_seeds_inside_and_restores_outside():
    torch.manual_seed(11)
    expected_outside = torch.rand(3)
    torch.manual_seed(5)
    expected_inside = torch.rand(3)
    torch.manual_seed(11)
    with seeded_torch(5):
        inside = torch.rand(3)
    assert torch.equal(inside, expected_inside)
    assert torch.equal(torch.rand(3), expected_outside)


def test_seeded_torch_restores_after_an_exception():
    before = torch.get_rng_state()
    with pytest.raises(OSError, match="out of order"), seeded_torch(5):
        fail(torch.rand(3))
    assert torch.equal(torch.get_rng_state(), before)


def test_seeded_torch_forks_every_gpu_without_a_warning(monkeypatch):
    forked, restored = [], []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda i: forked.append(i) or i)
    monkeypatch.setattr(
        torch.cuda, "set_rng_state", lambda state, i: restored.append((state, i))
    )
    monkeypatch.setattr(torch.random, "_fork_rng_warned_already", False)
    with seeded_torch(5):
        pass
    assert forked == [0, 1]
    assert restored == [(0, 0), (1, 1)]
