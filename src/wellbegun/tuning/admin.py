"""wb.profile_admin: the factors on the shortcuts of a post-norm network, measured on a batch."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from wellbegun.errors import CalibrationError
from wellbegun.graph.framework import check_module
from wellbegun.laws import Constant
from wellbegun.plans import Plan
from wellbegun.targets.fit import check_plan
from wellbegun.tuning.batch import read_batch
from wellbegun.tuning.notes import marked, measured_law

if TYPE_CHECKING:
    import torch

SUFFIX = ", shortcuts profiled"
SOURCE = "Liu et al. (2020), Understanding the Difficulty of Training Transformers (Admin)"
_PASSES, _CLOSE = 30, 1e-3


def profile_admin(plan: Plan, model: torch.nn.Module, batch: Any) -> Plan:
    """Set the factor on each shortcut to the size of everything that was added to the stream before it.

    >>> import torch, wellbegun as wb
    >>> class Block(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.norm, self.up, self.down = torch.nn.LayerNorm(16), torch.nn.Linear(16, 16), torch.nn.Linear(16, 16)
    ...         self.omega = torch.nn.Parameter(torch.ones(16))
    ...     def forward(self, x):
    ...         return self.norm(x * self.omega + self.down(torch.relu(self.up(x))))
    >>> model = torch.nn.Sequential(torch.nn.Linear(16, 16), *(Block() for _ in range(6)))
    >>> data = torch.randn(64, 16, generator=torch.Generator().manual_seed(0))
    >>> better = wb.profile_admin(wb.plan(model, data, seed=7, recipe="admin"), model, data)
    >>> [better[f"{i}.omega"].law.value > better[f"{i - 1}.omega"].law.value for i in range(2, 7)]
    [True, True, True, True, True]

    One forward pass measures the branches' results on the values that the plan would write; passes are repeated until
    no factor changes by more than a thousandth, because each depends on those in front of it.

    Need: transformers
    Formula: LN(omega_i·x + f_i(x)) with omega_1 = 1 and omega_i² = E x_0² + the sum of E f_j² over the branches j < i
        of the stack, where x_0 is what enters it; x is normalised, so that omega_i² is its size in front of the sum.
    Use it for: post-norm transformers whose shortcuts have a learnt factor, started by any recipe: `admin` sets the
        same factors by a closed form, without data.
    Not for: shortcuts without a parameter (an error): put x * self.omega + f(x) into the forward pass. On a sharded
        model plan before sharding: the plan that comes out is then applied to parts as any other.
    Args:
        plan: made for this model; only the factors change.
        model: gives the forward pass; it is as before afterwards.
        batch: real inputs, or a pair (inputs, targets).
    Source: Liu et al. (2020), "Understanding the Difficulty of Training Transformers", and its published code (one
        profiling pass in which each factor is set before the next branch is measured).

    Raises:
        PlanError: the model is not post-norm.
        CalibrationError: a shortcut has no learnt factor, or a branch's result is not finite.
        TraceError: the model's forward pass fails.
    """
    check_plan(plan)
    model = check_module(model, "profiling shortcuts")
    read = read_batch(batch)
    import torch

    from wellbegun.graph.trace import measure
    from wellbegun.recipes.presets.admin import find_shortcuts
    from wellbegun.tuning.running import batch_statistics, on_values
    from wellbegun.tuning.values import by_every_name, planned_values

    values = planned_values(plan, model)
    inputs = read.keywords or read.arguments
    omegas: dict[str, float] = {}
    with on_values(model, by_every_name(plan, values, model), plan.seed), torch.no_grad(), batch_statistics(model):
        for _ in range(_PASSES):
            graph, found = measure(model, inputs), {}
            for stack in find_shortcuts(graph, "profile_admin"):
                total = graph.operations[stack[0].before].measured or 1.0
                for position, shortcut in enumerate(stack):
                    if not shortcut.omega:
                        raise CalibrationError(
                            f"the shortcut beside {shortcut.writer} has no learnt factor; write x * self.omega + f(x) "
                            "with omega a parameter of the width, or use recipe='admin', which plans a plain number"
                        )
                    found[shortcut.omega] = math.sqrt(total) if position else 1.0
                    total += graph.operations[shortcut.added].measured or 0.0
            if not all(map(math.isfinite, found.values())):
                raise CalibrationError("a branch's result is not finite; look at the plan's scales (wb.diagnose)")
            moved = max(abs(value / omegas.get(name, math.inf) - 1) for name, value in found.items())
            omegas = found
            for name, value in omegas.items():
                values[plan[name].name].fill_(value)
            if moved < _CLOSE:
                break
    size = "a batch" if read.size is None else f"a batch of {read.size}"
    entries = tuple(
        measured_law(entry, Constant(omegas[entry.name]), _note(size), SOURCE) if entry.name in omegas else entry
        for entry in plan
    )
    return replace(plan, entries=entries, recipe=marked(plan.recipe, SUFFIX))


def _note(size: str) -> str:
    return f"Admin: the root of what was added to the stream before, measured on {size}"
