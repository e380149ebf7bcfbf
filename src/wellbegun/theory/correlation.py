"""What an activation does to two correlated normal numbers."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wellbegun.errors import ArgumentError, TheoryError
from wellbegun.theory.activation import Activation, find_activation
from wellbegun.theory.hermite import HIGHEST as DEGREE
from wellbegun.theory.hermite import hermite_coefficients
from wellbegun.theory.moments import Moments, moments, positive
from wellbegun.theory.quadrature import REACHES, GaussianSample, gaussian_sample

Array = npt.NDArray[np.float64]

NODES = 24
"""Gauss-Legendre nodes per panel and direction."""

INNER_REACH = 10
"""The second number is integrated to this many of its own standard deviations, given the first."""

CHUNK = 1 << 20
"""Products evaluated at once, which bounds the memory (8 MB an array)."""

SAME = 1e-13
"""Hermite coefficients whose sums miss their known values by less than this share are all of them."""

NEARLY_ONE = 1e-12
"""Correlations this near to 1 count as 1."""


@dataclass(frozen=True)
class Correlated:
    """Means over (u, v), both N(0, q), of correlation rho.

    product: E f(u) f(v). slope: its derivative by rho, which is q E f'(u) f'(v) for continuous f; infinity at rho = 1
    for a function that jumps. distance: E (f(u) - f(v))², which keeps its digits near rho = 1.
    """

    q: float
    rho: float
    product: float
    slope: float
    distance: float


def correlated(
    activation: str | Callable[..., Any] | Activation, rho: float, q: float = 1.0, **parameters: float
) -> Correlated:
    """Return the mean product of an activation at two normal numbers of correlation rho, and its slope in rho.

    >>> relu = correlated("relu", 0.5)
    >>> round(2 * relu.product, 10), round(2 * relu.slope, 10)
    (0.608997781, 0.6666666667)

    activation: a name, an expression, a callable or an `Activation`. rho: correlation, in [-1, 1]. q: the variance of
    both, > 0. parameters: those of a named activation. Accuracy: about 1e-12 of E f².
    The Hermite series is summed where it converges. Elsewhere (f(u) - f(v))² is integrated on panels that are split
    where f has a kink or is steep, in both numbers; the derivative puts the score of the density under the integral, so
    that it holds at jumps too.
    ArgumentError: rho outside [-1, 1] or a bad q. TheoryError: no second moment.
    Cho & Saul 2009 for ReLU; Poole et al. 2016 (arXiv 1606.05340) for the map.
    """
    if isinstance(rho, bool) or not -1 <= rho <= 1:
        raise ArgumentError(f"a correlation lies between -1 and 1, not {rho!r}")
    return _correlated(find_activation(activation, **parameters), float(rho), positive("q", q))


@functools.lru_cache(maxsize=4096)
def _correlated(found: Activation, rho: float, q: float) -> Correlated:
    at = moments(found, q)
    if not at.second < math.inf:
        raise TheoryError(f"{found.name} has no second moment at q = {q:.6g}")
    if 1 - rho < NEARLY_ONE:
        near, smooth = _integrate(found, 1 - 1e-10, q)[1], q * at.slope_second
        return Correlated(q, rho, at.second, math.inf if -near / 2 > 1.01 * smooth else smooth, 0.0)
    if rho + 1 < NEARLY_ONE:
        sample = gaussian_sample(found.function, found.kinks, q)
        opposite = found.function(-math.sqrt(q) * sample.z)
        product = sample.mean(1, times=opposite)
        # kinks add a square root of the distance from -1, which two distances take out
        near, twice = (_integrate(found, -1 + gap, q)[1] for gap in (1e-7, 4e-7))
        return Correlated(q, rho, product, near - twice / 2, 2 * (at.second - product))
    return _by_series(found, rho, at) or _by_panels(found, rho, at)


def _by_series(found: Activation, rho: float, at: Moments) -> Correlated | None:
    """Sum a_k² rho^k over the Hermite coefficients, if those that are left out come to nothing."""
    try:
        squares = hermite_coefficients(found, DEGREE, at.q) ** 2
    except TheoryError:  # f leaves float64 within the reach that so many need
        return None
    orders = np.arange(DEGREE + 1)
    all_there = abs(float(orders @ squares) / (at.q * at.slope_second or 1.0) - 1) < SAME
    all_there = all_there and abs(float(squares.sum()) / at.second - 1) < SAME
    if not all_there and abs(rho) ** DEGREE > SAME * (1 - abs(rho)) ** 2:
        return None
    powers = rho**orders
    slope = float(orders[1:] * squares[1:] @ powers[:-1])
    # the whole second moment: at small rho, what the tail would add to it counts in the distance
    left = max(at.second - float(squares.sum()), 0.0)
    distance = 2 * (float(squares @ -np.expm1(orders * _log(rho))) if rho > 0 else float(squares @ (1 - powers)))
    return Correlated(at.q, rho, float(squares @ powers), slope, distance + 2 * left)


def _log(rho: float) -> float:
    return math.log(rho) if rho < 0.5 else math.log1p(rho - 1)


def _by_panels(found: Activation, rho: float, at: Moments) -> Correlated:
    distance, growth = _integrate(found, rho, at.q)
    slope = growth / 2 if rho < 0 else -growth / 2
    return Correlated(at.q, rho, at.second - distance / 2, slope, distance)


def _integrate(found: Activation, rho: float, q: float) -> tuple[float, float]:
    """Return E (f(u) - f(v))² and its derivative by |rho|, the second number mirrored where rho is negative."""
    sample = gaussian_sample(found.function, found.kinks, q)
    size, root, sign = abs(rho), math.sqrt(q), math.copysign(1.0, rho)
    rest = math.sqrt((1 - size) * (1 + size))
    features = _features(found, sample, root, rest)
    seconds = features if rho >= 0 else -features
    reach = sample.reach if sample.reach > REACHES[0] else float(INNER_REACH)
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    first, first_weights = _on_panels(_outer_edges(sample.reach, features, seconds, size, rest), nodes, weights)
    grid = np.arange(-reach, reach + 1)
    total, growth = 0.0, 0.0
    step = max(1, CHUNK // ((grid.size + seconds.size) * NODES))
    for start in range(0, first.size, step):
        z, weight = first[start : start + step], first_weights[start : start + step]
        moving = np.clip((seconds[None, :] - size * z[:, None]) / rest, -reach, reach)
        edges = np.sort(np.concatenate([np.broadcast_to(grid, (z.size, grid.size)), moving], axis=1), axis=1)
        half = np.diff(edges, axis=1)[..., None] / 2
        v = (edges[:, 1:, None] + edges[:, :-1, None]) / 2 + half * nodes
        other = size * z[:, None, None] + rest * v
        with np.errstate(all="ignore"):
            apart = found.function(root * z)[:, None, None] - found.function(sign * root * other)
            # each factor takes its half of the density with it, so that nothing overflows before it is made small
            apart *= np.exp(-(z[:, None, None] ** 2 + v**2) / 4)
        squares = apart**2 * (half * weights / (2 * np.pi)) * weight[:, None, None]
        total += float(squares.sum())
        # the score of the density; it was weighted already
        growth += float((squares * (v * z[:, None, None] / rest + size * (1 - v) * (1 + v) / rest**2)).sum())
    return total, growth


def _features(found: Activation, sample: GaussianSample, root: float, rest: float) -> Array:
    """Return where (in standard deviations) panels have to end: at kinks, and around what is narrower than `rest`."""
    kinks = np.array([kink / root for kink in found.kinks if abs(kink) < sample.reach * root], dtype=np.float64)
    low, high = sample.z[:, 0], sample.z[:, -1]
    narrow = (high - low) < 0.5 * min(rest, 1.0)
    edges = np.unique(np.concatenate([kinks, low[narrow], high[narrow]]))
    if edges.size > 1:  # a jump nobody declared leaves panels of 2^-40 around it
        edges = edges[np.concatenate([[True], np.diff(edges) > 1e-10])]
    return np.asarray(edges, dtype=np.float64)


def _outer_edges(reach: float, features: Array, seconds: Array, size: float, rest: float) -> Array:
    """Return panel edges for the first number: fine around its features and around those the second number meets."""
    edges = [np.arange(-reach, reach + 0.5, 0.5), features]
    if size > 0:
        spread = np.arange(-8, 9) * (rest / size)
        edges.append(((seconds / size)[:, None] + spread).ravel())
    joined = np.concatenate(edges)
    unique: Array = np.unique(joined[np.abs(joined) <= reach])
    kept: Array = unique[np.concatenate([[True], np.diff(unique) > 1e-13])]
    return kept


def _on_panels(edges: Array, nodes: Array, weights: Array) -> tuple[Array, Array]:
    half = np.diff(edges)[:, None] / 2
    points = (edges[1:, None] + edges[:-1, None]) / 2 + half * nodes
    return points.ravel(), (half * weights).ravel()
