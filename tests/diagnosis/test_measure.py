"""Each measurement against a brute-force NumPy float64 calculation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wellbegun.diagnosis import measure


@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=40))
def test_second_moment_and_mean_equal_float64(values: list[float]) -> None:
    tensor = torch.tensor(values, dtype=torch.float32)
    exact = np.array(values, np.float64)
    assert measure.second_moment(tensor) == pytest.approx(np.mean(exact**2), rel=1e-12, abs=1e-30)
    assert measure.mean(tensor) == pytest.approx(np.mean(exact), rel=1e-12, abs=1e-9)


def test_bfloat16_statistics_are_summed_in_float64() -> None:
    # case 39: the mean of many bf16 ones summed in bf16 would stall at 256
    ones = torch.ones(100_000, dtype=torch.bfloat16)
    assert measure.mean(ones) == 1.0
    assert measure.second_moment(ones) == pytest.approx(1.0, rel=1e-12)


def test_mean_cosine_equals_the_mean_over_all_pairs() -> None:
    rows = np.random.default_rng(0).normal(size=(7, 5)) + 0.5
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    pairs = [float(unit[i] @ unit[j]) for i, j in itertools.combinations(range(7), 2)]
    assert measure.mean_cosine(torch.tensor(rows)) == pytest.approx(np.mean(pairs), rel=1e-12)


def test_mean_cosine_leaves_zero_rows_out_and_is_nan_without_pairs() -> None:
    rows = torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    assert measure.mean_cosine(rows) == pytest.approx(1.0)
    assert math.isnan(measure.mean_cosine(torch.zeros(4, 3)))


def test_dead_units_are_zero_for_every_input() -> None:
    values = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    assert measure.dead_share(values, -1) == pytest.approx(2 / 3)
    images = torch.zeros(2, 4, 3, 3)
    images[1, 2, 0, 0] = 1.0
    assert measure.dead_share(images, 1) == 0.75


def test_twins_are_units_with_equal_bits() -> None:
    column = torch.randn(10, 1, generator=torch.Generator().manual_seed(0))
    other = torch.randn(10, 1, generator=torch.Generator().manual_seed(1))
    assert measure.twin_share(torch.cat([column, column, other], 1), -1) == pytest.approx(2 / 3)
    assert measure.twin_share(torch.cat([column, -column, other], 1), -1) == 0.0


@pytest.mark.parametrize(
    ("activation", "function", "slope"),
    [
        ("tanh", np.tanh, lambda x: 1 / np.cosh(x) ** 2),
        ("sigmoid", lambda x: 1 / (1 + np.exp(-x)), lambda x: 4 * np.exp(-x) / (1 + np.exp(-x)) ** 2),
        ("softsign", lambda x: x / (1 + np.abs(x)), lambda x: 1 / (1 + np.abs(x)) ** 2),
        ("atan", np.arctan, lambda x: 1 / (1 + x**2)),
        ("hardtanh", lambda x: np.clip(x, -1, 1), lambda x: (np.abs(x) < 1).astype(float)),
    ],
)
def test_flat_share_counts_small_slopes(activation, function, slope) -> None:
    x = np.random.default_rng(1).normal(0, 3, 20_000)
    expected = np.mean(slope(x) < 0.1)
    assert 0.1 < expected < 0.9
    assert measure.flat_share(activation, torch.tensor(function(x))) == pytest.approx(expected, abs=1e-4)


def test_unbounded_activations_have_no_flat_share() -> None:
    assert measure.flat_share("relu", torch.zeros(5)) == 0.0
