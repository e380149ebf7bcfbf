"""Every network on every kind of task that it suits: planned by auto without a rule, and trainable as a function."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import wellbegun as wb
from wellbegun.errors import ArgumentError, UnknownNameError
from wellbegun.lab.measure import measure_of
from wellbegun.lab.networks import NETWORKS, build_network, networks_for
from wellbegun.lab.split import shuffled
from wellbegun.lab.task import Task
from wellbegun.lab.tasks import load_task

ACTIVATION = {"siren": "sine", "lstm": "tanh"}


def made_masks() -> Task:
    """Bright squares in noise: what the MRI task is, without its data."""
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(60, 1, 8, 8)).astype(np.float32)
    masks = np.zeros_like(inputs)
    for i, (row, column) in enumerate(generator.integers(0, 6, (60, 2))):
        masks[i, 0, row : row + 3, column : column + 3] = 1
    parts = shuffled(inputs + 3 * masks, masks, 40, 10)
    return Task("squares", "bright squares", "drawn here", "none", "mask", 1, *parts)


def task_of(name: str) -> Task:
    return made_masks() if name == "squares" else load_task(name)


PAIRS = [
    (name, task)
    for task in ("digits", "digits-images", "text-small", "image", "squares")
    for name in networks_for(task_of(task))
]


@pytest.mark.parametrize(("name", "task_name"), PAIRS)
def test_thirty_steps_from_autos_plan_lower_the_loss(name, task_name) -> None:
    task = task_of(task_name)
    model = build_network(name, task, depth=2, width=16, activation=ACTIVATION.get(name, "relu"))
    plan = wb.plan(model, task.spec, seed=0, recipe="auto")
    wb.apply(plan, model)
    inputs, targets = torch.from_numpy(task.train.inputs[:32]), torch.from_numpy(task.train.targets[:32])
    measure = measure_of(task.kind)
    weights = {key: value.detach().clone().requires_grad_() for key, value in model.named_parameters()}

    def loss() -> torch.Tensor:
        return measure.loss(torch.func.functional_call(model, weights, (inputs,)), targets)

    first, optimizer = float(loss().detach()), torch.optim.Adam(weights.values(), lr=3e-3)
    for _ in range(30):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    outputs = torch.func.functional_call(model, weights, (inputs,)).detach()
    assert float(measure.loss(outputs, targets)) < 0.9 * first
    assert len(measure.items(outputs, targets)) == 32


def test_every_network_is_tried() -> None:
    assert {name for name, _ in PAIRS} == set(NETWORKS)


@pytest.mark.parametrize("name", [name for name, entry in NETWORKS.items() if entry.ensembles])
def test_copies_train_side_by_side(name) -> None:
    task = task_of(next(task for network, task in PAIRS if network == name))
    torch.manual_seed(0)
    model = build_network(name, task, depth=2, width=8, activation=ACTIVATION.get(name, "relu")).double()
    inputs, targets = (torch.from_numpy(part[:4]) for part in (task.train.inputs, task.train.targets))
    # siren's sines of 30 times a sum enlarge what float32 rounds
    inputs, targets = (part.double() if part.is_floating_point() else part for part in (inputs, targets))
    one = {key: value.detach() for key, value in model.named_parameters()}

    def loss_of(weights: dict[str, torch.Tensor]) -> torch.Tensor:
        return measure_of(task.kind).loss(torch.func.functional_call(model, weights, (inputs,)), targets)

    gradient = torch.func.grad(loss_of)
    alone, both = gradient(one), torch.func.vmap(gradient)({key: torch.stack([v, v]) for key, v in one.items()})
    for key, value in alone.items():
        torch.testing.assert_close(both[key][1], value, rtol=1e-9, atol=1e-12)


def test_a_gpt_does_not_look_ahead() -> None:
    task = load_task("text-small")
    model = build_network("gpt", task, depth=2, width=16, activation="gelu")
    tokens = torch.from_numpy(task.train.inputs[:1])
    changed = tokens.clone()
    changed[:, 40:] = 0
    assert torch.equal(model(tokens)[:, :40], model(changed)[:, :40])


def test_what_does_not_fit_says_what_does() -> None:
    digits = load_task("digits")
    with pytest.raises(
        ArgumentError, match=r"'cnn' is for classes of images or .*suit it: mlp, residual, residual-norm"
    ):
        build_network("cnn", digits, depth=2, width=8, activation="relu")
    with pytest.raises(UnknownNameError, match="did you mean 'mlp'"):
        build_network("mlpp", digits, depth=2, width=8, activation="relu")
    with pytest.raises(ArgumentError, match=r"does not know heads; it has no options"):
        build_network("mlp", digits, depth=2, width=8, activation="relu", heads=2)
    with pytest.raises(ArgumentError, match="does not know omega; its options are heads, patch"):
        build_network("vit", load_task("digits-images"), depth=2, width=8, activation="relu", omega=2)
    with pytest.raises(ArgumentError, match="the activation of a siren is 'sine'"):
        build_network("siren", load_task("image"), depth=2, width=8, activation="relu")
