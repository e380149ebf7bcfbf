"""How a sweep is shown: table, JSON, notebook, figure."""

from __future__ import annotations

import io
import json
import math
import sys
from dataclasses import replace

import matplotlib
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from rich.console import Console
from torch import nn, optim

import wellbegun as wb
from wellbegun.diagnosis.sweep_table import shown_steps
from wellbegun.errors import MissingExtraError


def build(width: int, depth: int = 2) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Linear(8, width)]
    for _ in range(depth):
        layers += [nn.ReLU(), nn.Linear(width, width)]
    return nn.Sequential(*layers, nn.Linear(width, 3))


def sgd(model: nn.Module) -> optim.Optimizer:
    return optim.SGD(model.parameters(), lr=0.1)


@pytest.fixture(scope="module")
def trained():
    return wb.sweep(build, "vector:8", widths=[16, 32, 64], seeds=2, recipe="normal(std=1)", optimizer=sgd, steps=2)


@pytest.fixture(scope="module")
def both():
    return wb.sweep(build, "vector:8", widths=[16, 32], depths=[1, 2], seeds=1, recipe="he")


def drawn(figure) -> bytes:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return bytes(canvas.buffer_rgba())


def test_json_holds_everything_and_no_number_that_json_lacks(trained) -> None:
    record = json.loads(trained.to_json(), parse_constant=lambda text: pytest.fail(text))
    assert record["wellbegun_sweep"] == 1
    assert record["widths"] == [16, 32, 64]
    assert len(record["points"]) == len(trained.points) == 3 * 2 * 3 * 4
    assert record["failing"] == list(trained.failing)
    first = trained.points[0]
    assert record["points"][0]["signal"] == first.signal
    assert record["scalings"][0]["size"] == {"value": trained.scalings[0].size.value,
                                             "error": trained.scalings[0].size.error}  # fmt: skip
    infinite = replace(trained, points=(replace(first, signal=math.inf),))
    assert json.loads(infinite.to_json())["points"][0]["signal"] is None


def test_the_table_fits_and_names_what_fails(trained) -> None:
    shown = str(trained)
    assert max(map(len, shown.splitlines())) <= 120
    assert shown.startswith("the size of 3 layers goes with the width, from width 16 to 64 (wanted: slopes within ±")
    assert "  2.weight: grows like width^0.5" in shown
    assert "t = 0" in shown
    assert "t = 2" in shown
    assert "! +0.5" in shown
    buffer = io.StringIO()
    Console(file=buffer, width=120).print(trained)
    assert "over the width, before training: 2 seeds, weights by normal" in buffer.getvalue()
    assert repr(trained).startswith("Sweep(widths=(16, 32, 64), seeds=(0, 1), steps=2, failing=('2.weight',")


def test_the_depths_have_a_table_of_their_own(both) -> None:
    lines = str(both).splitlines()
    heading = next(line for line in lines if "signal a layer" in line)
    assert heading.split() == [*"depth width layers signal a layer gradient a layer cosine at the end".split()]
    rows = [line.split() for line in lines[lines.index(heading) + 2 :][:4]]
    assert [row[:3] for row in rows] == [["1", "16", "2"], ["2", "16", "3"], ["1", "32", "2"], ["2", "32", "3"]]
    assert float(rows[0][3]) == pytest.approx(both.rates[0].signal.value, rel=0.01)


def test_the_notebook_shows_the_text_escaped(trained) -> None:
    named = replace(trained, recipe="<b>")
    html = named._repr_html_()
    assert html.startswith("<pre")
    assert "<b>" not in html
    assert "weights by &lt;b&gt;" in html


def test_many_steps_are_thinned_out() -> None:
    assert shown_steps(0) == [0]
    assert shown_steps(4) == [0, 1, 2, 3, 4]
    assert shown_steps(100) == [0, 25, 50, 75, 100]


def test_the_figure_of_a_coordinate_check_has_a_panel_for_each_step(trained) -> None:
    figure = trained.figure()
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["size at t = 0", "size at t = 1", "size at t = 2"]
    for axes, step in zip(figure.axes, range(3), strict=True):
        lines = [line for line in axes.lines if line.get_marker() == "o"]
        at_step = [s for s in trained.scalings if s.step == step]
        assert [list(line.get_ydata()) for line in lines] == [list(s.sizes) for s in at_step]
        assert len([line for line in axes.lines if line.get_marker() == "x"]) == sum(bool(s.fault) for s in at_step)
    assert len({axes.get_ylim() for axes in figure.axes}) == 1  # one axis for all steps, so that they compare
    legend = [text.get_text() for text in figure.axes[-1].get_legend().get_texts()]
    assert legend == ["0.weight", *(f"✗ {name}" for name in trained.failing)]


def test_the_figure_of_widths_and_depths(both) -> None:
    figure = both.figure()
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_visible()]
    assert titles == [
        *("size, depth 1", "gradient, depth 1", "cosine between inputs, depth 1"),
        *("size, depth 2", "gradient, depth 2", "cosine between inputs, depth 2"),
        *("signal, factor a layer", "gradient, factor a layer", "cosine between inputs at the end"),
    ]
    rates = figure.axes[6]
    widths = [list(line.get_ydata()) for line in rates.lines if line.get_marker() == "o"]
    assert widths == [[r.signal.value for r in both.rates if r.width == width] for width in (16, 32)]


def test_light_and_dark_figures_leave_the_users_style_alone(trained) -> None:
    before = dict(matplotlib.rcParams)
    light, dark = trained.figure(), trained.figure(dark=True)
    assert light.get_facecolor()[:3] == (1, 1, 1)
    assert max(dark.get_facecolor()[:3]) < 0.2
    titles = [figure.axes[0]._left_title.get_color() for figure in (light, dark)]
    assert titles == ["#1d2733", "#e8ecf0"]
    assert drawn(light) != drawn(dark)
    assert dict(matplotlib.rcParams) == before


def test_the_figure_draws_what_is_zero_or_infinite(trained) -> None:
    bad = tuple(replace(s, sizes=(0.0, math.inf, math.nan), gradients=(math.nan,) * 3) for s in trained.scalings)
    assert drawn(replace(trained, scalings=bad).figure())
    assert drawn(replace(trained, scalings=bad, steps=0).figure())


def test_names_the_extra_that_is_missing(trained, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"matplotlib.*wellbegun\[report\]"):
        trained.figure()
