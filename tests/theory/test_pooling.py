"""The largest and the mean of several numbers, as pooling takes them: published values, closed forms, simulation."""

import math

import numpy as np
import pytest

from wellbegun.errors import ArgumentError
from wellbegun.theory import averaged_second, maximum, moments

MAXIMA = {
    1: (0.0, 1.0),
    2: (0.564189583548, 1.0),
    4: (1.029375373, 1.55132889542),
    9: (1.48501316221, 2.56261741829),
    16: (1.76599139305, 3.41373540935),
}


@pytest.mark.parametrize("count", MAXIMA)
def test_maxima(count: int) -> None:
    assert (maximum(count).mean, maximum(count).second) == pytest.approx(MAXIMA[count], rel=2e-10, abs=1e-14)


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.9, 1.0])
def test_few_numbers_in_closed_form(rho: float) -> None:
    """Clark 1961: E max(x, y) = sqrt((1 - rho) / pi), and 1 for its square; 3/2 as much of three."""
    two, three = maximum(2, rho), maximum(3, rho)
    assert (two.mean, two.second) == pytest.approx((math.sqrt((1 - rho) / math.pi), 1.0), rel=1e-12, abs=1e-15)
    assert three.mean == pytest.approx(1.5 * two.mean, rel=1e-12, abs=1e-15)
    assert three.second == pytest.approx(rho + (1 - rho) * (1 + math.sqrt(3) / (2 * math.pi)), rel=1e-12)


@pytest.mark.parametrize(("count", "rho"), [(4, 0.5), (9, 0.2)])
def test_simulation(count: int, rho: float) -> None:
    generator, draws = np.random.default_rng(3), 200_000
    shared = math.sqrt(rho) * generator.standard_normal((draws, 1))
    numbers = shared + math.sqrt(1 - rho) * generator.standard_normal((draws, count))
    largest, found = numbers.max(axis=1), maximum(count, rho)
    for values, expected in ((largest, found.mean), (largest**2, found.second)):
        assert values.mean() == pytest.approx(expected, abs=4 * values.std() / math.sqrt(draws))
    means = np.maximum(numbers, 0.0).mean(axis=1)  # behind a ReLU, whose outputs have a correlation of their own
    relu = moments("relu")
    again = np.corrcoef(np.maximum(numbers, 0.0), rowvar=False)[0, 1]
    expected = averaged_second(relu.second, count, mean=relu.mean, rho=float(again))
    assert (means**2).mean() == pytest.approx(expected, abs=4 * (means**2).std() / math.sqrt(draws) + 0.002)
    assert means.mean() == pytest.approx(relu.mean, abs=4 * means.std() / math.sqrt(draws))


def test_averages() -> None:
    assert averaged_second(2.0, 1) == averaged_second(2.0, 7, rho=1.0) == 2.0
    assert averaged_second(1.0, 9) == pytest.approx(1 / 9)
    assert averaged_second(1.0, 3, rho=-0.5) == pytest.approx(0.0, abs=1e-16)
    # mean and second moment of what is averaged: the mean stays, the variance is divided
    assert averaged_second(1.3, 4, mean=1.0) == pytest.approx(1 + 0.3 / 4)


def test_refusals() -> None:
    for count in (0, 2.0, True):
        with pytest.raises(ArgumentError, match="count has to be"):
            maximum(count)  # type: ignore[arg-type]
    for rho in (-0.1, 1.1, True):
        with pytest.raises(ArgumentError, match="rho has to lie between 0 and 1"):
            maximum(4, rho)
    with pytest.raises(ArgumentError, match=r"between -0\.3333 and 1 for 4 numbers"):
        averaged_second(1.0, 4, rho=-0.4)
    with pytest.raises(ArgumentError, match="at least mean²"):
        averaged_second(1.0, 4, mean=2.0)
