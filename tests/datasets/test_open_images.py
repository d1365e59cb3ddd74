"""Open Images: labels of people as pandas reads them, in little memory."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from cftlearn.datasets import _table_rows, load_open_images
from cftlearn.labels import LabelState

FOLDER = Path(__file__).parents[1] / "data" / "open_images"
PATH = FOLDER / "annotations-human.csv"
HEADER = "ImageID,Source,LabelName,Confidence\n"
ROW = "000002b66c9c498e,verification,/m/014l8n,0\n"
GUESS = "000002b66c9c498e,machine,/m/014l8n,1\n"


@pytest.fixture
def load(tmp_path):
    """Write text or bytes as a file and load that."""
    pytest.importorskip("pyarrow", reason="the arrow extra")

    def write_and_load(content, **options):
        path = tmp_path / "labels.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return load_open_images(path, **options)

    return write_and_load


def made_of_people(rng, n_rows, n_images, n_classes):
    """Make rows of a file, in no order, some cells twice."""
    images = [
        f"{one:016x}" for one in rng.integers(2**63, size=n_images, dtype=np.int64)
    ]
    names = [f"/m/0{one:x}_" for one in rng.integers(16**7, size=n_classes)]
    return "".join(
        f"{images[i]},{'crowdsource-' * crowd}verification,{names[j]},{yes}\n"
        for i, crowd, j, yes in zip(
            rng.integers(n_images, size=n_rows),
            rng.integers(2, size=n_rows),
            rng.integers(n_classes, size=n_rows),
            rng.integers(2, size=n_rows),
            strict=True,
        )
    )


@pytest.mark.parametrize("seed", range(3))
def test_states_equal_a_pivot_by_pandas(load, tmp_path, monkeypatch, seed):
    pandas = pytest.importorskip("pandas")
    monkeypatch.setattr(_table_rows, "_BLOCK", 1000 + seed)
    rng = np.random.default_rng(seed)
    table = load(HEADER + made_of_people(rng, 2000, 80, 30))
    frame = pandas.read_csv(tmp_path / "labels.csv")
    pivot = frame.pivot_table(
        index="ImageID", columns="LabelName", values="Confidence", aggfunc=list
    )
    meaning = {(0,): LabelState.NEGATIVE, (1,): LabelState.POSITIVE}
    expected = pivot.map(
        lambda given: (
            meaning.get(tuple(set(given)), LabelState.UNCERTAIN)
            if isinstance(given, list)
            else LabelState.BLANK
        )
    )
    assert list(table.paths) == [f"{one}.jpg" for one in expected.index]
    assert list(table.categories) == list(expected.columns)
    np.testing.assert_array_equal(table.states.toarray(), expected.to_numpy(dtype=int))
    assert (table.states.data == LabelState.UNCERTAIN).any()


def test_the_published_form_is_read():
    pytest.importorskip("pyarrow", reason="the arrow extra")
    table = load_open_images(PATH)
    nan = np.nan
    names = ["/m/014l8n", "/m/017ycn", "/m/019_nn", "/m/01bsxb", "/m/0_cp5"]
    assert list(table.categories) == names
    np.testing.assert_array_equal(
        table.labels(),
        [
            [0, 0, 1, 1, nan],
            [nan, nan, nan, 1, nan],  # people are at odds on the first
            [nan, 1, nan, nan, 0],
        ],
    )
    assert table.paths[2] == "fffffdaec951185d.jpg"
    assert table.descriptions is None


def test_classes_are_the_columns_and_every_image_is_kept():
    pytest.importorskip("pyarrow", reason="the arrow extra")
    classes = FOLDER / "classes-trainable.txt"
    table = load_open_images(PATH, classes=classes)
    names = ["/m/019_nn", "/m/014l8n", "/m/01bsxb", "/m/0bt9lr"]
    assert list(table.categories) == names
    assert len(table) == 3
    assert table.summary()[3]["n_blank"] == 3
    np.testing.assert_array_equal(table.labels()[0], [1, 0, 1, np.nan])
    same = load_open_images(PATH, categories=iter(names))
    np.testing.assert_array_equal(same.states.toarray(), table.states.toarray())


def test_descriptions_tell_what_the_names_mean(load, tmp_path):
    descriptions = FOLDER / "class-descriptions.csv"
    table = load_open_images(PATH, descriptions=descriptions)
    assert table.descriptions == {
        "/m/014l8n": "Tortoise",
        "/m/017ycn": "Oyster, cooked",
        "/m/019_nn": "Café",
        "/m/01bsxb": "Tortoise",
    }
    assert table.select(["/m/019_nn"]).descriptions["/m/019_nn"] == "Café"
    newer = tmp_path / "oidv6-class-descriptions.csv"
    newer.write_bytes(b"LabelName,DisplayName\n" + descriptions.read_bytes())
    assert load(HEADER + ROW, descriptions=newer).descriptions == {
        "/m/014l8n": "Tortoise"
    }


@pytest.mark.parametrize(
    "change",
    [
        gzip.compress,
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: text.rstrip(b"\n"),
        lambda text: text.replace(b"\n", b"\n\n") + b"\n\n",
        lambda text: b'"' + text.replace(b",", b'","').replace(b"\n", b'"\n"')[:-1],
        lambda text: text.replace(b",0\n", b",0.0\n").replace(b",1\n", b",1.0\n"),
        lambda text: b"".join(
            b",".join(line.split(b",")[::-1]) + b"\n" for line in text.splitlines()
        ),
    ],
    ids=["gzip", "mark", "crlf", "end", "blank", "quotes", "float", "backward"],
)
@pytest.mark.parametrize("block", [100, 1 << 20])
def test_forms_of_the_same_file_are_the_same(load, monkeypatch, change, block):
    monkeypatch.setattr(_table_rows, "_BLOCK", block)
    content = change(PATH.read_bytes())
    table, expected = load(content), load_open_images(PATH)
    np.testing.assert_array_equal(table.states.toarray(), expected.states.toarray())
    assert list(table.paths) == list(expected.paths)


def test_a_file_without_rows_gives_an_empty_table(load):
    table = load(HEADER, categories=["/m/014l8n"])
    assert table.states.shape == (0, 1)
    assert load(HEADER).states.shape == (0, 0)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (ROW + ROW, "a column 'ImageID'; got .*csv', whose first line is '000002b66c"),
        ("\n", "a column 'ImageID'; got .*, whose first line is ''"),
        (HEADER[:-1] + ",Source\n" + ROW, "with a column 'Source'"),
        (
            HEADER + ROW + ROW[:20],
            r"4 fields in every row; got 2 in line 3 of '.*get it",
        ),
        (HEADER + ROW + ROW[:-2], "without a blank Confidence; got '' in line 3"),
        (HEADER + ROW + ROW[:-1] + ",7\n" + ROW, "got 5 in line 3"),
        (HEADER + "1,2,3\n4,5,6,7,8\n", "4 fields in every row; got 3 in line 2"),
        (
            HEADER + ROW.replace("498e", "498"),
            "of 16 hexadecimal digits as ImageID; go",
        ),
        (
            HEADER + ROW.replace("498e", "498e0"),
            "ImageID; got '000002b66c9c498e0' in l",
        ),
        (HEADER + ROW + ROW.replace("e,", "E,"), "got '000002b66c9c498E' in line 3"),
        (HEADER + ROW + ROW.replace("498", "é9"), "digits as ImageID; got '000002b66c"),
        (
            HEADER + ROW.replace("/m/", "m"),
            "like '/m/011k07' as LabelName; got 'm014l8",
        ),
        (
            HEADER + ROW.replace("014l8n", "é"),
            "like '/m/011k07' as LabelName; got '/m/é' in line 2",
        ),
        (
            HEADER + ROW + ROW.replace("8n", "\0n"),
            r"like '/m/011k07' as LabelName; got '/m/014l.x00n' in line 3",
        ),
        (HEADER + ROW.replace("verification", ""), "without a blank Source; got ''"),
        (
            HEADER + ROW + ROW.replace("0\n", "0.7\n"),
            "machine's guesses.*'0.7' in line 3",
        ),
        (HEADER + ROW.replace("0\n", "nan\n"), "with Confidence 0 or 1.*got 'nan'"),
        (HEADER + ROW.replace("0\n", "yes\n"), "with Confidence 0 or 1.*got 'yes'"),
        (HEADER + ROW.replace("0\n", "-1\n"), "with Confidence 0 or 1.*got '-1'"),
        (
            HEADER + ROW + GUESS,
            "of people: a machine's guesses .*got 'machine' in line 3",
        ),
        ("", "which is empty"),
        (
            gzip.compress((HEADER + ROW).encode(), mtime=0)[:-9],
            "must be a whole file",
        ),
        (b"\xff\xfeI\0m\0", "text without NUL characters; line 1 of"),
        (
            b"x" * (5 << 20),
            "with a column 'ImageID'; got .*, whose first line is 'xxx",
        ),
    ],
)
def test_other_files_are_refused(load, content, match):
    with pytest.raises(ValueError, match=match):
        load(content)


def test_errors_count_lines_over_blocks(load, monkeypatch):
    monkeypatch.setattr(_table_rows, "_BLOCK", 100)
    with pytest.raises(ValueError, match=r"got '0\.5' in line 1,002 of"):
        load(HEADER + ROW * 1000 + ROW.replace(",0\n", ",0.5\n") + ROW)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        (
            {"categories": ["/m/01"], "classes": PATH},
            TypeError,
            "`categories` must be N",
        ),
        (
            {"categories": ["Dog"]},
            ValueError,
            "`categories` must hold .* got 'Dog' as nu",
        ),
        (
            {"categories": ["/m/01"] * 2},
            ValueError,
            "got '/m/01' as number 2 of 2 names",
        ),
        (
            {"categories": [7]},
            ValueError,
            "`categories` must hold .* got 7 as number 1",
        ),
        ({"classes": PATH}, ValueError, "`classes` must hold .* got 'ImageID,Source"),
        (
            {"descriptions": PATH},
            ValueError,
            "`descriptions` must have lines .*in line 1",
        ),
        ({"classes": FOLDER / "none"}, FileNotFoundError, "`classes` must be a file"),
    ],
)
def test_wrong_options_are_refused(options, error, match):
    with pytest.raises(error, match=match):
        load_open_images(PATH, **options)


def test_blanks_around_cells_do_not_count(load):
    text = (
        "ImageID, Source, LabelName, Confidence\n"
        "000002b66c9c498e , verification, /m/014l8n, 1\n"
        "000002b66c9c498e,verification,/m/014l8n,1\n"
    )
    table = load(text)
    assert table.categories.tolist() == ["/m/014l8n"]
    assert table.paths.tolist() == ["000002b66c9c498e.jpg"]
    assert table.labels().tolist() == [[1]]
