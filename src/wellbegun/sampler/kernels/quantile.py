"""The normal quantile, which truncated draws of improbable windows come from (docs/sampler.md, section 7)."""

from __future__ import annotations

import numpy as np

from wellbegun.sampler import coefficients as c
from wellbegun.sampler.kernels.compiled import compiled, inlined
from wellbegun.sampler.kernels.double import joined, log64
from wellbegun.sampler.layout import LANES, TILE

_CN, _CD = c.CENTRAL_NUMERATOR, c.CENTRAL_DENOMINATOR
_MN, _MD = c.MIDDLE_NUMERATOR, c.MIDDLE_DENOMINATOR
_TN, _TD = c.TAIL_NUMERATOR, c.TAIL_DENOMINATOR


@inlined
def _horner(x, c0, c1, c2, c3, c4, c5, c6, c7):  # type: ignore[no-untyped-def]
    return ((((((c7 * x + c6) * x + c5) * x + c4) * x + c3) * x + c2) * x + c1) * x + c0


@inlined
def upper_quantile(upper):  # type: ignore[no-untyped-def]
    """The x whose upper tail Q(x) is given; all three ranges are evaluated, so that lanes need no branch."""
    centre = upper - 0.5
    t = 0.180625 - centre * centre
    r = np.sqrt(-log64(0.5 if upper > 0.5 else upper))
    m, f = r - 1.6, r - 5.0
    numerator = _horner(m, *_MN) if r <= 5.0 else _horner(f, *_TN)
    denominator = _horner(m, *_MD) if r <= 5.0 else _horner(f, *_TD)
    near = abs(centre) <= 0.425
    numerator = -centre * _horner(t, *_CN) if near else numerator
    denominator = _horner(t, *_CD) if near else denominator
    return numerator / denominator


@compiled
def quantiles(words, tiles, z, near, far, upper_tail, mass, sign):  # type: ignore[no-untyped-def]
    """Write standard truncated normals of so many tiles, in float32, by the quantile of 32 bits."""
    for tile in range(tiles):
        for j in range(4):
            for lane in range(LANES):
                u = (np.float64(words[j, tile * LANES + lane]) + 0.5) * 2.0**-32
                value = min(max(upper_quantile(upper_tail - u * mass), near), far)
                z[tile * TILE + j * LANES + lane] = np.float32(sign * value)


@compiled
def quantiles64(words, tiles, z, near, far, upper_tail, mass, sign):  # type: ignore[no-untyped-def]
    """Write standard truncated normals of so many tiles by the quantile of 52 bits."""
    for tile in range(tiles):
        for j in range(4):
            for lane in range(LANES):
                u = (np.float64(np.int64(joined(words, j, tile * LANES + lane) >> np.uint64(12))) + 0.5) * 2.0**-52
                value = min(max(upper_quantile(upper_tail - u * mass), near), far)
                z[tile * TILE + j * LANES + lane] = sign * value
