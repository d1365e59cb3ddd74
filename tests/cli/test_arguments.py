"""Types of arguments: what each reads, and what it refuses."""

import argparse

import pytest

from cftlearn.cli import _arguments


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("fraction", "1", 1.0),
        ("fraction", "1e-9", 1e-9),
        ("count", "1", 1),
        ("count", "1e3", 1000),
        ("count_or_zero", "0", 0),
        ("seed", "0", 0),
        ("seed", "4294967294", 2**32 - 2),
        ("n_jobs", "-1", -1),
        ("n_jobs", "2", 2),
        ("positive_number", "1e-4", 1e-4),
        ("threshold", "0", 0.0),
        ("threshold", "1", 1.0),
        ("threshold", "model", "model"),
        ("column_and_value", "split=a=b", ("split", "a=b")),
        ("column_and_value", "split=", ("split", "")),
        ("retraining", "average", "average"),
        ("retraining", "true", True),
        ("retraining", "false", False),
        ("layers", "auto", "auto"),
        ("layers", "layer3", ["layer3"]),
        ("layers", "layer2,layer3", ["layer2", "layer3"]),
    ],
)
def test_what_is_read(name, text, value):
    read = getattr(_arguments, name)(text)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("name", "texts", "rule"),
    [
        ("fraction", ["0", "1.1", "-1", "nan", "half"], r"a fraction in \(0, 1\]"),
        ("count", ["0", "2.5", "inf", "x"], "a whole number, 1 or more"),
        ("count_or_zero", ["-1", "0.5", "inf", "x"], "a whole number, 0 or more"),
        (
            "seed",
            ["-1", "4294967295", "1.5", "x"],
            r"a whole number in \[0, 2\*\*32 - 1",
        ),
        (
            "n_jobs",
            ["0", "1.5", "inf", "all"],
            "a whole number of workers up to 1024, or -1",
        ),
        ("positive_number", ["0", "-1", "inf", "x"], "a number above 0"),
        ("threshold", ["-0.1", "1.1", "own"], r"a probability in \[0, 1\], or 'model'"),
        ("column_and_value", ["a", "=a", ""], "COLUMN=VALUE"),
        ("retraining", ["yes", "True", "mean", ""], "average, true or false"),
    ],
)
def test_what_is_refused(name, texts, rule):
    for text in texts:
        with pytest.raises(
            argparse.ArgumentTypeError, match=rf"must be {rule}.*; got {text}$"
        ):
            getattr(_arguments, name)(text)
