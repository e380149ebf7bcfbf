"""Scores of a network, or of many copies of it, on a split."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray

from wellbegun.lab.measure import Measure
from wellbegun.lab.task import Split

CHUNK = 512
"""Examples that go through the network at once."""

GLIMPSE = 1024
"""Validation examples that a point of a curve looks at; the last point looks at all of them."""

TRAINING = 4096
"""Training examples that the loss at the end is taken on."""

Forward = Callable[[torch.Tensor], torch.Tensor]
"""From inputs to outputs, with the copies in the first dimension of the outputs."""


def items(forward: Forward, split: Split, measure: Measure, most: int | None = None) -> NDArray[np.float64]:
    """Return the number of each example of a split for each copy, shape (copies, examples).

    Args:
        forward: of all copies.
        split: the examples.
        measure: what an output is worth.
        most: the first of them only.
    """
    found = []
    of_copies = torch.func.vmap(measure.items, in_dims=(0, None))
    for inputs, targets in _chunks(split, most):
        found.append(of_copies(forward(inputs), targets).double().numpy())
    return np.concatenate(found, axis=1)


def losses(forward: Forward, split: Split, measure: Measure, most: int = TRAINING) -> list[float]:
    """Return the mean loss of each copy on the first examples of a split."""
    total, count = torch.zeros(()).double(), 0
    of_copies = torch.func.vmap(measure.loss, in_dims=(0, None))
    for inputs, targets in _chunks(split, most):
        total = total + of_copies(forward(inputs), targets).double() * len(inputs)
        count += len(inputs)
    return [float(value) for value in total / count]


def scores(found: NDArray[np.float64], measure: Measure) -> list[float]:
    """Return the score of each copy from the numbers of its examples."""
    return [measure.total(row) for row in found]


@contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    """Put a network in its evaluation mode and back, without gradients."""
    was = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was)


def _chunks(split: Split, most: int | None) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    end = len(split) if most is None else min(most, len(split))
    for start in range(0, end, CHUNK):
        part = slice(start, min(start + CHUNK, end))
        yield torch.from_numpy(split.inputs[part]), torch.from_numpy(split.targets[part])
