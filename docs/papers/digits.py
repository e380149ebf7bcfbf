"""Training plain networks on real handwritten digits, with the parts of wellbegun's lab."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

import wellbegun as wb
from wellbegun.lab.network import PlainMLP
from wellbegun.lab.task import Split, Task
from wellbegun.lab.trials.curve import Curve
from wellbegun.lab.trials.together import train_together

TRAIN = 1400
EVERY = 50
"""Steps between two looks at the score."""


def load_digits_task() -> Task:
    """Return scikit-learn's 1,797 real 8×8 digits: 1,400 to train, 397 to score.

    One mean and one deviation for all pixels, so that an image keeps its shape. The learning rates of these pages are
    set beforehand, so no images are needed to choose one: the curves are drawn on the 397.
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    kept, scored = order[:TRAIN], order[TRAIN:]
    rows = ((data.data - data.data[kept].mean()) / data.data[kept].std()).astype(np.float32)
    train, test = (Split(rows[part], data.target[part].astype(np.int64)) for part in (kept, scored))
    digits = "1,797 real handwritten digits"
    return Task("digits", digits, "scikit-learn", "CC BY 4.0", "classes", 10, train, test, test)


@dataclass(frozen=True)
class Network:
    """A plain network: as many hidden layers of one width, and the activation between them.

    Attributes:
        activation: a name that the lab knows.
        depth, width: hidden layers, and units in each.
        function: used in place of the named activation, if given.
    """

    activation: str
    depth: int
    width: int = 128
    function: Callable[[torch.Tensor], torch.Tensor] | None = None

    def build(self, task: Task) -> PlainMLP:
        """Make it; its weights are set by a plan afterwards."""
        model = PlainMLP(task.inputs, task.outputs, depth=self.depth, width=self.width, activation=self.activation)
        if self.function is not None:
            model.activation = self.function
        return model


def start(network: Network, recipe: str, task: Task, seed: int) -> PlainMLP:
    """Return the network with the weights that a recipe plans for it."""
    model = network.build(task)
    plan = wb.plan(model, torch.from_numpy(task.train.inputs), seed=seed, recipe=recipe)
    wb.apply(plan, model)
    return model


def train(
    network: Network, recipes: Sequence[str], task: Task, *, rate: float, seed: int, steps: int, batch: int = 128
) -> dict[str, Curve]:
    """Train the network from the start that each recipe gives it, by SGD with momentum 0.9 on the same batches."""
    models = [start(network, recipe, task, seed) for recipe in recipes]
    states = [{name: weight.detach() for name, weight in model.named_parameters()} for model in models]
    schedule = {"seed": seed, "steps": steps, "batch": batch, "every": EVERY}
    curves = train_together(network.build(task), states, [rate] * len(states), task, **schedule)
    return dict(zip(recipes, curves, strict=True))


def accuracy(curve: Curve) -> float:
    """Return the share of the images to score that a trained network gets right."""
    return float(curve.items.mean())
