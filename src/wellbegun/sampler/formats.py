"""The storage types that numbers are rounded to: what they hold, and under which type a kernel sees them."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from wellbegun.errors import ArgumentError

LARGEST = {
    "float32": 3.4028234663852886e38,
    "float64": 1.7976931348623157e308,
    "bfloat16": 3.3895313892515355e38,
    "float16": 65504.0,
    "float8_e5m2": 57344.0,
    "float8_e4m3fn": 448.0,
    "complex64": 3.4028234663852886e38,
    "complex128": 1.7976931348623157e308,
}
"""Largest finite number of each storage type that takes random numbers."""

WHOLE = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
"""Storage types that take whole constants only."""


@functools.cache
def type_name(dtype: np.dtype[Any]) -> str:
    """Return the name of a dtype (NumPy makes it anew, slowly, each time it is asked)."""
    return dtype.name


def storage_type(name: str) -> np.dtype[Any]:
    """Return NumPy's dtype of a storage type.

    Raises:
        ArgumentError: no such storage type.
    """
    if name not in LARGEST and name not in WHOLE:
        raise ArgumentError(f"no storage type is called {name!r}; known: {', '.join((*LARGEST, *WHOLE))}")
    if name.startswith(("bfloat", "float8")):
        import ml_dtypes

        foreign: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name))
        return foreign
    return np.dtype(name)


def inward(bound: float, dtype: np.dtype[Any], *, up: bool) -> Any:
    """Return the value of this dtype nearest to a bound that does not lie outside it.

    >>> float(inward(0.04, np.dtype(np.float16), up=False)) <= 0.04
    True
    """
    if math.isinf(bound) or dtype == np.float64:
        return np.float64(bound)
    value = np.asarray(bound, dtype)
    if float(value) != bound and (float(value) < bound) == up:
        # towards the largest number and not towards infinity, which float8_e4m3fn does not have
        return np.nextafter(value, np.asarray(LARGEST[dtype.name] if up else -LARGEST[dtype.name], dtype))
    return value
