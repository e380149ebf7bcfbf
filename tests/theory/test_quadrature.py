"""Panels, kinks and slopes."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from wellbegun.errors import TheoryError
from wellbegun.theory import find_activation, moments
from wellbegun.theory.kinks import find_kinks
from wellbegun.theory.quadrature import gaussian_sample, legendre_rule, resolve


def test_the_rule_is_exact_for_polynomials() -> None:
    rule = legendre_rule()
    for degree in (0, 1, 2, 10, 38):
        x = rule.nodes**degree
        assert float(rule.weights @ x) == pytest.approx((1 + (-1) ** degree) / (degree + 1), abs=1e-14)
        slope = degree * rule.nodes ** max(degree - 1, 0)
        np.testing.assert_allclose(rule.derivative @ x, slope, atol=1e-10)
    assert legendre_rule() is rule
    assert not rule.nodes.flags.writeable


def test_panels_cover_the_range_without_gaps() -> None:
    panels = resolve(lambda x: np.abs(x - 0.3), np.arange(-3.0, 4.0), 1.0)
    np.testing.assert_array_equal(panels.low[1:], panels.high[:-1])
    assert (panels.low[0], panels.high[-1]) == (-3.0, 3.0)
    assert float((panels.high - panels.low).min()) < 1e-9


@pytest.mark.parametrize(
    ("function", "kinks"),
    [
        (np.tanh, ()),
        (lambda x: np.maximum(x, 0), (0.0,)),
        (lambda x: np.clip(x, -math.pi, 1.7), (-math.pi, 1.7)),
        (lambda x: np.where(x > 2.5, 1.0, 0.0), (2.5,)),
        (lambda x: x + 1e-3 * np.abs(x - 7), (7.0,)),
        (lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0), (-0.5, 0.5)),
        (np.round, tuple(float(n) + 0.5 for n in range(-32, 32))),
    ],
)
def test_kinks_are_found(function: object, kinks: tuple[float, ...]) -> None:
    found = find_kinks(function)  # type: ignore[arg-type]
    inside = [kink for kink in kinks if -31 < kink < 31]
    assert [kink for kink in found if -31 < kink < 31] == pytest.approx(inside, abs=1e-11)


def test_kinks_left_out_cost_no_accuracy() -> None:
    def steep(x: np.ndarray) -> np.ndarray:
        return np.maximum(np.abs(x - 0.7), 3 * (x - 0.1))

    told = gaussian_sample(steep, (0.25, 0.7), 1.0)
    untold = gaussian_sample(steep, (), 1.0)
    for power in (1, 2, 4):
        assert untold.mean(power) == pytest.approx(told.mean(power), rel=1e-12)
        assert untold.mean(0, power) == pytest.approx(told.mean(0, power), rel=1e-9)


@pytest.mark.parametrize("q", [1e-6, 1e-3, 0.3, 1.0, 7.0, 1e3, 1e6])
def test_every_scale_is_resolved(q: float) -> None:
    sample = gaussian_sample(lambda x: np.exp(-(x**2) / 2), (), q)
    assert sample.mean(1) == pytest.approx((1 + q) ** -0.5, rel=1e-11)
    assert sample.mean(2) == pytest.approx((1 + 2 * q) ** -0.5, rel=1e-11)
    assert sample.mean(0, 2) == pytest.approx(q * (1 + 2 * q) ** -1.5, rel=1e-9)


def test_rounding_noise_is_not_taken_for_structure() -> None:
    def in_single_precision(x: np.ndarray) -> np.ndarray:
        return np.tanh(x.astype(np.float32)).astype(np.float64)

    sample = gaussian_sample(in_single_precision, (), 1.0)
    assert sample.z.size < 20_000
    assert sample.mean(2) == pytest.approx(0.394294490398, rel=1e-7)
    assert sample.mean(0, 2) == pytest.approx(0.464402902448, rel=1e-6)


def test_what_cannot_be_integrated_is_refused() -> None:
    with pytest.raises(TheoryError, match="changes too fast"):
        gaussian_sample(lambda x: np.sin(1e6 * x), (), 1.0)
    with pytest.raises(TheoryError, match="not finite"), np.errstate(all="ignore"):
        gaussian_sample(lambda x: np.exp(x**2), (), 9.0)
    with pytest.raises(TheoryError, match="grows too fast"):
        gaussian_sample(lambda x: np.exp(x**2 / 4), (), 1.0)


def plain(function: Callable[[np.ndarray], np.ndarray], nodes: int) -> float:
    """A mean over N(0, 1) by Gauss-Hermite quadrature, as others take it."""
    z, weights = np.polynomial.hermite_e.hermegauss(nodes)
    return float(weights @ function(z) / weights.sum())


# (moment, its function of x, nodes, error): section 4.5 of the literature
ERRORS = [
    ("mean", "relu(x)", "relu", 10, 1.7e-2),
    ("mean", "relu(x)", "relu", 100, 1.6e-3),
    ("mean", "relu(x)", "relu", 200, 8e-4),
    ("slope_second", "abs(x) < 1", "hardtanh", 20, 1.6e-1),
    ("slope_second", "abs(x) < 1", "hardtanh", 100, 2.8e-2),
    ("slope_second", "abs(x) < 1", "hardtanh", 200, 5.1e-2),
    ("second", "elu(x) ** 2", "elu", 100, 2.8e-5),
    ("second", "selu(x) ** 2", "selu", 100, 8.8e-5),
    ("second", "tanh(x) ** 2", "tanh", 10, 3e-3),
    ("second", "tanh(x) ** 2", "tanh", 50, 4.2e-8),
    ("second", "tanh(x) ** 2", "tanh", 100, 6.6e-12),
    ("second", "tanh(10 * x) ** 2", "tanh(10 * x)", 100, 4e-2),
    ("second", "gelu(x) ** 2", "gelu", 20, 1.7e-7),
    ("slope_second", "x > 0", "relu", 11, 0.18),
    ("slope_second", "x > 0", "relu", 101, 0.06),
]


@pytest.mark.parametrize(("moment", "function", "name", "nodes", "error"), ERRORS)
def test_plain_gauss_hermite_is_as_far_off_as_published(
    moment: str, function: str, name: str, nodes: int, error: float
) -> None:
    found = plain(find_activation(function).function, nodes)
    assert abs(found - getattr(moments(name), moment)) == pytest.approx(error, rel=0.05)


def test_where_plain_gauss_hermite_is_right_it_proves_nothing() -> None:
    """He's numbers come out by symmetry, smooth functions by smoothness."""
    for nodes in (10, 11, 100, 101):
        assert plain(lambda z: np.maximum(z, 0.0) ** 2, nodes) == pytest.approx(0.5, abs=1e-14)
    for nodes in (10, 100, 200):
        assert plain(lambda z: z > 0, nodes) == pytest.approx(0.5, abs=1e-14)
    assert plain(lambda z: find_activation("gelu").function(z) ** 2, 50) == pytest.approx(moments("gelu").second)
    for nodes in (10, 20, 50, 100, 200):
        assert abs(plain(lambda z: np.sin(30 * z) ** 2, nodes) - moments("sin_30").second) > 1e-3
