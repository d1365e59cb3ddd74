"""The file of a network: what torch would believe is checked first."""

import io
import pickle
import struct
import tracemalloc
import zipfile
from collections import OrderedDict

import pytest
import torch
from torch import nn

from cftlearn.persistence._faults import Fault
from cftlearn.persistence._network_file import read_state

STATE = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)).state_dict()


def file_of(state):
    file = io.BytesIO()
    torch.save(state, file)
    return file


def rewritten(change, compression=zipfile.ZIP_STORED):
    """Return the file of a network with other records."""
    with zipfile.ZipFile(file_of(STATE)) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    change(records)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, data in records.items():
            archive.writestr(name, data)
    return file


def listed_as(make):
    """Return the file of a network with another list of tensors."""

    def change(records):
        name = next(name for name in records if name.endswith("data.pkl"))
        records[name] = make(records[name])

    return rewritten(change)


def assert_same(found, expected):
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert torch.equal(found[name], value), name
        assert found[name].dtype == value.dtype


def test_a_state_dict_comes_back_with_its_versions():
    found = read_state(file_of(STATE))
    assert_same(found, STATE)
    assert found._metadata == STATE._metadata  # torch migrates old layers by it


@pytest.mark.parametrize(
    "dtype",
    [
        torch.float64,
        torch.float16,
        torch.bfloat16,
        torch.float8_e4m3fn,
        torch.int64,
        torch.uint16,
        torch.bool,
        torch.complex64,
    ],
    ids=str,
)
def test_types(dtype):
    tensor = torch.tensor([[1.0, 0.0], [2.0, 3.0]]).to(dtype)
    found = read_state(file_of({"a": tensor}))["a"]
    assert found.dtype == dtype
    assert found.view(torch.uint8).tolist() == tensor.view(torch.uint8).tolist()


def test_what_else_networks_have():
    shared = torch.arange(12.0).reshape(3, 4)
    state = OrderedDict(
        tied=shared,
        also=shared,
        part=shared[1:, ::2],
        turned=shared.T,
        repeated=torch.ones(1, 2).expand(5, 2),
        none=torch.zeros(0, 3),
        scalar=torch.tensor(3),
        parameter=nn.Parameter(shared),
    )
    assert_same(read_state(file_of(state)), state)
    extra = {"a": torch.ones(1), "layer._extra_state": {"scale": (1, 2.5, None, "x")}}
    values = {"size": torch.Size([2]), "raw": b"\x00\xff", "names": {"a", "b"}}
    found = read_state(file_of(extra | values))
    assert found["layer._extra_state"] == extra["layer._extra_state"]
    assert {name: found[name] for name in values} == values


class Burglar:
    def __reduce__(self):
        return print, ("executed",)


HUGE = b"\x80\x02cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R."
PLACE = pickle.LONG_BINPUT + struct.pack("<I", 2**31 - 1)
META = torch.empty(10**6, 10**6, device="meta")
SPARSE = torch.sparse_coo_tensor(
    torch.tensor([[5]]), [1.0], (10**9,), check_invariants=True
)


@pytest.mark.parametrize(
    ("file", "match"),
    [
        (io.BytesIO(b""), "no archive"),
        (io.BytesIO(b"PK\x03\x04" + bytes(100)), "no archive"),
        (io.BytesIO(pickle.dumps(dict(STATE))), "no archive"),
        (file_of([1, 2]), "got a list"),
        (file_of({1: torch.ones(1)}), "got a dict"),
        (file_of({"a": Burglar()}), "got '.*print'"),
        (file_of({"a": bytearray(5)}), "it holds a __builtin__.bytearray"),
        (file_of({"a": META}), "got 'torch._utils._rebuild_meta_tensor_no_storage'"),
        (file_of({"a": SPARSE}), "got 'torch._utils._rebuild_sparse_tensor'"),
        (rewritten(lambda r: None, zipfile.ZIP_DEFLATED), "uncompressed records"),
        (listed_as(lambda _: HUGE), "it holds a builtins.bytearray"),
        (listed_as(lambda data: data[:-1] + PLACE + b"."), "its pickle skips numbers"),
        (listed_as(lambda data: data[:50]), "torch.save, or damaged"),
        (listed_as(lambda _: b"\x80\x02}."), None),
        (listed_as(lambda data: data.replace(b"K0t", b"K1t")), "must hold 196 bytes"),
        (
            listed_as(lambda data: data.replace(b"K\x08K\x06", b"K\x09K\x06")),
            "all numb",
        ),
        (
            listed_as(lambda data: data.replace(b"\x86q", b"\x85q")),
            "cannot be read|shape",
        ),
    ],
)
def test_damaged_files(file, match, capsys):
    if match is None:  # a state dict of nothing
        assert read_state(file) == {}
        return
    with pytest.raises(Fault, match=match):
        read_state(file)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("change", ["less", "more", "none"])
def test_records_of_another_length(change):
    def edit(records):
        name = next(name for name in records if name.endswith("data/0"))
        data = records.pop(name)
        if change != "none":
            records[name] = data[:-4] if change == "less" else data + bytes(4)

    with pytest.raises(Fault, match="must hold 192 bytes in record '0'; got"):
        read_state(rewritten(edit))


def test_two_records_of_one_name():
    file = rewritten(lambda records: None)
    with (
        pytest.warns(UserWarning, match="Duplicate name"),
        zipfile.ZipFile(file, "a") as archive,
    ):
        archive.writestr("archive/data/0", bytes(192))
    with pytest.raises(Fault, match="a second record"):
        read_state(file)


def test_a_bomb_takes_no_memory():
    def edit(records):
        name = next(name for name in records if name.endswith("data/0"))
        records[name] = bytes(10**8)

    file = rewritten(edit, zipfile.ZIP_DEFLATED)
    assert len(file.getvalue()) < 200_000
    tracemalloc.start()
    with pytest.raises(Fault, match="uncompressed records"):
        read_state(file)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10**6
