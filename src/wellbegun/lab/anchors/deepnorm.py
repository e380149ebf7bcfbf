"""DeepNorm: a deep post-norm transformer that needs no warm-up, on characters."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

import wellbegun as wb
from wellbegun.lab.anchors.anchor import Anchor, Asked, Table
from wellbegun.lab.anchors.gate import Gate
from wellbegun.lab.anchors.training import fit
from wellbegun.lab.measured_page import COLOURS, Results
from wellbegun.lab.task import Split, Task
from wellbegun.lab.tasks import load_task
from wellbegun.plans import Plan

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, HEADS, BATCH, STEPS = 32, 4, 8, 300
DEPTHS, RATE, SCORED = (6, 48), 2e-3, 200
SMOOTHED = 20
"""Steps that a point of the drawn curves is the mean of."""


class _Block(torch.nn.Module):
    """Attention and feed-forward, a normalisation behind each sum, alpha on the shortcut."""

    def __init__(self, alpha: float) -> None:
        super().__init__()
        self.query, self.key, self.value, self.mix = (torch.nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.wide, self.narrow = torch.nn.Linear(WIDTH, 4 * WIDTH), torch.nn.Linear(4 * WIDTH, WIDTH)
        self.attended, self.fed = torch.nn.LayerNorm(WIDTH), torch.nn.LayerNorm(WIDTH)
        self.alpha = alpha

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        query, key, value = (
            layer(x).view(batch, length, HEADS, -1).transpose(1, 2) for layer in (self.query, self.key, self.value)
        )
        mixed = torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = self.attended(self.alpha * x + self.mix(mixed.transpose(1, 2).reshape(batch, length, width)))
        behind: torch.Tensor = self.fed(self.alpha * x + self.narrow(torch.relu(self.wide(x))))
        return behind


class PostNormGPT(torch.nn.Module):
    """Characters with a learnt place, post-norm blocks that look back only, and a head of its own."""

    def __init__(self, task: Task, depth: int, alpha: float) -> None:
        super().__init__()
        self.characters, self.place = torch.nn.Embedding(task.outputs, WIDTH), torch.nn.Embedding(task.inputs, WIDTH)
        self.blocks = torch.nn.ModuleList(_Block(alpha) for _ in range(depth))
        self.output = torch.nn.Linear(WIDTH, task.outputs, bias=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return one row of logits for each place of each row."""
        x = self.characters(tokens) + self.place(torch.arange(tokens.shape[1], device=tokens.device))
        for block in self.blocks:
            x = block(x)
        logits: torch.Tensor = self.output(x)
        return logits


PLAIN, DEEP, HALF = "post-norm, Xavier's weights", "DeepNorm", "DeepNorm's weights, alpha 1"
ARMS = (PLAIN, DEEP, HALF)
_BRANCHES = r"re:blocks\.\d+\.(query|key|value|mix|wide|narrow)\.weight"


def build(arm: str, task: Task, depth: int) -> PostNormGPT:
    """Return the network of an arm."""
    return PostNormGPT(task, depth, (2 * depth) ** 0.25 if arm == DEEP else 1.0)


def planned(arm: str, task: Task, depth: int) -> Plan:
    """Return the starting weights of an arm: outside of the blocks the same for all."""
    rows = torch.from_numpy(task.train.inputs[:BATCH])
    if arm == PLAIN:
        return wb.plan(build(arm, task, depth), rows, seed=0, recipe="auto", rules={_BRANCHES: wb.XavierNormal()})
    plan = wb.plan(build(DEEP, task, depth), rows, seed=0, recipe="deepnorm")
    return replace(plan, multipliers=()) if arm == HALF else plan  # alpha is left out on purpose
