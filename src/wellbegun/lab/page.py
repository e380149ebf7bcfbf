"""A comparison as one HTML page that needs nothing else: no network, no scripts, no files beside it."""

from __future__ import annotations

import math
from importlib import resources
from pathlib import Path
from typing import Any

from wellbegun.diagnosis.page import require_page
from wellbegun.lab.figures import network_figures, power, ranked
from wellbegun.lab.result import Arm, Comparison, Interval, Run
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
    filters = (accuracy, badges, duration, interval, number, percent, plain, points, ranked, rates, stops)
    environment.filters.update({function.__name__: function for function in filters})
    source = resources.files("wellbegun.lab").joinpath("page.html.jinja").read_text("utf-8")
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
    return f"{min(max(value, 0.0), 1.0):.1%}" if math.isfinite(value) else "none"


def interval(value: Interval) -> str:
    """Return the bounds of an interval of shares, cut to what a share can be; "" where there are none."""
    low, high = percent(value.low), percent(value.high)
    return "" if "none" in (low, high) else f"{low.removesuffix('%')}–{high}"


def accuracy(value: Interval) -> str:
    """Return a share with its interval in one line."""
    bounds = interval(value)
    return f"{percent(value.mean)} ({bounds})" if bounds else percent(value.mean)


def points(value: Interval) -> str:
    """Return a difference of shares in percentage points, with its interval."""
    mean, low, high = (f"{100 * bound:+.1f}".replace("-", "−") for bound in (value.mean, value.low, value.high))
    return f"{mean} points ({low} to {high})"


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
