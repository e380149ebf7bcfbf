"""Plans made by hand, for checkpoints of a few kilobytes to a few megabytes: no framework is needed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import wellbegun as wb
from wellbegun.laws import Law
from wellbegun.plans import Entry, Plan
from wellbegun.targets.checkpoint.shards import Shard, split
from wellbegun.targets.checkpoint.tensors import file_tensors, planned_ranges
from wellbegun.targets.checkpoint.write import metadata


def entry(name: str, shape: tuple[int, ...], law: Law, dtype: str = "float32", **more: Any) -> Entry:
    settings: dict[str, Any] = {"kind": "parameter", "role": "weight", "initializer": repr(law), "reason": "a test"}
    return Entry(name=name, shape=shape, dtype=dtype, law=law, **(settings | more))


def many_kinds(seed: int = 7) -> Plan:
    """Every way in which a tensor's numbers are made: by element, by block, patched, given, tied, with a zero row."""
    import numpy as np

    from wellbegun.laws import Computed, Constant, Identity, MeanCompensation, Patched, Stored

    normal = wb.Normal(std=0.02)
    patched = Patched(normal, [(((2, 5), (1, 4)), Constant(1.0)), (((0, 1),), wb.Uniform(-1.0, 1.0))])
    return Plan(
        (
            entry("table", (50, 33), normal, ties=("head",), zero_row=3),
            entry("half", (40, 31), wb.TruncatedNormal(std=0.02).law(), "bfloat16"),
            entry("eight", (7, 9), normal, "float8_e4m3fn"),
            entry("double", (5, 11), normal, "float64"),
            entry("complex", (6, 5), normal, "complex64"),
            entry("patched", (9, 13), patched, "float16"),
            entry("turned", (24, 24), wb.Orthogonal()),
            entry("turned.half", (3, 24, 24), wb.Orthogonal(batch=1), "bfloat16"),
            entry("same", (17, 17), Identity()),
            entry("steps", (300,), Computed((("uniform", 0.0, 1.0), ("exp", "%0")))),
            entry("given", (4, 3), Stored(np.arange(12, dtype=np.float32).reshape(4, 3))),
            entry("bias", (24,), MeanCompensation("turned", 0.3)),
            entry("count", (), Constant(3.0), "int64", kind="buffer"),
            entry("nothing", (0, 4), normal),
            entry("passing", (8,), Constant(0.0), kind="buffer", persistent=False),
            entry("flags", (5,), Constant(1.0), "bool", kind="buffer"),
        ),
        seed,
        "by hand",
    )


def plain(seed: int = 7, tensors: int = 12, rows: int = 300, dtype: str = "bfloat16") -> Plan:
    """Tensors of about 100 kB."""
    law = wb.Normal(std=0.02)
    return Plan(
        tuple(entry(f"layers.{n}.weight", (rows + n, 173), law, dtype) for n in range(tensors)), seed, "by hand"
    )


def shards_of(plan: Plan, most: int, dtype: str | None = None) -> list[Shard]:
    tensors = file_tensors(plan, planned_ranges(plan), {}, dtype)
    return split(tensors, most, metadata(plan, tensors))


def sums(folder: Path) -> dict[str, str]:
    """SHA-256 of every file."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def tensors_of(folder: Path) -> Iterator[tuple[str, Any]]:
    """Every tensor of a checkpoint, read with the safetensors library."""
    from safetensors import safe_open

    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            for name in file.keys():  # noqa: SIM118 (no dictionary)
                yield name, file.get_tensor(name)


def file_names(shards: Sequence[Shard]) -> list[str]:
    return [shard.name for shard in shards]
