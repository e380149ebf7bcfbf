"""Which tasks there are, what each is in one line, and what has to be fetched for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from wellbegun.errors import DataError, UnknownNameError
from wellbegun.lab.data import fetch_set, find_set
from wellbegun.lab.data.fetch import Progress
from wellbegun.lab.task import Task
from wellbegun.lab.tasks.cifar import load_cats_dogs, load_cifar10
from wellbegun.lab.tasks.digits import load_digit_images, load_digits
from wellbegun.lab.tasks.faces import load_faces
from wellbegun.lab.tasks.folder import load_folder
from wellbegun.lab.tasks.image import load_image
from wellbegun.lab.tasks.mnist import load_fashion, load_mnist, load_mnist5k
from wellbegun.lab.tasks.mri import load_mri
from wellbegun.lab.tasks.own import load_own
from wellbegun.lab.tasks.quadratic import load_quadratic
from wellbegun.lab.tasks.text import load_text, load_text_small


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


def load_task(name: str, *, on_progress: Progress | None = None) -> Task:
    """Return a task; its data are fetched on its first use.

    >>> task = load_task("digits")
    >>> task.spec, len(task.train), task.measure
    ('vector:64', 1000, 'accuracy')

    Args:
        name: of a task in `TASKS`; or a folder of pictures, FOLDER/class/file.png; or module:factory.
        on_progress: told (bytes so far, bytes in all) while data are fetched.

    Raises:
        UnknownNameError: no such task; the closest names are offered.
        DataError: the data are not here and could not be fetched, or are damaged; says what to run.
        MissingExtraError: the library that brings the data, or reads them, is not installed.
        ArgumentError: the folder or the user's factory gives no task.
    """
    load = find_task(name)
    if name in TASKS:
        _ensure(TASKS[name], on_progress)
    return load()


def find_task(name: str) -> Callable[[], Task]:
    """Return the loader of a task, without loading or fetching anything.

    Raises:
        UnknownNameError: no such task; the closest names are offered.
    """
    if name in TASKS:
        return TASKS[name].load
    if Path(name).is_dir():
        return partial(load_folder, name)
    if ":" in name:
        return partial(load_own, name)
    raise UnknownNameError("task", name, TASKS)


def _ensure(entry: TaskEntry, on_progress: Progress | None) -> None:
    """Fetch what a task needs and is not here."""
    if entry.needs is None or find_set(entry.needs).is_here:
        return
    try:
        fetch_set(find_set(entry.needs), on_progress)
    except DataError as error:
        raise DataError(f"the task {entry.name!r} has no data: {error}") from None


TASKS: dict[str, TaskEntry] = {
    entry.name: entry
    for entry in (
        TaskEntry("digits", "1,797 handwritten digits, as 64 numbers", load_digits),
        TaskEntry("digits-images", "1,797 handwritten digits, as images of 8×8", load_digit_images),
        TaskEntry("quadratic", "16 numbers, four classes, no linear solution; made by a rule", load_quadratic),
        TaskEntry("image", "one photograph as a field, from place to grey value", load_image),
        TaskEntry("text-small", "the next character of Python's own manual", load_text_small),
        TaskEntry("mnist5k", "5,000 handwritten digits, 28×28", load_mnist5k, "mnist5k"),
        TaskEntry("mnist", "70,000 handwritten digits, 28×28", load_mnist, "mnist"),
        TaskEntry("fashion", "70,000 photographs of clothes, 28×28", load_fashion, "fashion"),
        TaskEntry("faces", "which of 40 people is it", load_faces, "faces"),
        TaskEntry("cats-dogs", "12,000 colour photographs of cats and dogs, 32×32", load_cats_dogs, "cifar10"),
        TaskEntry("cifar10", "60,000 colour photographs of ten kinds of things, 32×32", load_cifar10, "cifar10"),
        TaskEntry("mri", "synthetic anomalies in slices of a real brain volume", load_mri, "mri"),
        TaskEntry("text", "the next character of Shakespeare's works", load_text, "text"),
    )
}
