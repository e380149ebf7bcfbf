"""wb.plan: from a model to one entry for every parameter and buffer, or an error that names what is left over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from wellbegun.errors import ArgumentError, PlanError, UnknownNameError, UnplannedError
from wellbegun.graph.framework import check_module, random_states_kept, require_torch
from wellbegun.laws import METHODS, Initializer, method_names, parse_method
from wellbegun.plans import Entry, Plan, Rule, assign_rules, make_rules
from wellbegun.sampler import check_seed

if TYPE_CHECKING:
    import torch

    from wellbegun.graph.graph import Graph
    from wellbegun.graph.variable import Variable
    from wellbegun.recipes.proposal import Proposal, Recipe


def plan(
    model: torch.nn.Module | Callable[[], torch.nn.Module],
    inputs: Any = None,
    *,
    seed: int,
    recipe: str = "auto",
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
        model: a torch.nn.Module on any device, meta included, or a function without arguments that builds one.
        inputs: what its forward takes: a tensor, a tuple, a dictionary of keywords, or a spec ("vector:64",
            "image:3x224x224", "tokens:16", "float:1x16000"). None: guessed from the first layer. Real data are
            better than a spec: the first layer is then scaled by their second moment.
        seed: an integer from 0 to 2**64 - 1; with the tensor's name it decides every number.
        recipe: "auto", a preset ("gpt2@1", "siren(omega_0=30)"), or one method for all weights ("normal(std=0.02)").
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
    policy = find_recipe(recipe)
    module = _build(model)
    from wellbegun.graph.trace import trace
    from wellbegun.recipes.candidates import candidates

    graph = trace(module, inputs)
    proposals = policy.propose(graph)
    known = {candidate.name: candidate for candidate in candidates(graph)}
    names = [candidate.names for candidate in known.values()]
    assigned = assign_rules(chosen_rules, known.values())
    winners = assigned.winners
    streams = _streams(aliases, names)
    left = [v for v in graph.variables if v.name not in proposals and v.name not in winners]
    if left:
        raise UnplannedError(_left_over(graph, left))
    entries = []
    for variable in graph.variables:
        rule = winners.get(variable.name)
        proposal = proposals.get(variable.name)
        if rule is not None:
            proposal = _from_rule(rule)
        assert proposal is not None
        note = assigned.note(known[variable.name], proposal.initializer)
        if note:
            proposal = replace(proposal, reason=f"{proposal.reason}; {note}")
        entries.append(_entry(graph, variable, proposal, streams))
    return Plan(tuple(entries), seed, policy.name)


def find_recipe(recipe: str) -> Recipe:
    """Return the policy of a name.

    Raises:
        UnknownNameError: neither "auto", nor a preset, nor a method; the closest names are offered.
    """
    from wellbegun.recipes.auto import Auto
    from wellbegun.recipes.by_method import ByMethod
    from wellbegun.recipes.presets import PRESETS, find_preset

    if not isinstance(recipe, str):
        raise ArgumentError(f"recipe must be a name such as 'auto' or 'he', got {recipe!r}; initializers go into rules")
    if recipe.strip().lower() in ("auto", Auto.name):
        return Auto()
    preset = find_preset(recipe)
    if preset is not None:
        return preset
    try:
        return ByMethod(*parse_method(recipe))
    except UnknownNameError as error:
        names = ["auto", *(preset.name_only for preset in PRESETS), *(method.name for method in METHODS)]
        raise UnknownNameError("recipe", error.given, names, method_names()) from None


def _build(model: object) -> torch.nn.Module:
    import torch

    if not isinstance(model, torch.nn.Module) and callable(model):
        with random_states_kept():
            model = model()
    return check_module(model, "planning")


def _entry(graph: Graph, variable: Variable, proposal: Proposal, streams: dict[str, str]) -> Entry:
    from wellbegun.recipes.candidates import fans_of, role_of

    uses = graph.uses.get(variable.name, ())
    fans = fans_of(uses)
    try:
        if proposal.initializer.needs_fans and fans is None:
            use = uses[0].detail if uses else "nothing"
            raise ArgumentError(f"{proposal.initializer!r} needs fans, which its use ({use}) does not give")
        law = proposal.initializer.law(fans)
        law.check_shape(variable.shape)
    except ArgumentError as error:
        raise PlanError(f"{variable.name} {list(variable.shape)}: {error}") from None
    return Entry(
        name=variable.name,
        kind=variable.kind,
        shape=variable.shape,
        dtype=variable.dtype,
        role=role_of(variable, uses),
        initializer=repr(proposal.initializer),
        law=law,
        reason=proposal.reason,
        source=proposal.source,
        fans=fans,
        before=proposal.before,
        after=proposal.after,
        stream=streams.get(variable.name, variable.name),
        ties=variable.ties,
        zero_row=next((use.padding_row for use in uses if use.padding_row is not None), None),
    )


def _from_rule(rule: Rule) -> Proposal:
    from wellbegun.recipes.proposal import Proposal

    said = f"your {rule}"
    return Proposal(rule.initializer, f"{said}: {rule.reason}" if rule.reason else said)


def _streams(aliases: Mapping[str, str] | None, names: list[tuple[str, ...]]) -> dict[str, str]:
    if not isinstance(aliases or {}, Mapping) or not all(isinstance(old, str) for old in (aliases or {}).values()):
        raise ArgumentError(f"aliases must be a dictionary {{new name: old name}}, got {aliases!r}")
    canonical = {name: group[0] for group in names for name in group}
    unknown = sorted(set(aliases or {}) - set(canonical))
    if unknown:
        raise ArgumentError(f"aliases name tensors that the model does not have: {', '.join(unknown)}")
    return {canonical[new]: old for new, old in (aliases or {}).items()}


def _left_over(graph: Graph, left: list[Variable]) -> str:
    lines = []
    for variable in left:
        uses = graph.uses.get(variable.name, ())
        use = "; ".join(sorted({f"{u.role}: {u.detail}" for u in uses})) or "not used in the forward pass"
        lines.append(f"  {variable.name} {list(variable.shape)} ({variable.kind} of {variable.owner}; {use})")
    return (
        f"nothing accounts for {len(left)} of {len(graph.variables)} tensors:\n"
        + "\n".join(lines)
        + "\nSay what they shall hold: plan(..., rules={'name or pattern': wb.Zeros()}), or wb.Keep() for values that "
        "are already right."
    )
