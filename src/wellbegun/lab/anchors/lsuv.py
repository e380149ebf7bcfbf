"""Mishkin and Matas (2016): unit variance layer by layer, found in many passes, and by `calibrate` in one."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch

import wellbegun as wb
from wellbegun.lab.anchors.anchor import Anchor, Asked, Table
from wellbegun.lab.anchors.gate import Gate
from wellbegun.lab.anchors.iterative_lsuv import Lsuv
from wellbegun.lab.anchors.training import fit, start
from wellbegun.lab.measured_page import COLOURS, Results, number, percent
from wellbegun.lab.task import Task
from wellbegun.lab.tasks import load_task

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DEPTH, WIDTH, STEPS, ROWS = 20, 64, 300, 512
RATE, RATES = 0.01, {"maxout": 0.003}
"""Maxout diverges at 0.01, whatever it starts from at unit variance."""

XAVIER, HE, ORTHOGONAL, LSUV, CALIBRATE = "Xavier", "He", "orthogonal", "LSUV, iterative", "calibrate, one pass"
RECIPES = {XAVIER: "xavier_normal", HE: "he", ORTHOGONAL: "orthogonal(gain=1)"}
STARTS = (*RECIPES, LSUV, CALIBRATE)


def pairs(x: torch.Tensor) -> torch.Tensor:
    """Return the larger one of each pair of units."""
    return x.view(*x.shape[:-1], -1, 2).amax(-1)


def very_leaky(x: torch.Tensor) -> torch.Tensor:
    """Return x, and a third of it where it is negative."""
    return torch.nn.functional.leaky_relu(x, 1 / 3)


ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "ReLU": torch.relu,
    "very leaky ReLU": very_leaky,
    "tanh": torch.tanh,
    "maxout": pairs,
}


class Net(torch.nn.Module):
    """Linear layers with one activation between them; maxout takes two sums for each unit."""

    def __init__(self, task: Task, activation: str) -> None:
        super().__init__()
        sums = WIDTH * (2 if activation == "maxout" else 1)
        self.hidden = torch.nn.ModuleList(torch.nn.Linear(WIDTH if i else task.inputs, sums) for i in range(DEPTH))
        self.output = torch.nn.Linear(WIDTH, task.outputs)
        self.activation = ACTIVATIONS[activation]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return one row of logits for each row of inputs."""
        for layer in self.hidden:
            x = self.activation(layer(x))
        logits: torch.Tensor = self.output(x)
        return logits


def started(name: str, task: Task, activation: str, seed: int) -> tuple[Net, dict[str, float]]:
    """Return the network from one of the starts, and what it took to find its scales."""
    model = Net(task, activation)
    start(model, task, RECIPES.get(name, RECIPES[ORTHOGONAL]), seed)
    data = torch.from_numpy(task.train.inputs[:ROWS])
    began = time.process_time()
    if name == LSUV:
        passes = Lsuv(model, lambda: model(data))()
        return model, {"passes": passes, "seconds": time.process_time() - began}
    if name == CALIBRATE:
        plan = wb.plan(model, data, seed=seed, recipe=RECIPES[ORTHOGONAL])
        began = time.process_time()
        made = wb.calibrate(plan, model, data, target=1.0, centred=True)
        wb.apply(made, model, overwrite=True)
        return model, {"passes": 1, "seconds": time.process_time() - began}
    return model, {}


def scales(model: torch.nn.Module) -> list[float]:
    """Return the root mean square of every weight."""
    return [float(p.detach().double().square().mean().sqrt()) for p in model.parameters() if p.ndim > 1]


def variances(model: Net, task: Task) -> list[float]:
    """Return the variance of every layer's sums."""
    found: list[float] = []
    hooks = [
        layer.register_forward_hook(lambda _m, _i, out: found.append(float(out.double().var(correction=0))))
        for layer in (*model.hidden, model.output)
    ]
    with torch.no_grad():
        model(torch.from_numpy(task.train.inputs[:ROWS]))
    for hook in hooks:
        hook.remove()
    return found


def measure(asked: Asked) -> Results:
    """Start and train the network for every activation and start, and compare the scales of both ways to find them."""
    task, seeds = load_task("digits"), range(1 if asked.quick else 2)
    activations = ["ReLU"] if asked.quick else list(ACTIVATIONS)
    count = asked.counter(len(activations) * len(STARTS) * len(seeds) * STEPS)
    found: Results = {
        activation: {name: {"score": [], "variance": []} for name in STARTS} for activation in activations
    }
    apart: dict[str, list[float]] = {activation: [] for activation in activations}
    cost: dict[str, list[dict[str, float]]] = {LSUV: [], CALIBRATE: []}
    for activation in activations:
        for seed in seeds:
            of_start = {}
            for name in STARTS:
                model, took = started(name, task, activation, seed)
                of_start[name] = scales(model)
                arm = found[activation][name]
                arm["variance"].append(variances(model, task))
                if took:
                    cost[name].append(took)
                one = fit(
                    model, task, rate=RATES.get(activation, RATE), steps=STEPS, batch=64, seed=seed, on_step=count
                )
                arm["score"].append(one.score)
            both = np.array(of_start[LSUV]), np.array(of_start[CALIBRATE])
            apart[activation].append(float(np.abs(both[1] / both[0] - 1).max()))
    return {"networks": found, "apart": apart, "cost": cost}


def off(results: Results, name: str) -> float:
    """Return how far any layer's variance is from 1 after a start, in the worst network."""
    arms = [arms[name]["variance"] for arms in results["networks"].values()]
    return max(abs(float(value) - 1) for seeds in arms for layers in seeds for value in layers)


def lowest(results: Results, name: str) -> float:
    """Return the fewest right answers after a start, in percent, over activations and seeds."""
    return 100 * min(float(score) for arms in results["networks"].values() for score in arms[name]["score"])


def apart(results: Results) -> float:
    """Return the largest relative difference of two scales, over all networks."""
    return max(float(value) for values in results["apart"].values() for value in values)


def passes(results: Results, of: Callable[[list[float]], float] = max) -> float:
    """Return how many forward passes iterative LSUV took."""
    return float(of([cost["passes"] for cost in results["cost"][LSUV]]))


def tables(results: Results) -> list[Table]:
    """Return right answers by activation and start, and what finding the scales took."""
    rows = [
        [activation, *(percent(arms[name]["score"]) for name in STARTS)]
        for activation, arms in results["networks"].items()
    ]
    effort = [
        [
            name,
            number(float(np.mean([each["passes"] for each in results["cost"][name]]))),
            number(float(np.mean([each["seconds"] for each in results["cost"][name]]))),
            number(off(results, name)),
        ]
        for name in (LSUV, CALIBRATE)
    ]
    return [
        Table(["activation", *STARTS], rows, "Right answers"),
        Table(["", "forward passes", "seconds", "farthest variance from 1"], effort, "Finding the scales"),
    ]


def headline(results: Results) -> str:
    """Return what came out."""
    return (
        f"one pass of calibrate finds the scales that LSUV finds in {passes(results):.0f}, {number(apart(results))} "
        f"apart; right answers with four activations at least {lowest(results, LSUV):.0f}% and "
        f"{lowest(results, CALIBRATE):.0f}%"
    )


def findings(results: Results) -> str:
    """Return what to make of it."""
    networks = results["networks"]
    bad = [
        f"{name} with {activation} ({100 * float(np.mean(arms[name]['score'])):.0f}%)"
        for activation, arms in networks.items()
        for name in RECIPES
        if np.mean(arms[name]["score"]) < 0.5
    ]
    return f"""With biases of 0 a layer's sums are proportional to its weights, so LSUV needs two passes for each of
the {DEPTH + 1} layers, one to measure and one to see that the variance is within 1% of 1, and one more for the order
of the layers. `calibrate` scales each layer as it is reached, in one pass of the whole network. The scales differ by
{number(apart(results))} of themselves at most. Below half right are: {"; ".join(bad) or "none"}; 0% is a network
that diverged. Fixed rules are right for the activation that they were made for; a measured scale needs no rule. tanh
shows the other side: at unit variance it is in the chaotic phase and learns a little less than from plain orthogonal
weights. Left to itself, `calibrate` aims at a plan's own targets and not at 1."""


def figure(results: Results) -> Figure:
    """Draw the variance of every layer's sums before training, an activation a panel."""
    from matplotlib.figure import Figure

    networks = results["networks"]
    drawn = Figure(figsize=(10, 5.4))
    panels = drawn.subplots(2, 2, sharex=True, sharey=True).ravel()
    for axes, (activation, arms) in zip(panels, networks.items(), strict=False):
        for name, colour in zip(STARTS, COLOURS.values(), strict=True):
            values = arms[name]["variance"][0]
            style = "--" if name == CALIBRATE else "-"
            axes.plot(range(1, len(values) + 1), values, style, color=colour, lw=1.6, label=name)
        axes.set(yscale="log", xlim=(1, DEPTH + 1), xticks=(1, 5, 10, 15, 20))
        axes.set_title(f"{activation}: variance of sums by layer", size=11, loc="left")
    for axes in panels[2:]:
        axes.set_xlabel("layer")
    panels[2].legend(frameon=False, fontsize=8, loc="upper left")
    drawn.tight_layout()
    return drawn


LSUV_2016 = Anchor(
    name="lsuv",
    title="Layer-sequential unit variance, iterative and in one pass",
    source='Mishkin and Matas (2016), "All you need is a good init".',
    reported=(
        "Orthogonal weights, then each layer in turn divided by the standard deviation of its outputs on a batch "
        "until that is 1. Thin and deep networks (FitNets of 17 layers) learn from it with maxout, ReLU, very leaky "
        "ReLU and tanh, where other starts fail for some of them: CIFAR-10 94.2%, CIFAR-100 72.3%, about 1 point "
        "above others."
    ),
    setup=(
        f"{DEPTH} hidden layers of {WIDTH} units learn 1,000 real handwritten digits of 8×8; 397 others are scored. "
        f"SGD {RATE} ({RATES['maxout']} for maxout), momentum 0.9, batches of 64, {STEPS} steps, no clipping; two "
        "seeds (mean, lowest and highest). LSUV is written from the paper's formula (tolerance 0.01, at most ten "
        f"rounds a layer); it and `calibrate` look at the same {ROWS} digits, from the same orthogonal weights."
    ),
    differs=(
        "Matrices and not convolutions, digits and not CIFAR; which starts learn, and not the last point of accuracy, "
        "is what is compared."
    ),
    minutes=0.8,
    measure=measure,
    tables=tables,
    gates=(
        Gate("calibrate and LSUV: largest difference of scales", apart, at_most=0.02),
        Gate("calibrate: farthest variance from 1", lambda r: off(r, CALIBRATE), at_most=1e-3),
        Gate("passes of LSUV, fewest", lambda r: passes(r, min), at_least=DEPTH + 2),
        Gate("LSUV: fewest right answers, %", lambda r: lowest(r, LSUV), at_least=70),
        Gate("calibrate: fewest right answers, %", lambda r: lowest(r, CALIBRATE), at_least=70),
    ),
    headline=headline,
    findings=findings,
    figure=figure,
    methods=("calibrate", "orthogonal"),
)
