"""Networks of sines under auto: SIREN's law where a factor stands inside the sine, and nothing new where none does."""

import math

import pytest
import torch
from torch import nn

import wellbegun as wb


class Sine(nn.Module):
    def __init__(self, omega: float) -> None:
        super().__init__()
        self.omega = omega

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sin(self.omega * x)


def field(omega: float, depth: int, width: int = 64) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i in range(depth):
        layers += [nn.Linear(width if i else 2, width), Sine(omega)]
    return nn.Sequential(*layers, nn.Linear(width, 1))


@pytest.mark.parametrize(("omega", "depth"), [(30.0, 3), (30.0, 9), (5.0, 3)])
def test_a_network_of_sines_has_the_laws_of_siren(omega: float, depth: int) -> None:
    model = field(omega, depth)
    auto, siren = (wb.plan(model, "vector:2", seed=0, recipe=recipe) for recipe in ("auto", "siren"))
    assert [entry.law for entry in auto] == [entry.law for entry in siren]
    assert f"sin({omega:g}·x)" in auto["2.weight"].reason


def test_the_second_moments_of_a_network_of_sines_are_those_aimed_at() -> None:
    model = field(30.0, 4, 256)
    x = 2 * torch.rand(2048, 2, generator=torch.Generator().manual_seed(0)) - 1
    plan = wb.plan(model, x, seed=0)
    wb.apply(plan, model, overwrite=True)
    value = x
    for i in range(0, 8, 2):
        with torch.no_grad():
            phase = model[i](value)
            found, value = float(phase.square().mean()), model[i + 1](phase)
        assert found == pytest.approx(plan[f"{i}.weight"].after, rel=0.25), i


def test_a_sine_without_a_factor_is_an_activation_like_others() -> None:
    plan = wb.plan(field(1.0, 3), "vector:2", seed=0)
    assert plan["2.weight"].after == 1.0
    assert plan["2.weight"].law.std == pytest.approx(math.sqrt(1 / (64 * (1 - math.exp(-2)) / 2)), rel=1e-6)
