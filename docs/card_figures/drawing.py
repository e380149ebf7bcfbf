"""A few shapes in SVG: panels with axes, lines, bars, dots and matrices. Small files that a diff can show."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape

import numpy as np
from numpy.typing import NDArray

INK, FAINT, MAIN, OTHER, MARK = "#1f2933", "#c3cad2", "#0b62b8", "#8a939d", "#c2410c"
FONT = "font-family='Helvetica, Arial, sans-serif'"
Points = Iterable[tuple[float, float]]

SHADES = 7
"""Steps of colour on each side of zero in the picture of a matrix."""


@dataclass(frozen=True)
class Axis:
    """Numbers along one side of a panel.

    Attributes:
        low, high: the ends, low < high.
        label: what they are.
        log: whether steps are factors.
    """

    low: float
    high: float
    label: str = ""
    log: bool = False

    def share(self, value: float) -> float:
        """Where a value lies between the ends, 0 to 1, cut off beyond them."""
        low, high = (math.log10(self.low), math.log10(self.high)) if self.log else (self.low, self.high)
        at = (math.log10(value) if value > 0 else low) if self.log else value
        return min(max((at - low) / (high - low), 0.0), 1.0)

    def ticks(self) -> list[tuple[float, str]]:
        """Some round numbers with their text."""
        if self.log:
            ends = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
            step = max(1, math.ceil((ends[1] - ends[0]) / 5))
            powers = range(ends[0] + (-ends[0]) % step, ends[1] + 1, step)
            return [(10.0**power, f"{10.0**power:g}" if -3 <= power <= 3 else f"1e{power}") for power in powers]
        raw = (self.high - self.low) / 5
        size = 10 ** math.floor(math.log10(raw))
        step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= raw * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        count = math.floor(self.high / step + 1e-9) - first + 1
        return [((first + i) * step, f"{(first + i) * step + 0:.6g}") for i in range(count)]


@dataclass
class Panel:
    """One picture with axes.

    Attributes:
        x, y: the axes.
        title: above it.
        width, height: of the picture itself, in pixels.
    """

    x: Axis
    y: Axis
    title: str
    width: int = 250
    height: int = 150
    shapes: list[str] = field(default_factory=list)
    keys: list[tuple[str, str]] = field(default_factory=list)

    def line(self, points: Points, colour: str = MAIN, name: str = "") -> None:
        """Join points; those that are not finite leave a gap."""
        path, pen = "", "M"
        for x, y in points:
            if not (math.isfinite(x) and math.isfinite(y)):
                pen = "M"
                continue
            path += f"{pen}{self._at(x, y)}"
            pen = "L"
        self.shapes.append(f"<path d='{path}' fill='none' stroke='{colour}' stroke-width='1.8'/>")
        self._key(name, colour)

    def dots(self, points: Points, colour: str = MAIN, name: str = "") -> None:
        """Mark points."""
        path = "".join(f"M{self._at(x, y)}h0" for x, y in points if math.isfinite(x) and math.isfinite(y))
        self.shapes.append(f"<path d='{path}' stroke='{colour}' stroke-width='4' stroke-linecap='round'/>")
        self._key(name, colour)

    def bars(self, edges: Sequence[float], heights: Sequence[float], name: str = "") -> None:
        """Draw a histogram."""
        path = ""
        for left, right, height in zip(edges, edges[1:], heights, strict=False):
            if height > 0:
                path += f"M{self._at(left, 0)}L{self._at(left, height)}L{self._at(right, height)}L{self._at(right, 0)}Z"
        self.shapes.append(f"<path d='{path}' fill='{FAINT}'/>")
        self._key(name, FAINT)

    def upright(self, x: float, text: str = "") -> None:
        """Mark a value of x."""
        top, bottom = self._at(x, self.y.high), self._at(x, self.y.low)
        self.shapes.append(f"<path d='M{top}L{bottom}' stroke='{MARK}' stroke-width='1.2' stroke-dasharray='3 3'/>")
        if text:
            self.shapes.append(_text(float(top.split()[0]), -4, text, MARK, "middle"))

    def level(self, y: float) -> None:
        """Mark a value of y."""
        self.line([(self.x.low, y), (self.x.high, y)], FAINT)

    def svg(self, left: int, top: int) -> str:
        """Return it as a group whose picture begins at this corner."""
        frame = f"<rect width='{self.width}' height='{self.height}' fill='none' stroke='{FAINT}'/>"
        marks = [_text(0, -18, self.title, INK, "start", 12, bold=True)]
        for value, text in self.x.ticks():
            marks.append(_text(self.x.share(value) * self.width, self.height + 14, text))
        for value, text in self.y.ticks():
            marks.append(_text(-5, (1 - self.y.share(value)) * self.height + 3.5, text, anchor="end"))
        marks.append(_text(self.width / 2, self.height + 29, self.x.label))
        if self.y.label:
            middle = self.height / 2
            marks.append(
                f"<text transform='translate(-42 {middle:g}) rotate(-90)' text-anchor='middle' font-size='10' "
                f"fill='{INK}'>{escape(self.y.label)}</text>"
            )
        for i, (name, colour) in enumerate(self.keys):
            y = self.height + 43 + 13 * i
            marks.append(f"<rect x='0' y='{y - 7}' width='14' height='4' fill='{colour}'/>")
            marks.append(_text(20, y - 1, name, anchor="start"))
        return f"<g transform='translate({left} {top})'>{frame}{''.join(self.shapes)}{''.join(marks)}</g>"

    def _key(self, name: str, colour: str) -> None:
        if name:
            self.keys.append((name, colour))

    def _at(self, x: float, y: float) -> str:
        return f"{self.x.share(x) * self.width:.1f} {(1 - self.y.share(y)) * self.height:.1f}"


@dataclass(frozen=True)
class Matrix:
    """The picture of a matrix: blue above zero, red below.

    Attributes:
        values: rows and columns.
        title: above it.
        caption: below it.
    """

    values: NDArray[np.float64]
    title: str
    caption: str
    side: int = 168
    keys: tuple[tuple[str, str], ...] = ()

    def svg(self, left: int, top: int) -> str:
        """Return it as a group whose picture begins at this corner."""
        rows, columns = self.values.shape
        size = self.side / max(rows, columns)
        largest = float(np.abs(self.values).max()) or 1.0
        level = np.rint(self.values / largest * SHADES).astype(int)
        parts = []
        for shade in (s for s in range(-SHADES, SHADES + 1) if s and (level == s).any()):
            cell = f"h{size:.1f}v{size:.1f}h-{size:.1f}z"
            path = "".join(f"M{c * size:.1f} {r * size:.1f}{cell}" for r, c in np.argwhere(level == shade))
            colour = MAIN if shade > 0 else MARK
            parts.append(f"<path d='{path}' fill='{colour}' fill-opacity='{abs(shade) / SHADES:.2f}'/>")
        frame = f"<rect width='{columns * size:.1f}' height='{rows * size:.1f}' fill='none' stroke='{FAINT}'/>"
        texts = _text(0, -18, self.title, INK, "start", 12, bold=True)
        texts += _text(0, rows * size + 14, self.caption, anchor="start")
        return f"<g transform='translate({left} {top})'>{''.join(parts)}{frame}{texts}</g>"


def picture(panels: Sequence[Panel | Matrix], title: str, note: str = "", heading: str = "") -> str:
    """Return panels side by side as one SVG file.

    Args:
        panels: from left to right.
        title: what is shown, for readers who do not see it.
        note: what it was made from; a comment in the file.
        heading: a line above all panels.
    """
    top = 54 if heading else 34
    left = 58
    parts = [_text(58, 17, heading, anchor="start", size=12, bold=True)] if heading else []
    for panel in panels:
        parts.append(panel.svg(left, top))
        left += (panel.width if isinstance(panel, Panel) else panel.side) + 76
    keys = max(len(panel.keys) for panel in panels)
    height = top + 180 + 12 + 13 * max(keys, 1)
    comment = f"<!-- {note} -->\n" if note else ""
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{left - 50}' height='{height}' "
        f"viewBox='0 0 {left - 50} {height}' role='img' {FONT}>\n{comment}<title>{escape(title)}</title>\n"
        f"<rect width='100%' height='100%' fill='white'/>\n" + "\n".join(parts) + "\n</svg>\n"
    )


def around(values: Iterable[float], log: bool = False, room: float = 0.08) -> tuple[float, float]:
    """Return ends of an axis that hold some values, with some room."""
    finite = [value for value in values if math.isfinite(value) and (value > 0 or not log)]
    if not finite:
        return (0.1, 10.0) if log else (0.0, 1.0)
    low, high = min(finite), max(finite)
    if log:
        bottom, top = math.floor(math.log10(low) - 0.1), math.ceil(math.log10(high) + 0.1)
        return 10.0 ** max(bottom, -60), 10.0 ** min(max(top, bottom + 1), 60)
    spread = (high - low) or abs(high) or 1.0
    return low - room * spread, high + room * spread


def _text(
    x: float, y: float, text: str, colour: str = INK, anchor: str = "middle", size: int = 10, bold: bool = False
) -> str:
    weight = " font-weight='bold'" if bold else ""
    return (
        f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}' font-size='{size}' fill='{colour}'{weight}>"
        f"{escape(text)}</text>"
    )
