"""A comparison as one HTML page that needs nothing else: no network, no scripts, no files beside it."""

from __future__ import annotations

import math
from importlib import resources
from pathlib import Path
from typing import Any

from wellbegun.diagnosis.page import require_page
from wellbegun.lab.outcome.result import Arm, Comparison, Difference, Interval, Run
from wellbegun.lab.outcome.scale import Scale
from wellbegun.lab.report.figures import network_figures, power
from wellbegun.plans import write_text_atomically

_TASKS = {"digits": "handwritten digits"}
_LEVELS = ("error", "warning", "note")


def write_page(comparison: Comparison, path: str | Path) -> None:
    """Write the page of a comparison to a file, whole or not at all.

    Args:
        comparison: what was found.
        path: the file to write; its folder must exist.

    Raises:
        MissingExtraError: jinja2 or matplotlib is not installed.
        OutputError: the folder does not exist or cannot be written.
    """
    write_text_atomically(path, render_page(comparison))


def require_report() -> None:
    """Raise MissingExtraError unless a page can be drawn: asked before minutes of training, not after."""
    require_page("drawing the page")


def render_page(comparison: Comparison) -> str:
    """Return the page of a comparison as HTML text; the same comparison gives the same text.

    Args:
        comparison: what was found, complete or interrupted.

    Raises:
        MissingExtraError: jinja2 or matplotlib is not installed.
    """
    require_report()
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    filters = (badges, difference, duration, number, percent, plain, points, rates, stops)
    environment.filters.update({function.__name__: function for function in filters})
    source = resources.files("wellbegun.lab.report").joinpath("page.html.jinja").read_text("utf-8")
    chance = comparison.settings.get("chance")
    chance = float(chance) if isinstance(chance, (int, float)) and math.isfinite(chance) else None
    sections = [
        (network, network_figures(network, chance, f"network-{place}"))
        for place, network in enumerate(comparison.networks)
    ]
    return environment.from_string(source).render(
        comparison=comparison,
        sections=sections,
        chance=chance,
        task=_TASKS.get(comparison.task, comparison.task),
        counts=_counts(comparison),
    )


def percent(value: float) -> str:
    """Return a share as a percentage with one decimal, "none" for NaN."""
    return Scale().text(value)


def difference(found: Difference, scale: Scale) -> str:
    """Return a difference of scores with its interval: "+0.5 points (−0.2 to +1.2)"."""
    return points(found.interval, scale)


def points(value: Interval, scale: Scale) -> str:
    """Return an interval of differences in the unit of the scores."""
    mean, low, high = (scale.difference(x).replace("-", "−") for x in (value.mean, value.low, value.high))
    bounds = f" ({low} to {high})" if math.isfinite(value.low) else ""
    return f"{mean} {scale.difference_unit}{bounds}"


def number(value: float) -> str:
    """Return a measurement as people write it: 0.98, 1,250, 3.1×10⁻¹², 0, ∞ or "not a number"."""
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else "∞" if value > 0 else "−∞"
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:,.0f}" if abs(value) >= 10 or value == 0 else f"{value:#.2g}"
    digits, exponent = f"{value:.1e}".split("e")
    return f"{digits}×{power(int(exponent))}"


def duration(seconds: float) -> str:
    """Return a wall time in words."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


def plain(value: Any) -> str:
    """Return a setting for people: lists with commas, yes and no, no quotes."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {plain(item)}" for key, item in value.items())
    return ", ".join(map(plain, value)) if isinstance(value, (list, tuple)) else str(value)


def rates(arm: Arm) -> str:
    """Return how many of the learning rates that were tried worked."""
    return f"{len(arm.working_rates)} of {len({run.learning_rate for run in arm.runs})}"


def stops(arm: Arm) -> str:
    """Return how many runs at the chosen learning rate were stopped early, "" if none was."""
    runs: tuple[Run, ...] = arm.chosen_runs()
    stopped = [run for run in runs if run.stopped]
    return f"{len(stopped)} of {len(runs)} runs {stopped[0].stopped}" if stopped else ""


def badges(arm: Arm) -> list[tuple[str, str]]:
    """Return level and kind of what was found, worst first, each kind once."""
    worst: dict[str, str] = {}
    for level in _LEVELS:
        for finding in arm.findings:
            if finding.level == level:
                worst.setdefault(finding.kind, level)
    return [(level, kind) for kind, level in worst.items()]


def _counts(comparison: Comparison) -> dict[str, int]:
    arms = [arm for network in comparison.networks for arm in network.arms]
    runs = [run for arm in arms for run in arm.runs]
    return {
        "methods": len({arm.method for arm in arms}),
        "seeds": len({run.seed for run in runs}),
        "rates": len({run.learning_rate for run in runs}),
        "runs": len(runs),
    }
