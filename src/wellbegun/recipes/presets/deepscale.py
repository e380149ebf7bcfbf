"""DeepScaleLM: streams and branches of size 1 at every depth, from the moments of each part of a transformer."""

from __future__ import annotations

import math
from collections.abc import Mapping

from wellbegun.errors import ArgumentError
from wellbegun.graph.graph import Graph, Use
from wellbegun.laws import Normal
from wellbegun.plans import Multiplier
from wellbegun.recipes.attention import Attention, find_attentions
from wellbegun.recipes.factors import forward_factors
from wellbegun.recipes.presets.on_top import OnTop
from wellbegun.recipes.presets.parts import law_by_parts, parts_of
from wellbegun.recipes.proposal import Proposal
from wellbegun.recipes.streams import Write, find_streams


class DeepScaleLm(OnTop):
    """DeepScaleLM: transformers whose stream keeps the size 1, by lambda on the shortcut and beta on the branch.

    >>> import torch
    >>> from wellbegun import plan
    >>> class Block(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.n, self.m = torch.nn.LayerNorm(16), torch.nn.LayerNorm(16)
    ...         self.mix = torch.nn.MultiheadAttention(16, 2, batch_first=True)
    ...         self.up, self.down = torch.nn.Linear(16, 64), torch.nn.Linear(64, 16)
    ...     def forward(self, x):
    ...         y = self.n(x)
    ...         x = 0.5 ** 0.5 * x + 0.5 ** 0.5 * self.mix(y, y, y, need_weights=False)[0]
    ...         return 0.5 ** 0.5 * x + 0.5 ** 0.5 * self.down(torch.relu(self.up(self.m(x))))
    >>> model = torch.nn.Sequential(torch.nn.Embedding(9, 16), *(Block() for _ in range(4)), torch.nn.Linear(16, 9))
    >>> made = plan(model, "tokens:8", seed=7, recipe="deepscale_lm")
    >>> round(made["1.up.weight"].std * 4, 6), made.unmet  # the root of sqrt(1/2)
    (0.840896, ())

    Need: transformers
    Domain: attention, pre-norm or post-norm
    Formula: lambda·x + beta·f(x) with beta² = 2/N and lambda² = 1 - 2/N for N layers of two branches. Queries and keys
        N(0, 1/d); values and output N(0, sqrt((1 - p)/r)/d), with r the similarity of tokens where the attention
        stands; two feed-forward weights of d and h units N(0, sqrt((1 - p)·2/(d·h))); tables N(0, (1 - p)/3); p is the
        dropout. r starts at 0.221 and moves with every branch: an attention makes tokens alike (1 - p), a feed-forward
        branch (1 - p)·(r + (sqrt(1 - r²) - r·acos r)/pi).
    Use it for: very deep pre-norm or post-norm transformers with ReLU-like feed-forward branches.
    Not for: gated feed-forward branches, decoders that attend to an encoder, and three layers or fewer (errors). lambda
        and beta are numbers in the forward pass, which no weight can stand for: they are in `plan.multipliers`, and
        `apply` warns where the forward pass does not have them. 1/3 is for the sum of three tables, as in BERT.
    Args:
        dropout: p of the branches in training, at least 0 and below 1.
        token_similarity: r of the embedded tokens: 0.221 follows from the frequencies of words.
        base: recipe for everything else (the output).
    Source: Kedia et al. (2024), "Transformers Get Stable: An End-to-End Signal Propagation Theory for Language Models",
        and its published code. It writes the feed-forward law for h = 4d: sqrt((1 - p)/2)/d, which is the same.
    """

    name_only = "deepscale_lm"
    source = "Kedia et al. (2024), Transformers Get Stable (DeepScaleLM)"

    def __init__(self, dropout: float = 0.0, token_similarity: float = 0.221, base: str = "auto") -> None:
        super().__init__(base)
        for name, value, least in (("dropout", dropout, 0.0), ("token_similarity", token_similarity, 1e-6)):
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value < 1:
                raise ArgumentError(f"deepscale_lm@1: {name} must be a number from {least:g} to 1, got {value!r}")
        self.dropout, self.token_similarity = float(dropout), float(token_similarity)

    def change(self, graph: Graph, proposals: Mapping[str, Proposal]) -> dict[str, Proposal]:  # noqa: ARG002
        """Follow the similarity of tokens through the branches, and set each branch's weights by it."""
        writes, attentions = self._writes(graph), find_attentions(graph)
        inside = {index: one for one in attentions for index in one.output}
        beta = 4 / len(writes)
        keep, similar = 1 - self.dropout, self.token_similarity * (1 - self.dropout)
        made = self._tables(graph)
        for write in writes:
            mine = [inside[index] for index in write.writers if index in inside]
            if mine:
                made |= self._attention(graph, mine[0], similar)
                out = keep
            else:
                made |= self._feed_forward(graph, write)
                out = keep * (similar + (math.sqrt(1 - similar**2) - similar * math.acos(similar)) / math.pi)
            similar = (1 - beta) * similar + beta * out
        return made

    def multipliers(self, graph: Graph) -> tuple[Multiplier, ...]:
        """Lambda and beta, on the two sides of each sum."""
        writes, factors = self._writes(graph), forward_factors(graph)
        layers = len(writes) / 2
        beta = math.sqrt(2 / layers)
        made = {}
        for place, value, said in (
            ("shortcut", math.sqrt(1 - beta**2), f"lambda = sqrt(1 - 2/{layers:g})"),
            ("residual branch", beta, f"beta = sqrt(2/{layers:g})"),
        ):
            for write in writes:
                for index in write.writers:
                    name = graph.operations[index].weight
                    reason = f"DeepScaleLM: {said} for {layers:g} layers, so that the stream keeps its size"
                    found = factors.get((place, name))
                    made[place, name] = Multiplier(place, name, value, found, reason, self.source)
        return tuple(made.values())

    def _writes(self, graph: Graph) -> list[Write]:
        writes = [write for stream in find_streams(graph) for write in stream.writes]
        if len(writes) < 8:
            many = f"{len(writes)} branch{'es' * (len(writes) != 1)}"
            raise self.fails(f"beta² = 2/N asks for four layers of two branches or more (8), this model has {many}")
        if any(attention.crosses for attention in find_attentions(graph)):
            raise self.fails("this model has a decoder that attends to an encoder, whose moments are not built in")
        return writes

    def _attention(self, graph: Graph, attention: Attention, similar: float) -> dict[str, Proposal]:
        plain = {(part.weight, part.region) for part in (attention.query, attention.key)}
        if not all(part.clear for part in (attention.query, attention.key, attention.value)):
            raise self.fails(f"{attention.query.weight} holds queries, keys and values head by head; give it a rule")
        factor = math.sqrt((1 - self.dropout) / similar)

        def law(use: Use) -> Normal:
            assert use.fans is not None
            is_plain = (use.variable, use.region) in plain
            return Normal(math.sqrt((1.0 if is_plain else factor) / use.fans.fan_in))

        outputs = [graph.operations[index].weight for index in attention.output]
        names = [part.weight for part in (attention.query, attention.key, attention.value)] + outputs
        reason = (
            f"DeepScaleLM: tokens are alike by {similar:.3g} here: values and output N(0, {factor:.4g}/d), queries and "
            "keys N(0, 1/d)"
        )
        return {name: Proposal(law_by_parts(parts_of(graph, name), law), reason, self.source) for name in names if name}

    def _feed_forward(self, graph: Graph, write: Write) -> dict[str, Proposal]:
        names = list(dict.fromkeys(graph.operations[index].weight for index in write.weights))
        uses = [parts_of(graph, name) for name in names]
        if len(names) != 2 or any(len(parts) != 1 for parts in uses):
            raise self.fails(
                f"the branch that ends with {names[-1]} has {len(names)} weights ({', '.join(names)}); its formula is "
                "for two with an activation between"
            )
        sizes = [parts[0].fans.fan_in for parts in uses if parts[0].fans is not None]
        std = math.sqrt(math.sqrt((1 - self.dropout) * 2 / math.prod(sizes)))
        reason = (
            f"DeepScaleLM: N(0, sqrt({(1 - self.dropout) * 2:.3g}/({sizes[0]:g}·{sizes[1]:g}))): the branch gives 1"
        )
        return {name: Proposal(Normal(std), reason, self.source) for name in names}

    def _tables(self, graph: Graph) -> dict[str, Proposal]:
        std = math.sqrt((1 - self.dropout) / 3)
        reason = f"DeepScaleLM: N(0, {std**2:.3g}): the sum of three tables has second moment 1"
        return {
            name: Proposal(Normal(std), reason, self.source)
            for name, uses in graph.uses.items()
            if {use.role for use in uses} & {"embedding weight", "position table"}
        }
