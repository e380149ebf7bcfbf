"""Case 39: mean and standard deviation of bfloat16 tensors are those of float64, to 1e-3 and far better."""

import pytest
import torch
from torch import nn

import wellbegun as wb


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_all_ones_have_the_mean_one(dtype: torch.dtype) -> None:
    model = nn.Sequential(nn.Linear(300, 300), nn.Linear(300, 4)).to(dtype)
    nn.init.ones_(model[0].weight)
    found = wb.diagnose(model, torch.randn(16, 300).to(dtype))
    ones, random = found.facts.tensors[0], found.facts.tensors[2]
    assert (ones.name, ones.mean, ones.std) == ("0.weight", 1.0, 0.0)
    exact = model[1].weight.detach().double()
    assert random.mean == pytest.approx(float(exact.mean()), rel=1e-12, abs=1e-15)
    assert random.std == pytest.approx(float(exact.std(correction=0)), rel=1e-12)
