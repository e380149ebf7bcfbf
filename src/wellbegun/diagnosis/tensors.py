"""What the parameters hold, each as it is stored."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from wellbegun.diagnosis.bundle import each
from wellbegun.diagnosis.facts import TensorFacts
from wellbegun.diagnosis.measure import PIECE, squares
from wellbegun.laws import Keep

if TYPE_CHECKING:
    from wellbegun.plans import Plan


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
    measured = {n: tensor for n, tensor in parameters.items() if tensor.is_floating_point() and tensor.numel()}
    names = planned_names or {}
    return tuple(
        TensorFacts(
            name=name,
            dtype=str(tensor.dtype).removeprefix("torch."),
            size=tensor.numel(),
            mean=held.mean,
            std=held.std,
            planned=_planned(plan, names.get(name, name)),
            bad=held.bad,
            largest=held.largest / tensor.numel(),
            tiny=held.tiny / tensor.numel(),
            zero=held.zero / tensor.numel(),
            matrix=tensor.ndim > 1,
            trained=tensor.requires_grad,
            used=name in taken or name in gradients,
            reached=not tensor.requires_grad or not gradients or name in gradients,
            gradient=gradients.get(name, math.nan),
        )
        for (name, tensor), held in zip(measured.items(), each(_each_held, list(measured.values())), strict=True)
    )


@dataclass(frozen=True)
class _Held:
    """Mean and standard deviation of the finite elements, and counts as in `TensorFacts`."""

    mean: float
    std: float
    bad: int
    largest: int
    tiny: int
    zero: int


def _each_held(stack: torch.Tensor) -> list[_Held]:
    """What each of several tensors of one shape holds: [tensors, *shape]."""
    number, size = len(stack), stack[0].numel()
    limits = torch.finfo(stack.dtype)
    sums = torch.zeros(6, number, dtype=torch.float64, device=stack.device)
    for piece in torch.split(stack.reshape(number, -1), max(1, PIECE // number), 1):
        wide = piece.double()
        second = squares(wide)
        if not float(second.sum()) < math.inf:
            finite = torch.isfinite(wide)
            sums[2] += (~finite).sum(1)
            sums[5] -= (~finite).sum(1)  # made zero below
            wide = torch.where(finite, wide, 0.0)
            second = squares(wide)
        sums[0] += wide.sum(1)
        sums[1] += second
        small = wide.abs()
        if float(small.amin()) == 0:
            sums[5] += (wide == 0).sum(1)
        if limits.bits < 32:
            sums[3] += (small >= limits.max).sum(1)
            sums[4] += ((small < limits.smallest_normal) & (small > 0)).sum(1)
    found = []
    for total, second, bad, largest, tiny, zero in sums.t().tolist():
        count = max(size - bad, 1)
        mean = total / count
        std = math.sqrt(max(second / count - mean**2, 0.0))
        found.append(_Held(mean, std, int(bad), int(largest), int(tiny), int(zero)))
    return found


def _planned(plan: Plan | None, name: str) -> float:
    if plan is None or name not in plan or isinstance(plan[name].law, Keep):
        return math.nan
    try:
        return plan[name].std
    except NotImplementedError:  # a law whose numbers depend on other tensors
        return math.nan
