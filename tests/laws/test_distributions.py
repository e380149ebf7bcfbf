"""Every initializer against its exact law: Kolmogorov and Smirnov on 10^6 draws, moments on 10^7.

The expected laws are written with scipy and float64 formulas that share nothing with the package. Seeds are fixed, so
the outcome is too; the thresholds are those of a fresh sample (KS at 0.1%, moments at four standard errors).
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.integrate
import scipy.stats

import wellbegun as wb
from wellbegun.sampler import Stream

INF = float("inf")
FANS = wb.Fans(fan_in=300, fan_out=100)
SQRT3 = math.sqrt(3)
TANH_GAIN = 1 / math.sqrt(
    scipy.integrate.quad(
        lambda z: math.tanh(z) ** 2 * math.exp(-z * z / 2) / math.sqrt(2 * math.pi), -12, 12, limit=200
    )[0]
)


def normal(std, mean=0.0):
    return scipy.stats.norm(mean, std)


def uniform(std):
    return scipy.stats.uniform(-SQRT3 * std, 2 * SQRT3 * std)


def truncated(low, high, sigma, mean=0.0):
    return scipy.stats.truncnorm(low, high, mean, sigma)


def matched(low, high, std, mean=0.0):
    return truncated(low, high, std / scipy.stats.truncnorm(low, high).std(), mean)


def scaling(variance, fan, distribution):
    std = math.sqrt(variance / fan)
    return {"normal": normal, "uniform": uniform, "truncated_normal": lambda s: matched(-2, 2, s)}[distribution](std)


EXPECTED = [
    (wb.Normal(1.0), normal(1)),
    (wb.Normal(std=0.02, mean=0.3), normal(0.02, 0.3)),
    (wb.Uniform(-1.0, 1.0), scipy.stats.uniform(-1, 2)),
    (wb.Uniform(-0.3, 0.1), scipy.stats.uniform(-0.3, 0.4)),
    *(
        (wb.TruncatedNormal(0.02, low=low, high=high, match_std=match), law(low, high, 0.02))
        for low, high in ((-2, 2), (-1, 1), (-3, 3), (0, INF), (-INF, 0.5), (1, 3), (-5, -4), (8, INF), (-0.1, 0.2))
        for match, law in ((True, matched), (False, truncated))
    ),
    (wb.TruncatedNormal(1.0, mean=0.5), matched(-2, 2, 1, 0.5)),
    (wb.FanInUniform(), scipy.stats.uniform(-1 / math.sqrt(300), 2 / math.sqrt(300))),
    (wb.XavierUniform(), uniform(math.sqrt(2 / 400))),
    (wb.XavierUniform(gain=5 / 3), uniform(5 / 3 * math.sqrt(2 / 400))),
    (wb.XavierNormal(), normal(math.sqrt(2 / 400))),
    (wb.XavierNormal(gain=0.5), normal(0.5 * math.sqrt(2 / 400))),
    (wb.HeNormal(), normal(math.sqrt(2 / 300))),
    (wb.HeNormal(mode="fan_out"), normal(math.sqrt(2 / 100))),
    (wb.HeNormal(mode="fan_avg"), normal(math.sqrt(2 / 200))),
    (wb.HeNormal(nonlinearity="tanh"), normal(TANH_GAIN / math.sqrt(300))),
    (wb.HeUniform(), uniform(math.sqrt(2 / 300))),
    (wb.HeUniform(nonlinearity="tanh", mode="fan_out"), uniform(TANH_GAIN / math.sqrt(100))),
    (wb.LecunNormal(), normal(1 / math.sqrt(300))),
    (wb.LecunUniform(), uniform(1 / math.sqrt(300))),
    *(
        (wb.VarianceScaling(variance, mode, distribution), scaling(variance, fan, distribution))
        for variance, mode, fan in ((2.0, "fan_in", 300), (1.0, "fan_out", 100), (12.96, "fan_avg", 200))
        for distribution in ("normal", "uniform", "truncated_normal")
    ),
]
IDS = [repr(initializer) for initializer, _ in EXPECTED]


def standard_moment(law, order):
    """E ((x - mean)/std)^order, by scipy's quadrature of the exact density."""
    name, (mean, std) = law.dist.name, (float(law.mean()), float(law.std()))
    if name == "norm":
        return {1: 0, 2: 1, 3: 0, 4: 3, 6: 15, 8: 105}[order]
    if name == "uniform":
        return {1: 0, 2: 1, 3: 0, 4: 9 / 5, 6: 27 / 7, 8: 9}[order]
    low, high = max(law.support()[0], mean - 45 * std), min(law.support()[1], mean + 45 * std)
    points = np.clip(np.linspace(mean - 10 * std, mean + 10 * std, 41), low, high)
    pieces = itertools.pairwise(points)
    integrand = lambda x: ((x - mean) / std) ** order * law.pdf(x)  # noqa: E731
    total = sum(scipy.integrate.fixed_quad(integrand, a, b, n=20)[0] for a, b in pieces if b > a)
    return total + sum(
        scipy.integrate.quad(integrand, a, b)[0] for a, b in ((low, points[0]), (points[-1], high)) if b > a
    )


@pytest.mark.parametrize(("initializer", "expected"), EXPECTED, ids=IDS)
def test_kolmogorov_smirnov(initializer, expected):
    out = np.empty(1_000_000, np.float32)
    initializer.law(FANS).draw(out, Stream.of(5, repr(initializer)), 0)
    cdf = expected.cdf(np.sort(out).astype(np.float64))
    grid = np.arange(out.size + 1) / out.size
    distance = max((grid[1:] - cdf).max(), (cdf - grid[:-1]).max())
    assert scipy.stats.kstwobign.sf(distance * math.sqrt(out.size)) > 1e-3


@pytest.mark.parametrize(("initializer", "expected"), EXPECTED, ids=IDS)
def test_mean_variance_skewness_and_kurtosis(initializer, expected):
    size, chunk = 10_000_000, 1 << 19
    law, stream = initializer.law(FANS), Stream.of(6, repr(initializer))
    mean, std = float(expected.mean()), float(expected.std())
    out, sums = np.empty(chunk, np.float32), np.zeros(4)
    for first in range(0, size, chunk):
        part = out[: min(chunk, size - first)]
        law.draw(part, stream, first)
        z = (part.astype(np.float64) - mean) / std
        square = z * z
        sums += z.sum(), square.sum(), (square * z).sum(), (square * square).sum()
    for power, total in enumerate(sums, start=1):
        exact = standard_moment(expected, power)
        standard_error = math.sqrt((standard_moment(expected, 2 * power) - exact**2) / size)
        assert abs(total / size - exact) <= 4 * standard_error, f"moment {power}"


@pytest.mark.parametrize(("initializer", "expected"), EXPECTED, ids=IDS)
def test_moments_are_those_of_the_law(initializer, expected):
    mean, std = initializer.law(FANS).moments((300, 100))
    assert std == pytest.approx(float(expected.std()), rel=3e-7)
    assert mean == pytest.approx(
        float(expected.mean()), abs=3e-7 * max(abs(float(expected.mean())), float(expected.std()))
    )


@pytest.mark.parametrize(("low", "high"), [(-1, 1), (-2, 2), (-3, 3), (0, INF), (1, 3), (0.5, 0.5001), (0.5, 0.500001)])
@pytest.mark.parametrize("std", [1e-4, 0.02, 1.0])
def test_match_std_gives_the_std_that_was_asked_for(low, high, std):
    """Even in windows so narrow that float64 loses every digit of the textbook formula (0.5 to 0.500001)."""
    law = wb.TruncatedNormal(std, low=low, high=high)
    assert law.moments(())[1] == pytest.approx(std, rel=1e-7)
    if high - low > 1e-3:
        out = np.empty(4_000_000, np.float32)
        law.draw(out, Stream.of(1, "w"), 0)
        kurtosis = standard_moment(truncated(low, high, 1), 4)
        tolerance = 4 * math.sqrt((kurtosis - 1) / 4 / out.size)
        assert tolerance < 2.5e-3
        assert out.std(dtype=np.float64) == pytest.approx(std, rel=tolerance)


@pytest.mark.parametrize(
    "initializer", [wb.Zeros(), wb.Ones(), wb.Constant(0.1), wb.Constant(-3), wb.Equal()], ids=repr
)
def test_constants(initializer):
    out = np.full(1000, np.nan, np.float32)
    initializer.law(FANS).draw(out, Stream.of(0, "w"), 0)
    value = {"Zeros": 0, "Ones": 1, "Constant": getattr(initializer, "value", 0), "Equal": 1 / 300}
    assert set(out.tolist()) == {float(np.float32(value[type(initializer).__name__]))}
    assert initializer.law(FANS).moments(()) == (out[0], 0.0)


def test_the_gain_of_tanh():
    assert pytest.approx(1.5925374, abs=1e-7) == TANH_GAIN
    assert wb.HeNormal(nonlinearity="tanh").law(wb.Fans(100, 1)).std == pytest.approx(TANH_GAIN / 10, rel=1e-7)


@pytest.mark.parametrize("law", [wb.Orthogonal(), wb.Orthogonal(gain=1.5)], ids=repr)
@pytest.mark.parametrize("shape", [(30, 30), (20, 50), (50, 20), (8, 3, 3, 3), (64, 3, 2, 2)])
def test_orthogonal(law, shape):
    matrix = law.block(Stream.of(3, "w"), shape).reshape(shape[0], -1).astype(np.float64)
    product = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    np.testing.assert_allclose(product, law.gain**2 * np.eye(min(matrix.shape)), rtol=0, atol=1e-5 * law.gain**2)
    # trace of WᵀW = gain²·min(rows, columns), so the mean square of an element is known exactly
    mean, std = law.moments(shape)
    assert mean == 0
    assert std == pytest.approx(np.sqrt((matrix**2).mean()), rel=1e-6)


@pytest.mark.parametrize("gain", [1.0, 2.0])
def test_mirrored_orthogonal_is_a_rotation_behind_a_relu(gain):
    """relu(u) - relu(-u) = u: two mirrored layers map a mirrored input by gain²·Q₂Q₁ exactly."""
    layers = [wb.MirroredOrthogonal(gain=gain).block(Stream.of(3, name), (64, 64)).astype(np.float64) for name in "ab"]
    x = np.random.default_rng(1).normal(size=32)
    first = layers[0] @ np.maximum(np.concatenate([x, -x]), 0)
    second = layers[1] @ np.maximum(first, 0)
    inner = [w[:32, :32] for w in layers]
    np.testing.assert_allclose(second[:32], inner[1] @ inner[0] @ x, atol=1e-5 * gain**2)
    np.testing.assert_array_equal(second[32:], -second[:32])
    assert np.linalg.norm(second[:32]) == pytest.approx(gain**2 * np.linalg.norm(x), rel=1e-5)


@pytest.mark.parametrize(("rows", "columns"), [(True, True), (True, False), (False, True)])
def test_mirrored_blocks(rows, columns):
    law = wb.MirroredOrthogonal(gain=1.5, rows=rows, columns=columns)
    w = law.block(Stream.of(3, "w"), (12, 20))
    height, width = 12 // (1 + rows), 20 // (1 + columns)
    q = w[:height, :width].astype(np.float64)
    if columns:
        np.testing.assert_array_equal(w[:, width:], -w[:, :width])
    if rows:
        np.testing.assert_array_equal(w[height:], -w[:height])
    product = q @ q.T if height <= width else q.T @ q
    np.testing.assert_allclose(product, 2.25 * np.eye(min(height, width)), atol=2e-5)
    assert law.moments((12, 20))[1] == pytest.approx(np.sqrt((q**2).mean()), rel=1e-6)
