"""Plain networks with activations written out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .case import Case, floats


class MLP(nn.Module):
    def __init__(self, f: Callable[[Tensor], Tensor], depth: int = 3, width: int = 64) -> None:
        super().__init__()
        self.f = f
        self.layers = nn.ModuleList(nn.Linear(20 if i == 0 else width, width) for i in range(depth))
        self.out = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = self.f(layer(x))
        return self.out(x)


class Learned(nn.Module):
    """Slopes, frequencies and gates that learn: snake, swish, PReLU by hand, a rational function, a mixture."""

    def __init__(self) -> None:
        super().__init__()
        self.l = nn.ModuleList(nn.Linear(20 if i == 0 else 64, 64) for i in range(5))
        self.alpha = nn.Parameter(torch.ones(64))
        self.beta = nn.Parameter(torch.tensor(1.0))
        self.slope = nn.Parameter(torch.full((64,), 0.1))
        self.num = nn.Parameter(torch.tensor([0.0218, 0.5, 1.5957, 1.1915]))
        self.den = nn.Parameter(torch.tensor([0.0, 1.0, 2.383]))
        self.mix = nn.Parameter(torch.zeros(3))
        self.out = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.l[0](x)
        x = x + torch.sin(self.alpha * x) ** 2 / (self.alpha + 1e-9)
        x = self.l[1](x)
        x = x * torch.sigmoid(self.beta * x)
        x = self.l[2](x)
        x = torch.maximum(x, torch.zeros_like(x)) + self.slope * torch.minimum(x, torch.zeros_like(x))
        x = self.l[3](x)
        p = sum(c * x**i for i, c in enumerate(self.num))
        x = p / (1 + torch.abs(sum(c * x ** (i + 1) for i, c in enumerate(self.den))))
        x = self.l[4](x)
        w = self.mix.softmax(0)
        return self.out(w[0] * torch.tanh(x) + w[1] * F.relu(x) + w[2] * x)


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "snake": lambda x: x + torch.sin(2.0 * x).pow(2) / 2.0,
    "relu_squared": lambda x: F.relu(x).square(),
    "erf_gelu": lambda x: x * 0.5 * (1.0 + torch.erf(x / math.sqrt(2.0))),
    "x_erf": lambda x: x * torch.erf(x),
    "sin_gated": lambda x: x * torch.sin(x),
    "softsign": lambda x: x / (1 + x.abs()),
    "aranda": lambda x: 1 - (1 + 2 * torch.exp(x)) ** (-1 / 2),
    "celu_two": lambda x: (
        torch.maximum(x, torch.zeros_like(x)) + torch.minimum(2 * (torch.exp(x / 2) - 1), torch.zeros_like(x))
    ),
    "bent_identity": lambda x: (torch.sqrt(x**2 + 1) - 1) / 2 + x,
    "gaussian_gate": lambda x: x * torch.exp(-(x**2)),
    "mish_by_hand": lambda x: x * torch.tanh(torch.log1p(torch.exp(x))),
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
    "hard_swish": lambda x: x * torch.clamp(x + 3, 0, 6) / 6,
    "leaky_by_where": lambda x: torch.where(x > 0, x, 0.2 * x),
    "squareplus": lambda x: (x + torch.sqrt(x * x + 4)) / 2,
    "logish": lambda x: x * torch.log(1 + torch.sigmoid(x)),
    "arctan": lambda x: torch.atan(math.pi * x / 2) * 2 / math.pi,
    "cubic": lambda x: x - x**3 / 9,
    "soft_threshold": lambda x: torch.sign(x) * F.relu(x.abs() - 0.5),
    "crelu_pairs": lambda x: torch.cat([F.relu(x[..., :32]), F.relu(-x[..., :32])], -1),
    "gated_halves": lambda x: torch.cat([x[..., :32] * torch.sigmoid(x[..., 32:]), torch.tanh(x[..., 32:])], -1),
    "log_cosh": lambda x: torch.log(torch.cosh(x)),
    "asinh": torch.asinh,
    "scaled_sine": lambda x: torch.sin(3 * x) / 3 + x / 2,
    "elish": lambda x: torch.where(x >= 0, x * torch.sigmoid(x), (torch.exp(x) - 1) * torch.sigmoid(x)),
    "gaussian": lambda x: torch.exp(-x.square() / 2),
    "laplace_swish": lambda x: x * 0.5 * (1 + torch.erf((x - math.sqrt(0.5)) / 0.5)),
    "clipped": lambda x: x.clamp(-1, 1) + 0.1 * x,
    "triangle": lambda x: torch.abs(x - 2 * torch.round(x / 2)),
    "tanh_shrink_by_hand": lambda x: x - torch.tanh(x),
}

IN = floats(64, 20)
CASES = [
    *(
        Case(
            name,
            lambda f=f: MLP(f),
            IN,
            {"layers.1.weight": (64, 32 if name == "gated_halves" else 64)},
            10,
            author=False,
        )
        for name, f in ACTIVATIONS.items()
    ),
    *(
        Case("deep_" + name, lambda name=name: MLP(ACTIVATIONS[name], 16), IN, {}, 10, author=False)
        for name in (
            "snake",
            "aranda",
            "bent_identity",
            "gaussian_gate",
            "squareplus",
            "erf_gelu",
            "leaky_by_where",
            "logish",
        )
    ),
    Case("learned_slopes", Learned, IN, {"l.1.weight": (64, 64)}, 10),
]
