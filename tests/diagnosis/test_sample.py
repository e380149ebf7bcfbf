"""Samples: small, from all over, always from the same places, and nothing but numbers of their own."""

from __future__ import annotations

import math

import pytest
import torch

from wellbegun.diagnosis.sample import MOST, each_sample, sampled

SHAPES = [(64, 197, 768), (64, 128), (2, 3, 224, 224), (64,), (0, 5), (4096, 4), (1, 1, 1), (1, 2048, 4096), (33, 2048)]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_sample_is_small_the_same_each_time_and_from_all_over(shape: tuple[int, ...]) -> None:
    values = torch.arange(math.prod(shape), dtype=torch.float32).reshape(shape)
    sample = sampled(values)
    assert sample.numel() == values.numel() or MOST / 4 <= sample.numel() <= MOST
    assert torch.equal(sample, sampled(values))
    assert len(sample.unique()) == sample.numel()
    if len(shape) > 1 and shape[0] > 1:
        step = sample[1, 0] - sample[0, 0]
        assert torch.equal(sample[-1] - sample[0], torch.full_like(sample[0], float(step) * (len(sample) - 1)))


def test_small_tensors_are_counted_whole_and_heads_are_not_all_hidden() -> None:
    assert sampled(torch.randn(32, 64)).shape == (32, 64)
    kept = sampled(torch.arange(4096.0).repeat(32, 1))[0]
    assert {int(place) % 64 for place in kept} == set(range(0, 64))  # a step of 64 would see one place of each head


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_samples_of_a_stack_are_those_of_each_value(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    stack = torch.randn(3, *(min(size, 512) for size in shape), generator=torch.Generator().manual_seed(1)).to(dtype)
    found = each_sample(stack)
    assert len(found) == 3
    for together, value in zip(found, stack, strict=True):
        assert torch.equal(together, sampled(value))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_sample_holds_no_memory_of_what_it_was_taken_from(dtype: torch.dtype) -> None:
    value = torch.ones(256, 64, dtype=dtype)
    found = sampled(value)
    assert found.untyped_storage().nbytes() == 4 * MOST
    value.zero_()
    assert found.eq(1).all()
