"""The Triton kernels equal the reference bit for bit, and nothing in the compiled code could round otherwise.

Without a GPU they run in Triton's interpreter, and are compiled for CUDA as far as PTX, in processes of their own
(conftest.py). benchmarks/gpu.py compares the bits on a GPU.
"""

from __future__ import annotations

import re
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest
import torch

from wellbegun.errors import ArgumentError, MissingExtraError
from wellbegun.sampler import Stream, Window, reference
from wellbegun.sampler.gpu import STORAGE, fill_device

INF = float("inf")
STREAM = Stream.of(20261123, "layers.3.weight")
WINDOWS = [(-2, 2), (-1, 1), (0, INF), (1, 3), (-5, -4), (8, INF)]
LAWS = {"uniform": None, "normal": None} | {f"truncated({low},{high})": (low, high) for low, high in WINDOWS}
STARTS = [0, 1, 63, 255, 257, 2**34 + 77, 2**62 + 5, 2**63 - 4096]
NARROW = {
    "float16": np.float16,
    "bfloat16": ml_dtypes.bfloat16,
    "float8_e5m2": ml_dtypes.float8_e5m2,
    "float8_e4m3fn": ml_dtypes.float8_e4m3fn,
}
PLAIN = {"scale": 1.0, "shift": 0.0, "low": -INF, "high": INF}
UNTOUCHED = {1: 0xFF, 2: 0xFFFF, 4: 0xFFFFFFFF}


def law_of(name):
    window = LAWS[name]
    if window is None:
        return {"kind": name}
    return {"kind": "truncated", "window": Window.of(*window)}


def draw(index, kind, window=None, purpose=0):
    if kind == "uniform":
        return reference.symmetric_uniform(reference.own_words(STREAM, index, purpose=purpose))
    if kind == "normal":
        return reference.standard_normal(STREAM, index, purpose=purpose)
    return reference.standard_truncated(STREAM, index, window)


def expected(dtype, size, start, *, rows, run, pitch, step, scale, shift, low, high, **law):
    """What memory of ones-bits holds after the fill, by the definition, as integers."""
    out = np.full(size, np.nan, np.float32)
    for row in range(rows):
        index = np.uint64(start + row * step) + np.arange(run, dtype=np.uint64)
        value = draw(index, **law) * np.float32(scale) + np.float32(shift)
        value = np.where(value < np.float32(low), np.float32(low), value)
        out[row * pitch : row * pitch + run] = np.where(value > np.float32(high), np.float32(high), value)
    stored = out if dtype == "float32" else out.astype(NARROW[dtype])
    codes = stored.view(f"u{stored.itemsize}")
    codes[np.isnan(out)] = UNTOUCHED[stored.itemsize]
    return codes


def assert_fills(interpreted, start, *, rows=1, run, pitch=None, step=0, dtype="float32", capacity=None, **law):
    pitch = run if pitch is None else pitch
    size = rows * pitch + 7
    arguments = {**PLAIN, "rows": rows, "run": run, "pitch": pitch, "step": step, **law}
    got = interpreted("fill", dtype=dtype, size=size, stream=STREAM, start=start, capacity=capacity, **arguments)
    np.testing.assert_array_equal(got, expected(dtype, size, start, **arguments))


@pytest.mark.parametrize("name", LAWS)
def test_kernels_equal_the_reference(interpreted, name):
    for start, run in zip(STARTS, (65, 3, 65, 3, 64, 65, 3, 65), strict=True):
        assert_fills(interpreted, start, run=run, **law_of(name))
    assert_fills(interpreted, 255, run=1, **law_of(name))
    assert_fills(
        interpreted, 2**62 + 5, run=4096 if name in ("uniform", "normal", "truncated(1,3)") else 600, **law_of(name)
    )


# (rows, run, pitch, step): rows of one tensor, of a part of one, shorter and longer than a tile, straddling tiles
RECTANGLES = [
    (40, 9, 9, 9), (5, 3, 7, 11), (9, 64, 64, 256), (3, 300, 301, 1000), (2, 2500, 5000, 4096), (4, 257, 257, 257),
    (3, 1000, 1001, 999), (3, 7, 7, 0),
]  # fmt: skip


@pytest.mark.parametrize("name", ["uniform", "normal", "truncated(-2,2)", "truncated(-5,-4)"])
@pytest.mark.parametrize(("rows", "run", "pitch", "step"), RECTANGLES)
def test_rectangles(interpreted, name, rows, run, pitch, step):
    if name.startswith("truncated"):  # the same places, a slower interpreter
        run = min(run, 300)
    start = 2**34 + 77 if run % 2 else 0
    assert_fills(interpreted, start, rows=rows, run=run, pitch=pitch, step=step, **law_of(name))


@pytest.mark.parametrize(
    "arguments",
    [
        {"scale": 0.2, "shift": -0.1, "low": -0.25, "high": 0.05, "kind": "uniform"},
        {"scale": 1e-42, "shift": 0.0, "low": -1e-45, "high": INF, "kind": "normal"},
        {"scale": 0.02, "shift": 0.3, "low": 0.26, "high": 0.34, **law_of("truncated(-2,2)")},
        {"scale": -3e37, "shift": 1.0, "low": -INF, "high": INF, "kind": "normal"},
        {"scale": 0.0, "shift": -0.0, "low": 0.0, "high": 0.0, "kind": "normal"},
    ],
)
def test_scale_shift_and_bounds(interpreted, arguments):
    arguments = {
        key: value if isinstance(value, (str, Window)) else float(np.float32(value)) for key, value in arguments.items()
    }
    assert_fills(interpreted, 63, run=700, **arguments)


def test_purposes_have_counters_of_their_own(interpreted):
    assert_fills(interpreted, 5, run=300, kind="normal", purpose=1)


@pytest.mark.parametrize("capacity", [None, 40])
@pytest.mark.parametrize(("rows", "run", "pitch", "step"), [(1, 2**16, 2**16, 0), (4, 2**14, 2**14 + 1, 2**15 + 3)])
def test_what_is_redrawn_from_a_list_is_the_same(interpreted, rows, run, pitch, step, capacity):
    """The list holds every miss, or is full soon and most programs redraw their own."""
    window = Window.of(-2.5, 3)
    assert_fills(
        interpreted, 99, rows=rows, run=run, pitch=pitch, step=step, capacity=capacity, kind="truncated", window=window
    )


@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e5m2"])
def test_lists_lie_beside_any_storage_type(interpreted, dtype):
    assert_fills(interpreted, 7, run=2**16, dtype=dtype, kind="truncated", window=Window.of(-3, 3))


@pytest.mark.parametrize("dtype", NARROW)
@pytest.mark.parametrize("name", ["uniform", "normal", "truncated(-2,2)", "truncated(1,3)"])
def test_storage_types(interpreted, dtype, name):
    for start, run, scale in ((0, 2048, 1.0), (77, 300, 1e-3)):
        assert_fills(interpreted, start, run=run, dtype=dtype, **{**law_of(name), "scale": float(np.float32(scale))})
    assert_fills(interpreted, 3, rows=20, run=5, pitch=6, step=7, dtype=dtype, **law_of(name))


@pytest.mark.parametrize("dtype", NARROW)
def test_rounding_at_every_boundary(interpreted, dtype):
    """Every number of the type, every tie between two, and the float32 numbers next to each; then random ones."""
    type_ = NARROW[dtype]
    codes = np.arange(2 ** (8 * np.dtype(type_).itemsize - 1), dtype=f"u{np.dtype(type_).itemsize}")
    with np.errstate(invalid="ignore"):
        numbers = codes.view(type_).astype(np.float32)
    numbers = numbers[np.isfinite(numbers)]
    ties = ((numbers[1:].astype(np.float64) + numbers[:-1]) / 2).astype(np.float32)
    exact = np.concatenate([numbers, ties])
    near = np.concatenate([exact, np.nextafter(exact, np.float32(INF)), np.nextafter(exact, np.float32(-INF))])
    random = np.random.default_rng(7)
    exponent = random.uniform(-30, np.log2(float(numbers.max())), 2**17)
    values = np.concatenate([near, (2.0**exponent).astype(np.float32), np.float32([0, 1e-45, 1e-38])])
    values = values[np.abs(values) <= numbers.max()]
    values = np.concatenate([values, -values])
    padded = np.zeros(2 ** int(np.ceil(np.log2(values.size))), np.float32)
    padded[: values.size] = values
    got = interpreted("store", dtype=dtype, values=padded)
    np.testing.assert_array_equal(got, padded.astype(type_).view(got.dtype))


KERNELS = {
    "groups": {"rows": 1, "run": 100_000, "pitch": 100_000, "step": 0},
    "rows": {"rows": 4, "run": 5000, "pitch": 6000, "step": 7000},
    "elements": {"rows": 1000, "run": 9, "pitch": 9, "step": 9},
}
MODIFIED = re.compile(r"\.(ftz|approx|full|sat)\b|\b(fma|mad)\.\w+\.f(32|64)|\b(ex2|lg2|sin|cos|rsqrt|rcp)\.")


@pytest.mark.parametrize(("shape", "capability"), [("groups", 80), ("groups", 90), ("rows", 90), ("elements", 90)])
@pytest.mark.parametrize("name", ["uniform", "normal", "truncated(-2,2)", "truncated(1,3)"])
def test_compiled_code_rounds_as_it_is_written(compiler, name, shape, capability):
    """No contraction, no flush to zero, no approximation: every float operation of the PTX names its rounding."""
    arguments = {**PLAIN, **KERNELS[shape], **law_of(name)}
    size = arguments["rows"] * arguments["pitch"]
    for dtype in STORAGE if shape == "groups" and capability == 90 else ("float32",):
        kernels = compiler(
            "compiled", dtype=dtype, size=size, capability=capability, stream=STREAM, start=5, **arguments
        )
        listing = name == "truncated(-2,2)" and shape == "groups"
        assert set(kernels) == {"fill_elements" if shape == "elements" else "fill_groups"} | (
            {"redraw_listed"} if listing else set()
        )
        for ptx in kernels.values():
            assert not MODIFIED.findall(ptx)
            operations = re.findall(r"^\s+(?:@!?%\w+ )?((?:add|sub|mul|div|sqrt|cvt)\.\S*f(?:32|64)\S*)", ptx, re.M)
            assert operations
            assert all(".rn" in operation for operation in operations)
            if name == "truncated(1,3)":
                assert {"div.rn.f64", "sqrt.rn.f64"} <= set(operations)
            elif name != "uniform":
                assert {"div.rn.f32", "sqrt.rn.f32"} <= set(operations)


def vector(dtype=torch.float32, size=16):
    return torch.zeros(size, dtype=dtype)


FLAT = {**PLAIN, "rows": 1, "run": 16, "pitch": 16, "step": 0, "kind": "normal"}


@pytest.mark.parametrize(
    ("out", "start", "change", "message"),
    [
        (vector(torch.float64), 0, {}, "float64"),
        (vector(torch.int32), 0, {}, "int32"),
        (torch.zeros(4, 4), 0, {}, "contiguous vector"),
        (vector(size=32)[::2], 0, {}, "contiguous vector"),
        (vector(), 0, {"run": 17}, "do not fit"),
        (vector(), 0, {"rows": 2, "run": 8, "pitch": 9}, "do not fit"),
        (vector(), 0, {"rows": 2, "run": 8, "pitch": 7}, "overlap"),
        (vector(), -1, {}, "outside"),
        (vector(), 2**63 - 15, {}, "outside"),
        (vector(), 0, {"kind": "truncated"}, "window"),
        (vector(), 0, {"window": Window.of(-2, 2)}, "window"),
        (vector(), 0, {"kind": "cauchy"}, "cauchy"),
        (vector(), 0, {}, "lies on the CPU"),
    ],
)
def test_what_is_refused(monkeypatch, out, start, change, message):
    monkeypatch.setenv("TRITON_INTERPRET", "0")
    with pytest.raises(ArgumentError, match=message):
        fill_device(out, STREAM, start, **{**FLAT, **change})
    assert not out.any()


def test_an_empty_part_needs_no_device():
    fill_device(vector(size=0), STREAM, 0, **{**FLAT, "run": 0, "pitch": 0})
    fill_device(vector(), STREAM, 2**63, **{**FLAT, "rows": 0})


def test_without_triton_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=re.escape("wellbegun[gpu]")):
        fill_device(vector(), STREAM, 0, **FLAT)


def test_neither_triton_nor_torch_is_loaded_before_it_is_used():
    code = "import sys, wellbegun, wellbegun.sampler.gpu; print({'triton', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_every_storage_type_is_tested():
    assert set(STORAGE) == {"float32", *NARROW}
