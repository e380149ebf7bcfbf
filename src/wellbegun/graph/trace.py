"""Tracing one forward pass on meta tensors: no weights in memory, any Python control flow, ties visible."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

from wellbegun.errors import ArgumentError, TraceError
from wellbegun.graph.fallback import check_memory, copied, real_inputs, real_parameter
from wellbegun.graph.graph import Graph
from wellbegun.graph.inputs import example_inputs
from wellbegun.graph.names import canonical_names
from wellbegun.graph.parametrised import parametrised_weights
from wellbegun.graph.recorder import Recorder
from wellbegun.graph.stage import staged
from wellbegun.graph.variable import Variable, collect_variables
from wellbegun.graph.whole_numbers import WholeNumbers, on_meta_unless_whole


def trace(model: torch.nn.Module, inputs: Any = None) -> Graph:
    """Run the model's forward once on meta tensors and return what it did.

    A forward that asks for values (`.item()`, boolean masks) is run on small real tensors instead.

    Args:
        model: on any device, meta included; neither it nor any random state is changed.
        inputs: see `example_inputs`. Real floating-point tensors also give the second moment of the data.

    Raises:
        TraceError: the model's forward fails; its own error is given, and where.
    """
    example = example_inputs(model, inputs)
    given = inputs is not None and not isinstance(inputs, str)
    variables = collect_variables(model)
    moments = [_second_moment(leaf) if given else None for leaf in tree_leaves(example)]
    actual = {canonical: name for name, canonical in canonical_names(model).items()}
    recorder = Recorder(variables)
    listed = dict([*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)])
    own = {name: listed[there] for name, there in actual.items()}
    own |= {name: weight.tensor(weight.carriers[0]) for name, weight in parametrised_weights(model).items()}
    metas = {
        v.name: on_meta_unless_whole(own[v.name])
        if v.kind == "buffer"
        else torch.empty(v.shape, dtype=getattr(torch, v.dtype), device="meta")
        for v in variables
    }
    try:
        return _run(
            model, recorder, variables, actual, metas, on_meta_unless_whole, on_meta_unless_whole(example), moments
        )
    except TraceError:
        raise
    except Exception as failure:
        error = failure
    values = real_inputs(example, recorder.graph(variables, ()))
    check_memory(variables, error, type(model).__name__)
    reals = {v.name: real_parameter(v, own[v.name]) for v in variables}
    try:
        return _run(model, Recorder(variables), variables, actual, reals, copied, values, moments)
    except TraceError:
        raise
    except Exception as second:
        raise TraceError(_failure(model, values, second, error)) from second


def _run(
    model: torch.nn.Module,
    recorder: Recorder,
    variables: tuple[Variable, ...],
    actual: dict[str, str],
    tensors: dict[str, torch.Tensor],
    convert: Callable[[torch.Tensor], torch.Tensor],
    example: tuple[tuple[Any, ...], dict[str, Any]],
    moments: list[float | None],
) -> Graph:
    placed: dict[str, torch.Tensor] = {}
    computed = parametrised_weights(model)
    carriers = {id(weight.tensor(carrier)) for weight in computed.values() for carrier in weight.carriers}
    for variable in variables:
        recorder.know_variable(tensors[variable.name], variable.name)
        placed |= {actual[name]: tensors[variable.name] for name in (variable.name, *variable.ties) if name in actual}
    for leaf, moment in zip(tree_leaves(example), moments, strict=True):
        if isinstance(leaf, torch.Tensor):
            recorder.know_input(leaf, moment)
    with staged(model, placed, convert), WholeNumbers(), recorder:
        for variable in variables:
            for name in (variable.name, *variable.ties):
                if name in computed:
                    computed[name].read_as(tensors[variable.name])
        result = model(*example[0], **example[1])
        known = carriers | {id(tensor) for tensor in tensors.values()}
        made = [name for name, tensor in model.named_parameters() if id(tensor) not in known]
    if made:
        raise TraceError(
            f"the forward pass makes parameters ({', '.join(made)}); "
            "make them in the constructor, so that they can be planned"
        )
    outputs = (recorder.result_of(leaf) for leaf in tree_leaves(_plain(result)) if isinstance(leaf, torch.Tensor))
    return recorder.graph(variables, tuple(dict.fromkeys(index for index in outputs if index is not None)))


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


def _failure(model: torch.nn.Module, example: Any, error: Exception, first: Exception) -> str:
    shapes = [f"{tuple(leaf.shape)}" for leaf in tree_leaves(example) if isinstance(leaf, torch.Tensor)]
    place = _place(error, type(model).forward)
    before = "" if str(first) == str(error) else f" (before, on meta tensors: {type(first).__name__}: {first})"
    return (
        f"the forward pass of {type(model).__name__} failed while it was traced with inputs of shape "
        f"{', '.join(shapes) or '(none)'}{place}: {type(error).__name__}: {error}{before}. If the inputs are not what "
        "the model takes, pass inputs=... (a batch, a dictionary of keywords, or a spec such as 'image:3x224x224')"
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
