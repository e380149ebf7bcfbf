"""Blocks with shortcuts, for vectors and for images, with a norm in each branch or with none at all."""

from __future__ import annotations

import torch

from wellbegun.lab.network import ACTIVATIONS
from wellbegun.lab.task import Task


class _Block(torch.nn.Module):
    """x + second(activation(first(norm(x)))): two products in a branch, a norm in front of them if asked for."""

    def __init__(self, width: int, activation: str, *, image: bool, norm: bool) -> None:
        super().__init__()
        self.norm = _norm(width, image) if norm else None
        self.first, self.second = (_product(width, width, image) for _ in range(2))
        self.activation = ACTIVATIONS[activation]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        branch = x if self.norm is None else self.norm(x)
        summed: torch.Tensor = x + self.second(self.activation(self.first(branch)))
        return summed


class Residual(torch.nn.Module):
    """A first product, blocks with shortcuts, a last norm if the blocks have norms, and the output.

    Args:
        task: classes of vectors or images, masks of images, or a field.
        depth: blocks, of two products each.
        width: features or channels.
        activation: a key of ACTIVATIONS.
        norm: LayerNorm for vectors, GroupNorm of one group for images; neither keeps statistics of a batch.
    """

    def __init__(self, task: Task, *, depth: int, width: int, activation: str, norm: bool) -> None:
        super().__init__()
        image, mask = len(task.shape) == 3, task.kind == "mask"
        self.input = _product(task.shape[0], width, image)
        self.blocks = torch.nn.ModuleList(_Block(width, activation, image=image, norm=norm) for _ in range(depth))
        self.norm = _norm(width, image) if norm else None
        self.output = torch.nn.Conv2d(width, task.outputs, 1) if mask else torch.nn.Linear(width, task.outputs)
        self.activation, self.pooled = ACTIVATIONS[activation], image and not mask

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits or values: one row for each input, or one number for each pixel."""
        x = self.input(x)
        for block in self.blocks:
            x = block(x)
        x = self.activation(x if self.norm is None else self.norm(x))
        values: torch.Tensor = self.output(x.mean((2, 3)) if self.pooled else x)
        return values


def _product(before: int, after: int, image: bool) -> torch.nn.Module:
    return torch.nn.Conv2d(before, after, 3, padding=1) if image else torch.nn.Linear(before, after)


def _norm(width: int, image: bool) -> torch.nn.Module:
    return torch.nn.GroupNorm(1, width) if image else torch.nn.LayerNorm(width)
