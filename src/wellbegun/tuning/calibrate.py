"""wb.calibrate: one forward pass on real data, and each weight at the second moment that its plan aims at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from wellbegun.errors import ArgumentError, CalibrationError
from wellbegun.graph.framework import check_module
from wellbegun.laws import Keep
from wellbegun.plans import Entry, Plan
from wellbegun.targets.fit import check_plan
from wellbegun.tuning.batch import read_batch
from wellbegun.tuning.notes import marked, with_note

if TYPE_CHECKING:
    import torch

    from wellbegun.tuning.corrected import Corrected

SUFFIX = ", calibrated"
"""Behind the recipe's name: the laws are no longer those of the recipe alone."""


def calibrate(
    plan: Plan, model: torch.nn.Module, batch: Any, *, target: float | None = None, centred: bool = False
) -> Plan:
    """Correct the scale of every weight of a plan to what one forward pass on real data shows.

    >>> import torch, wellbegun as wb
    >>> data = torch.randn(256, 64, generator=torch.Generator().manual_seed(0)).abs()
    >>> model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
    >>> better = calibrate(wb.plan(model, "vector:64", seed=7), model, data)
    >>> better["0.weight"].after, round(better["0.weight"].measured, 4)
    (1.0, 1.0)

    The network runs once on the values that the plan would write. As the result of each weight's operation appears,
    its second moment is measured (summed in float64), the weight is multiplied by the factor that brings it to its
    entry's target (`Entry.after`), and the run goes on with the corrected result, so that every layer is measured
    behind corrected layers. Biases keep their laws. Those that are random about zero, or take out a mean, count in the
    second moment, and the latter follow their weight; a bias with a mean of its own (a forget gate) is an offset
    that does not count.

    LSUV (Mishkin and Matas, 2016) is the special case of orthogonal laws and target=1, found without repeated passes.
    It looks at the variance; a target is a second moment E y², mean included. They agree where weights have mean zero
    and biases are zero, up to the scatter of a finite width; `centred=True` measures the variance as LSUV does.

    Need: scales measured on data or gradients
    Domain: any
    Formula: W_l becomes W_l·sqrt(target_l / E y_l²), layer by layer in one forward pass, with y_l the result of the
        operation behind all corrections before it; with `centred=True` Var y_l stands for E y_l².
    Use it for: networks and data that no formula knows: sums of branches, pooling, attention, inputs of odd sizes. With
        orthogonal laws and target=1 it is LSUV.
    Not for: layers in front of a batch or layer normalisation, which undoes it; batches of a few rows, or noise in
        place of data.

    A weight used several times gets its factor at the first use whose input is not zero. If its entry says so (`uses`
    above 1, with `before`), the ratio of output to input is corrected, not the output alone.

    Args:
        plan: made for this model, applied or not: its values are drawn anew.
        model: gives the forward pass, on any device; on meta, batches of the CPU. Its parameters, buffers, mode and
            hooks and the random states are as before afterwards. It runs in evaluation mode, without dropout, but
            batch normalisation takes the statistics of the batch, as in the first step of training.
        batch: real inputs, or a pair (inputs, targets) whose targets are not used, as for `wb.diagnose`.
        target: one second moment for all weights instead of those of the entries, which may have none.
        centred: bring the variance to the targets, and not the second moment.

    Returns:
        The plan with scaled laws. `Entry.measured` is the second moment that was reached, `Entry.reason` says from
        where and by which factor. Weights whose law is zero, and those that the batch did not reach, are left as they
        are; their reasons say so.

    Raises:
        ArgumentError: no entry has a target, or the batch or target is none.
        ApplyError: the plan is for another model.
        CalibrationError: a layer is dead: its result is zero or not finite, whatever the factor.
        TraceError: the model's forward pass fails; its own error is given.

    Source: Mishkin and Matas (2016), "All you need is a good init", algorithm 1, in one pass instead of repeated ones.
    """
    check_plan(plan)
    model = check_module(model, "calibrating a plan")
    read = read_batch(batch)
    if not isinstance(centred, bool):
        raise ArgumentError(f"centred must be True or False, got {centred!r}")
    targets = _targets(plan, target)
    import torch

    from wellbegun.tuning.correction import Correction
    from wellbegun.tuning.running import forward, on_values
    from wellbegun.tuning.values import by_every_name, planned_values

    values = planned_values(plan, model)
    correction = Correction(plan, values, targets, centred=centred, ratios=target is None)
    with on_values(model, by_every_name(plan, values, model), plan.seed), torch.no_grad(), correction:
        forward(model, read)
    for weight in correction.weights.values():
        if weight.starved and weight.reached is None:
            place = f" behind {weight.behind}" if weight.behind else ""
            raise CalibrationError(
                f"{weight.name}: every value that reaches it on this batch is zero, so nothing can be measured; look "
                f"at what lies in front of it{place} (dead units, a law of zeros, a batch of zeros)"
            )
    entries = tuple(_entry(entry, correction.weights.get(entry.name), targets, read.size, centred) for entry in plan)
    return replace(plan, entries=entries, recipe=marked(plan.recipe, SUFFIX))


def _targets(plan: Plan, target: float | None) -> dict[str, float]:
    """The second moment that each weight shall reach; weights whose law is zero, or kept, have none."""
    if target is None:
        wanted = {entry.name: entry.after for entry in plan if entry.after is not None and _multiplies(entry)}
        dead = [name for name, moment in wanted.items() if moment > 0 and _is_zero(plan[name])]
        if dead:
            raise CalibrationError(
                f"{', '.join(dead)}: the plan aims at a second moment of {wanted[dead[0]]:.4g} with weights that are "
                "all zero; give it a law that is not zero, or no target"
            )
    elif isinstance(target, bool) or not isinstance(target, (int, float)) or not 0 < target < float("inf"):
        raise ArgumentError(f"target must be a second moment above 0 such as 1.0, got {target!r}")
    else:
        wanted = {e.name: float(target) for e in plan if e.kind == "parameter" and _is_weight(e)}
    found = {name: moment for name, moment in wanted.items() if moment > 0 and _can_scale(plan[name])}
    if not found:
        raise ArgumentError(
            f"no weight of this plan (by {plan.recipe}) has a target and a law that can be scaled; pass target=1.0 to "
            "bring every weight's result to the second moment 1, as LSUV does"
        )
    return found


def _multiplies(entry: Entry) -> bool:
    """Whether a second moment behind an entry is about a product with it."""
    return not any(word in entry.role for word in ("bias", "normalisation"))


def _is_weight(entry: Entry) -> bool:
    return "weight" in entry.role and len(entry.shape) > 1


def _is_zero(entry: Entry) -> bool:
    return not entry.law.keeps and entry.law.moments(entry.shape) == (0.0, 0.0)


def _can_scale(entry: Entry) -> bool:
    return not entry.law.keeps and not _is_zero(entry)


def _entry(
    entry: Entry, weight: Corrected | None, targets: Mapping[str, float], size: int | None, centred: bool
) -> Entry:
    """The entry with what the run has found at it."""
    if entry.name not in targets:
        note = ""
        if weight is not None and _is_zero(entry):
            note = "left as it is by calibration: its law is zero"
        elif weight is not None and isinstance(entry.law, Keep):
            note = "left as it is by calibration: the plan keeps its own value"
        measured = None if weight is None else weight.second_moment
        return replace(entry, reason=with_note(entry.reason, note), measured=measured)
    if weight is None or weight.reached is None:
        return replace(entry, reason=with_note(entry.reason, "not calibrated: no product with it ran on the batch"))
    law = entry.law.scaled(weight.factor)
    inputs = "a batch" if size is None else f"a batch of {size}"
    what = "variance" if centred else "second moment"
    change = f"{what} {weight.found:.4g} -> {weight.reached:.4g} with factor {weight.factor:.4g}"
    note = f"calibrated on {inputs}: {change}"
    if weight.ratio != 1:
        note += f" where {weight.ratio:.4g} times as much flows in as planned"
    if weight.later:
        note += f" at the first of {1 + len(weight.later)} uses, {weight.later[-1]:.4g} at the last"
    reason = with_note(entry.reason, note)
    return replace(entry, law=law, initializer=repr(law), reason=reason, measured=weight.second_moment)
