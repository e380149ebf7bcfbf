"""How far a checkpoint is: rate and time left, on a terminal, once it takes longer than two seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Report = Callable[[int, int], None]
"""Takes the bytes that are written and the bytes that there are to write."""

QUIET = 2.0
"""Seconds without a bar."""


@contextmanager
def shown(progress: Report | None) -> Iterator[Report]:
    """Yield what is to be told of the progress: the caller's own function, or a bar if stderr is a terminal."""
    if progress is not None:
        yield progress
    elif not sys.stderr.isatty():
        yield lambda done, total: None  # noqa: ARG005
    else:
        with _bar() as report:
            yield report


@contextmanager
def _bar() -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("writing"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    task = bar.add_task("", total=None)
    begin = time.monotonic()

    def report(done: int, total: int) -> None:
        bar.update(task, completed=done, total=total)
        if time.monotonic() - begin > QUIET and not bar.live.is_started:
            bar.start()

    try:
        yield report
    finally:
        if bar.live.is_started:
            bar.stop()
