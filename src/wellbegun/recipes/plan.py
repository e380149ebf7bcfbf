"""wb.plan: from a model to one entry for every parameter and buffer, or an error that names what is left over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from wellbegun.errors import ArgumentError, UnplannedError
from wellbegun.graph.framework import require_torch
from wellbegun.laws import Initializer
from wellbegun.plans import Multiplier, Plan, Rule, assign_rules, make_rules
from wellbegun.recipes.find import find_recipe
from wellbegun.sampler import check_seed

if TYPE_CHECKING:
    import torch

    from wellbegun.graph.graph import Graph
    from wellbegun.graph.variable import Variable
    from wellbegun.recipes.knowledge import Knowledge
    from wellbegun.recipes.proposal import Proposal, Recipe


def plan(
    model: torch.nn.Module | Callable[[], torch.nn.Module],
    inputs: Any = None,
    *,
    seed: int,
    recipe: str | Callable[[Any], object] = "auto",
    rules: Mapping[Any, Initializer | str] | tuple[Rule, ...] | None = None,
    aliases: Mapping[str, str] | None = None,
) -> Plan:
    """Plan the starting value of every parameter and buffer of a model; nothing is written.

    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
    >>> made = plan(model, "vector:64", seed=7)
    >>> made["2.weight"].law
    Normal(std=0.17677669)

    Args:
        model: a torch.nn.Module on any device, meta included, or a function without arguments that builds one: then
            what its constructors do is seen too, and no memory is needed for its weights. (A model that was put on
            meta outside of `wb.skeleton()` no longer shows that: zeros and priors that a constructor set are lost.)
        inputs: what its forward takes: a tensor, a tuple, a dictionary of keywords, or a spec ("vector:64",
            "image:3x224x224", "tokens:16", "float:1x16000"). None: made from the configuration of a model of
            transformers, else guessed from the first layer. Real data are better than a spec: the first layer is
            then scaled by their second moment.
        seed: an integer from 0 to 2**64 - 1; with the tensor's name it decides every number.
        recipe: "auto"; "author" for what the model's own code does; a preset ("gpt2@1"); one method for all weights
            ("he", "normal(std=0.02)"); or a function that takes the model and initialises it, which is recorded.
        rules: {pattern: initializer}, or what `load_rules` read; they override the recipe, later ones win. A pattern
            is a name, a glob, "re:...", "type:Linear", a module class, or a function of a tensor's description; an
            initializer may be text, "normal(std=0.02)". See docs/rules.md.
        aliases: {new name: old name}: a renamed tensor keeps the numbers of its old name.

    Raises:
        TraceError: the forward pass fails.
        UnplannedError: a parameter or buffer is left over; each is named with its shape and use.
        UnusedRuleError, ShadowedRuleError: a rule has no effect.
        PlanError: a rule does not fit its tensor.
    """
    check_seed(seed)
    chosen_rules = make_rules(rules)
    require_torch("planning a model")
    function = recipe if callable(recipe) else None
    policy = find_recipe("author" if callable(recipe) else recipe)
    from wellbegun.graph.trace import trace
    from wellbegun.recipes.candidates import candidates
    from wellbegun.recipes.entries import make_entry
    from wellbegun.recipes.knowledge import Knowledge

    knowledge = Knowledge.of(model, seed, function)
    graph = trace(knowledge.model, inputs)
    known = {candidate.name: candidate for candidate in candidates(graph)}
    assigned = assign_rules(chosen_rules, known.values())
    proposals = _proposals(policy, graph, knowledge, assigned.winners)
    streams = _streams(aliases, [candidate.names for candidate in known.values()])
    entries = []
    for variable in graph.variables:
        rule = assigned.winners.get(variable.name)
        proposal = proposals[variable.name] if rule is None else _from_rule(rule, proposals.get(variable.name))
        note = assigned.note(known[variable.name], proposal.initializer)
        if note:
            proposal = replace(proposal, reason=f"{proposal.reason}; {note}")
        entries.append(make_entry(graph, variable, proposal, streams.get(variable.name, proposal.stream)))
    return Plan(tuple(entries), seed, policy.name, multipliers=_multipliers(policy, graph))


def _proposals(policy: Recipe, graph: Graph, knowledge: Knowledge, ruled: Mapping[str, Rule]) -> dict[str, Proposal]:
    """Return a proposal for every tensor that no rule decides.

    Raises:
        UnplannedError: a tensor is left over.
    """
    from wellbegun.recipes.fixed import NO_ELEMENTS, orthogonal_only

    empty = {v.name: NO_ELEMENTS for v in graph.variables if 0 in v.shape}
    proposals = policy.propose(graph, knowledge.of_graph(graph, policy.needs_author)) | empty
    left = [v for v in graph.variables if v.name not in proposals and v.name not in ruled]
    if left and not knowledge.is_complete:
        proposals = policy.propose(graph, knowledge.of_graph(graph, True)) | empty
        left = [v for v in graph.variables if v.name not in proposals and v.name not in ruled]
    if left:
        raise UnplannedError(_left_over(graph, left, knowledge))
    only = {v.name: orthogonal_only(len(v.shape)) for v in graph.variables if v.parametrised == "orthogonal"}
    return proposals | only


def _multipliers(policy: Recipe, graph: Graph) -> tuple[Multiplier, ...]:
    """What a preset wants in the forward pass; other recipes are weights alone."""
    from wellbegun.recipes.presets.preset import Preset

    return policy.multipliers(graph) if isinstance(policy, Preset) else ()


def _from_rule(rule: Rule, replaced: Proposal | None) -> Proposal:
    """The user's weights; what the recipe says about their training stays."""
    from wellbegun.recipes.proposal import Proposal

    said = f"your {rule}"
    made = Proposal(rule.initializer, f"{said}: {rule.reason}" if rule.reason else said)
    if replaced is None:
        return made
    factors = replaced.lr_factor, replaced.decay_factor, replaced.eps_factor
    return replace(made, lr_factor=factors[0], decay_factor=factors[1], eps_factor=factors[2])


def _streams(aliases: Mapping[str, str] | None, names: list[tuple[str, ...]]) -> dict[str, str]:
    if not isinstance(aliases or {}, Mapping) or not all(isinstance(old, str) for old in (aliases or {}).values()):
        raise ArgumentError(f"aliases must be a dictionary {{new name: old name}}, got {aliases!r}")
    canonical = {name: group[0] for group in names for name in group}
    unknown = sorted(set(aliases or {}) - set(canonical))
    if unknown:
        raise ArgumentError(f"aliases name tensors that the model does not have: {', '.join(unknown)}")
    return {canonical[new]: old for new, old in (aliases or {}).items()}


def _left_over(graph: Graph, left: list[Variable], knowledge: Knowledge) -> str:
    from wellbegun.recipes.entries import GIVE_FANS

    lines, unclear = [], False
    for variable in left:
        uses = graph.uses.get(variable.name, ())
        use = "; ".join(sorted({f"{u.role}: {u.detail}" for u in uses})) or "not used in the forward pass"
        unclear |= "ambiguous: " in use or (not uses and variable.kind == "parameter" and len(variable.shape) > 1)
        author = knowledge.why(variable.name)
        own = f"; {author}" if author else ""
        lines.append(f"  {variable.name} {list(variable.shape)} ({variable.kind} of {variable.owner}; {use}{own})")
    return (
        f"nothing accounts for {len(left)} of {len(graph.variables)} tensors:\n"
        + "\n".join(lines)
        + "\nIf a constructor gave them their values: build the model inside `with wb.skeleton():`, or pass the "
        "function that builds it in its place. Or say what they shall hold: plan(..., rules={'name or pattern': "
        "wb.Zeros()}), wb.Keep() for values that are already right."
        + (f" For a weight, {GIVE_FANS}." if unclear else "")
    )
