"""The compiled kernels equal the NumPy reference bit for bit, and a part equals that part of the whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellbegun.errors import ArgumentError
from wellbegun.sampler import Stream, Window, draw_normal, draw_truncated, draw_uniform, reference
from wellbegun.sampler.draws import draw_householder

INF = float("inf")
STREAM = Stream.of(20261123, "layers.3.weight")
WINDOWS = [(-2, 2), (-1, 1), (0, INF), (1, 3), (-5, -4), (8, INF), (-0.1, 0.2), (0.5, 0.5001), (-INF, INF), (-INF, 1)]
SIZES = [1, 3, 64, 65, 4096]
STARTS = [0, 1, 63, 255, 257, 2**34 + 77, 2**62 + 5, 2**63 - 4096]


def laws():
    """Each law as (kernel, reference), both from (stream, start, size) to float32."""
    yield "uniform", lambda out, s, i: draw_uniform(out, s, i, -1.0, 1.0), lambda s, n: reference.uniform(s, n, -1, 1)
    yield (
        "uniform-uneven",
        lambda out, s, i: draw_uniform(out, s, i, -0.3, 0.1),
        lambda s, n: reference.uniform(s, n, -0.3, 0.1),
    )
    yield "normal", lambda out, s, i: draw_normal(out, s, i, 0.0, 1.0), lambda s, n: reference.normal(s, n, 0.0, 1.0)
    yield (
        "normal-moved",
        lambda out, s, i: draw_normal(out, s, i, 0.3, 0.02),
        lambda s, n: reference.normal(s, n, 0.3, 0.02),
    )
    yield "householder", draw_householder, lambda s, n: reference.standard_normal(s, n, purpose=1)
    for low, high in WINDOWS:
        window = Window.of(low, high)
        yield (
            f"truncated({low},{high})",
            lambda out, s, i, w=window: draw_truncated(out, s, i, 0.3, 0.02, w),
            lambda s, n, w=window: reference.truncated(s, n, 0.3, 0.02, w),
        )


LAWS = {name: (kernel, plain) for name, kernel, plain in laws()}


def from_kernel(name, start, size, stream=STREAM):
    out = np.full(size, np.nan, np.float32)
    LAWS[name][0](out, stream, start)
    return out


def from_reference(name, start, size, stream=STREAM):
    index = np.uint64(start) + np.arange(size, dtype=np.uint64)
    values = LAWS[name][1](stream, index)
    assert values.dtype == np.float32
    return values


def assert_same_bits(one, other):
    np.testing.assert_array_equal(one.view(np.uint32), other.view(np.uint32))


@pytest.mark.parametrize("name", LAWS)
def test_kernel_equals_reference(name):
    for start in STARTS:
        for size in SIZES:
            assert_same_bits(from_kernel(name, start, size), from_reference(name, start, size))


@pytest.mark.parametrize("name", LAWS)
def test_kernel_equals_reference_on_a_million(name):
    for start in (0, 1) if name in ("uniform", "normal", "truncated(-2,2)") else (1,):
        assert_same_bits(from_kernel(name, start, 1_000_003), from_reference(name, start, 1_000_003))


@pytest.mark.parametrize("name", LAWS)
@given(start=st.integers(0, 2048), size=st.integers(0, 1024), base=st.sampled_from([0, 2**34 - 1024, 2**62]))
def test_a_part_equals_that_part_of_the_whole(name, start, size, base):
    whole = WHOLES.setdefault((name, base), from_kernel(name, base, 3072))
    assert_same_bits(from_kernel(name, base + start, size), whole[start : start + size])


WHOLES: dict[tuple[str, int], np.ndarray] = {}


@given(seed=st.integers(0, 2**64 - 1), name=st.text(max_size=8), start=st.integers(0, 2**63 - 300))
def test_any_stream_at_any_place(seed, name, start):
    stream = Stream.of(seed, name)
    for law in ("uniform-uneven", "normal-moved", "truncated(-1,1)", "truncated(1,3)"):
        assert_same_bits(from_kernel(law, start, 300, stream), from_reference(law, start, 300, stream))


@pytest.mark.parametrize(("low", "high"), [(-1, 1), (-0.3, 0.1), (0, 1e-6), (-3e38, 3e38), (1, 1.001), (-1e-45, 1e-45)])
def test_uniform_stays_within_its_bounds_and_reaches_out_to_them(low, high):
    low, high = float(np.float32(low)), float(np.float32(high))
    out = np.empty(100_000, np.float32)
    draw_uniform(out, STREAM, 0, low, high)
    assert low <= out.min() < low + (high - low) * 1e-3 or out.min() == low
    assert high - (high - low) * 1e-3 < out.max() <= high or out.max() == high


def test_the_outermost_words_give_the_closed_ends():
    words = np.array([0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF], np.uint32)
    values = reference.symmetric_uniform(words)
    assert values.tolist() == [0.0, 2.0**-31, 1.0, -1.0, -(2.0**-31)]


def test_out_must_be_a_contiguous_float32_vector():
    for out in (np.empty(4), np.empty((2, 2), np.float32), np.empty(8, np.float32)[::2], np.empty(4, np.float16)):
        with pytest.raises(ArgumentError, match="contiguous float32 vector") as caught:
            draw_normal(out, STREAM, 0, 0.0, 1.0)
        assert str(out.dtype) in str(caught.value)


@pytest.mark.parametrize("start", [-1, 2**63 - 3, 2**64])
def test_positions_beyond_2_63_are_refused(start):
    with pytest.raises(ArgumentError, match=str(start)):
        draw_uniform(np.empty(4, np.float32), STREAM, start, -1.0, 1.0)
