"""The laws and numbers of auto for networks of all kinds, as they are kept in a file.

A test here that fails means that a rule of `auto` has changed. While its version is 0 that is allowed: tell it in
docs/auto.md, and write the file again with `WELLBEGUN_WRITE_GOLDEN=1`. Behind a released version it never is: make a
new version of the recipe.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import wellbegun as wb
from wellbegun.lab.networks import build_network
from wellbegun.lab.task import Split, Task
from wellbegun.plans import Plan

GOLDEN = Path(__file__).parent / "golden" / "auto.json"
_NUMBER = re.compile(r"-?\d+\.?\d*(?:e-?\d+)?")


def task(kind: str, shape: tuple[int, ...], outputs: int) -> Task:
    """Drawn numbers of second moment 1: plans see the data's size and nothing else."""
    if kind == "tokens":
        inputs = np.arange(4 * shape[0]).reshape(4, *shape) % outputs
        targets = inputs
    else:
        inputs = np.ones((4, *shape), np.float32)
        targets = np.arange(4) % outputs if kind == "classes" else np.zeros((4, outputs), np.float32)
    return Task("toy", "drawn", "here", "none", kind, outputs, *[Split(inputs, targets)] * 3)  # type: ignore[arg-type]


VECTORS, IMAGES = task("classes", (16,), 4), task("classes", (3, 16, 16), 5)
FIELD, TEXT = task("field", (2,), 1), task("tokens", (8,), 30)


def lab(name: str, data: Task, depth: int, width: int, activation: str, **more: object) -> Plan:
    model = build_network(name, data, depth=depth, width=width, activation=activation, **more)
    return wb.plan(model, torch.from_numpy(data.train.inputs), seed=0)


class Gated(nn.Module):
    """SwiGLU behind RMSNorm, twice, with shortcuts."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.RMSNorm(16) for _ in range(2))
        self.gates, self.ups = (nn.ModuleList(nn.Linear(16, 32, bias=False) for _ in range(2)) for _ in range(2))
        self.downs, self.head = nn.ModuleList(nn.Linear(32, 16, bias=False) for _ in range(2)), nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for norm, gate, up, down in zip(self.norms, self.gates, self.ups, self.downs, strict=True):
            y = norm(x)
            x = x + down(F.silu(gate(y)) * up(y))
        return self.head(x)


class Tied(nn.Module):
    """Tokens whose table is the output layer too."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.norm = nn.Embedding(30, 32), nn.LayerNorm(32)
        self.wide, self.narrow = nn.Linear(32, 64), nn.Linear(64, 32)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.table(tokens)
        x = x + self.narrow(F.gelu(self.wide(self.norm(x))))
        x = x + self.narrow(F.gelu(self.wide(self.norm(x))))
        return self.norm(x) @ self.table.weight.T


class Logish(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.log1p(torch.sigmoid(x))


class Head(nn.Module):
    """A recurrent layer or an attention, and the output layer behind it."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body, self.head = body, nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made = self.body(x, x, x) if isinstance(self.body, nn.MultiheadAttention) else self.body(x)
        return self.head(made[0] if isinstance(made, tuple) else made)


def plain(activation: type[nn.Module], depth: int) -> nn.Sequential:
    hidden = [layer for _ in range(depth) for layer in (nn.Linear(16, 16), activation())]
    return nn.Sequential(*hidden, nn.Linear(16, 4))


def convolutions() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3, groups=8),
        nn.SiLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5),
    )  # fmt: skip


ROWS, PICTURE = torch.ones(2, 16), torch.ones(2, 3, 16, 16)
NETWORKS: dict[str, Callable[[], Plan]] = {
    **{f"mlp {name} {depth}": lambda n=name, d=depth: lab("mlp", VECTORS, d, 16, n)  # type: ignore[misc]
       for name in ("relu", "gelu", "tanh", "sigmoid", "elu", "softplus", "sine") for depth in (3, 10)},
    "mlp mish 10": lambda: lab("mlp", VECTORS, 10, 16, "mish"),
    "mlp odd width": lambda: lab("mlp", VECTORS, 10, 15, "relu"),
    "mlp logish": lambda: wb.plan(plain(Logish, 10), ROWS, seed=0),
    "mlp hardswish": lambda: wb.plan(plain(nn.Hardswish, 8), ROWS, seed=0),
    "cnn 3": lambda: lab("cnn", IMAGES, 3, 8, "relu", strides=2),
    "cnn 9": lambda: lab("cnn", IMAGES, 9, 8, "relu", strides=1),
    "cnn tanh 9": lambda: lab("cnn", IMAGES, 9, 8, "tanh"),
    "residual": lambda: lab("residual", VECTORS, 6, 16, "relu"),
    "residual of images": lambda: lab("residual", IMAGES, 3, 8, "gelu"),
    "residual-norm": lambda: lab("residual-norm", VECTORS, 4, 16, "gelu"),
    "vit": lambda: lab("vit", IMAGES, 2, 16, "gelu"),
    "gpt": lambda: lab("gpt", TEXT, 3, 64, "gelu", heads=2),
    "lstm": lambda: lab("lstm", TEXT, 2, 16, "tanh"),
    "siren": lambda: lab("siren", FIELD, 4, 16, "sine"),
    "gated": lambda: wb.plan(Gated(), ROWS, seed=0),
    "tied": lambda: wb.plan(Tied(), "tokens:8", seed=0),
    "gru": lambda: wb.plan(Head(nn.GRU(16, 16, batch_first=True)), torch.ones(2, 5, 16), seed=0),
    "attention": lambda: wb.plan(Head(nn.MultiheadAttention(16, 2, batch_first=True)), torch.ones(2, 5, 16), seed=0),
    "encoder": lambda: wb.plan(
        Head(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)), torch.ones(2, 5, 16), seed=0
    ),
    "convolutions": lambda: wb.plan(convolutions(), PICTURE, seed=0),
    "upwards": lambda: wb.plan(
        nn.Sequential(nn.ConvTranspose2d(3, 6, 4, stride=2), nn.LeakyReLU(0.2), nn.Conv2d(6, 3, 1)), PICTURE, seed=0
    ),
    "prelu": lambda: wb.plan(nn.Sequential(nn.Linear(16, 8), nn.PReLU(), nn.Linear(8, 1)), ROWS, seed=0),
}  # fmt: skip


def laws(plan: Plan) -> dict[str, str]:
    return {entry.name: repr(entry.law) for entry in plan}


def numbers(text: str) -> list[float]:
    return [float(found) for found in _NUMBER.findall(text)]


def golden() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads(GOLDEN.read_text())
    return found


def test_there_are_networks_of_all_kinds() -> None:
    if os.environ.get("WELLBEGUN_WRITE_GOLDEN"):
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(json.dumps({name: laws(make()) for name, make in NETWORKS.items()}, indent=1) + "\n")
    assert len(NETWORKS) >= 30
    assert list(golden()) == list(NETWORKS)


@pytest.mark.parametrize("name", NETWORKS)
def test_its_laws_and_numbers_are_those_that_are_kept(name: str) -> None:
    made, kept = laws(NETWORKS[name]()), golden()[name]
    assert list(made) == list(kept)
    for tensor, text in made.items():
        assert _NUMBER.sub("·", text) == _NUMBER.sub("·", kept[tensor]), tensor
        assert numbers(text) == pytest.approx(numbers(kept[tensor]), rel=1e-5), tensor
