"""Xiao et al. (2018): five hundred plain convolutions learn from delta-orthogonal kernels."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from wellbegun.lab.anchors.anchor import Anchor, Asked, Table
from wellbegun.lab.anchors.arms import arms_table, draw_arms, points, train_arms
from wellbegun.lab.anchors.gate import Gate
from wellbegun.lab.measured_page import Results
from wellbegun.lab.tasks import load_task

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DEPTHS, QUICK_DEPTH, CHANNELS, STEPS, BATCH = (100, 500), 40, 16, 120, 64
Q = 0.0457090787
DELTA, GAUSSIAN = "delta-orthogonal", "Gaussian"
RECIPES = {DELTA: f"critical(q={Q}, distribution='orthogonal')", GAUSSIAN: f"critical(q={Q})"}


class DeepCNN(torch.nn.Module):
    """Convolutions of 3×3 around a ring with tanh between them, no norms and no shortcuts, and a linear layer.

    Args:
        depth: convolutions; the second one halves the picture of 8×8.
        channels: of each.
    """

    def __init__(self, depth: int, channels: int = CHANNELS) -> None:
        super().__init__()
        self.hidden = torch.nn.ModuleList(
            torch.nn.Conv2d(
                channels if i else 1, channels, 3, stride=2 if i == 1 else 1, padding=1, padding_mode="circular"
            )
            for i in range(depth)
        )
        self.output = torch.nn.Linear(channels * 16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return one row of logits for each image of 8×8."""
        for layer in self.hidden:
            x = torch.tanh(layer(x))
        logits: torch.Tensor = self.output(x.flatten(1))
        return logits


def measure(asked: Asked) -> Results:
    """Train the deep networks from both starts."""
    task = load_task("digits-images")
    depths = (asked.depth,) if asked.depth else (QUICK_DEPTH,) if asked.quick else DEPTHS
    count = asked.counter(len(depths) * len(RECIPES) * STEPS)
    settings: dict[str, Any] = {"rate": 0.01, "steps": STEPS, "batch": BATCH, "clip": 1.0}
    found: Results = {}
    for depth in depths:
        build = partial(DeepCNN, depth)
        found[str(depth)] = train_arms(asked, build, task, RECIPES, range(1), count=count, **settings)
    return {"depths": found}


def deepest(results: Results) -> tuple[int, Results]:
    """Return the largest depth and its arms."""
    depth = max(results["depths"], key=int)
    return int(depth), results["depths"][depth]


def lead(results: Results) -> float:
    """Return how many points delta-orthogonal kernels are ahead at the largest depth."""
    _, arms = deepest(results)
    return points(arms, DELTA) - points(arms, GAUSSIAN)


def tables(results: Results) -> list[Table]:
    """Return the scores, a depth a table."""
    return [arms_table(arms, f"{depth} convolutions") for depth, arms in results["depths"].items()]


def headline(results: Results) -> str:
    """Return what came out."""
    depth, arms = deepest(results)
    return (
        f"{depth} plain convolutions on digits: delta-orthogonal {points(arms, DELTA):.1f}%, Gaussian "
        f"{points(arms, GAUSSIAN):.1f}% right after {STEPS} steps"
    )


def findings(results: Results) -> str:
    """Return what to make of it."""
    depth, arms = deepest(results)
    shallow = results["depths"][str(DEPTHS[0])]
    return f"""A delta-orthogonal kernel is 0 but for its middle, which is an orthogonal matrix over the channels: as
an operator on whole pictures it is exactly a rotation. A Gaussian kernel of the same mean square is not: it keeps
some patterns and destroys others, and in {depth} layers little is left that tells one image from another
({points(arms, GAUSSIAN):.1f}% right, {points(arms, DELTA):.1f}% from delta-orthogonal kernels). At {DEPTHS[0]}
layers the gap is smaller: {points(shallow, GAUSSIAN):.1f}% against {points(shallow, DELTA):.1f}%. An orthogonal
matrix flattened into the whole kernel, as `torch.nn.init.orthogonal_` makes it, is no rotation of pictures either."""


def figure(results: Results) -> Figure:
    """Draw the losses at every depth."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(10, 3.8))
    several = drawn.subplots(1, len(results["depths"]), sharey=True, squeeze=False)[0]
    for axes, (depth, arms) in zip(several, results["depths"].items(), strict=True):
        draw_arms(axes, arms, STEPS, f"{depth} plain convolutions on digits: loss of the batch")
    drawn.tight_layout()
    return drawn


XIAO_2018 = Anchor(
    name="xiao_2018",
    title="Five hundred plain convolutions learn from delta-orthogonal kernels",
    source=(
        'Xiao, Bahri, Sohl-Dickstein, Schoenholz and Pennington (2018), "Dynamical Isometry and a Mean Field Theory '
        'of CNNs: How to Train 10,000-Layer Vanilla Convolutional Neural Networks".'
    ),
    reported=(
        "Plain tanh networks of up to 10,000 convolutions, without norms and shortcuts, train from delta-orthogonal "
        "kernels; on MNIST they reach about 99%, on CIFAR-10 about 82%. From Gaussian kernels learning becomes slower "
        "and slower with depth, although the signal keeps its size."
    ),
    setup=(
        f"{DEPTHS[0]} and {DEPTHS[1]} convolutions of {CHANNELS} channels with tanh, around a ring (circular padding), "
        "the second one with stride 2; a linear layer reads all of the picture. They learn 1,000 real handwritten "
        f"digits of 8×8; 397 others are scored. SGD 0.01, momentum 0.9, batches of {BATCH}, {STEPS} steps, gradients "
        "clipped at length 1; one seed. Both starts are at the critical point of tanh with bias variance 0.0001. With "
        "a GPU (not measured here, there was none): `wellbegun anchor xiao_2018 --device cuda --depth 1000`."
    ),
    differs=(
        "500 layers and not 10,000; small digits; eight epochs and not many; one seed; clipping. A linear layer reads "
        "every pixel, so the network need not move anything between pixels to tell digits apart."
    ),
    minutes=3,
    measure=measure,
    tables=tables,
    gates=(
        Gate("delta-orthogonal, deepest: % right", lambda r: points(deepest(r)[1], DELTA), at_least=95, quick=False),
        Gate("Gaussian, deepest: % right", lambda r: points(deepest(r)[1], GAUSSIAN), at_most=75, quick=False),
        Gate("delta-orthogonal minus Gaussian, points", lead, at_least=-2),
    ),
    headline=headline,
    findings=findings,
    figure=figure,
    methods=("delta_orthogonal", "critical"),
    devices=("cpu", "cuda"),
    deep=True,
)
