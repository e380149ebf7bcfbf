"""Tensors with a meaning of their own: the author's values, a known rule, or nothing, so that planning stops."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from wellbegun.authors import Authorship
from wellbegun.graph.graph import WEIGHT_KINDS, Graph, Use
from wellbegun.laws import Constant, Keep, Normal, TruncatedNormal, Uniform
from wellbegun.recipes.behind import activation_of
from wellbegun.recipes.layers import find_outputs
from wellbegun.recipes.proposal import Proposal, as_proposal

PLAIN = frozenset(
    {
        "linear weight", "convolution weight", "transposed convolution weight", "embedding weight", "bilinear weight",
        "bias", "normalisation scale", "normalisation shift", "running mean", "running variance", "counter",
        "activation slope", "input weight of gates", "recurrent weight", "projection weight", "gate bias",
    }
)  # fmt: skip
"""Roles that a rule of a recipe knows; every other role is special."""

_SMALL = 0.05
"""Standard deviation up to which a random bias around 0 is a default and not meant."""

_TABLES = {
    "position table": "a table of positions beside signals of second moment 1: std 0.02, as published for ViT and BERT",
    "bias table": "a table that shifts attention scores: std 0.02 leaves attention as even as it is without it",
    "token": "a token of its own beside the others: std 0.02, as published for ViT",
}
_ALONE = "a learnt input of a layer: std 1 gives the layer an input of second moment 1"
_VIT = "Dosovitskiy et al. (2021), appendix B, and its published code"


def special_proposals(graph: Graph, known: Mapping[str, Authorship]) -> dict[str, Proposal]:
    """Return proposals for tensors whose role no general rule knows."""
    made: dict[str, Proposal] = {}
    for variable in graph.variables:
        uses = graph.uses.get(variable.name) or tuple(filter(None, [graph.unused.get(variable.name)]))
        roles = {use.role for use in uses}
        if variable.kind == "buffer" or (roles and roles <= PLAIN):
            continue
        if variable.name in known:
            what = " and ".join(sorted(map(_in_words, roles))) or "a parameter that this forward pass does not use"
            made[variable.name] = as_proposal(known[variable.name], f"{what}, with the author's own values")
        elif not variable.learns:  # what nobody trains is what its author computed, or an error
            if not variable.on_meta:
                made[variable.name] = Proposal(Keep(), "it does not learn, so it keeps what its author put into it")
        elif len(roles) == 1 and (role := next(iter(roles))) in _TABLES:
            if role == "token" and _feeds_weights_alone(graph, uses):
                made[variable.name] = Proposal(Normal(1.0), _ALONE)
            else:
                made[variable.name] = Proposal(Normal(0.02), _TABLES[role], _VIT)
    return made


def _feeds_weights_alone(graph: Graph, uses: tuple[Use, ...]) -> bool:
    """Whether a token goes into layers and nowhere else, as an input of its own and not beside others."""
    waiting, found = [use.operation for use in uses if use.operation >= 0], False
    while waiting:
        for step in graph.consumers(waiting.pop()):
            if step.kind == "view":
                waiting.append(step.index)
            elif step.kind not in WEIGHT_KINDS:
                return False
            found = True
    return found


def _in_words(role: str) -> str:
    """Say what a tensor is for, with an article.

    >>> _in_words("derived: exp, neg"), _in_words("multiplied"), _in_words("position table")
    ('a parameter that goes through exp, neg first', 'a factor on a signal', 'a position table')
    """
    if role.startswith("derived: "):
        return f"a parameter that goes through {role.removeprefix('derived: ')} first"
    known = {
        "multiplied": "a factor on a signal",
        "divided": "a divisor of a signal",
        "added": "a shift of a signal",
        "token": "a token of its own",
    }
    return known.get(role, f"{'an' if role[0] in 'aeiou' else 'a'} {role}")


def own_values(graph: Graph, name: str, known: Mapping[str, Authorship]) -> Proposal | None:
    """Return the author's values of a weight or bias, if they are more than a default.

    A weight that the author starts at 0 is meant to be 0 where its result is added to, or multiplied with, another
    signal (the end of a branch, an adapter, a modulation), and a bias that is neither 0 nor drawn as torch's layers
    draw theirs has a purpose (a prior, a time step).
    """
    author = known.get(name)
    if author is None or isinstance(author.law, Keep):
        return None
    uses = graph.uses.get(name, ())
    if any(use.role == "bias" for use in uses):
        default = _is_default_bias(author, uses) or (author.stands and _size(graph, name) < 2)
        return None if default else as_proposal(author, "a bias to which the author gives values of its own")
    if author.law == Constant(0.0) and all(_may_be_zero(graph, use.operation, author) for use in uses):
        return as_proposal(
            author, "a weight that the author starts at zero, so that what it makes changes nothing at first", 0.0
        )
    return None


_PASSES = frozenset("view dropout shift scale multiply activation".split())
"""Operations behind which a weight of zeros still has a gradient, if its result joins another signal in the end."""


def _may_be_zero(graph: Graph, index: int, author: Authorship) -> bool:
    """Whether the result of a weight operation only ever joins another signal, or is an output by the author's wish."""
    waiting, seen = [index], {index}
    if index in find_outputs(graph):
        return not author.stands
    while waiting:
        steps = graph.consumers(waiting.pop())
        for step in steps:
            if step.kind in ("add", "multiply") and len(step.inputs) > 1:
                continue
            if step.kind == "activation" and not _has_slope(graph, step.detail):
                return False
            if step.kind not in _PASSES and step.detail != "sum":
                return False
            if step.index not in seen:
                seen.add(step.index)
                waiting.append(step.index)
    return True


def _has_slope(graph: Graph, detail: str) -> bool:
    """Whether an activation hands gradients on at 0: ReLU does not."""
    activation = activation_of(graph, detail)
    ends = activation.function(np.array([-1e-3, 1e-3]))
    return all(kink != 0 for kink in activation.kinks) and bool(abs(ends[1] - ends[0]) > 1e-5)


def _size(graph: Graph, name: str) -> int:
    return math.prod(graph.shapes[name])


def _is_default_bias(author: Authorship, uses: tuple[Use, ...]) -> bool:
    if author.law == Constant(0.0):
        return True
    if isinstance(author.law, Normal | TruncatedNormal):  # around 0, and as small as every weight of such code
        return author.law.mean == 0 and author.law.std <= _SMALL
    fans = next((use.fans for use in uses if use.fans is not None), None)
    if not isinstance(author.law, Uniform) or fans is None:
        return False
    # nn.Linear and nn.Conv draw biases from U(±1/sqrt(fan_in)); a transposed convolution takes its own idea of fan_in
    law = author.law
    return law.low == -law.high and (
        "reset_parameters" in author.note or math.isclose(law.high, fans.fan_in**-0.5, rel_tol=1e-3)
    )
