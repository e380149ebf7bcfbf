"""Training one network after another by a plain loop, as a person would write it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

import wellbegun as wb
from wellbegun.lab.measure import measure_of
from wellbegun.lab.task import Split, Task
from wellbegun.lab.trials.curve import VANISHES
from wellbegun.lab.trials.optimizers import torch_optimizer
from wellbegun.lab.trials.order import batches

LOOK = 10
"""Steps between two looks at whether there is still a gradient."""

SAMPLE = 1024
"""Training examples that a plan may look at: the first layer is scaled by them."""


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


def start(model: torch.nn.Module, task: Task, recipe: str, seed: int) -> torch.nn.Module:
    """Give a network the weights that a recipe plans for it and the task's inputs, and return it."""
    wb.apply(wb.plan(model, torch.from_numpy(task.train.inputs[:SAMPLE]), seed=seed, recipe=recipe), model)
    return model


def fit(
    model: torch.nn.Module,
    task: Task,
    *,
    rate: float,
    steps: int,
    batch: int,
    seed: int,
    optimizer: str = "sgd",
    clip: float | None = None,
    factors: Mapping[str, float] | None = None,
    device: str = "cpu",
    on_step: Callable[[int], None] = lambda _: None,
) -> Fit:
    """Train a model and score it.

    A training is given up when the loss is no longer a number, or when the gradient of the first weight is below 1e-30:
    nothing is learnt from it any more, and numbers this small slow a processor down 20 to 200 times.

    Args:
        model: with its starting weights.
        task: the data.
        rate: learning rate, constant.
        steps, batch: number of steps and rows in each.
        seed: of the order of the rows.
        optimizer: "sgd" (momentum 0.9) or "adam" with its usual numbers.
        clip: longest gradient allowed; None for no limit.
        factors: of the learning rate, by the parameter's name; 1 where it is not named.
        device: where it is trained; the model is moved there.
        on_step: told the number of steps just finished; all of them are told, even if the training is given up.
    """
    measure, first = measure_of(task.kind), next(model.to(device).parameters())
    descent = torch_optimizer(optimizer, model, rate, factors or {})
    inputs, targets = (torch.from_numpy(part).to(device) for part in (task.train.inputs, task.train.targets))
    found = Fit(float("nan"))
    for step, chosen in enumerate(batches(len(inputs), batch, steps, seed)):
        rows = chosen.to(device)
        loss = measure.loss(model(inputs[rows]), targets[rows])
        found.losses.append(float(loss.detach()))
        if not np.isfinite(found.losses[-1]):
            found.stopped = f"diverged at step {step}"
        else:
            descent.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            if step % LOOK == 0 and _is_lost(first, step):
                found.stopped = f"no gradient at step {step}"
        if found.stopped:
            on_step(steps - step)
            break
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        descent.step()
        on_step(1)
    found.score = score(model, task, task.test, device)
    return found


def _is_lost(parameter: torch.nn.Parameter, step: int) -> bool:
    """Whether a gradient has vanished; exactly 0 at the first step is what a head hands back that starts at 0."""
    if parameter.grad is None:
        return False
    size = float(parameter.grad.double().norm())
    return size < VANISHES and (step > 0 or size > 0)


def score(model: torch.nn.Module, task: Task, split: Split, device: str = "cpu", rows: int = 500) -> float:
    """Return a model's score on a part of a task, a few rows at a time."""
    measure = measure_of(task.kind)
    with torch.no_grad():
        parts = [
            measure.items(model(inputs.to(device)), targets.to(device)).double().cpu()
            for inputs, targets in _pieces(split, rows)
        ]
    return measure.total(torch.cat(parts).numpy())


def _pieces(split: Split, rows: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    for at in range(0, len(split), rows):
        inputs, targets = split.inputs[at : at + rows], split.targets[at : at + rows]
        yield torch.from_numpy(inputs), torch.from_numpy(targets)
