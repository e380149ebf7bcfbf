"""Canonical names: those of the model without its wrappers, which are known by type and never by their names."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_WRAPPERS = (
    ("torch._dynamo.eval_frame", "OptimizedModule", "_orig_mod"),
    ("torch.nn.parallel", "DistributedDataParallel", "module"),
    ("torch.nn.parallel", "DataParallel", "module"),
    ("torch.distributed.fsdp", "FullyShardedDataParallel", "_fsdp_wrapped_module"),
    (
        "torch.distributed.algorithms._checkpoint.checkpoint_wrapper",
        "ActivationWrapper",
        "_checkpoint_wrapped_module",
    ),
)
"""Wrappers that compute what the module inside computes: (Python module, class, attribute that holds the inside)."""

_ADAPTERS = (
    ("peft.peft_model", "PeftModel", "base_model"),
    ("peft.tuners.tuners_utils", "BaseTuner", "model"),
    ("peft.tuners.tuners_utils", "BaseTunerLayer", "base_layer"),
    ("peft.utils.other", "AuxiliaryTrainingWrapper", "original_module"),
)
"""Wrappers that add parameters of their own to those of the module inside."""


def wrapped(module: torch.nn.Module) -> torch.nn.Module | None:
    """Return the module that a wrapper of torch computes with, or None if this is no such wrapper.

    >>> import torch
    >>> inside = torch.nn.Linear(2, 2)
    >>> wrapped(torch.nn.DataParallel(inside)) is inside, wrapped(inside)
    (True, None)
    """
    component = _component(module, _WRAPPERS)
    inside: torch.nn.Module | None = module._modules[component] if component else None
    return inside


def unwrap(module: torch.nn.Module) -> torch.nn.Module:
    """Return the module inside all wrappers, also inside adapters that hold no tensor of their own outside of it.

    >>> import torch
    >>> inside = torch.nn.Linear(2, 2)
    >>> unwrap(torch.nn.DataParallel(torch.nn.DataParallel(inside))) is inside
    True
    """
    while component := _component(module, _WRAPPERS + _ADAPTERS):
        inside = module._modules[component]
        if inside is None or len(_tensors(inside)) < len(_tensors(module)):
            break
        module = inside
    return module


def canonical_names(model: torch.nn.Module) -> dict[str, str]:
    """Return {name in the model: canonical name} of every parameter and buffer, each name of a tied one.

    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.DataParallel(torch.nn.Linear(2, 2)))
    >>> canonical_names(model)
    {'0.module.weight': '0.weight', '0.module.bias': '0.bias'}

    model: with wrappers at any depth (torch.compile, data parallelism, activation checkpointing, PEFT). A component
    of a name is left out where the module there is a wrapper by its type. A canonical name that would stand for two
    tensors is used for neither.
    """
    shortened = {path + key: short + key for path, short, key in _tensors(model)}
    holders = Counter(shortened.values())
    return {name: short if holders[short] == 1 else name for name, short in shortened.items()}


def _tensors(model: torch.nn.Module) -> list[tuple[str, str, str]]:
    """(path, canonical path, attribute) of every parameter, then of every buffer, in the order of `named_parameters`.

    Not through that method, which some wrappers override.
    """
    modules: list[tuple[str, str, torch.nn.Module]] = []
    _walk(model, "", "", modules, frozenset())
    parameters = [
        (path, short, k) for path, short, m in modules for k, held in m._parameters.items() if held is not None
    ]
    buffers = [(path, short, k) for path, short, m in modules for k, held in m._buffers.items() if held is not None]
    return parameters + buffers


def _walk(
    module: torch.nn.Module,
    path: str,
    short: str,
    found: list[tuple[str, str, torch.nn.Module]],
    above: frozenset[int],
) -> None:
    found.append((path, short, module))
    component, above = _component(module, _WRAPPERS + _ADAPTERS), above | {id(module)}
    for key, child in module._modules.items():
        if child is not None and id(child) not in above:  # not a module inside itself
            _walk(child, f"{path}{key}.", short if key == component else f"{short}{key}.", found, above)


def _component(module: torch.nn.Module, table: tuple[tuple[str, str, str], ...]) -> str:
    """The attribute in which this module, if it is a wrapper, holds the module inside; "" if it is none."""
    for place, name, component in table:
        if component in module._modules:
            kind = getattr(sys.modules.get(place), name, None)
            if isinstance(kind, type) and isinstance(module, kind):
                return component
    return ""
