"""Labels in cells: one, or several that are split, or refused with what to pass."""

import json

import numpy as np
import pytest

from cftlearn.datasets._label_cells import labels_of_cells, parsed_list


def labels_of(cells, separator=None, categories=None):
    return labels_of_cells(cells, separator, categories, lambda cell: f"cell {cell!r}")


@pytest.mark.parametrize("separator", ["|", ";", ",", " / ", "||"])
def test_cells_are_split(separator):
    cell = separator.join(["a", " b", "", "a"]) + separator
    found = labels_of([cell, "c", ""], separator)
    assert found == {cell: ["a", "b", "a"], "c": ["c"], "": []}


@pytest.mark.parametrize(
    "labels",
    [
        [],
        ["a"],
        ["Edema", "Mass"],
        ["it's", 'say "a"', "a\\b"],
        ["a, b", "[c]"],
        ["é", "日本"],
        [" pleural effusion", ""],
    ],
)
def test_lists_are_read_as_python_json_and_numpy_write_them(labels):
    assert parsed_list(repr(labels)) == labels
    assert parsed_list(json.dumps(labels)) == labels
    assert parsed_list(str(np.array(labels, dtype=str))) == labels


def test_other_forms_of_lists():
    for cell in ("('a', 'b')", "{'a', 'b'}", "[a, b]", '["a" "b"]', "['a', 'b',]"):
        assert parsed_list(cell) == ["a", "b"]
    for cell in ("()", "{}", "[ ]", "[nan]"):
        assert parsed_list(cell) == []


def test_nan_in_a_list_is_no_label():
    assert parsed_list("['a', nan, None]") == ["a"]
    found = labels_of(["['a', 'nan', '']", "nan", "[]"], "list")
    assert found == {"['a', 'nan', '']": ["a"], "nan": [], "[]": []}


@pytest.mark.parametrize(
    "cell",
    ["", "a", "['a'", "['a' 'b", "[['a']]", "['a', 1]", "['a',, 'b']", "[" * 9],
)
def test_other_texts_are_no_lists(cell):
    assert parsed_list(cell) is None


def test_a_long_list_takes_linear_time():
    assert len(parsed_list("[" + "'a', " * 200_000 + "]")) == 200_000
    assert parsed_list("['" + "\\'" * 200_000) is None
    assert parsed_list("[" + " " * 200_000 + "x]") == ["x"]


@pytest.mark.parametrize(
    ("cells", "passed"),
    [
        (["a|b", "a"], "'|'"),
        (["a|b", "b|c"], "'|'"),
        (["a;b", "b"], "';'"),
        (["a, b", "a", "b"], "','"),
        (["['a']"], "'list'"),
        (['["a", "b"]'], "'list'"),
        (["('a', 'b')"], "'list'"),
        (["{'a', 'b'}"], "'list'"),
        (["[a, b]"], "'list'"),
        (["a,b", "b"], "','"),
        (["a/b", "a", "b"], "'/'"),
        (["a + b", "a", "b"], "'+'"),
        (["a|B", "b"], "'|'"),
        (["a\nb", "b"], r"'\n'"),
        (["a b", "b", "a"], "' '"),
        (["c  a  B", "b", "a", "c"], "' '"),
    ],
)
def test_cells_of_several_labels_are_refused_with_the_remedy(cells, passed):
    with pytest.raises(ValueError, match=r"^`label_separator` must be given") as caught:
        labels_of(cells)
    assert f"label_separator={passed}" in str(caught.value)
    if "B" not in cells[0]:
        labels_of(cells, passed.strip("'").replace("\\n", "\n"))
    assert labels_of(cells, None, cells) == {cell: [cell] for cell in cells}


@pytest.mark.parametrize(
    "cells",
    [
        ["a|b", "c|d"],
        ["apple, red", "pear"],
        ["a, b", "a"],
        ["x;", "y"],
        ["|"],
        ["a/b", "a"],
        ["lung opacity", "lung", "skin opacity", "skin lesion", "lung lesion"],
    ],
)
def test_names_with_such_characters_stay_names(cells):
    assert labels_of(cells) == {cell: [cell] for cell in cells}


def test_a_separator_says_that_blanks_are_in_names():
    cells = ["water bottle|water", "bottle"]
    assert labels_of(cells, "|")[cells[0]] == ["water bottle", "water"]


def test_parts_that_categories_name_are_labels_too():
    with pytest.raises(ValueError, match=r"label_separator='|'"):
        labels_of(["a|b"], None, ["b"])


def test_missing_cells_are_labels_only_if_named():
    cells = ["None", "nan", "NA", ""]
    assert labels_of(cells) == {cell: [] for cell in cells}
    assert labels_of(["None", "Na"], None, ["None"]) == {"None": ["None"], "Na": ["Na"]}
    assert labels_of(["a|None"], "|", ["a", "None"]) == {"a|None": ["a", "None"]}


def test_two_spellings_are_refused_unless_both_are_named():
    with pytest.raises(
        ValueError, match="in one way; got 'Edema' in cell 'Edema', and"
    ):
        labels_of(["Edema", "edema"])
    with pytest.raises(ValueError, match=r"in one way; got 'x2' .* and 'x\\xb2' in"):
        labels_of(["x2", "x²"])
    with pytest.raises(ValueError, match="as `categories` does; got 'edema' in cell"):
        labels_of(["edema"], None, ["Edema"])
    assert len(labels_of(["Edema", "edema"], None, ["Edema", "edema"])) == 2
