"""A stack of equal layers in the limit of infinite width: lengths, correlations, gradients."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from wellbegun.errors import ArgumentError, TheoryError
from wellbegun.theory.activation import Activation, find_activation
from wellbegun.theory.correlation import correlated
from wellbegun.theory.fixed_point import FixedPoint, find_fixed_points
from wellbegun.theory.moments import Moments, moments, positive

Normalisation = Literal["none", "layer", "rms"]

CRITICAL = 1e-6
"""A chi this near to 1 counts as critical."""

VANISHED = 1e-8
"""A fixed point at 0 is looked at here: as far as any feature of f, but not as rounding."""


@dataclass(frozen=True)
class DepthScales:
    """Layers in which deviations shrink by e: of the length from q*, of the correlation from its fixed point."""

    length: float
    correlation: float


@dataclass(frozen=True)
class MeanField:
    """Layers z' = W f(z) + b with Var W = weight_variance / fan_in and Var b = bias_variance, infinitely wide.

    >>> chaotic = MeanField("tanh", 2.0, 0.05)
    >>> [round(point.q, 6) for point in chaotic.fixed_points()], chaotic.phase
    ([0.721762], 'chaotic')
    >>> round(chaotic.chi, 6), round(chaotic.correlation_fixed_point(), 6)
    (1.047666, 0.744082)

    Fully connected layers and convolutions (circular, or far from the edges) obey the same equations, with the fan_in
    of the operation.

    activation: a name, an expression, a callable or an `Activation`. weight_variance: sigma_w². bias_variance:
    sigma_b². normalisation: of the pre-activations z over the units: "layer" or "rms" set q to 1 in every layer.
    dropout: probability with which f(z) is set to 0, the rest divided by 1 - dropout; drawn for each input. E f² then
    counts 1 / (1 - dropout) times (critical for ReLU: sigma_w² = 2 (1 - dropout)), and equal inputs do not stay equal.
    ArgumentError: a variance that is negative or not finite, an unknown normalisation, a dropout outside [0, 1).
    Poole et al. 2016 (arXiv 1606.05340); Schoenholz et al. 2017 (arXiv 1611.01232), section 5 for dropout; Xiao et
    al. 2018 (arXiv 1806.05393) for convolutions; Pretorius et al. 2018 (arXiv 1811.00293) for ReLU with noise.
    """

    activation: str | Callable[..., Any] | Activation
    weight_variance: float
    bias_variance: float = 0.0
    normalisation: Normalisation = "none"
    dropout: float = 0.0

    def __post_init__(self) -> None:
        find_activation(self.activation)
        for name in ("weight_variance", "bias_variance"):
            given = getattr(self, name)
            if isinstance(given, bool) or not 0 <= given < math.inf:
                raise ArgumentError(f"{name} has to be a finite number, at least 0, not {given!r}")
        if self.weight_variance == 0:
            raise ArgumentError("weight_variance has to be above 0: with none, no layer hands anything on")
        if self.normalisation not in ("none", "layer", "rms"):
            raise ArgumentError(f"normalisation has to be 'none', 'layer' or 'rms', not {self.normalisation!r}")
        if isinstance(self.dropout, bool) or not 0 <= self.dropout < 1:
            raise ArgumentError(f"dropout has to be a probability, at least 0 and below 1, not {self.dropout!r}")

    def length_map(self, q: float) -> float:
        """Return the next layer's variance of pre-activations (before its normalisation, if there is one).

        >>> MeanField("relu", 2.0, 0.1).length_map(1.0)
        1.1
        """
        return self._noisy_variance * self._at(q).second + self.bias_variance

    def length_slope(self, q: float) -> float:
        """Return chi_q, the derivative of the length map: sigma_w² d E f² / dq; 0 where a normalisation fixes q."""
        return 0.0 if self.normalisation != "none" else self._noisy_variance * self._at(q).second_growth

    def lengths(self, q: float, depth: int) -> tuple[float, ...]:
        """Return the variances in depth layers, the first with variance q.

        >>> [round(q, 4) for q in MeanField("relu", 1.0).lengths(1.0, 4)]
        [1.0, 0.5, 0.25, 0.125]
        """
        found = [positive("q", q)]
        while len(found) < depth:
            found.append(self.length_map(found[-1]))
        return tuple(found)

    def fixed_points(self) -> tuple[FixedPoint, ...]:
        """Return every variance that the layers hand on unchanged, in ascending order, with its stability.

        >>> [(round(point.q, 4), point.stability) for point in MeanField("gelu", 2.351716).fixed_points()]
        [(0.0, 'stable'), (1.0, 'unstable')]

        With a normalisation it is 1, and nothing deviates from it.
        """
        return self._fixed_points

    @functools.cached_property
    def _fixed_points(self) -> tuple[FixedPoint, ...]:
        if self.normalisation != "none":
            return (FixedPoint(1.0, 0.0),)

        def length_map(q: float) -> float:
            try:
                return self.length_map(q)
            except TheoryError:  # f leaves float64, or is too rough at this scale
                return math.nan

        return find_fixed_points(length_map, self.length_slope)

    def fixed_point(self, start: float = 1.0) -> FixedPoint:
        """Return the fixed point that the variance moves to from `start`.

        >>> MeanField("tanh", 0.9).fixed_point().q
        0.0

        TheoryError: the variance grows without bound.
        """
        points = self.fixed_points()
        if any(point.slope == 1.0 for point in points) or self.normalisation != "none":
            return points[0]
        for point in points:
            if abs(point.q - start) <= 1e-9 * start:
                return point
        grows = self.length_map(positive("start", start)) > start
        ahead = [point for point in points if (point.q >= start if grows else point.q <= start)]
        if not ahead:
            known = ", ".join(f"{point.q:.6g} ({point.stability})" for point in points) or "none"
            raise TheoryError(
                f"the variance of {find_activation(self.activation)} at sigma_w² = {self.weight_variance:.6g}, "
                f"sigma_b² = {self.bias_variance:.6g} grows without bound from {start:g}: its fixed points "
                f"are {known}; use a smaller weight variance"
            )
        return ahead[0] if grows else ahead[-1]

    def correlation_map(self, rho: float, q: float | None = None) -> float:
        """Return the correlation of two inputs one layer on.

        >>> round(MeanField("relu", 2.0).correlation_map(0.0), 9)
        0.318309886

        rho: their correlation. q: the variance of both; None for the fixed point.
        """
        return 1 - self._decorrelation(rho, self._resolve(q))

    def correlation_slope(self, rho: float, q: float | None = None) -> float:
        """Return the derivative of the correlation map; at rho = 1 and q = q* it is chi."""
        q = self._resolve(q)
        return self.weight_variance * correlated(self.activation, rho, q).slope / self.length_map(q)

    def correlation_fixed_point(self) -> float:
        """Return the correlation that any two inputs end up with: 1 unless the phase is chaotic or units drop out."""
        from scipy import optimize

        q = self._resolve(None)
        if self.dropout == 0 and self.correlation_slope(1.0, q) <= 1 + CRITICAL:
            return 1.0

        def excess(rho: float) -> float:  # above 0 where inputs draw together; its root at 1 is divided out
            return 1 - self._decorrelation(rho, q) / (1 - rho)

        highest = 1 - (1e-12 if self.dropout else 1e-6)
        return 0.0 if excess(0.0) <= 1e-13 else float(optimize.brentq(excess, 0.0, highest, xtol=1e-13))

    @property
    def chi(self) -> float:
        """Return chi_1 at the fixed point: the factor on the gradient's variance, layer by layer backward.

        sigma_w² E f'², and with a normalisation divided by the variance that it divides by.
        """
        return self.gradient_factor(self._resolve(None))

    def gradient_factor(self, q: float) -> float:
        """Return the factor on the gradient's variance through a layer at variance q."""
        factor = self._noisy_variance * self._at(q).slope_second
        return factor if self.normalisation == "none" else factor / self.length_map(q)

    @property
    def phase(self) -> Literal["ordered", "critical", "chaotic"]:
        """Return what becomes of inputs that differ a little, and of gradients: shrink, neither, or grow."""
        excess = self.chi - 1
        if abs(excess) <= CRITICAL:
            return "critical"
        return "chaotic" if excess > 0 else "ordered"

    def depth_scales(self) -> DepthScales:
        """Return in how many layers deviations of length and of correlation shrink by e.

        >>> scales = MeanField("tanh", 1.5, 0.05).depth_scales()
        >>> round(scales.length, 4), round(scales.correlation, 4)
        (1.6828, 15.791)

        A network much deeper than the correlation's scale treats all inputs alike (ordered) or as unrelated (chaotic),
        and can hardly be trained. Infinity on the critical line.
        """
        point = self.fixed_point()
        rho = self.correlation_fixed_point()
        if self.dropout == 0 and self.phase == "critical":
            return DepthScales(point.depth, math.inf)
        return DepthScales(point.depth, FixedPoint(rho, self.correlation_slope(rho)).depth)

    def _decorrelation(self, rho: float, q: float) -> float:
        """Return 1 - the next correlation, to full accuracy near 0."""
        pair = correlated(self.activation, rho, q)
        apart = self.weight_variance * pair.distance / 2
        if self.dropout:  # what is dropped for one input is not what is dropped for the other
            apart += (self._noisy_variance - self.weight_variance) * self._at(q).second
        return apart / self.length_map(q)

    @property
    def _noisy_variance(self) -> float:
        """The factor on E f² and, backward, on E f'²: kept units are divided by 1 - dropout."""
        return self.weight_variance / (1 - self.dropout)

    def _resolve(self, q: float | None) -> float:
        if self.normalisation != "none":
            return 1.0
        return max(self.fixed_point().q, VANISHED) if q is None else positive("q", q)

    def _at(self, q: float) -> Moments:
        return moments(self.activation, 1.0 if self.normalisation != "none" else q)
