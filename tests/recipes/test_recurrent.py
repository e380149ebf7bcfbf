"""Recurrent layers under auto: the input's scale is the input's, memory is orthogonal, the state keeps its size."""

import pytest
import torch
from torch import nn

import wellbegun as wb

KINDS = {"LSTM": nn.LSTM, "GRU": nn.GRU, "RNN": nn.RNN}


@pytest.mark.parametrize("kind", KINDS)
def test_gates_are_fed_at_second_moment_1_whatever_the_data(kind: str) -> None:
    x = 20 * torch.randn(64, 9, 48, generator=torch.Generator().manual_seed(0))
    layer = KINDS[kind](48, 96, batch_first=True)
    plan = wb.initialize(layer, x, seed=3)
    with torch.no_grad():
        found = (x @ layer.weight_ih_l0.T).double().square().mean()
    assert float(found) == pytest.approx(1.0, rel=0.1)
    assert "(measured)" in plan["weight_ih_l0"].reason


@pytest.mark.parametrize("kind", KINDS)
def test_each_gate_has_an_orthogonal_memory(kind: str) -> None:
    layer = KINDS[kind](16, 32)
    wb.initialize(layer, torch.randn(5, 2, 16), seed=3)
    for block in layer.weight_hh_l0.detach().split(32):
        assert torch.allclose(block @ block.T, torch.eye(32), atol=1e-5)


def test_what_another_layer_passes_on_is_assumed_and_said_so() -> None:
    plan = wb.plan(nn.LSTM(16, 32, 2), torch.randn(5, 2, 16), seed=0)
    assert "(assumed)" in plan["weight_ih_l1"].reason
    assert plan["weight_ih_l1"].std == pytest.approx(32**-0.5)


def test_behind_a_normalisation_nothing_is_assumed() -> None:
    class Normalised(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.cell = nn.LayerNorm(16), nn.GRU(16, 32)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.cell(self.norm(x))[0]

    plan = wb.plan(Normalised(), torch.randn(5, 2, 16), seed=0)
    assert "second moment 1: variance" in plan["cell.weight_ih_l0"].reason


@pytest.mark.parametrize("kind", KINDS)
def test_a_signal_lives_through_a_hundred_steps(kind: str) -> None:
    """Neither silent nor saturated at the end, and the first input still has a gradient there."""
    x = torch.randn(100, 8, 64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    layer = KINDS[kind](64, 128)
    wb.initialize(layer, x.detach(), seed=3)
    states, _ = layer(x)
    last = float(states[-1].detach().square().mean())
    assert 0.01 < last < 0.9
    (gradient,) = torch.autograd.grad(states[-1].square().sum(), x)
    assert torch.isfinite(gradient).all()
    assert float(gradient[99].norm()) > 1e-3
