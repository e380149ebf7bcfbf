"""Fixup: a ResNet-110 without normalisation beside one with it, no warm-up; on a GPU that of the paper on CIFAR-10."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

import wellbegun as wb
from wellbegun.lab.anchors.anchor import Anchor, Asked, Table
from wellbegun.lab.anchors.gate import Gate
from wellbegun.lab.anchors.training import fit, score
from wellbegun.lab.measured_page import COLOURS, Results, number, percent
from wellbegun.lab.task import Task
from wellbegun.lab.tasks import load_task
from wellbegun.plans import Plan

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RATE = 0.1


@dataclass(frozen=True)
class Form:
    """The size of a measurement.

    Attributes:
        task: of the lab.
        blocks: in each of three stages; 18 make a ResNet-110.
        channels: of the first stage.
        batch, steps: of the training.
        seeds: how many.
    """

    task: str
    blocks: int
    channels: int
    batch: int
    steps: int
    seeds: int


ON_CPU = Form("digits-images", blocks=18, channels=8, batch=64, steps=160, seeds=2)
ON_GPU = Form("cifar10", blocks=18, channels=16, batch=128, steps=10 * 352, seeds=1)
QUICK = Form("digits-images", blocks=2, channels=8, batch=64, steps=30, seeds=1)


class _Block(torch.nn.Module):
    """Two convolutions of 3×3 beside a shortcut; the first of a stage halves the picture and doubles the channels."""

    def __init__(self, before: int, after: int, *, norm: bool, scalars: bool) -> None:
        super().__init__()
        self.stride, self.added = after // before, after - before
        self.first = torch.nn.Conv2d(before, after, 3, stride=self.stride, padding=1, bias=False)
        self.second = torch.nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.norms = torch.nn.ModuleList(torch.nn.BatchNorm2d(after) for _ in range(2 if norm else 0))
        self.shift = torch.nn.ParameterList(torch.zeros(1) for _ in range(4 if scalars else 0))
        self.scale = torch.nn.Parameter(torch.ones(1)) if scalars else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        branch = self._normed(self.first(self._shifted(x, 0)), 0)
        branch = self._shifted(torch.relu(self._shifted(branch, 1)), 2)
        branch = self._normed(self.second(branch), 1)
        branch = self._shifted(branch if self.scale is None else self.scale * branch, 3)
        if self.added:  # without weights, as published: every second pixel, and channels of zeros
            x = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, self.added))
        return torch.relu(x + branch)

    def _normed(self, x: torch.Tensor, place: int) -> torch.Tensor:
        normed: torch.Tensor = self.norms[place](x) if len(self.norms) else x
        return normed

    def _shifted(self, x: torch.Tensor, place: int) -> torch.Tensor:
        return x + self.shift[place] if len(self.shift) else x


class ImageResNet(torch.nn.Module):
    """The residual network for small images of He et al. (2016): 6n + 2 layers in three stages.

    Args:
        task: classes of images.
        blocks: n, in each stage.
        channels: of the first stage; each later one has twice as many.
        norm: whether a BatchNorm follows each convolution.
        scalars: whether the blocks have Fixup's biases and multipliers.
    """

    def __init__(self, task: Task, *, blocks: int, channels: int, norm: bool, scalars: bool) -> None:
        super().__init__()
        widths = [channels] + [channels * 2**stage for stage in range(3) for _ in range(blocks)]
        self.input = torch.nn.Conv2d(task.shape[0], channels, 3, padding=1, bias=False)
        self.norm = torch.nn.BatchNorm2d(channels) if norm else None
        self.blocks = torch.nn.ModuleList(
            _Block(before, after, norm=norm, scalars=scalars) for before, after in pairwise(widths)
        )
        self.output = torch.nn.Linear(widths[-1], task.outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return one row of logits for each image."""
        x = self.input(x)
        x = torch.relu(x if self.norm is None else self.norm(x))
        for block in self.blocks:
            x = block(x)
        logits: torch.Tensor = self.output(x.mean((2, 3)))
        return logits


FIXUP, NORMED, BARE = "Fixup", "He, BatchNorm", "He, no normalisation"
ARMS = {NORMED: "he", FIXUP: "fixup", BARE: "he"}


def build(arm: str, task: Task, form: Form) -> ImageResNet:
    """Return the network of an arm."""
    return ImageResNet(task, blocks=form.blocks, channels=form.channels, norm=arm == NORMED, scalars=arm == FIXUP)


def planned(arm: str, task: Task, form: Form) -> Plan:
    """Return the starting weights of an arm, for any seed."""
    return wb.plan(build(arm, task, form), torch.from_numpy(task.train.inputs[:8]), seed=0, recipe=ARMS[arm])


def measure(asked: Asked) -> Results:
    """Train every arm, on a GPU in the size of the paper."""
    on_gpu = asked.device.startswith("cuda")
    form = QUICK if asked.quick else ON_GPU if on_gpu else ON_CPU
    task, seeds = load_task(form.task), range(form.seeds)
    count = asked.counter(len(ARMS) * form.seeds * form.steps)
    runs: list[Results] = []
    for arm in ARMS:
        plan = planned(arm, task, form)
        factors = {entry.name: entry.lr_factor for entry in plan}
        for seed in seeds:
            model = build(arm, task, form)
            wb.apply(plan.with_seed(seed), model)
            done = fit(
                model,
                task,
                rate=RATE,
                steps=form.steps,
                batch=form.batch,
                seed=seed,
                factors=factors,
                device=asked.device,
                on_step=count,
            )
            accuracy = score(model.eval(), task, task.test, asked.device)
            every = max(1, form.steps // 120)
            runs.append({"arm": arm, "seed": seed, "accuracy": accuracy, "end": done.stopped, "every": every})
            runs[-1]["losses"] = done.losses[::every]
    layers = 6 * form.blocks + 2
    return {"runs": runs, "layers": layers, "task": form.task, "channels": form.channels, "steps": form.steps}


def of(results: Results, arm: str) -> list[Results]:
    """Return the runs of an arm."""
    return [run for run in results["runs"] if run["arm"] == arm]


def accuracies(results: Results, arm: str) -> list[float]:
    """Return the accuracy of each seed."""
    return [float(run["accuracy"]) for run in of(results, arm)]


def behind(results: Results) -> float:
    """Return how many points of accuracy Fixup is behind the network with BatchNorm."""
    return 100 * float(np.mean(accuracies(results, NORMED)) - np.mean(accuracies(results, FIXUP)))


def tables(results: Results) -> list[Table]:
    """Return the accuracies."""
    rows = [
        [
            arm,
            percent(accuracies(results, arm)),
            number(float(np.mean([run["losses"][0] for run in of(results, arm)]))),
            "; ".join(dict.fromkeys(run["end"] or "trains" for run in of(results, arm))),
        ]
        for arm in ARMS
    ]
    title = f"ResNet-{results['layers']}, {results['channels']} channels, {results['task']}, {results['steps']} steps"
    return [Table(["start", "test accuracy", "loss at step 0", ""], rows, title)]


def headline(results: Results) -> str:
    """Return what came out."""
    return (
        f"ResNet-{results['layers']} at a rate of {RATE:g}: Fixup {percent(accuracies(results, FIXUP))}, BatchNorm "
        f"{percent(accuracies(results, NORMED))}, neither {percent(accuracies(results, BARE))}"
    )


def findings(results: Results) -> str:
    """Return what to make of it."""
    first = float(np.mean([run["losses"][0] for run in of(results, BARE)]))
    ahead = -behind(results)
    normed = percent(accuracies(results, NORMED))
    return f"""Without normalisation and with He's weights the signal grows with every block: the loss at step 0 is
{number(first)}, and nothing is learnt at this rate. Fixup comes to {percent(accuracies(results, FIXUP))} after
{results["steps"]} steps; the same network with BatchNorm to {normed}, {abs(ahead):.0f} points
{"less" if ahead > 0 else "more"}.
That is no sound measure of BatchNorm: its authors' ResNet-110 begins with a rate of 0.01 for 400 steps, because 0.1 is
too large at first (He et al. 2016, section 4.2), and there is no such warm-up here. Fixup needs none. Whether it keeps
up with BatchNorm after a whole training is what the form for a GPU would show."""


def figure(results: Results) -> Figure:
    """Draw the losses."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(7, 3.6))
    axes = drawn.subplots()
    for arm, colour in zip(ARMS, ("blue", "black", "red"), strict=True):
        for seed, run in enumerate(of(results, arm)):
            losses = [loss if loss is not None and loss < 1e3 else float("nan") for loss in run["losses"]]
            axes.plot(
                run["every"] * np.arange(len(losses)),
                losses,
                color=COLOURS[colour],
                lw=1.2,
                label=None if seed else arm + " (off the scale)" * all(np.isnan(losses)),
            )
    axes.set(yscale="log", xlabel="training step", ylabel="loss of a batch")
    axes.set_title(f"ResNet-{results['layers']}, learning rate {RATE:g}", size=11, loc="left")
    axes.legend(frameon=False)
    drawn.tight_layout()
    return drawn


FIXUP_RESNET = Anchor(
    name="fixup_resnet",
    title="Fixup: a ResNet-110 without normalisation trains at a rate of 0.1, without warm-up",
    source=(
        'Zhang, Dauphin and Ma (2019), "Fixup Initialization: Residual Learning Without Normalization", section 4.2, '
        "and its published code."
    ),
    reported=(
        "ResNet-110 on CIFAR-10, learning rate 0.1: an error of 7.24% with Fixup, 6.61% with BatchNorm, 7.78% without "
        "both (Xavier's weights, at a rate at which they train)."
    ),
    setup=(
        f"The ResNet-110 of the paper ({ON_CPU.blocks} blocks in each of three stages, shortcuts without weights) with "
        f"{ON_CPU.channels} channels and not 16, on 1,000 real handwritten digits of 8×8: {ON_CPU.steps} steps of SGD "
        f"(rate {RATE:g}, momentum 0.9, batches of {ON_CPU.batch}), {ON_CPU.seeds} seeds; scalars learn at a tenth of "
        f"the rate. On a GPU, `wellbegun anchor fixup_resnet --device cuda` trains the network with 16 channels on "
        f"CIFAR-10 for ten epochs with batches of {ON_GPU.batch}."
    ),
    differs=(
        "Digits and not CIFAR-10, eight channels, a constant rate, no augmentation, no weight decay and two minutes "
        "instead of 200 epochs: what is shown is that Fixup trains at this depth and rate, and not the last point of "
        "accuracy. The form for a GPU has the network and the data of the paper for ten epochs; it was not run for "
        "this page (no GPU here), only its short form on the CPU."
    ),
    minutes=1,
    measure=measure,
    tables=tables,
    gates=(
        Gate("points of accuracy that Fixup is behind BatchNorm", behind, at_most=3, quick=False),
        Gate("Fixup, accuracy of the worst seed", lambda r: min(accuracies(r, FIXUP)), at_least=0.7, quick=False),
        Gate("neither: accuracy of the best seed", lambda r: max(accuracies(r, BARE)), at_most=0.5),
    ),
    headline=headline,
    findings=findings,
    figure=figure,
    methods=("fixup",),
    devices=("cpu", "cuda"),
)
