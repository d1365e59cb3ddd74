"""The text of model.json: not one bit of it may change, and it stays small."""

import hashlib
import json

import pytest

from cftlearn.persistence._document import (
    MOST_BYTES,
    Stamp,
    read_document,
    strict_json,
    write_document,
)
from cftlearn.persistence._faults import Fault, NewerFormat

MODEL = {"class": "CFTClassifier", "params": {"n_jobs": None, "tol": 0.1}, "name": "é"}
FILES = {"arrays.safetensors": Stamp(3, hashlib.sha256(b"abc").hexdigest())}


@pytest.fixture
def data():
    return write_document(MODEL, FILES, "1.2")


def test_a_round_trip(data):
    document = read_document(data)
    assert (document.format, document.model, document.files) == (2, MODEL, FILES)
    assert json.loads(data)["cftlearn"] == "1.2"


def test_no_bit_may_change(data):
    for place in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[place] ^= 1 << bit
            with pytest.raises(Fault):
                read_document(bytes(changed))


def test_no_byte_may_be_missing_or_too_many(data):
    for place in range(len(data)):
        for changed in (data[:place] + data[place + 1 :], data[:place]):
            with pytest.raises(Fault):
                read_document(changed)
        with pytest.raises(Fault):
            read_document(data[:place] + b" " + data[place:])


@pytest.mark.parametrize("indent", [None, 0, 2])
def test_a_document_that_was_written_anew(data, indent):
    text = json.dumps(json.loads(data), indent=indent).encode()
    with pytest.raises(Fault, match="nobody has edited or written anew"):
        read_document(text)


def old(**changes):
    return json.dumps({"format": 1, "cftlearn": "0", "model": MODEL} | changes).encode()


def test_the_first_format_has_no_digest():
    document = read_document(old())
    assert (document.format, document.model, document.files) == (1, MODEL, None)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"format": True}, "be 1 or 2; got True"),
        ({"format": 1.0}, "be 1 or 2; got 1.0"),
        ({"format": 0}, "be 1 or 2; got 0"),
        ({"format": None}, "be 1 or 2; got None"),
        ({"files": {}}, "must hold cftlearn, format, model; got"),
        ({"digest": ""}, "must hold cftlearn, format, model; got"),
        ({"cftlearn": 1}, "be the text of a version; got 1"),
        ({"model": []}, r"`model` in model\.json must be an object; got \[\]"),
    ],
)
def test_other_documents(changes, match):
    with pytest.raises(Fault, match=match):
        read_document(old(**changes))


def test_a_newer_format():
    with pytest.raises(NewerFormat, match=r"has format 3; .* Upgrade cftlearn"):
        read_document(old(format=3))


@pytest.mark.parametrize(
    ("entry", "match"),
    [
        (7, "hold `bytes` and `sha256`"),
        ({"bytes": 3}, "hold `bytes` and `sha256`"),
        ({"bytes": True, "sha256": "0" * 64}, "be a length; got True"),
        ({"bytes": -1, "sha256": "0" * 64}, "be a length; got -1"),
        ({"bytes": 1, "sha256": "0" * 63}, "be 64 hexadecimal digits"),
        ({"bytes": 1, "sha256": 7}, "be 64 hexadecimal digits"),
    ],
)
def test_entries_of_files(data, entry, match):
    document = json.loads(data) | {"files": {"a": entry}, "digest": "0" * 64}
    text = json.dumps(document, indent=1)
    digest = hashlib.sha256(text.encode()).hexdigest()
    with pytest.raises(Fault, match=match):
        read_document(text.replace("0" * 64, digest, 1).encode())


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ('{"a": 1, "a": 2}', "name everything once; got 'a' twice"),
        ("[NaN]", "finite numbers; got 'NaN'"),
        ("[-Infinity]", "finite numbers; got '-Infinity'"),
        ("[1e999]", "finite numbers; got '1e999'"),
        ("[" * 101 + "]" * 101, "at most 100 levels deep"),
        ("[" * 10**6, "at most 100 levels deep"),
        ("9" * 5000, "hold short numbers"),
        ("[1,", "must be JSON; got something else in line 1, column"),
    ],
)
def test_json_that_is_refused(text, match):
    with pytest.raises(Fault, match=match):
        strict_json(text, "a.json")


def test_json_of_a_hundred_levels():
    assert strict_json("[" * 100 + "]" * 100, "a.json") is not None


def test_a_document_that_could_not_be_read_is_not_written():
    with pytest.raises(ValueError, match=r"must fit into 67108864 bytes of text"):
        write_document({"names": "x" * MOST_BYTES}, {}, "1")
