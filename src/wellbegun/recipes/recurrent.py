"""Recurrent layers: orthogonal memory, inputs at second moment 1, a forget gate that starts open."""

from __future__ import annotations

import math
from dataclasses import replace

from wellbegun.graph.graph import Graph, Use
from wellbegun.laws import Constant, Orthogonal, Patched, VarianceScaling, Zeros
from wellbegun.recipes.proposal import Proposal
from wellbegun.recipes.signal import Feed

_ORTHOGONAL = "Saxe, McClelland and Ganguli (2014), section 4; one matrix for each gate, as Keras has it"
_INPUTS = "LeCun et al. (1998), eq. 16"
_KEEPS = "variance 1/fan_in gives each gate the second moment of the input"
_FORGET = "Jozefowicz, Zaremba and Sutskever (2015), section 2.2"


def propose(graph: Graph) -> dict[str, Proposal]:
    """Return proposals for the weights and biases of recurrent layers and cells."""
    made: dict[str, Proposal] = {}
    for name, uses in (*graph.uses.items(), *((name, (use,)) for name, use in graph.unused.items())):
        use = uses[0] if uses else None
        if use is None or use.role not in _RULES:
            continue
        made[name] = _RULES[use.role](graph, name, use)
    return made


def state_weight() -> Proposal:
    """Return the proposal for a weight that a loop multiplies with its state, step after step."""
    reason = (
        "carries the state of a loop on, from a start that says nothing of its size: an orthogonal matrix for each of "
        "its parts neither fades nor blows up over many steps"
    )
    return Proposal(Orthogonal(), reason, _ORTHOGONAL, 1.0, 1.0)


def fed(made: Proposal, feed: Feed) -> Proposal:
    """Return the proposal for the input weight of gates, given what is really fed in."""
    size = feed.second_moment
    if made.source != _INPUTS or math.isclose(size, 1.0, rel_tol=1e-6):
        return made
    if feed.doubt:
        return replace(made, before=size, after=size, reason=f"{made.reason}, here about {size:.4g} (an estimate)")
    reason = made.reason.replace(
        _KEEPS, f"variance 1/(fan_in·{size:.4g}) gives each gate a second moment of 1 from the input's {size:.4g}"
    )
    return replace(made, initializer=VarianceScaling(1.0 / size), before=size, after=1.0, reason=reason)


def _inputs(graph: Graph, name: str, use: Use) -> Proposal:  # noqa: ARG001
    gates = _many(len(use.gates), "gate")
    return Proposal(VarianceScaling(1.0), f"feeds {gates} from the input: {_KEEPS}", _INPUTS, 1.0, 1.0)


def _memory(graph: Graph, name: str, use: Use) -> Proposal:  # noqa: ARG001
    gates = _many(len(use.gates), "gate")
    reason = f"carries the state on, {gates}: an orthogonal matrix for each neither fades nor blows up over many steps"
    return Proposal(Orthogonal(blocks=max(len(use.gates), 1)), reason, _ORTHOGONAL)


def _projection(graph: Graph, name: str, use: Use) -> Proposal:  # noqa: ARG001
    return Proposal(VarianceScaling(1.0), "projects the state: variance 1/fan_in keeps its size", "LeCun et al. (1998)")


def _bias(graph: Graph, name: str, use: Use) -> Proposal:
    size = next(variable.shape[0] for variable in graph.variables if variable.name == name)
    second = name.rpartition(".")[2].startswith("bias_hh")
    if "forget" not in use.gates or second:
        reason = "the second of two biases that are added: 0" if second else "a bias of 0 leaves the gates half open"
        return Proposal(Zeros(), reason)
    width, place = size // len(use.gates), use.gates.index("forget")
    law = Patched(Constant(0.0), (((((place * width, (place + 1) * width)),), Constant(1.0)),))
    reason = "a forget gate that starts at bias 1 keeps 73% of the memory a step instead of half of it; the others 0"
    return Proposal(law, reason, _FORGET)


_RULES = {
    "input weight of gates": _inputs,
    "recurrent weight": _memory,
    "projection weight": _projection,
    "gate bias": _bias,
}


def _many(count: int, what: str) -> str:
    return f"{count} {what}s" if count > 1 else f"one {what}"
