"""Tasks on real data: what is learnt, how the data are split, where they come from."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wellbegun.errors import MissingExtraError, UnknownNameError

Rows = NDArray[np.float32]
Labels = NDArray[np.int64]

_SPLIT_SEED = 20260101
"""Fixes which images train, validate and test, for every comparison ever made with this release."""


@dataclass(frozen=True)
class Split:
    """Inputs, one row each, and their labels."""

    rows: Rows
    labels: Labels


@dataclass(frozen=True)
class Task:
    """A classification task, split once and for all.

    Attributes:
        name: on the command line.
        description: the data in one sentence, with source and licence.
        classes: number of classes.
        train, validation, test: learning rates are chosen on validation, scores are taken on test.
    """

    name: str
    description: str
    classes: int
    train: Split
    validation: Split
    test: Split

    @property
    def chance(self) -> float:
        """Accuracy of guessing."""
        return 1.0 / self.classes

    @property
    def inputs(self) -> int:
        """Numbers in one input."""
        return int(self.train.rows.shape[1])


def load_task(name: str) -> Task:
    """Return the task of a name.

    Raises:
        UnknownNameError: no such task; the closest names are offered.
        MissingExtraError: the library that brings the data is not installed.
    """
    return find_task(name)()


def find_task(name: str) -> Callable[[], Task]:
    """Return the loader of a task.

    Raises:
        UnknownNameError: no such task; the closest names are offered.
    """
    if name not in TASKS:
        raise UnknownNameError("task", name, TASKS)
    return TASKS[name]


def _digits() -> Task:
    if importlib.util.find_spec("sklearn") is None:
        raise MissingExtraError("scikit-learn", "lab", "the task 'digits'")
    from sklearn.datasets import load_digits

    data: Any = load_digits()
    train, validation, test = _three_ways(data.data.astype(np.float64), data.target.astype(np.int64), 1000, 400)
    description = (
        "1,797 real handwritten digits, 8×8 grey values: 1,000 to train, 400 to choose the learning rate, 397 to score "
        "(UCI Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak, 1998, CC BY 4.0, as shipped with "
        "scikit-learn)"
    )
    return Task("digits", description, 10, train, validation, test)


def _three_ways(rows: NDArray[np.float64], labels: Labels, train: int, validation: int) -> tuple[Split, Split, Split]:
    """Shuffle once, cut twice, and standardise each column by what the training rows know."""
    order = np.random.default_rng(_SPLIT_SEED).permutation(len(rows))
    parts = np.split(order, [train, train + validation])
    mean, std = rows[parts[0]].mean(0), rows[parts[0]].std(0)
    std[std == 0] = 1.0  # a pixel that never changes
    scaled = ((rows - mean) / std).astype(np.float32)
    first, second, third = (Split(scaled[part], labels[part]) for part in parts)
    return first, second, third


TASKS: dict[str, Callable[[], Task]] = {"digits": _digits}
