"""Training side by side equals training one by one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import wellbegun as wb
from wellbegun.lab.network import PlainMLP
from wellbegun.lab.task import Split, Task
from wellbegun.lab.trials.order import batches
from wellbegun.lab.trials.together import train_together


def make_task(rows: int = 300) -> Task:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(rows, 6)).astype(np.float32)
    y = (x @ generator.normal(size=(6, 3))).argmax(1).astype(np.int64)
    cut = rows // 3
    parts = [Split(x[i * cut : (i + 1) * cut], y[i * cut : (i + 1) * cut]) for i in range(3)]
    return Task("toy", "drawn in a test", "drawn here", "none", "classes", 3, *parts)


def make_state(seed: int, recipe: str = "auto", activation: str = "tanh", width: int = 8, depth: int = 2):
    model = PlainMLP(6, 3, depth=depth, width=width, activation=activation)
    wb.initialize(model, "vector:6", seed=seed, recipe=recipe)
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def train_alone(state, rate: float, task: Task, seed: int, steps: int, batch: int) -> tuple[float, dict]:
    model = PlainMLP(6, 3, depth=2, width=8, activation="tanh")
    model.load_state_dict(state)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    rows, labels = torch.from_numpy(task.train.inputs), torch.from_numpy(task.train.targets)
    for index in batches(len(rows), batch, steps, seed):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(rows[index]), labels[index]).backward()
        optimizer.step()
    loss = torch.nn.functional.cross_entropy(model(rows), labels)
    test = torch.from_numpy(task.test.inputs)
    return float(loss.detach()), float((model(test).argmax(1).numpy() == task.test.targets).mean())


def test_each_copy_trains_as_torch_optim_sgd_would() -> None:
    task, states = make_task(), [make_state(seed) for seed in range(3)]
    rates = [0.01, 0.05, 0.2]
    model = PlainMLP(6, 3, depth=2, width=8, activation="tanh")
    together = train_together(model, states, rates, task, seed=4, steps=40, batch=16, every=10)
    for state, rate, curve in zip(states, rates, together, strict=True):
        loss, accuracy = train_alone(state, rate, task, seed=4, steps=40, batch=16)
        assert curve.train_loss[-1] == pytest.approx(loss, rel=1e-4)
        assert curve.items.mean() == pytest.approx(accuracy, abs=0.011)  # one of 100 images on the edge
        assert curve.steps == [0, 10, 20, 30, 40]
        assert curve.stopped == ""


def test_batches_are_epochs_in_an_order_that_the_seed_decides() -> None:
    first = torch.cat(list(batches(50, 10, 10, seed=1)))
    assert sorted(first[:50].tolist()) == list(range(50))
    assert sorted(first[50:].tolist()) == list(range(50))
    assert torch.equal(first, torch.cat(list(batches(50, 10, 10, seed=1))))
    assert not torch.equal(first, torch.cat(list(batches(50, 10, 10, seed=2))))


def test_hopeless_copies_are_stopped_and_the_others_train_on() -> None:
    task = make_task()
    states = [make_state(0, "zeros"), make_state(0), make_state(0)]
    states[1]["output.weight"][:] = math.inf
    seen: list[int] = []
    model = PlainMLP(6, 3, depth=2, width=8, activation="tanh")
    zeros, infinite, sound = train_together(
        model, states, [0.05] * 3, task, seed=0, steps=40, batch=16, every=10, on_step=seen.append
    )
    assert "below 1e-30" in zeros.stopped
    assert zeros.steps == [0, 10]
    assert "infinite" in infinite.stopped
    assert infinite.steps == [0]
    assert not infinite.items.any()  # an output that is no number predicts nothing
    assert sound.stopped == ""
    assert sound.steps[-1] == 40
    assert sum(seen) == 40
    alone = train_together(model, [states[2]], [0.05], task, seed=0, steps=40, batch=16, every=10)[0]
    assert sound.train_loss == pytest.approx(alone.train_loss, rel=1e-5)


def test_all_stopped_ends_at_once_and_still_counts_every_step() -> None:
    seen: list[int] = []
    model = PlainMLP(6, 3, depth=2, width=8, activation="tanh")
    states = [make_state(0, "zeros")]
    train_together(model, states, [0.1], make_task(), seed=0, steps=40, batch=16, every=10, on_step=seen.append)
    assert sum(seen) == 40


@pytest.mark.parametrize("activation", ["tanh", "relu", "gelu"])
def test_an_equal_network_is_a_network_one_unit_wide(activation) -> None:
    """Case: symmetry. With the learning rates of width one scaled to match, both learn the same function."""
    width, task, depth = 8, make_task(), 3
    wide = make_state(0, "equal", activation, width, depth)
    thin = make_state(0, "equal", activation, 1, depth)
    settings = {"seed": 0, "steps": 60, "batch": 16, "every": 10}
    shared = {f"hidden.{i}.bias": 1 / width for i in range(depth)} | {"hidden.0.weight": 1 / width}
    first = train_together(
        PlainMLP(6, 3, depth=depth, width=width, activation=activation), [wide], [0.05], task, **settings
    )[0]
    second = train_together(
        PlainMLP(6, 3, depth=depth, width=1, activation=activation),
        [thin],
        [0.05],
        task,
        factors=[shared | {"output.weight": width}],
        **settings,
    )[0]
    assert first.train_loss == pytest.approx(second.train_loss, rel=1e-4)
    assert first.train_loss[-1] < first.train_loss[0]  # it does learn, as far as one unit can
