"""Tracing one forward pass on meta tensors: no weights in memory, any Python control flow, ties visible."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

from wellbegun.errors import ArgumentError, TraceError
from wellbegun.graph.framework import random_states_kept
from wellbegun.graph.graph import Graph
from wellbegun.graph.inputs import example_inputs, to_meta
from wellbegun.graph.parametrised import find_parametrised
from wellbegun.graph.recorder import Recorder
from wellbegun.graph.variable import collect_variables


def trace(model: torch.nn.Module, inputs: Any = None) -> Graph:
    """Run the model's forward once on meta tensors and return what it did.

    Args:
        model: on any device, meta included; neither it nor any random state is changed.
        inputs: see `example_inputs`. Real floating-point tensors also give the second moment of the data.

    Raises:
        TraceError: the model's forward fails; its own error is given, and where.
    """
    arguments, keywords = example_inputs(model, inputs)
    variables = collect_variables(model)
    state: dict[str, torch.Tensor] = {}
    parametrised = {weight.path + weight.name: weight for weight in find_parametrised(model)}
    carriers = {weight.path + carrier for weight in parametrised.values() for carrier in weight.carriers}
    recorder = Recorder(frozenset(variable.name for variable in variables if variable.packed))
    for variable in variables:
        dtype = getattr(torch, variable.dtype)
        meta = torch.empty(variable.shape, dtype=dtype, device="meta")
        state |= dict.fromkeys((variable.name, *variable.ties), meta)
        recorder.know_variable(meta, variable.name)
    real = tree_leaves((arguments, keywords))
    arguments, keywords = to_meta(arguments), to_meta(keywords)
    for original, meta in zip(real, tree_leaves((arguments, keywords)), strict=True):
        if isinstance(meta, torch.Tensor):
            recorder.know_input(meta, _second_moment(original))
    try:
        with attributes_kept(model), random_states_kept(), torch.no_grad(), recorder:
            for name, weight in parametrised.items():  # which is computed from others: the pass sees what it is
                weight.read_as(state.pop(name))
            result = torch.func.functional_call(model, state, arguments, keywords)
            known = carriers | set(state)
            made = [name for name, _ in model.named_parameters(remove_duplicate=False) if name not in known]
    except Exception as error:
        raise TraceError(_failure(model, arguments, keywords, error)) from error
    if made:
        raise TraceError(
            f"the forward pass makes parameters ({', '.join(made)}); "
            "make them in the constructor, so that they can be planned"
        )
    outputs = (recorder.result_of(leaf) for leaf in tree_leaves(_plain(result)) if isinstance(leaf, torch.Tensor))
    return recorder.graph(variables, tuple(dict.fromkeys(index for index in outputs if index is not None)))


@contextmanager
def attributes_kept(model: torch.nn.Module) -> Iterator[None]:
    """Undo what a forward pass sets on modules (a cache, say), which would be meta tensors here."""
    tables = ("_parameters", "_buffers", "_modules")
    kept = [(module, dict(vars(module)), [dict(vars(module)[t]) for t in tables]) for module in model.modules()]
    try:
        yield
    finally:
        for module, attributes, contents in kept:
            vars(module).clear()
            vars(module).update(attributes)
            for table, content in zip(tables, contents, strict=True):
                attributes[table].clear()
                attributes[table].update(content)


def _second_moment(value: object) -> float | None:
    """Of the values as they are: whole numbers too, which a model may turn into floats (pixels from 0 to 255)."""
    if not isinstance(value, torch.Tensor) or value.is_meta or not value.numel() or value.dtype == torch.bool:
        return None
    wide = torch.complex128 if value.is_complex() else torch.float64
    moment = float(value.detach().to(wide).abs().square().mean())
    if not math.isfinite(moment):
        raise ArgumentError(f"the example input of shape {tuple(value.shape)} holds values that are not finite")
    return moment if moment > 0 else None


def _plain(result: Any) -> Any:
    """A model output object of transformers is a mapping: take its values."""
    return list(result.values()) if isinstance(result, dict) else result


def _failure(model: torch.nn.Module, arguments: Any, keywords: Any, error: Exception) -> str:
    shapes = [f"{tuple(leaf.shape)}" for leaf in tree_leaves((arguments, keywords)) if isinstance(leaf, torch.Tensor)]
    place = _place(error, type(model).forward)
    return (
        f"the forward pass of {type(model).__name__} failed while it was traced on meta tensors with inputs of shape "
        f"{', '.join(shapes) or '(none)'}{place}: {type(error).__name__}: {error}. "
        "If the shape is wrong, pass inputs=... (a batch, or a spec such as 'image:3x224x224'); if the forward needs "
        "real values, it cannot be planned by tracing yet: use rules for each parameter."
    )


def _place(error: Exception, forward: Callable[..., Any]) -> str:
    """File and line of the last frame outside of torch and of this package."""
    found = ""
    step = error.__traceback__
    while step is not None:
        file = step.tb_frame.f_code.co_filename
        if "/torch/" not in file and "/wellbegun/graph/" not in file:
            found = f" (at {file}:{step.tb_lineno})"
        step = step.tb_next
    return found or f" (in {forward.__qualname__})"
