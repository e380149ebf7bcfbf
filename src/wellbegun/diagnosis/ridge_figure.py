"""Ridges: one small density of a layer's values above the other, from the first layer to the last."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from wellbegun.diagnosis.flat import flat_beyond
from wellbegun.diagnosis.histogram import Histogram, edges
from wellbegun.diagnosis.panel import Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from wellbegun.diagnosis.diagnosis import Diagnosis
    from wellbegun.diagnosis.facts import LayerFacts
    from wellbegun.diagnosis.panel import ProfileLook

Array = npt.NDArray[np.float64]

SHOWN = 21
"""Ridges that are drawn; of more layers, those at even distances and those that fail."""

OVERLAP = 1.45
"""Height of a ridge, in distances between two."""

POINTS, STEPS = 72, 40
"""Points of a ridge's outline, and the steps across the axis that its counts are put together into."""

FAR = 6.0
"""Values beyond this many root mean squares are drawn one by one, as dots."""

_WIDE = 30.0
"""Times the usual root mean square up to which the axis is even."""


def ridge_panels(diagnosis: Diagnosis, marks: Sequence[int]) -> dict[str, Panel]:
    """Return the panels of a diagnosis's histograms: before the activations, and behind them; {} of a skeleton.

    Args:
        diagnosis: what to draw.
        marks: places of the layers, from 1 on, that are named in red.
    """
    layers, spreads = diagnosis.layers, diagnosis.facts.spreads
    places = {
        what: [place for place, spread in enumerate(spreads, start=1) if _drawable(getattr(spread, what))]
        for what in ("before", "behind")
    }
    shown = {what: _chosen(found, marks) for what, found in places.items()}
    height = _height(max(map(len, shown.values())))
    activation = _common(layers, shown["before"])
    zones = flat_beyond(activation)
    before = "How the values of each layer's output are spread, before its activation; every ridge has its own height. "
    if any(spreads[place - 1].between for place in shown["before"]):
        before += "Line: how far each number strays from its mean over the inputs; where it is much narrower than the "
        before += "ridge, inputs are forgotten. "
    before += f"Shaded: where {activation} is flat. " if zones else ""
    behind = (
        "What the activations make of them: saturation shows as heaps at the ends. Bar at 0: the share of exact zeros, "
        "as high as the next ridge's foot for all of them; red: those of dead units. "
    )
    tail = f"Dots: beyond {FAR:.0f} root mean squares. Counted on at most 2,048 values a layer"
    titles = {"before": ("outputs", before), "behind": ("activations", behind)}
    return {
        what: Panel(
            title,
            f"{words}{tail}{_counted(shown[what], places[what])}",
            _ridges(diagnosis, shown[what], marks, what, zones if what == "before" else ()),
            height,
        )
        for what, (title, words) in titles.items()
        if shown[what]
    }


def _drawable(histogram: Histogram | None) -> bool:
    return histogram is not None and histogram.total > 0


def _chosen(places: Sequence[int], marks: Sequence[int]) -> list[int]:
    """At most `SHOWN` places: the first, the last, those that fail as long as they are few, and others in between."""
    if len(places) <= SHOWN:
        return list(places)
    kept = [place for place in marks if place in places][: SHOWN // 3]
    even = np.linspace(0, len(places) - 1, SHOWN - len(kept)).round().astype(int)
    return sorted({places[index] for index in even} | set(kept))


def _common(layers: Sequence[LayerFacts], shown: Sequence[int]) -> str:
    """The one activation that all have that have any, with nothing between that would change the values; else ""."""
    active = [layers[place - 1] for place in shown if layers[place - 1].activation]
    known = {layer.activation for layer in active}
    return known.pop() if len(known) == 1 and not any(layer.normalised for layer in active) else ""


def _counted(shown: Sequence[int], places: Sequence[int]) -> str:
    return "." if len(shown) == len(places) else f"; {len(shown)} of {len(places):,} layers are drawn."


def _height(rows: int) -> float:
    return 1.3 + 0.19 * max(rows, 5)


def _ridges(
    diagnosis: Diagnosis, shown: Sequence[int], marks: Sequence[int], what: str, zones: Sequence[tuple[float, float]]
) -> Callable[[Axes, ProfileLook], None]:
    spreads = {place: diagnosis.facts.spreads[place - 1] for place in shown}
    histograms: dict[int, Histogram] = {place: getattr(spread, what) for place, spread in spreads.items()}
    unit = _unit([_rms(histogram) for histogram in histograms.values()])
    low, high = _range(histograms.values(), unit)
    peak = OVERLAP * min(1.0, max(len(shown), 4) / 12)

    def paint(axes: Axes, look: ProfileLook) -> None:
        for start, end in zones:
            span = (max(_bent(start, unit), low), min(_bent(end, unit), high))
            if span[0] < span[1]:
                axes.axvspan(*span, color=look.fault, alpha=0.1, linewidth=0, zorder=0.5)
        for row, place in enumerate(shown):
            histogram, foot, order = histograms[place], float(-row), 2 + row / 100
            ridge = _outline(histogram, unit, low, high)
            if ridge is not None:
                across, tops = ridge[0], foot + peak * ridge[1]
                label = _once(axes, "values")
                axes.fill_between(
                    across, foot, tops, facecolor=look.measured, alpha=0.8, linewidth=0, zorder=order, label=label
                )
                axes.plot(across, tops, color=look.paper, linewidth=0.7, zorder=order)
            between = spreads[place].between if what == "before" else None
            line = _outline(between, unit, low, high) if between is not None else None
            if line is not None:
                tops, label = foot + peak * line[1], _once(axes, "between inputs")
                axes.plot(line[0], tops, color=look.ink, linewidth=0.9, zorder=order + 0.004, label=label)
            _zeros(axes, histogram, diagnosis.layers[place - 1].dead if what == "behind" else 0.0, foot, order, look)
            _far(axes, histogram, unit, foot, order, look)
            if histogram.not_finite:
                label = _once(axes, "not finite")
                axes.plot(
                    high,
                    foot + 0.3,
                    "x",
                    color=look.fault,
                    markersize=5,
                    markeredgewidth=1.5,
                    zorder=order,
                    label=label,
                )
        _frame(axes, shown, marks, unit, (low, high), look)

    return paint


def _frame(
    axes: Axes, shown: Sequence[int], marks: Sequence[int], unit: float, ends: tuple[float, float], look: ProfileLook
) -> None:
    axes.set_xlim(*ends)
    axes.set_ylim(-len(shown) + 0.6, OVERLAP + 0.15)
    ticks = _ticks(unit, *ends)
    axes.set_xticks([_bent(tick, unit) for tick in ticks], [_named(tick) for tick in ticks])
    axes.set_yticks([-row for row in range(len(shown))], [str(place) for place in shown])
    for place, label in zip(shown, axes.get_yticklabels(), strict=True):
        label.set_fontsize(8)
        if place in marks:
            label.set_color(look.fault)
    axes.tick_params(axis="y", length=0)
    axes.set_ylabel("layer, in the order of execution", fontsize=9)


def _zeros(axes: Axes, histogram: Histogram, dead: float, foot: float, order: float, look: ProfileLook) -> None:
    """A bar at zero: the share of exact zeros, with that of dead units in red."""
    share = histogram.zeros / histogram.total
    red = min(dead, share) if dead > 0 else 0.0
    for start, end, colour, name in ((0.0, red, look.fault, "dead"), (red, share, look.quiet, "zeros")):
        if end - start > 0.005:
            axes.plot(
                [0, 0], [foot + start, foot + end], color=colour, linewidth=2.6, solid_capstyle="butt",
                zorder=order + 0.002, label=_once(axes, name),
            )  # fmt: skip


def _far(axes: Axes, histogram: Histogram, unit: float, foot: float, order: float, look: ProfileLook) -> None:
    bound = FAR * _rms(histogram)
    dots = [_bent(_middle(place), unit) for place in histogram.bins if abs(_middle(place)) > bound]
    if dots:
        axes.plot(dots, [foot + 0.06] * len(dots), "o", color=look.ink, markersize=2.2, zorder=order + 0.003)


def _once(axes: Axes, label: str) -> str:
    """The label for the legend, if it is not there yet."""
    return "_" if label in axes.get_legend_handles_labels()[1] else label


def _outline(histogram: Histogram, unit: float, low: float, high: float) -> tuple[Array, Array] | None:
    """Places across the axis and heights, 1 at the highest, of the values that are neither zero nor infinite.

    The counts up to the end of a bin are known exactly; a smooth curve that never falls goes through them, and its
    slope is the density.
    """
    from scipy.interpolate import PchipInterpolator

    held = [(place, count) for place, count in zip(histogram.bins, histogram.counts, strict=True) if place]
    if not held:
        return None
    grid = np.linspace(low, high, STEPS + 1)
    ends = np.array([[_bent(end, unit) for end in edges(place)] for place, _ in held])
    counts = np.array([count for _, count in held], dtype=float)
    over = np.searchsorted(ends[:, 1], grid, side="right")  # bins that end before each step
    within = np.minimum(over, len(held) - 1)
    share = np.clip((grid - ends[within, 0]) / np.maximum(ends[within, 1] - ends[within, 0], 1e-300), 0, 1)
    steps = np.concatenate([[0.0], np.cumsum(counts)])[over] + np.where(over < len(held), share * counts[within], 0.0)
    across = np.linspace(low, high, POINTS)
    heights = np.maximum(PchipInterpolator(grid, steps)(across, 1), 0.0)
    top = float(heights.max())
    if not top > 0:
        return None
    heights /= top
    drawn = np.flatnonzero(heights > 0.002)
    first, last = max(int(drawn[0]) - 1, 0), min(int(drawn[-1]) + 2, POINTS)
    return across[first:last], heights[first:last]


def _unit(sizes: Sequence[float]) -> float:
    """The power of ten around which the axis changes from even to logarithmic.

    Bells look like bells where the axis is even, so it is even up to the widest one, unless that has exploded.
    """
    known = [size for size in sizes if 0 < size < math.inf]
    if not known:
        return 1.0
    wide = min(max(known), _WIDE * float(np.median(known)))
    return float(10.0 ** math.ceil(math.log10(wide) - 0.3))


def _rms(histogram: Histogram) -> float:
    """Root mean square of the values that are finite, from the middles of their bins."""
    number = sum(histogram.counts)
    middles = [_middle(place) for place in histogram.bins]
    largest = max(map(abs, middles), default=0.0)
    if not largest:
        return 0.0
    squares = sum(count * (middle / largest) ** 2 for middle, count in zip(middles, histogram.counts, strict=True))
    return largest * math.sqrt(squares / number)


def _range(histograms: Iterable[Histogram], unit: float) -> tuple[float, float]:
    """Both ends of the axis: zero and all bins, with a little room."""
    ends = [0.0]
    for histogram in histograms:
        for place in (*histogram.bins[:1], *histogram.bins[-1:]):
            ends += edges(place)
    low, high = _bent(min(ends), unit), _bent(max(ends), unit)
    if high - low < 1e-9:
        low, high = -0.5, 0.5
    room = 0.04 * (high - low)
    return low - room, high + room


def _bent(value: float, unit: float) -> float:
    """A place on the axis: even around zero, logarithmic far from it."""
    return math.asinh(value / unit)


def _middle(place: int) -> float:
    low, high = edges(place)
    return low / 2 + high / 2


def _ticks(unit: float, low: float, high: float) -> list[float]:
    """Zero, and powers of ten to both sides, no more than a few."""
    reach = math.sinh(min(max(abs(low), abs(high)), 700.0))
    decades = math.floor(math.log10(max(reach, 1.0)))
    sizes = [unit * 10.0**power for power in range(0, decades + 1, max(1, -(-decades // 3)))]
    if reach < 1:
        sizes += [unit / 10, unit / 2] if reach < 0.5 else [unit / 2]
    elif decades == 0:
        sizes += [2 * unit, 4 * unit]
    elif decades == 1:
        sizes += [3 * unit]
    return [tick for tick in sorted({s * size for size in sizes for s in (-1, 0, 1)}) if low < _bent(tick, unit) < high]


def _named(value: float) -> str:
    return f"{value:g}".replace("e+0", "e").replace("e-0", "e-").replace("e+", "e").replace("-", "−")
