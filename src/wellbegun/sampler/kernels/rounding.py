"""From float32 to storage: one rounding to nearest even, by integer arithmetic, into the bits of a narrower type.

NumPy and Numba have no bfloat16 or float8, so kernels write integers of the same size; which integer type stands for
which storage type is a convention of this file alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from wellbegun.sampler.kernels.compiled import OPTIONS, inlined

VIEWS = {
    "float32": np.float32,
    "float64": np.float64,
    "bfloat16": np.uint16,
    "float16": np.int16,
    "float8_e5m2": np.uint8,
    "float8_e4m3fn": np.int8,
}
"""The type under which a kernel sees the memory of each storage type."""

_SIGN, _REST = np.uint32(0x80000000), np.uint32(0x7FFFFFFF)


def stored(out: Any, value: Any) -> Any:
    """Return the number or bits that an element of `out` must hold for a float32 value (in compiled code only)."""
    raise NotImplementedError("stored exists in compiled code only")


@overload(stored, jit_options=OPTIONS | {"forceinline": True})
def _stored(out, value):  # type: ignore[no-untyped-def]  # noqa: ARG001
    return {
        types.float32: _unchanged, types.float64: _unchanged, types.uint16: _bfloat16,
        types.int16: _float16, types.uint8: _float8_e5m2, types.int8: _float8_e4m3fn,
    }.get(out.dtype)  # fmt: skip


def _unchanged(out, value):  # type: ignore[no-untyped-def]  # noqa: ARG001
    return value


def _bfloat16(out, value):  # type: ignore[no-untyped-def]  # noqa: ARG001
    bits = np.float32(value).view(np.uint32)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    return np.uint16(np.uint32(bits + np.uint32(0x7FFF) + odd) >> np.uint32(16))


@inlined
def _narrow(bits, smallest, bias, shift, magic):  # type: ignore[no-untyped-def]
    """Round the magnitude `bits` of a float32 to a type with a shorter exponent too.

    `smallest`: bits of its smallest normal number; `bias`: what its exponent bias differs by; `shift`: how many bits
    its mantissa is shorter by; `magic`: the power of two whose unit in the last place is its smallest subnormal, so
    that adding it rounds there.
    """
    odd = (bits >> shift) & np.uint32(1)
    half = np.uint32((np.uint32(1) << np.uint32(shift - np.uint32(1))) - np.uint32(1))
    normal = np.uint32(np.uint32(bits + half + odd) - bias) >> shift
    moved = np.uint32(bits).view(np.float32) + magic
    subnormal = np.uint32(np.float32(moved).view(np.uint32) - np.float32(magic).view(np.uint32))
    return normal if bits >= smallest else subnormal


def _float16(out, value):  # type: ignore[no-untyped-def]  # noqa: ARG001
    bits = np.float32(value).view(np.uint32)
    code = _narrow(bits & _REST, np.uint32(0x38800000), np.uint32(112 << 23), np.uint32(13), np.float32(0.5))
    return np.int16(code | np.uint32(bits & _SIGN) >> np.uint32(16))


def _float8_e5m2(out, value):  # type: ignore[no-untyped-def]  # noqa: ARG001
    bits = np.float32(value).view(np.uint32)
    code = _narrow(bits & _REST, np.uint32(0x38800000), np.uint32(112 << 23), np.uint32(21), np.float32(128))
    return np.uint8(code | np.uint32(bits & _SIGN) >> np.uint32(24))


def _float8_e4m3fn(out, value):  # type: ignore[no-untyped-def]  # noqa: ARG001
    bits = np.float32(value).view(np.uint32)
    code = _narrow(bits & _REST, np.uint32(0x3C800000), np.uint32(120 << 23), np.uint32(20), np.float32(16384))
    return np.int8(code | np.uint32(bits & _SIGN) >> np.uint32(24))
