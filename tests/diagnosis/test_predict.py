"""Theory beside the measurement, layer by layer, and in its place where there are no weights."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.errors import ArgumentError

MADE = torch.Generator().manual_seed(0)
ROWS = torch.randn(256, 128, generator=MADE)


def chain(activation: type[nn.Module], depth: int, width: int, inputs: int = 128) -> nn.Sequential:
    """Hidden layers with an activation each, and an output layer of 10."""
    layers: list[nn.Module] = []
    for number in range(depth):
        layers += [nn.Linear(width if number else inputs, width), activation()]
    return nn.Sequential(*layers, nn.Linear(width, 10))


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh, nn.GELU, nn.Sigmoid, nn.SiLU])
@pytest.mark.parametrize("recipe", ["he", "xavier", "fan_in_uniform"])
def test_chains_are_as_theory_has_them(activation: type[nn.Module], recipe: str) -> None:
    model = chain(activation, 6, 256, inputs=128)
    wb.initialize(model, ROWS, seed=1, recipe=recipe)
    found = wb.diagnose(model, ROWS, theory=True)
    assert len(found.layers) == 7
    for layer in found.layers[:-1]:
        # one draw of a network of width 256 lies within exp(3 sqrt(5 L / n)) of theory
        assert layer.expected == pytest.approx(layer.signal, rel=0.35)
        assert layer.expected_gradient == pytest.approx(layer.gradient, rel=0.6)
    assert "theory" in str(found)


def test_the_linear_map_is_exact() -> None:
    """q' = fan_in E[w²] q + E[b²], by hand in float64."""
    torch.manual_seed(0)
    model = nn.Linear(128, 4096)
    with torch.no_grad():
        model.bias.normal_()
    (layer,) = wb.diagnose(model, ROWS, theory=True).layers
    weight, bias = model.weight.detach().double(), model.bias.detach().double()
    by_hand = 128 * weight.square().mean() * ROWS.double().square().mean() + bias.square().mean()
    assert layer.expected == pytest.approx(float(by_hand), rel=1e-6)
    assert layer.expected == pytest.approx(layer.signal, rel=0.05)


class Image(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.norm = nn.Conv2d(3, 64, 3, padding=1), nn.BatchNorm2d(64)
        self.two, self.three = nn.Conv2d(64, 64, 3, padding=1), nn.Conv2d(64, 64, 1)
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm(self.one(x)))
        x = x + self.three(torch.relu(self.two(x)))
        return self.head(torch.relu(x).flatten(2).transpose(1, 2))


def test_convolutions_normalisations_and_sums_are_followed() -> None:
    torch.manual_seed(0)
    model, x = Image(), torch.randn(8, 3, 12, 12, generator=MADE)
    wb.initialize(model, x, seed=0, recipe="he")
    found = wb.diagnose(model, x, theory=True)
    assert [layer.name for layer in found.layers] == [f"{n}.weight" for n in ("one", "two", "three", "head")]
    for layer in found.layers:
        assert layer.expected == pytest.approx(layer.signal, rel=0.5)
        assert layer.expected_gradient == pytest.approx(layer.gradient, rel=0.6)


def test_a_plan_says_what_it_aims_at() -> None:
    model = chain(nn.Tanh, 3, 128)
    plan = wb.initialize(model, ROWS, seed=0)
    found = wb.diagnose(model, ROWS, plan=plan)
    assert [layer.expected for layer in found.layers] == [plan[layer.name].after for layer in found.layers]
    assert all(math.isnan(layer.expected) for layer in wb.diagnose(model, ROWS).layers)


@pytest.mark.parametrize("recipe", ["auto", "fan_in_uniform"])
def test_a_skeleton_is_predicted(recipe: str) -> None:
    def build() -> nn.Module:
        return chain(nn.ReLU, 12, 128)

    with wb.skeleton():
        empty = build()
    plan = wb.plan(empty, ROWS, seed=0, recipe=recipe)
    predicted = wb.diagnose(empty, ROWS, plan=plan)
    assert all(parameter.is_meta for parameter in empty.parameters())
    assert predicted.predicted
    assert "nothing was run" in str(predicted)
    assert math.isnan(predicted.loss)
    assert predicted.healthy is (recipe == "auto")
    real = build()
    wb.apply(plan, real)
    measured = wb.diagnose(real, ROWS, theory=True)
    assert [layer.name for layer in predicted.layers] == [layer.name for layer in measured.layers]
    for one, other in zip(predicted.layers, measured.layers, strict=True):
        assert one.signal == pytest.approx(other.expected, rel=0.15)
        assert one.activation == other.activation
    if recipe != "auto":
        vanishing = [f for f in predicted.findings if f.kind == "vanishing"]
        assert vanishing[0].level == "error"
        assert {f.kind for f in measured.findings} >= {"vanishing"}


def test_a_skeleton_without_a_plan_is_what_its_own_code_makes() -> None:
    with wb.skeleton():
        empty = chain(nn.ReLU, 12, 128)
    found = wb.diagnose(empty, "vector:128")
    assert found.predicted
    assert found.source == "what the model's own code does"
    assert [f.kind for f in found.findings if f.level == "error"] == ["vanishing"]


def test_a_model_on_meta_whose_code_was_not_seen_needs_a_plan() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(4, 128, device="meta"))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ self.weight.T

    with pytest.raises(ArgumentError, match=r"on meta.*pass plan="):
        wb.diagnose(Own(), "vector:128")


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_dropout_is_counted_while_it_is_at_work(share: float) -> None:
    """E y² = E x² / (1 - p), forward and backward: ten such layers of p = 1/2 are a factor of a thousand."""
    layers = [step for _ in range(6) for step in (nn.Linear(256, 256), nn.ReLU(), nn.Dropout(share))]
    model = nn.Sequential(nn.Linear(128, 256), nn.ReLU(), *layers, nn.Linear(256, 10))
    wb.initialize(model, ROWS, seed=1, recipe="he")
    for training in (True, False):
        found = wb.diagnose(model.train(training), ROWS, theory=True)
        for layer in found.layers[:-1]:
            assert layer.expected == pytest.approx(layer.signal, rel=0.35)
            assert layer.expected_gradient == pytest.approx(layer.gradient, rel=0.6)
        grown = found.layers[-2].expected / found.layers[0].expected
        assert grown == pytest.approx((1 - share) ** -5 if training else 1.0, rel=0.05)
