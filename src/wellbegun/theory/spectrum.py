"""Squared singular values of a deep network's input-output Jacobian, in the limit of infinite width."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from wellbegun.errors import ArgumentError, TheoryError
from wellbegun.theory.activation import Activation, find_activation
from wellbegun.theory.moments import moments, positive
from wellbegun.theory.quadrature import gaussian_sample

Array = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]

FAR, RADII, ANGLES, CLOSEST = 1e3, 20, 30, 1e-7
"""Solutions are followed from FAR times the largest eigenvalue inward on the imaginary axis, then round to the real
one, to this angle, in this many steps."""

NEWTON, NEAR, TINY = 30, 1e-3, 1e-11
"""Most steps to a root, and the relative change that ends them: on the way, and at the end."""


@dataclass(frozen=True)
class JacobianSpectrum:
    """The eigenvalues of J J' for J = D_L W_L ... D_1 W_1, W square with independent entries or orthogonal.

    mean: of the eigenvalues, (sigma_w² E f'²)^depth. spread: their variance over the square of their mean,
    depth * (E f'⁴ / (E f'²)² - 1 [+ 1 for Gaussian weights]). largest: the upper edge of their distribution.
    atoms: eigenvalues of which a share is exactly that, as (eigenvalue, share): 0 where units have slope 0, and, with
    orthogonal weights, sigma_w^2L d^L where more than 1 - 1 / L of the units have the slope sqrt(d).
    """

    depth: int
    weights: Literal["gaussian", "orthogonal"]
    weight_variance: float
    mean: float
    spread: float
    largest: float
    atoms: tuple[tuple[float, float], ...]
    slopes: Array = field(repr=False, compare=False)
    masses: Array = field(repr=False, compare=False)

    def density(self, eigenvalues: npt.ArrayLike) -> Array:
        """Return the density of the eigenvalues apart from the atoms, whose shares its integral leaves out of 1.

        >>> linear = jacobian_spectrum("identity", depth=1)
        >>> [round(float(p), 6) for p in linear.density([1.0, 2.0, 5.0])]  # Marchenko-Pastur
        [0.275664, 0.159155, 0.0]

        eigenvalues: an array of positive numbers. ArgumentError: one is not.
        """
        given = np.asarray(eigenvalues, dtype=np.float64)
        if not (np.isfinite(given) & (given > 0)).all():
            raise ArgumentError("the density of eigenvalues is for finite numbers above 0; `atoms` has the share at 0")
        inside = given.ravel() < self.largest
        found = np.zeros(given.size)
        if inside.any():
            logs = np.log(given.ravel()[inside])
            share, _ = self._share(self._follow(logs))
            found[inside] = np.maximum(-((1 + share) / np.exp(logs)).imag / math.pi, 0.0)
        return found.reshape(given.shape)

    def _share(self, t: Complex) -> tuple[Complex, Complex]:
        """Return s(t) = E d / (t - d) for d = f'², and its derivative."""
        gaps = 1 / (t[:, None] - self.slopes)
        return gaps @ (self.masses * self.slopes), -(gaps**2) @ (self.masses * self.slopes)

    def _log_eigenvalue(self, t: Complex) -> tuple[Complex, Complex]:
        """Return ln z(t) and its derivative, with z the point at which J J' has the moment function s(t).

        z = (1 + s) / (s S(s)), S the product of the layers' S-transforms: (1 + s) / (s t) for D² and 1 / sigma_w² for
        orthogonal, 1 / (sigma_w² (1 + s)) for Gaussian weights.
        """
        s, rise = self._share(t)
        free = 1 if self.weights == "orthogonal" else 0
        log = np.log1p(s) - np.log(s)
        log = log + self.depth * (np.log(s) + np.log(t) + math.log(self.weight_variance) - free * np.log1p(s))
        slope = rise / (1 + s) - rise / s + self.depth * (rise / s + 1 / t - free * rise / (1 + s))
        return log, slope

    def _follow(self, logs: Array) -> Complex:
        """Return t for eigenvalues given by logarithm, followed from far away, where it is known."""
        start = math.log(FAR * self.largest)
        first = float(self.masses @ self.slopes)
        log_scale = self.depth * math.log(self.weight_variance) + (self.depth - 1) * math.log(first)
        t: Complex = np.exp(start - log_scale + 0.5j * math.pi) * np.ones(logs.size, dtype=np.complex128)
        path = [start + (logs - start) * step / RADII + 0.5j * math.pi for step in range(RADII + 1)]
        path += [logs + 1j * angle for angle in np.geomspace(0.5 * math.pi, CLOSEST, ANGLES)[1:]]
        for target in path:
            t = self._newton(t, np.asarray(target), NEAR)
        return self._newton(t, np.asarray(path[-1]), TINY)

    def _newton(self, t: Complex, target: Complex, enough: float) -> Complex:
        """Return the root next to t of ln z(t) = target, up to full turns."""
        for _ in range(NEWTON):
            log, slope = self._log_eigenvalue(t)
            miss = log - target
            miss = miss.real + 1j * ((miss.imag + math.pi) % (2 * math.pi) - math.pi)
            step = miss / slope
            # no step longer than half the way to 0, and none across the real axis
            size = np.abs(step) / np.abs(t)
            step = step / np.maximum(1.0, 2 * size)
            down = np.maximum(step.imag / np.maximum(t.imag, 1e-300), 0.0)
            step = step / np.maximum(1.0, 2 * down)
            t = t - step
            if float((np.abs(step) / np.abs(t)).max()) < enough:
                break
        return t


def jacobian_spectrum(
    activation: str | Callable[..., Any] | Activation,
    depth: int,
    *,
    weights: Literal["gaussian", "orthogonal"] = "gaussian",
    q: float = 1.0,
    weight_variance: float | None = None,
    **parameters: float,
) -> JacobianSpectrum:
    """Return the spectrum of J J' of `depth` layers at pre-activation variance q.

    >>> spectrum = jacobian_spectrum("relu", depth=10, weights="orthogonal")
    >>> round(spectrum.mean, 9), round(spectrum.spread, 9), round(spectrum.largest, 6), spectrum.atoms
    (1.0, 10.0, 25.811748, ((0.0, 0.5),))

    activation: a name, an expression, a callable or an `Activation`. depth: layers, >= 1. weights: "gaussian" (any
    independent entries) or "orthogonal". q: the same in all layers. weight_variance: sigma_w²; None for 1 / E f'²,
    which keeps the gradient. parameters: those of a named activation.
    ArgumentError: a bad depth, kind or variance. TheoryError: f' is 0 everywhere or has no second moment.
    Pennington, Schoenholz & Ganguli 2017 (arXiv 1711.04735) and 2018 (arXiv 1802.09979).
    """
    if isinstance(depth, bool) or not isinstance(depth, int) or depth < 1:
        raise ArgumentError(f"depth has to be a whole number of layers, at least 1, not {depth!r}")
    if weights not in ("gaussian", "orthogonal"):
        raise ArgumentError(f"weights have to be 'gaussian' or 'orthogonal', not {weights!r}")
    found = find_activation(activation, **parameters)
    at = moments(found, q)
    if not 0 < at.slope_fourth < math.inf:
        raise TheoryError(f"{found} has no Jacobian spectrum at q = {at.q:.6g}: E f'⁴ is {at.slope_fourth:g}")
    variance = 1 / at.slope_second if weight_variance is None else positive("weight_variance", weight_variance)
    slopes, masses = _squared_slopes(found, at.q)
    bare = JacobianSpectrum(
        depth=depth,
        weights=weights,
        weight_variance=variance,
        mean=(variance * at.slope_second) ** depth,
        spread=depth * (at.spread + (1.0 if weights == "gaussian" else 0.0)),
        largest=math.inf,
        atoms=_atoms(slopes, masses, depth, variance, weights == "orthogonal"),
        slopes=slopes,
        masses=masses,
    )
    return _with_largest(bare)


def _with_largest(bare: JacobianSpectrum) -> JacobianSpectrum:
    """Return a spectrum with its upper edge, the smallest z(t) over t above all squared slopes."""
    from scipy import optimize

    top = float(bare.slopes.max())

    def log_eigenvalue(log_gap: float) -> float:
        return float(bare._log_eigenvalue(np.array([top * (1 + math.exp(log_gap))], dtype=np.complex128))[0].real[0])

    grid = np.linspace(-25.0, 12.0 + math.log(bare.depth), 400)
    least = int(np.argmin([log_eigenvalue(each) for each in grid]))
    low, high = grid[max(least - 1, 0)], grid[min(least + 1, grid.size - 1)]
    found = optimize.minimize_scalar(log_eigenvalue, bounds=(low, high), method="bounded", options={"xatol": 1e-9})
    return replace(bare, largest=math.exp(float(found.fun)))


def _squared_slopes(found: Activation, q: float) -> tuple[Array, Array]:
    """Return the values of f'² above 0 and their masses: nodes, with equal values joined."""
    sample = gaussian_sample(found.function, found.kinks, q)
    values, masses = (sample.slopes**2).ravel(), sample.terms(0).ravel()
    relevant = masses > 1e-18
    values, masses = values[relevant], masses[relevant]
    # equal slopes (of functions made of lines) differ by rounding only
    levels, places = np.unique(np.round(values / values.max(), 11), return_inverse=True)
    joined = np.asarray(np.bincount(places, weights=masses), dtype=np.float64)
    alive = levels > 0
    return np.asarray(levels[alive] * values.max(), dtype=np.float64), joined[alive]


def _atoms(
    slopes: Array, masses: Array, depth: int, weight_variance: float, orthogonal: bool
) -> tuple[tuple[float, float], ...]:
    """Return the eigenvalues that have a share of their own."""
    dead = round(1 - float(masses.sum()), 12)
    found = [(0.0, dead)] if dead > 0 else []
    for slope, mass in zip(slopes, masses, strict=True):
        share = 1 - depth * (1 - mass)
        if orthogonal and share > 1e-9:
            found.append((float(weight_variance * slope) ** depth, float(share)))
    return tuple(found)
