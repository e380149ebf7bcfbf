"""Deep post-norm transformers: DeepNorm."""

from __future__ import annotations

import math
from collections.abc import Mapping

from wellbegun.graph.graph import Graph
from wellbegun.laws import Fans, Initializer, Normal, Patched
from wellbegun.plans import Multiplier
from wellbegun.recipes.attention import Attention, Projection, find_attentions
from wellbegun.recipes.entries import uses_of
from wellbegun.recipes.factors import forward_factors
from wellbegun.recipes.presets.on_top import OnTop
from wellbegun.recipes.proposal import Proposal
from wellbegun.recipes.streams import Write, find_streams


class DeepNorm(OnTop):
    """DeepNorm: post-norm transformers of hundreds of layers, by a larger shortcut and smaller weights.

    >>> import torch
    >>> from wellbegun import plan
    >>> class Block(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.norm, self.up, self.down = torch.nn.LayerNorm(16), torch.nn.Linear(16, 16), torch.nn.Linear(16, 16)
    ...     def forward(self, x):
    ...         return self.norm(2.0 * x + self.down(torch.relu(self.up(x))))
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 16), *(Block() for _ in range(16)))
    >>> made = plan(model, "vector:8", seed=7, recipe="deepnorm")
    >>> round(made["1.up.weight"].std * 4, 6), made.multipliers[0].value, made.unmet
    (0.353553, 2.0, ())

    Need: transformers
    Formula: LN(alpha·x + f(x)); feed-forward weights, values and attention outputs Xavier's normal law with gain beta,
        queries and keys with gain 1. For N layers of two branches: alpha = (2N)^(1/4) and
        beta = (8N)^(-1/4), as for an encoder or a decoder alone.
    Use it for: post-norm transformers of any depth, without or with warm-up.
    Not for: pre-norm networks, and encoders with a decoder, whose constants differ (errors). alpha is a number in the
        forward pass, which no weight can stand for: it is in `plan.multipliers`, and `apply` warns where the forward
        pass does not have it. What is bounded is the step of the branches' weights: measured with SGD, it moves the
        output as far at 96 layers as at 4. Gains and biases of the 2N normalisations are trained too, are outside of
        that bound, and add up: their share of the first step grows with N (0.011, 0.043, 0.128 at 4, 16, 48 layers
        of width 32, beside 0.0025 of the weights).
    Args:
        base: recipe for all that is outside of the layers (tables, the output).
    Source: Wang et al. (2022), "DeepNet: Scaling Transformers to 1,000 Layers", figure 2; torchscale, encoder.py.
    """

    name_only = "deepnorm"
    source = "Wang et al. (2022), DeepNet, figure 2; torchscale"

    def __init__(self, base: str = "auto") -> None:
        super().__init__(base)

    def change(self, graph: Graph, proposals: Mapping[str, Proposal]) -> dict[str, Proposal]:  # noqa: ARG002
        """Xavier's law with the gain of each part."""
        writes, attentions = self._writes(graph), find_attentions(graph)
        layers = len(writes) / 2
        beta = (8 * layers) ** -0.25
        plain = [part for attention in attentions for part in (attention.query, attention.key)]
        self._check(attentions)
        made = {}
        for name in dict.fromkeys(graph.operations[i].weight for write in writes for i in write.weights):
            if not name:
                continue
            parts = [part for part in plain if part.weight == name]
            initializer = self._law(graph, name, parts, beta)
            said = f"DeepNorm: Xavier's law with gain (8·{layers:g})^(-1/4) = {beta:.4g} for {layers:g} layers"
            if parts:
                whole = all(part.region is None for part in parts)
                said = (
                    "DeepNorm: Xavier's law with gain 1: queries and keys"
                    if whole
                    else (f"{said}, and gain 1 for the rows of queries and keys")
                )
            made[name] = Proposal(initializer, said, self.source)
        return made

    def multipliers(self, graph: Graph) -> tuple[Multiplier, ...]:
        """Alpha, on the shortcut of each branch."""
        writes, factors = self._writes(graph), forward_factors(graph)
        layers = len(writes) / 2
        alpha = (2 * layers) ** 0.25
        reason = f"DeepNorm: alpha = (2·{layers:g})^(1/4) on the shortcut of each of {len(writes)} branches"
        names = dict.fromkeys(graph.operations[i].weight for write in writes for i in write.writers)
        return tuple(
            Multiplier("shortcut", name, alpha, factors.get(("shortcut", name)), reason, self.source) for name in names
        )

    def _writes(self, graph: Graph) -> list[Write]:
        """The branches, each of which a normalisation must follow."""
        streams = find_streams(graph)
        writes = [write for stream in streams for write in stream.writes]
        if not writes:
            raise self.fails("this model has no residual branch")
        followed = [any(step.kind == "norm" for step in graph.consumers(write.add)) for write in writes]
        alone = all(len(stream.writes) == 1 for stream in streams)
        longest = max(len(stream.writes) for stream in streams)
        if not all(followed) or not alone:
            raise self.fails(
                f"this model is not post-norm: {longest} of {len(writes)} residual sums follow one another on a "
                "stream without a normalisation between; use gpt2, small_init or completep for pre-norm networks"
            )
        return writes

    def _check(self, attentions: list[Attention]) -> None:
        if any(attention.crosses for attention in attentions):
            raise self.fails(
                "this model has a decoder that attends to an encoder, whose constants differ; that form is not built in"
            )
        for attention in attentions:
            for part in (attention.query, attention.key):
                if not part.clear:
                    raise self.fails(
                        f"{part.weight} holds queries, keys and values head by head, so that no rectangle of it is "
                        "queries alone; give it a rule"
                    )

    def _law(self, graph: Graph, name: str, plain: list[Projection], beta: float) -> Initializer:
        uses = [use for use in uses_of(graph, name) if use.fans is not None]
        if not uses:
            raise self.fails(f"{name} has no fans; give it a rule")
        if len({use.region for use in uses}) == 1:
            return _xavier(uses[0].fans, 1.0 if plain else beta)
        rows = {part.region for part in plain}
        laws = [(use.region, _xavier(use.fans, 1.0 if use.region in rows else beta)) for use in uses]
        base = next((law for region, law in laws if region not in rows), laws[-1][1])
        return Patched(base, tuple((region, law) for region, law in laws if region is not None and law != base))


def _xavier(fans: Fans | None, gain: float) -> Normal:
    assert fans is not None
    return Normal(gain * math.sqrt(2 / (fans.fan_in + fans.fan_out)))
