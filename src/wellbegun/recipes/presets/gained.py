"""Xavier's law with a gain for each part of a transformer's layers: what DeepNorm, Sub-LN and T-Fixup share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from wellbegun.graph.graph import Graph
from wellbegun.laws import XavierNormal, XavierUniform
from wellbegun.recipes.attention import Attention
from wellbegun.recipes.presets.on_top import OnTop
from wellbegun.recipes.presets.parts import law_by_parts, parts_of
from wellbegun.recipes.proposal import Proposal


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
