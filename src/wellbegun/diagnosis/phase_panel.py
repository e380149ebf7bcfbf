"""The panel with the phase diagram: the plane of weight and bias variance, and the network's own layers on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from wellbegun.diagnosis.panel import DARK_PROFILE, Panel
from wellbegun.diagnosis.phase_plane import FURTHEST, THEMES, PhasePlane, draw_plane
from wellbegun.theory import find_activation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from wellbegun.diagnosis.facts import Facts, PhasePoint
    from wellbegun.diagnosis.panel import ProfileLook

SIZE = (120, 80)
"""Points of the plane across and up: enough for a panel, and a small drawing."""

_HEIGHT = 3.6


def phase_panels(facts: Facts) -> dict[str, Panel]:
    """Return the panel of a plain chain; {} of any other network, and where theory was not asked.

    Args:
        facts: with `phase`.
    """
    phase = facts.phase
    if phase is None or not phase.points:
        return {}
    words = (
        f"The {len(phase.points)} layers between two {phase.activation}: fan-in times the weights' variance, and that "
        "of the biases. On the critical line inputs and gradients keep their size over depth; contours name the layers "
        "in which gradients change by a factor e"
    )
    beyond = sum(point.weight_variance > FURTHEST for point in phase.points)
    words += f"; {beyond} at the right edge lie beyond it." if beyond else "."
    return {"phase": Panel("phase diagram", words, _painted(phase.activation, phase.points), _HEIGHT)}


def phase_sentence(facts: Facts) -> str:
    """Return why there is no phase diagram, in one sentence; "" where there is one, and where theory was not asked.

    Args:
        facts: with `phase`.
    """
    if facts.phase is None or not facts.phase.reason:
        return ""
    return f"No phase diagram, which is for plain chains of layers with one activation: {facts.phase.reason}."


def _painted(activation: str, points: Sequence[PhasePoint]) -> Callable[[Axes, ProfileLook], None]:
    def paint(axes: Axes, look: ProfileLook) -> None:
        theme = THEMES["dark" if look is DARK_PROFILE else "light"]
        places = [(point.weight_variance, point.bias_variance) for point in points]
        plane = PhasePlane.of(find_activation(activation), places, size=SIZE)
        axes.grid(visible=False)
        draw_plane(axes, plane, replace(theme, paper=look.paper, ink=look.ink, faint=look.quiet))
        edge = float(plane.weights[-1])
        inside = [place for place in places if place[0] <= edge]
        outside = [(edge, bias) for weights, bias in places if weights > edge]
        for found, marker, label in ((inside, "o", "layers"), (outside, ">", "layers beyond the edge")):
            if found:
                axes.plot(
                    *zip(*found, strict=True), marker, color=look.measured, markeredgecolor=look.paper,
                    markersize=6, markeredgewidth=0.7, label=label, clip_on=False, zorder=5,
                )  # fmt: skip
        axes.set_xlabel("weight variance × fan-in", fontsize=9)
        axes.set_ylabel("bias variance", fontsize=9)

    return paint
