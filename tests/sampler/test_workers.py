"""Threads change the speed and nothing else: any number of them, in threads, after fork, under spawn, at shutdown."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import wellbegun as wb
from wellbegun.errors import ArgumentError
from wellbegun.sampler import SHARE, Draw, Stream, Window, storage_type, write
from wellbegun.sampler.workers import VARIABLE, Workers

BIG = 5 * SHARE + 12_345
STREAM = Stream.of(3, "threads")


@pytest.fixture(autouse=True)
def _restore():
    before = wb.get_num_threads()
    yield
    wb.set_num_threads(before)


def digest(dtype="float32", size=BIG):
    out = np.empty(size, storage_type(dtype))
    wb.fill(out, wb.TruncatedNormal(0.02), seed=3, name="threads")
    return hashlib.sha256(out.tobytes()).hexdigest()


def digest_into(queue):
    queue.put(digest())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
@pytest.mark.parametrize(
    "draw", [Draw.uniform(-1.0, 1.0), Draw.normal(0.0, 1.0), Draw.truncated(0.0, 1.0, Window.of(-2, 2))]
)
def test_any_number_of_threads_gives_the_same_bits(draw, dtype):
    found, redraws = set(), set()
    for threads in (1, 2, 3, 7):
        wb.set_num_threads(threads)
        out = np.empty(BIG, storage_type(dtype))
        redraws.add(write(out, draw, STREAM, 77))
        found.add(out.tobytes())
    assert len(found) == len(redraws) == 1


@pytest.mark.parametrize("shape", [(3, 2 * SHARE + 100), (BIG // 100, 100), (2, SHARE), (1, BIG)])
def test_rows_are_shared_too(shape):
    expected = None
    for threads in (1, 2, 5):
        wb.set_num_threads(threads)
        out = np.full((shape[0], shape[1] + 3), 9, np.float32)
        write(out[:, :-3], Draw.normal(0.0, 1.0), STREAM, 5, shape[1] + 17)
        assert (out[:, -3:] == 9).all()
        assert expected is None or expected == out.tobytes()
        expected = out.tobytes()


def test_many_threads_may_fill_at_once():
    wb.set_num_threads(2)
    expected = digest()
    with ThreadPoolExecutor(6) as pool:
        assert {future.result() for future in [pool.submit(digest) for _ in range(18)]} == {expected}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_child_process_fills_as_its_parent(method):
    """A pool that has been used before fork has no threads in the child."""
    wb.set_num_threads(3)
    expected = digest()
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    child = context.Process(target=digest_into, args=(queue,))
    child.start()
    try:
        assert queue.get(timeout=60) == expected
    finally:
        child.join(10)
        assert child.exitcode == 0


def test_a_child_made_while_others_fill():
    """Whoever holds the lock when the process forks does not exist in the child."""
    wb.set_num_threads(2)
    expected, stop = digest(), threading.Event()

    def keep_filling():
        while not stop.is_set():
            digest()

    busy = threading.Thread(target=keep_filling)
    busy.start()
    try:
        context = multiprocessing.get_context("fork")
        for _ in range(5):
            queue = context.Queue()
            child = context.Process(target=digest_into, args=(queue,))
            child.start()
            assert queue.get(timeout=60) == expected
            child.join(10)
            assert child.exitcode == 0
    finally:
        stop.set()
        busy.join()


def python(script, **env):
    return subprocess.run(
        [sys.executable, "-c", script], env=os.environ | env, capture_output=True, text=True, check=False, timeout=120
    )


FILL = (
    "import hashlib, numpy as np, wellbegun as wb\n"
    "def digest():\n"
    f"    out = np.empty({BIG}, np.float32)\n"
    "    wb.fill(out, wb.TruncatedNormal(0.02), seed=3, name='threads')\n"
    "    return hashlib.sha256(out.tobytes()).hexdigest()\n"
)


def test_filling_while_the_interpreter_shuts_down():
    done = python(FILL + "import atexit; wb.set_num_threads(2); digest(); atexit.register(lambda: print(digest()))")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == digest()


@pytest.mark.parametrize("threads", ["1", "4"])
def test_the_environment_sets_the_number(threads):
    done = python(FILL + "print(wb.get_num_threads(), digest())", **{VARIABLE: threads})
    assert done.stdout.split() == [threads, digest()]


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5", ""])
def test_a_wrong_environment_is_named(text):
    done = python(FILL + "digest()", **{VARIABLE: text})
    assert done.returncode != 0
    assert f"{VARIABLE} must be a whole number of at least 1, not {text!r}" in done.stderr


@pytest.mark.parametrize("number", [0, -3, 1.5, True, "2.5", None])
def test_a_wrong_number_is_refused(number):
    before = wb.get_num_threads()
    with pytest.raises(ArgumentError, match="at least 1"):
        wb.set_num_threads(number)
    assert wb.get_num_threads() == before


def test_the_default_is_the_usable_cores():
    env = {key: value for key, value in os.environ.items() if key != VARIABLE}
    script = "import os, wellbegun as wb; os.sched_setaffinity(0, {0}); print(wb.get_num_threads())"
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "1"


def test_work_is_shared_and_summed():
    workers = Workers()
    workers.count = 4
    seen: list[int] = []
    barrier = threading.Barrier(2, timeout=30)

    def work(item):
        if item < 2:
            barrier.wait()  # passed only if two threads are at work
        seen.append(item)
        return item

    assert workers.share(work, range(50)) == sum(range(50))
    assert sorted(seen) == list(range(50))


def test_the_first_failure_is_raised_and_the_rest_left_undone():
    workers = Workers()
    workers.count = 2
    seen: list[int] = []

    def work(item):
        seen.append(item)
        if item == 3:
            raise ValueError("three")
        return 0

    with pytest.raises(ValueError, match="three"):
        workers.share(work, range(10_000))
    assert len(seen) < 10_000
    assert workers.share(lambda item: item, range(5)) == 10


@pytest.mark.parametrize("layout", ["transposed", "strided", "complex", "channels last"])
def test_memory_beyond_the_tensor_is_a_chunk_a_thread(layout):
    """tracemalloc sees what NumPy allocates."""
    import tracemalloc

    import torch

    wb.set_num_threads(2)
    out = {
        "transposed": lambda: np.zeros((2000, 2200), np.float32).T,
        "strided": lambda: np.zeros((2000, 4400), np.float32)[:, ::2],
        "complex": lambda: np.zeros((2000, 1100), np.complex64),
        "channels last": lambda: torch.zeros(500, 900, 3, 3).to(memory_format=torch.channels_last),
    }[layout]()
    wb.fill(out, wb.Normal(1.0), seed=1, name="warm")
    tracemalloc.start()
    try:
        wb.fill(out, wb.Normal(1.0), seed=0, name="w")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * 4 * SHARE + 200_000
