"""Schoenholz et al. (2017): a plain network learns if it is not much deeper than its depth scale."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

import wellbegun as wb
from wellbegun.lab.anchors.anchor import Anchor, Asked, Table
from wellbegun.lab.anchors.gate import Gate
from wellbegun.lab.anchors.training import SAMPLE
from wellbegun.lab.measured_page import Results, number
from wellbegun.lab.network import PlainMLP
from wellbegun.lab.task import Task
from wellbegun.lab.tasks import load_task
from wellbegun.lab.trials.together import State, train_together
from wellbegun.theory import MeanField

if TYPE_CHECKING:
    from matplotlib.figure import Figure

VARIANCES, BIAS = (1.0, 1.3, 1.5, 1.7, 2.0, 2.5, 3.0, 4.0), 0.05
DEPTHS, QUICK_DEPTHS, MIDDLE = (5, 10, 20, 40, 80, 160), (5, 40), 40
WIDTH, STEPS, BATCH, RATE = 64, 150, 64, 0.01
LEARNT, REACH = 0.5, 6
"""A network has learnt with this share right; the paper finds that this many depth scales can be trained."""


def starting(model: PlainMLP, task: Task, variance: float, seed: int) -> State:
    """Return starting weights of variance/fan_in, and biases of the variance `BIAS`."""
    rules = {"*.bias": wb.Normal(math.sqrt(BIAS))}
    inputs = torch.from_numpy(task.train.inputs[:SAMPLE])
    wb.apply(wb.plan(model, inputs, seed=seed, recipe=f"variance_scaling(variance={variance})", rules=rules), model)
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def share_right(task: Task, depth: int, seed: int, on_step: Callable[[int], None]) -> list[float]:
    """Train a network for each weight variance, side by side on the same batches, and return what each has right."""
    models = [PlainMLP(task.inputs, task.outputs, depth=depth, width=WIDTH, activation="tanh") for _ in VARIANCES]
    states = [starting(model, task, v, seed) for model, v in zip(models, VARIANCES, strict=True)]
    rates = [RATE] * len(states)
    curves = train_together(
        models[0], states, rates, task, seed=seed, steps=STEPS, batch=BATCH, every=STEPS, on_step=on_step
    )
    return [float(curve.items.mean()) for curve in curves]


def measure(asked: Asked) -> Results:
    """Train one network for each depth, weight variance and seed."""
    task, depths = load_task("digits"), QUICK_DEPTHS if asked.quick else DEPTHS
    seeds = range(1 if asked.quick else 3)
    count = asked.counter(len(depths) * len(seeds) * STEPS)
    right = [[share_right(task, depth, seed, count) for seed in seeds] for depth in depths]
    scales = [MeanField("tanh", variance, BIAS).depth_scales().correlation for variance in VARIANCES]
    return {"depths": list(depths), "variances": list(VARIANCES), "scales": scales, "right": right}


def grid(results: Results) -> NDArray[np.float64]:
    """Return the mean share right, (depths, variances)."""
    right: NDArray[np.float64] = np.asarray(results["right"], np.float64)
    return np.asarray(right.mean(1))


def rank_correlation(results: Results) -> float:
    """Return the rank correlation of the share right with the depth in depth scales, over the whole grid."""
    from scipy.stats import spearmanr

    relative = np.asarray(results["depths"])[:, None] / np.asarray(results["scales"])[None, :]
    return float(spearmanr(grid(results).ravel(), relative.ravel()).statistic)


def rank_correlations(results: Results) -> tuple[float, float]:
    """Return the rank correlation of the share right with the depth alone, and at 40 layers with the depth scale."""
    from scipy.stats import spearmanr

    shares, depths = grid(results), results["depths"]
    repeated = np.repeat(np.asarray(depths)[:, None], shares.shape[1], 1)
    row = shares[depths.index(MIDDLE)]
    return float(spearmanr(shares.ravel(), repeated.ravel()).statistic), float(
        spearmanr(row, results["scales"]).statistic
    )


def right_where(results: Results, low: float, high: float) -> float:
    """Return the mean share right, in percent, of networks whose depth is between so many depth scales."""
    relative = np.asarray(results["depths"])[:, None] / np.asarray(results["scales"])[None, :]
    chosen = grid(results)[(relative >= low) & (relative < high)]
    return 100 * float(chosen.mean()) if chosen.size else math.nan


def reached(results: Results) -> list[int]:
    """Return the largest depth that learns, for each variance; 0 if none does."""
    learnt = grid(results) >= LEARNT
    return [max((d for d, yes in zip(results["depths"], column, strict=True) if yes), default=0) for column in learnt.T]


def tables(results: Results) -> list[Table]:
    """Return the share right by variance and depth, beside the depth scale."""
    rows = [
        [f"{variance:g}", f"{scale:.1f}", *(f"{share:.0%}" for share in column), str(deepest)]
        for variance, scale, column, deepest in zip(
            results["variances"], results["scales"], grid(results).T, reached(results), strict=True
        )
    ]
    head = [
        "weight variance",
        "depth scale",
        *(f"{depth} layers" for depth in results["depths"]),
        "deepest that learns",
    ]
    return [Table(head, rows)]


def headline(results: Results) -> str:
    """Return what came out."""
    return (
        f"over {grid(results).size} tanh networks, right answers and depth in depth scales have a rank correlation of "
        f"{rank_correlation(results):.2f}"
    )


def findings(results: Results) -> str:
    """Return what to make of it."""
    alone, middle = rank_correlations(results)
    ratios = [d / s for d, s in zip(reached(results), results["scales"], strict=True) if 0 < d < max(results["depths"])]
    return f"""The depth scale is the number of layers in which the correlation of two inputs comes nearer to its
fixed point by a factor e; it comes from theory alone (`wb.MeanField("tanh", 1.5, 0.05).depth_scales()`), before
anything is trained. Networks that are less than one scale deep have {right_where(results, 0, 1):.0f}% right, from
one to {REACH} scales {right_where(results, 1, REACH):.0f}%, and deeper ones
{right_where(results, REACH, math.inf):.0f}%. The deepest networks that learn at least {LEARNT:.0%} here are
{number(min(ratios))} to {number(max(ratios))} scales deep (depths are tried in steps of a factor 2); the paper draws
its line at {REACH}. Near the critical variance of 1.76 it is not the scale but the {STEPS} steps that end the
learning: at variance 1.7 the scale is {results["scales"][VARIANCES.index(1.7)]:.0f} layers, and 80 layers have not
learnt by then.

How much of this is the depth itself? Right answers and depth alone have a rank correlation of {alone:.2f}; at the
one depth where networks differ, {MIDDLE} layers, right answers and the depth scale have one of {middle:.2f}. The
bound on the whole grid is met narrowly: among the many networks that guess, and among those that have learnt, ranks
are chance (the first two seeds alone give -0.80)."""


def figure(results: Results) -> Figure:
    """Draw the shares right by variance and depth, with the line of the theory."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(7.5, 4.2))
    axes = drawn.subplots()
    shares, depths = 100 * grid(results), results["depths"]
    image = axes.imshow(shares, aspect="auto", origin="lower", cmap="viridis", vmin=0, vmax=100)
    low, step = math.log(depths[0]), math.log(depths[-1] / depths[0]) / (len(depths) - 1)
    for factor, style in ((REACH, "-"), (1, "--")):
        at = [(math.log(factor * scale) - low) / step for scale in results["scales"]]
        axes.plot(range(len(at)), at, style, color="white", lw=1.8, label=f"{factor} × depth scale")
    axes.set_xticks(range(len(results["variances"])), [f"{v:g}" for v in results["variances"]])
    axes.set_yticks(range(len(depths)), [str(depth) for depth in depths])
    axes.set(xlabel="weight variance × fan_in", ylabel="layers", ylim=(-0.5, len(depths) - 0.5))
    axes.legend(loc="upper right", fontsize=9, facecolor="#444444", labelcolor="white", framealpha=0.9)
    drawn.colorbar(image, ax=axes, label="right answers, %")
    axes.set_title(f"tanh networks on digits after {STEPS} steps", size=11, loc="left")
    drawn.tight_layout()
    return drawn


SCHOENHOLZ_2017 = Anchor(
    name="schoenholz_2017",
    title="How deep a plain network can be trained is known before training",
    source='Schoenholz, Gilmer, Ganguli and Sohl-Dickstein (2017), "Deep Information Propagation", figure 5.',
    reported=(
        "tanh networks of many weight variances and depths on MNIST can be trained where they are not deeper than "
        "about six depth scales of the correlation, on both sides of the critical line: theory says before training "
        "which."
    ),
    setup=(
        f"tanh networks of {WIDTH} units, weights of {len(VARIANCES)} variances (times 1/fan_in), biases of variance "
        f"{BIAS}, {DEPTHS[0]} to {DEPTHS[-1]} hidden layers, learn 1,000 real handwritten digits of 8×8; 397 others "
        f"are scored. SGD {RATE}, momentum 0.9, batches of {BATCH}, {STEPS} steps, no clipping; mean of three seeds."
    ),
    differs=(
        "Width 64 and not 300, digits and not MNIST, momentum, right answers on test and not on training images, "
        "depths in steps of a factor 2. How deep a network learns depends on the number of steps too: with more of "
        "them the line moves up."
    ),
    minutes=2,
    measure=measure,
    tables=tables,
    gates=(
        Gate("rank correlation, right answers and depth / scale", rank_correlation, at_most=-0.8, quick=False),
        Gate("less than one depth scale: % right", lambda r: right_where(r, 0, 1), at_least=80),
        Gate("more than six: % right", lambda r: right_where(r, REACH, math.inf), at_most=40, quick=False),
    ),
    headline=headline,
    findings=findings,
    figure=figure,
    methods=("critical", "variance_scaling"),
)
