"""The figure of a diagnosis: its numbers are those of the diagnosis, and nothing breaks on odd networks."""

from __future__ import annotations

import math
import sys

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from torch import nn

import wellbegun as wb
from wellbegun.diagnosis import Diagnosis
from wellbegun.diagnosis.panel import LIGHT_PROFILE
from wellbegun.errors import MissingExtraError

TITLES = ["signal", "gradient", "cosine between inputs", "lost units", "outputs", "activations", "phase diagram"]


def chain(activation: type[nn.Module], depth: int, width: int = 32) -> nn.Sequential:
    hidden = [layer for _ in range(depth) for layer in (nn.Linear(width, width), activation())]
    return nn.Sequential(*hidden, nn.Linear(width, 4))


def batch(width: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    made = torch.Generator().manual_seed(3)
    return torch.randn(48, width, generator=made), torch.randint(4, (48,), generator=made)


@pytest.fixture(scope="module")
def deep() -> Diagnosis:
    torch.manual_seed(0)
    return wb.diagnose(chain(nn.ReLU, 20), batch(), theory=True)


@pytest.fixture(scope="module")
def torn() -> Diagnosis:
    """A layer of zeros in the middle: the signal is zero there, and no gradient comes through."""
    torch.manual_seed(0)
    model = chain(nn.Tanh, 6)
    with torch.no_grad():
        model[8].weight.zero_()
        model[8].bias.zero_()
    return wb.diagnose(model, batch(), theory=True)


def titles(figure) -> list[str]:
    return [axes.get_title(loc="left") for axes in figure.axes]


def line(axes, label: str) -> list[float]:
    (found,) = [line for line in axes.lines if line.get_label() == label]
    return [float(value) for value in found.get_ydata()]


def drawn(figure) -> np.ndarray:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())


def test_the_lines_are_the_measured_and_the_predicted_numbers(deep) -> None:
    figure = deep.figure()
    assert titles(figure) == TITLES
    signal, gradient, cosine, units, *_ = figure.axes
    assert line(signal, "measured") == [layer.signal for layer in deep.layers]
    assert line(signal, "theory") == [layer.expected for layer in deep.layers]
    assert line(gradient, "measured") == [layer.gradient for layer in deep.layers]
    assert line(gradient, "theory") == [layer.expected_gradient for layer in deep.layers]
    assert line(cosine, "outputs") == [layer.cosine for layer in deep.layers]
    assert line(cosine, "inputs") == [deep.facts.data_cosine] * 2
    assert line(units, "dead")[:-1] == [layer.dead for layer in deep.layers[:-1]]
    assert math.isnan(line(units, "dead")[-1])  # the output layer has no activation
    assert signal.get_yscale() == gradient.get_yscale() == "log"


class Residual(nn.Module):
    def __init__(self, depth: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Linear(32, 32) for _ in range(depth))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = x + torch.tanh(block(x))
        return x


def edges(axes, theory: list[float]) -> list[tuple[float, float]]:
    """The band that was filled, at each layer."""
    (band,) = axes.collections
    corners = [(float(x), float(y)) for x, y in band.get_paths()[0].vertices]
    at = [[y for x, y in corners if x == place] for place in range(1, len(theory) + 1)]
    return [(min(values), max(values)) for values in at]


def test_the_band_of_a_chain_is_that_of_its_draws(deep) -> None:
    assert len(deep.facts.bands) == 21
    for axes, name, what in zip(
        deep.figure().axes, ("expected", "expected_gradient"), ("signal", "gradient"), strict=False
    ):
        filled = edges(axes, [getattr(layer, name) for layer in deep.layers])
        for band, drawn_edges in zip(deep.facts.bands, filled, strict=True):
            assert drawn_edges == pytest.approx(getattr(band, what), rel=1e-9)


def test_of_other_networks_it_is_what_the_findings_allow_for() -> None:
    """exp(3 sqrt(5 L/n)) around theory, by hand; it opens forward for the signal, backward for the gradient."""
    torch.manual_seed(0)
    found = wb.diagnose(Residual(6), batch(), theory=True, loss=lambda output, target: output.square().mean())
    assert found.facts.bands == ()
    figure, chance = found.figure(), np.cumsum([5 / 32] * 6)
    for axes, sums, name in (
        (figure.axes[0], chance, "expected"),
        (figure.axes[1], chance[::-1], "expected_gradient"),
    ):
        theory = [getattr(layer, name) for layer in found.layers]
        assert min(theory) > 0
        for middle, reach, filled in zip(theory, np.exp(3 * np.sqrt(sums)), edges(axes, theory), strict=True):
            assert filled == pytest.approx((middle / reach, middle * reach), rel=1e-9)


def test_guilty_layers_are_marked_in_every_panel(deep) -> None:
    names = [layer.name for layer in deep.layers]
    guilty = sorted({names.index(f.layer) + 1 for f in deep.findings if f.level == "error"})
    assert guilty[0] == 1
    assert len(guilty) >= 2
    figure = deep.figure()
    for axes in figure.axes[4:6]:
        red = {label.get_text() for label in axes.get_yticklabels() if label.get_color() == LIGHT_PROFILE.fault}
        assert red == {str(place) for place in guilty}
    for axes in figure.axes[:4]:
        across = [line.get_xdata() for line in axes.lines if len(line.get_xdata()) == 2]
        upright = [x for x, other in across if x == other]
        assert upright == guilty


def test_zeros_are_crosses_at_the_edge_and_not_gaps_alone(torn) -> None:
    signal, gradient, *_ = torn.figure().axes
    (cross,) = [line for line in signal.lines if line.get_label() == "zero"]
    assert list(cross.get_xdata()) == [5]
    assert list(cross.get_ydata()) == [signal.get_ylim()[0]]
    (cross,) = [line for line in gradient.lines if line.get_label() == "zero"]
    assert list(cross.get_xdata()) == [place for place, x in enumerate(torn.layers, start=1) if x.gradient == 0]


def test_numbers_that_are_not_finite_are_crosses_at_the_top() -> None:
    model = chain(nn.Tanh, 3)
    with torch.no_grad():
        model[4].weight[0, 0] = math.inf
    found = wb.diagnose(model, batch())
    figure = found.figure()
    (cross,) = [line for line in figure.axes[1].lines if line.get_label() == "not finite"]
    assert list(cross.get_ydata()) == [figure.axes[1].get_ylim()[1]] * len(cross.get_xdata())
    drawn(figure)


def test_a_network_of_zeros_alone_is_drawn() -> None:
    model = chain(nn.Tanh, 2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    figure = wb.diagnose(model, batch(), theory=True).figure()
    drawn(figure)
    assert line(figure.axes[0], "zero") == [figure.axes[0].get_ylim()[0]] * 3


def test_a_skeleton_shows_theory_alone() -> None:
    with wb.skeleton():
        empty = chain(nn.Tanh, 4)
    figure = wb.diagnose(empty, "vector:32", plan=wb.plan(empty, "vector:32", seed=1)).figure()
    assert titles(figure) == ["signal", "gradient", "phase diagram"]
    for axes in figure.axes[:2]:
        assert {line.get_label() for line in axes.lines} == {"theory"}
    drawn(figure)


def test_one_layer_alone_is_drawn() -> None:
    figure = wb.diagnose(nn.Linear(32, 4), batch()).figure()
    assert titles(figure) == [*TITLES[:3], "outputs"]
    drawn(figure)


def test_dark_is_drawn_on_dark_and_settings_stay_as_they_were(deep) -> None:
    matplotlib.rcParams["font.size"] = 23
    try:
        light, dark = drawn(deep.figure()), drawn(deep.figure(dark=True))
        assert matplotlib.rcParams["font.size"] == 23
    finally:
        matplotlib.rcdefaults()
    assert light.shape == dark.shape
    assert list(light[0, 0]) == [255, 255, 255, 255]
    assert max(dark[0, 0][:3]) < 40


def test_without_matplotlib_the_error_says_what_to_install(deep, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"wellbegun\[report\]"):
        deep.figure()
