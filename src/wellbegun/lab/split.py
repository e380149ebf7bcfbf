"""Cutting data into three parts, and bringing inputs to a common scale by what the training part knows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wellbegun.lab.task import SPLIT_SEED, Split

Three = tuple[Split, Split, Split]


def shuffled(inputs: NDArray[Any], targets: NDArray[Any], train: int, validation: int) -> Three:
    """Shuffle once and for all, and cut twice; what is left is the test part."""
    order = np.random.default_rng(SPLIT_SEED).permutation(len(inputs))
    first, second, third = (Split(inputs[part], targets[part]) for part in np.split(order, [train, train + validation]))
    return first, second, third


def standardised(parts: Three, *, by_column: bool = False) -> Three:
    """Return the parts in float32 with mean 0 and deviation 1 in the training part.

    Args:
        parts: the three parts; images have shape (n, channels, height, width).
        by_column: each column of vectors by itself; otherwise each channel of images, or all of a vector, so that an
            image keeps its shape.
    """
    known = parts[0].inputs
    axes = (0,) if by_column else (0, 2, 3) if known.ndim == 4 else None
    mean, std = (np.asarray(f(known, axis=axes, keepdims=True, dtype=np.float64)) for f in (np.mean, np.std))
    std = np.where(std == 0, 1.0, std)  # a pixel that never changes
    first, second, third = (Split(((p.inputs - mean) / std).astype(np.float32), p.targets) for p in parts)
    return first, second, third
