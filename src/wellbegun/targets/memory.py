"""Whether every element of a piece of memory is its own."""

from __future__ import annotations

import numpy as np

from wellbegun.errors import ArgumentError

FEW = 1 << 20
"""Elements whose addresses are looked at one by one, where strides alone do not tell."""


def check_strides(shape: tuple[int, ...], strides: tuple[int, ...], itemsize: int) -> None:
    """Raise ArgumentError where two elements share memory.

    Args:
        shape: of the array or tensor.
        strides: in bytes, of either sign.
        itemsize: bytes of an element.
    """
    reach, size = itemsize, int(np.prod(shape, dtype=object))
    for stride, length in sorted((abs(stride), length) for stride, length in zip(strides, shape, strict=True)):
        if length > 1 and stride < reach:
            # strides that interleave need not overlap
            if size <= FEW:
                places = sum(np.ix_(*(np.arange(n) * s for n, s in zip(shape, strides, strict=True))))
                if np.diff(np.sort(np.ravel(places))).min() >= itemsize:
                    return
            raise ArgumentError(f"elements share memory (shape {shape}, strides of {strides} bytes); fill a copy")
        reach += (length - 1) * stride
