"""Softmaxes and tokens at the start against closed forms, published values and simulation."""

import math

import numpy as np
import pytest

from wellbegun.errors import ArgumentError
from wellbegun.theory import attended_correlation, moments, softmax


@pytest.mark.parametrize("std", [0.3, 1.0, 4.0])
def test_two_entries_are_a_sigmoid_of_their_difference(std: float) -> None:
    found, q = softmax(2, std), 2 * std**2
    assert found.cross_entropy == pytest.approx(moments("softplus", q).mean, rel=1e-10)
    share = moments("sigmoid", q)
    assert found.participation == pytest.approx(4 * share.second, rel=1e-10)
    entropy = moments("softplus(x) - x * sigmoid(x)", q).mean
    assert found.entropy == pytest.approx(entropy, rel=1e-9)


def test_equal_scores() -> None:
    for entries in (2, 10, 50257):
        found = softmax(entries, 0.0)
        assert (found.cross_entropy, found.entropy) == pytest.approx((math.log(entries),) * 2, rel=1e-11)
        assert found.participation == pytest.approx(1.0, rel=1e-11)


@pytest.mark.parametrize(("entries", "std"), [(10, 1.0), (100, 3.0), (1024, 1.0)])
def test_simulation(entries: int, std: float) -> None:
    generator, found = np.random.default_rng(4), softmax(entries, std)
    scores = std * generator.standard_normal((1_500_000 // entries, entries))
    log_sums = np.log(np.exp(scores).sum(axis=1))
    shares = np.exp(scores - log_sums[:, None])
    for values, expected in (
        (log_sums, found.cross_entropy),
        (-(shares * np.log(shares)).sum(axis=1), found.entropy),
        (entries * (shares**2).sum(axis=1), found.participation),
    ):
        assert values.mean() == pytest.approx(expected, abs=4.5 * values.std() / math.sqrt(len(values)))


def test_values_of_the_literature() -> None:
    """Section 4.8; there they are from one simulation each."""
    assert softmax(10, 1.0).cross_entropy == pytest.approx(2.7311, abs=0.003)
    assert softmax(50257, 0.5543).cross_entropy == pytest.approx(10.9785, abs=1e-4)  # GPT-2, tied tables of 0.02
    attention = softmax(1024, 1.0)
    assert attention.participation == pytest.approx(2.7206, rel=0.01)
    assert attention.entropy == pytest.approx(6.4319, abs=0.003)
    # the simple formulas hold while std² is far below 2 ln n, and fail at 3
    assert softmax(1024, 3.0).participation < 0.02 * math.exp(9)
    assert softmax(1024, 3.0).entropy > math.log(1024) - 4.5 + 0.9


@pytest.mark.parametrize(("value_variance", "after"), [(1.0, {4: 0.497, 8: 0.944, 16: 0.9998}), (1 / 24, {24: 0.1013})])
def test_tokens_become_alike(value_variance: float, after: dict[int, float]) -> None:
    rho = 0.0032
    for layer in range(1, 25):
        rho = attended_correlation(rho, 16, value_variance)
        if layer in after:
            assert rho == pytest.approx(after[layer], abs=6e-4)
    assert attended_correlation(0.0, 16, 0.3, skip=False) == 1.0


def test_token_simulation() -> None:
    generator, tokens, width = np.random.default_rng(8), 16, 2000
    x, rho = generator.standard_normal((tokens, width)), 0.0
    for _ in range(3):
        weights = generator.standard_normal((width, width)) / math.sqrt(width)
        x = x + x.mean(axis=0) @ weights
        rho = attended_correlation(rho, tokens, 1.0)
    measured = np.corrcoef(x)[np.triu_indices(tokens, 1)].mean()
    assert measured == pytest.approx(rho, abs=0.03)


def test_refusals() -> None:
    for entries, std in ((1, 1.0), (2.0, 1.0), (10, -1.0), (10, 13.0)):
        with pytest.raises(ArgumentError, match=r"entries has to be|std has to lie"):
            softmax(entries, std)  # type: ignore[arg-type]
    for rho, tokens, value in ((-0.1, 4, 1.0), (0.1, 1, 1.0), (0.1, 4, -1.0)):
        with pytest.raises(ArgumentError, match=r"rho has|tokens has|value_variance has"):
            attended_correlation(rho, tokens, value)
