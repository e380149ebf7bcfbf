"""The compiled kernels equal the NumPy reference bit for bit, and a part equals that part of the whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellbegun.errors import ArgumentError
from wellbegun.sampler import LARGEST, Draw, Stream, Window, definition, reference, storage_type, write

INF = float("inf")
STREAM = Stream.of(20261123, "layers.3.weight")
WINDOWS = [(-2, 2), (-1, 1), (0, INF), (1, 3), (-5, -4), (8, INF), (-0.1, 0.2), (0.5, 0.5001), (-INF, INF), (-INF, 1)]
SIZES = [1, 3, 64, 65, 4096]
STARTS = [0, 1, 63, 255, 257, 2**34 + 77, 2**62 + 5, 2**63 - 4096]
S = {number: float(np.float32(number)) for number in (-0.3, 0.1, 0.02, 0.3)}
DRAWS = {
    "uniform": Draw.uniform(-1.0, 1.0),
    "uniform-uneven": Draw.uniform(S[-0.3], S[0.1]),
    "normal": Draw.normal(0.0, 1.0),
    "normal-moved": Draw.normal(S[0.3], S[0.02]),
    "householder": Draw.householder(),
    "constant": Draw.constant(S[0.1]),
} | {f"truncated({low},{high})": Draw.truncated(S[0.3], S[0.02], Window.of(low, high)) for low, high in WINDOWS}
REAL = [name for name in LARGEST if not name.startswith("complex")]

every_draw = pytest.mark.parametrize("name", DRAWS)
every_type = pytest.mark.parametrize("dtype", REAL)


def from_kernel(name, start, size, dtype="float32", stream=STREAM):
    out = np.zeros(size, storage_type(dtype))
    write(out, DRAWS[name], stream, start)
    return out


def from_reference(name, start, size, dtype="float32", stream=STREAM):
    index = np.uint64(start) + np.arange(size, dtype=np.uint64)
    return definition.values(stream, index, DRAWS[name], storage_type(dtype))


def assert_same_bits(one, other):
    assert one.dtype == other.dtype
    assert one.tobytes() == other.tobytes()


@every_draw
@every_type
def test_kernel_equals_reference(name, dtype):
    for start in STARTS if dtype in ("float32", "float64") else STARTS[2:5]:
        for size in SIZES:
            assert_same_bits(from_kernel(name, start, size, dtype), from_reference(name, start, size, dtype))


@every_draw
def test_kernel_equals_reference_on_a_million(name):
    for start in (0, 1) if name in ("uniform", "normal", "truncated(-2,2)") else (1,):
        assert_same_bits(from_kernel(name, start, 1_000_003), from_reference(name, start, 1_000_003))


@every_type
@pytest.mark.parametrize("name", ["uniform-uneven", "normal", "truncated(-2,2)", "truncated(1,3)"])
def test_every_type_on_two_hundred_thousand(name, dtype):
    assert_same_bits(from_kernel(name, 77, 200_003, dtype), from_reference(name, 77, 200_003, dtype))


@every_draw
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@given(start=st.integers(0, 2048), size=st.integers(0, 1024), base=st.sampled_from([0, 2**34 - 1024, 2**62]))
def test_a_part_equals_that_part_of_the_whole(name, dtype, start, size, base):
    key = name, dtype, base
    whole = WHOLES[key] if key in WHOLES else WHOLES.setdefault(key, from_kernel(name, base, 3072, dtype))
    assert_same_bits(from_kernel(name, base + start, size, dtype), whole[start : start + size])


WHOLES: dict[tuple[str, str, int], np.ndarray] = {}


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@given(
    rows=st.integers(1, 9),
    run=st.integers(1, 700),
    gap=st.integers(0, 40),
    step=st.integers(0, 3000),
    start=st.integers(0, 600),
)
def test_rows_are_runs_of_the_whole(dtype, rows, run, gap, step, start):
    """Row r holds the elements from start + r·step on, and what lies between the rows is left alone."""
    for name in ("normal-moved", "truncated(-1,1)"):
        store = np.full((rows, run + gap), 7, storage_type(dtype))
        write(store[:, :run], DRAWS[name], STREAM, start, step)
        for r in range(rows):
            assert_same_bits(store[r, :run], from_kernel(name, start + r * step, run, dtype))
        assert (store[:, run:] == 7).all()


def test_rows_may_lie_backwards_in_memory():
    store = np.zeros((5, 40), np.float32)
    write(store[::-1], DRAWS["normal"], STREAM, 11, 100)
    for r in range(5):
        assert_same_bits(store[4 - r], from_kernel("normal", 11 + 100 * r, 40))


@given(seed=st.integers(0, 2**64 - 1), name=st.text(max_size=8), start=st.integers(0, 2**63 - 300))
def test_any_stream_at_any_place(seed, name, start):
    stream = Stream.of(seed, name)
    for law in ("uniform-uneven", "normal-moved", "truncated(-1,1)", "truncated(1,3)"):
        for dtype in ("float32", "float64"):
            assert_same_bits(
                from_kernel(law, start, 300, dtype, stream), from_reference(law, start, 300, dtype, stream)
            )


@pytest.mark.parametrize(("low", "high"), [(-1, 1), (-0.3, 0.1), (0, 1e-6), (-3e38, 3e38), (1, 1.001), (-1e-45, 1e-45)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_uniform_stays_within_its_bounds_and_reaches_out_to_them(low, high, dtype):
    low, high = float(np.float32(low)), float(np.float32(high))
    out = np.empty(100_000, dtype)
    write(out, Draw.uniform(low, high), STREAM, 0)
    assert low <= out.min() < low + (high - low) * 1e-3 or out.min() == low
    assert high - (high - low) * 1e-3 < out.max() <= high or out.max() == high


def test_the_outermost_words_give_the_closed_ends():
    words = np.array([0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF], np.uint32)
    values = reference.symmetric_uniform(words)
    assert values.tolist() == [0.0, 2.0**-31, 1.0, -1.0, -(2.0**-31)]


@pytest.mark.parametrize(
    "out",
    [
        np.empty((2, 2, 2), np.float32),
        np.empty(8, np.float32)[::2],
        np.empty((4, 4), np.float32)[:, ::2],
        np.empty((4, 4), np.float32).T[:2],
        np.frombuffer(bytearray(33), np.uint8)[1:].view(np.float32),
    ],
)
def test_memory_of_another_form_is_refused(out):
    with pytest.raises(ArgumentError, match="contiguous rows"):
        write(out, Draw.normal(0.0, 1.0), STREAM, 0)


@pytest.mark.parametrize("dtype", [np.complex64, np.int32, np.bool_])
def test_types_without_random_numbers_are_refused(dtype):
    with pytest.raises(ArgumentError, match=np.dtype(dtype).name):
        write(np.empty(4, dtype), Draw.normal(0.0, 1.0), STREAM, 0)


@pytest.mark.parametrize(("start", "step"), [(-1, 0), (2**63 - 3, 0), (2**64, 0), (0, 2**62), (0, -1)])
def test_positions_beyond_2_63_are_refused(start, step):
    with pytest.raises(ArgumentError, match=str(start)):
        write(np.empty((4, 4), np.float32), Draw.uniform(-1.0, 1.0), STREAM, start, step)


@pytest.mark.parametrize("shape", [(1, 50), (50, 1), (1, 1), (5, 10), (50,)])
def test_matrices_of_every_form(shape):
    out = np.zeros(shape, np.float32)
    write(out, DRAWS["normal"], STREAM, 7, out.shape[-1] if out.ndim == 2 else 0)
    assert_same_bits(out.reshape(-1), from_kernel("normal", 7, 50 if out.size == 50 else 1))
