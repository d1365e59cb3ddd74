"""CheXpert's label files: what stands in them, and what is refused."""

import gzip
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from cftlearn.datasets import load_chexpert
from cftlearn.labels import LabelState, resolve_labels

FOLDER = Path(__file__).parents[1] / "data" / "chexpert"
TRAIN = FOLDER / "train.csv"
COMPETITION = [
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Pleural Effusion",
]
# Of the 223,414 images in train.csv: positive, negative, uncertain, blank.
PUBLISHED = {
    "Atelectasis": (33_376, 1_328, 33_739, 154_971),
    "Cardiomegaly": (27_000, 11_116, 8_087, 177_211),
    "Consolidation": (14_783, 28_097, 27_742, 152_792),
    "Edema": (52_246, 20_726, 12_984, 137_458),
    "Pleural Effusion": (86_187, 35_396, 11_628, 90_203),
    "No Finding": (22_381, 0, 0, 201_033),
    "Pleural Other": (3_523, 316, 2_653, 216_922),
}


def write(folder, text, name="labels.csv", encoding="utf-8"):
    file = folder / name
    file.write_bytes(text.encode(encoding))
    return file


def test_states_equal_those_that_pandas_and_resolve_labels_read():
    pandas = pytest.importorskip("pandas")
    frame = pandas.read_csv(TRAIN, index_col="Path")
    table = load_chexpert(TRAIN)
    names = list(frame.columns[4:])
    assert list(table.categories) == names
    assert list(table.paths) == list(frame.index)
    for policies in (
        {},
        {"blank": "negative"},
        {"uncertain": {"Edema": "positive", "Consolidation": "negative"}},
    ):
        expected = resolve_labels(frame[names], **policies).to_numpy()
        np.testing.assert_array_equal(table.labels(**policies), expected)
    assert table.states.dtype == np.uint8
    assert {state.name for state in LabelState} == {
        LabelState(code).name for code in np.unique(table.states)
    }


def test_info_lines_up_with_paths():
    table = load_chexpert(TRAIN)
    assert set(table.info) == {
        "patient",
        "study",
        "view",
        "projection",
        "sex",
        "age",
    }
    assert all(len(column) == len(table) for column in table.info.values())
    for row, path in enumerate(table.paths):
        assert f"/{table.info['study'][row]}/" in path
        assert table.info["study"][row].startswith(table.info["patient"][row] + "/")
        assert f"_{table.info['view'][row]}.jpg" in path
    assert table.info["projection"].tolist()[2:4] == ["AP", ""]
    assert table.info["sex"].tolist()[4] == "Unknown"
    assert table.info["age"].tolist() == [61, 35, 34, 34, 0, 90, 90, 47]


def test_studies_are_unique_over_patients():
    study = load_chexpert(TRAIN).info["study"]
    assert len(np.unique(study)) == 6
    assert (study == "patient90002/study1").sum() == 2


@pytest.mark.parametrize(("view", "n_images"), [("frontal", 6), ("lateral", 2)])
def test_views_are_chosen_with_their_info(view, n_images):
    table, everything = load_chexpert(TRAIN, view=view), load_chexpert(TRAIN)
    rows = np.flatnonzero(everything.info["view"] == view)
    assert len(table) == n_images
    np.testing.assert_array_equal(table.states, everything.states[rows])
    np.testing.assert_array_equal(table.paths, everything.paths[rows])
    np.testing.assert_array_equal(table.info["age"], everything.info["age"][rows])


def test_competition_is_alphabetical_and_a_selection():
    table = load_chexpert(TRAIN, categories="competition")
    assert list(table.categories) == COMPETITION
    chosen = load_chexpert(TRAIN).select(COMPETITION)
    np.testing.assert_array_equal(table.states, chosen.states)


def test_categories_are_named_in_any_order_with_blanks_or_underscores():
    table = load_chexpert(TRAIN, categories=["Pleural_Effusion", "edema"])
    assert list(table.categories) == ["Pleural Effusion", "Edema"]
    assert load_chexpert(TRAIN, categories="Edema").states.shape == (8, 1)


def test_underscores_in_columns_become_the_names_of_chexpert():
    table = load_chexpert(FOLDER, split="valid")
    assert list(table.categories) == list(load_chexpert(TRAIN).categories)
    assert (table.states != LabelState.BLANK).all()


def test_test_labels_have_one_row_per_study_and_columns_go_by_name():
    table = load_chexpert(FOLDER, split="test")
    assert set(table.info) == {"patient", "study"}
    assert table.paths[0] == "CheXpert-v1.0/test/patient94741/study1"
    assert table.info["study"][0] == "patient94741/study1"
    # This copy has Lung Lesion before Lung Opacity, other files after it.
    opacity = table.select(["Lung Opacity"]).labels()[:, 0]
    assert opacity.tolist() == [1, 1, 0]
    assert table.select(["Lung Lesion"]).labels().sum() == 0
    with pytest.raises(ValueError, match=r"`view` must be 'all' for .* 'Study'"):
        load_chexpert(FOLDER, split="test", view="frontal")


def test_images_without_columns_of_views_take_them_from_their_names(tmp_path):
    text = (
        "Path,Edema\nCheXpert-v1.0/test/patient1/study1/view1_frontal.jpg,1\n"
        "CheXpert-v1.0/test/patient1/study1/view2_lateral.jpg,1\n"
    )
    file = write(tmp_path, text)
    table = load_chexpert(file, categories=["Edema"], view="lateral")
    assert table.info["view"].tolist() == ["lateral"]


def test_compressed_marked_and_spelt_differently_is_the_same(tmp_path):
    expected = load_chexpert(TRAIN)
    text = TRAIN.read_text()
    compressed = tmp_path / "train.csv.gz"
    compressed.write_bytes(gzip.compress(text.encode()))
    integers = text.replace(".0,", ",").replace(".0\n", "\n")
    for file in (
        compressed,
        write(tmp_path, text, "bom.csv", "utf-8-sig"),
        write(tmp_path, text, "utf16.csv", "utf-16"),
        write(tmp_path, text.replace("\n", "\r\n"), "windows.csv"),
        write(tmp_path, integers, "integers.csv"),
        write(tmp_path, text + "\n\n", "blank_lines.csv"),
    ):
        table = load_chexpert(file)
        np.testing.assert_array_equal(table.states, expected.states)
        assert list(table.paths) == list(expected.paths)
    assert len(load_chexpert(tmp_path, split="train")) == 8  # train.csv.gz


def with_cell(row, column, text):
    """Return the text of train.csv with one cell changed."""
    lines = TRAIN.read_text().splitlines()
    cells = lines[row].split(",")
    cells[lines[0].split(",").index(column)] = text
    lines[row] = ",".join(cells)
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "which is empty"),
        ("\n", "first line of .* is empty"),
        ("Path,Edema\n", "a header and nothing below"),
        (with_cell(3, "Edema", "2.0"), r"'Edema'; got '2\.0' in line 4 of .*Restore"),
        (with_cell(3, "Edema", "yes"), "'Edema'; got 'yes' in line 4"),
        (with_cell(2, "Frontal/Lateral", "Oblique"), "got 'Oblique' in line 3"),
        (with_cell(5, "Age", "old"), "years or nothing .* got 'old' in line 6"),
        (with_cell(1, "Path", "a.jpg"), r"patient and study .* 'a\.jpg' in line 2"),
        (
            TRAIN.read_text() + TRAIN.read_text().splitlines()[2],
            "once; .* in line 3 and in line 10 of",
        ),
        (TRAIN.read_text()[:-20], "as its header, 19; got 12 in line 9"),
        (TRAIN.read_text() + '"CheX', "line 10 of .* is not .*quote"),
        (
            TRAIN.read_text().replace("Edema", "Oedema"),
            r"does not have Edema\. Pass .*Frac",
        ),
        (TRAIN.read_text().replace("Edema", "Fracture"), "'Fracture' 2 times"),
        (TRAIN.read_text().replace("Edema", "fracture"), "'fracture' and 'Fracture'"),
        (TRAIN.read_text().replace("Path", "Image"), "Path .* or Study .*load_label"),
    ],
)
def test_hostile_files_are_refused_with_the_place(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        load_chexpert(write(tmp_path, text))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"categories": ["Effusion"]}, "got 'Effusion'.* has: 'No Finding'"),
        ({"categories": ["Edema", "Edema"]}, "each once"),
        ({"categories": []}, "at least one"),
        ({"view": "oblique"}, "'view' parameter"),
        ({"split": "train"}, "`split` must be None where `path` is a file"),
    ],
)
def test_wrong_parameters_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        load_chexpert(TRAIN, **arguments)


def test_folders_say_what_they_hold(tmp_path):
    with pytest.raises(ValueError, match=r"`split` must .*: groundtruth\.csv, tr"):
        load_chexpert(FOLDER)
    with pytest.raises(
        FileNotFoundError,
        match=r"none of train\.csv, train\.csv\.gz\. .* holds: nothing",
    ):
        load_chexpert(tmp_path, split="train")
    with pytest.raises(FileNotFoundError, match=r"that exists; .* holds: ground"):
        load_chexpert(FOLDER / "training.csv")
    with pytest.raises(FileNotFoundError, match="no folder"):
        load_chexpert(tmp_path / "absent" / "train.csv")


@pytest.mark.parametrize(
    ("split", "names"),
    [
        ("train", ["train.csv", "train.csv.gz"]),
        ("valid", ["valid.csv", "valid.csv.gz"]),
        ("test", ["test_labels.csv", "groundtruth.csv", "test.csv"]),
    ],
)
def test_the_first_name_of_a_split_is_read(tmp_path, split, names):
    for number, name in enumerate(names):
        path = f"CheXpert-v1.0/{split}/patient{number}/study1"
        write(tmp_path, f"Study,Edema\n{path},1\n", name)
    for number, name in enumerate(names):
        table = load_chexpert(tmp_path, split=split, categories=["Edema"])
        assert table.info["patient"].tolist() == [f"patient{number}"]
        (tmp_path / name).unlink()


def test_bytes_that_are_no_text_are_refused(tmp_path):
    text = TRAIN.read_text()
    latin = write(tmp_path, with_cell(2, "Sex", "Männlich"), encoding="latin-1")
    with pytest.raises(ValueError, match=r"in utf-8; got the byte 0xe4 in .*, line 3"):
        load_chexpert(latin)
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(gzip.compress(text.encode())[:-30])
    with pytest.raises(ValueError, match=r"must be a whole file; .* ends too early"):
        load_chexpert(cut)
    archive = tmp_path / "train.csv.zip"
    archive.write_bytes(b"PK\x03\x04rest")
    with pytest.raises(ValueError, match="zip archive or a workbook"):
        load_chexpert(archive)


def test_the_real_training_table_has_its_counts():
    found = importlib.util.find_spec("torchxrayvision")
    if found is None or found.origin is None:
        pytest.skip("torchxrayvision, whose wheel has the table, is not installed")
    file = Path(found.origin).parent / "data" / "chexpert_train.csv.gz"
    if not file.exists():
        pytest.skip(f"this torchxrayvision has no {file.name}")
    table = load_chexpert(file)
    assert len(table) == 223_414
    assert len(np.unique(table.info["patient"])) == 64_540
    assert (table.info["view"] == "frontal").sum() == 191_027
    counts = {row["category"]: tuple(row.values())[1:] for row in table.summary()}
    assert {name: counts[name] for name in PUBLISHED} == PUBLISHED
    per_label = (table.states.nbytes + table.info["study"].nbytes) / len(table)
    assert per_label < 100


def test_what_is_no_path_is_refused():
    with pytest.raises(TypeError, match="`path` must be a path; got int"):
        load_chexpert(3)
