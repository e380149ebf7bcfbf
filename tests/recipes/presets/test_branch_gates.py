"""skip_init@1 and layer_scale@1: learnt factors found in the graph."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.errors import ArgumentError, PlanError


class ReZero(nn.Module):
    def __init__(self, gated: bool = True) -> None:
        super().__init__()
        self.layer = nn.Linear(16, 16)
        self.strength = nn.Parameter(torch.full((1,), 0.4)) if gated else 1.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.strength * torch.relu(self.layer(x))


class Scaled(nn.Module):
    """Two branches, as in CaiT: attention and feed-forward."""

    def __init__(self) -> None:
        super().__init__()
        self.n1, self.n2 = nn.LayerNorm(16), nn.LayerNorm(16)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.up, self.down = nn.Linear(16, 32), nn.Linear(32, 16)
        self.first, self.second = nn.Parameter(torch.ones(16)), nn.Parameter(torch.ones(16))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.n1(x)
        x = x + self.first * self.attention(y, y, y, need_weights=False)[0]
        return x + self.down(torch.nn.functional.gelu(self.up(self.n2(x)))) * self.second


def test_rezero_is_the_identity_at_step_0_and_learns_through_its_factors() -> None:
    model = nn.Sequential(*(ReZero() for _ in range(200)))
    made = wb.initialize(model, "vector:16", seed=0, recipe="skip_init(base='he')")
    assert [entry.name for entry in made if entry.law == wb.Constant(0.0) and "ReZero" in entry.reason] == [
        f"{i}.strength" for i in range(200)
    ]
    x = torch.randn(8, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(model(x), x)
    model(x).square().mean().backward()
    assert all(block.strength.grad.item() != 0 for block in model)
    assert all(block.layer.weight.grad.abs().max() == 0 for block in model)
    assert made["5.layer.weight"].law == wb.plan(model, "vector:16", seed=0, recipe="he")["5.layer.weight"].law


def test_a_branch_without_the_number_is_named() -> None:
    with pytest.raises(PlanError, match=r"1 of 3 residual branches have no learnt number.*1\.layer.*zero_residual"):
        wb.plan(nn.Sequential(ReZero(), ReZero(False), ReZero()), "vector:16", seed=0, recipe="skip_init")
    with pytest.raises(PlanError, match="no residual branch"):
        wb.plan(nn.Linear(16, 16), "vector:16", seed=0, recipe="skip_init")


@pytest.mark.parametrize(("layers", "value"), [(2, 0.1), (18, 0.1), (19, 1e-5), (24, 1e-5), (25, 1e-6)])
def test_layer_scale_by_depth(layers: int, value: float) -> None:
    model = nn.Sequential(*(Scaled() for _ in range(layers)))
    made = wb.plan(model, torch.zeros(1, 3, 16), seed=0, recipe="layer_scale(base='vit')")
    gates = [entry for entry in made if "LayerScale" in entry.reason]
    assert [entry.name for entry in gates] == [f"{i}.{name}" for i in range(layers) for name in ("first", "second")]
    assert all(entry.law.value == pytest.approx(value) for entry in gates)
    assert f"({layers} layers)" in gates[0].reason
    assert made["0.n1.weight"].law == wb.Constant(1.0)


def test_layer_scale_with_a_value_of_ones_own_and_without_factors() -> None:
    model = nn.Sequential(Scaled(), Scaled())
    made = wb.plan(model, torch.zeros(1, 3, 16), seed=0, recipe="layer_scale(value=1e-4, base='vit')")
    assert made["1.second"].law.value == pytest.approx(1e-4)
    with pytest.raises(PlanError, match="no learnt factor for each channel"):
        wb.plan(nn.Sequential(ReZero()), "vector:16", seed=0, recipe="layer_scale")
    with pytest.raises(ArgumentError, match="value must be a number"):
        wb.plan(model, torch.zeros(1, 3, 16), seed=0, recipe="layer_scale(value=-1)")
