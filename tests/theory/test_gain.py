"""Gains: values, scaling and refusals."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wellbegun.errors import ArgumentError, TheoryError
from wellbegun.theory import Activation, activation_names, find_activation, gain, moments

TABLE = {
    "identity": (1.0, 1.0),
    "relu": (1.414213562, 1.414213562),
    "relu6": (1.414213565, 1.414213564),
    "elu": (1.245198301, 1.223428558),
    "selu": (1.0, 0.966025777),
    "gelu": (1.533530441, 1.481114413),
    "silu": (1.67653247, 1.623320258),
    "mish": (1.486847581, 1.444755233),
    "hardswish": (1.736657213, 1.670076367),
    "softplus": (1.041866836, 1.846228545),
    "logsigmoid": (1.041866836, 1.846228545),
    "tanh": (1.59253742, 1.467413592),
    "softsign": (2.337533363, 2.095780609),
    "hardtanh": (1.39203614, 1.210287062),
    "sigmoid": (1.846228545, 4.722646086),
    "hardsigmoid": (1.897840425, 6.008115825),
    "gaussian": (1.316074013, 2.279507057),
    "tanhshrink": (2.33836753, 1.988138823),
    "abs": (1.0, 1.0),
}


@pytest.mark.parametrize("name", TABLE)
def test_table(name: str) -> None:
    forward, backward = TABLE[name]
    assert gain(name) == pytest.approx(forward, rel=1e-9)
    assert gain(name, kind="backward") == pytest.approx(backward, rel=1e-9)


def test_the_forward_gain_is_a_fixed_point_at_any_variance() -> None:
    for variance in (0.1, 1.0, 5.0):
        factor = gain("tanh", variance=variance)
        assert factor**2 * moments("tanh", variance).second == pytest.approx(variance, rel=1e-13)
    assert gain("relu", variance=7.0) == pytest.approx(math.sqrt(2), rel=1e-13)
    assert gain("leaky_relu", negative_slope=0.2) == pytest.approx(1.386750491, rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(activation_names()),
    scale=st.floats(1e-3, 1e3),
    sign=st.sampled_from([-1.0, 1.0]),
    variance=st.floats(0.05, 4.0),
)
def test_scaling_a_function_scales_its_gain_inversely(name: str, scale: float, sign: float, variance: float) -> None:
    base = find_activation(name)
    scaled = Activation("scaled", lambda x: sign * scale * base.function(x), base.kinks)
    for kind in ("forward", "backward"):
        expected = gain(base, kind=kind, variance=variance) / scale
        assert gain(scaled, kind=kind, variance=variance) == pytest.approx(expected, rel=1e-10)


def test_refusals() -> None:
    with pytest.raises(ArgumentError, match="'forward', 'backward' or 'compromise', not 'both'"):
        gain("relu", kind="both")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="positive finite number"):
        gain("relu", variance=0.0)
    with pytest.raises(TheoryError, match="<lambda> has no forward gain at variance 1: E f² is 0"):
        gain(lambda x: 0 * x)
    with pytest.raises(TheoryError, match="no backward gain"):
        gain(np.sign, kind="backward")


# constants in use elsewhere for 1 / sqrt(Var f) (Brock et al. 2021, NFNet)
ELSEWHERE = {
    "relu": 1.713959,
    "gelu": 1.701504,
    "silu": 1.788129,
    "tanh": 1.593912,
    "sigmoid": 4.803835,
    "softplus": 1.920332,
    "elu": 1.271600,
    "selu": 1.000852,
    "softsign": 2.338853,
}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_constants_of_others_are_near(name: str) -> None:
    assert moments(name).variance ** -0.5 == pytest.approx(ELSEWHERE[name], rel=1e-3)


def test_siren_s_elu_constant() -> None:
    assert gain("elu") ** 2 == pytest.approx(1.5505188080679277, rel=1e-12)
