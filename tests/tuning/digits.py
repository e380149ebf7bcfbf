"""Real handwritten digits for methods that look at data, and a short training on them."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from wellbegun.lab.tasks import load_task

TASK = load_task("digits")
ROWS, LABELS = torch.from_numpy(TASK.train.inputs), torch.from_numpy(TASK.train.targets)


def plain(depth: int = 6, width: int = 48, activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """A plain network of so many hidden layers."""
    parts: list[nn.Module] = [nn.Linear(64, width), activation()]
    for _ in range(depth - 1):
        parts += [nn.Linear(width, width), activation()]
    return nn.Sequential(*parts, nn.Linear(width, 10))


def accuracy(model: nn.Module, split: str = "test") -> float:
    """Share of the digits that are read right."""
    part = getattr(TASK, split)
    with torch.no_grad():
        guessed = model(torch.from_numpy(part.inputs)).argmax(1)
    return float((guessed == torch.from_numpy(part.targets)).float().mean())


def trained(model: nn.Module, steps: int = 40, rate: float = 0.05) -> float:
    """Accuracy after a few steps of SGD with momentum."""
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    for step in range(steps):
        chosen = torch.arange(step * 100, step * 100 + 100) % len(ROWS)
        optimizer.zero_grad()
        F.cross_entropy(model(ROWS[chosen]), LABELS[chosen]).backward()
        optimizer.step()
    return accuracy(model)
