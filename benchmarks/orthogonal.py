"""Orthogonal matrices of float32: wb.fill against torch.nn.init.orthogonal_ and against LAPACK's QR, side by side.

Run: python benchmarks/orthogonal.py [--large] [--turns N]. Prints a line for each size and, last, one line of JSON; no
test reads it. All sides run in one process, in turns, and a ratio is the median of the ratios of the turns. Each side
brings its own library of matrix products, whose threads go on spinning for a moment after a call: a pause before each
measurement keeps them from taking the cores of the next side.

LAPACK's QR (numpy.linalg.qr) factorises a Gaussian matrix that is already there; drawing it and mending the signs,
which a matrix drawn from the Haar measure needs as well, would come on top. --no-qr leaves this side out.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time

import numpy as np
import torch

import wellbegun as wb

SIZES, LARGE = (1024, 2048, 4096), 8192
PAUSE = 0.3


def seconds(work) -> float:  # type: ignore[no-untyped-def]
    time.sleep(PAUSE)
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def measure(size: int, turns: int, *, qr: bool) -> dict[str, float]:
    ours, theirs = torch.empty(size, size), torch.empty(size, size)
    gaussian = np.empty((size, size), np.float32)
    wb.fill(gaussian, wb.Normal(1.0), seed=0, name="gaussian")
    sides = {
        "wellbegun": lambda: wb.fill(ours, wb.Orthogonal(), seed=0, name="w"),
        "torch": lambda: torch.nn.init.orthogonal_(theirs),
        "qr": lambda: np.linalg.qr(gaussian),
    }
    if not qr:
        del sides["qr"]
    times = [{name: seconds(work) for name, work in sides.items()} for _ in range(turns)]
    double = ours.numpy().astype(np.float64)
    row: dict[str, float] = {"size": size, "error": float(f"{np.abs(double.T @ double - np.eye(size)).max():.1e}")}
    for name in sides:
        row[f"{name}_milliseconds"] = round(1000 * statistics.median(turn[name] for turn in times), 1)
        row[f"{name}_ratio"] = round(statistics.median(turn[name] / turn["wellbegun"] for turn in times), 2)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description="Orthogonal matrices: wb.fill, torch's orthogonal_, LAPACK's QR.")
    parser.add_argument("--large", action="store_true", help=f"also {LARGE} x {LARGE}, which takes minutes")
    parser.add_argument("--no-qr", action="store_true", help="without LAPACK's QR, the slowest side")
    parser.add_argument("--turns", type=int, default=5)
    arguments = parser.parse_args()
    wb.fill(np.empty((300, 300), np.float32), wb.Orthogonal(), seed=0, name="first call: loads and compiles")
    torch.nn.init.orthogonal_(torch.empty(300, 300))
    rows = []
    for size in (*SIZES, LARGE) if arguments.large else SIZES:
        row = measure(size, arguments.turns, qr=not arguments.no_qr)
        rows.append(row)
        sides = [name.removesuffix("_ratio") for name in row if name.endswith("_ratio")]
        text = ", ".join(f"{name} {row[f'{name}_milliseconds']:.1f} ms ({row[f'{name}_ratio']}x)" for name in sides)
        print(f"{size} x {size}: {text}; max|QᵀQ - I| = {row['error']:.1e}", flush=True)
    about = {"turns": arguments.turns, "threads": torch.get_num_threads(), "torch": torch.__version__}
    about |= {"numpy": np.__version__, "machine": platform.processor() or platform.machine()}
    print(json.dumps({"orthogonal": rows} | about))


if __name__ == "__main__":
    main()
