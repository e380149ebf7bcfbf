"""Factors for channels: each number is the base's times its channel's factor, and a part is the part of the whole."""

from __future__ import annotations

import numpy as np
import pytest

import wellbegun as wb
from wellbegun.errors import ArgumentError, PlanFileError
from wellbegun.laws import law_from_record, law_to_record

FACTORS = wb.Stored([0.5, 2.0, 3.0, 0.1])


def filled(law: wb.PerChannel | wb.Normal, dtype: str = "float32", **where) -> np.ndarray:
    shape = where.pop("part", (4, 5))
    out = np.empty(shape, dtype)
    wb.fill(out, law, seed=7, name="w", **where)
    return out


@pytest.mark.parametrize("base", [wb.Normal(0.1), wb.Orthogonal(), wb.Constant(2.0)], ids=repr)
def test_each_channel_has_its_factor(base) -> None:
    expected = filled(base).astype(np.float64) * np.array([0.5, 2.0, 3.0, 0.1])[:, None]
    assert np.allclose(filled(wb.PerChannel(base, FACTORS)), expected, rtol=2e-7, atol=0)


def test_channels_along_another_axis() -> None:
    factors = wb.Stored([1.0, 2.0, 3.0, 4.0, 5.0])
    expected = filled(wb.Normal(0.1)) * np.float32([1, 2, 3, 4, 5])
    assert (filled(wb.PerChannel(wb.Normal(0.1), factors, axis=1)) == expected).all()


def test_a_part_is_the_part_of_the_whole() -> None:
    law = wb.PerChannel(wb.Normal(0.1), FACTORS)
    assert (filled(law, part=(2, 3), shape=(4, 5), offset=(1, 2)) == filled(law)[1:3, 2:5]).all()
    assert (filled(law, part=(7,), shape=(4, 5), offset=6) == filled(law).reshape(-1)[6:13]).all()


def test_moments_are_those_of_the_numbers() -> None:
    law = wb.PerChannel(wb.Normal(0.1, mean=0.3), FACTORS)
    numbers = filled(law, part=(4, 100_000)).astype(np.float64)
    mean, std = law.moments((4, 100_000))
    assert mean == pytest.approx(numbers.mean(), rel=1e-2)
    assert std == pytest.approx(numbers.std(), rel=1e-2)
    assert law.scaled(2.0).moments((4, 5)) == pytest.approx((2 * mean, 2 * std), rel=1e-6)


def test_wrong_shapes_bases_and_factors_are_refused() -> None:
    law = wb.PerChannel(wb.Normal(0.1), FACTORS)
    with pytest.raises(ArgumentError, match=r"holds 4 factors for dimension 0, the tensor has shape \(5, 4\)"):
        filled(law, part=(5, 4))
    with pytest.raises(ArgumentError, match="a law whose numbers the plan makes"):
        wb.PerChannel(wb.Keep(), FACTORS)
    with pytest.raises(ArgumentError, match="one for each channel"):
        wb.PerChannel(wb.Normal(0.1), wb.Stored([[1.0]]))
    with pytest.raises(ArgumentError, match="axis must be"):
        wb.PerChannel(wb.Normal(0.1), FACTORS, axis=-1)


def test_a_damaged_record_is_refused() -> None:
    record = law_to_record(wb.PerChannel(wb.Normal(0.1), FACTORS))
    with pytest.raises(PlanFileError, match="has a base, factors and an axis"):
        law_from_record({key: value for key, value in record.items() if key != "axis"})
    with pytest.raises(PlanFileError, match="are stored numbers"):
        law_from_record(record | {"factors": law_to_record(wb.Constant(1.0))})
