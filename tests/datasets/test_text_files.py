"""Opening label files: the same content in every packing, or an error that says why."""

import gzip
import json

import numpy as np
import pytest

from cftlearn.datasets import _text_files
from cftlearn.datasets._text_files import (
    numbered_lines,
    open_binary,
    open_text,
    read_bytes,
    read_json,
    read_lines,
)

CONTENT = "línea\n".encode() * 1000
MARK = b"\xef\xbb\xbf"


@pytest.fixture
def write(tmp_path):
    def write_bytes(content):
        path = tmp_path / "labels"
        path.write_bytes(content)
        return path

    return write_bytes


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("mark", [b"", MARK], ids=["no mark", "mark"])
def test_content_is_the_same_in_every_packing(write, pack, mark):
    path = write(pack(mark + CONTENT))
    assert read_bytes(path) == CONTENT
    assert read_bytes(str(path)) == CONTENT
    with open_text(path) as stream:
        assert stream.read().encode() == CONTENT


def test_only_the_first_mark_is_left_out(write):
    assert read_bytes(write(MARK + MARK + b"a")) == MARK + b"a"
    assert read_bytes(write(b"a" + MARK)) == b"a" + MARK
    assert read_bytes(write(MARK[:2])) == MARK[:2]


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "`path` must be a file of labels; got '.*labels', which is empty"),
        (gzip.compress(b""), "which is empty"),
        (b"PK\x03\x04rest", "a zip archive or a workbook, .* Unpack it, or save"),
        (gzip.compress(CONTENT, mtime=0)[:-20], "must be a whole file; .*download it"),
        (b"\x1f\x8b" + b"no gzip at all", "must be a whole file; .* and damaged"),
        (gzip.compress(CONTENT)[:-8] + bytes(8), "packed by gzip and damaged"),
    ],
    ids=["empty", "empty gzip", "zip", "cut gzip", "false gzip", "changed gzip"],
)
def test_other_files_are_refused(write, content, match):
    with pytest.raises(ValueError, match=match):
        read_bytes(write(content))


def test_errors_name_the_parameter(write):
    with pytest.raises(ValueError, match=r"^`classes` must be a file of labels"):
        numbered_lines(write(b""), "classes")
    with pytest.raises(ValueError, match=r"^`classes` must be a file with lines"):
        numbered_lines(write(b"\n\n"), "classes")
    with pytest.raises(ValueError, match=r"^`classes` must be text in utf-8"):
        numbered_lines(write(b"\xff"), "classes")
    with pytest.raises(ValueError, match=r"^`classes` must be a whole file"):
        numbered_lines(write(gzip.compress(CONTENT)[:-20]), "classes")
    with pytest.raises(ValueError, match=r"^`classes` must be a file of labels, comp"):
        numbered_lines(write(b"PK\x03\x04"), "classes")
    with pytest.raises(ValueError, match=r"^`attributes` must be JSON;"):
        read_json(write(b"["), "attributes")
    with pytest.raises(FileNotFoundError, match=r"^`classes` must be a file"):
        numbered_lines("absent", "classes")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_known_by_its_mark(write, encoding):
    mark = "" if encoding == "utf-16" else "\ufeff"
    path = write((mark + "a\r\né").encode(encoding))
    with open_text(path) as stream:
        assert stream.read() == "a\r\né"


def test_line_ends_stay_as_they_are(write):
    with open_text(write(b"a\r\nb\rc\nd")) as stream:
        assert list(stream) == ["a\r\n", "b\r", "c\n", "d"]


def test_bytes_that_are_not_text_are_named_with_their_line(write):
    rows = b"image,x\n" + 20_000 * b"a.jpg,1\n"
    for pack in (bytes, gzip.compress):
        with (
            pytest.raises(ValueError, match=r"byte 0xe4 in '[^']*', line 20002\. Save"),
            open_text(write(pack(rows + b"\xe4\n"))) as stream,
        ):
            stream.read()


def test_an_encoding_other_than_utf_8_has_no_line(write):
    path = write("é".encode())
    with open_text(path, "latin-1") as stream:
        assert stream.read() == "Ã©"
    with (
        pytest.raises(ValueError, match=r"in ascii; got the byte 0xc3 in '[^']*'\. S"),
        open_text(path, "ascii") as stream,
    ):
        stream.read()


def test_lines_have_numbers_and_no_blanks(write):
    path = write("\ufeffa \r\n\r\n  é\n\n".encode())
    assert numbered_lines(path) == [(1, "a"), (3, "é")]


def test_lines_that_are_counted_must_not_be_blank(write):
    assert read_lines(write(b"a\n b\nc\n\n \n")) == ["a", "b", "c"]
    with pytest.raises(ValueError, match=r"no blank line; line 2 of '.*labels' is"):
        read_lines(write(b"a\n\nb\n\nc"))
    with pytest.raises(ValueError, match="no blank line; line 1 of"):
        read_lines(write(b"\na"))


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "which is empty"),
        ('{"a": 1,\n "b" 2}', r"JSON; .* is not in line 2, column 6 \(Expecting ':'"),
        ("[" * 100_000, "that can be read; .* has lists or objects nested"),
        ("9" * 5000, r"that can be read; .* a number of too many"),
    ],
)
def test_what_is_not_json_is_refused(write, text, match):
    with pytest.raises(ValueError, match=match):
        read_json(write(text.encode()))


def test_json_is_read_with_a_hook(write):
    content = {"a": [{"b": 1}, {"c": "é"}]}
    path = write(gzip.compress(json.dumps(content).encode("utf-16")))
    assert read_json(path) == content
    assert read_json(path, object_hook=len) == 1


def test_bytes_are_read_block_by_block(write):
    content = np.arange(100_000).tobytes()
    with open_binary(write(gzip.compress(content))) as stream:
        blocks = list(iter(lambda: stream.read(30_000), b""))
    assert b"".join(blocks) == content
    assert {len(block) for block in blocks[:-1]} == {30_000}


def test_a_small_file_that_fills_the_memory_is_refused(write, monkeypatch):
    monkeypatch.setattr(_text_files, "_MOST_UNPACKED", 100_000)
    block = gzip.compress(b"0" * 50_000)
    with open_binary(write(block * 2)) as stream:
        assert len(stream.read()) == 100_000
    for read in (read_bytes, read_json, numbered_lines):
        with pytest.raises(
            ValueError, match=r"must not unpack to more than [\d,]+ bytes, 200 times"
        ):
            read(write(block * 40))
    # Labels of whole tables, mostly zeros, unpack to less.
    content = np.random.default_rng(0).random((400, 800)) < 0.005
    text = "\n".join(",".join(map(str, row)) for row in content.astype(int)).encode()
    assert len(text) > 50 * len(gzip.compress(text))
    assert read_bytes(write(gzip.compress(text))) == text


def test_the_limit_holds_for_large_files_too(write, monkeypatch):
    monkeypatch.setattr(_text_files, "_MOST_UNPACKED", 1000)
    packed = gzip.compress(np.random.default_rng(0).bytes(50_000))
    assert len(read_bytes(write(packed))) == 50_000


@pytest.mark.parametrize("encoding", ["klingon", "hex", "rot13", "undefined", "", 7])
def test_encodings_that_make_no_text_are_refused(write, encoding):
    with (
        pytest.raises(ValueError, match=r"^`encoding` must be one that Python knows"),
        open_text(write(b"a"), encoding),
    ):
        pass


def test_an_encoding_must_not_contradict_the_mark(write):
    path = write(MARK + "é".encode())
    for encoding in ("utf8", "utf-8-sig", None):
        with open_text(path, encoding) as stream:
            assert stream.read() == "é"
    with (
        pytest.raises(ValueError, match=r"starts with the mark of UTF-8; got 'cp1252'"),
        open_text(path, "cp1252"),
    ):
        pass


def test_utf_16_without_its_mark_is_refused(write):
    with (
        pytest.raises(ValueError, match=r"must be text in utf-16; '.*' is not"),
        open_text(write("ab".encode("utf-16-be")), "utf-16") as stream,
    ):
        stream.read()


def test_a_key_twice_is_refused(write):
    with pytest.raises(
        ValueError, match=r"has the key 'a' twice in one object. Delete"
    ):
        read_json(write(b'[{"a": 1, "b": {}, "a": 2}]'))


def test_lines_have_no_hidden_characters(write):
    assert numbered_lines(write(b"a\tb\n")) == [(1, "a\tb")]
    with pytest.raises(ValueError, match=r"got U\+0000 .* at line 2 of"):
        numbered_lines(write(b"a\nb\0c\n"))


def test_bytes_may_have_a_limit(write):
    assert read_bytes(write(b"abc"), most=3) == b"abc"
    with pytest.raises(ValueError, match=r"files of at most 2 bytes there; '.*labels'"):
        read_bytes(write(b"abc"), most=2)
