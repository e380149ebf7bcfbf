"""Stored values: the float32 draw rounded once, to nearest even, then clamped into the law's closed bounds."""

from __future__ import annotations

import struct

import ml_dtypes
import numpy as np
import pytest

import wellbegun as wb
from wellbegun.sampler import LARGEST, inward, storage_type

INF = float("inf")
DTYPES = {name: storage_type(name) for name in LARGEST if not name.startswith("complex")}
SINGLE = [name for name in DTYPES if name != "float64"]
# float8 has no number at all between some bounds
FINE = [name for name in DTYPES if not name.startswith("float8")]
SIZE = 200_000


def filled(law, dtype, size=SIZE):
    out = np.empty(size, DTYPES[dtype])
    wb.fill(out, law, seed=9, name="stored", fans=wb.Fans(300, 100))
    return out


def rounded(values, dtype):
    """Rounding by integer arithmetic (bfloat16) and by the C library's packing (float16): no cast of NumPy's."""
    if dtype == "bfloat16":
        bits = values.view(np.uint32).astype(np.uint64)
        kept = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
        return kept.astype(np.uint16).view(ml_dtypes.bfloat16)
    if dtype == "float16":
        return np.frombuffer(struct.pack(f"<{values.size}e", *values.tolist()), np.float16)
    return values.astype(DTYPES[dtype])


@pytest.mark.parametrize("dtype", FINE)
@pytest.mark.parametrize("std", [1e-4, 0.02, 1.0])
@pytest.mark.parametrize("window", [(-2, 2), (-1, 1), (-3, 3), (0, INF), (1, 3), (-0.1, 0.2)], ids=str)
@pytest.mark.parametrize("match", [True, False])
def test_truncated_values_lie_within_the_bounds(window, std, dtype, match):
    law = wb.TruncatedNormal(std, low=window[0], high=window[1], match_std=match)
    values = filled(law, dtype).astype(np.float64)
    sigma = np.float32(law.sigma).astype(float)
    low, high = (sigma * float(np.float32(x)) for x in window)
    assert law.law().bounds() == (low, high)
    assert low <= values.min()
    assert values.max() <= high


@pytest.mark.parametrize("dtype", FINE)
@pytest.mark.parametrize(
    "law",
    [wb.Uniform(-0.1, 0.1), wb.Uniform(-0.3, 0.1), wb.Uniform(0, 1e-4), wb.XavierUniform(), wb.FanInUniform()],
    ids=repr,
)
def test_uniform_values_lie_within_the_bounds(law, dtype):
    low, high = law.law(wb.Fans(300, 100)).bounds()
    values = filled(law, dtype).astype(np.float64)
    assert low <= values.min()
    assert values.max() <= high
    # and fill the window: the outermost thousandth is reached on both sides, up to the grid of the type
    grid = {"float32": 1e-7, "float64": 1e-7, "float16": 1e-3, "bfloat16": 8e-3}[dtype] * max(-low, high)
    assert values.min() <= low + 1e-3 * (high - low) + grid
    assert values.max() >= high - 1e-3 * (high - low) - grid


def test_rounding_alone_would_leave_the_bounds():
    """The reason for the clamp: 0.04 rounds up to 0.04004 in bfloat16 (±2 sigma at std 0.02)."""
    law = wb.TruncatedNormal(0.02, match_std=False)
    plain = rounded(filled(law, "float32"), "bfloat16").astype(float)
    stored = filled(law, "bfloat16").astype(float)
    assert np.abs(plain).max() == 0.0400390625 > law.bounds()[1]
    moved = plain != stored
    assert 0 < np.count_nonzero(moved) < 500
    assert set(np.abs(plain[moved])) == {0.0400390625}
    assert set(np.abs(stored[moved])) == {0.039794921875}


@pytest.mark.parametrize("dtype", SINGLE)
@pytest.mark.parametrize(
    "law",
    [wb.Constant(0.1), wb.Normal(0.02), wb.Normal(1.0), wb.Normal(1e-7), wb.Uniform(-0.3, 0.1),
     wb.TruncatedNormal(0.02), wb.TruncatedNormal(1.0, low=3, high=4, match_std=False), wb.HeNormal(),
     wb.LecunUniform()],
    ids=repr,
)  # fmt: skip
def test_stored_is_the_rounded_draw_then_the_clamp(law, dtype):
    draw, stored = filled(law, "float32"), filled(law, dtype)
    expected = rounded(draw, dtype)
    bounds = law.law(wb.Fans(300, 100)).bounds()
    if bounds is None:
        np.testing.assert_array_equal(stored.view(np.uint8), expected.view(np.uint8))
        return
    # every value of the type that lies inside the bounds is the candidate for the clamp
    with np.errstate(invalid="ignore"):  # the NaNs among all bit patterns
        codes = np.arange(2**16, dtype=np.uint16) if "16" in dtype else np.arange(2**8, dtype=np.uint8)
        every = draw if dtype == "float32" else codes.view(DTYPES[dtype]).astype(np.float64)
        inside = every[(every >= bounds[0]) & (every <= bounds[1])]
    expected = np.clip(expected.astype(np.float64), inside.min(), inside.max())
    np.testing.assert_array_equal(stored.astype(np.float64), expected)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("law", [wb.Normal(0.02), wb.Uniform(-0.1, 0.1), wb.TruncatedNormal(0.02)], ids=repr)
def test_low_precision_is_unbiased(law, dtype):
    values = filled(law, dtype, 4_000_000).astype(np.float64)
    assert abs(values.mean()) <= 4 * law.moments(())[1] / np.sqrt(values.size)


def test_zero_std_is_the_mean_even_with_an_open_side():
    for window in ((-2, 2), (0, INF), (-INF, INF)):
        law = wb.TruncatedNormal(0.0, low=window[0], high=window[1], mean=0.5)
        assert set(filled(law, "float32", 100).tolist()) == {0.5}
        assert law.bounds() == (0.5, 0.5)
    assert set(filled(wb.Normal(0.0, mean=0.5), "float16", 100).tolist()) == {0.5}


@pytest.mark.parametrize("dtype", SINGLE)
@pytest.mark.parametrize("bound", [0.1, -0.1, 0.3, -0.3, 1.0, 0.04, 1e-3, 3.3e-5, -7.7, 0.0])
def test_the_outermost_number_inside_a_bound(bound, dtype):
    """By trying every number of the type (float32: its neighbours)."""
    kind = DTYPES[dtype]
    codes = np.arange(2**16, dtype=np.uint16) if "16" in dtype else np.arange(2**8, dtype=np.uint8)
    if dtype == "float32":
        single = np.float32(bound)
        every = np.array([np.nextafter(single, np.float32(x)) for x in (-9, 9)] + [single]).astype(np.float64)
    else:
        with np.errstate(invalid="ignore"):
            every = codes.view(kind).astype(np.float64)
    every = every[np.isfinite(every)]
    assert float(inward(bound, np.dtype(kind), up=True)) == every[every >= bound].min()
    assert float(inward(bound, np.dtype(kind), up=False)) == every[every <= bound].max()
