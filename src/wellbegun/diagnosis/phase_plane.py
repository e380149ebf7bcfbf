"""The plane of weight and bias variance of an activation: what depth does to inputs and gradients at every point."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from wellbegun.theory import Activation, critical_line, moments

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = npt.NDArray[np.float64]

COLUMNS, ROWS, LENGTHS = 260, 180, 320
"""Points of the plane, and variances q at which the activation's moments are tabulated."""

FURTHEST = 60.0
"""The largest weight variance that the plane reaches to."""

LOWEST, HIGHEST = 1e-6, 1e4
"""The variances q of that table; a length beyond them vanishes or grows without bound."""

DEPTHS = (3, 10, 30, 100)
"""Layers in which gradients change by e, drawn as contours."""


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


@dataclass(frozen=True)
class PhasePlane:
    """ln chi over the plane, NaN where the length grows without bound."""

    activation: Activation
    weights: Array
    biases: Array
    log_chi: Array

    @classmethod
    def of(
        cls, activation: Activation, marked: Sequence[tuple[float, float]], *, size: tuple[int, int] = (COLUMNS, ROWS)
    ) -> PhasePlane:
        """Compute it: at every point, the fixed point that the length goes to from 1, read off a table over q.

        Args:
            activation: of every layer.
            marked: pairs (sigma_w², sigma_b²) that the plane should reach to; sigma_w² beyond 60 it does not.
            size: its points across and up.
        """
        lengths = np.geomspace(LOWEST, HIGHEST, LENGTHS)
        table = [moments(activation, float(q)) for q in lengths]
        second, slope = (np.array([getattr(at, field) for at in table]) for field in ("second", "slope_second"))
        one = int(np.searchsorted(lengths, 1.0))
        usual = 1 / max(slope[one], 1e-3)
        right = min(max([2 * usual, 1.15 * second[one] ** -1, *(1.2 * weights for weights, _ in marked)]), FURTHEST)
        top = max([0.5, *(1.25 * bias for _, bias in marked)])
        columns, rows = size
        weights, biases = np.linspace(right / columns, right, columns), np.linspace(0, top, rows)
        log_chi = np.empty((rows, columns))
        for row, bias in enumerate(biases):
            with np.errstate(divide="ignore"):
                excess = np.log(weights[:, None] * second + bias) - np.log(lengths)
            settled = _settled(excess, lengths, one)
            bounded = np.isfinite(settled)
            chi = weights * np.interp(np.where(bounded, settled, 1.0), lengths, slope)
            with np.errstate(divide="ignore"):
                log_chi[row] = np.where(bounded, np.log(chi), np.nan)
        return cls(activation, weights, biases, log_chi)


def _settled(excess: Array, lengths: Array, start: int) -> Array:
    """Return, for each row, the length that q goes to from index `start`, between two lengths; infinity for none.

    Args:
        excess: [row, length], ln of what one layer makes of a length, over the length.
        lengths: ascending.
        start: where q begins.
    """
    rows = np.arange(len(excess))
    rises = excess[:, start] > 0
    up, down = excess[:, start:] < 0, excess[:, start::-1] > 0
    turned = np.where(rises, up.any(1), down.any(1))
    after = np.where(rises, up.argmax(1), down.argmax(1))
    here = np.where(rises, start + after, start - after)
    there = np.where(rises, here - 1, here + 1).clip(0, len(lengths) - 1)
    step = excess[rows, here] - excess[rows, there]
    share = excess[rows, here] / np.where(step == 0, 1.0, step)
    between = lengths[here] * (lengths[there] / lengths[here]) ** np.where(turned, share, 0.0)
    found = np.where(turned, between, np.where(rises, math.inf, lengths[0]))
    return np.where(np.abs(excess).max(1) < 1e-9, 1.0, found)


def draw_plane(axes: Axes, plane: PhasePlane, colours: Theme) -> None:
    """Fill the regions, and draw the critical line and the contours of depth.

    Args:
        axes: to draw into; their limits are set.
        plane: what to draw.
        colours: of the regions and lines.
    """
    axes.axvspan(0, plane.weights[-1], color=colours.unbounded, linewidth=0, zorder=0.1)
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
        "ordered:\ninputs become alike,\ngradients vanish": plane.log_chi < -0.05,
        "chaotic:\ninputs part,\ngradients explode": plane.log_chi > 0.02,
        "the signal grows\nwithout bound": np.isnan(plane.log_chi),
    }
    for text, where in regions.items():
        if where.mean() > 0.06 and where.sum(axis=1).max() > 0.28 * where.shape[1]:  # room for the words
            row, column = _middle(where, 0.3 if text.startswith("ordered") else 0.5)
            axes.text(
                plane.weights[column], plane.biases[row], text, ha="center", va="center", color=colours.ink, fontsize=9,
                bbox={"facecolor": colours.paper, "alpha": 0.85, "edgecolor": "none", "pad": 3}, zorder=4,
            )  # fmt: skip
    axes.set_xlim(0, plane.weights[-1])
    axes.set_ylim(-0.03 * plane.biases[-1], plane.biases[-1])


def _draw_critical(axes: Axes, plane: PhasePlane, colours: Theme) -> None:
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
    width = where.shape[1]
    return row, min(max(int(columns[int(share * columns.size)]), width // 6), 5 * width // 6)  # a label has a width
