"""A chain of equally wide layers: what theory says about its signal and gradient, and what real weights do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes

import wellbegun as wb
from wellbegun.laws import Initializer
from wellbegun.theory import moments

ROWS = 64


def predicted(activation: str, variance: float, depth: int, q: float = 1.0) -> tuple[list[float], list[float]]:
    """Return the second moment of each layer's sums, and the factor on the squared gradient from layer to layer.

    For infinite width: q' = variance·E f(u)² and chi = variance·E f'(u)², with u ~ N(0, q).

    Args:
        activation: a name that `wellbegun gain` knows.
        variance: fan_in times the variance of the weights.
        depth: number of layers after the first.
        q: second moment of the first layer's sums.
    """
    signal, factors = [q], []
    for _ in range(depth):
        at = moments(activation, signal[-1])
        factors.append(variance * at.slope_second)
        signal.append(variance * at.second)
    return signal, factors


def measured(
    activation: Callable[[torch.Tensor], torch.Tensor],
    rule: Initializer,
    *,
    depth: int,
    width: int,
    seed: int,
    inputs: torch.Tensor | None = None,
) -> tuple[list[float], list[float], list[torch.Tensor]]:
    """Return the second moments of sums and of gradients in every layer of one network in float64, and the sums.

    Args:
        activation: of every layer.
        rule: of every weight but the first layer's, which keeps the second moment of the inputs.
        depth: number of layers after the first.
        width: units in each layer.
        seed: of the weights, and of the inputs if none are given.
        inputs: rows of numbers; 64 rows of independent normal numbers if None.
    """
    if inputs is None:
        inputs = torch.from_numpy(np.random.default_rng(seed).standard_normal((ROWS, width)))
    inputs = inputs / inputs.square().mean().sqrt()
    sums, x = [], inputs
    for layer in range(depth + 1):
        weight = torch.empty(width, x.shape[1], dtype=torch.float64)
        fans = wb.Fans(x.shape[1], width)
        wb.fill(weight, rule if layer else wb.LecunNormal(), seed=seed, name=f"layers.{layer}.weight", fans=fans)
        sums.append((x @ weight.T).requires_grad_() if layer == 0 else x @ weight.T)
        x = activation(sums[-1])
    direction = torch.from_numpy(np.random.default_rng(seed + 1).standard_normal(tuple(sums[-1].shape)))
    gradients = torch.autograd.grad((sums[-1] * direction).sum(), sums)
    plain = [each.detach() for each in sums]
    return [float(u.square().mean()) for u in plain], [float(g.square().mean()) for g in gradients], plain


def middle(kept: dict[str, Any], layer: int) -> tuple[float, float]:
    """Return the geometric mean of the measured second moments in a layer, and the relative standard error of it."""
    return geometric_mean([net[layer] for net in kept["measured"]])


def draw(axes: Axes, name: str, kept: dict[str, Any], colour: str, *, lower: int = 0) -> None:
    """Draw the second moment by layer: theory as a line, measurement as dots, the name at the end (so much lower)."""
    layers = range(len(kept["predicted"]))
    axes.plot(layers, kept["predicted"], color=colour, lw=1.6)
    axes.plot(layers, [middle(kept, layer)[0] for layer in layers], "o", color=colour, ms=3.5)
    end = (layers[-1], kept["predicted"][-1])
    axes.annotate(name, end, (6, -lower), textcoords="offset points", va="center")


def geometric_mean(values: Sequence[float]) -> tuple[float, float]:
    """Return the geometric mean and the standard error of its logarithm."""
    logs = np.log(values)
    error = float(logs.std(ddof=1) / np.sqrt(len(logs))) if len(logs) > 1 else float("nan")
    return float(np.exp(logs.mean())), error
