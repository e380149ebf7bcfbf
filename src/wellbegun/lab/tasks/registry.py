"""Which tasks there are, what each is in one line, and what has to be fetched for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from wellbegun.errors import UnknownNameError
from wellbegun.lab.task import Task
from wellbegun.lab.tasks.cifar import load_cats_dogs, load_cifar10
from wellbegun.lab.tasks.digits import load_digit_images, load_digits
from wellbegun.lab.tasks.faces import load_faces
from wellbegun.lab.tasks.image import load_image
from wellbegun.lab.tasks.mnist import load_fashion, load_mnist, load_mnist5k
from wellbegun.lab.tasks.mri import load_mri
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
