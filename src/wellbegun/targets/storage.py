"""Which storage types can hold a law's numbers, and how whole blocks of values are rounded to them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wellbegun.errors import ArgumentError
from wellbegun.laws import Constant, Dirac, Identity, Law, Normal, Stored, Uniform
from wellbegun.sampler import LARGEST, WHOLE, inward

Array = NDArray[Any]


def check_storage(dtype: str, law: Law) -> None:
    """Raise ArgumentError unless a tensor of this dtype can hold the law's values."""
    if dtype in LARGEST:
        most, reach = LARGEST[dtype], law.reach()
        if most < reach < math.inf:
            raise ArgumentError(f"{law!r} reaches {reach:.4g}, and {dtype} holds numbers up to {most:.4g}")
        if dtype.startswith("complex") and not isinstance(law, Constant | Normal | Uniform | Identity | Dirac | Stored):
            raise ArgumentError(
                f"a complex tensor takes constant, uniform and normal laws, identities and stored numbers, not {law!r}"
            )
        if isinstance(law, Stored) and law.values.dtype.kind == "c" and not dtype.startswith("complex"):
            raise ArgumentError(f"a tensor of {dtype} cannot hold the complex numbers of {law!r}")
        return
    if dtype in WHOLE and isinstance(law, Constant) and law.value.is_integer():
        return
    if dtype in WHOLE and isinstance(law, Stored) and _fits(dtype, law):
        return
    if dtype in WHOLE:
        raise ArgumentError(
            f"a tensor of {dtype} takes whole constants only, or stored numbers that fit it; not {law!r}"
        )
    raise ArgumentError(f"the sampler writes {', '.join(LARGEST)}, and whole constants as integers; not {dtype}")


def store(out: Array, values: Array, law: Law) -> None:
    """Write float32 values into an array of a storage type: rounded once, then inside the law's bounds."""
    out[...] = values.astype(out.dtype, copy=False)
    bounds = law.bounds()
    if bounds is not None:
        low, high = inward(bounds[0], out.dtype, up=True), inward(bounds[1], out.dtype, up=False)
        np.clip(out, low, high, out=out)


def _fits(dtype: str, law: Stored) -> bool:
    """Whether every stored number is one of an integer type or a flag."""
    with np.errstate(invalid="ignore"):  # a number too large for the type: it does not come back as it was
        return bool(np.array_equal(law.values.astype(dtype).astype(law.values.dtype), law.values))
