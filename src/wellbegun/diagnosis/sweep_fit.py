"""From what was measured to how it goes with the width and the depth."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from wellbegun.diagnosis.depth_rate import DepthRate, rate_per_layer
from wellbegun.diagnosis.scaling import Scaling, judge_sizes, loglog_slope
from wellbegun.diagnosis.swept import Point
from wellbegun.errors import ArgumentError


def make_scalings(points: Sequence[Point], tolerance: float) -> tuple[Scaling, ...]:
    """Fit every layer's sizes and gradients to the widths, at each depth and step.

    A layer that some network does not have, or did not use, is left out.

    Raises:
        ArgumentError: the networks have no layer in common.
    """
    found = []
    for _depth, at_depth in _groups(points, "depth"):
        start = [point for point in at_depth if point.step == 0]
        networks = {(point.width, point.seed) for point in at_depth}
        last = _last_layers(start)
        for _step, at_step in _groups(at_depth, "step"):
            layers = dict(_groups(at_step, "layer"))
            common = [name for name, uses in layers.items() if len(uses) == len(networks)]
            if not common:
                raise ArgumentError(
                    "the networks have no layer in common, so nothing can be followed over the widths; let the "
                    "factory give a layer the same name at every width"
                )
            for name in common:
                begun = [point for point in start if point.layer == name]
                readout = last == {name} and _keeps_outputs(begun)
                found.append(_scaling(layers[name], tolerance, readout, all(point.zero for point in begun)))
    return tuple(found)


def make_rates(points: Sequence[Point]) -> tuple[DepthRate, ...]:
    """Take the factors of signal and gradient per layer, for each width, depth and step."""
    return tuple(
        _rate(at_step)
        for _, at_width in _groups(points, "width")
        for _, at_depth in _groups(at_width, "depth")
        for _, at_step in _groups(at_depth, "step")
    )


def _groups(points: Iterable[Point], key: str) -> list[tuple[object, list[Point]]]:
    """The points by one attribute, in the order in which its values appear first."""
    found: dict[object, list[Point]] = {}
    for point in points:
        found.setdefault(getattr(point, key), []).append(point)
    return list(found.items())


def _last_layers(points: Iterable[Point]) -> set[str]:
    """The layer that each network runs last."""
    last: dict[tuple[object, int], Point] = {}
    for point in points:
        network = (point.width, point.seed)
        if network not in last or point.place > last[network].place:
            last[network] = point
    return {point.layer for point in last.values()}


def _keeps_outputs(points: Sequence[Point]) -> bool:
    """Whether the network's output has one size, and one axis of the weight goes with the width: its inputs'."""
    shapes, outputs = {point.shape for point in points}, {point.outputs for point in points}
    return len(outputs) == 1 and sum(len(set(sizes)) > 1 for sizes in zip(*shapes, strict=True)) == 1


def _scaling(points: Sequence[Point], tolerance: float, readout: bool, starts_at_zero: bool) -> Scaling:
    runs = [point.width or 0 for point in points]
    sizes = [math.sqrt(point.signal) if point.signal >= 0 else math.nan for point in points]
    gradients = [math.sqrt(point.gradient) if point.gradient >= 0 else math.nan for point in points]
    slope = loglog_slope(runs, sizes)
    fault, doubt = judge_sizes(runs, sizes, slope, tolerance, mixed=readout and not starts_at_zero)
    by_width = sorted(set(runs))
    return Scaling(
        layer=points[0].layer,
        step=points[0].step,
        depth=points[0].depth,
        readout=readout,
        starts_at_zero=starts_at_zero,
        size=slope,
        gradient=loglog_slope(runs, gradients),
        sizes=tuple(_geometric(sizes, [run == width for run in runs]) for width in by_width),
        gradients=tuple(_geometric(gradients, [run == width for run in runs]) for width in by_width),
        cosines=tuple(float(np.mean([p.cosine for p in points if p.width == width])) for width in by_width),
        fault=fault,
        doubt=doubt,
    )


def _geometric(values: Sequence[float], chosen: Sequence[bool]) -> float:
    with np.errstate(divide="ignore"):  # a size of zero has a mean of zero
        return float(np.exp(np.log(np.asarray(values)[np.asarray(chosen)]).mean()))


def _rate(points: Sequence[Point]) -> DepthRate:
    ends = []
    for _, network in _groups(points, "seed"):
        ordered = sorted(network, key=lambda point: point.place)
        inner = ordered[:-1] or ordered
        ends.append((inner[0], inner[-1], len(inner)))
    firsts, lasts, counts = zip(*ends, strict=True)
    layers = min(counts)
    return DepthRate(
        depth=points[0].depth or 0,
        step=points[0].step,
        width=points[0].width,
        layers=layers,
        signal=rate_per_layer([p.signal for p in firsts], [p.signal for p in lasts], layers),
        gradient=rate_per_layer([p.gradient for p in lasts], [p.gradient for p in firsts], layers),
        cosine=float(np.mean([point.cosine for point in lasts])),
    )
