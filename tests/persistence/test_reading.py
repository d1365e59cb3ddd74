"""Files of one model are read together, also while another process replaces it."""

import importlib
import os
import shutil
from pathlib import Path

import pytest
from model_parts import read_document, sign
from safetensors.numpy import load_file, save_file

from cftlearn import load_model
from cftlearn._files._hidden import hidden_beside, hidden_inside, own_folder
from cftlearn.exceptions import ModelFormatError
from cftlearn.persistence import _reading
from cftlearn.persistence._folder import load_without_network

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "data" / "model_format_2"


def make_network():
    from torch import nn

    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2))


@pytest.fixture
def copy_of(tmp_path):
    return lambda name: Path(shutil.copytree(GOLDEN / name, tmp_path / "model"))


# ------------------------------------------------------------------------- digests
@pytest.mark.parametrize("name", ["features", "network", "joined", "ensemble"])
def test_bits_that_were_flipped(copy_of, rng, name):
    path = copy_of(name)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    for file in files:
        whole = file.read_bytes()
        for place in {0, len(whole) - 1, *rng.integers(0, len(whole), 8).tolist()}:
            data = bytearray(whole)
            data[place] ^= 1 << int(rng.integers(8))
            file.write_bytes(data)
            with pytest.raises(ModelFormatError, match="is damaged"):
                load_model(path, module=make_network)
        file.write_bytes(whole)
    load_model(path, module=make_network if name != "features" else None)


def test_files_of_another_model(copy_of):
    path = copy_of("network")
    for name in ("network.pt", "arrays.safetensors", "model.json"):
        whole = (path / name).read_bytes()
        shutil.copy(GOLDEN / "joined" / name, path / name)
        with pytest.raises(ModelFormatError, match="is damaged"):
            load_model(path, module=make_network)
        (path / name).write_bytes(whole)


def test_a_member_that_was_exchanged_with_all_its_files(copy_of):
    path = copy_of("ensemble")
    member = path / "members" / "0"
    arrays = load_file(member / "arrays.safetensors")
    arrays["fine_tuner_.coef_"] = -arrays["fine_tuner_.coef_"]
    save_file(arrays, member / "arrays.safetensors")
    sign(member)
    load_model(member)  # it is a model of its own
    match = r"members/0/model\.json must have the SHA-256 that the ensemble's model"
    with pytest.raises(ModelFormatError, match=match):
        load_model(path, module=make_network)
    sign(path)
    load_model(path, module=make_network)


def test_files_that_are_not_of_the_model_are_left_alone(copy_of):
    path = copy_of("features")
    (path / "notes.txt").write_text("mine")
    (path / ".DS_Store").write_bytes(b"\x00")
    load_model(path)


def test_without_the_network_it_is_not_read(copy_of):
    path = copy_of("network")
    (path / "network.pt").unlink()
    assert load_without_network(path).head_ == "2"
    with pytest.raises(ModelFormatError, match=r"must hold network\.pt; there is none"):
        load_model(path, module=make_network)


def test_ensembles_in_ensembles_have_an_end(tmp_path):
    path = tmp_path / "model"
    shutil.copytree(GOLDEN / "ensemble", path)
    for _ in range(12):
        outer = tmp_path / "outer"
        shutil.copytree(GOLDEN / "ensemble", outer)
        shutil.rmtree(outer / "members" / "1")
        path.rename(outer / "members" / "1")
        outer.rename(path)
    sign(path)
    with pytest.raises(ModelFormatError, match="at most 10 levels deep"):
        load_model(path, module=make_network)


# ------------------------------------------------------------------ other processes
def replace(path: Path, name: str) -> None:
    """Replace a model as a save without any exchange does: in two steps."""
    shutil.copytree(GOLDEN / name, path.with_name("new"))
    path.rename(path.with_name("earlier"))
    path.with_name("new").rename(path)
    shutil.rmtree(path.with_name("earlier"))


def test_a_model_that_is_replaced_meanwhile_is_read_again(copy_of, monkeypatch):
    path = copy_of("network")
    read, calls = _reading.read_document, []

    def replacing(data):
        if not calls:
            replace(path, "joined")
        calls.append(data)
        return read(data)

    monkeypatch.setattr(_reading, "read_document", replacing)
    model = load_model(path, module=make_network)
    assert len(calls) == 2
    assert model.coef_.shape == (2, 10)  # of the joined network


def test_files_that_are_replaced_one_by_one(copy_of, monkeypatch):
    """As in a mount point: the new arrays are there before the new document."""
    path = copy_of("network")
    shutil.copy(GOLDEN / "joined" / "arrays.safetensors", path)
    hidden = own_folder(hidden_inside(path), lambda _: None)
    hidden.__enter__()  # as another process that is saving
    pauses = []

    def finish(seconds):
        pauses.append(seconds)
        for name in ("network.pt", "model.json"):
            shutil.copy(GOLDEN / "joined" / name, path)

    monkeypatch.setattr(_reading.time, "sleep", finish)
    assert load_model(path, module=make_network).coef_.shape == (2, 10)
    assert len(pauses) == 1
    hidden.__exit__(None, None, None)


def test_a_model_between_two_renames(copy_of, monkeypatch):
    path = copy_of("features")
    path.rename(path.with_name("earlier"))
    finish = path.with_name("earlier").rename
    monkeypatch.setattr(_reading.time, "sleep", lambda _: finish(path))
    with own_folder(hidden_beside(path), lambda _: None):  # of another process
        load_model(path)


def test_a_damaged_model_is_not_read_again(copy_of, monkeypatch):
    path = copy_of("features")
    (path / "arrays.safetensors").unlink()
    monkeypatch.setattr(_reading.time, "sleep", None)
    with pytest.raises(ModelFormatError, match="damaged"):
        load_model(path)
    left = hidden_beside(path)[0]  # of a process that was killed
    left.mkdir()
    (left / "lock").touch()
    with pytest.raises(ModelFormatError, match="damaged"):
        load_model(path)


def test_patience_has_an_end(copy_of, monkeypatch):
    path = copy_of("features")
    (path / "arrays.safetensors").unlink()
    monkeypatch.setattr(_reading, "_PATIENCE", 0.1)
    monkeypatch.setattr(_reading, "is_being_replaced", lambda _: True)
    with pytest.raises(ModelFormatError, match="damaged"):
        load_model(path)


def test_the_module_is_made_once_however_often_a_model_is_read(copy_of, monkeypatch):
    path = copy_of("network")
    made = []

    def make():
        made.append(1)
        return make_network()

    read, calls = _reading.read_document, []

    def replacing(data):
        if len(calls) < 3:
            replace(path, "network")
        calls.append(data)
        return read(data)

    monkeypatch.setattr(_reading, "read_document", replacing)
    load_model(path, module=make)
    assert len(made) == 1


@pytest.mark.skipif(os.name != "posix", reason="a folder in use cannot be replaced")
def test_loads_beside_a_process_that_overwrites(tmp_path, monkeypatch):
    """benchmarks/fuzz_models.py --loads 1000 does more of it."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    fuzz_models = importlib.import_module("fuzz_models")
    counts = fuzz_models.load_beside_a_writer(40, tmp_path)
    assert counts["model 0"] + counts["model 1"] == 40, counts


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux")
@pytest.mark.filterwarnings("ignore")
def test_damaged_models(tmp_path, monkeypatch):
    """benchmarks/fuzz_models.py does more of it."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    monkeypatch.chdir(tmp_path)
    counts, faults = importlib.import_module("fuzz_models").fuzz(300, 0, tmp_path)
    assert faults == []
    assert counts["wrong digests: refused"] > 100
    assert counts["right digests: refused"] > 80
    assert counts["right digests: accepted, a model all the same"] > 5


def test_lists_of_files(copy_of):
    path = copy_of("features")
    document = read_document(path)
    document["files"]["../outside"] = document["files"]["arrays.safetensors"]
    sign(path, document, list_files=False)
    with pytest.raises(ModelFormatError, match=r"must list arrays.safetensors; got"):
        load_model(path)
