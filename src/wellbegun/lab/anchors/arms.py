"""The same network from several starts: what most anchors compare."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from wellbegun.lab.anchors.anchor import Asked, Table
from wellbegun.lab.anchors.training import Fit, fit, start
from wellbegun.lab.measured_page import COLOURS, Results, number, percent
from wellbegun.lab.task import Task

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POINTS = 40
"""Points of a curve that is kept: means of the loss over equal stretches of the training."""

Recipes = Mapping[str, str]
"""Name of an arm, as the page has it, to the recipe that starts it."""


def train_arms(
    asked: Asked,
    build: Callable[[], torch.nn.Module],
    task: Task,
    recipes: Recipes,
    seeds: Sequence[int],
    *,
    count: Callable[[int], None] | None = None,
    **settings: Any,
) -> Results:
    """Train the network from every start and seed, and return scores, curves and why trainings were given up, by arm.

    Args:
        asked: tells the device, and is told the progress.
        build: makes the network.
        task: the data.
        recipes: the arms.
        seeds: of the weights and the order of the data.
        count: is told steps; left out: this call is the whole measurement.
        settings: rate, steps, batch and what else `fit` takes.
    """
    count = count or asked.counter(len(recipes) * len(seeds) * settings["steps"])
    found: Results = {}
    for name, recipe in recipes.items():
        fits = [
            fit(start(build(), task, recipe, seed), task, seed=seed, device=asked.device, on_step=count, **settings)
            for seed in seeds
        ]
        found[name] = {
            "score": [each.score for each in fits],
            "stopped": [each.stopped for each in fits],
            "curve": [curve(each, settings["steps"]) for each in fits],
        }
    return found


def curve(one: Fit, steps: int) -> list[float]:
    """Return the mean losses of equal stretches of a training; a training that was given up has fewer."""
    stretch = max(1, steps // POINTS)
    return [float(np.mean(one.losses[at : at + stretch])) for at in range(0, len(one.losses), stretch)]


def arms_table(arms: Results, title: str = "", first: str = "start") -> Table:
    """Return the scores and last losses of the arms."""
    rows = []
    for name, arm in arms.items():
        last = [each[-1] for each in arm["curve"]]
        loss = "not a number" if None in last else number(float(np.mean(last)))
        rows.append([name, percent(arm["score"]), loss, "; ".join(sorted({s for s in arm["stopped"] if s})) or "–"])
    return Table([first, "right answers", "loss at the end", "given up"], rows, title)


def points(arms: Results, name: str) -> float:
    """Return the mean right answers of an arm, in percent."""
    return 100 * float(np.mean(arms[name]["score"]))


def draw_arms(axes: Axes, arms: Results, steps: int, title: str) -> None:
    """Draw the loss of every arm and seed while training."""
    for (name, arm), colour in zip(arms.items(), COLOURS.values(), strict=False):
        for seed, losses in enumerate(arm["curve"]):
            values = np.array(losses, float)
            at = (np.arange(len(values)) + 0.5) * max(1, steps // POINTS)
            axes.plot(at, values, color=colour, lw=1.4, label=None if seed else name)
    axes.axhline(np.log(10), color="grey", ls=":", lw=1)
    axes.text(0.99 * steps, 10, "dotted: guessing", color="grey", ha="right", va="top", size=9)
    axes.set(xlabel="training step", xlim=(0, steps), yscale="log", ylim=(None, 12))
    axes.set_title(title, size=11, loc="left")
    axes.legend(frameon=False, loc="lower left", fontsize=9)
