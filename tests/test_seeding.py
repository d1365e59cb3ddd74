"""Generators and threads of a process inside a block, and after it."""

import os
import signal
import threading

import pytest
import torch
from threadpoolctl import ThreadpoolController, threadpool_limits

from cftlearn._seeding import (
    one_thread,
    one_torch_thread,
    own_generators,
    seeded_torch,
)


def fail(*_):
    raise OSError("out of order")


def test_seeded_torch_seeds_inside_and_restores_outside():
    torch.manual_seed(11)
    expected_outside = torch.rand(3)
    torch.manual_seed(5)
    expected_inside = torch.rand(3)
    torch.manual_seed(11)
    with seeded_torch(5):
        inside = torch.rand(3)
    assert torch.equal(inside, expected_inside)
    assert torch.equal(torch.rand(3), expected_outside)


def test_seeded_torch_restores_after_an_exception():
    before = torch.get_rng_state()
    with pytest.raises(OSError, match="out of order"), seeded_torch(5):
        fail(torch.rand(3))
    assert torch.equal(torch.get_rng_state(), before)


def test_seeded_torch_forks_every_gpu_without_a_warning(monkeypatch):
    forked, restored = [], []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda i: forked.append(i) or i)
    monkeypatch.setattr(
        torch.cuda, "set_rng_state", lambda state, i: restored.append((state, i))
    )
    monkeypatch.setattr(torch.random, "_fork_rng_warned_already", False)
    with seeded_torch(5):
        pass
    assert forked == [0, 1]
    assert restored == [(0, 0), (1, 1)]


def in_thread(work):
    """Start a thread, and return it with the list that gets its result."""
    results = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    return thread, results


def test_other_threads_wait_for_torch_generators():
    def draw():
        with seeded_torch(5):
            return torch.rand(3)

    with seeded_torch(7):
        first = torch.rand(2)
        thread, results = in_thread(draw)
        thread.join(0.1)
        assert thread.is_alive()
        second = torch.rand(2)
    thread.join()
    with seeded_torch(7):
        assert torch.equal(torch.rand(4), torch.cat([first, second]))
    with seeded_torch(5):
        assert torch.equal(torch.rand(3), results[0])


def test_own_generators_without_torch_do_not_wait_for_a_training():
    def enter():
        with own_generators(torch=False):
            return "entered"

    with seeded_torch(0):
        thread, results = in_thread(enter)
        thread.join(5)
    assert results == ["entered"]


def threads_of_blas():
    info = ThreadpoolController().select(user_api="blas").info()
    return [library["num_threads"] for library in info]


@pytest.fixture
def two_threads():
    """Let BLAS and OpenMP have two threads, whatever the environment says."""
    with threadpool_limits(limits=2):
        yield threads_of_blas()


def test_one_thread_of_blas_ends_with_the_last_block(two_threads):
    inside, leave = threading.Event(), threading.Event()

    def stay():
        with one_thread():
            inside.set()
            leave.wait(5)

    with one_thread():
        assert set(threads_of_blas()) == {1}
        thread, _ = in_thread(stay)
        inside.wait(5)
    assert set(threads_of_blas()) == {1}
    leave.set()
    thread.join()
    assert threads_of_blas() == two_threads


def test_one_thread_ends_with_an_error(two_threads):
    with pytest.raises(OSError, match="out of order"), one_thread():
        fail()
    assert threads_of_blas() == two_threads


def test_torch_returns_to_the_threads_before_the_first_block():
    inside, leave = threading.Event(), threading.Event()
    before = torch.get_num_threads()
    torch.set_num_threads(3)

    def stay():
        with one_torch_thread():
            inside.set()
            leave.wait(5)
        return torch.get_num_threads()

    try:
        with one_torch_thread():
            assert torch.get_num_threads() == 1
            thread, results = in_thread(stay)
            inside.wait(5)
        assert torch.get_num_threads() == 3
        leave.set()
        thread.join()
        assert results == [1]  # it began with what another thread had set
        assert in_thread(torch.get_num_threads)[1] in ([3], [])
    finally:
        torch.set_num_threads(before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_does_not_inherit_a_held_lock():
    inside, leave = threading.Event(), threading.Event()

    def stay():
        with seeded_torch(0):
            inside.set()
            leave.wait(10)

    thread, _ = in_thread(stay)
    inside.wait(5)
    child = os.fork()
    if not child:  # no exception may leave this branch: it would run all tests again
        signal.alarm(5)
        with own_generators(torch=True):
            os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    leave.set()
    thread.join()
