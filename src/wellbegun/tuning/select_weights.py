"""wb.select_weights: a small model that starts with evenly spaced channels of a larger, trained one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wellbegun.errors import ArgumentError
from wellbegun.plans import Plan
from wellbegun.targets.fit import check_plan
from wellbegun.tuning.notes import marked, noted
from wellbegun.tuning.transfer import array_from, in_state, is_float, is_named, some_names, state_of, with_numbers

SUFFIX = ", with selected weights"
SOURCE = "Xu et al. (2024), Initializing Models with Larger Ones"
_PURPOSE = "selecting weights"


def select_weights(plan: Plan, larger: Any, *, leave: str | Iterable[str] = ()) -> Plan:
    """Take the numbers of a smaller model from a larger, trained one of the same family, evenly from each dimension.

    >>> import torch, wellbegun as wb
    >>> def build(width):
    ...     return torch.nn.Sequential(torch.nn.Linear(4, width), torch.nn.ReLU(), torch.nn.Linear(width, 3))
    >>> larger, model = build(8), build(4)  # larger: trained
    >>> plan = wb.select_weights(wb.plan(model, "vector:4", seed=7), larger)
    >>> done = wb.apply(plan, model)
    >>> torch.equal(model[0].weight, larger[0].weight[::2]), torch.equal(model[2].weight, larger[2].weight[:, ::2])
    (True, True)

    Need: trained weights, adapters and new parts
    Formula: element i of a dimension of s comes from element floor(i·S/s) of the larger one's S, in every dimension
        alike: tensors that share a width keep the same channels, and packed queries, keys and values stay in their
        thirds. Layers go by their names: the first ones of the larger model.
    Use it for: a small vision transformer, ConvNeXt or MLP of a family that has a larger pretrained one: it learns
        faster and further on small data sets than from random numbers.
    Not for: heads of other classes: name them in `leave`, they keep the plan's laws. Models whose layers have other
        names. The result does not compute what the larger model does.
    Args:
        plan: for the small model; its laws stay where nothing is selected.
        larger: the trained model, or its state dict.
        leave: names or patterns of tensors that are not selected, such as "head.*".
    Source: Xu et al. (2024), "Initializing Models with Larger Ones" (uniform selection, first layers), and its
        published code, whose indices these are where S is a multiple of s.

    Returns:
        The plan with stored numbers, which can be applied to a sharded model as any other; it holds as many numbers as
        the small model has.

    Raises:
        ArgumentError: a tensor has another number of dimensions, or is larger than in the larger model; none is found
            there; one is on meta, on several processes or quantised.
    """
    check_plan(plan)
    state = state_of(larger, _PURPOSE)
    leave = _left(plan, leave)
    entries, problems, selected = [], [], 0
    for entry in plan:
        name = in_state(state, entry)
        if is_named(entry, leave) or entry.law.keeps:
            entries.append(noted(entry, "not selected: left to the plan"))
        elif not name or not is_float(state[name]):
            why = "the larger model has no such tensor" if not name else "it holds no learnt numbers"
            entries.append(noted(entry, f"not selected: {why}"))
        elif not _fits(tuple(state[name].shape), entry.shape):
            problems.append(f"{entry.name}: {list(entry.shape)} here, {list(state[name].shape)} in the larger model")
        else:
            numbers = uniform_selection(array_from(state[name], name, _PURPOSE), entry.shape)
            steps = " × ".join(f"{s} of {full}" for s, full in zip(entry.shape, state[name].shape, strict=True))
            reason = f"selected from {name} of the larger model: {steps or 'its number'}, evenly"
            entries.append(with_numbers(entry, numbers, reason, SOURCE))
            selected += 1
    if problems:
        raise ArgumentError(
            "these tensors cannot be selected from the larger model; name them in `leave` if they shall keep the "
            "plan's laws:\n  " + "\n  ".join(problems)
        )
    if not selected:
        raise ArgumentError(
            f"nothing is left to select: the plan has {plan.entries[0].name}, ..., the model "
            f"{next(iter(state), 'nothing')}, ...; the two must be of one family, with the same names, and not all of "
            "them in `leave`"
        )
    return replace(plan, entries=tuple(entries), recipe=marked(plan.recipe, SUFFIX))


def _left(plan: Plan, leave: Any) -> tuple[str, ...]:
    """The patterns of `leave`, each of which names something: a mistyped one would select what it was to protect."""
    listed = (leave,) if isinstance(leave, str) else tuple(leave) if isinstance(leave, Iterable) else (leave,)
    for pattern in listed:
        if not isinstance(pattern, str):
            raise ArgumentError(f"leave must be names or patterns of names, such as 'head.*', got {pattern!r}")
        if not any(is_named(entry, pattern) for entry in plan):
            raise ArgumentError(f"leave names no tensor of the plan: {pattern!r}; its names: {some_names(plan)}")
    return listed


def uniform_selection(numbers: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return elements at even distances of each dimension, from the first on.

    >>> uniform_selection(np.arange(6), (4,)).tolist()
    [0, 1, 3, 4]
    """
    for axis, size in enumerate(shape):
        numbers = numbers.take(np.arange(size) * numbers.shape[axis] // size, axis)
    return numbers


def _fits(larger: tuple[int, ...], smaller: tuple[int, ...]) -> bool:
    return len(larger) == len(smaller) and all(0 < s <= full for s, full in zip(smaller, larger, strict=True))
