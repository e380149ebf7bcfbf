"""Singular values of random weights against NumPy's."""

import math

import numpy as np
import pytest

import wellbegun as wb
from wellbegun.errors import ArgumentError
from wellbegun.theory import jacobian_spectrum, singular_values


def test_the_literature_s_matrix() -> None:
    """Section 4.9: N(0, 1) of 1,024 by 256 has 48.05 in one draw; sqrt(1024) + sqrt(256) = 48."""
    found = singular_values(1024, 256, std=1.0)
    assert (found.low, found.high) == (16.0, 48.0)
    assert abs(48.05 - found.norm) < 2 * found.norm_std


@pytest.mark.parametrize("shape", [(64, 64), (16, 16), (8, 128), (120, 40)])
def test_the_norm_of_gaussian_matrices(shape: tuple[int, int]) -> None:
    found, draws, generator = singular_values(*shape, std=0.1), 250, np.random.default_rng(1)
    measured = np.array([np.linalg.norm(0.1 * generator.standard_normal(shape), 2) for _ in range(draws)])
    error = measured.std() / math.sqrt(draws)
    # of second order in the sizes: half a percent is left to the rest
    assert measured.mean() == pytest.approx(found.norm, abs=4 * error + 0.005 * found.norm)
    assert measured.std() == pytest.approx(found.norm_std, rel=0.25)
    assert found.norm < found.high


def test_uniform_entries_have_the_same_edges() -> None:
    found = singular_values(300, 100, std=0.3 / math.sqrt(3))
    measured = np.linalg.svd(np.random.default_rng(2).uniform(-0.3, 0.3, (300, 100)), compute_uv=False)
    assert measured.max() == pytest.approx(found.high, rel=0.03)
    assert measured.min() == pytest.approx(found.low, rel=0.06)


def test_a_convolution_over_all_frequencies() -> None:
    """Circular, 3 by 3, 32 channels: its operator has one 32 by 32 matrix for each of 8 by 8 frequencies."""
    kernel = 0.05 * np.random.default_rng(3).standard_normal((32, 32, 3, 3))
    symbols = np.fft.fft2(kernel, (8, 8), axes=(2, 3)).transpose(2, 3, 0, 1)
    measured = np.linalg.svd(symbols, compute_uv=False).ravel()
    found = singular_values(32, 32, std=0.05, taps=9)
    assert measured.max() == pytest.approx(found.high, rel=0.06)
    assert (measured**2).mean() == pytest.approx(9 * 32 * 0.05**2, rel=0.03)
    x = np.linspace(0, found.high, 2001)
    for level in (0.3, 0.8, 1.3):
        below = np.trapezoid(found.density(x[x <= level]), x[x <= level])
        assert (measured < level).mean() == pytest.approx(below, abs=0.02)
    assert math.isnan(found.norm)


@pytest.mark.parametrize("shape", [(64, 64), (64, 32), (32, 64)])
def test_density(shape: tuple[int, int]) -> None:
    found = singular_values(*shape, std=0.2)
    x = np.linspace(0, 1.1 * found.high, 40001)
    assert np.trapezoid(found.density(x), x) == pytest.approx(1.0, abs=1e-4)
    # the sum of squares is that of the entries
    assert np.trapezoid(found.density(x) * x**2, x) == pytest.approx(0.04 * max(shape), rel=1e-4)


def test_one_layer_s_jacobian_is_the_same_law() -> None:
    values = np.array([0.3, 1.0, 1.7])
    of_values = singular_values(100, 100, std=0.1).density(values)
    assert of_values / (2 * values) == pytest.approx(jacobian_spectrum("identity", 1).density(values**2), rel=1e-6)


@pytest.mark.parametrize(("outputs", "inputs"), [(64, 16), (16, 64), (32, 32)])
def test_what_orthogonal_weights_keep(outputs: int, inputs: int) -> None:
    """Section 4.9: q_out / q_in = min(1, in / out) gain²: one singular value, and the mean square of what comes out."""
    weight = np.empty((outputs, inputs))
    wb.fill(weight, wb.Orthogonal(gain=1.3), seed=0, name="w")
    assert np.linalg.svd(weight, compute_uv=False) == pytest.approx(np.full(min(outputs, inputs), 1.3), rel=1e-5)
    kept = (weight**2).sum() / outputs  # of an input of mean square 1, on average
    assert kept == pytest.approx(min(1, inputs / outputs) * 1.3**2, rel=1e-5)


def test_refusals() -> None:
    for sizes in ((0, 3), (3, 2.0), (True, 3)):
        with pytest.raises(ArgumentError, match="whole number, at least 1"):
            singular_values(*sizes, std=1.0)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="std has to be"):
        singular_values(3, 3, std=0.0)
    assert math.isnan(singular_values(4, 100, std=1.0).norm)
