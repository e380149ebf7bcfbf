"""wb.sweep: one network in several widths or depths, measured at its start and over a few steps."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

from wellbegun.diagnosis.swept import Point, Sweep
from wellbegun.errors import ArgumentError
from wellbegun.graph.framework import require_torch
from wellbegun.recipes.find import find_recipe
from wellbegun.sampler import check_seed

if TYPE_CHECKING:
    import torch

STEPS = 4
"""Optimizer steps of the coordinate check, where an optimizer is given and no number of steps."""


def sweep(
    factory: Callable[..., torch.nn.Module],
    inputs: Any = None,
    *,
    widths: Sequence[int] | None = None,
    depths: Sequence[int] | None = None,
    seeds: int | Sequence[int] = 3,
    recipe: str | Callable[[Any], object] | None = "auto",
    rules: Any = None,
    loss: Callable[[Any, Any], torch.Tensor] | None = None,
    optimizer: Callable[[torch.nn.Module], torch.optim.Optimizer] | None = None,
    steps: int | None = None,
    tolerance: float = 0.05,
) -> Sweep:
    """Measure how signal, gradient and cosine go with the width and the depth of a network.

    >>> import torch
    >>> from torch import nn
    >>> def build(width):
    ...     return nn.Sequential(nn.Linear(16, width), nn.Linear(width, width), nn.Linear(width, 4))
    >>> found = sweep(build, "vector:16", widths=[32, 64, 128], recipe="normal(std=1)")
    >>> found.failing  # the second layer's outputs grow like width^0.5
    ('1.weight', '2.weight')

    With an optimizer this is the coordinate check of muP: after every step, the size of each layer's output must be
    the same at every width; a learning rate that is right for one width is then right for all.

    Args:
        factory: builds the network: `factory(width)`, `factory(depth)`, or, where both are swept, one that takes
            `width` and `depth` by these names. It runs with torch's random state seeded and put back afterwards.
        inputs: a batch as for `wb.diagnose`, targets included, or a spec as for `wb.plan` ("vector:64"), from which
            64 random inputs are made; None: made for the first layer. Or a function of the sizes that returns one of
            these, where the inputs go with the width.
        widths, depths: two or more sizes each; one of them may be left out. Both: every pair is measured.
        seeds: how many networks of each size to start, or their seeds.
        recipe: how to plan each network, see `wb.plan`. None: the weights stay as the factory made them. A number that
            the network multiplies its output with counts as part of the last layer, unless (only with None) its
            forward pass cannot be traced.
        rules: on top of the recipe, see `wb.plan`; or a function of the sizes that returns them.
        loss: takes (output, targets), see `wb.diagnose`.
        optimizer: takes the model and returns a torch.optim.Optimizer: `lambda model: torch.optim.Adam(
            model.parameters(), lr=0.01)`. It steps on the same batch again and again.
        steps: how many steps; 4 with an optimizer, 0 without.
        tolerance: largest exponent of the width, up or down, that counts as none.

    Raises:
        ArgumentError: an argument does not fit; the networks have no layer in common.
        TraceError: a forward pass fails.
        Errors of `wb.plan`, of the factory and of the optimizer pass through.

    Source: Yang et al. (2022), Tensor Programs V, appendix D.1 (the coordinate check).
    """
    require_torch("a sweep")
    across = {"width": _sizes(widths, "widths"), "depth": _sizes(depths, "depths")}
    numbers = _seeds(seeds)
    taken = _steps(steps, optimizer)
    policy = _recipe_name(recipe)
    if not callable(factory):
        raise ArgumentError(f"factory must be a function that builds a model, got {type(factory).__name__}")
    if not across["width"] and not across["depth"]:
        raise ArgumentError("give widths=[...], depths=[...] or both")
    if not 0 < tolerance < math.inf:
        raise ArgumentError(f"tolerance must be a positive number, got {tolerance!r}")
    if recipe is None and rules is not None:
        raise ArgumentError("rules need a recipe that they stand on; recipe=None keeps what the factory made")
    from wellbegun.diagnosis.sweep_fit import make_rates, make_scalings
    from wellbegun.diagnosis.sweep_network import measure_network

    points: list[Point] = []
    for width, depth, seed in product(across["width"] or (None,), across["depth"] or (None,), numbers):
        sizes = {name: size for name, size in (("width", width), ("depth", depth)) if size is not None}
        points += measure_network(
            factory, inputs, sizes, seed, recipe=recipe, rules=rules, loss=loss, optimizer=optimizer, steps=taken
        )
    return Sweep(
        widths=across["width"],
        depths=across["depth"],
        seeds=numbers,
        steps=taken,
        recipe=policy,
        tolerance=tolerance,
        points=tuple(points),
        scalings=make_scalings(points, tolerance) if across["width"] else (),
        rates=make_rates(points) if across["depth"] else (),
    )


def _sizes(sizes: Any, name: str) -> tuple[int, ...]:
    if sizes is None:
        return ()
    allowed = f"{name} must be two or more different positive whole numbers, such as [64, 128, 256]"
    try:
        found = sorted({operator.index(size) for size in sizes if not isinstance(size, bool)})
    except TypeError:
        raise ArgumentError(f"{allowed}; got {sizes!r}") from None
    if len(found) < 2 or found[0] < 1 or len(found) != len(list(sizes)):
        raise ArgumentError(f"{allowed}; got {sizes!r}")
    return tuple(found)


def _seeds(seeds: Any) -> tuple[int, ...]:
    if isinstance(seeds, int) and not isinstance(seeds, bool):
        if seeds < 1:
            raise ArgumentError(f"seeds must be a number of networks from 1 on, or a list of seeds; got {seeds}")
        return tuple(range(seeds))
    if not isinstance(seeds, Iterable) or isinstance(seeds, str):
        raise ArgumentError(f"seeds must be a number of networks from 1 on, or a list of seeds; got {seeds!r}")
    found = tuple(seeds)
    for seed in found:
        check_seed(seed)
    if not found or len(set(found)) != len(found):
        raise ArgumentError(f"seeds must be one or more different seeds; got {seeds!r}")
    return tuple(operator.index(seed) for seed in found)


def _steps(steps: Any, optimizer: Any) -> int:
    if optimizer is None:
        if steps:
            raise ArgumentError(
                f"steps={steps!r} needs an optimizer; write optimizer=lambda model: "
                "torch.optim.Adam(model.parameters(), lr=0.01)"
            )
        return 0
    if not callable(optimizer):
        raise ArgumentError(
            f"optimizer must be a function that takes the model and returns an optimizer, since each network needs "
            f"one of its own; got {type(optimizer).__name__}"
        )
    if steps is None:
        return STEPS
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 0:
        raise ArgumentError(f"steps must be a whole number from 0 on, got {steps!r}")
    return steps


def _recipe_name(recipe: Any) -> str:
    if recipe is None:
        return "as the factory made them"
    if callable(recipe):
        return getattr(recipe, "__name__", "a function")
    name = find_recipe(recipe).name
    return str(recipe).strip() if "(" in recipe else name  # with the arguments of a method
