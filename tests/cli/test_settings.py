"""The settings: their rules, and names that are not known."""

from dataclasses import fields

import pytest

from cftlearn.cli._settings import (
    RULES,
    DataSettings,
    NetworkSettings,
    Settings,
    SettingsError,
    check_known,
)

SECTIONS = {"data", "network", "image", "train", "refit"}


def test_every_setting_has_a_rule():
    names = {item.name for item in fields(Settings)} - SECTIONS
    names |= {f"data.{item.name}" for item in fields(DataSettings)}
    names |= {f"network.{item.name}" for item in fields(NetworkSettings)}
    assert set(RULES) == names


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("data.labels", ["a.csv"]),
        ("data.where", [{}, {"a": "b", "c": 1}]),
        ("data.options", [{}, {"a": [1]}]),
        ("data.categories", [[], ["a"]]),
        ("data.uncertain", ["positive", {"a": "positive"}]),
        ("seed", [0, 2**32 - 2]),
        ("n_jobs", [-1, 1]),
    ],
)
def test_what_is_accepted(name, values):
    assert all(RULES[name].holds(value) for value in values)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("data.labels", ["", 1, None, ["a"]]),
        ("data.where", [{"a": 1.5}, {"a": True}, ["a"]]),
        ("data.options", [1, ["a"]]),
        ("data.categories", ["a", [1]]),
        ("data.uncertain", ["", 1, {"a": 1}]),
        ("network.head", [1]),
        ("seed", [-1, 2**32 - 1, 1.0, True, "1"]),
        ("n_jobs", [0, True, 1.5]),
    ],
)
def test_what_is_refused(name, values):
    assert not any(RULES[name].holds(value) for value in values)


def test_unknown_names():
    check_known("a", ["b", "a"], "c.toml")
    with pytest.raises(
        SettingsError,
        match=r"no setting `lable` \(in c\.toml\)\. Did you mean `label`\? There are: "
        r"axis, label\.$",
    ):
        check_known("lable", {"label", "axis"}, "c.toml")
    with pytest.raises(SettingsError, match=r"\(in c\.toml\)\. There are: axis\.$"):
        check_known("lable", {"axis"}, "c.toml")
