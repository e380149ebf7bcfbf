"""auto@0: each law from its context. The version stays 0 until the lab has judged it (docs/auto.md)."""

from __future__ import annotations

import math

from wellbegun.graph.graph import Graph, Operation
from wellbegun.laws import LecunNormal, Normal, VarianceScaling
from wellbegun.recipes import deep
from wellbegun.recipes.chain import Chain, find_chains
from wellbegun.recipes.fixed import ZERO_BIAS, fixed_proposals
from wellbegun.recipes.proposal import Proposal
from wellbegun.recipes.signal import Feed, Signal, activated, after, feed_of

SHALLOW = 5
"""Hidden layers up to which all sound rules train equally well (pilot: 97 to 98% on digits at 5 layers)."""

LOGITS = 0.5
"""Second moment aimed at behind an output layer: cross-entropy starts at ln K + 0.25 for K classes, so within 0.3."""


class Auto:
    """Chooses each tensor's law from the operation that uses it and from what flows into that operation.

    >>> Auto().name
    'auto@0'

    Formula: Var(W) = target / (fan_in · E[x²]), with E[x²] the second moment of what really flows in: the data, a
        normalisation (1), or an activation f (E f(z)², by quadrature, for any f). In plain chains of more than 5 hidden
        layers: mirrored orthogonal weights where f(u) - f(-u) is linear (ReLU, GELU, SiLU), else orthogonal weights at
        a stable critical point, where E f'² · Var = 1 keeps the gradient and a small random bias keeps the signal. For
        functions that are mostly their mean (sigmoid) biases take the mean out, at any depth of two or more.
    Use it for: networks of matrix products, convolutions, look-up tables and normalisations; the reason stands beside
        each tensor of the plan, and a tensor that auto has no rule for is named in an error.
    Not for: reproducing a published recipe to the letter: name that recipe. In version 0 residual branches are not
        scaled by depth, and recurrent layers and nn.MultiheadAttention need rules.
    Source: He et al. (2015), section 2.2; Schoenholz et al. (2017) and Pennington et al. (2017) on critical points;
        Balduzzi et al. (2017) and Burkholz and Dubatovka (2019) on mirrored weights.
    """

    name = "auto@0"

    def propose(self, graph: Graph) -> dict[str, Proposal]:
        """Return proposals for weights, biases, embeddings and normalisation."""
        proposals = fixed_proposals(graph)
        for name, uses in graph.uses.items():
            if all(use.role == "bias" for use in uses):
                proposals[name] = ZERO_BIAS
        chains = {operation.index: chain for chain in find_chains(graph) for operation in chain.operations}
        signals: dict[int, Signal] = {}
        done: set[str] = set()
        for operation in graph.operations:
            target = 1.0
            if operation.weight and operation.kind == "embedding":
                self._embedding(graph, operation, proposals, done)
            elif operation.weight:
                chain = chains[operation.index]
                feed = feed_of(graph, operation, signals)
                made = self._weight(graph, operation, chain, _usual_feed(chain, operation, feed))
                if operation.weight not in done:
                    proposals |= made
                    done.add(operation.weight)
                else:
                    made |= {operation.weight: proposals[operation.weight]}
                target = made[operation.weight].after or 1.0
                planned_for = made[operation.weight].before
                if planned_for and not math.isclose(planned_for, feed.second_moment):
                    target *= feed.second_moment / planned_for  # one law for several uses: this one is fed otherwise
            signals[operation.index] = after(graph, operation, signals, target)
        return proposals

    def _weight(self, graph: Graph, operation: Operation, chain: Chain, feed: Feed) -> dict[str, Proposal]:
        uses = graph.uses[operation.weight]
        fans = next(use.fans for use in uses if use.operation == operation.index and use.fans is not None)
        is_output = operation.index in graph.output_layers()
        mostly_mean = chain.depth > 1 and bool(chain.activation) and deep.is_mostly_mean(chain.activation)
        if chain.depth > SHALLOW or mostly_mean:
            made = deep.propose(graph, operation, chain, feed, LOGITS if is_output else 1.0)
            if made is not None:
                return made
        target = LOGITS if is_output and fans.fan_out > 1 else 1.0
        variance = target / feed.second_moment
        spread = f"variance {target:g}/({fans.fan_in:g}·{feed.second_moment:.4g})"
        reason = f"{_origin(feed)}; {spread} {_purpose(target, feed)}"
        if chain.depth > SHALLOW or mostly_mean:
            reason += f"; {deep.why_not(chain)}"
        initializer = LecunNormal() if math.isclose(variance, 1.0) else VarianceScaling(variance)
        source = "He et al. (2015), section 2.2, with E f² by quadrature"
        return {operation.weight: Proposal(initializer, reason, source, feed.second_moment, target)}

    def _embedding(self, graph: Graph, operation: Operation, proposals: dict[str, Proposal], done: set[str]) -> None:
        tables = _tables_in_sum(graph, operation)
        tied = [use.fans for name in tables for use in graph.uses[name] if use.role == "linear weight" and use.fans]
        own = any(use.role == "linear weight" for use in graph.uses[operation.weight])
        if tied:
            std = math.sqrt(LOGITS / tied[0].fan_in)
            what = "that is the output layer too" if own else "added to the one that is the output layer too"
            reason = f"a look-up table {what}: std {std:.4g} starts the loss within 0.3 of ln V"
        else:
            std = 1.0 / math.sqrt(len(tables))
            alone = "whose rows enter the network as they are"
            many = f"one of {len(tables)} that are added" if len(tables) > 1 else alone
            reason = f"a look-up table, {many}: std {std:.4g} gives the network an input of second moment 1"
        proposals[operation.weight] = Proposal(Normal(std), reason, "wellbegun's pilot (2026), section 4", None, std**2)
        done.add(operation.weight)


def _tables_in_sum(graph: Graph, operation: Operation) -> list[str]:
    """Names of the look-up tables whose rows are added up with those of this one, its own among them."""
    tables, waiting = [operation.weight], [operation.index]
    while waiting:
        for step in graph.consumers(waiting.pop()):
            found = _tables_behind(graph, step.index)
            if found:
                tables = found if len(found) > len(tables) else tables
                waiting.append(step.index)
    return tables


def _tables_behind(graph: Graph, index: int) -> list[str]:
    """Names of the look-up tables that a result is the sum of; empty if it is made of anything else."""
    source = graph.source(index)
    if source.kind == "embedding":
        return [source.weight]
    parts = [_tables_behind(graph, part) for part in source.inputs] if source.kind == "add" else []
    return list(dict.fromkeys(name for part in parts for name in part)) if parts and all(parts) else []


def _purpose(target: float, feed: Feed) -> str:
    if target != LOGITS:
        return "makes the second moment 1 again"
    if feed.doubt:
        return f"aims at a second moment of {target:g} for the outputs"
    return "starts the loss within 0.3 of ln K, if these are K logits"


def _usual_feed(chain: Chain, operation: Operation, feed: Feed) -> Feed:
    """What a weight that stands several times in a chain is fed in the end: its own output through an activation."""
    places = [i for i, other in enumerate(chain.operations) if other.weight == operation.weight]
    activation = chain.activations[places[-1] - 1] if len(places) > 1 else ""
    return Feed("activation", activation, activated(activation, 1.0), False) if activation else feed


def _origin(feed: Feed) -> str:
    size = f"{feed.second_moment:.4g}"
    if feed.doubt:
        size = f"about {size} (an estimate, with {feed.doubt} on the way)"
    if feed.activation:
        return f"fed by {feed.activation}, which passes on a second moment of {size}"
    if feed.kind == "input":
        known = "measured" if feed.measured else "assumed; pass a batch to measure it"
        return f"fed by the data, second moment {size} ({known})"
    if feed.kind == "norm":
        return "fed by a normalisation, second moment 1"
    source = {"add": "a sum of branches", "matmul": "a product of signals", "other": "an operation"}
    return f"fed by {source.get(feed.kind, feed.kind)}, second moment {size}"
