"""Ways to damage the files of a saved model, by chance and on purpose.

A mutation takes the files of a model, those of another model of the same kind and a
generator of random numbers, and returns new files. Those in ``SIGNED`` get digests that
are right again, so that what is behind the digests is tried too.
"""

import hashlib
import io
import json
import os
import pickle
import random
import socket
import struct
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Content = bytes | Callable[[Path], object]  # or what makes something else of its path
Files = dict[str, Content]
Mutation = Callable[[Files, Files, random.Random], Files]

NO_DIGEST = "0" * 64
_VALUES: list[Any] = [
    None,
    True,
    False,
    -1,
    0,
    1,
    2,
    2.0,
    -0.5,
    5.0,
    1e300,
    10**9,
    10**25,
    "",
    "1",
    "GeneticSolver",
    "CFTEnsemble",
    "x" * 5000,
    [],
    {},
    [[]],
    [None, "a", 1],
    {"array": "coef_"},
    {"tuple": [1, 2]},
    {"class": "ImageTransform", "params": {}},
    {"class": "CategoryWiseFineTuner", "params": {"solver": "ga"}},
    {"dtype": "<U500000000", "values": ["a", "b"]},
    {"dtype": "<f8", "values": [1.5, 2.5]},
    {"dtype": "|O", "values": ["a", "a"]},
]


def sign(files: Files, prefix: str = "", document: Any = None) -> None:
    """Write digests that are right into ``model.json``, and into those of members."""
    name = f"{prefix}model.json"
    numbers = {
        key.removeprefix(f"{prefix}members/").split("/")[0]
        for key in files
        if key.startswith(f"{prefix}members/")
    }
    for number in numbers:
        if f"{prefix}members/{number}/model.json" in files:
            sign(files, f"{prefix}members/{number}/")
    if document is None:
        try:
            document = json.loads(files[name])  # type: ignore[arg-type]
        except (KeyError, TypeError, ValueError):
            return
    if not isinstance(document, dict) or document.get("format") != 2:
        files[name] = json.dumps(document, indent=1).encode()
        return
    if isinstance(document.get("files"), dict):
        document["files"] = {
            key.removeprefix(prefix): {
                "bytes": len(data),
                "sha256": hashlib.sha256(data).hexdigest(),
            }
            for key, data in sorted(files.items())
            if key.startswith(prefix) and key != name and isinstance(data, bytes)
        }
    head = {"format": document.pop("format"), "digest": NO_DIGEST}
    text = json.dumps(head | {**document, "digest": NO_DIGEST}, indent=1)
    digest = hashlib.sha256(text.encode()).hexdigest()
    files[name] = text.replace(NO_DIGEST, digest, 1).encode()


def _one(files: Files, rng: random.Random, ending: str = "") -> str:
    fitting = sorted(name for name in files if name.endswith(ending))
    return rng.choice(fitting or sorted(files))


def _with(files: Files, name: str, content: Content) -> Files:
    return {**files, name: content}


def _bytes_of(files: Files, name: str) -> bytes:
    content = files[name]
    return content if isinstance(content, bytes) else b""


# ------------------------------------------------------------------- bytes and files
def flip_bit(files: Files, other: Files, rng: random.Random) -> Files:
    name = _one(files, rng)
    data = bytearray(_bytes_of(files, name))
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return _with(files, name, bytes(data))


def change_bytes(files: Files, other: Files, rng: random.Random) -> Files:
    name = _one(files, rng)
    data = bytearray(_bytes_of(files, name))
    for _ in range(rng.randint(1, 8)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return _with(files, name, bytes(data))


def cut(files: Files, other: Files, rng: random.Random) -> Files:
    name = _one(files, rng)
    data = _bytes_of(files, name)
    return _with(files, name, data[: rng.randrange(len(data))])


def insert(files: Files, other: Files, rng: random.Random) -> Files:
    name = _one(files, rng)
    data = _bytes_of(files, name)
    place = rng.randrange(len(data) + 1)
    return _with(
        files, name, data[:place] + rng.randbytes(rng.randint(1, 9)) + data[place:]
    )


def repeat_block(files: Files, other: Files, rng: random.Random) -> Files:
    name = _one(files, rng)
    data = _bytes_of(files, name)
    start, end = sorted(rng.randrange(len(data)) for _ in range(2))
    return _with(files, name, data[:end] + data[start:])


def zero_block(files: Files, other: Files, rng: random.Random) -> Files:
    name = _one(files, rng)
    data = bytearray(_bytes_of(files, name))
    start = rng.randrange(len(data))
    end = min(start + rng.randint(1, 512), len(data))
    data[start:end] = bytes(end - start)
    return _with(files, name, bytes(data))


def swap_files(files: Files, other: Files, rng: random.Random) -> Files:
    one, two = _one(files, rng), _one(files, rng)
    return files | {one: files[two], two: files[one]}


def take_from_other(files: Files, other: Files, rng: random.Random) -> Files:
    name = _one(files, rng)
    return _with(files, name, other.get(name, b""))


def delete_file(files: Files, other: Files, rng: random.Random) -> Files:
    name = _one(files, rng)
    return {key: data for key, data in files.items() if key != name}


def empty_file(files: Files, other: Files, rng: random.Random) -> Files:
    return _with(files, _one(files, rng), b"")


def reformat(files: Files, other: Files, rng: random.Random) -> Files:
    name = _one(files, rng, "model.json")
    document = json.loads(_bytes_of(files, name))
    text = json.dumps(document, indent=rng.choice([None, 2, 4]))
    return _with(files, name, text.encode(rng.choice(["utf-8", "utf-16", "utf-32"])))


# ---------------------------------------------------------------- what is no file
def _make_pipe(path: Path) -> None:
    os.mkfifo(path)


def _make_folder(path: Path) -> None:
    path.mkdir()


def _make_socket(path: Path) -> None:
    if len(str(path)) < 100:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(path))


def _link_to(target: str) -> Content:
    return lambda path: path.symlink_to(target)


def _make_sparse(n_bytes: int) -> Content:
    def make(path: Path) -> None:
        with path.open("wb") as file:
            file.truncate(n_bytes)

    return make


def no_file(files: Files, other: Files, rng: random.Random) -> Files:
    name = _one(files, rng)
    kinds = [
        _make_pipe,
        _make_folder,
        _make_socket,
        _link_to("/"),
        _link_to("/dev/zero"),
        _link_to(Path(name).name),  # to itself
        _link_to("/proc/self/mem"),
        _link_to("nowhere"),
        _make_sparse(2**40),
    ]
    return _with(files, name, rng.choice(kinds))


def no_folder(files: Files, other: Files, rng: random.Random) -> Files:
    folders = sorted({name.split("/")[0] for name in files if "/" in name})
    folders += sorted(
        {"/".join(name.split("/")[:2]) for name in files if name.count("/") > 1}
    )
    if not folders:
        return no_file(files, other, rng)
    folder = rng.choice(folders)
    rest = {key: data for key, data in files.items() if not key.startswith(folder)}
    kinds = [_make_pipe, _link_to("/"), _link_to(".."), _link_to("."), b"a file"]
    return _with(rest, folder, rng.choice(kinds))


# --------------------------------------------------------------------- model.json
def _nodes(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    if isinstance(value, dict):
        for key, item in value.items():
            found += _nodes(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found += _nodes(item, (*path, index))
    return found


def _edit(document: Any, rng: random.Random) -> None:
    """Change one value of a document, wherever it stands."""
    paths = _nodes(document)
    if not paths:
        return
    *parents, last = rng.choice(paths)
    node = _at(document, parents)
    value, action = node[last], rng.randrange(7)
    if action == 0:
        del node[last]
    elif action == 1 and isinstance(node, list):
        node.append(value)
    elif action == 2 and isinstance(value, list):
        rng.shuffle(value)
    elif action == 3 and isinstance(value, dict) and value:
        key = rng.choice(sorted(value))
        value[key + rng.choice(["", "_", "x"])] = value.pop(key)
    elif action == 4 and isinstance(value, (int, float)):
        node[last] = value + rng.choice([-1, 1, 0.5, 1000])
    else:  # what stands elsewhere, or nowhere
        found = _at(document, rng.choice(paths)) if action == 5 else rng.choice(_VALUES)
        node[last] = json.loads(json.dumps(found))


def _at(document: Any, path: Iterable[Any]) -> Any:
    for key in path:
        document = document[key]
    return document


def edit_json(files: Files, other: Files, rng: random.Random) -> Files:
    name = _one(files, rng, "model.json")
    document = json.loads(_bytes_of(files, name))
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        _edit(document, rng)
    return _with(files, name, json.dumps(document, indent=1).encode())


def edit_model(files: Files, other: Files, rng: random.Random) -> Files:
    """Edit what the document says of the model alone, which the digest covers."""
    name = _one(files, rng, "model.json")
    document = json.loads(_bytes_of(files, name))
    for _ in range(rng.choice([1, 1, 1, 2])):
        _edit(document.get("model"), rng)
    return _with(files, name, json.dumps(document, indent=1).encode())


def bomb_json(files: Files, other: Files, rng: random.Random) -> Files:
    name = _one(files, rng, "model.json")
    data = _bytes_of(files, name)
    depth = rng.choice([90, 200, 1000, 100_000])
    key = rng.choice([b'"params": {', b'"model": {'])
    deep = b'"deep": ' + b"[" * depth + b"]" * depth + b", "
    bombs = [
        data.replace(key, key + deep, 1),
        data.replace(key, key + b'"n": ' + b"9" * 10**4 + b", ", 1),
        data.replace(key, key + b'"n": 1e999, ', 1),
        data.replace(key, key + b'"n": NaN, ', 1),
        data.replace(key, key + b'"class": "X", ', 1),  # a name twice
        data.replace(b'"|O"', b'"<U500000000"', 1),
        data.replace(b'"<i8"', b'"<U500000000"', 1),
        data.replace(b'"<i8"', b'"(1000000000,)i8"', 1),
        b"[" * depth + b"]" * depth,
    ]
    files = _with(files, name, rng.choice(bombs))
    _sign_text(files, name)
    return files


def _sign_text(files: Files, name: str) -> None:
    """Write the digest of a text as it is, which JSON may not be able to read."""
    head = b'{\n "format": 2,\n "digest": "'
    data = _bytes_of(files, name)
    if data.startswith(head):
        rest = data[len(head) + 64 :]
        bare = head + NO_DIGEST.encode() + rest
        digest = hashlib.sha256(bare).hexdigest().encode()
        files[name] = head + digest + rest


# -------------------------------------------------------------- arrays.safetensors
def _header_of(data: bytes) -> tuple[dict[str, Any], bytes]:
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def _with_header(header: Any, rest: bytes) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + rest


def edit_arrays(files: Files, other: Files, rng: random.Random) -> Files:
    name = _one(files, rng, "safetensors")
    header, rest = _header_of(_bytes_of(files, name))
    key = rng.choice(sorted(header))
    entry = header[key]
    action = rng.randrange(9)
    if action == 0:
        types = ["F64", "I64", "U64", "F32", "I8", "BF16", "F8_E4M3", "BOOL", "C64", 1]
        entry["dtype"] = rng.choice(types)
    elif action == 1:
        rng.shuffle(entry["shape"])
    elif action == 2:
        entry["shape"] = rng.choice([[], [1], [10**12], [-1], [0], [2**63, 2], "x"])
    elif action == 3:
        entry["data_offsets"] = rng.choice([[0, 8], [8, 0], [0, 2**60], [0], None])
    elif action == 4:
        header[key + "x"] = header.pop(key)
    elif action == 5:
        twin = rng.choice(sorted(header))
        header[key], header[twin] = header[twin], header[key]
    elif action == 6:
        header[key] = rng.choice(_VALUES)
    elif action == 7:
        header["__metadata__"] = rng.choice([{"a": "b"}, {"a": 1}, [], 7])
    else:  # other numbers
        item = rng.choice([float("nan"), float("inf"), -1.0, 0.0, 1e308, 5.0])
        place = 8 * rng.randrange(max(len(rest) // 8, 1))
        rest = rest[:place] + struct.pack("<d", item) + rest[place + 8 :]
    return _with(files, name, _with_header(header, rest))


# ------------------------------------------------------------------------ network.pt
class _Touch:
    def __reduce__(self) -> Any:
        return os.mkdir, ("executed",)


Records = dict[str, bytes]


def _edit_listed(listed: bytes, rng: random.Random) -> bytes:
    """Change the list of tensors: bytes, lengths, or all of it."""
    data = bytearray(listed)
    action = rng.randrange(3)
    if action == 0:
        for _ in range(rng.randint(1, 3)):
            data[rng.randrange(len(data))] = rng.randrange(256)
    elif action == 1:  # lengths of tensors, strides and storages
        places = [i for i, byte in enumerate(data[:-1]) if byte == pickle.BININT1[0]]
        place = rng.choice(places) + 1
        data[place] = rng.choice([0, 1, 255, (data[place] + 1) % 256])
    else:
        big = pickle.LONG_BINPUT + struct.pack("<I", 2**31 - 1)
        huge = b"cbuiltins\nbytearray\n(I10000000000\ntR."
        return rng.choice([pickle.dumps(_Touch()), huge, listed[:-1] + big + b"."])
    return bytes(data)


def _edit_records(records: Records, rng: random.Random) -> int:
    """Change the records of an archive; return how it is to be compressed."""
    key, one = rng.choice(sorted(records)), rng.choice(sorted(records))
    listed = next(name for name in records if name.endswith("data.pkl"))
    action = rng.randrange(9)
    if action == 0:
        return zipfile.ZIP_DEFLATED
    if action == 1:
        records[key] = bytes(10**8)
        return zipfile.ZIP_DEFLATED
    if action == 2:
        del records[key]
    elif action == 3:
        records[key] = records[key][: rng.randrange(len(records[key]) + 1)]
    elif action == 4:
        records[key] += bytes(rng.randint(1, 100))
    elif action == 5:
        records[key], records[one] = records[one], records[key]
    else:
        records[listed] = _edit_listed(records[listed], rng)
    return zipfile.ZIP_STORED


def edit_network(files: Files, other: Files, rng: random.Random) -> Files:
    name = _one(files, rng, "network.pt")
    if not name.endswith("network.pt"):
        return edit_arrays(files, other, rng)
    with zipfile.ZipFile(io.BytesIO(_bytes_of(files, name))) as archive:
        records = {key: archive.read(key) for key in archive.namelist()}
    compression = _edit_records(records, rng)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", compression) as archive:
        for key, data in records.items():
            archive.writestr(key, data)
    return _with(files, name, made.getvalue())


UNSIGNED: dict[str, Mutation] = {
    function.__name__: function
    for function in (
        flip_bit,
        change_bytes,
        cut,
        insert,
        repeat_block,
        zero_block,
        swap_files,
        take_from_other,
        delete_file,
        empty_file,
        reformat,
        no_file,
        no_folder,
        edit_json,
        bomb_json,
    )
}
SIGNED: dict[str, Mutation] = {
    function.__name__: function
    for function in (
        edit_json,
        edit_model,
        edit_arrays,
        edit_network,
        change_bytes,
        cut,
        swap_files,
        take_from_other,
        delete_file,
        bomb_json,
    )
}
