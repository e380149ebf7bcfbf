"""Training one network after another by a plain loop, as a person would write it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch

from wellbegun.errors import ArgumentError
from wellbegun.lab.ensemble import MOMENTUM, VANISHED, batches
from wellbegun.lab.measure import measure_of
from wellbegun.lab.task import Split, Task

LOOK = 10
"""Steps between two looks at whether there is still a gradient."""


@dataclass
class Fit:
    """What one training came to.

    Attributes:
        score: on the test part, by the task's measure.
        losses: of each step's batch.
        stopped: why it was given up early; empty if it was not.
    """

    score: float
    losses: list[float] = field(default_factory=list)
    stopped: str = ""


def fit(
    model: torch.nn.Module,
    task: Task,
    *,
    rate: float,
    steps: int,
    batch: int,
    seed: int,
    optimizer: Literal["sgd", "adam"] = "sgd",
    clip: float | None = None,
    groups: Iterable[dict[str, Any]] | None = None,
    on_step: Callable[[int], None] = lambda _: None,
) -> Fit:
    """Train a model and score it.

    A training is given up when the loss is no longer a number, or when the gradient of the first parameter is below
    1e-30: nothing is learnt from it any more, and numbers this small slow a processor down 20 to 200 times.

    Args:
        model: with its starting weights.
        task: the data.
        rate: learning rate, constant.
        steps, batch: number of steps and rows in each.
        seed: of the order of the rows.
        optimizer: SGD with momentum 0.9, or Adam with its usual numbers.
        clip: longest gradient allowed; None for no limit.
        groups: parameters with learning rates of their own, as torch.optim takes them.
        on_step: told the number of steps just finished.
    """
    if optimizer not in ("sgd", "adam"):
        raise ArgumentError(f"optimizer must be 'sgd' or 'adam', got {optimizer!r}")
    measure, first = measure_of(task.kind), next(model.parameters())
    trained = list(groups) if groups is not None else list(model.parameters())
    descent: torch.optim.Optimizer = (
        torch.optim.SGD(trained, lr=rate, momentum=MOMENTUM) if optimizer == "sgd" else torch.optim.Adam(trained, lr=rate)
    )
    inputs, targets = torch.from_numpy(task.train.inputs), torch.from_numpy(task.train.targets)
    found = Fit(float("nan"))
    for step, chosen in enumerate(batches(len(inputs), batch, steps, seed)):
        loss = measure.loss(model(inputs[chosen]), targets[chosen])
        found.losses.append(float(loss.detach()))
        if not np.isfinite(found.losses[-1]):
            found.stopped = f"diverged at step {step}"
            break
        descent.zero_grad()
        loss.backward()
        if step and step % LOOK == 0 and first.grad is not None and float(first.grad.double().norm()) < VANISHED:
            found.stopped = f"no gradient at step {step}"
            break
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        descent.step()
        on_step(1)
    found.score = score(model, task, task.test)
    return found


def score(model: torch.nn.Module, task: Task, split: Split, rows: int = 500) -> float:
    """Return a model's score on a part of a task, a few rows at a time."""
    measure = measure_of(task.kind)
    with torch.no_grad():
        parts = [
            measure.items(
                model(torch.from_numpy(split.inputs[at : at + rows])), torch.from_numpy(split.targets[at : at + rows])
            )
            for at in range(0, len(split), rows)
        ]
    return measure.total(torch.cat(parts).double().numpy())
