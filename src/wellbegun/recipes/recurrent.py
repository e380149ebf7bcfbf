"""Recurrent layers: orthogonal memory, inputs at second moment 1, a forget gate that starts open."""

from __future__ import annotations

from wellbegun.graph.graph import Graph, Use
from wellbegun.laws import Constant, Orthogonal, Patched, VarianceScaling, Zeros
from wellbegun.recipes.proposal import Proposal

INPUTS = "input weight of gates"
_ORTHOGONAL = "Saxe, McClelland and Ganguli (2014), section 4; one matrix for each gate, as Keras has it"
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


def inputs(use: Use, second_moment: float = 1.0, how: str = "assumed") -> Proposal:
    """Return the proposal for an input weight whose input has this second moment, and how that is known."""
    size = f"{second_moment:.4g}" + (f" ({how})" if how else "")
    reason = (
        f"feeds {_many(len(use.gates), 'gate')} from the input, second moment {size}: variance "
        f"1/(fan_in·{second_moment:.4g}) gives each gate a second moment of 1 from it"
    )
    return Proposal(VarianceScaling(1.0 / second_moment), reason, "LeCun et al. (1998), eq. 16", second_moment, 1.0)


def _inputs(graph: Graph, name: str, use: Use) -> Proposal:  # noqa: ARG001
    return inputs(use)


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
    INPUTS: _inputs,
    "recurrent weight": _memory,
    "projection weight": _projection,
    "gate bias": _bias,
}


def _many(count: int, what: str) -> str:
    return f"{count} {what}s" if count > 1 else f"one {what}"
