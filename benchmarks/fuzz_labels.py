"""Do damaged label files end in a table or in an error that helps? Nothing else may be.

Files of every loader are changed at random: bytes, lines, words, values of JSON, what
packs and encodes them, or what the path is. A loader must then return a sound table, or
raise an error of its own that names the file, within seconds and in bounded memory.
Every case has a number: ``--seed 0 --only 17`` repeats the 18th of that seed.

    python benchmarks/fuzz_labels.py
    python benchmarks/fuzz_labels.py --n 1000 --seed 3
"""

import gzip
import json
import os
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _limits import TooSlow, limit_memory, peak_bytes, time_limit
from _trials import trial_parser

from cftlearn import datasets
from cftlearn.datasets import LabelTable

DATA = Path(__file__).resolve().parents[1] / "tests" / "data"
SECONDS, PATIENCE = 30, 120  # of the processor, and in all, that a case may take
MEMORY = 2 << 30  # bytes that the process may take
SHOWN = 20  # failures
OWN_ERRORS = (
    ValueError,
    TypeError,
    OSError,
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
)
FOREIGN = re.compile(
    r"Traceback|numpy|ndarray|pyarrow|Arrow|codec can't|0x[0-9a-f]{8,}|\b_csv\.|zlib|"
    r"recursion|object is not|unhashable|invalid literal|Errno"
)
ODD: tuple[bytes, ...] = (
    *(
        b"",
        b"nan",
        b"NaN",
        b"None",
        b"null",
        b"-1",
        b"2",
        b"1_0",
        b"1e400",
        b"-1130179",
    ),
    *(b"Infinity", b"true", b"9" * 30, b"9" * 5000, b"1.0", b"640.0", b"-0", b"1e999"),
    *(b"\0", b"\xff", b"\xfe\xff", b"\xed\xa0\x80", b"\x1f\x8b", b"PK\x03\x04"),
    *(b'"', b'""', b'"""', b",", b";", b"|", b"\t", b"\r", b"\n", b"\r\n", b" ", b"/"),
    *(b"[", b"]", b"{", b"}", b"[" * 3000, b'{"a":' * 3000, b":", b"\\", b"\\u0000"),
    *(b"\\ud800", b"\xe2\x80\x8b", b"\xef\xbb\xbf", b"\xe2\x80\xae", b"\xc2\xa0"),
    *(b"e\xcc\x81", b"\xc3\xa9", b"a|b", b"['a', 'b']", b"../..", b"./", b"//"),
    *(
        b"<!ENTITY a 'b'>",
        b"&a;",
        b"<object>",
        b"</object>",
        b"x" * 100_000,
        b"," * 5000,
    ),
    *(b"\xe2\x80\xa8", b"\x1c", b"\x85", b"'", b"/m/011k07", b"difficult", b"name"),
)
WIDE = b'image,patient,Edema,"Lung Mass"\na.png,p1,1,\nb.png,"p,1",-1,0\nc.png,p2,0,1\n'
LONG = b"image;label;value\na.png;Edema;1\nb.png;Mass;0\na.png;Mass;-1\nc.png;;\n"
SEVERAL = b"image,found\na.png,Edema|Mass\nb.png,Mass\nc.png,\nd.png,Hernia|Edema\n"
LISTS = (
    b"image,found\na.png,\"['Edema', ' Mass']\"\nb.png,['Mass']\nc.png,nan\nd.png,[]\n"
)


@dataclass(frozen=True)
class Target:
    """A loader, and good files for it."""

    name: str
    files: dict[str, bytes]
    load: Callable[[Path], LabelTable]
    may_repeat: bool = False  # whether a path may have several rows


def of_folder(folder: str) -> dict[str, bytes]:
    """Return the files of a folder of the tests' data."""
    root = DATA / folder
    return {
        file.relative_to(root).as_posix(): file.read_bytes()
        for file in sorted(root.rglob("*"))
        if file.is_file() and file.suffix != ".md"
    }


def targets() -> list[Target]:
    """Return all loaders, with the forms that they read."""
    csv, d = "labels.csv", datasets
    voc, chexpert = of_folder("VOCdevkit"), of_folder("chexpert")
    lists = {name: text for name, text in voc.items() if name.endswith(".txt")}
    annotations = {
        name: text
        for name, text in voc.items()
        if name.endswith((".xml", "/trainval.txt"))
    }
    has = {"label_column": "found"}
    found = [
        Target("csv, wide", {csv: WIDE}, lambda f: d.load_label_csv(f / csv)),
        Target(
            "csv, long",
            {csv: LONG},
            lambda f: d.load_label_csv(
                f / csv, label_column="label", value_column="value"
            ),
        ),
        Target(
            "csv, separator",
            {csv: SEVERAL},
            lambda f: d.load_label_csv(f / csv, label_separator="|", **has),
        ),
        Target(
            "csv, lists",
            {csv: LISTS},
            lambda f: d.load_label_csv(f / csv, label_separator="list", **has),
        ),
        Target(
            "csv, one label",
            {csv: SEVERAL.replace(b"|", b" ")},
            lambda f: d.load_label_csv(f / csv, **has),
        ),
    ]
    for name, text in chexpert.items():
        found.append(
            Target(
                f"chexpert, {name}",
                {name: text},
                lambda f, name=name: d.load_chexpert(f / name),
            )
        )
    found += [
        Target(
            "coco",
            of_folder("coco"),
            lambda f: d.load_coco(f / "instances_val2014.json"),
        ),
        Target("lvis", of_folder("lvis"), _load_lvis),
        Target("vaw", of_folder("vaw"), lambda f: d.load_vaw(f, split="train"), True),
        Target("voc, lists", lists, lambda f: d.load_voc(f)),
        Target(
            "voc, annotations",
            annotations,
            lambda f: d.load_voc(f, source="annotations"),
        ),
        Target(
            "voc, found",
            annotations,
            lambda f: d.load_voc(
                f, source="annotations", categories="found", split="all"
            ),
        ),
        Target(
            "nus_wide",
            of_folder("nus_wide"),
            lambda f: d.load_nus_wide(f, split="train"),
        ),
        Target("vg200", of_folder("vg200"), lambda f: d.load_vg200(f, split="train")),
    ]
    if _has_arrow():
        found.append(Target("open_images", of_folder("open_images"), _load_open_images))
    return found


def _has_arrow() -> bool:
    try:
        import pyarrow.csv  # noqa: F401
    except ImportError:
        return False
    return True


def _load_lvis(folder: Path) -> LabelTable:
    return datasets.load_lvis(folder / "lvis_v1_val.json")


def _load_open_images(folder: Path) -> LabelTable:
    return datasets.load_open_images(
        folder / "annotations-human.csv",
        classes=folder / "classes-trainable.txt",
        descriptions=folder / "class-descriptions.csv",
    )


# --- changes of a file ----------------------------------------------------------------


def flip(text: bytes, rng: random.Random) -> bytes:
    changed = bytearray(text)
    for _ in range(rng.randint(1, 4)):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def cut(text: bytes, rng: random.Random) -> bytes:
    return text[: rng.randint(0, len(text))]


def _span(text: bytes, rng: random.Random) -> tuple[int, int]:
    start = rng.randint(0, len(text))
    return start, min(len(text), start + rng.choice((1, 3, 10, 40, 200)))


def leave_out(text: bytes, rng: random.Random) -> bytes:
    start, end = _span(text, rng)
    return text[:start] + text[end:]


def repeat(text: bytes, rng: random.Random) -> bytes:
    start, end = _span(text, rng)
    return text[:end] + text[start:end] * rng.choice((1, 1, 2, 50)) + text[end:]


def insert(text: bytes, rng: random.Random) -> bytes:
    place = rng.randint(0, len(text))
    return text[:place] + rng.choice(ODD) + text[place:]


def replace_word(text: bytes, rng: random.Random) -> bytes:
    words = list(re.finditer(rb"[^\s,;:|\"'<>{}\[\]]+", text[:200_000]))
    if not words:
        return insert(text, rng)
    word = rng.choice(words)
    new = rng.choice(
        (*ODD, *(w.group() for w in rng.sample(words, min(5, len(words)))))
    )
    return text[: word.start()] + new + text[word.end() :]


def move_lines(text: bytes, rng: random.Random) -> bytes:
    lines = text.splitlines(keepends=True)
    if len(lines) < 2:
        return repeat(text, rng)
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    kind = rng.randrange(3)
    if kind == 0:
        lines[one], lines[other] = lines[other], lines[one]
    elif kind == 1:
        lines.insert(other, lines[one])
    else:
        del lines[one]
    return b"".join(lines)


def change_json(text: bytes, rng: random.Random) -> bytes:
    """Change one value of a JSON file; other files by a word."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return replace_word(text, rng)
    places: list[tuple[Any, Any]] = []

    def visit(item: Any) -> None:
        keys = item if isinstance(item, dict) else range(len(item))
        for key in keys:
            places.append((item, key))
            if isinstance(item[key], (dict, list)):
                visit(item[key])

    if isinstance(content, (dict, list)):
        visit(content)
    if not places:
        return insert(text, rng)
    owner, key = rng.choice(places)
    kind = rng.randrange(4)
    if kind == 0:
        del owner[key]
    elif kind == 1 and isinstance(owner, list):
        owner.append(owner[key])
    elif kind == 2:
        other, place = rng.choice(places)
        owner[key] = json.loads(json.dumps(other[place]))
    else:
        odd: tuple[Any, ...] = (
            None,
            True,
            1.5,
            640.0,
            "1",
            "",
            " a ",
            [],
            {},
            [[1]],
            -1,
        )
        owner[key] = rng.choice((*odd, 10**30, 1e308, "a\0b", "é", "e\u0301", [None]))
    return json.dumps(content).encode()


def pack(text: bytes, rng: random.Random) -> bytes:
    packed = gzip.compress(text, mtime=0)
    return rng.choice((lambda t, _: t, cut, flip, lambda t, _: t + t))(packed, rng)


def encode(text: bytes, rng: random.Random) -> bytes:
    try:
        return text.decode().encode(rng.choice(("utf-16", "utf-16-le", "utf-8-sig")))
    except UnicodeError:
        return text


def bomb(text: bytes, rng: random.Random) -> bytes:
    """Return a small file that unpacks to 200 MB."""
    unit = rng.choice((b"a", b"\n", b"a,b\n", b"[", b'"', b"0\n", b" "))
    packer, size = gzip.compress(unit * ((1 << 20) // len(unit)), mtime=0), 200
    return gzip.compress(text, mtime=0) + packer * size


CHANGES = (flip, cut, leave_out, repeat, insert, replace_word, move_lines, change_json)


def changed(text: bytes, rng: random.Random) -> bytes:
    """Return a file with up to three changes, now and then packed or encoded."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        text = rng.choice(CHANGES)(text, rng)
    if rng.random() < 0.06:
        text = encode(text, rng)
    if rng.random() < 0.06:
        text = pack(text, rng)
    if rng.random() < 0.002:
        text = bomb(text, rng)
    return text


@contextmanager
def damaged(file: Path, text: bytes, rng: random.Random) -> Iterator[None]:
    """Put a damaged file in the place of a good one for a while."""
    file.unlink()
    kind = rng.random()
    try:
        if kind < 0.002:
            os.mkfifo(file)
        elif kind < 0.004:
            file.mkdir()
        elif kind < 0.006:
            file.symlink_to(file)
        elif kind < 0.008:
            file.symlink_to("/dev/zero")
        elif kind >= 0.010:  # else nothing is there
            file.write_bytes(changed(text, rng))
        yield
    finally:
        if file.is_dir() and not file.is_symlink():
            file.rmdir()
        else:
            file.unlink(missing_ok=True)
        file.write_bytes(text)


# --- judging --------------------------------------------------------------------------


def fault_of_error(error: BaseException, folder: Path) -> str | None:
    """Return what is wrong with an error, or None."""
    text, place = str(error), error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    source = "" if place is None else place.tb_frame.f_code.co_filename
    if type(error) not in OWN_ERRORS or "/cftlearn/" not in source:
        return f"foreign error from {source}"
    if str(folder) not in text:
        return "the error does not name the file"
    if FOREIGN.search(text.replace(str(folder), "")):
        return "foreign words"
    if len(text) > 2500:
        return "a very long error"
    if not text.startswith("`") or not text.endswith((".", "?")):
        return "the error has no parameter, or no end"
    return None


def fault_of_table(table: LabelTable, *, may_repeat: bool) -> str | None:
    """Return what is wrong with a table, or None."""
    names = [*table.categories, *table.paths]
    if not all(isinstance(name, str) and name.strip() == name != "" for name in names):
        return "a name that is no text, or has blanks around it"
    if any(not name.isprintable() and name.isascii() for name in names):
        return "a name with control characters"
    if len({name.casefold() for name in names} & {"nan", "<na>"}):
        return "a name that is NaN"
    if not may_repeat and len(set(table.paths)) < len(table):
        return "a path twice"
    y = table.labels(blank="negative")
    if y.shape != (len(table), len(table.categories)) or np.isinf(y).any():
        return "labels of another shape"
    return None


def run_case(target: Target, folder: Path, rng: random.Random) -> str | None:
    """Damage one file of a loader, and load; return what went wrong, or None."""
    name = rng.choice(sorted(target.files))
    with damaged(folder / name, target.files[name], rng):
        try:
            with time_limit(PATIENCE, processor=SECONDS):
                table = target.load(folder)
        except TooSlow as error:
            return f"{name}: {error}"
        except Exception as error:  # judged here, whatever it is
            fault = fault_of_error(error, folder)
            if fault is None:
                return None
            return f"{name}: {fault}: {type(error).__name__}: {str(error)[:400]}"
        fault = fault_of_table(table, may_repeat=target.may_repeat)
        return None if fault is None else f"{name}: {fault}: {table}"


def fuzz(n: int, seed: int, only: int | None = None) -> list[str]:
    """Run cases, and return what went wrong in them."""
    faults = []
    with tempfile.TemporaryDirectory() as parent:
        prepared = []
        for number, target in enumerate(targets()):
            folder = Path(parent, str(number))
            for name, text in target.files.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(text)
            target.load(folder)  # the good files load
            prepared.append((target, folder))
        for k in range(n) if only is None else [only]:
            rng = random.Random(f"{seed} {k}")
            target, folder = prepared[k % len(prepared)]
            fault = run_case(target, folder, rng)
            if fault is not None:
                faults.append(f"case {k}, {target.name}, {fault}")
    return faults


def main() -> int:
    parser = trial_parser(__doc__, 20_000, "damaged files")
    parser.add_argument("--only", type=int, help="run this case alone")
    arguments = parser.parse_args()
    limit_memory(MEMORY)
    start = time.perf_counter()
    faults = fuzz(arguments.n, arguments.seed, arguments.only)
    print(
        f"{arguments.n:,} damaged label files, seed {arguments.seed}, "
        f"{len(targets())} forms: {len(faults)} faults in "
        f"{time.perf_counter() - start:.0f} s, at most {peak_bytes() / 2**20:,.0f} MiB"
    )
    kinds = Counter(re.sub(r"^case \d+, ", "", fault)[:60] for fault in faults)
    for kind, count in kinds.most_common(SHOWN):
        example = next(fault for fault in faults if kind in fault)
        print(f"{count:>6}  {example}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
