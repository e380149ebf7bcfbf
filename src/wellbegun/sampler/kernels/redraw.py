"""Drawing again what lies outside a window, all such elements of a batch side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from wellbegun.sampler.kernels import double, single
from wellbegun.sampler.kernels.compiled import OPTIONS, compiled
from wellbegun.sampler.kernels.window import MANY, count_outside, list_outside, replace_outside
from wellbegun.sampler.layout import LANES, MAX_ATTEMPTS, TILE


def _fresh_batch(z: Any, *batch: Any) -> None:
    raise NotImplementedError("exists in compiled code only")


def _fresh_one(z: Any, *place: Any) -> float:
    raise NotImplementedError("exists in compiled code only")


@overload(_fresh_batch, jit_options=OPTIONS)
def _choose_batch(z, words, fresh, tiles, block, tag, word, k0, k1):  # type: ignore[no-untyped-def]  # noqa: ARG001
    if z.dtype == types.float64:
        return lambda z, words, fresh, tiles, block, tag, word, k0, k1: double.fresh_batch(  # noqa: ARG005
            words, fresh, tiles, block, tag, word, k0, k1
        )
    return lambda z, words, fresh, tiles, block, tag, word, k0, k1: single.fresh_batch(  # noqa: ARG005
        words, fresh, tiles, block, tag, word, k0, k1
    )


@overload(_fresh_one, jit_options=OPTIONS | {"forceinline": True})
def _choose_one(z, i, counter, tag, word, k0, k1):  # type: ignore[no-untyped-def]  # noqa: ARG001
    if z.dtype == types.float64:
        return lambda z, i, counter, tag, word, k0, k1: double.fresh_one(i, counter, tag, word, k0, k1)  # noqa: ARG005
    return lambda z, i, counter, tag, word, k0, k1: single.fresh_one(i, counter, tag, word, k0, k1)  # noqa: ARG005


@compiled
def redraw(z, words, picks, flags, fresh, place, take, tiles, block, tag, word, k0, k1, low, high, mass):  # type: ignore[no-untyped-def]
    """Draw again what lies outside the window and return how many draws that took.

    `block` is the counter of the batch's first tile; `words`, `picks`, `flags` and `fresh` are scratch. The mass of the
    window only tells whether it is worth counting.
    """
    attempt, total, outside = 1, np.int64(0), np.int64(0)
    if (1.0 - mass) * MANY > 0.5:
        outside = count_outside(z[place : place + take], low, high)
    while outside * MANY > take and attempt < MAX_ATTEMPTS:
        # so many are outside that a fresh batch, eight or sixteen lanes at a time, costs less than their single draws
        _fresh_batch(z, words, fresh, tiles, block, tag + np.uint64(attempt), word, k0, k1)
        replace_outside(z[place : place + take], fresh[place : place + take], low, high)
        total += outside
        attempt += 1
        outside = count_outside(z[place : place + take], low, high)
    waiting = list_outside(z, place, take, low, high, picks, flags)
    while waiting > 0 and attempt < MAX_ATTEMPTS:
        total += waiting
        again = tag + np.uint64(attempt)
        for m in range(waiting):
            i = picks[m]
            counter = block + np.uint64((i // TILE) * LANES + i % LANES)
            fresh[m] = _fresh_one(z, i, counter, again, word, k0, k1)
        still = 0
        for m in range(waiting):
            i, value = picks[m], fresh[m]
            z[i] = value
            picks[still] = i
            still += (value < low) | (value > high)
        waiting = still
        attempt += 1
    for m in range(waiting):
        z[picks[m]] = min(max(z[picks[m]], low), high)
    return total
