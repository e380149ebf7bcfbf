"""The tensors of a graph as rules see them."""

from __future__ import annotations

from wellbegun.graph.graph import Graph, Use
from wellbegun.graph.variable import Variable
from wellbegun.laws import Fans
from wellbegun.plans import Candidate

_UNUSED = {"weight": "normalisation scale", "bias": "normalisation shift"}


def candidates(graph: Graph) -> list[Candidate]:
    """Return every tensor of the graph with its role and fans."""
    return [_candidate(variable, graph.uses.get(variable.name, ())) for variable in graph.variables]


def role_of(variable: Variable, uses: tuple[Use, ...]) -> str:
    """Return the roles of a tensor's uses as one text; of one that the forward pass does not use, by its type."""
    roles = list(dict.fromkeys(use.role for use in uses))
    return " and ".join(roles) or f"unused {variable.kind}"


def fans_of(uses: tuple[Use, ...]) -> Fans | None:
    """Return the fans of the tensor's use; of a table that is also the output layer, those of the output layer."""
    known = sorted((use for use in uses if use.fans is not None), key=lambda use: use.role == "embedding weight")
    return known[0].fans if known else None


def _candidate(variable: Variable, uses: tuple[Use, ...]) -> Candidate:
    is_norm = not uses and variable.kind == "parameter" and "Norm" in variable.owner
    return Candidate(
        name=variable.name,
        kind=variable.kind,
        shape=variable.shape,
        role=_UNUSED.get(variable.attribute, "") if is_norm else role_of(variable, uses),
        owner=variable.owner,
        attribute=variable.attribute,
        fans=fans_of(uses),
        ties=variable.ties,
        types=variable.types,
    )
