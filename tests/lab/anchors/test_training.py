"""The plain loop of the anchors: the lab's own training, with clipping, and given up where nothing is learnt."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from wellbegun.lab.anchors.anchor import Asked
from wellbegun.lab.anchors.arms import POINTS, arms_table, curve, points, train_arms
from wellbegun.lab.anchors.training import Fit, fit, score, start
from wellbegun.lab.network import PlainMLP
from wellbegun.lab.tasks import load_task
from wellbegun.lab.trials.alone import train_alone

SETTINGS = {"rate": 0.02, "steps": 30, "batch": 32}


@pytest.fixture(scope="module")
def task():
    return load_task("digits")


def network(depth=2):
    return PlainMLP(64, 10, depth=depth, width=16, activation="tanh")


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_without_clipping_it_is_the_labs_own_training(task, optimizer):
    model = start(network(), task, "xavier_normal", 3)
    other = copy.deepcopy(model)
    factors = {"output.weight": 0.1}
    found = fit(model, task, seed=5, optimizer=optimizer, factors=factors, **SETTINGS)
    rate, sizes = SETTINGS["rate"], {"steps": 30, "batch": 32, "every": 30}
    theirs = train_alone(other, rate, task, seed=5, optimizer=optimizer, factors=factors, **sizes)
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
    assert found.score == theirs.items.mean() == score(model, task, task.test)
    assert found.losses[0] == theirs.train_loss[0]
    assert len(found.losses) == 30
    assert not found.stopped


def test_clipping_bounds_a_step(task):
    model = start(network(), task, "normal(std=1)", 3)
    before = [p.detach().clone() for p in model.parameters()]
    fit(model, task, rate=0.5, steps=1, batch=32, seed=0, clip=0.01)
    moved = sum(float((a - b).detach().square().sum()) for a, b in zip(model.parameters(), before, strict=True)) ** 0.5
    assert moved == pytest.approx(0.5 * 0.01, rel=1e-3)


def test_what_cannot_learn_is_given_up_and_all_its_steps_are_told(task):
    told: list[int] = []
    gone = fit(start(network(), task, "normal(std=1e-20)", 3), task, seed=0, on_step=told.append, **SETTINGS)
    assert gone.stopped == "no gradient at step 0"
    assert sum(told) == 30
    told.clear()
    wild = start(network(), task, "normal(std=1)", 3)
    with torch.no_grad():
        wild.output.weight.fill_(float("inf"))
    lost = fit(wild, task, seed=0, on_step=told.append, **SETTINGS)
    assert lost.stopped == "diverged at step 0"
    assert sum(told) == 30
    assert lost.score == 0.0


def test_arms_share_seeds_and_tell_scores_and_curves(task):
    seen: list[tuple[int, int, str]] = []
    asked = Asked(on_progress=lambda *told: seen.append(told))
    recipes = {"Xavier": "xavier_normal", "tiny": "normal(std=1e-20)"}
    arms = train_arms(asked, network, task, recipes, [0, 1], **SETTINGS)
    assert seen[-1] == (120, 120, "training")
    alone = fit(start(network(), task, "xavier_normal", 1), task, seed=1, **SETTINGS)
    assert arms["Xavier"]["score"][1] == alone.score
    assert arms["Xavier"]["curve"][1] == alone.losses
    assert points(arms, "Xavier") == pytest.approx(100 * np.mean(arms["Xavier"]["score"]))
    rows = arms_table(arms).rows
    assert [row[0] for row in rows] == list(recipes)
    assert [row[3] for row in rows] == ["–", "no gradient at step 0"]


def test_a_curve_has_the_means_of_equal_stretches():
    losses = [float(i) for i in range(10 * POINTS)]
    assert curve(Fit(0.0, losses), 10 * POINTS) == [10 * i + 4.5 for i in range(POINTS)]
    assert curve(Fit(0.0, losses[:15]), 10 * POINTS) == [4.5, 12.0]
    assert curve(Fit(0.0, losses[:3]), 3) == [0.0, 1.0, 2.0]
