"""One table of loaders, for the API and for the command line."""

import inspect

import numpy as np
import pytest

from cftlearn import datasets
from cftlearn.cli._labels import read_labels
from cftlearn.cli._settings import DataSettings, SettingsError
from cftlearn.datasets import LOADERS, LabelTable


def test_every_public_loader_of_a_table_is_in_the_table():
    public = {
        name
        for name in datasets.__all__
        if name.startswith("load_")
        and inspect.signature(getattr(datasets, name)).return_annotation is LabelTable
    }
    assert {load.__name__ for load in LOADERS.values()} == public
    assert len(LOADERS) == len(public) == 9
    assert all(getattr(datasets, load.__name__) is load for load in LOADERS.values())


@pytest.mark.parametrize("load", LOADERS.values(), ids=LOADERS)
def test_loaders_take_a_path_and_options(load):
    first, *others = inspect.signature(load).parameters.values()
    assert first.name == "path"
    assert first.kind is first.POSITIONAL_OR_KEYWORD
    assert all(other.kind is other.KEYWORD_ONLY for other in others)


@pytest.mark.parametrize("load", LOADERS.values(), ids=LOADERS)
def test_what_is_not_a_path_is_refused(load):
    split = inspect.signature(load).parameters.get("split")
    options = {"split": "train"} if split is not None else {}
    with pytest.raises(TypeError, match="`path` must be a path; got int"):
        load(3, **options)


def load_names(path, *, last="z"):
    """Load a row per letter of the file's name up to a last one."""
    letters = [letter for letter in path.stem if letter <= last]
    states = np.full((len(letters), 1), 2, dtype=np.uint8)
    names = np.array(["seen"], dtype=object)
    return LabelTable(np.array(letters, dtype=object), states, names, {})


def test_a_new_loader_needs_one_line_for_the_command_line(monkeypatch, tmp_path):
    monkeypatch.setitem(LOADERS, "names", load_names)
    data = DataSettings(format="names", options={"last": "b"})
    read = read_labels(tmp_path / "abc.txt", data, None)
    assert list(read.table.paths) == ["a", "b"]
    with pytest.raises(SettingsError, match=r"no setting `lats` .*Did you mean `last`"):
        read_labels(
            tmp_path / "abc.txt",
            DataSettings(format="names", options={"lats": "b"}),
            None,
        )
    with pytest.raises(SettingsError, match=r"one of csv, .*, names; got 'name'"):
        read_labels(tmp_path / "abc.txt", DataSettings(format="name"), None)
    with pytest.raises(SettingsError, match=r"`format` must be named .*csv, .*names"):
        read_labels(tmp_path / "abc.json", DataSettings(), None)
