"""Networks of any depth: plain chains, residual streams, and the classes of transformers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

WIDTH, INPUTS, BATCH, TOKENS, WORDS = 64, 64, 32, 16, 99

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "elu": nn.ELU,
    "mish": nn.Mish,
    "softplus": nn.Softplus,
}


class Branch(nn.Module):
    """norm, up, activation (gated or not), down; how it joins the stream is the block's affair."""

    def __init__(self, norm: Callable[[int], nn.Module], activation: str, gated: bool = False) -> None:
        super().__init__()
        self.norm, self.act, self.gated = norm(WIDTH), ACTIVATIONS[activation](), gated
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        if gated:
            self.gate = nn.Linear(WIDTH, 4 * WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(x)
        inside = self.up(y) * self.act(self.gate(y)) if self.gated else self.act(self.up(y))
        return self.down(inside)


class PreNorm(Branch):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + super().forward(x)


class PostNorm(Branch):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x + self.down(self.act(self.up(x))))


class Parallel(Branch):
    """Two branches that read the same normalised stream."""

    def __init__(self, norm: Callable[[int], nn.Module], activation: str) -> None:
        super().__init__(norm, activation)
        self.other = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(x)
        return x + self.other(y) + self.down(self.act(self.up(y)))


class Mixer(nn.Module):
    """Mixes tokens, then channels."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.tokens = nn.Sequential(nn.Linear(TOKENS, 32), nn.GELU(), nn.Linear(32, TOKENS))
        self.channels = nn.Sequential(nn.Linear(WIDTH, 128), nn.GELU(), nn.Linear(128, WIDTH))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.tokens(self.first(x).transpose(1, 2)).transpose(1, 2)
        return x + self.channels(self.second(x))


class Attention(nn.Module):
    """A pre-norm block of attention and a feed-forward layer, the projections packed."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (part.unflatten(-1, (4, -1)).transpose(1, 2) for part in self.qkv(self.first(x)).chunk(3, -1))
        x = x + self.out(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.second(x))))


class ConvBlock(nn.Module):
    """A residual block of convolutions with batch normalisation, activations in front."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.BatchNorm2d(WIDTH), nn.BatchNorm2d(WIDTH)
        self.a = nn.Conv2d(WIDTH, WIDTH, 3, padding=1, padding_mode="circular", bias=False)
        self.b = nn.Conv2d(WIDTH, WIDTH, 3, padding=1, padding_mode="circular", bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.b(torch.relu(self.second(self.a(torch.relu(self.first(x))))))


def stack(stem: nn.Module, block: Callable[[], nn.Module], depth: int, *end: nn.Module) -> nn.Sequential:
    return nn.Sequential(stem, *(block() for _ in range(depth)), *end)


def plain(activation: str, depth: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Linear(WIDTH, WIDTH), ACTIVATIONS[activation]()]
    return nn.Sequential(*layers, nn.Linear(WIDTH, 10))


def residual(block: Callable[[], nn.Module], depth: int) -> nn.Sequential:
    return stack(nn.Linear(INPUTS, WIDTH), block, depth, nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 10))


def convolutional(depth: int) -> nn.Sequential:
    head = (nn.BatchNorm2d(WIDTH), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(WIDTH, 10))
    return stack(nn.Conv2d(3, WIDTH, 3, padding=1, padding_mode="circular"), ConvBlock, depth, *head)


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.places = nn.Embedding(WORDS, WIDTH), nn.Embedding(TOKENS, WIDTH)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.table(tokens) + self.places(torch.arange(tokens.shape[1], device=tokens.device))


def language(block: Callable[[], nn.Module], depth: int) -> nn.Sequential:
    return stack(Words(), block, depth, nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WORDS))


OWN: dict[str, tuple[Callable[[int], nn.Module], str]] = {
    **{f"plain {name}": (functools.partial(plain, name), "vectors") for name in ACTIVATIONS},
    "pre-norm gelu": (functools.partial(residual, lambda: PreNorm(nn.LayerNorm, "gelu")), "vectors"),
    "pre-norm silu, RMS": (functools.partial(residual, lambda: PreNorm(nn.RMSNorm, "silu")), "vectors"),
    "pre-norm SwiGLU": (functools.partial(residual, lambda: PreNorm(nn.RMSNorm, "silu", True)), "vectors"),
    "pre-norm GEGLU": (functools.partial(residual, lambda: PreNorm(nn.LayerNorm, "gelu", True)), "vectors"),
    "parallel branches": (functools.partial(residual, lambda: Parallel(nn.LayerNorm, "relu")), "vectors"),
    "post-norm relu": (functools.partial(residual, lambda: PostNorm(nn.LayerNorm, "relu")), "vectors"),
    "bare relu": (functools.partial(residual, lambda: PreNorm(nn.Identity, "relu")), "vectors"),
    "bare gelu": (functools.partial(residual, lambda: PreNorm(nn.Identity, "gelu")), "vectors"),
    "convolutions, batch norm": (convolutional, "images"),
    "mixer": (functools.partial(language, Mixer), "tokens"),
    "attention, packed": (functools.partial(language, Attention), "tokens"),
}

TRANSFORMERS = (
    "llama gpt2 mistral qwen2 qwen3 phi gpt_neox gptj opt bloom falcon stablelm olmo olmo2 starcoder2 granite cohere "
    "persimmon bert roberta electra"
).split()


def published(kind: str, depth: int) -> nn.Module:
    """The class of transformers with a head for words, small, without dropout."""
    import transformers

    config = transformers.AutoConfig.for_model(
        kind,
        vocab_size=WORDS,
        hidden_size=WIDTH,
        num_hidden_layers=depth,
        num_attention_heads=4,
        num_key_value_heads=4,
        intermediate_size=4 * WIDTH,
        max_position_embeddings=64,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=None if kind not in ("bert", "roberta", "electra") else 0,
    )
    for name, value in (("embedding_size", WIDTH), ("rotary_dim", 8)):
        if hasattr(config, name):
            setattr(config, name, value)
    group = (
        transformers.AutoModelForMaskedLM
        if kind in ("bert", "roberta", "electra")
        else transformers.AutoModelForCausalLM
    )
    return group.from_config(config)


def data(form: str) -> Any:
    """Random inputs that do not change."""
    made = torch.Generator().manual_seed(0)
    if form == "tokens":
        return torch.randint(3, WORDS, (BATCH, TOKENS), generator=made)
    shape = (BATCH, 3, 8, 8) if form == "images" else (4 * BATCH, INPUTS)
    return torch.randn(shape, generator=made)
