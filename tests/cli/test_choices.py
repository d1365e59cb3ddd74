"""The words that help lists are those that their owners take."""

import subprocess
import sys

import pytest

from cftlearn import CategoryWiseFineTuner, CFTClassifier
from cftlearn.cli import _choices
from cftlearn.cli._commands import COMMANDS
from cftlearn.cli._parameters import words_of
from cftlearn.cli._prediction import _WRITERS
from cftlearn.datasets import LOADERS
from cftlearn.ensemble import merge_views


def test_the_words_are_those_of_their_owners():
    assert tuple(LOADERS) == _choices.FORMATS
    assert tuple(words_of(merge_views, "how")) == _choices.MERGES
    assert tuple(_WRITERS) == _choices.OUTPUTS
    owner = CategoryWiseFineTuner
    assert tuple(words_of(owner, "objective")) == _choices.OBJECTIVES
    assert words_of(owner, "solver") == _choices.solvers()
    assert words_of(CFTClassifier, "unknown") == _choices.treatments()


def test_a_new_loss_is_listed(monkeypatch):
    monkeypatch.setitem(_choices.LOSSES, "hinge", "somewhere:Hinge")
    assert "hinge" in _choices.solvers()


@pytest.mark.parametrize("command", COMMANDS)
def test_help_waits_for_no_large_package(command):
    code = (
        "import sys\n"
        "from cftlearn.cli import main\n"
        "try:\n"
        f"    main(['{command}', '--help'])\n"
        "except SystemExit:\n"
        "    pass\n"
        "heavy = {'numpy', 'pandas', 'sklearn', 'torch'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, timeout=120, capture_output=True
    )
