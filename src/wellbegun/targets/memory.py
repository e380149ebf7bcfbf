"""Whether every element of a piece of memory is its own."""

from __future__ import annotations

import bisect
from collections.abc import Mapping
from pathlib import Path

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


def read_only(spans: Mapping[str, tuple[int, int]]) -> list[str]:
    """Return the names of those stretches of memory (first address, one behind the last) that cannot be written.

    Memory maps of files (np.memmap with mode="r") are: to write there would end the process. Known on Linux only.
    """
    table = Path("/proc/self/maps")
    if not spans or not table.exists():
        return []
    closed = []
    for line in table.read_text("utf-8", "replace").splitlines():
        addresses, rights = line.split(maxsplit=2)[:2]
        if "w" not in rights:
            start, stop = (int(address, 16) for address in addresses.split("-"))
            closed.append((start, stop))
    starts = [start for start, _ in closed]  # the table is in order
    found = []
    for name, (start, stop) in spans.items():
        last = bisect.bisect_left(starts, stop) - 1
        if last >= 0 and closed[last][1] > start:
            found.append(name)
    return found
