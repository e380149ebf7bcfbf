"""wb.diagnose against one plain forward and backward pass of the same network on the same batch.

    python -m pip install -c constraints.txt ".[bench]"
    python benchmarks/diagnose.py [--only WORD] [--rounds N]
    python benchmarks/diagnose.py --write    also writes benchmarks/results/

No test reads it. The plain pass takes the loss and the gradients of all parameters, as training does, without an
optimizer's step. All are called in turns, each network at least ROUNDS times and for three seconds, on one thread.
Times are the processor's, the least of all rounds of each: whatever else a machine does makes a call longer, never
shorter, and on a free machine they are the wall's. "The pass" is the forward and the backward pass with all that is
measured in them; a diagnosis also looks at the parameters, judges, and puts everything back. The bar is a factor of
two, or `A_LAYER` more for each layer, whichever is larger; docs/diagnosis.md says why. Memory is the most that the
process held beyond what it held before it (Linux, from /proc), each in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn

import wellbegun as wb
from wellbegun.diagnosis.batches import read_batch
from wellbegun.diagnosis.loss import loss_of
from wellbegun.diagnosis.probe import Probe

Made = tuple[nn.Module, Any]
RESULTS = Path(__file__).parent / "results"

A_LAYER = 0.5e-3
"""Seconds that a diagnosis may add for each use of a layer, where a plain pass takes less."""


def mlp() -> Made:
    layers = [layer for _ in range(10) for layer in (nn.Linear(1024, 1024), nn.ReLU())]
    return nn.Sequential(*layers, nn.Linear(1024, 10)), (torch.randn(256, 1024), torch.arange(256) % 10)


def narrow() -> Made:
    layers = [layer for _ in range(20) for layer in (nn.Linear(64, 64), nn.Tanh())]
    return nn.Sequential(*layers, nn.Linear(64, 10)), (torch.randn(256, 64), torch.arange(256) % 10)


def small(inputs: int) -> Made:
    layers = [layer for _ in range(30) for layer in (nn.Linear(64, 64), nn.ReLU())]
    return nn.Sequential(*layers, nn.Linear(64, 10)), (torch.randn(inputs, 64), torch.arange(inputs) % 10)


def small_64() -> Made:
    return small(64)


def small_256() -> Made:
    return small(256)


def cnn() -> Made:
    """Images of CIFAR-10's size, a batch that one trains with."""
    blocks: list[nn.Module] = []
    for before, after in ((3, 32), (32, 64), (64, 128)):
        blocks += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.Conv2d(after, after, 3, padding=1)]
        blocks += [nn.ReLU(), nn.MaxPool2d(2)]
    model = nn.Sequential(*blocks, nn.Flatten(), nn.Linear(2048, 256), nn.ReLU(), nn.Linear(256, 10))
    return model, (torch.randn(64, 3, 32, 32), torch.arange(64) % 10)


class Words(nn.Module):
    """An LSTM that reads a text and says the next word at each place."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(10_000, 256)
        self.lstm = nn.LSTM(256, 256, 2, batch_first=True)
        self.head = nn.Linear(256, 10_000)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.lstm(self.table(x))[0])


def lstm() -> Made:
    text = torch.randint(10_000, (32, 36))
    return Words(), (text[:, :-1], text[:, 1:])


class Logits(nn.Module):
    """A model of transformers by its logits, a row for each target."""

    def __init__(self, model: nn.Module, argument: str) -> None:
        super().__init__()
        self.model, self.argument = model, argument

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(**{self.argument: x}).logits


def resnet() -> Made:
    config = transformers.ResNetConfig(
        embedding_size=64, hidden_sizes=[64, 128, 256, 512], depths=[2, 2, 2, 2], layer_type="basic", num_labels=100
    )
    model = Logits(transformers.ResNetForImageClassification(config), "pixel_values")
    return model, (torch.randn(16, 3, 112, 112), torch.arange(16))


def vit() -> Made:
    config = transformers.ViTConfig(
        hidden_size=384, intermediate_size=1536, num_hidden_layers=6, num_attention_heads=6, num_labels=100
    )
    return Logits(transformers.ViTForImageClassification(config), "pixel_values"), (
        torch.randn(4, 3, 224, 224),
        torch.arange(4),
    )


def gpt2() -> Made:
    config = transformers.GPT2Config(
        vocab_size=16000, n_embd=512, n_layer=6, n_head=8, n_positions=256, bos_token_id=0, eos_token_id=0
    )
    text = torch.randint(16000, (4, 129))
    return Logits(transformers.GPT2LMHeadModel(config), "input_ids"), (text[:, :-1], text[:, 1:])


def gpt2_small() -> Made:
    """The configuration that was published as GPT-2: 12 layers of 768, 124 million numbers."""
    text = torch.randint(50257, (4, 129))
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config())
    return Logits(model, "input_ids"), (text[:, :-1], text[:, 1:])


def llama() -> Made:
    config = transformers.LlamaConfig(
        vocab_size=16000, hidden_size=512, intermediate_size=1408, num_hidden_layers=6, num_attention_heads=8
    )
    text = torch.randint(16000, (4, 129))
    return Logits(transformers.LlamaForCausalLM(config), "input_ids"), (text[:, :-1], text[:, 1:])


NETWORKS: dict[str, Callable[[], Made]] = {
    "MLP, 10 hidden layers of 1,024, batch 256": mlp,
    "MLP, 20 hidden layers of 64, tanh, batch 256": narrow,
    "MLP, 30 hidden layers of 64, batch 64": small_64,
    "MLP, 30 hidden layers of 64, batch 256": small_256,
    "CNN, 6 layers, 64 images of 32 x 32": cnn,
    "LSTM, 2 layers of 256, 32 texts of 35": lstm,
    "ResNet-18, 16 images of 112 x 112": resnet,
    "ViT, 6 layers of 384, 4 images of 224 x 224": vit,
    "GPT-2, 6 layers of 512, 4 texts of 128": gpt2,
    "GPT-2 small, 12 layers of 768, 4 texts of 128": gpt2_small,
    "Llama, 6 layers of 512, 4 texts of 128": llama,
}


def plain(model: nn.Module, batch: Any) -> None:
    x, y = batch
    output = model(x)
    loss = nn.functional.cross_entropy(output.flatten(0, -2), y.flatten())
    torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)


def passes(model: nn.Module, batch: Any) -> None:
    """What `wb.diagnose` does with the model, and nothing besides: both passes, watched, and what is measured there."""
    found, named = read_batch(batch), dict(model.named_parameters())
    probe = Probe(named, model.buffers())
    with probe:
        output = model(*found.arguments, **found.keywords)
    value = loss_of(output, found, None)
    torch.autograd.grad(value.loss, list(named.values()), allow_unused=True)
    probe.settle()


def seconds(make: Callable[[], Made], rounds: int) -> dict[str, float]:
    torch.manual_seed(0)
    model, batch = make()
    calls: dict[str, Callable[[], object]] = {
        "plain": lambda: plain(model, batch),
        "pass": lambda: passes(model, batch),
        "diagnose": lambda: wb.diagnose(model, batch),
        "with theory": lambda: wb.diagnose(model, batch, theory=True),
    }
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    first = time.perf_counter()
    while len(times["with theory"]) < rounds or time.perf_counter() - first < 3:
        for name, call in calls.items():
            began = time.process_time()
            call()
            times[name].append(time.process_time() - began)
    return {name: min(found) for name, found in times.items()} | {"layers": len(wb.diagnose(model, batch).layers)}


def _peak(make: Callable[[], Made], diagnosed: bool, answer: Any) -> None:
    torch.manual_seed(0)
    model, batch = make()
    plain(model, batch)  # the libraries' own memory
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = _status("VmRSS")
    wb.diagnose(model, batch) if diagnosed else plain(model, batch)
    answer.put(_status("VmHWM") - before)


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key))


def peak(make: Callable[[], Made], diagnosed: bool) -> int:
    """KiB that one pass, plain or diagnosed, takes beyond what the process held before it."""
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    process = context.Process(target=_peak, args=(make, diagnosed, answer))
    process.start()
    most = answer.get()
    process.join()
    return int(most)


def table(rows: dict[str, dict[str, float]]) -> str:
    """Markdown for people."""
    lines = [
        "| network | layers | plain, ms | the pass / plain | diagnose / plain | ms more, a layer | the bar, / plain "
        "| with theory=True | MiB more, plain | diagnose |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        ratios = {key: f"{row[key] / row['plain']:.2f}" for key in ("pass", "diagnose", "with theory")}
        more = (row["diagnose"] - row["plain"]) / row["layers"] * 1e3
        bar = max(2.0, 1 + row["layers"] * A_LAYER / row["plain"])
        lines.append(
            f"| {name} | {row['layers']:.0f} | {row['plain'] * 1e3:,.1f} | {ratios['pass']} | {ratios['diagnose']} "
            f"| {more:.2f} | {bar:.2f} | {ratios['with theory']} | {row['MiB, plain']:.0f} "
            f"| {row['MiB, diagnose']:.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    before, rows = os.getloadavg(), {}
    for name, make in NETWORKS.items():
        if options.only in name:
            rows[name] = seconds(make, options.rounds)
            rows[name] |= {f"MiB, {key}": peak(make, key == "diagnose") / 1024 for key in ("plain", "diagnose")}
            print(json.dumps({"network": name, **rows[name]}), file=sys.stderr)
    text = table(rows)
    print(text)
    if options.write:
        now, cpu = datetime.now(UTC), platform.processor() or platform.machine()
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines() if Path("/proc/cpuinfo").exists() else ():
            cpu = line.split(":")[1].strip() if line.startswith("model name") else cpu
        after = os.getloadavg()
        head = (
            f"# Diagnosis against a plain forward and backward pass\n\n`python benchmarks/diagnose.py --rounds "
            f"{options.rounds} --write` on {now:%Y-%m-%d}; {cpu}, one of {os.cpu_count()} cores, "
            f"torch {torch.__version__}, transformers {transformers.__version__}. The "
            f"machine's load (the mean of a minute, this process included) was {before[0]:.1f} before and "
            f"{after[0]:.1f} afterwards.\n\n"
        )
        (RESULTS / f"{now:%Y-%m-%d}-diagnose.md").write_text(head + text + "\n", "utf-8")


if __name__ == "__main__":
    main()
