"""Reading JSON in a window equals reading it whole, wherever the window ends."""

import json
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cftlearn.datasets import _json_members
from cftlearn.datasets._json_members import read_members

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=12,
)


def members(path, names=("images",)):
    found = {name: [] for name in names}
    handlers = {
        name: lambda index, item, items=items: items.append((index, item))
        for name, items in found.items()
    }
    return read_members(path, handlers), found


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    content=st.dictionaries(st.text(max_size=3), values, max_size=3),
    images=st.lists(values, max_size=5),
    indent=st.sampled_from([None, 2]),
    ascii_only=st.booleans(),
    block=st.integers(1, 40),
)
def test_items_are_those_of_json_loads(
    tmp_path, monkeypatch, content, images, indent, ascii_only, block
):
    content["images"] = images
    text = json.dumps(content, indent=indent, ensure_ascii=ascii_only)
    path = tmp_path / "labels.json"
    path.write_bytes(text.encode())
    monkeypatch.setattr(_json_members, "_BLOCK", block)
    names, found = members(path)
    assert names == set(content)
    assert found["images"] == list(enumerate(images))


@pytest.mark.parametrize("block", range(1, 20))
@pytest.mark.parametrize("number", ["0.5", "12.25", "1e3", "-2.5E-7", "640"])
def test_a_number_may_go_on_behind_any_block(tmp_path, monkeypatch, number, block):
    path = tmp_path / "labels.json"
    path.write_text(f'{{"area": {number}, "images": [{number}, {number}]}}')
    monkeypatch.setattr(_json_members, "_BLOCK", block)
    assert members(path)[1]["images"] == [(0, float(number)), (1, float(number))]


@pytest.mark.parametrize(
    "cut", range(1, len('{"a": {"b": "c"}, "images": [{"id": 12}, 3]}'))
)
def test_every_cut_is_an_error(tmp_path, cut):
    whole = '{"a": {"b": "c"}, "images": [{"id": 12}, 3]}'
    path = tmp_path / "labels.json"
    path.write_text(whole[:cut])
    with pytest.raises(ValueError, match="get it again"):
        members(path)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("[]", r"an object, which starts with '\{' at character 0; got '\[\]'"),
        ('{"images": {}}', "a list as the value of 'images' at character 11"),
        ('{"images": [1 2]}', r"',' or '\]' at character 14; got '2\]\}'"),
        ('{"images": [1,]}', "with JSON .Expecting value. at character 14"),
        ('{"images": [{1: 2}]}', "property name enclosed in double quotes"),
        ("{'images': []}", "the name of a member in double quotes at character 1"),
        ('{"images" []}', "with ':' at character 10"),
        ('{"images": []} more', "nothing after the object at character 15"),
        ('{"images": [], "images": []}', "one member 'images'; this is the second"),
        ('{"images": [' + "[" * 100_000, "recursion|nested"),
        (
            '{"images": [' + "9" * 5000 + "]}",
            "that can be read; got a number of too many digits",
        ),
    ],
)
def test_what_is_not_json_of_this_form_is_refused(tmp_path, text, match):
    path = tmp_path / "labels.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=match):
        members(path)


def test_text_must_be_utf_8(tmp_path):
    path = tmp_path / "labels.json"
    path.write_bytes('{"é": []}'.encode("latin-1"))
    with pytest.raises(
        ValueError, match=r"must be text in utf-8; got the byte 0xe9 in .*, line 1"
    ):
        members(path)


def test_memory_does_not_grow_with_the_file(tmp_path):
    path = tmp_path / "labels.json"
    item = json.dumps({"segmentation": "0" * 1400})
    path.write_text('{"skipped": [' + ", ".join([item] * 8000) + '], "images": []}')
    tracemalloc.start()
    try:
        members(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert path.stat().st_size > 10e6
    assert peak < 6e6
