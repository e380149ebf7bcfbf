"""Training many copies of one network side by side: one batched step instead of many small ones, same data for all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from wellbegun.lab.task import Split, Task

VANISHED = 1e-30
"""Norm of the first weight's gradient below which an arm is stopped: nothing can be learnt from it any more, and
numbers this small (denormal further on) slow a CPU down 20 to 200 times."""

MOMENTUM = 0.9

State = dict[str, torch.Tensor]


@dataclass
class Curve:
    """What one copy has shown so far; `right` are the test images that it gets right at its end."""

    steps: list[int] = field(default_factory=list)
    train_loss: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    right: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    stopped: str = ""


def train_together(
    model: torch.nn.Module,
    states: Sequence[State],
    rates: Sequence[float],
    task: Task,
    *,
    seed: int,
    steps: int,
    batch: int,
    every: int,
    factors: Mapping[str, float] | None = None,
    on_step: Callable[[int], None] = lambda _: None,
) -> list[Curve]:
    """Train copies of a model by SGD with momentum, all on the same batches in the same order.

    Args:
        model: the architecture; its own weights are not used.
        states: starting weights of each copy.
        rates: learning rate of each copy.
        task: the data.
        seed: of the order of the training rows.
        steps, batch: number of steps and rows in each.
        every: steps between two evaluations.
        factors: of the learning rate, by the parameter's name; 1 where it is not named.
        on_step: told the number of steps just finished.
    """
    curves = [Curve() for _ in states]
    alive = list(range(len(states)))
    names = list(states[0])
    weights = {name: torch.stack([state[name] for state in states]) for name in names}
    momenta = {name: torch.zeros_like(value) for name, value in weights.items()}
    rate = torch.tensor(rates, dtype=torch.float32)
    rows, labels = torch.from_numpy(task.train.inputs), torch.from_numpy(task.train.targets)

    def loss_of(one: State, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(torch.func.functional_call(model, one, (x,)), y)

    step_all = torch.func.vmap(torch.func.grad_and_value(loss_of), in_dims=(0, None, None))
    for step, index in enumerate(batches(len(rows), batch, steps, seed)):
        gradients, losses = step_all(weights, rows[index], labels[index])
        if step % every == 0:
            _note(curves, alive, step, losses, _accuracy(model, weights, task.validation))
            keep = _sound(curves, alive, losses, gradients[names[0]], step)
            if not all(keep):
                _finish(
                    curves, [i for i, kept in zip(alive, keep, strict=True) if not kept], alive, model, weights, task
                )
                alive = [i for i, kept in zip(alive, keep, strict=True) if kept]
                chosen = torch.tensor(keep)
                weights, momenta, gradients = (
                    {k: v[chosen] for k, v in d.items()} for d in (weights, momenta, gradients)
                )
                rate = rate[chosen]
                if not alive:
                    on_step(steps - step)
                    break
        _descend(weights, momenta, gradients, rate, factors or {})
        on_step(1)
    if alive:
        with torch.no_grad():
            losses = torch.func.vmap(loss_of, in_dims=(0, None, None))(weights, rows, labels)
        _note(curves, alive, steps, losses, _accuracy(model, weights, task.validation))
        _finish(curves, alive, alive, model, weights, task)
        for position, i in enumerate(alive):
            if not torch.isfinite(losses[position]):
                curves[i].stopped = f"diverged by step {steps}: the loss is infinite or not a number"
    return curves


def batches(rows: int, batch: int, steps: int, seed: int) -> Iterator[torch.Tensor]:
    """Yield the row numbers of each step: epochs shuffled by the seed alone."""
    generator = np.random.default_rng(seed)
    waiting: list[int] = []
    for _ in range(steps):
        if len(waiting) < batch:
            waiting += generator.permutation(rows).tolist()
        yield torch.tensor(waiting[:batch])
        waiting = waiting[batch:]


def _descend(
    weights: State, momenta: State, gradients: State, rate: torch.Tensor, factors: Mapping[str, float]
) -> None:
    for name, value in weights.items():
        momenta[name].mul_(MOMENTUM).add_(gradients[name])
        value.sub_(momenta[name] * (rate * factors.get(name, 1.0)).view(-1, *[1] * (value.ndim - 1)))


def _note(curves: list[Curve], alive: list[int], step: int, losses: torch.Tensor, accuracy: list[float]) -> None:
    for position, i in enumerate(alive):
        curves[i].steps.append(step)
        curves[i].train_loss.append(float(losses[position]))
        curves[i].validation.append(accuracy[position])


def _sound(
    curves: list[Curve], alive: list[int], losses: torch.Tensor, gradient: torch.Tensor, step: int
) -> list[bool]:
    """Say which copies are worth another step, and why the others are not."""
    norms = torch.linalg.vector_norm(gradient.flatten(1), dim=1, dtype=torch.float64)
    keep = []
    for position, i in enumerate(alive):
        if not torch.isfinite(losses[position]) or not torch.isfinite(norms[position]):
            curves[i].stopped = f"stopped at step {step}: the loss or a gradient is infinite or not a number"
        elif step > 0 and norms[position] < VANISHED:
            curves[i].stopped = f"stopped at step {step}: the gradient of the first layer is below {VANISHED:g}"
        keep.append(not curves[i].stopped)
    return keep


def _finish(
    curves: list[Curve], ending: list[int], alive: list[int], model: torch.nn.Module, weights: State, task: Task
) -> None:
    right = _right(model, weights, task.test).numpy()
    for position, i in enumerate(alive):
        if i in ending:
            curves[i].right = right[position]


def _accuracy(model: torch.nn.Module, weights: State, split: Split) -> list[float]:
    return [float(share) for share in _right(model, weights, split).double().mean(1)]


def _right(model: torch.nn.Module, weights: State, split: Split) -> torch.Tensor:
    """Which rows each copy classifies rightly; an infinite or undefined output predicts nothing."""
    rows, labels = torch.from_numpy(split.inputs), torch.from_numpy(split.targets)
    with torch.no_grad():
        call = torch.func.vmap(lambda one: torch.func.functional_call(model, one, (rows,)))
        logits = call(weights)
    right: torch.Tensor = (logits.argmax(-1) == labels) & torch.isfinite(logits).all(-1)
    return right
