"""Small networks that faults are planted in, each with a batch; `auto` starts them soundly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import transformers
from torch import nn
from torch.nn import functional as F

WIDTH, CLASSES, WORDS, PLACES = 64, 10, 64, 12

Made = tuple[nn.Module, Any]


def _made(seed: int = 5) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rows(inputs: int = 64, width: int = WIDTH) -> tuple[torch.Tensor, torch.Tensor]:
    made = _made()
    return torch.randn(inputs, width, generator=made), torch.randint(CLASSES, (inputs,), generator=made)


def images() -> tuple[torch.Tensor, torch.Tensor]:
    made = _made()
    return torch.randn(32, 3, 16, 16, generator=made), torch.randint(CLASSES, (32,), generator=made)


def series() -> tuple[torch.Tensor, torch.Tensor]:
    made = _made()
    return torch.randn(32, PLACES, 16, generator=made), torch.randint(CLASSES, (32,), generator=made)


def words() -> tuple[torch.Tensor, torch.Tensor]:
    made = _made()
    text = torch.randint(WORDS, (16, PLACES + 1), generator=made)
    return text[:, :-1].clone(), text[:, 1:].clone()


def mlp(activation: Callable[[], nn.Module] = nn.ReLU, depth: int = 6, **settings: Any) -> Callable[[], Made]:
    """A chain of layers; `layers.0` to `layers.<depth - 1>`, then `head`."""
    return lambda: (Chain(activation, depth, **settings), rows())


class Chain(nn.Module):
    def __init__(self, activation: Callable[[], nn.Module], depth: int, bias: bool = True) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH, bias=bias) for _ in range(depth))
        self.activation, self.head = activation(), nn.Linear(WIDTH, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = self.activation(layer(x))
        return self.head(x)


class Images(nn.Module):
    """Convolutions without normalisation (`convs`), or with it (`norms`)."""

    def __init__(self, normalised: bool) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(3 if i == 0 else 32, 32, 3, padding=1) for i in range(4))
        self.norms = nn.ModuleList(nn.BatchNorm2d(32) if normalised else nn.Identity() for _ in range(4))
        self.head = nn.Linear(32, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = torch.relu(norm(conv(x)))
        return self.head(x.mean((2, 3)))


class Branch(nn.Module):
    def __init__(self, normalised: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH) if normalised else nn.Identity()
        self.up, self.down = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.down(torch.relu(self.up(self.norm(x))))


class Residual(nn.Module):
    """Branches with or without normalisation in front of them."""

    def __init__(self, depth: int, normalised: bool = False) -> None:
        super().__init__()
        self.stem, self.head = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, CLASSES)
        self.blocks = nn.ModuleList(Branch(normalised) for _ in range(depth))
        self.norm = nn.LayerNorm(WIDTH) if normalised else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


class Attention(nn.Module):
    def __init__(self, fused: bool) -> None:
        super().__init__()
        self.fused, self.heads = fused, 4
        self.q, self.k, self.v, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for layer in (self.q, self.k, self.v))
        if self.fused:
            mixed = F.scaled_dot_product_attention(q, k, v)
        else:
            mixed = torch.softmax(q @ k.mT / q.shape[-1] ** 0.5, -1) @ v
        return self.out(mixed.transpose(1, 2).flatten(2))


class Layer(nn.Module):
    def __init__(self, fused: bool, skips: bool) -> None:
        super().__init__()
        self.skips, self.attention = skips, Attention(fused)
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.attention(self.norm1(x))
        x = x + y if self.skips else y
        y = self.down(F.gelu(self.up(self.norm2(x))))
        return x + y if self.skips else y


class Encoder(nn.Module):
    """A transformer over a series of vectors."""

    def __init__(self, depth: int = 4, fused: bool = True, skips: bool = True) -> None:
        super().__init__()
        self.embed, self.places = nn.Linear(16, WIDTH), nn.Parameter(torch.randn(PLACES, WIDTH) / 4)
        self.layers = nn.ModuleList(Layer(fused, skips) for _ in range(depth))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.embed(x) + self.places
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x).mean(1))


class Recurrent(nn.Module):
    def __init__(self, kind: Callable[..., nn.Module]) -> None:
        super().__init__()
        self.body, self.head = kind(16, WIDTH, batch_first=True), nn.Linear(WIDTH, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x)[0][:, -1])


class LowRank(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.base = nn.Linear(WIDTH, WIDTH).requires_grad_(False)
        self.a, self.b = nn.Linear(WIDTH, 4, bias=False), nn.Linear(4, WIDTH, bias=False)
        nn.init.zeros_(self.b.weight)
        self.head = nn.Linear(WIDTH, CLASSES).requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.base(x) + self.b(self.a(x))))


class Experts(nn.Module):
    """Every expert sees every input, weighed by a gate."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.head = nn.Linear(WIDTH, 4), nn.Linear(WIDTH, CLASSES)
        self.experts = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shares = torch.softmax(self.gate(x), -1)
        y = torch.stack([torch.relu(expert(x)) for expert in self.experts], -1)
        return self.head((y * shares.unsqueeze(1)).sum(-1))


class Spare(Chain):
    """A layer that nobody calls, and one whose result nobody uses."""

    def __init__(self) -> None:
        super().__init__(nn.ReLU, 3)
        self.spare, self.aside = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.uses_spare = self.uses_aside = True

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.spare(x) if self.uses_spare else x
        y = self.aside(x)
        return super().forward(x + (y if self.uses_aside else y.detach()))


class Normed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Linear(WIDTH, WIDTH), nn.LayerNorm(WIDTH)
        self.second, self.head = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.tanh(self.second(torch.tanh(self.norm(self.first(x))))))


class Narrow(nn.Module):
    """Weights in a narrow storage type, widened for each product, as fp8 training does."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(3))
        self.head = nn.Linear(WIDTH, CLASSES)
        for layer in self.layers:
            layer.weight = nn.Parameter(layer.weight.detach().to(dtype))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = torch.relu(F.linear(x, layer.weight.float()))
        return self.head(x)


def gpt2() -> Made:
    config = transformers.GPT2Config(
        vocab_size=WORDS, n_embd=WIDTH, n_layer=3, n_head=4, n_positions=PLACES, bos_token_id=0, eos_token_id=0
    )
    return Logits(transformers.GPT2LMHeadModel(config).eval()), words()


def llama() -> Made:
    config = transformers.LlamaConfig(
        vocab_size=WORDS,
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    return Logits(transformers.LlamaForCausalLM(config).eval()), words()


class Logits(nn.Module):
    """A language model by its logits alone."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, text: torch.Tensor) -> torch.Tensor:
        return self.model(input_ids=text).logits
