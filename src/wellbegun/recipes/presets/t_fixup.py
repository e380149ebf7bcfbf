"""T-Fixup: transformers without normalisation and without warm-up."""

from __future__ import annotations

import math
from collections.abc import Mapping

from wellbegun.graph.graph import Graph, Operation
from wellbegun.laws import Normal, XavierUniform
from wellbegun.recipes.attention import find_attentions
from wellbegun.recipes.presets.gained import Gained, find_stacks
from wellbegun.recipes.proposal import Proposal
from wellbegun.recipes.streams import CARRIES

_TABLES = ("embedding weight", "position table")


class TFixup(Gained):
    """T-Fixup: transformers that train without normalisation and without warm-up, by smaller weights and tables.

    >>> import torch
    >>> from wellbegun import plan
    >>> class Block(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.mix = torch.nn.MultiheadAttention(16, 2, batch_first=True)
    ...         self.up, self.down = torch.nn.Linear(16, 64), torch.nn.Linear(64, 16)
    ...     def forward(self, x):
    ...         x = x + self.mix(x, x, x, need_weights=False)[0]
    ...         return x + self.down(torch.relu(self.up(x)))
    >>> model = torch.nn.Sequential(torch.nn.Embedding(99, 16), *(Block() for _ in range(16)), torch.nn.Linear(16, 99))
    >>> made = plan(model, "tokens:8", seed=7, recipe="t_fixup")
    >>> round(made["0.weight"].std, 6), round(made["1.down.weight"].std / (2 / 80) ** 0.5, 6)
    (0.288675, 0.335)

    Need: transformers
    Domain: attention, bare branches
    Formula: Xavier's uniform law with gain 0.67·N^(-1/4) for values, attention outputs and feed-forward weights of N
        encoder layers (or of a decoder alone), (9N)^(-1/4) for those of N decoder layers that attend to an encoder;
        queries and keys with gain 1/sqrt(2); look-up tables N(0, 1/d) times (9N)^(-1/4); biases 0.
    Use it for: transformers without any normalisation, trained with Adam at the full learning rate from the first step.
    Not for: networks with a normalisation (an error): `deepnorm` and `sub_ln` keep it. The published network
        multiplies what it looks up by sqrt(d); where a table is not the output layer too and nothing multiplies it,
        its law is sqrt(d) times as large, so that the same signal enters.
    Args:
        base: recipe for all that is outside of the layers (the output).
    Source: Huang, Perez, Ba and Volkovs (2020), "Improving Transformer Optimization Through Better Initialization",
        section 3.2, and its published code, which the gains of queries and keys follow. For a decoder alone, whose
        layers have two branches, we take the encoder's number.
    """

    name_only = "t_fixup"
    source = "Huang, Perez, Ba and Volkovs (2020), T-Fixup, and the published code"
    rule = XavierUniform
    plain = 1 / math.sqrt(2)
    plain_words = "gain 1/sqrt(2)"

    def __init__(self, base: str = "xavier") -> None:
        super().__init__(base)

    def change(self, graph: Graph, proposals: Mapping[str, Proposal]) -> dict[str, Proposal]:  # noqa: ARG002
        """Xavier's law with the gain of each stack, and smaller tables."""
        attentions = find_attentions(graph)
        stacks = find_stacks(graph, attentions)
        if not stacks or not attentions:
            raise self.fails("this model has no residual layers with attention; use fixup for others")
        norm = next((operation for operation in graph.operations if operation.kind == "norm"), None)
        if norm is not None:
            raise self.fails(
                f"this model has a normalisation ({next(iter(norm.parameters), norm.detail)}), and T-Fixup is for "
                "transformers without any; take all of them out, or use deepnorm, sub_ln (post-norm, extra norms) or "
                "small_init (pre-norm)"
            )
        gains: dict[str, tuple[float, str]] = {}
        for stack in stacks:
            gain = _gain(stack.layers, stack.decodes)
            for name in stack.weights:
                if gains.setdefault(name, gain) != gain:
                    raise self.fails(f"{name} stands in two stacks of different depth; give it a rule")
        made = self.gained(graph, gains, attentions, "T-Fixup")
        deepest = max(stacks, key=lambda stack: (stack.decodes, stack.layers))
        return made | self._tables(graph, deepest.layers)

    def _tables(self, graph: Graph, layers: float) -> dict[str, Proposal]:
        shrink, made = (9 * layers) ** -0.25, {}
        for name, uses in graph.uses.items():
            roles = {use.role for use in uses}
            if not roles & set(_TABLES):
                continue
            width = graph.shapes[name][-1]
            factor = max(_factor_behind(graph, use.operation) for use in uses if use.role in _TABLES)
            std = width**-0.5 * shrink
            reason = f"T-Fixup: N(0, 1/{width}) times (9·{layers:g})^(-1/4) = {shrink:.4g}"
            if math.isclose(factor, math.sqrt(width), rel_tol=1e-3):
                reason += f"; the forward pass multiplies it by sqrt({width})"
            elif roles <= set(_TABLES):
                std = shrink / factor
                reason += f", and times sqrt({width})/{factor:g}: the forward pass lacks that factor"
            else:
                reason += f"; it is the output layer too, and the published network multiplies by sqrt({width}) behind"
            made[name] = Proposal(Normal(std), reason, self.source)
        return made


def _gain(layers: float, decodes: bool) -> tuple[float, str]:
    if decodes:
        return (9 * layers) ** -0.25, f"(9·{layers:g})^(-1/4), for {layers:g} decoder layers"
    return 0.67 * layers**-0.25, f"0.67·{layers:g}^(-1/4), for {layers:g} layers"


def _factor_behind(graph: Graph, index: int) -> float:
    """The plain factor on a result before anything else is done with it."""
    factor, steps = 1.0, graph.consumers(index)
    while len(steps) == 1 and steps[0].kind in CARRIES:
        step: Operation = steps[0]
        factor *= step.factor if step.kind == "scale" else 1.0
        steps = graph.consumers(step.index)
    return abs(factor) or 1.0
