"""wb.equal_rates: scales at which the gradient moves every layer by the same share of its weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from wellbegun.errors import ArgumentError, CalibrationError
from wellbegun.graph.framework import check_module
from wellbegun.plans import Entry, Plan
from wellbegun.targets.fit import check_plan
from wellbegun.tuning.batch import batches, check_number

if TYPE_CHECKING:
    import torch

SUFFIX = ", at equal rates"
SOURCE = "Krähenbühl, Doersch, Donahue and Darrell (2016), Data-dependent Initializations"
_CLOSE = 0.01


def equal_rates(plan: Plan, model: torch.nn.Module, batch: Any, *, steps: int = 10) -> Plan:
    """Scale the weights so that a gradient changes each of them by the same share, and the output has the size 1.

    >>> import torch, wellbegun as wb
    >>> relu, layer = torch.nn.ReLU(), torch.nn.Linear
    >>> model = torch.nn.Sequential(layer(16, 32), relu, layer(32, 32), relu, layer(32, 4))
    >>> data = torch.randn(64, 16, generator=torch.Generator().manual_seed(0))
    >>> uneven = wb.plan(model, data, seed=7, rules={"2.weight": wb.Normal(2.0)})
    >>> even = wb.equal_rates(uneven, model, data)
    >>> even["2.weight"].std < 1 < uneven["2.weight"].std
    True

    Each step is one forward and one backward pass on the values that the plan would write, with a random direction of
    the output in place of a loss: no targets are needed.

    Need: scales measured on data or gradients
    Formula: r_k = |dL/dW_k| / |W_k| (root mean squares) for L = <z, f(x)> with z normal; every W_k is multiplied by
        sqrt(r_k / r), with r = the geometric mean of all r_k times std(f)^(1/layers), std over the batch, until all
        agree to 1%.
    Use it for: plain networks of ReLU and its kin whose layers learn at very different speeds, with or without trained
        weights in some of them: in a network whose layers scale their output by what scales their input the goal is
        reached, and any scale of a layer can be moved into another one.
    Not for: branches, saturating activations and normalisation, whose layers do not scale so: then the rates get closer
        and may not meet; the reasons give what was reached. Biases keep their laws: with random ones the function
        changes besides its scale. Plan before sharding; the result applies to parts.
    Args:
        plan: made for this model; its values are drawn anew. Weights of two or more dimensions get a factor.
        model: gives the forward pass; it is as before afterwards.
        batch: real inputs, or a pair (inputs, targets), whose targets are not looked at; or a function of the step.
        steps: at most so many.
    Source: Krähenbühl, Doersch, Donahue and Darrell (2016), "Data-dependent Initializations of Convolutional Neural
        Networks" (the step between layers), as in its published code. The step within a layer is `wb.standardize`,
        which comes first.

    Returns:
        The plan with scaled laws.

    Raises:
        ArgumentError: no weight can be scaled, or the model does not return a tensor.
        ApplyError: the plan is for another model.
        CalibrationError: a gradient is zero or not finite: no scale makes up for that.
        TraceError: the model's forward pass fails.
    """
    check_plan(plan)
    model = check_module(model, "equal rates")
    check_number("steps", steps, 1, whole=True)
    given = batches(batch)
    import torch

    from wellbegun.tuning.scales import Scales

    seen: list[float] = []
    scales = Scales(plan, model, lambda output, _: _along_noise(output, plan.seed, seen), _is_weight)
    logarithms = torch.zeros(len(scales.names), dtype=torch.float64)
    spreads: list[float] = []
    for step in range(steps + 1):
        rates = _rates(scales, logarithms.exp(), given(step))
        spreads.append(float((rates.max() - rates.min()).exp()))
        aim = rates.mean() + math.log(max(seen[-1], 1e-30)) / len(rates)
        if step == steps or float((rates - aim).abs().max()) < _CLOSE:
            break
        logarithms += (rates - aim) / 2
    note = (
        f"× {{factor}} for equal rates: the largest over the smallest |gradient|/|weight| {spreads[0]:.4g} -> "
        f"{spreads[-1]:.4g}"
    )
    return scales.planned(logarithms.exp(), note, SUFFIX, SOURCE)


def _is_weight(entry: Entry) -> bool:
    return len(entry.shape) > 1


def _along_noise(output: Any, seed: int, seen: list[float]) -> torch.Tensor:
    """The output's product with normal numbers; its standard deviation over the batch is noted."""
    import numpy as np
    import torch

    from wellbegun.sampler import Draw, Stream, write

    result = getattr(output, "logits", output)
    if not isinstance(result, torch.Tensor) or not result.is_floating_point():
        raise ArgumentError(f"equal rates need a model that returns a tensor, got {type(output).__name__}")
    if result.ndim == 0 or len(result) < 2:
        raise ArgumentError(f"equal rates compare the outputs of a batch, got an output of shape {list(result.shape)}")
    rows = result.detach().double().reshape(len(result), -1)
    seen.append(float(rows.std(0, correction=0).mean()))
    noise = np.empty(result.numel(), np.float32)
    write(noise, Draw.normal(0.0, 1.0), Stream.of(seed, "equal rates/direction"), 0)
    return (result * torch.from_numpy(noise).reshape(result.shape).to(result)).sum()


def _rates(scales: Any, factors: torch.Tensor, batch: Any) -> torch.Tensor:
    """Logarithms of |gradient|/|weight| of each weight."""
    import torch

    state = scales.state(factors)
    weights = [state[name] for name in scales.names]
    gradients = torch.autograd.grad(scales.loss(state, batch), weights, materialize_grads=True)
    found = []
    for name, weight, gradient in zip(scales.names, weights, gradients, strict=True):
        rate = float(torch.linalg.vector_norm(gradient.double()) / torch.linalg.vector_norm(weight.detach().double()))
        if not 0 < rate < math.inf:
            raise CalibrationError(
                f"{name}: its gradient is {'zero' if rate == 0 else 'not finite'}, so no scale gives it a rate; look "
                "at the plan with wb.diagnose, or leave it out with a rule (wb.Zeros(), wb.Keep())"
            )
        found.append(math.log(rate))
    return torch.tensor(found, dtype=torch.float64)
