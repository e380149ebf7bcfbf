"""The stage of a traced run: a model with other tensors in it, without wrappers, and as it was afterwards."""

from __future__ import annotations

import random
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_map_only

from wellbegun.graph.framework import random_states_kept
from wellbegun.graph.names import wrapped
from wellbegun.graph.parametrised import show_weights

_TABLES = ("_parameters", "_buffers", "_modules")
_CONTAINERS = (dict, OrderedDict, list, set)
_SETTINGS = {"use_cache": False, "_attn_implementation": "eager", "_experts_implementation": "batched_mm"}
"""Of configurations: products that can be seen one by one, and shapes that do not depend on values."""


@contextmanager
def staged(
    model: torch.nn.Module, tensors: Mapping[str, torch.Tensor], convert: Callable[[torch.Tensor], torch.Tensor]
) -> Iterator[None]:
    """Put other tensors into a model for one forward pass, and undo that and all that the pass changes.

    Args:
        model: any, with wrappers inside it or not.
        tensors: what each parameter and buffer shall be, by its name in the model.
        convert: what a tensor shall be that a module holds besides its parameters and buffers.
    """
    with ExitStack() as stack:
        stack.enter_context(attributes_kept(model))
        stack.enter_context(_fused_layers_off())
        stack.enter_context(random_states_kept())
        _seed()
        known = put_tensors(model, tensors)
        for module in model.modules():
            _convert_attributes(module, known, convert)
        stack.enter_context(_configurations(model))
        if _is_pretrained(model):
            model.eval()  # the layers that some of them leave out by chance in training belong to the plan
        _unwrap(model)
        show_weights(model)
        drop_sharding_hooks(model)
        if "torch._dynamo" in sys.modules:
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        stack.enter_context(torch.no_grad())
        yield


class Attributes:
    """What the modules of a model hold at a moment: their attributes, and what is in the containers among them."""

    def __init__(self, model: torch.nn.Module) -> None:
        self._kept = [(module, dict(vars(module))) for module in model.modules()]
        held = [value for _, attributes in self._kept for value in attributes.values() if type(value) in _CONTAINERS]
        self._contents = [(value, value.copy() if value else ()) for value in held]

    def restore(self) -> None:
        """Put everything back."""
        for module, attributes in self._kept:
            vars(module).clear()
            vars(module).update(attributes)
        for value, content in self._contents:
            if not (value or content):
                continue
            value.clear()
            value.extend(content) if isinstance(value, list) else value.update(content)


@contextmanager
def attributes_kept(model: torch.nn.Module) -> Iterator[None]:
    """Undo what a forward pass sets on modules (a cache, hooks), also in the containers that they hold."""
    kept = Attributes(model)
    try:
        yield
    finally:
        kept.restore()


def put_tensors(model: torch.nn.Module, tensors: Mapping[str, torch.Tensor]) -> dict[int, torch.Tensor]:
    """Put the tensors into the tables of the modules; return them by the identity of what was there."""
    known = {}
    for name, tensor in tensors.items():
        path, _, attribute = name.rpartition(".")
        module = model.get_submodule(path)
        table: dict[str, Any] = module._parameters if attribute in module._parameters else module._buffers
        known[id(table[attribute])] = tensor
        table[attribute] = tensor
    return known


def _convert_attributes(
    module: torch.nn.Module, known: Mapping[int, torch.Tensor], convert: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    def converted(tensor: torch.Tensor) -> torch.Tensor:
        return known[id(tensor)] if id(tensor) in known else convert(tensor)

    for name, value in list(vars(module).items()):
        if isinstance(value, torch.Tensor) or (isinstance(value, (list, tuple)) and name not in _TABLES):
            vars(module)[name] = tree_map_only(torch.Tensor, converted, value)


def _unwrap(model: torch.nn.Module) -> None:
    for module in list(model.modules()):
        for name, child in module._modules.items():
            inside = child
            while inside is not None and (deeper := wrapped(inside)) is not None:
                inside = deeper
            module._modules[name] = inside


def drop_sharding_hooks(model: torch.nn.Module) -> None:
    """Hooks that gather and shard tensors around a forward would meet tensors that are whole already."""
    for module in model.modules():
        for hooks in (module._forward_pre_hooks, module._forward_hooks):
            for key, hook in list(hooks.items()):
                function = getattr(hook, "func", hook)
                if str(getattr(function, "__module__", "")).startswith("torch.distributed."):
                    del hooks[key]


@contextmanager
def _fused_layers_off() -> Iterator[None]:
    """Whole encoder layers that torch runs as one operation in evaluation mode would hide their weights' uses."""
    enabled = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(enabled)


@contextmanager
def _configurations(model: torch.nn.Module) -> Iterator[None]:
    """Settings of the configurations of transformers under which every product can be seen."""
    kept = [(configuration, dict(vars(configuration))) for configuration in configurations(model)]
    try:
        for configuration, attributes in kept:
            for name, value in _SETTINGS.items():
                internal = f"{name}_internal"
                if internal in attributes or name in attributes:
                    vars(configuration)[internal if internal in attributes else name] = value
        yield
    finally:
        for configuration, attributes in kept:
            vars(configuration).clear()
            vars(configuration).update(attributes)


def configurations(model: torch.nn.Module) -> list[Any]:
    """Return the configurations of transformers that the modules of a model hold, those inside others too."""
    kind = getattr(sys.modules.get("transformers.configuration_utils"), "PreTrainedConfig", None)
    if kind is None:
        return []
    found: dict[int, Any] = {}
    waiting = [vars(module).get("config") for module in model.modules()]
    while waiting:
        value = waiting.pop()
        if isinstance(value, kind) and id(value) not in found:
            found[id(value)] = value
            waiting.extend(vars(value).values())
    return list(found.values())


def _is_pretrained(model: torch.nn.Module) -> bool:
    kind = getattr(sys.modules.get("transformers.modeling_utils"), "PreTrainedModel", None)
    return kind is not None and isinstance(model, kind)


def _seed() -> None:
    """Give what the forward draws a fixed start, on the CPU; the states before are given back in the end."""
    torch.default_generator.manual_seed(0)
    np.random.seed(0)
    random.seed(0)
