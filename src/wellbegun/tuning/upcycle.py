"""wb.upcycle: a model with experts that starts as the dense model it came from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from wellbegun.errors import ArgumentError
from wellbegun.plans import Entry, Plan
from wellbegun.targets.fit import check_plan
from wellbegun.tuning.notes import marked, noted
from wellbegun.tuning.transfer import array_from, in_state, is_float, some_names, state_of, with_numbers

if TYPE_CHECKING:
    import torch

SUFFIX = ", upcycled"
SOURCE = "Komatsuzaki et al. (2023), Sparse Upcycling"
_PURPOSE = "upcycling"


def upcycle(plan: Plan, dense: Any, experts: Mapping[str, str]) -> Plan:
    """Give every expert the weights of the dense model's feed-forward layer, and all that both have its numbers.

    >>> import torch, wellbegun as wb
    >>> class Experts(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.router = torch.nn.Linear(4, 3, bias=False)
    ...         self.experts = torch.nn.ModuleList(torch.nn.Linear(4, 4) for _ in range(3))
    ...     def forward(self, x):
    ...         shares = torch.softmax(self.router(x), -1)
    ...         return sum(shares[:, i : i + 1] * expert(x) for i, expert in enumerate(self.experts))
    >>> dense, model = torch.nn.Sequential(torch.nn.Linear(4, 4)), torch.nn.Sequential(Experts())
    >>> names = {"0.experts.{}.weight": "0.weight", "0.experts.{}.bias": "0.bias"}
    >>> done = wb.apply(wb.upcycle(wb.plan(model, "vector:4", seed=7), dense, names), model)
    >>> x = torch.ones(2, 4)
    >>> torch.allclose(model(x), dense(x), atol=1e-6)  # the shares sum up to 1
    True

    Need: outputs, policies, routers and experts
    Formula: W_e = W of the dense layer for every expert e; routers and all else that the dense model lacks keep the
        plan's laws; tensors of one name and shape are copied.
    Use it for: going on with a trained dense model as one with experts. The experts part as soon as the router sends
        them different tokens: routers must not start at 0 here.
    Not for: experts from nothing (recipe `switch`). The model computes what the dense one did only where the shares of
        the chosen experts sum up to 1; else its branch is smaller by their sum.
    Args:
        plan: for the model with experts; it gives routers and everything else that is new.
        dense: the trained model, or its state dict.
        experts: {name in the model with experts: name in the dense model}. {} in a name stands for an expert's number,
            {layer} (any word) for a part that both names share: {"blocks.{layer}.experts.{}.up.weight":
            "blocks.{layer}.up.weight"}. A tensor that stacks all experts in its first dimension is named without {}.
    Source: Komatsuzaki et al. (2023), "Sparse Upcycling: Training Mixture-of-Experts from Dense Checkpoints".

    Returns:
        The plan with stored numbers; it can be applied to a sharded model as any other, and holds as many numbers as
        the model has.

    Raises:
        ArgumentError: a name matches nothing, or the dense model lacks what it leads to; shapes do not fit; a tensor is
            on meta, on several processes or quantised.
    """
    check_plan(plan)
    state = state_of(dense, _PURPOSE)
    if not isinstance(experts, Mapping) or not experts:
        raise ArgumentError(
            "experts must be {name of an expert's tensor: name in the dense model}, such as "
            "{'blocks.{layer}.experts.{}.up.weight': 'blocks.{layer}.up.weight'}"
        )
    for new, old in experts.items():
        _check_pair(new, old)
    patterns = [(_pattern(new), new, old) for new, old in experts.items()]
    met: set[str] = set()
    entries = []
    for entry in plan:
        found = next(((m, new, old) for p, new, old in patterns if (m := p.fullmatch(entry.name))), None)
        if found is not None:
            match, new, old = found
            met.add(new)
            entries.append(_expert(entry, state, old.format_map(match.groupdict()), new))
            continue
        name = in_state(state, entry)
        if name and tuple(state[name].shape) == entry.shape and is_float(state[name]) and not entry.law.keeps:
            numbers = array_from(state[name], name, _PURPOSE)
            entries.append(with_numbers(entry, numbers, f"copied from {name} of the dense model", SOURCE))
        else:
            entries.append(noted(entry, "new: not in the dense model"))
    unmet = [new for _, new, _ in patterns if new not in met]
    if unmet:
        raise ArgumentError(f"no tensor of the plan is called {', '.join(unmet)}; its names: {some_names(plan)}")
    return replace(plan, entries=tuple(entries), recipe=marked(plan.recipe, SUFFIX))


def _check_pair(new: object, old: object) -> None:
    """Raise ArgumentError unless every part that the dense name takes over is in the expert's name."""
    if not isinstance(new, str) or not isinstance(old, str):
        raise ArgumentError(f"experts must map names to names, got {new!r}: {old!r}")
    unknown = [part for part in re.findall(r"\{(.*?)\}", old) if not part or f"{{{part}}}" not in new]
    if unknown:
        raise ArgumentError(
            f"{old!r} has a part {{{unknown[0]}}} that {new!r} does not name; both must write a shared part alike, "
            "such as {layer}; {} is the expert's number, which no dense model has"
        )


def _pattern(name: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w*)\}", name)
    words = [re.escape(part) if i % 2 == 0 else _word(part) for i, part in enumerate(parts)]
    return re.compile("".join(words))


def _word(name: str) -> str:
    return f"(?P<{name}>[^.]+)" if name else "[^.]+"


def _expert(entry: Entry, state: Mapping[str, torch.Tensor], name: str, pattern: str) -> Entry:
    if name not in state:
        raise ArgumentError(f"the dense model has no tensor {name!r}, which {entry.name} ({pattern}) shall start from")
    numbers = array_from(state[name], name, _PURPOSE)
    if numbers.shape == entry.shape:
        return with_numbers(entry, numbers, f"one expert: a copy of {name} of the dense model", SOURCE)
    if numbers.shape == entry.shape[1:]:
        stacked = np.broadcast_to(numbers, entry.shape)
        return with_numbers(entry, stacked, f"{entry.shape[0]} experts: copies of {name} of the dense model", SOURCE)
    raise ArgumentError(
        f"{entry.name} has shape {list(entry.shape)}, and {name} of the dense model {list(numbers.shape)}: an expert "
        "has the same shape, a stack of experts one more dimension in front"
    )
