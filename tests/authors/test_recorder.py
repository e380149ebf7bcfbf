"""What single pieces of code become: one table, and the cases in which no law may be claimed."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from torch import nn

import wellbegun as wb
from wellbegun.authors import record_construction
from wellbegun.laws import Computed, Law, Patched, Stored

SHAPE = (12, 8)


def record(make, seed: int = 0):
    """Record a function that returns a tensor, as the constructor of a parameter."""

    class Holder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            made = make()
            self.held = made if isinstance(made, nn.Parameter) else nn.Parameter(made, requires_grad=False)

    _, authored = record_construction(Holder, seed)
    return authored["held"]


def changed(function, start=lambda: torch.empty(SHAPE)):
    """A tensor that a function changes in place."""

    def make():
        tensor = nn.Parameter(start())
        with torch.no_grad():
            function(tensor)
        return tensor

    return make


def in_slices(tensor):
    for number, gate in enumerate(tensor.chunk(4)):
        gate.normal_(0, 1 + number % 2)


def cut(std, low, high, mean=0.0):
    return wb.TruncatedNormal(std, low, high, mean, match_std=False)


TABLE: dict[str, tuple[object, Law]] = {
    "normal_": (changed(lambda t: t.normal_(0.1, 0.02)), wb.Normal(0.02, mean=0.1)),
    "uniform_": (changed(lambda t: t.uniform_(-0.1, 0.3)), wb.Uniform(-0.1, 0.3)),
    "the last one wins": (changed(lambda t: t.uniform_().normal_()), wb.Normal(1.0)),
    "fill_": (changed(lambda t: t.normal_().fill_(0.5)), wb.Constant(0.5)),
    "zero_": (changed(lambda t: t.normal_().zero_()), wb.Constant(0.0)),
    "randn": (lambda: torch.randn(SHAPE) * 0.02, wb.Normal(0.02)),
    "rand": (lambda: torch.rand(SHAPE) * 2 - 1, wb.Uniform(-1.0, 1.0)),
    "rand, reversed": (lambda: 1 - torch.rand(SHAPE) / 4, wb.Uniform(0.75, 1.0)),
    "torch.normal": (lambda: torch.normal(0.0, 0.5, SHAPE), wb.Normal(0.5)),
    "randn_like": (lambda: torch.randn_like(torch.zeros(SHAPE)).neg(), wb.Normal(1.0)),
    "new_empty": (lambda: torch.zeros(3).new_empty(SHAPE).normal_(), wb.Normal(1.0)),
    "scaled twice": (changed(lambda t: t.normal_().mul_(0.5).div_(5).add_(1)), wb.Normal(0.1, mean=1.0)),
    "alpha": (changed(lambda t: t.normal_().add_(torch.ones(SHAPE), alpha=3)), wb.Normal(1.0, mean=3.0)),
    "sum of two": (lambda: torch.randn(SHAPE) * 3 + torch.randn(SHAPE) * 4, wb.Normal(5.0)),
    "twice itself": (changed(lambda t: t.normal_().add_(t)), wb.Normal(2.0)),
    "itself taken away": (changed(lambda t: t.normal_().sub_(t)), wb.Constant(0.0)),
    "by a tensor of one number": (lambda: torch.randn(SHAPE) * torch.tensor(0.25), wb.Normal(0.25)),
    "copied": (changed(lambda t: t.copy_(torch.randn(SHAPE) * 0.1)), wb.Normal(0.1)),
    "copied, transposed": (changed(lambda t: t.copy_(torch.randn(8, 12).t())), wb.Normal(1.0)),
    "a slice of something larger": (lambda: torch.randn(40, 8)[3:15].clone(), wb.Normal(1.0)),
    "data": (lambda: _data(torch.randn(SHAPE) * 0.3), wb.Normal(0.3)),
    "bfloat16": (lambda: torch.randn(SHAPE).mul(0.5).to(torch.bfloat16), wb.Normal(0.5)),
    "float64": (lambda: torch.randn(SHAPE, dtype=torch.float64), wb.Normal(1.0)),
    "complex": (lambda: torch.randn(SHAPE, dtype=torch.complex64) * 0.5, wb.Normal(0.5)),
    "deviation 0": (changed(lambda t: t.normal_(0.5, 0.0)), wb.Constant(0.5)),
    "stacked": (lambda: torch.stack([torch.randn(4, 5) for _ in range(3)]), wb.Normal(1.0)),
    "truncated": (changed(lambda t: nn.init.trunc_normal_(t, 0.0, 0.02, -0.04, 0.04)), cut(0.02, -2, 2)),
    "truncated far out": (changed(lambda t: nn.init.trunc_normal_(t, std=0.02)), wb.Normal(0.02)),
    "truncated in a tail": (changed(lambda t: nn.init.trunc_normal_(t, a=2.0, b=3.0)), cut(1.0, 2, 3)),
    "truncated and scaled": (changed(lambda t: nn.init.trunc_normal_(t).mul_(-0.1).add_(1)), cut(0.1, -2, 2, 1.0)),
    "a clamp that cuts nothing": (changed(lambda t: t.uniform_(-1, 1).clamp_(-1, 1)), wb.Uniform(-1.0, 1.0)),
    "orthogonal": (changed(lambda t: nn.init.orthogonal_(t, 2.0)), wb.Orthogonal(2.0)),
    "orthogonal, scaled": (changed(lambda t: nn.init.orthogonal_(t).mul_(0.5)), wb.Orthogonal(0.5)),
    "orthogonal gates": (
        changed(lambda t: [nn.init.orthogonal_(gate) for gate in t.chunk(3)]), wb.Orthogonal(1.0, blocks=3),
    ),
    "orthogonal experts": (
        changed(lambda t: [nn.init.orthogonal_(expert) for expert in t], lambda: torch.empty(3, 4, 5)),
        wb.Orthogonal(1.0, batch=1),
    ),
    "sparse": (changed(lambda t: nn.init.sparse_(t, 0.3, 0.1)), wb.Sparse(0.3, 0.1)),
    "eye": (changed(nn.init.eye_), wb.Identity()),
    "eye, scaled": (changed(lambda t: nn.init.eye_(t).mul_(0.1)), wb.Identity(0.1)),
    "dirac": (changed(lambda t: nn.init.dirac_(t, 2), lambda: torch.empty(6, 3, 3, 3)), wb.Dirac(2)),
    "rows": (changed(lambda t: t.normal_()[3].zero_()), Patched(wb.Normal(1.0), [(((3, 4),), wb.Constant(0.0))])),
    "columns": (
        changed(lambda t: t.normal_()[:, :3].fill_(1)),
        Patched(wb.Normal(1.0), [(((0, 12), (0, 3)), wb.Constant(1.0))]),
    ),
    "gates": (
        changed(in_slices),
        Patched(wb.Normal(1.0), [(((3, 6),), wb.Normal(2.0)), (((9, 12),), wb.Normal(2.0))]),
    ),
    "a view of another shape": (
        changed(lambda t: t.zero_().view(3, 4, 8)[1].normal_()),
        Patched(wb.Constant(0.0), [(((4, 8),), wb.Normal(1.0))]),
    ),
    "scaled in a part": (
        changed(lambda t: t.uniform_(-1, 1)[:4].mul_(0.5)),
        Patched(wb.Uniform(-1.0, 1.0), [(((0, 4),), wb.Uniform(-0.5, 0.5))]),
    ),
    "joined": (
        lambda: torch.cat([torch.zeros(2, 8), torch.randn(10, 8)]) * 2,
        Patched(wb.Normal(2.0), [(((0, 2),), wb.Constant(0.0))]),
    ),
    "large constants": (lambda: torch.ones(600, 600) * 0.5, wb.Constant(0.5)),
}  # fmt: skip


def _data(values):
    parameter = nn.Parameter(torch.zeros(SHAPE))
    parameter.data = values
    return parameter


@pytest.mark.parametrize("name", TABLE)
def test_code_becomes_a_law(name) -> None:
    make, law = TABLE[name]
    found = record(make)
    assert found.law == law
    assert not found.replayed


FIXED = {
    "log of a range": lambda: torch.log(torch.arange(1.0, 17.0)).repeat(3, 1),
    "a table of sines": lambda: _sines(50, 8),
    "a large table": lambda: _sines(3000, 32),
    "half of a large one": lambda: changed(lambda t: t[300:].fill_(1.0), lambda: torch.zeros(600, 200))(),
    "cumulated": lambda: torch.ones(700, 100).cumsum(0),
}


def _sines(rows: int, width: int) -> torch.Tensor:
    table = torch.zeros(rows, width)
    angle = torch.arange(rows)[:, None] * torch.exp(torch.arange(0, width, 2) * -0.2)
    table[:, 0::2], table[:, 1::2] = angle.sin(), angle.cos()
    return table


@pytest.mark.parametrize("name", FIXED)
def test_what_no_random_number_touches_is_computed(name) -> None:
    found = record(FIXED[name])
    assert not found.replayed
    expected = FIXED[name]().detach().numpy()
    out = np.full(expected.shape, 7, np.float32)
    wb.fill(out, found.law, seed=1, name="held")
    np.testing.assert_array_equal(out, expected)


RANDOM = {
    "symmetric": lambda: (lambda x: x + x.t())(torch.randn(8, 8)),
    "equal rows": lambda: torch.randn(1, 8).repeat(12, 1),
    "equal rows by broadcasting": lambda: torch.zeros(12, 8) + torch.randn(8),
    "equal rows by copying": changed(lambda t: t.copy_(torch.randn(8))),
    "mirrored": lambda: (lambda m: torch.cat([m, -m]))(torch.randn(4, 8)),
    "one matrix for three gates": lambda: torch.cat([nn.init.orthogonal_(torch.empty(8, 8))] * 3),
    "one half written twice": changed(lambda t: (lambda m: (t[:6].copy_(m), t[6:].copy_(2 * m)))(torch.randn(6, 8))),
    "softmax": lambda: torch.randn(SHAPE).softmax(-1),
    "masked": lambda: torch.randn(SHAPE).tril(),
    "every second row": changed(lambda t: t.zero_()[::2].normal_()),
    "chosen rows": changed(lambda t: t.normal_().__setitem__([1, 5], 0.0)),
    "normalised": changed(lambda t: t.normal_().div_(t.norm(dim=1, keepdim=True))),
    "mean of each element": lambda: torch.normal(torch.arange(8.0), torch.ones(8)),
    "permuted": lambda: torch.arange(20.0)[torch.randperm(20)],
    "chances": lambda: torch.bernoulli(torch.full(SHAPE, 0.5)) * torch.arange(8.0),
}


@pytest.mark.parametrize("name", RANDOM)
def test_what_has_no_law_is_replayed_and_says_so(name) -> None:
    state = torch.get_rng_state()
    first, again, other = (record(RANDOM[name], seed) for seed in (1, 1, 2))
    assert (torch.get_rng_state() == state).all()
    assert isinstance(first.law, Stored)
    assert first.replayed
    assert "fixed to seed 1" in first.note
    assert first.law == again.law
    assert first.law != other.law


def test_a_replay_keeps_the_structure() -> None:
    symmetric = record(RANDOM["symmetric"]).law.values
    np.testing.assert_array_equal(symmetric, symmetric.T)
    assert abs(symmetric.std() / math.sqrt(2) - 1) < 0.5
    mirrored = record(RANDOM["mirrored"]).law.values
    np.testing.assert_array_equal(mirrored[:4], -mirrored[4:])
    gates = record(RANDOM["one matrix for three gates"]).law.values
    np.testing.assert_array_equal(gates[:8], gates[16:])
    np.testing.assert_allclose(record(RANDOM["softmax"]).law.values.sum(-1), 1, rtol=1e-6)
    assert sorted(record(RANDOM["permuted"]).law.values.tolist()) == list(range(20))
    rows = record(RANDOM["every second row"]).law.values
    assert (rows[1::2] == 0).all()
    assert (rows[::2] != 0).all()


def test_a_clamped_normal_is_no_truncated_one() -> None:
    law = record(changed(lambda t: t.normal_().clamp_(-1, 1))).law
    assert isinstance(law, Computed)
    values = np.empty((100, 100), np.float32)
    wb.fill(values, law, seed=1, name="w")
    assert abs((np.abs(values) == 1).mean() - 0.3173) < 0.02


def test_rejection_by_hand_ends_and_keeps_its_bounds() -> None:
    """Copies of older code redraw until nothing lies outside: what it sees is what it gets."""

    def truncated(tensor):
        tensor.normal_()
        while True:
            outside = tensor.abs() > 1
            if not outside.any():
                return
            tensor[outside] = torch.randn(int(outside.sum()))

    first, second = (record(changed(truncated), seed).law.values for seed in (1, 2))
    assert np.abs(first).max() <= 1
    assert (first != second).any()

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = (nn.Parameter(torch.empty(40, 40)) for _ in range(2))
            for parameter in self.parameters():
                truncated(parameter.data)

    _, authored = record_construction(Two)
    one, two = (authored[name].law.values for name in ("one", "two"))
    assert np.abs(np.corrcoef(one.ravel(), two.ravel())[0, 1]) < 0.15
    span = (one.ravel().astype(np.float64) + 1) / 2
    assert kstest(span, "uniform").pvalue < 0.9  # a cut normal is fuller in the middle; that it ran is the point


def test_weight_norm_holds_the_norms_of_the_directions_that_are_written() -> None:
    model, _ = record_construction(lambda: nn.utils.parametrizations.weight_norm(nn.Linear(40, 30)), seed=5)
    plan = wb.plan(model, "vector:40", seed=5, recipe="author")
    wb.apply(plan, model)
    direction = model.parametrizations.weight.original1
    assert torch.allclose(model.weight, direction, rtol=1e-5, atol=1e-7)


def test_code_that_asks_for_numbers_gets_some() -> None:
    def scaled(tensor):
        tensor.normal_()
        tensor.div_(tensor.std().item())

    first, second = (record(changed(scaled), seed) for seed in (1, 2))
    assert isinstance(first.law, wb.Normal)
    assert abs(first.law.std - 1) < 0.3
    assert first.law != second.law
    assert first.replayed
    assert "that code looks at random numbers: the numbers are fixed to seed 1" in first.note


def test_memory_that_nobody_fills_has_no_law() -> None:
    for make in (lambda: torch.empty(SHAPE), changed(lambda t: t[2:].zero_())):
        found = record(make)
        assert found.law is None
        assert "no code was seen to fill" in found.note


def test_notes_say_who_drew_what_and_where() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)
            nn.init.normal_(self.layer.weight, std=0.5)

    _, authored = record_construction(Net)
    assert "Net.__init__ (test_recorder.py:" in authored["layer.weight"].note
    assert "at N(0, 0.5²); overwrites nn.Linear.reset_parameters" in authored["layer.weight"].note
    assert authored["layer.bias"].note.startswith("drawn by nn.Linear.reset_parameters for Net.__init__ (test_rec")
    assert "U(±0.5)" in authored["layer.bias"].note
