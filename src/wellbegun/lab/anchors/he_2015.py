"""He et al. (2015): thirty ReLU layers learn from He's weights, and hardly from Xavier's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wellbegun.lab.anchors.anchor import Anchor, Asked
from wellbegun.lab.anchors.arms import arms_table, draw_arms, points, train_arms
from wellbegun.lab.anchors.gate import Gate
from wellbegun.lab.measured_page import Results
from wellbegun.lab.network import PlainMLP
from wellbegun.lab.tasks import load_task

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DEPTH, WIDTH, STEPS = 30, 128, 500
RECIPES = {"He": "he", "Xavier": "xavier_normal", "torch's default": "torch@1", "auto": "auto"}


def measure(asked: Asked) -> Results:
    """Train thirty ReLU layers from four starts."""
    task = load_task("digits")
    recipes = dict(list(RECIPES.items())[:2]) if asked.quick else RECIPES

    def build() -> PlainMLP:
        return PlainMLP(task.inputs, task.outputs, depth=asked.depth or DEPTH, width=WIDTH, activation="relu")

    seeds = range(1 if asked.quick else 3)
    return {"arms": train_arms(asked, build, task, recipes, seeds, rate=0.01, steps=STEPS, batch=64, clip=1.0)}


def headline(results: Results) -> str:
    """Return what came out."""
    arms = results["arms"]
    return f"{DEPTH} ReLU layers on digits: He {points(arms, 'He'):.1f}%, Xavier {points(arms, 'Xavier'):.1f}% right"


def findings(results: Results) -> str:
    """Return what to make of it."""
    arms = results["arms"]
    return f"""He's weights keep the mean square of the sums in every ReLU layer; Xavier's lose half of it in each,
which is 2⁻³⁰, a billionth, after {DEPTH}. What is left of the signal is smaller than what the biases learn in a few
steps, so all images look alike. PyTorch's default ("kaiming_uniform" with a = √5, which is variance 1/(3 · fan_in))
keeps a sixth in each and ends at {points(arms, "torch's default"):.1f}%, which is guessing. `auto` starts this
network by rules of its own ([auto.md](../auto.md)) and ends at {points(arms, "auto"):.1f}%."""


def figure(results: Results) -> Figure:
    """Draw the losses."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(7, 3.8))
    draw_arms(drawn.subplots(), results["arms"], STEPS, f"{DEPTH} ReLU layers on digits: loss of the batch")
    drawn.tight_layout()
    return drawn


HE_2015 = Anchor(
    name="he_2015",
    title="He against Xavier in thirty ReLU layers",
    source=(
        'He, Zhang, Ren and Sun (2015), "Delving Deep into Rectifiers: Surpassing Human-Level Performance on ImageNet '
        'Classification", section 2.2 and figure 3.'
    ),
    reported=(
        "A model of 30 layers on ImageNet converges from weights of variance 2/fan. From Xavier's it does not learn "
        "at all: its loss stalls, and the gradients are gone. (With 22 layers both converge, He's earlier.)"
    ),
    setup=(
        f"{DEPTH} hidden ReLU layers of {WIDTH} units learn 1,000 real handwritten digits of 8×8; 397 others are "
        f"scored. SGD 0.01, momentum 0.9, batches of 64, {STEPS} steps, gradients clipped at length 1, biases 0 but "
        "for PyTorch's default; three seeds (mean, lowest and highest)."
    ),
    differs=(
        "Matrices and not convolutions, digits and not ImageNet, minutes and not weeks. Gradients are clipped: "
        "without that, this rate throws some of He's networks back (50.8%, from 33 to 77%, in a first measurement of "
        "1,000 steps)."
    ),
    minutes=1,
    measure=measure,
    tables=lambda results: [arms_table(results["arms"])],
    gates=(
        Gate("He, % right", lambda r: points(r["arms"], "He"), at_least=70),
        Gate("He minus Xavier, points", lambda r: points(r["arms"], "He") - points(r["arms"], "Xavier"), at_least=30),
        Gate("torch's default, % right", lambda r: points(r["arms"], "torch's default"), at_most=20, quick=False),
    ),
    headline=headline,
    findings=findings,
    figure=figure,
    methods=("he", "xavier_normal", "torch"),
    deep=True,
)
