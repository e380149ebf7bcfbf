"""Nothing of a model or of the process is changed by a diagnosis: all is compared before and after, by its bytes."""

from __future__ import annotations

import copy
import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

import wellbegun as wb
from wellbegun.errors import TraceError

ROWS = torch.randn(16, 8, generator=torch.Generator().manual_seed(0))


class Meddler(nn.Module):
    """A forward pass that changes all that it can reach, and may fail in the end."""

    def __init__(self, fails: bool) -> None:
        super().__init__()
        self.fails = fails
        self.first, self.norm = parametrizations.spectral_norm(nn.Linear(8, 8)), nn.BatchNorm1d(8)
        self.normed = parametrizations.weight_norm(nn.Linear(8, 8))
        self.drop, self.head = nn.Dropout(0.5), nn.Linear(8, 3)
        self.register_buffer("calls", torch.zeros(1))
        self.register_buffer("replaced", torch.zeros(1), persistent=False)
        self.seen: list[int] = []
        self.last = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x.mul_(2)
        self.calls += 1
        self.replaced = self.replaced + 1
        self.seen.append(1)
        with torch.no_grad():
            self.head.weight.div_(self.head.weight.norm())
            self.head.bias[0] = 7.0
            torch.add(self.head.bias, 1.0, out=self.head.bias)
        random.random(), np.random.rand(), torch.rand(1)
        self.train(not self.training)
        y = self.drop(torch.relu_(self.norm(self.normed(self.first(x)))))
        self.last = y.detach()
        if self.fails:
            raise RuntimeError("my own error")
        return self.head(y)


def snapshot(model: nn.Module) -> dict[str, Any]:
    listed = [*model.named_parameters(), *model.named_buffers()]
    return {
        "bytes": {name: tensor.detach().numpy().tobytes() for name, tensor in listed},
        "identity": {name: id(tensor) for name, tensor in listed},
        "gradients": {n: (id(p.grad), None if p.grad is None else p.grad.clone()) for n, p in model.named_parameters()},
        "modes": [module.training for module in model.modules()],
        "hooks": [(len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks)) for m in model.modules()],
        "attributes": [sorted(vars(module)) for module in model.modules()],
        "required": [p.requires_grad for p in model.parameters()],
        "own": (list(model.seen), model.last) if isinstance(model, Meddler) else (),
        "random": (random.getstate(), np.random.get_state()[1].tobytes(), torch.get_rng_state().numpy().tobytes()),
        "grad mode": (torch.is_grad_enabled(), torch.backends.mha.get_fastpath_enabled()),
    }


def assert_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert set(one) == set(other)
    for key in set(one) - {"gradients"}:
        assert one[key] == other[key], key
    for name, (place, values) in one["gradients"].items():
        found, now = other["gradients"][name]
        assert place == found, name
        assert (values is None and now is None) or torch.equal(values, now), name


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("fails", [False, True])
def test_a_model_that_changes_itself_is_given_back(training: bool, fails: bool) -> None:
    torch.manual_seed(0)
    model = Meddler(fails).train(training)
    model.norm.eval()
    model.normed.bias.grad = torch.ones(8)
    model.normed.bias.requires_grad_(False)
    model.register_forward_hook(lambda *_: None)
    batch, inputs = ROWS.clone(), ROWS.clone()
    before = snapshot(model)
    if fails:
        with pytest.raises(TraceError, match="my own error"):
            wb.diagnose(model, batch)
    else:
        assert wb.diagnose(model, batch, theory=True, jacobian=True).layers
    assert_same(before, snapshot(model))
    assert torch.equal(batch, inputs)


def test_a_loss_that_fails_or_accumulates_leaves_nothing() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3))
    model[0].weight.grad = torch.full((8, 8), 2.0)
    before = snapshot(model)

    def fails(output: torch.Tensor, _: Any) -> torch.Tensor:
        output.sum().backward(retain_graph=True)
        raise ValueError("no such target")

    with pytest.raises(ValueError, match="no such target"):
        wb.diagnose(model, ROWS, loss=fails)
    assert_same(before, snapshot(model))

    def accumulates(output: torch.Tensor, _: Any) -> torch.Tensor:
        output.sum().backward(retain_graph=True)
        return output.mean()

    wb.diagnose(model, ROWS, loss=accumulates)
    assert_same(before, snapshot(model))


def test_the_same_random_numbers_each_time() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5), nn.ReLU(), nn.Linear(8, 3))
    first = wb.diagnose(model, ROWS)
    torch.manual_seed(1)
    assert wb.diagnose(model, ROWS) == first
    assert wb.diagnose(model).facts == wb.diagnose(model, "vector:8").facts


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_any_type_of_numbers(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 3))
    wide = wb.diagnose(copy.deepcopy(model).double(), ROWS.double())
    found = wb.diagnose(model.to(dtype), ROWS.to(dtype))
    assert found.healthy
    for one, other in zip(found.layers, wide.layers, strict=True):
        assert one.signal == pytest.approx(other.signal, rel=0.02)
        assert one.gradient == pytest.approx(other.gradient, rel=0.1)
    assert {tensor.dtype for tensor in found.facts.tensors} == {str(dtype).removeprefix("torch.")}


def test_inference_surroundings_do_not_matter() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3))
    expected = wb.diagnose(model, ROWS)
    with torch.no_grad():
        assert wb.diagnose(model, ROWS) == expected
    with torch.inference_mode():
        assert wb.diagnose(model, ROWS.clone()) == expected
