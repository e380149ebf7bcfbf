"""A line on the terminal that says what a command is doing, and since when."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn


@contextmanager
def stages(quiet: bool) -> Iterator[Callable[[str], None]]:
    """A line that says what is being done and since when, on a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=quiet or not sys.stderr.isatty()) as progress:
        bar = progress.add_task("", total=None)
        yield lambda what: progress.update(bar, description=what)
