"""A sweep: what was measured on networks of several sizes, what it comes to, and how it is shown."""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from wellbegun.diagnosis.depth_rate import DepthRate
from wellbegun.diagnosis.diagnosis import plain
from wellbegun.diagnosis.scaling import Scaling

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import Group

FORMAT = 1


@dataclass(frozen=True)
class Point:
    """One layer of one network at one step.

    Attributes:
        width, depth: of the network; None for what was not swept.
        seed: of its starting weights.
        step: optimizer steps that were taken before.
        layer: the layer's weight, as the model names it; with "(use 2)" at its second use in one forward pass.
        place: of the layer in the order of execution, from 0.
        signal: second moment of the layer's output, before its activation. Where the network multiplies its own
            output with a number, as muP asks of a tied table, that of the product.
        gradient: second moment of the loss's gradient with respect to the layer's output.
        cosine: mean cosine between the layer's outputs for different inputs.
        shape: of the layer's weight.
        zero: whether that weight is zero throughout.
        outputs: number of elements of the network's output.
    """

    width: int | None
    depth: int | None
    seed: int
    step: int
    layer: str
    place: int
    signal: float
    gradient: float
    cosine: float
    shape: tuple[int, ...]
    zero: bool
    outputs: int


@dataclass(frozen=True)
class Sweep:
    """How signal, gradient and cosine go with the width and the depth of a network.

    Attributes:
        widths, depths: in ascending order; empty for what was not swept.
        seeds: of the starting weights.
        steps: optimizer steps that were taken; each layer is measured before the first and behind each.
        recipe: how the weights were started.
        tolerance: largest slope of a layer's size over the width, up or down, that counts as none.
        points: all that was measured, as a table.
        scalings: for each depth, step and layer: how it goes with the width.
        rates: for each width, depth and step: how signal and gradient go from layer to layer.
    """

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    seeds: tuple[int, ...]
    steps: int
    recipe: str
    tolerance: float
    points: tuple[Point, ...]
    scalings: tuple[Scaling, ...]
    rates: tuple[DepthRate, ...]

    @property
    def failing(self) -> tuple[str, ...]:
        """The layers whose size goes with the width at some step, in the order of execution.

        A slope fails if it is beyond the tolerance, and not by chance: the one-sided 97.5% bound (Student's t, from
        the scatter of the networks about the line) is beyond it too. A readout that does not start at zero may fall
        with the width, and fails if it grows with a slope of more than 0.25.
        """
        return self._layers({scaling.layer for scaling in self.scalings if scaling.fault})

    @property
    def unclear(self) -> tuple[str, ...]:
        """The other layers whose slope is beyond the tolerance, perhaps by chance: more seeds or widths would tell."""
        return self._layers({scaling.layer for scaling in self.scalings if scaling.doubt} - set(self.failing))

    @property
    def left_out(self) -> tuple[str, ...]:
        """Layers that some width does not have or did not use, so that they could not be followed."""
        followed = {(scaling.depth, scaling.layer) for scaling in self.scalings}
        missing = (p.layer for p in self.points if self.widths and (p.depth, p.layer) not in followed)
        return tuple(dict.fromkeys(missing))

    def __iter__(self) -> Iterator[Point]:
        return iter(self.points)

    def to_record(self) -> dict[str, Any]:
        """Return everything as plain data; numbers that JSON does not know are null."""
        found = {"wellbegun_sweep": FORMAT, **asdict(self), "failing": self.failing, "unclear": self.unclear}
        found["left_out"] = self.left_out
        record: dict[str, Any] = plain(found)
        return record

    def to_json(self) -> str:
        """Return everything as JSON."""
        return json.dumps(self.to_record(), indent=1)

    def figure(self, *, dark: bool = False) -> Figure:
        """Draw the sweep: sizes, gradients and cosines over the width, rates and cosines over the depth.

        Args:
            dark: for a dark background.

        Raises:
            MissingExtraError: matplotlib is not installed.
        """
        from wellbegun.diagnosis.sweep_figure import sweep_figure

        return sweep_figure(self, dark=dark)

    def __rich__(self) -> Group:
        from rich.console import Group

        from wellbegun.diagnosis.sweep_table import sweep_renderables

        return Group(*sweep_renderables(self))

    def __str__(self) -> str:
        from rich.console import Console

        buffer = io.StringIO()
        Console(file=buffer, width=120, color_system=None, force_terminal=False).print(self)
        return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())

    def __repr__(self) -> str:
        sizes = [f"{name}={values}" for name in ("widths", "depths") if (values := getattr(self, name))]
        return f"Sweep({', '.join(sizes)}, seeds={self.seeds}, steps={self.steps}, failing={self.failing})"

    def _repr_html_(self) -> str:
        return f'<pre style="line-height:1.3;overflow-x:auto">{escape(str(self))}</pre>'

    def _layers(self, chosen: Collection[str]) -> tuple[str, ...]:
        """Names in the order of execution, which that of the scalings is at each step."""
        return tuple(layer for layer in dict.fromkeys(s.layer for s in self.scalings) if layer in chosen)
