"""The table that loaders return: states in, ``y`` out."""

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from cftlearn.datasets import LabelTable
from cftlearn.datasets._label_table import as_objects
from cftlearn.labels import (
    LabelState,
    check_partial_labels,
    resolve_labels,
    soft_labels,
)

STATES = np.array([[0, 1, 2], [3, 0, 1], [2, 2, 3], [0, 0, 0]], dtype=np.uint8)
NAMES = as_objects(["cat", "dog", "Übergröße"])
PATHS = as_objects(["a.jpg", "b.jpg", "c.jpg", "d.jpg"])


@pytest.fixture(params=["dense", "sparse"])
def table(request):
    states = STATES if request.param == "dense" else sparse.csc_array(STATES)
    return LabelTable(PATHS, states, NAMES, {"patient": np.array([1, 1, 2, 3])})


def test_labels_follow_the_policies_as_resolve_labels_does(table):
    pytest.importorskip("pandas", reason="the dataframes extra")
    frame = table.frame()
    for policies in (
        {},
        {"uncertain": "positive"},
        {"uncertain": {"cat": "positive"}, "blank": {"dog": "negative"}},
        {"blank": "negative", "uncertain": "negative"},
    ):
        expected = resolve_labels(frame, **policies).to_numpy()
        np.testing.assert_array_equal(table.labels(**policies), expected)


@pytest.mark.parametrize("uncertain", ["positive", {"cat": "negative"}], ids=str)
def test_soft_labels_are_those_of_the_frame(table, uncertain):
    pytest.importorskip("pandas", reason="the dataframes extra")
    soft = table.soft_labels(uncertain=uncertain, random_state=3)
    expected = soft_labels(table.frame(), uncertain=uncertain, random_state=3)
    np.testing.assert_array_equal(soft, expected.to_numpy())
    assert np.isnan(soft[STATES != LabelState.UNCERTAIN]).all()
    assert np.isfinite(soft[1, 0])


@pytest.mark.parametrize("parameter", ["uncertain", "blank"])
def test_wrong_policies_are_refused(table, parameter):
    with pytest.raises(ValueError, match=rf"`{parameter}` must be 'unknown', .*'soft'"):
        table.labels(**{parameter: "soft"})
    with pytest.raises(ValueError, match=rf"`{parameter}` must name categories of"):
        table.labels(**{parameter: {"bird": "positive"}})


def test_select_keeps_the_order_asked_for(table):
    chosen = table.select(["Übergröße", "cat"])
    np.testing.assert_array_equal(chosen.labels(), table.labels()[:, [2, 0]])
    assert list(chosen.categories) == ["Übergröße", "cat"]
    assert list(chosen.paths) == list(PATHS)


@pytest.mark.parametrize("names", [["bird"], ["cat", "cat"]])
def test_select_refuses_unknown_and_repeated_names(table, names):
    with pytest.raises(ValueError, match="`categories` must name categories of the"):
        table.select(names)


@pytest.mark.parametrize(
    "rows",
    [[2, 0], np.array([True, False, True, False]), slice(1, 3), []],
    ids=["indices", "mask", "slice", "none"],
)
def test_take_keeps_rows_and_what_is_known_of_them(table, rows):
    index = np.arange(4)[rows if len(np.shape(rows)) == 0 or len(rows) else slice(0)]
    taken = table.take(rows)
    assert len(taken) == len(index)
    np.testing.assert_array_equal(taken.labels(), table.labels()[index])
    np.testing.assert_array_equal(taken.paths, PATHS[index])
    np.testing.assert_array_equal(taken.info["patient"], table.info["patient"][index])


@pytest.mark.parametrize(("n_categories", "is_cut"), [(20, False), (21, True)])
def test_long_lists_of_categories_are_cut_in_errors(n_categories, is_cut):
    names = as_objects(f"c{j}" for j in range(n_categories))
    states = np.zeros((1, n_categories), dtype=np.uint8)
    table = LabelTable(as_objects("a"), states, names, {})
    end = r"'c19' and 1 more\.$" if is_cut else r"'c19'\.$"
    with pytest.raises(ValueError, match=f"The table has: 'c0', 'c1', .*{end}"):
        table.select(["bird"])


def test_tables_cannot_be_changed_and_are_equal_only_to_themselves(table):
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'states'"):
        table.states = STATES
    assert table == table
    assert table != replace(table)
    assert len({table, replace(table)}) == 2


def test_take_refuses_rows_that_do_not_exist(table):
    with pytest.raises(IndexError, match="out of bounds"):
        table.take([4])


def test_summary_and_repr_count_the_states(table):
    assert table.summary()[0] == {
        "category": "cat",
        "n_positive": 1,
        "n_negative": 0,
        "n_uncertain": 1,
        "n_blank": 2,
    }
    text = "4 samples, 3 categories, 3 positive, 2 negative, 2 uncertain, 5 blank"
    assert repr(table) == f"LabelTable: {text}"


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 2), st.integers(0, 3)), max_size=40
    )
)
def test_from_cells_equals_a_loop_over_cells(cells):
    expected = np.zeros((5, 3), dtype=np.uint8)
    given_before = set()
    for row, column, state in cells:
        repeated = (row, column) in given_before
        contradicted = repeated and expected[row, column] != state
        expected[row, column] = LabelState.UNCERTAIN if contradicted else state
        given_before.add((row, column))
    rows, columns, states = np.array(cells, dtype=int).reshape(-1, 3).T
    table = LabelTable.from_cells(
        map(str, range(5)), "abc", rows=rows, columns=columns, states=states
    )
    np.testing.assert_array_equal(table.states.toarray(), expected)
    counts = table.summary()
    for column in range(3):
        assert counts[column]["n_blank"] == (expected[:, column] == 0).sum()


@pytest.mark.parametrize(
    ("cells", "error", "message"),
    [
        (([5], [0], [1]), ValueError, r"`rows` must lie in \[0, 2\); got 5 in cell 0"),
        (([0], [-1], [1]), ValueError, r"`columns` must lie in \[0, 1\); got -1"),
        (([0], [0], [7]), ValueError, r"`states` must lie in \[0, 4\); got 7"),
        (([0, 1], [0], [1]), ValueError, "one entry per cell; got 2, 1, 1"),
        (([0.5], [0], [1]), TypeError, "`rows` must be whole numbers"),
        ((0, [0], [1]), TypeError, r"shape \(n_cells,\); got shape \(\)"),
    ],
)
def test_cells_outside_the_table_are_refused(cells, error, message):
    rows, columns, states = cells
    with pytest.raises(error, match=message):
        LabelTable.from_cells(
            ["a", "b"], ["c"], rows=rows, columns=columns, states=states
        )


def test_parts_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"shape \(4, 2\); got shape \(4, 3\)"):
        LabelTable(PATHS, STATES, NAMES[:2], {})
    with pytest.raises(ValueError, match="each category once; got 'a' more than once"):
        LabelTable(PATHS, STATES, as_objects("aba"), {})
    with pytest.raises(ValueError, match="got 2 in column 'patient' for 4 paths"):
        LabelTable(PATHS, STATES, NAMES, {"patient": np.arange(2)})


def test_a_table_is_no_y(table):
    with pytest.raises(TypeError, match=r"got a LabelTable\. Pass table\.labels\(\)"):
        check_partial_labels(table)


def test_indices_of_small_tables_are_small():
    table = LabelTable.from_cells("ab", "c", rows=[1, 0], columns=[0, 0], states=[1, 2])
    assert table.states.indices.dtype == table.states.indptr.dtype == np.int32
    assert table.states.indices.tolist() == [0, 1]


def test_a_table_without_cells_is_blank():
    table = LabelTable.from_cells(["a"], ["b"], rows=[], columns=[], states=[])
    assert np.isnan(table.labels()).all()


def test_concatenate_puts_rows_below_each_other_by_name(table):
    other = table.select(["dog", "cat", "Übergröße"]).take([1, 0])
    both = LabelTable.concatenate([table, other])
    expected = np.vstack([table.labels(), table.labels()[[1, 0]]])
    np.testing.assert_array_equal(both.labels(), expected)
    assert list(both.paths) == ["a.jpg", "b.jpg", "c.jpg", "d.jpg", "b.jpg", "a.jpg"]
    np.testing.assert_array_equal(both.info["patient"], [1, 1, 2, 3, 1, 1])


def test_concatenate_keeps_the_info_that_every_table_has(table):
    def with_info(**info):
        return LabelTable(PATHS, table.states, NAMES, info)

    boxes = np.arange(16.0).reshape(4, 4)
    both = LabelTable.concatenate(
        [
            with_info(box=boxes, site=as_objects("abcd"), year=np.arange(4)),
            with_info(site=as_objects("efgh"), box=-boxes, view=np.arange(4)),
            with_info(year=np.arange(4), box=2 * boxes, site=as_objects("ijkl")),
        ]
    )
    assert list(both.info) == ["box", "site"]
    np.testing.assert_array_equal(
        both.info["box"], np.vstack([boxes, -boxes, 2 * boxes])
    )
    assert both.info["site"].tolist() == list("abcdefghijkl")


def test_concatenate_makes_a_sparse_table_if_one_is_sparse():
    dense = LabelTable(PATHS, STATES, NAMES, {})
    packed = LabelTable(PATHS, sparse.csc_array(STATES), NAMES, {})
    for tables, is_sparse in (
        ([dense, dense], False),
        ([dense, packed], True),
        ([packed, dense], True),
    ):
        both = LabelTable.concatenate(tables)
        assert sparse.issparse(both.states) == is_sparse
        np.testing.assert_array_equal(both.labels()[4:], both.labels()[:4])
        assert both.states.dtype == np.uint8


def test_concatenate_refuses_other_categories(table):
    with pytest.raises(ValueError, match="same categories; got 'cat' in only one of"):
        LabelTable.concatenate([table, table.select(["dog", "Übergröße"])])
    with pytest.raises(ValueError, match="`tables` must hold at least one table"):
        LabelTable.concatenate([])
