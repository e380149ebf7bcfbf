"""Starting weights of a GPT-2-like network as JAX arrays on the CPU: wb.to_jax against jax.random.normal, side by side.

Run: python benchmarks/to_jax.py [--layers N] [--turns N]. Prints a line for each side and, last, one line of JSON; no
test reads it. All sides run in one process, in turns, and a ratio is the median of the ratios of the turns. "one by
one" draws each tensor with its own call, as an initializer that is not compiled does; "jit" is the whole set in one
compiled function. The first call, which compiles, is reported apart; wellbegun's kernels are compiled before, once on a
machine, and kept on disk.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time

import jax
import numpy as np

import wellbegun as wb
from wellbegun.plans import Entry, Plan

STD = 0.02


def shapes_of(layers: int) -> dict[str, tuple[int, ...]]:
    """Table and matrices, 1,024 wide."""
    matrices = {"qkv": (3072, 1024), "out": (1024, 1024), "up": (4096, 1024), "down": (1024, 4096)}
    return {"table": (50257, 1024)} | {
        f"h.{layer}.{name}": shape for layer in range(layers) for name, shape in matrices.items()
    }


def seconds(work) -> float:  # type: ignore[no-untyped-def]
    began = time.perf_counter()
    jax.block_until_ready(work())
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description="wb.to_jax against jax.random.normal.")
    parser.add_argument("--layers", type=int, default=16)
    parser.add_argument("--turns", type=int, default=5)
    arguments = parser.parse_args()
    shapes = shapes_of(arguments.layers)
    law = wb.Normal(std=STD)
    entries = [Entry(name, "parameter", shape, "float32", "", repr(law), law, "") for name, shape in shapes.items()]
    plan = Plan(tuple(entries), 7, "benchmark@1")
    key = jax.random.key(7)

    def draw(key):  # type: ignore[no-untyped-def]
        return {
            name: STD * jax.random.normal(jax.random.fold_in(key, number), shape)
            for number, (name, shape) in enumerate(shapes.items())
        }

    compiled = jax.jit(draw)
    wb.to_numpy(plan, "table", (0, 0))  # loads wellbegun's kernels
    sides = {
        "wellbegun": lambda: wb.to_jax(plan),
        "jax, one by one": lambda: draw(key),
        "jax, jit": lambda: compiled(key),
    }
    first = {name: seconds(work) for name, work in sides.items()}
    times = [{name: seconds(work) for name, work in sides.items()} for _ in range(arguments.turns)]
    bytes_in_all = 4 * sum(int(np.prod(shape)) for shape in shapes.values())
    print(f"{len(shapes)} tensors, {bytes_in_all / 2**30:.2f} GiB of float32")
    rows = {}
    for name in sides:
        middle = statistics.median(turn[name] for turn in times)
        ratio = statistics.median(turn[name] / turn["wellbegun"] for turn in times)
        rows[name] = {"first": round(first[name], 3), "seconds": round(middle, 3), "ratio": round(ratio, 2)}
        print(f"{name:16} first call {first[name]:6.2f} s, then {middle:6.2f} s ({ratio:.2f}x)", flush=True)
    about = {"turns": arguments.turns, "threads": wb.get_num_threads(), "jax": jax.__version__, "bytes": bytes_in_all}
    print(json.dumps({"to_jax": rows} | about | {"machine": platform.processor() or platform.machine()}))


if __name__ == "__main__":
    main()
