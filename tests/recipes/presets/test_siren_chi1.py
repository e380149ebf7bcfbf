"""siren_chi1@1: its bounds, and gradients that keep their size through many layers of sines."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.errors import PlanError

from .test_siren import siren


def test_only_hidden_layers_are_smaller() -> None:
    made, plain = (wb.plan(siren(4, 64), "vector:2", seed=0, recipe=name) for name in ("siren_chi1", "siren"))
    for name in ("1.linear.weight", "2.linear.weight", "3.linear.weight"):
        assert made[name].law.high == pytest.approx(math.sqrt(3 / 64) / 30, rel=1e-6)
        assert plain[name].law.high / made[name].law.high == pytest.approx(math.sqrt(2), rel=1e-6)
    for name in ("0.linear.weight", "4.weight"):
        assert made[name].law == plain[name].law
    assert made["0.linear.bias"].law == made["4.bias"].law == wb.Zeros().law()
    with pytest.raises(PlanError, match="networks of sines"):
        wb.plan(nn.Linear(4, 4), seed=0, recipe="siren_chi1")


def test_the_gradient_falls_like_a_root_and_does_not_explode() -> None:
    """The one thing it is for: without biases SIREN multiplies the gradient by 1.1 in each of fifty layers."""

    def growth(recipe: str) -> float:
        model = siren(50, 256)
        wb.initialize(model, "vector:2", seed=3, recipe=recipe, rules={"*.bias": wb.Zeros()})
        x = 2 * torch.rand(256, 2, generator=torch.Generator().manual_seed(0)) - 1
        signals = [x]
        for layer in model:
            signals.append(layer(signals[-1]))
            signals[-1].retain_grad()
        signals[-1].square().sum().backward()
        norms = [float(s.grad.norm()) for s in signals[1:-1]]
        return (norms[0] / norms[-1]) ** (1 / (len(norms) - 1))

    q, expected = 0.5, 1.0  # behind a first layer whose phases go around the circle, E sin² is 1/2
    for _ in range(49):
        expected *= (1 + math.exp(-2 * q)) / 2
        q = (1 - math.exp(-2 * q)) / 2
    assert growth("siren_chi1") == pytest.approx(math.sqrt(expected) ** (1 / 49), abs=0.01)
    assert 1 / 8 < math.sqrt(expected) < 1 / 4
    assert growth("siren") == pytest.approx(math.sqrt(1.2031878700), abs=0.02)
