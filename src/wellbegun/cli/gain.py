"""wellbegun gain: the factor that gives back what an activation takes away."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table


def gain_command(
    activation: Annotated[
        str, typer.Argument(help='Name (gelu, leaky_relu_0.2) or expression in x ("x * tanh(log1p(exp(x)))").')
    ],
    variance: Annotated[float, typer.Option(help="Variance q of what flows into the activation.")] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    figure: Annotated[
        Path | None, typer.Option(help="Draw the phase diagram into this file (.png, .svg, .pdf).")
    ] = None,
    dark: Annotated[bool, typer.Option("--dark", help="Draw it on a dark ground.")] = False,
) -> None:
    """Show an activation's gains and whether depth is kind to them."""
    from wellbegun.theory import find_activation, gain, moments, odd_part_slope

    found = find_activation(activation)
    if figure is not None:
        from wellbegun.diagnosis.phase_figure import save_phase_figure

        marks = {"forward gain": (gain(found) ** 2, 0.0)}
        save_phase_figure(found, figure, marks, theme="dark" if dark else "light")
    at = moments(found, variance)
    numbers = {
        "gain forward": (variance / at.second) ** 0.5 if at.second else None,
        "gain backward": at.slope_second**-0.5 if at.slope_second else None,
        "gradient per layer at the forward gain": variance * at.slope_second / at.second if at.second else None,
        "length slope at the forward gain": variance * at.second_growth / at.second if at.second else None,
        "mean": at.mean,
        "second moment": at.second,
        "odd part": odd_part_slope(found),
    } | _critical_numbers(found)
    if as_json:
        print(json.dumps({"activation": found.name, "variance": variance} | numbers, indent=1))
        return
    notes = {
        "gain forward": "sqrt(q/E f²): weights of variance gain²/fan_in keep the signal",
        "gain backward": "1/sqrt(E f'²): weights of variance gain²/fan_in keep the gradient",
        "gradient per layer at the forward gain": "above 1 gradients explode with depth, below 1 they vanish",
        "length slope at the forward gain": "above 1 the signal's size is unstable in deep networks",
        "mean": "E f(z), z ~ N(0, q)",
        "second moment": "E f(z)²",
        "odd part": "slope of f(u) - f(-u) if it is linear: mirrored weights are exact",
        "critical q": "length of a stable critical point, where neither signal nor gradient grows or dies",
        "critical weight variance": "sigma_w² there: weights of variance sigma_w²/fan_in",
        "critical bias variance": "sigma_b² there",
        "critical length slope": "chi_q there: a deviation of the length shrinks by this factor in every layer",
    }
    table = Table(title=f"{found.name} at q = {variance:g}", box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for heading in ("quantity", "value", "meaning"):
        table.add_column(heading, justify="right" if heading == "value" else "left")
    for name, value in numbers.items():
        table.add_row(name, "none" if value is None else f"{value:.10g}", notes[name])
    Console().print(table)


def _critical_numbers(activation: Any) -> dict[str, float | None]:
    """Return the stable critical point's numbers; None where there is none."""
    from wellbegun.errors import TheoryError
    from wellbegun.theory import critical

    names = ("critical q", "critical weight variance", "critical bias variance", "critical length slope")
    try:
        point = critical(activation)
    except TheoryError:
        return dict.fromkeys(names)
    return dict(zip(names, (point.q, point.weight_variance, point.bias_variance, point.length_slope), strict=True))
