"""The entry of the command line: arguments, exit codes, pipes, interruptions."""

import io
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from cftlearn.cli import _commands, main

COMMANDS = ("fit", "refit", "extract", "predict", "evaluate", "info", "demo")


def run(*argv, **options):
    return subprocess.run(
        [sys.executable, "-m", "cftlearn", *map(str, argv)],
        capture_output=True,
        timeout=120,
        **options,
    )


# ----------------------------------------------------------------------- arguments
@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["train"], "invalid choice: 'train'"),
        (["fit", "--unknown"], "unrecognized arguments: --unknown"),
        (["fit", "--where", "a"], "--where: must be COLUMN=VALUE; got a"),
        (["fit", "--where", "=a"], "--where: must be COLUMN=VALUE; got =a"),
        (["fit", "--size", "0"], "--size: must be 1 or more; got 0"),
        (["fit", "--learning-rate", "0"], "must be a number above 0; got 0"),
        (["fit", "--learning-rate", "inf"], "must be a number above 0; got inf"),
        (["fit", "--num-workers", "-1"], "--num-workers: must be 0 or more; got -1"),
        (["extract", "a"], "the following arguments are required: --output"),
        (["predict", "m"], "the following arguments are required: images"),
        (["predict", "m", "a", "--threshold", "2"], "must be a probability in [0, 1]"),
        (["predict", "m", "a", "--threshold", "own"], "or 'model' for its own; got o"),
        (["predict", "m", "a", "--format", "xml"], "invalid choice: 'xml'"),
        (["info"], "the following arguments are required: model"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_arguments(argv, message, capsys):
    with pytest.raises(SystemExit, match=r"^2$"):
        main(argv)
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit, match=r"^0$"):
        main([command, "--help"])
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: cftlearn {command} ")
    assert max(map(len, shown.splitlines())) <= 88


def test_the_help_tells_exit_codes(capsys):
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["--help"])
    shown = capsys.readouterr().out
    for command in COMMANDS:
        assert f"\n    {command} " in shown
    for code in (0, 1, 2, 3, 130):
        assert f"\n  {code:<3}  " in shown


def test_the_configuration_of_the_help_is_read(tmp_path):
    from cftlearn.cli._settings import read_settings

    text = _commands._FIT_EPILOG
    text = text[text.index('  output = "model"') :]
    path = tmp_path / "c.toml"
    path.write_text("\n".join(line.strip() for line in text.splitlines()))
    settings = read_settings(path)
    assert settings.data.where == {"split": "train"}
    assert settings.train["augment"][1]["num_ops"] == 2


# --------------------------------------------------------------------- exit codes
def raising(error):
    def run(arguments):
        raise error

    return run


@pytest.fixture
def command(monkeypatch):
    """Make ``cftlearn do`` a command, and give what sets its function."""

    def set_run(run):
        def add(commands):
            commands.add_parser("do").set_defaults(run=run)

        monkeypatch.setattr(_commands, "ALL", (add,))

    return set_run


@pytest.mark.parametrize(
    "error", [ValueError, OSError, RuntimeError, TypeError, ImportError, MemoryError]
)
def test_errors_go_to_stderr(command, capsys, error):
    command(raising(error("what is wrong")))
    assert main(["do"]) == 1
    assert capsys.readouterr() == ("", "cftlearn do: what is wrong\n")


def test_a_defect_of_ours_has_a_traceback(command):
    command(raising(KeyError("x")))
    with pytest.raises(KeyError):
        main(["do"])


def test_an_interruption(command, capsys):
    command(raising(KeyboardInterrupt()))
    assert main(["do"]) == 130
    assert capsys.readouterr().err == "cftlearn do: interrupted\n"


@pytest.mark.filterwarnings("always::UserWarning")
def test_warnings_are_a_line(command, capsys):
    def warn(arguments):
        warnings.warn("take care", UserWarning, stacklevel=1)
        return 0

    command(warn)
    before = warnings.showwarning
    assert main(["do"]) == 0
    assert capsys.readouterr().err == "cftlearn do: warning: take care\n"
    assert warnings.showwarning is before


def test_names_that_are_no_utf8_are_printed_as_they_are(command, monkeypatch):
    def show(arguments):
        sys.stdout.write("\udcff.png\n")
        return 0

    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="utf-8"))
    command(show)
    assert main(["do"]) == 0
    assert raw.getvalue() == b"\xff.png\n"


# --------------------------------------------------------------------- as a process
def test_a_process_predicts(photos, photo_model):
    image = photos / "images" / "00.png"
    here = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path])}
    told = ["--network", "cli_parts:make_network", "--device", "cpu"]
    done = run("predict", photo_model, image, *told, text=True, env=here)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split(": ")[0] for line in done.stdout.splitlines()] == [
        "red",
        "green",
        "blue",
    ]


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
def test_a_reader_that_has_seen_enough():
    here = Path(__file__).parent.parent
    code = (
        "import sys; from cftlearn.cli import _commands, main\n"
        "def run(arguments):\n"
        "    for i in range(100_000): print(i)\n"
        "    return 0\n"
        "def add(commands): commands.add_parser('do').set_defaults(run=run)\n"
        "_commands.ALL = (add,)\n"
        "sys.exit(main(['do']))\n"
    )
    script = '"$0" -c "$1" | head -n 1; exit ${PIPESTATUS[0]}'
    done = subprocess.run(
        ["bash", "-c", script, sys.executable, code],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=here.parent,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "")
