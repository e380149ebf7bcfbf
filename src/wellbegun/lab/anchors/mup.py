"""muP: one learning rate for all widths, and the check that shows it in a few steps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import wellbegun as wb
from wellbegun.lab.anchors.anchor import Anchor, Asked, Table
from wellbegun.lab.anchors.gate import Gate
from wellbegun.lab.anchors.training import fit
from wellbegun.lab.measured_page import COLOURS, Results
from wellbegun.lab.network import PlainMLP
from wellbegun.lab.task import Task
from wellbegun.lab.tasks import load_task
from wellbegun.plans import Plan

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BASE, DEPTH, BATCH, STEPS = 32, 3, 128, 60
WIDTHS = (32, 64, 128, 256, 512)
RATES = tuple(2.0**power for power in range(-11, -3))
CHECK_RATE, CHECK_STEPS = 2.0**-8, 4
ARMS = {"standard": "he", "muP": f"mup(base_width={BASE}, base='he', zero_readout=True)"}
SMOOTHED = 10
"""Losses of the last steps whose mean a training is judged by."""


def build(task: Task, width: int) -> PlainMLP:
    """Return a ReLU network of one width."""
    return PlainMLP(task.inputs, task.outputs, depth=DEPTH, width=width, activation="relu")


def planned(arm: str, task: Task, width: int) -> Plan:
    """Return the starting weights and learning rates of an arm at a width."""
    return wb.plan(build(task, width), torch.from_numpy(task.train.inputs[:256]), seed=0, recipe=ARMS[arm])


def last_loss(plan: Plan, task: Task, rate: float, steps: int, seed: int, asked: Any) -> float:
    """Train a network and return the mean loss of its last steps; infinite if it diverged."""
    width = plan["hidden.0.weight"].shape[0]
    model = build(task, width)
    wb.apply(plan.with_seed(seed), model)
    factors = {entry.name: entry.lr_factor for entry in plan}
    done = fit(
        model, task, rate=rate, steps=steps, batch=BATCH, seed=seed, optimizer="adam", factors=factors, on_step=asked
    )
    return math.inf if done.stopped else float(np.mean(done.losses[-SMOOTHED:]))


def checked(arm: str, task: Task, widths: tuple[int, ...], seeds: int) -> dict[str, Any]:
    """Return the coordinate check of an arm: the slope of each layer's size over the width, by step."""
    batch = torch.from_numpy(task.train.inputs[:BATCH]), torch.from_numpy(task.train.targets[:BATCH])

    def optimizer(model: torch.nn.Module) -> torch.optim.Optimizer:
        plan = wb.plan(model, batch[0], seed=0, recipe=ARMS[arm])
        return torch.optim.Adam(plan.param_groups(CHECK_RATE, model=model))

    found = wb.sweep(
        lambda width: build(task, width),
        batch,
        widths=widths,
        seeds=seeds,
        recipe=ARMS[arm],
        optimizer=optimizer,
        steps=CHECK_STEPS,
    )
    slopes: dict[str, list[float]] = {}
    for scaling in found.scalings:
        slopes.setdefault(scaling.layer, []).append(scaling.size.value)
    return {"slopes": slopes, "failing": list(found.failing)}


def measure(asked: Asked) -> Results:
    """Train every width at every learning rate, and check the coordinates."""
    task = load_task("digits")
    widths = (32, 128) if asked.quick else WIDTHS
    rates, steps = (RATES[3::2], 20) if asked.quick else (RATES, STEPS)
    seeds = range(1 if asked.quick else 3)
    count = asked.counter(len(ARMS) * len(widths) * len(rates) * len(seeds) * steps)
    losses: dict[str, dict[str, dict[str, list[float]]]] = {}
    for arm in ARMS:
        losses[arm] = {}
        for width in widths:
            plan = planned(arm, task, width)
            losses[arm][str(width)] = {
                f"{rate:g}": [last_loss(plan, task, rate, steps, seed, count) for seed in seeds] for rate in rates
            }
    check_widths = (32, 64, 128) if asked.quick else WIDTHS[1:]
    return {"losses": losses, "check": {arm: checked(arm, task, check_widths, len(seeds)) for arm in ARMS}}


def level(losses: list[float | None]) -> float:
    """Return the mean of the logarithms of some losses; infinite if a training diverged."""
    return math.inf if None in losses else float(np.mean(np.log([loss for loss in losses if loss is not None])))


def best(results: Results, arm: str, width: str) -> int:
    """Return the learning rate of an arm with the lowest loss at a width, as a power of 2."""
    by_rate = results["losses"][arm][width]
    return round(math.log2(float(min(by_rate, key=lambda rate: level(by_rate[rate])))))


def drift(results: Results, arm: str) -> int:
    """Return how many factors of 2 lie between the best rate of the narrowest and of the widest network."""
    widths = list(results["losses"][arm])
    return best(results, arm, widths[0]) - best(results, arm, widths[-1])


def farthest(results: Results, arm: str, times: int) -> int:
    """Return how many factors of 2 the best rate is from the narrowest network's, up to so many times its width."""
    widths = [width for width in results["losses"][arm] if int(width) <= times * BASE]
    return max(abs(best(results, arm, widths[0]) - best(results, arm, width)) for width in widths)


def cost(results: Results, arm: str) -> float:
    """Return what the narrowest network's best rate costs the widest, as a factor of the loss of its own best rate."""
    widths = list(results["losses"][arm])
    last = {round(math.log2(float(rate))): level(losses) for rate, losses in results["losses"][arm][widths[-1]].items()}
    return math.exp(last[best(results, arm, widths[0])] - last[best(results, arm, widths[-1])])


def steepest(results: Results, arm: str) -> float:
    """Return the largest slope, up or down, of any layer behind the first step and later."""
    return max(abs(float(slope)) for by_step in results["check"][arm]["slopes"].values() for slope in by_step[1:])


def tables(results: Results) -> list[Table]:
    """Return the best learning rates, and the slopes of the coordinate check."""
    widths = list(results["losses"]["muP"])
    transfer = [
        [arm, *(f"2^{best(results, arm, width):g}" for width in widths), f"{cost(results, arm):.3g}"] for arm in ARMS
    ]
    slopes = [
        [
            arm,
            layer.removesuffix(".weight"),
            *(f"{slope:+.2f}" if slope is not None else "starts at 0" for slope in row),
        ]
        for arm in ARMS
        for layer, row in results["check"][arm]["slopes"].items()
    ]
    head = ["", *(f"width {width}" for width in widths), "loss of the widest at the rate of the narrowest"]
    steps = [f"after {step} steps" for step in range(CHECK_STEPS + 1)]
    return [
        Table(head, transfer, "Best learning rate of Adam; the last column: over its loss at its own best rate"),
        Table(["", "layer", *steps], slopes, "Coordinate check: exponent of the width in the size of a layer's output"),
    ]


def headline(results: Results) -> str:
    """Return what came out."""
    return (
        f"from width {WIDTHS[0]} to {WIDTHS[-1]} the best rate falls by 2^{drift(results, 'standard')} with He's "
        f"weights, and the rate of the narrowest costs the widest a factor of {cost(results, 'standard'):.3g} in loss; "
        f"{cost(results, 'muP'):.3g} under muP"
    )


def findings(results: Results) -> str:
    """Return what to make of it."""
    he, mup = (steepest(results, arm) for arm in ARMS)
    lowest = [
        math.exp(min(level(each) for each in results["losses"][arm][list(results["losses"][arm])[-1]].values()))
        for arm in ARMS
    ]
    first = max(abs(by_step[1]) for by_step in results["check"]["standard"]["slopes"].values())
    return f"""With He's weights and one learning rate for all, a rate that was tuned at width {WIDTHS[0]} costs the
width {WIDTHS[-1]} a factor of {cost(results, "standard"):.3g} in loss; under muP {cost(results, "muP"):.3g}. The best
rate of muP is not a constant here: it stays within a factor of 2^{farthest(results, "muP", 8)} up to eight times the
width, and is 2^{farthest(results, "muP", 16)} away at sixteen times, where that costs the factor just named.
What muP does not buy here is a lower loss: at the best rate of its own, width {WIDTHS[-1]} comes to {lowest[0]:.2g}
with He's weights and to {lowest[1]:.2g} under muP.

The coordinate check says the same in {CHECK_STEPS} steps: with He's weights the output grows like width^{first:.2f} in
the first step already (up to {he:.2f} later); under muP no layer's slope is beyond {mup:.2f}."""


def figure(results: Results) -> Figure:
    """Draw the loss over the learning rate for each width."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(8, 3.6))
    panels = drawn.subplots(1, 2, sharey=True)
    shades = [(0.75 - 0.75 * i / (len(WIDTHS) - 1),) * 3 for i in range(len(WIDTHS))]
    for axes, arm in zip(panels, ARMS, strict=True):
        for shade, (width, by_rate) in zip(shades, results["losses"][arm].items(), strict=True):
            rates = [float(rate) for rate in by_rate]
            values = np.exp([level(losses) for losses in by_rate.values()])
            axes.plot(rates, np.where(values < 20, values, np.nan), "o-", ms=3, lw=1.3, color=shade, label=width)
            lowest = int(np.argmin(values))
            axes.plot(rates[lowest], values[lowest], "o", ms=8, mfc="none", color=COLOURS["red"])
        axes.set(xscale="log", yscale="log", xlabel="learning rate of Adam")
        axes.set_title(arm, size=11, loc="left")
    panels[0].set_ylabel(f"loss after {STEPS} steps")
    panels[1].legend(frameon=False, title="width", fontsize=9)
    drawn.tight_layout()
    return drawn


MUP = Anchor(
    name="mup",
    title="muP: a learning rate tuned on a narrow network is right for a wide one",
    source=(
        'Yang, Hu, Babuschkin, Sidor, Liu, Farhi, Ryder, Pachocki, Chen and Gao (2022), "Tensor Programs V: Tuning '
        'Large Neural Networks via Zero-Shot Hyperparameter Transfer", figure 1 and appendix D.1.'
    ),
    reported=(
        "Transformers of width 128 to 8192 under Adam: with standard weights the best learning rate falls as the width "
        "grows, under muP it stays; in the coordinate check the sizes of all layers stay where they are under muP, and "
        "grow with the width otherwise."
    ),
    setup=(
        f"ReLU networks of {DEPTH} hidden layers on 1,000 real handwritten digits, widths {WIDTHS[0]} to {WIDTHS[-1]}, "
        f"{STEPS} steps of Adam (batches of {BATCH}), eight learning rates a factor of 2 apart, three seeds: "
        "which rate has the lowest mean loss in the last ten steps? He's weights with one rate for all, and muP on top "
        f"of them (`{ARMS['muP']}`, whose learning rates the plan holds). Then `wb.sweep` at a rate of 2⁻⁸ "
        f"over {CHECK_STEPS} steps, widths {WIDTHS[1]} to {WIDTHS[-1]}."
    ),
    differs=(
        "Plain networks on digits and not transformers on text, 16 times the width and not 64, and a minute of "
        "training in all. The best rate is read off a grid, so that a move by one factor of 2 is within its error. (A "
        "transformer with a tied table goes through the coordinate check in `tests/recipes/presets/test_mup.py`.)"
    ),
    minutes=1,
    measure=measure,
    tables=tables,
    gates=(
        Gate(
            "muP: move of the best rate up to 8 times the width, factors of 2",
            lambda r: farthest(r, "muP", 8),
            at_most=1,
            quick=False,
        ),
        Gate("muP: cost of the narrowest rate at the widest", lambda r: cost(r, "muP"), at_most=2, quick=False),
        Gate("standard: fall of the best rate, factors of 2", lambda r: drift(r, "standard"), at_least=2, quick=False),
        Gate("muP: steepest slope of the coordinate check", lambda r: steepest(r, "muP"), at_most=0.1, quick=False),
        Gate("standard: steepest slope", lambda r: steepest(r, "standard"), at_least=0.3),
        Gate(
            "muP: layers that fail the check",
            lambda r: len(r["check"]["muP"]["failing"]),
            at_most=0,
            quick=False,
        ),
    ),
    headline=headline,
    findings=findings,
    figure=figure,
    methods=("mup",),
)
