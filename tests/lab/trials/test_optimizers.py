"""SGD and Adam over stacked copies against torch.optim, and training together against training alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import wellbegun as wb
from wellbegun.lab.network import PlainMLP
from wellbegun.lab.task import Split, Task
from wellbegun.lab.trials.alone import train_alone
from wellbegun.lab.trials.optimizers import SideBySide, torch_optimizer
from wellbegun.lab.trials.together import train_together

RATES = [0.003, 0.01, 0.03]
FACTORS = [{}, {"output.weight": 0.5}, {"hidden.0.bias": 2.0, "hidden.1.weight": 0.25}]


def network() -> PlainMLP:
    return PlainMLP(6, 3, depth=2, width=8, activation="tanh")


def states() -> list[dict[str, torch.Tensor]]:
    found = []
    for seed in range(len(RATES)):
        model = network()
        wb.initialize(model, "vector:6", seed=seed)
        found.append({name: parameter.detach().clone() for name, parameter in model.named_parameters()})
    return found


def toy() -> Task:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(300, 6)).astype(np.float32)
    y = (x @ generator.normal(size=(6, 3))).argmax(1).astype(np.int64)
    parts = [Split(x[i : i + 100], y[i : i + 100]) for i in (0, 100, 200)]
    return Task("toy", "drawn in a test", "drawn here", "none", "classes", 3, *parts)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_steps_are_those_of_torch(optimizer) -> None:
    """The same gradients go to both; some are zero and some tiny, where Adam's epsilon counts."""
    generator, start = torch.Generator().manual_seed(3), states()
    stacked = {name: torch.stack([state[name] for state in start]) for name in start[0]}
    ours = SideBySide(optimizer, stacked, RATES, FACTORS)
    models = [network() for _ in RATES]
    for model, state in zip(models, start, strict=True):
        model.load_state_dict(state)
    theirs = [torch_optimizer(optimizer, *one) for one in zip(models, RATES, FACTORS, strict=True)]
    for step in range(30):
        scale = (1.0, 1e-8, 0.0)[step % 3]
        gradients = {name: scale * torch.randn(value.shape, generator=generator) for name, value in stacked.items()}
        ours.step(gradients)
        for place, (model, descent) in enumerate(zip(models, theirs, strict=True)):
            for name, parameter in model.named_parameters():
                parameter.grad = gradients[name][place].clone()
            descent.step()
    for place, model in enumerate(models):
        for name, parameter in model.named_parameters():
            torch.testing.assert_close(stacked[name][place], parameter.detach(), rtol=1e-5, atol=1e-6)
            assert not torch.allclose(start[place][name], parameter.detach(), atol=1e-4)  # they did move


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_training_together_is_training_alone(optimizer) -> None:
    task, start = toy(), states()
    same = {"seed": 4, "steps": 60, "batch": 16, "every": 10, "optimizer": optimizer}
    together = train_together(network(), start, RATES, task, factors=FACTORS, **same)
    for state, rate, factors, curve in zip(start, RATES, FACTORS, together, strict=True):
        model = network()
        model.load_state_dict(state)
        alone = train_alone(model, rate, task, factors=factors, **same)
        assert curve.steps == alone.steps
        np.testing.assert_allclose(curve.train_loss, alone.train_loss, rtol=1e-4)
        np.testing.assert_allclose(curve.validation, alone.validation, atol=0.011)  # one of 100 examples on the edge
        assert alone.train_loss[-1] < 0.9 * alone.train_loss[0]
