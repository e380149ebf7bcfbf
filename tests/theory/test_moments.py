"""Moments against high-precision values, closed forms and identities."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import special
from scipy.stats import norm

from wellbegun.errors import ArgumentError, TheoryError
from wellbegun.theory import Activation, activation_names, find_activation, moments

ORACLE = json.loads((Path(__file__).parents[1] / "data" / "activations.json").read_text())["moments"]
FIELDS = {
    "m1": "mean",
    "m2": "second",
    "var": "variance",
    "m4": "fourth",
    "d1": "slope",
    "chi": "slope_second",
    "d4": "slope_fourth",
}
TEN_DIGITS = {"m4", "d4"}
QS = (0.05, 0.5, 1.0, 2.0, 9.0)


def anonymous(name: str) -> Activation:
    """Pass a named function as a callable whose kinks nobody declares."""
    function = find_activation(name).function
    return find_activation(lambda x: function(x))


@pytest.mark.parametrize("declared", [True, False], ids=["named", "anonymous"])
@pytest.mark.parametrize("key", ORACLE)
def test_oracle(key: str, declared: bool) -> None:
    name, q = key.split("|")
    activation = find_activation(name) if declared else anonymous(name)
    got = moments(activation, float(q))
    for short, field in FIELDS.items():
        expected = float(ORACLE[key][short])
        tolerance = 2e-9 if short in TEN_DIGITS else 1e-9
        assert getattr(got, field) == pytest.approx(expected, rel=tolerance, abs=1e-12), field


@pytest.mark.parametrize("q", QS)
def test_closed_forms(q: float) -> None:
    root = math.sqrt(q)
    for slope in (0.0, 0.01, 0.2):
        leaky = moments("leaky_relu", q, negative_slope=slope)
        assert leaky.mean == pytest.approx((1 - slope) * math.sqrt(q / (2 * math.pi)), rel=1e-13)
        assert leaky.second == pytest.approx((1 + slope**2) * q / 2, rel=1e-13)
        assert leaky.slope_second == pytest.approx((1 + slope**2) / 2, rel=1e-13)
        assert leaky.second_growth == pytest.approx((1 + slope**2) / 2, rel=1e-12)
    squared = moments("relu_squared", q)
    assert (squared.second, squared.slope_second) == pytest.approx((1.5 * q**2, 2 * q), rel=1e-12)
    gelu = moments("gelu", q)
    s = math.sqrt(1 + 2 * q)
    assert gelu.mean == pytest.approx(q / math.sqrt(2 * math.pi * (1 + q)), rel=1e-12)
    expected = q * (0.25 + (q / ((1 + q) * s) + 0.5 * math.atan(q / s)) / math.pi)
    assert gelu.second == pytest.approx(expected, rel=1e-12)
    erf = moments("erf", q)
    assert erf.second == pytest.approx(2 / math.pi * math.asin(2 * q / (1 + 2 * q)), rel=1e-12)
    assert erf.slope_second == pytest.approx(4 / (math.pi * math.sqrt(1 + 4 * q)), rel=1e-12)
    sin = moments("sin", q)
    assert sin.second == pytest.approx(-math.expm1(-2 * q) / 2, rel=1e-12)
    assert sin.slope_second == pytest.approx((1 + math.exp(-2 * q)) / 2, rel=1e-12)
    assert sin.second_growth == pytest.approx(math.exp(-2 * q), rel=1e-10)
    gaussian = moments("gaussian", q)
    assert gaussian.mean == pytest.approx((1 + q) ** -0.5, rel=1e-12)
    assert gaussian.second == pytest.approx((1 + 2 * q) ** -0.5, rel=1e-12)
    assert gaussian.slope_second == pytest.approx(q * (1 + 2 * q) ** -1.5, rel=1e-12)
    assert moments("exp", q).second == pytest.approx(math.exp(2 * q), rel=1e-12)
    tail, far = norm.cdf(-root), special.log_ndtr(-2 * root)
    elu_tail = math.exp(2 * q + far) - 2 * math.exp(q / 2) * tail
    elu = moments("elu", q)
    assert elu.second == pytest.approx(q / 2 + 0.5 + elu_tail, rel=1e-11)
    assert elu.slope_second == pytest.approx(0.5 + math.exp(2 * q + far), rel=1e-11)
    a = 1 / root
    hard = moments("hardtanh", q)
    inside = 2 * norm.cdf(a) - 1
    assert hard.second == pytest.approx(q * (inside - 2 * a * norm.pdf(a)) + 2 * norm.cdf(-a), rel=1e-11)
    assert hard.slope_second == pytest.approx(inside, rel=1e-12)
    magnitude = moments("abs", q)
    assert (magnitude.second, magnitude.slope_second) == pytest.approx((q, 1.0), rel=1e-13)


def test_closed_forms_at_one() -> None:
    gelu = moments("gelu")
    assert gelu.second == pytest.approx(1 / 3 + 1 / (2 * math.pi * math.sqrt(3)), rel=1e-13)
    assert gelu.slope_second == pytest.approx(1 / 3 + 2 / (3 * math.pi * math.sqrt(3)), rel=1e-13)
    assert moments("atan").slope_second == pytest.approx(0.5, rel=1e-13)
    selu = moments("selu")
    assert (selu.mean, selu.second) == pytest.approx((0.0, 1.0), abs=1e-12)


@pytest.mark.parametrize("name", activation_names())
@pytest.mark.parametrize("q", [0.3, 2.0])
def test_growths_are_derivatives(name: str, q: float) -> None:
    step = 1e-4 * q
    low, at, high = (moments(name, q + offset) for offset in (-step, 0.0, step))
    for moment, growth in (("second", at.second_growth), ("variance", at.variance_growth)):
        difference = (getattr(high, moment) - getattr(low, moment)) / (2 * step)
        assert growth == pytest.approx(difference, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("name", activation_names())
def test_hermite_series_agrees(name: str) -> None:
    """Sum k a_k² <= q E f'² for the first few Hermite coefficients, and a_0² + a_1² <= E f² (Parseval)."""
    at = moments(name, 1.0)
    if name != "hardshrink":  # a jump: its slope almost everywhere misses E f' = E[f z]
        assert at.mean**2 + at.slope**2 <= at.second * (1 + 1e-12)
        assert at.slope**2 <= at.slope_second * (1 + 1e-12)


def test_the_slope_ignores_a_jump() -> None:
    step = moments(lambda x: np.where(x > 0.25, 1.0, 0.0), 1.0)
    assert step.mean == pytest.approx(norm.cdf(-0.25), rel=1e-9)
    assert step.slope_second == 0.0
    assert step.second_growth == pytest.approx(0.25 * norm.pdf(0.25) / 2, rel=1e-9)


@pytest.mark.parametrize("q", [0, -1.0, math.nan, math.inf, True, "wide", None])
def test_bad_q(q: object) -> None:
    with pytest.raises(ArgumentError, match="q has to be a positive finite number, not"):
        moments("relu", q)  # type: ignore[arg-type]


def test_no_answer_is_better_than_a_wrong_one() -> None:
    assert moments("exp", 10.0).fourth == pytest.approx(math.exp(80), rel=1e-11)
    far = moments("exp", 80.0)
    assert (far.mean, far.second) == pytest.approx((math.exp(40), math.exp(160)), rel=1e-10)
    assert far.fourth == pytest.approx(math.exp(640), rel=1e-9)
    further = moments("exp", 150.0)
    assert further.second == pytest.approx(math.exp(300), rel=1e-9)
    assert further.slope_second == pytest.approx(math.exp(300), rel=1e-9)
    assert further.fourth == further.third == math.inf
    with pytest.raises(TheoryError, match="not finite everywhere"):
        moments("exp", 1e4)
    with pytest.raises(TheoryError, match="grows too fast"):
        moments(lambda x: np.exp(x**2 / 4), 1.0)


def test_moments_at_a_point_of_the_spread_table() -> None:
    for name, spread in {
        "hardtanh": 0.46479477,
        "gelu": 1.08833404,
        "selu": 0.31619654,
        "erf": 2 / 3,
    }.items():
        # the erf entry is (pi / 4)² (5)(...) - 1 only to its printed digits
        assert moments(name).spread == pytest.approx(spread, rel=1e-7)
    assert moments("tanh", 0.0457).spread == pytest.approx(0.01146292, rel=1e-3)


AWKWARD = json.loads((Path(__file__).parents[1] / "data" / "awkward_activations.json").read_text())["moments"]
SCALES = {
    "mean": ("second", 0.5),
    "third": ("fourth", 0.75),
    "slope": ("slope_second", 0.5),
    "product": ("second", 0.5),
}


@pytest.mark.parametrize("key", AWKWARD)
def test_awkward_activations_at_every_scale(key: str) -> None:
    """Steep, narrow, far, jumping and oscillating functions, for q from 1e-4 to 1e4, without being told their kinks."""
    text, q = key.split("|")
    got, expected = moments(text, float(q)), {field: float(value) for field, value in AWKWARD[key].items()}
    for field, value in expected.items():
        # moments that may cancel are held to what cancels in them
        of, power = SCALES.get(field, (field, 1.0))
        size = expected[of] ** power * (expected["slope_second"] ** 0.5 if field == "product" else 1.0)
        assert getattr(got, field) == pytest.approx(value, rel=0, abs=max(1e-9 * size, 1e-300)), field
