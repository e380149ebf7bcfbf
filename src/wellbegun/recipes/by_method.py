"""One initializer for every weight: what most people do today, and what the lab compares auto with."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from wellbegun.authors import Authorship
from wellbegun.graph.graph import Graph
from wellbegun.laws import FanInUniform, Initializer, Method, NguyenWidrow, Orthogonal, ScaledOrthogonal
from wellbegun.recipes.behind import activation_of
from wellbegun.recipes.fixed import ZERO_BIAS, fixed_proposals
from wellbegun.recipes.proposal import Proposal
from wellbegun.recipes.signal import Signals
from wellbegun.recipes.special import special_proposals
from wellbegun.theory import gain

WEIGHT_ROLES = frozenset({"linear weight", "convolution weight", "transposed convolution weight", "embedding weight"})


class ByMethod:
    """Gives every weight the same initializer, biases 0, normalisation 1 and 0.

    Some methods are as their users have them: fan_in_uniform and nguyen_widrow draw biases too, and orthogonal without
    a gain takes that of the activation that feeds the layer.
    """

    needs_author = False

    def __init__(self, method: Method, arguments: dict[str, Any]) -> None:
        self.method, self.arguments = method, arguments
        self.initializer = method.make(**arguments)

    @property
    def name(self) -> str:
        """Name and version."""
        return f"{self.method.name}@0"

    def propose(self, graph: Graph, known: Mapping[str, Authorship] | None = None) -> dict[str, Proposal]:
        """Return proposals for weights, biases and normalisation, and the author's values for special tensors."""
        proposals = fixed_proposals(graph, known) | special_proposals(graph, known or {})
        source = self.method.card().source
        for name, uses in graph.uses.items():
            roles = {use.role for use in uses}
            if roles <= WEIGHT_ROLES:
                initializer = self._for_weight(graph, name, uses[0].operation)
                proposals[name] = Proposal(initializer, f"{self.method.name}: the same rule for every weight", source)
            elif roles == {"bias"} and isinstance(self.initializer, FanInUniform):
                reason = "biases drawn as nn.Linear and nn.Conv draw them"
                proposals[name] = Proposal(self.initializer, reason, source)
            elif roles == {"bias"} and isinstance(self.initializer, NguyenWidrow):
                reason = "biases over the same range as the weights reach, so that the bends lie all over the inputs"
                proposals[name] = Proposal(self.initializer.bias(uses[0].fans), reason, source)
            elif roles == {"bias"}:
                proposals[name] = ZERO_BIAS
        return proposals

    def _for_weight(self, graph: Graph, name: str, index: int) -> Initializer:
        rule = self.initializer
        if not isinstance(rule, Orthogonal | ScaledOrthogonal):
            return rule
        feed = Signals(graph).feed(graph.operations[index])
        if feed.activation and not self.arguments:
            rule = type(rule)(gain(activation_of(graph, feed.activation)))
        if isinstance(rule, ScaledOrthogonal) and graph.operations[index].kind == "convolution":
            rows, *inner = graph.shapes[name]  # of the kernel's matrix, which is what is orthogonal
            return Orthogonal(rule.gain * math.sqrt(max(1.0, rows / math.prod(inner))))
        return rule
