"""Look-up tables: which of them are added up, which is the output layer too, which only shifts attention."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from wellbegun.authors import Authorship
from wellbegun.graph.graph import WEIGHT_KINDS, Graph, Operation
from wellbegun.laws import Normal
from wellbegun.recipes.goal import LOGITS
from wellbegun.recipes.proposal import Proposal, as_proposal
from wellbegun.recipes.streams import carried

SMALL = 0.02
"""Standard deviation of tables of positions that are added to attention scores or to signals of second moment 1."""

_PILOT = "wellbegun's pilot (2026), section 4"
_PASSES = frozenset({"view", "dropout", "shift", "scale", "add", "norm", "other", "concat", "multiply"})
"""Operations that hand rows on: beside other rows, in other places, normalised."""

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
            feed = self._feed_of_output(graph.operations[tied[0].operation])
            std = math.sqrt(LOGITS / (tied[0].fans.fan_in * feed))
            what = "that is the output layer too" if own else "added to the one that is the output layer too"
            reason = f"a look-up table {what}: std {std:.4g} starts the loss within 0.3 of ln V"
        else:
            std = 1.0 / math.sqrt(len(tables))
            alone = "whose rows enter the network as they are"
            many = f"one of {len(tables)} that are added" if len(tables) > 1 else alone
            reason = f"a look-up table, {many}: std {std:.4g} gives the network an input of second moment 1"
        return Proposal(Normal(std), reason, _PILOT, None, std**2)

    def outweighed(self, start: int, size_of: Callable[[int], float]) -> float:
        """How much larger than the stream at its start the writes on it have to be, in second moments.

        Where the tokens' table is the output layer too, and makes a share of the stream, a token's own logit is about
        sqrt(LOGITS·width·share / (1 + r)) behind writes that are r times as large as the start: below ln V - 5 it adds
        less than 0.01 to the loss.

        Args:
            start: index of the operation that the first write is added to.
            size_of: second moment of an operation's result.
        """
        needed = 1.0
        for table, share in self._tokens(start, size_of):
            tied = [use for use in self._graph.uses[table] if use.role == "linear weight" and use.fans is not None]
            for use in tied:
                assert use.fans is not None
                if self._reads_stream(self._graph.operations[use.operation]):
                    most = max(1.0, math.log(max(use.fans.fan_out, 2.0)) - 5)
                    needed = max(needed, LOGITS * use.fans.fan_in * share / most**2 - 1)
        return needed

    def _tokens(self, start: int, size_of: Callable[[int], float]) -> list[tuple[str, float]]:
        """The tables whose rows reach a result through no layer, with the share of its second moment that they make."""
        found: list[tuple[str, float]] = []
        waiting, seen = [(start, 1.0)], {start}
        while waiting:
            index, share = waiting.pop()
            step = self._graph.operations[index]
            if step.kind == "embedding" and step.weight:
                found.append((step.weight, share))
            elif step.kind in _PASSES:
                whole = size_of(index) if step.kind == "add" else 0.0
                for before in step.inputs:
                    if before not in seen:
                        seen.add(before)
                        part = size_of(before) / whole if whole > 0 else 1.0
                        waiting.append((before, share * min(part, 1.0)))
        return found

    def _reads_stream(self, output: Operation) -> bool:
        """Whether the output layer reads a residual stream, at most normalised, and not another layer."""
        if not output.inputs:
            return False
        return self._before_norms(output.inputs[0]).kind in ("add", "embedding")

    def _before_norms(self, index: int) -> Operation:
        """What a result is made of, normalisations and their scales looked through."""
        step = carried(self._graph, index)
        while step.kind == "norm" and step.inputs:
            step = carried(self._graph, step.inputs[0])
        return step

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
        source = carried(self._graph, index)
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
