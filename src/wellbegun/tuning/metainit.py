"""wb.metainit: norms at which a step along the gradient changes the gradient least."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wellbegun.graph.framework import check_module
from wellbegun.plans import Plan
from wellbegun.targets.fit import check_plan
from wellbegun.tuning.batch import Batch, batches, check_number

if TYPE_CHECKING:
    import torch

    from wellbegun.tuning.scales import Scales

SUFFIX = ", by MetaInit"
SOURCE = "Dauphin and Schoenholz (2019), MetaInit, equation 1 and algorithm 1"
EPSILON = 1e-5
"""Of the quotient's denominator, as published."""
LEAST = 0.01
"""A norm does not fall below this share of the plan's: a step of sign-SGD knows no zero."""


def metainit(
    plan: Plan,
    model: torch.nn.Module,
    batch: Any,
    *,
    loss: Callable[[Any, Any], torch.Tensor] | None = None,
    steps: int = 500,
    rate: float = 0.1,
    momentum: float = 0.9,
) -> Plan:
    """Find norms for all weights at which the gradient is about the same a step further.

    >>> import torch, wellbegun as wb
    >>> numbers = torch.Generator().manual_seed(0)
    >>> noise = torch.randn(32, 8, generator=numbers), torch.randint(4, (32,), generator=numbers)
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Tanh(), torch.nn.Linear(16, 4))
    >>> plan = wb.plan(model, noise[0], seed=7, recipe="normal(std=2.0)")
    >>> better = wb.metainit(plan, model, noise, steps=40)
    >>> better["0.weight"].std < plan["0.weight"].std
    True

    Need: scales measured on data or gradients
    Formula: GQ = mean over all weights of |(g - H g) / (g + eps·sign g) - 1|, with the gradient g, the Hessian H and
        eps = 1e-5. The norm of each weight moves by sign-SGD with momentum along -dGQ/d(norm); directions stay.
    Use it for: networks that no formula knows, and starts that are too large or too small in some layers. Random inputs
        with random labels are enough; no task is needed.
    Not for: what calibration or a formula settles in one pass. A step costs two derivatives of the gradient: about ten
        forward passes. Nor for starts that are chaotic: there the quotient falls towards smaller norms only on a
        large scale, while its derivative, of which the method takes the sign, is as often wrong as right (measured in
        float32 and float64 alike: tanh, all weights ten times too large, is not repaired; ReLU, whose derivative
        points the right way there, is).
    Args:
        plan: made for this model; its values are drawn anew. Weights of two or more dimensions get new norms.
        model: gives the forward pass; it is as before afterwards. Plan before sharding; the result applies to parts.
        batch: a pair (inputs, targets), random or real; or a function that gives the one for step 0, 1, 2, ...
        loss: of (output, targets). Left out: cross-entropy for whole numbers, mean square for others.
        steps, rate, momentum: of sign-SGD; the defaults are the paper's.
    Source: Dauphin and Schoenholz (2019), "MetaInit: Initializing learning by learning to initialize", equation 1,
        algorithm 1 and figure 2.

    Returns:
        The plan with scaled laws; reasons say by which factor, and what the quotient was before and after.

    Raises:
        ArgumentError: nothing can be scaled, or a number is out of range, or no loss can be made.
        ApplyError: the plan is for another model.
        CalibrationError: the quotient or its derivative is not finite.
        TraceError: the model's forward pass fails.
    """
    check_plan(plan)
    model = check_module(model, "MetaInit")
    check_number("steps", steps, 1, whole=True)
    check_number("rate", rate, 0)
    check_number("momentum", momentum, 0, most=1)
    given = batches(batch)
    import torch

    from wellbegun.tuning.scales import Scales

    scales = Scales(plan, model, loss, lambda entry: len(entry.shape) > 1)
    factors, speed = scales.ones(), torch.zeros(len(scales.names), dtype=torch.float64)
    quotients: list[float] = []
    norms = torch.tensor([scales.norm(name) for name in scales.names], dtype=torch.float64)
    for step in range(steps):
        quotient = quotient_of(scales, factors, given(step))
        quotients.append(quotient.item())
        slope = scales.derived(quotient, factors, step, "the gradient quotient")
        speed = momentum * speed - rate * slope.sign().cpu()
        moved = (factors.detach() + speed / norms).clamp(min=LEAST)
        factors = moved.requires_grad_()
    last = quotient_of(scales, factors, given(steps)).item()
    note = f"norm × {{factor}} by {steps} steps of MetaInit: gradient quotient {quotients[0]:.4g} -> {last:.4g}"
    return scales.planned(factors.detach(), note, SUFFIX, SOURCE)


def quotient_of(scales: Scales, factors: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Return the gradient quotient of the network with these factors; differentiable by them."""
    import torch

    state = scales.state(factors)
    gradient = scales.gradient(scales.loss(state, batch), state, scales.names)
    half = torch.stack([(part.double() ** 2).sum() / 2 for part in gradient]).sum()
    product = scales.gradient(half, state, scales.names)  # H g
    sums = []
    for g, hg in zip(gradient, product, strict=True):
        sign = torch.where(g >= 0, 1.0, -1.0)
        sums.append(((g - hg) / (g + EPSILON * sign) - 1).abs().double().sum().cpu())
    return torch.stack(sums).sum() / sum(part.numel() for part in gradient)
