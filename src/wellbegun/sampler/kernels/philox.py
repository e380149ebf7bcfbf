"""Philox4x32-10, side by side for consecutive counters."""

from __future__ import annotations

import numpy as np

from wellbegun.sampler.kernels.compiled import compiled, inlined

MASK, SHIFT = np.uint64(0xFFFFFFFF), np.uint64(32)
_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)


@inlined
def _round(x0, x1, x2, x3, k0, k1):  # type: ignore[no-untyped-def]
    # the masks cost nothing and tell LLVM that 32 bits are multiplied with 32 bits
    p0 = x0 * _M0
    p1 = x2 * _M1
    return ((p1 >> SHIFT) ^ x1 ^ k0) & MASK, p1 & MASK, ((p0 >> SHIFT) ^ x3 ^ k1) & MASK, p0 & MASK


@inlined
def philox(block, tag, word, k0, k1):  # type: ignore[no-untyped-def]
    """Return the four words of one counter, as uint64."""
    x0, x1, x2, x3 = block & MASK, block >> SHIFT, tag & MASK, word & MASK
    # Written out ten times: LLVM vectorises over the lanes only when no inner loop is left.
    x0, x1, x2, x3 = _round(x0, x1, x2, x3, k0 & MASK, k1 & MASK)
    x0, x1, x2, x3 = _round(x0, x1, x2, x3, (k0 + _W0) & MASK, (k1 + _W1) & MASK)
    x0, x1, x2, x3 = _round(x0, x1, x2, x3, (k0 + np.uint64(2) * _W0) & MASK, (k1 + np.uint64(2) * _W1) & MASK)
    x0, x1, x2, x3 = _round(x0, x1, x2, x3, (k0 + np.uint64(3) * _W0) & MASK, (k1 + np.uint64(3) * _W1) & MASK)
    x0, x1, x2, x3 = _round(x0, x1, x2, x3, (k0 + np.uint64(4) * _W0) & MASK, (k1 + np.uint64(4) * _W1) & MASK)
    x0, x1, x2, x3 = _round(x0, x1, x2, x3, (k0 + np.uint64(5) * _W0) & MASK, (k1 + np.uint64(5) * _W1) & MASK)
    x0, x1, x2, x3 = _round(x0, x1, x2, x3, (k0 + np.uint64(6) * _W0) & MASK, (k1 + np.uint64(6) * _W1) & MASK)
    x0, x1, x2, x3 = _round(x0, x1, x2, x3, (k0 + np.uint64(7) * _W0) & MASK, (k1 + np.uint64(7) * _W1) & MASK)
    x0, x1, x2, x3 = _round(x0, x1, x2, x3, (k0 + np.uint64(8) * _W0) & MASK, (k1 + np.uint64(8) * _W1) & MASK)
    return _round(x0, x1, x2, x3, (k0 + np.uint64(9) * _W0) & MASK, (k1 + np.uint64(9) * _W1) & MASK)


@compiled
def draw_words(block, count, tag, word, k0, k1, w0, w1, w2, w3):  # type: ignore[no-untyped-def]
    """Write the words of `count` consecutive counters into four vectors."""
    for lane in range(count):
        x0, x1, x2, x3 = philox(block + np.uint64(lane), tag, word, k0, k1)
        w0[lane] = np.uint32(x0)
        w1[lane] = np.uint32(x1)
        w2[lane] = np.uint32(x2)
        w3[lane] = np.uint32(x3)
