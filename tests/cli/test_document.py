"""Configurations as documents: what the limits accept, and what they end early."""

import time

import pytest

from cftlearn.cli._document import read_document
from cftlearn.cli._settings import SettingsError


def read(folder, text, name):
    path = folder / name
    path.write_text(text)
    return read_document(path)


@pytest.mark.parametrize("suffix", [".TOML", ".toml"])
def test_a_suffix_in_capitals_counts(tmp_path, suffix):
    assert read(tmp_path, "seed = 1", f"c{suffix}") == {"seed": 1}


def test_10_000_categories_are_read(tmp_path):
    names = ", ".join(f'"category {i}"' for i in range(10_000))
    document = read(tmp_path, f"[data]\ncategories = [{names}]", "c.toml")
    assert len(document["data"]["categories"]) == 10_000


def test_names_with_dots_are_read(tmp_path):
    text = 'a.b.c = 1\n[x."1.2".y]\nz = "a.b.c.d.e.f.g.h"\nw = [0.5, 0.25, 1.5]'
    document = read(tmp_path, text, "c.toml")
    assert document["a"] == {"b": {"c": 1}}
    assert document["x"]["1.2"]["y"]["w"] == [0.5, 0.25, 1.5]


def test_aliases_within_limits_are_read(tmp_path):
    pytest.importorskip("yaml")
    text = "a: &a {x: 1}\nb: *a\nc:\n  <<: *a\n  y: 2\n"
    assert read(tmp_path, text, "c.yaml")["c"] == {"x": 1, "y": 2}


@pytest.mark.parametrize("number", ["0", "-12", "+3", "99"])
def test_plain_numbers_of_yaml_are_read(tmp_path, number):
    pytest.importorskip("yaml")
    assert read(tmp_path, f"a: {number}", "c.yaml") == {"a": int(number)}


@pytest.mark.parametrize("number", ["010", "0x10", "0b11", "1_000", "1:30"])
def test_other_numbers_of_yaml_are_refused(tmp_path, number):
    pytest.importorskip("yaml")
    with pytest.raises(SettingsError, match="is no plain whole number"):
        read(tmp_path, f"a: {number}", "c.yaml")
    assert read(tmp_path, f"a: '{number}'", "c.yaml") == {"a": number}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.toml", "a." * 120_000 + "a = 1"),
        ("c.toml", "x = " + "[" * 250_000),
        ("c.json", "[" * 250_000),
        ("c.yaml", "{" * 250_000),
        ("c.yaml", "- " * 100_000),
        ("c.yaml", "x: " + ":".join(["12"] * 80_000)),
    ],
    ids=["dots", "toml", "json", "yaml", "dashes", "base 60"],
)
def test_what_would_take_the_machine_ends_early(tmp_path, name, text):
    if name == "c.yaml":
        pytest.importorskip("yaml")
    started = time.process_time()
    with pytest.raises(SettingsError, match="cannot be read"):
        read(tmp_path, text, name)
    assert time.process_time() - started < 10
