"""Multipliers that a plan wants in the forward pass: said where a plan is written, looked for where one is checked."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from wellbegun.errors import UnmetMultiplierWarning
from wellbegun.plans import Multiplier, Plan, multiplier_lines
from wellbegun.targets.verification import Fault

if TYPE_CHECKING:
    import torch


def warn_of_unmet(plan: Plan) -> None:
    """Warn that weights are written which are only a part of what the recipe asks for."""
    if plan.unmet:
        lines = "\n  ".join(multiplier_lines(plan.unmet))
        warnings.warn(
            f"{plan.recipe} is more than weights, and the model's forward pass lacks a part of it:\n  {lines}\n"
            "Put these numbers into the forward pass (plan.unmet lists them) and make the plan again; "
            "wb.verify(plan, model, inputs=...) says whether they are there",
            UnmetMultiplierWarning,
            stacklevel=3,
        )


def multiplier_faults(plan: Plan, model: torch.nn.Module, inputs: Any) -> list[Fault]:
    """Return what the forward pass lacks: traced again if inputs are given, else as it was when the plan was made."""
    if not plan.multipliers:
        return []
    when = "when the plan was made (give inputs=... to look again)"
    found: tuple[Multiplier, ...] = plan.multipliers
    if inputs is not None:
        from wellbegun.graph.trace import trace
        from wellbegun.recipes.factors import with_found

        found, when = with_found(trace(model, inputs), plan.multipliers), "now"
    return [Fault("multiplier", m.weight, f"{m}, {when}") for m in found if not m.met]
