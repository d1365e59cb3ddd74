"""Label files of every packing, and those that are not what they should be."""

import gzip

import pytest

from cftlearn.datasets._byte_blocks import read_blocks, read_lines

CONTENT = "línea\n".encode() * 1000


def joined(path, size=100):
    return b"".join(read_blocks(path, size=size))


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["no mark", "mark"])
def test_content_is_the_same_however_it_is_packed(tmp_path, pack, mark):
    path = tmp_path / "labels"
    path.write_bytes(pack(mark + CONTENT))
    assert joined(path) == CONTENT
    assert joined(str(path), size=1 << 20) == CONTENT


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "`path` must be a file of labels; got '.*labels', which is empty"),
        (b"PK\x03\x04rest", "a zip archive. Unpack it first"),
        (
            gzip.compress(CONTENT, mtime=0)[:-20],
            "must be a whole gzip file.*Get it again",
        ),
        (b"\x1f\x8b" + b"no gzip at all", "must be a whole gzip file"),
    ],
    ids=["empty", "zip", "cut gzip", "false gzip"],
)
def test_other_files_are_refused(tmp_path, content, match):
    path = tmp_path / "labels"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=match):
        joined(path)


def test_folders_and_missing_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="`path` must be a file that exists"):
        joined(tmp_path / "none.json")
    (tmp_path / "instances.json").touch()
    with pytest.raises(
        IsADirectoryError, match=r"got the folder .* holds: instances\.json\."
    ):
        joined(tmp_path)


def test_lines_have_numbers_and_no_blanks(tmp_path):
    path = tmp_path / "lines"
    path.write_bytes("\ufeffa \r\n\r\n  é\n".encode())
    assert read_lines(path) == [(1, "a"), (3, "é")]


def test_lines_must_be_utf_8(tmp_path):
    path = tmp_path / "lines"
    path.write_bytes("é".encode("latin-1"))
    with pytest.raises(
        ValueError, match="`classes` must be text in UTF-8; got byte 0x"
    ):
        read_lines(path, parameter="classes")
