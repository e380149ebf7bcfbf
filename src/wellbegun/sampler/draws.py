"""Writing a run of consecutive elements of a stream into a vector: the one door to the kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wellbegun.errors import ArgumentError

if TYPE_CHECKING:
    from wellbegun.sampler.stream import Stream
    from wellbegun.sampler.window import Window

Floats = NDArray[np.float32]


def draw_uniform(out: Floats, stream: Stream, start: int, low: float, high: float) -> None:
    """Fill a contiguous float32 vector with elements start, start+1, ... of U(low, high).

    Args:
        out: contiguous float32 vector, overwritten.
        stream: where the numbers come from.
        start: index of the first element in the logical tensor, 0 <= start < 2**63.
        low, high: float32 values; both ends can occur.
    """
    from wellbegun.sampler import kernels

    middle, half = uniform_shape(low, high)
    kernels.fill_uniform(_checked(out, start), start, *_words(stream), middle, half)
    np.clip(out, np.float32(low), np.float32(high), out=out)


def draw_normal(out: Floats, stream: Stream, start: int, mean: float, std: float) -> None:
    """Fill a contiguous float32 vector with elements start, start+1, ... of N(mean, std²)."""
    from wellbegun.sampler import kernels

    kernels.fill_normal(_checked(out, start), start, *_words(stream), np.float32(mean), np.float32(std))


def draw_truncated(out: Floats, stream: Stream, start: int, mean: float, std: float, window: Window) -> None:
    """Fill a contiguous float32 vector with N(mean, std²) given that it lies in a window (in units of std)."""
    from wellbegun.sampler import kernels

    vector, words, scale = _checked(out, start), _words(stream), (np.float32(mean), np.float32(std))
    if window.inverse:
        sign = -1.0 if window.reflected else 1.0
        kernels.fill_quantile(
            vector, start, *words, *scale, window.near, window.far, window.upper_tail, window.mass, sign
        )
    else:
        kernels.fill_truncated(vector, start, *words, *scale, np.float32(window.low), np.float32(window.high))


def draw_householder(out: Floats, stream: Stream, start: int) -> None:
    """Fill a contiguous float32 vector with the standard normals that Householder vectors are made of."""
    from wellbegun.sampler import kernels

    kernels.fill_householder(_checked(out, start), start, *_words(stream))


def uniform_shape(low: float, high: float) -> tuple[np.float32, np.float32]:
    """Return the middle and the half width of [low, high], each rounded once to float32."""
    return np.float32((float(low) + float(high)) / 2), np.float32((float(high) - float(low)) / 2)


def _words(stream: Stream) -> tuple[np.uint64, np.uint64, np.uint64]:
    return np.uint64(stream.key[0]), np.uint64(stream.key[1]), np.uint64(stream.word)


def _checked(out: Floats, start: int) -> Floats:
    if out.dtype != np.float32 or out.ndim != 1 or not out.flags.c_contiguous:
        raise ArgumentError(f"out must be a contiguous float32 vector, got {out.dtype} of shape {out.shape}")
    if not 0 <= start <= 2**63 - out.size:
        raise ArgumentError(f"elements {start} to {start + out.size} are outside 0 to 2**63")
    return out
