"""How fast tensors are filled, beside what a PyTorch user would use instead, as ratios from one run.

    python benchmarks/fill.py [--quick] [--large] [--write]

Each row runs ours and theirs in turn, in one process, and compares the medians; both use the threads they use by
default, and rest for 10 ms before each run, because threads spin on for a moment after a call and would take the other
side's cores. A machine that does other work meanwhile gives wide ranges: the last column shows them.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import wellbegun as wb

Call = Callable[[], object]
PLACE = Path(__file__).parent / "results"
FIRST_CALL = (
    "import time; start = time.perf_counter()\n"
    "import numpy as np, wellbegun as wb\n"
    "out = np.empty(4096, np.float32)\n"
    "wb.fill(out, wb.Normal(1.0), seed=1, name='w')\n"
    "print(time.perf_counter() - start)\n"
)


def seconds(call: Call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def in_turn(ours: Call, theirs: Call, repeats: int, pause: float) -> tuple[list[float], list[float]]:
    """Times of both, taken in turn after one call of each that is not counted."""

    def rested(call: Call) -> float:
        time.sleep(pause)
        return seconds(call)

    ours()
    theirs()
    pairs = [(rested(ours), rested(theirs)) for _ in range(repeats)]
    return [a for a, _ in pairs], [b for _, b in pairs]


def row(name: str, bar: str, ours: Call, theirs: Call, size: int, repeats: int, pause: float = 0.01) -> list[str]:
    """One line: the ratio of the medians (theirs / ours), the bar, both speeds, and the range of single ratios."""
    mine, other = in_turn(ours, theirs, repeats, pause)
    ratios = [b / a for a, b in zip(mine, other, strict=True)]
    ratio = statistics.median(other) / statistics.median(mine)
    speed = [f"{size / statistics.median(times) / 1e6:,.0f}" for times in (mine, other)]
    return [name, f"{ratio:.2f}", bar, *speed, f"{min(ratios):.2f} to {max(ratios):.2f}"]


def against_torch(size: int, repeats: int) -> list[list[str]]:
    rows = []
    laws = {
        "normal": (wb.Normal(1.0), lambda t: t.normal_()),
        "uniform": (wb.Uniform(-1.0, 1.0), lambda t: t.uniform_(-1, 1)),
        "truncated ±2 sigma": (
            wb.TruncatedNormal(1.0, match_std=False),
            lambda t: torch.nn.init.trunc_normal_(t, a=-2, b=2),
        ),
    }
    bars = {"normal": ("4", "6"), "uniform": ("4", "5"), "truncated ±2 sigma": ("30", "30")}
    for name, (law, theirs) in laws.items():
        # torch's truncated normal takes so long that a smaller tensor and fewer repeats must do
        count, times = (size // 8, max(repeats // 2, 3)) if name.startswith("trunc") else (size, repeats)
        for dtype in (torch.float32, torch.bfloat16, torch.float16, torch.float64):
            out = torch.zeros(count, dtype=dtype)
            label = f"{name}, {str(dtype).removeprefix('torch.')}, against torch"
            bar = {torch.float32: bars[name][0], torch.bfloat16: bars[name][1]}.get(dtype, "–")
            rows.append(
                row(
                    label,
                    bar,
                    lambda out=out, law=law: wb.fill(out, law, seed=1, name="w"),
                    lambda out=out, theirs=theirs: theirs(out),
                    count,
                    times,
                )
            )
    return rows


def against_fill(size: int, repeats: int) -> list[list[str]]:
    out = torch.zeros(size)
    return [
        row(
            f"{name}, float32, against fill_",
            bar,
            lambda law=law: wb.fill(out, law, seed=1, name="w"),
            lambda: out.fill_(1.0),
            size,
            repeats,
        )
        for name, law, bar in (
            ("normal", wb.Normal(1.0), "0.25 (goal 0.50)"),
            ("uniform", wb.Uniform(-1.0, 1.0), "–"),
            ("truncated ±2 sigma", wb.TruncatedNormal(1.0), "–"),
        )
    ]


def threads(size: int, repeats: int) -> list[list[str]]:
    out = torch.zeros(size)
    cores = wb.get_num_threads()

    def with_threads(number: int, law: wb.Normal) -> Call:
        def call() -> None:
            wb.set_num_threads(number)
            wb.fill(out, law, seed=1, name="w")

        return call

    rows = []
    for name, law, bar in (("normal", wb.Normal(1.0), "1.8"), ("truncated ±2 sigma", wb.TruncatedNormal(1.0), "–")):
        many, one = with_threads(cores, law), with_threads(1, law)
        rows.append(row(f"{name}, float32, {cores} threads against 1", bar, many, one, size, repeats))
    wb.set_num_threads(cores)
    return rows


def small(repeats: int) -> list[list[str]]:
    tensors = [torch.zeros(4096) for _ in range(1000)]
    names = [f"layers.{i}.weight" for i in range(1000)]
    law = wb.Normal(0.02)

    def ours() -> None:
        for tensor, name in zip(tensors, names, strict=True):
            wb.fill(tensor, law, seed=1, name=name)

    def theirs() -> None:
        for tensor in tensors:
            tensor.normal_(0, 0.02)

    return [row("1,000 tensors of 4,096, normal, against normal_", "1", ours, theirs, 4_096_000, repeats)]


def layouts(size: int, repeats: int) -> list[list[str]]:
    side = int(size**0.5) // 16 * 16
    channels = torch.zeros(side // 4, side // 9, 3, 3)
    cases = {
        "transposed": torch.zeros(side, side).t(),
        "every second column": torch.zeros(side, 2 * side)[:, ::2],
        "channels last": channels.to(memory_format=torch.channels_last),
    }
    law, rows = wb.Normal(1.0), []
    for name, out in cases.items():
        plain = torch.zeros(out.shape)
        rows.append(
            row(
                f"normal, float32, {name}, against contiguous",
                "–",
                lambda out=out: wb.fill(out, law, seed=1, name="w"),
                lambda plain=plain: wb.fill(plain, law, seed=1, name="w"),
                out.numel(),
                repeats,
            )
        )
    return rows


def orthogonal(repeats: int) -> list[list[str]]:
    rows = []
    for side in (2048, 4096):
        out = torch.zeros(side, side)
        rows.append(
            row(
                f"orthogonal {side}², float32, against orthogonal_",
                "2.5",
                lambda out=out: wb.fill(out, wb.Orthogonal(), seed=1, name="w"),
                lambda out=out: torch.nn.init.orthogonal_(out),
                side * side,
                repeats,
                0.3,  # two libraries of matrix products, whose threads spin on for a moment after a call
            )
        )
    return rows


def first_call(cache: str) -> float:
    env = os.environ | {"NUMBA_CACHE_DIR": cache}
    done = subprocess.run([sys.executable, "-c", FIRST_CALL], env=env, capture_output=True, text=True, check=True)
    return float(done.stdout)


def first_calls(repeats: int) -> list[list[str]]:
    cold, warm = [], []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as cache:
            cold.append(first_call(cache))
            warm.append(first_call(cache))
    rows = []
    for name, times, bar in (("kernels compiled", cold, "6 s"), ("kernels on disk", warm, "1.5 s")):
        span = f"{min(times):.2f} to {max(times):.2f} s"
        rows.append([f"import and first call, {name}", f"{statistics.median(times):.2f} s", bar, "", "", span])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="2^22 elements and 3 repeats instead of 2^26 and 9")
    parser.add_argument("--large", action="store_true", help="scaling with threads on 4 GiB")
    parser.add_argument("--write", action="store_true", help="write the table into benchmarks/results")
    options = parser.parse_args()
    size, repeats = (1 << 22, 3) if options.quick else (1 << 26, 9)
    groups: list[Callable[[], list[list[str]]]] = [
        lambda: against_torch(size, repeats),
        lambda: against_fill(size, repeats),
        lambda: threads(1 << 30, 3) if options.large else threads(size, repeats),
        lambda: small(repeats),
        lambda: layouts(size // 4, repeats),
        lambda: orthogonal(max(repeats // 2, 1)),
        lambda: first_calls(3),
    ]
    rows = []
    console = Console(width=130)
    with console.status("measuring") as status:
        for done, group in enumerate(groups):
            status.update(f"measuring, part {done + 1} of {len(groups)}")
            rows += group()
    heads = ["what", "ratio", "bar", "ours (M/s)", "theirs (M/s)", "range of ratios"]
    table = Table(*heads)
    for line in rows:
        table.add_row(*line)
    console.print(table)
    if options.write:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown")
        text = [
            f"# Filling tensors, {date.today()}",
            "",
            f"{cpu}, {wb.get_num_threads()} cores; Python {platform.python_version()}, torch {torch.__version__}, NumPy"
            f" {np.__version__}; {size:,} elements, medians of {repeats} runs in turn. `python {' '.join(sys.argv)}`",
            "",
            f"| {' | '.join(heads)} |",
            "|" + "---|" * len(heads),
            *(f"| {' | '.join(line)} |" for line in rows),
        ]
        path = PLACE / f"{date.today()}-fill.md"
        path.write_text("\n".join(text) + "\n", encoding="utf-8")
        console.print(f"written to {path}")


if __name__ == "__main__":
    main()
