"""Planning networks that nobody holds in memory: seconds and peak memory, each in a process of its own.

    python benchmarks/plan.py            prints a table
    python benchmarks/plan.py --write    also writes it to benchmarks/results/

The models are on meta, so they have no weights. Beside the time of the plan stands that of one plain forward pass on
meta, which is the least that looking at a model can cost. Peak memory is that of the whole process, with Python, torch
and transformers.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def _mlp(depth: int) -> tuple[Any, Any]:
    import torch
    from torch import nn

    layers = [layer for _ in range(depth) for layer in (nn.Linear(1024, 1024), nn.ReLU())]
    return nn.Sequential(*layers, nn.Linear(1024, 10)), torch.zeros(2, 1024, device="meta")


def _gpt2() -> tuple[Any, Any]:
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(GPT2Config()), None


def _llama(layers: int, width: int, inner: int, heads: int) -> tuple[Any, Any]:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=128_256,
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=8,
    )
    return LlamaForCausalLM(config), None


def _experts() -> tuple[Any, Any]:
    from transformers import DeepseekV3Config, DeepseekV3ForCausalLM

    return DeepseekV3ForCausalLM(DeepseekV3Config()), None


MODELS: dict[str, tuple[str, Callable[[], tuple[Any, Any]]]] = {
    "gpt2": ("GPT-2", _gpt2),
    "llama-32": ("Llama, 32 layers (8B)", lambda: _llama(32, 4096, 14_336, 32)),
    "llama-80": ("Llama, 80 layers (70B)", lambda: _llama(80, 8192, 28_672, 64)),
    "experts": ("DeepSeek-V3, 61 layers of 256 experts (671B)", _experts),
    "mlp-250": ("MLP, 250 layers", lambda: _mlp(250)),
    "mlp-500": ("MLP, 500 layers", lambda: _mlp(500)),
    "mlp-1000": ("MLP, 1,000 layers", lambda: _mlp(1000)),
    "mlp-2000": ("MLP, 2,000 layers", lambda: _mlp(2000)),
}


def measure(key: str) -> dict[str, Any]:
    """Build and plan one model in this process."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    import torch

    import wellbegun as wb
    from wellbegun.graph.trace import trace

    begin = time.perf_counter()
    with torch.device("meta"):
        model, inputs = MODELS[key][1]()
    built = time.perf_counter() - begin
    seconds = []
    for _ in range(3):
        begin = time.perf_counter()
        plan = wb.plan(model, inputs, seed=0)
        seconds.append(time.perf_counter() - begin)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    operations = len(trace(model, inputs).operations)
    ids = torch.zeros(2, 16, dtype=torch.int64, device="meta") if inputs is None else inputs
    begin = time.perf_counter()
    with torch.no_grad():
        try:
            model(ids)
            forward = time.perf_counter() - begin
        except RuntimeError:  # some models ask for values, which meta tensors do not have
            forward = None
    return {
        "numbers": sum(entry.size for entry in plan),
        "tensors": len(plan),
        "operations": operations,
        "build": built,
        "first": seconds[0],
        "again": min(seconds[1:]),
        "forward": forward,
        "peak": peak,
    }


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Markdown for people."""
    lines = [
        "| model | numbers | tensors | operations | plan, first | plan, again | one forward on meta | peak memory |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for key, row in rows.items():
        forward = "–" if row["forward"] is None else f"{row['forward']:.2f} s"
        lines.append(
            f"| {MODELS[key][0]} | {row['numbers'] / 1e9:.3g} G | {row['tensors']:,} | {row['operations']:,} | "
            f"{row['first']:.2f} s | {row['again']:.2f} s | {forward} | {row['peak']:.0f} MiB |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=MODELS, action="append")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--child", choices=MODELS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure(options.child)))
        return
    rows = {}
    for key in options.only or MODELS:
        command = [sys.executable, __file__, "--child", key]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{MODELS[key][0]}: {done.stderr.strip().splitlines()[-1][:300]}", file=sys.stderr)
            continue
        rows[key] = json.loads(done.stdout.strip().splitlines()[-1])
        print(f"{MODELS[key][0]}: {rows[key]['first']:.2f} s, {rows[key]['peak']:.0f} MiB", file=sys.stderr)
    text = table(rows)
    print(text)
    if options.write:
        import torch
        import transformers

        now = datetime.now(UTC)
        cpu = platform.processor() or platform.machine()
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines() if Path("/proc/cpuinfo").exists() else ():
            cpu = line.split(":")[1].strip() if line.startswith("model name") else cpu
        head = (
            f"# Planning on meta\n\n`python benchmarks/plan.py --write` on {now:%Y-%m-%d}; {cpu}, "
            f"{os.cpu_count()} cores, torch {torch.__version__}, transformers {transformers.__version__}. "
            "Each model in a process of its own; "
            "'first' holds the loading of wellbegun's theory and of SciPy, 'again' is the better of two more plans.\n\n"
        )
        (RESULTS / f"{now:%Y-%m-%d}-plan.md").write_text(head + text + "\n", "utf-8")


if __name__ == "__main__":
    main()
