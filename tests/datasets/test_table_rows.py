"""Rows of large tables: the values of every row, in blocks of every size."""

import gzip
import re
import sys

import numpy as np
import pytest

from cftlearn.datasets import _table_rows
from cftlearn.datasets._table_rows import read_rows

HEADER = "id,word,note,other\n"


@pytest.fixture
def read(tmp_path):
    """Write text or bytes as a file and read all its rows."""
    pytest.importorskip("pyarrow", reason="the arrow extra")

    def write_and_read(content):
        path = tmp_path / "table.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        blocks = read_rows(
            path, numbers=["id"], words=["word", "other"], feature="the_loader"
        )
        numbers, words, sizes = [], [], []
        for rows in blocks:
            sizes.append(len(rows))
            numbers.extend(rows.hexadecimal("id").tolist())
            for name in ("word", "other"):
                different, index = rows.words(name)
                assert len(set(different)) == len(different)
                words.append((name, [different[k] for k in index]))
        columns = {
            name: [one for key, part in words if key == name for one in part]
            for name in ("word", "other")
        }
        return numbers, columns["word"], columns["other"], sizes

    return write_and_read


@pytest.mark.parametrize("block", [60, 100, 1000, 1 << 20])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_rows_are_those_of_a_loop_over_lines(read, rng, monkeypatch, block, pack):
    monkeypatch.setattr(_table_rows, "_BLOCK", block)
    ids = rng.integers(2**64, size=200, dtype=np.uint64).tolist()
    words = [f"w{k}" for k in rng.integers(9, size=200)]
    others = [f"é{k}" for k in rng.integers(200, size=200)]
    lines = [
        f"{one:016x},{word},x,{other}\n"
        for one, word, other in zip(ids, words, others, strict=True)
    ]
    numbers, found, others_found, sizes = read(pack((HEADER + "".join(lines)).encode()))
    assert numbers == ids
    assert found == words
    assert others_found == others
    assert sum(sizes) == 200
    assert (len(sizes) > 1) == (block < 1 << 20)


def test_numbers_have_sixteen_hexadecimal_digits(read):
    smallest, largest = "0" * 16, "f" * 16
    numbers, *_ = read(HEADER + f"{smallest},a,,b\n{largest},a,,b\n")
    assert numbers == [0, 2**64 - 1]
    for wrong in ("0" * 15, "0" * 17, "0" * 15 + "g", "0" * 15 + "F", "é" * 8, ""):
        with pytest.raises(
            ValueError,
            match=f"rows of 16 hexadecimal digits as id; got '{wrong}' in line 4 of",
        ):
            read(HEADER + 2 * f"{smallest},a,,b\n" + f"{wrong},a,,b\n")


def test_lines_of_all_lengths_are_counted_over_blocks(read, monkeypatch):
    monkeypatch.setattr(_table_rows, "_BLOCK", 64)
    row = f"{'0' * 16},a,,b\n"
    for n_before in (0, 1, 50):
        rows = HEADER + n_before * row
        line = n_before + 2
        with pytest.raises(ValueError, match=f"got 3 in line {line} of .*: 'a,b,c'"):
            read(rows + "a,b,c\n" + row)
        with pytest.raises(ValueError, match=f"4 fields .*; got 5 in line {line} of"):
            read(rows + "a,b,c,d,e\n" + row)
        with pytest.raises(ValueError, match=f"got 2 in line {line} of"):
            read(rows + "0,a")
        with pytest.raises(ValueError, match=f"got '1' in line {line} of"):
            read(rows + row.replace("0" * 16, "1"))


def test_the_first_of_several_wrong_rows_is_named(read):
    row = f"{'0' * 16},a,,b\n"
    with pytest.raises(ValueError, match=r"got 1 in line 3 of .*: 'x�'. Its"):
        read((HEADER + row).encode() + b"x\xff\n" + b"y,z\n")


def test_a_header_alone_has_no_rows(read):
    assert read(HEADER) == ([], [], [], [])
    assert read(HEADER + "\n\n") == ([], [], [], [])
    assert read(HEADER.strip()) == ([], [], [], [])


def test_names_of_columns_may_be_quoted_and_others_repeated(read):
    row = f"{'0' * 16},a,n,n,b\n"
    assert read('"id",word,"a,b","a,b",other\r\n' + row)[1:3] == (["a"], ["b"])


@pytest.mark.parametrize(
    ("header", "match"),
    [
        ("id,word,note\n", "a column 'other'; got '.*', whose first line is 'id,word"),
        ("id,id,word,other\n", "a column 'id'"),
        ("\n", "a column 'id'; got '.*', whose first line is ''"),
        ("x" * (1 << 20), r"whose first line is 'x{80}'\.\.\.\. Check"),
    ],
)
def test_columns_must_be_there_once(read, header, match):
    with pytest.raises(ValueError, match=match):
        read(header + "1,2,3,4\n")


def test_lines_must_fit_in_a_block(read, monkeypatch):
    monkeypatch.setattr(_table_rows, "_BLOCK", 30)
    with pytest.raises(
        ValueError,
        match=r"a table in CSV; got '.*csv' with a row of more than 30 bytes",
    ):
        read(HEADER + "x" * 100 + "\n")


def test_long_values_are_cut_in_errors(read):
    with pytest.raises(ValueError, match=r"got 'x{80}'\.\.\. in line 2"):
        read(HEADER + "x" * 1000 + ",a,,b\n")
    with pytest.raises(ValueError, match=r": 'x{80}'\.\.\.\. Its download"):
        read(HEADER + "x" * 1000 + "\n")


def test_words_must_not_be_blank_and_a_wrong_one_has_its_line(read, tmp_path):
    row = f"{'0' * 16},a,,b\n"
    with pytest.raises(ValueError, match="rows without a blank word; got '' in line 3"):
        read(HEADER + row + row.replace("a", "") + row)
    path = tmp_path / "other.csv"
    path.write_bytes((HEADER + 3 * row).encode() + row.encode().replace(b"b", b"\xff"))
    (rows,) = read_rows(path, numbers=[], words=["other"], feature="the_loader")
    with pytest.raises(
        ValueError, match=re.escape("rows of b; got '\ufffd' in line 5")
    ):
        rows.fail("other", "\ufffd", "of b")


def test_pyarrow_is_named_if_it_is_missing(read, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(
        ImportError, match=r'the_loader needs pyarrow.*pip install "cftlearn\[arrow\]"'
    ):
        read(HEADER)
