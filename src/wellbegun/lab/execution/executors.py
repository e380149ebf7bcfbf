"""Which executor a text names: this process, our own processes, a Dask cluster, or a function of the user's."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any

from wellbegun.errors import ArgumentError, MissingExtraError
from wellbegun.user_code import import_factory

HERE, PROCESSES, DASK = "here", "processes", "dask"

WORTH = 2e9
"""Work, in trainings x steps x parameters, from which processes of our own are worth the seconds that each needs to
start. `wellbegun compare digits` in full is 9e9, with --quick and one seed 4e8."""

HELP = (
    "'here' (this process), 'processes' or 'processes:4', 'dask' (a cluster on this machine), 'dask://HOST:PORT' or "
    "module:function, which returns any concurrent.futures.Executor"
)


def chosen(executor: str | Executor | None, work: float, bundles: int, own: object = None) -> str | Executor:
    """Return what to use: what the user asks for, else processes where the work is worth it.

    >>> chosen(None, 1e7, 10), chosen(None, 1e11, 1), chosen("dask", 1e7, 10)
    ('here', 'here', 'dask')

    Args:
        executor: what the user asks for, None for nothing.
        work: trainings x steps x parameters.
        bundles: pieces that the work is cut into.
        own: the user's network. A function that no other process can import keeps the work here.

    Raises:
        ArgumentError: the user asks for processes of ours, which cannot import his network.
    """
    if isinstance(executor, str) and executor.partition(":")[0] == PROCESSES and not importable(own):
        name = getattr(own, "__qualname__", repr(own))
        raise ArgumentError(
            f"other processes cannot import the network {name!r}: it is written in the script that runs, or inside "
            f"another function. Put it into a module and name it, network='my_models:build', or use executor={HERE!r}"
        )
    if executor is not None:
        return executor
    return HERE if work < WORTH or bundles < 2 or cores() < 2 or not importable(own) else PROCESSES


def importable(own: object) -> bool:
    """Whether a fresh interpreter finds what it is sent: not in the script that runs, nor inside another function.

    >>> importable("my_models:build"), importable(len), importable(lambda: None)
    (True, True, False)
    """
    if getattr(own, "__module__", None) == "__main__":
        return False
    try:
        pickle.dumps(own)
    except (pickle.PicklingError, AttributeError, TypeError):
        return False
    return True


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def opened(executor: str | Executor) -> Iterator[Executor | None]:
    """Open what a text names and close it afterwards; None stands for this process. The user's own is left open.

    Args:
        executor: an Executor, or a text, see HELP.

    Raises:
        ArgumentError: the text names no executor.
        MissingExtraError: dask.distributed is not installed.
    """
    if isinstance(executor, Executor):
        yield executor
        return
    name, _, rest = executor.partition(":")
    if executor == HERE:
        yield None
    elif name == PROCESSES:
        from wellbegun.lab.execution.processes import Processes

        if rest and not rest.isdigit():
            raise ArgumentError(f"the number of processes must be a whole number, got {executor!r}")
        ours = Processes(int(rest) if rest else cores())
        try:
            yield ours
        except BaseException:
            ours.shutdown(wait=False, cancel_futures=True)
            raise
        ours.shutdown()
    elif name == DASK:
        with _dask(f"tcp:{rest}" if rest else "") as found:
            yield found
    elif name and rest:
        made = import_factory(
            executor, argument="the executor", example="my_cluster:executor", otherwise="here, processes or dask"
        )()
        if not (hasattr(made, "submit") and hasattr(made, "shutdown")):
            raise ArgumentError(f"{executor} must return a concurrent.futures.Executor, got {type(made).__name__}")
        try:
            yield made
        finally:
            made.shutdown(wait=False, cancel_futures=True)
    else:
        raise ArgumentError(f"no executor is called {executor!r}; known: {HELP}")


def start_workers(executor: Executor | None, pieces: int) -> None:
    """Have our own processes start now, where there are any, so that they are ready for the first of some pieces."""
    from wellbegun.lab.execution.processes import Processes

    if isinstance(executor, Processes):
        executor.start(pieces)


@contextmanager
def _dask(address: str) -> Iterator[Executor]:
    """A Dask cluster: the one at an address, or one on this machine with a worker of one thread for each core."""
    try:
        import dask.distributed as distributed
    except ImportError:
        raise MissingExtraError("dask.distributed", "cluster", "training on a Dask cluster") from None
    cluster: Any = None
    if not address:
        cluster = distributed.LocalCluster(n_workers=cores(), threads_per_worker=1, dashboard_address=None)
    try:
        try:
            client = distributed.Client(address or cluster, timeout=10)
        except OSError as error:
            raise ArgumentError(f"no Dask scheduler answers at {address!r}: {error}") from None
        try:
            yield client.get_executor(pure=False, retries=2)
        finally:
            client.close()
    finally:
        if cluster is not None:
            cluster.close()


def width(executor: Executor) -> int:
    """Return how many bundles an executor can work on at a time; 32 where it does not tell."""
    client = getattr(executor, "_client", None)
    if client is not None and hasattr(client, "ncores"):
        return max(1, int(sum(client.ncores().values())))
    return int(getattr(executor, "workers", None) or getattr(executor, "_max_workers", None) or 32)
