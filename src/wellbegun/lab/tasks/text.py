"""The next character of a text: Shakespeare's works, or Python's own manual, which comes with Python."""

from __future__ import annotations

import platform

import numpy as np
from numpy.typing import NDArray

from wellbegun.lab.data import find_set
from wellbegun.lab.task import Split, Task

LENGTH = 64
"""Characters in one input."""

MOST = 1000
"""Rows at the most to choose the learning rate and to score: evenly spread over their part of the text."""

VALIDATION, TEST = 0.1, 0.1
"""Shares of the text, cut from its end; the rest trains."""


def load_text() -> Task:
    """Return Shakespeare's plays and poems, one after the other in the order of their files' names."""
    data = find_set("text")
    text = read_shakespeare()
    description = (
        f"the next character of 42 plays and poems of Shakespeare, {len(text):,} characters: the first 80% train, the "
        f"next 10% choose the learning rate, the last 10% score ({MOST:,} rows of each of these, evenly spread)"
    )
    return text_task("text", text, description=description, source=data.source, licence=data.licence)


def read_shakespeare() -> str:
    """Return the texts; the package has Milton and the First Folio as well, which are left out."""
    data = find_set("text")
    names = [name for name in data.names() if "/shksprdata/texts/" in name and name.endswith("_gut.txt")]
    return "\n".join(content.decode("utf-8") for content in data.read(sorted(names)))


def load_text_small() -> Task:
    """Return the text of Python's `help()` topics, which differs a little between versions of Python."""
    from pydoc_data.topics import topics

    text = "\n\n".join(topics[name] for name in sorted(topics))
    version = ".".join(platform.python_version_tuple()[:2])
    description = (
        f"the next character of the topics that Python {version} shows as help(): {len(text):,} characters of English "
        "with code: the first 80% train, the next 10% choose the learning rate, the last 10% score"
    )
    source = f"pydoc_data.topics of Python {version}, Python Software Foundation"
    return text_task("text-small", text, description=description, source=source, licence="PSF-2.0")


def text_task(name: str, text: str, *, description: str, source: str, licence: str) -> Task:
    """Return a text as rows of characters, each followed by the next: contiguous parts, rows that do not overlap.

    Args:
        name, description, source, licence: of the task.
        text: all of it; its alphabet is that of the task.
    """
    alphabet = sorted(set(text))
    place = {character: i for i, character in enumerate(alphabet)}
    codes = np.fromiter((place[character] for character in text), np.int64, len(text))
    cuts = [int(len(codes) * (1 - VALIDATION - TEST)), int(len(codes) * (1 - TEST))]
    train, validation, test = (_rows(part) for part in np.split(codes, cuts))
    validation, test = _spread(validation), _spread(test)
    names = tuple(alphabet)
    return Task(name, description, source, licence, "tokens", len(alphabet), train, validation, test, names)


def _rows(codes: NDArray[np.int64]) -> Split:
    """Cut a text into rows; what is left over at the end is dropped."""
    count = (len(codes) - 1) // LENGTH
    used = codes[: count * LENGTH + 1]
    return Split(used[:-1].reshape(count, LENGTH), used[1:].reshape(count, LENGTH))


def _spread(rows: Split) -> Split:
    """Keep a number of rows that is quick to score."""
    kept = np.unique(np.linspace(0, len(rows) - 1, min(MOST, len(rows))).round().astype(np.int64))
    return Split(rows.inputs[kept], rows.targets[kept])
