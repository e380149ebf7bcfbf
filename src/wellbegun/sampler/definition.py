"""The whole definition in plain NumPy, for every draw and storage type; what all kernels are held to."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wellbegun.sampler import reference, reference64
from wellbegun.sampler.draw import Draw
from wellbegun.sampler.formats import inward
from wellbegun.sampler.stream import Stream


def values(stream: Stream, index: reference.Indices, draw: Draw, dtype: Any = np.float32) -> NDArray[Any]:
    """What a draw gives for each index, in the storage type.

    Args:
        stream: where the numbers come from.
        index: of the elements in the logical tensor, uint64.
        draw: what is drawn.
        dtype: any storage type of sampler.formats; a complex one shares the variance between its two parts.
    """
    storage = np.dtype(dtype)
    if storage.kind == "c":
        half = np.float32 if storage == np.complex64 else np.float64
        real, imaginary = (values(stream, index, part, half) for part in draw.complex_parts())
        result = np.empty(index.size, storage)
        result.real, result.imag = real, imaginary
        return result
    if draw.kind == "constant":
        return np.full(index.size, np.float32(draw.shift)).astype(storage)
    precision = np.float64 if storage == np.float64 else np.float32
    if draw.window is not None:
        truncated = reference64.standard_truncated64 if precision is np.float64 else reference.standard_truncated
        standard: NDArray[Any] = truncated(stream, index, draw.window)
    elif draw.kind == "uniform":
        uniform = reference64.standard_uniform64 if precision is np.float64 else reference.standard_uniform
        standard = uniform(stream, index, draw.purpose)
    else:
        normal = reference64.standard_normal64 if precision is np.float64 else reference.standard_normal
        standard = normal(stream, index, purpose=draw.purpose)
    drawn = standard * precision(draw.scale) + precision(draw.shift)
    rounded = drawn.astype(storage)
    if draw.low == -np.inf and draw.high == np.inf:
        return rounded
    low, high = inward(draw.low, storage, up=True), inward(draw.high, storage, up=False)
    rounded = np.where(rounded < low, low, rounded)
    return np.where(rounded > high, high, rounded).astype(storage)
