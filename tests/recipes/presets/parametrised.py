"""Networks of any width and depth, with the forward factors of muP, CompleteP and DeepNorm as arguments."""

from __future__ import annotations

import torch
from torch import nn

HEADS = 4
WORDS = 32


class Block(nn.Module):
    """Attention and feed-forward, pre-norm, with the factors of the forward pass given."""

    def __init__(self, width: int, scale: float | None, branch: float) -> None:
        super().__init__()
        self.scale, self.branch = scale, branch
        self.n1, self.n2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def attend(self, x: torch.Tensor) -> torch.Tensor:
        rows, places, width = x.shape
        q, k, v = (part.view(rows, places, HEADS, -1).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, scale=self.scale)
        return self.out(mixed.transpose(1, 2).reshape(rows, places, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.branch * self.attend(self.n1(x))
        return x + self.branch * self.down(nn.functional.gelu(self.up(self.n2(x))))


class Gpt(nn.Module):
    """A small GPT; `scale` of the attention, `branch` of what is written, `logits` of the output."""

    def __init__(
        self,
        width: int = 64,
        layers: int = 2,
        *,
        scale: float | None = None,
        branch: float = 1.0,
        logits: float = 1.0,
        tied: bool = False,
    ) -> None:
        super().__init__()
        self.logits = logits
        self.words = nn.Embedding(WORDS, width)
        self.places = nn.Parameter(torch.zeros(16, width))
        self.blocks = nn.ModuleList(Block(width, scale, branch) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, WORDS, bias=False)
        if tied:
            self.head.weight = self.words.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.words(tokens) + self.places[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)) * self.logits


class PostBlock(nn.Module):
    """Attention and feed-forward, post-norm, with DeepNorm's alpha on the shortcut."""

    def __init__(self, width: int, alpha: float, inside: bool = False) -> None:
        super().__init__()
        self.alpha = alpha
        self.n1, self.n2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.q, self.k, self.v, self.o = (nn.Linear(width, width) for _ in range(4))
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.inner = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(2 * width)]) if inside else None

    def attend(self, x: torch.Tensor) -> torch.Tensor:
        rows, places, width = x.shape
        q, k, v = (layer(x).view(rows, places, HEADS, -1).transpose(1, 2) for layer in (self.q, self.k, self.v))
        mixed = nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(rows, places, width)
        return self.o(mixed if self.inner is None else self.inner[0](mixed))

    def feed(self, x: torch.Tensor) -> torch.Tensor:
        hidden = nn.functional.gelu(self.up(x))
        return self.down(hidden if self.inner is None else self.inner[1](hidden))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.n1(self.alpha * x + self.attend(x))
        return self.n2(self.alpha * x + self.feed(x))


class PostGpt(nn.Module):
    """A post-norm transformer that classifies each token."""

    def __init__(self, width: int = 32, layers: int = 2, alpha: float = 1.0) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, width)
        self.blocks = nn.ModuleList(PostBlock(width, alpha) for _ in range(layers))
        self.head = nn.Linear(width, WORDS)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.words(tokens)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


def tokens(rows: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs and targets."""
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randint(WORDS, (rows, 16), generator=generator) for _ in range(2))  # type: ignore[return-value]
