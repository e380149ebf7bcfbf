"""What a graph shows of the network, in the terms of the cards: each trait with the evidence for it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from wellbegun.errors import TheoryError, WellbegunError
from wellbegun.graph.graph import Graph
from wellbegun.recipes.auto import SHALLOW
from wellbegun.recipes.behind import activation_of
from wellbegun.recipes.chain import Chain, find_chains
from wellbegun.recipes.presets.finer import Finer
from wellbegun.recipes.streams import Stream, find_streams
from wellbegun.theory import Activation, moments, odd_part_slope

ROUNDING = 1e-9


def traits_of(graph: Graph) -> dict[str, str]:
    """Return what is to be said of a network, each trait with what shows it, in a clause.

    Args:
        graph: of its forward pass.
    """
    found = dict(_structure(graph))
    if "convolutions" not in found:
        found["products"] = "its layers are matrix products"
    chain = deepest_chain(graph)
    if not set(found) & {"normalised", "residual", "attention", "recurrent", "state space"}:
        found["plain"] = "no normalisation, no shortcut, no recurrence"
    if chain is not None and "plain" in found and chain.depth > SHALLOW:
        found["deep"] = f"{chain.depth} hidden layers in a row"
    if "recurrent" in found:
        return found  # the activations are those of the cell
    return found | dict(_activations(graph, chain))


def deepest_chain(graph: Graph) -> Chain | None:
    """Return the longest row of weights and activations, None where there is no hidden layer."""
    chains = [chain for chain in find_chains(graph) if chain.depth]
    return max(chains, key=lambda chain: chain.depth, default=None)


def _structure(graph: Graph) -> Iterator[tuple[str, str]]:
    kinds = [operation.kind for operation in graph.operations]
    roles = {use.role for uses in (*graph.uses.values(), *((u,) for u in graph.unused.values())) for use in uses}
    norms = kinds.count("norm")
    if norms:
        yield "normalised", _many(norms, "normalisation")
    convolutions = sum("convolution" in kind for kind in kinds)
    if convolutions:
        yield "convolutions", _many(convolutions, "convolution")
    attentions = kinds.count("attention") + kinds.count("softmax")
    if attentions and kinds.count("attention") + kinds.count("matmul") > 0:
        yield "attention", _many(attentions, "attention")
    if "embedding weight" in roles:
        yield "tables", "looks tokens up in a table"
    yield from _streams(graph, find_streams(graph))
    if roles & {"recurrent weight", "gate bias"}:
        yield "recurrent", "recurrent layers"
        gates = {gate for uses in graph.uses.values() for use in uses for gate in use.gates}
        if {"forget", "input"} <= gates:
            yield "lstm", "a forget gate"
        elif not gates & {"reset", "update"} and _state_is_relu(graph):
            yield "relu state", "the state goes through ReLU"
    if any(variable.attribute == "A_log" for variable in graph.variables):
        yield "state space", "decay rates A_log"
    if any("b" in use.axes for uses in graph.uses.values() for use in uses):
        yield "experts", "stacked experts"


def _streams(graph: Graph, streams: list[Stream]) -> Iterator[tuple[str, str]]:
    writes = [write for stream in streams for write in stream.writes]
    if not writes:
        return
    behind = [any(step.kind == "norm" for step in graph.consumers(write.add)) for write in writes]
    if all(behind) and all(len(stream.writes) == 1 for stream in streams):
        yield "post-norm", f"each of {_many(len(writes), 'residual sum')} is normalised"
        return
    yield "residual", _many(len(writes), "residual branch")
    bare = [stream for stream in streams if not stream.normalised]
    if bare:
        yield "bare branches", "no normalisation inside of the branches"
    if len(bare) < len(streams):
        yield "pre-norm", "normalisation inside of the branches"
    if any(write.gates for write in writes):
        yield "branch factors", "learnt factors behind the branches"


def _activations(graph: Graph, chain: Chain | None) -> Iterator[tuple[str, str]]:
    names = [chain.activation] if chain is not None and chain.activation else []
    names += [operation.detail for operation in graph.operations if operation.kind == "activation"]
    if not names:
        yield "odd", "it has no activation"
        return
    name = max(dict.fromkeys(names), key=lambda found: (found == names[0], names.count(found)))
    activation = activation_of(graph, name)
    if _is_finer(graph):
        yield "finer", "sines of (|z| + 1)·z"
    elif re.fullmatch(r"sin(e|us)?(_.*)?", name):
        yield "sines", "its activation is a sine"
    if name == "selu":
        yield "selu", "its activation is SELU"
    said = "a sine" if re.fullmatch(r"sin(_.*)?", name) else name
    for trait in _of_activation(activation):
        yield trait, f"its activation is {said}"


def _of_activation(activation: Activation) -> Iterator[str]:
    u = (np.arange(64) + 0.618) / 8
    up, down = activation.function(u), activation.function(-u)
    if np.allclose(up, -down, rtol=0, atol=ROUNDING * float(np.abs(up).max())):
        yield "odd"
    elif all(np.allclose(part / u, part[0] / u[0]) for part in (up, down)):
        yield "rectifier"
    if odd_part_slope(activation):
        yield "mirrored"
    try:
        at = moments(activation, 1.0)
    except TheoryError:
        return
    if at.variance < 0.5 * at.second:
        yield "mostly mean"
    elif at.second and at.second_growth / at.second > 1 + 1e-6:
        yield "steeper away from 0"


def _state_is_relu(graph: Graph) -> bool:
    states = [use.operation for uses in graph.uses.values() for use in uses if use.role == "recurrent weight"]
    waiting, seen = [index for index in states if index >= 0], set[int]()
    while waiting:
        for step in graph.consumers(waiting.pop()):
            if step.kind == "activation":
                return step.detail == "relu"
            if step.kind in ("add", "shift", "view") and step.index not in seen:
                seen.add(step.index)
                waiting.append(step.index)
    return False


def _is_finer(graph: Graph) -> bool:
    """Whether the recipe of that name takes the network."""
    try:
        Finer().prepare(graph)
    except WellbegunError:
        return False
    return True


def _many(count: int, what: str) -> str:
    """A number with its noun."""
    plural = f"{what}es" if what.endswith("ch") else f"{what}s"
    return f"{count} {what if count == 1 else plural}"
