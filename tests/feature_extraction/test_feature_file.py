"""Features in a file, also after an interruption."""

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from extraction_parts import Counting, Fatal, extract, seeded

from cftlearn.feature_extraction._feature_file import read_features

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")  # 1 core


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_features_are_stored_and_mapped(rows, tmp_path, dtype):
    out = tmp_path / "merkmale ü.npy"
    Z = extract(Counting(), rows, out=out, dtype=dtype)
    assert isinstance(Z, np.memmap)
    assert Z.dtype == dtype
    assert not Z.flags.writeable
    expected = torch.from_numpy(np.float32(rows)).tanh().numpy()
    np.testing.assert_array_equal(Z, expected.astype(dtype))
    np.testing.assert_array_equal(np.load(out), Z)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "merkmale ü.npy",
        "merkmale ü.npy.json",
    ]


def test_a_finished_file_is_read_back(rows, tmp_path):
    out = tmp_path / "Z.npy"
    expected = np.array(extract(Counting(), rows, out=out))
    again = Counting()
    torch.manual_seed(0)
    network = Counting(n_most=0)
    network.fc.load_state_dict(again.fc.state_dict())
    first = extract(again, rows, out=tmp_path / "Y.npy")
    reread = extract(network, rows, out=tmp_path / "Y.npy")
    assert network.calls == []
    np.testing.assert_array_equal(first, expected)
    np.testing.assert_array_equal(reread, expected)


@pytest.mark.usefixtures("noted_at_once")
@pytest.mark.parametrize("n_most", [0, 1, 3, 4])
def test_an_extraction_that_failed_goes_on_where_it_was(rows, tmp_path, n_most):
    out = tmp_path / "Z.npy"
    network = seeded(Counting, n_most=n_most)
    with pytest.raises(KeyboardInterrupt):
        extract(network, rows, out=out)
    assert not out.exists()
    network.n_most = 1000
    before = len(network.calls)
    Z = extract(network, rows, out=out)
    assert before == n_most
    assert len(network.calls) == 5  # of 23 rows, none twice
    np.testing.assert_array_equal(np.vstack(network.calls), np.float32(rows))
    np.testing.assert_array_equal(Z, extract(seeded(Counting), rows))


@pytest.mark.usefixtures("noted_at_once")
def test_an_extraction_goes_on_with_another_batch_size(rows, tmp_path):
    out = tmp_path / "Z.npy"
    network = seeded(Counting, n_most=3)
    for batch_size, n_done in ((5, 15), (4, 19)):
        with pytest.raises(KeyboardInterrupt):
            extract(network, rows, out=out, batch_size=batch_size)
        assert json.loads((tmp_path / "Z.npy.json").read_text())["n_done"] == n_done
        network.n_most += 1
    network.n_most = 1000
    Z = extract(network, rows, out=out)
    np.testing.assert_array_equal(np.vstack(network.calls), np.float32(rows))
    np.testing.assert_array_equal(Z, extract(seeded(Counting), rows))


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_killed_extraction_goes_on_where_it_was(rows, tmp_path):
    np.save(tmp_path / "rows.npy", rows)
    code = (
        "import numpy, torch, extraction_parts as parts;"
        "from cftlearn.feature_extraction import _feature_file;"
        "torch.set_num_threads(1);"
        "_feature_file._SAVE_SECONDS = 0.0;"
        "parts.extract(parts.Fatal(3), numpy.load('rows.npy'), out='Z.npy')"
    )
    tests = Path(__file__).parent.parent
    environment = {
        **os.environ,
        "PYTHONPATH": f"{tests.parent}{os.pathsep}{tests}",
    }
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        timeout=240,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL
    assert not (tmp_path / "Z.npy").exists()
    network = Fatal()
    Z = extract(network, rows, out=tmp_path / "Z.npy")
    assert network.n_left == 1000 - 2  # of five batches
    np.testing.assert_array_equal(Z, extract(network, rows))


def test_a_complete_file_that_was_not_renamed_is_renamed(rows, tmp_path):
    expected = np.array(extract(seeded(Counting), rows, out=tmp_path / "Z.npy"))
    (tmp_path / "Z.npy").rename(tmp_path / "Z.npy.partial")
    network = seeded(Counting, n_most=0)
    np.testing.assert_array_equal(
        extract(network, rows, out=tmp_path / "Z.npy"), expected
    )


def test_files_of_others_are_not_overwritten(rows, tmp_path):
    out = tmp_path / "Z.npy"
    np.save(out, rows)
    with pytest.raises(
        ValueError, match=r"something else.* delete it and 'Z.npy.json'"
    ):
        extract(seeded(Counting), rows, out=out)
    np.testing.assert_array_equal(np.load(out), rows)


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("Z.npz", r"`out` must end in \.npy; got '.*Z\.npz'\. Write '.*Z\.npy'"),
        (
            "missing/Z.npy",
            r"must be in a folder that exists; .*Make '.*missing' fir",
        ),
    ],
)
def test_places_that_cannot_be_are_refused(rows, tmp_path, out, message):
    with pytest.raises(ValueError, match=message):
        extract(seeded(Counting), rows, out=tmp_path / out)


@pytest.mark.parametrize("note", ["", "{", '{"digest": 3}', "[]"])
def test_a_damaged_note_is_told(rows, tmp_path, note):
    extract(seeded(Counting), rows, out=tmp_path / "Z.npy")
    (tmp_path / "Z.npy.json").write_text(note)
    with pytest.raises(
        ValueError, match=r"The note '.*json' .* cannot be read: .*Delete"
    ):
        extract(seeded(Counting), rows, out=tmp_path / "Z.npy")


def test_a_file_changed_after_its_note_is_refused(rows, tmp_path):
    extract(seeded(Counting), rows, out=tmp_path / "Z.npy")
    np.save(tmp_path / "Z.npy", rows)
    with pytest.raises(
        ValueError, match=r"must hold float32 of shape \(23, 6\), as its"
    ):
        extract(seeded(Counting), rows, out=tmp_path / "Z.npy")


@pytest.mark.usefixtures("noted_at_once")
def test_lost_rows_are_computed_again(rows, tmp_path):
    network = seeded(Counting, n_most=3)
    with pytest.raises(KeyboardInterrupt):
        extract(network, rows, out=tmp_path / "Z.npy")
    assert json.loads((tmp_path / "Z.npy.json").read_text())["n_done"] == 15
    os.truncate(tmp_path / "Z.npy.partial", 200)
    network.n_most = 1000
    Z = extract(network, rows, out=tmp_path / "Z.npy")
    np.testing.assert_array_equal(Z, extract(network, rows))


def test_a_file_that_another_process_writes_is_left_to_it(rows, tmp_path):
    fcntl = pytest.importorskip("fcntl")
    with (tmp_path / "Z.npy.partial").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(ValueError, match=r"must not be in use; another process"):
            extract(seeded(Counting), rows, out=tmp_path / "Z.npy")


def test_nothing_is_left_of_a_longer_partial_file(rows, tmp_path):
    (tmp_path / "Z.npy.partial").write_bytes(b"\1" * 10_000)
    Z = extract(seeded(Counting), rows, out=tmp_path / "Z.npy")
    assert (tmp_path / "Z.npy").stat().st_size == Z.offset + Z.nbytes
    np.testing.assert_array_equal(Z, extract(seeded(Counting), rows))


def flip(path, place):
    """Change one byte."""
    data = bytearray(path.read_bytes())
    data[place] ^= 0b100
    path.write_bytes(data)


@pytest.mark.parametrize("place", [130, 400, -1, 0, 8, 70])
def test_changed_features_are_refused(rows, tmp_path, place):
    out = tmp_path / "Z.npy"
    extract(seeded(Counting), rows, out=out)
    flip(out, place)
    with pytest.raises(
        ValueError, match=r"Z\.npy' must hold .*Delete .*to start again"
    ):
        extract(seeded(Counting), rows, out=out)
    out.unlink()
    (tmp_path / "Z.npy.json").unlink()
    extract(seeded(Counting), rows, out=out)


def test_a_header_that_numpy_cannot_parse_is_told(rows, tmp_path):
    out = tmp_path / "Z.npy"
    extract(seeded(Counting), rows, out=out)
    data = bytearray(out.read_bytes())
    data[120] = ord("(")
    out.write_bytes(data)
    with pytest.raises(ValueError, match="it was changed"):
        extract(seeded(Counting), rows, out=out)


def test_every_changed_byte_of_a_note_is_told(rows, tmp_path):
    out = tmp_path / "Z.npy"
    extract(seeded(Counting), rows, out=out)
    note = tmp_path / "Z.npy.json"
    whole = note.read_bytes()
    for place in range(0, len(whole), 7):
        flip(note, place)
        with pytest.raises(ValueError, match=r"it was changed\. Delete|something else"):
            extract(seeded(Counting), rows, out=out)
        note.write_bytes(whole)
    extract(seeded(Counting), rows, out=out)


@pytest.mark.usefixtures("noted_at_once")
def test_changed_rows_of_a_started_file_are_refused(rows, tmp_path):
    out = tmp_path / "Z.npy"
    network = seeded(Counting, n_most=3)
    with pytest.raises(KeyboardInterrupt):
        extract(network, rows, out=out)
    flip(tmp_path / "Z.npy.partial", 200)
    network.n_most = 1000
    with pytest.raises(ValueError, match=r"partial' must hold .* it was changed\. Del"):
        extract(network, rows, out=out)


def test_fingerprints_of_many_blocks(rows, tmp_path, monkeypatch):
    monkeypatch.setattr("cftlearn._files._digests._BLOCK_BYTES", 100)
    out = tmp_path / "Z.npy"
    extract(seeded(Counting), rows, out=out)
    note = json.loads((tmp_path / "Z.npy.json").read_text())
    assert len(note["blocks"]) == 6  # of 23 rows of 24 bytes
    extract(seeded(Counting, n_most=0), rows, out=out)
    flip(out, 300)
    with pytest.raises(ValueError, match="it was changed"):
        extract(seeded(Counting), rows, out=out)


def test_features_of_somebody_else_are_read_as_they_are(rows, tmp_path):
    np.save(tmp_path / "Z.npy", rows)
    np.testing.assert_array_equal(read_features(tmp_path / "Z.npy"), rows)
    extract(seeded(Counting), rows, out=tmp_path / "Y.npy")
    assert read_features(tmp_path / "Y.npy").shape == (23, 6)
    flip(tmp_path / "Y.npy", 200)
    with pytest.raises(ValueError, match="it was changed"):
        read_features(tmp_path / "Y.npy")


def test_a_link_to_features_stays_a_link(rows, tmp_path):
    (tmp_path / "link.npy").symlink_to("Z.npy")
    extract(seeded(Counting), rows, out=tmp_path / "link.npy")
    assert (tmp_path / "link.npy").is_symlink()
    assert np.load(tmp_path / "Z.npy").shape == (23, 6)
    extract(seeded(Counting, n_most=0), rows, out=tmp_path / "link.npy")


@pytest.mark.parametrize("name", ["Z.npy", "Z.npy.json", "Z.npy.partial"])
def test_a_pipe_is_not_waited_for(rows, tmp_path, name):
    if not hasattr(os, "mkfifo"):
        pytest.skip("needs pipes")
    os.mkfifo(tmp_path / name)
    with pytest.raises(ValueError, match=rf"{name}' must be a file; it is a pipe"):
        extract(seeded(Counting), rows, out=tmp_path / "Z.npy")


@pytest.mark.usefixtures("noted_at_once")
@pytest.mark.parametrize("limit", [130, 300, 500])
def test_a_full_disk_keeps_the_rows_so_far(rows, tmp_path, limit):
    resource = pytest.importorskip("resource")
    out = tmp_path / "Z.npy"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    words = (
        r"Z\.npy' cannot be written: the file would be larger .* The rows so far are"
    )
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        with pytest.raises(OSError, match=words) as caught:
            extract(seeded(Counting), rows, out=out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.errno == errno.EFBIG
    Z = extract(seeded(Counting), rows, out=out)
    np.testing.assert_array_equal(Z, extract(seeded(Counting), rows))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["Z.npy", "Z.npy.json"]
