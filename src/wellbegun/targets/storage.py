"""From float32 draws to a storage type: one rounding, then a clamp to the law's closed bounds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wellbegun.errors import ArgumentError
from wellbegun.laws import Constant, Law, inward

Array = NDArray[Any]

LARGEST = {"float32": 3.4028234e38, "float64": 1.7976931e308, "float16": 65504.0, "bfloat16": 3.3895313e38}
FLOATS = tuple(LARGEST)
WHOLE = ("bool", "int8", "int16", "int32", "int64", "uint8")


def check_storage(dtype: str, law: Law) -> None:
    """Raise ArgumentError unless a tensor of this dtype can hold the law's values."""
    if dtype in FLOATS:
        most, reach = LARGEST[dtype], law.reach()
        if most < reach < math.inf:
            raise ArgumentError(f"{law!r} reaches {reach:.4g}, and {dtype} holds numbers up to {most:.4g}")
        return
    if dtype in WHOLE and isinstance(law, Constant) and law.value.is_integer():
        return
    if dtype in WHOLE:
        raise ArgumentError(f"a tensor of {dtype} takes whole constants only, not {law!r}")
    raise ArgumentError(f"sampler version 0 writes {', '.join(FLOATS)}, not {dtype}")


def store(out: Array, values: NDArray[np.float32], law: Law) -> None:
    """Write float32 values into an array of a storage type: rounded once, then inside the law's bounds."""
    out[...] = values.astype(out.dtype, copy=False)
    bounds = law.bounds()
    if bounds is not None and out.dtype.name in ("float16", "bfloat16"):
        low, high = (inward(bound, out.dtype, up=up) for bound, up in ((bounds[0], True), (bounds[1], False)))
        np.clip(out, low, high, out=out)


def bfloat16() -> Any:
    """NumPy's view of bfloat16."""
    import ml_dtypes

    return np.dtype(ml_dtypes.bfloat16)
