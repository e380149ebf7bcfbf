"""The phase diagram of an activation as a figure, with networks marked on it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from wellbegun.diagnosis.phase_plane import THEMES, PhasePlane, Theme, draw_plane
from wellbegun.errors import ArgumentError, MissingExtraError, OutputError
from wellbegun.theory import Activation, ChainLayer, find_activation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Marks = Mapping[str, tuple[float, float] | Sequence[ChainLayer]]

MARKERS = "osD^vP*X"


def phase_figure(
    activation: str | Callable[..., Any] | Activation,
    networks: Marks | None = None,
    *,
    theme: Literal["light", "dark"] = "light",
) -> Figure:
    """Draw the plane of weight and bias variance: ordered and chaotic phase, the critical line, contours of depth.

    >>> figure = phase_figure("tanh", {"Xavier": (1.0, 0.0)})
    >>> len(figure.axes), [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    (1, ['critical', 'Xavier'])

    Args:
        activation: a name, an expression, a callable or an `Activation`.
        networks: what to mark, by label: (sigma_w², sigma_b²), or the layers of a chain, each marked where it lies.
        theme: "light" or "dark".

    Returns:
        a matplotlib figure of 7 by 4.6 inches.

    Raises:
        ArgumentError: an unknown theme, or a mark that is no pair of variances.
        MissingExtraError: matplotlib is not installed.
    """
    if theme not in THEMES:
        raise ArgumentError(f"theme has to be 'light' or 'dark', not {theme!r}")
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("matplotlib", "report", "drawing the phase diagram") from None
    found, colours = find_activation(activation), THEMES[theme]
    marks = {label: _points(label, given) for label, given in (networks or {}).items()}
    plane = PhasePlane.of(found, [point for points in marks.values() for point in points])
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        figure = Figure(figsize=(7.0, 4.6), dpi=160, facecolor=colours.paper, layout="constrained")
        axes = figure.add_subplot(facecolor=colours.paper)
        draw_plane(axes, plane, colours)
        _draw_marks(axes, marks, colours)
        title = f"{found.name}: what depth does to inputs and gradients"
        axes.set_title(f"{title}\n", loc="left", color=colours.ink, fontsize=11)
        note = "contours: layers in which the gradient's mean square changes by a factor e"
        axes.text(0, 1.015, note, transform=axes.transAxes, color=colours.faint, fontsize=8.5)
        axes.set_xlabel(r"weight variance × fan-in, $\sigma_w^2$", color=colours.ink)
        axes.set_ylabel(r"bias variance, $\sigma_b^2$", color=colours.ink)
        axes.tick_params(colors=colours.faint)
        for spine in axes.spines.values():
            spine.set_color(colours.faint)
    return figure


def save_phase_figure(
    activation: str | Callable[..., Any] | Activation,
    path: str | Path,
    networks: Marks | None = None,
    *,
    theme: Literal["light", "dark"] = "light",
) -> Path:
    """Draw the phase diagram into a file whose ending says the format (.png, .svg, .pdf).

    Args:
        activation, networks, theme: as for `phase_figure`.
        path: where to write.

    Returns:
        the path.

    Raises:
        OutputError: a format that matplotlib does not know, or a place that cannot be written to.
    """
    figure, target = phase_figure(activation, networks, theme=theme), Path(path)
    try:
        figure.savefig(target, facecolor=figure.get_facecolor())
    except (OSError, ValueError) as failure:
        raise OutputError(f"the phase diagram cannot be written to {target}: {failure}") from failure
    return target


def _draw_marks(axes: Axes, marks: Mapping[str, Sequence[tuple[float, float]]], colours: Theme) -> None:
    for place, (label, points) in enumerate(marks.items()):
        horizontal, vertical = zip(*points, strict=True)
        colour, marker = colours.marks[place % len(colours.marks)], MARKERS[place % len(MARKERS)]
        axes.scatter(
            horizontal, vertical, s=52, marker=marker, color=colour,
            edgecolors=colours.paper, linewidths=0.8, label=label, zorder=5, clip_on=False,
        )  # fmt: skip
    if axes.get_legend_handles_labels()[0]:
        legend = axes.legend(
            loc="upper right", fontsize=8.5, facecolor=colours.paper, edgecolor=colours.faint, framealpha=0.9
        )
        for text in legend.get_texts():
            text.set_color(colours.ink)


def _points(label: str, given: tuple[float, float] | Sequence[ChainLayer]) -> list[tuple[float, float]]:
    """Return the points of one mark."""
    layers = [layer for layer in given if isinstance(layer, ChainLayer)]
    if layers and len(layers) == len(given):
        return [(layer.forward_factor, layer.bias_std**2) for layer in layers]
    pair = tuple(given)
    if len(pair) != 2 or not all(isinstance(each, int | float) and 0 <= each < math.inf for each in pair):
        raise ArgumentError(
            f"the mark {label!r} has to be a pair (sigma_w², sigma_b²) or a list of ChainLayer, not {given!r}"
        )
    return [(float(pair[0]), float(pair[1]))]  # type: ignore[arg-type]
