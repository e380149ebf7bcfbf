"""The GPU kernels on a CUDA device: are the bits right, and how fast are they beside torch's own fills?

Run: python benchmarks/gpu.py [--write]. First every law, storage type and size is compared with sampler/reference.py,
bit for bit; one difference ends the run with status 1. Then each law is timed with CUDA events, in turns with torch's
fill of the same tensor, and medians are compared with the goals. --write puts the table into benchmarks/results/.
Without a CUDA device it says so and ends with status 2.
"""

from __future__ import annotations

import argparse
import datetime
import re
import statistics
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import ml_dtypes
import numpy as np
import torch

import wellbegun as wb
from wellbegun.sampler import Stream, Window, reference
from wellbegun.sampler.gpu import fill_device

INF = float("inf")
STREAM = Stream.of(20261123, "layers.3.weight")
WINDOWS = [(-2, 2), (-1, 1), (0, INF), (-2.5, 3), (1, 3), (-5, -4), (8, INF)]
LAWS: dict[str, Window | None] = {"uniform": None, "normal": None} | {
    f"truncated({low}, {high})": Window.of(low, high) for low, high in WINDOWS
}
TYPES = {
    "float32": np.float32,
    "bfloat16": ml_dtypes.bfloat16,
    "float16": np.float16,
    "float8_e5m2": ml_dtypes.float8_e5m2,
    "float8_e4m3fn": ml_dtypes.float8_e4m3fn,
}
SIZES = [1, 7, 16, 64, 65, 4096, 1_000_003]
STARTS = [0, 1, 255, 2**34 + 77, 2**62 + 5]
RECTANGLES = [(1000, 9, 9, 9), (300, 64, 65, 256), (50, 5000, 5003, 4096), (4, 70_000, 70_001, 2**33 + 3)]
SCALE, SHIFT = float(np.float32(0.02)), float(np.float32(0.001))
ELEMENTS, TURNS = 2**28, 30


def fill(out: torch.Tensor, name: str, start: int, rows: int, run: int, pitch: int, step: int) -> None:
    """Fill a part of a vector with a law of LAWS, scaled and shifted."""
    window = LAWS[name]
    fill_device(
        out, STREAM, start, rows=rows, run=run, pitch=pitch, step=step, kind="truncated" if window else name,
        scale=SCALE, shift=SHIFT, low=-INF, high=INF, window=window,
    )  # fmt: skip


def by_definition(name: str, start: int, rows: int, run: int, pitch: int, step: int) -> np.ndarray:
    """What the definition says of the same part, in float32; NaN between the rows."""
    out = np.full(rows * pitch, np.nan, np.float32)
    index = np.concatenate([np.uint64(start + r * step) + np.arange(run, dtype=np.uint64) for r in range(rows)])
    window = LAWS[name]
    if window is not None:
        draw = reference.standard_truncated(STREAM, index, window)
    elif name == "normal":
        draw = reference.standard_normal(STREAM, index)
    else:
        draw = reference.symmetric_uniform(reference.own_words(STREAM, index))
    out.reshape(rows, pitch)[:, :run] = (draw * np.float32(SCALE) + np.float32(SHIFT)).reshape(rows, run)
    return out


def differences() -> Iterator[str | None]:
    """Compare every case; for each, None or what differs."""
    flat = [(start, 1, size, size, 0) for size in SIZES for start in STARTS]
    parts = [(start, *rectangle) for rectangle in RECTANGLES for start in STARTS]
    for name in LAWS:
        for part in flat + parts:
            want = by_definition(name, *part)
            for dtype, type_ in TYPES.items():
                out = torch.full((want.size,), float("nan"), device="cuda").to(getattr(torch, dtype))
                fill(out, name, *part)
                got = out.cpu().view(torch.uint8).numpy().view(type_)
                written = ~np.isnan(want)
                bits = f"u{got.itemsize}"
                wrong = got[written].view(bits) != want[written].astype(type_).view(bits)
                if wrong.any():
                    yield f"{name} {dtype} {part}: {wrong.sum()} of {wrong.size} elements differ"
                elif not np.isnan(got[~written].astype(np.float32)).all():
                    yield f"{name} {dtype} {part}: written between the rows"
                else:
                    yield None


def differences_far_out() -> Iterator[str | None]:
    """The same for the last elements of a tensor whose offsets pass 32 bits; none of it is left unwritten."""
    out = torch.empty(2**31 + 2**20 + 77, dtype=torch.bfloat16, device="cuda")
    last = 100_000
    for name in LAWS:
        out.fill_(float("nan"))
        fill(out, name, 5, 1, out.numel(), out.numel(), 0)
        got = out[-last:].view(torch.int16).cpu().numpy().view(np.uint16)
        want = by_definition(name, 5 + out.numel() - last, 1, last, last, 0).astype(ml_dtypes.bfloat16).view(np.uint16)
        wrong = int((got != want).sum() + out.isnan().sum().item())
        yield f"{name} bfloat16 {out.numel()} elements: {wrong} of the last {last} differ" if wrong else None


def milliseconds(works: list[Callable[[], object]]) -> list[float]:
    """The median time of each, measured in turns."""
    times: list[list[float]] = [[] for _ in works]
    for turn in range(TURNS + 3):
        for work, seen in zip(works, times, strict=True):
            began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            began.record()
            work()
            ended.record()
            ended.synchronize()
            if turn >= 3:  # before that: compilation, memory, clocks
                seen.append(began.elapsed_time(ended))
    return [statistics.median(seen) for seen in times]


def measured() -> Iterator[str]:
    """The rows of the table."""
    truncated = "truncated(-2, 2)"
    for dtype in ("float32", "bfloat16"):
        out = torch.empty(ELEMENTS, dtype=getattr(torch, dtype), device="cuda")
        whole = (0, 1, ELEMENTS, ELEMENTS, 0)
        theirs: dict[str, Callable[[], object]] = {
            "uniform": partial(out.uniform_, -1, 1),
            "normal": partial(out.normal_, 0, 0.02),
            truncated: partial(torch.nn.init.trunc_normal_, out, 0.0, 0.02, -0.04, 0.04),
        }
        for name, torchs in theirs.items():
            us, they, plain = milliseconds([partial(fill, out, name, *whole), torchs, partial(out.fill_, 1)])
            if name == truncated:
                ratio, goal = they / us, 5.0
                what = "times torch's speed"
            else:
                ratio, goal = max(they, plain) / us, 0.9
                what = "of the slower of torch and fill_"
            verdict = "reached" if ratio >= goal else "missed"
            yield (
                f"| {name} | {dtype} | {us:.3f} | {they:.3f} | {plain:.3f} | {ELEMENTS / us / 1e6:.0f} "
                f"| {ratio:.2f} {what} | {goal:g}: {verdict} |"
            )


def orthogonal() -> str:
    """One sentence about orthogonal matrices: time beside torch's, and how far from orthogonal."""
    out = torch.empty(8192, 8192, device="cuda")
    law = wb.Orthogonal()
    us, they = milliseconds(
        [partial(wb.fill, out, law, seed=1, name="w"), partial(torch.nn.init.orthogonal_, torch.empty_like(out))]
    )
    error = float((out.double().t() @ out.double() - torch.eye(8192, device="cuda", dtype=torch.float64)).abs().max())
    here = torch.empty(1024, 1024)
    there = torch.empty(1024, 1024, device="cuda")
    for matrix in (here, there):
        wb.fill(matrix, law, seed=1, name="w")
    apart = float((here - there.cpu()).abs().max())
    return (
        f"Orthogonal 8192²: wellbegun {us:.1f} ms, torch {they:.1f} ms, {they / us:.1f} times (goal 10); "
        f"max|QᵀQ - I| {error:.1e}; CPU and device at 1024² differ by {apart:.1e} at most."
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the table to benchmarks/results")
    write = parser.parse_args().write
    if not torch.cuda.is_available():
        print("no CUDA device: nothing was compared, measured or written")
        return 2
    import triton

    device = torch.cuda.get_device_name()
    found = [*differences(), *differences_far_out()]
    wrong = [difference for difference in found if difference is not None]
    equal = f"bits: {len(found) - len(wrong)} of {len(found)} cases equal the definition (sampler/reference.py)"
    print("\n".join([*wrong, equal]))
    if wrong:
        return 1
    lines = [
        f"# The GPU kernels on {device}",
        "",
        f"{datetime.date.today()}, torch {torch.__version__}, triton {triton.__version__}, {ELEMENTS:,} elements, "
        f"medians of {TURNS} turns in milliseconds. {equal[0].upper()}{equal[1:]}.",
        "",
        "| law | type | wellbegun | torch | fill_ | millions a second | ratio | goal |",
        "|---|---|---|---|---|---|---|---|",
        *measured(),
        "",
        orthogonal(),
    ]
    print("\n".join(lines))
    if write:
        name = re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")
        path = Path(__file__).parent / "results" / f"{datetime.date.today()}-gpu-{name}.md"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
