"""The parameter groups that an optimizer takes, from what a plan knows of each parameter."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from wellbegun.errors import ArgumentError
from wellbegun.plans.entry import Entry

if TYPE_CHECKING:
    from wellbegun.plans.plan import Plan


def param_groups(plan: Plan, lr: float, weight_decay: float, model: Any) -> list[dict[str, Any]]:
    """See Plan.param_groups."""
    for name, value in (("lr", lr), ("weight_decay", weight_decay)):
        if not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
            raise ArgumentError(f"{name} must be a number, at least 0; got {value!r}")
    parameters = [entry for entry in plan if entry.kind == "parameter"]
    parts = [(True, weight_decay), (False, 0.0)]
    groups = []
    for decays, decay in parts:
        names = [entry.name for entry in parameters if is_decayed(entry) is decays]
        if names:
            group: dict[str, Any] = {"names": names, "lr": lr, "weight_decay": decay}
            groups.append(group if model is None else {"params": [_find(model, name) for name in names]} | group)
    return groups


def is_decayed(entry: Entry) -> bool:
    """Whether weight decay is for this parameter: weights of two or more dimensions."""
    return len(entry.shape) > 1 and not entry.role.startswith("normalisation") and "bias" not in entry.role.split()


def _find(model: Any, name: str) -> Any:
    try:
        return model.get_parameter(name)
    except AttributeError as error:
        raise ArgumentError(f"the model has no parameter {name!r}, which the plan has: {error}") from None
