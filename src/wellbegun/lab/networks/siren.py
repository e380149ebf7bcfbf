"""Sine networks for fields: Sitzmann, Martel, Bergman, Lindell and Wetzstein 2020."""

from __future__ import annotations

from itertools import pairwise

import torch

from wellbegun.errors import ArgumentError
from wellbegun.lab.task import Task


class Siren(torch.nn.Module):
    """Linear layers with sin(omega · x) behind each but the last.

    Args:
        task: a field.
        depth: hidden layers.
        width: units of each.
        activation: "sine", which is what makes it one.
        omega: frequency factor of every hidden layer, 30 in the paper.
    """

    def __init__(self, task: Task, *, depth: int, width: int, activation: str, omega: float = 30.0) -> None:
        super().__init__()
        if activation != "sine":
            raise ArgumentError(f"the activation of a siren is 'sine', got {activation!r}; for others use 'mlp'")
        if not omega > 0:
            raise ArgumentError(f"omega must be above 0, got {omega}")
        sizes = [task.inputs] + [width] * depth
        self.hidden = torch.nn.ModuleList(torch.nn.Linear(before, after) for before, after in pairwise(sizes))
        self.output = torch.nn.Linear(width, task.outputs)
        self.omega = omega

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the field's values, one row for each point."""
        for layer in self.hidden:
            x = torch.sin(self.omega * layer(x))
        values: torch.Tensor = self.output(x)
        return values
