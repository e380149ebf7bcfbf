"""One panel of the figure of a diagnosis, and how it looks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wellbegun.diagnosis.sweep_figure import DARK, LIGHT, Look, dress

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, HEIGHT = 4.6, 2.7
"""Of one panel, in inches."""


@dataclass(frozen=True)
class ProfileLook(Look):
    """Colours for a light or a dark background, with those of measurement and theory."""

    measured: str
    theory: str


LIGHT_PROFILE = ProfileLook(**vars(LIGHT), measured="#0072b2", theory="#b45309")
DARK_PROFILE = ProfileLook(**vars(DARK), measured="#6cc0f5", theory="#f0b64f")


@dataclass(frozen=True)
class Panel:
    """One part of a figure.

    Attributes:
        title: what is drawn.
        caption: how to read it, in a sentence or two.
        paint: draws it into axes, in the colours of a look.
        height: in inches.
    """

    title: str
    caption: str
    paint: Callable[[Axes, ProfileLook], None]
    height: float = HEIGHT


def set_style(look: Look) -> None:
    """Change matplotlib's settings to those of a look; inside `matplotlib.rc_context` alone."""
    import matplotlib

    matplotlib.rcParams.update(
        {"font.size": 10, "text.color": look.ink, "axes.labelcolor": look.quiet, "text.parse_math": False}
    )


def draw(panel: Panel, axes: Axes, look: ProfileLook) -> None:
    """Draw one panel with its title and, where it has several lines, its legend."""
    dress(axes, look)
    panel.paint(axes, look)
    axes.set_title(panel.title, fontsize=10.5, loc="left", color=look.ink)
    if len(axes.get_legend_handles_labels()[1]) > 1:
        # above the axes: inside, it would lie on the lines of some network
        axes.legend(
            loc="lower right", bbox_to_anchor=(1.0, 0.99), ncols=3, frameon=False, fontsize=9, handlelength=1.6,
            borderaxespad=0.2, columnspacing=1.0, handletextpad=0.5,
        )  # fmt: skip
