"""A sweep as a figure: sizes, gradients and cosines over the width; rates and cosines over the depth."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wellbegun.diagnosis.sweep_table import shown_steps
from wellbegun.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from wellbegun.diagnosis.scaling import Scaling
    from wellbegun.diagnosis.swept import Sweep

NAMED = 12
"""Layers that a legend names; of more, those at even distances, and those that fail unless there are many."""

_LINE: Any = {"marker": "o", "markersize": 3.5, "linewidth": 1.8}

PANEL = 3.0
"""Width and height of one panel, in inches."""


@dataclass(frozen=True)
class Look:
    """Colours for a light or a dark background."""

    paper: str
    ink: str
    quiet: str
    grid: str
    fault: str
    colours: str
    low: float
    high: float

    def colour(self, place: int, number: int) -> Any:
        """The colour of one line among some, from the first to the last."""
        from matplotlib import colormaps

        share = place / (number - 1) if number > 1 else 0.5
        return colormaps[self.colours](self.low + (self.high - self.low) * share)


LIGHT = Look("#ffffff", "#1d2733", "#5b6673", "#e6eaee", "#c62828", "viridis", 0.0, 0.82)
DARK = Look("#14181d", "#e8ecf0", "#9aa5b1", "#2b323a", "#ff7b72", "viridis", 0.3, 1.0)


def sweep_figure(sweep: Sweep, *, dark: bool = False) -> Figure:
    """Draw a sweep: a row of panels over the widths for each depth, and one over the depths.

    Args:
        sweep: what to draw.
        dark: for a dark background.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("matplotlib", "report", "drawing a sweep") from None
    look = DARK if dark else LIGHT
    rows: list[list[Callable[[Axes], None]]] = []
    if sweep.widths:
        depths = list(dict.fromkeys(scaling.depth for scaling in sweep.scalings))
        rows += [_width_panels(sweep, [s for s in sweep.scalings if s.depth == depth], look) for depth in depths]
    if sweep.depths:
        rows.append(_depth_panels(sweep, look))
    columns = max(len(row) for row in rows)
    with matplotlib.rc_context():  # a user's own style must not change the figure, nor the figure the user's style
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({"font.size": 10, "text.color": look.ink, "axes.labelcolor": look.quiet})
        size = (PANEL * columns + 1.8, PANEL * len(rows) + 0.3)
        figure = Figure(figsize=size, facecolor=look.paper, layout="constrained")
        grid = figure.subplots(len(rows), columns, squeeze=False)
        for row, panels in zip(grid, rows, strict=True):
            for axes in row[len(panels) :]:
                axes.set_visible(False)
            for axes, paint in zip(row, panels, strict=False):
                dress(axes, look)
                paint(axes)
            names = row[len(panels) - 1]
            if names.get_legend_handles_labels()[0]:
                legend = names.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False, handlelength=2.6)
                for text in legend.get_texts():
                    text.set_color(look.fault if text.get_text().startswith("✗") else look.ink)
    return figure


def dress(axes: Axes, look: Look) -> None:
    """Give axes the house's plain frame and a look's colours."""
    axes.set_facecolor(look.paper)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(look.quiet)
    axes.tick_params(which="both", length=0, labelcolor=look.quiet, labelsize=9)
    axes.grid(color=look.grid, linewidth=0.8)
    axes.set_axisbelow(True)


def _width_panels(sweep: Sweep, scalings: Sequence[Scaling], look: Look) -> list[Callable[[Axes], None]]:
    """Without training: size, gradient, cosine. With training: the sizes after each step."""
    depth = f", depth {scalings[0].depth}" if scalings[0].depth is not None else ""
    start = [scaling for scaling in scalings if scaling.step == 0]
    if sweep.steps:
        return [
            _painter(
                sweep, [s for s in scalings if s.step == step], "sizes", f"size at t = {step}{depth}", look, logs=True
            )
            for step in shown_steps(sweep.steps)
        ]
    return [
        _painter(sweep, start, "sizes", f"size{depth}", look, logs=True),
        _painter(sweep, start, "gradients", f"gradient{depth}", look, logs=True),
        _painter(sweep, start, "cosines", f"cosine between inputs{depth}", look, logs=False),
    ]


def _painter(
    sweep: Sweep, scalings: Sequence[Scaling], what: str, title: str, look: Look, *, logs: bool
) -> Callable[[Axes], None]:
    """Draw a line for each layer, with crosses if it fails at this step, and in the legend if it ever does."""

    def paint(axes: Axes) -> None:
        axes.set_title(title, fontsize=10.5, loc="left", color=look.ink)
        axes.set_xlabel("width", fontsize=9)
        at_depth = [s for s in sweep.scalings if s.depth == scalings[0].depth]
        failing = {s.layer for s in at_depth if s.fault}
        failing_places = {place for place, s in enumerate(scalings) if s.layer in failing}
        named = _evenly(len(scalings))
        if len(named | failing_places) <= 2 * NAMED:
            named |= failing_places
        for place, scaling in enumerate(scalings):
            values = [v if math.isfinite(v) and (v > 0 or not logs) else math.nan for v in getattr(scaling, what)]
            label = "_" if place not in named else f"✗ {scaling.layer}" if scaling.layer in failing else scaling.layer
            colour, dashes = look.colour(place, len(scalings)), ("-", "--", ":", "-.")[place % 4]
            axes.plot(sweep.widths, values, color=colour, linestyle=dashes, label=label, **_LINE)
            if scaling.fault and what == "sizes":
                axes.plot(sweep.widths, values, "x", color=look.fault, markersize=6, markeredgewidth=1.6, zorder=3)
        axes.set_xscale("log", base=2)
        axes.set_xticks(sweep.widths, [str(width) for width in sweep.widths])
        axes.minorticks_off()
        if logs:
            # with training, all steps share one axis, so that they can be compared
            shown = at_depth if sweep.steps else scalings
            log_axis(axes, [value for scaling in shown for value in getattr(scaling, what)])
        else:
            axes.set_ylim(min(-0.05, axes.get_ylim()[0]), 1.05)

    return paint


def _depth_panels(sweep: Sweep, look: Look) -> list[Callable[[Axes], None]]:
    groups = list(dict.fromkeys((rate.width, rate.step) for rate in sweep.rates if rate.step in (0, sweep.steps)))

    def painter(what: str, title: str, *, rate: bool) -> Callable[[Axes], None]:
        def paint(axes: Axes) -> None:
            axes.set_title(title, fontsize=10.5, loc="left", color=look.ink)
            for place, (width, step) in enumerate(groups):
                rates = [found for found in sweep.rates if (found.width, found.step) == (width, step)]
                values = [getattr(found, what).value if rate else getattr(found, what) for found in rates]
                words = [*[f"width {width}"] * (width is not None), *[f"t = {step}"] * bool(sweep.steps)]
                colour = look.colour(place, max(len(groups), 2))
                axes.plot(
                    [found.depth for found in rates], values, color=colour, label=", ".join(words) or "_", **_LINE
                )
            axes.set_xlabel("depth", fontsize=9)
            axes.set_xticks(sweep.depths, [str(depth) for depth in sweep.depths])
            if rate:
                _about_one(axes, look)
            else:
                axes.set_ylim(min(-0.05, axes.get_ylim()[0]), 1.05)

        return paint

    return [
        painter("signal", "signal, factor a layer", rate=True),
        painter("gradient", "gradient, factor a layer", rate=True),
        painter("cosine", "cosine between inputs at the end", rate=False),
    ]


def _about_one(axes: Axes, look: Look) -> None:
    """A linear axis from zero on that shows 1, at which nothing grows or vanishes."""
    axes.axhline(1.0, color=look.quiet, linewidth=1, linestyle=(0, (2, 2)), zorder=1.5)
    top = axes.get_ylim()[1]
    axes.set_ylim(0, max(1.25, top) if math.isfinite(top) else 1.25)


def log_axis(axes: Axes, values: Sequence[float]) -> None:
    """Make a vertical axis logarithmic over at least a decade: a slope of none must look like none."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    logs = [math.log10(value) for value in values if 0 < value < math.inf]
    if not logs:
        return
    low, high = min(logs), max(logs)
    edge = max(0.06 * (high - low), (1 - (high - low)) / 2)
    axes.set_yscale("log")
    axes.set_ylim(10 ** (low - edge), 10 ** (high + edge))
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high - low + 2 * edge < 2.2 else (1,), numticks=8))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _evenly(number: int) -> set[int]:
    if number <= NAMED:
        return set(range(number))
    return {round(place * (number - 1) / (NAMED - 1)) for place in range(NAMED)}
