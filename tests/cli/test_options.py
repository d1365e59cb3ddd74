"""Options that several commands share: the settings that they set."""

import argparse
from pathlib import Path

import pytest

from cftlearn.cli import _options
from cftlearn.cli._labels import FORMATS
from cftlearn.cli._options import ReadingOptions, reading_options, settings_given
from cftlearn.cli._parameters import PARAMETERS
from cftlearn.cli._settings import RULES


def parse(*adders, argv=""):
    parser = argparse.ArgumentParser()
    for name in (*adders, "add_reading"):
        getattr(_options, name)(parser)
    return parser.parse_args(argv.split())


def test_options_set_settings():
    argv = (
        "--labels l.csv --format coco --images i --features f --where a=1 --where b=2 "
        "--group g --network n --weights w --head h --size 9 --device cpu"
    )
    assert settings_given(parse("add_labels", "add_network", argv=argv)) == {
        "data.labels": Path("l.csv"),
        "data.format": "coco",
        "data.images": Path("i"),
        "data.features": Path("f"),
        "data.where": {"a": "1", "b": "2"},
        "data.group": "g",
        "network.name": "n",
        "network.weights": "w",
        "network.head": "h",
        "image.size": 9,
        "device": "cpu",
    }


def test_options_that_are_not_given_set_nothing():
    given = settings_given(parse("add_labels", "add_network"))
    assert set(given.values()) == {None}
    assert set(given) <= {*RULES, *PARAMETERS}


def test_reading():
    assert reading_options(parse()) == ReadingOptions(None, 0, "auto", False)
    argv = "--batch-size 3 --num-workers 2 --device cpu -q"
    assert reading_options(parse(argv=argv)) == ReadingOptions(3, 2, "cpu", True)


@pytest.mark.parametrize("name", FORMATS)
def test_the_help_names_every_format(name, capsys):
    with pytest.raises(SystemExit, match="0"):
        parse("add_labels", argv="--help")
    assert name in capsys.readouterr().out
