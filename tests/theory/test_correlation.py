"""Mean products at two correlated numbers against closed forms, published tables and simulation."""

import math

import numpy as np
import pytest

from wellbegun.errors import ArgumentError
from wellbegun.theory import correlated, find_activation, hermite_coefficients, moments
from wellbegun.theory.correlation import _by_panels, _by_series

RHOS = (-1.0, -0.99, -0.5, 0.0, 0.3, 0.9, 0.999, 1 - 1e-6, 1 - 1e-9, 1.0)


def relu(c: float, q: float) -> tuple[float, float]:
    return q * (math.sqrt(1 - c * c) + c * (math.pi - math.acos(c))) / (2 * math.pi), q * (
        1 - math.acos(c) / math.pi
    ) / 2


def erf(c: float, q: float) -> tuple[float, float]:
    share = 2 * q / (1 + 2 * q)
    return 2 / math.pi * math.asin(share * c), 2 / math.pi * share / math.sqrt(1 - (share * c) ** 2)


def sin(c: float, q: float) -> tuple[float, float]:
    return math.exp(-q) * math.sinh(q * c), q * math.exp(-q) * math.cosh(q * c)


def absolute(c: float, q: float) -> tuple[float, float]:
    return 2 * q / math.pi * (math.sqrt(1 - c * c) + c * math.asin(c)), 2 * q / math.pi * math.asin(c)


def exponential(c: float, q: float) -> tuple[float, float]:
    return math.exp(q * (1 + c)), q * math.exp(q * (1 + c))


CLOSED = {"relu": relu, "erf": erf, "sin": sin, "abs": absolute, "exp": exponential}


@pytest.mark.parametrize("rho", RHOS)
@pytest.mark.parametrize("name", CLOSED)
def test_closed_forms(name: str, rho: float) -> None:
    for q in (0.3, 1.0, 4.0):
        product, slope = CLOSED[name](rho, q)
        got, size = correlated(name, rho, q), moments(name, q)
        assert got.product == pytest.approx(product, rel=1e-11, abs=1e-12 * size.second)
        # the slope at -1 is taken a little inside
        tolerance = 1e-6 if rho == -1 else 1e-10
        assert got.slope == pytest.approx(slope, rel=tolerance, abs=tolerance * q * size.slope_second)
        assert got.distance == pytest.approx(2 * (size.second - product), rel=1e-8, abs=1e-12 * size.second)


def test_a_step() -> None:
    for rho in (-0.5, 0.0, 0.9, 0.999999):
        got = correlated("x > 0", rho)
        assert got.product == pytest.approx(0.5 - math.acos(rho) / (2 * math.pi), rel=1e-12)
        assert got.slope == pytest.approx(1 / (2 * math.pi * math.sqrt(1 - rho**2)), rel=1e-9)
    assert correlated("x > 0", 1.0).slope == math.inf
    assert correlated("hardshrink", 1.0).slope == math.inf
    assert math.isfinite(moments("hardshrink").slope_second)


def test_both_units_off() -> None:
    """Literature 1a: two inputs behind 100 He layers (c = 0.996423) find 0.4865 of the units off for both."""
    assert correlated("x <= 0", 0.996423146684).product == pytest.approx(0.4865, abs=5e-5)


GELU = {
    (1.0, 0.0): 0.079577471546,
    (1.0, 0.5): 0.227294915022,
    (1.0, 1.0): 0.425221482570,
    (0.5, 0.0): 0.026525823849,
    (0.5, 0.5): 0.098306484131,
    (0.5, 1.0): 0.189556541832,
    (2.0, 0.0): 0.212206590789,
    (2.0, 0.5): 0.510409213104,
    (2.0, 1.0): 0.922082872110,
}


@pytest.mark.parametrize(("q", "rho"), GELU)
def test_gelu(q: float, rho: float) -> None:
    got = correlated("gelu", rho, q)
    assert got.product == pytest.approx(GELU[q, rho], rel=1e-11)
    kappa, delta = q * rho, math.sqrt((1 + q) ** 2 - (q * rho) ** 2)
    known = ((kappa**2 + q**2 * delta**2) / ((1 + q) ** 2 * delta) + kappa * math.atan2(kappa, delta)) / (2 * math.pi)
    assert got.product == pytest.approx(known + kappa / 4, rel=1e-12)


def test_erf_and_sin_of_the_literature() -> None:
    assert correlated("erf", 0.5).product == pytest.approx(0.216346895939, rel=1e-11)
    assert correlated("sin", 0.5).product == pytest.approx(0.191700249782, rel=1e-11)


@pytest.mark.parametrize("name", ["tanh", "gelu", "softplus", "sigmoid", "sin_3"])
@pytest.mark.parametrize("rho", [-0.9, 0.2, 0.95])
def test_series_and_panels_agree(name: str, rho: float) -> None:
    found, at = find_activation(name), moments(name, 0.8)
    series, panels = _by_series(found, rho, at), _by_panels(found, rho, at)
    assert series is not None
    for field in ("product", "slope", "distance"):
        size = at.second + abs(at.q * at.slope_second)
        assert getattr(series, field) == pytest.approx(getattr(panels, field), rel=1e-9, abs=1e-12 * size), field


@pytest.mark.parametrize(
    "text", ["tanh(100 * x)", "max(x - 1.2345, 0) + 0.3 * abs(x + 0.777)", "sign(x - 0.4)", "hardtanh"]
)
@pytest.mark.parametrize("rho", [0.4, 0.97, -0.6])
def test_simulation(text: str, rho: float) -> None:
    generator = np.random.default_rng(3)
    u, w = generator.standard_normal((2, 400_000))
    v = rho * u + math.sqrt(1 - rho**2) * w
    f = find_activation(text).function
    products = f(u) * f(v)
    error = products.std() / math.sqrt(u.size)
    assert correlated(text, rho).product == pytest.approx(products.mean(), abs=5 * error)


@pytest.mark.parametrize("name", ["relu", "gelu", "tanh", "elu", "hardtanh", "softplus"])
def test_hermite_coefficients(name: str) -> None:
    q = 0.7
    squares, at = hermite_coefficients(name, 256, q) ** 2, moments(name, q)
    assert math.sqrt(squares[0]) == pytest.approx(abs(at.mean), rel=1e-12, abs=1e-14)
    tolerance = 1e-12 if name in ("gelu", "tanh", "softplus") else 1e-3
    assert squares.sum() == pytest.approx(at.second, rel=tolerance)
    assert squares @ np.arange(257) == pytest.approx(q * at.slope_second, rel=100 * tolerance)
    assert squares @ 0.5 ** np.arange(257) == pytest.approx(correlated(name, 0.5, q).product, rel=1e-12)


def test_hermite_series_of_a_polynomial() -> None:
    got = hermite_coefficients("x**3 - 2 * x", 6, 1.0)
    assert got == pytest.approx([0, 1, 0, math.sqrt(6), 0, 0, 0], abs=1e-12)
    assert hermite_coefficients("exp", 5, 0.25) == pytest.approx(
        [math.exp(0.125) * 0.5**k / math.sqrt(math.factorial(k)) for k in range(6)], rel=1e-12
    )


def test_refusals() -> None:
    for rho in (1.5, -1.01, math.nan, True):
        with pytest.raises(ArgumentError, match="between -1 and 1"):
            correlated("relu", rho)
    for degree in (-1, 257, 2.0, True):
        with pytest.raises(ArgumentError, match="from 0 to 256"):
            hermite_coefficients("relu", degree)  # type: ignore[arg-type]
