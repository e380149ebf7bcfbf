"""Histograms of a layer's values: the bins by NumPy, the sample by hand, and the same counts on several processes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.diagnosis.facts import SpreadFacts
from wellbegun.diagnosis.histogram import Histogram, added, edges
from wellbegun.diagnosis.merged import Part, Sums, merged
from wellbegun.diagnosis.spread import MOST, WAITING, counted, histograms, sampled


def held(values: torch.Tensor) -> Histogram:
    (found,) = histograms(counted([sampled(values)] if values.numel() <= MOST else [values]))
    return found


def test_every_value_lies_in_its_bin() -> None:
    made = torch.Generator().manual_seed(0)
    values = torch.randn(30, 60, generator=made) * torch.logspace(-30, 30, 60)
    found = held(values)
    ends = np.array([edges(place)[0] for place in range(-1016, 1017)])
    at = values.double().numpy().ravel()
    # on the negative side, the end nearer to zero belongs to the bin
    places = np.where(at > 0, np.searchsorted(ends, at, "right") - 1017, 1016 - np.searchsorted(ends, -at, "right") + 1)
    assert dict(zip(found.bins, found.counts, strict=True)) == dict(
        zip(*np.unique(places, return_counts=True), strict=True)
    )
    assert found.total == 1800


def test_zeros_small_and_infinite_numbers_have_their_places() -> None:
    odd = [0.0, -0.0, 1e-45, 1.0, 1.25, -1.0, math.inf, -math.inf, math.nan, 3.4e38]
    found = held(torch.tensor([odd]))
    assert (found.zeros, found.not_finite, found.total) == (3, 3, 10)
    assert [edges(place)[0] for place in found.bins if place > 0] == [1.0, 1.25, 1.75 * 2.0**127]
    assert edges(found.bins[0]) == (-1.25, -1.0)


def test_what_float32_cannot_hold_is_finite_nevertheless() -> None:
    found = held(sampled(torch.tensor([[1e300, -1e300, math.inf, 2.0]], dtype=torch.float64)))
    assert found.not_finite == 1
    assert found.bins[0] == -1016
    assert found.bins[-1] == 1016


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64, torch.complex64])
def test_types(dtype: torch.dtype) -> None:
    assert held(sampled(torch.full((2, 3), 1.5, dtype=dtype))) == Histogram((507,), (6,))


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


def test_counting_many_together_is_counting_each(monkeypatch) -> None:
    model = chain(nn.ReLU, 20)
    together = wb.diagnose(model, ROWS).facts.spreads
    assert 3 * len(together) > WAITING
    monkeypatch.setattr("wellbegun.diagnosis.spread.WAITING", 1)
    assert wb.diagnose(model, ROWS).facts.spreads == together


def test_small_tensors_are_counted_whole_and_heads_are_not_all_hidden() -> None:
    assert sampled(torch.randn(32, 64)).shape == (32, 64)
    kept = sampled(torch.arange(4096.0).repeat(32, 1))[0]
    assert {int(place) % 64 for place in kept} == set(range(0, 64))  # a step of 64 would see one place of each head


def test_a_strided_tensor_counts_like_a_contiguous_one() -> None:
    values = torch.randn(16, 8, 4, 4).to(memory_format=torch.channels_last)
    assert held(sampled(values)) == held(sampled(values.contiguous()))


def chain(activation: type[nn.Module], depth: int, **given: bool) -> nn.Sequential:
    hidden = [layer for _ in range(depth) for layer in (nn.Linear(16, 16), activation(**given))]
    return nn.Sequential(*hidden, nn.Linear(16, 4))


ROWS = torch.randn(32, 16, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("inplace", [False, True])
def test_a_diagnosis_counts_before_between_and_behind(inplace: bool) -> None:
    torch.manual_seed(0)
    model = chain(nn.ReLU, 2, inplace=inplace)
    found = wb.diagnose(model, ROWS)
    assert len(found.facts.spreads) == 3
    out = model[0](ROWS).detach()
    assert found.facts.spreads[0] == SpreadFacts(held(out), held(out - out.mean(0)), held(out.relu()))
    assert found.facts.spreads[2].behind is None
    assert found.facts.spreads[0].behind.zeros == int((out <= 0).sum())


def test_few_inputs_say_nothing_about_what_lies_between_them() -> None:
    found = wb.diagnose(chain(nn.Tanh, 1), ROWS[:7])
    assert [spread.between for spread in found.facts.spreads] == [None, None]
    assert found.facts.spreads[0].before.total == 7 * 16


def test_each_use_of_a_layer_has_counts_of_its_own() -> None:
    layer = nn.Linear(16, 16)
    found = wb.diagnose(nn.Sequential(layer, nn.Tanh(), layer), ROWS)
    before = [spread.before for spread in found.facts.spreads]
    assert len(before) == 2
    assert before[0] != before[1]


def test_counts_of_several_processes_are_added() -> None:
    model, parts = chain(nn.ReLU, 2), {}
    for rank, rows in enumerate((ROWS[:16], ROWS[16:])):
        facts = wb.diagnose(model, rows).facts
        parts[rank] = Part(facts, tuple(Sums(16 * 16, None, None, None) for _ in facts.layers), 16, None)
    together, whole = merged(parts).spreads, wb.diagnose(model, ROWS).facts.spreads
    for mine, all_of_it, *each in zip(together, whole, *(part.facts.spreads for part in parts.values()), strict=True):
        assert mine.before == all_of_it.before == added([spread.before for spread in each])
        assert mine.behind == all_of_it.behind
        assert mine.between == added([spread.between for spread in each])
    assert together[2].behind is None
