"""Golden hashes: the bits of the sampler on every machine, for good.

A failure here means that a release would change numbers which people have published. The file changes only together
with the sampler version:

    python -c "import sys; sys.path.insert(0, 'tests/sampler'); import golden; golden.write()"
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import wellbegun as wb
from wellbegun.sampler import (
    SAMPLER_VERSION,
    Stream,
    definition,
    get_num_threads,
    orthogonal,
    set_num_threads,
    storage_type,
)

sys.path.insert(0, str(Path(__file__).parent))
import golden

CONTENT = json.loads(golden.FILE.read_text())


def test_the_file_is_of_this_version_and_complete():
    assert (CONTENT["sampler"], CONTENT["seed"], CONTENT["name"]) == (SAMPLER_VERSION, golden.SEED, golden.NAME)
    assert set(CONTENT["sha256"]) == set(golden.LAWS)
    by_law = CONTENT["sha256"].values()
    assert {dtype for by_dtype in by_law for dtype in by_dtype} == set(golden.DTYPES)
    found = [h for by_dtype in by_law for by_size in by_dtype.values() for h in by_size.values()]
    # truncated laws have no complex form: 6 of the 11
    assert len(found) == (11 * 8 - 6 * 2) * len(golden.SIZES)
    assert all(len(h) == 64 for h in found)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("law", golden.LAWS)
def test_bits(law, threads):
    before = get_num_threads()
    try:
        set_num_threads(threads)
        for dtype, by_size in CONTENT["sha256"][law].items():
            assert {size: golden.filled(golden.LAWS[law], int(size), dtype) for size in by_size} == by_size, dtype
    finally:
        set_num_threads(before)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names of x86 processors")
@pytest.mark.parametrize(
    ("cpu", "features"),
    [
        pytest.param("haswell", "+avx2,+bmi,+bmi2,+lzcnt,+popcnt,-fma", id="AVX2 only"),
        pytest.param("haswell", "+avx2,+fma,+bmi,+bmi2,+lzcnt,+popcnt", id="AVX2 with fused multiply-add"),
        pytest.param("x86-64", "+sse2,+cx16", id="plain x86-64", marks=pytest.mark.slow),
    ],
)
def test_bits_with_other_instructions(cpu, features, tmp_path):
    """The default of this process is whatever the machine has: AVX-512 where it exists."""
    env = os.environ | {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": features}
    done = subprocess.run(
        [sys.executable, golden.__file__], env=env, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "76 laws and types agree" in done.stdout


@pytest.mark.parametrize("layout", ["strided", "transposed", "backwards", "swapped bytes", "torch", "a part of a part"])
@pytest.mark.parametrize("law", ["Normal(std=1.0)", "Uniform(low=-0.3, high=0.1)"])
def test_bits_in_other_layouts(law, layout):
    """4,096 elements, where the golden file has a contiguous vector."""
    import torch

    store = np.zeros((64, 130), np.float32)
    views = {
        "strided": store[:, 2::2],
        "transposed": np.zeros((64, 64), np.float32).T,
        "backwards": store[::-1, 65:1:-1],
        "swapped bytes": np.zeros((64, 64), ">f4"),
        "torch": torch.zeros(64, 64).t(),
        "a part of a part": store[:, :64],
    }
    out = views[layout]
    wb.fill(out, golden.LAWS[law], seed=golden.SEED, name=golden.NAME)
    assert golden.digest(np.asarray(out)) == CONTENT["sha256"][law]["float32"]["4096"]


@pytest.mark.parametrize("shape", golden.ORTHOGONAL, ids=str)
def test_orthogonal_to_a_tolerance(shape):
    got = orthogonal(Stream.of(golden.SEED, golden.NAME), *shape).reshape(-1)[-5:]
    np.testing.assert_allclose(got, CONTENT["orthogonal"][f"{shape[0]}x{shape[1]}"], rtol=0, atol=1e-5)


GPU_TYPES = ("float32", "bfloat16", "float16", "float8_e5m2", "float8_e4m3fn")


def by_triton(interpreted, law, dtype, size):
    """The hash of what the GPU's kernels write, under Triton's interpreter."""
    draw = law.law().element_draw().within(storage_type(dtype))
    where = {"start": 0, "rows": 1, "run": size, "pitch": size, "step": 0}
    numbers = {
        "scale": float(np.float32(draw.scale)),
        "shift": float(np.float32(draw.shift)),
        "low": draw.low,
        "high": draw.high,
    }
    what = {"kind": draw.kind, "window": draw.window, "stream": Stream.of(golden.SEED, golden.NAME)}
    codes = interpreted("fill", dtype=dtype, size=size, **where, **numbers, **what)
    return hashlib.sha256(codes.tobytes()).hexdigest()


@pytest.mark.parametrize("dtype", GPU_TYPES)
@pytest.mark.parametrize("law", [law for law in golden.LAWS if not law.startswith("Constant")])
def test_bits_of_the_gpu_kernels(interpreted, law, dtype):
    expected = CONTENT["sha256"][law][dtype]
    # the interpreter is slow: the larger size in two types, whose draws the others round
    for size in (1, 7, 16, 64, 65, 4096)[: 6 if dtype in ("float32", "bfloat16") else 5]:
        assert by_triton(interpreted, golden.LAWS[law], dtype, size) == expected[str(size)], size


@pytest.mark.slow
@pytest.mark.parametrize("law", ["Normal(std=1.0)", "Uniform(low=-0.3, high=0.1)"])
def test_a_million_of_the_gpu_kernels(interpreted, law):
    assert (
        by_triton(interpreted, golden.LAWS[law], "float32", 1_000_003) == CONTENT["sha256"][law]["float32"]["1000003"]
    )


@pytest.mark.parametrize(("law", "dtype"), [(law, dtype) for law in golden.LAWS for dtype in CONTENT["sha256"][law]])
def test_bits_of_the_reference(law, dtype):
    """The plain NumPy definition, which every kernel is held to."""
    stream, draw = Stream.of(golden.SEED, golden.NAME), golden.LAWS[law].law().element_draw()
    for size in (1, 65, 4096):
        values = definition.values(stream, np.arange(size, dtype=np.uint64), draw, storage_type(dtype))
        assert golden.digest(values) == CONTENT["sha256"][law][dtype][str(size)]
