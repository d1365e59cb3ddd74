"""CSV files as people write them: separators, quotes, blank lines and their numbers."""

import pytest

from cftlearn.datasets._delimited import read_delimited

TEXT = 'name,"a, b",c\nx,1,"two\nlines"\n\ny,"say ""z""",3\n'


@pytest.fixture
def read(tmp_path):
    def write_and_read(text, **options):
        path = tmp_path / "table.csv"
        path.write_bytes(text.encode())
        return read_delimited(path, **options)

    return write_and_read


def test_cells_and_lines_are_those_of_the_file(read):
    table = read(TEXT)
    assert table.header == ["name", "a, b", "c"]
    assert table.columns == [["x", "y"], ["1", 'say "z"'], ["two\nlines", "3"]]
    assert list(table.lines) == [3, 5]
    assert len(table) == 2
    assert table.where(1) == f"line 5 of '{table.file}'"
    assert table.column_names() == "'name', 'a, b', 'c'"
    assert table.texts(0).tolist() == ["x", "y"]
    assert table.texts(0).dtype.kind == "U"


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_most_frequent_separator_of_the_first_line_is_taken(read, separator):
    text = separator.join(["a", '"b,;,;\t\t||"', "c"]) + "\n"
    text += separator.join(["1,", '"2"', "3"]) + "\n" if separator != "," else "1,2,3\n"
    assert len(read(text).header) == 3


def test_a_separator_may_be_given(read):
    assert read("a,b;c,d\n1,2;3,4\n", separator=";").header == ["a,b", "c,d"]
    for wrong in ("", ";;"):
        with pytest.raises(
            ValueError, match=f"one character, .* or None; got '{wrong}'"
        ):
            read(TEXT, separator=wrong)


@pytest.mark.parametrize("n_rows", [1, 255, 256, 257, 1000])
def test_rows_are_read_whole_and_in_order(read, n_rows):
    names = [f"{row:012}" for row in range(n_rows)]
    table = read("a,b\n" + "".join(f"{name},{name[-1]}\n" for name in names))
    assert table.columns == [names, [name[-1] for name in names]]
    assert list(table.lines) == list(range(2, n_rows + 2))


def test_equal_short_cells_share_one_object(read):
    table = read("a,b\n" + 600 * "-1.00000,-1.000000\n")
    assert len({id(cell) for cell in table.columns[0]}) == 1
    assert len({id(cell) for cell in table.columns[1]}) == 600


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("\na,b\n", "the first line of '.*' is empty"),
        (" , \n1,2\n", "the first line of '.*' is empty"),
        ("a,b, a \n1,2,3\n", r"'a' 2 times\. Rename"),
        ("a,b\n", "a header and nothing below"),
        ("a,b\n\n\n", "a header and nothing below"),
        ("a,b\n1\n", "in every row as its header, 2; got 1 in line 2"),
        ("a,b\n1,2\n1,2,3\n", "got 3 in line 3"),
        ('a,b\n1,2\n1,"2\n', "row of line 3 of '.*' is not .*quote left open"),
    ],
)
def test_other_files_are_refused(read, text, match):
    with pytest.raises(ValueError, match=match):
        read(text)


def test_columns_without_a_name_may_be_several(read):
    assert read(",a,\n1,2,3\n").header == ["", "a", ""]


def test_repeated_cells_are_named_with_both_lines(read):
    table = read("a,b\n1,x\n2,y\n1,z\n2,z\n")
    with pytest.raises(
        ValueError, match=r"got '1' in column 'a' in line 2 and in line 4 of .*\. Merge"
    ):
        table.refuse_repeated(0, "Merge them.")
    with pytest.raises(ValueError, match="got 'z' in column 'b' in line 4 and in lin"):
        table.refuse_repeated(1, "")
    read("a\n1\n2\n").refuse_repeated(0, "")
