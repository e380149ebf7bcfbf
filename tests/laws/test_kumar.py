"""Kumar's rule against closed forms in float64, and what it refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special

import wellbegun as wb
from wellbegun.errors import ArgumentError, UnknownNameError
from wellbegun.theory import activation_names

NORMAL_0 = 1 / math.sqrt(2 * math.pi)
TANGENTS = {  # g(0), g'(0), in closed form
    "identity": (0, 1),
    "tanh": (0, 1),
    "lecun_tanh": (0, 1.7159 * 2 / 3),
    "sigmoid": (1 / 2, 1 / 4),
    "hardsigmoid": (1 / 2, 1 / 6),
    "erf": (0, 2 / math.sqrt(math.pi)),
    "atan": (0, 1),
    "sin": (0, 1),
    "sin_30": (0, 30),
    "softsign": (0, 1),
    "elu": (0, 1),
    "celu_2": (0, 1),
    "hardtanh": (0, 1),
    "gelu": (0, 1 / 2),
    "gelu_tanh": (0, 1 / 2),
    "quick_gelu": (0, 1 / 2),
    "silu": (0, 1 / 2),
    "mish": (0, 3 / 5),  # tanh(ln 2)
    "hardswish": (0, 1 / 2),
    "softplus": (math.log(2), 1 / 2),
    "ssp": (0, 1 / 2),
    "logsigmoid": (-math.log(2), 1 / 2),
    "snake": (0, 1),
    "exp": (1, 1),
}
NO_SLOPE = ("relu", "leaky_relu_0.2", "prelu", "relu6", "selu", "elu_2", "abs")
FLAT = ("relu_squared", "cos", "gaussian", "tanhshrink", "softshrink", "hardshrink")


@pytest.mark.parametrize("name", TANGENTS)
def test_the_variance_is_the_formula(name):
    value, slope = TANGENTS[name]
    law = wb.Kumar(name).law(wb.Fans(fan_in=200, fan_out=7))
    expected = math.sqrt(1 / (200 * slope**2 * (1 + value**2)))
    assert law == wb.Normal(std=law.std)
    assert law.std == pytest.approx(expected, rel=1e-7)  # a law's numbers are float32


def test_every_named_activation_is_either_served_or_refused():
    plain = {name for name in (*TANGENTS, *NO_SLOPE, *FLAT) if not name.rpartition("_")[2][0].isdigit()}
    assert plain | {"leaky_relu", "celu"} == set(activation_names())


def test_sigmoid_is_12_point_8_and_not_3_point_6():
    """The rule is often printed as 3.6/sqrt(N), a rounded standard deviation; 3.6 is no variance."""
    assert wb.Kumar().law(wb.Fans(64, 64)).std ** 2 * 64 == pytest.approx(12.8, rel=1e-6)
    assert wb.VarianceScaling(3.6**2).law(wb.Fans(64, 64)).std == pytest.approx(
        wb.Kumar().law(wb.Fans(64, 64)).std, rel=7e-3
    )


@pytest.mark.parametrize("name", NO_SLOPE)
def test_no_slope_at_zero_is_refused(name):
    with pytest.raises(ArgumentError, match=r"has no slope at 0 \(.* on its left, .* on its right\).*HeNormal"):
        wb.Kumar(name)


@pytest.mark.parametrize("name", FLAT)
def test_a_flat_activation_is_refused(name):
    with pytest.raises(ArgumentError, match=r"is flat at 0 .*infinite variance; use HeNormal"):
        wb.Kumar(name)


def test_other_arguments_are_refused():
    with pytest.raises(UnknownNameError, match="sigmoid"):
        wb.Kumar("sigmod")
    with pytest.raises(ArgumentError, match="'normal', 'uniform', 'truncated_normal'; got 'gauss'"):
        wb.Kumar(distribution="gauss")
    with pytest.raises(ArgumentError, match="needs fans"):
        wb.Kumar().law()


@pytest.mark.parametrize("distribution", ["normal", "uniform", "truncated_normal"])
def test_every_distribution_has_the_variance(distribution):
    law = wb.Kumar("sigmoid", distribution).law(wb.Fans(500, 400))
    assert law.moments((400, 500))[1] == pytest.approx(math.sqrt(12.8 / 500), rel=1e-6)


def test_one_layer_does_what_the_derivation_says_while_inputs_are_small():
    """Var g(u) = 1 for the tangent of g; the function itself only joins in while u stays small."""
    weights = np.empty((2000, 500))
    wb.fill(weights, wb.Kumar("sigmoid"), seed=1, name="w", fans=wb.Fans(500, 2000))
    inputs = np.full(500, 0.5) + np.random.default_rng(0).standard_normal((64, 500))
    u = inputs @ weights.T
    tangent = 0.5 + u / 4
    assert tangent.var(1).mean() == pytest.approx(1.0, rel=0.05)  # what the paper asks for
    assert special.expit(u).var(1).mean() < 0.25  # what a sigmoid can give at most
