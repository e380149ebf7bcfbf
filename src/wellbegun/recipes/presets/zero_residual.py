"""Residual branches that start at zero, on top of another recipe."""

from __future__ import annotations

from collections.abc import Mapping

from wellbegun.graph.graph import Graph
from wellbegun.laws import Zeros
from wellbegun.recipes.presets.on_top import OnTop
from wellbegun.recipes.presets.residual import find_branches
from wellbegun.recipes.proposal import Proposal


class ZeroResidual(OnTop):
    """Another recipe, with the last layer of every residual branch at zero: the network starts as its shortcuts.

    >>> import torch
    >>> from wellbegun import plan
    >>> class Block(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.inside, self.out = torch.nn.Linear(16, 64), torch.nn.Linear(64, 16)
    ...     def forward(self, x):
    ...         return x + self.out(torch.relu(self.inside(x)))
    >>> made = plan(torch.nn.Sequential(Block(), Block()), "vector:16", seed=7, recipe="zero_residual(base='he')")
    >>> made["0.out.weight"].law, made["0.inside.weight"].law
    (Constant(value=0.0), Normal(std=0.35355338))

    Need: residual networks
    Formula: the scale of the normalisation that ends a branch is 0; of a branch that ends with a layer, its weight and
        bias are 0; everything else as the base says.
    Use it for: deep residual networks: at step 0 the signal and the gradient pass through the shortcuts unchanged,
        however many blocks there are (Goyal et al.: helps at large batches; Fixup without normalisation).
    Not for: branches that are the only way through (a plain chain), or where weight decay would hold a scale at 0.
    Args:
        base: the recipe for everything else, "auto" or for example "torch@1".
    Source: Goyal et al. (2017), "Accurate, Large Minibatch SGD", section 5.1 (last gamma 0); Zhang, Dauphin and Ma
        (2019), Fixup, section 3 (last layer 0).
    """

    name_only = "zero_residual"
    source = "Goyal et al. (2017), section 5.1; Zhang, Dauphin and Ma (2019), section 3"

    def __init__(self, base: str = "auto") -> None:
        super().__init__(base)

    def change(self, graph: Graph, proposals: Mapping[str, Proposal]) -> dict[str, Proposal]:  # noqa: ARG002
        """Return zeros for the end of each branch."""
        ends = {index for branch in find_branches(graph) for index in branch.ends}
        zeroed: dict[str, Proposal] = {}
        for name, uses in graph.uses.items():
            at_end = [use for use in uses if use.operation in ends]
            if not at_end:
                continue
            if len(at_end) < len(uses) and any(use.role.endswith("weight") for use in uses):
                raise self.fails(f"{name} ends a residual branch and is used elsewhere too; use a rule")
            role = at_end[0].role
            if role == "normalisation scale" or role.endswith(" weight"):
                what = "the scale" if role == "normalisation scale" else "the weight"
                zeroed[name] = Proposal(
                    Zeros(), f"{what} that ends a residual branch: 0, so it adds nothing", self.source
                )
            elif role in ("bias", "normalisation shift"):
                zeroed[name] = Proposal(
                    Zeros(), "the bias that ends a residual branch: 0, so it adds nothing", self.source
                )
        if not zeroed:
            raise self.fails("this model has no residual branch that ends with a layer or a normalisation")
        return zeroed
