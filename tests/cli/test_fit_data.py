"""What a fit starts from, and which rows it takes."""

from pathlib import Path

import numpy as np
import pytest

from cftlearn.cli._features import FEATURES, write_head, write_paths
from cftlearn.cli._fit_data import (
    Start,
    check_sources,
    read_inputs,
    read_parts,
    read_start,
)
from cftlearn.cli._settings import (
    DataSettings,
    NetworkSettings,
    Settings,
    SettingsError,
)


@pytest.fixture
def labels(tmp_path):
    rows = [f"{i}.png,{'ab'[i >= 6]},p{i // 2},{i % 2},{i // 2 % 2}" for i in range(8)]
    path = tmp_path / "labels.csv"
    path.write_text("\n".join(["path,split,patient,cat,dog", *rows]))
    return path


def split(data, categories=None):
    return read_parts(data, categories)


def test_all_rows_are_fitted_by_default(labels):
    fitted, held_out = split(DataSettings(labels=labels))
    assert len(fitted) == 8
    assert held_out is None


def test_other_rows_of_the_same_file(labels):
    data = DataSettings(
        labels=labels, where={"split": "a"}, validation_where={"split": "b"}
    )
    fitted, held_out = split(data)
    assert list(fitted.table.paths) == [f"{i}.png" for i in range(6)]
    assert list(held_out.table.paths) == ["6.png", "7.png"]


def test_another_file_has_the_categories_of_the_first(labels, tmp_path):
    other = tmp_path / "other.csv"
    other.write_text("path,dog,cat\n9.png,1,0\n")
    _, held_out = split(DataSettings(labels=labels, validation=other))
    assert list(held_out.y.categories) == ["cat", "dog"]
    np.testing.assert_array_equal(held_out.y.values, [[0, 1]])


def test_groups_are_left_to_the_fit(labels):
    fitted, held_out = split(DataSettings(labels=labels, group="patient"))
    assert held_out is None
    assert fitted.groups.tolist() == [f"p{i // 2}" for i in range(8)]
    assert list(fitted.y.categories) == ["cat", "dog"]


def test_categories_of_a_network(labels):
    fitted, _ = split(DataSettings(labels=labels), ["dog"])
    assert list(fitted.y.categories) == ["dog"]
    data = DataSettings(labels=labels, categories=["cat", "dog"])
    with pytest.raises(SettingsError, match=r"got .'cat', 'dog'., but the .*'dog', "):
        split(data, ["dog", "cat"])


def test_sources():
    check_sources(Settings(DataSettings(labels=Path("l"), features=Path("f"))))
    with pytest.raises(SettingsError, match="`labels` must be given"):
        check_sources(Settings())
    both = DataSettings(labels=Path("l"), features=Path("f")), NetworkSettings("a:b")
    with pytest.raises(SettingsError, match=r"both be given: .* f are computed"):
        check_sources(Settings(*both))


@pytest.fixture
def features(tmp_path):
    np.save(tmp_path / FEATURES, np.arange(16.0).reshape(8, 2))
    write_paths(tmp_path, [f"{i}.png" for i in range(8)])
    return tmp_path


def test_a_refit_of_features_starts_from_their_weights(features):
    settings = Settings(DataSettings(features=features))
    assert read_start(settings, train=True) == Start()
    with pytest.raises(SettingsError, match="has no weights of a trained"):
        read_start(settings, train=False)
    write_head(features, np.eye(2), np.ones(2), ["cat", "dog"])
    start = read_start(settings, train=False)
    assert start.categories == ["cat", "dog"]
    np.testing.assert_array_equal(start.coef, np.eye(2))
    np.testing.assert_array_equal(start.intercept, np.ones(2))


def test_a_saved_model_has_categories(photo_model):
    start = read_start(Settings(network=NetworkSettings(str(photo_model))), train=True)
    assert start == Start(["red", "green", "blue"])


def test_features_of_labelled_rows(labels, features):
    data = DataSettings(labels=labels, features=features, where={"split": "b"})
    Z = read_inputs(split(data)[0], data)
    np.testing.assert_array_equal(Z, [[12, 13], [14, 15]])
    data = DataSettings(labels=labels, features=features)
    assert isinstance(read_inputs(split(data)[0], data), np.memmap)  # not a copy


def test_rows_on_both_sides_are_refused(labels):
    data = DataSettings(labels=labels, validation_where={"split": "b"})
    with pytest.raises(SettingsError, match=r"2 images are on both sides.*'6\.png'"):
        split(data)


def test_groups_on_both_sides_are_refused(labels, tmp_path):
    other = tmp_path / "other.csv"
    other.write_text("path,patient,dog,cat\n9.png,p0,1,0\n")
    data = DataSettings(labels=labels, validation=other, group="patient")
    with pytest.raises(SettingsError, match=r"1 groups \(patient\) are on both.*'p0'"):
        split(data)
    other.write_text("path,patient,dog,cat\n9.png,p9,1,0\n")
    assert len(split(data)[1]) == 1


@pytest.mark.parametrize("name", ["validation", "validation_where"])
def test_nothing_chooses_beside_folds(name):
    value = {"validation": Path("v"), "validation_where": {"a": "b"}}
    data = DataSettings(labels=Path("l"), **{name: value[name]})
    with pytest.raises(SettingsError, match=f"`{name}` and `cross_fit` must not both"):
        check_sources(Settings(data, refit={"cross_fit": 3}))
