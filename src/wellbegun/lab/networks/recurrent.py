"""LSTMs: over characters, and over an image row by row."""

from __future__ import annotations

import torch

from wellbegun.errors import ArgumentError
from wellbegun.lab.task import Task


class LSTM(torch.nn.Module):
    """Recurrent layers over characters, or over the rows of an image, the last of which decides.

    Args:
        task: next tokens, or classes of images.
        depth: layers.
        width: units of each.
        activation: "tanh", which is the LSTM's own.
    """

    def __init__(self, task: Task, *, depth: int, width: int, activation: str) -> None:
        super().__init__()
        if activation != "tanh":
            raise ArgumentError(f"an LSTM has its own activations; write 'tanh', got {activation!r}")
        self.characters = torch.nn.Embedding(task.outputs, width) if task.kind == "tokens" else None
        inputs = width if task.kind == "tokens" else task.shape[0] * task.shape[2]
        self.layers = torch.nn.LSTM(inputs, width, depth, batch_first=True)
        self.output = torch.nn.Linear(width, task.outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits: one row for each place of a text, or for each image."""
        rows = x.transpose(1, 2).flatten(2) if self.characters is None else self.characters(x)
        states, _ = self.layers(rows)
        logits: torch.Tensor = self.output(states[:, -1] if self.characters is None else states)
        return logits
