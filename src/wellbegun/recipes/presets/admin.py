"""Admin: post-norm transformers whose shortcuts carry more than the branches add."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from wellbegun.errors import ArgumentError, PlanError
from wellbegun.graph.graph import Graph
from wellbegun.laws import Constant
from wellbegun.plans import Multiplier
from wellbegun.recipes.factors import factor_on_way
from wellbegun.recipes.presets.on_top import OnTop
from wellbegun.recipes.presets.residual import Branch, find_branches
from wellbegun.recipes.proposal import Proposal
from wellbegun.recipes.streams import carried

_CHANGES = ("log", "one")


@dataclass(frozen=True)
class Shortcut:
    """The short way of one residual sum in a post-norm network.

    Attributes:
        branch: what is added to it.
        omega: the learnt factor on it, "" where there is none.
        before: index of the operation whose result the factor is on.
        added: index of the operation that hands the branch's result to the sum.
        factor: the plain number that the forward pass multiplies it with.
        writer: the weight that ends the branch.
    """

    branch: Branch
    omega: str
    before: int
    added: int
    factor: float
    writer: str


class Admin(OnTop):
    """Admin: each shortcut of a post-norm transformer is multiplied by omega, so that no branch outweighs it.

    >>> import torch
    >>> from wellbegun import plan
    >>> class Block(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.norm, self.up, self.down = torch.nn.LayerNorm(16), torch.nn.Linear(16, 16), torch.nn.Linear(16, 16)
    ...         self.omega = torch.nn.Parameter(torch.ones(16))
    ...     def forward(self, x):
    ...         return self.norm(x * self.omega + self.down(torch.relu(self.up(x))))
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 16), *(Block() for _ in range(12)))
    >>> plan(model, "vector:8", seed=7, recipe="admin")["3.omega"].law  # sqrt(13/ln 13 - 1)
    Constant(value=2.0170093)

    Need: transformers
    Domain: attention, post-norm
    Formula: LN(omega·x + f(x)), omega = sqrt((n + 1)/ln(n + 1) - 1) for a stack of n residual branches, so that a small
        change of all weights changes the output by O(ln n) and not O(n); with change="one": omega = sqrt(n), O(1).
    Use it for: post-norm transformers of many layers. A learnt omega (one number for each channel) starts at this
        value; where the forward pass has a plain number, it is in `plan.multipliers`, and `apply` warns where it lacks.
    Not for: pre-norm networks (an error). The paper measures omega instead on a batch: `wb.profile_admin`.
    Args:
        base: recipe for all weights.
        change: "log", or "one" for a larger omega.
    Source: Liu et al. (2020), "Understanding the Difficulty of Training Transformers" (Admin); the closed form is that
        of the code published later, admin-torch.
    """

    name_only = "admin"
    source = "Liu et al. (2020), Admin; admin-torch"

    def __init__(self, base: str = "xavier", change: str = "log") -> None:
        super().__init__(base)
        if change not in _CHANGES:
            raise ArgumentError(f"admin@1: change must be 'log' or 'one', got {change!r}")
        self.output_change = change

    def change(self, graph: Graph, proposals: Mapping[str, Proposal]) -> dict[str, Proposal]:  # noqa: ARG002
        """Set the learnt factors."""
        made = {}
        for shortcut, value, reason in self._values(graph):
            if shortcut.omega:
                made[shortcut.omega] = Proposal(Constant(value), reason, self.source)
        return made

    def multipliers(self, graph: Graph) -> tuple[Multiplier, ...]:
        """The factors on shortcuts that have no parameter."""
        return tuple(
            Multiplier("shortcut", shortcut.writer, value, shortcut.factor, reason, self.source)
            for shortcut, value, reason in self._values(graph)
            if not shortcut.omega and shortcut.writer
        )

    def _values(self, graph: Graph) -> list[tuple[Shortcut, float, str]]:
        made = []
        for stack in find_shortcuts(graph, "admin@1"):
            count = len(stack)
            value = math.sqrt(count if self.output_change == "one" else (count + 1) / math.log(count + 1) - 1)
            said = f"sqrt({count})" if self.output_change == "one" else f"sqrt({count + 1}/ln {count + 1} - 1)"
            reason = f"Admin: omega = {said} = {value:.4g} on the shortcut of each of {count} branches"
            made += [(shortcut, value, reason) for shortcut in stack]
        return made


def find_shortcuts(graph: Graph, whose: str) -> list[list[Shortcut]]:
    """Return the shortcuts of each stack of a post-norm network, in order.

    Args:
        graph: of the network.
        whose: recipe or function, for messages.

    Raises:
        PlanError: there is no residual branch, or a sum goes elsewhere than into a normalisation.
    """
    branches = find_branches(graph)
    if not branches:
        raise PlanError(f"{whose}: this model has no residual branch")
    bare = [branch for branch in branches if {step.kind for step in graph.consumers(branch.add)} != {"norm"}]
    if bare:
        raise PlanError(
            f"{whose}: this model is not post-norm: {len(bare)} of {len(branches)} residual sums go elsewhere than "
            "into a normalisation; use gpt2, small_init or scaled_residual"
        )
    stacks: dict[int, list[Shortcut]] = {}
    first: dict[int, int] = {}
    for branch in branches:
        made = _shortcut(graph, branch)
        before = graph.operations[made.before]
        last = carried(graph, before.inputs[0]).index if before.kind == "norm" and before.inputs else before.index
        first[branch.add] = first.get(last, branch.add)
        stacks.setdefault(first[branch.add], []).append(made)
    return list(stacks.values())


def _shortcut(graph: Graph, branch: Branch) -> Shortcut:
    inputs = graph.operations[branch.add].inputs
    short = next(index for index in inputs if carried(graph, index).index == branch.shortcut)
    added = next((index for index in inputs if index != short), short)
    operation, omega, factor = graph.operations[branch.shortcut], "", factor_on_way(graph, short)
    if operation.kind == "multiply":
        signals = [index for index in operation.inputs if graph.operations[index].kind != "parameter"]
        learnt = [
            name
            for name, uses in graph.uses.items()
            if any(use.operation == operation.index and use.role in ("multiplied", "scalar gate") for use in uses)
        ]
        if len(signals) == 1 and len(learnt) == 1:
            omega, operation = learnt[0], carried(graph, signals[0])
    writer = next((graph.operations[index].weight for index in branch.ends if graph.operations[index].weight), "")
    return Shortcut(branch, omega, operation.index, added, factor, writer)
