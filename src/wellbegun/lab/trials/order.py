"""The order of the data: what each step is trained on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch


def batches(rows: int, batch: int, steps: int, seed: int) -> Iterator[torch.Tensor]:
    """Yield the numbers of the examples of each step: epochs shuffled by the seed alone.

    The shuffles are NumPy's `default_rng(seed).permutation`, one for each epoch, whatever the network, the method, the
    learning rate or the optimizer: all arms of a comparison see the same examples in the same order. A batch may end
    one epoch and begin the next.

    >>> [step.tolist() for step in batches(3, 2, 3, seed=0)]
    [[2, 0], [1, 2], [1, 0]]

    Args:
        rows: number of training examples.
        batch: examples in a step.
        steps: number of steps.
        seed: of the order.
    """
    generator = np.random.default_rng(seed)
    waiting = np.empty(0, np.int64)
    for _ in range(steps):
        while len(waiting) < batch:
            waiting = np.concatenate([waiting, generator.permutation(rows)])
        yield torch.from_numpy(waiting[:batch].copy())
        waiting = waiting[batch:]
