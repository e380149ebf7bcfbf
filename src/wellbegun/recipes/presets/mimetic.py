"""Mimetic initialisation: attentions that start like trained ones."""

from __future__ import annotations

from collections.abc import Mapping

from wellbegun.errors import ArgumentError
from wellbegun.graph.graph import Graph
from wellbegun.laws import MimeticFactor
from wellbegun.recipes.attention import Attention, Projection, find_attentions
from wellbegun.recipes.presets.on_top import OnTop
from wellbegun.recipes.presets.parts import parts_of
from wellbegun.recipes.proposal import Proposal

_WORDS = {"q": "queries", "k": "keys", "v": "values", "o": "the output projection"}


class Mimetic(OnTop):
    """Mimetic initialisation: queries times keys start near the identity, values times output near its negative.

    >>> import torch
    >>> from wellbegun import plan
    >>> class Block(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.norm, self.mix = torch.nn.LayerNorm(16), torch.nn.MultiheadAttention(16, 2, batch_first=True)
    ...     def forward(self, x):
    ...         y = self.norm(x)
    ...         return x + self.mix(y, y, y, need_weights=False)[0]
    >>> made = plan(torch.nn.Sequential(Block(), Block()), torch.zeros(1, 4, 16), seed=7, recipe="mimetic")
    >>> made["0.mix.in_proj_weight"].law, made["0.mix.out_proj.weight"].law
    (MimeticFactor(parts='qkv', heads=2), MimeticFactor(parts='o', heads=2))

    Need: transformers
    Domain: attention, pre-norm, convolutions
    Formula: for each head, W_Q·W_K' = the best approximation of alpha_qk·Z + beta_qk·I of the head's rank, with 0.7 and
        0.7; W_V·W_O = alpha_vo·Z + beta_vo·I with 0.4 and -0.4; Z normal with variance 1/d; the factors from singular
        values, shared evenly. Everything else as the base says.
    Use it for: vision transformers on small data sets: a token attends to what is like it, and the attention takes the
        token itself out of the stream.
    Not for: language models as it stands, whose trained weights have the opposite signs: qk=(0.7, -0.7), vo=(0.4, 0.4).
        The paper adds sinusoidal positions, which this recipe leaves to the model. Attentions between two signals, with
        fewer heads for keys, or of another size than the stream (errors). A part of a tensor needs the whole one: on
        many processes each computes a d·d decomposition for each head.
    Args:
        qk: (alpha, beta) for queries times keys.
        vo: (alpha, beta) for values times output.
        base: recipe for everything else.
    Source: Trockman and Kolter (2023), "Mimetic Initialization of Self-Attention Layers". That 0.7 belongs to queries
        and keys, and 0.4 to values and output, is taken from three implementations that agree.
    """

    name_only = "mimetic"
    source = "Trockman and Kolter (2023), Mimetic Initialization of Self-Attention Layers"

    def __init__(
        self, qk: tuple[float, float] = (0.7, 0.7), vo: tuple[float, float] = (0.4, -0.4), base: str = "auto"
    ) -> None:
        super().__init__(base)
        for name, pair in (("qk", qk), ("vo", vo)):
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                raise ArgumentError(f"mimetic@1: {name} must be (alpha, beta), got {pair!r}")
        self.qk, self.vo = (qk[0], qk[1]), (vo[0], vo[1])
        self._law("q", 1, False)  # checks the numbers

    def change(self, graph: Graph, proposals: Mapping[str, Proposal]) -> dict[str, Proposal]:  # noqa: ARG002
        """The four factors of each attention, from one stream."""
        attentions = find_attentions(graph)
        if not attentions:
            raise self.fails("this model has no attention")
        made: dict[str, Proposal] = {}
        for attention in attentions:
            for name, parts in self._parts(graph, attention).items():
                inputs_first = any(use.inputs_first for use in parts_of(graph, name))
                law = self._law(parts, attention.heads, inputs_first)
                words = " and ".join(_WORDS[part] for part in parts)
                reason = (
                    f"mimetic: {words}; queries times keys = {self.qk[0]:g}·Z {self.qk[1]:+g}·I in each of "
                    f"{attention.heads} heads, values times output = {self.vo[0]:g}·Z {self.vo[1]:+g}·I"
                )
                found = Proposal(law, reason, self.source, stream=attention.query.weight)
                if made.setdefault(name, found) != found:
                    raise self.fails(f"{name} belongs to several attentions; give it a rule")
        return made

    def _law(self, parts: str, heads: int, inputs_first: bool) -> MimeticFactor:
        return MimeticFactor(parts, heads, self.qk[0], self.qk[1], self.vo[0], self.vo[1], inputs_first)

    def _parts(self, graph: Graph, attention: Attention) -> dict[str, str]:
        """The letters of each weight, in the order of its outputs."""
        name = attention.query.weight
        if attention.crosses:
            raise self.fails(f"the attention of {name} reads keys from another signal, for which it is not defined")
        if len(attention.output) != 1 or not graph.operations[attention.output[0]].weight:
            raise self.fails(f"the attention of {name} has no single output projection")
        output = graph.operations[attention.output[0]].weight
        placed: dict[str, list[tuple[int, str]]] = {output: [(0, "o")]}
        for letter, part in (("q", attention.query), ("k", attention.key), ("v", attention.value)):
            placed.setdefault(part.weight, []).append((self._start(graph, part), letter))
        found = {weight: "".join(letter for _, letter in sorted(places)) for weight, places in placed.items()}
        for weight, letters in found.items():
            law = MimeticFactor(letters, attention.heads, inputs_first=parts_of(graph, weight)[0].inputs_first)
            try:
                law.check_shape(graph.shapes[weight])
            except ArgumentError:
                raise self.fails(
                    f"{weight} {list(graph.shapes[weight])} is not {len(letters)} square matrices for "
                    f"{attention.heads} heads ({' and '.join(_WORDS[letter] for letter in letters)}); give it a rule"
                ) from None
        return found

    def _start(self, graph: Graph, part: Projection) -> int:
        if not part.clear:
            raise self.fails(f"{part.weight} holds queries, keys and values head by head; give it a rule")
        if part.region is None:
            return 0
        use = next(use for use in parts_of(graph, part.weight) if use.region == part.region)
        return part.region[use.axes.index("o")][0]
