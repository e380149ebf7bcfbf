"""Look-up tables: which of them are added up, which is the output layer too, which only shifts attention."""

from __future__ import annotations

import math
from collections.abc import Mapping

from wellbegun.authors import Authorship
from wellbegun.graph.graph import WEIGHT_KINDS, Graph, Operation
from wellbegun.laws import Normal
from wellbegun.recipes.goal import LOGITS
from wellbegun.recipes.proposal import Proposal, as_proposal

SMALL = 0.02
"""Standard deviation of tables of positions that are added to attention scores or to signals of second moment 1."""

_PILOT = "wellbegun's pilot (2026), section 4"
_ENDS = frozenset({"norm", "activation", "matmul", "attention", "multiply"}) | WEIGHT_KINDS


class Lookups:
    """The look-up tables of a graph."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def propose(self, operation: Operation, known: Mapping[str, Authorship]) -> Proposal:
        """Return what a table holds, from where its rows go."""
        graph = self._graph
        if self._shifts_attention(operation):
            return self._bias(operation, known)
        tables = self._in_sum(operation)
        tied = [use for name in tables for use in graph.uses[name] if use.role == "linear weight" and use.fans]
        own = any(use.role == "linear weight" for use in graph.uses[operation.weight])
        if tied and tied[0].fans:
            std, why = self._tied(operation, tied[0].fans.fan_in, graph.operations[tied[0].operation])
            what = "that is the output layer too" if own else "added to the one that is the output layer too"
            reason = f"a look-up table {what}: std {std:.4g} {why}"
        else:
            std = 1.0 / math.sqrt(len(tables))
            alone = "whose rows enter the network as they are"
            many = f"one of {len(tables)} that are added" if len(tables) > 1 else alone
            reason = f"a look-up table, {many}: std {std:.4g} gives the network an input of second moment 1"
        return Proposal(Normal(std), reason, _PILOT, None, std**2)

    def _tied(self, operation: Operation, width: float, output: Operation) -> tuple[float, str]:
        """Scale of a table that is the output layer too: neither all logits nor that of the own token may be large.

        With h the factor on what the output layer reads and g that on the rows, logits have second moment
        h²·width·std², and a token's own logit is about h·g·width·std² where the rest of the stream has size 1.
        """
        feed = self._feed_of_output(output)
        grown = self._factor_behind(operation)
        spread = math.sqrt(LOGITS / (width * feed))
        own = 1.0 / (width * math.sqrt(feed))  # where rows are normalised, so that the own logit is h·width·std
        if grown is not None:
            own = math.sqrt(own / max(abs(grown), 1e-6))
        if own < spread:
            return own, "keeps a token's own logit at 1, so that the loss starts within 0.3 of ln V"
        return spread, "starts the loss within 0.3 of ln V"

    def _factor_behind(self, operation: Operation) -> float | None:
        """The factor on the rows before they join the stream; None where a normalisation takes them."""
        factor, index = 1.0, operation.index
        while True:
            following = self._graph.consumers(index)
            if len(following) != 1:
                return factor
            step = following[0]
            if step.kind == "norm":
                return None
            if step.kind not in ("view", "dropout", "shift", "scale", "add"):
                return factor
            factor *= step.factor if step.kind == "scale" else 1.0
            index = step.index

    def _bias(self, operation: Operation, known: Mapping[str, Authorship]) -> Proposal:
        author = known.get(operation.weight)
        if author is not None:
            return as_proposal(author, "a table that shifts attention scores: the author's values")
        reason = f"a table that shifts attention scores: std {SMALL} leaves attention as even as it is without"
        return Proposal(
            Normal(SMALL), reason, "Liu et al. (2021), Swin Transformer, its published code", None, SMALL**2
        )

    def _shifts_attention(self, operation: Operation) -> bool:
        """Whether the rows are added to scores that go into a softmax, and into nothing else."""
        waiting, seen = [operation.index], {operation.index}
        found = False
        while waiting:
            for step in self._graph.consumers(waiting.pop()):
                if step.kind == "softmax":
                    found = True
                elif step.kind in _ENDS:
                    return False
                elif step.index not in seen:
                    seen.add(step.index)
                    waiting.append(step.index)
        return found

    def _in_sum(self, operation: Operation) -> list[str]:
        """Names of the tables whose rows are added up with those of this one, its own among them."""
        tables, waiting = [operation.weight], [operation.index]
        while waiting:
            for step in self._graph.consumers(waiting.pop()):
                found = self._behind(step.index)
                if found:
                    tables = found if len(found) > len(tables) else tables
                    waiting.append(step.index)
        return tables

    def _behind(self, index: int) -> list[str]:
        """Names of the tables that a result is the sum of; empty if it is made of anything else."""
        source = self._graph.source(index)
        if source.kind == "embedding" and source.weight:
            return [source.weight]
        parts = [self._behind(part) for part in source.inputs] if source.kind == "add" else []
        return list(dict.fromkeys(name for part in parts for name in part)) if parts and all(parts) else []

    def _feed_of_output(self, operation: Operation) -> float:
        """Second moment of what the output layer reads, from the normalisation and the factors right before it."""
        size = 1.0
        step = self._graph.operations[operation.inputs[0]] if operation.inputs else operation
        while step.kind in ("view", "dropout", "shift", "scale") and step.inputs:
            size *= step.factor**2 if step.kind == "scale" else 1.0
            step = self._graph.operations[step.inputs[0]]
        if step.kind == "norm" and step.second_moment is not None:
            size *= step.second_moment
        return size
