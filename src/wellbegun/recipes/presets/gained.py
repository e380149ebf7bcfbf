"""Xavier's law with a gain for each part of a transformer's layers: what DeepNorm, Sub-LN and T-Fixup share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from wellbegun.graph.graph import Graph
from wellbegun.laws import XavierNormal, XavierUniform
from wellbegun.recipes.attention import Attention
from wellbegun.recipes.presets.on_top import OnTop
from wellbegun.recipes.presets.parts import law_by_parts, parts_of
from wellbegun.recipes.proposal import Proposal
from wellbegun.recipes.streams import find_streams


@dataclass(frozen=True)
class Stack:
    """Layers on one residual stream.

    Attributes:
        decodes: whether they attend to another stream: the decoder of an encoder-decoder network.
        layers: their number: three branches are one layer of such a decoder, two are one of others.
        weights: those of its branches, and those that read another stream for them.
    """

    decodes: bool
    layers: float
    weights: tuple[str, ...]


def find_stacks(graph: Graph, attentions: list[Attention]) -> list[Stack]:
    """Return the residual streams of several branches as stacks of layers."""
    found = []
    for stream in find_streams(graph):
        writers = {index for write in stream.writes for index in write.writers}
        mine = [attention for attention in attentions if writers & set(attention.output)]
        indices = [index for write in stream.writes for index in write.weights]
        indices += [p.operation for attention in mine for p in (attention.query, attention.key, attention.value)]
        names = dict.fromkeys(graph.operations[index].weight for index in indices)
        decodes = any(attention.crosses for attention in mine)
        if stream.count > 1:
            layers = stream.count / (3 if decodes else 2)
            found.append(Stack(decodes, layers, tuple(name for name in names if name)))
    return found


class Gained(OnTop):
    """A preset that gives the weights of layers a gain, and queries and keys another one."""

    rule: ClassVar[type[XavierNormal] | type[XavierUniform]] = XavierNormal
    plain: ClassVar[float] = 1.0
    """The gain of queries and keys."""

    plain_words: ClassVar[str] = "gain 1"

    def gained(
        self, graph: Graph, gains: Mapping[str, tuple[float, str]], attentions: list[Attention], title: str
    ) -> dict[str, Proposal]:
        """Return Xavier's law for each weight.

        Args:
            graph: whose weights they are.
            gains: of each weight, with what it is in words.
            attentions: whose queries and keys have the plain gain instead.
            title: the method's name, which reasons begin with.

        Raises:
            PlanError: a weight has no fans, or holds its queries where no rectangle holds them alone.
        """
        rows = self._rows(attentions)
        made = {}
        for name, (gain, words) in gains.items():
            uses = parts_of(graph, name)
            if not uses:
                raise self.fails(f"{name} has no fans; give it a rule")
            regions = rows.get(name, set())
            whole = len({use.region for use in uses}) == 1 and bool(regions)
            said = f"{title}: Xavier's law with gain {words} = {gain:.4g}"
            if whole:
                said = f"{title}: Xavier's law with {self.plain_words}: queries and keys"
            elif regions:
                said = f"{said}, and {self.plain_words} for the rows of queries and keys"
            law = law_by_parts(
                uses,
                lambda use, gain=gain, regions=regions, whole=whole: self.rule(  # type: ignore[misc]
                    self.plain if whole or use.region in regions else gain
                ).law(use.fans),
            )
            made[name] = Proposal(law, said, self.source)
        return made

    def _rows(self, attentions: list[Attention]) -> dict[str, set[object]]:
        """The rectangles of queries and keys by weight; None stands for all of it."""
        rows: dict[str, set[object]] = {}
        for attention in attentions:
            for part in (attention.query, attention.key):
                if not part.clear:
                    raise self.fails(
                        f"{part.weight} holds queries, keys and values head by head, so that no rectangle of it is "
                        "queries alone; give it a rule"
                    )
                rows.setdefault(part.weight, set()).add(part.region)
        return rows
