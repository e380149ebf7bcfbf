"""Residual branches that share what one would add: the last weight smaller the more branches there are."""

from __future__ import annotations

import math
from collections.abc import Mapping

from wellbegun.errors import ArgumentError
from wellbegun.graph.graph import Graph
from wellbegun.recipes.presets.on_top import OnTop
from wellbegun.recipes.presets.residual import find_branches
from wellbegun.recipes.proposal import Proposal


class ScaledResidual(OnTop):
    """Residual branches whose last weight is divided by the root of their number: the stream stays of bounded size.

    >>> import torch
    >>> from wellbegun import plan
    >>> class Block(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.inside, self.out = torch.nn.Linear(16, 32), torch.nn.Linear(32, 16)
    ...     def forward(self, x):
    ...         return x + self.out(torch.relu(self.inside(x)))
    >>> made = plan(torch.nn.Sequential(*(Block() for _ in range(4))), "vector:16", seed=7, recipe="scaled_residual")
    >>> round(made["0.inside.weight"].std, 6), made["0.out.weight"].std
    (0.353553, 0.125)

    Need: residual networks
    Formula: the last weight of each of L residual branches is the base's times L^(-1/2); all others are the base's.
        With branches of variance 1 the second moment of the stream grows by (1 + 1/L)^L < e.
    Use it for: residual networks of moderate depth, with or without normalisation inside of the branches.
    Not for: branches that end with a normalisation (an error), and large learning rates without normalisation: bounded
        is not trainable, 100 branches diverge at a rate where `fixup` learns (wellbegun's pilot).
    Args:
        base: the recipe that is scaled.
        exponent: of L, 1/2 as published; 1 keeps the network near its shortcuts at any depth.
    Source: Taki (2017), "Deep Residual Networks and Weight Initialization"; Hanin and Rolnick (2018), "How to Start
        Training", section 4; Hayou et al. (2021), "Stable ResNet", section 3.
    """

    name_only = "scaled_residual"
    source = "Taki (2017); Hanin and Rolnick (2018), section 4; Hayou et al. (2021), section 3"

    def __init__(self, base: str = "he", exponent: float = 0.5) -> None:
        super().__init__(base)
        if isinstance(exponent, bool) or not isinstance(exponent, (int, float)) or not 0 < exponent < math.inf:
            raise ArgumentError(f"scaled_residual@1: exponent must be a number above 0, got {exponent!r}")
        self.exponent = float(exponent)

    def change(self, graph: Graph, proposals: Mapping[str, Proposal]) -> dict[str, Proposal]:
        """Scale what ends a branch."""
        branches = find_branches(graph)
        if not branches:
            raise self.fails("this model has no residual branch")
        factor = len(branches) ** -self.exponent
        made: dict[str, Proposal] = {}
        for branch in branches:
            for index in branch.ends:
                operation = graph.operations[index]
                if operation.kind == "norm":
                    raise self.fails(
                        f"a branch ends with a normalisation ({next(iter(operation.parameters), operation.detail)}), "
                        "behind which the scale of weights is lost; use zero_residual"
                    )
                reason = (
                    f"{self.base} times {len(branches)}^-{self.exponent:g} = {factor:.4g}: it ends one of "
                    f"{len(branches)} residual branches"
                )
                name = operation.weight
                if name and operation.kind != "embedding":
                    made[name] = self.scaled(graph, name, self.base_of(proposals, name), factor, reason)
        if not made:
            raise self.fails("no residual branch of this model ends with a weight")
        return made
