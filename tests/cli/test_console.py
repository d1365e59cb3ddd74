"""What reaches the console, whatever it can show."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cftlearn.cli import main
from cftlearn.cli._console import in_words, json_text, prepare_streams, print_problem

NAME = "é中\U0001f600\udcff"


def printed(monkeypatch, encoding, text):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, errors="strict", newline="")
    monkeypatch.setattr(sys, "stdout", stream)
    prepare_streams()
    sys.stdout.write(text)
    sys.stdout.flush()
    return raw.getvalue()


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("utf-8", "é中\U0001f600".encode() + b"\xff"),
        ("cp1252", b"\xe9\\u4e2d\\U0001f600\xff"),
        ("ascii", b"\\xe9\\u4e2d\\U0001f600\xff"),
        ("utf-16-le", "é中\U0001f600\\udcff".encode("utf-16-le")),
    ],
)
def test_what_an_encoding_lacks_is_escaped(monkeypatch, encoding, shown):
    assert printed(monkeypatch, encoding, NAME) == shown


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8", "utf-16"])
def test_json_stays_json(encoding):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    text = json_text({"path": NAME}, stream)
    assert json.loads(text) == {"path": NAME}
    text.encode(encoding)  # nothing is left to escape
    plain = json_text({"path": "é"}, stream)
    assert ("é" in plain) == encoding.startswith("utf")


def test_a_closed_stream_is_one_that_nobody_reads(monkeypatch):
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    prepare_streams()
    sys.stdout.write("nothing")
    print_problem("nothing")
    for name in ("stdout", "stderr"):
        getattr(sys, name).close()


def test_a_name_cannot_steer_the_terminal(capsys):
    print_problem("a\x1b[1mb\u202ec\ndé")
    assert capsys.readouterr().err == "a\\x1b[1mb\\u202ec\ndé\n"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("what is wrong"), "what is wrong"),
        (
            PermissionError(13, "Permission denied", "a/b"),
            "Permission denied: 'a/b'. Check the path, its permissions and the space "
            "on the disk.",
        ),
        (
            OSError(28, "No space left on device"),
            "No space left on device. Check the path, its permissions and the space on "
            "the disk.",
        ),
        (FileNotFoundError("2 images do not exist"), "2 images do not exist"),
        (
            MemoryError(),
            "there is not enough memory. Lower --batch-size or --size, or use fewer "
            "rows or workers.",
        ),
        (RuntimeError(), "stopped by RuntimeError, which says nothing more"),
    ],
)
def test_errors_in_words(error, text):
    assert in_words(error) == text


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
@pytest.mark.parametrize(
    ("more", "status"), [([], 0), (["--json"], 0), (["--group", "é中"], 1)]
)
def test_a_command_whose_console_has_few_characters(
    tmp_path, monkeypatch, encoding, more, status
):
    lines = ["path,中文,é😀"] + [f"{i}.png,{i % 2},{i % 2}" for i in range(4)]
    (tmp_path / "ü中.csv").write_text("\n".join(lines), encoding="utf-8")
    scores = ["path,中文,é😀"] + [f"{i}.png,0.{i},0.{i}" for i in range(4)]
    (tmp_path / "scores.csv").write_text("\n".join(scores), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    raw = {name: io.BytesIO() for name in ("stdout", "stderr")}
    for name, stream in raw.items():
        monkeypatch.setattr(sys, name, io.TextIOWrapper(stream, encoding=encoding))
    argv = ["evaluate", "--scores", "scores.csv", "--labels", "ü中.csv"]
    assert main([*argv, "--resamples", "3", *more]) == status
    sys.stderr.flush()
    out, err = (stream.getvalue().decode(encoding) for stream in raw.values())
    assert "\\u4e2d" in out + err
    assert "codec" not in out + err
    if more == ["--json"]:
        assert json.loads(out)[0]["category"] == "中文"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a full device")
def test_a_full_disk_is_said_once():
    buffered = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "cftlearn", "--version"],
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=120,
            env=buffered,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.startswith(b"cftlearn: No space left on device. Check")
    assert done.stderr.count(b"\n") == 1
