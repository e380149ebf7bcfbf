"""From the name of a method to the plan of a network's starting weights, and what it asks of the optimizer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch

from wellbegun.errors import ArgumentError, PlanError
from wellbegun.lab.task import Task
from wellbegun.laws import Stored, parse_method
from wellbegun.plans import Plan

if TYPE_CHECKING:
    from wellbegun.diagnosis import Diagnosis

SAMPLE, PROBED = 1024, 256
"""Training examples that a plan may look at (the first layer is scaled by them), and that step 0 is measured on."""

AUTO, AUTHOR, TORCH = "auto", "author", "torch"

Build = Callable[[], torch.nn.Module]


def canonical(method: str) -> str:
    """Return a method's own name, with the arguments as they were written.

    >>> canonical("Glorot"), canonical("AUTO"), canonical("normal( std=1 )"), canonical("torch@1"), canonical("gpt2")
    ('xavier', 'auto', 'normal(std=1)', 'torch', 'gpt2@1')

    Raises:
        UnknownNameError: neither a method, a preset, "auto" nor "author"; the closest names are offered.
        ArgumentError: the method does not take such arguments.
    """
    from wellbegun.recipes.find import find_recipe
    from wellbegun.recipes.presets import find_preset

    recipe, preset = find_recipe(method), find_preset(method)
    if preset is not None:
        return TORCH if preset.name_only == TORCH else preset.name
    if recipe.name == find_recipe(AUTO).name:
        return AUTO
    if not recipe.name.startswith(AUTHOR):
        found, arguments = parse_method(method)
        found.make(**arguments)
        written = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
        return f"{found.name}({written})" if written else found.name
    return AUTHOR


def plan_method(method: str, build: Build, task: Task, seed: int) -> Plan:
    """Plan what a method starts a network with.

    Args:
        method: a method, a preset, "auto", or "author" for what the network's own constructors do.
        build: makes the network.
        task: its training examples tell the scale of the inputs.
        seed: of the weights.

    Raises:
        ArgumentError: the method does not fit this network.
    """
    from wellbegun.recipes import plan

    sample = torch.from_numpy(task.train.inputs[:SAMPLE])
    try:
        # constructors can only be seen while they run; everybody else takes the network as it is
        return plan(build if method == AUTHOR else build(), sample, seed=seed, recipe=method)
    except PlanError as error:
        raise ArgumentError(f"the method {method} does not fit this network: {error}") from None


def reseeded(plan: Plan, method: str, build: Build, task: Task, seed: int) -> Plan:
    """Return a method's plan for another seed: the same laws, or a new plan where numbers were computed from a seed."""
    if any(isinstance(entry.law, Stored) for entry in plan):
        return plan_method(method, build, task, seed)
    return plan.with_seed(seed)


def rate_factors(plan: Plan, optimizer: str) -> Mapping[str, float]:
    """Return what the plan multiplies the learning rate of each parameter by, where that is not 1.

    Args:
        plan: its `param_groups` tell.
        optimizer: "sgd" or "adam"; a plan's factors may depend on it.
    """
    import inspect

    asked: dict[str, Any] = (
        {"optimizer": optimizer} if "optimizer" in inspect.signature(plan.param_groups).parameters else {}
    )
    groups = plan.param_groups(1.0, **asked)
    return {name: float(group["lr"]) for group in groups for name in group["names"] if group["lr"] != 1.0}


def step_zero(plan: Plan, build: Build, task: Task) -> Diagnosis:
    """Return what is measured before the first step."""
    from wellbegun.diagnosis import diagnose
    from wellbegun.lab.measure import measure_of
    from wellbegun.targets import apply

    model = build()
    apply(plan, model)
    inputs, targets = (torch.from_numpy(part[:PROBED]) for part in (task.train.inputs, task.train.targets))
    known = task.kind in ("classes", "tokens")  # the diagnosis knows these losses itself, and the prior with them
    return diagnose(model, (inputs, targets), loss=None if known else measure_of(task.kind).loss)
