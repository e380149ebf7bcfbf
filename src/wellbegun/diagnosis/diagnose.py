"""wb.diagnose: one forward and one backward pass, and the model is left as it was."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from wellbegun.diagnosis.copies import find_copies
from wellbegun.diagnosis.diagnosis import Diagnosis
from wellbegun.diagnosis.findings import find_faults
from wellbegun.diagnosis.loss import loss_of
from wellbegun.errors import ArgumentError, TraceError
from wellbegun.graph.framework import check_module

if TYPE_CHECKING:
    import torch

    from wellbegun.diagnosis.probe import Probe


def diagnose(
    model: torch.nn.Module, batch: Any, *, loss: Callable[[Any, Any], torch.Tensor] | None = None
) -> Diagnosis:
    """Measure the signal and the gradient of every layer before training.

    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))
    >>> found = diagnose(model, (torch.randn(16, 8), torch.zeros(16, dtype=torch.long)))
    >>> [layer.name for layer in found.layers]
    ['0.weight', '2.weight']

    Args:
        model: a torch.nn.Module with real weights. Its weights, gradients, buffers, mode and the random state are
            as before afterwards, whatever happens.
        batch: inputs, or a pair (inputs, targets). Inputs: a tensor, a tuple of arguments, or a dictionary of keywords.
            Two inputs alone, (a, b), would be read as inputs and targets: name them in a dictionary.
        loss: takes (output, targets); the mean cross-entropy for whole-number targets, the mean square for others,
            and without targets the output along a fixed random direction.

    Raises:
        ArgumentError: the batch does not fit, or the loss is no single number.
        TraceError: the model's forward pass fails; its own error is given. Errors in `loss` pass through.
    """
    model = check_module(model, "diagnosing a model")
    import torch

    from wellbegun.diagnosis.probe import Probe

    if any(tensor.is_meta for tensor in (*model.parameters(), *model.buffers())):
        raise ArgumentError("the model is on meta and has no weights to measure; wb.initialize it first")
    arguments, keywords, targets = _split(batch)
    named = dict(model.named_parameters())
    buffers = _copy_buffers(model)
    probe = Probe(named, [buffer for _, _, buffer, _ in buffers])
    devices = sorted({p.device.index for p in named.values() if p.device.type == "cuda"})
    try:
        with torch.random.fork_rng(devices=devices), torch.enable_grad():
            output = _forward(model, arguments, keywords, probe, paired=targets is not None)
            value, classes = loss_of(output, targets, loss)
            trained = {name: p for name, p in named.items() if p.requires_grad and value.requires_grad}
            gradients = torch.autograd.grad(value, list(trained.values()), allow_unused=True) if trained else ()
    finally:
        _restore_buffers(buffers)
    from wellbegun.diagnosis import measure

    moments = {
        name: measure.second_moment(gradient)
        for name, gradient in zip(trained, gradients, strict=True)
        if gradient is not None
    }
    layers = probe.facts(moments, _count(arguments, keywords))
    number = float(value.detach())
    found = find_faults(layers, number, classes=classes, unseen=probe.unseen(), aside=find_copies(named))
    return Diagnosis(layers, found, number)


def _forward(
    model: torch.nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any], probe: Probe, *, paired: bool
) -> Any:
    from torch.utils._pytree import tree_leaves

    try:
        with probe:
            return model(*arguments, **keywords)
    except Exception as error:
        shapes = [str(tuple(leaf.shape)) for leaf in tree_leaves((arguments, keywords)) if hasattr(leaf, "shape")]
        given = f"inputs of shape {', '.join(shapes)}" if shapes else "these inputs"
        hint = ""
        if paired and not _takes(model, arguments, keywords):
            hint = (
                "; a pair is read as (inputs, targets): two inputs go as ((a, b), targets), or by name in a "
                "dictionary, alone or as ({...}, targets)"
            )
        kind = type(model).__name__
        raise TraceError(f"{kind} fails on {given}: {type(error).__name__}: {error}{hint}") from error


def _takes(model: torch.nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> bool:
    """Whether the forward method takes that many arguments."""
    try:
        inspect.signature(model.forward).bind(*arguments, **keywords)
    except TypeError:
        return False
    return True


def _count(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> int | None:
    """The number of inputs in the batch: the first size of the first tensor."""
    import torch
    from torch.utils._pytree import tree_leaves

    leaves = tree_leaves((arguments, keywords))
    return next((len(leaf) for leaf in leaves if isinstance(leaf, torch.Tensor) and leaf.ndim), None)


_Held = list[tuple[dict[str, Any], str, "torch.Tensor", "torch.Tensor"]]


def _copy_buffers(model: torch.nn.Module) -> _Held:
    """Each buffer with its place and a copy of its values: a forward pass may write into it or replace it."""
    return [
        (module._buffers, name, buffer, buffer.clone())
        for module in model.modules()
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]


def _restore_buffers(held: _Held) -> None:
    import torch

    with torch.no_grad():
        for place, name, buffer, values in held:
            buffer.copy_(values)
            place[name] = buffer


def _split(batch: Any) -> tuple[tuple[Any, ...], dict[str, Any], Any]:
    import torch

    targets = None
    if isinstance(batch, (tuple, list)) and len(batch) == 2 and isinstance(batch[1], torch.Tensor):
        batch, targets = batch
    if isinstance(batch, Mapping):
        return (), dict(batch), targets
    if isinstance(batch, (tuple, list)):
        return tuple(batch), {}, targets
    if isinstance(batch, torch.Tensor):
        return (batch,), {}, targets
    raise ArgumentError(f"batch must be inputs or a pair (inputs, targets), got {type(batch).__name__}")
