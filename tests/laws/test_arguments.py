"""Bad arguments: an ArgumentError that shows the value given and, where there is a choice, what is allowed."""

from __future__ import annotations

import re

import numpy as np
import pytest

import wellbegun as wb
from wellbegun.errors import ArgumentError, UnknownNameError
from wellbegun.sampler import Stream

NAN, INF = float("nan"), float("inf")
FANS = wb.Fans(20, 30)


@pytest.mark.parametrize("bad", [NAN, INF, -INF, 1e39, 10**400, "0.5", b"1", None, [1.0], 1j], ids=repr)
@pytest.mark.parametrize(
    "make",
    [
        wb.Constant,
        wb.Normal,
        lambda value: wb.Normal(1.0, mean=value),
        lambda value: wb.Uniform(value, 1.0),
        lambda value: wb.Uniform(-1.0, value),
        wb.TruncatedNormal,
        lambda value: wb.TruncatedNormal(1.0, mean=value),
        wb.XavierUniform,
        wb.XavierNormal,
        wb.VarianceScaling,
        wb.Orthogonal,
        wb.MirroredOrthogonal,
        wb.DeltaOrthogonal,
        wb.Identity,
        lambda value: wb.Dirac(gain=value),
        lambda value: wb.Sparse(0.5, std=value),
    ],
)
def test_what_is_no_float32_number_is_refused(make, bad):
    with pytest.raises(ArgumentError, match=re.escape(repr(bad))):
        make(bad)


@pytest.mark.parametrize(
    ("make", "shown"),
    [
        (lambda: wb.Normal(-0.02), "-0.02"),
        (lambda: wb.TruncatedNormal(-0.02), "-0.02"),
        (lambda: wb.Uniform(0.1, -0.1), "low=0.1, high=-0.1"),
        (lambda: wb.Uniform(1, 1 + 1e-12), "high=1.000000000001"),
        (lambda: wb.TruncatedNormal(1.0, low=2, high=1), "low=2"),
        (lambda: wb.TruncatedNormal(1.0, match_std="no"), "'no'"),
        (lambda: wb.XavierUniform(0.0), "0.0"),
        (lambda: wb.XavierNormal(-1.0), "-1.0"),
        (lambda: wb.VarianceScaling(0.0), "0.0"),
        (lambda: wb.VarianceScaling(1.0, mode="fan_sum"), "'fan_sum'"),
        (lambda: wb.VarianceScaling(1.0, distribution="cauchy"), "'cauchy'"),
        (lambda: wb.HeNormal(mode="fan"), "'fan'"),
        (lambda: wb.HeUniform(mode=None), "None"),
        (lambda: wb.HeNormal(nonlinearity="rellu").law(FANS), "'rellu'"),
        (lambda: wb.HeUniform(nonlinearity=3).law(FANS), "3"),
        (lambda: wb.Orthogonal(0.0), "0.0"),
        (lambda: wb.DeltaOrthogonal(-1.0), "-1.0"),
        (lambda: wb.Identity(0.0), "0.0"),
        (lambda: wb.Dirac(gain=0.0), "0.0"),
        (lambda: wb.Sparse(0.5, std=-1.0), "-1.0"),
        (lambda: wb.MirroredOrthogonal(rows=2), "2"),
        (lambda: wb.MirroredOrthogonal(rows=False, columns=False), "rows and columns"),
        (lambda: wb.Orthogonal().check_shape((5,)), "(5,)"),
        (lambda: wb.MirroredOrthogonal().check_shape((4, 5)), "(4, 5)"),
        (lambda: wb.MirroredOrthogonal().check_shape((4, 4, 3)), "(4, 4, 3)"),
        (lambda: wb.Fans(0, 3), "0"),
        (lambda: wb.Fans(3, -1), "-1"),
        (lambda: wb.Fans(3, NAN), "nan"),
        (lambda: wb.Fans("3", 3), "'3'"),
        (lambda: wb.Keep().draw(np.empty(3, np.float32), Stream.of(0, "w"), 0), "Keep()"),
    ],
)
def test_the_value_given_is_in_the_message(make, shown):
    with pytest.raises(ArgumentError, match=re.escape(shown)):
        make()


def test_choices_are_listed_and_close_names_offered():
    with pytest.raises(ArgumentError, match="'fan_in', 'fan_out', 'fan_avg'"):
        wb.HeNormal(mode="fan")
    with pytest.raises(UnknownNameError, match="'relu'"):
        wb.HeNormal(nonlinearity="rellu").law(FANS)


@pytest.mark.parametrize(
    "rule",
    [wb.Equal(), wb.FanInUniform(), wb.XavierUniform(), wb.XavierNormal(), wb.HeNormal(), wb.HeUniform(),
     wb.LecunNormal(), wb.LecunUniform(), wb.VarianceScaling(1.0)],
    ids=repr,
)  # fmt: skip
def test_rules_ask_for_fans_by_name(rule):
    assert rule.needs_fans
    with pytest.raises(ArgumentError, match=re.escape(repr(rule)) + " needs fans"):
        rule.law()


def test_a_rule_keeps_all_digits_and_a_law_those_of_float32():
    assert wb.XavierUniform(gain=5 / 3).gain == 5 / 3
    assert repr(wb.XavierUniform(gain=5 / 3)) == "XavierUniform(gain=1.6666666666666667)"
    assert repr(wb.XavierUniform(gain=np.float32(1.5))) == "XavierUniform(gain=1.5)"
    assert repr(wb.VarianceScaling(np.float64(0.1))) == "VarianceScaling(variance=0.1)"
    assert wb.Normal(0.1).std == float(np.float32(0.1))
    assert repr(wb.Normal(0.1)) == "Normal(std=0.1)"


def test_equal_laws_give_equal_bits_even_for_minus_zero():
    for one, other in ((wb.Constant(-0.0), wb.Constant(0.0)), (wb.Uniform(-0.0, 1), wb.Uniform(0.0, 1))):
        assert one == other
        assert repr(one) == repr(other)
        filled = [np.ones(100, np.float32), np.ones(100, np.float32)]
        for law, out in zip((one, other), filled, strict=True):
            wb.fill(out, law, seed=0, name="w")
        assert filled[0].tobytes() == filled[1].tobytes()
