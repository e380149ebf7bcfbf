"""The tensors of a graph as rules see them."""

from __future__ import annotations

from wellbegun.graph.graph import Graph
from wellbegun.graph.variable import Variable
from wellbegun.plans import Candidate
from wellbegun.recipes.entries import main_fans, uses_of

_UNUSED = {"weight": "normalisation scale", "bias": "normalisation shift"}


def candidates(graph: Graph) -> list[Candidate]:
    """Return every tensor of the graph with its role and fans."""
    return [_candidate(graph, variable) for variable in graph.variables]


def _candidate(graph: Graph, variable: Variable) -> Candidate:
    uses = uses_of(graph, variable.name)
    role = " and ".join(dict.fromkeys(use.role for use in uses))
    if not uses and variable.kind == "parameter" and "Norm" in variable.owner:  # of a type that is not torch's
        role = _UNUSED.get(variable.attribute, "")
    return Candidate(
        name=variable.name,
        kind=variable.kind,
        shape=variable.shape,
        role=role,
        owner=variable.owner,
        attribute=variable.attribute,
        fans=main_fans(uses),
        ties=variable.ties,
        types=variable.types,
        dtype=variable.dtype,
    )
