"""Memory does not grow with the checkpoint: measured as the largest resident set of a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import wellbegun as wb
from wellbegun.plans import Plan

from .plans import entry

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell peak memory")

SCRIPT = """
import json, sys, wellbegun as wb

def largest():  # ru_maxrss would be that of the process that started this one
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

plan = wb.load_plan(sys.argv[1])
wb.write_checkpoint(plan, sys.argv[2] + "/small", part="1/16", max_shard_bytes=sys.argv[3])  # compiles and loads
before = largest()
done = wb.write_checkpoint(plan, sys.argv[2] + "/large", max_shard_bytes=sys.argv[3])
after = largest()
print(json.dumps([before, after, done.bytes, "torch" in sys.modules]))
"""


def peak(tmp_path: Path, plan: Plan, most: str) -> tuple[float, float, int]:
    """MiB at the end of a small part, MiB at the end of the whole, and the bytes of that."""
    with tempfile.TemporaryDirectory(dir=tmp_path) as folder:  # gone at once: gigabytes, which pytest would keep
        plan.save(Path(folder) / "plan.json")
        command = [sys.executable, "-c", SCRIPT, f"{folder}/plan.json", folder, most]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    before, after, written, has_torch = json.loads(done.stdout)
    assert not has_torch
    return before / 1024, after / 1024, written


def test_peak_memory(tmp_path: Path) -> None:
    """200 MB in files of 12 MB: about a hundred MiB for the pieces, whatever there is to write."""
    law = wb.Normal(std=0.02)
    many = Plan(tuple(entry(f"w{n}", (3000, 2048), law, "bfloat16") for n in range(16)), 1, "by hand")
    before, after, written = peak(tmp_path, many, "12.5MB")
    assert written > 195e6
    assert after < 300
    assert after - before < 100


@pytest.mark.slow
def test_peak_memory_with_large_tensors(tmp_path: Path) -> None:
    """Six GB, several times the bound of one GiB, the largest tensor itself above it."""
    law = wb.Normal(std=0.02)
    shapes = [(300_000, 2048), *[(32_768, 2048)] * 30, *[(10, 64)] * 16]
    large = Plan(tuple(entry(f"w{n}", shape, law, "bfloat16") for n, shape in enumerate(shapes)), 1, "by hand")
    _, after, written = peak(tmp_path, large, "130MB")
    assert written > 5e9
    assert after < 350
