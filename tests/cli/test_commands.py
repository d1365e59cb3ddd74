"""The table of commands: their modules, helps and wrong arguments."""

import importlib
import pkgutil
import subprocess
import sys

import pytest

from cftlearn import cli
from cftlearn.cli import main
from cftlearn.cli._commands import COMMANDS, make_parser


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["train"], "invalid choice: 'train'"),
        (["fit", "--unheard"], "unrecognized arguments: --unheard"),
        (["fit", "--where", "a"], "--where: must be COLUMN=VALUE; got a"),
        (["fit", "--size", "0"], "--size: must be a whole number, 1 or more; got 0"),
        (["fit", "--learning-rate", "0"], "must be a number above 0; got 0"),
        (["fit", "--num-workers", "-1"], "--num-workers: must be a whole number, 0"),
        (["refit", "--max-epochs", "1"], "unrecognized arguments: --max-epochs"),
        (["extract", "a"], "the following arguments are required: --output"),
        (["predict", "m"], "the following arguments are required: images"),
        (["predict", "m", "a", "--threshold", "2"], "must be a probability in [0, 1]"),
        (["predict", "m", "a", "--format", "xml"], "invalid choice: 'xml'"),
        (["evaluate", "m", "--merge-views", "min"], "invalid choice: 'min'"),
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
def test_every_command_has_help_with_examples(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit, match=r"^0$"):
        main([command, "--help"])
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: cftlearn {command} ")
    assert max(map(len, shown.splitlines())) <= 88
    module = importlib.import_module(f"cftlearn.cli._{command}")
    assert module.DESCRIPTION[:30] in shown
    assert f"\n  cftlearn {command} " in shown
    assert module.EXAMPLES in shown


def test_the_help_names_commands_and_exit_codes(capsys):
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["--help"])
    shown = capsys.readouterr().out
    for command, summary in COMMANDS.items():
        line = next(x for x in shown.splitlines() if x.startswith(f"    {command} "))
        assert line.split()[1:] == summary.split()
    for code in (0, 1, 2, 3, 130):
        assert f"\n  {code:<3}  " in shown


def test_examples_of_the_help_can_be_parsed():
    for command in COMMANDS:
        module = importlib.import_module(f"cftlearn.cli._{command}")
        text = module.EXAMPLES.replace("\\\n", " ")
        lines = [x.split() for x in text.splitlines() if x.startswith("  cftlearn ")]
        assert lines
        for _, *argv in lines:
            assert callable(make_parser(argv).parse_args(argv).run)


def test_the_help_and_the_version_import_nothing_heavy():
    code = (
        "import sys\n"
        "from cftlearn.cli import main\n"
        "for argv in (['--help'], ['--version']):\n"
        "    try:\n"
        "        main(argv)\n"
        "    except SystemExit:\n"
        "        pass\n"
        "heavy = {'numpy', 'pandas', 'sklearn', 'torch'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, timeout=120, capture_output=True
    )


def test_no_module_imports_torch_before_it_is_needed():
    """So that help, wrong arguments and wrong settings do not wait for it."""
    names = [found.name for found in pkgutil.iter_modules(cli.__path__)]
    assert {f"_{command}" for command in COMMANDS} <= set(names)
    code = (
        "import importlib, sys\n"
        f"for name in {names}:\n"
        "    importlib.import_module(f'cftlearn.cli.{name}')\n"
        "    assert 'torch' not in sys.modules, name\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
