"""Small transformers: blocks of attention and a two-layer network, for patches of images and for characters."""

from __future__ import annotations

import torch

from wellbegun.errors import ArgumentError
from wellbegun.lab.network import ACTIVATIONS
from wellbegun.lab.task import Task


class _Attention(torch.nn.Module):
    def __init__(self, width: int, heads: int, *, causal: bool) -> None:
        super().__init__()
        if heads < 1 or width % heads:
            raise ArgumentError(f"the width must be a multiple of the number of heads, got {width} and {heads}")
        self.packed, self.output = torch.nn.Linear(width, 3 * width), torch.nn.Linear(width, width)
        self.heads, self.causal = heads, causal

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        shape = (batch, length, self.heads, width // self.heads)
        query, key, value = (part.reshape(shape).transpose(1, 2) for part in self.packed(x).chunk(3, -1))
        mixed = torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        result: torch.Tensor = self.output(mixed.transpose(1, 2).reshape(batch, length, width))
        return result


class _Block(torch.nn.Module):
    """Norms in front of both branches (pre-norm)."""

    def __init__(self, width: int, heads: int, activation: str, *, causal: bool) -> None:
        super().__init__()
        self.attention_norm, self.network_norm = torch.nn.LayerNorm(width), torch.nn.LayerNorm(width)
        self.attention = _Attention(width, heads, causal=causal)
        self.wide, self.narrow = torch.nn.Linear(width, 4 * width), torch.nn.Linear(4 * width, width)
        self.activation = ACTIVATIONS[activation]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.attention_norm(x))
        summed: torch.Tensor = x + self.narrow(self.activation(self.wide(self.network_norm(x))))
        return summed


class VisionTransformer(torch.nn.Module):
    """An image as a row of patches, each with a learnt place; the mean of all patches decides.

    Args:
        task: classes of images.
        depth: blocks.
        width: features of a patch.
        activation: a key of ACTIVATIONS.
        heads: of the attention; the width is a multiple of it.
        patch: side of a patch; 0 takes the largest of 8, 7, 4, 3 and 2 that divides both sides and leaves at least 16
            patches.
    """

    def __init__(self, task: Task, *, depth: int, width: int, activation: str, heads: int = 4, patch: int = 0) -> None:
        super().__init__()
        channels, *size = task.shape
        side = patch or _patch(size)
        if side < 1 or any(length % side for length in size):
            raise ArgumentError(f"images of {size[0]}×{size[1]} are not made of patches of {side}×{side}")
        self.patches = torch.nn.Conv2d(channels, width, side, stride=side)
        self.place = torch.nn.Embedding(size[0] * size[1] // side**2, width)
        self.blocks = torch.nn.ModuleList(_Block(width, heads, activation, causal=False) for _ in range(depth))
        self.norm, self.output = torch.nn.LayerNorm(width), torch.nn.Linear(width, task.outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return one row of logits for each image."""
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = x + self.place(torch.arange(x.shape[1], device=x.device))
        for block in self.blocks:
            x = block(x)
        logits: torch.Tensor = self.output(self.norm(x).mean(1))
        return logits


class CharacterGPT(torch.nn.Module):
    """Characters with a learnt place, blocks that look back only, and a head of its own.

    Args:
        task: next tokens.
        depth: blocks.
        width: features of a character.
        activation: a key of ACTIVATIONS.
        heads: of the attention; the width is a multiple of it.
    """

    def __init__(self, task: Task, *, depth: int, width: int, activation: str, heads: int = 4) -> None:
        super().__init__()
        self.characters, self.place = torch.nn.Embedding(task.outputs, width), torch.nn.Embedding(task.inputs, width)
        self.blocks = torch.nn.ModuleList(_Block(width, heads, activation, causal=True) for _ in range(depth))
        self.norm, self.output = torch.nn.LayerNorm(width), torch.nn.Linear(width, task.outputs, bias=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return one row of logits for each place of each row."""
        x = self.characters(tokens) + self.place(torch.arange(tokens.shape[1], device=tokens.device))
        for block in self.blocks:
            x = block(x)
        logits: torch.Tensor = self.output(self.norm(x))
        return logits


def _patch(size: list[int]) -> int:
    """The largest usual patch that leaves at least 16 of them; 1 if there is none."""
    fitting = (side for side in (8, 7, 4, 3, 2) if not any(length % side for length in size))
    return next((side for side in fitting if size[0] * size[1] >= 16 * side**2), 1)
