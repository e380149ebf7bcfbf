"""Sub-LN (Magneto): a second normalisation in every branch, and weights that grow with the depth."""

from __future__ import annotations

import math
from collections.abc import Mapping

from wellbegun.graph.graph import Graph
from wellbegun.recipes.attention import find_attentions
from wellbegun.recipes.presets.gained import Gained, find_stacks
from wellbegun.recipes.presets.residual import Branch, find_branches
from wellbegun.recipes.proposal import Proposal


class SubLn(Gained):
    """Sub-LN (Magneto): pre-norm transformers with a second norm inside of every branch start with larger weights.

    >>> import torch
    >>> from wellbegun import plan
    >>> class Block(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.norm, self.inner = torch.nn.LayerNorm(16), torch.nn.LayerNorm(16)
    ...         self.up, self.down = torch.nn.Linear(16, 16), torch.nn.Linear(16, 16)
    ...     def forward(self, x):
    ...         return x + self.down(self.inner(torch.relu(self.up(self.norm(x)))))
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 16), *(Block() for _ in range(16)))
    >>> round(plan(model, "vector:8", seed=7, recipe="sub_ln")["1.up.weight"].std * 4, 6)  # sqrt(ln 16)
    1.665109

    Need: transformers
    Domain: attention, pre-norm
    Formula: x + W·LN(f(LN(x))): Xavier's normal law with gain sqrt(ln(2N)) for values, attention outputs and
        feed-forward weights of N layers, gain 1 for queries and keys. With encoder and decoder of N and M layers:
        sqrt(ln(3M)·ln(2N)/3) in the encoder and sqrt(ln(3M)) in the decoder; biases 0.
    Use it for: Magneto, BEiT-3, RetNet and other networks with a norm in front of each branch and one before its last
        weight: the second norm takes the branch's size out again, and the larger weights bound what a step does.
    Not for: branches without the second norm (an error that names one): use `gpt2` or `small_init`.
    Args:
        base: recipe for all that is outside of the layers (tables, the output).
    Source: Wang et al. (2022), "Foundation Transformers" (Magneto); torchscale, encoder.py and decoder.py (subln).
    """

    name_only = "sub_ln"
    source = "Wang et al. (2022), Foundation Transformers (Magneto); torchscale"

    def __init__(self, base: str = "auto") -> None:
        super().__init__(base)

    def change(self, graph: Graph, proposals: Mapping[str, Proposal]) -> dict[str, Proposal]:  # noqa: ARG002
        """Xavier's law with the gain of each stack."""
        branches, attentions = find_branches(graph), find_attentions(graph)
        if not branches:
            raise self.fails("this model has no residual branch")
        for branch in branches:
            self._check(graph, branch)
        stacks = find_stacks(graph, attentions)
        encoder, decoder = (max((s.layers for s in stacks if s.decodes == way), default=0.0) for way in (False, True))
        gains: dict[str, tuple[float, str]] = {}
        for stack in sorted(stacks, key=lambda stack: stack.decodes):  # what both read belongs to the decoder
            gains |= dict.fromkeys(stack.weights, _gain(encoder, decoder, stack.decodes))
        return self.gained(graph, gains, attentions, "Sub-LN")

    def _check(self, graph: Graph, branch: Branch) -> None:
        norms = [index for index in branch.steps if graph.operations[index].kind == "norm"]
        inner = [index for index in norms if any(weight < index for weight in branch.weights)]
        ends_behind = inner and any(weight > inner[0] for weight in branch.weights)
        if len(norms) < 2 or not ends_behind:
            last = graph.operations[branch.weights[-1]].weight or f"operation {branch.weights[-1]}"
            raise self.fails(
                f"the branch that ends with {last} has {len(norms)} normalisation{'s' if len(norms) != 1 else ''}, and "
                "Sub-LN has two, one in front and one before the last weight; without the second one use gpt2, "
                "small_init (pre-norm) or deepnorm (post-norm)"
            )


def _gain(encoder: float, decoder: float, decodes: bool) -> tuple[float, str]:
    if decodes:
        return math.sqrt(math.log(3 * decoder)), f"sqrt(ln(3·{decoder:g})), for {decoder:g} decoder layers"
    if decoder:
        gain = math.sqrt(math.log(3 * decoder) * math.log(2 * encoder) / 3)
        return gain, f"sqrt(ln(3·{decoder:g})·ln(2·{encoder:g})/3), for {encoder:g} and {decoder:g} layers"
    # one layer of one branch would have the logarithm of 1, which is 0
    return math.sqrt(math.log(max(2 * encoder, 2))), f"sqrt(ln(2·{encoder:g})), for {encoder:g} layers"
