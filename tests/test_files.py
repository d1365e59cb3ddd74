"""Files and folders appear whole or not at all; digests do not depend on chance."""

import subprocess
import sys

import numpy as np
import pytest

from cftlearn._features._stored import StoredFeatures
from cftlearn._files import (
    _digests,
    claim_folder,
    digest,
    folder_beside,
    is_hidden,
    open_atomically,
    replace_folder,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("mode", "content"),
    [("w", "ö\r\n\udcff"), ("wb", b"\xff\x00")],
    ids=["text", "bytes"],
)
def test_a_file_is_written_and_replaced(tmp_path, mode, content):
    path = tmp_path / "file"
    path.write_text("earlier")
    with open_atomically(path, mode) as file:
        file.write(content)
        assert path.read_text() == "earlier"
    expected = content if mode == "wb" else content.encode(errors="surrogateescape")
    assert path.read_bytes() == expected
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("error", [OSError("full"), KeyboardInterrupt("ctrl-C")])
def test_a_file_that_is_not_finished_leaves_the_earlier_one(tmp_path, error):
    path = tmp_path / "file"
    path.write_text("earlier")

    def write():
        with open_atomically(path) as file:
            file.write("new")
            raise error

    with pytest.raises(type(error), match=str(error)):
        write()
    assert path.read_text() == "earlier"
    assert names(tmp_path) == ["file"]


def test_of_several_writers_the_first_one_wins(tmp_path):
    for text in ("first", "second"):
        with open_atomically(tmp_path / "file", replace=False) as file:
            file.write(text)
    assert (tmp_path / "file").read_text() == "first"
    assert names(tmp_path) == ["file"]


def test_a_file_system_without_links_will_do(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("not supported")

    monkeypatch.setattr("os.link", refuse)
    with open_atomically(tmp_path / "file", replace=False) as file:
        file.write("text")
    assert (tmp_path / "file").read_text() == "text"
    assert names(tmp_path) == ["file"]


def test_a_folder_beside_is_deleted(tmp_path):
    with folder_beside(tmp_path / "new" / "model") as folder:
        (folder / "file").write_text("text")
        assert folder.parent.parent == tmp_path / "new"
        assert is_hidden(folder.parent.name)
    assert names(tmp_path) == ["new"]
    assert names(tmp_path / "new") == []


def test_a_folder_replaces_the_earlier_one(tmp_path):
    for number in range(2):
        with replace_folder(tmp_path / "model") as new:
            (new / str(number)).touch()
    assert names(tmp_path) == ["model"]
    assert names(tmp_path / "model") == ["1"]


# Interrupted saves of models are in tests/persistence/test_folder.py.
def test_a_folder_that_is_not_finished_leaves_the_earlier_one(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "earlier").touch()
    error = OSError("full")
    with pytest.raises(OSError, match="full"), replace_folder(tmp_path / "model"):
        raise error
    assert names(tmp_path) == ["model"]
    assert names(tmp_path / "model") == ["earlier"]


def test_a_folder_belongs_to_one_owner(tmp_path):
    owner = {"a": "1", "b": None, "path": "\udcff"}
    folder = tmp_path / "new" / "folder"
    for _ in range(2):
        claim_folder(folder, owner)
    assert names(folder) == ["fit.json"]
    match = r"`checkpoint` must name a new folder, .* differs in: a, c\. Name"
    with pytest.raises(ValueError, match=match):
        claim_folder(folder, owner | {"a": "2", "c": None})
    claim_folder(folder, owner)


def test_a_claim_of_a_free_folder_is_replaced(tmp_path):
    claim_folder(tmp_path, {"a": "1"})
    claim_folder(tmp_path, {"a": "2"}, is_free=True)
    claim_folder(tmp_path, {"a": "2"}, is_free=False)
    with pytest.raises(ValueError, match=r"`out` must name .* same work; .*: a"):
        claim_folder(tmp_path, {"a": "1"}, is_free=False, parameter="out", work="work")


def test_a_folder_in_use_without_a_note_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"other\.json' cannot be read"):
        claim_folder(tmp_path, {"a": "1"}, note="other.json", is_free=False)
    assert names(tmp_path) == []


@pytest.mark.parametrize("text", ["[1, 2]", "null", "3", "{", "my own notes"])
def test_a_note_of_somebody_else_is_refused(tmp_path, text):
    (tmp_path / "fit.json").write_text(text)
    with pytest.raises(ValueError, match="must name a folder that cftlearn wrote"):
        claim_folder(tmp_path, {"a": "1"})
    assert (tmp_path / "fit.json").read_text() == text


ARRAY = np.arange(12.0).reshape(4, 3)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (ARRAY, ARRAY + 0.0),
        (ARRAY, ARRAY.T.copy().T),  # another order in memory
        (ARRAY.astype(np.float32), StoredFeatures(ARRAY)),
        (["a", 1], ("a", 1)),
        ({"a": ARRAY}, (("a", ARRAY),)),
    ],
)
def test_equal_values_have_equal_digests(one, other):
    assert digest(one) == digest(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (ARRAY, ARRAY + np.eye(4, 3) * 1e-15),
        (ARRAY, ARRAY.astype(np.float32)),
        (ARRAY, ARRAY.reshape(3, 4)),
        (ARRAY, ARRAY[::-1]),
        ([ARRAY], [ARRAY + 1e-9]),
        ({"a": np.arange(2000)}, {"a": np.arange(2000) * (np.arange(2000) != 1000)}),
        (("ab", "c"), ("a", "bc")),
        ((("a",), "b"), ("a", ("b",))),
        ((b"ab", b"c"), (b"a", b"bc")),
        (np.array(1.0), np.array(2.0)),
        (np.empty((0, 3)), np.empty((3, 0))),
        (np.float64(1.0), 1),
        (None, "None"),
    ],
)
def test_other_values_have_other_digests(one, other):
    assert digest(one) != digest(other)


def test_parts_of_an_iterator_count_as_if_passed_one_by_one():
    parts = ["a", ARRAY, b"bytes", (1, 2)]
    assert digest(iter(parts)) == digest(*parts)
    assert digest(*parts) != digest(parts)


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_digest_does_not_depend_on_what_is_read_at_once(monkeypatch, order):
    array = np.asarray(np.random.default_rng(0).standard_normal((70, 3)), order=order)
    whole = digest(array)
    monkeypatch.setattr(_digests, "_BLOCK_BYTES", 100)
    assert digest(array) == whole


def test_a_digest_is_the_same_in_every_process():
    code = "from cftlearn._files import digest; print(digest({'a': 1}, 'b', b'c', 0.1))"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == digest({"a": 1}, "b", b"c", 0.1)
    # notes of features on disk hold such digests, so they must not change
    expected = "26e4b796a411abfcc3b966fb9217729fed4c33d25faa2169e8c93ffe5fe5a5a1"
    assert digest(b"a", ARRAY) == expected
