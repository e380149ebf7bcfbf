"""Gaussian integrals of functions that need not be smooth: composite Gauss-Legendre on adaptive panels."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wellbegun.errors import TheoryError

Array = npt.NDArray[np.float64]

REACHES = (12.0, 24.0, 36.0)
"""Integrals run over z in [-12, 12], outside of which the normal mass is 4e-33; further for exp."""

NEGLIGIBLE = 1e-13
"""Largest share of the outermost unit intervals in E f^4 and E f'^4 with which the reach is enough."""

ORDER = 40
"""Nodes per panel. A panel is resolved when f has no Legendre coefficient of degree >= ORDER / 2 left, so
that f^4 and f'^4 (degree < 2 ORDER) are integrated exactly too."""

RESOLVED = 1e-12
"""Largest coefficient, relative to f, that counts as none left: far above rounding."""

NOISE, NOISY_HALVINGS = 1e-5, 3
"""Coefficients below NOISE that this many halvings shrink in no descendant are noise: a kink stays in only
one of them, and those of a smooth function fall by 2^20 in all."""

EDGE = 1 - 1e-6
"""The interpolant is compared with f here too, beyond the last node (0.998), or a kink there would be missed;
not at 1, where f may jump."""

MAX_HALVINGS, MAX_PANELS = 40, 8192
"""A panel of width 2^-40 that is still not resolved holds a jump. More panels than that: f is too rough."""


@dataclass(frozen=True)
class Rule:
    """The Gauss-Legendre rule on [-1, 1] and matrices from values to high coefficients, slopes and edges."""

    nodes: Array
    weights: Array
    spectrum: Array
    derivative: Array
    edges: Array


@dataclass(frozen=True)
class Panels:
    """Disjoint panels in ascending order, f at their nodes, and whether f is resolved on each."""

    low: Array
    high: Array
    values: Array
    resolved: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class GaussianSample:
    """Nodes z, weights (normal density included), f(sqrt(q) z) and f'(sqrt(q) z), each (panels, nodes)."""

    z: Array
    weights: Array
    values: Array
    slopes: Array

    def mean(self, integrand: Array) -> float:
        """Return the Gaussian mean of an integrand given at the nodes."""
        return float(np.sum(self.weights * integrand))


@functools.cache
def legendre_rule() -> Rule:
    """Return the rule of ORDER nodes with its matrices.

    >>> rule = legendre_rule()
    >>> bool(np.allclose(rule.derivative @ rule.nodes**3, 3 * rule.nodes**2))
    True

    The differentiation matrix is that of the polynomial interpolant, in barycentric form, with the row sums
    made 0 (Berrut & Trefethen 2004, section 9.3; weights for Legendre nodes: Wang & Xiang 2012).
    """
    nodes, weights = np.polynomial.legendre.leggauss(ORDER)
    degrees = np.arange(ORDER // 2, ORDER)
    coefficients = np.polynomial.legendre.legvander(nodes, ORDER - 1) * weights[:, None]
    coefficients *= np.arange(ORDER) + 0.5
    spectrum = coefficients[:, degrees].copy()
    edges = coefficients @ np.polynomial.legendre.legvander(np.array([-EDGE, EDGE]), ORDER - 1).T
    barycentric = (-1.0) ** np.arange(ORDER) * np.sqrt((1 - nodes**2) * weights)
    gaps = nodes[:, None] - nodes[None, :] + np.eye(ORDER)
    derivative = barycentric[None, :] / barycentric[:, None] / gaps
    np.fill_diagonal(derivative, 0.0)
    np.fill_diagonal(derivative, -derivative.sum(axis=1))
    for matrix in (nodes, weights, spectrum, derivative, edges):
        matrix.setflags(write=False)
    return Rule(nodes, weights, spectrum, derivative, edges)


def resolve(function: Callable[[Array], Array], edges: Array, core: float) -> Panels:
    """Halve the panels between edges until the function is a polynomial of low degree on each.

    >>> panels = resolve(np.tanh, np.arange(-2.0, 3.0), 2.0)
    >>> bool(panels.resolved.all()), float((panels.high - panels.low).sum())
    (True, 4.0)

    function: vectorised over 1-d float64 arrays. edges: ascending. core: |x| <= core is where the size of the
    function is read that rounding is compared with.
    TheoryError: the function is too rough for MAX_PANELS panels.
    """
    rule = legendre_rule()
    low, high = edges[:-1], edges[1:]
    parent_tail, noisy = np.full(low.size, np.inf), np.zeros(low.size, dtype=np.int64)
    tried = np.concatenate([rule.nodes, [-EDGE, EDGE]])
    settled: list[tuple[Array, Array, Array, npt.NDArray[np.bool_]]] = []
    floor = 0.0
    for halvings in range(MAX_HALVINGS + 1):
        points = (low + high)[:, None] / 2 + (high - low)[:, None] / 2 * tried
        at_edges = function(points.ravel()).reshape(points.shape)
        values, at_edges = at_edges[:, :ORDER], at_edges[:, ORDER:]
        size = np.abs(values).max(axis=1)
        if halvings == 0:
            floor = float(np.abs(values[np.abs(points[:, :ORDER]) <= core]).max(initial=0.0))
        with np.errstate(all="ignore"):
            missed = np.abs(values @ rule.edges - at_edges).max(axis=1)
            tail = np.maximum(np.abs(values @ rule.spectrum).max(axis=1), missed)
        resolved = tail <= RESOLVED * np.maximum(size, floor)
        # panels come as all left halves, then all right halves; at first (no parents) nothing is noisy
        kept = (tail <= NOISE * np.maximum(size, floor)) & (tail > parent_tail / 16)
        noisy = np.where(kept & np.roll(kept, low.size // 2), noisy + 1, 0)
        stop = resolved | (noisy >= NOISY_HALVINGS) | ~np.isfinite(tail)
        if halvings == MAX_HALVINGS:
            resolved = stop.copy()
            stop[:] = True
        else:
            resolved = stop
        settled.append((low[stop], high[stop], values[stop], resolved[stop]))
        low, high, parent_tail, noisy = low[~stop], high[~stop], tail[~stop], noisy[~stop]
        if low.size == 0:
            break
        if low.size > MAX_PANELS // 2:
            raise TheoryError(
                f"the activation changes too fast to integrate: more than {MAX_PANELS} panels are not "
                "enough; rescale its argument or use a smaller q"
            )
        middle = (low + high) / 2
        low, high = np.concatenate([low, middle]), np.concatenate([middle, high])
        parent_tail, noisy = np.tile(parent_tail, 2), np.tile(noisy, 2)
    columns = [np.concatenate(column) for column in zip(*settled, strict=True)]
    order = np.argsort(columns[0], kind="stable")
    return Panels(*(column[order] for column in columns))


def gaussian_sample(function: Callable[[Array], Array], kinks: tuple[float, ...], q: float) -> GaussianSample:
    """Sample f(sqrt(q) z) and its slope so that weighted sums are Gaussian means over z ~ N(0, 1).

    >>> sample = gaussian_sample(np.abs, (0.0,), 4.0)
    >>> round(sample.mean(sample.values**2), 12), round(sample.mean(sample.slopes**2), 12)
    (4.0, 1.0)

    function: float64 array to float64 array. kinks: where it is not smooth. q: variance of the argument, > 0.
    The slope is that of the interpolant on each panel, and 0 across a jump: the derivative almost everywhere.
    TheoryError: the function is not finite within 12 sqrt(q), grows too fast, or is too rough.
    """
    for reach in REACHES:
        sample = _sample_within(function, kinks, q, reach)
        outer = np.abs(sample.z) > reach - 1
        with np.errstate(over="ignore"):
            fourths = (sample.values**4, sample.slopes**4)
            shares = [(float(sample.weights[outer] @ each[outer]), sample.mean(each)) for each in fourths]
            if all(part <= NEGLIGIBLE * whole < np.inf for part, whole in shares):
                return sample
    raise TheoryError(
        f"the activation grows too fast for its Gaussian moments at q = {q:.6g}: they do not converge within "
        f"{REACHES[-1]:g} standard deviations; use a smaller q"
    )


def _sample_within(
    function: Callable[[Array], Array], kinks: tuple[float, ...], q: float, reach: float
) -> GaussianSample:
    """Sample on [-reach, reach]."""
    rule, root = legendre_rule(), float(np.sqrt(q))
    splits = np.array([kink / root for kink in kinks if abs(kink) < reach * root], dtype=np.float64)
    grid = np.arange(-reach, reach + 1)
    if splits.size:
        # a panel between a kink and a grid point next to it would have no width to differentiate on
        grid = grid[(np.abs(grid[:, None] - splits).min(axis=1) > 1e-9) | (np.abs(grid) == reach)]
    panels = resolve(lambda z: function(root * z), np.unique(np.concatenate([grid, splits])), 2.0)
    if not np.isfinite(panels.values).all():
        raise TheoryError(
            f"the activation is not finite everywhere in [{-reach * root:.4g}, {reach * root:.4g}] "
            f"({reach:g} standard deviations at q = {q:.6g}); use a smaller q"
        )
    half = (panels.high - panels.low)[:, None] / 2
    z = (panels.low + panels.high)[:, None] / 2 + half * rule.nodes
    weights = half * rule.weights * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    rises = panels.values - panels.values[:, :1]  # so that the slope of a constant is exactly 0
    slopes = np.where(panels.resolved[:, None], rises @ rule.derivative.T / (half * root), 0.0)
    return GaussianSample(z, weights, panels.values, slopes)
