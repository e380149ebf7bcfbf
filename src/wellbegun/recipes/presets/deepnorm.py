"""Deep post-norm transformers: DeepNorm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wellbegun.graph.graph import Graph
from wellbegun.plans import Multiplier
from wellbegun.recipes.attention import Attention, find_attentions
from wellbegun.recipes.factors import forward_factors
from wellbegun.recipes.presets.admin import find_shortcuts
from wellbegun.recipes.presets.gained import Gained
from wellbegun.recipes.proposal import Proposal
from wellbegun.recipes.streams import Write, find_streams


class DeepNorm(Gained):
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
    Domain: attention, post-norm
    Formula: LN(alpha·x + f(x)); feed-forward weights, values and attention outputs Xavier's normal law with gain beta,
        queries and keys with gain 1. For N layers of two branches, an encoder or a decoder alone: alpha = (2N)^(1/4)
        and beta = (8N)^(-1/4). For an encoder of N and a decoder of M layers: alpha = 0.81·(N^4·M)^(1/16) and
        beta = 0.87·(N^4·M)^(-1/16) in the encoder, alpha = (3M)^(1/4) and beta = (12M)^(-1/4) in the decoder.
    Use it for: post-norm transformers of any depth, without or with warm-up.
    Not for: pre-norm networks (an error). alpha is a number in the forward pass, which no weight can stand for: it
        is in `plan.multipliers`, and `apply` warns where the forward pass does not have it. What is bounded is the
        step of the branches' weights: measured with SGD, it moves the output as far at 96 layers as at 4. Gains and
        biases of the 2N normalisations are trained too, are outside of that bound, and add up: their share of the
        first step grows with N (0.011, 0.043, 0.128 at 4, 16, 48 layers of width 32, beside 0.0025 of the weights),
        so that a very deep network may still want a warm-up or a smaller rate for them.
    Args:
        base: recipe for all that is outside of the layers (tables, the output).
    Source: Wang et al. (2022), "DeepNet: Scaling Transformers to 1,000 Layers", figure 2; torchscale, encoder.py and
        decoder.py.
    """

    name_only = "deepnorm"
    source = "Wang et al. (2022), DeepNet, figure 2; torchscale"

    def __init__(self, base: str = "auto") -> None:
        super().__init__(base)

    def change(self, graph: Graph, proposals: Mapping[str, Proposal]) -> dict[str, Proposal]:  # noqa: ARG002
        """Xavier's law with the gain of each part."""
        attentions = find_attentions(graph)
        gains: dict[str, tuple[float, str]] = {}
        for stack in self._stacks(graph, attentions):
            gains |= dict.fromkeys(stack.weights, stack.beta)
        return self.gained(graph, gains, attentions, "DeepNorm")

    def multipliers(self, graph: Graph) -> tuple[Multiplier, ...]:
        """Alpha, on the shortcut of each branch."""
        factors, made = forward_factors(graph), []
        for stack in self._stacks(graph, find_attentions(graph)):
            value, words = stack.alpha
            reason = f"DeepNorm: alpha = {words} on the shortcut of each of {len(stack.writes)} branches"
            for name in dict.fromkeys(graph.operations[i].weight for write in stack.writes for i in write.writers):
                found = factors.get(("shortcut", name))
                made.append(Multiplier("shortcut", name, value, found, reason, self.source))
        return tuple(made)

    def _stacks(self, graph: Graph, attentions: list[Attention]) -> list[_Stack]:
        """The layers of an encoder or a decoder, or of both, with the numbers of each."""
        writes = {write.add: write for write in self._writes(graph)}
        crossing = {index: one for one in attentions if one.crosses for index in one.output}
        found = []
        for shortcuts in find_shortcuts(graph, "deepnorm@1"):
            mine = [writes[one.branch.add] for one in shortcuts if one.branch.add in writes]
            reads = [crossing[index] for write in mine for index in write.writers if index in crossing]
            indices = [index for write in mine for index in write.weights]
            indices += [part.operation for one in reads for part in (one.key, one.value)]
            names = tuple(dict.fromkeys(graph.operations[index].weight for index in indices))
            found.append((mine, bool(reads), tuple(name for name in names if name)))
        decoder = max((len(mine) / 3 for mine, decodes, _ in found if decodes), default=0.0)
        encoder = max((len(mine) / 2 for mine, decodes, _ in found if not decodes), default=0.0)
        # what an encoder and a decoder have in common belongs to the decoder, whose numbers are written last
        found.sort(key=lambda one: one[1])
        return [_Stack(mine, names, *_numbers(encoder, decoder, decodes)) for mine, decodes, names in found]

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


@dataclass(frozen=True)
class _Stack:
    """The branches of an encoder or a decoder, its weights, and its two numbers with what they are in words."""

    writes: list[Write]
    weights: tuple[str, ...]
    alpha: tuple[float, str]
    beta: tuple[float, str]


def _numbers(encoder: float, decoder: float, decodes: bool) -> tuple[tuple[float, str], tuple[float, str]]:
    if decodes:
        m = f"{decoder:g}"
        return ((3 * decoder) ** 0.25, f"(3·{m})^(1/4)"), ((12 * decoder) ** -0.25, f"(12·{m})^(-1/4)")
    n = f"{encoder:g}"
    if decoder:
        both, words = (encoder**4 * decoder) ** (1 / 16), f"({n}^4·{decoder:g})"
        return (0.81 * both, f"0.81·{words}^(1/16)"), (0.87 / both, f"0.87·{words}^(-1/16)")
    return ((2 * encoder) ** 0.25, f"(2·{n})^(1/4)"), ((8 * encoder) ** -0.25, f"(8·{n})^(-1/4)")
