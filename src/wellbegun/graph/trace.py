"""Tracing one forward pass on meta tensors: no weights in memory, any Python control flow, ties visible."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

from wellbegun.errors import ArgumentError, TraceError
from wellbegun.graph.fallback import check_memory, copied, harmless, real_inputs
from wellbegun.graph.graph import Graph
from wellbegun.graph.inputs import Arguments, example_inputs, last_inputs
from wellbegun.graph.names import canonical_names
from wellbegun.graph.normalisation import find_normalisations
from wellbegun.graph.parametrised import carriers
from wellbegun.graph.pointwise import find_activations
from wellbegun.graph.recorder import Recorder
from wellbegun.graph.softmax import find_softmaxes
from wellbegun.graph.stage import staged
from wellbegun.graph.variable import Variable, collect_variables
from wellbegun.graph.whole_numbers import ListsOfRows, WholeNumbers, on_meta_unless_whole


def trace(model: torch.nn.Module, inputs: Any = None) -> Graph:
    """Run the model's forward once and return what it did, with activations and normalisations put together.

    Args, Raises: those of `record`.
    """
    return find_activations(find_softmaxes(find_normalisations(record(model, inputs))))


def measure(model: torch.nn.Module, inputs: Any) -> Graph:
    """Run the model's forward once on its own numbers and return what it did, with the second moment of each result.

    Args:
        model: with real tensors; neither it nor any random state is changed.
        inputs: real ones, see `example_inputs`.

    Raises:
        TraceError: the model's forward fails; its own error is given, and where.
    """
    _check_whole(model)
    variables = collect_variables(model)
    run = _Run(model, variables, True)
    example = next(iter(example_inputs(model, inputs)))
    try:
        graph = run.on_own_tensors(example)
    except Exception as error:
        raise TraceError(_failure(model, example, error, error)) from error
    return find_activations(find_normalisations(graph))


def record(model: torch.nn.Module, inputs: Any = None) -> Graph:
    """Run the model's forward once on meta tensors and return every operation of it.

    A forward that asks for values (`.item()`, boolean masks) is run on small real tensors instead.

    Args:
        model: on any device, meta included; neither it nor any random state is changed.
        inputs: see `example_inputs`. Real floating-point tensors also give the second moment of the data.

    Raises:
        TraceError: the model's forward fails; its own error is given, and where.
    """
    given = inputs is not None and not isinstance(inputs, str)
    _check_whole(model)
    variables = collect_variables(model)
    run = _Run(model, variables, given)
    failed: TraceError | None = None
    for examples in (example_inputs(model, inputs), last_inputs(model, inputs)):
        try:
            found = run.first(examples)
        except TraceError as error:
            failed = failed or error
        else:
            if found is not None:
                return found
    assert failed is not None
    raise failed


class _Run:
    """Runs a model's forward on other tensors than its own."""

    def __init__(self, model: torch.nn.Module, variables: tuple[Variable, ...], given: bool) -> None:
        self.model, self.variables, self.given = model, variables, given
        self.actual = {canonical: name for name, canonical in canonical_names(model).items()} | carriers(model)
        listed = [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]
        named = dict(listed)
        self.own = {variable.name: named[self.actual[variable.name]] for variable in variables}
        self.numbers = {v.name: float(self.own[v.name]) for v in variables if _is_number(v, self.own[v.name])}

    def first(self, examples: Iterable[Arguments]) -> Graph | None:
        """What the first of these inputs shows on which the forward does not fail: on meta, else on real tensors.

        Returns: None if there are no inputs.
        """
        failures: list[tuple[Arguments, Exception, Graph]] = []
        for example in examples:
            recorder = Recorder(self.variables, self.numbers)
            try:
                return self.on_meta(example, recorder)
            except (ArgumentError, TraceError):
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, real values may do, or give the better message
                failures.append((example, error, recorder.graph(self.variables, ())))
        if not failures:
            return None
        first = failures[0][1]
        check_memory(self.variables, first, type(self.model).__name__, _place(first, type(self.model).forward))
        messages = []
        for example, failure, seen in failures:
            values = real_inputs(example, seen)
            try:
                return self.on_real_tensors(example, values)
            except (ArgumentError, TraceError):
                raise
            except Exception as error:  # noqa: BLE001 - the first one is raised below, as the cause
                messages.append((_failure(self.model, values, error, failure), error))
        raise TraceError(messages[0][0]) from messages[0][1]

    def on_meta(self, example: Arguments, recorder: Recorder) -> Graph:
        """On meta tensors, but for the whole numbers."""
        tensors = {
            v.name: on_meta_unless_whole(self.own[v.name])
            if v.kind == "buffer"
            else torch.empty(v.shape, dtype=getattr(torch, v.dtype), device="meta")
            for v in self.variables
        }
        return self._record(recorder, tensors, on_meta_unless_whole, example, on_meta_unless_whole(example))

    def on_real_tensors(self, example: Arguments, values: Arguments) -> Graph:
        """On small real tensors with harmless values."""
        tensors = {v.name: harmless(self.own[v.name], keep=v.kind == "buffer") for v in self.variables}
        return self._record(Recorder(self.variables, self.numbers), tensors, copied, example, values)

    def on_own_tensors(self, example: Arguments) -> Graph:
        """On the model's own numbers, measured."""
        return self._record(Recorder(self.variables, measures=True), self.own, copied, example, example)

    def _record(
        self,
        recorder: Recorder,
        tensors: dict[str, torch.Tensor],
        convert: Callable[[torch.Tensor], torch.Tensor],
        example: Arguments,
        values: Arguments,
    ) -> Graph:
        model, placed = self.model, dict[str, torch.Tensor]()
        for variable in self.variables:
            recorder.know_variable(tensors[variable.name], variable.name)
            placed |= {self.actual[name]: tensors[variable.name] for name in (variable.name, *variable.ties)}
        for leaf, value in zip(tree_leaves(example), tree_leaves(values), strict=True):
            if isinstance(value, torch.Tensor):
                recorder.know_input(value, _second_moment(leaf) if self.given else None)
        with _in_order(), staged(model, placed, convert), WholeNumbers(), recorder, ListsOfRows():
            result = model(*values[0], **values[1])
            known = {id(tensor) for tensor in tensors.values()}
            made = [name for name, tensor in model.named_parameters() if id(tensor) not in known]
        if made:
            raise TraceError(
                f"the forward pass makes parameters ({', '.join(made)}); "
                "make them in the constructor, so that they can be planned"
            )
        returned = [leaf for leaf in tree_leaves(_plain(result)) if isinstance(leaf, torch.Tensor)]
        outputs = [recorder.give(leaf) for leaf in returned]
        found = tuple(dict.fromkeys(index for index in outputs if index is not None))
        return recorder.graph(self.variables, found)


def _in_order() -> AbstractContextManager[None]:
    """Sum an einsum of three or more from left to right, whether opt_einsum is installed or not: plans are the same."""
    library: Any = torch.backends.opt_einsum
    made: AbstractContextManager[None] = library.flags(enabled=False) if library.enabled else nullcontext()
    return made


def _is_number(variable: Variable, tensor: torch.Tensor) -> bool:
    """Whether a buffer holds one number that its constructor has put there."""
    one = variable.kind == "buffer" and tensor.numel() == 1 and tensor.is_floating_point() and not tensor.is_meta
    return one and bool(torch.isfinite(tensor))


def _check_whole(model: torch.nn.Module) -> None:
    flat = getattr(sys.modules.get("torch.distributed.fsdp._flat_param"), "FlatParameter", None)
    names = [name for name, parameter in model.named_parameters() if flat is not None and isinstance(parameter, flat)]
    if names:
        raise ArgumentError(
            f"FullyShardedDataParallel has made one flat parameter of several ({', '.join(names)}), and their names "
            "and shapes are gone; plan the model before it is wrapped, or wrap it with use_orig_params=True"
        )


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
