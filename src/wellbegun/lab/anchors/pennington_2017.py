"""Pennington, Schoenholz and Ganguli (2017): three hundred tanh layers learn where the start is an isometry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from wellbegun.lab.anchors.anchor import Anchor, Asked, Table
from wellbegun.lab.anchors.arms import arms_table, draw_arms, points, train_arms
from wellbegun.lab.anchors.gate import Gate
from wellbegun.lab.anchors.training import start
from wellbegun.lab.measured_page import Results, number
from wellbegun.lab.network import PlainMLP
from wellbegun.lab.task import Task
from wellbegun.lab.tasks import load_task

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DEPTH, QUICK_DEPTH, WIDTH, STEPS = 300, 100, 64, 300
Q = 0.0457090787
"""Second moment at which the critical point of tanh has bias variance 1e-4 (and weight variance 1.086/fan_in)."""

RECIPES = {
    "orthogonal, critical": f"critical(q={Q}, distribution='orthogonal')",
    "Gaussian, critical": f"critical(q={Q})",
    "Xavier": "xavier_normal",
    "torch's gain 5/3": "variance_scaling(variance=2.7777778)",
}


def measure(asked: Asked) -> Results:
    """Train three hundred tanh layers from four starts, and look at the Jacobian before the first step."""
    task = load_task("digits")
    depth = asked.depth or (QUICK_DEPTH if asked.quick else DEPTH)

    def build() -> PlainMLP:
        return PlainMLP(task.inputs, task.outputs, depth=depth, width=WIDTH, activation="tanh")

    seeds, recipes = range(1 if asked.quick else 3), dict(list(RECIPES.items())[: 2 if asked.quick else None])
    arms = train_arms(asked, build, task, recipes, seeds, rate=0.005, steps=STEPS, batch=64, clip=1.0)
    for name, recipe in recipes.items():
        models = [start(build(), task, recipe, seed) for seed in seeds]
        arms[name]["stretch"] = [stretch(model, task) for model in models]
    return {"depth": depth, "arms": arms}


def stretch(model: torch.nn.Module, task: Task, images: int = 4) -> float:
    """Return the largest over the smallest singular value of the outputs' Jacobian, geometric mean over images."""
    inputs = torch.from_numpy(task.test.inputs[:images]).double()
    exact = model.double()
    logs = []
    for image in inputs:
        jacobian = torch.autograd.functional.jacobian(lambda x: exact(x[None])[0], image)  # type: ignore[no-untyped-call]
        values = torch.linalg.svdvals(jacobian)
        logs.append(float((values[0] / values[-1]).log()))
    return float(np.exp(np.mean(logs)))


def tables(results: Results) -> list[Table]:
    """Return scores, and how far the Jacobian is from an isometry."""
    made = arms_table(results["arms"])
    stretches = [number(middle(results, name)) for name in results["arms"]]
    head = [*made.head[:2], "stretch of the Jacobian", *made.head[2:]]
    return [Table(head, [[*r[:2], s, *r[2:]] for r, s in zip(made.rows, stretches, strict=True)])]


def middle(results: Results, name: str) -> float:
    """Return the geometric mean over the seeds of the Jacobian's stretch."""
    return float(np.exp(np.mean(np.log(results["arms"][name]["stretch"]))))


def headline(results: Results) -> str:
    """Return what came out."""
    told = [f"{name} {points(results['arms'], name):.1f}%" for name in results["arms"]]
    return f"{results['depth']} tanh layers on digits: {', '.join(told)}"


def findings(results: Results) -> str:
    """Return what to make of it."""
    orthogonal, gaussian = (middle(results, name) for name in list(RECIPES)[:2])
    return f"""The stretch is the largest over the smallest singular value of the Jacobian from the image to the ten
outputs, in float64 before the first step (geometric mean over images and seeds; 1 is an isometry, and float64 cannot
tell much more than 10¹⁵). Both critical starts keep the mean square of signal and gradient; they differ in nothing
but the spread: {number(orthogonal)} with orthogonal matrices, {number(gaussian)} with Gaussian ones. A Gaussian
product of {DEPTH} matrices of {WIDTH} sends nearly everything into one direction, so the images look alike at the
end. Xavier's variance 1/fan_in is below the critical one: the signal shrinks, slowly. PyTorch's gain for tanh, 5/3,
is far above it: the network is chaotic, its gradients explode."""


def figure(results: Results) -> Figure:
    """Draw the losses."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(7, 3.8))
    draw_arms(drawn.subplots(), results["arms"], STEPS, f"{results['depth']} tanh layers on digits: loss of the batch")
    drawn.tight_layout()
    return drawn


PENNINGTON_2017 = Anchor(
    name="pennington_2017",
    title="Three hundred tanh layers: only an isometry learns fast",
    source=(
        'Pennington, Schoenholz and Ganguli (2017), "Resurrecting the sigmoid in deep learning through dynamical '
        'isometry: theory and practice".'
    ),
    reported=(
        "tanh networks with orthogonal weights near the critical point are isometries: all singular values of the "
        "Jacobian are near 1, at any depth. With Gaussian weights they cannot be. Networks that are isometries learn "
        "orders of magnitude faster, and the time they need grows like the square root of the depth."
    ),
    setup=(
        f"{DEPTH} hidden tanh layers of {WIDTH} units learn 1,000 real handwritten digits of 8×8; 397 others are "
        f"scored. SGD 0.005, momentum 0.9, batches of 64, {STEPS} steps, gradients clipped at length 1; three seeds "
        "(mean, lowest and highest). Both critical starts have weight variance 1.086/fan_in and bias variance 0.0001."
    ),
    differs=(
        "Width 64 and not 400, digits and not CIFAR-10, a few epochs at one learning rate. Clipping, which the paper "
        "does not use, keeps the chaotic network from overflowing."
    ),
    minutes=3,
    measure=measure,
    tables=tables,
    gates=(
        Gate("orthogonal, critical: % right", lambda r: points(r["arms"], "orthogonal, critical"), at_least=90),
        Gate("orthogonal: stretch of the Jacobian", lambda r: middle(r, "orthogonal, critical"), at_most=20),
        Gate("Gaussian: stretch of the Jacobian", lambda r: middle(r, "Gaussian, critical"), at_least=100),
        Gate("Gaussian, critical: % right", lambda r: points(r["arms"], "Gaussian, critical"), at_most=75, quick=False),
        Gate("Xavier: % right", lambda r: points(r["arms"], "Xavier"), at_most=25, quick=False),
        Gate("gain 5/3: % right", lambda r: points(r["arms"], "torch's gain 5/3"), at_most=25, quick=False),
    ),
    headline=headline,
    findings=findings,
    figure=figure,
    methods=("orthogonal", "critical", "xavier_normal"),
    deep=True,
)
