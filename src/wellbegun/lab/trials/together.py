"""Training many copies of one network side by side: one batched step instead of many small ones, same data for all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch

from wellbegun.lab.measure import measure_of
from wellbegun.lab.task import Task
from wellbegun.lab.trials.curve import Curve
from wellbegun.lab.trials.evaluation import GLIMPSE, evaluating, items, losses, scores
from wellbegun.lab.trials.optimizers import SideBySide
from wellbegun.lab.trials.order import batches

State = dict[str, torch.Tensor]


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
    optimizer: str = "sgd",
    factors: Sequence[Mapping[str, float]] | None = None,
    on_step: Callable[[int], None] = lambda _: None,
) -> list[Curve]:
    """Train copies of a network as one vectorised program (`torch.func.vmap`), all on the same batches.

    Args:
        model: the architecture; its own parameters are not used, its buffers serve all copies.
        states: starting weights of each copy.
        rates: learning rate of each copy.
        task: the data.
        seed: of the order of the training examples.
        steps, batch: number of steps and examples in each.
        every: steps between two evaluations.
        optimizer: "sgd" or "adam".
        factors: for each copy, of the learning rate, by the parameter's name; 1 where it is not named.
        on_step: told the number of steps just finished.
    """
    measure, curves, alive = measure_of(task.kind), [Curve() for _ in states], list(range(len(states)))
    weights = {name: torch.stack([state[name] for state in states]) for name in states[0]}
    first = next((name for name, value in weights.items() if value.ndim > 2), next(iter(weights)))
    descent = SideBySide(optimizer, weights, rates, factors or [{}] * len(states))
    inputs, targets = torch.from_numpy(task.train.inputs), torch.from_numpy(task.train.targets)

    def loss_of(one: State, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return measure.loss(torch.func.functional_call(model, one, (x,)), y)

    def forward(x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = torch.func.vmap(lambda one: torch.func.functional_call(model, one, (x,)))(weights)
        return found

    def finish(ending: list[int]) -> None:
        with evaluating(model):
            found = items(forward, task.test, measure)
        for place, i in enumerate(alive):
            if i in ending:
                curves[i].items = found[place]

    step_all = torch.func.vmap(torch.func.grad_and_value(loss_of), in_dims=(0, None, None))
    for step, index in enumerate(batches(len(inputs), batch, steps, seed)):
        gradients, values = step_all(weights, inputs[index], targets[index])
        if step % every == 0:
            with evaluating(model):
                validation = scores(items(forward, task.validation, measure, GLIMPSE), measure)
            norms = torch.linalg.vector_norm(gradients[first].flatten(1), dim=1, dtype=torch.float64)
            keep = []
            for place, i in enumerate(alive):
                curves[i].note(step, float(values[place]), validation[place])
                keep.append(curves[i].goes_on(step, float(values[place]), float(norms[place])))
            if not all(keep):
                finish([i for i, kept in zip(alive, keep, strict=True) if not kept])
                alive = [i for i, kept in zip(alive, keep, strict=True) if kept]
                chosen = torch.tensor(keep)
                descent.keep(chosen)
                gradients = {name: value[chosen] for name, value in gradients.items()}
                if not alive:
                    on_step(steps - step)
                    return curves
        descent.step(gradients)
        on_step(1)
    with evaluating(model):
        train_loss = losses(forward, task.train, measure)
        validation = scores(items(forward, task.validation, measure), measure)
    for place, i in enumerate(alive):
        curves[i].finish(steps, train_loss[place], validation[place])
    finish(alive)
    return curves
