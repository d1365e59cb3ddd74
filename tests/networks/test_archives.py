"""Archives and pickles of torch are checked before torch sees them."""

import io
import os
import pickle
import struct
import warnings
import zipfile

import numpy as np
import pytest
import torch
from network_parts import make_sized_network
from safetensors.torch import save_file
from torch import nn

from cftlearn.exceptions import ModelFormatError
from cftlearn.networks import load_network
from cftlearn.networks._archives import open_archive
from cftlearn.networks._errors import ArchiveError
from cftlearn.networks._weights import read_state


def rewritten(data, changes, *, method=zipfile.ZIP_STORED):
    """An archive with other entries, by the ends of their names."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            end = next((end for end in changes if name.endswith(end)), None)
            content = old.read(name)
            if end is not None:
                content = changes[end](content)
            new.writestr(name, content, compress_type=method if end else 0)
    return out.getvalue()


def saved_state(**options):
    out = io.BytesIO()
    torch.save(make_sized_network().state_dict(), out, **options)
    return out.getvalue()


@pytest.fixture(scope="module")
def program():
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2)).eval()
    out = io.BytesIO()
    rows = {0: torch.export.Dim.DYNAMIC}
    torch.export.save(
        torch.export.export(model, (torch.ones(2, 4),), dynamic_shapes=(rows,)), out
    )
    return out.getvalue()


@pytest.fixture(scope="module")
def script():
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(nn.Sequential(nn.Linear(4, 2)).eval()), out)
    return out.getvalue()


def refused(content, folder, load, match):
    path = folder / "a.pt"
    path.write_bytes(content)
    with pytest.raises(ModelFormatError, match=match) as caught:
        load(path)
    assert "\n" not in str(caught.value)


# ----------------------------------------------------------------------- sizes
@pytest.mark.parametrize("load", [read_state, load_network])
def test_an_archive_that_unpacks_to_all_memory_is_not_unpacked(tmp_path, load):
    out = io.BytesIO()
    with (
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a/data.pkl", "w") as entry,
    ):
        for _ in range(65):
            entry.write(bytes(2**20))
    assert len(out.getvalue()) < 2**17
    refused(
        out.getvalue(), tmp_path, load, r"bytes that unpack to 68,157,440 in 1 entr"
    )


def test_an_archive_on_several_disks_is_damaged(tmp_path):
    """Of such files Python raises where it only asks whether they are archives."""
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 1, 0, 2)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0, 0, 0, 0, 0)
    content = b"PK\x03\x04" + locator + end
    with (
        pytest.raises(ArchiveError, match="span multiple disks"),
        open_archive(io.BytesIO(content)),
    ):
        pass
    (tmp_path / "w.pt").write_bytes(content)
    with pytest.raises(ModelFormatError, match="span multiple disks"):
        read_state(tmp_path / "w.pt")


@pytest.mark.parametrize("load", [read_state, load_network])
def test_a_flipped_bit_is_damage(tmp_path, program, load):
    content = bytearray(program if load is load_network else saved_state())
    place = content.index(b"weight")  # of a name in an uncompressed entry
    content[place] ^= 1
    refused(bytes(content), tmp_path, load, "damaged: ")


def test_numbers_that_are_not_stored_are_not_read_from_memory(tmp_path, script):
    for content, load in ((saved_state(), read_state), (script, load_network)):
        short = rewritten(content, {"/data/0": lambda data: data[:-4]})
        refused(short, tmp_path, load, r"numbers '0' have only \d+ bytes")


def test_a_pickle_that_takes_any_memory_is_not_read(tmp_path):
    # bytearray(10 ** 10), which torch would call
    bomb = b"\x80\x02c__builtin__\nbytearray\n\x8a\x05\x00\xe4\x0bT\x02\x85R."
    content = rewritten(saved_state(), {"data.pkl": lambda _: bomb})
    refused(content, tmp_path, read_state, "holds a __builtin__.bytearray beside")
    skipping = b"\x80\x02}r" + struct.pack("<I", 2**31) + b"."
    content = rewritten(saved_state(), {"data.pkl": lambda _: skipping})
    refused(content, tmp_path, read_state, "its pickle skips numbers")


# ------------------------------------------------------------------------ code
class Danger:
    """Unpickles by calling what it names."""

    def __reduce__(self):
        return (os.mkdir, ("was-executed",))


def danger():
    out = io.BytesIO()
    torch.save((Danger(),), out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sample_inputs/model.pt": lambda _: danger()}, "more than tensors"),
        (
            {
                "weights_config.json": lambda d: d.replace(
                    b'"use_pickle": false', b'"use_pickle": true'
                )
            },
            "holds pickled objects",
        ),
        (
            {
                "constants_config.json": lambda _: (
                    b'{"config": {"a": {"path_name": "opaque_obj_0"}}}'
                )
            },
            "holds pickled objects",
        ),
        (
            {
                "models/model.json": lambda d: d.replace(
                    b"Symbol('", b"__import__('os').mkdir('", 1
                )
            },
            "an expression that is code",
        ),
        ({"models/model.json": lambda d: d[:-9]}, "is no JSON"),
    ],
    ids=["inputs", "weights", "constants", "sizes", "json"],
)
def test_a_program_executes_no_python(tmp_path, monkeypatch, program, changes, message):
    monkeypatch.chdir(tmp_path)
    content = rewritten(program, changes)
    assert content != program
    refused(content, tmp_path, load_network, message)
    assert not (tmp_path / "was-executed").exists()


def test_compiled_code_is_not_loaded(tmp_path, program):
    out = io.BytesIO(program)
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr("archive/data/aotinductor/model/a.so", b"")
    refused(out.getvalue(), tmp_path, load_network, "compiled code")


def test_a_program_is_loaded_quietly_or_refused(tmp_path, program, caplog):
    (tmp_path / "a.pt2").write_bytes(program)
    assert load_network(tmp_path / "a.pt2").head.out_features == 2
    short = rewritten(program, {"weights/weight_1": lambda data: data[:-4]})
    refused(short, tmp_path, load_network, "exported program that torch cannot load")
    assert not caplog.records


# ----------------------------------------------------------------- kinds of file
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.pt")
    for load in (read_state, load_network):
        with pytest.raises(ModelFormatError, match=r"a\.pt is a pipe"):
            load(tmp_path / "a.pt")


def test_the_content_tells_the_format(tmp_path):
    save_file(make_sized_network().state_dict(), tmp_path / "a.pt")
    assert set(read_state(tmp_path / "a.pt")) == set(make_sized_network().state_dict())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty. Copy it again"),
        (b"version https://git-lfs.github.com/spec/v1", "pointer of Git LFS. Run git"),
        (b"\x89HDF\r\n\x1a\n" + bytes(99), "a file of HDF5. A model of Keras goes"),
        (b"<!DOCTYPE html>", "text .HTML.. Fetch it again"),
        (pickle.dumps({"a": 1}, protocol=4), "no file of torch.save, or damaged"),
    ],
    ids=["empty", "git-lfs", "hdf5", "web page", "pickle"],
)
def test_other_files_are_named(tmp_path, content, message):
    refused(content, tmp_path, read_state, message)


def test_programs_and_other_archives_are_named(tmp_path, program, script):
    for content in (program, script):
        refused(content, tmp_path, read_state, "it is a program. A TorchScript file or")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("word/document.xml", "")
    refused(out.getvalue(), tmp_path, read_state, "an archive of something else")


def test_numbers_of_numpy_are_named_without_colours(tmp_path):
    state = {"state_dict": make_sized_network().state_dict(), "best": np.float64(1)}
    torch.save(state, tmp_path / "a.pt")
    message = (
        r"it holds a numpy\.\S+\.scalar beside tensors\. If you trust the file, load "
        r"it by torch\.load\(path, weights_only=False\)"
    )
    with pytest.raises(ModelFormatError, match=message) as caught:
        read_state(tmp_path / "a.pt")
    assert "\x1b" not in str(caught.value)


def test_older_files_of_torch_are_read(tmp_path):
    (tmp_path / "a.pt").write_bytes(saved_state(_use_new_zipfile_serialization=False))
    assert set(read_state(tmp_path / "a.pt")) == set(make_sized_network().state_dict())
