"""A scaled law gives the values of the law, times the factor, from the same stream."""

from __future__ import annotations

import numpy as np
import pytest

import wellbegun as wb
from wellbegun.errors import ArgumentError
from wellbegun.laws import LAWS, Stored
from wellbegun.sampler import Stream
from wellbegun.targets.array import fill_array

CASES = [
    (wb.Constant(0.3), (6,)),
    (wb.Normal(0.02, mean=-0.5), (6, 8)),
    (wb.Uniform(-0.1, 0.3), (6, 8)),
    (wb.TruncatedNormal(0.02), (6, 8)),
    (wb.TruncatedNormal(0.02, low=0, high=float("inf"), mean=0.1, match_std=False), (6, 8)),
    (wb.Orthogonal(1.5, blocks=3), (6, 8)),
    (wb.MirroredOrthogonal(1.5), (6, 8)),
    (wb.DeltaOrthogonal(1.5), (6, 4, 3)),
    (wb.Identity(0.4), (6, 8)),
    (wb.Dirac(2, gain=0.4), (6, 3, 3)),
    (wb.Sparse(0.5, std=0.2), (6, 8)),
    (wb.Hadamard(0.4), (6, 3)),
    (wb.PaddedIdentity(0.4), (6, 8)),
    (wb.NoisyIdentity(0.1, gain=0.4), (6, 8)),
    (wb.Sinusoidal(0.4), (6, 8)),
    (wb.FixedLengthRows(0.4), (6, 8)),
    (Stored(np.linspace(-1, 1, 48).reshape(6, 8)), (6, 8)),
    (wb.MeanCompensation("w", mean=0.5, std=0.1), (6,)),
    (wb.Computed((("uniform", -1.0, 1.0), ("exp", "%0"))), (6, 8)),
    (wb.PerChannel(wb.Normal(0.1), Stored(np.linspace(0.5, 2, 6).astype(np.float32))), (6, 8)),
    (wb.MimeticFactor("qv", heads=2), (16, 8)),
    (wb.Patched(wb.Orthogonal(1.0), (((((2, 4),)), wb.Normal(0.1)),)), (6, 8)),
]
MEANT = [wb.S4DReal(), wb.S4DLin(), wb.HippoLegS(), wb.ChronoBias(100)]


def values(law, shape):
    out = np.empty(shape, np.float64 if isinstance(law, Stored) else np.float32)
    companion = np.arange(12, dtype=np.float32).reshape(6, 2) if law.companion else None
    fill_array(out, law, Stream.of(7, "a"), shape, (0,) * len(shape), companion)
    return out.astype(np.float64)


@pytest.mark.parametrize(("law", "shape"), CASES, ids=lambda case: repr(case)[:40])
@pytest.mark.parametrize("factor", [0.37, 1.0, 12.5])
def test_values_are_those_of_the_law_times_the_factor(law, shape, factor):
    made = law.scaled(factor)
    assert type(made) is type(law)
    np.testing.assert_allclose(values(made, shape), factor * values(law, shape), rtol=2e-6, atol=1e-7 * factor)
    np.testing.assert_allclose(made.moments(shape), np.multiply(law.moments(shape), factor), rtol=1e-6, atol=1e-9)
    if factor == 1.0:
        assert made == law


def test_every_law_that_has_numbers_is_here():
    assert {type(law) for law, _ in CASES} == set(LAWS) - {wb.Keep} - {type(law) for law in MEANT}


def test_numbers_that_are_times_or_rates_cannot_be_scaled():
    for law in MEANT:
        with pytest.raises(ArgumentError, match="cannot be scaled"):
            law.scaled(2.0)


@pytest.mark.parametrize("factor", [0, -1.0, float("inf"), float("nan"), "two", None])
def test_other_factors_are_refused(factor):
    for law, _ in CASES:
        with pytest.raises(ArgumentError, match="a finite number above 0, got"):
            law.scaled(factor)


def test_what_leaves_float32_is_refused():
    with pytest.raises(ArgumentError, match="finite float32"):
        wb.Normal(1e30).scaled(1e30)


def test_a_kept_value_cannot_be_scaled():
    with pytest.raises(ArgumentError, match="leaves a tensor's own value"):
        wb.Keep().scaled(2.0)
