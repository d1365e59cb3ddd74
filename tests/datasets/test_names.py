"""One rule of names: blanks, hidden characters, missing cells, and what is one name."""

import unicodedata

import pytest

from cftlearn.datasets._names import (
    as_name,
    as_path_name,
    combined_name,
    first_pair,
    hidden_character,
    is_missing,
    label_key,
    name_key,
    path_key,
    refuse_alike,
    shown,
    shown_apart,
)

TWO_FORMS = "é", "e\u0301"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (" cat\t", "cat"),
        ("\u00a0cat\u3000", "cat"),
        ("Follow-up\r\n#", "Follow-up #"),
        (TWO_FORMS[1], TWO_FORMS[0]),
        ("ab\u200ccd", "ab\u200ccd"),  # as inside words of Persian
        ("Na", "Na"),
        ("none", "none"),
        ("N/A", "N/A"),
    ],
)
def test_names_are_read_without_blanks_and_in_one_form(text, name):
    assert as_name(text, "a category", "line 1") == name


@pytest.mark.parametrize("text", ["", "  ", "\u00a0", "nan", "NaN", " <NA>", "#N/A"])
def test_what_names_nothing_is_refused(text):
    with pytest.raises(
        ValueError, match=r"^`f` must name a category; got .* at line 1"
    ):
        as_name(text, "a category", "line 1", "f")


@pytest.mark.parametrize(
    ("text", "called"),
    [
        ("a\0b", r"U\+0000 \(a control character\)"),
        ("a\x1b[31m", r"U\+001B"),
        ("a\u200bb", r"U\+200B \(ZERO WIDTH SPACE\)"),
        ("\ufeffa", r"U\+FEFF \(ZERO WIDTH NO-BREAK SPACE\)"),
        ("a\u202eb", r"U\+202E \(RIGHT-TO-LEFT OVERRIDE\)"),
        ("a\u200d", r"U\+200D \(ZERO WIDTH JOINER\)"),
        ("a\ud800", r"U\+D800"),
        ("a\u2028b", r"U\+2028 \(LINE SEPARATOR\)"),
        ("a\u00adb", r"U\+00AD \(SOFT HYPHEN\)"),
    ],
)
def test_characters_that_nobody_sees_are_refused(text, called):
    with pytest.raises(ValueError, match=rf"nobody sees; got {called}.* at line 1\."):
        as_name(text, "a category", "line 1")
    with pytest.raises(ValueError, match=called):
        as_path_name(text, "an image", "line 1")


def test_other_characters_are_seen():
    for text in ("é", "日本", "a b", "a\u00a0b", "x²", "\ue000", "a\u200cb"):
        assert hidden_character(text) is None


def test_paths_keep_their_form_because_files_are_found_by_it():
    for text in TWO_FORMS:
        assert as_path_name(f" {text} ", "an image", "") == text
    assert path_key(TWO_FORMS[0]) == path_key(TWO_FORMS[1])


def test_cells_that_are_missing():
    for cell in ("", "nan", "NaN", "NA", "na", "N/A", "<NA>", "None", "NULL", "#N/A"):
        assert is_missing(cell), cell
    for cell in ("Na", "No", "0", "nano", "-"):
        assert not is_missing(cell), cell


@pytest.mark.parametrize(
    ("one", "other"),
    [
        TWO_FORMS,
        ("a  b", "a b"),
        ("a\u00a0b", "a b"),
        ("H₂O", "H2O"),
        ("\uff21", "A"),  # of full width
        ("a\u200db", "ab"),
    ],
)
def test_what_looks_the_same_is_one_name(one, other):
    assert name_key(one) == name_key(other)
    assert label_key(one.upper()) == label_key(other.lower())
    texts = shown_apart(one, other)
    assert texts[0] != texts[1]
    assert "".join(texts).isascii()


def test_capitals_make_another_name_but_not_another_label():
    assert name_key("Cat") != name_key("cat")
    assert label_key("Cat") == label_key("cat")


def test_paths_of_one_file_are_one():
    for path in ("a/b.png", "./a/b.png", "a//b.png", "a\\b.png", "a/x/../b.png"):
        assert path_key(path) == "a/b.png"
    assert path_key("a/B.png") != path_key("a/b.png")


def test_the_first_pair_is_found():
    assert first_pair(["a", "b", "c", "b", "a"], name_key) == (1, 3)
    assert first_pair(iter("abc"), name_key) is None
    refuse_alike(["a", "b"], "category", "here")
    with pytest.raises(ValueError, match=r"got 'b' twice as numbers 2 and 3 of here"):
        refuse_alike(["a", "b", "b"], "category", "here")
    with pytest.raises(ValueError, match="differ only in their spelling, as numbers 1"):
        refuse_alike(["x2", "x²"], "category", "here")


def test_names_that_join_others():
    assert combined_name(["a", "b", "a|b"]) == "a|b"
    assert combined_name(["a", "b", "b ; a"]) == "b ; a"
    assert combined_name(["a", "a|b", "a,b", "b c"]) is None


def test_values_in_errors_are_short():
    assert shown("a" * 80) == f"'{'a' * 80}'"
    assert shown("a" * 10**7) == f"'{'a' * 80}'..."
    nested: list = []
    for _ in range(10**5):
        nested = [nested]
    for value in (nested, list(range(10**6)), {"a": "b" * 10**6}, 10**4000):
        assert len(shown(value)) < 200
    assert unicodedata.normalize("NFC", TWO_FORMS[1]) == TWO_FORMS[0]
