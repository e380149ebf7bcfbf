"""A network's own layers on its activation's plane, and the sentence for networks that have no place there."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.diagnosis.facts import PhaseFacts
from wellbegun.diagnosis.phase_panel import phase_panels, phase_sentence

ROWS = torch.randn(48, 32, generator=torch.Generator().manual_seed(3))


def chain(activation: type[nn.Module], depth: int, width: int = 32) -> nn.Sequential:
    hidden = [layer for _ in range(depth) for layer in (nn.Linear(width, width), activation())]
    return nn.Sequential(*hidden, nn.Linear(width, 4))


def test_points_are_fan_in_times_the_weights_second_moment_and_the_biases_one() -> None:
    torch.manual_seed(0)
    model = chain(nn.Tanh, 4)
    with torch.no_grad():
        for layer in model[::2]:
            layer.weight.normal_(0, 0.3)
            layer.bias.normal_(0, 0.5)
    found = wb.diagnose(model, ROWS, theory=True)
    phase = found.facts.phase
    assert (phase.activation, phase.reason) == ("tanh", "")
    assert [point.layer for point in phase.points] == ["2.weight", "4.weight", "6.weight"]  # neither data nor output
    for place, point in zip((2, 4, 6), phase.points, strict=True):
        weight, bias = (tensor.detach().double() for tensor in (model[place].weight, model[place].bias))
        assert point.weight_variance == pytest.approx(32 * float(weight.square().mean()), rel=1e-9)
        assert point.bias_variance == pytest.approx(float(bias.square().mean()), rel=1e-9)
    assert json.loads(found.to_json())["phase"]["points"][0]["layer"] == "2.weight"
    axes = found.figure().axes[-1]
    assert axes.get_title(loc="left") == "phase diagram"
    (drawn,) = [line for line in axes.lines if line.get_label() == "layers"]
    np.testing.assert_allclose(
        np.array(drawn.get_data()).T, [(point.weight_variance, point.bias_variance) for point in phase.points]
    )


def test_of_a_convolution_the_receptive_field_counts() -> None:
    torch.manual_seed(0)
    hidden = [layer for _ in range(3) for layer in (nn.Conv2d(8, 8, 3, padding=1), nn.ReLU())]
    found = wb.diagnose(nn.Sequential(*hidden), torch.randn(8, 8, 6, 6), theory=True)
    weight = hidden[2].weight.detach().double()
    assert found.facts.phase.points[0].weight_variance == pytest.approx(72 * float(weight.square().mean()), rel=1e-9)


def test_a_skeleton_lies_where_its_plan_puts_it() -> None:
    with wb.skeleton():
        empty = chain(nn.ReLU, 4)
    phase = wb.diagnose(empty, "vector:32", plan=wb.plan(empty, "vector:32", seed=1, recipe="he")).facts.phase
    assert phase.activation == "relu"
    assert [(point.weight_variance, point.bias_variance) for point in phase.points] == [(pytest.approx(2.0), 0.0)] * 3


def test_points_beyond_the_plane_are_arrows_at_its_edge() -> None:
    torch.manual_seed(0)
    model = chain(nn.Tanh, 4, 64)
    with torch.no_grad():
        model[2].weight.normal_(0, 3.0)
    found = wb.diagnose(model, torch.randn(16, 64), theory=True)
    (panel,) = phase_panels(found.facts).values()
    assert "1 at the right edge lie beyond it" in panel.caption
    (arrow,) = [line for line in found.figure().axes[-1].lines if line.get_marker() == ">"]
    assert list(arrow.get_xdata()) == [60.0]


class Gated(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.other, self.out = nn.Linear(32, 32), nn.Linear(32, 32), nn.Linear(32, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(torch.sigmoid(self.one(x)) * self.other(x))


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks, self.out = nn.ModuleList(nn.Linear(32, 32) for _ in range(3)), nn.Linear(32, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = x + torch.tanh(block(x))
        return self.out(x)


def wide(mean: float) -> nn.Sequential:
    model = chain(nn.Tanh, 4)
    with torch.no_grad():
        model[4].weight.normal_(mean, 0.1)
    return model


OTHERS = {
    "normalises its signals": nn.Sequential(nn.Linear(32, 32), nn.LayerNorm(32), nn.Tanh(), nn.Linear(32, 4)),
    "multiplies signals (gates)": Gated(),
    "adds signals (residual branches)": Residual(),
    "drops numbers at random": nn.Sequential(nn.Linear(32, 32), nn.Dropout(0.5), nn.ReLU(), nn.Linear(32, 4)),
    "fewer than 3 layers with the same activation": chain(nn.Tanh, 2),
    "the weights of 4.weight do not have a mean of zero": wide(0.1),
}


@pytest.mark.parametrize("reason", OTHERS)
def test_where_theory_does_not_apply_one_sentence_says_so(reason: str, tmp_path) -> None:
    found = wb.diagnose(OTHERS[reason], ROWS, theory=True)
    sentence = phase_sentence(found.facts)
    assert reason in sentence
    assert re.fullmatch(r"No phase diagram, .*[^.]\.", sentence)
    assert phase_panels(found.facts) == {}
    if reason.startswith("normalises"):
        found.save_html(tmp_path / "page.html")
        assert sentence in (tmp_path / "page.html").read_text("utf-8")
        assert found.figure().get_supxlabel().replace("\n", " ") == sentence


def test_without_theory_nothing_is_said() -> None:
    facts = wb.diagnose(chain(nn.Tanh, 4), ROWS).facts
    assert facts.phase is None
    assert phase_sentence(facts) == ""
    assert phase_panels(facts) == {}
    assert PhaseFacts().points == ()
