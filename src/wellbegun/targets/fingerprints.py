"""Short digests of memory: to compare processes, and to find numbers of one tensor in another."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wellbegun.targets.compare import host_array
from wellbegun.targets.parts import Part

if TYPE_CHECKING:
    import torch

BLOCK = 64
"""Elements of a block: that many equal numbers in a row are no chance."""

MOST = 1 << 14
"""Blocks of a part that are looked at, evenly spread where it has more."""

PIECE = 1 << 24
"""Bytes that are digested at a time."""


def digest(tensor: torch.Tensor) -> str:
    """Return a digest of a tensor's shape, type and bytes."""
    found = hashlib.blake2b(f"{tuple(tensor.shape)} {tensor.dtype}".encode(), digest_size=16)
    flat = tensor.detach().reshape(-1) if tensor.is_contiguous() else tensor.detach().contiguous().reshape(-1)
    step = max(PIECE // max(tensor.element_size(), 1), 1)
    for start in range(0, flat.numel(), step):
        found.update(np.ascontiguousarray(host_array(flat[start : start + step])).view(np.uint8).data)
    return found.hexdigest()


def blocks_of(part: Part) -> dict[int, tuple[int, ...]]:
    """Return {digest of a block: index in the memory where it begins} of a part's rows.

    A block is `BLOCK` elements that follow on one another in the last dimension. Blocks in which fewer than half of the
    numbers differ from one another say nothing and are left out: zeros, ones, tables of small integers.
    """
    memory = part.tensor.detach()
    if memory.ndim == 0 or memory.shape[-1] < BLOCK:
        memory = memory.reshape(1, -1)
    rows = memory.reshape(-1, memory.shape[-1])
    across = rows.shape[1] // BLOCK
    count = len(rows) * across
    if count == 0:
        return {}
    chosen = np.unique(np.linspace(0, count - 1, min(count, MOST)).astype(np.int64))
    found: dict[int, tuple[int, ...]] = {}
    for number in chosen.tolist():
        row, column = divmod(number, across)
        values = np.ascontiguousarray(host_array(rows[row, column * BLOCK : (column + 1) * BLOCK]))
        if len(np.unique(_words(values))) * 2 >= BLOCK:
            key = int.from_bytes(hashlib.blake2b(values.view(np.uint8).data, digest_size=8).digest(), "little")
            place = np.unravel_index(row * rows.shape[1] + column * BLOCK, tuple(part.tensor.shape))
            found.setdefault(key, tuple(int(i) for i in place))
    return found


def _words(values: NDArray[Any]) -> NDArray[Any]:
    return values.view(f"u{values.itemsize}") if values.itemsize in (1, 2, 4, 8) else values
