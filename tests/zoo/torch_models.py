"""Models of torch.nn alone: every kind of layer that has weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from .walk import Architecture


class _Recurrent(nn.Module):
    """A recurrent network over [batch, time, 12], with a linear layer on the last step."""

    def __init__(self, kind: Callable[..., nn.Module], **settings: Any) -> None:
        super().__init__()
        self.body = kind(12, 16, num_layers=2, batch_first=True, **settings)
        self.head = nn.Linear(32 if settings.get("bidirectional") else settings.get("proj_size", 16), 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x)[0][:, -1])


class _Cells(nn.Module):
    """Cells in a Python loop, each called once a step."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.LSTMCell(12, 16), nn.GRUCell(16, 16), nn.RNNCell(16, 16)
        self.head = nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state, second, third = None, None, None
        for step in x.unbind(1):
            state = self.first(step, state)
            second = self.second(state[0], second)
            third = self.third(second, third)
        return self.head(third)


class _Attention(nn.Module):
    """nn.MultiheadAttention, packed or with widths of their own for keys and values."""

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(16, 4, batch_first=True, **settings)
        self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, 5)

    def forward(self, query: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(query + self.attention(query, other, other, need_weights=False)[0]))


class _Residual(nn.Module):
    """Convolutions in residual blocks: plain, depthwise, dilated, grouped."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=step, dilation=step, groups=groups)
            )
            for step, groups in ((1, 1), (1, 16), (2, 1), (1, 4))
        )
        self.norm, self.head = nn.GroupNorm(4, 16), nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(x)
        return self.head(torch.relu(self.norm(x)).mean((2, 3)))


class _Bilinear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.both, self.head = nn.Bilinear(6, 8, 16), nn.Linear(16, 5)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.head(torch.tanh(self.both(x, y)))


class _Bag(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bag, self.plain = nn.EmbeddingBag(50, 16, mode="mean"), nn.Embedding(50, 16, padding_idx=0)
        self.head = nn.Linear(16, 5)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.bag(tokens) + self.plain(tokens).sum(1))


class _Shared(nn.Module):
    """A language model with one table for both ends, and one block that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(128, 64)
        self.block = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True, norm_first=True)
        self.norm, self.head = nn.LayerNorm(64), nn.Linear(64, 128, bias=False)
        self.head.weight = self.table.weight

    def forward(self, tokens: torch.Tensor) -> dict[str, torch.Tensor]:
        x = self.table(tokens)
        return {"logits": self.head(self.norm(self.block(self.block(x))))}


def _vectors(*sizes: tuple[int, ...]) -> Callable[[nn.Module, int], tuple[torch.Tensor, ...]]:
    def make(model: nn.Module, seed: int) -> tuple[torch.Tensor, ...]:
        generator = torch.Generator().manual_seed(seed)
        return tuple(torch.randn(2, *size, generator=generator) for size in sizes)

    return make


def _tokens(model: nn.Module, seed: int) -> tuple[torch.Tensor, ...]:
    return (torch.randint(1, 50, (2, 24), generator=torch.Generator().manual_seed(seed)),)


def _mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(12, 16), nn.GELU(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 5))


def _images() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3), nn.BatchNorm2d(16),
        nn.SiLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.1), nn.Linear(16, 5),
    )  # fmt: skip


def _autoencoder() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 4, stride=2, padding=1), nn.LeakyReLU(0.1), nn.InstanceNorm2d(8, affine=True),
        nn.ConvTranspose2d(8, 8, 4, stride=2, padding=1), nn.PReLU(), nn.Conv2d(8, 3, 1),
    )  # fmt: skip


def _series() -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(4, 8, 5, dilation=2), nn.ELU(), nn.BatchNorm1d(8), nn.ConvTranspose1d(8, 8, 4, stride=2), nn.SELU(),
        nn.Conv1d(8, 2, 1),
    )  # fmt: skip


def _volumes() -> nn.Module:
    return nn.Sequential(nn.Conv3d(2, 8, 3), nn.Mish(), nn.BatchNorm3d(8), nn.ConvTranspose3d(8, 4, 2))


def _norms() -> nn.Module:
    return nn.Sequential(
        nn.Linear(12, 16), nn.RMSNorm(16), nn.Softplus(), nn.Linear(16, 16), nn.LayerNorm(16), nn.GLU()
    )


class _Translator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Transformer(16, 4, 1, 1, 32, batch_first=True), nn.Linear(16, 5)

    def forward(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(source, target))


def _encoder() -> nn.Module:
    return nn.TransformerEncoder(
        nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), num_layers=2, enable_nested_tensor=False
    )


TORCH = tuple(
    Architecture(f"torch.nn: {name}", kind, "torch.nn", build, inputs, name == "shared table")
    for name, kind, build, inputs in (
        ("multilayer perceptron", "Linear", _mlp, _vectors((12,))),
        ("norms", "RMSNorm, LayerNorm, GLU", _norms, _vectors((12,))),
        ("images", "Conv2d, BatchNorm2d", _images, _vectors((3, 16, 16))),
        ("residual images", "Conv2d depthwise, dilated, grouped", _Residual, _vectors((3, 12, 12))),
        ("autoencoder", "ConvTranspose2d, InstanceNorm2d, PReLU", _autoencoder, _vectors((3, 16, 16))),
        ("series", "Conv1d, ConvTranspose1d", _series, _vectors((4, 32))),
        ("volumes", "Conv3d, ConvTranspose3d", _volumes, _vectors((2, 8, 8, 8))),
        ("bilinear", "Bilinear", _Bilinear, _vectors((6,), (8,))),
        ("bag", "EmbeddingBag, Embedding", _Bag, _tokens),
        ("recurrent", "RNN", lambda: _Recurrent(nn.RNN), _vectors((6, 12))),
        ("gated recurrent", "GRU, bidirectional", lambda: _Recurrent(nn.GRU, bidirectional=True), _vectors((6, 12))),
        ("long short-term memory", "LSTM", lambda: _Recurrent(nn.LSTM), _vectors((6, 12))),
        ("projected memory", "LSTM, proj_size", lambda: _Recurrent(nn.LSTM, proj_size=8), _vectors((6, 12))),
        ("cells", "LSTMCell, GRUCell, RNNCell", _Cells, _vectors((6, 12))),
        ("attention", "MultiheadAttention", _Attention, _vectors((6, 16), (6, 16))),
        (
            "split attention",
            "MultiheadAttention, kdim, vdim, bias_k",
            lambda: _Attention(kdim=8, vdim=8, add_bias_kv=True),
            _vectors((6, 16), (6, 8)),
        ),
        ("encoder", "TransformerEncoder", _encoder, _vectors((6, 16))),
        ("translator", "Transformer", _Translator, _vectors((6, 16), (4, 16))),
        ("shared table", "Embedding tied to Linear, one block twice", _Shared, _tokens),
    )
)
