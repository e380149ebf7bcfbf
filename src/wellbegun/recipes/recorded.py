"""The plan of a recording: what code did to the tensors of a model that exists."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from wellbegun.errors import ApplyError
from wellbegun.graph.variable import Variable, collect_variables
from wellbegun.laws import Constant, Keep, Law
from wellbegun.plans import Entry, Plan

if TYPE_CHECKING:
    import torch

    from wellbegun.authors.outcome import Outcome

NAME = "recording@0"
SOURCE = "the code in the block"


def recorded_plan(
    model: torch.nn.Module, found: Mapping[str, Outcome], seed: int, name_of: Callable[[str], str]
) -> Plan:
    """Make the plan of what was recorded; tensors that the code did not write keep their values.

    Args:
        model: with its own tensors.
        found: by name in the plan, each tensor once.
        seed: of the plan.
        name_of: the name in the plan of a canonical one.

    Raises:
        ApplyError: the plan cannot say what the code does; every tensor is named.
    """
    problems, entries = [], []
    left = dict(found)
    for found_here in collect_variables(model):
        ties = tuple(map(name_of, found_here.ties))
        carrier = name_of(found_here.carrier) if found_here.carrier else ""
        variable = replace(found_here, name=name_of(found_here.name), ties=ties, carrier=carrier)
        names = [name for name in (variable.name, *variable.ties) if name in left]
        outcomes = [left.pop(name) for name in names]
        if variable.parametrised:
            entries.append(_kept(variable))
            outcome = left.pop(variable.carrier, None)
            if outcome is not None and not outcome.authorship.stands:
                problems.append(_of_parametrised(variable.carrier, variable.parametrised))
            continue
        if outcomes:
            variable = replace(variable, shape=outcomes[0].shape)
        written = [outcome for outcome in outcomes if not outcome.authorship.stands]
        if len(written) > 1:
            problems.append(f"{' and '.join(names)}: one memory in the model, written twice by the code")
        elif not outcomes or not written:
            entries.append(_kept(variable))
        elif written[0].authorship.law is None:
            problems.append(f"{variable.name}: {written[0].authorship.note}")
        else:
            entries.append(_entry(variable, written[0]))
        made = entries[-1] if entries and entries[-1].name == variable.name else None
        if variable.on_meta and 0 not in variable.shape and made is not None and made.law.keeps:
            part = "a part of it" if written else "it"
            problems.append(f"{variable.name}: is on meta, and the code of the block gives {part} no value")
    problems += [
        _of_parametrised(name, "a parametrisation") for name, outcome in left.items() if not outcome.authorship.stands
    ]
    if problems:
        raise ApplyError(
            "what the code of the block does cannot be carried out, nothing was written:\n  " + "\n  ".join(problems)
        )
    if entries and all(isinstance(entry.law, Keep) for entry in entries):
        raise ApplyError(
            "the code of the block wrote no parameter and no buffer of this model: does it initialise another one, or "
            "does it take these for initialised (transformers marks the tensors of a loaded checkpoint)?"
        )
    return Plan(tuple(entries), seed, NAME)


def _of_parametrised(name: str, kind: str) -> str:
    return (
        f"{name}: a weight is computed from it ({kind}), and a recording cannot write what a weight is computed from; "
        "initialise before the weight is parametrised, or plan the weight and apply the plan"
    )


def _kept(variable: Variable) -> Entry:
    law = Constant(0.0) if 0 in variable.shape else Keep()
    return _made(variable, law, "the code of the block does not write it", "")


def _entry(variable: Variable, outcome: Outcome) -> Entry:
    law = outcome.authorship.law
    assert law is not None
    return _made(variable, law, outcome.authorship.note, outcome.stream)


def _made(variable: Variable, law: Law, reason: str, stream: str) -> Entry:
    return Entry(
        name=variable.name,
        kind=variable.kind,
        shape=variable.shape,
        dtype=variable.dtype,
        role=variable.typed.role if variable.typed else variable.kind,
        initializer=repr(law),
        law=law,
        reason=reason,
        source="" if isinstance(law, Keep) else SOURCE,
        stream=stream,
        ties=variable.ties,
    )
