"""The parameter groups that an optimizer takes, from what a plan knows of each parameter."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from wellbegun.errors import ArgumentError
from wellbegun.plans.entry import Entry

if TYPE_CHECKING:
    from wellbegun.plans.plan import Plan


def param_groups(plan: Plan, lr: float, weight_decay: float, eps: float, model: Any) -> list[dict[str, Any]]:
    """See Plan.param_groups."""
    for name, value in (("lr", lr), ("weight_decay", weight_decay), ("eps", eps)):
        if not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
            raise ArgumentError(f"{name} must be a number, at least 0; got {value!r}")
    scales_eps = any(entry.eps_factor != 1 for entry in plan)
    together: dict[tuple[bool, float, float, float], list[str]] = {}
    for entry in plan:
        if entry.kind == "parameter":
            decays = is_decayed(entry)
            key = not decays, entry.lr_factor, entry.decay_factor if decays else 0.0, entry.eps_factor
            together.setdefault(key, []).append(entry.name)
    groups = []
    # those with decay first; among equals the order of the plan
    for key in sorted(together, key=lambda key: key[0]):
        _, rate, decay, epsilon = key
        group: dict[str, Any] = {"names": together[key], "lr": lr * rate, "weight_decay": weight_decay * decay}
        if scales_eps:
            group["eps"] = eps * epsilon
        params = [] if model is None else [_find(model, name) for name in together[key]]
        groups.append(group if model is None else {"params": params} | group)
    return groups


def is_decayed(entry: Entry) -> bool:
    """Whether weight decay is for this parameter: weights of two or more dimensions."""
    return len(entry.shape) > 1 and not entry.role.startswith("normalisation") and "bias" not in entry.role.split()


def _find(model: Any, name: str) -> Any:
    try:
        return model.get_parameter(name)
    except AttributeError as error:
        raise ArgumentError(f"the model has no parameter {name!r}, which the plan has: {error}") from None
