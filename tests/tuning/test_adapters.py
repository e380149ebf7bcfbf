"""Adapters: their formulas, the function of the network at step 0, gradients, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.errors import ArgumentError, UnknownNameError

METHODS = ("kaiming", "gaussian", "pissa", "olora", "orthogonal")


class Own(nn.Module):
    """An adapter of parameters, around a layer called base."""

    def __init__(self, base: nn.Linear, rank: int, alpha: float = 4.0) -> None:
        super().__init__()
        self.base, self.alpha, self.scaling = base, alpha, alpha / rank
        self.lora_A = nn.Parameter(torch.full((rank, base.in_features), torch.nan))
        self.lora_B = nn.Parameter(torch.full((base.out_features, rank), torch.nan))

    def forward(self, x):
        return self.base(x) + self.scaling * (x @ self.lora_A.T @ self.lora_B.T)


class Peftlike(nn.Module):
    """Several adapters by name, layers inside, as PEFT keeps them."""

    def __init__(self, base: nn.Linear, rank: int, alpha: float = 4.0, names=("default",)) -> None:
        super().__init__()
        self.base_layer = base
        self.lora_alpha = dict.fromkeys(names, alpha)
        self.scaling = dict.fromkeys(names, alpha / math.sqrt(rank))
        self.lora_A = nn.ModuleDict({name: nn.Linear(base.in_features, rank, bias=False) for name in names})
        self.lora_B = nn.ModuleDict({name: nn.Linear(rank, base.out_features, bias=False) for name in names})

    def forward(self, x):
        made = self.base_layer(x)
        for name, factor in self.scaling.items():
            made = made + factor * self.lora_B[name](self.lora_A[name](x))
        return made


class Transposed(nn.Module):
    """A weight of [inputs, outputs], as GPT-2's layers have it, trained by an adapter beside it."""

    fan_in_fan_out = True

    def __init__(self, inputs: int, outputs: int, rank: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, outputs))
        self.lora_A, self.lora_B = nn.Parameter(torch.zeros(rank, inputs)), nn.Parameter(torch.zeros(outputs, rank))
        self.scaling = 0.5

    def forward(self, x):
        return x @ self.weight + self.scaling * x @ self.lora_A.T @ self.lora_B.T


def trunk():
    torch.manual_seed(0)
    return nn.Linear(12, 16), nn.Linear(16, 10)


def inputs():
    return torch.randn(9, 12, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", [Own, Peftlike])
@pytest.mark.parametrize("method", METHODS)
def test_the_network_computes_what_it_computed_and_has_gradients(kind, method) -> None:
    first, second = trunk()
    x = inputs()
    before = second(torch.relu(first(x))).detach()
    kept = {"weight": first.weight.clone(), "bias": first.bias.clone()}
    model = nn.Sequential(kind(first, 4), nn.ReLU(), kind(second, 4))
    plan = wb.plan_adapters(model, seed=7, method=method)
    done = wb.apply(plan, model)
    assert done.written == (6 if method in ("pissa", "olora") else 4)
    assert torch.equal(first.bias, kept["bias"])
    assert torch.equal(first.weight, kept["weight"]) == (method not in ("pissa", "olora"))
    after = model(x)
    if method in ("kaiming", "gaussian"):
        assert torch.equal(after, before)
    assert torch.allclose(after, before, atol=2e-6)
    after.square().mean().backward()
    gradients = {n: p.grad for n, p in model.named_parameters() if "lora" in n}
    assert len(gradients) == 4
    assert all(g.isfinite().all() for g in gradients.values())
    assert all(g.any() for n, g in gradients.items() if "lora_B" in n)
    if method in ("pissa", "olora", "orthogonal"):
        assert all(g.any() for g in gradients.values())


def matrices(method, rank=4, scaling=1.0):
    first, _ = trunk()
    model = Own(first, rank, alpha=scaling * rank)
    w = first.weight.detach().numpy().astype(np.float64)
    plan = wb.plan_adapters(model, seed=7, method=method)
    a, b = (wb.to_numpy(plan, name).astype(np.float64) for name in ("lora_A", "lora_B"))
    rest = None if method == "orthogonal" else wb.to_numpy(plan, "base.weight").astype(np.float64)
    return w, a, b, rest


def test_pissa_in_float64() -> None:
    w, a, b, rest = matrices("pissa", scaling=0.5)
    u, s, v = np.linalg.svd(w, full_matrices=False)
    assert np.allclose(0.5 * b @ a, (u[:, :4] * s[:4]) @ v[:4], atol=1e-6)
    assert np.allclose(np.linalg.norm(a, axis=1), np.sqrt(s[:4] / 0.5), rtol=1e-5)
    assert np.allclose(np.linalg.norm(b, axis=0), np.sqrt(s[:4] / 0.5), rtol=1e-5)
    assert np.allclose(np.linalg.norm(rest, 2), s[4], rtol=1e-5)


def test_olora_in_float64() -> None:
    w, a, b, rest = matrices("olora", scaling=2.0)
    q, r = np.linalg.qr(w)
    signs = np.sign(np.diag(r)[:4]) * np.sign(np.diag(a))
    assert np.allclose(b.T @ b, np.eye(4), atol=1e-6)
    assert np.allclose(b, q[:, :4] * signs, atol=1e-6)
    assert np.allclose(a, r[:4] * signs[:, None], atol=1e-5)
    assert np.allclose(rest + 2 * b @ a, w, atol=1e-6)


def test_orthogonal_product_is_zero_and_its_factors_are_not() -> None:
    _, a, b, _ = matrices("orthogonal")
    assert np.abs(b @ a).max() < 1e-7
    assert np.linalg.matrix_rank(a, 1e-5) == np.linalg.matrix_rank(b, 1e-5) == 2
    assert 0.05 < a.std() * math.sqrt(2) < 0.2


def test_laws_of_lora() -> None:
    first, _ = trunk()
    plan = wb.plan_adapters(Own(first, 4), seed=7)
    assert plan["lora_A"].law == wb.Uniform(-1 / math.sqrt(12), 1 / math.sqrt(12))
    assert plan["lora_B"].law == wb.Constant(0.0)
    assert isinstance(plan["base.weight"].law, wb.Keep)
    assert "multiplies B·A by 1" in plan["lora_A"].reason
    assert wb.plan_adapters(Own(first, 4), seed=7, method="gaussian")["lora_A"].law == wb.Normal(0.25)


@pytest.mark.parametrize("method", ["kaiming", "orthogonal"])
def test_layers_differ_and_a_part_is_the_part_of_the_whole(method) -> None:
    model = nn.Sequential(Own(nn.Linear(12, 12), 4), Own(nn.Linear(12, 12), 4))
    plan = wb.plan_adapters(model, seed=7, method=method)
    whole = wb.to_numpy(plan, "0.lora_A")
    assert (whole != wb.to_numpy(plan, "1.lora_A")).all()
    assert (wb.to_numpy(plan, "0.lora_A", (slice(1, 3), slice(2, 5))) == whole[1:3, 2:5]).all()
    assert (wb.to_numpy(wb.plan_adapters(model, seed=8, method=method), "0.lora_A") != whole).all()


@pytest.mark.parametrize("method", ["pissa", "olora"])
def test_a_transposed_weight(method) -> None:
    torch.manual_seed(0)
    model, x = Transposed(12, 9, 4), inputs()
    before = (x @ model.weight).detach()
    wb.apply(wb.plan_adapters(model, seed=7, method=method), model)
    assert torch.allclose(model(x), before, atol=5e-6)
    assert model.lora_B.any()


def test_bfloat16_weights_stay_within_a_rounding() -> None:
    torch.manual_seed(0)
    base = nn.Linear(64, 48).bfloat16()
    model = Own(base, 8)
    model.lora_A, model.lora_B = (nn.Parameter(p.detach().float()) for p in (model.lora_A, model.lora_B))
    before = base.weight.detach().double()
    wb.apply(wb.plan_adapters(model, seed=7, method="pissa"), model)
    after = base.weight.detach().double() + model.scaling * model.lora_B.double() @ model.lora_A.double()
    assert (after - before).abs().max() <= 2**-8 * base.weight.detach().double().abs().max()


def test_adapters_of_tables_start_with_rows_unchanged() -> None:
    class Table(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.base_layer = nn.Embedding(20, 6)
            self.lora_embedding_A = nn.ParameterDict({"default": nn.Parameter(torch.ones(2, 20))})
            self.lora_embedding_B = nn.ParameterDict({"default": nn.Parameter(torch.ones(6, 2))})

    plan = wb.plan_adapters(Table(), seed=7)
    assert plan["lora_embedding_A.default"].law == wb.Constant(0.0)
    assert plan["lora_embedding_B.default"].law == wb.Normal(1.0)
    with pytest.raises(ArgumentError, match="not defined for look-up tables"):
        wb.plan_adapters(Table(), seed=7, method="pissa")


def test_rank_stabilised_scaling_is_checked_and_not_assumed() -> None:
    first, _ = trunk()
    plan = wb.plan_adapters(Peftlike(first, 4), seed=7, rank_stabilized=True)
    assert "multiplies B·A by 2" in plan["lora_A.default.weight"].reason
    with pytest.raises(ArgumentError, match=r"multiplies by 1, rank-stabilised is alpha/sqrt\(rank\) = 2"):
        wb.plan_adapters(Own(first, 4), seed=7, rank_stabilized=True)


def test_what_is_refused() -> None:
    first, _ = trunk()
    with pytest.raises(UnknownNameError, match=r"did you mean .pissa"):
        wb.plan_adapters(Own(first, 4), seed=7, method="pisa")
    with pytest.raises(ArgumentError, match="put the adapters in first"):
        wb.plan_adapters(first, seed=7)
    with pytest.raises(ArgumentError, match="there are a, b"):
        wb.plan_adapters(Peftlike(first, 4, names=("a", "b")), seed=7, adapter="c")
    with pytest.raises(ArgumentError, match="belongs to several adapters"):
        wb.plan_adapters(Peftlike(first, 4, names=("a", "b")), seed=7, method="pissa")
    chosen = wb.plan_adapters(Peftlike(first, 4, names=("a", "b")), seed=7, method="pissa", adapter="b")
    assert isinstance(chosen["lora_A.a.weight"].law, wb.Keep)
    with pytest.raises(ArgumentError, match="rank 13 is more than the weight"):
        wb.plan_adapters(Own(first, 13), seed=7, method="olora")
    with pytest.raises(ArgumentError, match="even rank"):
        wb.plan_adapters(Own(first, 3), seed=7, method="orthogonal")
    with torch.device("meta"):
        empty = Own(nn.Linear(12, 16), 4)
    with pytest.raises(ArgumentError, match="on meta; load the checkpoint first"):
        wb.plan_adapters(empty, seed=7, method="pissa")
    packed = Own(first, 4)
    packed.base.weight = nn.Parameter(torch.zeros(16, 12, dtype=torch.int8), requires_grad=False)
    with pytest.raises(ArgumentError, match="it holds int8; make the plan before quantising"):
        wb.plan_adapters(packed, seed=7, method="pissa")
    unknown = Own(nn.Linear(12, 16), 4)
    del unknown.scaling, unknown.alpha
    with pytest.raises(ArgumentError, match="needs the factor of B·A"):
        wb.plan_adapters(unknown, seed=7, method="pissa")
