"""Flat activations: by the weights, or by what stands between a layer and its activation."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import wellbegun as wb

ROWS = torch.randn(64, 16, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(64) % 4


class Gated(nn.Module):
    """A sigmoid gate with a bias of its own and a rate of decay, as linear attentions have it."""

    def __init__(self, bias: float, scale: float) -> None:
        super().__init__()
        self.value, self.gate, self.head = nn.Linear(16, 32), nn.Linear(16, 32, bias=False), nn.Linear(32, 4)
        self.bias = nn.Parameter(torch.full((32,), bias))
        with torch.no_grad():
            self.gate.weight.mul_(scale)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.value(x) * torch.sigmoid(self.gate(x) + self.bias))


def saturated(bias: float, scale: float) -> list[tuple[str, str, tuple[str, ...]]]:
    torch.manual_seed(0)
    found = wb.diagnose(Gated(bias, scale), (ROWS, LABELS)).findings
    return [(one.level, one.layer, one.weights) for one in found if one.kind == "saturated"]


@pytest.mark.parametrize("bias", [-6.0, 6.0])
def test_a_gate_that_its_own_bias_shuts_is_not_blamed_on_the_weights(bias: float) -> None:
    assert saturated(bias, 0.1) == [("warning", "gate.weight", ())]


def test_weights_that_are_too_large_are_an_error() -> None:
    assert saturated(0.0, 100.0) == [("error", "gate.weight", ("gate.weight",))]


def test_a_gate_in_the_middle_is_no_finding() -> None:
    assert saturated(0.0, 0.1) == []
