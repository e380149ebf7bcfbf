"""wb.diagnose against one plain forward and backward pass of the same network on the same batch.

Run: python -m pip install -c constraints.txt ".[bench]" && python benchmarks/diagnose.py. Prints one line of JSON for
each network; no test reads it. The plain pass takes the loss and the gradients of all parameters, as training does,
without an optimizer's step. Both are called in turns; the figure is the ratio of the medians, and memory is the most
that the process held beyond what it held before (Linux, from /proc), each in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn

import wellbegun as wb

Made = tuple[nn.Module, Any]


def mlp() -> Made:
    layers = [layer for _ in range(10) for layer in (nn.Linear(1024, 1024), nn.ReLU())]
    return nn.Sequential(*layers, nn.Linear(1024, 10)), (torch.randn(256, 1024), torch.arange(256) % 10)


def narrow() -> Made:
    layers = [layer for _ in range(20) for layer in (nn.Linear(64, 64), nn.Tanh())]
    return nn.Sequential(*layers, nn.Linear(64, 10)), (torch.randn(256, 64), torch.arange(256) % 10)


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


def llama() -> Made:
    config = transformers.LlamaConfig(
        vocab_size=16000, hidden_size=512, intermediate_size=1408, num_hidden_layers=6, num_attention_heads=8
    )
    text = torch.randint(16000, (4, 129))
    return Logits(transformers.LlamaForCausalLM(config), "input_ids"), (text[:, :-1], text[:, 1:])


NETWORKS: dict[str, Callable[[], Made]] = {
    "MLP, 10 hidden layers of 1,024, batch 256": mlp,
    "MLP, 20 hidden layers of 64, batch 256": narrow,
    "ResNet-18, 16 images of 112 x 112": resnet,
    "ViT, 6 layers of 384, 4 images of 224 x 224": vit,
    "GPT-2, 6 layers of 512, 4 texts of 128": gpt2,
    "Llama, 6 layers of 512, 4 texts of 128": llama,
}


def plain(model: nn.Module, batch: Any) -> None:
    x, y = batch
    output = model(x)
    loss = nn.functional.cross_entropy(output.flatten(0, -2), y.flatten())
    torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)


def seconds(make: Callable[[], Made], rounds: int) -> dict[str, float]:
    torch.manual_seed(0)
    model, batch = make()
    calls: dict[str, Callable[[], object]] = {
        "plain": lambda: plain(model, batch),
        "diagnose": lambda: wb.diagnose(model, batch),
        "diagnose with theory": lambda: wb.diagnose(model, batch, theory=True),
    }
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(rounds + 1):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            if turn:
                times[name].append(time.perf_counter() - began)
    return {name: statistics.median(found) for name, found in times.items()}


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="")
    rounds, only = vars(parser.parse_args()).values()
    transformers.logging.set_verbosity_error()
    print(json.dumps({"torch": torch.__version__, "machine": platform.processor(), "threads": torch.get_num_threads()}))
    for name, make in NETWORKS.items():
        if only and only not in name:
            continue
        found = seconds(make, rounds)
        ratios = {f"{key} / plain": round(found[key] / found["plain"], 2) for key in found if key != "plain"}
        most = {key: peak(make, key == "diagnose") // 1024 for key in ("plain", "diagnose")}
        print(json.dumps({"network": name, "plain, s": round(found["plain"], 4), **ratios, "MiB more": most}))


if __name__ == "__main__":
    main()
