"""A sweep in the terminal: the verdict first, then a table over the widths and one over the depths."""

from __future__ import annotations

import math
from itertools import groupby
from typing import TYPE_CHECKING

from wellbegun.diagnosis.depth_rate import Rate
from wellbegun.diagnosis.scaling import Slope

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

    from wellbegun.diagnosis.scaling import Scaling
    from wellbegun.diagnosis.swept import Sweep


def sweep_renderables(sweep: Sweep) -> list[RenderableType]:
    """Return what a person shall see, for a rich console."""
    from rich.text import Text

    shown: list[RenderableType] = []
    if sweep.widths:
        shown += [Text(sentence, style=style) for sentence, style in width_sentences(sweep)]
        shown.append(Text(""))
        for _, scalings in groupby(sweep.scalings, key=lambda scaling: scaling.depth):
            at_depth = list(scalings)
            depth = f", depth {at_depth[0].depth}" if sweep.depths else ""
            started = f"over the width, before training{depth}: {_seeds(sweep)}, weights {_weights(sweep)}"
            shown += [_title(started), _start_table(at_depth)]
            if sweep.steps:
                trained = f"slope of each layer's size over the width, after t steps{depth}"
                shown += [_title(trained), _training_table(sweep, at_depth)]
        shown.append(
            Text(
                f"size: root mean square of the layer's output at width {sweep.widths[0]} → {sweep.widths[-1]}. Slope: "
                "0.5 is growth like the root of the width.\nCosine: between the outputs for different inputs. ! fails, "
                "? unclear.",
                style="dim",
            )
        )
    if sweep.depths:
        shown += [Text("")] if shown else []
        shown += [_title(f"from layer to layer: {_seeds(sweep)}, weights {_weights(sweep)}"), _depth_table(sweep)]
        shown.append(
            Text(
                "Factor of the second moment to the next layer (signal) or back to the one before (gradient), without "
                "the readout.\nCosine: between different inputs, in the last layer before the readout.",
                style="dim",
            )
        )
    return shown


def width_sentences(sweep: Sweep) -> list[tuple[str, str]]:
    """Return the verdict over the widths and a sentence for each layer that fails or is unclear, with its style."""
    span = f"from width {sweep.widths[0]} to {sweep.widths[-1]}"
    within = f"slopes within ±{sweep.tolerance:g}"
    failing = sweep.failing
    when = f" at t = 0 to {sweep.steps}" if sweep.steps else ""
    lines = []
    if failing:
        layers = "1 layer" if len(failing) == 1 else f"{len(failing)} layers"
        lines.append((f"the size of {layers} goes with the width, {span} (wanted: {within})", "bold red"))
    elif sweep.unclear:
        lines.append((f"no layer's size clearly goes with the width, {span}{when}", "yellow"))
    else:
        lines.append((f"every layer's output has the same size {span}{when} ({within})", "green"))
    for layer in failing:
        first = next(s for s in sweep.scalings if s.layer == layer and s.fault)
        at_depth = f", depth {first.depth}" if first.depth is not None else ""
        lines.append((f"  {layer}: {first.fault}, first at t = {first.step}{at_depth}", "red"))
    for layer in sweep.unclear:
        first = next(s for s in sweep.scalings if s.layer == layer and s.doubt)
        doubt = f"  {layer}: unclear, {first.doubt} at t = {first.step}; more seeds or widths would tell"
        lines.append((doubt, "yellow"))
    for readout in dict.fromkeys(s.layer for s in sweep.scalings if s.readout and not s.starts_at_zero):
        if readout not in failing:
            lines.append((f"  {readout}: the readout does not start at zero; its size may fall with the width", "dim"))
    if sweep.left_out:
        names = ", ".join(sweep.left_out[:6]) + (" ..." if len(sweep.left_out) > 6 else "")
        lines.append((f"  not used at every width, so not followed: {names}", "yellow"))
    return lines


def _start_table(scalings: list[Scaling]) -> Table:
    table = _table()
    table.add_column("layer")
    for heading in ("size", "its slope", "gradient's slope", "cosine"):
        table.add_column(heading, justify="right", no_wrap=True)
    for scaling in scalings:
        if scaling.step == 0:
            sizes = f"{scaling.sizes[0]:.3g} → {scaling.sizes[-1]:.3g}"
            cosines = f"{_number(scaling.cosines[0], '.2f')} → {_number(scaling.cosines[-1], '.2f')}"
            table.add_row(scaling.layer, sizes, _slope_cell(scaling), _slope(scaling.gradient), cosines)
    return table


def _training_table(sweep: Sweep, scalings: list[Scaling]) -> Table:
    table = _table()
    steps = shown_steps(sweep.steps)
    table.add_column("layer")
    for step in steps:
        table.add_column(f"t = {step}", justify="right", no_wrap=True)
    by_layer: dict[str, dict[int, Scaling]] = {}
    for scaling in scalings:
        by_layer.setdefault(scaling.layer, {})[scaling.step] = scaling
    for layer, at in by_layer.items():
        table.add_row(layer, *(_slope_cell(at[step]) if step in at else "" for step in steps))
    return table


def _depth_table(sweep: Sweep) -> Table:
    table = _table()
    by_width, by_step = bool(sweep.widths), sweep.steps > 0
    headings = ("depth", *["width"] * by_width, *["t"] * by_step, "layers", "signal a layer", "gradient a layer")
    for heading in (*headings, "cosine at the end"):
        table.add_column(heading, justify="right", no_wrap=True)
    for rate in sweep.rates:
        if rate.step not in (0, sweep.steps):
            continue
        sizes = (f"{rate.depth}", *[f"{rate.width}"] * by_width, *[f"{rate.step}"] * by_step, f"{rate.layers}")
        table.add_row(*sizes, _rate(rate.signal), _rate(rate.gradient), _number(rate.cosine, ".3f"))
    return table


def shown_steps(steps: int) -> list[int]:
    """Return the steps that a table or a figure has room for: all up to 4, else five of them with both ends."""
    return list(range(steps + 1)) if steps <= 4 else sorted({round(steps * part / 4) for part in range(5)})


def _table() -> Table:
    from rich import box
    from rich.table import Table

    return Table(box=box.SIMPLE_HEAD, pad_edge=False)


def _title(words: str) -> Text:
    from rich.text import Text

    return Text(words, style="bold")


def _seeds(sweep: Sweep) -> str:
    return "1 seed" if len(sweep.seeds) == 1 else f"{len(sweep.seeds)} seeds"


def _weights(sweep: Sweep) -> str:
    return sweep.recipe if sweep.recipe.startswith("as ") else f"by {sweep.recipe}"


def _slope_cell(scaling: Scaling) -> RenderableType:
    from rich.text import Text

    if scaling.fault:
        return Text(f"! {_slope(scaling.size)}", style="red")
    if scaling.doubt:
        return Text(f"? {_slope(scaling.size)}", style="yellow")
    return Text("zero" if not any(scaling.sizes) else _slope(scaling.size))


def _slope(slope: Slope) -> str:
    if math.isnan(slope.value):
        return "–"
    error = "" if math.isnan(slope.error) else f" ±{slope.error:.2f}"
    return f"{slope.value + 0.0:+.2f}{error}"


def _rate(rate: Rate) -> str:
    error = "" if math.isnan(rate.error) else f" ±{rate.error:.2g}"
    return _number(rate.value, ".3g") + error


def _number(value: float, form: str) -> str:
    return "–" if math.isnan(value) else format(value, form)
