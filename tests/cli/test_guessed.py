"""Which columns of 0 and 1 are said to be categories by guess."""

import warnings

import pytest

from cftlearn.cli._guessed import GuessedCategoriesWarning
from cftlearn.cli._labels import read_labels
from cftlearn.cli._settings import DataSettings

PARTIAL = "path,sex_male,cat,dog\na.png,1,,1\nb.png,0,1,\nc.png,1,0,0\n"
FULL = "path,cat,smoker\na.png,1,0\nb.png,0,1\n"


def read(folder, text, **settings):
    path = folder / "labels.csv"
    path.write_text(text)
    data = DataSettings(**settings)
    return read_labels(path, data, data.where)


def test_a_column_of_the_patient_is_said(tmp_path):
    with pytest.warns(GuessedCategoriesWarning, match="'sex_male' may be something"):
        read_ = read(tmp_path, PARTIAL)
    assert list(read_.y.categories) == ["sex_male", "cat", "dog"]


def test_the_warning_names_the_arguments_that_mend_it(tmp_path):
    with pytest.warns(GuessedCategoriesWarning, match=r"--categories 'cat,dog'"):
        read(tmp_path, PARTIAL)
    with pytest.warns(GuessedCategoriesWarning, match=r"--categories '\"a, b\",dog'"):
        read(tmp_path, PARTIAL.replace("cat", '"a, b"'))


@pytest.mark.parametrize("name", ["Male", "is_train", "PatientSex", "fold", "AGE"])
def test_a_name_alone_is_enough(tmp_path, name):
    with pytest.warns(GuessedCategoriesWarning, match=f"'{name}' may be"):
        read(tmp_path, FULL.replace("smoker", name))


def test_a_filled_column_among_partial_ones_is_said(tmp_path):
    with pytest.warns(GuessedCategoriesWarning, match="'smoker' may be"):
        read(tmp_path, PARTIAL.replace("sex_male", "smoker"))


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        (PARTIAL, {"categories": ["sex_male", "cat", "dog"]}),
        (FULL, {}),
        ("path,age,cat\na.png,61,1\nb.png,9,0\n", {}),
        ("image,sex\na.png,cat\nb.png,dog\n", {"options": {"label_column": "sex"}}),
    ],
    ids=["named", "all filled", "no 0 and 1", "a row per label"],
)
def test_what_is_no_guess_is_not_said(tmp_path, text, settings):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(tmp_path, text, **settings)
