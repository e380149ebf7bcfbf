"""The plan that mends findings: auto's entries for what they blame, and the rest as it is."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from wellbegun.diagnosis.facts import Finding
from wellbegun.errors import ArgumentError
from wellbegun.laws import Keep
from wellbegun.plans import Entry, Plan
from wellbegun.recipes import plan as make_plan

if TYPE_CHECKING:
    import torch

SUFFIX = ", repaired"
"""Behind the recipe's name: the laws are no longer those of the recipe alone."""


def repaired(findings: Sequence[Finding], model: torch.nn.Module, example: Any, given: Plan | None, seed: int) -> Plan:
    """Return the given plan, or one that keeps all values, with auto's entries for the blamed modules.

    Args:
        findings: those of level note are left out.
        model: to plan.
        example: inputs, as `wb.plan` takes them.
        given: the plan that the model was started by, or None.
        seed: of the new numbers, without one.
    """
    from wellbegun.diagnosis.planned import planned_names

    serious = [finding for finding in findings if finding.level != "note"]
    blamed = {name for finding in serious for name in finding.weights}
    if not blamed:
        said = ", ".join(dict.fromkeys(finding.kind for finding in serious)) or "none"
        raise ArgumentError(f"there is no finding that other starting values mend (errors and warnings: {said})")
    names = planned_names(model)
    modules = {name.rpartition(".")[0] for name in blamed}
    # the bias beside a blamed weight belongs to it
    beside = {n for n in names if n.rpartition(".")[0] in modules and "bias" in n.rpartition(".")[2]}
    wanted = {names.get(name, name) for name in blamed | beside}
    with _hidden(model, blamed | beside):
        fresh = make_plan(model, example, seed=given.seed if given else seed)
    off_plan = {names.get(n, n) for finding in serious if finding.kind == "off plan" for n in finding.weights}
    why = _reasons(serious, names)
    entries = []
    for entry in fresh:
        changes = _any_of(entry, wanted)
        old = given[entry.name] if given is not None and entry.name in given else None
        if old is not None and (not changes or _any_of(entry, off_plan)):
            entries.append(old)
        elif changes:
            reason = why.get(entry.name.rpartition(".")[0], "")
            entries.append(replace(entry, reason=f"{entry.reason}; mends: {reason}" if reason else entry.reason))
        else:
            entries.append(_kept(entry))
    recipe = given.recipe if given is not None else fresh.recipe
    named = recipe if recipe.endswith(SUFFIX) else recipe + SUFFIX
    return Plan(tuple(entries), fresh.seed, named, multipliers=given.multipliers if given is not None else ())


@contextmanager
def _hidden(model: torch.nn.Module, names: Collection[str]) -> Iterator[None]:
    """Take the values of these parameters away for a while: a plan must not take them for their author's wish.

    In the model itself, for FSDP2 lets nobody copy one.
    """
    import torch

    from wellbegun.graph.stage import attributes_kept, put_tensors

    named = list(model.named_parameters(remove_duplicate=False))
    empty = {
        id(p): torch.nn.Parameter(torch.empty(p.shape, dtype=p.dtype, device="meta"), requires_grad=p.requires_grad)
        for name, p in named
        if name in names
    }
    with attributes_kept(model):
        put_tensors(model, {name: empty[id(p)] for name, p in named if id(p) in empty})
        yield


def _any_of(entry: Entry, names: Collection[str]) -> bool:
    return any(name in names for name in (entry.name, *entry.ties))


def _kept(entry: Entry) -> Entry:
    keep = Keep()
    reason = "kept: the diagnosis found no fault in it"
    return replace(entry, initializer=repr(keep), law=keep, reason=reason, source="", before=None, after=None)


def _reasons(findings: Sequence[Finding], names: dict[str, str]) -> dict[str, str]:
    """What was found, by module."""
    found: dict[str, list[str]] = {}
    for finding in findings:
        for name in finding.weights:
            found.setdefault(names.get(name, name).rpartition(".")[0], []).append(finding.kind)
    return {module: ", ".join(dict.fromkeys(kinds)) for module, kinds in found.items()}
