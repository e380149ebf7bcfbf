"""What auto aims at is what real networks have: before each activation and along each residual stream, at any depth."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.graph.graph import Graph
from wellbegun.graph.trace import measure, trace
from wellbegun.recipes.auto import Auto
from wellbegun.recipes.knowledge import Knowledge
from wellbegun.recipes.signal import Signal
from wellbegun.recipes.streams import find_streams
from wellbegun.theory import moments

from .networks import ACTIVATIONS, OWN, TRANSFORMERS, WIDTH, data, published

SEEDS = 16
DEPTHS = (2, 12, 48)
ALWAYS = {(name, 2) for name in OWN} | {("llama", 2), ("gpt2", 2), ("bert", 2), ("pre-norm gelu", 48)}
NARROWEST = {"mixer": 16}
"""Units of the narrowest layer, where that is not the width of the stream."""


def cases() -> Iterator[object]:
    for name in (*OWN, *TRANSFORMERS):
        for depth in DEPTHS:
            marks = () if (name, depth) in ALWAYS else pytest.mark.slow
            yield pytest.param(name, depth, marks=marks, id=f"{name}-{depth}")


@pytest.mark.parametrize(("name", "depth"), list(cases()))
def test_the_second_moments_lie_in_the_band_that_theory_gives(name: str, depth: int) -> None:
    make, form = OWN[name] if name in OWN else (lambda d: published(name, d), "tokens")
    model, x = make(depth).eval() if name in TRANSFORMERS else make(depth), data(form)
    plan = wb.plan(model, x, seed=0)
    logs: dict[int, list[float]] = {}
    for seed in range(SEEDS):
        wb.apply(plan.with_seed(seed), model, overwrite=True)
        graph = measure(model, x)
        for index, found in measured(graph).items():
            logs.setdefault(index, []).append(math.log(max(found, 1e-300)))
    signals = aims(model, graph, x)
    places = {index for index in watched(graph) if promised(signals[index].doubt)}
    assert len(places) >= depth
    for index in sorted(places):
        aim = signals[index]
        # attention passes on at most the size of its values, and at least that over the number of rows
        low, high = math.log(aim.second_moment * aim.least), math.log(aim.second_moment)
        variance, bias = fluctuation(name, plan, graph, index, depth)
        error = 4 * math.sqrt(variance / SEEDS)
        mean = sum(logs[index]) / SEEDS
        assert low - bias - error <= mean <= high + error, (index, graph.operations[index], aim, mean - high)


def promised(doubt: str) -> bool:
    """Whether theory gives a band: elsewhere auto's reasons say "an estimate".

    A high power of the data's size is an estimate for rows of any size; the rows here have nearly one, so it must hold.
    """
    return doubt in ("", "attention") or doubt.startswith("the power")


def measured(graph: Graph) -> dict[int, float]:
    """Second moments of the results that were measured."""
    return {step.index: step.measured for step in graph.operations if step.measured is not None}


def watched(graph: Graph) -> set[int]:
    """What flows into each activation, and every sum of a residual stream; zeros and masks aside."""
    places = {write.add for stream in find_streams(graph) for write in stream.writes}
    for step in graph.operations:
        if step.kind == "activation" and step.detail not in ("cos", "sin", "exp"):
            places.add(graph.source(step.inputs[0]).index)
    known = measured(graph)
    aside = ("pool", "input", "other", "multiply", "matmul")
    return {index for index in places if known.get(index, 0.0) > 0 and graph.operations[index].kind not in aside}


def aims(model: nn.Module, graph: Graph, x: torch.Tensor) -> dict[int, Signal]:
    """The second moments that auto plans for, at each operation of a measured run."""
    known = Knowledge.of(model, 0).of_graph(trace(model, x), True)
    signals: dict[int, Signal] = {}
    Auto().propose(graph, known, signals)
    return signals


def fluctuation(name: str, plan: wb.Plan, graph: Graph, index: int, depth: int) -> tuple[float, float]:
    """Variance of the log of a second moment over draws of the weights, and how far it lies below the aim.

    In a plain chain E|x|⁴/E[|x|²]² grows by 1 + kappa/n a layer, kappa = E f⁴/(E f²)² - 1 (and 2/n for the first), so
    log q has variance s² = sum kappa/n and mean -s²/2; mirrored weights are exact. Behind a normalisation only the last
    weight fluctuates, by 2/n; in a residual stream each write and its product with the stream do, 4/n in all.
    """
    if not name.startswith("plain"):
        width = NARROWEST.get(name, WIDTH)
        return 4 / width, 2 / width
    if isinstance(plan["2.weight"].law, wb.MirroredOrthogonal):
        return 2 / WIDTH, 1 / WIDTH
    activation = name.removeprefix("plain ")
    assert activation in ACTIVATIONS
    at = moments(activation, plan["2.weight"].after or 1.0)
    layer = sum(step.kind == "activation" for step in graph.operations[:index])
    variance = 2 / WIDTH + min(layer, depth) * (at.fourth / at.second**2 - 1) / WIDTH
    return variance, variance / 2
