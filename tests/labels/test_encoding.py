"""The encoding of ``y``: each accepted form, each refusal and its words, policies."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.testing import assert_array_equal
from optional import optional
from scipy import sparse

from cftlearn.labels import (
    PartialLabels,
    check_partial_labels,
    encode_binary_labels,
    known_mask,
    label_summary,
    resolve_labels,
)
from cftlearn.labels._encoding import is_one_dimensional

pd = optional("pandas")

NAN = np.nan
EXPECTED = np.array([[1.0, 0.0], [NAN, 1.0], [0.0, NAN]])
CELLS = [[1, 0], [None, 1], [0, None]]


def frame(a="float64", b="float64"):
    """Hold EXPECTED in two columns of the given types."""
    return pd.DataFrame(
        {
            "a": pd.Series([1, None, 0], dtype=a),
            "b": pd.Series([0, 1, None], dtype=b),
        }
    )


def as_int(dtype):
    return np.nan_to_num(EXPECTED, nan=-1.0).astype(dtype)


ACCEPTED = {
    "float64": EXPECTED,
    "float32": EXPECTED.astype(np.float32),
    "float16": EXPECTED.astype(np.float16),
    "big-endian": EXPECTED.astype(">f8"),
    "Fortran order": np.asfortranarray(EXPECTED),
    "int64 with -1": as_int(np.int64),
    "int8 with -1": as_int(np.int8),
    "list of float": EXPECTED.tolist(),
    "list with None": CELLS,
    "tuple with None": tuple(map(tuple, CELLS)),
    "list of int with -1": as_int(np.int64).tolist(),
    "object with None": np.array(CELLS, dtype=object),
    "object with NaN": EXPECTED.astype(object),
    "object with NA": np.array([[1, 0], [pd.NA, 1], [0, pd.NA]], dtype=object),
    "object with bool": np.array(
        [[True, False], [None, np.True_], [np.int8(0), NAN]], dtype=object
    ),
    "frame of float": frame(),
    "frame of Int8": frame("Int8", "Int8"),
    "frame of boolean": frame("boolean", "boolean"),
    "frame of Float32": frame("Float32", "Float32"),
    "frame of object": frame("object", "object"),
    "frame of categories": frame("category", "category"),
    "frame of all sorts": frame("Int8", "object"),
    "frame of Int8 and float": frame("Int8", "float32"),
    "frame of sparse columns": frame().astype(pd.SparseDtype("float64")),
    "tensor of float": torch.tensor(EXPECTED),
    "tensor of int with -1": torch.tensor(as_int(np.int16)),
}


@pytest.mark.parametrize("y", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_every_accepted_form_becomes_the_same_labels(y):
    labels = check_partial_labels(y)
    assert isinstance(labels, PartialLabels)
    assert labels.values.dtype == np.float64
    assert labels.known.dtype == np.bool_
    assert_array_equal(labels.values, EXPECTED)
    assert_array_equal(labels.known, ~np.isnan(EXPECTED))
    expected_names = ["a", "b"] if isinstance(y, pd.DataFrame) else ["0", "1"]
    assert labels.categories.tolist() == expected_names
    assert_array_equal(known_mask(y), labels.known)


COMPLETE = np.array([[1.0, 0.0], [0.0, 1.0]])


@pytest.mark.parametrize(
    "y",
    [
        COMPLETE.astype(bool),
        COMPLETE.astype(np.uint8),
        COMPLETE.astype(bool).tolist(),
        pd.DataFrame(COMPLETE.astype(bool)),
        pd.DataFrame({"a": [1, 0], "b": [False, True]}),
        torch.tensor(COMPLETE, dtype=torch.bool),
    ],
    ids=["bool", "uint8", "list of bool", "bool frame", "int and bool", "bool tensor"],
)
def test_forms_without_an_unknown_mark_are_all_known(y):
    labels = check_partial_labels(y)
    assert_array_equal(labels.values, COMPLETE)
    assert labels.known.all()


def test_negative_zero_is_negative():
    assert check_partial_labels([[-0.0, 1.0]]).known.all()


@pytest.mark.parametrize(
    "y",
    [EXPECTED, as_int(np.int64), np.array(CELLS, dtype=object), COMPLETE.astype(bool)],
    ids=["float", "int", "object", "bool"],
)
def test_read_only_input_is_read_and_never_shared(y):
    y = y.copy()
    before = y.copy()
    y.flags.writeable = False
    labels = check_partial_labels(y)
    labels.values[:] = 0.5
    assert_array_equal(y, before)


@pytest.mark.parametrize("dtype", ["float64", "Int8", "object", "category"])
def test_a_frame_is_never_changed(dtype):
    y = frame(dtype, dtype)
    before = y.copy(deep=True)
    check_partial_labels(y).values[:] = 0.5
    resolve_labels(y, blank="negative")
    pd.testing.assert_frame_equal(y, before)


def test_canonical_labels_are_handed_back():
    labels = check_partial_labels(CELLS, categories=["cat", "dog"])
    assert check_partial_labels(labels) is labels


@given(
    arrays(
        np.float64,
        array_shapes(min_dims=2, max_dims=2),
        elements=st.sampled_from([1.0, 0.0, NAN]),
    )
)
def test_float_object_and_integer_tables_agree(y):
    as_object = np.where(np.isnan(y), None, y.astype(object))
    integers = np.nan_to_num(y, nan=-1).astype(np.int8)
    assert_array_equal(check_partial_labels(y).values, y)
    assert_array_equal(check_partial_labels(as_object).values, y)
    assert_array_equal(check_partial_labels(integers).values, y)


# --- refusals ---------------------------------------------------------------------

UNCERTAIN = r"cftlearn\.labels\.resolve_labels\(y, uncertain=\.\.\.\).*integer array"


@pytest.mark.parametrize(
    "y",
    [
        np.array([[0.0, 1.0], [0.0, -1.0], [1.0, -1.0]]),
        np.array([[0, 1], [0, -1], [1, -1]], dtype=object),
        [[0.0, 1], [0, -1], [1, -1]],
        pd.DataFrame({"0": [0, 0, 1], "1": [1.0, -1.0, -1.0]}),
        pd.DataFrame({"0": [0, 0, 1], "1": [1, -1, -1]}),
        pd.DataFrame({"0": [False, False, True], "1": [1, -1, -1]}),
        pd.DataFrame({"0": [0, None, 1], "1": [1, -1, -1]}, dtype="Int8"),
        pd.DataFrame({"0": [0, 0, 1], "1": [1, -1, -1]}, dtype="Int8"),
        pd.DataFrame({"0": [0, NAN, 1], "1": [1, -1, -1]}),
        pd.DataFrame({"0": [0, 0, 1], "1": pd.Categorical([1, -1, -1])}),
        torch.tensor([[0.0, 1.0], [0.0, -1.0], [1.0, -1.0]]),
    ],
    ids=[
        "float",
        "object",
        "list",
        "float column",
        "integer frame",
        "integers beside booleans",
        "Int8 with NA",
        "Int8 without NA",
        "integers beside NaN",
        "categories",
        "tensor",
    ],
)
def test_minus_one_is_refused_where_nan_could_stand(y):
    message = (
        r"`y` must hold 0 \(negative\), 1 \(positive\) or NaN \(unknown\); got -1\.0 "
        r"in category '1' \(column 1, 2 cells, first in row 1\)\. .*" + UNCERTAIN
    )
    with pytest.raises(ValueError, match=message):
        check_partial_labels(y)


def test_the_call_named_for_minus_one_works():
    y = np.array([[0.0, -1.0], [1.0, NAN]])
    assert_array_equal(resolve_labels(y, uncertain="unknown"), [[0, NAN], [1, NAN]])
    assert_array_equal(
        check_partial_labels(np.nan_to_num(y, nan=-1).astype(int)).values,
        [[0, NAN], [1, NAN]],
    )


def test_a_two_names_cross_val_predict():
    y = np.zeros((60, 4))
    y[42:59, 3] = 2
    frame = pd.DataFrame(y, columns=["Cat", "Dog", "Cow", "Edema"])
    message = re.escape(
        "`y` must hold 0 (negative), 1 (positive) or NaN (unknown); got 2.0 in "
        "category 'Edema' (column 3, 17 cells, first in row 42). If this came from "
        'cross_val_predict with method="predict_proba", scikit-learn recoded NaN as 2: '
        "use cftlearn.model_selection.cross_val_predict, or pass y with no NaN."
    )
    with pytest.raises(ValueError, match=message):
        check_partial_labels(frame)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(np.inf, "inf"), (-np.inf, "-inf"), (0.5, "0.5"), (255, "255.0"), (-2, "-2.0")],
    ids=str,
)
def test_other_numbers_are_refused(value, shown):
    place = r"in category '2' \(column 2, 1 cell, first in row 0\)\. .*np\.nan marks"
    message = rf"got {re.escape(shown)} {place}"
    with pytest.raises(ValueError, match=message):
        check_partial_labels(np.array([[0, 1, value]]))


def test_a_refusal_counts_the_other_categories():
    place = r"in category '0' \(column 0, 2 cells, first in row 0; "
    message = place + r"3 categories hold such values\)"
    with pytest.raises(ValueError, match=message):
        check_partial_labels([[3, 5, 0, 7], [3, 0, 1, 1]])


@pytest.mark.parametrize(
    "y",
    [
        pd.DataFrame({"a": [1, 0], "sex": ["1", "F"]}),
        pd.DataFrame({"a": [1, 0], "sex": pd.Categorical(["1", "F"])}),
        pd.DataFrame({"a": [1, 0], "sex": pd.Series(["1", "F"], dtype="object")}),
        pd.DataFrame({"a": [1, 0], "sex": pd.Series([None, "1"], dtype="string")}),
    ],
    ids=["strings", "categories", "object", "nullable strings"],
)
def test_text_is_refused_by_category_and_cell(y):
    message = r"got '1' of type str in category 'sex' \(column 1, row [01]\)\. Recode"
    with pytest.raises(TypeError, match=message):
        check_partial_labels(y)


@pytest.mark.parametrize(
    ("y", "shown"),
    [
        (np.array([["1", "0"]]), "'1' of type str"),
        (np.array([[b"1", b"0"]]), "b'1' of type bytes"),
        (np.array([[1j, 0]]), "1j of type complex"),
        (np.array([[np.complex128(1), 0]], dtype=object), "of type complex128"),
        (np.array([["2020-01-01"]], dtype="M8[D]"), "of type date"),
        (pd.DataFrame({"day": pd.to_datetime(["2020-01-01"])}), "of type Timestamp"),
        (np.array([[[1, 2], 0]], dtype=object), r"\[1, 2\] of type list"),
    ],
    ids=["text", "bytes", "complex", "complex cell", "dates", "date column", "list"],
)
def test_cells_that_are_no_numbers_are_refused(y, shown):
    with pytest.raises(TypeError, match=rf"must hold 0, 1 or NaN; got .*{shown}"):
        check_partial_labels(y)


def test_a_masked_array_is_refused_and_the_call_named_converts_it():
    y = np.ma.MaskedArray([[1, 0], [0, 1]], mask=[[False, True], [False, False]])
    with pytest.raises(TypeError, match=r"y\.astype\(float\)\.filled\(np\.nan\)"):
        check_partial_labels(y)
    converted = check_partial_labels(y.astype(float).filled(np.nan))
    assert_array_equal(converted.values, [[1, NAN], [0, 1]])


@pytest.mark.parametrize("form", ["csr", "csc", "coo"])
@pytest.mark.parametrize("kind", [sparse.coo_matrix, sparse.coo_array])
def test_a_sparse_table_is_refused_and_the_call_named_converts_it(kind, form):
    y = kind(np.eye(2)).asformat(form)
    with pytest.raises(TypeError, match=r"empty cells could mean.*y\.toarray\(\)"):
        check_partial_labels(y)
    assert_array_equal(check_partial_labels(y.toarray()).values, np.eye(2))


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([1, 0], r"2-D.*got 1-D with shape \(2,\)\. Use np\.reshape\(y, \(-1, 1\)\)"),
        (pd.Series([1, 0]), r"got 1-D with shape \(2,\)"),
        ([], r"got 1-D with shape \(0,\)"),
        (
            np.zeros((2, 3, 4)),
            r"got 3-D with shape \(2, 3, 4\)\..*y\.reshape\(len\(y\)",
        ),
        (None, "got a single object. Pass a table of labels"),
        (1.0, "got a single object"),
        (np.empty((0, 3)), r"at least one row and one category; got shape \(0, 3\)"),
        (np.empty((3, 0)), r"got shape \(3, 0\)"),
        (pd.DataFrame(index=[0, 1]), r"got shape \(2, 0\)"),
        (pd.DataFrame({"a": []}), r"got shape \(0, 1\)"),
        ([[1, 0], [1]], r"rows have different lengths.*MultiLabelBinarizer"),
    ],
    ids=[
        "1-D",
        "series",
        "empty list",
        "3-D",
        "None",
        "number",
        "no rows",
        "no columns",
        "frame without columns",
        "frame without rows",
        "ragged",
    ],
)
def test_other_shapes_are_refused(y, message):
    with pytest.raises(ValueError, match=message):
        check_partial_labels(y)


@pytest.mark.parametrize("y", [[1, 0, 1], pd.Series([1, 0, 1])], ids=["list", "series"])
def test_the_calls_named_for_other_dimensions_work(y):
    assert check_partial_labels(np.reshape(y, (-1, 1))).values.shape == (3, 1)
    deep = np.zeros((2, 3, 4))
    assert check_partial_labels(deep.reshape(len(deep), -1)).values.shape == (2, 12)


def test_messages_call_the_argument_by_its_name():
    with pytest.raises(ValueError, match=r"`y_val` must hold 0.*got 3\.0"):
        check_partial_labels([[3.0]], input_name="y_val")


# --- names ------------------------------------------------------------------------


def test_given_names_win_over_the_columns():
    labels = check_partial_labels(frame(), categories=(name for name in ("x", 7)))
    assert labels.categories.tolist() == ["x", "7"]


def test_repeated_columns_are_refused_with_the_most_repeated_name():
    y = pd.DataFrame(np.ones((2, 6)), columns=list("aabbbc"))
    with pytest.raises(ValueError, match=r"must differ; got 'b' 3 times in `y`"):
        check_partial_labels(y)


def test_names_that_read_the_same_are_refused():
    with pytest.raises(ValueError, match="must differ; got '1' 2 times"):
        check_partial_labels(pd.DataFrame(np.ones((2, 2)), columns=["1", 1]))


@pytest.mark.parametrize("names", [["a"], ["a", "b", "c"]], ids=["too few", "too many"])
def test_miscounted_names_are_refused(names):
    message = (
        rf"`categories` must name every column.*got {len(names)} names for 2 columns"
    )
    with pytest.raises(ValueError, match=message):
        check_partial_labels(COMPLETE, categories=names)


# --- 1-D targets ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (["no", "yes", "yes"], ["no", "yes"]),
        ([-1, 1, 1], [-1, 1]),
        ([-1.0, 1.0, 1.0], [-1.0, 1.0]),
        ([False, True, True], [False, True]),
        ([3, 7, 7], [3, 7]),
        (np.array(["a", "b", "b"], dtype=object), ["a", "b"]),
        (pd.Series(["a", "b", "b"]), ["a", "b"]),
        (pd.Series(["a", "b", "b"], dtype="category"), ["a", "b"]),
        (pd.Series([0, 1, 1], dtype="Int8"), [0, 1]),
        (torch.tensor([0, 1, 1]), [0, 1]),
    ],
    ids=[
        "text",
        "-1 and 1",
        "float -1 and 1",
        "bool",
        "3 and 7",
        "object",
        "series",
        "categories",
        "Int8",
        "tensor",
    ],
)
def test_a_one_dimensional_target_has_any_two_classes(y, classes):
    labels, found = encode_binary_labels(y)
    assert found.tolist() == classes
    assert_array_equal(labels.values, [[0.0], [1.0], [1.0]])
    assert labels.known.all()
    assert labels.known.shape == (3, 1)
    assert labels.categories.tolist() == ["0"]


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["a", "b", "c"], "multiclass with 3 classes.*label_binarize"),
        (["a", "a"], "must hold two classes; got 1 class: 'a'. Add rows"),
        ([1.0, 0.0, NAN], r"Input y contains NaN\..*np\.reshape\(y, \(-1, 1\)\)"),
        ([1, None, 0], "Input y contains NaN"),
        (["a", None, "b"], "Input y contains NaN"),
        (np.array([1, pd.NA, 0], dtype=object), "Input y contains NaN"),
        (np.array([1, NAN], dtype=object), "Input y contains NaN"),
        (pd.Series([1, None, 0], dtype="Int8"), "Input y contains NaN"),
        ([1.0, 0.0, np.inf], "Input y contains infinity"),
        ([0.1, 0.7, 0.2], "Unknown label type: continuous. `y` must hold classes"),
        (np.array([1, "a"], dtype=object), "Unknown label type: unknown"),
        ([], "`y` must hold at least one row; got none"),
    ],
    ids=[
        "three classes",
        "one class",
        "NaN",
        "None",
        "None among text",
        "NA",
        "NaN object",
        "Int8 NA",
        "inf",
        "continuous",
        "mixed",
        "empty",
    ],
)
def test_other_one_dimensional_targets_are_refused(y, message):
    with pytest.raises(ValueError, match=message):
        encode_binary_labels(y)


def test_a_mask_is_not_dropped_from_a_one_dimensional_target():
    with pytest.raises(TypeError, match="masked array, whose mask"):
        encode_binary_labels(np.ma.MaskedArray([0, 1, 1], mask=[0, 0, 1]))


def test_a_sparse_one_dimensional_target_is_refused():
    with pytest.raises(TypeError, match="got a sparse matrix"):
        encode_binary_labels(sparse.coo_array(np.array([0, 1])))


@pytest.mark.parametrize(
    ("y", "expected"),
    [
        ([1, 0], True),
        (pd.Series(["a", "b"]), True),
        (torch.tensor([0, 1]), True),
        ([[1], [0]], False),
        (frame(), False),
        (check_partial_labels(CELLS), False),
        ([[1], [0, 1]], False),
        (None, False),
        (sparse.csr_matrix(np.eye(2)), False),
    ],
    ids=[
        "list",
        "series",
        "tensor",
        "table",
        "frame",
        "read",
        "ragged",
        "None",
        "sparse",
    ],
)
def test_one_dimensional_targets_are_told_from_tables(y, expected):
    assert is_one_dimensional(y) is expected


# --- policies ---------------------------------------------------------------------

STATES = {"unknown": NAN, "positive": 1.0, "negative": 0.0}
TABLE = np.array([[1.0, 0.0, -1.0], [NAN, -1.0, NAN], [0.0, 1.0, -1.0]])


def four_states(form):
    """Return the table of all four states in one of its forms."""
    if form == "array":
        return TABLE
    if form == "object array":
        return np.where(np.isnan(TABLE), None, TABLE.astype(object))
    if form == "list":
        return np.where(np.isnan(TABLE), None, TABLE.astype(object)).tolist()
    return pd.DataFrame(TABLE, columns=["0", "1", "2"]).astype(form)


FORMS = ["array", "object array", "list", "float32", "Int8", "object", "category"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("blank", STATES)
@pytest.mark.parametrize("uncertain", STATES)
def test_policies_turn_four_states_into_labels(form, uncertain, blank):
    expected = TABLE.copy()
    expected[TABLE == -1] = STATES[uncertain]
    expected[np.isnan(TABLE)] = STATES[blank]
    resolved = resolve_labels(four_states(form), uncertain=uncertain, blank=blank)
    assert np.asarray(resolved).dtype == np.float64
    assert_array_equal(resolved, expected)


def test_uncertain_and_blank_are_unknown_by_default():
    expected = np.where(TABLE == -1, NAN, TABLE)
    assert_array_equal(resolve_labels(TABLE), expected)


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.float32])
def test_minus_one_is_uncertain_in_every_type(dtype):
    table = np.array([[1, -1], [0, 1]], dtype=dtype)
    before = table.copy()
    assert_array_equal(resolve_labels(table, uncertain="positive"), [[1, 1], [0, 1]])
    assert_array_equal(table, before)


def test_minus_one_is_uncertain_in_an_integer_column_beside_blanks():
    table = pd.DataFrame({"a": [1, -1], "b": [NAN, 0.0]})
    resolved = resolve_labels(table, uncertain="positive", blank="negative")
    assert_array_equal(resolved, [[1, 0], [1, 0]])


def test_a_resolved_frame_keeps_its_names():
    table = pd.DataFrame({"Edema": [1, -1], "No Finding": [np.nan, 0]}, index=[7, 9])
    resolved = resolve_labels(table, uncertain={"Edema": "positive"})
    expected = pd.DataFrame({"Edema": [1.0, 1.0], "No Finding": [np.nan, 0.0]}, [7, 9])
    pd.testing.assert_frame_equal(resolved, expected)
    assert check_partial_labels(resolved).categories.tolist() == list(table.columns)


@pytest.mark.parametrize("form", ["array", "Int8"])
def test_policies_may_differ_per_category(form):
    resolved = resolve_labels(
        four_states(form),
        uncertain={"1": "positive", "2": "negative"},
        blank={"0": "negative"},
    )
    assert_array_equal(resolved, [[1, 0, 0], [0, 1, NAN], [0, 1, 0]])


def test_canonical_labels_can_be_resolved_and_stay_as_they_were():
    labels = check_partial_labels(CELLS)
    assert_array_equal(
        resolve_labels(labels, blank="negative"), [[1, 0], [0, 1], [0, 0]]
    )
    assert_array_equal(labels.values, EXPECTED)


@pytest.mark.parametrize("parameter", ["uncertain", "blank"])
def test_unknown_categories_in_a_policy_are_refused(parameter):
    table = pd.DataFrame(TABLE, columns=["Edema", "Fracture", "Pneumonia"])
    message = rf"`{parameter}` must name.*got 'edema'\. The table has: 'Edema', 'Fract"
    with pytest.raises(ValueError, match=message):
        resolve_labels(table, **{parameter: {"edema": "positive"}})


@pytest.mark.parametrize("policy", ["soft", "zeros", None, 1, ["positive"]], ids=repr)
@pytest.mark.parametrize("parameter", ["uncertain", "blank"])
def test_other_policies_are_refused(parameter, policy):
    message = rf"`{parameter}` must be 'unknown', 'positive' or 'negative'; got "
    with pytest.raises(ValueError, match=message + re.escape(repr(policy))):
        resolve_labels(TABLE, **{parameter: policy})
    with pytest.raises(ValueError, match=message + ".*for category '1'"):
        resolve_labels(TABLE, **{parameter: {"1": policy}})


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        ([[1.0, 3.0]], ValueError, r"`table` must hold 0.*got 3\.0 in category '1'"),
        ([["x", 1]], TypeError, r"`table` must hold 0, 1 or NaN; got 'x'"),
        (np.ma.MaskedArray([[1.0]], mask=[[True]]), TypeError, "got a masked array"),
        (sparse.csr_matrix(np.eye(2)), TypeError, "got a sparse matrix"),
        ([[1.0], [1.0, 0.0]], ValueError, "rows have different lengths"),
        ([1.0, -1.0], ValueError, "got 1-D"),
    ],
    ids=["3", "text", "masked", "sparse", "ragged", "1-D"],
)
def test_tables_with_anything_else_are_refused(table, error, message):
    with pytest.raises(error, match=message):
        resolve_labels(table, uncertain="positive", blank="negative")


# --- summary ----------------------------------------------------------------------


def test_the_summary_counts_each_state(rng):
    y = rng.choice([1.0, 0.0, NAN], p=[0.2, 0.3, 0.5], size=(50, 4))
    y[:, 3] = NAN
    for j, record in enumerate(label_summary(y)):
        cells = y[:, j].tolist()
        n_positive, n_negative = cells.count(1.0), cells.count(0.0)
        n_known = n_positive + n_negative
        assert record == {
            "category": str(j),
            "n_positive": n_positive,
            "n_negative": n_negative,
            "n_unknown": 50 - n_known,
            "known_share": n_known / 50,
            "positive_share": pytest.approx(
                n_positive / n_known if n_known else NAN, nan_ok=True
            ),
        }


def test_the_summary_is_a_table():
    table = pd.DataFrame(label_summary(frame())).set_index("category")
    assert table.index.tolist() == ["a", "b"]
    assert table["n_unknown"].tolist() == [1, 1]
    assert table["positive_share"].tolist() == [0.5, 0.5]


# --- what mutants showed to be unguarded ------------------------------------------


def test_a_missing_time_is_unknown():
    """pandas writes NaT where a column of its own was read as times."""
    cells = np.array([[1, 0], [pd.NaT, 1], [0, pd.NaT]], dtype=object)
    for y in (cells, pd.DataFrame(cells, columns=["a", "b"])):
        assert_array_equal(check_partial_labels(y).values, EXPECTED)
        filled = resolve_labels(y, blank="negative")
        assert_array_equal(np.asarray(filled, dtype=float), np.nan_to_num(EXPECTED))
    with pytest.raises(ValueError, match="1-D target has no unknown labels"):
        encode_binary_labels(np.array([1, 0, pd.NaT], dtype=object))


def test_labels_of_some_cells_are_those_known_there():
    labels = check_partial_labels(EXPECTED)
    cells = np.array([[True, False], [True, True], [False, True]])
    some = labels.restricted_to(cells)
    assert_array_equal(some.values, [[1, NAN], [NAN, 1], [NAN, NAN]])
    assert_array_equal(some.known, ~np.isnan(some.values))
    assert some.categories is labels.categories
    for j, (rows, y) in enumerate([([0, 2], [True, False]), ([0, 1], [False, True])]):
        assert_array_equal(labels.of_category(j).rows, rows)
        assert labels.of_category(j).y.tolist() == y


@pytest.mark.parametrize("missing", [None, pd.NA, pd.NaT, NAN, np.float32("nan")])
def test_a_missing_class_is_refused(missing):
    """Wherever it stands: a 1-D target has no unknown labels."""
    for cells in ([1, 0, missing], [missing, 1, 0]):
        with pytest.raises(ValueError, match="contains NaN"):
            encode_binary_labels(np.array(cells, dtype=object), input_name="y")


def test_a_label_table_is_refused_and_the_call_named():
    """Without pandas or datasets: anything with states and labels() is a table."""

    class Table:
        states = EXPECTED

        def labels(self):
            return EXPECTED

    for read in (check_partial_labels, resolve_labels, encode_binary_labels):
        with pytest.raises(TypeError, match=r"got a Table\. Pass table\.labels\(\)"):
            read(Table())


# ------------------------------------------------------------- labels that are checked
def test_labels_changed_after_their_check_are_not_trusted():
    labels = check_partial_labels(COMPLETE)
    assert check_partial_labels(labels) is labels
    labels.values[0, 1] = 1 - labels.values[0, 1]  # another label, still known
    assert check_partial_labels(labels) is labels
    labels.values[0, 1] = NAN
    message = r"as they were checked; got the value nan with known=True in category '1'"
    for read in (check_partial_labels, known_mask, label_summary, resolve_labels):
        with pytest.raises(ValueError, match=message):
            read(labels)
    again = check_partial_labels(labels.values)
    assert not again.known[0, 1]


def test_labels_hidden_in_the_mask_alone_are_refused():
    labels = check_partial_labels(COMPLETE)
    labels.known[1, 0] = False
    with pytest.raises(ValueError, match=r"with known=False .* row 1 \(1 such cell\)"):
        check_partial_labels(labels)
    labels = check_partial_labels(COMPLETE)
    labels.values[:] = 7
    with pytest.raises(ValueError, match=r"must hold 0 .* got 7\.0"):
        check_partial_labels(labels)


@pytest.mark.parametrize(
    "change",
    [
        {"known": np.ones((1, 1), dtype=bool)},
        {"categories": np.array(["a"])},
        {"values": COMPLETE.astype(int)},
        {"known": np.ones(COMPLETE.shape)},
        {"values": np.ones(4)},
    ],
    ids=str,
)
def test_parts_that_do_not_belong_together_are_refused(change):
    labels = check_partial_labels(COMPLETE)._replace(**change)
    with pytest.raises(ValueError, match="whose parts belong together; got shapes"):
        check_partial_labels(labels)


@pytest.mark.parametrize("library", ["pyarrow", "polars"])
def test_tables_of_other_libraries_are_read_as_those_of_pandas(library):
    module = pytest.importorskip(library)
    make = module.table if library == "pyarrow" else module.DataFrame
    for cells in ({"cat": [1, 0], "dog": [None, 1]}, {"cat": [True], "dog": [None]}):
        labels = check_partial_labels(make(cells))
        assert labels.categories.tolist() == ["cat", "dog"]
        expected = check_partial_labels(pd.DataFrame(cells, dtype=object))
        np.testing.assert_array_equal(labels.values, expected.values)
    with pytest.raises(
        ValueError, match=r"got -1\.0 in category 'cat' .*resolve_labels"
    ):
        check_partial_labels(make({"cat": [-1, 1], "dog": [0, 1]}))
    resolved = resolve_labels(make({"cat": [-1, 1]}), uncertain="positive")
    assert resolved.tolist() == [[1.0], [1.0]]


def test_names_given_to_a_frame_are_new_ones():
    y = pd.DataFrame(COMPLETE, columns=["cat", "dog"])
    assert check_partial_labels(y, categories=["a", "b"]).categories[0] == "a"
    with pytest.raises(ValueError, match=r"'dog' for column 'cat' of `y`\. To reorder"):
        check_partial_labels(y, categories=["dog", "cat"])
