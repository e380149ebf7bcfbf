"""Everything that a diagnosis may touch, given back as it was."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from wellbegun.graph.stage import attributes_kept
from wellbegun.tuning.surroundings import seeded

_Held = list[tuple[dict[str, Any], str, torch.Tensor, torch.Tensor]]


class Written:
    """Copies of parameters that a forward pass writes into, made just before it does; most passes write into none."""

    def __init__(self, parameters: Iterable[torch.Tensor]) -> None:
        self._owners: dict[int, torch.Tensor] = {_storage(p): p for p in parameters if _storage(p)}
        self._copies: list[tuple[torch.Tensor, torch.Tensor]] = []

    def before(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Look at a call that is about to run; by its name it may write into its first argument or into `out`."""
        writes = (name.endswith("_") and not name.endswith("__")) or name in _WRITING
        targets = [args[0]] if writes and args else []
        if "out" in kwargs:
            targets += [kwargs["out"]] if isinstance(kwargs["out"], torch.Tensor) else list(kwargs["out"] or ())
        for target in targets:
            if isinstance(target, torch.Tensor) and self._owners:
                parameter = self._owners.pop(_storage(target), None)
                if parameter is not None:
                    self._copies.append((parameter, parameter.detach().clone()))

    def restore(self) -> None:
        """Write the copies back."""
        with torch.no_grad():
            for parameter, values in self._copies:
                parameter.copy_(values)


@contextmanager
def left_as_it_was(model: torch.nn.Module, written: Written) -> Iterator[_Held]:
    """Run what is inside with the same random numbers each time, and undo all that it changes.

    Parameters, buffers (also those that a pass replaces), gradients, modes, hooks and attributes of modules, and the
    random states of Python, NumPy and torch. Yields the buffers, with their copies.
    """
    parameters, buffers = list(model.parameters()), _copy_buffers(model)
    tensors = [*parameters, *(buffer for _, _, buffer, _ in buffers)]
    gradients = [(p, p.grad, None if p.grad is None else p.grad.detach().clone()) for p in parameters]
    fast = torch.backends.mha.get_fastpath_enabled()
    with ExitStack() as stack:
        stack.enter_context(attributes_kept(model))
        stack.enter_context(seeded(0, tensors))
        stack.enter_context(torch.inference_mode(False))  # or nothing would have a gradient
        if "torch._dynamo" in sys.modules:
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        torch.backends.mha.set_fastpath_enabled(False)  # a whole encoder layer as one operation hides its parts
        try:
            yield buffers
        finally:
            torch.backends.mha.set_fastpath_enabled(fast)
            written.restore()
            _restore_buffers(buffers)
            with torch.no_grad():
                for parameter, gradient, values in gradients:
                    parameter.grad = gradient
                    if gradient is not None and values is not None and not torch.equal(_part(gradient), _part(values)):
                        gradient.copy_(values)


_WRITING = frozenset("__setitem__ __iadd__ __isub__ __imul__ __itruediv__ __ipow__ __set__".split())


def _storage(tensor: torch.Tensor) -> int:
    """Where its memory begins; 0 for tensors that have none of their own."""
    try:
        return tensor.untyped_storage().data_ptr()
    except (NotImplementedError, RuntimeError):
        return 0


def _part(tensor: torch.Tensor) -> torch.Tensor:
    """What this process holds of a tensor: comparing whole DTensors would ask the other processes."""
    local: torch.Tensor = getattr(tensor, "_local_tensor", tensor)
    return local


def _copy_buffers(model: torch.nn.Module) -> _Held:
    """Each buffer with its place and a copy of its values: a forward pass may write into it or replace it."""
    return [
        (module._buffers, name, buffer, buffer.clone())
        for module in model.modules()
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]


def _restore_buffers(held: _Held) -> None:
    with torch.no_grad():
        for place, name, buffer, values in held:
            buffer.copy_(values)
            place[name] = buffer
