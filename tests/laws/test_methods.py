"""Laws of single papers: each formula written out in NumPy float64, and the one thing that each is for."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import hadamard
from torch import nn
from torch.nn import functional as F

import wellbegun as wb
from wellbegun.errors import ArgumentError
from wellbegun.sampler import Draw, Stream
from wellbegun.sampler.definition import values
from wellbegun.targets.parts import needs_whole


def fill(law, shape, dtype=np.float64, seed=7, fans=None):
    out = np.empty(shape, dtype)
    wb.fill(out, law, seed=seed, name="w", fans=fans)
    return out


def drawn_apart(draw, first, count):
    """The definition of the sampler in plain NumPy."""
    return values(Stream.of(7, "w"), np.arange(first, first + count, dtype=np.uint64), draw, np.float64)


SHAPES = [(8, 8), (5, 9), (9, 5), (16, 3), (1, 4), (7, 1)]


@pytest.mark.parametrize("shape", SHAPES)
def test_hadamard_is_zeros_algorithm(shape) -> None:
    """Partial identity · Hadamard/2^(m/2) · partial identity, or the partial identity alone."""
    out, into = shape
    if out <= into:
        expected = np.eye(out, into)
    else:
        power = 2 ** math.ceil(math.log2(out))
        expected = np.eye(out, power) @ hadamard(power) / math.sqrt(power) @ np.eye(power, into)
    np.testing.assert_allclose(fill(wb.Hadamard(), shape), expected, rtol=1e-15)
    np.testing.assert_allclose(fill(wb.Hadamard(2.0, inputs_first=True), shape[::-1]), 2 * expected.T, rtol=1e-15)
    kernel = fill(wb.Hadamard(), (*shape, 3, 4))
    np.testing.assert_allclose(kernel[:, :, 1, 2], expected, rtol=1e-15)
    assert np.count_nonzero(kernel) == np.count_nonzero(expected)
    moments = wb.Hadamard().moments(shape)
    assert moments == (pytest.approx(expected.mean(), abs=1e-15), pytest.approx(expected.std(), rel=1e-12))


def test_hadamard_starts_two_runs_alike_and_with_full_rank() -> None:
    """What ZerO is for: no seed at all, singular values 1 where the width is a power of two, full rank elsewhere."""
    first, other = fill(wb.Hadamard(), (64, 48), seed=1), fill(wb.Hadamard(), (64, 48), seed=2)
    assert first.tobytes() == other.tobytes()
    np.testing.assert_allclose(np.linalg.svd(first, compute_uv=False), 1.0, rtol=1e-12)
    values = np.linalg.svd(fill(wb.Hadamard(), (50, 48)), compute_uv=False)
    assert values.min() > 0.05
    assert values.max() <= 1 + 1e-12


@pytest.mark.parametrize("shape", SHAPES)
def test_padded_identity_drops_no_input_and_leaves_no_output_silent(shape) -> None:
    expected = np.fromfunction(lambda i, j: (i % min(shape) == j % min(shape)) * 0.5, shape)
    made = fill(wb.PaddedIdentity(0.5), shape)
    np.testing.assert_array_equal(made, expected)
    assert made.any(axis=0).all()
    assert made.any(axis=1).all()
    assert np.linalg.matrix_rank(made) == min(shape)


@pytest.mark.parametrize("shape", SHAPES)
def test_noisy_identity_is_its_formula(shape) -> None:
    count = math.prod(shape)
    noise = drawn_apart(Draw.normal(0.0, float(np.float32(0.1))), 0, count).reshape(shape)
    identity = np.fromfunction(lambda i, j: (i % shape[1] == j) * 1.0, shape)
    np.testing.assert_allclose(fill(wb.NoisyIdentity(0.1), shape), identity + noise, rtol=1e-12, atol=1e-15)
    turned = fill(wb.NoisyIdentity(0.0, inputs_first=True), shape[::-1])
    np.testing.assert_array_equal(turned.T, identity)


def test_tanh_fixed_point_keeps_a_signal_over_a_thousand_layers() -> None:
    """What it is for: width 32, depth 1,000. Xavier's signal is gone, this one is as large as tanh alone leaves it."""
    found = {}
    for rule in (wb.TanhFixedPoint(), wb.XavierNormal()):
        x = np.random.default_rng(0).normal(size=(32, 64))
        for layer in range(1000):
            weight = np.empty((32, 32))
            wb.fill(weight, rule, seed=1, name=str(layer), fans=wb.Fans(32, 32))
            x = np.tanh(weight @ x)
        found[type(rule).__name__] = float(np.sqrt(np.mean(x**2)))
    assert found["TanhFixedPoint"] > math.sqrt(1.5 / 1000)
    assert found["XavierNormal"] < 0.5 * found["TanhFixedPoint"]


@pytest.mark.parametrize("shape", [(6, 8), (16, 5), (4, 3, 3, 3), (8, 4), (3, 1)])
def test_sinusoidal_is_the_published_code(shape) -> None:
    out, into = shape[0], math.prod(shape[1:])
    i, j = np.arange(1, out + 1)[:, None], np.arange(into)[None, :]
    waves = np.sin((j * (2 * math.pi / into) + 2 * math.pi / out) * i)
    expected = waves * math.sqrt(2 / (waves.var(ddof=1) * (into + out)))
    made = fill(wb.Sinusoidal(), shape).reshape(out, into)
    np.testing.assert_allclose(made, expected, rtol=0, atol=1e-12)
    assert made.var(ddof=1) == pytest.approx(2 / (into + out), rel=1e-12)  # the one thing: Xavier's variance, exactly
    assert wb.Sinusoidal().moments(shape)[1] == pytest.approx(made.std(), rel=1e-9)


def test_nguyen_widrow_is_its_formula() -> None:
    made = fill(wb.NguyenWidrow(), (20, 3), fans=wb.Fans(3, 20))
    drawn = drawn_apart(Draw.uniform(-1.0, 1.0), 0, 60).reshape(20, 3)
    beta = np.float64(np.float32(0.7 * 20 ** (1 / 3)))
    np.testing.assert_allclose(made, beta * drawn / np.linalg.norm(drawn, axis=1, keepdims=True), rtol=1e-9)


def test_nguyen_widrow_spreads_the_bends_over_the_inputs() -> None:
    """What it is for: 40 tanh units over [-1, 1]. Every tenth of the range holds bends; Xavier's all lie at 0."""
    model = nn.Sequential(nn.Linear(1, 40), nn.Tanh(), nn.Linear(40, 1))
    plan = wb.initialize(model, "vector:1", seed=0, recipe="nguyen_widrow")
    bends = (-model[0].bias / model[0].weight[:, 0]).detach().numpy()
    held, _ = np.histogram(bends, bins=10, range=(-1, 1))
    assert held.sum() == 40
    assert held.min() >= 1
    assert plan["0.bias"].law == wb.Uniform(-28.0, 28.0)
    wb.initialize(model, "vector:1", seed=0, recipe="xavier", overwrite=True)
    assert not (model[0].bias / model[0].weight[:, 0]).any()


def test_hippo_is_its_formula_and_has_its_spectrum() -> None:
    n = np.arange(24)
    expected = np.tril(-np.sqrt(np.outer(2 * n + 1, 2 * n + 1)), -1) - np.diag(n + 1.0)
    made = fill(wb.HippoLegS(), (24, 24))
    np.testing.assert_allclose(made, expected, rtol=1e-14)
    np.testing.assert_allclose(np.sort(np.diag(made)), -np.arange(24, 0, -1))  # triangular: its eigenvalues
    np.testing.assert_allclose(fill(wb.HippoLegS(), (24,)), np.sqrt(2 * n + 1), rtol=1e-15)
    np.testing.assert_array_equal(fill(wb.HippoLegS(), (3, 24, 24))[2], made)
    mean, std = wb.HippoLegS().moments((24, 24))
    assert (mean, std) == (pytest.approx(expected.mean()), pytest.approx(expected.std()))


def test_hippo_remembers_the_past() -> None:
    """What it is for: the state holds the Legendre coefficients of the past, of f(t) = t over [0, 1] 1/2, 1/(2√3).

    LegS is dx/dt = (A·x + B·f)/t; stepped implicitly from t = 1/1000 on.
    """
    size, steps = 8, 1000
    a, b = fill(wb.HippoLegS(), (size, size)), fill(wb.HippoLegS(), (size,))
    x = np.zeros(size)
    for k in range(1, steps + 1):
        x = np.linalg.solve(np.eye(size) - a / k, x + b / k * (k / steps))
    assert x[0] == pytest.approx(0.5, abs=2e-3)
    assert x[1] == pytest.approx(1 / (2 * math.sqrt(3)), abs=2e-3)
    assert np.abs(x[2:]).max() < 5e-3


def test_s4d_and_mamba_are_their_formulas() -> None:
    np.testing.assert_allclose(fill(wb.S4DReal(), (3, 5)), np.tile(np.log(np.arange(1, 6)), (3, 1)), rtol=1e-15)
    np.testing.assert_allclose(fill(wb.S4DLin(), (3, 5)), np.tile(math.pi * np.arange(5), (3, 1)), rtol=1e-15)
    rates = np.exp(fill(wb.Mamba2Decay(), (4000,)))
    assert rates.min() >= 1 - 1e-6
    assert rates.max() <= 16 + 1e-5
    assert rates.mean() == pytest.approx(8.5, rel=0.02)


def test_steps_of_time_come_out_of_softplus_log_uniform() -> None:
    """What the bias is for: softplus(b) is log-uniform in [0.001, 0.1], and no step is below the floor."""
    steps = np.log1p(np.exp(fill(wb.TimeStepBias(), (20_000,))))
    assert steps.min() >= 0.001 * (1 - 1e-5)
    assert steps.max() <= 0.1 * (1 + 1e-5)
    shares = np.sort((np.log(steps) - math.log(0.001)) / math.log(100))
    assert np.abs(shares - (np.arange(20_000) + 0.5) / 20_000).max() < 0.015  # Kolmogorov and Smirnov at 0.1%: 0.0138
    floored = np.log1p(np.exp(fill(wb.TimeStepBias(floor=0.01), (2000,))))
    assert floored.min() == pytest.approx(0.01, rel=1e-5)


def test_chrono_is_its_formula() -> None:
    made = fill(wb.ChronoBias(100), (4 * 50,)).reshape(4, 50)
    drawn = drawn_apart(Draw.uniform(1.0, 99.0), 50, 50)
    np.testing.assert_allclose(made[1], np.log(drawn), rtol=1e-12)
    np.testing.assert_array_equal(made[0], -made[1])
    assert not made[2:].any()
    assert wb.ChronoBias(100).moments((200,))[1] == pytest.approx(fill(wb.ChronoBias(100), (40_000,)).std(), rel=0.01)


def test_chrono_spreads_the_half_lives() -> None:
    """What it is for: times of memory 1/(1 - f) = 1 + u lie evenly from 2 to the longest; ln 99 halves in 69."""
    forget = 1 / (1 + np.exp(-fill(wb.ChronoBias(100), (40_000,))[10_000:20_000]))
    memory = 1 / (1 - forget)
    assert memory.min() >= 2 - 1e-6
    assert memory.max() <= 100 + 1e-6
    assert memory.mean() == pytest.approx(51, rel=0.02)
    assert math.log(0.5) / math.log(99 / 100) == pytest.approx(68.97, abs=0.01)


def test_the_prior_starts_the_loss_at_its_entropy() -> None:
    """What it is for, to the digit: 0.0560015 for 1% of positives, the entropy of the shares for classes."""
    bias = wb.PriorBias(0.01).law().value
    target = torch.tensor([1.0] + [0.0] * 99, dtype=torch.float64)
    loss = F.binary_cross_entropy_with_logits(torch.full((100,), bias, dtype=torch.float64), target)
    assert float(loss) == pytest.approx(0.0560015, abs=5e-8)
    shares = np.array([0.7, 0.2, 0.1])
    made = wb.PriorBias(tuple(shares)).law().values.astype(np.float64)
    np.testing.assert_allclose(made, np.log(shares), rtol=1e-7)
    assert -(shares @ (made - np.log(np.exp(made).sum()))) == pytest.approx(-(shares @ np.log(shares)), rel=1e-7)


@pytest.mark.parametrize(("inputs", "outputs"), [(64, 256), (64, 64), (256, 64), (8, 9)])
def test_scaled_orthogonal_keeps_the_mean_square(inputs, outputs) -> None:
    """What it is for: of a vector as large as the layer sees, exactly where it does not get narrower."""
    made = fill(wb.ScaledOrthogonal(), (outputs, inputs), fans=wb.Fans(inputs, outputs))
    values = np.linalg.svd(made, compute_uv=False)
    np.testing.assert_allclose(values, math.sqrt(max(1, outputs / inputs)), rtol=1e-6)
    x = np.random.default_rng(0).normal(size=(inputs, 500))
    assert np.mean((made @ x) ** 2) / np.mean(x**2) == pytest.approx(1.0, rel=0.02 if outputs < inputs else 1e-6)


def test_delta_orthogonal_is_an_isometry_of_the_circular_convolution() -> None:
    kernel = torch.from_numpy(fill(wb.DeltaOrthogonal(), (8, 6, 3, 3)))
    x = torch.randn(4, 6, 7, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="circular"), kernel)
    torch.testing.assert_close(y.square().sum((1, 2, 3)), x.square().sum((1, 2, 3)), rtol=1e-6, atol=0)


APART = [
    (wb.Hadamard(), (9, 5)),
    (wb.Hadamard(), (9, 5, 3)),
    (wb.NoisyIdentity(0.1), (6, 11)),
    (wb.Sinusoidal(), (6, 11)),
    (wb.FixedLengthRows(2.0), (7, 6)),
    (wb.S4DReal(), (4, 9)),
    (wb.HippoLegS(), (2, 6, 6)),
    (wb.ChronoBias(30), (24,)),
    (wb.TimeStepBias().law(), (50,)),
]


@given(data=st.data())
@settings(max_examples=120, deadline=None)
def test_a_part_takes_no_more_than_its_own_elements(data) -> None:
    """Any flat stretch of a law that is drawn apart equals that stretch of the whole, and asks for no whole."""
    law, shape = data.draw(st.sampled_from(APART))
    assert not needs_whole(law)
    whole = fill(law, shape, np.float32).reshape(-1)
    first = data.draw(st.integers(0, whole.size - 1))
    part = np.empty(data.draw(st.integers(1, whole.size - first)), np.float32)
    wb.fill(part, law, seed=7, name="w", shape=shape, offset=first)
    np.testing.assert_array_equal(part, whole[first : first + part.size])


def test_a_row_of_a_matrix_that_nobody_could_hold() -> None:
    """The memory promise: 64 elements of 2^40, in no time."""
    for law in (wb.Hadamard(), wb.NoisyIdentity(0.01), wb.S4DReal()):
        part = np.empty((1, 64), np.float32)
        wb.fill(part, law, seed=7, name="w", shape=(2**20, 2**20), offset=(2**19, 2**19))
        assert np.isfinite(part).all()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: wb.Hadamard(0), lambda: wb.PaddedIdentity(-1), lambda: wb.NoisyIdentity(-0.1),
        lambda: wb.TanhFixedPoint(float("inf")), lambda: wb.ChronoBias(2), lambda: wb.ChronoBias(9, forget=4),
        lambda: wb.ChronoBias(9, forget=0), lambda: wb.TimeStepBias(low=0.2), lambda: wb.TimeStepBias(floor=1.0),
        lambda: wb.Mamba2Decay(low=0), lambda: wb.PriorBias(0), lambda: wb.PriorBias((0.5, 0.4)),
        lambda: wb.PriorBias((1.0,)), lambda: wb.PriorBias(True), lambda: wb.FixedLengthRows(0),
        lambda: fill(wb.Hadamard(), (4,)), lambda: fill(wb.HippoLegS(), (3, 4)), lambda: fill(wb.ChronoBias(9), (7,)),
        lambda: fill(wb.PaddedIdentity(), (2, 2, 2)), lambda: fill(wb.Sinusoidal(), (3,)),
        lambda: fill(wb.S4DReal(), ()), lambda: fill(wb.Sinusoidal(), (2, 2)),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(wrong) -> None:
    with pytest.raises(ArgumentError):
        wrong()
