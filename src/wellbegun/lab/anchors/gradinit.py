"""GradInit: scales found by gradients, and what they do to the first epoch; on a GPU VGG-19 on CIFAR-10."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

import wellbegun as wb
from wellbegun.lab.anchors.anchor import Anchor, Asked, Table
from wellbegun.lab.anchors.gate import Gate
from wellbegun.lab.anchors.training import fit, score
from wellbegun.lab.measured_page import COLOURS, Results, percent
from wellbegun.lab.task import Task
from wellbegun.lab.tasks import load_task
from wellbegun.lab.trials.order import batches

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RATE = 0.1
"""Of training and of the step that GradInit looks behind, as published."""


@dataclass(frozen=True)
class Form:
    """The size of a measurement.

    Attributes:
        task: of the lab.
        stages: channels and convolutions of each stage; the picture is halved behind each.
        batch: rows of a step, of training and of GradInit.
        searched: steps of GradInit.
        seeds: how many.
    """

    task: str
    stages: tuple[tuple[int, int], ...]
    batch: int
    searched: int
    seeds: int


ON_CPU = Form("digits-images", ((16, 4), (32, 4), (32, 4)), batch=16, searched=200, seeds=3)
ON_GPU = Form("cifar10", ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4)), batch=128, searched=390, seeds=3)
QUICK = Form("digits-images", ((8, 2), (8, 2)), batch=32, searched=5, seeds=1)


class Vgg(torch.nn.Module):
    """Convolutions of 3×3 in stages, a maximum of 2×2 behind each, the mean, and a linear layer.

    Args:
        task: classes of images.
        stages: channels and convolutions of each.
        norm: whether a BatchNorm follows each convolution.
    """

    def __init__(self, task: Task, stages: tuple[tuple[int, int], ...], *, norm: bool) -> None:
        super().__init__()
        layers: list[torch.nn.Module] = []
        before = task.shape[0]
        for channels, count in stages:
            for _ in range(count):
                layers.append(torch.nn.Conv2d(before, channels, 3, padding=1, bias=not norm))
                layers += [torch.nn.BatchNorm2d(channels)] if norm else []
                layers.append(torch.nn.ReLU())
                before = channels
            layers.append(torch.nn.MaxPool2d(2))
        self.features, self.output = torch.nn.Sequential(*layers), torch.nn.Linear(before, task.outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return one row of logits for each image."""
        logits: torch.Tensor = self.output(self.features(x).mean((2, 3)))
        return logits


NETWORKS = {"with BatchNorm": True, "without normalisation": False}
STARTS = ("He", "He, then GradInit")


def first_epoch(task: Task, form: Form, network: str, seed: int, asked: Asked, count: Callable[[int], None]) -> Results:
    """Return the accuracy after one epoch from each start, and the losses on the way."""
    device, rows = torch.device(asked.device), torch.from_numpy(task.train.inputs)
    labels = torch.from_numpy(task.train.targets)
    model = Vgg(task, form.stages, norm=NETWORKS[network])
    plan = wb.plan(model, rows[:8], seed=seed, recipe="he")
    model.to(device)
    order = [chosen.numpy() for chosen in batches(len(rows), form.batch, form.searched + 1, seed + 1000)]

    def batch(step: int) -> tuple[torch.Tensor, torch.Tensor]:
        return rows[order[step]].to(device), labels[order[step]].to(device)

    better = wb.gradinit(plan, model, batch, rate=RATE, steps=form.searched)
    steps, found = len(rows) // form.batch, {}
    for start, chosen in zip(STARTS, (plan, better), strict=True):
        wb.apply(chosen, model.train(), overwrite=True)
        done = fit(model, task, rate=RATE, steps=steps, batch=form.batch, seed=seed, device=asked.device, on_step=count)
        accuracy = score(model.eval(), task, task.test, asked.device)
        found[start] = {"accuracy": accuracy, "losses": done.losses, "end": done.stopped}
    return found


def measure(asked: Asked) -> Results:
    """Search scales and train one epoch, on a GPU in the size of the paper."""
    form = QUICK if asked.quick else ON_GPU if asked.device.startswith("cuda") else ON_CPU
    task = load_task(form.task)
    steps = len(task.train) // form.batch
    count = asked.counter(len(NETWORKS) * form.seeds * len(STARTS) * steps)
    runs = {
        network: [first_epoch(task, form, network, seed, asked, count) for seed in range(form.seeds)]
        for network in NETWORKS
    }
    return {"runs": runs, "layers": 1 + sum(n for _, n in form.stages), "task": form.task, "steps": steps}


def accuracies(results: Results, network: str, start: str) -> list[float]:
    """Return the accuracy of each seed."""
    return [float(run[start]["accuracy"]) for run in results["runs"][network]]


def gain(results: Results, network: str) -> float:
    """Return what GradInit adds, in points of accuracy, mean over the seeds."""
    before, after = (float(np.mean(accuracies(results, network, start))) for start in STARTS)
    return 100 * (after - before)


def last_loss(results: Results, network: str, start: str) -> float:
    """Return the loss of the last ten batches of the epoch, mean over the seeds that came so far."""
    ends = [run[start]["losses"][-10:] for run in results["runs"][network] if not run[start]["end"]]
    return float(np.mean(ends)) if ends else float("nan")


def tables(results: Results) -> list[Table]:
    """Return the accuracies after one epoch."""
    rows = [
        [
            network,
            *(percent(accuracies(results, network, start)) for start in STARTS),
            f"{gain(results, network):+.1f}",
            " → ".join(f"{last_loss(results, network, start):.2f}" for start in STARTS),
        ]
        for network in NETWORKS
    ]
    title = f"{results['layers']} layers, {results['task']}: test accuracy after one epoch of {results['steps']} steps"
    return [Table(["network", *STARTS, "points", "loss of the last ten batches"], rows, title)]


def headline(results: Results) -> str:
    """Return what came out."""
    return "after one epoch: " + "; ".join(
        f"{network} {' → '.join(percent(accuracies(results, network, start)) for start in STARTS)}"
        for network in NETWORKS
    )


def findings(results: Results) -> str:
    """Return what to make of it."""
    normed, bare = (gain(results, network) for network in NETWORKS)
    ended = sum(bool(run[STARTS[1]]["end"]) for runs in results["runs"].values() for run in runs)
    return f"""GradInit changes the first epoch by {normed:+.1f} points with BatchNorm and by {bare:+.1f} without; of
its
{sum(map(len, results["runs"].values()))} trainings {ended} diverged. The published effect is twenty points and more, of
networks a few hundred times larger, with six times as many steps in the epoch; this small form does not show
it. (With BatchNorm the
loss of the last batches falls from {last_loss(results, "with BatchNorm", STARTS[0]):.2f} to
{last_loss(results, "with BatchNorm", STARTS[1]):.2f}: part of the gain is lost in running statistics of few steps.)
It says nothing against the paper, and nothing for the method either. GradInit looks one step of SGD ahead, without
momentum, at the learning rate that will be used; training then has a momentum of 0.9, here as in the paper. That
`wb.gradinit` mends starts that are ten times too large or too small is shown in `tests/tuning/test_gradients.py`."""


def figure(results: Results) -> Figure:
    """Draw the losses of the first epoch."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(8, 3.4))
    panels = drawn.subplots(1, 2, sharey=True)
    for axes, network in zip(panels, NETWORKS, strict=True):
        for start, colour in zip(STARTS, ("red", "black"), strict=True):
            for seed, run in enumerate(results["runs"][network]):
                losses = [loss if loss is not None and loss < 1e3 else float("nan") for loss in run[start]["losses"]]
                axes.plot(losses, color=COLOURS[colour], lw=1.2, label=None if seed else start)
        axes.set(yscale="log", xlabel="step of the first epoch")
        axes.set_title(network, size=11, loc="left")
    panels[0].set_ylabel("loss of a batch")
    panels[1].legend(frameon=False)
    drawn.tight_layout()
    return drawn


GRADINIT = Anchor(
    name="gradinit",
    title="GradInit: what scales found by gradients do to the first epoch",
    source=(
        'Zhu, Ni, Xu, Kong, Huang and Goldstein (2021), "GradInit: Learning to Initialize Neural Networks for Stable '
        'and Efficient Training", table 1.'
    ),
    reported=(
        "CIFAR-10, test accuracy after the first epoch, Kaiming's weights → GradInit: VGG-19 with BatchNorm 12.6 → "
        "47.8%, ResNet-110 without 16.1 → 36.2%; after all epochs 94.4 → 95.1% and 94.2 → 94.6%."
    ),
    setup=(
        f"A VGG of {1 + sum(n for _, n in ON_CPU.stages)} layers ({ON_CPU.stages[0][0]} to {ON_CPU.stages[-1][0]} "
        "channels) on 1,000 real handwritten digits of 8×8, with and without BatchNorm, three seeds: He's weights; and "
        f"the same after {ON_CPU.searched} steps of `wb.gradinit` (rate {RATE:g}, gamma 1). Then one epoch of SGD "
        f"(rate {RATE:g}, momentum 0.9, batches of {ON_CPU.batch}). On a GPU, "
        "`wellbegun anchor gradinit --device cuda` does "
        f"it with VGG-19 on CIFAR-10, {ON_GPU.searched} steps of GradInit, batches of {ON_GPU.batch}."
    ),
    differs=(
        "Digits and not CIFAR-10, an epoch of 62 steps and not 390, a network of few channels, no augmentation and "
        "no weight decay. The form for a GPU has the paper's network and data; it was not run for this page (no "
        "GPU here), only its short form on the CPU."
    ),
    minutes=1,
    measure=measure,
    tables=tables,
    gates=(
        Gate(
            "without normalisation: points that GradInit adds in the first epoch",
            lambda r: gain(r, "without normalisation"),
            at_least=15,
            quick=False,
        ),
        Gate(
            "with BatchNorm: points that GradInit adds in the first epoch",
            lambda r: gain(r, "with BatchNorm"),
            at_least=15,
            quick=False,
        ),
        Gate(
            "GradInit: trainings that diverge",
            lambda r: sum(bool(run[STARTS[1]]["end"]) for runs in r["runs"].values() for run in runs),
            at_most=0,
        ),
    ),
    headline=headline,
    findings=findings,
    figure=figure,
    methods=("gradinit",),
    devices=("cpu", "cuda"),
)
