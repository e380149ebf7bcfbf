"""Residual blocks, gated layers and finite width against closed forms and simulation."""

import math

import numpy as np
import pytest

from wellbegun.errors import ArgumentError
from wellbegun.theory import Gated, MeanField, Residual, find_activation, finite_width

from .networks import measured_chain
from .test_chain import dense

HE_LECUN = [MeanField("identity", 2.0), MeanField("relu", 1.0)]


def test_residual_stream() -> None:
    assert Residual(HE_LECUN).lengths(1.0, 11)[-1] == pytest.approx(2.0**10)
    for depth, expected in ((10, 2.593742), (100, 2.704814)):
        block = Residual(HE_LECUN, factor=depth**-0.5)
        assert block.lengths(1.0, depth + 1)[-1] == pytest.approx(expected, abs=6e-7)
        assert block.gradient_factor(1.0) ** depth == pytest.approx(expected, abs=6e-7)


def test_pre_norm_grows_linearly_and_its_gradients_polynomially() -> None:
    block = Residual(HE_LECUN, factor=0.5, normalisation="layer")
    lengths = block.lengths(3.0, 6)
    assert lengths == pytest.approx([3 + 0.25 * layer for layer in range(6)])
    assert math.prod(block.gradient_factor(q) for q in lengths[:-1]) == pytest.approx(lengths[-1] / lengths[0])


def test_residual_correlations() -> None:
    block, field = Residual([MeanField("tanh", 1.5)], skip=1.0, factor=1.0), MeanField("tanh", 1.5)
    q, rho = 0.7, 0.2
    joined = (q * rho + field.length_map(q) * field.correlation_map(rho, q)) / (q + field.length_map(q))
    assert block.correlation_map(rho, q) == pytest.approx(joined, rel=1e-12)
    assert Residual([field], factor=0.0).correlation_map(rho, q) == pytest.approx(rho)
    assert Residual([block, field]).length_map(q) == pytest.approx(q + field.length_map(block.length_map(q)))


@pytest.mark.parametrize("normalisation", ["none", "rms"])
def test_residual_simulation(normalisation: str) -> None:
    """x + W2 tanh(W1 x), 8 blocks of width 400, 12 draws: length and gradient of the stream."""
    generator, width, blocks, scale = np.random.default_rng(5), 400, 8, 0.6
    theory = Residual(
        [MeanField("identity", 1.5), MeanField("tanh", 2.0)],
        factor=scale,
        normalisation=normalisation,  # type: ignore[arg-type]
    )
    signal, back = [], []
    for _ in range(12):
        x = generator.standard_normal(width)
        x *= math.sqrt(width) / np.linalg.norm(x)
        taken = []
        for _ in range(blocks):
            first = generator.standard_normal((width, width)) * math.sqrt(1.5 / width)
            second = generator.standard_normal((width, width)) * math.sqrt(2.0 / width)
            norm = 1.0 if normalisation == "none" else math.sqrt((x**2).mean())
            inner = np.tanh(first @ (x / norm))
            taken.append((first, second, inner, x, norm))
            x = x + scale * second @ inner
        gradient = generator.standard_normal(width)
        gradient *= math.sqrt(width) / np.linalg.norm(gradient)
        signal.append((x**2).mean())
        for first, second, inner, before, norm in reversed(taken):
            branch = first.T @ ((1 - inner**2) * (second.T @ gradient)) * scale
            if normalisation == "rms":
                unit = before / norm
                branch = (branch - unit * (branch * unit).mean()) / norm
            gradient = gradient + branch
        back.append((gradient**2).mean())
    lengths = theory.lengths(1.0, blocks + 1)
    factor = math.prod(theory.gradient_factor(q) for q in lengths[:-1])
    for found, expected in ((signal, lengths[-1]), (back, factor)):
        error = np.std(found, ddof=1) / math.sqrt(len(found))
        assert np.mean(found) == pytest.approx(expected, abs=4 * error + 0.02 * expected)


GLU = {
    "silu": (1.676532470, 0.735257871),
    "gelu": (1.533530441, 0.881072348),
    "relu": (math.sqrt(2), 1.0),
    "tanh": (None, 0.858697393),
    "sigmoid": (1.846228545, None),
    "identity": (1.0, None),
}


@pytest.mark.parametrize("name", GLU)
def test_gated_layers(name: str) -> None:
    gain, backward = GLU[name]
    layer = Gated(name)
    if gain:
        assert layer.length_map(1.0) ** -0.5 == pytest.approx(gain, abs=6e-10)
    if backward:
        assert layer.gradient_factor(1.0) == pytest.approx(backward, abs=6e-10)
    step = 1e-5
    slope = (layer.length_map(1 + step) - layer.length_map(1 - step)) / (2 * step)
    assert layer.length_slope(1.0) == pytest.approx(slope, rel=1e-8)
    assert layer.length_slope(1.0) / layer.length_map(1.0) >= 1.0 - 1e-12
    if name == "relu":
        assert layer.length_slope(0.37) * 0.37 / layer.length_map(0.37) == pytest.approx(2.0)


def test_gated_simulation() -> None:
    generator, n, rho = np.random.default_rng(2), 500_000, 0.6
    layer = Gated("silu", value_variance=1.3, gate_variance=2.0, weight_variance=0.7)
    values, gates = (
        math.sqrt(variance * 0.9)
        * np.array([[1.0, 0.0], [rho, math.sqrt(1 - rho**2)]])
        @ generator.standard_normal((2, n))
        for variance in (1.3, 2.0)
    )
    out = values * find_activation("silu").function(gates)
    assert 0.7 * (out**2).mean() == pytest.approx(layer.length_map(0.9), rel=0.01)
    assert np.corrcoef(out)[0, 1] == pytest.approx(layer.correlation_map(rho, 0.9), abs=0.01)


KAPPA = {
    "relu": 5,
    "leaky_relu_0.2": 4.556213,
    "gelu": 6.215614,
    "silu": 6.261746,
    "mish": 5.349416,
    "elu": 2.776022,
    "selu": 1.503140,
    "tanh": 0.627291,
    "erf": 0.559839,
    "identity": 2,
    "relu_squared": 22.33333,
}


@pytest.mark.parametrize("name", KAPPA)
def test_kappa(name: str) -> None:
    assert finite_width(name, 10, 100).kappa == pytest.approx(KAPPA[name], abs=6e-7, rel=3e-7)


def test_finite_width() -> None:
    found = finite_width("relu", 8, 32)
    assert found.ratio == pytest.approx((1 + 5 / 32) ** 8)
    assert found.strength == pytest.approx(1.25)
    assert found.band.median == pytest.approx(0.533, abs=0.01)
    # the inputs of 8 ReLU layers of width 32, each measured behind the next; E q is kept, so ratio = E q² / (E q)²
    squares = measured_chain([dense(32, 2.0, "relu")] * 8, 4000, seed=1)[:, -1, 1]
    assert np.median(squares) == pytest.approx(found.band.median, rel=0.08)
    assert np.mean(np.log(squares)) == pytest.approx(found.band.log_mean, abs=0.06)
    assert np.std(np.log(squares)) == pytest.approx(found.band.log_std, rel=0.05)
    for depth, width in ((0, 3), (3, 0), (2.5, 3), (True, 3)):
        with pytest.raises(ArgumentError, match="whole number, at least 1"):
            finite_width("relu", depth, width)  # type: ignore[arg-type]


def test_bad_arguments() -> None:
    with pytest.raises(ArgumentError, match="at least one layer"):
        Residual([])
    with pytest.raises(ArgumentError, match="skip has to be"):
        Residual(HE_LECUN, skip=math.nan)
    with pytest.raises(ArgumentError, match="'none', 'layer' or 'rms'"):
        Residual(HE_LECUN, normalisation="batch")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="gate_variance has to be"):
        Gated("silu", gate_variance=0.0)
