"""wb.diagnose: one forward and one backward pass, and the model is left as it was."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from wellbegun.diagnosis.diagnosis import Diagnosis
from wellbegun.diagnosis.facts import LayerFacts
from wellbegun.diagnosis.findings import find_faults
from wellbegun.errors import ArgumentError
from wellbegun.graph.framework import check_module

if TYPE_CHECKING:
    import torch


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
        loss: takes (output, targets); the mean cross-entropy for whole-number targets, the mean square for others,
            and without targets the output along a fixed random direction.

    Raises:
        ArgumentError: the batch does not fit, or the loss is no single number.
    """
    model = check_module(model, "diagnosing a model")
    import torch

    from wellbegun.diagnosis.probe import Probe

    if any(tensor.is_meta for tensor in (*model.parameters(), *model.buffers())):
        raise ArgumentError("the model is on meta and has no weights to measure; wb.initialize it first")
    arguments, keywords, targets = _split(batch)
    weights = {id(p): name for name, p in model.named_parameters()}
    probe = Probe(weights)
    buffers = _copy_buffers(model)
    devices = sorted({p.device.index for p in model.parameters() if p.device.type == "cuda"})
    try:
        with torch.random.fork_rng(devices=devices), torch.enable_grad():
            with probe:
                output = model(*arguments, **keywords)
            value = _loss(output, targets, loss)
            trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
            gradients = torch.autograd.grad(value, list(trained.values()), allow_unused=True) if trained else ()
    finally:
        _restore_buffers(buffers)
    from wellbegun.diagnosis import measure

    moments = {
        name: measure.second_moment(gradient)
        for name, gradient in zip(trained, gradients, strict=True)
        if gradient is not None
    }
    layers = tuple(
        LayerFacts(
            name=seen.name,
            activation=seen.activation,
            signal=seen.signal,
            mean=seen.mean,
            activated=seen.activated if seen.activation else seen.signal,
            gradient=seen.gradient,
            weight_gradient=moments.get(seen.name, 0.0 if seen.name in trained else float("nan")),
            dead=seen.dead,
            saturated=seen.saturated,
            cosine=seen.cosine,
            twins=seen.twins,
            finite=seen.finite,
        )
        for seen in probe.layers
    )
    number = float(value.detach())
    return Diagnosis(layers, find_faults(layers, number), number)


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


def _loss(output: Any, targets: Any, loss: Callable[[Any, Any], torch.Tensor] | None) -> torch.Tensor:
    import torch

    if loss is not None:
        value = loss(output, targets)
    else:
        output = output[0] if isinstance(output, (tuple, list)) else getattr(output, "logits", output)
        if not isinstance(output, torch.Tensor):
            raise ArgumentError(f"the model returns a {type(output).__name__}; pass loss=... to reduce it to a number")
        if targets is None:
            # a fixed direction, so that a zero output still has a gradient
            signs = torch.randint(2, output.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
            value = (output * signs.to(output)).mean()
        elif targets.is_floating_point():
            value = torch.nn.functional.mse_loss(output, targets)
        else:
            value = torch.nn.functional.cross_entropy(output.flatten(0, -2), targets.flatten())
    if not isinstance(value, torch.Tensor) or value.numel() != 1:
        raise ArgumentError("the loss must be a tensor of one element")
    return value
