"""siren@1: bounds, the statistics of ten layers, and an omega_0 that agrees with the model."""

import math

import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.errors import ArgumentError, PlanError


class Sine(nn.Module):
    def __init__(self, inputs: int, outputs: int, omega: float = 30.0) -> None:
        super().__init__()
        self.linear, self.omega = nn.Linear(inputs, outputs), omega

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sin(self.omega * self.linear(x))


def siren(layers: int = 10, width: int = 256, omega: float = 30.0, first: float | None = None) -> nn.Sequential:
    hidden = [Sine(width, width, omega) for _ in range(layers - 1)]
    return nn.Sequential(Sine(2, width, first or omega), *hidden, nn.Linear(width, 1))


@pytest.mark.parametrize("omega", [30.0, 1.0, 5.5])
def test_bounds(omega: float) -> None:
    made = wb.plan(siren(3, 64, omega), "vector:2", seed=0, recipe=f"siren@1(omega_0={omega})")
    assert made["0.linear.weight"].law == wb.Uniform(-0.5, 0.5)
    bound = math.sqrt(6 / 64) / omega
    for name in ("1.linear.weight", "2.linear.weight", "3.weight"):
        assert made[name].law.high == pytest.approx(bound, rel=1e-6)
    assert made["1.linear.bias"].law == wb.Uniform(-0.125, 0.125)
    read = wb.plan(siren(3, 64, omega), "vector:2", seed=0, recipe="siren")
    assert [entry.law for entry in read] == [entry.law for entry in made]


def test_ten_layers_hold_their_statistics() -> None:
    """Published: activations of standard deviation about 0.7 = sqrt(1/2), the arcsine law, in every layer."""
    model = siren()
    points = torch.rand(512, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1
    before, after = [], []
    for seed in range(4):
        wb.initialize(model, "vector:2", seed=seed, recipe="siren(omega_0=30)", overwrite=True)
        x = points
        with torch.no_grad():
            for position, layer in enumerate(list(model)[:-1]):
                z = 30 * layer.linear(x)
                x = torch.sin(z)
                if position:
                    before.append(float(z.std()))
                after.append(float(x.std()))
    assert 0.70 <= sum(after) / len(after) <= 0.72
    assert all(0.67 <= std <= 0.74 for std in after)
    assert 1.2 <= sum(before) / len(before) <= 1.7


def test_an_omega_that_the_model_does_not_have_is_refused() -> None:
    with pytest.raises(PlanError, match="omega_0 is 30, but the model multiplies by 1 before its sines"):
        wb.plan(siren(3, 16, 1.0), "vector:2", seed=0, recipe="siren(omega_0=30)")
    mixed = nn.Sequential(Sine(2, 8), Sine(8, 8, 30.0), Sine(8, 8, 10.0))
    with pytest.raises(PlanError, match=r"different factors: 30 behind 1\.linear\.weight, 10 behind 2"):
        wb.plan(mixed, "vector:2", seed=0, recipe="siren")


def test_the_first_factor_may_differ() -> None:
    made = wb.plan(siren(3, 64, 30.0, first=3000.0), "vector:2", seed=0, recipe="siren(omega_0=30)")
    assert made["0.linear.weight"].law == wb.Uniform(-0.5, 0.5)


def test_a_network_without_sines_is_refused() -> None:
    with pytest.raises(PlanError, match=r"no layer of this model is followed by torch\.sin"):
        wb.plan(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), seed=0, recipe="siren")


@pytest.mark.parametrize("omega", ["0", "-1", "'x'", "True"])
def test_bad_arguments(omega: str) -> None:
    with pytest.raises(ArgumentError, match="omega_0 must be a number above 0"):
        wb.plan(siren(2, 8), "vector:2", seed=0, recipe=f"siren(omega_0={omega})")


@pytest.mark.parametrize("points", ["vector:2", torch.linspace(0, 1, 16).reshape(8, 2)])
def test_the_first_layer_is_known_behind_a_factor_on_the_coordinates(points: object) -> None:
    class Field(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = siren(3, 64)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            made: torch.Tensor = self.net(2.0 * x - 1.0)
            return made

    assert wb.plan(Field(), points, seed=0, recipe="siren")["net.0.linear.weight"].law == wb.Uniform(-0.5, 0.5)
