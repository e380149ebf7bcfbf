"""A diagnosis as a figure: signal, gradient, cosine between inputs, and lost units, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from wellbegun.diagnosis.findings.scale import SPREAD
from wellbegun.diagnosis.panel import DARK_PROFILE, LIGHT_PROFILE, WIDTH, Panel, ProfileLook, draw, set_style
from wellbegun.diagnosis.phase_panel import phase_panels, phase_sentence
from wellbegun.diagnosis.ridge_figure import ridge_panels
from wellbegun.diagnosis.sweep_figure import log_axis
from wellbegun.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from wellbegun.diagnosis.diagnosis import Diagnosis

CROWDED = 40
"""Layers from which on a marker for each would hide the line."""

_AXIS_REACH = 30.0
"""Factor around theory up to which the band widens the axis: that of a narrow network would flatten all else."""


def profile_figure(diagnosis: Diagnosis, *, dark: bool = False) -> Figure:
    """Draw the profile of a diagnosis, two panels in a row.

    Args:
        diagnosis: what to draw.
        dark: for a dark background.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("matplotlib", "report", "drawing a diagnosis") from None
    look, rows = DARK_PROFILE if dark else LIGHT_PROFILE, _rows(list(panels(diagnosis).values()))
    heights = [max(panel.height for panel in row) for row in rows]
    with matplotlib.rc_context():  # a user's own style must not change the figure, nor the figure the user's style
        matplotlib.rcdefaults()
        set_style(look)
        figure = Figure(figsize=(2 * WIDTH, sum(heights)), facecolor=look.paper, layout="constrained")
        grid = figure.add_gridspec(len(rows), 2, height_ratios=heights)
        for row, shown in enumerate(rows):
            for column, panel in enumerate(shown):
                draw(panel, figure.add_subplot(grid[row, column]), look)
        if said := phase_sentence(diagnosis.facts):
            figure.supxlabel("\n".join(wrap(said, 110)), x=0.01, ha="left", fontsize=9, color=look.quiet)
    return figure


def panels(diagnosis: Diagnosis) -> dict[str, Panel]:
    """Return the panels that a diagnosis has numbers for: of a skeleton, "signal" and "gradient" alone.

    The band around theory is that of 99 of 100 draws for a plain chain (`wellbegun.theory.predict_chain`), and else
    what the findings allow for: a factor exp(3 sqrt(sum of 5 / width)) over the layers that a number has come through
    (Hanin and Rolnick 2018, arXiv 1803.01719).

    Args:
        diagnosis: what to draw.
    """
    layers, marks = diagnosis.layers, guilty_places(diagnosis)
    said = "Dotted red: where a finding of level error begins. " if marks else ""
    theory = "Shaded: how far from theory a sound network of these widths may end by chance. "
    if diagnosis.facts.bands:
        theory = "Shaded: where 99 of 100 draws of such weights end, by theory. "
    known = any(layer.expected > 0 for layer in layers)
    tail = (theory if known and all(layer.width for layer in layers) else "") + said
    found = {
        key: Panel(title, f"{words} {tail}".strip(), _moments(diagnosis, key, marks))
        for key, title, words in (
            ("signal", "signal", "Second moment of each layer's output, before its activation: level is healthy."),
            ("gradient", "gradient", "Second moment of the loss's gradient there: level is healthy."),
        )
    }
    if any(not math.isnan(layer.cosine) for layer in layers):
        words = "Mean cosine between a layer's outputs for different inputs: at 1, it no longer tells them apart."
        found["cosine"] = Panel("cosine between inputs", f"{words} {said}".strip(), _cosines(diagnosis, marks))
    if any(not math.isnan(share) for layer in layers if layer.activation for share in (layer.dead, layer.saturated)):
        words = "Dead: units that are zero for every input. Saturated: values where the activation is flat."
        found["units"] = Panel("lost units", f"{words} {said}".strip(), _shares(diagnosis, marks))
    return found | ridge_panels(diagnosis, marks) | phase_panels(diagnosis.facts)


def guilty_places(diagnosis: Diagnosis) -> list[int]:
    """Return the places, from 1 on, of the layers that findings of level error name."""
    guilty = {finding.layer for finding in diagnosis.findings if finding.level == "error"}
    names = [layer.name for layer in diagnosis.layers]
    return sorted(names.index(name) + 1 for name in guilty if name in names)


def _rows(shown: Sequence[Panel]) -> list[list[Panel]]:
    """Two panels in a row, of one height."""
    rows: list[list[Panel]] = []
    for panel in shown:
        if rows and len(rows[-1]) < 2 and rows[-1][0].height == panel.height:
            rows[-1].append(panel)
        else:
            rows.append([panel])
    return rows


def _moments(diagnosis: Diagnosis, what: str, marks: Sequence[int]) -> Callable[[Axes, ProfileLook], None]:
    layers = diagnosis.layers
    measured = [getattr(layer, what) for layer in layers]
    expected = [layer.expected if what == "signal" else layer.expected_gradient for layer in layers]
    low, high = _band(diagnosis, what, expected)

    def paint(axes: Axes, look: ProfileLook) -> None:
        _across(axes, len(layers), marks, look)
        sizes = [*expected] if diagnosis.predicted else [*measured, *expected]
        if any(value > 0 for value in expected):
            theory = [value if value > 0 else math.nan for value in expected]
            axes.fill_between(range(1, len(layers) + 1), low, high, color=look.theory, alpha=0.16, linewidth=0)
            _line(axes, theory, "theory", look.theory, linestyle="--", marker="_", markersize=8, zorder=2.5)
            sizes += [max(edge, value / _AXIS_REACH) for edge, value in zip(low, theory, strict=True)]
            sizes += [min(edge, value * _AXIS_REACH) for edge, value in zip(high, theory, strict=True)]
        log_axis(axes, [value for value in sizes if 0 < value < math.inf] or [1.0])
        if not diagnosis.predicted:
            _line(axes, [value if 0 < value < math.inf else math.nan for value in measured], "measured", look.measured)
            _off_the_axis(axes, measured, look)

    return paint


def _band(diagnosis: Diagnosis, what: str, expected: Sequence[float]) -> tuple[list[float], list[float]]:
    """Lowest and highest second moment of each layer; nan where theory has none."""
    if diagnosis.facts.bands:
        ranges = [getattr(band, what) for band in diagnosis.facts.bands]
    else:
        reach = _reach([layer.width for layer in diagnosis.layers], back=what == "gradient")
        ranges = [(value / factor, value * factor) for value, factor in zip(expected, reach, strict=True)]
    low, high = ([edges[end] if edges[end] > 0 else math.nan for edges in ranges] for end in (0, 1))
    return low, high


def _reach(widths: Sequence[int], *, back: bool) -> list[float]:
    """Factor that chance may put between theory and one draw, at each layer; 1 where a width is not known."""
    if not all(widths):
        return [1.0] * len(widths)
    way = widths[::-1] if back else widths
    factors = [math.exp(min(3 * math.sqrt(total), 300.0)) for total in accumulate(SPREAD / width for width in way)]
    return factors[::-1] if back else factors


def _cosines(diagnosis: Diagnosis, marks: Sequence[int]) -> Callable[[Axes, ProfileLook], None]:
    def paint(axes: Axes, look: ProfileLook) -> None:
        cosines = [layer.cosine for layer in diagnosis.layers]
        _across(axes, len(cosines), marks, look)
        data = diagnosis.facts.data_cosine
        if math.isfinite(data):
            axes.axhline(data, color=look.quiet, linewidth=1.2, linestyle=(0, (4, 2)), label="inputs")
        _line(axes, cosines, "outputs", look.measured)
        lowest = min([0.0, data, *cosines], key=lambda value: value if math.isfinite(value) else 0.0)
        axes.set_ylim(lowest - 0.05, 1.05)

    return paint


def _shares(diagnosis: Diagnosis, marks: Sequence[int]) -> Callable[[Axes, ProfileLook], None]:
    def paint(axes: Axes, look: ProfileLook) -> None:
        from matplotlib.ticker import PercentFormatter

        layers = diagnosis.layers
        _across(axes, len(layers), marks, look)
        for what, colour, dashes in (("dead", look.measured, "-"), ("saturated", look.theory, "--")):
            shares = [getattr(layer, what) if layer.activation else math.nan for layer in layers]
            _line(axes, shares, what, colour, linestyle=dashes)
        axes.set_ylim(-0.03, 1.03)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))

    return paint


def _across(axes: Axes, number: int, marks: Iterable[int], look: ProfileLook) -> None:
    """An axis of whole numbers for the layers, and where they fail."""
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel("layer, in the order of execution", fontsize=9)
    axes.set_xlim(0.5, max(number, 1) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
    for mark in marks:
        axes.axvline(mark, color=look.fault, linewidth=1.2, linestyle=(0, (1, 2)), zorder=1.5)


def _line(axes: Axes, values: Sequence[float], label: str, colour: str, **more: Any) -> None:
    given: dict[str, Any] = {"linewidth": 1.8, "marker": "o", "markersize": 3.5} | more
    if len(values) > CROWDED:
        given["marker"] = ""
    axes.plot(range(1, len(values) + 1), values, color=colour, label=label, **given)


def _off_the_axis(axes: Axes, values: Sequence[float], look: ProfileLook) -> None:
    """Crosses for what a logarithmic axis has no place for: zero at the bottom, infinite at the top."""
    low, high = axes.get_ylim()
    for edge, label, fits in ((low, "zero", lambda x: x == 0), (high, "not finite", math.isinf)):
        places = [place for place, value in enumerate(values, start=1) if fits(value)]
        if places:
            axes.plot(
                places, [edge] * len(places), "x", color=look.fault, label=label, markersize=5, markeredgewidth=1.5,
                clip_on=False, zorder=4,
            )  # fmt: skip
