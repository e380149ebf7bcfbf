"""What the probe follows between a layer and its activation, and what it admits not to have seen."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import wellbegun as wb

GENERATOR = torch.Generator().manual_seed(11)
IMAGES = torch.randn(16, 4, 8, 8, generator=GENERATOR)
SOUNDS = torch.randn(16, 4, 8, generator=GENERATOR)
CUBES = torch.randn(16, 4, 4, 4, 4, generator=GENERATOR)
ROWS = torch.randn(16, 8, generator=GENERATOR)


class Between(nn.Module):
    """A layer, something, a tanh and a head."""

    def __init__(self, layer: nn.Module, between: Callable[[Any], Any]) -> None:
        super().__init__()
        self.layer, self.between = layer, between
        self.head = nn.LazyLinear(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.tanh(self.between(self.layer(x))).flatten(1))


def first_layer(layer: nn.Module, between: Callable[[Any], Any], x: torch.Tensor) -> Any:
    torch.manual_seed(0)
    model = Between(layer, between)
    model(x)
    return wb.diagnose(model, x).layers[0]


def conv(dimension: int) -> nn.Module:
    return (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dimension - 1](4, 6, 3, padding=1)


@pytest.mark.parametrize(
    "between",
    [
        nn.BatchNorm2d(6),
        nn.GroupNorm(2, 6),
        nn.InstanceNorm2d(6, affine=True),
        nn.InstanceNorm2d(6),
        nn.LayerNorm([6, 8, 8]),
        nn.RMSNorm([8]),
        nn.LayerNorm(8, elementwise_affine=False),
        nn.Sequential(nn.MaxPool2d(2), nn.BatchNorm2d(6), nn.Dropout2d(0.1)),
        lambda y: F.normalize(y),
        lambda y: y / y.square().mean((1, 2, 3), keepdim=True).sqrt(),
    ],
)
def test_normalisations_are_followed(between) -> None:
    found = first_layer(conv(2), between, IMAGES)
    assert (found.activation, found.normalised) == ("tanh", True)


@pytest.mark.parametrize(
    ("dimension", "between"),
    [
        *[(d, getattr(nn, f"{kind}Pool{d}d")(2)) for d in (1, 2, 3) for kind in ("Max", "Avg")],
        *[(d, getattr(nn, f"Adaptive{kind}Pool{d}d")(2)) for d in (1, 2, 3) for kind in ("Max", "Avg")],
        (2, nn.Upsample(scale_factor=2)),
        (2, nn.ZeroPad2d(1)),
        (2, nn.ReflectionPad2d(1)),
        (2, lambda y: F.interpolate(y, size=4)),
        (2, lambda y: y.clamp(-3, 3)),
        (2, lambda y: 0.5 * y / 3 - 1),
        (2, lambda y: -y),
        (2, lambda y: y.chunk(2, dim=1)[1]),
        (2, lambda y: y[:, 1:4].transpose(1, 2)),
        (2, lambda y: torch.cat([y, y.detach()], 1)),
    ],
)
def test_what_leaves_the_scale_alone_is_followed(dimension, between) -> None:
    found = first_layer(conv(dimension), between, (SOUNDS, IMAGES, CUBES)[dimension - 1])
    assert (found.activation, found.normalised) == ("tanh", False)


def test_a_parameter_that_scales_is_followed_and_is_no_layer() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.full((6, 1, 1), 2.0))
            self.shift = nn.Parameter(torch.randn(6, 1, 1))

        def forward(self, y: torch.Tensor) -> torch.Tensor:
            return y * self.scale + self.shift

    torch.manual_seed(0)
    model = Between(conv(2), Scaled())
    model(IMAGES)
    found = wb.diagnose(model, IMAGES)
    assert [layer.name for layer in found.layers] == ["layer.weight", "head.weight"]
    assert found.layers[0].activation == "tanh"
    assert not found.findings  # the scale was seen: it is not among the weights that nobody judged


def test_a_product_of_two_signals_is_not_followed() -> None:
    assert first_layer(conv(2), lambda y: y * y.flip(0), IMAGES).activation == ""


def test_a_weight_that_is_calculated_from_parameters_and_buffers_is_a_layer() -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(6, 8))
            self.register_buffer("mask", (torch.rand(6, 8) > 0.3).float())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.linear(x, self.weight * self.mask)

    assert first_layer(Masked(), nn.Identity(), ROWS).name == "layer.weight"
    spectral = nn.utils.parametrizations.spectral_norm(nn.Linear(8, 6))
    found = first_layer(spectral, nn.Identity(), ROWS)
    assert (found.name, found.activation) == ("layer.parametrizations.weight.original", "tanh")


def test_the_layers_of_a_residual_sum_share_its_activation() -> None:
    class PreActivation(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.one, self.two, self.head = (nn.Linear(8, 8) for _ in range(4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = self.stem(x)
            h = h + self.one(torch.relu(h))
            h = h + self.two(torch.tanh(h))
            return self.head(torch.sigmoid(h))

    torch.manual_seed(0)
    assert [layer.activation for layer in wb.diagnose(PreActivation(), ROWS).layers] == ["relu", "tanh", "sigmoid", ""]


class OwnLayer(nn.Module):
    """Multiplies with a vector, which is no layer over a batch."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(8, 8) / 8**0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.mv(self.weight, x.mean(0))


def test_weights_that_were_not_seen_are_named() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), OwnLayer(), nn.Linear(8, 3))
    found = wb.diagnose(model, ROWS)
    assert [(f.kind, f.level) for f in found.findings] == [("not judged", "note")]
    assert found.findings[0].message.startswith("1 weight goes")
    assert "2.weight" in found.findings[0].message
    assert found.healthy
    assert "no faults found" not in str(found)


def test_a_model_of_which_nothing_was_seen_gets_a_warning() -> None:
    for model in (OwnLayer(), nn.Sequential(nn.LayerNorm(8))):
        found = wb.diagnose(model, ROWS)
        assert [(f.kind, f.level) for f in found.findings] == [("not judged", "warning")]
        assert found.healthy


def test_recurrent_layers_and_what_attention_is_made_of_are_seen() -> None:
    class Attends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(8, 8)
            self.lstm = nn.LSTM(8, 8)
            self.cell = nn.GRUCell(8, 8)
            self.attention = nn.MultiheadAttention(8, 2)
            self.head = nn.Linear(8, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = self.cell(self.lstm(torch.tanh(self.first(x)).unsqueeze(1))[0][:, 0]).unsqueeze(1)
            return self.head(self.attention(h, h, h)[0])

    torch.manual_seed(0)
    for training in (True, False):
        found = wb.diagnose(Attends().train(training), ROWS)
        assert [(layer.name, layer.kind) for layer in found.layers] == [
            ("first.weight", "linear"),
            ("lstm.weight_ih_l0", "recurrent"),
            ("cell.weight_ih", "recurrent"),
            ("attention.in_proj_weight", "linear"),
            ("attention.out_proj.weight", "linear"),
            ("head.weight", "linear"),
        ]
        assert all(layer.weight_gradient > 0 for layer in found.layers)
        assert not found.facts.unseen
        (attention,) = found.facts.attentions
        assert attention.layer == "attention.in_proj_weight"
        assert attention.places == 16
        assert 0.9 < attention.entropy <= 1


def test_few_inputs_tell_nothing_of_dead_units_and_angles() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 3))
    seven, eight = wb.diagnose(model, ROWS[:7]), wb.diagnose(model, ROWS[:8])
    assert all(math.isnan(layer.dead) and math.isnan(layer.cosine) for layer in seven.layers)
    assert not any(math.isnan(layer.dead) or math.isnan(layer.cosine) for layer in eight.layers)
    with torch.no_grad():
        model[2].bias.fill_(-100.0)
    assert any(f.kind == "dead" for f in wb.diagnose(model, ROWS[:8]).findings)
    one = wb.diagnose(model, ROWS[:1])
    assert not any(f.kind in ("dead", "collapsed") for f in one.findings)
    assert "nan" not in str(one)


def test_experts_that_get_no_input_say_nothing() -> None:
    class Routed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gate, self.head = nn.Linear(8, 4), nn.Linear(8, 3)
            self.experts = nn.ModuleList(nn.Linear(8, 8) for _ in range(4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            shares = self.gate(x).softmax(-1)
            chosen, y = shares.argmax(-1).clamp(max=1), torch.zeros_like(x)
            for number, expert in enumerate(self.experts):
                mine = chosen == number
                y[mine] = torch.relu(expert(x[mine])) * shares[mine, number, None]
            return self.head(y)

    torch.manual_seed(0)
    found = wb.diagnose(Routed(), ROWS)
    assert not [finding for finding in found.findings if finding.level == "error"], found
    signals = {layer.name: layer.signal for layer in found.layers}
    assert math.isnan(signals["experts.2.weight"])
    assert signals["experts.0.weight"] > 0


@pytest.mark.parametrize("inputs", [1, 16])
def test_a_unit_whose_axis_is_squeezed_away_stays_a_unit(inputs: int) -> None:
    class Squeezed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.head = nn.Linear(8, 8), nn.Linear(8, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(self.head(torch.tanh(self.layer(x))).squeeze())

    torch.manual_seed(0)
    found = wb.diagnose(Squeezed(), ROWS[:inputs])
    last = found.layers[-1]
    assert last.activation == "relu"
    assert math.isnan(last.dead) if inputs == 1 else last.dead == 0.0  # not the share of inputs where it is zero
