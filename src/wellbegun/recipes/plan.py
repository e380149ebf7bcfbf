"""wb.plan: from a model to one entry for every parameter and buffer, or an error that names what is left over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from wellbegun.errors import ArgumentError, PlanError, UnplannedError
from wellbegun.graph.framework import check_module, random_states_kept, require_torch
from wellbegun.laws import Fans, Initializer, parse_method
from wellbegun.plans import Entry, Plan, assign_rules, make_rules
from wellbegun.sampler import check_seed

if TYPE_CHECKING:
    import torch

    from wellbegun.graph.graph import Graph, Use
    from wellbegun.graph.variable import Variable
    from wellbegun.recipes.proposal import Proposal, Recipe


def plan(
    model: torch.nn.Module | Callable[[], torch.nn.Module],
    inputs: Any = None,
    *,
    seed: int,
    recipe: str = "auto",
    rules: Mapping[str, Initializer] | None = None,
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
        recipe: "auto", or one method for all weights ("he", "normal(std=0.02)").
        rules: {pattern: initializer}, a glob or "re:..." over names; they override the recipe, later ones win.
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

    graph = trace(module, inputs)
    proposals = policy.propose(graph)
    names = [(variable.name, *variable.ties) for variable in graph.variables]
    winners = assign_rules(chosen_rules, names)
    streams = _streams(aliases, names)
    left = [v for v in graph.variables if v.name not in proposals and v.name not in winners]
    if left:
        raise UnplannedError(_left_over(graph, left))
    entries = []
    for variable in graph.variables:
        rule = winners.get(variable.name)
        proposal = proposals.get(variable.name)
        if rule is not None:
            proposal = _from_rule(rule.pattern, rule.initializer)
        assert proposal is not None
        entries.append(_entry(graph, variable, proposal, streams))
    return Plan(tuple(entries), seed, policy.name)


def find_recipe(recipe: str) -> Recipe:
    """Return the policy of a name.

    Raises:
        UnknownNameError: neither "auto" nor a method; the closest names are offered.
    """
    from wellbegun.recipes.auto import Auto
    from wellbegun.recipes.by_method import ByMethod

    if not isinstance(recipe, str):
        raise ArgumentError(f"recipe must be a name such as 'auto' or 'he', got {recipe!r}; initializers go into rules")
    if recipe.strip().lower() in ("auto", Auto.name):
        return Auto()
    return ByMethod(*parse_method(recipe))


def _build(model: object) -> torch.nn.Module:
    import torch

    if not isinstance(model, torch.nn.Module) and callable(model):
        with random_states_kept():
            model = model()
    return check_module(model, "planning")


def _entry(graph: Graph, variable: Variable, proposal: Proposal, streams: dict[str, str]) -> Entry:
    uses = graph.uses.get(variable.name, ())
    fans = _fans(uses)
    try:
        if proposal.initializer.needs_fans and fans is None:
            use = uses[0].detail if uses else "nothing"
            raise ArgumentError(f"{proposal.initializer!r} needs fans, which its use ({use}) does not give")
        law = proposal.initializer.law(fans)
        law.check_shape(variable.shape)
    except ArgumentError as error:
        raise PlanError(f"{variable.name} {list(variable.shape)}: {error}") from None
    roles = list(dict.fromkeys(use.role for use in uses)) or [f"unused {variable.kind}"]
    return Entry(
        name=variable.name,
        kind=variable.kind,
        shape=variable.shape,
        dtype=variable.dtype,
        role=" and ".join(roles),
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
        uses=_repetitions(uses),
    )


def _repetitions(uses: tuple[Use, ...]) -> int:
    """How often the forward pass multiplies with the same part of a weight in the same way."""
    alike = Counter((use.role, use.region) for use in uses if use.fans is not None and use.role != "bias")
    return max(alike.values(), default=1)


def _fans(uses: tuple[Use, ...]) -> Fans | None:
    """Fans of the tensor's use; of a table that is also the output layer, those of the output layer."""
    known = [use for use in uses if use.fans is not None]
    known.sort(key=lambda use: use.role == "embedding weight")
    return known[0].fans if known else None


def _from_rule(pattern: str, initializer: Initializer) -> Proposal:
    from wellbegun.recipes.proposal import Proposal

    return Proposal(initializer, f"your rule {pattern!r}")


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
