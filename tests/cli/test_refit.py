"""``cftlearn refit``: what differs from ``fit``."""

import pytest

from cftlearn.cli import _fit, _fitting, _refit
from cftlearn.cli._commands import make_parser

LABELS = ["--labels", "l.csv", "--features", "f"]


@pytest.mark.parametrize(("command", "train"), [("fit", True), ("refit", False)])
def test_only_fit_trains(monkeypatch, capsys, tmp_path, command, train):
    seen = []

    def record(settings, given, source, **options):
        assert given["refit.solver"] == "ga"
        assert source is None
        seen.append((settings, options))
        return tmp_path

    monkeypatch.setattr(_fitting, "fit_and_save", record)
    argv = [command, *LABELS, "--batch-size", "3", "--n-jobs", "2", "--solver", "ga"]
    arguments = make_parser(argv).parse_args(argv)
    assert arguments.run(arguments) == 0
    [(settings, options)] = seen
    assert options == {"train": train, "overwrite": False, "quiet": False}
    assert settings.train == {"batch_size": 3}
    assert settings.refit == {"solver": "ga"}
    assert settings.n_jobs == 2
    assert capsys.readouterr().out == (
        f"saved in {tmp_path}; try: cftlearn predict {tmp_path} f\n"
    )


def test_they_are_two_commands():
    assert _fit.run is not _refit.run
