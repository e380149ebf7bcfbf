"""Gaussian integrals of functions that need not be smooth: composite Gauss-Legendre on adaptive panels."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from wellbegun.errors import TheoryError

Array = npt.NDArray[np.float64]

REACHES = (12.0, 24.0, 36.0, 48.0)
"""Integrals run over z in [-12, 12], outside of which the normal mass is 4e-33; further for exp and for far steps."""

NATURAL = 32
"""Panels also end at the whole numbers x up to this, at which formulas have their features, or a large q would jump
over them."""

NEGLIGIBLE = 1e-13
"""Largest share of the outermost unit intervals in E f^4 and E f'^4 with which the reach is enough."""

ORDER = 40
"""Nodes per panel. A panel is resolved when f has no Legendre coefficient of degree >= ORDER / 2 left, so
that f^4 and f'^4 (degree < 2 ORDER) are integrated exactly too."""

RESOLVED = 1e-12
"""Largest coefficient, relative to f, that counts as none left: far above rounding."""

BLUR, BLURRED = 16 * float(np.finfo(np.float64).eps), 1e-6
"""Rounding of an argument, relative; and the narrowest panels, relative, on which it is allowed for."""

NOISE, NOISY_HALVINGS = 1e-5, 3
"""Coefficients below NOISE that this many halvings shrink in no descendant are noise: a kink stays in only
one of them, and those of a smooth function fall by 2^20 in all."""

COARSE, CLEAR = 1e-9, 1.0
"""Noise of this share of f is that of a coarser number format; and how far above it a coefficient stands out."""

EDGE = 1 - 1e-6
"""The interpolant is compared with f here too, beyond the last node (0.998), or a kink there would be missed;
not at 1, where f may jump."""

FAINT = 1e-60
"""Values this far below the largest are not resolved: near 1e-308 there is nothing but rounding."""

SINGULAR, NEAR, BLOCK = 1e-11, 2.0**-28, 16
"""Panels narrower than SINGULAR surround a jump or a pole; distances from it are looked at from NEAR on,
in two blocks of this factor."""

AS_A_POLE, NOT_INTEGRABLE, LEFT_OUT = 0.1, 0.9, 1e-10
"""The share of the outer block in the inner one is 0.06 at a jump, 0.1 for |x|^-0.17, 0.9 for |x|^-0.96; and the part
of a moment that may be left out."""

MAX_HALVINGS, MAX_PANELS = 40, 65536
"""A panel of width 2^-40 that is still not resolved holds a jump. More panels than that: f is too rough."""


@dataclass(frozen=True)
class Rule:
    """The Gauss-Legendre rule on [-1, 1], with matrices.

    They lead from values to high coefficients (spectrum), slopes, values near the edges and all coefficients
    (analysis), and from coefficients to slopes.
    """

    nodes: Array
    weights: Array
    spectrum: Array
    derivative: Array
    edges: Array
    analysis: Array
    series_slopes: Array


@dataclass(frozen=True)
class Panels:
    """Disjoint panels in ascending order, f at their nodes, and whether f is resolved on each."""

    low: Array
    high: Array
    values: Array
    resolved: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class GaussianSample:
    """Nodes z, their weights (without the normal density), f(sqrt(q) z) and f'(sqrt(q) z), each (panels, nodes).

    reach: the nodes lie in [-reach, reach]. fourths: whether that is far enough for fourth powers too.
    """

    z: Array
    weights: Array
    values: Array
    slopes: Array
    reach: float
    fourths: bool = True

    @functools.cached_property
    def quarter(self) -> Array:
        """Return the fourth root of exp(-z² / 2), which every factor of a moment takes with it.

        So e^(4 x) does not overflow before the density brings it down.
        """
        with np.errstate(under="ignore"):
            return np.asarray(np.exp(-(self.z**2) / 8))

    def terms(self, of_values: int, of_slopes: int = 0) -> Array:
        """Return weight times density times f^a f'^b at the nodes, a + b <= 4."""
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            product: Array = self.weights / np.sqrt(2 * np.pi)
            for _ in range(of_values):
                product = product * (self.values * self.quarter)
            for _ in range(of_slopes):
                product = product * (self.slopes * self.quarter)
            for _ in range(4 - of_values - of_slopes):
                product = product * self.quarter
            return product

    def mean(self, of_values: int, of_slopes: int = 0, *, times: Array | float = 1.0) -> float:
        """Return E f^a f'^b for a + b <= 4, times an array at the nodes; infinity where fourth moments are."""
        if of_values + of_slopes > 2 and not self.fourths:
            return np.inf
        return float(np.sum(self.terms(of_values, of_slopes) * times))

    def even_mean(self, of_values: int, of_slopes: int = 0) -> float:
        """Return E f^a f'^b for even a and b; infinity where f or its slope has a pole whose power is not integrable.

        From octave to octave of the distance to a pole, its part shrinks by one factor, or grows. Where it shrinks as
        slowly as that of a pole, what is nearer than NEAR is taken from the geometric series instead of from panels.
        """
        total = self.mean(of_values, of_slopes)
        width, middle = self.z[:, -1] - self.z[:, 0], self.z.mean(axis=1)
        tiny = middle[width < SINGULAR]
        if not tiny.size or not 0 < total < np.inf:
            return total
        poles = np.array([group.mean() for group in np.split(tiny, np.flatnonzero(np.diff(tiny) > NEAR) + 1)])
        after = np.searchsorted(poles, middle)
        distance = np.minimum(
            np.abs(middle - poles[np.maximum(after - 1, 0)]), np.abs(middle - poles[np.minimum(after, poles.size - 1)])
        )
        parts = self.terms(of_values, of_slopes).sum(axis=1)
        inner, outer = (
            float(parts[(distance >= near) & (distance < BLOCK * near)].sum()) for near in (NEAR, BLOCK * NEAR)
        )
        share = inner / outer if outer else 0.0
        if share > NOT_INTEGRABLE:
            return np.inf
        if inner <= LEFT_OUT * total or share < AS_A_POLE:
            return total
        return total - float(parts[distance < NEAR].sum()) + inner * share / (1 - share)


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
    lower = np.polynomial.legendre.legder(np.eye(ORDER))
    series_slopes = np.asarray(np.polynomial.legendre.legval(nodes, lower), dtype=np.float64)
    matrices: tuple[Array, ...] = (nodes, weights, spectrum, derivative, edges, coefficients, series_slopes)
    for matrix in matrices:
        matrix.setflags(write=False)
    return Rule(*matrices)


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
        with np.errstate(all="ignore"):
            at_edges = function(points.ravel()).reshape(points.shape)
        values, at_edges = at_edges[:, :ORDER], at_edges[:, ORDER:]
        size = np.abs(values).max(axis=1)
        if halvings == 0:
            floor = float(np.abs(values[np.abs(points[:, :ORDER]) <= core]).max(initial=0.0))
            floor = max(floor, FAINT * float(size.max()))
        with np.errstate(all="ignore"):
            missed = np.abs(values @ rule.edges - at_edges).max(axis=1)
            tail = np.maximum(np.abs(values @ rule.spectrum).max(axis=1), missed)
            # an argument is known to a rounding of its size: that much of f means nothing (sin(30 x) at x = 1000)
            steep = np.abs(np.diff(values) / np.diff(points[:, :ORDER])).max(axis=1)
            far = np.maximum(np.abs(low), np.abs(high))
            # not on narrow panels, where the steepness may be that of a jump
            blur = np.where(high - low > BLURRED * far, BLUR * steep * far, 0.0)
        resolved = tail <= RESOLVED * np.maximum(size, floor) + blur
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


def gaussian_sample(
    function: Callable[[Array], Array], kinks: tuple[float, ...], q: float, least_reach: float = REACHES[0]
) -> GaussianSample:
    """Sample f(sqrt(q) z) and its slope so that weighted sums are Gaussian means over z ~ N(0, 1).

    >>> sample = gaussian_sample(np.abs, (0.0,), 4.0)
    >>> round(sample.mean(2), 12), round(sample.mean(0, 2), 12)
    (4.0, 1.0)

    function: float64 array to float64 array. kinks: where it is not smooth. q: variance of the argument, > 0.
    least_reach: integrate at least to here, in standard deviations.
    The slope is that of the interpolant on each panel, and 0 across a jump: the derivative almost everywhere.
    TheoryError: the function is not finite within 12 sqrt(q), grows too fast, or is too rough.
    """
    enough: GaussianSample | None = None
    for reach in REACHES:
        if reach < least_reach:
            continue
        sample = _sample_within(function, kinks, q, reach)
        if sample is None and reach == REACHES[0]:
            end = reach * np.sqrt(q)
            raise TheoryError(
                f"the activation is not finite everywhere in [{-end:.4g}, {end:.4g}] ({reach:g} standard deviations "
                f"at q = {q:.6g}); use a smaller q"
            )
        if sample is None:
            break
        second, fourth = (all(_converged(sample, powers) for powers in ((order, 0), (0, order))) for order in (2, 4))
        if second and fourth:
            return sample
        if second:
            enough = sample
    if enough is not None:
        return replace(enough, fourths=False)
    raise TheoryError(
        f"the activation grows too fast for its Gaussian moments at q = {q:.6g}: within {reach:g} standard deviations "
        f"they do not converge or leave float64; use a smaller q"
    )


def _converged(sample: GaussianSample, powers: tuple[int, int]) -> bool:
    """Tell whether the outermost unit intervals add next to nothing to a moment (nor is it 0 for want of reach)."""
    terms = np.minimum(np.abs(sample.terms(*powers)), 1e300)  # so that the sum does not overflow
    whole, part = float(terms.sum()), float(terms[np.abs(sample.z) > sample.reach - 1].sum())
    if whole == 0:  # a step may be further away; slopes that are 0 everywhere are those of a constant
        return sample.reach == REACHES[-1] or not (powers[0] or np.any(sample.slopes))
    return part <= NEGLIGIBLE * whole and whole < 1e300


def _sample_within(
    function: Callable[[Array], Array], kinks: tuple[float, ...], q: float, reach: float
) -> GaussianSample | None:
    """Sample on [-reach, reach]; None where the function is not finite there."""
    rule, root = legendre_rule(), float(np.sqrt(q))
    splits = np.array([kink / root for kink in kinks if abs(kink) < reach * root], dtype=np.float64)
    grid = np.arange(-reach, reach + 1)
    if root > 1:
        natural = np.arange(-NATURAL, NATURAL + 1) / root
        grid = np.unique(np.concatenate([grid, natural[np.abs(natural) < reach]]))
    if splits.size:
        # a panel between a kink and a grid point next to it would have no width to differentiate on
        grid = grid[(np.abs(grid[:, None] - splits).min(axis=1) > 1e-9) | (np.abs(grid) == reach)]
    panels = resolve(lambda z: function(root * z), np.unique(np.concatenate([grid, splits])), 2.0)
    half = (panels.high - panels.low)[:, None] / 2
    with np.errstate(over="ignore", invalid="ignore"):
        slopes = np.where(panels.resolved[:, None], _slopes(panels.values) / (half * root), 0.0)
    if not (np.isfinite(panels.values).all() and np.isfinite(slopes).all()):
        return None
    z = (panels.low + panels.high)[:, None] / 2 + half * rule.nodes
    return GaussianSample(z, half * rule.weights, panels.values, slopes, reach)


def _slopes(values: Array) -> Array:
    """Return the slopes of the interpolants on [-1, 1]; of their part above the noise, where values are noisy.

    A function of float32 numbers has noise of 1e-7, which an interpolant of degree 39 would multiply by hundreds.
    """
    rule = legendre_rule()
    rises = values - values[:, :1]  # so that the slope of a constant is exactly 0
    slopes = np.asarray(rises @ rule.derivative.T, dtype=np.float64)
    coefficients = rises @ rule.analysis
    noise = np.abs(coefficients[:, ORDER // 2 :]).max(axis=1)
    noisy = np.flatnonzero(noise > COARSE * np.abs(values).max(axis=1))
    if noisy.size:
        kept = coefficients[noisy]
        # from the last coefficient that stands out on, all is noise
        standing = np.abs(kept) > CLEAR * noise[noisy, None]
        last = ORDER - 1 - np.argmax(standing[:, ::-1], axis=1)
        last = np.where(standing.any(axis=1), last, 0)
        kept[np.arange(ORDER) > last[:, None]] = 0.0
        slopes[noisy] = kept @ rule.series_slopes
    return slopes
