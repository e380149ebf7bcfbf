"""wb.gradinit: one scale for each tensor, so that the first step of training lowers the loss most."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wellbegun.errors import ArgumentError
from wellbegun.graph.framework import check_module
from wellbegun.plans import Plan
from wellbegun.targets.fit import check_plan
from wellbegun.tuning.batch import Batch, batches, check_number

if TYPE_CHECKING:
    import torch

    from wellbegun.tuning.scales import Scales

SUFFIX = ", by GradInit"
SOURCE = "Zhu et al. (2021), GradInit, equation 1 and algorithm 1"
_ORDERS = {"sgd": 2, "adam": 1}
"""Norms of the gradient that bound the first step of each optimizer."""


def gradinit(
    plan: Plan,
    model: torch.nn.Module,
    batch: Any,
    *,
    loss: Callable[[Any, Any], torch.Tensor] | None = None,
    optimizer: str = "sgd",
    rate: float = 0.1,
    largest_gradient: float = 1.0,
    steps: int = 200,
    scale_rate: float = 0.03,
    least: float = 0.01,
) -> Plan:
    """Find one scale for each tensor, so that one step of the optimizer leads to the smallest loss.

    >>> import torch, wellbegun as wb
    >>> numbers = torch.Generator().manual_seed(0)
    >>> data = torch.randn(48, 8, generator=numbers), torch.randint(4, (48,), generator=numbers)
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 4))
    >>> plan = wb.plan(model, data[0], seed=7, recipe="normal(std=1.0)")
    >>> better = wb.gradinit(plan, model, data, steps=20)
    >>> better["0.weight"].std < plan["0.weight"].std
    True

    Need: scales measured on data or gradients
    Formula: minimise over the scales a >= 0.01 of all tensors the loss L(a·W - rate·A[g]; S') with g the gradient of
        L(a·W; S), subject to |g| <= gamma: the Euclidean norm and A[g] = g for SGD, the sum of magnitudes and
        A[g] = sign g for Adam. A step of Adam on log a lowers |g| where it is above gamma, else the loss. S and S' are
        two thirds of the batch each and share half of their rows.
    Use it for: networks that no formula knows, trained by SGD or Adam at a known learning rate.
    Not for: batches that are not from the task: the loss is that of the task. What calibration settles in one pass.
        A step costs three derivatives: about ten forward passes.
    Args:
        plan: made for this model; its values are drawn anew. Every tensor that is not zero gets a scale, those of
            normalisation too.
        model: gives the forward pass; it is as before afterwards. Plan before sharding; the result applies to parts.
        batch: a pair (inputs, targets) of at least 3 rows; or a function that gives the one for step 0, 1, 2, ...
        loss: of (output, targets). Left out: cross-entropy for whole numbers, mean square for others.
        optimizer: "sgd" or "adam".
        rate: learning rate of that optimizer in the first step.
        largest_gradient: gamma.
        steps: how often the scales are changed.
        scale_rate: learning rate of Adam for the logarithms of the scales.
        least: smallest scale.
    Source: Zhu et al. (2021), "GradInit: Learning to Initialize Neural Networks for Stable and Efficient Training",
        equation 1 and algorithm 1. The gradient of the loss behind the step is taken through the step, as equation 1
        has it; the authors' code treats the step as a constant. They move a, not log a: from a start that is ten
        times too large that runs past the goal, down to the smallest scale. Defaults of rate, gamma and least are
        those of their scripts for CIFAR-10.

    Returns:
        The plan with scaled laws; reasons say by which factor, and what loss a step led to before and after.

    Raises:
        ArgumentError: nothing can be scaled, or a number is out of range, or no loss can be made.
        ApplyError: the plan is for another model.
        CalibrationError: a loss or its derivative is not finite.
        TraceError: the model's forward pass fails.
    """
    check_plan(plan)
    model = check_module(model, "GradInit")
    if optimizer not in _ORDERS:
        raise ArgumentError(f"optimizer must be 'sgd' or 'adam', got {optimizer!r}")
    check_number("steps", steps, 1, whole=True)
    for name, value in (("rate", rate), ("largest_gradient", largest_gradient), ("scale_rate", scale_rate)):
        check_number(name, value, 0)
    check_number("least", least, 1e-6, most=1)
    given = batches(batch)
    import torch

    from wellbegun.tuning.scales import Scales

    scales = Scales(plan, model, loss, lambda _: True)
    logarithms = torch.zeros(len(scales.names), dtype=torch.float64, requires_grad=True)
    moments = torch.optim.Adam([logarithms], lr=scale_rate)
    losses: list[float] = []
    for step in range(steps):
        factors = logarithms.exp()
        size, behind = looked_at(scales, factors, given(step), optimizer, rate)
        losses.append(behind.item())
        if size.item() > largest_gradient:
            slope = scales.derived(size, logarithms, step, "the norm of the gradient")
        else:
            slope = scales.derived(behind, logarithms, step, "the loss behind a step")
        logarithms.grad = slope.clamp(-1, 1)
        moments.step()
        with torch.no_grad():
            logarithms.clamp_(min=math.log(least))
    factors = logarithms.exp()
    last = looked_at(scales, factors, given(steps), optimizer, rate)[1].item()
    note = f"× {{factor}} by {steps} steps of GradInit: loss behind a step of {optimizer} {losses[0]:.4g} -> {last:.4g}"
    return scales.planned(factors.detach(), note, SUFFIX, SOURCE)


def looked_at(
    scales: Scales, factors: torch.Tensor, batch: Batch, optimizer: str, rate: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the norm of the gradient, and the loss behind one step; both differentiable by the factors."""
    import torch

    from wellbegun.tuning.scales import rows

    size = batch.size or 0
    if size < 3:
        raise ArgumentError(f"GradInit cuts a batch into thirds: it needs 3 rows or more, got {size}")
    third = size // 3
    state = scales.state(factors)
    gradient = scales.gradient(scales.loss(state, rows(batch, 0, size - third)), state, scales.learning)
    order = _ORDERS[optimizer]
    norms = torch.stack([torch.linalg.vector_norm(part.double(), order).cpu() for part in gradient])
    moved = dict(state)
    for name, part in zip(scales.learning, gradient, strict=True):
        moved[name] = state[name] - rate * (part if optimizer == "sgd" else part.sign())
    return torch.linalg.vector_norm(norms, order), scales.loss(moved, rows(batch, third, size)).double().cpu()
