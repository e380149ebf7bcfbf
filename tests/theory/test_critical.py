"""Critical points against the edge-of-chaos table, closed forms and the Gaussian Poincaré inequality."""

import math

import numpy as np
import pytest

from wellbegun.errors import ArgumentError, NoCriticalPointError
from wellbegun.theory import activation_names, critical, mean_compensated, moments, point_for_depth

EDGE_OF_CHAOS = [
    ("tanh", 0.01, 1.01971076074, 1.25799587e-6, 0.980576),
    ("tanh", 0.1, 1.17756909616, 8.32280425e-4, 0.843197),
    ("tanh", 0.5, 1.68797512058, 0.0380412011113, 0.547967),
    ("tanh", 1, 2.15330264890, 0.150964629379, 0.391465),
    ("tanh", 2, 2.86116240000, 0.512264947595, 0.253145),
    ("elu", 1, 1.49677743544, 0.0346602520092, 0.860087),
    ("selu", 1, 0.933205801778, 0.0667941982220, 0.730372),
    ("gelu", 1, 2.19369990353, 0.0671916747056, 1.067192),
    ("gelu", 4, 1.97610976545, 0.186374896156, 0.996273),
    ("gelu", 10, 1.95581512484, 0.323458814029, 0.981822),
    ("silu", 1, 2.63516865988, 0.0624715002252, 1.099340),
    ("silu", 20, 1.97546663701, 0.678910488645, 0.993168),
    ("mish", 1, 2.08731768197, 0.0558181435515, 1.016260),
    ("mish", 4, 1.94933218842, 0.201604096594, 0.978299),
    ("sin", 1, 1.76159415596, 0.238405844044, 0.238406),
    ("erf", 1, 1.75620368276, 0.184139677807, 1 / 3),
    ("atan", 1, 2.0, 0.10059816713, None),
    ("hardtanh", 1, 1.46479477349, 0.244080131736, None),
    ("tanh", 0.0457090787, 1.08602629250, 1e-4, None),
    ("tanh", 0.570047882, 1.76095463961, 0.05, None),
    ("tanh", 3.03639639, 3.44321091227, 1.0, None),
    ("erf", 2.74489093, 2.71838135234, 1.0, None),
    ("hardtanh", 0.463863969, 1.16554468964, 0.05, None),
]
THRESHOLDS = {
    "gelu": (3 + math.sqrt(17)) / 2,
    "gelu_tanh": 3.5567728,
    "mish": 1.6701691,
    "hardswish": 4.8038559,
    "quick_gelu": 4.9434389,
    "silu": 14.320174,
}


@pytest.mark.parametrize(("name", "q", "weights", "bias", "slope"), EDGE_OF_CHAOS)
def test_table(name: str, q: float, weights: float, bias: float, slope: float | None) -> None:
    point = critical(name, q=q, stable=False)
    assert point.weight_variance == pytest.approx(weights, rel=2e-9)
    assert point.bias_variance == pytest.approx(bias, rel=1e-8, abs=2e-9)
    assert (point.activation, point.q, point.chi, point.mean_compensated) == (name, q, 1.0, False)
    if slope is not None:
        assert point.length_slope == pytest.approx(slope, abs=1e-6)
        assert point.stable == (slope < 1)


@pytest.mark.parametrize("q", [0.05, 0.3, 1.0, 4.0])
def test_closed_forms(q: float) -> None:
    erf = critical("erf", q=q)
    root = math.sqrt(1 + 4 * q)
    assert erf.weight_variance == pytest.approx(math.pi / 4 * root, rel=1e-12)
    assert erf.bias_variance == pytest.approx(q - root * math.asin(2 * q / (1 + 2 * q)) / 2, rel=1e-9)
    assert erf.length_slope == pytest.approx(1 / (1 + 2 * q), rel=1e-11)
    assert erf.length_depth == pytest.approx(1 / math.log1p(2 * q), rel=1e-9)
    sin = critical("sin", q=q)
    assert sin.weight_variance == pytest.approx(1 + math.tanh(q), rel=1e-12)
    assert sin.bias_variance == pytest.approx(q - math.tanh(q), rel=1e-9)
    assert sin.length_slope == pytest.approx(1 - math.tanh(q), rel=1e-9)


@pytest.mark.parametrize("name", THRESHOLDS)
def test_thresholds_of_stability(name: str) -> None:
    least = THRESHOLDS[name]
    with pytest.raises(NoCriticalPointError, match=f"smallest stable q is {least:.6g}"[:-1]) as caught:
        critical(name, q=1.0)
    said = float(str(caught.value).split("smallest stable q is ")[1].split(";")[0])
    assert said == pytest.approx(least, rel=5e-8)
    chosen = critical(name)
    assert chosen.q == pytest.approx(1.1 * least, rel=1e-7)
    assert chosen.stable
    assert chosen.length_slope < 1
    assert not critical(name, q=0.999 * least, stable=False).stable
    assert critical(name, stable=False).q == 1.0


def test_gelu_at_its_threshold() -> None:
    point = critical("gelu", q=THRESHOLDS["gelu"])
    assert point.length_slope == pytest.approx(1.0, abs=1e-12)
    assert point.weight_variance == pytest.approx(1.9830583, rel=1e-7)
    assert point.bias_variance == pytest.approx(0.17292239, rel=1e-7)


@pytest.mark.parametrize("name", ["identity", "relu", "leaky_relu_0.2", "prelu", "abs"])
@pytest.mark.parametrize("q", [None, 0.01, 1.0, 30.0])
def test_scale_free_functions_are_marginal_at_any_q(name: str, q: float | None) -> None:
    point = critical(name, q=q)
    assert (point.bias_variance, point.stable) == (0.0, True)
    assert point.length_slope == pytest.approx(1.0, abs=1e-12)
    assert point.length_depth == math.inf
    assert point.weight_variance == pytest.approx(1 / moments(name).slope_second, rel=1e-12)


@pytest.mark.parametrize("name", ["softplus", "sigmoid", "logsigmoid", "hardsigmoid"])
@pytest.mark.parametrize("q", [0.01, 0.5, 1.0, 4.0, None])
def test_a_large_mean_has_no_point_with_independent_biases(name: str, q: float | None) -> None:
    with pytest.raises(
        NoCriticalPointError, match=f"{name} has no critical point.*use wellbegun\\.theory\\.mean_compensated"
    ):
        critical(name, q=q)


def test_other_refusals() -> None:
    with pytest.raises(NoCriticalPointError, match="none is below 100"):
        critical("exp")
    with pytest.raises(NoCriticalPointError, match="none is below 100"):
        critical("relu_squared", q=2.0)
    with pytest.raises(NoCriticalPointError, match="only a function that jumps"):
        critical("hardshrink")
    with pytest.raises(NoCriticalPointError, match="only a function that jumps"):
        mean_compensated("hardshrink", q=1.0)
    with pytest.raises(NoCriticalPointError, match="E f'² is 0"):
        critical(np.sign)
    with pytest.raises(ArgumentError, match="q has to be"):
        critical("tanh", q=-1.0)


@pytest.mark.parametrize("name", [name for name in activation_names() if name != "hardshrink"])
def test_gaussian_poincare(name: str) -> None:
    for q in (0.05, 0.2, 1.0, 4.0):
        at = moments(name, q)
        assert at.variance <= q * at.slope_second * (1 + 1e-12)
        point = mean_compensated(name, q=q)
        assert point.bias_variance >= 0
        assert point.mean_compensated
        assert point.mean == at.mean
        assert point.weight_variance * at.variance + point.bias_variance == pytest.approx(q, rel=1e-9)


def test_mean_compensated_length_slopes() -> None:
    for q, gelu, silu in ((0.05, 0.995, 0.999), (0.2, 0.958, 0.988), (1, 0.805, 0.908), (4, 0.694, 0.776)):
        assert mean_compensated("gelu", q=q).length_slope == pytest.approx(gelu, abs=6e-4)
        assert mean_compensated("silu", q=q).length_slope == pytest.approx(silu, abs=6e-4)
    assert mean_compensated("relu", q=1).length_slope == pytest.approx(1 - 1 / math.pi, rel=1e-12)


@pytest.mark.parametrize("q", [0.04, 0.2, 2.0])
def test_a_compensated_sigmoid_is_a_tanh(q: float) -> None:
    """sigmoid(u) = (1 + tanh(u / 2)) / 2, so W = 4 W_tanh and b = 2 b_tanh - the mean's share."""
    sigmoid, tanh = mean_compensated("sigmoid", q=q), critical("tanh", q=q / 4)
    assert sigmoid.weight_variance == pytest.approx(16 * tanh.weight_variance, rel=1e-11)
    assert sigmoid.bias_variance == pytest.approx(4 * tanh.bias_variance, rel=1e-8)
    assert sigmoid.length_slope == pytest.approx(tanh.length_slope, rel=1e-10)
    assert sigmoid.spread == pytest.approx(tanh.spread, rel=1e-9)


def test_odd_functions_need_no_compensation() -> None:
    plain, compensated = critical("tanh", q=0.3), mean_compensated("tanh", q=0.3)
    assert compensated.bias_variance == pytest.approx(plain.bias_variance, rel=1e-9)
    assert compensated.length_slope == pytest.approx(plain.length_slope, rel=1e-11)


@pytest.mark.parametrize("depth", [15, 20, 60, 300])
@pytest.mark.parametrize("name", ["tanh", "erf", "atan", "lecun_tanh", "sin"])
def test_point_for_depth(name: str, depth: int) -> None:
    point = point_for_depth(name, depth)
    assert 0.01 < point.q < 4
    assert depth * point.spread == pytest.approx(6.0, rel=1e-8)
    assert point == critical(name, q=point.q)


def test_point_for_depth_at_the_ends() -> None:
    assert point_for_depth("tanh", 1).q == 4.0
    assert point_for_depth("tanh", 100_000).q == 0.01
    assert point_for_depth("tanh", 60, budget=1.0).q < point_for_depth("tanh", 60).q
    sigmoid = point_for_depth("sigmoid", 60, mean_compensated=True)
    assert sigmoid.mean_compensated
    assert 60 * sigmoid.spread == pytest.approx(6.0, rel=1e-8)
    with pytest.raises(NoCriticalPointError, match="mean_compensated"):
        point_for_depth("sigmoid", 60)
    for depth in (0, -3, 2.5, True):
        with pytest.raises(ArgumentError, match="whole number of layers"):
            point_for_depth("tanh", depth)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="budget has to be"):
        point_for_depth("tanh", 10, budget=0)


def test_a_point_is_a_fixed_point_of_a_wide_layer() -> None:
    """One wide random layer at the compensated sigmoid point keeps the variance, but for sampling."""
    generator = np.random.default_rng(7)
    point, width, inputs = mean_compensated("sigmoid", q=0.5), 1500, 8
    u = generator.normal(0, math.sqrt(point.q), (width, inputs))
    weights = generator.normal(0, math.sqrt(point.weight_variance / width), (width, width))
    bias = -point.mean * weights.sum(axis=1) + generator.normal(0, math.sqrt(point.bias_variance), width)
    after = weights @ (1 / (1 + np.exp(-u))) + bias[:, None]
    assert float((after**2).mean()) == pytest.approx(point.q, rel=6 * math.sqrt(2 / (width * inputs)))


def test_a_function_that_is_flat_around_0_gets_a_point_where_it_is_active() -> None:
    """Softshrink spreads less the larger q is; at q = 0.01 one unit in two million would carry all gradient."""
    point = point_for_depth("softshrink", 50)
    assert point.q == pytest.approx(4)
    assert point.stable
    assert point.weight_variance < 2
    near = point_for_depth("softshrink", 10)
    assert 10 * near.spread == pytest.approx(6, rel=1e-6)
