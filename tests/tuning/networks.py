"""Small networks of every kind that calibration is held to."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class Residual(nn.Module):
    def __init__(self, width: int = 64, depth: int = 3) -> None:
        super().__init__()
        self.inside = nn.Linear(32, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(depth))
        self.up = nn.ModuleList(nn.Linear(width, 2 * width) for _ in range(depth))
        self.down = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(depth))
        self.head = nn.Linear(width, 10)

    def forward(self, x):
        x = self.inside(x)
        for norm, up, down in zip(self.norms, self.up, self.down, strict=True):
            x = x + down(F.gelu(up(norm(x))))
        return self.head(x)


class Shared(nn.Module):
    """One hidden layer called three times."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.hidden, self.head = nn.Linear(32, 64), nn.Linear(64, 64), nn.Linear(64, 10)

    def forward(self, x):
        x = self.inside(x)
        for _ in range(3):
            x = self.hidden(torch.relu(x))
        return self.head(torch.relu(x))


class Attention(nn.Module):
    def __init__(self, width: int = 64, heads: int = 4) -> None:
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(width, width) for _ in range(3))
        self.out, self.heads = nn.Linear(width, width), heads
        self.norm = nn.LayerNorm(width)

    def forward(self, x):
        q, k, v = (
            layer(self.norm(x)).unflatten(-1, (self.heads, -1)).transpose(1, 2) for layer in (self.q, self.k, self.v)
        )
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return x + self.out(mixed)


class Recurrent(nn.Module):
    """A loop that uses one weight at every step, from a state of zeros."""

    def __init__(self, steps: int = 6) -> None:
        super().__init__()
        self.inside, self.state, self.head, self.steps = nn.Linear(16, 64), nn.Linear(64, 64), nn.Linear(64, 10), steps

    def forward(self, x):
        h = x.new_zeros(len(x), 64)
        for step in range(self.steps):
            h = torch.tanh(self.inside(x[:, step]) + self.state(h))
        return self.head(h)


def mlp() -> nn.Module:
    hidden = [layer for _ in range(4) for layer in (nn.Linear(64, 64), nn.ReLU())]
    return nn.Sequential(nn.Linear(32, 64), nn.Tanh(), *hidden, nn.Dropout(0.5), nn.Linear(64, 10))


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3, groups=4),
        nn.ReLU(),
        nn.Flatten(),
        nn.LazyLinear(10),
    )


def decoder() -> nn.Module:
    return nn.Sequential(
        nn.ConvTranspose2d(8, 16, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(16, 16, 3, stride=1),
        nn.ELU(),
        nn.ConvTranspose2d(16, 3, 2, stride=2, bias=False),
    )


def build(name: str) -> tuple[nn.Module, torch.Tensor]:
    """A network and a batch of data that are neither centred nor of unit size."""
    generator = torch.Generator().manual_seed(5)
    shapes = {
        "mlp": (mlp, (128, 32)),
        "cnn": (cnn, (32, 3, 12, 12)),
        "residual": (Residual, (128, 32)),
        "shared": (Shared, (128, 32)),
        "attention": (Attention, (16, 12, 64)),
        "decoder": (decoder, (16, 8, 6, 6)),
        "recurrent": (Recurrent, (64, 6, 16)),
    }
    make, shape = shapes[name]
    data = 3 * torch.rand(shape, generator=generator) - 1
    model = make()
    if any(isinstance(module, nn.modules.lazy.LazyModuleMixin) for module in model.modules()):
        model(data)
    return model, data


NAMES = ("mlp", "cnn", "residual", "shared", "attention", "decoder", "recurrent")
