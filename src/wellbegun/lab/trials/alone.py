"""Training one network by itself, as a user would write it: PyTorch's own optimizer and a loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from wellbegun.lab.measure import measure_of
from wellbegun.lab.task import Task
from wellbegun.lab.trials.curve import Curve
from wellbegun.lab.trials.evaluation import GLIMPSE, evaluating, items, losses, scores
from wellbegun.lab.trials.optimizers import torch_optimizer
from wellbegun.lab.trials.order import batches


def train_alone(
    model: torch.nn.Module,
    rate: float,
    task: Task,
    *,
    seed: int,
    steps: int,
    batch: int,
    every: int,
    optimizer: str = "sgd",
    factors: Mapping[str, float] | None = None,
    on_step: Callable[[int], None] = lambda _: None,
) -> Curve:
    """Train one network from the weights that it has; afterwards it has the trained ones.

    Args:
        model: the network.
        rate: learning rate.
        task: the data.
        seed: of the order of the training examples.
        steps, batch: number of steps and examples in each.
        every: steps between two evaluations.
        optimizer: "sgd" or "adam".
        factors: of the learning rate, by the parameter's name; 1 where it is not named.
        on_step: told the number of steps just finished.
    """
    measure, curve = measure_of(task.kind), Curve()
    descent = torch_optimizer(optimizer, model, rate, factors or {})
    parameters = list(model.parameters())
    first = next((parameter for parameter in parameters if parameter.ndim > 1), parameters[0])
    inputs, targets = torch.from_numpy(task.train.inputs), torch.from_numpy(task.train.targets)

    def forward(x: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = model(x)
        return outputs[None]

    def validation(most: int | None) -> float:
        with evaluating(model):
            return scores(items(forward, task.validation, measure, most), measure)[0]

    for step, index in enumerate(batches(len(inputs), batch, steps, seed)):
        descent.zero_grad()
        loss = measure.loss(model(inputs[index]), targets[index])
        loss.backward()  # type: ignore[no-untyped-call]
        if step % every == 0:
            norm = 0.0 if first.grad is None else float(torch.linalg.vector_norm(first.grad, dtype=torch.float64))
            curve.note(step, float(loss.detach()), validation(GLIMPSE))
            if not curve.goes_on(step, float(loss.detach()), norm):
                on_step(steps - step)
                break
        descent.step()
        on_step(1)
    else:
        with evaluating(model):
            loss_at_end = losses(forward, task.train, measure)[0]
        curve.finish(steps, loss_at_end, validation(None))
    with evaluating(model):
        curve.items = items(forward, task.test, measure)[0]
    return curve
