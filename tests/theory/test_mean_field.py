"""Length and correlation maps, fixed points and depth scales against the literature's tables and simulation."""

import math

import numpy as np
import pytest

from wellbegun.errors import ArgumentError, TheoryError
from wellbegun.theory import MeanField, activation_names, critical, find_activation, gain, hermite_coefficients, moments

# weight variance, bias variance: q*, chi, c*, xi_q, xi_c
TANH = {
    (0.9, 0.05): (0.1632792554, 0.7063491766, 1, 1.650552, 2.876493),
    (1.0, 0.05): (0.1935925202, 0.7590316472, 1, 1.747626, 3.626976),
    (1.3, 0.05): (0.3153164775, 0.8801635099, 1, 1.785237, 7.834069),
    (1.5, 0.05): (0.4180372005, 0.9386362682, 1, 1.682828, 15.790994),
    (1.7, 0.05): (0.5330756279, 0.9867408090, 1, 1.558254, 74.918271),
    (2.0, 0.05): (0.7217618727, 1.0476659996, 0.7440824195, 1.387976, 25.213415),
    (2.5, 0.05): (1.0639583774, 1.1335156987, 0.4468042323, 1.179873, 11.795598),
    (2.5, 0.30): (1.4577160137, 0.9989292735, 1, 0.859071, 933.4452),
    (3.0, 0.05): (1.4280084622, 1.2089344241, 0.2993176418, 1.041461, 9.051456),
    (4.0, 0.05): (2.1954939280, 1.3424024144, 0.1650649620, 0.873293, 6.980274),
    (2.0, 0.0): (0.6179647698, 1.1055288204, 0, 1.685565, 21.723666),
    (25 / 9, 0.0): (1.1784804904, 1.2098313204, 0, 1.187817, 12.117897),
}


@pytest.mark.parametrize(("weights", "bias"), TANH)
def test_tanh(weights: float, bias: float) -> None:
    q, chi, rho, length, correlation = TANH[weights, bias]
    field = MeanField("tanh", weights, bias)
    point, scales = field.fixed_point(), field.depth_scales()
    assert (point.q, field.chi, field.correlation_fixed_point()) == pytest.approx((q, chi, rho), rel=1e-9, abs=1e-10)
    assert point.stability == "stable"
    assert scales.length == pytest.approx(length, rel=1e-6)
    assert scales.correlation == pytest.approx(correlation, rel=1e-6)
    assert field.phase == ("chaotic" if chi > 1 else "ordered")
    assert field.length_map(point.q) == pytest.approx(point.q, rel=1e-12)
    assert point.slope == pytest.approx(field.length_slope(point.q))


def test_other_fixed_points_of_the_literature() -> None:
    siren = MeanField("sin", 2.0)
    zero, point = siren.fixed_points()
    assert (zero.q, zero.stability) == (0.0, "unstable")
    assert point.q == pytest.approx(0.79681213002002, rel=1e-12)
    assert siren.chi == pytest.approx(1.20318786997998, rel=1e-12)
    assert point.slope == pytest.approx(0.40637573996, rel=1e-10)
    for variance, q, chi in ((1.0, 0.26468688, 0.0557207), (12.8, 4.5349761, 0.3538099)):
        sigmoid = MeanField("sigmoid", variance)
        assert (sigmoid.fixed_point().q, sigmoid.chi) == pytest.approx((q, chi), rel=1e-6)
        assert sigmoid.phase == "ordered"
    selu = MeanField("selu", 0.75**2)
    assert selu.lengths(1.0, 61)[-1] == pytest.approx(0.02340, abs=5e-6)
    assert selu.gradient_factor(selu.lengths(1.0, 61)[-1]) == pytest.approx(1.00250, abs=1e-5)
    line = MeanField("relu", 1.5, 0.1)
    assert [(each.q, each.slope) for each in line.fixed_points()] == [pytest.approx((0.4, 0.75))]


def test_he_on_gelu_and_silu_vanishes() -> None:
    """Literature, finding 2: q = 2.9e-2 and 3.6e-3 at depth 10, below 1e-7 at depth 30."""
    for name, tenth in (("gelu", 2.9e-2), ("silu", 3.6e-3)):
        lengths = MeanField(name, 2.0).lengths(1.0, 31)
        assert lengths[10] == pytest.approx(tenth, rel=0.03)
        assert lengths[30] < 1e-7
        assert MeanField(name, 2.0).fixed_point().q == 0


# Kumar's variance: q after 1, 5 and 20 layers from 1
KUMAR = {
    "tanh": (1, 0.3943, 0.1034, 0.0259),
    "sigmoid": (12.8, 3.755, 4.5347, 4.53498),
    "erf": (math.pi / 4, 0.3649, None, 0.025),
    "softsign": (1, 0.183, None, 0.001),
    "gelu": (4, 1.70, 22.8, 7.44e5),
    "silu": (4, 1.42, 11.0, 3.33e5),
    "mish": (1 / 0.36, 1.26, 3.67, 463),
    "softplus": (2.7019, 2.49, 14.0, 1393),
}


@pytest.mark.parametrize("name", KUMAR)
def test_kumar_s_rule_on_the_exact_map(name: str) -> None:
    variance, *expected = KUMAR[name]
    lengths = MeanField(name, variance).lengths(1.0, 21)
    for place, value in zip((1, 5, 20), expected, strict=True):
        if value is not None:
            assert lengths[place] == pytest.approx(value, rel=4e-3, abs=5e-5 if value > 0.01 else 5e-4)


GAIN_POINTS = {
    "relu": (1, 1),
    "elu": (0.890968, 1.035905),
    "selu": (0.782648, 1.071575),
    "gelu": (1.144063, 1.072032),
    "silu": (1.172594, 1.066634),
    "mish": (1.076339, 1.059118),
    "hardswish": (1.223920, 1.081323),
    "tanh": (0.461071, 1.177807),
    "erf": (0.408567, 1.225700),
    "sin": (0.313035, 1.313035),
    "softplus": (0.492053, 0.318459),
    "sigmoid": (0.106341, 0.152827),
    "relu_squared": (2.0, 1.333333),
}


@pytest.mark.parametrize("name", GAIN_POINTS)
def test_the_forward_gain_s_point(name: str) -> None:
    field = MeanField(name, gain(name) ** 2)
    slope, chi = GAIN_POINTS[name]
    assert field.length_slope(1.0) == pytest.approx(slope, abs=6e-7)
    assert field.gradient_factor(1.0) == pytest.approx(chi, abs=6e-7)
    near = min(field.fixed_points(), key=lambda point: abs(point.q - 1))
    assert near.q == pytest.approx(1.0, rel=1e-9)
    expected = "marginal" if slope == 1 else "stable" if slope < 1 else "unstable"
    assert near.stability == expected


def test_unstable_points_are_not_where_signals_end() -> None:
    gelu = MeanField("gelu", gain("gelu") ** 2)
    assert gelu.fixed_point(0.9).q == 0
    with pytest.raises(
        TheoryError, match=r"grows without bound from 2: its fixed points are 0 \(stable\), 1 \(unstable\)"
    ):
        gelu.fixed_point(2.0)


@pytest.mark.parametrize("name", ["tanh", "erf", "sin", "gelu", "elu", "selu", "mish"])
def test_critical_points_are_critical(name: str) -> None:
    point = critical(name)
    field = MeanField(name, point.weight_variance, point.bias_variance)
    found = field.fixed_point(point.q)
    assert found.q == pytest.approx(point.q, rel=1e-6)
    assert field.phase == "critical"
    assert field.correlation_fixed_point() == 1.0
    assert field.depth_scales().correlation == math.inf
    assert found.depth == pytest.approx(point.length_depth, rel=1e-5)


def test_relu_with_he() -> None:
    he = MeanField("relu", 2.0)
    assert [(each.q, each.stability) for each in he.fixed_points()] == [(1.0, "marginal")]
    assert (he.phase, he.depth_scales().correlation, he.depth_scales().length) == ("critical", math.inf, math.inf)
    for rho, after in ((0, 0.318309886184), (0.5, 0.608997781044), (0.9, 0.909538398845)):
        assert he.correlation_map(rho) == pytest.approx(after, rel=1e-11)
        assert he.correlation_slope(rho) == pytest.approx(1 - math.acos(rho) / math.pi, rel=1e-11)
    known = {1: 0.318309886184, 2: 0.493731090200, 5: 0.735946350628, 10: 0.871535516022, 50: 0.987861944937}
    known |= {100: 0.996423146684}
    rho = 0.0
    for depth in range(1, 101):
        rho = he.correlation_map(rho)
        if depth in known:
            assert rho == pytest.approx(known[depth], abs=1e-11)


def test_relu_with_he_at_a_thousand_layers_and_ten_thousand() -> None:
    """Literature 4.4: 0.999956870267, and (1 - c_l) l² = 44.2520 at ten thousand, by the closed form and ours."""
    he, rho, after = MeanField("relu", 2.0), 0.0, {}
    for depth in range(1, 10_001):
        before, rho = rho, (math.sqrt(1 - rho**2) + rho * (math.pi - math.acos(rho))) / math.pi
        if depth in (1000, 10_000):
            after[depth] = rho
            assert 1 - he.correlation_map(before) == pytest.approx(1 - rho, rel=1e-6)
    assert after[1000] == pytest.approx(0.999956870267, abs=1e-12)
    assert (1 - after[10_000]) * 10_000**2 == pytest.approx(44.2520, abs=2e-3)


def test_relu_s_correlations_near_1_go_as_one_over_depth_squared() -> None:
    """(1 - c_l) l² -> 9 pi² / 2: near 1 the map is 1 - c' = (1 - c) - 2 sqrt(2) (1 - c)^1.5 / (3 pi)."""
    he = MeanField("relu", 2.0)
    for gap in (1e-4, 1e-6, 1e-8):
        lost = gap - (1 - he.correlation_map(1 - gap))
        assert lost == pytest.approx(2 * math.sqrt(2) * gap**1.5 / (3 * math.pi), rel=2e-2 if gap > 1e-7 else 0.2)


def test_marginal_tanh_decays_as_half_the_inverse_depth() -> None:
    field = MeanField("tanh", 1.0)
    assert [(each.q, each.stability) for each in field.fixed_points()] == [(0.0, "marginal")]
    lengths = field.lengths(1.0, 401)
    assert lengths[50] == pytest.approx(0.00974, rel=0.06)  # measured in a pilot
    assert 2 * 400 * lengths[400] == pytest.approx(1.0, abs=0.03)


def test_sigmoid_and_the_trap_of_the_mean() -> None:
    """The forward gain of a function dominated by its mean keeps E f², which is nearly all mean: inputs collapse."""
    field = MeanField("softplus", gain("softplus") ** 2)
    assert field.phase == "ordered"
    assert field.correlation_map(0.0, 1.0) == pytest.approx(moments("softplus").mean ** 2 / moments("softplus").second)
    assert field.correlation_map(0.0, 1.0) > 0.7


@pytest.mark.parametrize(
    ("name", "factor"), [("relu", 1), ("gelu", 1.07203), ("silu", 1.06663), ("selu", 1.07157), ("tanh", 1.17781)]
)
@pytest.mark.parametrize("normalisation", ["layer", "rms"])
def test_normalised_layers_pin_the_length(name: str, factor: float, normalisation: str) -> None:
    for variance in (0.1, 5.0):
        field = MeanField(name, variance, normalisation=normalisation)  # type: ignore[arg-type]
        assert field.chi == pytest.approx(factor, abs=6e-6)
        assert field.fixed_point().q == 1.0
        assert field.fixed_point().depth == 0.0
    assert MeanField("relu", 2.0).gradient_factor(1.0) / moments("relu").variance / 2 == pytest.approx(
        math.pi / (math.pi - 1), rel=1e-12
    )  # behind a batch normalisation: E f'² / Var f


@pytest.mark.parametrize("name", [name for name in activation_names() if name != "exp"])
def test_every_activation_has_a_verdict(name: str) -> None:
    field = MeanField(name, 0.3, 0.2)
    if not any(point.stability == "stable" for point in field.fixed_points()):
        with pytest.raises(TheoryError, match="grows without bound"):  # relu squared and the like
            field.fixed_point(1e3)
        return
    q = field.fixed_point(1e-3).q
    assert field.length_map(q) == pytest.approx(q, rel=1e-9)
    assert field.chi >= 0


@pytest.mark.parametrize(
    ("name", "weights", "bias"), [("tanh", 1.3, 0.05), ("tanh", 3.0, 0.05), ("relu", 1.5, 0.1), ("gelu", 1.976, 0.186)]
)
def test_simulation(name: str, weights: float, bias: float) -> None:
    """Two inputs through a network of width 3,000: lengths and correlations layer by layer."""
    generator, width, rho = np.random.default_rng(11), 3000, 0.3
    field, f = MeanField(name, weights, bias), find_activation(name).function
    x, other = generator.standard_normal((2, width))
    y = rho * x + math.sqrt(1 - rho**2) * other
    z = np.stack([x, y], axis=1)
    for layer in range(6):
        q, got = float((z**2).mean()), float((z[:, 0] * z[:, 1]).sum() / math.sqrt((z**2).sum(axis=0).prod()))
        matrix = generator.standard_normal((width, width)) * math.sqrt(weights / width)
        after = matrix @ f(z) + generator.standard_normal((width, 1)) * math.sqrt(bias)
        following = float((after[:, 0] * after[:, 1]).sum() / math.sqrt((after**2).sum(axis=0).prod()))
        # one layer at a time, from what was measured: each has errors of its own, about sqrt(5 / width) at most
        assert float((after**2).mean()) == pytest.approx(field.length_map(q), rel=5 * math.sqrt(6 / width)), layer
        assert following == pytest.approx(field.correlation_map(got, q), abs=5 / math.sqrt(width)), layer
        z = after


def test_bad_arguments() -> None:
    for change in (
        {"weight_variance": -1.0},
        {"weight_variance": 0},
        {"bias_variance": math.inf},
        {"normalisation": "batch"},
    ):
        with pytest.raises(ArgumentError, match=next(iter(change))):
            MeanField(**({"activation": "tanh", "weight_variance": 1.0} | change))  # type: ignore[arg-type]
    with pytest.raises(ArgumentError):
        MeanField("tnah", 1.0)


@pytest.mark.parametrize("name", ["tanh", "erf", "selu"])
def test_correlations_on_a_smooth_critical_line_go_as_one_over_depth(name: str) -> None:
    """1 - c_l -> 2 / (c''(1) l), with c'' from the Hermite coefficients: sum k (k - 1) a_k²."""
    point = critical(name, q=1.0)
    field = MeanField(name, point.weight_variance, point.bias_variance)
    squares, orders = hermite_coefficients(name, 256, 1.0) ** 2, np.arange(257)
    curvature = point.weight_variance * float(squares @ (orders * (orders - 1)))
    gap = 1e-3
    lost = gap - (1 - field.correlation_map(1 - gap, 1.0))
    if name == "selu":  # its kink adds gap^1.5, which wins in the end
        assert lost > curvature * gap**2 / 2
        return
    assert lost == pytest.approx(curvature * gap**2 / 2, rel=0.01)
    rho, depth = 0.5, 300
    for _ in range(depth):
        rho = field.correlation_map(rho, 1.0)
    assert (1 - rho) * depth == pytest.approx(2 / curvature, rel=0.05)


@pytest.mark.parametrize("dropout", [0.1, 0.5])
def test_critical_relu_with_dropout(dropout: float) -> None:
    """sigma_w² = 2 (1 - p) keeps the length and the gradient; inputs that are equal do not stay so."""
    field = MeanField("relu", 2 * (1 - dropout), dropout=dropout)
    assert field.length_map(0.7) == pytest.approx(0.7, rel=1e-14)
    assert field.gradient_factor(0.7) == pytest.approx(1.0, rel=1e-14)
    assert [(point.q, point.stability) for point in field.fixed_points()] == [(1.0, "marginal")]
    assert field.correlation_map(1.0) == pytest.approx(1 - dropout, rel=1e-13)
    rho = field.correlation_fixed_point()
    assert 0 < rho < 1 - dropout
    assert field.correlation_map(rho) == pytest.approx(rho, abs=1e-11)
    assert math.isfinite(field.depth_scales().correlation)


def test_little_dropout_is_nearly_none() -> None:
    for weights in (1.3, 2.0):
        without, little = MeanField("tanh", weights, 0.05), MeanField("tanh", weights, 0.05, dropout=1e-9)
        assert little.fixed_point().q == pytest.approx(without.fixed_point().q, rel=1e-7)
        assert little.correlation_fixed_point() == pytest.approx(without.correlation_fixed_point(), abs=1e-4)
    for dropout in (-0.1, 1.0, math.nan, True):
        with pytest.raises(ArgumentError, match="dropout has to be a probability"):
            MeanField("tanh", 1.0, dropout=dropout)


def test_dropout_simulation() -> None:
    """Two inputs, with masks of their own, through a layer of width 3,000; and the gradient's factor."""
    generator, width, q, rho, p = np.random.default_rng(5), 3000, 0.8, 0.4, 0.3
    field = MeanField("tanh", 1.5, 0.1, dropout=p)
    z = math.sqrt(q) * np.array([[1.0, 0.0], [rho, math.sqrt(1 - rho**2)]]) @ generator.standard_normal((2, width))
    kept = (generator.random((2, width)) < 1 - p) / (1 - p)
    matrix = generator.standard_normal((width, width)) * math.sqrt(1.5 / width)
    after = (np.tanh(z) * kept) @ matrix.T + math.sqrt(0.1) * generator.standard_normal(width)
    assert (after**2).mean() == pytest.approx(field.length_map(q), rel=0.06)
    correlation = (after[0] * after[1]).mean() / (after**2).mean()
    assert correlation == pytest.approx(field.correlation_map(rho, q), abs=0.05)
    back = (1 - np.tanh(z[0]) ** 2) * kept[0] * (matrix.T @ generator.standard_normal(width))
    error = (back**2).std() / math.sqrt(width)
    assert (back**2).mean() == pytest.approx(field.gradient_factor(q), abs=4 * error)
