"""The golden hashes of one sampler version: what they cover, how they are computed, and where they lie.

Run alone it compares this machine, as the environment has set it up, with the committed file:

    NUMBA_CPU_NAME=haswell NUMBA_CPU_FEATURES=+avx2 python tests/sampler/golden.py
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np

import wellbegun as wb
from wellbegun.errors import ArgumentError
from wellbegun.sampler import LARGEST, SAMPLER_VERSION, Stream, orthogonal, storage_type

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
DTYPES = tuple(LARGEST)
SIZES = (1, 7, 16, 64, 65, 4096, 1_000_003)
SEED, NAME = 42, "golden.weight"
ORTHOGONAL = ((1, 1), (5, 5), (3, 7), (7, 3), (70, 65))


def covered(law: wb.Normal, dtype: str) -> bool:
    """Whether this law can be stored in this type."""
    try:
        wb.fill(np.empty(0, storage_type(dtype)), law, seed=SEED, name=NAME)
    except ArgumentError:
        return False
    return True


def digest(array: np.ndarray) -> str:
    """SHA-256 of the bytes, little-endian and in logical order."""
    return hashlib.sha256(np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes()).hexdigest()


def filled(law: wb.Normal, size: int, dtype: str) -> str:
    out = np.empty(size, storage_type(dtype))
    wb.fill(out, law, seed=SEED, name=NAME)
    return digest(out)


def hashes(sizes: tuple[int, ...] = SIZES) -> dict[str, dict[str, dict[str, str]]]:
    """Hashes by law, dtype and size."""
    return {
        name: {
            dtype: {str(size): filled(law, size, dtype) for size in sizes} for dtype in DTYPES if covered(law, dtype)
        }
        for name, law in LAWS.items()
    }


def corner(shape: tuple[int, int]) -> list[float]:
    """A few elements: the bits of orthogonal matrices depend on the BLAS, so they are compared to 1e-5."""
    return [round(float(x), 7) for x in orthogonal(Stream.of(SEED, NAME), *shape).reshape(-1)[-5:]]


def write() -> None:
    """Write the file again: on purpose only, with a new sampler version."""
    content = {"sampler": SAMPLER_VERSION, "seed": SEED, "name": NAME, "sha256": hashes()}
    content["orthogonal"] = {f"{rows}x{columns}": corner((rows, columns)) for rows, columns in ORTHOGONAL}
    FILE.write_text(json.dumps(content, indent=1) + "\n")


def differences(sizes: tuple[int, ...] = SIZES) -> list[str]:
    """Name every law, dtype and size whose bits differ from the committed file's."""
    golden = json.loads(FILE.read_text())["sha256"]
    found = hashes(sizes)
    return [
        f"{law} {dtype} {size}"
        for law, by_dtype in found.items()
        for dtype, by_size in by_dtype.items()
        for size, value in by_size.items()
        if golden[law][dtype][size] != value
    ]


if __name__ == "__main__":
    different = differences()
    print("\n".join(different) if different else f"{sum(len(by) for by in hashes((1,)).values())} laws and types agree")
    sys.exit(bool(different))
