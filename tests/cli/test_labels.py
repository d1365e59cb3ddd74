"""Label files as the commands read them."""

import json

import numpy as np
import pytest

from cftlearn.cli._labels import FORMATS, read_known_categories, read_labels
from cftlearn.cli._settings import DataSettings, SettingsError
from cftlearn.exceptions import UndefinedCategoryWarning

# The column "fold" of the file below is one of 0 and 1.
pytestmark = pytest.mark.filterwarnings(
    "ignore::cftlearn.cli._guessed.GuessedCategoriesWarning"
)
NAN = np.nan
CSV = """path,split,fold,patient,cat,dog
a.jpg,train,0,p1,1,0
b.jpg,train,1,p1,0,
c.jpg,test,0,p2,-1,1
"""
CHEXPERT = """Path,Sex,Age,Frontal/Lateral,AP/PA,Edema,Fracture,Atelectasis
CheXpert-v1.0/train/patient00001/study1/view1_frontal.jpg,Female,68,Frontal,AP,-1,,-1
CheXpert-v1.0/train/patient00001/study2/view1_frontal.jpg,Female,68,Frontal,AP,1,0,
CheXpert-v1.0/train/patient00002/study1/view1_lateral.jpg,Male,50,Lateral,,0,1,0
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text(CSV)
    return path


def test_a_csv(file):
    read = read_labels(file, DataSettings(categories=["dog", "cat"]), None)
    assert list(read.y.categories) == ["dog", "cat"]
    np.testing.assert_array_equal(read.y.values, [[0, 1], [NAN, 0], [1, NAN]])
    assert read.groups is None
    assert len(read) == 3


@pytest.mark.parametrize(
    ("policy", "bounds", "y"),
    [
        ("soft_positive", (0.55, 0.85), NAN),
        ("soft_negative", (0, 0.3), NAN),
        ({"cat": "soft_negative", "dog": "positive"}, (0, 0.3), NAN),
        ({"dog": "soft_negative", "cat": "positive"}, None, 1),
        ("positive", None, 1),
    ],
    ids=str,
)
def test_soft_labels_of_uncertain_cells(file, policy, bounds, y):
    data = DataSettings(categories=["cat", "dog"], uncertain=policy)
    read = read_labels(file, data, None, soft_seed=3)
    np.testing.assert_array_equal(read.y.values, [[1, 0], [0, NAN], [y, 1]])
    if bounds is None:
        assert read.soft is None or np.isnan(read.soft).all()
        return
    assert bounds[0] <= read.soft[2, 0] <= bounds[1]
    assert np.isnan(read.soft).sum() == 5
    again = read_labels(file, data, None, soft_seed=3).take([2])
    np.testing.assert_array_equal(again.soft, read.soft[2:])
    message = "`uncertain` may be 'soft_positive' or 'soft_negative' only where a netw"
    with pytest.raises(SettingsError, match=message):
        read_labels(file, data, None)


@pytest.mark.parametrize(
    "settings",
    [
        {"categories": ["cat", "dog"], "where": {"fold": "0"}},
        {"where": {"fold": "0"}},  # a column of 0 and 1 that selects rows
        {"where": {"fold": "0"}, "group": "patient"},
    ],
    ids=["named", "found", "group"],
)
def test_a_column_of_conditions_is_no_category(file, settings):
    data = DataSettings(**settings)
    read = read_labels(file, data, data.where)
    assert list(read.y.categories) == ["cat", "dog"]
    assert list(read.table.paths) == ["a.jpg", "c.jpg"]
    if data.group is not None:
        assert read.groups.tolist() == ["p1", "p2"]


def test_a_group_of_zeros_and_ones_is_no_category(file):
    read = read_labels(file, DataSettings(group="fold"), None)
    assert list(read.y.categories) == ["cat", "dog"]
    assert read.groups.tolist() == ["0", "1", "0"]


def test_conditions_hold_together(file):
    read = read_labels(file, DataSettings(), {"split": "train", "patient": "p1"})
    assert list(read.table.paths) == ["a.jpg", "b.jpg"]


def test_take_keeps_rows_together(file):
    read = read_labels(file, DataSettings(group="patient"), None).take([2, 0])
    assert list(read.table.paths) == ["c.jpg", "a.jpg"]
    assert read.groups.tolist() == ["p2", "p1"]
    np.testing.assert_array_equal(read.y.values[:, -1], [1, 0])


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text(CSV, encoding="utf-8-sig")
    data = DataSettings(options={"path_column": "path"})
    assert read_labels(path, data, None).table.paths[0] == "a.jpg"


def test_a_row_per_label(tmp_path):
    path = tmp_path / "long.csv"
    path.write_text("path,label\na.jpg,cat\nb.jpg,dog\n")
    data = DataSettings(options={"label_column": "label"}, blank="negative")
    read = read_labels(path, data, None)
    np.testing.assert_array_equal(read.y.values, [[1, 0], [0, 1]])
    known = read_known_categories(path, data, ["dog", "cat"])
    np.testing.assert_array_equal(known.y.values, [[0, 1], [1, 0]])


def test_chexpert(tmp_path):
    path = tmp_path / "train.csv"
    path.write_text(CHEXPERT)
    data = DataSettings(
        format="chexpert",
        categories=["Edema", "Atelectasis"],
        options={"view": "frontal"},
        group="patient",
        uncertain={"Edema": "positive"},
        blank="negative",
    )
    read = read_labels(path, data, None)
    np.testing.assert_array_equal(read.y.values, [[1, NAN], [1, 0]])
    assert len(set(read.groups)) == 1
    assert len(read_labels(path, data, {"sex": "Female"})) == 2


def test_coco(tmp_path):
    path = tmp_path / "instances.json"
    document = {
        "images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}],
        "annotations": [{"id": 1, "image_id": 2, "category_id": 7}],
        "categories": [{"id": 7, "name": "cat"}, {"id": 9, "name": "dog"}],
    }
    path.write_text(json.dumps(document))
    read = read_labels(path, DataSettings(format="coco"), None)
    np.testing.assert_array_equal(read.y.values, [[0, 0], [1, 0]])
    with pytest.raises(SettingsError, match=r"`format` must be named for .*coco, lvis"):
        read_labels(path, DataSettings(), None)


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_every_format_checks_its_options(file, name):
    data = DataSettings(format=name, options={"seperator": ","})
    with pytest.raises(SettingsError, match=r"no setting `seperator` .in data.options"):
        read_labels(file, data, None)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"where": {"split": "trian"}}, r"split is 'trian'; it has 'test', 'train'\."),
        ({"where": {"site": "x"}}, r"no column 'site' beside its labels; it has 'sp"),
        ({"where": {"split": "test", "patient": "p1"}}, r"no row where patient is"),
        ({"group": "study"}, r"no column 'study' beside its labels"),
        ({"format": "chexprt"}, r"`format` must be one of csv, .*; got 'chexprt'"),
        ({"categories": ["cow"]}, r"'cow'"),
        ({"uncertain": "positve"}, r"positve"),
        ({"options": {"seperator": ","}}, r"Did you mean `separator`\?"),
    ],
)
def test_what_is_wrong_is_named(file, settings, message):
    data = DataSettings(**settings)
    with pytest.raises(ValueError, match=message):
        read_labels(file, data, data.where)


def test_groups_have_no_blanks(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("path,patient,cat\na.jpg,,1\nb.jpg,p1,0\n")
    with pytest.raises(SettingsError, match=r"'patient' of .* empty in 1 of 2 rows"):
        read_labels(path, DataSettings(group="patient"), None)


def test_images_must_exist(file, tmp_path):
    read = read_labels(file, DataSettings(), None)
    (tmp_path / "a.jpg").touch()
    with pytest.raises(
        FileNotFoundError, match=r"2 of 3 images .* first is .*b\.jpg.* --images"
    ):
        read.image_paths(tmp_path)


def test_categories_of_a_model_in_its_order(file):
    known = read_known_categories(file, DataSettings(), ["dog", "cat"])
    assert list(known.y.categories) == ["dog", "cat"]


def test_categories_that_a_file_lacks_are_named(file):
    with pytest.warns(UndefinedCategoryWarning, match=r"1 of the model's 2 .*: 'cow'"):
        known = read_known_categories(file, DataSettings(), ["cow", "dog"])
    assert list(known.y.categories) == ["dog"]


def test_no_category_of_a_model(file):
    with pytest.raises(SettingsError, match="categories, 'cow'; it has 'cat', 'dog'"):
        read_known_categories(
            file, DataSettings(where={"fold": "1"}, group="split"), ["cow"]
        )


def test_long_lists_are_cut(tmp_path):
    path = tmp_path / "labels.csv"
    rows = "".join(f"{i}.jpg,site{i},1\n" for i in range(50))
    path.write_text(f"path,site,cat\n{rows}")
    with pytest.raises(SettingsError, match=r"'site17' and 40 more\.$"):
        read_labels(path, DataSettings(), {"site": "x"})
