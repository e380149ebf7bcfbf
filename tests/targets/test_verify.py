"""wb.verify on one process: each kind of fault is found and named."""

import importlib

import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.errors import ArgumentError
from wellbegun.laws import Law
from wellbegun.plans import Entry
from wellbegun.targets import compare
from wellbegun.targets.fingerprints import digest
from wellbegun.targets.parts import Part

verification = importlib.import_module("wellbegun.targets.verify")


def network() -> nn.Sequential:
    return nn.Sequential(nn.Embedding(50, 64), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64), nn.BatchNorm1d(64))


def started(**options: object) -> tuple[wb.Plan, nn.Sequential]:
    model = network()
    plan = wb.plan(model, torch.arange(8), seed=3, **options)
    wb.apply(plan, model)
    return plan, model


def test_a_model_that_holds_what_was_planned() -> None:
    plan, model = started()
    found = wb.verify(plan, model)
    assert found
    assert found.faults == ()
    assert (found.tensors, found.elements) == (len(plan), sum(entry.size for entry in plan))
    assert str(found) == f"verified: {len(plan)} tensors, {found.elements:,} numbers, all as they should be"


def test_one_flipped_bit_is_found_with_its_place() -> None:
    plan, model = started()
    value = model[3].weight[17, 5].item()
    with torch.no_grad():
        model[3].weight.view(torch.int32)[17, 5] ^= 1
    (fault,) = wb.verify(plan, model).faults
    assert (fault.kind, fault.name, fault.ranks) == ("values", "3.weight", ())
    assert "1 of the numbers here are not the planned ones; the first is at [17, 5]" in fault.message
    assert f"planned {value:.9g}" in fault.message


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64, torch.float8_e4m3fn])
def test_every_storage_type(dtype: torch.dtype) -> None:
    model = nn.Sequential(nn.Linear(64, 64, bias=False))
    plan = wb.plan(model, "vector:64", seed=3, rules={"*": wb.Normal(std=0.02)})
    model.to(dtype)
    wb.apply(plan, model)
    assert wb.verify(plan, model)
    bits = model[0].weight.detach().view({1: torch.uint8, 2: torch.int16, 8: torch.int64}[dtype.itemsize])
    bits[63, 63] ^= 1
    (fault,) = wb.verify(plan, model).faults
    assert "[63, 63]" in fault.message


def test_laws_that_depend_on_the_machine_are_compared_with_a_tolerance() -> None:
    rules = {"1.weight": wb.Orthogonal(), "3.weight": wb.Orthogonal()}
    plan, model = started(rules=rules)
    with torch.no_grad():
        model[1].weight *= 1 + 1e-7
    assert wb.verify(plan, model)
    with torch.no_grad():
        model[1].weight[4, 4] += 0.1
    (fault,) = wb.verify(plan, model).faults
    assert (fault.kind, fault.name) == ("values", "1.weight")
    model.bfloat16()
    assert not wb.verify(plan, model)
    wb.apply(plan, model, overwrite=True)
    assert wb.verify(plan, model)


def test_torn_ties_values_that_are_not_finite_and_missing_tensors() -> None:
    model = nn.ModuleDict({"table": nn.Embedding(9, 4), "head": nn.Linear(4, 9, bias=False)})
    model["head"].weight = model["table"].weight

    def forward(tokens: torch.Tensor) -> torch.Tensor:
        return model["head"](model["table"](tokens))

    model.forward = forward  # type: ignore[method-assign]
    plan = wb.plan(model, torch.arange(5), seed=1)
    wb.apply(plan, model)
    assert wb.verify(plan, model)
    model["head"].weight = nn.Parameter(model["head"].weight.detach().clone())
    (fault,) = wb.verify(plan, model).faults
    assert (fault.kind, fault.name) == ("tie", "table.weight")
    model["head"].weight = model["table"].weight
    with torch.no_grad():
        model["table"].weight[2, 1] = float("nan")
    (fault,) = wb.verify(plan, model).faults
    assert fault.kind == "non-finite"
    assert "[2, 1]" in fault.message
    model["more"] = nn.Linear(2, 2)
    kinds = [(fault.kind, fault.name) for fault in wb.verify(plan, model).faults]
    assert kinds == [("missing", "more.bias"), ("missing", "more.weight"), ("non-finite", "table.weight")]
    del model["more"], model["head"]
    assert [(f.kind, f.name) for f in wb.verify(plan, model, stage=True).faults] == [("non-finite", "table.weight")]


def test_numbers_of_one_tensor_in_another_are_named() -> None:
    plan, model = started()
    with torch.no_grad():
        model[3].weight[10:14] = model[1].weight[20:24]
    faults = wb.verify(plan, model).faults
    assert [(fault.kind, fault.name) for fault in faults] == [("values", "3.weight")]
    with torch.no_grad():
        model[1].weight[0] += 1e-3  # now neither is as planned, and what they share is told
    faults = wb.verify(plan, model).faults
    assert [(fault.kind, fault.name) for fault in faults] == [
        ("values", "1.weight"),
        ("values", "3.weight"),
        ("copies", "1.weight"),
    ]
    assert "4 blocks of 64 numbers are also in 3.weight" in faults[2].message


def test_shapes_that_differ_are_told() -> None:
    plan, model = started()
    model[3] = nn.Linear(64, 32)
    assert [(f.kind, f.name) for f in wb.verify(plan, model).faults] == [
        ("layout", "3.weight"),
        ("layout", "3.bias"),
    ]


def test_what_is_kept_is_looked_at_for_values_that_are_not_finite() -> None:
    plan, model = started(rules={"0.weight": wb.Keep()})
    assert wb.verify(plan, model)
    with torch.no_grad():
        model[0].weight[1, 1] = float("inf")
    (fault,) = wb.verify(plan, model).faults
    assert (fault.kind, fault.name) == ("non-finite", "0.weight")


def test_a_plan_is_needed() -> None:
    with pytest.raises(ArgumentError, match="first argument must be a plan"):
        wb.verify(network(), network())  # type: ignore[arg-type]


def test_digests_see_every_byte_in_any_layout() -> None:
    values = torch.randn(6, 4)
    assert digest(values) == digest(values.t().contiguous().t())
    changed = values.clone()
    changed.view(torch.int32)[5, 3] ^= 1
    assert digest(values) != digest(changed)
    assert digest(values) != digest(values.reshape(4, 6))


def one(tensor: torch.Tensor, law: Law | None = None) -> tuple[wb.Plan, nn.Module]:
    """A model of one tensor, and a plan for it."""
    law, model = law or wb.Normal(std=1.0), nn.Module()
    model.weight = nn.Parameter(tensor, requires_grad=False)
    dtype = str(tensor.dtype).removeprefix("torch.")
    entry = Entry("weight", "parameter", tuple(tensor.shape), dtype, "linear weight", repr(law), law, "a test")
    return wb.Plan((entry,), 1, "test@1"), model


@pytest.mark.parametrize("tensor", [torch.zeros(8, 8, dtype=torch.int8), torch.zeros(8, 8).to_sparse()])
def test_a_tensor_that_cannot_hold_the_plan_is_a_fault_and_no_exception(tensor: torch.Tensor) -> None:
    """An exception on one process would leave the others waiting."""
    (fault,) = wb.verify(*one(tensor)).faults
    assert (fault.kind, fault.name) == ("layout", "weight")


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e8m0fnu, torch.uint8, torch.complex64])
def test_what_is_kept_may_be_of_any_type(dtype: torch.dtype) -> None:
    plan, model = one(torch.ones(8, 8).to(dtype), wb.Keep())
    assert wb.verify(plan, model)
    assert wb.verify_replicas(model)


def test_one_long_row_is_drawn_a_chunk_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, fill = [], compare.fill_entry
    monkeypatch.setattr(compare, "CHUNK", 100)
    monkeypatch.setattr(compare, "fill_entry", lambda out, *rest: sizes.append(out.size) or fill(out, *rest))
    plan, model = one(torch.zeros(1, 3, 700))
    wb.apply(plan, model)
    assert wb.verify(plan, model)
    assert sum(sizes) == 2100
    assert max(sizes) == 100
    model.weight[0, 2, 650] = 5
    (fault,) = wb.verify(plan, model).faults
    assert "[0, 2, 650]" in fault.message


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("older", [False, True])
def test_weights_that_are_computed_are_looked_at(older: bool, dtype: torch.dtype) -> None:
    functions = nn.utils if older else nn.utils.parametrizations
    layers = [functions.weight_norm(nn.Linear(64, 64)), functions.spectral_norm(nn.Linear(64, 64))]
    model = nn.Sequential(*layers)
    plan = wb.plan(model, "vector:64", seed=1)
    model.to(dtype)
    wb.apply(plan, model)
    found = wb.verify(plan, model)
    assert found, str(found)
    assert found.tensors == len(plan)
    carriers = ["weight_g", "weight_orig"] if older else ["original0", "original"]
    with torch.no_grad():
        model[0].get_parameter(carriers[0] if older else f"parametrizations.weight.{carriers[0]}")[3] *= 1.5
        model[1].get_parameter(carriers[1] if older else f"parametrizations.weight.{carriers[1]}")[2, 2] = 9
    assert [(fault.kind, fault.name) for fault in wb.verify(plan, model).faults] == [
        ("values", "0.weight"),
        ("values", "1.weight"),
    ]


def test_the_orthogonal_parametrisation_is_looked_at() -> None:
    model = nn.Sequential(nn.utils.parametrizations.orthogonal(nn.Linear(16, 16)))
    plan = wb.plan(model, "vector:16", seed=1, rules={"0.weight": wb.Orthogonal()})
    wb.apply(plan, model)
    assert wb.verify(plan, model)
    with torch.no_grad():
        model[0].parametrizations.weight.original.add_(0.5)
    assert [fault.kind for fault in wb.verify(plan, model).faults] == ["values"]


def test_a_bounded_number_of_blocks_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many tensors are wrong, what the processes exchange is bounded."""
    seen = []
    monkeypatch.setattr(verification, "BLOCKS", 64)
    monkeypatch.setattr(verification, "exchanged", lambda answer, group: seen.append(answer) or {0: answer})
    plan, model = started()
    with torch.no_grad():
        for tensor in model.parameters():
            tensor += 1
    assert len(wb.verify(plan, model).faults) >= 4
    ((_, _, strange),) = seen
    assert sum(map(len, strange.values())) <= 64 + 64


def test_the_padding_of_a_partition_is_nobodys_business() -> None:
    tensor = torch.arange(10.0)
    seen = []
    for padding in (0.0, float("nan")):
        tensor[7:] = padding
        seen.append(verification._Seen())
        seen[-1].add("weight", (Part(tensor, (((slice(0, 7),), 21),)),))
    assert seen[0].held == seen[1].held
    assert seen[0].elements == 7
