"""The phase diagram of an activation as a figure, with networks marked on it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from wellbegun.errors import ArgumentError, MissingExtraError, OutputError
from wellbegun.theory import Activation, ChainLayer, critical_line, find_activation, moments

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = npt.NDArray[np.float64]
Marks = Mapping[str, tuple[float, float] | Sequence[ChainLayer]]

COLUMNS, ROWS, LENGTHS = 260, 180, 320
"""Points of the plane, and variances q at which the activation's moments are tabulated."""

LOWEST, HIGHEST = 1e-6, 1e4
"""The variances q of that table; a length beyond them vanishes or grows without bound."""

DEPTHS = (3, 10, 30, 100)
"""Layers in which gradients change by e, drawn as contours."""

MARKERS = "osD^vP*X"


@dataclass(frozen=True)
class Theme:
    """Colours of the figure: paper, ink, faint ink, ordered, chaotic and unbounded region, marks."""

    paper: str
    ink: str
    faint: str
    ordered: str
    chaotic: str
    unbounded: str
    marks: tuple[str, ...]


THEMES = {
    "light": Theme(
        "#ffffff", "#1d2733", "#5b6673", "#dcebf7", "#fbe3d3", "#ececec", ("#0072B2", "#B5446E", "#00735A", "#7A4B00")
    ),
    "dark": Theme(
        "#12171e", "#e8edf2", "#9aa7b4", "#1b3147", "#47301f", "#262b31", ("#6CC0F5", "#F08BB4", "#4FD6AE", "#F0B64F")
    ),
}


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
    plane = _Plane.of(found, [point for points in marks.values() for point in points])
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        figure = Figure(figsize=(7.0, 4.6), dpi=160, facecolor=colours.paper, layout="constrained")
        axes = figure.add_subplot(facecolor=colours.paper)
        _draw_plane(axes, plane, colours)
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


@dataclass(frozen=True)
class _Plane:
    """ln chi over the plane, NaN where the length grows without bound."""

    activation: Activation
    weights: Array
    biases: Array
    log_chi: Array

    @classmethod
    def of(cls, activation: Activation, marked: Sequence[tuple[float, float]]) -> _Plane:
        """Compute it: at every point, the fixed point that the length goes to from 1, read off a table over q."""
        lengths = np.geomspace(LOWEST, HIGHEST, LENGTHS)
        table = [moments(activation, float(q)) for q in lengths]
        second, slope = (np.array([getattr(at, field) for at in table]) for field in ("second", "slope_second"))
        one = int(np.searchsorted(lengths, 1.0))
        usual = 1 / max(slope[one], 1e-3)
        right = min(max([2 * usual, 1.15 * second[one] ** -1, *(1.2 * weights for weights, _ in marked)]), 60.0)
        top = max([0.5, *(1.25 * bias for _, bias in marked)])
        weights, biases = np.linspace(right / COLUMNS, right, COLUMNS), np.linspace(0, top, ROWS)
        log_chi = np.empty((ROWS, COLUMNS))
        for row, bias in enumerate(biases):
            excess = np.log(weights[:, None] * second + bias) - np.log(lengths)
            for column in range(COLUMNS):
                q = _settled(excess[column], lengths, one)
                log_chi[row, column] = (
                    math.log(weights[column] * np.interp(q, lengths, slope)) if q < math.inf else np.nan
                )
        return cls(activation, weights, biases, log_chi)


def _settled(excess: Array, lengths: Array, start: int) -> float:
    """Return the length that q goes to from index `start`, between two entries of the table; infinity for none."""
    if abs(excess).max() < 1e-9:
        return 1.0
    rises = excess[start] > 0
    part = excess[start:] if rises else excess[: start + 1][::-1]
    turned = np.flatnonzero(part < 0 if rises else part > 0)
    if turned.size == 0:
        return math.inf if rises else float(lengths[0])
    after = int(turned[0])
    here, there = (start + after, start + after - 1) if rises else (start - after, start - after + 1)
    share = excess[here] / (excess[here] - excess[there])
    return float(lengths[here] * (lengths[there] / lengths[here]) ** share)


def _draw_plane(axes: Axes, plane: _Plane, colours: Theme) -> None:
    """Fill the regions, and draw the critical line and the contours of depth."""
    axes.set_facecolor(colours.unbounded)
    high = float(np.nanmax(np.abs(plane.log_chi))) + 1
    axes.contourf(
        plane.weights, plane.biases, plane.log_chi, levels=[-high, 0, high], colors=[colours.ordered, colours.chaotic]
    )
    levels = sorted([-1 / depth for depth in DEPTHS] + [1 / depth for depth in DEPTHS])
    lines = axes.contour(
        plane.weights,
        plane.biases,
        plane.log_chi,
        levels=levels,
        colors=colours.faint,
        linewidths=0.8,
        linestyles="solid",
    )
    named = [level for level in levels if abs(level) > 1.5 / DEPTHS[-1]]  # the last lie too near to the critical line
    axes.clabel(
        lines, levels=named, fmt=lambda level: f"{1 / abs(level):.0f} layers", fontsize=7.5, colors=colours.faint
    )
    _draw_critical(axes, plane, colours)
    axes.axhspan(-plane.biases[-1], 0, color=colours.paper)
    regions = {
        "ordered: inputs become alike,\ngradients vanish": plane.log_chi < -0.05,
        "chaotic: inputs part,\ngradients explode": plane.log_chi > 0.02,
        "the signal grows\nwithout bound": np.isnan(plane.log_chi),
    }
    for text, where in regions.items():
        if where.mean() > 0.06:
            row, column = _middle(where, 0.3 if text.startswith("ordered") else 0.5)
            axes.text(
                plane.weights[column], plane.biases[row], text, ha="center", va="center", color=colours.ink, fontsize=9,
                bbox={"facecolor": colours.paper, "alpha": 0.85, "edgecolor": "none", "pad": 3}, zorder=4,
            )  # fmt: skip
    axes.set_xlim(0, plane.weights[-1])
    axes.set_ylim(-0.03 * plane.biases[-1], plane.biases[-1])


def _draw_critical(axes: Axes, plane: _Plane, colours: Theme) -> None:
    """Draw critical points that are stable as a line, others dotted, and a single one (ReLU's) as a ring."""
    points = critical_line(plane.activation, low=1e-4, high=1e3, points=160)
    points = tuple(point for point in points if point.weight_variance <= plane.weights[-1])
    at = np.array([(point.weight_variance, point.bias_variance) for point in points]).reshape(-1, 2)
    stable = np.array([point.stable for point in points], dtype=bool)
    if at.size and np.ptp(at[:, 0]) < 1e-9:
        axes.plot(
            *at[0], "o", ms=13, mfc="none", mec=colours.ink, mew=1.8, ls="", label="critical", clip_on=False, zorder=4
        )
        return
    for which, style, width, label in ((stable, "-", 2.2, "critical"), (~stable, ":", 1.6, "critical, unstable")):
        if which.any():
            shown = np.where(which[:, None], at, np.nan)
            axes.plot(shown[:, 0], shown[:, 1], style, color=colours.ink, lw=width, label=label, zorder=3)


def _middle(where: npt.NDArray[np.bool_], share: float) -> tuple[int, int]:
    """Return a place well inside a region: this share of the way along its widest row, off the plane's edges."""
    rows = range(int(0.35 * where.shape[0]), int(0.8 * where.shape[0]))
    row = max(rows, key=lambda each: int(where[each].sum()))
    columns = np.flatnonzero(where[row]) if where[row].any() else np.flatnonzero(where.any(axis=0))
    return row, int(columns[int(share * columns.size)])


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
