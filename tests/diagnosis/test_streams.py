"""Residual streams: what is added to them, measured, against sums by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import wellbegun as wb

ROWS = torch.randn(32, 16, generator=torch.Generator().manual_seed(0))


class Stream(nn.Module):
    def __init__(self, depth: int, how: str) -> None:
        super().__init__()
        self.how, self.stem, self.head = how, nn.Linear(16, 64), nn.Linear(64, 4)
        self.up = nn.ModuleList(nn.Linear(64, 64) for _ in range(depth))
        self.down = nn.ModuleList(nn.Linear(64, 64) for _ in range(depth))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for up, down in zip(self.up, self.down, strict=True):
            y = down(torch.relu(up(x)))
            x = y + x if self.how == "turned" else x + y
            x = x.view(32, 64) if self.how == "moved" else x
        return self.head(x)


@pytest.mark.parametrize("how", ["plain", "turned", "moved"])
def test_sums_and_branches_equal_a_calculation_by_hand(how: str) -> None:
    torch.manual_seed(0)
    model = Stream(3, how)
    (found,) = wb.diagnose(model, ROWS).facts.streams
    with torch.no_grad():
        x = model.stem(ROWS)
        sums, branches = [x], []
        for up, down in zip(model.up, model.down, strict=True):
            branches.append(down(torch.relu(up(x))))
            x = x + branches[-1]
            sums.append(x)
    assert found.writers == tuple(f"down.{i}.weight" for i in range(3))
    assert found.sums == pytest.approx([float(s.double().square().mean()) for s in sums], rel=1e-6)
    assert found.branches == pytest.approx([float(b.double().square().mean()) for b in branches], rel=1e-6)


def test_layers_in_branches_are_known() -> None:
    layers = wb.diagnose(Stream(2, "plain"), ROWS).layers
    assert {layer.name for layer in layers if layer.branch} == {
        f"{part}.{i}.weight" for part in ("up", "down") for i in (0, 1)
    }


def test_two_branches_side_by_side_are_no_stream() -> None:
    class Side(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.head = nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = torch.tanh(self.one(x)) + torch.tanh(self.two(x))
            return self.head(y + y.flip(0))

    assert wb.diagnose(Side(), ROWS).facts.streams == ()
