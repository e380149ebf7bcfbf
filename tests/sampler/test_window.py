"""Windows of truncated normals: masses, means and deviations against 60-digit arithmetic, and the choice of method."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import scipy.special
import scipy.stats

from wellbegun.errors import ArgumentError
from wellbegun.sampler import Window

INF = float("inf")
BOUNDS = [
    (-2, 2), (-1, 1), (-3, 3), (0, INF), (-INF, 0), (1, 3), (-5, -4), (8, INF), (-0.1, 0.2), (0.5, 0.5001),
    (30, 31), (36, INF), (-INF, -36), (-100, 0.001), (-INF, INF), (0, 1e-6), (0.674, INF), (35.999, 36), (0, 1e-45),
]  # fmt: skip


@pytest.mark.parametrize(("low", "high"), BOUNDS)
def test_mass_tail_mean_and_deviation(low, high):
    """mpmath's erfc, a different algorithm, with 400 digits."""
    window = Window.of(low, high)
    with mpmath.workdps(400):
        a, b = (mpmath.mpf(float(np.float32(x))) for x in (low, high))

        def tail(x):
            return mpmath.erfc(x / mpmath.sqrt(2)) / 2

        def density(x):
            return mpmath.npdf(x) if mpmath.isfinite(x) else mpmath.mpf(0)

        def edge(x):
            return x * density(x) if mpmath.isfinite(x) else mpmath.mpf(0)

        mass = tail(a) - tail(b) if a + b > 0 else tail(-b) - tail(-a)
        mean = (density(a) - density(b)) / mass
        deviation = mpmath.sqrt(1 + (edge(a) - edge(b)) / mass - mean**2)
        near = -b if a + b < 0 else a
        expected = {
            "mass": float(mass),
            "mean": float(mean),
            "deviation": float(deviation),
            "upper_tail": float(tail(near)),
            "near": float(near),
        }
    # equal to the last bit: that is what docs/sampler.md defines the constants to be
    assert {name: getattr(window, name) for name in expected} == expected


@pytest.mark.parametrize(("low", "high"), [(-2, 2), (1, 3), (-5, -4), (8, INF), (-0.1, 0.2)])
def test_mass_agrees_with_scipy(low, high):
    a, b = (-high, -low) if low > 0 else (low, high)
    expected = scipy.special.ndtr(np.float32(b).astype(float)) - scipy.special.ndtr(np.float32(a).astype(float))
    assert Window.of(low, high).mass == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize(("low", "high"), BOUNDS)
def test_the_quantile_is_used_exactly_below_one_half(low, high):
    window = Window.of(low, high)
    # so that the chance of more than 64 attempts is at most 2^-64 for one element
    assert window.inverse == (window.mass < 0.5)
    assert window.inverse or (1 - window.mass) ** 64 <= 2.0**-64


def test_the_border_of_the_two_methods():
    half = float(scipy.special.ndtri(0.75))
    assert not Window.of(0, INF).inverse
    assert not Window.of(-INF, 0).inverse
    assert not Window.of(-half - 1e-6, half + 1e-6).inverse
    assert Window.of(-half + 1e-6, half - 1e-6).inverse


def test_mirrored_windows_mirror():
    for low, high in BOUNDS:
        window, mirrored = Window.of(low, high), Window.of(-high, -low)
        assert window.mass == mirrored.mass
        assert window.mean == -mirrored.mean
        assert window.deviation == mirrored.deviation


def test_bounds_are_float32():
    assert Window.of(-0.1, 0.1).low == float(np.float32(-0.1))
    assert Window.of(-0.1, 0.1) == Window.of(np.float32(-0.1), np.float32(0.1))


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [(2, -2, "low=2"), (1, 1, "low=1"), (1, 1 + 1e-12, "low=1"), (float("nan"), 1, "nan"), (0, float("nan"), "nan"),
     ("x", 1, "'x'"), ("-2", 2, "'-2'"), (None, 1, "None"), (-1e300, 1, "-1e[+]300"), (0, 10**400, "10000"),
     (36.5, INF, "36.5"), (-INF, -40, "-40"), (INF, INF, "low=inf"), ([1], 2, r"\[1\]")],
)  # fmt: skip
def test_bad_bounds_are_named(low, high, shown):
    with pytest.raises(ArgumentError, match=shown):
        Window.of(low, high)
