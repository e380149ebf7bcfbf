"""Tensors whose start does not depend on the recipe: normalisation, its statistics, counters, computed buffers."""

from __future__ import annotations

from collections.abc import Mapping

from wellbegun.authors import Authorship
from wellbegun.graph.graph import Graph, Use
from wellbegun.laws import Constant, Keep, Law, Ones, Orthogonal, Zeros
from wellbegun.recipes.proposal import Proposal, as_proposal

ZERO_BIAS = Proposal(Zeros(), "a bias of 0 leaves the signal as the weights make it")
"""Of a bias that no rule has another use for."""

NO_ELEMENTS = Proposal(Zeros(), "it has no elements")
"""Of a tensor with a dimension of size 0, which some configurations make of a layer that they do without."""

_NORMALISATION = "Ioffe and Szegedy (2015), section 3; Ba, Kiros and Hinton (2016), section 3.1"
_BY_ROLE = {
    "normalisation scale": Proposal(
        Ones(), "normalisation starts by passing on its normalised input unchanged: scale 1", _NORMALISATION
    ),
    "normalisation shift": Proposal(
        Zeros(), "normalisation starts by passing on its normalised input unchanged: shift 0", _NORMALISATION
    ),
    "running mean": Proposal(Zeros(), "no batch has been seen yet: a mean of 0 to begin with", _NORMALISATION),
    "running variance": Proposal(Ones(), "no batch has been seen yet: a variance of 1 to begin with", _NORMALISATION),
    "counter": Proposal(Zeros(), "counts the batches seen, none so far"),
    "activation slope": Proposal(
        Constant(0.25), "slope of PReLU for negative inputs, as published", "He et al. (2015), section 2.1"
    ),
}


def orthogonal_only(dimensions: int) -> Proposal:
    """Return the one proposal that a weight under torch's orthogonal parametrisation can follow."""
    return Proposal(
        Orthogonal(batch=dimensions - 2),
        "the orthogonal parametrisation of the weight holds orthogonal matrices only, whose gain is 1",
        "PyTorch's documentation of torch.nn.utils.parametrizations.orthogonal",
    )


def _stored_with_offset(use: Use) -> Proposal | None:
    """Of a normalisation's scale that is stored as c + w."""
    if use.role != "normalisation scale" or use.offset == 0:
        return None
    start = (1 - use.offset) / use.factor
    why = f"the scale of a normalisation that is stored as {use.offset:g} + {_times(use.factor)}w: w = {start:g} passes"
    return Proposal(Constant(start), f"{why} on its normalised input unchanged", _NORMALISATION)


def _times(factor: float) -> str:
    return "" if factor == 1 else f"{factor:g}·"


def _is_meant(own: Law | None, law: Law, use: Use) -> bool:
    """Whether the author starts a normalisation elsewhere on purpose.

    A scale that is stored as c + w starts at 1 + c if its layer is like others that are stored as w: that is no
    purpose, but one of 0 is.
    """
    if not isinstance(own, Constant) or own == law:
        return False
    return use.offset == 0 or use.offset + use.factor * own.value == 0


def fixed_proposals(graph: Graph, known: Mapping[str, Authorship] | None = None) -> dict[str, Proposal]:
    """Return the proposals that every recipe shares.

    Args:
        graph: what the forward pass does.
        known: what the model's own code puts into its tensors: buffers hold that, and a normalisation whose author
            starts it elsewhere than at 1 and 0 keeps it (the last of a branch at 0; a scale that is stored as 1 + w).
    """
    author = known or {}
    proposals: dict[str, Proposal] = {}
    for variable in graph.variables:
        unused = graph.unused.get(variable.name)
        uses = graph.uses.get(variable.name) or ((unused,) if unused else ())
        roles = {use.role for use in uses}
        rules = [_BY_ROLE[role] for role in sorted(roles) if role in _BY_ROLE]
        given = author.get(variable.name)
        if len(roles) == 1 and rules:
            rule = _stored_with_offset(uses[0]) or rules[0]
            is_parameter = variable.kind == "parameter"
            own = given is not None and is_parameter and _is_meant(given.law, rule.initializer.law(), uses[0])
            proposals[variable.name] = (
                as_proposal(given, "the author's own start") if own and given is not None else rule
            )
        elif variable.kind == "buffer" and given is not None and not isinstance(given.law, Keep):
            proposals[variable.name] = as_proposal(given, "the author's own value")
        elif variable.kind == "buffer" and not variable.on_meta:
            proposals[variable.name] = Proposal(Keep(), "a buffer that its constructor has computed: kept as it is")
        elif not variable.dtype.startswith(("float", "bfloat", "complex")) and not variable.on_meta:
            proposals[variable.name] = Proposal(Keep(), "whole numbers (packed codes, indices): kept as they are")
    return proposals
