"""Jacobian spectra against closed forms and against the singular values of finite networks."""

import math

import numpy as np
import numpy.typing as npt
import pytest

from wellbegun.errors import ArgumentError, TheoryError
from wellbegun.theory import JacobianSpectrum, critical, jacobian_spectrum, moments

from .networks import slopes
from .test_chain import dense

Array = npt.NDArray[np.float64]


@pytest.mark.parametrize(("depth", "edge"), [(1, 4), (2, 6.75), (10, 28.531167), (100, 273.1862)])
def test_linear_gaussian_edges(depth: int, edge: float) -> None:
    found = jacobian_spectrum("identity", depth)
    assert found.largest == pytest.approx((depth + 1) ** (depth + 1) / depth**depth, rel=1e-8)
    assert found.largest == pytest.approx(edge, rel=1e-6)
    assert (found.mean, found.spread, found.atoms) == (pytest.approx(1), pytest.approx(depth), ())


@pytest.mark.parametrize(("depth", "edge"), [(2, 4), (4, 9.4814815), (10, 25.811748)])
def test_relu_orthogonal_edges(depth: int, edge: float) -> None:
    found = jacobian_spectrum("relu", depth, weights="orthogonal")
    assert found.largest == pytest.approx(depth**depth / (depth - 1) ** (depth - 1), rel=1e-8)
    assert found.largest == pytest.approx(edge, rel=1e-7)
    assert found.spread == pytest.approx(depth)
    assert found.atoms == ((0.0, 0.5),)


@pytest.mark.parametrize(("depth", "edge"), [(1, 3 + 2 * math.sqrt(2)), (10, 54.410859), (100, 543.6609)])
def test_relu_gaussian_edges(depth: int, edge: float) -> None:
    found = jacobian_spectrum("relu", depth)
    s = (-(depth - 1) + math.sqrt((depth - 1) ** 2 + 2 * depth)) / (2 * depth)
    assert found.largest == pytest.approx((1 + s) / s * (1 + 2 * s) ** depth, rel=1e-8)
    assert found.largest == pytest.approx(edge, rel=1e-6)
    assert found.spread == pytest.approx(2 * depth)


SPREADS = {
    ("tanh", 0.001): 7.92e-6,
    ("tanh", 0.01): 7.273237e-4,
    ("tanh", 0.0457090787): 0.01146292,
    ("tanh", 0.1): 0.03970912,
    ("tanh", 0.5): 0.29924413,
    ("tanh", 1.0): 0.58347994,
    ("erf", 1.0): 2 / 3,
    ("hardtanh", 1.0): 0.46479477,
    ("gelu", 1.0): 1.08833404,
    ("silu", 1.0): 0.99004816,
    ("mish", 1.0): 0.83746118,
    ("selu", 1.0): 0.31619654,
    ("elu", 1.0): 0.33168354,
}


@pytest.mark.parametrize(("name", "q"), SPREADS)
def test_spreads(name: str, q: float) -> None:
    expected = SPREADS[name, q]
    assert jacobian_spectrum(name, 1, weights="orthogonal", q=q).spread == pytest.approx(
        expected, rel=1e-3 if q < 0.01 else 2e-6
    )
    assert jacobian_spectrum(name, 7, q=q).spread == pytest.approx(7 * (expected + 1), rel=1e-6)


def test_critical_tanh_of_depth_50() -> None:
    """Literature 4.6: orthogonal .573 (measured .592), Gaussian 50.57 (49.7)."""
    q = critical("tanh", q=0.0457090787).q
    assert jacobian_spectrum("tanh", 50, weights="orthogonal", q=q).spread == pytest.approx(0.573, abs=5e-4)
    assert jacobian_spectrum("tanh", 50, q=q).spread == pytest.approx(50.57, abs=5e-3)


def test_marchenko_pastur_and_fuss_catalan() -> None:
    x = np.array([0.01, 0.3, 1.0, 3.9])
    assert jacobian_spectrum("identity", 1).density(x) == pytest.approx(np.sqrt(4 / x - 1) / (2 * math.pi), rel=1e-6)
    phi = np.linspace(0.1, 1.0, 7)  # Fuss-Catalan of order 2, by angle; phi < pi / 3
    x = np.sin(3 * phi) ** 3 / (np.sin(phi) * np.sin(2 * phi) ** 2)
    density = np.sin(phi) ** 2 * np.sin(2 * phi) / (math.pi * np.sin(3 * phi) ** 2)
    assert jacobian_spectrum("identity", 2).density(x) == pytest.approx(density, rel=1e-6)


CASES = [
    ("identity", 2, "gaussian", 1.0),
    ("relu", 1, "gaussian", 1.0),
    ("relu", 3, "orthogonal", 1.0),
    ("leaky_relu_0.2", 4, "gaussian", 1.0),
    ("tanh", 3, "gaussian", 0.5),
    ("tanh", 5, "orthogonal", 0.5),
    ("hardtanh", 5, "orthogonal", 0.3),
    ("gelu", 2, "orthogonal", 1.0),
]


@pytest.mark.parametrize(("name", "depth", "weights", "q"), CASES)
def test_density_and_measurement(name: str, depth: int, weights: str, q: float) -> None:
    spectrum = jacobian_spectrum(name, depth, weights=weights, q=q)  # type: ignore[arg-type]
    edges = grid(spectrum)
    middle, density = np.sqrt(edges[1:] * edges[:-1]), spectrum.density(np.sqrt(edges[1:] * edges[:-1]))
    shares = density * np.diff(edges)
    atoms = spectrum.atoms
    assert shares.sum() + sum(share for _, share in atoms) == pytest.approx(1, abs=0.02)
    mean = float(shares @ middle) + sum(value * share for value, share in atoms)
    second = float(shares @ middle**2) + sum(value**2 * share for value, share in atoms)
    assert mean == pytest.approx(1, abs=0.02)
    assert second - mean**2 == pytest.approx(spectrum.spread, rel=0.03)
    measured = eigenvalues(name, depth, weights, q, width=300, draws=3)
    for level in (0.1, 0.3, 1.0, 2.0):
        if any(abs(value - level) < 0.05 for value, _ in atoms) or level >= 0.95 * spectrum.largest:
            continue
        below = float(shares[middle < level].sum()) + sum(share for value, share in atoms if value < level)
        assert float((measured < level).mean()) == pytest.approx(below, abs=0.03), level
    assert measured.max() == pytest.approx(spectrum.largest, rel=0.15)


def grid(spectrum: JacobianSpectrum, points: int = 250) -> Array:
    """Points that lie densely at both edges of the distribution, where the density may be infinite or end in a root."""
    angles = np.linspace(0, math.pi / 2, points + 1)[1:]
    return spectrum.largest * np.sin(angles) ** (2 * spectrum.depth + 2)


def eigenvalues(name: str, depth: int, weights: str, q: float, width: int, draws: int) -> Array:
    """Squared singular values of products D W of finite networks, with pre-activations N(0, q)."""
    generator, layer, found = np.random.default_rng(17), dense(width, 1.0, name), []
    scale = moments(name, q).slope_second ** -0.5
    for _ in range(draws):
        jacobian = np.eye(width)
        for _ in range(depth):
            matrix = generator.standard_normal((width, width)) / math.sqrt(width)
            if weights == "orthogonal":
                left, triangular = np.linalg.qr(matrix)
                matrix = left * np.sign(np.diag(triangular))
            diagonal = slopes(layer, math.sqrt(q) * generator.standard_normal(width))
            jacobian = (diagonal[:, None] * matrix * scale) @ jacobian
        found.append(np.linalg.svd(jacobian, compute_uv=False) ** 2)
    return np.concatenate(found)


def test_a_projection_that_leaves_most_directions_alone() -> None:
    """Hard-tanh at q = 0.3 is linear for 93% of units: 5 orthogonal layers pass 66% of directions on as they are."""
    spectrum = jacobian_spectrum("hardtanh", 5, weights="orthogonal", q=0.3)
    (zero, dead), (top, share) = spectrum.atoms
    assert (zero, top) == (0.0, pytest.approx(spectrum.largest))
    assert share == pytest.approx(1 - 5 * dead)
    measured = eigenvalues("hardtanh", 5, "orthogonal", 0.3, width=300, draws=3)
    assert float((measured > top * (1 - 1e-6)).mean()) == pytest.approx(share, abs=0.04)


def test_weights_off_the_critical_point() -> None:
    one = jacobian_spectrum("tanh", 4, q=0.5, weight_variance=1.5)
    other = jacobian_spectrum("tanh", 4, q=0.5)
    factor = (1.5 * moments("tanh", 0.5).slope_second) ** 4
    assert one.mean == pytest.approx(factor)
    assert one.largest == pytest.approx(factor * other.largest, rel=1e-7)
    assert one.density(factor * np.array([0.5, 2.0])) * factor == pytest.approx(other.density([0.5, 2.0]), rel=1e-6)


def test_refusals() -> None:
    with pytest.raises(ArgumentError, match="depth has to be"):
        jacobian_spectrum("relu", 0)
    with pytest.raises(ArgumentError, match="'gaussian' or 'orthogonal', not 'uniform'"):
        jacobian_spectrum("relu", 2, weights="uniform")  # type: ignore[arg-type]
    with pytest.raises(TheoryError, match="E f'⁴ is 0"):
        jacobian_spectrum("sign(x)", 2)
    with pytest.raises(ArgumentError, match="above 0"):
        jacobian_spectrum("relu", 2).density([0.0, 1.0])
