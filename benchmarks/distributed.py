"""Starting a sharded model: time and memory of each process, beside what people do instead.

    python benchmarks/distributed.py            prints a table
    python benchmarks/distributed.py --write    also writes it to benchmarks/results/

The model is a stack of equal square layers under FSDP2 (`fully_shard`) on 1, 2 and 4 real processes with gloo, one
thread each. Three ways to fill it: `wb.apply`; the whole tensor on every process, of which it keeps its slice (the
usual answer where values must not depend on the sharding); DTensor's own `normal_` (values that depend on the sharding;
on a CPU mesh every process draws the same shard). Times are the processor's, of the slowest process, so that sharing
two cores between four processes does not count; the best of three. Memory is the peak above what the process held when
all its shards were in memory already.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
WIDTH, LAYERS, SIZES, TIMES = 4096, 6, (1, 2, 4), 3


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))


def _measured(work: Any) -> tuple[float, int]:
    """Processor seconds of this process, and the peak of its memory above the start."""
    Path("/proc/self/clear_refs").write_text("5", "ascii")  # the peak starts anew
    before, started = _status("VmRSS"), time.process_time()
    work()
    return time.process_time() - started, max(_status("VmHWM") - before, 0)


def _process(rank: int, size: int, folder: str) -> None:
    import torch
    import torch.distributed as processes
    from torch import nn
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor import Shard, distribute_tensor

    import wellbegun as wb

    torch.set_num_threads(1)
    wb.set_num_threads(1)
    processes.init_process_group("gloo", rank=rank, world_size=size, store=processes.FileStore(f"{folder}/s", size))
    mesh = init_device_mesh("cpu", (size,))
    with torch.device("meta"):
        model = nn.Sequential(*(nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(LAYERS)))
    for layer in model:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    model.to_empty(device="cpu")
    for weight in model.parameters():
        torch.nn.init.zeros_(weight)  # the shards are in memory from here on
    plan = wb.load_plan(f"{folder}/plan.json")

    def ours() -> None:
        wb.apply(plan, model, overwrite=True)

    def slices() -> None:
        for number, weight in enumerate(model.parameters()):
            generator = torch.Generator().manual_seed(number)
            whole = torch.empty(weight.shape).normal_(std=0.02, generator=generator)
            part = distribute_tensor(whole, mesh, [Shard(0)], src_data_rank=None)
            with torch.no_grad():
                weight.to_local().copy_(part.to_local())

    def own() -> None:
        with torch.no_grad():
            for weight in model.parameters():
                weight.normal_(std=0.02)

    ways = {"wb.apply": ours, "whole tensor, then slice": slices, "DTensor.normal_": own}
    for work in ways.values():  # kernels are loaded, groups are made
        work()
    found: dict[str, tuple[float, int]] = {}
    for _ in range(TIMES):
        for name, work in ways.items():
            seconds, memory = _measured(work)
            best = found.get(name, (float("inf"), 0))
            found[name] = min(best[0], seconds), max(best[1], memory)
    answers: list[Any] = [None] * size
    processes.all_gather_object(answers, found)
    if rank == 0:
        print(json.dumps({name: [max(a[name][0] for a in answers), max(a[name][1] for a in answers)] for name in ways}))
    processes.destroy_process_group()


def _run(size: int) -> dict[str, tuple[float, int]]:
    import torch
    from torch import nn

    import wellbegun as wb

    with tempfile.TemporaryDirectory() as folder:
        with torch.device("meta"):
            model = nn.Sequential(*(nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(LAYERS)))
        wb.plan(model, f"vector:{WIDTH}", seed=1, rules={"*": wb.Normal(std=0.02)}).save(f"{folder}/plan.json")
        command = [sys.executable, "-W", "ignore", __file__, "--process"]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        started = [
            subprocess.Popen(
                [*command, str(rank), str(size), folder], stdout=subprocess.PIPE, text=True, env=environment
            )
            for rank in range(size)
        ]
        texts = [process.communicate()[0] for process in started]
        if any(process.returncode for process in started):
            raise SystemExit("a process failed; its own words are above")
    found: dict[str, tuple[float, int]] = json.loads(texts[0].splitlines()[-1])
    return found


def _table() -> str:
    import torch

    mebibytes = WIDTH * WIDTH * 4 // 2**20
    lines = [
        "# Starting a sharded model",
        "",
        f"`python benchmarks/distributed.py --write` on {datetime.now(UTC):%Y-%m-%d}; {_processor()}, {os.cpu_count()} "
        f"cores, torch {torch.__version__}, gloo. {LAYERS} layers of {WIDTH} x {WIDTH} float32 ({mebibytes} MiB each) "
        "under FSDP2, N(0, 0.02²). Processor seconds of the slowest process, the best of three, all ways in turn in "
        "one run; memory is the peak above the shards.",
        "",
        "| processes | way | seconds | against wb.apply | memory above the shards | values depend on the sharding |",
        "|---|---|---|---|---|---|",
    ]
    for size in SIZES:
        found = _run(size)
        least = found["wb.apply"][0]
        for name, (seconds, memory) in found.items():
            depends = "yes" if name.startswith("DTensor") else "no"
            ratio = f"{seconds / least:.1f} times"
            lines.append(f"| {size} | {name} | {seconds:.3f} | {ratio} | {memory / 2**20:.0f} MiB | {depends} |")
            print(lines[-1], flush=True)
    return "\n".join(lines) + "\n"


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    text = path.read_text("utf-8") if path.exists() else ""
    names = [line.partition(": ")[2] for line in text.splitlines() if line.startswith("model name")]
    return names[0] if names else platform.processor()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--process", nargs=3, metavar=("RANK", "SIZE", "FOLDER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.process:
        _process(int(given.process[0]), int(given.process[1]), given.process[2])
        return
    text = _table()
    print(text)
    if given.write:
        (RESULTS / f"{datetime.now(UTC):%Y-%m-%d}-distributed.md").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
