"""The phase diagram: what is drawn where, in light and dark."""

import math
import sys

import numpy as np
import pytest

from wellbegun.diagnosis.phase_figure import phase_figure, save_phase_figure
from wellbegun.diagnosis.phase_plane import THEMES, PhasePlane
from wellbegun.errors import ArgumentError, MissingExtraError, OutputError
from wellbegun.theory import ChainLayer, MeanField, critical, find_activation

pytest.importorskip("matplotlib")


@pytest.mark.parametrize("name", ["tanh", "gelu", "selu"])
def test_the_plane_is_that_of_mean_field(name: str) -> None:
    plane = PhasePlane.of(find_activation(name), [])
    checked = 0
    for row, column in ((0, 40), (30, 100), (90, 130), (150, 180), (179, 240)):
        field = MeanField(name, float(plane.weights[column]), float(plane.biases[row]))
        if math.isnan(plane.log_chi[row, column]):
            assert all(point.q < 1 for point in field.fixed_points())
            continue
        checked += 1
        assert plane.log_chi[row, column] == pytest.approx(math.log(field.chi), abs=5e-3)
    assert checked >= 2


def test_marks_and_legend() -> None:
    layers = [ChainLayer(64, 64, 1.5 / 8, 0.2), ChainLayer(64, 10, 1.0 / 8, 0.0)]
    figure = phase_figure("tanh", {"mine": layers, "Xavier": (1.0, 0.0)})
    axes = figure.axes[0]
    drawn = {each.get_label(): each.get_offsets() for each in axes.collections if not each.get_label().startswith("_")}
    np.testing.assert_allclose(drawn["mine"], [[2.25, 0.04], [1.0, 0.0]])
    np.testing.assert_allclose(drawn["Xavier"], [[1.0, 0.0]])
    assert {text.get_text() for text in axes.get_legend().get_texts()} == {"critical", "mine", "Xavier"}
    line = next(each for each in axes.lines if each.get_label() == "critical")
    weights, biases = (np.asarray(each) for each in line.get_data())
    point = critical("tanh", q=1.0)
    assert np.interp(point.weight_variance, weights, biases) == pytest.approx(point.bias_variance, rel=0.01)


def test_unstable_points_are_dotted_and_a_single_one_is_a_ring() -> None:
    gelu = phase_figure("gelu").axes[0]
    assert {each.get_label(): each.get_linestyle() for each in gelu.lines if not each.get_label().startswith("_")} == {
        "critical": "-",
        "critical, unstable": ":",
    }
    relu = phase_figure("relu", {"He": (2.0, 0.0)}).axes[0]
    ring = next(each for each in relu.lines if each.get_label() == "critical")
    assert np.asarray(ring.get_data()).ravel() == pytest.approx([2.0, 0.0])


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_files(theme: str, tmp_path) -> None:
    path = save_phase_figure("tanh", tmp_path / "phase.png", theme=theme)  # type: ignore[arg-type]
    from matplotlib.image import imread

    picture = imread(path)
    assert picture.shape[:2] == (736, 1120)
    paper = [int(THEMES[theme].paper[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    assert picture[2, 2, :3] == pytest.approx(paper, abs=0.01)


def test_refusals(tmp_path, monkeypatch) -> None:
    with pytest.raises(ArgumentError, match="'light' or 'dark', not 'blue'"):
        phase_figure("tanh", theme="blue")  # type: ignore[arg-type]
    for bad in ((1.0,), (1.0, -1.0), [(1.0, 0.0), (2.0, 0.0)]):
        with pytest.raises(ArgumentError, match="the mark 'x' has to be"):
            phase_figure("tanh", {"x": bad})  # type: ignore[dict-item]
    with pytest.raises(OutputError, match="cannot be written"):
        save_phase_figure("tanh", tmp_path / "phase.nothing")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"wellbegun\[report\]"):
        phase_figure("tanh")
