"""Checkpoints written by `wellbegun init`, side by side with `dd conv=fdatasync` to the same disk.

    python benchmarks/checkpoint.py [--folder /tmp] [--only 7b] [--runs 3] [--write]

Each of ours is a whole command in a process of its own: building the skeleton, planning and writing. Its peak memory is
what the system says of that process (maximum resident set). dd writes zeros, as many bytes, just before and just after;
both end with the bytes on the disk. Everything that was written is deleted.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"

SHAPES: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "7b": (
        "Llama 7B shape, bfloat16",
        {"hidden_size": 4096, "intermediate_size": 11_008, "num_hidden_layers": 32, "num_attention_heads": 32},
        [],
    ),
    "70b": (
        "Llama 70B shape, bfloat16, part 1/16",
        {
            "hidden_size": 8192, "intermediate_size": 28_672, "num_hidden_layers": 80, "num_attention_heads": 64,
            "num_key_value_heads": 8, "vocab_size": 128_256,
        },
        ["--part", "1/16"],
    ),
}  # fmt: skip


def dd(folder: Path, size: int, *flags: str) -> float:
    """Bytes a second of dd, until they are on the disk."""
    target, block = folder / "dd", 1 << 20
    command = ["dd", "if=/dev/zero", f"of={target}", f"bs={block}", f"count={size // block}", "conv=fdatasync", *flags]
    begin = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    seconds = time.perf_counter() - begin
    target.unlink()
    return size / seconds


def init(folder: Path, key: str) -> dict[str, Any]:
    """Run the command; return its own record, the seconds of the whole process and its peak memory."""
    _, config, extra = SHAPES[key]
    head = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "dtype": "bfloat16"}
    (folder / "config.json").write_text(json.dumps(head | config))
    out = folder / "out"
    program = "import sys; from wellbegun.cli.main import main; main()"
    command = [sys.executable, "-c", program, "init", str(folder / "config.json"), "--out", str(out)]
    begin = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen([*command, "--seed", "7", "--json", *extra], stdout=output)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - begin
        output.seek(0)
        text = output.read().decode()
    if process.returncode:
        raise SystemExit(f"wellbegun init failed with status {process.returncode}")
    record: dict[str, Any] = json.loads(text)
    files = sorted(out.glob("*.safetensors"))
    if sum(path.stat().st_size for path in files) != record["bytes"]:
        raise SystemExit("the files do not hold what the command says")
    shutil.rmtree(out)
    return record | {"whole": seconds, "peak": usage.ru_maxrss / 1024, "cpu": usage.ru_utime + usage.ru_stime}


def measure(folder: Path, key: str) -> dict[str, Any]:
    """One run: dd, ours, dd again."""
    expected = {"7b": 13_477_000_000, "70b": 9_400_000_000}[key]
    before = dd(folder, expected)
    ours = init(folder, key)
    after, direct = dd(folder, expected), dd(folder, expected, "oflag=direct")
    rate = ours["bytes"] / ours["seconds"]
    load = os.getloadavg()[0]
    return {
        "bytes": ours["bytes"],
        "files": len([name for name in ours["files"] if name.endswith(".safetensors")]),
        "seconds": ours["seconds"],
        "whole": ours["whole"],
        "cpu": ours["cpu"],
        "rate": rate,
        "dd": (before, after),
        "direct": direct,
        "ratio": rate / max(before, after),
        "peak": ours["peak"],
        "load": load,
    }


def table(key: str, rows: list[dict[str, Any]]) -> str:
    """Markdown for people."""
    lines = [
        f"## {SHAPES[key][0]}",
        "",
        "| run | written | files | our seconds (whole command) | ours | dd before, after | ours / faster dd "
        "| dd direct | peak memory | CPU seconds | load |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for number, row in enumerate(rows, 1):
        lines.append(
            f"| {number} | {row['bytes'] / 1e9:.2f} GB | {row['files']} | {row['seconds']:.1f} ({row['whole']:.1f}) | "
            f"{row['rate'] / 1e6:,.0f} MB/s | {row['dd'][0] / 1e6:,.0f}, {row['dd'][1] / 1e6:,.0f} MB/s | "
            f"{row['ratio']:.2f} | {row['direct'] / 1e6:,.0f} MB/s | {row['peak']:.0f} MiB | {row['cpu']:.0f} | "
            f"{row['load']:.1f} |"
        )
    ratios = [row["ratio"] for row in rows]
    peak = max(row["peak"] for row in rows)
    lines += [
        "",
        f"Median ratio {statistics.median(ratios):.2f}, smallest {min(ratios):.2f}; peak memory {peak:.0f} MiB.",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=SHAPES, action="append")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    tables = []
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="wellbegun-checkpoint-") as made:
        for key in options.only or SHAPES:
            rows = []
            for _ in range(options.runs):
                rows.append(measure(Path(made), key))
                print(json.dumps(rows[-1]), file=sys.stderr)
            tables.append(table(key, rows))
    text = "\n\n".join(tables)
    print(text)
    if options.write:
        import torch
        import transformers

        now = datetime.now(UTC)
        cpu = platform.processor() or platform.machine()
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines() if Path("/proc/cpuinfo").exists() else ():
            cpu = line.split(":")[1].strip() if line.startswith("model name") else cpu
        head = (
            f"# Checkpoints as a stream\n\n`python benchmarks/checkpoint.py --write` on {now:%Y-%m-%d}; {cpu}, "
            f"{os.cpu_count()} cores, torch {torch.__version__}, transformers {transformers.__version__}.\n\n"
        )
        (RESULTS / f"{now:%Y-%m-%d}-checkpoint.md").write_text(head + text + "\n", "utf-8")


if __name__ == "__main__":
    main()
