"""Which tasks there are, what each is in one line, and what has to be fetched for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from wellbegun.errors import UnknownNameError
from wellbegun.lab.task import Task
from wellbegun.lab.tasks.digits import load_digit_images, load_digits
from wellbegun.lab.tasks.text import load_text_small


@dataclass(frozen=True)
class TaskEntry:
    """A task that can be had by its name.

    Attributes:
        name: on the command line.
        summary: what it is, in a few words.
        load: makes the task.
        needs: the data set that has to be fetched first; None if the data come with an installed library.
    """

    name: str
    summary: str
    load: Callable[[], Task]
    needs: str | None = None


def load_task(name: str) -> Task:
    """Return the task of a name.

    >>> task = load_task("digits")
    >>> task.spec, len(task.train), task.measure
    ('vector:64', 1000, 'accuracy')

    Args:
        name: of a task in `TASKS`.

    Raises:
        UnknownNameError: no such task; the closest names are offered.
        MissingExtraError: the library that brings the data, or reads them, is not installed.
    """
    return find_task(name)()


def find_task(name: str) -> Callable[[], Task]:
    """Return the loader of a task, without loading anything.

    Raises:
        UnknownNameError: no such task; the closest names are offered.
    """
    if name not in TASKS:
        raise UnknownNameError("task", name, TASKS)
    return TASKS[name].load


TASKS: dict[str, TaskEntry] = {
    entry.name: entry
    for entry in (
        TaskEntry("digits", "1,797 handwritten digits, as 64 numbers", load_digits),
        TaskEntry("digits-images", "1,797 handwritten digits, as images of 8×8", load_digit_images),
        TaskEntry("text-small", "the next character of Python's own manual", load_text_small),
    )
}
