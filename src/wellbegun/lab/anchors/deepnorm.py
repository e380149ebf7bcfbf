"""DeepNorm: a deep post-norm transformer that needs no warm-up, on characters."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

import wellbegun as wb
from wellbegun.lab.anchors.anchor import Anchor, Asked, Table
from wellbegun.lab.anchors.gate import Gate
from wellbegun.lab.anchors.training import fit
from wellbegun.lab.measured_page import COLOURS, Results
from wellbegun.lab.task import Split, Task
from wellbegun.lab.tasks import load_task
from wellbegun.plans import Plan

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, HEADS, BATCH, STEPS = 32, 4, 8, 160
DEPTHS, RATE, SCORED = (6, 24), 2e-3, 100
SMOOTHED = 10
"""Steps that a point of the drawn curves is the mean of."""


class _Block(torch.nn.Module):
    """Attention and feed-forward, a normalisation behind each sum, alpha on the shortcut."""

    def __init__(self, alpha: float) -> None:
        super().__init__()
        self.query, self.key, self.value, self.mix = (torch.nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.wide, self.narrow = torch.nn.Linear(WIDTH, 4 * WIDTH), torch.nn.Linear(4 * WIDTH, WIDTH)
        self.attended, self.fed = torch.nn.LayerNorm(WIDTH), torch.nn.LayerNorm(WIDTH)
        self.alpha = alpha

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        query, key, value = (
            layer(x).view(batch, length, HEADS, -1).transpose(1, 2) for layer in (self.query, self.key, self.value)
        )
        mixed = torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = self.attended(self.alpha * x + self.mix(mixed.transpose(1, 2).reshape(batch, length, width)))
        behind: torch.Tensor = self.fed(self.alpha * x + self.narrow(torch.relu(self.wide(x))))
        return behind


class PostNormGPT(torch.nn.Module):
    """Characters with a learnt place, post-norm blocks that look back only, and a head of its own."""

    def __init__(self, task: Task, depth: int, alpha: float) -> None:
        super().__init__()
        self.characters, self.place = torch.nn.Embedding(task.outputs, WIDTH), torch.nn.Embedding(task.inputs, WIDTH)
        self.blocks = torch.nn.ModuleList(_Block(alpha) for _ in range(depth))
        self.output = torch.nn.Linear(WIDTH, task.outputs, bias=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return one row of logits for each place of each row."""
        x = self.characters(tokens) + self.place(torch.arange(tokens.shape[1], device=tokens.device))
        for block in self.blocks:
            x = block(x)
        logits: torch.Tensor = self.output(x)
        return logits


PLAIN, DEEP, HALF = "post-norm, Xavier's weights", "DeepNorm", "DeepNorm's weights, alpha 1"
ARMS = (PLAIN, DEEP, HALF)
_BRANCHES = r"re:blocks\.\d+\.(query|key|value|mix|wide|narrow)\.weight"


def build(arm: str, task: Task, depth: int) -> PostNormGPT:
    """Return the network of an arm."""
    return PostNormGPT(task, depth, (2 * depth) ** 0.25 if arm == DEEP else 1.0)


def planned(arm: str, task: Task, depth: int) -> Plan:
    """Return the starting weights of an arm: outside of the blocks the same for all."""
    rows = torch.from_numpy(task.train.inputs[:BATCH])
    if arm == PLAIN:
        return wb.plan(build(arm, task, depth), rows, seed=0, recipe="auto", rules={_BRANCHES: wb.XavierNormal()})
    plan = wb.plan(build(DEEP, task, depth), rows, seed=0, recipe="deepnorm")
    return replace(plan, multipliers=()) if arm == HALF else plan  # alpha is left out on purpose


def measure(asked: Asked) -> Results:
    """Train each arm at each depth, without warm-up."""
    task = load_task("text-small")
    task = replace(task, test=Split(task.test.inputs[:SCORED], task.test.targets[:SCORED]))
    depths, seeds, steps = ((2,), range(1), 20) if asked.quick else (DEPTHS, range(2), STEPS)
    count = asked.counter(len(ARMS) * len(depths) * len(seeds) * steps)
    runs: list[Results] = []
    for depth in depths:
        for arm in ARMS:
            plan = planned(arm, task, depth)
            for seed in seeds:
                model = build(arm, task, depth)
                wb.apply(plan.with_seed(seed), model)
                done = fit(model, task, rate=RATE, steps=steps, batch=BATCH, seed=seed, optimizer="adam", on_step=count)
                runs.append({"arm": arm, "depth": depth, "seed": seed, "nats": done.score, "losses": done.losses})
    return {"runs": runs, "characters": unigram(task)}


def unigram(task: Task) -> float:
    """Return the entropy of single characters: what can be had without looking at the text before."""
    counts = np.bincount(task.train.targets.ravel())
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def nats(results: Results, arm: str, depth: int) -> list[float]:
    """Return the test loss of each seed."""
    return [float(run["nats"]) for run in results["runs"] if (run["arm"], run["depth"]) == (arm, depth)]


def depths_of(results: Results) -> list[int]:
    """Return the depths that were trained."""
    return sorted({run["depth"] for run in results["runs"]})


def told(values: list[float]) -> str:
    """Return a mean, and the lowest and highest."""
    return f"{np.mean(values):.2f}" + (f" ({min(values):.2f}–{max(values):.2f})" if len(values) > 1 else "")


def gained(results: Results, arm: str) -> float:
    """Return how many nats the worst seed of the deep network is below the entropy of single characters."""
    return float(results["characters"]) - max(nats(results, arm, depths_of(results)[-1]))


def tables(results: Results) -> list[Table]:
    """Return the losses by depth."""
    depths = depths_of(results)
    rows = [[arm, *(told(nats(results, arm, depth)) for depth in depths)] for arm in ARMS]
    title = f"Nats a character on the test part; single characters have {results['characters']:.2f}"
    return [Table(["start", *(f"{depth} layers" for depth in depths)], rows, title)]


def headline(results: Results) -> str:
    """Return what came out."""
    depth = depths_of(results)[-1]
    return (
        f"{depth} post-norm layers without warm-up: {told(nats(results, PLAIN, depth))} nats, which is what single "
        f"characters tell; {told(nats(results, DEEP, depth))} with DeepNorm"
    )


def findings(results: Results) -> str:
    """Return what to make of it."""
    depths = depths_of(results)
    shallow, deep = (told(nats(results, PLAIN, depth)) for depth in (depths[0], depths[-1]))
    return f"""Post-norm with Xavier's weights learns at {depths[-1]} layers only how often each character comes
({deep};
the entropy of single characters is {results["characters"]:.2f}): nothing that comes before is looked at. Without
warm-up
and in {STEPS} steps it does not do much better at {depths[0]} layers ({shallow}).

What helps here are DeepNorm's smaller weights. Without the larger shortcut they come to
{told(nats(results, HALF, depths[-1]))} at {depths[-1]} layers, with it to {told(nats(results, DEEP, depths[-1]))}:
at this
depth and in so few steps alpha is not needed. The paper needs it at a hundred layers and more, which were not run here.

What DeepNorm bounds is how far one step moves the network, and only as far as the weights of the branches go: that
part of a step of SGD is the same from 4 to 96 layers. The gains and biases of the normalisations are outside of the
bound, and their part grows with the depth (see the card of [deepnorm](../methods/deepnorm.md))."""


def figure(results: Results) -> Figure:
    """Draw the losses of the deep network."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(7, 3.6))
    axes, depth = drawn.subplots(), depths_of(results)[-1]
    for arm, colour in zip(ARMS, ("red", "black", "blue"), strict=True):
        runs = [run for run in results["runs"] if (run["arm"], run["depth"]) == (arm, depth)]
        for seed, run in enumerate(runs):
            smooth = np.convolve(run["losses"], np.ones(SMOOTHED) / SMOOTHED, "valid")
            axes.plot(
                np.arange(len(smooth)) + SMOOTHED, smooth, color=COLOURS[colour], lw=1.3, label=None if seed else arm
            )
    axes.axhline(results["characters"], color="grey", ls=":", lw=1)
    axes.text(STEPS, results["characters"] - 0.08, "entropy of single characters", color="grey", ha="right", size=9)
    axes.set(xlabel="step of Adam, no warm-up", ylabel=f"nats, mean of {SMOOTHED} steps")
    axes.set_title(f"{depth} post-norm layers on text", size=11, loc="left")
    axes.legend(frameon=False)
    drawn.tight_layout()
    return drawn


DEEPNORM = Anchor(
    name="deepnorm",
    title="DeepNorm: deep post-norm transformers train without warm-up",
    source=(
        'Wang, Ma, Dong, Huang, Zhang and Wei (2022), "DeepNet: Scaling Transformers to 1,000 Layers", sections 3 to 5.'
    ),
    reported=(
        "WMT-17 English to German: post-norm diverges from 18 layers on, DeepNorm trains at 6, 18, 50 and 100 layers "
        "(27.8, 28.8, 29.0 and 28.9 BLEU) and up to 1,000."
    ),
    setup=(
        f"A small transformer (width {WIDTH}, {HEADS} heads, ReLU) predicts the next character of Python's own manual, "
        f"64 characters a row, {BATCH} rows a step: {STEPS} steps of Adam at a constant rate of {RATE:g}, no warm-up, "
        f"no clipping, two seeds, {DEPTHS[0]} and {DEPTHS[-1]} layers. Xavier's weights with a plain shortcut; "
        "DeepNorm; and DeepNorm's weights with a plain shortcut."
    ),
    differs=(
        "Characters and not translation, a decoder of width 32 in the place of an encoder and a decoder of width 512, "
        f"{DEPTHS[-1]} layers and not 1,000, and loss in place of BLEU. The paper's rates are warmed up; here "
        "that is left out, which is the harder case for post-norm."
    ),
    minutes=2,
    measure=measure,
    tables=tables,
    gates=(
        Gate(
            "DeepNorm, deep: nats below single characters, worst seed",
            lambda r: gained(r, DEEP),
            at_least=0.25,
            quick=False,
        ),
        Gate(
            "post-norm, deep: nats below single characters, worst seed",
            lambda r: gained(r, PLAIN),
            at_most=0.1,
            quick=False,
        ),
        Gate(
            "loss at step 0 over ln 103, worst",
            lambda r: max(run["losses"][0] for run in r["runs"]) / np.log(103),
            at_most=1.2,
        ),
    ),
    headline=headline,
    findings=findings,
    figure=figure,
    methods=("deepnorm",),
)
