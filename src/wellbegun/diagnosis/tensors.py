"""What the parameters hold, each as it is stored."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import torch

from wellbegun.diagnosis.facts import TensorFacts
from wellbegun.laws import Keep

if TYPE_CHECKING:
    from wellbegun.plans import Plan

_PIECE = 1 << 16


def tensor_facts(
    parameters: Mapping[str, torch.Tensor],
    gradients: Mapping[str, float],
    taken: Collection[str],
    plan: Plan | None = None,
    planned_names: Mapping[str, str] | None = None,
) -> tuple[TensorFacts, ...]:
    """Measure every floating-point parameter.

    Args:
        parameters: the model's, each tensor once.
        gradients: second moment of the gradient of each that got one.
        taken: those that an operation took.
        plan: to compare with.
        planned_names: the names that parameters have in the plan.
    """
    return tuple(
        _facts(name, tensor.detach(), tensor.requires_grad, gradients, name in taken, plan, planned_names or {})
        for name, tensor in parameters.items()
        if tensor.is_floating_point() and tensor.numel()
    )


def _facts(
    name: str,
    tensor: torch.Tensor,
    trained: bool,
    gradients: Mapping[str, float],
    taken: bool,
    plan: Plan | None,
    names: Mapping[str, str],
) -> TensorFacts:
    limits = torch.finfo(tensor.dtype)
    narrow = limits.bits < 32
    total = squares = 0.0
    bad = largest = tiny = zero = 0
    for piece in torch.split(tensor.reshape(-1), _PIECE):
        wide = piece.double()
        part = float(torch.dot(wide, wide))
        if not math.isfinite(part):
            finite = torch.isfinite(wide)
            bad += len(wide) - int(finite.sum())
            wide = wide[finite]
            part = float(torch.dot(wide, wide))
        total, squares = total + float(wide.sum()), squares + part
        zero += len(wide) - int(torch.count_nonzero(wide))
        if narrow:
            size = wide.abs()
            largest += int((size >= limits.max).sum())
            tiny += int((size < limits.smallest_normal).sum())
    count = tensor.numel()
    mean = total / max(count - bad, 1)
    std = math.sqrt(max(squares / max(count - bad, 1) - mean**2, 0.0))
    return TensorFacts(
        name=name,
        dtype=str(tensor.dtype).removeprefix("torch."),
        size=count,
        mean=mean,
        std=std,
        planned=_planned(plan, names.get(name, name)),
        bad=bad,
        largest=largest / count,
        tiny=max(tiny - zero, 0) / count if narrow else 0.0,
        zero=zero / count,
        matrix=tensor.ndim > 1,
        trained=trained,
        used=taken or name in gradients,
        reached=not trained or not gradients or name in gradients,
        gradient=gradients.get(name, math.nan),
    )


def _planned(plan: Plan | None, name: str) -> float:
    if plan is None or name not in plan or isinstance(plan[name].law, Keep):
        return math.nan
    try:
        return plan[name].std
    except NotImplementedError:  # a law whose numbers depend on other tensors
        return math.nan
