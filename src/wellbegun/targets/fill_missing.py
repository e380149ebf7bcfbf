"""wb.fill_missing: the tensors that a checkpoint did not have, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from wellbegun.errors import ApplyError
from wellbegun.laws import Keep
from wellbegun.plans import Entry, Plan
from wellbegun.targets.apply import Applied, carry_out
from wellbegun.targets.fit import check_device, check_fit, check_names, check_plan, present_entries
from wellbegun.targets.job import Job
from wellbegun.targets.materialise import same_memory
from wellbegun.targets.parametrised import estimate_singular_vectors, refresh
from wellbegun.targets.parts import has_no_values, local_tensors
from wellbegun.targets.state import State
from wellbegun.targets.unmet import warn_of_unmet

if TYPE_CHECKING:
    import torch

    from wellbegun.graph.parametrised import Parametrised


def fill_missing(
    plan: Plan,
    model: torch.nn.Module,
    missing: Iterable[str],
    *,
    device: str | None = None,
    overwrite: bool = False,
    strict: bool = True,
    stage: bool = False,
    names: Mapping[str, str] | None = None,
    regions: Mapping[str, tuple[slice, ...]] | None = None,
) -> Applied:
    """Write a plan's values into the tensors that were not loaded: the others keep every byte.

    >>> import torch
    >>> from wellbegun.recipes import plan
    >>> body, model = torch.nn.Linear(8, 8), torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Linear(8, 2))
    >>> missing, _ = model.load_state_dict({f"0.{name}": v for name, v in body.state_dict().items()}, strict=False)
    >>> done = fill_missing(plan(model, seed=1), model, missing)
    >>> done.written, done.kept, done.elements
    (2, 2, 18)

    What is written is what `apply` would have written there: it does not depend on what was loaded. A sharded model
    gets its parts as `apply` writes them, without communication; every process must name the same missing tensors.

    Args:
        plan: for the whole model.
        model: in which a checkpoint was loaded; tensors that are missing may be on meta and get memory.
        missing: names of the tensors to write: `missing_keys` of `load_state_dict(strict=False)`, or `missing_keys` and
            the names in `mismatched_keys` of transformers' loading info; as the wrapped model has them, or canonical.
            A tensor with several names is missing if none of them was loaded. Weights that are computed from others
            (weight_norm) are missing if those are.
        device: where meta tensors get their memory, as for `apply`.
        overwrite: allow tensors that a plan has already been applied to.
        strict: the plan must know every tensor of the model.
        stage, names, regions: as for `apply`.

    Raises:
        ArgumentError: the model has no tensor of a name; the closest are offered.
        ApplyError: as for `apply`; or a tensor on meta is not among the missing; or some names of a tied tensor are
            and others not; or a bias is missing whose law follows a weight that was loaded (MeanCompensation: what the
            planned weight would need is not what the loaded one needs, so such a bias needs a rule of its own).
            Nothing has been written then.
    """
    check_plan(plan)
    state = State(model, "filling in what is missing", names, regions)
    given = state.resolve(missing)
    where = check_device(device)
    skipped = check_names(plan, state, strict, stage)
    problems = [f"{name}: missing, and not in the plan" for name in sorted(given) if name not in plan]
    entries = present_entries(plan, state)
    kept, sources, stale = set(), {}, []
    for entry in entries:
        absent, source, why = _absent(entry, state, given)
        problems += [f"{entry.name}: {text}" for text in why]
        sources[entry.name] = source
        if not absent or isinstance(entry.law, Keep):
            kept.add(entry.name)
        if not absent and source in given and state.slots[source].weight:
            stale.append(entry)
    for entry in entries:
        needed = entry.law.companion
        if needed is not None and entry.name not in kept and plan[needed].name in kept:
            problems.append(
                f"{entry.name}: {entry.law!r} follows the planned values of {needed}, which was loaded; give it "
                f"another law: plan(..., rules={{{entry.name!r}: wb.Zeros()}})"
            )
    if problems:
        raise ApplyError("it is not clear what to write, nothing was written:\n  " + "\n  ".join(problems))
    job = Job(plan, state, entries, sources, frozenset(kept))
    check_fit(job, overwrite)
    warn_of_unmet(plan)
    done = carry_out(job, where, skipped)
    for entry in stale:
        weight = state.slots[sources[entry.name]].weight
        assert weight is not None
        estimate_singular_vectors(weight, plan, entry)
        refresh(weight)
    return done


def _absent(entry: Entry, state: State, given: dict[str, list[str]]) -> tuple[bool, str, list[str]]:
    """Whether a tensor was not loaded, the name under which it is right, and what is wrong."""
    names = [name for name in (entry.name, *entry.ties) if name in state.slots]
    weight = state.slots[names[0]].weight
    if weight is not None:
        return _absent_carriers(names[0], weight, given)
    loaded = [name for name in names if name not in given]
    if not loaded:
        return True, names[0], []
    first = state.tensor(loaded[0])
    for name in loaded[1:]:
        other = state.tensor(name)
        have_values = not has_no_values(first) and not has_no_values(other)
        if have_values and not same_memory(first, other) and not _equal(first, other):
            return False, loaded[0], [f"one tensor with {name} in the plan, and they were loaded with different values"]
    shared = [name for name in names if name in given and same_memory(state.tensor(name), first)]
    if not shared:  # a missing name that was torn from the loaded one is tied to it again
        return False, next((name for name in loaded if not has_no_values(state.tensor(name))), loaded[0]), []
    if has_no_values(first):
        return True, names[0], []
    listed, others = ", ".join(shared), ", ".join(loaded)
    problem = (
        f"one tensor whose name {listed} is missing and whose name {others} is not: if it was loaded under that name, "
        f"leave {listed} out of `missing`; if it is to be written, add {others}"
    )
    return False, loaded[0], [problem]


def _absent_carriers(name: str, weight: Parametrised, given: dict[str, list[str]]) -> tuple[bool, str, list[str]]:
    """The same for a weight that is computed from others: which of those were given?"""
    texts = given.get(name, [])
    absent = {carrier for carrier in weight.carriers if any(text.endswith(carrier) for text in texts)}
    if texts and not absent:  # the weight itself was named; the older spectral_norm lists it besides the others
        absent = set(weight.carriers)
    main = weight.carriers[0]
    if main in absent and (weight.kind != "weight_norm" or len(absent) == 2):
        return True, name, []
    if not absent or weight.kind == "spectral_norm":  # u and v alone: estimated from the loaded weight
        return False, name, []
    present = sorted(set(weight.carriers) - absent)
    return False, name, [f"of the tensors it is computed from, {', '.join(present)} was loaded and others not"]


def _equal(first: torch.Tensor, second: torch.Tensor) -> bool:
    import torch

    here = [local_tensors(tensor) for tensor in (first, second)]
    return (
        first.shape == second.shape
        and len(here[0]) == len(here[1])
        and all(a.shape == b.shape and torch.equal(a.to(b.device), b) for a, b in zip(*here, strict=True))
    )
