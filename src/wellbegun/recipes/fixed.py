"""Tensors whose start does not depend on the recipe: normalisation, its statistics, counters, computed buffers."""

from __future__ import annotations

from wellbegun.graph.graph import Graph
from wellbegun.graph.variable import Variable
from wellbegun.laws import Constant, Keep, Ones, Orthogonal, Zeros
from wellbegun.recipes.proposal import Proposal

ZERO_BIAS = Proposal(Zeros(), "a bias of 0 leaves the signal as the weights make it")
"""Of a bias that no rule has another use for."""

_NORMALISATION = "Ioffe and Szegedy (2015), section 3; Ba, Kiros and Hinton (2016), section 3.1"
_BY_ROLE = {
    "normalisation scale": Proposal(
        Ones(), "normalisation starts by passing on its normalised input unchanged: scale 1", _NORMALISATION
    ),
    "normalisation shift": Proposal(
        Zeros(), "normalisation starts by passing on its normalised input unchanged: shift 0", _NORMALISATION
    ),
    "running mean": Proposal(Zeros(), "no batch has been seen: mean 0, as the input is expected", _NORMALISATION),
    "running variance": Proposal(
        Ones(), "no batch has been seen: variance 1, as the input is expected", _NORMALISATION
    ),
    "counter": Proposal(Zeros(), "counts the batches seen, none so far"),
    "activation slope": Proposal(
        Constant(0.25), "slope of PReLU for negative inputs, as published", "He et al. (2015), section 2.1"
    ),
}
_BY_ATTRIBUTE = {
    "running_mean": "running mean",
    "running_var": "running variance",
    "num_batches_tracked": "counter",
    "weight": "normalisation scale",
    "bias": "normalisation shift",
}


def orthogonal_only(dimensions: int) -> Proposal:
    """Return the one proposal that a weight under torch's orthogonal parametrisation can follow."""
    return Proposal(
        Orthogonal(batch=dimensions - 2),
        "the orthogonal parametrisation of the weight holds orthogonal matrices only, whose gain is 1",
        "PyTorch's documentation of torch.nn.utils.parametrizations.orthogonal",
    )


def fixed_proposals(graph: Graph) -> dict[str, Proposal]:
    """Return the proposals that every recipe shares."""
    proposals: dict[str, Proposal] = {}
    for variable in graph.variables:
        roles = {use.role for use in graph.uses.get(variable.name, ())} or {_role_of_unused(variable)}
        known = [_BY_ROLE[role] for role in sorted(roles) if role in _BY_ROLE]
        if len(roles) == 1 and known:
            proposals[variable.name] = known[0]
        elif variable.kind == "buffer" and not variable.on_meta:
            proposals[variable.name] = Proposal(Keep(), "a buffer that its constructor has computed: kept as it is")
    return proposals


def _role_of_unused(variable: Variable) -> str:
    """A normalisation layer in evaluation mode, or one that was not called, is known by its type."""
    is_norm = variable.owner.endswith("Norm") or "BatchNorm" in variable.owner or "InstanceNorm" in variable.owner
    return _BY_ATTRIBUTE.get(variable.attribute, "") if is_norm else ""
