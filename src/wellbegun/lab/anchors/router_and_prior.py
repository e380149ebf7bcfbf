"""A router that starts at 0, and output biases that start at the prior: numbers that must be exact."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

import wellbegun as wb
from wellbegun.lab.anchors.anchor import Anchor, Asked, Table
from wellbegun.lab.anchors.gate import Gate
from wellbegun.lab.measured_page import COLOURS, Results, number
from wellbegun.lab.network import PlainMLP
from wellbegun.lab.task import Task
from wellbegun.lab.tasks import load_task
from wellbegun.lab.trials.order import batches

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXPERTS, WIDTH = 8, 64
PRIOR, NEGATIVES, POSITIVES, SOUGHT = 0.01, 891, 9, 9
SHARES = (0.9, 0.05, 0.03, 0.02)
RATE, STEPS, BATCH = 0.05, 150, 90
ROUTERS = {
    "variance 1/fan_in": "switch(variance=1)",
    "Switch: 0.1/fan_in": "switch",
    "zero": "switch(zero_routers='router')",
}


class Experts(torch.nn.Module):
    """A router and its experts; each token goes through the expert that the router gives the most to."""

    def __init__(self) -> None:
        super().__init__()
        self.router = torch.nn.Linear(WIDTH, EXPERTS, bias=False)
        self.experts = torch.nn.ModuleList(torch.nn.Linear(WIDTH, WIDTH) for _ in range(EXPERTS))

    def probabilities(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return what the router gives to each expert, (tokens, experts)."""
        given: torch.Tensor = self.router(tokens).softmax(-1)
        return given

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return the sum of all experts' outputs, weighted; the plan sees every weight in use."""
        given = self.probabilities(tokens)
        return torch.stack([expert(tokens) for expert in self.experts], -1) @ given[..., None]


def routed(recipe: str, tokens: torch.Tensor, seed: int) -> dict[str, float]:
    """Return how even a router is before the first step."""
    model = Experts()
    wb.apply(wb.plan(model, tokens, seed=seed, recipe=recipe), model)
    with torch.no_grad():
        given = model.probabilities(tokens).double()
    draws = torch.from_numpy(np.random.default_rng(seed).gumbel(size=given.shape))
    chosen = functional.one_hot((given.log() + draws).argmax(-1), EXPERTS).double().mean(0)
    return {
        "farthest": float((given - 1 / EXPERTS).abs().max()),
        "balance": float(EXPERTS * (chosen * given.mean(0)).sum()),
        "entropy": float(-(given * given.log()).sum(-1).mean()),
        "largest share": float(chosen.max()),
    }


def rare(task: Task) -> tuple[torch.Tensor, torch.Tensor]:
    """Return digits of which exactly one in a hundred is the one that is sought, and which those are."""
    labels = task.train.targets
    chosen = np.concatenate(
        [np.flatnonzero(labels != SOUGHT)[:NEGATIVES], np.flatnonzero(labels == SOUGHT)[:POSITIVES]]
    )
    return torch.from_numpy(task.train.inputs[chosen]), torch.from_numpy((labels[chosen] == SOUGHT).astype(np.float32))


def uneven(task: Task) -> tuple[torch.Tensor, torch.Tensor]:
    """Return 100 digits, 0 to 3, in exactly the shares of `SHARES`."""
    labels = task.train.targets
    chosen = np.concatenate([np.flatnonzero(labels == k)[: round(100 * share)] for k, share in enumerate(SHARES)])
    return torch.from_numpy(task.train.inputs[chosen]), torch.from_numpy(labels[chosen])


def head(recipe: str, inputs: torch.Tensor, outputs: int, seed: int) -> PlainMLP:
    """Return a small ReLU network with its starting weights."""
    model = PlainMLP(inputs.shape[1], outputs, depth=2, width=WIDTH, activation="relu")
    wb.apply(wb.plan(model, inputs, seed=seed, recipe=recipe), model)
    return model


def entropy(shares: Sequence[float]) -> float:
    """Return the entropy of some shares, in nats."""
    return -math.fsum(share * math.log(share) for share in shares)


def measure(asked: Asked) -> Results:
    """Look at routers and losses before the first step, and train the rare class."""
    task, seeds = load_task("digits"), range(1 if asked.quick else 5)
    tokens = torch.from_numpy(task.train.inputs)
    routers = {name: [routed(recipe, tokens, seed) for seed in seeds] for name, recipe in ROUTERS.items()}
    found, shares = uneven(task)
    recipe = f"prior(prior={SHARES!r}, std=0)"
    with torch.no_grad():
        classes = [float(functional.cross_entropy(head(recipe, found, len(SHARES), s)(found), shares)) for s in seeds]
    inputs, wanted = rare(task)
    steps = 20 if asked.quick else STEPS
    count = asked.counter(2 * len(seeds) * steps)
    curves: dict[str, list[list[float]]] = {}
    for name, start in (("auto", "auto"), ("prior", f"prior(prior={PRIOR}, std=0)")):
        curves[name] = []
        for seed in seeds:
            curves[name].append(detect(head(start, inputs, 1, seed), inputs, wanted, seed, steps))
            count(steps)
    return {"routers": routers, "classes": classes, "curves": curves}


def detect(model: PlainMLP, inputs: torch.Tensor, wanted: torch.Tensor, seed: int, steps: int) -> list[float]:
    """Train and return the loss on all images before each step."""
    descent = torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9)
    losses = []
    for chosen in batches(len(inputs), BATCH, steps, seed):
        with torch.no_grad():
            losses.append(float(functional.binary_cross_entropy_with_logits(model(inputs)[:, 0], wanted)))
        descent.zero_grad()
        loss = functional.binary_cross_entropy_with_logits(model(inputs[chosen])[:, 0], wanted[chosen])
        loss.backward()  # type: ignore[no-untyped-call]
        descent.step()
    return losses


def mean(rows: Sequence[dict[str, float]], key: str) -> float:
    """Return the mean of one number over the seeds."""
    return float(np.mean([row[key] for row in rows]))


def catching_up(results: Results) -> tuple[int, int]:
    """Return after how many steps the usual start reaches the loss that the prior starts from, fewest and most."""
    level = entropy((PRIOR, 1 - PRIOR))
    steps = [next((i for i, loss in enumerate(c) if loss <= level), len(c)) for c in results["curves"]["auto"]]
    return min(steps), max(steps)


def farthest_loss(results: Results) -> float:
    """Return how far the loss at step 0 is from the entropy of the prior, in the worst seed."""
    level = entropy((PRIOR, 1 - PRIOR))
    return max(abs(float(curve[0]) - level) for curve in results["curves"]["prior"])


def tables(results: Results) -> list[Table]:
    """Return the routers and the losses at step 0."""
    rows = [
        [
            name,
            number(max(seed["farthest"] for seed in seeds)),
            f"{mean(seeds, 'entropy'):.5f}",
            f"{mean(seeds, 'balance'):.4f}",
            f"{mean(seeds, 'largest share'):.1%}",
        ]
        for name, seeds in results["routers"].items()
    ]
    columns = ["router", "farthest from 1/8", "entropy, nats", "balance loss", "fullest expert"]
    losses = [
        ["1 in 100 positive", f"{np.mean([curve[0] for curve in results['curves'][arm]]):.7f}", told]
        for arm, told in (("auto", "auto"), ("prior", "auto, with the prior in the output layer"))
    ]
    losses.append(["four classes, 90/5/3/2%", f"{np.mean(results['classes']):.7f}", "the same, with four shares"])
    exact = f"Loss at step 0; the entropies are {entropy((PRIOR, 1 - PRIOR)):.7f} and {entropy(SHARES):.7f}"
    return [Table(columns, rows, "Routers before the first step"), Table(["digits", "loss", "start"], losses, exact)]


def headline(results: Results) -> str:
    """Return what came out."""
    low, high = catching_up(results)
    return (
        "a router of 0 gives each expert exactly 1/8; the prior starts at a loss of "
        f"{results['curves']['prior'][0][0]:.7f}, which the usual start reaches after {low} to {high} steps (and is "
        "ahead in the end)"
    )


def findings(results: Results) -> str:
    """Return what to make of it."""
    low, high = catching_up(results)
    usual = np.mean([curve[0] for curve in results["curves"]["auto"]])
    spread = mean(results["routers"]["zero"], "largest share")
    end = {name: float(np.mean([curve[-1] for curve in curves])) for name, curves in results["curves"].items()}
    return f"""A router of 0 is even in the only sense that a start can be: every expert has the same probability for
every token. The balance loss of Switch Transformers (8 Σ share · mean probability) is then exactly 1, whichever
experts are chosen. The fullest expert still gets {spread:.1%} of the tokens and not 12.5%, because experts are drawn
by chance here, each token by itself. Without noise all probabilities tie, and `argmax` would send every token to the
first expert: a router of 0 needs noise, or a rule for ties.

The prior in the output bias saves the steps in which a network only learns that positives are rare: the usual start
begins at a loss of {usual:.3f} and needs {low} to {high} steps to come to where the other one begins. It is no free
gift: after {STEPS} steps the usual start is ahead, {end["auto"]:.4f} against {end["prior"]:.4f}. Output weights of
exactly 0, which make the first loss exact, send no gradient to the hidden layers until they have grown; the paper's
weights have a standard deviation of 0.01, and its gain is that the first steps do not diverge."""


def figure(results: Results) -> Figure:
    """Draw the loss of the rare class while training."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(7, 3.6))
    axes = drawn.subplots()
    for name, colour in (("auto", "red"), ("prior", "black")):
        for seed, curve in enumerate(results["curves"][name]):
            axes.plot(curve, color=COLOURS[colour], lw=1.3, label=None if seed else name)
    axes.axhline(entropy((PRIOR, 1 - PRIOR)), color="grey", ls=":", lw=1)
    axes.text(len(curve), 1.06 * entropy((PRIOR, 1 - PRIOR)), "entropy of the prior", color="grey", ha="right", size=9)
    axes.set(yscale="log", xlabel="training step", xlim=(0, len(curve)))
    axes.set_title("One digit in a hundred is sought: loss on all of them", size=11, loc="left")
    axes.legend(frameon=False)
    drawn.tight_layout()
    return drawn


def _worst(results: Results, key: str) -> float:
    return max(float(seed[key]) for seed in results["routers"]["zero"])


ROUTER_AND_PRIOR = Anchor(
    name="router_and_prior",
    title="Routers that start at 0, and output biases that start at the prior",
    source=(
        'Fedus, Zoph and Shazeer (2022), "Switch Transformers", section 2.4; Lin, Goyal, Girshick, He and Dollár '
        '(2017), "Focal Loss for Dense Object Detection", sections 3.3 and 4.1.'
    ),
    reported=(
        "Lin et al.: with a prior of 0.01 in the output bias, b = -ln((1 - 0.01)/0.01) = -4.595, training does not "
        "diverge any more in its first steps, where thousands of easy negatives would swamp it. Fedus et al.: a tenth "
        "of the usual variance steadies sparse transformers; their balance loss is 1 if the load is even."
    ),
    setup=(
        f"{EXPERTS} experts of width {WIDTH} see 1,000 real digits as tokens; five seeds. The router has the usual "
        "variance, a tenth of it, or is 0; experts are drawn with the router's probabilities. Then a ReLU network of "
        f"two hidden layers of 64 looks for the digit {SOUGHT} among 900 digits of which exactly nine are one (SGD "
        f"{RATE}, momentum 0.9, batches of {BATCH}, {STEPS} steps), with and without the prior in its output layer; "
        "and one with four outputs sees 100 digits of the classes 0 to 3, in shares of 90, 5, 3 and 2%."
    ),
    differs=(
        "No transformer and no detector is trained: what is shown is the exact state before the first step, and a toy "
        "of what it saves. That a router may start at 0 is this library's offer; the paper draws it like other "
        "weights."
    ),
    minutes=0.1,
    measure=measure,
    tables=tables,
    gates=(
        Gate("router of 0: farthest probability from 1/8", lambda r: _worst(r, "farthest"), at_most=0),
        Gate("router of 0: balance loss minus 1", lambda r: abs(_worst(r, "balance") - 1), at_most=1e-9),
        Gate("prior 0.01: loss at step 0 minus its entropy", farthest_loss, at_most=1e-7),
        Gate(
            "four classes: loss at step 0 minus the entropy",
            lambda r: max(abs(loss - entropy(SHARES)) for loss in r["classes"]),
            at_most=1e-6,
        ),
        Gate("steps that the usual start is behind, fewest of the seeds", lambda r: catching_up(r)[0], at_least=2),
    ),
    headline=headline,
    findings=findings,
    figure=figure,
    methods=("switch", "prior", "prior_bias"),
)
