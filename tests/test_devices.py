"""The parameter ``device``."""

import pytest
import torch

from cftlearn._devices import resolve_device


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [
        (True, False, "cuda"),
        (True, True, "cuda"),
        (False, True, "mps"),
        (False, False, "cpu"),
    ],
)
def test_auto_takes_a_gpu_where_there_is_one(monkeypatch, cuda, mps, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert resolve_device("auto") == expected


@pytest.mark.parametrize("device", ["cpu", "cpu:0"])
def test_a_device_by_name_stays(device):
    assert resolve_device(device) == device


@pytest.mark.parametrize(
    "device",
    ["abacus", "", "cuda:first", "cuda:99", "mps:7", "xla", "hpu", "mtia", "meta"],
)
def test_devices_that_torch_cannot_use(device):
    with pytest.raises(ValueError, match=r"`device` must be 'auto' or .*") as caught:
        resolve_device(device)
    message = str(caught.value)
    assert f"got {device!r} (" in message
    assert message.endswith('). Pass device="cpu" to compute without a GPU.')
    assert "\n" not in message


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_the_reason_is_told():
    with pytest.raises(ValueError, match=r"got 'cuda' \(.*(CUDA|NVIDIA)"):
        resolve_device("cuda")


@pytest.mark.gpu
@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_gpus_can_be_named(device):
    assert resolve_device(device) == device
