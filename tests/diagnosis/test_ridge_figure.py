"""Ridges: what a person has to see in them is there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

import wellbegun as wb
from wellbegun.diagnosis import Diagnosis, measure
from wellbegun.diagnosis.flat import flat_beyond
from wellbegun.diagnosis.panel import LIGHT_PROFILE
from wellbegun.diagnosis.ridge_figure import FAR, SHOWN, ridge_panels

ROWS = torch.randn(64, 32, generator=torch.Generator().manual_seed(3))


def chain(activation: type[nn.Module], depth: int) -> nn.Sequential:
    hidden = [layer for _ in range(depth) for layer in (nn.Linear(32, 32), activation())]
    return nn.Sequential(*hidden, nn.Linear(32, 4))


def painted(found: Diagnosis, what: str, marks: tuple[int, ...] = ()):
    axes = Figure().add_subplot()
    panel = ridge_panels(found, marks)[what]
    panel.paint(axes, LIGHT_PROFILE)
    return panel, axes


def bars(axes, colour: str) -> list[float]:
    """Lengths of the upright bars at zero."""
    return [
        np.ptp(line.get_ydata())
        for line in axes.lines
        if list(line.get_xdata()) == [0, 0] and line.get_color() == colour
    ]


def ridge(axes, row: int) -> tuple[np.ndarray, np.ndarray]:
    fills = [c for c in axes.collections if c.get_facecolor()[0][3] == pytest.approx(0.8)]
    across, up = fills[row].get_paths()[0].vertices.T
    return across, up + row


@pytest.fixture(scope="module", autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def test_saturation_is_two_heaps_at_the_ends_and_a_shaded_zone() -> None:
    model = chain(nn.Tanh, 3)
    with torch.no_grad():
        model[2].weight.mul_(40)
    found = wb.diagnose(model, ROWS)
    panel, axes = painted(found, "behind")
    across, up = ridge(axes, 1)
    highest = across[up > 0.8 * up.max()]
    assert min(abs(np.sinh(highest))) > 0.85  # the axis is bent
    assert up[abs(across) < 0.4].max() < 0.3 * up.max()
    panel, axes = painted(found, "before")
    assert "Shaded: where tanh is flat" in panel.caption
    assert len(axes.patches) == 2


def test_dead_units_are_red_bars_as_long_as_their_share() -> None:
    model = chain(nn.ReLU, 3)
    with torch.no_grad():
        model[2].bias[:24] = -100.0
    found = wb.diagnose(model, ROWS)
    _, axes = painted(found, "behind")
    red = bars(axes, LIGHT_PROFILE.fault)
    assert found.layers[1].dead in [pytest.approx(length) for length in red]
    grey = bars(axes, LIGHT_PROFILE.quiet)
    spread = found.facts.spreads[1].behind
    assert spread.zeros / spread.total - found.layers[1].dead in [pytest.approx(length) for length in grey]
    assert "zeros" in axes.get_legend_handles_labels()[1]


def test_collapse_is_a_line_much_narrower_than_its_ridge() -> None:
    found = wb.diagnose(chain(nn.Sigmoid, 6), ROWS)
    assert found.layers[5].cosine > 0.99
    _, axes = painted(found, "before")
    lines = [line for line in axes.lines if line.get_color() == LIGHT_PROFILE.ink and line.get_marker() == "None"]
    widths = [(np.ptp(line.get_xdata()), np.ptp(ridge(axes, row)[0])) for row, line in enumerate(lines)]
    assert widths[0][0] > 0.8 * widths[0][1]
    assert widths[5][0] < 0.2 * widths[5][1]


def test_outliers_are_dots_where_they_lie() -> None:
    model = chain(nn.Tanh, 2)
    with torch.no_grad():
        model[0].weight[5] *= 300
    found = wb.diagnose(model, ROWS)
    panel, axes = painted(found, "before")
    assert f"Dots: beyond {FAR:.0f} root mean squares" in panel.caption
    (dots,) = [line for line in axes.lines if line.get_marker() == "o"]
    values = model[0](ROWS).detach()
    far = values[values.abs() > 7 * values.square().mean().sqrt()]
    assert len(far) > 0
    assert len(dots.get_xdata()) >= 1


def test_of_many_layers_some_are_drawn_those_that_fail_among_them() -> None:
    found = wb.diagnose(chain(nn.Tanh, 5), ROWS)
    layers = tuple(found.layers[k % 5] for k in range(1000))
    spreads = tuple(found.facts.spreads[k % 5] for k in range(1000))
    many = replace(found, facts=replace(found.facts, layers=layers, spreads=spreads))
    panel, axes = painted(many, "before", (334,))
    shown = [int(label.get_text()) for label in axes.get_yticklabels()]
    assert len(shown) <= SHOWN
    assert {1, 334, 1000} <= set(shown)
    assert shown == sorted(shown)
    assert panel.caption.endswith(f"{len(shown)} of 1,000 layers are drawn.")


def test_zeros_alone_and_numbers_that_are_not_finite_are_drawn() -> None:
    model = chain(nn.ReLU, 2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model[4].bias[0] = float("nan")
    found = wb.diagnose(model, ROWS)
    _, axes = painted(found, "before")
    assert bars(axes, LIGHT_PROFILE.quiet) == [1.0, 1.0, pytest.approx(0.75)]
    assert [line.get_label() for line in axes.lines if line.get_marker() == "x"] == ["not finite"]


def test_a_vanished_and_an_exploded_signal_have_axes_that_hold_them() -> None:
    model = chain(nn.ReLU, 12)
    with torch.no_grad():
        for layer in model[::2]:
            layer.weight.mul_(30)
            layer.bias.zero_()
    found = wb.diagnose(model, ROWS)
    _, axes = painted(found, "before")
    for row in range(13):
        across, _ = ridge(axes, row)
        assert axes.get_xlim()[0] <= across.min() <= across.max() <= axes.get_xlim()[1]
    assert len(axes.get_xticks()) <= 9
    assert np.ptp(ridge(axes, 12)[0]) > 5 * np.ptp(ridge(axes, 0)[0])  # the growth is seen


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "erf", "atan", "softsign", "hardtanh"])
def test_zones_are_where_the_diagnosis_counts_values_as_flat(activation: str) -> None:
    ((_, low), (high, _)) = flat_beyond(activation)
    assert low == -high
    function = getattr(torch, activation, None) or getattr(nn.functional, activation)
    for place, share in ((high * 1.001, 1.0), (high * 0.999, 0.0), (low * 1.001, 1.0), (low * 0.999, 0.0)):
        assert measure.flat_share(activation, function(torch.tensor([place], dtype=torch.float64))) == share
    assert flat_beyond("gelu") == ()
