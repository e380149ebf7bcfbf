"""Cutting data into three parts, and bringing inputs to a common scale by what the training part knows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wellbegun.lab.task import SPLIT_SEED, Split

Three = tuple[Split, Split, Split]
Pair = tuple[NDArray[Any], NDArray[Any]]


def shuffled(inputs: NDArray[Any], targets: NDArray[Any], train: int, validation: int) -> Three:
    """Shuffle once and for all, and cut twice; what is left is the test part."""
    order = np.random.default_rng(SPLIT_SEED).permutation(len(inputs))
    first, second, third = (Split(inputs[part], targets[part]) for part in np.split(order, [train, train + validation]))
    return first, second, third


def published(train: Pair, test: Pair, validation: int) -> Three:
    """Keep a published test part, and take as many inputs for validation out of the training part."""
    inputs, targets = train
    order = np.random.default_rng(SPLIT_SEED).permutation(len(inputs))
    first, second = (Split(inputs[part], targets[part]) for part in np.split(order, [len(inputs) - validation]))
    return first, second, Split(*test)


def standardised(parts: Three, *, by_column: bool = False) -> Three:
    """Return the parts in float32 with mean 0 and deviation 1 in the training part.

    Args:
        parts: the three parts; images have shape (n, channels, height, width).
        by_column: each column of vectors by itself; otherwise each channel of images, or all of a vector, so that an
            image keeps its shape.
    """
    mean, std = _moments(parts[0].inputs, by_column)
    std[std == 0] = 1.0  # a pixel that never changes

    def scaled(part: Split) -> Split:
        working = np.float64 if part.inputs.dtype == np.float64 else np.float32  # large sets come as bytes
        values: Any = part.inputs.astype(working)  # a copy
        values -= mean.astype(working)
        values /= std.astype(working)
        return Split(values.astype(np.float32, copy=False), part.targets)

    first, second, third = (scaled(part) for part in parts)
    return first, second, third


def _moments(known: NDArray[Any], by_column: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and deviation, in a shape that broadcasts over the inputs."""
    if known.dtype == np.uint8 and not by_column:  # counting is exact and needs no copy in float64
        channels = known.swapaxes(0, 1) if known.ndim == 4 else known[None]
        counts = np.stack([np.bincount(channel.ravel(), minlength=256) for channel in channels]).astype(np.float64)
        shares, grey = counts / counts.sum(1, keepdims=True), np.arange(256.0)
        mean = shares @ grey
        std = np.sqrt((shares * np.square(grey - mean[:, None])).sum(1))
        shape = (1, -1, 1, 1) if known.ndim == 4 else (1,) * known.ndim
        return mean.reshape(shape), std.reshape(shape)
    axes = (0,) if by_column else (0, 2, 3) if known.ndim == 4 else None
    return known.mean(axes, np.float64, keepdims=True), known.std(axes, np.float64, keepdims=True)
