"""The kernel that writes memory: rows of consecutive elements of a stream."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from wellbegun.sampler.kernels.compiled import OPTIONS, compiled
from wellbegun.sampler.kernels.kinds import standard
from wellbegun.sampler.kernels.philox import draw_words
from wellbegun.sampler.kernels.rounding import stored
from wellbegun.sampler.layout import LANES, TILE

_TILES = 4
_BATCH = _TILES * TILE


def scratch(out: Any) -> Any:
    """Return a batch's worth of the precision that `out` is drawn in (in compiled code only)."""
    raise NotImplementedError("scratch exists in compiled code only")


@overload(scratch, jit_options=OPTIONS)
def _scratch(out):  # type: ignore[no-untyped-def]
    if out.dtype == types.float64:
        return lambda out: np.empty(_BATCH, np.float64)  # noqa: ARG005
    return lambda out: np.empty(_BATCH, np.float32)  # noqa: ARG005


@compiled
def _emit(z, out, scale, shift, low, high):  # type: ignore[no-untyped-def]
    if low == -np.inf and high == np.inf:
        for i in range(z.size):
            out[i] = stored(out, z[i] * scale + shift)
        return
    for i in range(z.size):
        value = z[i] * scale + shift
        value = low if value < low else value
        value = high if value > high else value
        out[i] = stored(out, value)


@compiled
def fill(out, rows, run, pitch, start, step, key, kind, numbers):  # type: ignore[no-untyped-def]
    """Write rows of consecutive elements: element (r, c) has index start + r·step + c and lies at out[r·pitch + c].

    Args:
        out: vector under a type of rounding.VIEWS; float64 is drawn in float64, all others in float32.
        rows, run: number of rows and their length.
        pitch, start, step: see above.
        key: (key word 0, key word 1, stream word, purpose << 24).
        kind: of the standard draw, see kinds.
        numbers: (scale, shift, low, high).

    Returns:
        how many redraws it took.
    """
    k0, k1, word, tag = np.uint64(key[0]), np.uint64(key[1]), np.uint64(key[2]), np.uint64(key[3])
    z = scratch(out)
    scale, shift = z.dtype.type(numbers[0]), z.dtype.type(numbers[1])
    low, high = z.dtype.type(numbers[2]), z.dtype.type(numbers[3])
    words = np.empty((8, _TILES * LANES), np.uint32)
    picks, flags, fresh = np.empty(_BATCH, np.int32), np.empty(_BATCH, np.uint8), np.empty_like(z)
    redraws = 0
    for row in range(rows):
        done = 0
        while done < run:
            index = np.uint64(start) + np.uint64(row) * np.uint64(step) + np.uint64(done)
            block = (index // np.uint64(TILE)) * np.uint64(LANES)
            place = np.int64(index % np.uint64(TILE))
            take = min(_BATCH - place, run - done)
            tiles = (place + take + TILE - 1) // TILE
            draw_words(block, tiles * LANES, tag, word, k0, k1, words[0], words[1], words[2], words[3])
            redraws += standard(kind, z, words, picks, flags, fresh, tiles, place, take, block, tag, word, k0, k1)
            at = row * pitch + done
            _emit(z[place : place + take], out[at : at + take], scale, shift, low, high)
            done += take
    return redraws
