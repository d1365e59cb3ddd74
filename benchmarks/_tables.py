"""Lines of a benchmark: a CSV that grows, and tables to print."""

import csv
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any


def read_csv(path: Path | None, kind: type[Any]) -> list[Any]:
    """Read a CSV; a line that a killed run left unfinished is cut off the file."""
    if path is None or not path.exists():
        return []
    text = path.read_text()
    if not text.endswith("\n"):
        text = text[: text.rfind("\n") + 1]
        path.write_text(text)
    reader = csv.DictReader(text.splitlines())
    names = [field.name for field in fields(kind)]
    if text and reader.fieldnames != names:
        sys.exit(f"the columns of {path} are not {', '.join(names)}")
    return [
        kind(**{field.name: field.type(row[field.name]) for field in fields(kind)})  # type: ignore[operator]
        for row in reader
    ]


def append_csv(path: Path | None, lines: Sequence[Any]) -> None:
    """Add lines to a CSV, with its header where the file is new."""
    if path is None or not lines:
        return
    is_new = not path.exists() or path.stat().st_size == 0
    with path.open("a", newline="") as file:
        names = [field.name for field in fields(lines[0])]
        writer = csv.DictWriter(file, names, lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerows(asdict(line) for line in lines)


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print columns, aligned on the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        cells = (text.rjust(width) for text, width in zip(row, widths, strict=True))
        print("  ".join(cells))
