"""The entry of the command line: exit codes, warnings, pipes, interruptions."""

import io
import os
import subprocess
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import pytest

from cftlearn.cli import main
from cftlearn.cli._commands import COMMANDS


def run(*argv, **options):
    return subprocess.run(
        [sys.executable, "-m", "cftlearn", *map(str, argv)],
        capture_output=True,
        timeout=120,
        **options,
    )


def raising(error):
    def run(arguments):
        raise error

    return run


@pytest.fixture
def command(monkeypatch):
    """Return what makes ``cftlearn do`` a command: one module and one line."""

    def set_run(run):
        module = ModuleType("cftlearn.cli._do")
        module.DESCRIPTION = module.EXAMPLES = ""
        module.add_arguments = lambda parser: None
        module.run = run
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setitem(COMMANDS, "do", "something")

    return set_run


@pytest.mark.parametrize(
    "error", [ValueError, OSError, RuntimeError, TypeError, ImportError]
)
def test_errors_go_to_stderr(command, capsys, error):
    command(raising(error("what is wrong")))
    assert main(["do"]) == 1
    assert capsys.readouterr() == ("", "cftlearn do: what is wrong\n")


def test_a_defect_of_ours_has_a_traceback(command):
    command(raising(KeyError("x")))
    with pytest.raises(KeyError):
        main(["do"])


def test_the_exit_code_is_that_of_the_command(command):
    command(lambda arguments: 3)
    assert main(["do"]) == 3


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


def test_arguments_of_the_process_are_the_default(command, monkeypatch):
    command(lambda arguments: 0)
    monkeypatch.setattr(sys, "argv", ["cftlearn", "do"])
    assert main() == 0


# --------------------------------------------------------------------- as a process
def test_python_m_cftlearn():
    done = run("--version", text=True)
    assert done.stdout.strip() == f"cftlearn {version('cftlearn')}"


def test_a_process_predicts(photos, photo_model):
    image = photos / "images" / "00.png"
    here = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path])}
    options = ["--network", "cli_parts:make_network", "--device", "cpu"]
    done = run("predict", photo_model, image, *options, text=True, env=here)
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
        "import sys; from types import ModuleType\n"
        "from cftlearn.cli import main; from cftlearn.cli._commands import COMMANDS\n"
        "def run(arguments):\n"
        "    for i in range(100_000): print(i)\n"
        "    return 0\n"
        "do = sys.modules['cftlearn.cli._do'] = ModuleType('do')\n"
        "do.DESCRIPTION, do.EXAMPLES, do.run = '', '', run\n"
        "do.add_arguments = lambda parser: None\n"
        "COMMANDS['do'] = ''\n"
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
