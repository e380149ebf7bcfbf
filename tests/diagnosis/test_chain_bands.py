"""Bands of plain chains: theory's own, about what the weights hold; and none for networks that are no chain."""

from __future__ import annotations

import json
import math

import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.theory import ChainLayer, predict_chain

ROWS = torch.randn(48, 32, generator=torch.Generator().manual_seed(3))


def chain(activation: type[nn.Module], depth: int) -> nn.Sequential:
    hidden = [layer for _ in range(depth) for layer in (nn.Linear(32, 32), activation())]
    return nn.Sequential(*hidden, nn.Linear(32, 32))


def test_they_are_those_of_theory_for_the_deviations_that_the_weights_have() -> None:
    torch.manual_seed(0)
    model = chain(nn.Tanh, 4)
    found = wb.diagnose(model, ROWS, theory=True)
    held = {tensor.name: tensor for tensor in found.facts.tensors}
    made = []
    for place in (0, 2, 4, 6, 8):
        weight, bias = held[f"{place}.weight"], held[f"{place}.bias"]
        deviations = math.hypot(weight.mean, weight.std), math.hypot(bias.mean, bias.std)
        made.append(ChainLayer(32, 32, *deviations, activation="tanh" if place < 8 else "identity"))
    by_hand = predict_chain(made, second_moment=float(ROWS.double().square().mean()))
    assert len(found.facts.bands) == 5
    for layer, band, at in zip(found.layers, found.facts.bands, by_hand, strict=True):
        for given, middle, expected in (
            (band.signal, layer.expected, at.preactivation),
            (band.gradient, layer.expected_gradient, at.preactivation_gradient),
        ):
            assert given == pytest.approx(
                [middle * edge / expected.limit for edge in expected.interval(0.99)], rel=1e-6
            )
    assert json.loads(found.to_json())["bands"][0]["signal"] == list(found.facts.bands[0].signal)


@pytest.mark.parametrize(("activation", "recipe"), [(nn.ReLU, "he"), (nn.Tanh, "xavier")])
def test_draws_end_inside(activation: type[nn.Module], recipe: str) -> None:
    """4 networks of 13 layers: of 52 numbers each, 99% inside would leave 0.5 outside."""
    inside = {"signal": 0, "gradient": 0}
    for seed in range(4):
        model = chain(activation, 12)
        wb.initialize(model, ROWS, seed=seed, recipe=recipe)
        found = wb.diagnose(model, ROWS, theory=True)
        for layer, band in zip(found.layers, found.facts.bands, strict=True):
            for what in inside:
                low, high = getattr(band, what)
                inside[what] += low <= getattr(layer, what) <= high
    assert min(inside.values()) >= 48


def test_weights_that_are_not_about_zero_have_none() -> None:
    model = chain(nn.Tanh, 3)
    with torch.no_grad():
        model[2].weight.fill_(0.1)
    assert wb.diagnose(model, ROWS, theory=True).facts.bands == ()


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Linear(32, 32), nn.LayerNorm(32), nn.Tanh(), nn.Linear(32, 4)),
        nn.Sequential(nn.Linear(32, 32), nn.Dropout(0.5), nn.Linear(32, 4)),
        nn.Sequential(nn.Linear(32, 32), nn.Softmax(-1)),
    ],
)
def test_what_is_no_plain_chain_has_none(model: nn.Module) -> None:
    assert wb.diagnose(model, ROWS, theory=True).facts.bands == ()


def test_zeros_and_no_theory_have_none() -> None:
    model = chain(nn.Tanh, 3)
    assert wb.diagnose(model, ROWS).facts.bands == ()
    with torch.no_grad():
        model[2].weight.zero_()
        model[2].bias.zero_()
    assert wb.diagnose(model, ROWS, theory=True).facts.bands == ()
