"""Small values measured together: the numbers of each alone, from what they were when they came."""

from __future__ import annotations

import math

import pytest
import torch

from wellbegun.diagnosis import measure
from wellbegun.diagnosis.bundle import MOST, SMALL, Bundle, each

GENERATOR = torch.Generator().manual_seed(3)


def values(*shape: int, number: int = 20, dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
    return [torch.randn(*shape, generator=GENERATOR).to(dtype) for _ in range(number)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("shape", [(16, 64), (4, 6, 8), (2, 3, 5, 5), (1, 1), (300,)])
def test_each_value_has_the_numbers_that_it_has_alone(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    found = values(*shape, dtype=dtype)
    found[3].zero_()
    found[5].view(-1)[0] = math.inf
    found[7].view(-1)[-1] = math.nan
    for measurement, options in (
        (measure.each_output, (len(shape) - 1,)),
        (measure.each_activated, ("tanh", len(shape) - 1)),
        (measure.each_moment, ()),
    ):
        bundle = Bundle()
        together = [bundle.ask(measurement, value, *options) for value in found]
        bundle.settle()
        for value, answer in zip(found, together, strict=True):
            alone = measurement(value.unsqueeze(0), *options)[0]
            assert flat(answer.value) == pytest.approx(flat(alone), rel=1e-12, abs=1e-15, nan_ok=True)


def flat(found: object) -> list[float]:
    if isinstance(found, tuple):
        return [number for part in found for number in flat(part)]
    return found.double().flatten().tolist() if isinstance(found, torch.Tensor) else [float(found)]


def test_constants_have_exact_moments_together_and_alone() -> None:
    assert {one.second for one in each(measure.each_moment, [torch.full((7, 11), 3.0)] * 5)} == {9.0}
    found = {one.sizes[:3] for one in each(lambda stack: measure.each_output(stack, 1), [torch.full((7, 11), 3.0)] * 5)}
    ((second, mean, cosine),) = found
    assert (second, mean) == (9.0, 3.0)
    assert cosine == pytest.approx(1.0, abs=1e-12)


def test_a_value_may_be_written_into_once_it_waits() -> None:
    bundle, value = Bundle(), torch.full((4, 4), 2.0)
    answer = bundle.ask(measure.each_moment, value)
    value.zero_()
    bundle.settle()
    assert answer.value.second == 4.0


def test_large_values_do_not_wait_and_small_ones_not_without_end() -> None:
    bundle = Bundle()
    assert bundle.ask(measure.each_moment, torch.ones(SMALL // 4 + 1)).value.second == 1.0
    small = torch.ones(SMALL // 4)
    answers = [bundle.ask(measure.each_moment, small) for _ in range(MOST // SMALL + 2)]
    measured = [hasattr(answer, "value") for answer in answers]
    assert measured == [True] * (MOST // SMALL + 1) + [False]
    bundle.settle()
    assert {answer.value.second for answer in answers} == {1.0}


def test_values_of_different_shapes_and_types_are_kept_apart() -> None:
    found = [torch.ones(2, 3), torch.ones(3, 2) * 2, torch.ones(2, 3, dtype=torch.float64) * 3, torch.ones(6) * 4]
    assert [one.second for one in each(measure.each_moment, found)] == [1, 4, 9, 16]
    assert each(measure.each_moment, []) == []
