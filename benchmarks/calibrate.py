"""One forward pass of wb.calibrate against iterative LSUV: passes, seconds, and how far the scales are apart.

Run: python -m pip install -c constraints.txt ".[bench]" && python benchmarks/calibrate.py. Prints one line of JSON for
each network; no test reads it. LSUV is the reference of the tests (wellbegun.lab.anchors.iterative_lsuv), written from
the paper's formula, with its tolerance of 0.01, from the same orthogonal weights. Seconds are of the whole call:
calibrate also draws the plan's values. Scales are compared twice: with the paper's variance, and with the second
moment that a plan's targets are (`centred=False`, the default).
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

import wellbegun as wb
from wellbegun.lab.anchors.iterative_lsuv import Lsuv


class Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.last = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(x + self.norms[1](self.last(F.relu(self.norms[0](self.first(x))))))


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down, self.heads = nn.Linear(width, 4 * width), nn.Linear(4 * width, width), heads

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = self.qkv(self.norms[0](x)).chunk(3, -1)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        x = x + self.out(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.norms[1](x))))


class Loop(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inside, self.state, self.head = nn.Linear(32, 256), nn.Linear(256, 256), nn.Linear(256, 64)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = x.new_zeros(len(x), 256)
        for step in x.unbind(1):
            h = torch.tanh(self.inside(step) + self.state(h))
        return self.head(h)


def plain(depth: int, width: int) -> nn.Module:
    hidden = [layer for _ in range(depth) for layer in (nn.Linear(width, width), nn.ReLU())]
    return nn.Sequential(nn.Linear(64, width), nn.ReLU(), *hidden, nn.Linear(width, 64))


def residual(blocks: int, channels: int) -> nn.Module:
    ends = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 64)
    return nn.Sequential(nn.Conv2d(3, channels, 3, padding=1), *(Block(channels) for _ in range(blocks)), *ends)


def decoder() -> nn.Module:
    layers = [layer for _ in range(4) for layer in (nn.ConvTranspose2d(32, 32, 4, stride=2, padding=1), nn.ReLU())]
    return nn.Sequential(*layers, nn.Conv2d(32, 32, 1))


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "MLP, 20 hidden layers of 256": (lambda: plain(20, 256), (256, 64)),
    "residual CNN, 8 blocks, BatchNorm": (lambda: residual(8, 32), (32, 3, 16, 16)),
    "transformer, 6 layers of 128": (lambda: nn.Sequential(*(Attention(128, 4) for _ in range(6))), (16, 32, 128)),
    "transposed convolutions, 4": (decoder, (16, 32, 4, 4)),
    "recurrent loop, 20 steps": (Loop, (64, 20, 32)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="calls of each, in turns; medians are printed")
    repeats = parser.parse_args().repeats
    print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads(), "machine": platform.machine()}))
    for name, (make, shape) in NETWORKS.items():
        print(json.dumps({"network": name} | measure(make, shape, Lsuv, repeats)), flush=True)


def measure(
    make: Callable[[], nn.Module], shape: tuple[int, ...], iterative: Callable[..., Callable[[], int]], repeats: int
) -> dict[str, object]:
    torch.manual_seed(0)
    model, data = make(), 3 * torch.rand(shape) - 1
    plan = wb.plan(model, data, seed=3, recipe="orthogonal(gain=1)")
    ours, theirs, passes, apart = [], [], {}, {}
    for _ in range(repeats):
        for centred in (True, False):
            began = time.perf_counter()
            made = wb.calibrate(plan, model, data, target=1.0, centred=centred)
            if centred:
                ours.append(time.perf_counter() - began)
            wb.apply(plan, model, overwrite=True)
            began = time.perf_counter()
            count = iterative(model, lambda: model(data), centred=centred)()
            if centred:
                theirs.append(time.perf_counter() - began)
            passes[centred], apart[centred] = count, farthest(made, model)
    return {
        "weights": sum(entry.measured is not None for entry in made),
        "passes, LSUV": passes[True],
        "passes, calibrate": 1,
        "seconds, LSUV": round(statistics.median(theirs), 3),
        "seconds, calibrate": round(statistics.median(ours), 3),
        "farthest scale, variance": round(apart[True], 4),
        "farthest scale, second moment": round(apart[False], 4),
    }


def farthest(made: wb.Plan, model: nn.Module) -> float:
    """The largest relative difference between the scales of two weights."""
    differences = []
    for entry in made:
        if entry.measured is not None:
            theirs = float(model.get_parameter(entry.name).detach().double().square().mean().sqrt())
            differences.append(abs(entry.std / theirs - 1))
    return max(differences)


if __name__ == "__main__":
    main()
