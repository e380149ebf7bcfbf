"""Panels of a figure as SVG inside a page, in the page's own colours, so that one drawing serves light and dark."""

from __future__ import annotations

import html
import io
import re
from typing import TYPE_CHECKING

from wellbegun.diagnosis.panel import LIGHT_PROFILE, WIDTH, draw, set_style
from wellbegun.diagnosis.phase_plane import THEMES

if TYPE_CHECKING:
    from wellbegun.diagnosis.panel import Panel

COLOURS = ("paper", "ink", "quiet", "grid", "fault", "measured", "theory")
"""Of the look; the page has a variable of the same name for each."""

REGIONS = ("ordered", "chaotic", "unbounded")
"""Of the phase diagram's theme, in the same way."""


def panel_svg(panel: Panel, key: str) -> str:
    """Return a panel as an inline SVG element; the same panel and key give the same text.

    Args:
        panel: what to draw.
        key: unique within the page, so that ids differ.
    """
    import matplotlib
    from matplotlib.figure import Figure

    buffer = io.StringIO()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        set_style(LIGHT_PROFILE)
        matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": key})
        figure = Figure(figsize=(WIDTH, panel.height), dpi=72, layout="constrained")
        axes = figure.add_subplot()
        draw(panel, axes, LIGHT_PROFILE)
        for patch in (figure.patch, axes.patch):
            patch.set_visible(False)
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return _with_variables(_element(buffer.getvalue(), panel))


def _element(file: str, panel: Panel) -> str:
    """Cut the element out of the file, and leave away ids that nothing refers to."""
    inside = file[file.index(">", file.index("<svg")) + 1 :]
    for pattern in (r"<metadata>.*?</metadata>", r"<style .*?</style>", r"<!--.*?-->"):
        inside = re.sub(pattern, "", inside, flags=re.DOTALL)
    wanted = set(re.findall(r"#([\w-]+)", inside))
    inside = re.sub(r' id="([^"]*)"', lambda match: match[0] if match[1] in wanted else "", inside)
    inside = re.sub(r"font-family: [^;\"]*; ?", "", inside.replace("xlink:href", "href"))  # the page names its fonts
    inside = re.sub(r' (?:d|x|y|transform)="[^"]*"', _rounded, inside)
    inside = re.sub(r"\s*\n\s*", "\n", inside).strip()
    words, size = html.escape(panel.title), f"0 0 {72 * WIDTH:g} {72 * panel.height:g}"
    return f'<svg viewBox="{size}" role="img" aria-label="{words}"><title>{words}</title>{inside}'


def _rounded(attribute: re.Match[str]) -> str:
    """Places with two digits behind the point: a hundredth of a point is seen by nobody."""
    return re.sub(r"\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), attribute[0])


def _with_variables(svg: str) -> str:
    for name in COLOURS:
        svg = svg.replace(getattr(LIGHT_PROFILE, name), f"var(--{name})")
    for name in REGIONS:
        svg = svg.replace(getattr(THEMES["light"], name), f"var(--{name})")
    return svg
