"""Units and networks that are off: closed forms, identities and simulation with standard errors."""

import math

import numpy as np
import pytest

from wellbegun.errors import ArgumentError
from wellbegun.theory import MeanField, born_dead, correlated, share_off


@pytest.mark.parametrize("inputs", [1, 2, 3, 4, 9, 100, 1000])
def test_known_points(inputs: int) -> None:
    assert share_off(0.0, inputs) == 0.5**inputs
    assert share_off(1.0, inputs) == 0.5
    # at 1/2 all inputs and what they share are alike: each is the largest equally often
    assert inputs == 1 or share_off(0.5, inputs) == pytest.approx(1 / (inputs + 1), rel=1e-13)


@pytest.mark.parametrize("rho", [-1.0, -0.3, 0.0, 0.2, 0.9, 0.996423146684, 1.0])
def test_two_inputs_are_the_correlation_of_a_step(rho: float) -> None:
    assert share_off(rho, 2) == pytest.approx(0.5 - math.acos(rho) / (2 * math.pi), abs=1e-15)
    assert share_off(rho, 2) == pytest.approx(correlated("x <= 0", rho).product, abs=1e-12)


def test_literature() -> None:
    """Section 1a: two inputs behind 100 He layers (cosine 0.996423) find 0.4865 of the units off."""
    assert share_off(0.996423, 2) == pytest.approx(0.4865, abs=5e-5)


@pytest.mark.parametrize("rho", [0.0, 0.1, 0.5, 0.97])
def test_three_inputs_by_either_formula(rho: float) -> None:
    """By inclusion and exclusion, P(3 off) = (1 - 3/2 + 3 P(2 off)) / 2."""
    assert share_off(rho, 3) == pytest.approx((3 * share_off(rho, 2) - 0.5) / 2, rel=1e-12)
    # the integral over what is shared, extended to three by four: P(4) <= P(3), and between its neighbours
    assert share_off(rho, 4) <= share_off(rho, 3) <= share_off(rho, 2)


def test_limits_of_few_inputs() -> None:
    assert share_off(-1.0, 2) == share_off(-0.5, 3) == 0.0
    assert share_off(0.999999999, 10**6) == pytest.approx(0.49994, abs=1e-5)
    assert share_off(1e-9, 50) == pytest.approx(0.5**50, rel=1e-5)


@pytest.mark.parametrize(("rho", "inputs"), [(0.3, 4), (0.7, 16), (0.97, 64)])
def test_simulation(rho: float, inputs: int) -> None:
    generator, draws = np.random.default_rng(1), 40_000
    shared = generator.standard_normal((draws, 1))
    signals = math.sqrt(rho) * shared + math.sqrt(1 - rho) * generator.standard_normal((draws, inputs))
    measured = float((signals < 0).all(axis=1).mean())
    expected = share_off(rho, inputs)
    assert measured == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / draws))


def test_units_that_are_off_in_deep_networks() -> None:
    """Sixteen unrelated inputs through 20 He layers of width 400: the share of units that none of them switches on."""
    generator, width, inputs, draws = np.random.default_rng(2), 400, 16, 8
    he, rho, expected = MeanField("relu", 2.0), 0.0, []
    for _ in range(20):
        expected.append(share_off(max(rho, 0.0), inputs))
        rho = he.correlation_map(rho)
    measured = np.empty((draws, 20))
    for draw in range(draws):
        x = generator.standard_normal((width, inputs))
        for layer in range(20):
            before = generator.standard_normal((width, width)) * math.sqrt((2 if layer else 1) / width) @ x
            measured[draw, layer] = (before <= 0).all(axis=1).mean()
            x = np.maximum(before, 0.0)
    means, errors = measured.mean(axis=0), measured.std(axis=0, ddof=1) / math.sqrt(draws)
    assert expected[0] < 0.001 < 0.2 < expected[-1]
    for layer in (0, 1, 3, 7, 12, 19):
        # finite width moves the correlation itself a little from draw to draw: 0.01 is left to it
        assert means[layer] == pytest.approx(expected[layer], abs=4 * errors[layer] + 0.01), layer


@pytest.mark.parametrize("widths", [[1], [2] * 10, [3] * 5, [1, 5, 2], [4] * 100])
def test_one_input_is_cut_off_as_often_as_theory_says(widths: list[int]) -> None:
    generator, draws = np.random.default_rng(3), 4000
    alive = np.ones(draws, bool)
    x = np.ones((draws, 3, 1))
    for width in widths:
        x = np.maximum(generator.uniform(-1, 1, (draws, width, x.shape[1])) @ x, 0.0)
        x /= np.maximum(x.max(axis=1, keepdims=True), 1e-300)
        alive &= x.max(axis=(1, 2)) > 0
    expected = born_dead(widths)
    error = math.sqrt(expected * (1 - expected) / draws)
    assert 1 - alive.mean() == pytest.approx(expected, abs=4 * error)


def test_a_network_is_born_dead_at_most_as_often() -> None:
    """Of one input number and no biases, a network is constant if -1 and 1 are both cut off."""
    generator, draws = np.random.default_rng(4), 4000
    x = np.tile(np.array([[-1.0, 1.0]]), (draws, 1, 1))
    for width in [2] * 10:
        x = np.maximum(generator.standard_normal((draws, width, x.shape[1])) @ x, 0.0)
        x /= np.maximum(x.max(axis=(1, 2), keepdims=True), 1e-300)
    dead = float((x == 0).all(axis=(1, 2)).mean())
    bound = born_dead([2] * 10)
    assert 0.85 * bound < dead < bound


def test_born_dead_in_numbers() -> None:
    assert born_dead([1]) == 0.5
    assert born_dead([2] * 10) == pytest.approx(1 - 0.75**10, rel=1e-14)
    assert born_dead([3, 5]) == born_dead((5, 3)) == pytest.approx(1 - (7 / 8) * (31 / 32), rel=1e-14)
    assert born_dead([64] * 100) == pytest.approx(100 * 2.0**-64, rel=1e-12)
    assert born_dead([5000]) == 0.0


def test_refusals() -> None:
    for rho, inputs in ((1.1, 2), (-1.1, 2), (-0.6, 3), (-0.1, 4), (math.nan, 5), (True, 2)):
        with pytest.raises(ArgumentError, match=r"rho has to lie between"):
            share_off(rho, inputs)
    with pytest.raises(ArgumentError, match="a formula for up to three"):
        share_off(-0.1, 4)
    for count in (0, 2.0, True):
        with pytest.raises(ArgumentError, match="inputs has to be"):
            share_off(0.5, count)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="at least one layer"):
        born_dead([])
    for width in (0, 2.5, True):
        with pytest.raises(ArgumentError, match="at least 1, not"):
            born_dead([4, width])  # type: ignore[list-item]


def test_what_is_no_number_is_refused_by_name() -> None:
    with pytest.raises(ArgumentError, match=r"rho has to lie between -0.5 and 1, not 'a'"):
        share_off("a", 3)
    with pytest.raises(ArgumentError, match="a list of whole numbers, one for each layer, not 5"):
        born_dead(5)
