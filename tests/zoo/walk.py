"""One architecture through the whole package: planned, accounted for, written over NaN, run, and its loss measured."""

from __future__ import annotations

import inspect
import math
import re
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

import wellbegun as wb
from wellbegun.errors import WellbegunError
from wellbegun.laws import Keep

SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Architecture:
    """A model to walk: how it is built, and what its forward takes."""

    name: str
    kind: str
    family: str
    build: Callable[[], torch.nn.Module]
    inputs: Callable[[torch.nn.Module, int], dict[str, Any] | tuple[Any, ...]]
    language: bool = False


@dataclass
class Result:
    """What the walk found about one architecture."""

    name: str
    kind: str
    family: str
    parameters: int = 0
    tensors: int = 0
    planned: bool = False
    own_inputs: bool = False
    text_alone: bool = False
    error: str = ""
    author: int = 0
    kept: int = 0
    missing: list[str] = field(default_factory=list)
    nan: list[str] = field(default_factory=list)
    differs: list[str] = field(default_factory=list)
    finite: bool | None = None
    excess: float | None = None
    seconds: float = 0.0


def walk(architecture: Architecture) -> Result:
    """Plan, apply over NaN, run; every error that is not one of wellbegun's own is let through.

    A forward pass on inputs that wellbegun makes itself is tried first, the zoo's own inputs second.
    """
    result = Result(architecture.name, architecture.kind, architecture.family)
    with quiet():
        model = architecture.build().eval()
        names = tensors_of(model)
        result.tensors = len(names)
        result.text_alone = _text_alone(model, architecture.inputs(model, 0))
        result.parameters = sum({id(p): p.numel() for p in model.parameters()}.values())
        start = time.perf_counter()
        plan = _planned(architecture, model, result)
        result.seconds = time.perf_counter() - start
        if plan is None:
            return result
        result.planned = True
        result.author = sum("author" in entry.reason and entry.kind == "parameter" for entry in plan)
        result.missing = _accounting(plan, names)
        result.kept = sum(isinstance(entry.law, Keep) for entry in plan)
        excesses = []
        for seed in SEEDS if architecture.language else SEEDS[:1]:
            _poison(plan, model)
            try:
                wb.apply(plan.with_seed(seed), model, overwrite=True)
            except WellbegunError as error:
                result.planned, result.error = False, f"{type(error).__name__}: {error}"
                return result
            result.nan += _nan(model)
            if seed == SEEDS[0]:
                result.differs = _differs(plan, architecture, model)
            output = _run(architecture, model, seed)
            result.finite = result.finite is not False and _is_finite(output)
            if architecture.language:
                excesses.append(_excess(output, seed))
        found = [excess for excess in excesses if excess is not None]
        result.excess = sum(found) / len(found) if found else None
    return result


def tensors_of(model: torch.nn.Module) -> list[tuple[str, ...]]:
    """All names of each parameter and buffer, non-persistent ones too; a tied tensor is one, with several names.

    The parts of a parametrised weight (its direction and length, say) are one tensor, by the weight's name.
    """
    names: dict[int, list[str]] = {}
    for listed in (model.named_parameters(remove_duplicate=False), model.named_buffers(remove_duplicate=False)):
        for name, tensor in listed:
            names.setdefault(id(tensor), []).append(name)
    return list(dict.fromkeys(tuple(map(_logical, group)) for group in names.values()))


def _logical(name: str) -> str:
    return re.sub(r"parametrizations\.([^.]+)\.[^.]+$", r"\1", name)


def _text_alone(model: torch.nn.Module, inputs: dict[str, Any] | tuple[Any, ...]) -> bool:
    """Whether a model that takes pictures or sounds beside a text is run on the text alone."""
    names = set(inspect.signature(model.forward).parameters)
    others = names & {"pixel_values", "input_features", "input_values"}
    return "input_ids" in inputs and bool(others) and not others & set(inputs) if isinstance(inputs, dict) else False


def _planned(architecture: Architecture, model: torch.nn.Module, result: Result) -> wb.Plan | None:
    inputs = None
    if not hasattr(model, "main_input_name"):
        inputs = architecture.inputs(model, 0)
    try:
        return wb.plan(architecture.build, inputs, seed=0)
    except WellbegunError as error:
        result.error = f"{type(error).__name__}: {error}"
    if inputs is not None or result.error.startswith("UnplannedError"):
        return None
    result.own_inputs = True
    try:
        plan = wb.plan(architecture.build, architecture.inputs(model, 0), seed=0)
    except WellbegunError as error:
        result.error = f"{type(error).__name__}: {error}"
        return None
    return plan


def _accounting(plan: wb.Plan, names: list[tuple[str, ...]]) -> list[str]:
    """Names of tensors that are not in exactly one entry with all their names."""
    planned = sorted(tuple(sorted((entry.name, *entry.ties))) for entry in plan)
    present = sorted(tuple(sorted(group)) for group in names)
    return [" = ".join(group) for group in {*planned} ^ {*present}]


def _poison(plan: wb.Plan, model: torch.nn.Module) -> None:
    """NaN into everything that the plan promises to write."""
    kept = {name for entry in plan if isinstance(entry.law, Keep) for name in (entry.name, *entry.ties)}
    with torch.no_grad():
        for listed in (model.named_parameters(), model.named_buffers()):
            for name, tensor in listed:
                if _logical(name) not in kept and tensor.is_floating_point():
                    tensor.fill_(math.nan)


def _nan(model: torch.nn.Module) -> list[str]:
    listed = [*model.named_parameters(), *model.named_buffers()]
    return [name for name, tensor in listed if tensor.is_floating_point() and bool(tensor.isnan().any())]


def _differs(plan: wb.Plan, architecture: Architecture, model: torch.nn.Module) -> list[str]:
    """Tensors of the same model, built without memory, that do not hold the same bits after the same plan."""
    with wb.skeleton():
        other = architecture.build()
    _poison(plan, other)
    wb.apply(plan, other)
    held = dict([*other.named_parameters(), *other.named_buffers()])
    wanted = dict([*model.named_parameters(), *model.named_buffers()])
    names = [name for name in wanted if name not in held or not _same(wanted[name], held[name])]
    return names + [name for name in held if name not in wanted]


def _same(first: torch.Tensor, second: torch.Tensor) -> bool:
    return not second.is_meta and first.dtype == second.dtype and torch.equal(first, second)


def _run(architecture: Architecture, model: torch.nn.Module, seed: int) -> Any:
    torch.manual_seed(seed)
    inputs = architecture.inputs(model, seed)
    with torch.no_grad():
        return model(**inputs) if isinstance(inputs, dict) else model(*inputs)


def _is_finite(output: Any) -> bool:
    """Whether no number is NaN; infinities are a mask's way to say "never" and are counted only in logits."""
    leaves = tree_leaves(dict(output) if isinstance(output, dict) else output)
    tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor) and leaf.is_floating_point()]
    logits = output.get("logits") if isinstance(output, dict) else None
    return not any(bool(t.isnan().any()) for t in tensors) and (
        not isinstance(logits, torch.Tensor) or bool(torch.isfinite(logits.float().max()))
    )


def _excess(output: Any, seed: int) -> float | None:
    """Cross-entropy against uniformly random tokens, less ln V: how far from knowing nothing the model starts."""
    logits = output.get("logits") if isinstance(output, dict) else None
    if not isinstance(logits, torch.Tensor) or logits.dim() < 3:
        return None
    rows = logits.detach().double().reshape(-1, logits.shape[-1])
    allowed = torch.isfinite(rows).all(0)
    rows = rows[:, allowed]
    # the mean over all targets of the cross-entropy is exact: no targets have to be drawn
    loss = (rows.logsumexp(-1) - rows.mean(-1)).mean()
    return float(loss) - math.log(rows.shape[-1])


@contextmanager
def quiet() -> Iterator[None]:
    """Models warn about their own affairs (deprecations, fast kernels that are not there); that is not tested here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
