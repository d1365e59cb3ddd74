"""Spoiled configurations and arguments, for the fuzzer of the command line."""

import json
import random
from collections.abc import Callable
from datetime import date
from typing import Any

Document = dict[str, Any]

SOUND: Document = {
    "output": "new",
    "seed": 0,
    "device": "cpu",
    "n_jobs": 1,
    "data": {
        "labels": "labels.csv",
        "images": "images",
        "where": {"split": "train"},
        "group": "person",
        "categories": ["cat", "dog"],
        "uncertain": {"cat": "positive"},
        "blank": "unknown",
        "options": {"path_column": "path", "separator": ","},
    },
    "network": {"name": "_fuzz_network:make", "head": "0", "options": {"width": 3}},
    "image": {"size": [8, 8], "mode": "RGB", "crop": 0.9},
    "train": {
        "max_epochs": 1,
        "batch_size": 4,
        "learning_rate": 0.01,
        "unknown": "ignore",
        "retrain": False,
        "layers": ["0"],
        "threshold": 0.5,
        "augment": [{"name": "PIL.ImageOps:mirror"}],
        "checkpoint": "state",
        "pos_weight": "balanced",
    },
    "refit": {"solver": "proximal", "objective": "roc_auc", "refit": True},
}
OF_FEATURES: Document = {
    "output": "new",
    "data": {"labels": "labels.csv", "features": "features", "categories": ["cat"]},
    "refit": {"solver": "proximal"},
}
_WORDS = ["", "x", "nan", "1e-4", "é中\U0001f600", "a\nb", "a\0b", "~nobody/x", "-1"]
_WORDS += ["../..", "/", ".", "*", "none", "true", "w" * 5000, "\u202eabc", "{x}", "%s"]
_NUMBERS = [0, -1, 1, 2, 10**6, 10**9, 10**18, 10**30, -(10**30), 0.5, -0.5, 1e308]
_NUMBERS += [float("nan"), float("inf"), True, False]
# What a value may become: anything that one of the formats can hold.
_OTHERS: list[Any] = [None, [], {}, [[]], [{}], [None], ["a", 1], {"a": {"b": 1}}]
_OTHERS += [date(2020, 1, 1), ["cat", "cat"], {"name": 3}, list(range(50))]
_UNKNOWN = ["epochs", "Data", "max_epoch", "", "data.labels", "lables", "1", "é"]

_OPTIONS = {
    "fit": "labels format images features where group categories validation network "
    "weights head size solver objective output overwrite seed n-jobs batch-size "
    "num-workers device quiet max-epochs learning-rate unknown retrain rounds layers",
    "refit": "labels format images features where group categories validation network "
    "weights head size solver objective output overwrite seed n-jobs quiet device",
    "extract": "network weights head size layer output skip-unreadable batch-size "
    "device quiet",
    "predict": "format threshold output skip-unreadable network batch-size device",
    "evaluate": "scores labels format images features where group merge-views "
    "resamples seed json output network batch-size device quiet",
    "info": "",
    "demo": "known scheme seed max-epochs output n-jobs",
}
# Arguments that do what they should, as the start of most lists.
_LABELS = ["--labels", "labels.csv"]
_BASES = {
    "fit": [
        ["sound.toml"],
        [*_LABELS, "--features", "features", "--solver", "proximal"],
        [*_LABELS, "--images", "images", "--network", "_fuzz_network:make"],
    ],
    "refit": [
        ["sound.toml"],
        [*_LABELS, "--images", "images", "--network", "_fuzz_network:make"],
    ],
    "extract": [["images", "--network", "_fuzz_network:make", "--output", "new"]],
    "predict": [["model", "features"], ["model", "images"]],
    "evaluate": [
        ["--scores", "scores.csv", *_LABELS, "--resamples", "5"],
        ["model", *_LABELS, "--features", "features", "--resamples", "5"],
    ],
    "info": [["model"]],
    "demo": [[]],
}
_FLAGS = {"overwrite", "quiet", "skip-unreadable", "json"}
_FILES = ["labels.csv", "images", "features", "model", "scores.csv", "pipe", "none"]
_FILES += ["images/0.png", "broken.csv", "sound.toml", "new"]
_VALUES = {  # values that an option takes, tried more often than junk
    "format": ["csv", "coco", "voc", "json", "text"],
    "where": ["split=train", "split=test", "split=", "=x", "person=p0"],
    "group": ["person", "split", "none"],
    "categories": ["cat", "cat,dog", "dog,dog", "cow", ",", '"cat'],
    "network": ["_fuzz_network:make", "torchvision:none", "model", "images/0.png"],
    "weights": ["DEFAULT", "model", "labels.csv"],
    "solver": ["proximal", "auto", "ga", "none"],
    "objective": ["roc_auc", "auc"],
    "device": ["cpu", "auto", "none", "cuda:99", "meta"],
    "unknown": ["auto", "hill", "x"],
    "retrain": ["average", "true", "no"],
    "layers": ["auto", "0,1", ","],
    "merge-views": ["max", "mean", "min"],
    "scheme": ["uniform", "x"],
    "threshold": ["0.5", "model", "2", "nan"],
    "known": ["0.1", "0", "2"],
    "resamples": ["3", "0", "1e3", "1e12"],
}
_COUNTS = {
    "size",
    "seed",
    "n-jobs",
    "batch-size",
    "num-workers",
    "max-epochs",
    "rounds",
}


def random_document(rng: random.Random) -> tuple[str, bytes]:
    """Write a spoiled configuration.

    Parameters
    ----------
    rng : random.Random
        What decides how.

    Returns
    -------
    suffix : str
        Of the file: its format.
    content : bytes
        Of the file.
    """
    document = json.loads(json.dumps(rng.choice([SOUND, OF_FEATURES])))
    for _ in range(rng.randrange(4)):
        _spoil(document, rng)
    suffix = rng.choice([".toml", ".yaml", ".json"])
    text = _WRITERS[suffix](document)
    if rng.random() < 0.35:
        text = rng.choice(_TEXT_FAULTS)(text, suffix, rng)
    content = text.encode("utf-8", "surrogatepass")
    if rng.random() < 0.1:
        content = rng.choice(_BYTE_FAULTS)(content, rng)
    return suffix, content


def random_arguments(rng: random.Random) -> list[str]:
    """Return a random list of arguments for a random command, some of them sound."""
    command = rng.choice(list(_OPTIONS))
    argv = [command]
    if rng.random() < 0.75:
        argv += rng.choice(_BASES[command])
    for _ in range(rng.choice([0, 0, 0, 1, 1, 2, 3])):
        argv.append(rng.choice(_FILES))
    names = _OPTIONS[command].split()
    for name in rng.sample(names, min(len(names), rng.randrange(5))):
        argv.append(f"--{name}")
        if name not in _FLAGS and rng.random() < 0.97:
            argv.append(_value_of(name, rng))
    if rng.random() < 0.05:
        argv.append(rng.choice(["--none", "-z", "--", "--size=", "--help="]))
    return argv


def _value_of(name: str, rng: random.Random) -> str:
    if rng.random() < 0.15:
        return str(rng.choice(_WORDS + _NUMBERS)).replace("\0", "")
    if name in _VALUES:
        return rng.choice(_VALUES[name])
    if name in _COUNTS:
        return rng.choice(["1", "2", "0", "-1", "8", "1.5", "1e9", "1e30", "x"])
    return rng.choice(_FILES)


def _spoil(document: Document, rng: random.Random) -> None:
    """Change a document in one place."""
    tables = [document, *(part for part in document.values() if type(part) is dict)]
    table = rng.choice(tables)
    if not table:
        return
    name = rng.choice(list(table))
    fault = rng.randrange(5)
    if fault == 0:
        del table[name]
    elif fault == 1:
        table[rng.choice(_UNKNOWN)] = _junk(rng)
    elif fault == 2:
        table[name[:-1] or "a"] = table.pop(name)
    else:
        table[name] = _junk(rng)


def _junk(rng: random.Random) -> Any:
    return rng.choice(rng.choice([_WORDS, _NUMBERS, _OTHERS]))


# ------------------------------------------------------------------------- writing
def _as_json(document: Document) -> str:
    return json.dumps(document, default=str, ensure_ascii=False)


def _as_yaml(document: Document) -> str:
    import yaml

    text: str = yaml.safe_dump(document, allow_unicode=True)
    return text


def as_toml(document: Document) -> str:
    top = [
        f"{_key(k)} = {_value(v)}" for k, v in document.items() if type(v) is not dict
    ]
    for name, table in document.items():
        if type(table) is dict:
            top += [f"[{_key(name)}]"]
            top += [f"{_key(k)} = {_value(v)}" for k, v in table.items()]
    return "\n".join(top) + "\n"


def _key(name: object) -> str:
    return json.dumps(str(name), ensure_ascii=False)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return (
            "{" + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float, date)):
        return str(value)
    return json.dumps("" if value is None else value)


_WRITERS: dict[str, Callable[[Document], str]] = {
    ".json": _as_json,
    ".toml": as_toml,
    ".yaml": _as_yaml,
}


# ------------------------------------------------------------------------- faults
def _truncated(text: str, suffix: str, rng: random.Random) -> str:
    return text[: rng.randrange(len(text) + 1)]


def _changed(text: str, suffix: str, rng: random.Random) -> str:
    place = rng.randrange(len(text) + 1)
    new = rng.choice(
        ['"', "'", "[", "]", "{", "}", ":", "=", "#", "&a", "*a", "!!int "]
    )
    return text[:place] + new + text[place + rng.randrange(3) :]


def _deep(text: str, suffix: str, rng: random.Random) -> str:
    depth = rng.choice([15, 40, 200, 20_000])
    nested = "[" * depth + "]" * depth
    if suffix == ".json":
        return text[:-1] + f', "x": {nested}}}'
    return f"x {'=' if suffix == '.toml' else ':'} {nested}\n{text}"


def _aliases(text: str, suffix: str, rng: random.Random) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for i in range(1, rng.choice([3, 10, 30])):
        form = rng.choice(["[{0}, {0}, {0}]", "{{<<: [{0}, {0}], b: {0}}}"])
        lines.append(f"a{i}: &a{i} {form.format(f'*a{i - 1}')}")
    return "\n".join(lines) + f"\n{text}"


def _alias_of_itself(text: str, suffix: str, rng: random.Random) -> str:
    return f"seed: &a [*a]\n{text}"


def _long_number(text: str, suffix: str, rng: random.Random) -> str:
    digits = "9" * rng.choice([30, 5000, 300_000])
    number = rng.choice([digits, ":".join("12" for _ in digits), f"0.{digits}"])
    return text.replace("1", number, 1)


def _doubled(text: str, suffix: str, rng: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    return "".join([*lines, rng.choice(lines)]) if lines else text


def _tagged(text: str, suffix: str, rng: random.Random) -> str:
    tags = [
        "!!bool x",
        "!!int ''",
        "!!timestamp x",
        "!!float x",
        "!!binary x",
        "!!set x",
    ]
    tags += ["!!python/object:os.system x", "010", "0x10", "1_0", "2020-99-99", "="]
    return f"seed: {rng.choice(tags)}\n" + text.replace("seed:", "n_jobs:", 1)


def _spaced(text: str, suffix: str, rng: random.Random) -> str:
    return text.replace("  ", "\t").replace("\n", rng.choice(["\r\n", "\r", "\n\n"]))


_TEXT_FAULTS = [_truncated, _changed, _changed, _deep, _aliases, _alias_of_itself]
_TEXT_FAULTS += [_long_number, _doubled, _tagged, _spaced]


def _utf_16(content: bytes, rng: random.Random) -> bytes:
    return content.decode("utf-8", "replace").encode("utf-16")


def _flipped(content: bytes, rng: random.Random) -> bytes:
    if not content:
        return content
    place = rng.randrange(len(content))
    return content[:place] + bytes([rng.randrange(256)]) + content[place + 1 :]


def _large(content: bytes, rng: random.Random) -> bytes:
    return content + b"\n#" + b"x" * rng.choice([10_000, 2 * 2**20])


def _marked(content: bytes, rng: random.Random) -> bytes:
    return b"\xef\xbb\xbf" + content


_BYTE_FAULTS = [_utf_16, _flipped, _flipped, _large, _marked]
