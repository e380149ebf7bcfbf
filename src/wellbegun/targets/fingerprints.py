"""Short digests of memory: to compare processes, and to find numbers of one tensor in another."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from wellbegun.targets.compare import host_array
from wellbegun.targets.parts import Part

if TYPE_CHECKING:
    import torch

BLOCK = 64
"""Elements of a block: that many equal numbers in a row are no chance."""

MOST = 1 << 14
"""Blocks of a part that are looked at, evenly spread where it has more."""

BLOCKS = 1 << 20
"""Blocks that all processes together tell one another of."""

PIECE = 1 << 24
"""Bytes that are digested at a time."""


def digest(tensor: torch.Tensor) -> str:
    """Return a digest of a tensor's shape, type and bytes."""
    import torch

    found = hashlib.blake2b(f"{tuple(tensor.shape)} {tensor.dtype}".encode(), digest_size=16)
    flat = tensor.detach().reshape(-1) if tensor.is_contiguous() else tensor.detach().contiguous().reshape(-1)
    data = flat.view(torch.uint8)
    for start in range(0, data.numel(), PIECE):
        found.update(host_array(data[start : start + PIECE]).data)
    return found.hexdigest()


def blocks_of(part: Part) -> dict[int, tuple[int, ...]]:
    """Return {digest of a block: index in the memory where it begins} of a part's rows.

    A block is `BLOCK` elements that follow on one another in the last dimension. Blocks in which fewer than half of the
    numbers differ from one another say nothing and are left out: zeros, ones, tables of small integers.
    """
    import torch

    memory = part.tensor.detach()
    if memory.ndim == 0 or memory.shape[-1] < BLOCK:
        memory = memory.reshape(1, -1)
    rows = memory.reshape(-1, memory.shape[-1])
    across = rows.shape[1] // BLOCK
    count = len(rows) * across
    if count == 0:
        return {}
    chosen = np.unique(np.linspace(0, count - 1, min(count, MOST)).astype(np.int64))
    row, column = np.divmod(chosen, across)
    words = rows.view(getattr(torch, f"int{8 * rows.itemsize}")) if rows.itemsize <= 8 else rows
    blocks = words.unfold(1, BLOCK, BLOCK)[torch.from_numpy(row), torch.from_numpy(column)].cpu().numpy()
    distinct = 1 + np.count_nonzero(np.diff(np.sort(blocks, axis=1), axis=1), axis=1)
    places = np.stack(np.unravel_index(row * rows.shape[1] + column * BLOCK, tuple(part.tensor.shape)), axis=1)
    found: dict[int, tuple[int, ...]] = {}
    for number in np.flatnonzero(2 * distinct >= BLOCK).tolist():
        key = int.from_bytes(hashlib.blake2b(blocks[number].tobytes(), digest_size=8).digest(), "little")
        found.setdefault(key, tuple(places[number].tolist()))
    return found
