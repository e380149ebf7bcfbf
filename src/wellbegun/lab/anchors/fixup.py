"""Fixup: a hundred residual blocks without normalisation, at a large learning rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

import wellbegun as wb
from wellbegun.lab.anchors.anchor import Anchor, Asked, Table
from wellbegun.lab.anchors.gate import Gate
from wellbegun.lab.anchors.training import fit
from wellbegun.lab.measured_page import COLOURS, Results, number, percent
from wellbegun.lab.networks import build_network
from wellbegun.lab.task import Task
from wellbegun.lab.tasks import load_task
from wellbegun.plans import Plan

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, BATCH, STEPS = 64, 128, 300
DEPTHS, RATES = (20, 100), (0.01, 0.1)
LEARNT = 0.9
"""Accuracy from which on a network counts as trained."""


class FixupMLP(torch.nn.Module):
    """Residual blocks of two products, with Fixup's scalars or with ReZero's one number a block.

    Args:
        task: classes of vectors.
        depth: blocks.
        scalars: four biases and one multiplier in each block; else the multiplier alone.
    """

    def __init__(self, task: Task, depth: int, *, scalars: bool) -> None:
        super().__init__()
        self.input, self.output = torch.nn.Linear(task.inputs, WIDTH), torch.nn.Linear(WIDTH, task.outputs)
        self.first, self.second = (
            torch.nn.ModuleList(torch.nn.Linear(WIDTH, WIDTH, bias=not scalars) for _ in range(depth)) for _ in range(2)
        )
        self.scale = torch.nn.ParameterList(torch.ones(1) for _ in range(depth))
        self.shift = torch.nn.ParameterList(torch.zeros(1) for _ in range(4 * depth if scalars else 0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return one row of logits for each row of inputs."""
        x = self.input(x)
        shifts = list(self.shift) or [None] * (4 * len(self.scale))
        for i, scale in enumerate(self.scale):
            before, inside, behind, after = shifts[4 * i : 4 * i + 4]
            hidden = torch.relu(_shifted(self.first[i](_shifted(x, before)), inside))
            x = x + _shifted(scale * self.second[i](_shifted(hidden, behind)), after)
        logits: torch.Tensor = self.output(torch.relu(x))
        return logits


def _shifted(x: torch.Tensor, by: torch.Tensor | None) -> torch.Tensor:
    return x if by is None else x + by


ARMS = {
    "He": "he",
    "last weight of a branch × L^(-1/2)": "scaled_residual",
    "last weight of a branch 0": "zero_residual(base='he')",
    "ReZero: branch × 0, learnt": "skip_init(base='he')",
    "Fixup": "fixup",
    "Fixup's weights, without scalars": "fixup",
}
FIXUP, REZERO, BARE = "Fixup", "ReZero: branch × 0, learnt", "Fixup's weights, without scalars"


def build(arm: str, task: Task, depth: int) -> torch.nn.Module:
    """Return the network of an arm: plain blocks, or blocks with the scalars that its method trains."""
    if arm in (FIXUP, REZERO):
        return FixupMLP(task, depth, scalars=arm == FIXUP)
    return build_network("residual", task, depth=depth, width=WIDTH, activation="relu")


def planned(arm: str, task: Task, depth: int) -> Plan:
    """Return the starting weights of an arm, for any seed."""
    return wb.plan(build(arm, task, depth), torch.from_numpy(task.train.inputs), seed=0, recipe=ARMS[arm])


def measure(asked: Asked) -> Results:
    """Train every arm at each depth and learning rate."""
    task = load_task("digits")
    depths, rates = ((8,), (0.1,)) if asked.quick else (DEPTHS, RATES)
    seeds, steps = range(1 if asked.quick else 3), 60 if asked.quick else STEPS
    count = asked.counter(len(ARMS) * len(depths) * len(rates) * len(seeds) * steps)
    runs: list[Results] = []
    for depth in depths:
        for arm in ARMS:
            plan = planned(arm, task, depth)
            factors = {entry.name: entry.lr_factor for entry in plan}
            for rate in rates:
                for seed in seeds:
                    model = build(arm, task, depth)
                    wb.apply(plan.with_seed(seed), model)
                    done = fit(
                        model, task, rate=rate, steps=steps, batch=BATCH, seed=seed, factors=factors, on_step=count
                    )
                    run = {"arm": arm, "depth": depth, "rate": rate, "seed": seed, "accuracy": done.score}
                    runs.append(run | {"first loss": done.losses[0], "losses": done.losses[::5], "end": done.stopped})
    return {"runs": runs}


def cell(results: Results, arm: str, depth: int, rate: float) -> list[Results]:
    """Return the runs of one arm at one depth and learning rate."""
    wanted = (arm, depth, rate)
    return [run for run in results["runs"] if (run["arm"], run["depth"], run["rate"]) == wanted]


def accuracies(results: Results, arm: str, depth: int, rate: float) -> list[float]:
    """Return the accuracy of each seed."""
    return [float(run["accuracy"]) for run in cell(results, arm, depth, rate)]


def grid(results: Results) -> list[tuple[int, float]]:
    """Return the depths and learning rates that were measured."""
    return sorted({(run["depth"], run["rate"]) for run in results["runs"]})


def told(runs: list[Results]) -> str:
    """Return the accuracies, or how many of the trainings diverged."""
    ended = sum(bool(run["end"]) for run in runs)
    shown = percent([float(run["accuracy"]) for run in runs])
    return shown if not ended else ("diverges" if ended == len(runs) else f"{shown}, {ended} diverge")


def tables(results: Results) -> list[Table]:
    """Return accuracies by depth and learning rate, and the losses at the start."""
    places = grid(results)
    depths = sorted({depth for depth, _ in places})
    rows = []
    for arm in ARMS:
        losses = [
            number(float(np.mean([r["first loss"] for r in results["runs"] if r["arm"] == arm and r["depth"] == d])))
            for d in depths
        ]
        rows.append([arm, *(told(cell(results, arm, *place)) for place in places), " / ".join(losses)])
    head = ["start", *(f"{depth} blocks, rate {rate:g}" for depth, rate in places)]
    return [Table([*head, "loss at step 0: " + " / ".join(str(depth) for depth in depths)], rows)]


def worst(results: Results, arm: str) -> float:
    """Return the lowest accuracy of an arm at the greatest depth and learning rate."""
    return min(accuracies(results, arm, *grid(results)[-1]))


def others(results: Results) -> float:
    """Return the mean accuracy of the best start that is none of Fixup's, at the greatest depth and rate."""
    place = grid(results)[-1]
    return max(float(np.mean(accuracies(results, arm, *place))) for arm in ARMS if arm not in (FIXUP, BARE))


def headline(results: Results) -> str:
    """Return what came out."""
    depth, rate = grid(results)[-1]
    return (
        f"at {depth} blocks and a rate of {rate:g}: Fixup {percent(accuracies(results, FIXUP, depth, rate))}, without "
        f"its scalars {percent(accuracies(results, BARE, depth, rate))}, the best other start {others(results):.0%}"
    )


def findings(results: Results) -> str:
    """Return what to make of it."""
    depth, rate = grid(results)[-1]
    first = float(np.mean([run["first loss"] for run in cell(results, "He", depth, rate)]))
    return f"""He's weights triple the second moment with each block: the loss at step 0 is {number(first)} at {depth}
blocks. Three other starts bound it, or take the branches out at first; the best of these comes to
{others(results):.0%} at a rate of {rate:g}. A start of bounded size is not yet one that bears a step. With weights
of full size
in all {depth} branches, the first steps move all branches at once. Fixup makes the first weight of a branch smaller by
the root of {depth}, so that the sum of all moves is of the size of one.

Its scalars add nothing here: the weights alone come to {percent(accuracies(results, BARE, depth, rate))}, with the
scalars it is {percent(accuracies(results, FIXUP, depth, rate))}. (A pilot of this project with 100 steps in place of
{STEPS} saw Fixup with scalars fail in this cell; it does not at {STEPS} steps.)"""


def figure(results: Results) -> Figure:
    """Draw the losses of the deepest network at the larger learning rate."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(7, 3.8))
    axes = drawn.subplots()
    colours = ("grey", COLOURS["blue"], COLOURS["green"], COLOURS["pink"], COLOURS["black"], COLOURS["red"])
    for arm, colour in zip(ARMS, colours, strict=True):
        for seed, run in enumerate(cell(results, arm, *grid(results)[-1])):
            steps = 5 * np.arange(len(run["losses"]))
            losses = [loss if loss is not None and loss < 1e3 else float("nan") for loss in run["losses"]]
            axes.plot(steps, losses, color=colour, lw=1.2, label=None if seed else arm)
            kept = [i for i, loss in enumerate(losses) if loss == loss]
            if run["end"] and kept:
                axes.plot(steps[kept[-1]], losses[kept[-1]], "x", color=colour, ms=8)
    axes.set(yscale="log", xlabel="training step (× diverges)", ylabel="loss of a batch")
    axes.set_title("100 residual blocks without normalisation, learning rate 0.1", size=11, loc="left")
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    drawn.tight_layout()
    return drawn


FIXUP_ANCHOR = Anchor(
    name="fixup",
    title="Fixup: a hundred residual blocks without normalisation bear a learning rate of 0.1",
    source=(
        'Zhang, Dauphin and Ma (2019), "Fixup Initialization: Residual Learning Without Normalization", section 4.1.'
    ),
    reported=(
        "Residual networks of 10 to 10,000 layers without normalisation train with Fixup at the learning rate of "
        "those with it (0.1); a ResNet-110 comes to 7.24% error on CIFAR-10 where BatchNorm comes to 6.61%."
    ),
    setup=(
        f"x + W₂·ReLU(W₁·x), width {WIDTH}, no normalisation, 20 and 100 blocks, on 1,000 real handwritten digits of "
        f"8×8: {STEPS} steps of SGD (momentum 0.9, batches of {BATCH}, no clipping, no warm-up) at rates of 0.01 and "
        "0.1, three seeds. Fixup and ReZero get the scalars that they train, Fixup's at a tenth of the rate."
    ),
    differs=(
        "A small network of vectors on digits in the place of ResNet-110 on CIFAR-10, and divergence in 300 steps in "
        "the place of accuracy after 200 epochs. The convolutional form is `wellbegun anchor fixup_resnet`, which on a "
        "GPU is that network."
    ),
    minutes=4,
    measure=measure,
    tables=tables,
    gates=(
        Gate("Fixup, accuracy of the worst seed", lambda r: worst(r, FIXUP), at_least=LEARNT, quick=False),
        Gate("Fixup's weights without scalars, worst seed", lambda r: worst(r, BARE), at_least=LEARNT, quick=False),
        Gate("best other start at 100 blocks and rate 0.1, mean accuracy", others, at_most=0.5, quick=False),
        Gate(
            "Fixup: loss at step 0 minus ln 10",
            lambda r: max(abs(run["first loss"] - np.log(10)) for run in r["runs"] if run["arm"] == FIXUP),
            at_most=1e-5,
        ),
    ),
    headline=headline,
    findings=findings,
    figure=figure,
    methods=("fixup", "skip_init", "scaled_residual", "zero_residual"),
)
