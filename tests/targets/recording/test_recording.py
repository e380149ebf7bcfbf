"""wb.recording on models that are whole: what code asks for, what it leaves alone, and what is refused."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.errors import ApplyError, ArgumentError
from wellbegun.laws import Computed, Keep, Law, Patched, Stored


class Holder(nn.Module):
    """One weight with numbers, and a second one."""

    def __init__(self, shape: tuple[int, ...] = (6, 4)) -> None:
        super().__init__()
        count = int(np.prod(shape))
        self.w = nn.Parameter(torch.arange(1.0, count + 1).reshape(shape))
        self.v = nn.Parameter(torch.arange(1.0, count + 1).reshape(shape) / 7)
        self.register_buffer("b", torch.arange(4))


def bits(model: nn.Module) -> dict[str, bytes]:
    tensors = (*model.named_parameters(), *model.named_buffers())
    return {name: t.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() for name, t in tensors}


def recorded(code: Callable[[Any], object], model: Any = None, seed: int = 5, **more: Any) -> tuple[Any, wb.Plan]:
    model = Holder() if model is None else model
    with wb.recording(model, seed=seed, **more) as done, torch.no_grad():
        code(model)
    return model, done.plan


def test_numbers_are_those_of_the_sampler_and_nothing_else_changes() -> None:
    model = nn.Linear(8, 4)
    weight, before = model.weight, bits(model)
    states = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    with wb.recording(model, seed=7) as done:
        nn.init.normal_(model.weight, std=0.02)
        assert model.weight is not weight
        other = nn.Linear(8, 4)  # built in the block: none of the model's, and has numbers afterwards
        with pytest.raises(ArgumentError, match="the block has not ended yet"):
            _ = done.plan
    assert model.weight is weight
    assert other.weight.std() > 0.1
    expected = torch.empty(4, 8)
    wb.fill(expected, wb.Normal(std=0.02), seed=7, name="weight")
    assert torch.equal(weight.detach(), expected)
    assert bits(model)["bias"] == before["bias"]
    assert (done.applied.written, done.applied.kept, done.applied.elements) == (1, 1, 32)
    assert isinstance(done.plan["bias"].law, Keep)
    now = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    assert torch.equal(now[0], states[0])
    assert now[1:] == states[1:]


def test_the_plan_can_be_saved_compared_and_applied_elsewhere(tmp_path: Any) -> None:
    model, plan = recorded(lambda m: (m.w.normal_(), m.v[2].zero_()))
    plan.save(tmp_path / "plan.json")
    again = wb.load_plan(tmp_path / "plan.json")
    assert again == plan
    assert not plan.diff(again)
    other = Holder()
    wb.apply(again, other)
    assert bits(other) == bits(model)
    assert "N(0, 1²)" in plan.explain("w")


@pytest.mark.parametrize("write", [lambda m: m.w.normal_(), lambda m: m.w[1].fill_(2.0)])
def test_what_a_plan_wrote_is_refused_without_overwrite(write: Callable[[Any], object]) -> None:
    model, _ = recorded(lambda m: m.w.normal_())
    before = bits(model)
    with pytest.raises(ApplyError, match="w: a plan was already applied to it; pass overwrite=True"):
        recorded(write, model)
    assert bits(model) == before
    recorded(lambda m: m.v.normal_(), model)  # another tensor is free
    recorded(write, model, overwrite=True)
    assert bits(model) != before


PARTS: dict[str, tuple[Callable[[Any], object], Law]] = {
    "row": (lambda m: m.w[2].zero_(), Patched(Keep(), [(((2, 3),), wb.Constant(0.0))])),
    "columns": (lambda m: m.w[:, 1:3].fill_(5), Patched(Keep(), [(((0, 6), (1, 3)), wb.Constant(5.0))])),
    "gate": (lambda m: m.w.data[2:4].normal_(), Patched(Keep(), [(((2, 4),), wb.Normal(1.0))])),
    "two": (
        lambda m: (m.w[0].zero_(), nn.init.uniform_(m.w[4:], -1, 1)),
        Patched(Keep(), [(((0, 1),), wb.Constant(0.0)), (((4, 6),), wb.Uniform(-1.0, 1.0))]),
    ),
    "chunk": (lambda m: nn.init.trunc_normal_(m.w.chunk(3)[1]), Patched(Keep(), [
        (((2, 4),), wb.TruncatedNormal(1.0, low=-2, high=2, match_std=False))
    ])),
}  # fmt: skip


@pytest.mark.parametrize("name", PARTS)
def test_parts_are_written_and_the_rest_keeps_its_bytes(name: str) -> None:
    code, law = PARTS[name]
    model, plan = recorded(code)
    assert plan["w"].law == law
    whole = torch.zeros(6, 4)
    wb.fill(whole, Patched(wb.Constant(-1.0), law.patches), seed=5, name="w")
    expected = torch.where(whole == -1, Holder().w.detach(), whole)
    assert torch.equal(model.w.detach(), expected)
    assert plan["w"].law.writes((6, 4)) == int((whole != -1).sum())
    assert not wb.verify(plan, model).faults
    with torch.no_grad():
        model.w[whole != -1] += 1
    assert [fault.name for fault in wb.verify(plan, model).faults] == ["w"]


READS: dict[str, Callable[[torch.Tensor], object]] = {
    "scaled": lambda w: w.mul_(0.5),
    "every second row": lambda w: w[::2].fill_(3.0),
    "chosen rows": lambda w: w.__setitem__([1, 4], 0.0),
    "masked": lambda w: w[w > 5].sum() and w.masked_fill_(w > 5, 1.0),
    "a row, then scaled": lambda w: (w[1].zero_(), w.add_(1)),
    "looked at": lambda w: w.fill_(w.sum().item()),
    "transposed": lambda w: w.copy_(w.flip(0)),
    "clamped": lambda w: w.clamp_(3, 9),
    "integers": lambda w: w.copy_(torch.arange(24).reshape(6, 4)),
    "through another type": lambda w: w.view(torch.int32).bitwise_and_(-(1 << 20)),
    "out=": lambda w: torch.mul(w, 2, out=w),
}


@pytest.mark.parametrize("name", READS)
def test_code_that_reads_old_numbers_gets_them(name: str) -> None:
    plain = Holder()
    with torch.no_grad():
        READS[name](plain.w)
    model, plan = recorded(lambda m: READS[name](m.w))
    assert torch.equal(model.w, plain.w)
    assert isinstance(plan["w"].law, Stored | wb.Constant)
    other = Holder()
    wb.apply(plan, other)
    assert bits(other) == bits(model)


def test_old_and_random_numbers_together() -> None:
    model, plan = recorded(lambda m: (m.w[:3].normal_(), m.w.mul_(2)))
    assert torch.equal(model.w[3:], Holder().w[3:] * 2)
    assert model.w[:3].abs().max() < 12
    assert len(set(model.w[:3].flatten().tolist())) == 12
    assert "fixed to seed 5" in plan["w"].reason
    noisy, _ = recorded(lambda m: m.w.add_(torch.randn(6, 4) * 1e-3))
    assert 0 < (noisy.w - Holder().w).abs().max() < 0.01
    rows, _ = recorded(lambda m: m.w[::2].normal_())
    assert torch.equal(rows.w[1::2], Holder().w[1::2])


def test_what_is_only_read_is_kept() -> None:
    model, plan = recorded(lambda m: m.v.fill_(float(m.w.mean())))
    assert isinstance(plan["w"].law, Keep)
    assert (model.v == 12.5).all()


COPIES: dict[str, tuple[Callable[[Any], object], Callable[[Any], torch.Tensor]]] = {
    "copied": (lambda m: (m.w.normal_(), m.v.copy_(m.w)), lambda m: m.w),
    "scaled": (lambda m: (nn.init.normal_(m.w, std=0.02), m.v.copy_(m.w * 4)), lambda m: m.w * 4),
    "by load_state_dict": (
        lambda m: (m.w.uniform_(), m.load_state_dict({"v": m.w}, strict=False)),
        lambda m: m.w,
    ),
    "transposed": (lambda m: (m.w.normal_(), m.v.view(4, 6).copy_(m.w.t())), lambda m: m.w.t().reshape(6, 4)),
    "with noise": (lambda m: (m.w.normal_(), m.v.copy_(m.w + torch.zeros(6, 4).normal_() * 0)), lambda m: m.w),
    "softmax": (lambda m: (m.w.normal_(), m.v.copy_(m.w.softmax(-1))), lambda m: m.w.softmax(-1)),
    "both of one draw": (
        lambda m: (lambda x: (m.w.copy_(x.tril()), m.v.copy_(x.tril() * 2)))(torch.randn(6, 4)),
        lambda m: m.w * 2,
    ),
    "a part": (lambda m: (m.w.normal_(), m.v[:3].copy_(m.w[3:])), lambda m: torch.cat([m.w[3:], Holder().v[3:]])),
    "normalised": (lambda m: (m.w.normal_(), m.w.div_(m.w.std().item()), m.v.copy_(m.w)), lambda m: m.w),
    "orthogonal": (lambda m: (nn.init.orthogonal_(m.w), m.v.copy_(m.w)), lambda m: m.w),
}


@pytest.mark.parametrize("name", COPIES)
def test_what_code_copies_stays_equal(name: str) -> None:
    code, expected = COPIES[name]
    model, _ = recorded(code)
    with torch.no_grad():
        torch.testing.assert_close(model.v.detach(), expected(model).detach(), rtol=1e-6, atol=1e-7)
    assert bits(model) == bits(recorded(code)[0])
    if name == "normalised":
        assert abs(model.w.std() - 1) < 1e-6


def test_separate_draws_are_separate() -> None:
    model, _ = recorded(lambda m: (m.w.normal_(), m.v.normal_()))
    assert not torch.equal(model.w, model.v)


def test_functions_of_draws() -> None:
    def time_steps(m: Any) -> None:
        dt = torch.exp(torch.rand(24) * 4.6 - 6.9).clamp(min=1e-4)
        m.w.copy_((dt + torch.log(-torch.expm1(-dt))).view(6, 4))

    model, plan = recorded(time_steps)
    assert isinstance(plan["w"].law, Computed)
    steps = nn.functional.softplus(model.w)
    assert (steps > 9e-4).all()
    assert (steps < 0.11).all()


def test_nn_init_of_wellbegun() -> None:
    import wellbegun.nn_init as init

    def code(m: Any) -> None:
        init.trunc_normal_(m.w, std=0.02, a=-0.04, b=0.04)
        init.orthogonal_(m.v, gain=-2.0)
        init.constant_(m.w[0], 3.0)

    generator = torch.Generator().manual_seed(3)
    start = generator.get_state()
    model, plan = recorded(code)
    base = wb.TruncatedNormal(0.02, low=-2, high=2, match_std=False)
    assert plan["w"].law == Patched(base, [(((0, 1),), wb.Constant(3.0))])
    torch.testing.assert_close(model.v.T @ model.v, 4 * torch.eye(4), rtol=1e-5, atol=1e-5)
    recorded(lambda m: (init.normal_(m.w, generator=generator), init.zeros_(m.v)))
    assert torch.equal(generator.get_state(), start)


def test_generators_are_not_asked() -> None:
    draws = [torch.Generator().manual_seed(seed) for seed in (1, 2)]
    models = [recorded(lambda m, g=generator: nn.init.normal_(m.w, generator=g))[0] for generator in draws]
    assert bits(models[0]) == bits(models[1])
    assert torch.equal(draws[0].get_state(), torch.Generator().manual_seed(1).get_state())


def test_numpy_and_python_draw_the_same_on_every_process() -> None:
    def code(m: Any) -> None:
        m.w.copy_(torch.from_numpy(np.random.randn(6, 4)))
        m.v.fill_(random.random())

    found = []
    for seed in (1, 2):
        np.random.seed(seed)
        random.seed(seed)
        found.append(bits(recorded(code)[0]))
    assert found[0] == found[1]
    assert found[0] != bits(recorded(code, seed=6)[0])


def test_an_error_in_the_block_leaves_everything_as_it_was() -> None:
    model = nn.LSTM(4, 4)
    before, tables = bits(model), {name: id(tensor) for name, tensor in model.named_parameters()}
    attributes = set(vars(model))

    def code() -> None:
        model.reset_parameters()
        model.weight_ih_l0.requires_grad_(False)
        model.flag = True
        model.weight_hh_l0 = nn.Parameter(torch.zeros(16, 4))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), wb.recording(model, seed=1) as done:
        code()
    assert bits(model) == before
    assert tables == {name: id(tensor) for name, tensor in model.named_parameters()}
    assert set(vars(model)) == attributes
    assert model.weight_ih_l0.requires_grad
    assert repr(done) == "<Recording: not carried out>"
    with pytest.raises(ArgumentError, match="nothing was carried out"):
        _ = done.applied
    assert model._flat_weights[0] is model.weight_ih_l0
    with wb.recording(model, seed=1):
        model.reset_parameters()
    assert model._flat_weights[0] is model.weight_ih_l0
    assert model(torch.ones(2, 1, 4))[0].isfinite().all()


def test_an_error_at_the_end_of_the_block_too() -> None:
    model = Holder()
    before = bits(model)

    def code(m: Any) -> None:
        m.v.requires_grad_(False)
        m.w.data = torch.empty(6, 4)
        m.flag = 1

    with pytest.raises(ApplyError, match="w: it is memory that no code was seen to fill"):
        recorded(code, model)
    assert bits(model) == before
    assert model.v.requires_grad
    assert not hasattr(model, "flag")


def test_attributes_ties_and_flags_that_the_code_sets_stay() -> None:
    model = Holder()
    w = model.w
    with wb.recording(model, seed=1), torch.no_grad():
        model.w.normal_()
        model.w.requires_grad_(False)
        model.w.is_special = True
        model.ready = True
        model.v = model.w
    assert model.w is w is model.v
    assert not w.requires_grad
    assert w.is_special
    assert model.ready


def test_buffers_and_parameters_that_the_code_makes_anew() -> None:
    model = Holder()
    b, w = model.b, model.w
    with wb.recording(model, seed=1) as done:
        model.b = torch.arange(4) * 2
        model.w = nn.Parameter(torch.randn(6, 4) * 0.5)
        model.register_buffer("longer", torch.linspace(0, 1, 5, dtype=torch.float64))
        model.register_buffer("turn", torch.polar(torch.ones(3), torch.arange(3.0)))
        model.v = nn.Parameter(torch.randn(2, 3))
    assert model.b is b
    assert model.w is w
    assert b.tolist() == [0, 2, 4, 6]
    assert done.plan["w"].law == wb.Normal(0.5)
    assert torch.equal(model.longer, torch.linspace(0, 1, 5, dtype=torch.float64))
    assert torch.equal(model.turn, torch.polar(torch.ones(3), torch.arange(3.0)))
    assert model.v.shape == (2, 3)
    assert isinstance(model.v, nn.Parameter)
    expected = torch.empty(2, 3)
    wb.fill(expected, wb.Normal(1.0), seed=1, name="v")
    assert torch.equal(model.v, expected)


def test_tensors_that_the_code_keeps_elsewhere_have_numbers() -> None:
    model, outside = Holder(), torch.zeros(50, 40)
    with wb.recording(model, seed=1):
        nn.init.normal_(model.w)
        model.noise = torch.randn(70, 80)
        outside.normal_(3.0, 1.0)
    assert abs(model.noise.std() - 1) < 0.05
    assert abs(outside.mean() - 3) < 0.1


def test_meta_tensors_get_memory_or_an_error_names_them() -> None:
    with torch.device("meta"):
        model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    with pytest.raises(ApplyError, match=r"1.running_mean: is on meta, and the code of the block gives it no value"):
        recorded(lambda m: m[0].reset_parameters(), model)
    assert model[0].weight.is_meta
    with pytest.raises(ArgumentError, match=r"reads the numbers that 0.weight had before: it is on meta and has none"):
        recorded(lambda m: m[0].weight.mul_(2), model)
    with pytest.raises(
        ApplyError, match=r"0.weight: is on meta, and the code of the block gives a part of it no value"
    ):
        recorded(lambda m: m[0].weight[1].zero_(), model)
    with wb.recording(model, seed=3):
        for layer in model:
            layer.reset_parameters()
    built = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    with wb.recording(built, seed=3):
        for layer in built:
            layer.reset_parameters()
    assert bits(model) == bits(built)
    assert model[1].running_var.tolist() == [1.0] * 4


REFUSED: dict[str, tuple[Callable[[Any], object], str]] = {
    "numpy": (lambda m: m.w.detach().numpy(), "asks for the memory of a recorded tensor .numpy."),
    "tolist": (lambda m: m.w.tolist(), "asks for the memory of a recorded tensor .tolist."),
    "several at once": (lambda m: torch._foreach_zero_([m.w, m.v]), "writes several tensors in one operation"),
    "wb.fill": (lambda m: wb.fill(m.w.data, wb.Normal(1.0), seed=1, name="w"), "wb.fill cannot be recorded"),
    "wb.apply": (
        lambda m: wb.apply(wb.Plan((), 1, "none"), m),
        "applying a plan cannot be recorded",
    ),
    "an array": (lambda m: np.asarray(m.w.data), "asks for the memory of a recorded tensor"),
    "a second recording": (lambda m: wb.recording(m, seed=2).__enter__(), "a recording inside of another one"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_recorded_is_refused(name: str) -> None:
    code, words = REFUSED[name]
    model = Holder()
    before = bits(model)
    with pytest.raises(ArgumentError, match=words):
        recorded(code, model)
    assert bits(model) == before


def test_references_from_before_the_block_are_refused() -> None:
    model = Holder()
    before, parameters, view = bits(model), list(model.parameters()), model.v.data[2:]
    for tensor in (*parameters, view):
        with pytest.raises(ArgumentError, match=r"works on (w|v) through a reference from before the block"):
            recorded(lambda m, t=tensor: t.normal_(), model)
    assert bits(model) == before


def test_other_errors_at_the_end_of_the_block() -> None:
    cases: list[tuple[Callable[[Any], object], str]] = [
        (lambda m: None, "the code of the block wrote no parameter and no buffer"),
        (lambda m: setattr(m.w, "data", m.v.data), "w: the code lets it share memory with|v: the code lets it share"),
        (lambda m: (m.w.zero_(), setattr(m, "view", m.w[1:])), "keeps a view of w as Holder.view"),
        (lambda m: (m.v.zero_(), setattr(m.w, "data", torch.zeros(2))), r"gives w the shape \[2\]"),
    ]
    for code, words in cases:
        model = Holder()
        before = bits(model)
        with pytest.raises(ApplyError, match=words):
            recorded(code, model)
        assert bits(model) == before


def test_arguments() -> None:
    with pytest.raises(ArgumentError, match="seed"), wb.recording(Holder(), seed=-1):
        pass
    with pytest.raises(ArgumentError, match=r"needs a torch.nn.Module"), wb.recording(3, seed=1):
        pass
    with pytest.raises(ArgumentError, match="name nothing in it"), wb.recording(Holder(), seed=1, names={"x": "y"}):
        pass


def test_parametrised_weights() -> None:
    layer = nn.utils.parametrizations.weight_norm(nn.Linear(4, 3))
    model = nn.Sequential(layer, nn.Linear(3, 2))
    before = bits(model)
    with pytest.raises(ApplyError, match=r"a weight is computed from it \(weight_norm\)"):
        recorded(lambda m: m[0].parametrizations.weight.original1.normal_(), model)
    assert bits(model) == before
    with wb.recording(model, seed=1) as done:
        model[1].reset_parameters()
        nn.init.zeros_(layer.bias)
    assert (done.applied.written, done.applied.kept) == (3, 1)
    assert bits(model)["0.parametrizations.weight.original1"] == before["0.parametrizations.weight.original1"]


def test_empty_and_scalar_tensors_and_types() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.p_none = nn.Parameter(torch.empty(0, 4))
            self.p_one = nn.Parameter(torch.zeros(()))
            self.p_half = nn.Parameter(torch.zeros(3, 5, dtype=torch.bfloat16))
            self.p_double = nn.Parameter(torch.zeros(3, 5, dtype=torch.float64))
            self.p_complex = nn.Parameter(torch.zeros(3, 5, dtype=torch.complex64))
            self.turned = nn.Parameter(torch.zeros(5, 3).t())
            self.register_buffer("count", torch.tensor(9))

    def code(m: Any) -> None:
        for parameter in m.parameters():
            nn.init.normal_(parameter)
        m.count.zero_()

    model, plan = recorded(code, Odd())
    assert model.count == 0
    for name in ("p_half", "p_double", "p_complex", "turned"):
        expected = torch.zeros_like(getattr(model, name))
        wb.fill(expected, wb.Normal(1.0), seed=5, name=name)
        assert torch.equal(getattr(model, name), expected), name
    assert model.turned.stride() == (1, 3)
    assert plan["p_none"].size == 0


def test_plans_that_keep_a_part_elsewhere(tmp_path: Any) -> None:
    """What such a plan cannot give, it says."""
    _, plan = recorded(lambda m: (m.w[2].zero_(), m.v.normal_()))
    with pytest.raises(ArgumentError, match="w: keeps, in a part, the value that the model gives it"):
        wb.to_numpy(plan, "w")
    with torch.device("meta"):
        model = Holder()
    model.b = torch.zeros(4, dtype=torch.int64)
    with pytest.raises(ApplyError, match="w: is to keep its value in a part, but it is on meta"):
        wb.apply(plan, model)
    with pytest.raises(ArgumentError, match=r"must not overlap"):
        Patched(Keep(), [(((0, 3),), wb.Constant(0.0)), (((2, 4), (1, 2)), wb.Constant(1.0))])
    part = np.full((7,), 5.0, np.float32)  # a flat range of the tensor, of which row 2 is zero
    wb.fill(part, plan["w"].law, seed=5, name="w", shape=(6, 4), offset=6)
    assert part.tolist() == [5, 5, 0, 0, 0, 0, 5]
    assert str(plan).count("its own value, 1 patch") == 1


def test_sparse_buffers_are_left_alone() -> None:
    model = Holder()
    model.register_buffer("edges", torch.eye(3).to_sparse())
    model, plan = recorded(lambda m: m.w.copy_(torch.ones(6, 4) * m.edges.to_dense().sum()), model)
    assert (model.w == 3).all()
    assert model.edges.is_sparse
    assert isinstance(plan["edges"].law, Keep)
    assert len({parameter.data_ptr() for parameter in model.parameters()}) == 2


def test_a_tensor_beyond_all_memory_leaves_the_model_whole() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight = nn.Parameter(torch.empty(1 << 40, 1 << 20, device="meta"))
    first = model[0].weight
    with pytest.raises(ArgumentError, match=r"1\.weight has the shape .* more than this machine has addresses for"):
        recorded(lambda m: m[0].reset_parameters(), model)
    assert model[0].weight is first
