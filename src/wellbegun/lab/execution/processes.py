"""Our own processes, as an executor: fresh interpreters with one thread each, and nothing of the caller's script."""

from __future__ import annotations

import importlib
import os
import pickle
import queue
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from typing import IO, Any

from wellbegun.errors import ArgumentError

_LENGTH = struct.Struct("<Q")
_CHILD = "from wellbegun.lab.execution.child import main; main()"
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


class Processes(Executor):
    """Runs functions in processes of its own.

    `concurrent.futures.ProcessPoolExecutor` imports the caller's script again in each process that it spawns, so a
    script without `if __name__ == "__main__":` starts itself over and over. These processes import wellbegun and what
    the work names, nothing else. A process starts when the first work for it arrives; it ends when this one does,
    even by kill -9, because its input ends then.

    >>> with Processes(2) as executor:
    ...     executor.submit(divmod, 7, 2).result()
    (3, 1)

    Args:
        workers: number of processes, at least 1.
    """

    def __init__(self, workers: int) -> None:
        if workers < 1:
            raise ArgumentError(f"the number of worker processes must be at least 1, got {workers}")
        self.workers = workers
        self._work: queue.SimpleQueue[tuple[Future[Any], bytes] | None] = queue.SimpleQueue()
        self._children: list[subprocess.Popen[bytes]] = []
        self._threads: list[threading.Thread] = []
        self._closed = False
        self._lock = threading.Lock()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have a process call the function; it and its arguments are pickled."""
        message = pickle.dumps((fn, args, kwargs))
        future: Future[Any] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("these processes are shut down: they take no more work")
            self._work.put((future, message))
            if len(self._threads) < self.workers:
                thread = threading.Thread(target=self._serve, daemon=True)
                self._threads.append(thread)
                thread.start()
        return future

    def start(self, pieces: int) -> None:
        """Start as many processes as some pieces of work will need, instead of each with the first work for it.

        Args:
            pieces: of work that are to come.
        """
        for _ in range(min(self.workers, pieces)):
            self.submit(ready)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more work and end the processes; with `cancel_futures` at once, the work in hand with them."""
        with self._lock:
            self._closed = True
            if cancel_futures:
                while not self._work.empty():
                    item = self._work.get()
                    if item is not None:
                        item[0].cancel()
            for _ in self._threads:
                self._work.put(None)
            if cancel_futures:
                for child in self._children:
                    child.kill()
        if wait:
            for thread in self._threads:
                thread.join()

    def _serve(self) -> None:
        """Hand work to one process, one piece after the other, until there is no more."""
        child: subprocess.Popen[bytes] | None = None
        while (item := self._work.get()) is not None:
            future, message = item
            if not future.set_running_or_notify_cancel():
                continue
            try:
                if child is None:
                    child = self._start()
                assert child.stdin is not None
                assert child.stdout is not None
                write(child.stdin, message)
                succeeded, value = pickle.loads(read(child.stdout))
            except (EOFError, OSError):
                code = None if child is None else child.wait()
                child = None
                future.set_exception(
                    BrokenExecutor(f"a worker process ended in the middle of its work (exit status {code})")
                )
                continue
            except Exception as error:  # noqa: BLE001  (what cannot be unpickled: the caller must hear of it)
                future.set_exception(error)
                continue
            (future.set_result if succeeded else future.set_exception)(value)
        if child is not None:
            assert child.stdin is not None
            assert child.stdout is not None
            child.stdin.close()
            child.wait()
            child.stdout.close()

    def _start(self) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(
            [sys.executable, "-c", _CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | _ONE_THREAD | {"PYTHONPATH": os.pathsep.join([path for path in sys.path if path])},
        )
        with self._lock:
            self._children.append(child)
            if self._closed:
                child.kill()
        return child


def ready() -> None:
    """Import what every training needs."""
    importlib.import_module("wellbegun.lab.trials.bundle")


def write(stream: IO[bytes], message: bytes) -> None:
    """Write one message, its length first."""
    stream.write(_LENGTH.pack(len(message)) + message)
    stream.flush()


def read(stream: IO[bytes]) -> bytes:
    """Read one message.

    Raises:
        EOFError: the other side has ended.
    """
    (length,) = _LENGTH.unpack(_exactly(stream, _LENGTH.size))
    return _exactly(stream, length)


def _exactly(stream: IO[bytes], count: int) -> bytes:
    found = stream.read(count)
    if len(found) < count:
        raise EOFError("the other side has ended")
    return found
