"""wb.swim: hidden layers made of pairs of data points, where the targets change most."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from wellbegun.errors import ArgumentError
from wellbegun.graph.framework import check_module
from wellbegun.plans import Plan
from wellbegun.targets.fit import check_plan
from wellbegun.tuning.batch import check_number, read_batch
from wellbegun.tuning.notes import marked, measured_law, noted

if TYPE_CHECKING:
    import torch

SUFFIX = ", sampled by SWIM"
SOURCE = "Bolager et al. (2023), Sampling weights of deep neural networks"


def swim(plan: Plan, model: torch.nn.Module, batch: Any, *, ridge: float | None = None) -> Plan:
    """Sample the weights of the hidden layers from pairs of inputs between which the targets change steeply.

    >>> import torch, wellbegun as wb
    >>> x = torch.linspace(-3, 3, 200)[:, None]
    >>> model = torch.nn.Sequential(torch.nn.Linear(1, 50), torch.nn.Tanh(), torch.nn.Linear(50, 1))
    >>> better = wb.swim(wb.plan(model, x, seed=7), model, (x, torch.sin(2 * x)), ridge=1e-8)
    >>> done = wb.apply(better, model)
    >>> (model(x) - torch.sin(2 * x)).square().mean().item() < 1e-3  # without a step of training
    True

    One forward pass: each hidden layer's weights are made of the inputs that reach it, so that the next layer sees
    what comes out of them.

    Need: scales measured on data or gradients
    Formula: for pairs (a, b) of inputs of the layer, w = s1·(b - a)/|b - a|² and bias = -w·a - s2, with s1 = 1, s2 = 0
        for ReLU (0 at a, 1 at b) and s1 = ln 3, s2 = ln(3)/2 for tanh (-1/2 at a, 1/2 at b). A pair is drawn with
        probability in proportion to the change of its targets over its distance; for classes the change is 1 if they
        differ.
    Use it for: plain networks of linear layers for regression and classification of tables: features that are useful
        before training, or without any if `ridge` also solves the output layer.
    Not for: convolutions, attention, layers without a bias and other activations, which keep the plan's laws; their
        reasons say so. Noisy targets, whose steepest pairs are the noise. On a sharded model plan before sharding: the
        plan that comes out is then applied to parts as any other.
    Args:
        plan: made for this model; it gives the seed, and the laws of all other tensors.
        model: gives the forward pass; it is as before afterwards.
        batch: a pair (inputs, targets): whole numbers are classes, others values, [rows] or [rows, outputs].
        ridge: solve the output layer by least squares on the batch, with this share of the features' mean square added
            to the diagonal, 1e-8 for hardly any; left out: it keeps the plan's law.
    Source: Bolager et al. (2023), "Sampling weights of deep neural networks", and its published code (candidate pairs,
        probabilities, constants).

    Returns:
        The plan with stored numbers for the layers that were sampled.

    Raises:
        ArgumentError: the batch has no targets, or no layer can be sampled; the rows of a layer's inputs and the
            targets differ in number.
        TraceError: the model's forward pass fails.
    """
    check_plan(plan)
    model = check_module(model, "sampling weights")
    if ridge is not None:
        check_number("ridge", ridge, 0, most=1e6)
    read = read_batch(batch)
    if read.targets is None:
        raise ArgumentError("SWIM looks at targets: pass a pair (inputs, targets)")
    import torch

    from wellbegun.tuning.pairs import Pairs
    from wellbegun.tuning.running import forward, on_values
    from wellbegun.tuning.values import by_every_name, planned_values

    values = planned_values(plan, model)
    pairs = Pairs(plan, model, values, read, ridge)
    with on_values(model, by_every_name(plan, values, model), plan.seed), torch.no_grad(), pairs.watching():
        forward(model, read)
    made = pairs.stored
    if not made:
        raise ArgumentError(f"no layer can be sampled: {'; '.join(pairs.notes.values()) or 'the model has none'}")
    entries = tuple(
        measured_law(entry, *made[entry.name], SOURCE)
        if entry.name in made
        else noted(entry, pairs.notes.get(entry.name, ""))
        for entry in plan
    )
    return replace(plan, entries=entries, recipe=marked(plan.recipe, SUFFIX))
