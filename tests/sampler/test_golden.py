"""Golden hashes: the bits of sampler version 0 on every machine.

They change only together with the definition. To write them again on purpose (and say why in the change log):

    WELLBEGUN_WRITE_GOLDEN=1 python -m pytest tests/sampler/test_golden.py
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import wellbegun as wb
from wellbegun.sampler import SAMPLER_VERSION, Stream, orthogonal

FILE = Path(__file__).parents[1] / "data" / f"golden_sampler_{SAMPLER_VERSION}.json"
INF = float("inf")
LAWS = {
    repr(law): law
    for law in (
        wb.Constant(0.1),
        wb.Uniform(-1.0, 1.0),
        wb.Uniform(-0.3, 0.1),
        wb.Normal(1.0),
        wb.Normal(0.02, mean=0.3),
        wb.TruncatedNormal(0.02),
        wb.TruncatedNormal(1.0, low=-2.0, high=2.0, match_std=False),
        wb.TruncatedNormal(1.0, low=-1.0, high=1.0, match_std=False),
        wb.TruncatedNormal(1.0, low=0.0, high=INF, match_std=False),
        wb.TruncatedNormal(1.0, low=3.0, high=4.0, match_std=False),
        wb.TruncatedNormal(1.0, low=-INF, high=-8.0, match_std=False),
    )
}
SIZES = (1, 7, 16, 4096, 1_000_003)
DTYPES = {"float32": np.float32, "float64": np.float64, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
SEED, NAME = 42, "golden.weight"
ORTHOGONAL = ((1, 1), (5, 5), (3, 7), (7, 3), (70, 65))


def digest(law: wb.Normal, size: int, dtype: str) -> str:
    out = np.empty(size, DTYPES[dtype])
    wb.fill(out, law, seed=SEED, name=NAME)
    return hashlib.sha256(np.ascontiguousarray(out).astype(out.dtype.newbyteorder("<")).tobytes()).hexdigest()


def corner(shape: tuple[int, int]) -> list[float]:
    """A few elements: the bits of orthogonal matrices depend on the BLAS, so they are compared to 1e-5."""
    return [round(float(x), 7) for x in orthogonal(Stream.of(SEED, NAME), *shape).reshape(-1)[-5:]]


@pytest.fixture(scope="module")
def golden() -> dict:
    if os.environ.get("WELLBEGUN_WRITE_GOLDEN") == "1":
        hashes = {
            name: {dtype: {str(size): digest(law, size, dtype) for size in SIZES} for dtype in DTYPES}
            for name, law in LAWS.items()
        }
        content = {
            "sampler": SAMPLER_VERSION,
            "seed": SEED,
            "name": NAME,
            "sha256": hashes,
            "orthogonal": {f"{rows}x{columns}": corner((rows, columns)) for rows, columns in ORTHOGONAL},
        }
        FILE.write_text(json.dumps(content, indent=1) + "\n")
    return json.loads(FILE.read_text())


def test_the_file_is_of_this_version_and_complete(golden):
    assert (golden["sampler"], golden["seed"], golden["name"]) == (SAMPLER_VERSION, SEED, NAME)
    assert set(golden["sha256"]) == set(LAWS)
    hashes = [h for by_dtype in golden["sha256"].values() for by_size in by_dtype.values() for h in by_size.values()]
    assert len(hashes) == len(LAWS) * len(DTYPES) * len(SIZES)
    assert all(len(h) == 64 for h in hashes)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("law", LAWS)
def test_bits(golden, law, dtype):
    expected = golden["sha256"][law][dtype]
    assert {str(size): digest(LAWS[law], size, dtype) for size in SIZES} == expected


@pytest.mark.parametrize("shape", ORTHOGONAL, ids=str)
def test_orthogonal_to_a_tolerance(golden, shape):
    got = orthogonal(Stream.of(SEED, NAME), *shape).reshape(-1)[-5:]
    np.testing.assert_allclose(got, golden["orthogonal"][f"{shape[0]}x{shape[1]}"], rtol=0, atol=1e-5)
