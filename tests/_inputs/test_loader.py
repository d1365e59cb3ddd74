"""Batches of items, read here or in other processes."""

import os
import random

import numpy as np
import pytest
import torch
from input_parts import Noise, read

from cftlearn._inputs import ArrayInputs, read_inputs, to_tensor

pytest.importorskip("PIL.Image", reason="the images extra")

WORKERS = [0, 2]
pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")  # 1 core


# ------------------------------------------------------------------ randomness
@pytest.mark.parametrize("num_workers", WORKERS)
def test_what_is_random_depends_on_the_seed_alone(folder, num_workers):
    inputs = read_inputs(folder, Noise())
    batches = np.array_split(np.random.default_rng(1).permutation(8), 3)

    def draw(seed, num_workers=0):
        pairs = inputs.batches(iter(batches), seed=seed, num_workers=num_workers)
        rows, values = zip(*pairs, strict=True)
        assert all(map(np.array_equal, rows, batches))
        return torch.cat(values)

    random.seed(3)
    first = draw(5)
    torch.rand(1), np.random.rand(), random.random()
    again = draw(5, num_workers)
    assert first.dtype == torch.float32
    assert torch.equal(first, again)
    assert not torch.equal(first, draw(6))


def test_rows_of_one_batch_and_batches_draw_differently():
    inputs = read_inputs(np.zeros((4, 1)), Noise())
    batches = [np.array([0, 0, 1]), np.array([0, 0, 1])]
    values = torch.cat([batch for _, batch in inputs.batches(batches)])
    assert len(values.unique()) == 6


def test_the_global_generators_are_left_alone(folder):
    inputs = read_inputs(folder, Noise())
    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    expected = torch.rand(1).item(), np.random.rand(), random.random()
    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    list(inputs.batches(inputs.in_order(3)))
    assert (torch.rand(1).item(), np.random.rand(), random.random()) == expected


def test_transforms_that_cannot_travel_are_refused(folder, monkeypatch):
    monkeypatch.setattr("multiprocessing.get_start_method", lambda: "spawn")
    inputs = read_inputs(folder, lambda image: image)
    with pytest.raises(TypeError, match=r"pickle can send .* or pass num_workers=0"):
        list(inputs.batches(inputs.in_order(4), num_workers=1))


def leave(_):
    os._exit(1)


def test_a_process_that_ends_is_told():
    inputs = read_inputs(np.zeros((4, 1)), leave)
    with pytest.raises(RuntimeError, match=r"A process that read rows ended.*num_work"):
        list(inputs.batches([np.arange(4)], num_workers=1))


# ------------------------------------------------------------------- to_tensor
def test_views_with_gaps_and_read_only_arrays_are_handed_over():
    array = np.arange(12.0).reshape(3, 4)[:, ::2]
    array.flags.writeable = False
    assert to_tensor(array).tolist() == [[0, 2], [4, 6], [8, 10]]
    assert ArrayInputs(array).row_shape == (2,)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (np.float64, torch.float32),
        (np.float16, torch.float32),
        (np.int64, torch.int64),
        (np.uint8, torch.uint8),
    ],
)
def test_to_tensor_makes_floats_single(dtype, expected):
    array = np.arange(12).reshape(3, 4).astype(dtype)
    tensor = to_tensor(array[:, ::2])  # a view with gaps
    assert tensor.dtype == expected
    assert tensor.tolist() == [[0, 2], [4, 6], [8, 10]]


def test_random_transforms_of_arrays_depend_on_the_seed_alone():
    inputs = read_inputs(np.zeros((4, 2)), Noise())
    values = [read(inputs, seed=seed) for seed in (5, 5, 6)]
    assert torch.equal(values[0], values[1])
    assert not torch.equal(values[0], values[2])


def exhaust(_):
    raise MemoryError("no room")


def test_memory_that_runs_out_is_no_failure_of_a_row():
    with pytest.raises(MemoryError, match="no room"):
        read(read_inputs(np.zeros((4, 1)), exhaust))
