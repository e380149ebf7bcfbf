"""The threads that fill tensors: how many, and how work is shared among them."""

from __future__ import annotations

import operator
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from wellbegun.errors import ArgumentError

Item = TypeVar("Item")

VARIABLE = "WELLBEGUN_NUM_THREADS"


class Workers:
    """Threads that help the calling one, started when they are first needed.

    The caller works too and takes whatever nobody has taken yet, so that work gets done even if no helper ever starts;
    an interpreter that shuts down and a child made by fork (where the threads do not exist) only lose speed.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count: int | None = None
        self._pool: ThreadPoolExecutor | None = None
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget_threads)

    def _forget_threads(self) -> None:
        """In a child made by fork: the parent's threads, and whatever lock they held, do not exist here."""
        self._lock = threading.Lock()
        self._pool = None

    @property
    def count(self) -> int:
        """Threads that work on one tensor, the calling one included."""
        if self._count is None:
            text = os.environ.get(VARIABLE)
            self._count = usable_cores() if text is None else _checked(text, VARIABLE)
        return self._count

    @count.setter
    def count(self, number: int) -> None:
        with self._lock:
            self._count, pool, self._pool = _checked(number, "the number of threads"), self._pool, None
        if pool is not None:
            pool.shutdown(wait=False)

    def share(self, work: Callable[[Item], int], items: Sequence[Item]) -> int:
        """Call `work` once for every item, on several threads, and return the sum of the results.

        The first exception is raised, after every call that had begun has ended and with the rest left undone.
        """
        helpers = min(self.count, len(items)) - 1
        if helpers <= 0:
            return sum(map(work, items))
        rest, stop = iter(items), threading.Event()
        taking = threading.Lock()

        def take_turns() -> int:
            total = 0
            try:
                while not stop.is_set():
                    with taking:
                        item = next(rest, None)
                    if item is None:
                        break
                    total += work(item)
            except BaseException:
                stop.set()
                raise
            return total

        futures = self._start(take_turns, helpers)
        try:
            total = take_turns()
        finally:
            stop.set()
            # a helper that never started has nothing to wait for
            begun = [future for future in futures if not future.cancel()]
            failures = [failure for future in begun if (failure := future.exception()) is not None]
        if failures:
            raise failures[0]
        return total + sum(future.result() for future in begun)

    def _start(self, function: Callable[[], int], number: int) -> list[Future[int]]:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(max(self.count - 1, 1), thread_name_prefix="wellbegun")
            pool = self._pool
        try:
            return [pool.submit(function) for _ in range(number)]
        except RuntimeError:  # the interpreter is shutting down, or another thread has just changed the number
            return []


WORKERS = Workers()
"""The one state that is shared in a process: a setting for speed, without influence on any number."""


def set_num_threads(number: int) -> None:
    """Set how many threads fill a tensor; the numbers are the same for any.

    >>> set_num_threads(2)
    >>> get_num_threads()
    2

    Args:
        number: at least 1. Without a call it is the environment variable WELLBEGUN_NUM_THREADS, or else the number of
            cores that this process may use. Orthogonal laws use the threads of NumPy's BLAS.

    Raises:
        ArgumentError: not a whole number of at least 1.
    """
    WORKERS.count = number


def get_num_threads() -> int:
    """Return how many threads fill a tensor."""
    return WORKERS.count


def usable_cores() -> int:
    """Return the number of cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return max(len(os.sched_getaffinity(0)), 1)
    return os.cpu_count() or 1


def _checked(number: object, what: str) -> int:
    try:
        value = int(number) if isinstance(number, str) else operator.index(number)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        value = 0
    if value < 1 or isinstance(number, bool):
        raise ArgumentError(f"{what} must be a whole number of at least 1, not {number!r}")
    return value
