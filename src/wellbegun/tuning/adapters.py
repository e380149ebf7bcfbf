"""wb.plan_adapters: starts for low-rank adapters that leave the network's function as it was."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from wellbegun.errors import ArgumentError, UnknownNameError
from wellbegun.graph.framework import check_module
from wellbegun.laws import Constant, FanInUniform, Fans, Law, Normal
from wellbegun.plans import Plan

if TYPE_CHECKING:
    import torch

    from wellbegun.tuning.lora import Adapter

Change = tuple[Law, str]

_SOURCES = {
    "kaiming": "Hu et al. (2021), LoRA, section 4.1; Hayou, Ghosh and Yu (2024) on A against B",
    "gaussian": "Hu et al. (2021), LoRA, section 4.1; PEFT's init_lora_weights='gaussian'",
    "pissa": "Meng, Wang and Zhang (2024), PiSSA, section 3",
    "olora": "Büyükakyüz (2024), OLoRA, section 3",
    "orthogonal": "PEFT's init_lora_weights='orthogonal'",
}


def plan_adapters(
    model: torch.nn.Module,
    *,
    seed: int,
    method: str = "kaiming",
    adapter: str | None = None,
    rank_stabilized: bool = False,
) -> Plan:
    """Plan the start of every low-rank adapter of a model; the network computes what it computed without them.

    >>> import torch, wellbegun as wb
    >>> class Adapted(torch.nn.Module):
    ...     def __init__(self, base, rank, alpha):
    ...         super().__init__()
    ...         self.base, self.scaling = base, alpha / rank
    ...         self.lora_A = torch.nn.Parameter(torch.empty(rank, base.in_features))
    ...         self.lora_B = torch.nn.Parameter(torch.empty(base.out_features, rank))
    ...     def forward(self, x):
    ...         return self.base(x) + self.scaling * (x @ self.lora_A.T @ self.lora_B.T)
    >>> base, x = torch.nn.Linear(8, 6), torch.ones(1, 8)
    >>> before = base(x)
    >>> model = torch.nn.Sequential(Adapted(base, rank=2, alpha=4))
    >>> done = wb.apply(wb.plan_adapters(model, seed=7, method="pissa"), model)
    >>> torch.allclose(model(x), before, atol=1e-6), done.written, done.kept
    (True, 3, 1)

    Need: trained weights, adapters and new parts
    Formula: the layer computes W·x + s·B·A·x, with s = alpha / rank, or alpha / sqrt(rank) (rank-stabilised).
        kaiming: A uniform ±1/sqrt(inputs), B = 0. gaussian: A normal with std 1/rank, B = 0. pissa: with the singular
        values S of W, B = U_r·sqrt(S_r / s), A = sqrt(S_r / s)·V_r. olora: W = Q·R, B the first columns of Q, A the
        first rows of R. Both put W - s·B·A in place of W. orthogonal: rows of one random rotation, the even ones in
        B and the odd ones in A, so that B·A = 0 and neither is.
    Use it for: models with adapters of PEFT, or layers that call their parts lora_A, lora_B (tensors or linear
        layers), base_layer, base, linear or weight, and scaling or alpha. kaiming is the usual start; pissa and olora
        begin with W's largest directions.
    Not for: quantised weights with pissa and olora, which change W. A and B both zero have no gradient: no method here
        does that.
    Args:
        model: with its weights loaded. Everything that is not named above keeps its own value.
        seed: with the names it decides the random numbers, so that layers differ and parts of sharded ones agree.
        method: "kaiming", "gaussian", "pissa", "olora" or "orthogonal".
        adapter: name of the adapter where layers have several; left out: all of them.
        rank_stabilized: say that s shall be alpha / sqrt(rank), and have it checked. s is a factor of the forward pass
            and no weight: the model's layers hold it.
    Source: Hu et al. (2021), "LoRA: Low-Rank Adaptation of Large Language Models"; Kalajdzievski (2023), rsLoRA; Meng,
        Wang and Zhang (2024), "PiSSA"; Büyükakyüz (2024), "OLoRA". W - s·B·A is computed in float64 from A and B as
        they are stored.

    Raises:
        ArgumentError: there is no such adapter; a rank is too large or odd; s is not known or not what was asked for; a
            weight that must be changed is on meta, sharded or quantised.
    """
    model = check_module(model, "planning adapters")
    from wellbegun.tuning.loaded import kept_plan, names_of
    from wellbegun.tuning.lora import find_adapters

    if method not in _SOURCES:
        raise UnknownNameError("start of adapters", str(method), _SOURCES)
    every = find_adapters(model)
    found = [one for one in every if adapter is None or one.key == adapter]
    if not found:
        known = sorted({one.key for one in every if one.key})
        raise ArgumentError(
            f"no adapter is called {adapter!r}; there are {', '.join(known) or 'only adapters without names'}"
            if every
            else "the model has no layer with lora_A and lora_B: put the adapters in first"
        )
    names = names_of(model)
    changes: dict[str, Change] = {}
    for one in found:
        _check_scaling(one, rank_stabilized)
        for tensor, change in _changes(one, method, seed, names):
            name = names[id(tensor)]
            if name in changes:
                raise ArgumentError(
                    f"{name} belongs to several adapters, and {method} changes it for one: pass adapter=..."
                )
            changes[name] = change
    plan = kept_plan(model, seed, f"adapters({method})")
    entries = []
    for entry in plan:
        if entry.name in changes:
            law, reason = changes[entry.name]
            role = "adapter" if entry.role == "loaded" else entry.role
            entry = replace(entry, law=law, initializer=repr(law), role=role, reason=reason, source=_SOURCES[method])
        entries.append(entry)
    return replace(plan, entries=tuple(entries))


def _check_scaling(one: Adapter, rank_stabilized: bool) -> None:
    if not rank_stabilized:
        return
    if one.alpha is None or one.scaling is None:
        raise ArgumentError(
            f"{one.layer}: alpha and scaling are not known, so nobody can tell whether it is rank-stabilised"
        )
    wanted = one.alpha / math.sqrt(one.rank)
    if not math.isclose(one.scaling, wanted, rel_tol=1e-6):
        raise ArgumentError(
            f"{one.layer}: the forward pass multiplies by {one.scaling:g}, rank-stabilised is alpha/sqrt(rank) = "
            f"{wanted:g}; set the layer's scaling (use_rslora=True in PEFT)"
        )


def _changes(one: Adapter, method: str, seed: int, names: dict[int, str]) -> list[tuple[torch.Tensor, Change]]:
    """Each tensor that gets a law, with its law and the reason."""
    factor = "" if one.scaling is None else f"; the forward pass multiplies B·A by {one.scaling:g}"
    inputs = math.prod(one.down.shape[1:])
    if one.looks_up:
        if method not in ("kaiming", "gaussian"):
            raise ArgumentError(
                f"{one.layer}: {method} is not defined for look-up tables; plan those with method='kaiming'"
            )
        zero, random = (
            (Constant(0.0), "A = 0: the table's rows stay as they were" + factor),
            (Normal(1.0), "B normal, as tables are"),
        )
        return [(one.down, zero), (one.up, random)]
    if method in ("kaiming", "gaussian"):
        law = FanInUniform().law(Fans(inputs, one.rank)) if method == "kaiming" else Normal(1 / one.rank)
        how = "uniform ±1/sqrt(inputs)" if method == "kaiming" else "normal with std 1/rank"
        return [
            (one.down, (law, f"A {how}, so that B has a gradient in the first step{factor}")),
            (one.up, (Constant(0.0), "B = 0: the network starts as it was without the adapter")),
        ]
    from wellbegun.tuning.factored import orthogonal_pair, split_weight

    if method == "orthogonal":
        down, up = orthogonal_pair(one, seed, names[id(one.down)])
        reason = "rows of one rotation: B·A = 0, and both have gradients" + factor
        return [(one.down, (down, reason)), (one.up, (up, reason))]
    base = one.base
    name = "" if base is None else names.get(id(base), "")
    down, up, rest = split_weight(one, method, name)
    part = "largest singular directions" if method == "pissa" else "first columns of Q and rows of R"
    assert base is not None
    return [
        (one.down, (down, f"the {one.rank} {part} of {name}{factor}")),
        (one.up, (up, f"the {one.rank} {part} of {name}")),
        (base, (rest, "W - s·B·A: with the adapter the layer computes what it computed before")),
    ]
