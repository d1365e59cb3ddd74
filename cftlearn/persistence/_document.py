"""``model.json``: written with a digest of itself, and read with suspicion."""

import hashlib
import json
import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

from cftlearn.persistence._faults import Fault, NewerFormat, broken, shown

FORMAT = 2  # the older one, 1, has no digests
MOST_BYTES = 2**26  # of model.json: some 50,000 categories
_MOST_DEPTH = 100
_NO_DIGEST = "0" * 64
# Where the digest stands, so that it is checked before anything else is read.
_HEAD = re.compile(rb'\{\n "format": 2,\n "digest": "([0-9a-f]{64})",\n')
_SHA256 = re.compile(r"[0-9a-f]{64}")
_KEYS = {1: {"format", "cftlearn", "model"}}
_KEYS[2] = {*_KEYS[1], "digest", "files"}
_BEFORE_DIGESTS = (
    "`digest` in model.json must stand behind the format, in a file that nobody has "
    "edited or written anew; got none there"
)
_OTHER_LINE_ENDS = (
    "model.json must have the line ends that save_model wrote; got those of Windows, "
    "as git writes them with core.autocrlf unless `* -text` is in .gitattributes"
)


@dataclass(frozen=True)
class Stamp:
    """By what a file is known.

    Attributes
    ----------
    n_bytes : int
        Its length.
    sha256 : str
        Its SHA-256, 64 hexadecimal digits.
    """

    n_bytes: int
    sha256: str

    @classmethod
    def of(cls, data: bytes) -> "Stamp":
        """Compute that of some bytes."""
        return cls(len(data), hashlib.sha256(data).hexdigest())


@dataclass(frozen=True)
class Document:
    """What ``model.json`` holds.

    Attributes
    ----------
    format : int
        1 or 2.
    model : dict
        The description of the estimator.
    files : dict of str to Stamp, or None
        All other files of the model, by their path in the folder; None in format 1.
    """

    format: int
    model: dict[str, Any]
    files: dict[str, Stamp] | None


def write_document(
    model: dict[str, Any], files: dict[str, Stamp], version: str
) -> bytes:
    """Write the text of ``model.json``.

    Parameters
    ----------
    model : dict
        The description of the estimator.
    files : dict of str to Stamp
        All other files of the model.
    version : str
        Of cftlearn.

    Returns
    -------
    data : bytes
        The text, in ASCII.

    Raises
    ------
    ValueError
        If it is longer than what :func:`read_document` reads.
    """
    document = {
        "format": FORMAT,
        "digest": _NO_DIGEST,
        "cftlearn": version,
        "files": {
            name: {"bytes": stamp.n_bytes, "sha256": stamp.sha256}
            for name, stamp in files.items()
        },
        "model": model,
    }
    data = json.dumps(document, indent=1, allow_nan=False).encode("ascii")
    if len(data) > MOST_BYTES:
        raise ValueError(
            f"`model` must fit into {MOST_BYTES} bytes of text beside its arrays; got "
            f"{len(data)}. Names and lists in parameters make it long: shorten them."
        )
    digest = hashlib.sha256(data).hexdigest()
    return data.replace(_NO_DIGEST.encode(), digest.encode(), 1)


def read_document(data: bytes) -> Document:
    """Read the text of ``model.json``.

    Parameters
    ----------
    data : bytes
        No longer than ``MOST_BYTES``.

    Returns
    -------
    document : Document
        Of a known format, and in format 2 of the digest that it names.

    Raises
    ------
    Fault
        If it is damaged, or of another format.
    """
    head = _HEAD.match(data)
    if head:
        start, end = head.span(1)
        bare = data[:start] + _NO_DIGEST.encode() + data[end:]
        found = hashlib.sha256(bare).hexdigest()
        if found != head[1].decode():
            raise Fault(
                "model.json must have the SHA-256 that it names, "
                f"{head[1].decode()[:12]}...; got {found[:12]}..., so it was changed"
            )
    parsed = _parse(data)
    if not isinstance(parsed, dict) or "format" not in parsed:
        raise Fault(
            "model.json must hold an object with a `format`; got "
            f"{type(parsed).__name__} without one"
        )
    format_ = parsed["format"]
    if type(format_) is not int or format_ < 1:
        raise broken("format", "be 1 or 2", format_)
    if format_ > FORMAT:
        raise NewerFormat(
            f"has format {shown(format_)}; this version of cftlearn reads formats up "
            f"to {FORMAT}. Upgrade cftlearn."
        )
    if format_ == FORMAT and not head:
        raise Fault(_OTHER_LINE_ENDS if data[:3] == b"{\r\n" else _BEFORE_DIGESTS)
    if set(parsed) != _KEYS[format_]:
        rule = f"hold {', '.join(sorted(_KEYS[format_]))}"
        raise Fault(f"model.json must {rule}; got {shown(sorted(parsed))}")
    if not isinstance(parsed["cftlearn"], str):
        raise broken("cftlearn", "be the text of a version", parsed["cftlearn"])
    if not isinstance(parsed["model"], dict):
        raise broken("model", "be an object", parsed["model"])
    files = _read_files(parsed["files"]) if format_ == FORMAT else None
    return Document(format_, parsed["model"], files)


def strict_json(text: str, file: str) -> Any:
    """Read JSON with every name once, finite numbers and bounded depth.

    Parameters
    ----------
    text : str
        JSON.
    file : str
        Its file, for the fault.

    Returns
    -------
    value : object
        What it holds.

    Raises
    ------
    Fault
        If it is anything else.
    """

    def read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        read = dict(pairs)
        if len(read) < len(pairs):
            twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
            raise Fault(f"{file} must name everything once; got {shown(twice)} twice")
        return read

    def refuse(number: str) -> float:
        raise Fault(f"{file} must hold finite numbers; got {shown(number)}")

    def read_float(number: str) -> float:
        value = float(number)
        return value if math.isfinite(value) else refuse(number)

    too_deep = Fault(f"{file} must be at most {_MOST_DEPTH} levels deep; it is deeper")
    try:
        value = json.loads(
            text,
            object_pairs_hook=read_object,
            parse_constant=refuse,
            parse_float=read_float,
        )
    except RecursionError:
        raise too_deep from None
    except json.JSONDecodeError as error:
        raise Fault(
            f"{file} must be JSON; got something else in line {error.lineno}, column "
            f"{error.colno}"
        ) from None
    except ValueError:
        raise Fault(f"{file} must hold short numbers; got a very long one") from None
    level = [value]
    for _ in range(_MOST_DEPTH):
        level = [
            item
            for outer in level
            if isinstance(outer, (dict, list))
            for item in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return value
    raise too_deep


def _parse(data: bytes) -> Any:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Fault(
            f"model.json must be text in UTF-8; byte {error.start} is none"
        ) from None
    return strict_json(text, "model.json")


def _read_files(listed: Any) -> dict[str, Stamp]:
    if not isinstance(listed, dict):
        raise broken("files", "be an object", listed)
    files = {}
    for name, entry in listed.items():
        place = f"files.{name:.60}"
        if not isinstance(entry, dict) or set(entry) != {"bytes", "sha256"}:
            raise broken(place, "hold `bytes` and `sha256`", entry)
        n_bytes, sha256 = entry["bytes"], entry["sha256"]
        if type(n_bytes) is not int or n_bytes < 0:
            raise broken(f"{place}.bytes", "be a length", n_bytes)
        if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
            raise broken(f"{place}.sha256", "be 64 hexadecimal digits", sha256)
        files[name] = Stamp(n_bytes, sha256)
    return files
