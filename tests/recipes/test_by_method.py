"""One rule for every weight, where a network has weights of several kinds."""

from __future__ import annotations

import pytest
from torch import nn

import wellbegun as wb


def test_delta_orthogonal_starts_a_whole_network_of_convolutions() -> None:
    """A matrix product is a convolution of one tap; each layer gets the gain of the activation that feeds it."""
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.Tanh(), nn.Conv2d(4, 4, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(4, 3),
    )  # fmt: skip
    plan = wb.plan(model, "image:2x8x8", seed=7, recipe="delta_orthogonal")
    gain = pytest.approx(wb.gain("tanh"), rel=1e-6)
    assert [type(plan[f"{i}.weight"].law) for i in (0, 2, 6)] == [wb.DeltaOrthogonal, wb.DeltaOrthogonal, wb.Orthogonal]
    assert plan["0.weight"].law.gain == 1.0
    assert plan["2.weight"].law.gain == gain
    assert wb.plan(model, "image:2x8x8", seed=7, recipe="delta_orthogonal(gain=2)")["2.weight"].law.gain == 2.0
