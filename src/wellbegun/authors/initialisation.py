"""Recording how a model that exists would be initialised again, without touching it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from wellbegun.graph.framework import check_module, random_states_kept

if TYPE_CHECKING:
    import torch

    from wellbegun.authors.authored import Authored, Authorship
    from wellbegun.authors.recorder import Recorder

LAYERS = ("reset_parameters", "_reset_parameters")
"""What the constructors of layers call; every module that has it, children first."""

MODELS = ("initialize_weights", "init_weights", "init_parameters", "initialize_parameters", "_init_weights")
"""What models are initialised with; the outermost module that has it."""


def initialises_itself(model: torch.nn.Module) -> bool:
    """Whether a class that is not torch's brings along code of its own that initialises the model or a layer."""
    kinds = {type(module) for module in model.modules()}
    own = [kind for kind in kinds if not kind.__module__.startswith("torch.nn.")]
    return any(
        inspect.isroutine(method) and not getattr(method, "__module__", "").startswith("torch.nn.")
        for kind in own
        for name in (*LAYERS, *MODELS)
        if (method := getattr(kind, name, None)) is not None
    )


def record_initialisation(
    model: torch.nn.Module, function: Callable[[Any], object] | None = None, seed: int = 0
) -> Authored:
    """Run what initialises a model on stand-ins for its tensors, and return what it gives each of them.

    >>> import torch
    >>> authored = record_initialisation(torch.nn.Linear(64, 32))
    >>> authored["weight"].law
    Uniform(low=-0.125, high=0.125)

    First every layer's `reset_parameters`, children before parents, as constructors do; then the outermost
    `initialize_weights`, `init_weights` ... that needs no arguments; then `function`. Neither the model nor a random
    state is changed. Whether a constructor did more than its layers did cannot be seen any more; where the numbers of
    the model are not what its layers would have drawn, the law is None and the note says so.

    Args:
        model: on any device, meta included.
        function: takes the model and initialises it; left out: what the model brings along.
        seed: of the numbers of tensors that no law describes.

    Raises:
        ArgumentError: no torch.nn.Module.
    """
    model = check_module(model, "recording an initialisation")
    import torch

    from wellbegun.authors.authored import Authored
    from wellbegun.authors.compare import compared
    from wellbegun.authors.construction import _tensors, recorded
    from wellbegun.authors.judge import judge
    from wellbegun.authors.recorder import Recorder
    from wellbegun.graph.stage import attributes_kept

    recorder = Recorder(seed)
    names = _tensors(model)
    real = {name for name, tensor in _tensors(model).items() if not tensor.is_meta}
    buffers = {name for name, _ in model.named_buffers(remove_duplicate=False)} & real
    with attributes_kept(model), random_states_kept(), _stand_ins(model, recorder) as stand_ins:
        with recorder, torch.no_grad():
            for module in _children_first(model):
                for name in LAYERS:
                    if _callable_alone(module, name):
                        getattr(module, name)()
                        break
            layers_only = {name: _signature(recorder, tensor) for name, tensor in _tensors(model).items()}
            _run_outermost(model)
            if function is not None:
                function(model)
        now = _tensors(model)
        # tensors that the code has made itself, and those that it has filled with numbers that no draw went into
        buffers |= {
            name for name, tensor in now.items() if id(tensor) not in stand_ins or _has_numbers(recorder, tensor)
        }
        found = dict(judge(recorder, now, {}, buffers))
        for name in now:
            if layers_only.get(name) and layers_only[name] == _signature(recorder, now[name]) and name in names:
                found[name] = compared(found[name], names[name])
        found = dict(_tied_again(found, names))
    before = recorded(model) or Authored({})
    return Authored({name: a if a.law is not None else before.get(name, a) for name, a in found.items()})


def _tied_again(found: Mapping[str, Authorship], tensors: dict[str, torch.Tensor]) -> Authored:
    """Every name of a tied tensor leads to what its first name holds."""
    from wellbegun.authors.authored import Authored

    first: dict[int, str] = {}
    return Authored({name: found[first.setdefault(id(tensor), name)] for name, tensor in tensors.items()})


def _has_numbers(recorder: Recorder, tensor: torch.Tensor) -> bool:
    return tensor.numel() > 0 and not tensor.is_meta and recorder.memory(tensor) is None


def _signature(recorder: Recorder, tensor: torch.Tensor) -> tuple[int, ...]:
    """Equal as long as nothing was written; empty for an ordinary tensor."""
    memory = recorder.memory(tensor)
    return () if memory is None else tuple(id(cell.expression) for cell in memory.cells)


def _run_outermost(module: torch.nn.Module) -> None:
    for name in MODELS:
        if _callable_alone(module, name):
            getattr(module, name)()
            return
    for child in module.children():
        _run_outermost(child)


def _callable_alone(module: torch.nn.Module, name: str) -> bool:
    """Whether the module has a method of this name that needs no arguments."""
    method = getattr(type(module), name, None)
    if not inspect.isroutine(method):
        return False
    parameters = list(inspect.signature(method).parameters.values())[1:]
    return all(p.default is not p.empty or p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters)


def _children_first(module: torch.nn.Module, seen: set[int] | None = None) -> Iterator[torch.nn.Module]:
    seen = set() if seen is None else seen
    if id(module) in seen:
        return
    seen.add(id(module))
    for child in module.children():
        yield from _children_first(child, seen)
    yield module


@contextmanager
def _stand_ins(model: torch.nn.Module, recorder: Recorder) -> Iterator[set[int]]:
    """Put memory that nothing was written to in the place of parameters, and copies in the place of buffers.

    Marks that a module or tensor is initialised already (transformers) are taken off for the time; `attributes_kept`
    puts them and the tensors back. Where a model ties its weights by a method of its own, it does so when they are
    initialised: until then each has its own stand-in, and the first of them is the one that stays.
    """
    import torch

    from wellbegun.authors.schema import hollow

    swapped: dict[int, torch.Tensor] = {}
    ties_later = any(callable(getattr(module, "tie_weights", None)) for module in model.modules())

    def stand_in(tensor: torch.Tensor) -> torch.Tensor:
        if id(tensor) in swapped and not ties_later:
            return swapped[id(tensor)]
        is_parameter = isinstance(tensor, torch.nn.Parameter)
        if not is_parameter and not tensor.is_meta:
            made = tensor.detach().to("cpu", copy=True)
        else:
            made = hollow(tensor)
            if tensor.numel():
                recorder.watch(made)
        swapped[id(tensor)] = torch.nn.Parameter(made, requires_grad=tensor.requires_grad) if is_parameter else made
        return swapped[id(tensor)]

    ids: set[int] = set()
    for module in model.modules():
        vars(module).pop("_is_hf_initialized", None)
        for table in (module._parameters, module._buffers):
            for name, tensor in table.items():
                if tensor is not None:
                    made = table[name] = stand_in(tensor)  # type: ignore[assignment]
                    ids.add(id(made))
    yield ids
