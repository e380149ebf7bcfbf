"""The kinds of standard draws, as types: the compiler makes one kernel for each that is used."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.extending import overload

from wellbegun.sampler.kernels import double, quantile, single
from wellbegun.sampler.kernels.compiled import OPTIONS
from wellbegun.sampler.kernels.redraw import redraw


class Uniform(NamedTuple):
    """Uniform on [-1, 1]."""

    half_width: float = 1.0


class Normal(NamedTuple):
    """N(0, 1)."""

    std: float = 1.0


class Redraw(NamedTuple):
    """N(0, 1) between two bounds that hold at least half of the mass."""

    low: float
    high: float
    mass: float


class Quantile(NamedTuple):
    """N(0, 1) between two bounds of little mass; the fields are those of sampler.window."""

    near: float
    far: float
    upper_tail: float
    mass: float
    sign: float


def standard(kind: Any, *batch: Any) -> int:
    """Write the standard draws of a batch into z and return the number of redraws (in compiled code only).

    The words of the batch's counters stand in the first four rows of `words`; the next four, `picks`, `flags` and
    `fresh` are scratch. Elements from `place` on, `take` of them, are wanted.
    """
    raise NotImplementedError("standard exists in compiled code only")


@overload(standard, jit_options=OPTIONS)
def _standard(kind, z, words, picks, flags, fresh, tiles, place, take, block, tag, word, k0, k1):  # type: ignore[no-untyped-def]  # noqa: ARG001
    by_kind = _DOUBLE if z.dtype == types.float64 else _SINGLE
    return by_kind[kind.instance_class]


def _uniform(kind, z, words, picks, flags, fresh, tiles, place, take, block, tag, word, k0, k1):  # type: ignore[no-untyped-def]  # noqa: ARG001
    single.uniforms(words, tiles, z)
    return 0


def _normal(kind, z, words, picks, flags, fresh, tiles, place, take, block, tag, word, k0, k1):  # type: ignore[no-untyped-def]  # noqa: ARG001
    single.normals(words, tiles, z)
    return 0


def _redraw(kind, z, words, picks, flags, fresh, tiles, place, take, block, tag, word, k0, k1):  # type: ignore[no-untyped-def]
    single.normals(words, tiles, z)
    low, high = np.float32(kind.low), np.float32(kind.high)
    return redraw(z, words, picks, flags, fresh, place, take, tiles, block, tag, word, k0, k1, low, high, kind.mass)


def _quantile(kind, z, words, picks, flags, fresh, tiles, place, take, block, tag, word, k0, k1):  # type: ignore[no-untyped-def]  # noqa: ARG001
    quantile.quantiles(words, tiles, z, kind.near, kind.far, kind.upper_tail, kind.mass, kind.sign)
    return 0


def _uniform64(kind, z, words, picks, flags, fresh, tiles, place, take, block, tag, word, k0, k1):  # type: ignore[no-untyped-def]  # noqa: ARG001
    double.low_words(words, tiles, block, tag, word, k0, k1)
    double.uniforms(words, tiles, z)
    return 0


def _normal64(kind, z, words, picks, flags, fresh, tiles, place, take, block, tag, word, k0, k1):  # type: ignore[no-untyped-def]  # noqa: ARG001
    double.low_words(words, tiles, block, tag, word, k0, k1)
    double.normals(words, tiles, z)
    return 0


def _redraw64(kind, z, words, picks, flags, fresh, tiles, place, take, block, tag, word, k0, k1):  # type: ignore[no-untyped-def]
    double.low_words(words, tiles, block, tag, word, k0, k1)
    double.normals(words, tiles, z)
    low, high = kind.low, kind.high
    return redraw(z, words, picks, flags, fresh, place, take, tiles, block, tag, word, k0, k1, low, high, kind.mass)


def _quantile64(kind, z, words, picks, flags, fresh, tiles, place, take, block, tag, word, k0, k1):  # type: ignore[no-untyped-def]  # noqa: ARG001
    double.low_words(words, tiles, block, tag, word, k0, k1)
    quantile.quantiles64(words, tiles, z, kind.near, kind.far, kind.upper_tail, kind.mass, kind.sign)
    return 0


_SINGLE = {Uniform: _uniform, Normal: _normal, Redraw: _redraw, Quantile: _quantile}
_DOUBLE = {Uniform: _uniform64, Normal: _normal64, Redraw: _redraw64, Quantile: _quantile64}
