"""The networks that the lab trains."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch

from wellbegun.errors import ArgumentError, UnknownNameError

ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "gelu": torch.nn.functional.gelu,
    "silu": torch.nn.functional.silu,
    "elu": torch.nn.functional.elu,
    "selu": torch.selu,
    "mish": torch.nn.functional.mish,
    "softplus": torch.nn.functional.softplus,
    "leaky_relu": torch.nn.functional.leaky_relu,
    "sine": torch.sin,
}


class PlainMLP(torch.nn.Module):
    """Linear layers with one activation between them, no normalisation and no shortcuts.

    Args:
        inputs: numbers in one input.
        classes: outputs.
        depth: hidden layers.
        width: units of a hidden layer.
        activation: a key of ACTIVATIONS.
    """

    def __init__(self, inputs: int, classes: int, *, depth: int, width: int, activation: str) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise UnknownNameError("activation of the lab's networks", activation, ACTIVATIONS)
        if depth < 1 or width < 1:
            raise ArgumentError(f"depth and width must be at least 1, got depth={depth}, width={width}")
        sizes = [inputs] + [width] * depth
        self.hidden = torch.nn.ModuleList(torch.nn.Linear(before, after) for before, after in pairwise(sizes))
        self.output = torch.nn.Linear(width, classes)
        self.activation = ACTIVATIONS[activation]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return one row of logits for each row of inputs."""
        x = x.flatten(1)  # an image is read as a vector
        for layer in self.hidden:
            x = self.activation(layer(x))
        logits: torch.Tensor = self.output(x)
        return logits
