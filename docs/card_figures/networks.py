"""The networks that recipes are shown on: the first one whose traits are those of a card's domain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import nn

from wellbegun.advice.traits import traits_of
from wellbegun.graph.trace import trace


class Activation(nn.Module):
    """A function as a layer."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


def sine(x: torch.Tensor) -> torch.Tensor:
    """SIREN's."""
    return torch.sin(30 * x)


def finer(x: torch.Tensor) -> torch.Tensor:
    """FINER's."""
    return torch.sin(30 * (x.abs() + 1) * x)


class Branches(nn.Module):
    """Residual branches of two layers, with or without a normalisation in front and a learnt factor behind."""

    def __init__(self, norm: bool = False, factor: tuple[int, ...] | None = None, count: int = 12) -> None:
        super().__init__()
        self.first = nn.Linear(64, 64)
        self.norms = nn.ModuleList(nn.LayerNorm(64) if norm else nn.Identity() for _ in range(count))
        self.inside = nn.ModuleList(nn.Linear(64, 64) for _ in range(count))
        self.outside = nn.ModuleList(nn.Linear(64, 64) for _ in range(count))
        self.factors = nn.ParameterList(torch.ones(factor) for _ in range(count)) if factor is not None else None
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        for i, (norm, inside, outside) in enumerate(zip(self.norms, self.inside, self.outside, strict=True)):
            branch = outside(torch.relu(inside(norm(x))))
            x = x + (branch if self.factors is None else branch * self.factors[i])
        return self.head(x)


class Encoder(nn.Module):
    """A table of tokens, PyTorch's transformer encoder, an output layer."""

    def __init__(self, norm_first: bool, layers: int = 4) -> None:
        super().__init__()
        self.table = nn.Embedding(60, 64)
        layer = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True, dropout=0.0, norm_first=norm_first)
        self.body = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head = nn.Linear(64, 60)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(self.table(tokens)))


class Looks(nn.Module):
    """Attention by hand and a feed-forward part as residual branches: with two norms each (Sub-LN), or with none."""

    def __init__(self, norms: bool, width: int = 64, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.o = (nn.Linear(width, width) for _ in range(4))
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        sizes = (width, width, width, 2 * width)
        self.norms = nn.ModuleList(nn.LayerNorm(size) if norms else nn.Identity() for size in sizes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norms[0](x)
        q, k, v = (layer(y).unflatten(-1, (self.heads, -1)).transpose(1, 2) for layer in (self.q, self.k, self.v))
        mixed = nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + self.o(self.norms[1](mixed))
        return x + self.down(self.norms[3](torch.relu(self.up(self.norms[2](x)))))


class Patches(nn.Module):
    """Patches of a picture, a pre-norm encoder, an output layer."""

    def __init__(self) -> None:
        super().__init__()
        self.cut = nn.Conv2d(3, 64, 4, stride=4)
        layer = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True, dropout=0.0, norm_first=True)
        self.body = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(self.cut(x).flatten(2).transpose(1, 2)).mean(1))


class Experts(nn.Module):
    """Pre-norm layers of two stacked experts and a router."""

    def __init__(self, layers: int = 3) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(60, 32), nn.Linear(32, 60)
        self.norms = nn.ModuleList(nn.LayerNorm(32) for _ in range(layers))
        self.routers = nn.ModuleList(nn.Linear(32, 2, bias=False) for _ in range(layers))
        self.up = nn.ParameterList(torch.randn(2, 32, 64) * 0.1 for _ in range(layers))
        self.down = nn.ParameterList(torch.randn(2, 64, 32) * 0.1 for _ in range(layers))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.table(tokens)
        for norm, router, up, down in zip(self.norms, self.routers, self.up, self.down, strict=True):
            flat = norm(x).flatten(0, 1)
            weights = torch.softmax(router(flat), -1)
            made = torch.bmm(torch.relu(torch.bmm(flat.expand(2, *flat.shape), up)), down)
            x = x + (made * weights.T[..., None]).sum(0).view_as(x)
        return self.head(x)


class Memory(nn.Module):
    """A recurrent layer over time."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.memory = nn.LSTM(8, 32, batch_first=True) if kind == "lstm" else nn.RNN(8, 32, 1, "relu", batch_first=True)
        self.head = nn.Linear(32, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.memory(x)[0])


class StateSpace(nn.Module):
    """Mamba-2's decay rates and steps of time between two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.outside = nn.Linear(16, 16), nn.Linear(16, 4)
        self.A_log, self.dt_bias = nn.Parameter(torch.zeros(16)), nn.Parameter(torch.zeros(16))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        step = nn.functional.softplus(self.inside(x) + self.dt_bias)
        return self.outside(torch.exp(-step * torch.exp(self.A_log)) * x)


class Heads(nn.Module):
    """A policy and a value on one body."""

    def __init__(self) -> None:
        super().__init__()
        self.body = plain(nn.Tanh, 3)[:-1]
        self.pi, self.v = nn.Linear(64, 4), nn.Linear(64, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.body(x)
        return self.pi(x), self.v(x)


@dataclass(frozen=True)
class Shown:
    """A network that recipes are shown on.

    Attributes:
        name: in words.
        build: makes it.
        inputs: spec of what it takes.
        in_time: whether its depth is that of time.
    """

    name: str
    build: Callable[[], nn.Module]
    inputs: str
    in_time: bool = False

    @cached_property
    def traits(self) -> dict[str, str]:
        """What its graph shows; and every wish, for the recipes that are for one."""
        return traits_of(trace(self.build(), self.inputs)) | {"shared rates": "asked for"}


def plain(activation: Callable[[], nn.Module], depth: int, inputs: int = 64) -> nn.Sequential:
    """Layers in a row."""
    layers: list[nn.Module] = []
    for i in range(depth):
        layers += [nn.Linear(64 if i else inputs, 64), activation()]
    return nn.Sequential(*layers, nn.Linear(64, 10))


def looking(norms: bool) -> nn.Sequential:
    """A table of tokens, four layers of attention, an output layer."""
    return nn.Sequential(nn.Embedding(60, 64), *(Looks(norms) for _ in range(4)), nn.Linear(64, 60))


NETWORKS = (
    Shown("20 hidden layers of tanh", lambda: plain(nn.Tanh, 20), "vector:64"),
    Shown("20 hidden layers of ReLU", lambda: plain(nn.ReLU, 20), "vector:64"),
    Shown("8 hidden layers of sigmoid", lambda: plain(nn.Sigmoid, 8), "vector:64"),
    Shown("20 hidden layers of SELU", lambda: plain(nn.SELU, 20), "vector:64"),
    Shown("4 hidden layers of ReLU", lambda: plain(nn.ReLU, 4), "vector:64"),
    Shown("5 layers of sines", lambda: plain(lambda: Activation(sine), 5, 2), "vector:2"),
    Shown("5 layers of FINER's sines", lambda: plain(lambda: Activation(finer), 5, 2), "vector:2"),
    Shown("12 residual branches without normalisation", Branches, "vector:64"),
    Shown("12 branches behind one learnt number each", lambda: Branches(factor=()), "vector:64"),
    Shown("12 branches behind learnt factors, with normalisation", lambda: Branches(True, (64,)), "vector:64"),
    Shown("a pre-norm transformer of 4 layers", lambda: Encoder(True), "tokens:16"),
    Shown("a post-norm transformer of 4 layers", lambda: Encoder(False), "tokens:16"),
    Shown("a transformer of 4 layers without normalisation", lambda: looking(False), "tokens:16"),
    Shown("4 layers with a normalisation before each last weight", lambda: looking(True), "tokens:16"),
    Shown("a vision transformer of 4 layers", Patches, "image:3x16x16"),
    Shown("an LSTM over 40 steps", lambda: Memory("lstm"), "float:40x8", True),
    Shown("a ReLU network over 40 steps", lambda: Memory("relu"), "float:40x8", True),
    Shown("a state-space layer", StateSpace, "vector:16"),
    Shown("3 pre-norm layers of experts", Experts, "tokens:16"),
    Shown("a policy and a value", Heads, "vector:64"),
)  # fmt: skip
