"""The parameter ``device``, and half precision."""

from contextlib import nullcontext

import pytest
import torch

from cftlearn._devices import autocast, half_precision, resolve_device


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


# ---------------------------------------------------------------- half precision
@pytest.mark.parametrize("computes_bfloat16", [True, False])
def test_cuda_cards_compute_in_bfloat16_where_they_can(monkeypatch, computes_bfloat16):
    """A card that only emulates it is faster in float16."""
    asked = []

    def is_supported(including_emulation=True):
        return including_emulation or computes_bfloat16

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_supported)
    monkeypatch.setattr(
        torch.cuda, "device", lambda device: asked.append(device) or nullcontext()
    )
    expected = torch.bfloat16 if computes_bfloat16 else torch.float16
    assert half_precision("cuda:1") == expected
    assert asked == ["cuda:1"]


@pytest.mark.parametrize(
    ("version", "expected"), [((13, 3), torch.float16), ((15, 0), torch.bfloat16)]
)
def test_apples_gpus_compute_in_bfloat16_since_macos_14(monkeypatch, version, expected):
    monkeypatch.setattr(
        torch.backends.mps, "is_macos_or_newer", lambda *least: version >= least
    )
    assert half_precision("mps") == expected


def test_a_cpu_computes_in_bfloat16():
    layer, rows = torch.nn.Linear(3, 2), torch.ones(1, 3)
    assert half_precision("cpu") == torch.bfloat16
    with autocast("cpu"):
        assert layer(rows).dtype == torch.bfloat16
    with autocast("cpu", enabled=False):
        assert layer(rows).dtype == torch.float32
