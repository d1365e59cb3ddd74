"""Targets of cells, and what becomes of them where rows are mixed: by brute force."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from cftlearn.labels._label_split import TrainingTargets
from cftlearn.training import LogicMix, PartialMixUp
from cftlearn.training._mixing import Mixture
from cftlearn.training._targets import Targets

NAN = float("nan")
# What a cell may be: a kind, and its number.
HIDDEN, UNKNOWN = ("hidden", NAN), ("unknown", NAN)
CELLS = [
    HIDDEN,
    UNKNOWN,
    ("label", 0.0),
    ("label", 1.0),
    ("soft", 0.25),
    ("pseudo", 0.5),
    ("pseudo", 1.0),
]
WEIGHT = {0.5: 0.25, 1.0: 3.0}  # of pseudo-labels


def targets_of(cells):
    """Make targets of a table of cells."""
    table = np.array(cells, dtype=object)
    kinds, values = table[..., 0], table[..., 1].astype(np.float32)

    def only(kind):
        return np.where(kinds == kind, values, np.float32(NAN))

    weights = [[WEIGHT.get(v, 0) for v in row] for row in values.tolist()]
    return Targets.of(
        TrainingTargets(
            only("label").astype(float),
            kinds == "unknown",
            only("soft"),
            only("pseudo"),
            np.where(kinds == "pseudo", weights, 0).astype(np.float32),
        )
    )


def mixed_number(is_logic, numbers, shares):
    """Mix numbers of parts, NaN unknown, by the definition of each way to mix."""
    if is_logic:
        if 1.0 in numbers:
            return 1.0
        return 1 - np.prod([1 - number for number in numbers])
    mean = np.dot(shares, np.nan_to_num(numbers, nan=0.5))
    return NAN if np.isnan(numbers[0]) else mean


def mixed_cell(is_logic, parts, shares):
    """Return kind, number and weight of a mixture of cells."""
    given = [v if kind in ("label", "pseudo") else NAN for kind, v in parts]
    number = mixed_number(is_logic, given, shares)
    if not np.isnan(number):
        if all(kind != "pseudo" for kind, _ in parts):
            return "label", number, 1.0
        own = [j for j, (kind, _) in enumerate(parts) if kind in ("label", "pseudo")]
        weights = [1.0 if parts[j][0] == "label" else WEIGHT[parts[j][1]] for j in own]
        return "pseudo", number, np.average(weights, weights=[shares[j] for j in own])
    if HIDDEN[0] in [kind for kind, _ in parts]:
        return "hidden", NAN, 0.0
    both = [NAN if kind == "unknown" else v for kind, v in parts]
    number = mixed_number(is_logic, both, shares)
    return ("unknown", NAN, 0.0) if np.isnan(number) else ("soft", number, 0.0)


def kinds_of(targets):
    """Return kind, number and weight of every cell; no cell may be two things."""
    labels, unknown, soft, pseudo, weight = (each.numpy() for each in targets[:5])
    kinds = np.full(labels.shape, "hidden", dtype=object)
    values = np.full(labels.shape, NAN)
    n_kinds = unknown.astype(int)
    kinds[unknown] = "unknown"
    for kind, table in (("label", labels), ("soft", soft), ("pseudo", pseudo)):
        has_one = ~np.isnan(table)
        n_kinds += has_one
        kinds[has_one], values[has_one] = kind, table[has_one]
    assert n_kinds.max() <= 1
    assert_array_equal(weight > 0, kinds == "pseudo")
    return kinds, values, weight


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("mix", [LogicMix(), PartialMixUp()], ids=str)
def test_mixtures_of_all_kinds_of_cells(mix, k):
    if isinstance(mix, PartialMixUp) and k == 3:
        return
    is_logic = isinstance(mix, LogicMix)
    table = list(itertools.product(CELLS, repeat=k))  # every mixture is a category
    shares = np.full(k, 1 / k) if is_logic or k == 1 else np.array([0.8, 0.2])
    rows = torch.stack([torch.arange(k).roll(-i) for i in range(k)])
    mixture = Mixture(rows, torch.tensor(shares).float().repeat(k, 1))
    cells = [[table[j][i] for j in range(len(table))] for i in range(k)]
    kinds, values, weights = kinds_of(targets_of(cells).mixed(mix, mixture))
    for j, parts in enumerate(table):
        kind, number, weight = mixed_cell(is_logic, parts, shares)
        assert kinds[0, j] == kind, parts
        assert values[0, j] == pytest.approx(number, nan_ok=True), parts
        own = weights[0, j] if kind == "pseudo" else 1.0 if kind == "label" else 0.0
        assert own == pytest.approx(weight), parts


def test_cells_that_must_not_be_seen_do_not_matter():
    """Whatever a held-out label is, mixtures are the same: they only see that it is."""
    mixture = Mixture(torch.tensor([[0, 1], [1, 0]]), torch.full((2, 2), 0.5))
    for mix in (LogicMix(), PartialMixUp()):
        for first, second in itertools.product(CELLS, [HIDDEN]):
            cells = targets_of([[first, second], [second, first]])
            kinds, values, _ = kinds_of(cells.mixed(mix, mixture))
            if first[0] in ("hidden", "unknown", "soft"):
                assert kinds[0].tolist() == ["hidden"] * 2
            elif isinstance(mix, LogicMix):
                expected = "hidden" if first[1] < 1 else first[0]
                assert kinds[0].tolist() == [expected] * 2
            else:
                assert kinds[0].tolist() == [first[0], "hidden"]
                assert values[0, 0] == 0.5 * first[1] + 0.25


@given(rows=st.lists(st.integers(0, 4), min_size=1, max_size=6))
def test_rows_and_counts(rows):
    rng = np.random.default_rng(0)
    drawn = rng.integers(len(CELLS), size=(5, 4))
    cells = [[CELLS[i] for i in row] for row in drawn]
    whole = targets_of(cells)
    own = whole.of_rows(np.array(rows), "cpu")
    kinds, values, weights = kinds_of(own)
    for i, row in enumerate(rows):
        for j in range(4):
            assert kinds[i, j] == cells[row][j][0]
            assert_array_equal(values[i, j], cells[row][j][1])
    order = ("label", "unknown", "soft", "pseudo")
    expected = [[sum(kinds[i] == kind) for i in range(len(rows))] for kind in order]
    assert_array_equal(own.cells_per_row(), expected)
    expected = [sum(kinds[i] == "label") + weights[i].sum() for i in range(len(rows))]
    assert_array_equal(own.amounts_per_row()[0], expected)


def test_labels_alone():
    labels = np.array([[1.0, NAN], [0.0, 1.0]])
    own = Targets.of(TrainingTargets(labels))
    assert own[1:] == (None,) * 5
    assert_array_equal(own.cells_per_row(), [[1, 2], [0, 0], [0, 0], [0, 0]])
    assert_array_equal(own.amounts_per_row()[0], [1, 2])
    mixture = Mixture(torch.tensor([[0, 1], [1, 0]]), torch.full((2, 2), 0.5))
    mixed = own.mixed(LogicMix(), mixture)
    assert_array_equal(mixed.labels, [[1, 1], [1, 1]])
    assert mixed[1:] == (None,) * 5


def test_mixed_labels_count_the_mean_weight_of_their_parts():
    """Oracle: by hand, for halves of two rows, and for shares of 0.8 and 0.2."""
    labels = np.array([[1.0, NAN, 0.0], [0.0, 1.0, NAN]])
    weights = np.array([[3.0, 1.0, 0.5], [1.0, 2.0, 1.0]], dtype=np.float32)
    own = Targets.of(TrainingTargets(labels, np.isnan(labels), weights=weights))
    assert_array_equal(own.amounts_per_row()[:2], [[3.5, 3.0], [1, 1]])
    halves = Mixture(torch.tensor([[0, 1], [1, 0]]), torch.full((2, 2), 0.5))
    mixed = own.mixed(LogicMix(), halves)
    assert_array_equal(mixed.labels, [[1, 1, NAN], [1, 1, NAN]])
    assert_array_equal(mixed.weights[:, :2], [[2, 2], [2, 2]])
    shares = Mixture(
        torch.tensor([[0, 1], [1, 0]]), torch.tensor([[0.8, 0.2], [0.8, 0.2]])
    )
    mixed = own.mixed(PartialMixUp(), shares)
    np.testing.assert_allclose(mixed.weights[:, 0], [0.8 * 3 + 0.2, 0.8 + 0.2 * 3])
    np.testing.assert_allclose(mixed.weights[0, 2], 0.5)
