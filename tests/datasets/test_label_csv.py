"""Label files of one's own: wide and long, in the forms that spreadsheets write."""

import csv
import gzip
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from cftlearn.datasets import load_label_csv
from cftlearn.labels import LabelState

WIDE = "image,patient,cat,dog\na.jpg,7,1,0\nb.jpg,1,-1,\nc.jpg,8,,1.0\n"
STATES = [[2, 1], [3, 0], [0, 2]]


@pytest.fixture
def write(tmp_path):
    def write_file(text, encoding="utf-8", name="labels.csv"):
        file = tmp_path / name
        file.write_bytes(text.encode(encoding))
        return file

    return write_file


def test_wide_files_give_states_and_info(write):
    table = load_label_csv(write(WIDE))
    assert table.states.tolist() == STATES
    assert list(table.categories) == ["cat", "dog"]
    assert list(table.paths) == ["a.jpg", "b.jpg", "c.jpg"]
    assert table.info["patient"].tolist() == ["7", "1", "8"]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (WIDE, "utf-8-sig"),
        (WIDE, "utf-16"),
        (WIDE.replace("\n", "\r\n"), "utf-8"),
        (WIDE.replace(",", "\t"), "utf-8"),
        (WIDE.replace(",", ";").replace("1.0", "1,0"), "utf-8"),
        (WIDE.replace("-1,\n", "-1.00,NaN\n"), "utf-8"),
        (WIDE.replace("1,0\n", "True,FALSE\n"), "utf-8"),
        (
            WIDE.replace("cat", '"cat"').replace("a.jpg,7,1", '"a.jpg","7"," 1"'),
            "utf-8",
        ),
        (",".join(["", WIDE.replace("\n", "\n0,", 3)]), "utf-8"),
        (WIDE.rstrip("\n"), "utf-8"),
    ],
    ids=[
        "mark",
        "utf-16",
        "windows",
        "tabs",
        "semicolons and decimal commas",
        "NaN",
        "booleans",
        "quotes",
        "index of pandas",
        "no last line end",
    ],
)
def test_spellings_of_one_table_are_one(write, text, encoding):
    file = write(text, encoding)
    table = load_label_csv(file)
    assert list(load_label_csv(file, path_column="image").paths) == list(table.paths)
    assert table.states.tolist() == STATES
    assert list(table.paths) == ["a.jpg", "b.jpg", "c.jpg"]
    assert list(table.info) == ["patient"]


def test_compressed_files_are_read(tmp_path):
    file = tmp_path / "labels.csv.gz"
    file.write_bytes(gzip.compress(WIDE.encode()))
    assert load_label_csv(file).states.tolist() == STATES


def test_other_encodings_are_named(write):
    file = write("image,Öffnung\nñandú.jpg,1\n", "cp1252")
    with pytest.raises(ValueError, match=r"0xd6 in .*, line 1\. .*encoding=\"cp1252\""):
        load_label_csv(file)
    table = load_label_csv(file, encoding="cp1252")
    assert (table.paths[0], table.categories[0]) == ("ñandú.jpg", "Öffnung")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({1: "positive", -1: "negative", 0: "blank"}, [[2, 0], [1, 0], [0, 2]]),
        ({1: "positive", 0: "negative", -1: "blank"}, [[2, 1], [0, 0], [0, 2]]),
        ({1: "positive", 0: "negative", -1: "negative", "": "uncertain"}, None),
    ],
)
def test_values_say_what_cells_mean(write, values, expected):
    table = load_label_csv(write(WIDE), values=values)
    assert table.states.tolist() == (expected or [[2, 1], [1, 3], [3, 2]])


def test_words_may_be_values(write):
    values = {"yes": "positive", "No": "negative", "maybe": "uncertain"}
    file = write("image,x\na,YES\nb,no \nc,maybe\nd,\n")
    assert load_label_csv(file, values=values).states.ravel().tolist() == [2, 1, 3, 0]


def test_columns_are_chosen_and_ordered(write):
    file = write("id,dog,file,cat\n1,1,x/ü.png,0\n0,0,y.png,1\n")
    table = load_label_csv(file, path_column="file", categories=["cat", "dog"])
    assert list(table.paths) == ["x/ü.png", "y.png"]
    assert table.states.tolist() == [[1, 2], [2, 1]]
    assert table.info["id"].tolist() == ["1", "0"]


def test_columns_of_other_things_go_to_info(write):
    file = write("image,age,note,all_blank,x\na,1,,,1\nb,40,,,0\nc,41,no,,\n")
    table = load_label_csv(file)
    assert list(table.categories) == ["all_blank", "x"]
    assert list(table.info) == ["age", "note"]


def test_a_column_that_may_be_a_category_is_not_guessed(write):
    file = write("image,x\na,1\nb,0\nc,?\n")
    with pytest.raises(ValueError, match=r"`categories` must .* '\?' in line 4 of"):
        load_label_csv(file)
    with pytest.raises(ValueError, match=r"column 'x'; got '\?' in line 4 .*`values`"):
        load_label_csv(file, categories=["x"])
    table = load_label_csv(
        file, values={1: "positive", 0: "negative", "?": "uncertain"}
    )
    assert table.states.ravel().tolist() == [2, 1, 3]


LONG = "image,label,confidence\na,dog,1\nb,cat,0\na,cat,1\na,dog,0\nc,,\nb,dog,\n"


def test_long_files_give_a_row_per_image(write):
    table = load_label_csv(write(LONG), label_column="label", value_column="confidence")
    assert list(table.paths) == ["a", "b", "c"]
    assert list(table.categories) == ["cat", "dog"]
    assert sparse.issparse(table.states)
    contradicted = LabelState.UNCERTAIN
    assert table.states.toarray().tolist() == [[2, contradicted], [1, 0], [0, 0]]


def test_long_files_without_values_are_positive_and_may_be_cut(write):
    table = load_label_csv(
        write(LONG), label_column="label", categories=["bird", "dog"]
    )
    assert list(table.categories) == ["bird", "dog"]
    assert table.states.toarray().tolist() == [[0, 2], [0, 2], [0, 0]]


def test_long_files_refuse_fractions(write):
    file = write("image,label,confidence\na,dog,0.7\n")
    with pytest.raises(ValueError, match=r"'confidence'; got '0\.7' in line 2"):
        load_label_csv(file, label_column="label", value_column="confidence")


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        (
            "image,x\na,1\na,0\n",
            {},
            "got 'a' in column 'image' in line 2 and in line 3 of",
        ),
        ("image,x\n,1\n", {}, "'image' is empty in line 2"),
        ("image,x\na,1\nb\n", {}, "as its header, 2; got 1 in line 3"),
        ("image,x\na,1,1\n", {}, "got 3 in line 2"),
        ("image,site\na,here\n", {}, "none of .* It has: 'image', 'site'"),
        ("image,x,x\na,1,1\n", {}, "'x' 2 times"),
        ('image,x,n\na,1,"a\nb"\nc,9,d\n', {"categories": ["x"]}, "got '9' in line 4"),
        (WIDE, {"categories": ["cow"]}, "`categories` must name .* 'cow'.* has: 'im"),
        (WIDE, {"categories": []}, "at least one"),
        (WIDE, {"path_column": "file"}, "`path_column` must name .* 'file'"),
        (WIDE, {"label_column": "label"}, "`label_column` must name"),
        (WIDE, {"value_column": "cat"}, "`value_column` must be None"),
        (WIDE, {"values": {1: "yes"}}, "got 'yes' for 1"),
        (WIDE, {"values": {1: "positive", "1.0": "negative"}}, "one state"),
        (WIDE, {"separator": "::"}, "`separator` must be one character"),
    ],
)
def test_hostile_input_is_refused_with_the_place(write, text, arguments, message):
    with pytest.raises(ValueError, match=message):
        load_label_csv(write(text), **arguments)


@given(
    st.lists(
        st.lists(
            st.sampled_from(["1", "0", "-1", "", "nan", "1.0", "-1.0"]),
            min_size=3,
            max_size=3,
        ),
        min_size=1,
        max_size=12,
    )
)
def test_frames_of_pandas_come_back(tmp_path_factory, rows):
    pandas = pytest.importorskip("pandas")
    text = "image,a,b,c\n" + "".join(
        f"{i}.jpg,{','.join(row)}\n" for i, row in enumerate(rows)
    )
    file = tmp_path_factory.mktemp("frames") / "labels.csv"
    file.write_text(text)
    frame = pandas.read_csv(io.StringIO(text), index_col="image").astype(float)
    pandas.testing.assert_frame_equal(
        load_label_csv(file).frame(),
        frame,
        check_names=False,
        check_column_type=False,
        check_index_type=False,
    )


def test_many_rows_are_read_whole(write):
    n_rows = 5000  # more than are taken at once
    rows = (f"{i}.jpg,{i % 2},{i}\n" for i in range(n_rows))
    table = load_label_csv(write("image,odd,i\n" + "".join(rows)))
    np.testing.assert_array_equal(table.labels()[:, 0], np.arange(n_rows) % 2)
    assert table.info["i"].tolist() == [str(i) for i in range(n_rows)]


def test_encodings_that_python_lacks_are_refused(write):
    with pytest.raises(ValueError, match=r"`encoding` must be one that .* 'windows-'"):
        load_label_csv(write(WIDE), encoding="windows-")


def test_wrong_bytes_in_a_damaged_archive_are_named(tmp_path):
    rows = "".join(f"{i}.jpg,1\n" for i in range(20_000))
    file = tmp_path / "labels.csv.gz"
    for text, place in ((b"\xe4,1\n" + rows.encode(), ", line 2"), (b"\xe4,1", "")):
        file.write_bytes(gzip.compress(b"image,x\n" + text)[:-6])
        with pytest.raises(ValueError, match=rf"0xe4 in '[^']*'{place}\."):
            load_label_csv(file)


@given(
    st.one_of(
        st.binary(max_size=80),
        st.text('ab01-,;"\n\r \t\x00ü', max_size=60).map(str.encode),
        st.text("a01,\n", max_size=60).map(lambda text: b"image,x\n" + text.encode()),
        st.binary(max_size=30).map(
            lambda rest: gzip.compress(WIDE.encode())[:9] + rest
        ),
    )
)
def test_any_bytes_are_a_table_or_a_value_error(tmp_path_factory, content):
    file = tmp_path_factory.mktemp("bytes") / "labels.csv"
    file.write_bytes(content)
    for arguments in ({}, {"label_column": "x"}):
        try:
            table = load_label_csv(file, **arguments)
        except ValueError as error:
            assert str(error).startswith("`")  # noqa: PT017
        else:
            assert table.labels().shape == (len(table.paths), len(table.categories))


NIH = "Image Index,Finding Labels,Patient ID\na.png,Edema|Mass,1\nb.png,No Finding,2\n"
PADCHEST = (
    ",ImageID,Labels\n0,a.png,\"['mass', ' pleural effusion', '']\"\n"
    "1,b.png,['normal']\n2,c.png,nan\n3,d.png,[]\n"
)


def test_labels_are_read_from_one_cell(write):
    table = load_label_csv(
        write(NIH), label_column="Finding Labels", label_separator="|"
    )
    assert table.categories.tolist() == ["Edema", "Mass", "No Finding"]
    assert table.states.toarray().tolist() == [[2, 2, 0], [0, 0, 2]]
    table = load_label_csv(
        write(PADCHEST), label_column="Labels", label_separator="list"
    )
    assert table.categories.tolist() == ["mass", "normal", "pleural effusion"]
    assert table.paths.tolist() == ["a.png", "b.png", "c.png", "d.png"]
    assert table.states.toarray().tolist() == [[2, 0, 2], [0, 2, 0], [0] * 3, [0] * 3]


def test_several_labels_share_the_value_of_their_row(write):
    text = "image,tag,says\na,x|y,0\nb,y|z,1\nb,x,-1\nc,x|z,\n"
    table = load_label_csv(
        write(text), label_column="tag", value_column="says", label_separator="|"
    )
    assert table.states.toarray().tolist() == [[1, 1, 0], [3, 2, 2], [0, 0, 0]]


def test_several_labels_without_a_separator_are_refused(write):
    text = NIH + "c.png,Mass,3\n"
    with pytest.raises(
        ValueError, match=r"got 'Edema\|Mass' in column 'Finding Labels'"
    ):
        load_label_csv(write(text), label_column="Finding Labels")
    whole = ["Edema|Mass", "Mass"]
    table = load_label_csv(write(text), label_column="Finding Labels", categories=whole)
    assert table.states.toarray().tolist() == [[2, 0], [0, 0], [0, 2]]


def test_line_ends_may_stand_between_labels(write):
    path = write('image,tag\na,"x\ny"\nb,z\n')
    table = load_label_csv(path, label_column="tag", label_separator="\n")
    assert table.categories.tolist() == ["x", "y", "z"]
    with pytest.raises(
        ValueError, match=r"has line ends or tabs; got 'x\\ny' in column"
    ):
        load_label_csv(path, label_column="tag")


@pytest.mark.parametrize("cell", ["nan", "NaN", "NA", "None", "<NA>", "null", " "])
def test_a_missing_label_is_no_category(write, cell):
    text = f"image,label\na.jpg,cat\nb.jpg,{cell}\n"
    table = load_label_csv(write(text), label_column="label")
    assert table.categories.tolist() == ["cat"]
    assert table.paths.tolist() == ["a.jpg", "b.jpg"]


def test_blanks_around_cells_do_not_count(write):
    text = 'image, label , site\na.jpg, cat, "x, y"\n b.jpg ,cat,z\na.jpg , dog, x\n'
    table = load_label_csv(write(text), label_column="label")
    assert table.categories.tolist() == ["cat", "dog"]
    assert table.paths.tolist() == ["a.jpg", "b.jpg"]
    wide = load_label_csv(write("image, cat , site\na.jpg, 1, x\n"))
    assert wide.categories.tolist() == ["cat"]
    assert wide.info["site"].tolist() == ["x"]


def test_two_forms_of_a_name_are_one(write):
    text = "image,label\na.jpg,café\nb.jpg,cafe\u0301\n"
    assert load_label_csv(write(text), label_column="label").categories == ["café"]
    wide = write("image,cafe\u0301\na.jpg,1\n")
    assert load_label_csv(wide, categories=["café"]).categories == ["café"]
    assert load_label_csv(wide, categories=["cafe\u0301"]).categories == ["café"]


def test_a_long_report_is_read_and_needs_no_room_in_other_rows(write):
    limit = csv.field_size_limit()
    report = "x" * (limit + 1)
    rows = "".join(f"{row}.jpg,{row % 2},short\n" for row in range(1000))
    table = load_label_csv(write(f"image,cat,report\n{rows}z.jpg,1,{report}\n"))
    assert table.info["report"][-1] == report
    assert table.info["report"].dtype == object
    assert table.info["report"].nbytes < 100_000
    assert csv.field_size_limit() == limit


def test_columns_of_labels_that_have_no_name_are_refused(write):
    path = write("image,cat,nan\na.jpg,1,0\n")
    with pytest.raises(ValueError, match="a column of labels is called 'nan'"):
        load_label_csv(path)
    assert load_label_csv(path, categories=["cat"]).info["nan"].tolist() == ["0"]


def test_as_many_columns_as_cells_fill_the_memory_with(write):
    with pytest.raises(ValueError, match=r"at most 100,000 columns; '.*' has 100,001"):
        load_label_csv(write("image" + "," * 100_000 + "\n"))
