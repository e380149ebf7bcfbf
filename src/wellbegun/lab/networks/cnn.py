"""Plain convolutions: no norms, no shortcuts."""

from __future__ import annotations

from typing import Literal

import torch

from wellbegun.errors import ArgumentError
from wellbegun.lab.network import ACTIVATIONS
from wellbegun.lab.task import Task


class PlainCNN(torch.nn.Module):
    """Convolutions of 3×3 with one activation between them; then one number a pixel, or the mean and a linear layer.

    Args:
        task: classes or masks of images.
        depth: convolutions.
        width: channels of each.
        activation: a key of ACTIVATIONS.
        strides: how many of the first convolutions halve the picture; none for masks.
        padding: "zeros", or "circular", which leaves a delta-orthogonal network an isometry up to the edge.
    """

    def __init__(
        self,
        task: Task,
        *,
        depth: int,
        width: int,
        activation: str,
        strides: int = 0,
        padding: Literal["zeros", "circular"] = "zeros",
    ) -> None:
        super().__init__()
        if padding not in ("zeros", "circular"):
            raise ArgumentError(f"padding is 'zeros' or 'circular', got {padding!r}")
        if not 0 <= strides <= depth or (strides and task.kind == "mask"):
            raise ArgumentError(f"strides must be from 0 to the depth, and 0 for a mask; got {strides}")
        channels = [task.shape[0]] + [width] * depth
        self.hidden = torch.nn.ModuleList(
            torch.nn.Conv2d(
                channels[i], channels[i + 1], 3, stride=2 if i < strides else 1, padding=1, padding_mode=padding
            )
            for i in range(depth)
        )
        mask = task.kind == "mask"
        self.output = torch.nn.Conv2d(width, task.outputs, 1) if mask else torch.nn.Linear(width, task.outputs)
        self.activation, self.mask = ACTIVATIONS[activation], mask

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits: one row for each image, or one number for each pixel."""
        for layer in self.hidden:
            x = self.activation(layer(x))
        logits: torch.Tensor = self.output(x if self.mask else x.mean((2, 3)))
        return logits
