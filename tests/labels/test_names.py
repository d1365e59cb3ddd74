"""Names of rows and columns: what is paired by them, by place, or not at all."""

from itertools import permutations

import numpy as np
import pytest

from cftlearn.labels import check_partial_labels
from cftlearn.labels._names import (
    align_by_category,
    check_columns,
    check_new_names,
    check_same_rows,
    column_names,
    fitted_categories,
    order_of,
)

pd = pytest.importorskip("pandas")
NAMES = ["cat", "dog", "bat"]


def rows(labels):
    return pd.DataFrame(np.zeros((len(labels), 1)), index=labels)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (range(4), range(4)),
        (range(4), [0, 1, 2, 3]),
        ([0.0, 1.0, 2.0, 3.0], range(4)),
        (list("abcd"), list("abcd")),
        (list("aabb"), list("aabb")),
        (list("abcd"), range(4)),  # numbers in order say nothing
        ([7, 3, 9, 5], range(4)),
        (range(100, 104), [0, 1, 2, 3]),
        (range(3), range(4)),  # of other lengths, which others check
        (pd.MultiIndex.from_product([[0, 1], list("ab")]), range(4)),
        (pd.to_datetime(["2020"] * 4), range(4)),
    ],
    ids=str,
)
def test_rows_that_belong_together_by_labels_or_by_place(one, other):
    check_same_rows(X=rows(one), y=rows(other))
    check_same_rows(X=rows(other), y=rows(one)[0])


@pytest.mark.parametrize(
    ("one", "other", "shown"),
    [
        (range(4), range(3, -1, -1), "0 and 3 in row 0"),
        (range(4), [0, 1, 3, 2], "2 and 3 in row 2"),
        (list("abcd"), list("abdc"), "'c' and 'd' in row 2"),
        ([7, 3, 9, 5], [3, 7, 9, 5], "7 and 3 in row 0"),
        (range(100, 104), range(103, 99, -1), "100 and 103 in row 0"),
        (["a", 1, "b", 2], [1, "a", "b", 2], "'a' and 1 in row 0"),
    ],
    ids=str,
)
def test_the_same_rows_in_another_order_are_refused(one, other, shown):
    message = rf"same order; got the same row labels .* {shown}\. Pass y\.loc\[X\.index"
    with pytest.raises(ValueError, match=message):
        check_same_rows(X=rows(one), y=rows(other))
    with pytest.raises(ValueError, match=r"Pass X\.loc\[y\.index\]"):
        check_same_rows(y=rows(other), X=rows(one))


def test_the_remedies_for_another_order_work():
    X, y = rows(list("abcd")), rows(list("bdca"))
    check_same_rows(X=X, y=y.loc[X.index])
    check_same_rows(X=X, y=y.set_axis(X.index))
    shuffled = rows([2, 0, 1])
    check_same_rows(X=shuffled, y=rows(range(3)).set_axis(shuffled.index))


def test_repeated_labels_cannot_be_looked_up():
    with pytest.raises(ValueError, match="Labels repeat, so sort both by a column"):
        check_same_rows(X=rows(list("aabb")), y=rows(list("abab")))


@pytest.mark.parametrize(
    ("one", "other", "shown"),
    [
        (list("abcd"), list("abcx"), "1 label in `y` that `X` does not have.* 'x'"),
        (list("abcd"), [5, 6, 7, 8], "4 labels in `y` .* the first 5"),
        (range(100, 104), range(200, 204), "4 labels in `y` .* the first 200"),
        (list("aabb"), list("abbb"), "labels that repeat differently"),
    ],
    ids=str,
)
def test_rows_with_other_labels_are_refused(one, other, shown):
    with pytest.raises(ValueError, match=rf"the same row labels; got {shown}"):
        check_same_rows(X=rows(one), y=rows(other))


def test_every_pair_of_tables_is_compared():
    a, b = rows(list("ab")), rows(list("ba"))
    with pytest.raises(ValueError, match="`y` and `groups`"):
        check_same_rows(X=np.zeros((2, 1)), y=a, groups=b[0])
    with pytest.raises(ValueError, match="`X` and `groups`"):
        check_same_rows(X=a, y=None, groups=b[0])


@pytest.mark.parametrize("other", [np.zeros(2), [1, 2], (1, 2), "ab", None, range(2)])
def test_what_is_no_pandas_object_has_no_row_labels(other):
    check_same_rows(X=rows(list("ba")), y=other)


@pytest.mark.parametrize("order", list(permutations(NAMES)), ids=str)
def test_values_are_put_in_the_order_of_the_categories(order):
    values = pd.Series([NAMES.index(name) for name in order], index=order)
    assert list(align_by_category(values, NAMES, "threshold")) == [0, 1, 2]
    table = pd.DataFrame({"f": values, "g": -values})
    assert align_by_category(table, NAMES, "coef_init")["g"].tolist() == [0, -1, -2]


def test_values_without_names_go_by_place():
    for values in (pd.Series([3, 1, 2]), np.array([3, 1, 2]), [3, 1, 2], 0.5, None):
        assert align_by_category(values, NAMES, "threshold") is values


def test_numbers_are_names_where_they_stand_in_another_order():
    values = pd.Series([3, 1, 2], index=[2, 0, 1])
    assert align_by_category(values, ["0", "1", "2"], "x").tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("index", "shown"),
    [
        (["cat", "dog"], "missing: 'bat'"),
        (["cat", "dog", "bat", "cow"], "unexpected: 'cow'"),
        (["cat", "dog", "bat", "bat"], "repeated: 'bat'"),
        (["cat", "dog", "dog"], "missing: 'bat'; repeated: 'dog'"),
        ([1, 2, 0], "missing: 'cat', 'dog', 'bat'; unexpected: '1', '2', '0'"),
    ],
    ids=str,
)
def test_names_of_values_are_all_of_the_categories(index, shown):
    with pytest.raises(ValueError, match=rf"name every category once; {shown}\. Corr"):
        align_by_category(pd.Series(0.5, index=index), NAMES, "threshold")


def names_of_every_kind():
    import pyarrow as pa

    cells = {"dog": [1, 0], "cat": [0, 1]}
    yield pd.DataFrame(cells), "y[names]"
    yield pa.table(cells), "y.select(list(names))"
    yield pa.RecordBatch.from_pydict(cells), "y.select(list(names))"
    yield (
        check_partial_labels(pd.DataFrame(cells)),
        "check_partial_labels(table[names])",
    )
    polars = pytest.importorskip("polars")
    yield polars.DataFrame(cells), "y.select(list(names))"


def test_columns_in_another_order_are_refused_with_what_mends_it():
    pytest.importorskip("pyarrow")
    for table, remedy in names_of_every_kind():
        assert column_names(table) == ["dog", "cat"]
        check_columns(table, ["dog", "cat"], name="y", owner="z", order="names")
        with pytest.raises(ValueError, match="same order") as caught:
            check_columns(table, ["cat", "dog"], name="y", owner="z", order="names")
        assert str(caught.value).endswith(f"pass {remedy}.")


def test_numbers_as_columns_become_text_before_they_are_reordered():
    y = pd.DataFrame(np.eye(2), columns=[1, 0])
    with pytest.raises(ValueError, match="same order") as caught:
        check_columns(y, ["0", "1"], name="y", owner="z", order="names")
    assert str(caught.value).endswith("pass y.rename(columns=str)[names].")
    names = np.array(["0", "1"], dtype=object)
    assert y.rename(columns=str)[names].columns.tolist() == ["0", "1"]


def test_the_first_difference_of_many_columns_is_shown():
    names = [f"c{j}" for j in range(300)]
    turned = pd.DataFrame(np.zeros((1, 300)), columns=[*names[:298], "c299", "c298"])
    message = r"got \['c299', 'c298'\] for \['c298', 'c299'\] from column 298 on"
    with pytest.raises(ValueError, match=message):
        check_columns(turned, names, name="y", owner="z", order="names")


def test_frames_have_names_where_columns_are_called_like_attributes():
    names = ["column_names", "columns", "known", "categories"]
    assert column_names(pd.DataFrame(np.ones((2, 4)), columns=names)) == names
    assert column_names(pd.Series({"columns": 1, "column_names": 2})) is None


def test_a_model_fitted_to_an_array_has_no_names():
    y = pd.DataFrame(np.eye(2), columns=["cat", "dog"])
    rule = {"name": "y", "owner": "z", "order": "names"}
    check_columns(y, ["0", "1"], numbers_are_names=False, **rule)
    with pytest.raises(ValueError, match="missing: '0', '1'; unexpected: 'cat', 'dog'"):
        check_columns(y, ["0", "1"], **rule)
    assert column_names(check_partial_labels(np.eye(2))) is None


def test_new_names_may_be_any_but_the_own_ones_in_another_order():
    for given in (["cat", "dog"], ["a", "b"], ["dog", "hen"]):
        check_new_names(given, ["cat", "dog"], "y")
    check_new_names(["dog", "cat"], None, "y")
    with pytest.raises(ValueError, match=r"'dog' for column 'cat' of `y`\. To reorder"):
        check_new_names(["dog", "cat"], ["cat", "dog"], "y")


def test_expressions_of_the_names_of_a_table():
    pa = pytest.importorskip("pyarrow")
    table = pd.DataFrame({"cat": [1]})
    assert order_of(table, "y") == "y.columns"
    assert order_of(pa.Table.from_pandas(table), "y") == "y.column_names"
    assert order_of(check_partial_labels(table), "y") == "y.categories"


class Model:
    def __init__(self, categories, classes):
        self.categories_, self.classes_ = categories, classes


def test_categories_of_a_model_in_a_search_and_a_pipeline():
    own = np.array(["cat", "dog"], dtype=object)
    model = Model(own, np.tile([0, 1], (2, 1)))
    pipeline, search = type("P", (), {})(), type("S", (), {})()
    pipeline.steps = [("scale", object()), ("model", model)]
    search.best_estimator_ = pipeline
    for estimator in (model, pipeline, search):
        assert fitted_categories(estimator) == ["cat", "dog"]
    assert fitted_categories(Model(own[:1], np.array([0, 1]))) is None  # 1-D target
    assert fitted_categories(Model([own], None)) is None  # an encoder's categories
    assert fitted_categories(object()) is None
