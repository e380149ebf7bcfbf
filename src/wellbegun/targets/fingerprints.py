"""Short digests of memory: to compare processes, and to find numbers of one tensor in another."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

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


def blocks_of(part: Part) -> NDArray[np.uint64]:
    """Return the keys of blocks of a part's rows, of `MOST` evenly spread ones where it has more.

    A block is `BLOCK` elements that follow on one another in the last dimension. Blocks in which fewer than half of the
    numbers differ from one another say nothing and are left out: zeros, ones, tables of small integers.
    """
    count = _count(part)
    chosen = np.unique(np.linspace(0, count - 1, min(count, MOST)).astype(np.int64)) if count else np.empty(0, np.int64)
    return np.unique(_keys(part, chosen))


def blocks_among(part: Part, wanted: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return those of the wanted keys that some block of a part has; all of its blocks are looked at."""
    found = [np.empty(0, np.uint64)]
    count = _count(part)
    for start in range(0, count, MOST):
        keys = _keys(part, np.arange(start, min(start + MOST, count)))
        found.append(keys[np.isin(keys, wanted)])
    return np.unique(np.concatenate(found))


def _rows(part: Part) -> torch.Tensor:
    memory = part.tensor.detach()
    if memory.ndim == 0 or memory.shape[-1] < BLOCK:
        memory = memory.reshape(1, -1)
    return memory.reshape(-1, memory.shape[-1])


def _count(part: Part) -> int:
    if part.tensor.numel() == 0 or part.tensor.dtype.itemsize > 8:
        return 0
    rows = _rows(part)
    return len(rows) * (rows.shape[1] // BLOCK)


def _keys(part: Part, chosen: NDArray[np.int64]) -> NDArray[np.uint64]:
    """A number for each chosen block that says something: its words times odd constants, modulo 2**64."""
    import torch

    if not len(chosen):
        return np.empty(0, np.uint64)
    rows = _rows(part)
    row, column = np.divmod(chosen, rows.shape[1] // BLOCK)
    words = rows.view(getattr(torch, f"int{8 * rows.itemsize}"))
    blocks = words.unfold(1, BLOCK, BLOCK)[torch.from_numpy(row), torch.from_numpy(column)].cpu().numpy()
    distinct = 1 + np.count_nonzero(np.diff(np.sort(blocks, axis=1), axis=1), axis=1)
    telling = blocks[2 * distinct >= BLOCK].astype(np.int64).view(np.uint64)
    keys: NDArray[np.uint64] = (telling * _constants()).sum(axis=1, dtype=np.uint64)
    return keys


def _constants() -> NDArray[np.uint64]:
    """Odd 64-bit numbers that follow no pattern of floating-point words."""
    words = hashlib.shake_128(b"wellbegun blocks").digest(8 * BLOCK)
    return np.frombuffer(words, np.uint64) | np.uint64(1)
