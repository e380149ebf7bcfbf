"""One network of a sweep: built, started, measured, and trained for a few steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from wellbegun.diagnosis.diagnose import diagnose
from wellbegun.diagnosis.facts import LayerFacts
from wellbegun.diagnosis.sweep_inputs import call_with_sizes, inputs_of, make_batch
from wellbegun.diagnosis.swept import Point
from wellbegun.errors import ArgumentError, TraceError
from wellbegun.graph.framework import check_module
from wellbegun.graph.trace import trace
from wellbegun.recipes import plan as make_plan
from wellbegun.recipes.layers import find_outputs
from wellbegun.targets import apply


def measure_network(
    factory: Callable[..., torch.nn.Module],
    inputs: Any,
    sizes: Mapping[str, int],
    seed: int,
    *,
    recipe: str | Callable[[Any], object] | None,
    rules: Any,
    loss: Callable[[Any, Any], torch.Tensor] | None,
    optimizer: Callable[[torch.nn.Module], torch.optim.Optimizer] | None,
    steps: int,
) -> list[Point]:
    """Build one network, and measure its layers before the first step and behind each.

    Args:
        sizes: {"width": ..., "depth": ...}, or one of them.
        seed: of the weights; torch's random state is seeded with it too, and put back.
        steps: optimizer steps to take.
        factory, inputs, recipe, rules, loss, optimizer: see `wb.sweep`.
    """
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()  # type: ignore[no-untyped-call]
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        whole = _build(factory, sizes)
        model = check_module(whole, "a sweep")
        given = call_with_sizes(inputs, sizes, "inputs") if callable(inputs) else inputs
        batch = make_batch(model, given)
        if recipe is not None:
            own = call_with_sizes(rules, sizes, "rules") if callable(rules) else rules
            example = given if given is None or isinstance(given, str) else inputs_of(given)
            made = make_plan(lambda: _build(factory, sizes), example, seed=seed, recipe=recipe, rules=own)
            apply(made, model)
        factors = _output_factors(model, inputs_of(batch), needed=recipe is not None)
        stepper = _stepper(optimizer, whole) if optimizer is not None else None
        points: list[Point] = []
        for step in range(steps + 1):
            with _caught(model) as caught:
                layers = diagnose(model, batch, loss=loss).layers
            points += _points(model, layers, sizes, seed, step, caught.outputs, factors)
            if stepper is not None and step < steps:
                _take_step(model, stepper, caught.gradients)
    return points


def _build(factory: Callable[..., torch.nn.Module], sizes: Mapping[str, int]) -> torch.nn.Module:
    built = call_with_sizes(factory, sizes, "the factory", every=True)
    if not isinstance(built, torch.nn.Module):
        raise ArgumentError(f"the factory must return a torch.nn.Module, got {type(built).__name__}")
    return built


def _stepper(optimizer: Callable[[torch.nn.Module], torch.optim.Optimizer], model: torch.nn.Module) -> Any:
    made = optimizer(model)
    if not isinstance(made, torch.optim.Optimizer):
        raise ArgumentError(
            f"optimizer must return a torch.optim.Optimizer, got {type(made).__name__}; write "
            "optimizer=lambda model: torch.optim.Adam(model.parameters(), lr=0.01)"
        )
    return made


def _output_factors(model: torch.nn.Module, example: Any, *, needed: bool) -> dict[str, float]:
    """The plain factor that the network multiplies its output with, by the weight that makes it.

    muP wants one where the table is the output layer too; it is the product whose size must not go with the width.
    A network that keeps its own weights need not be one that can be traced; its layers are then measured alone.
    """
    try:
        graph = trace(model, example)
    except TraceError:
        if needed:
            raise
        return {}
    return {graph.operations[index].weight: factor for index, factor in find_outputs(graph).items()}


@dataclass
class _Caught:
    """What passes by during a diagnosis."""

    gradients: dict[torch.nn.Parameter, torch.Tensor] = field(default_factory=dict)
    outputs: int = 0


@contextmanager
def _caught(model: torch.nn.Module) -> Iterator[_Caught]:
    """Catch the gradients that a diagnosis takes, so that a step needs no pass of its own and has the same loss."""
    found = _Caught()

    def catcher(parameter: torch.nn.Parameter) -> Callable[[torch.Tensor], None]:
        def catch(gradient: torch.Tensor) -> None:
            found.gradients[parameter] = gradient.detach().clone()

        return catch

    def count(_module: torch.nn.Module, _arguments: Any, output: Any) -> None:
        main = output[0] if isinstance(output, (tuple, list)) else getattr(output, "logits", output)
        found.outputs = main.numel() if isinstance(main, torch.Tensor) else 0

    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    handles = [parameter.register_hook(catcher(parameter)) for parameter in trained]  # type: ignore[no-untyped-call]
    handles.append(model.register_forward_hook(count))
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _take_step(
    model: torch.nn.Module, stepper: torch.optim.Optimizer, gradients: Mapping[torch.nn.Parameter, torch.Tensor]
) -> None:
    for parameter in model.parameters():
        parameter.grad = gradients.get(parameter)
    stepper.step()
    for parameter in model.parameters():
        parameter.grad = None


def _points(
    model: torch.nn.Module,
    layers: Sequence[LayerFacts],
    sizes: Mapping[str, int],
    seed: int,
    step: int,
    outputs: int,
    factors: Mapping[str, float],
) -> list[Point]:
    parameters = dict(model.named_parameters())
    uses: Counter[str] = Counter()
    last = {layer.name: place for place, layer in enumerate(layers)}  # a table's last use is the output, its first not
    points = []
    for place, layer in enumerate(layers):
        uses[layer.name] += 1
        use = uses[layer.name]
        weight = parameters[layer.name].detach()
        factor = factors.get(layer.name, 1.0) if last[layer.name] == place else 1.0
        points.append(
            Point(
                width=sizes.get("width"),
                depth=sizes.get("depth"),
                seed=seed,
                step=step,
                layer=layer.name if use == 1 else f"{layer.name} (use {use})",
                place=place,
                signal=layer.signal * factor**2,
                gradient=layer.gradient / factor**2,
                cosine=layer.cosine,
                shape=tuple(weight.shape),
                zero=not bool(weight.any()),
                outputs=outputs,
            )
        )
    return points
