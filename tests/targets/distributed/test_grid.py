"""Bitwise equality with one process, over meshes, shapes, placements, laws and storage types, simulated in one process.

torch's own distribution of the numbers of one process says what each process of a mesh must hold.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import nn
from torch.distributed._local_tensor import LocalTensorMode
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.placement_types import _StridedShard
from torch.testing._internal.distributed.fake_pg import FakeStore

import wellbegun as wb
from wellbegun.errors import ApplyError
from wellbegun.laws import Law
from wellbegun.plans import Entry

MESHES = [(1,), (2,), (3,), (4,), (2, 2), (4, 2)]
SHAPES = [(8, 4), (4, 4, 4), (8, 8, 4, 4), (5, 6, 7, 8, 9), (7,), (1, 3), (33, 5), (0, 4)]
FACTORS = (2, 3, 4)
LAWS: list[Law] = [
    wb.Normal(std=0.02),
    wb.Uniform(-0.1, 0.3),
    wb.TruncatedNormal(std=0.5, low=-2, high=2).law(),
    wb.Constant(0.25),
    wb.Patched(wb.Normal(std=1.0), ((((1, 3),), wb.Constant(7.0)), (((0, 2), (1, 2)), wb.Uniform(4.0, 5.0)))),
]
DTYPES = ["float32", "bfloat16", "float16", "float64", "float8_e4m3fn"]


@contextmanager
def world(size: int) -> Iterator[None]:
    torch.distributed.init_process_group("fake", rank=0, world_size=size, store=FakeStore())
    try:
        yield
    finally:
        torch.distributed.destroy_process_group()


def placements(shape: tuple[int, ...]) -> list[Any]:
    axes = range(len(shape))
    strided = [_StridedShard(axis, split_factor=factor) for axis in axes for factor in FACTORS]
    return [Replicate(), *(Shard(axis) for axis in axes), *strided]


def cases() -> list[tuple[tuple[int, ...], tuple[int, ...], tuple[Any, ...]]]:
    return [
        (mesh, shape, chosen)
        for mesh in MESHES
        for shape in SHAPES
        for chosen in itertools.product(placements(shape), repeat=len(mesh))
    ]


def one_entry(shape: tuple[int, ...], law: Law, dtype: str, zero_row: int | None = None) -> wb.Plan:
    entry = Entry("weight", "parameter", shape, dtype, "linear weight", repr(law), law, "a test", zero_row=zero_row)
    return wb.Plan((entry,), seed=7, recipe="rules")


class Holder(nn.Module):
    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=False)


def distributed(full: torch.Tensor, mesh: tuple[int, ...], chosen: tuple[Any, ...]) -> DTensor:
    """As torch distributes it: each process cuts out its own part (the simulation of scatter is not right)."""
    with LocalTensorMode(math.prod(mesh)):
        return distribute_tensor(full, torch.distributed.init_device_mesh("cpu", mesh), chosen, src_data_rank=None)


def held(tensor: DTensor) -> dict[int, torch.Tensor]:
    """What each process holds; a replicated tensor is one for all of them in the simulation."""
    local = tensor._local_tensor
    return getattr(local, "_local_tensors", {0: local})


def check(mesh: tuple[int, ...], shape: tuple[int, ...], chosen: tuple[Any, ...], law: Law, dtype: str) -> None:
    row = 2 if len(shape) == 2 and shape[0] > 2 else None
    plan, kind = one_entry(shape, law, dtype, row), getattr(torch, dtype)
    whole = Holder(torch.full(shape, float("nan")).to(kind))
    assert wb.apply(plan, whole).elements == math.prod(shape)
    expected = distributed(whole.weight.detach(), mesh, chosen)
    model = Holder(distributed(torch.full(shape, float("nan")).to(kind), mesh, chosen))
    done = wb.apply(plan, model)
    parts, truth = held(model.weight), held(expected)
    assert parts.keys() == truth.keys()
    assert done.elements == sum(part.numel() for part in parts.values())
    for rank, part in parts.items():
        case = (mesh, shape, chosen, law, dtype, rank)
        assert part.shape == truth[rank].shape, case
        assert part.numel() == 0 or torch.equal(part.view(torch.uint8), truth[rank].view(torch.uint8)), case


def law_for(number: int, shape: tuple[int, ...]) -> tuple[Law, str]:
    law, dtype = LAWS[number % len(LAWS)], DTYPES[number // len(LAWS) % len(DTYPES)]
    is_too_small = isinstance(law, wb.Patched) and (len(shape) < 2 or shape[0] < 3)
    return (LAWS[0] if is_too_small else law), dtype


def run(chosen_cases: list[tuple[int, tuple[tuple[int, ...], tuple[int, ...], tuple[Any, ...]]]]) -> None:
    by_size = sorted(chosen_cases, key=lambda item: math.prod(item[1][0]))
    for size, group in itertools.groupby(by_size, key=lambda item: math.prod(item[1][0])):
        with world(size):
            for number, (mesh, shape, chosen) in group:
                check(mesh, shape, chosen, *law_for(number, shape))


def test_corners_and_a_random_sample() -> None:
    everything = list(enumerate(cases()))
    corners = [
        (number, case)
        for number, case in everything
        if len(case[1]) <= 2 and len(case[0]) == 2 and case[1] in ((33, 5), (8, 4)) and number % 3 == 0
    ]
    sample = random.Random(20261125).sample(everything, 60)
    run(sorted(dict(corners[:: max(len(corners) // 40, 1)] + sample).items()))


@pytest.mark.slow
@pytest.mark.parametrize("part", range(8))
def test_every_placement_that_torch_can_build(part: int) -> None:
    everything = list(enumerate(cases()))
    assert len(everything) > 2_000
    run(everything[part::8])


@pytest.mark.parametrize(
    "law", [wb.Orthogonal(gain=2.0), wb.MirroredOrthogonal(), wb.Sparse(sparsity=0.5), wb.Identity()]
)
def test_laws_that_shape_a_whole_matrix_are_cut_like_the_whole(law: Any) -> None:
    """Each process draws the matrix and keeps its part, and the result says how often."""
    resolved = law.law(wb.Fans(fan_in=12, fan_out=24))
    with world(4):
        for mesh, chosen in [
            ((4,), (Shard(0),)),
            ((4,), (_StridedShard(0, split_factor=2),)),
            ((2, 2), (Shard(1),) * 2),
        ]:
            for dtype in ("float32", "bfloat16"):
                check(mesh, (24, 12), chosen, resolved, dtype)
    with world(2):
        model = Holder(distributed(torch.zeros(24, 12), (2,), (Shard(0),)))
        assert wb.apply(one_entry((24, 12), resolved, "float32"), model).drawn_whole == int(resolved.structured)


def test_a_shard_order_of_its_own() -> None:
    """DTensor can be told to split along the mesh's dimensions in another order."""
    from torch.distributed.tensor._dtensor_spec import ShardOrderEntry

    full = torch.arange(16.0).reshape(8, 2)
    with world(4):
        plain = distributed(full, (2, 2), (Shard(0), Shard(0)))
        turned = distributed(full, (2, 2), (_StridedShard(0, split_factor=2), Shard(0)))
        model, other = Holder(plain), Holder(turned)
        order = (ShardOrderEntry(tensor_dim=0, mesh_dims=(1, 0)),)
        model.weight._spec = dataclasses.replace(model.weight._spec, shard_order=order)
        for made in (model, other):
            wb.apply(one_entry((8, 2), wb.Normal(std=1.0), "float32"), made)
        first, second = held(model.weight), held(other.weight)
        assert all(torch.equal(first[rank], second[rank]) for rank in range(4))


def test_placements_that_do_not_say_where_parts_lie_are_refused() -> None:
    with world(2):
        with LocalTensorMode(2):
            mesh = torch.distributed.init_device_mesh("cpu", (2,))
            pending = DTensor.from_local(torch.zeros(4, 2), mesh, [Partial()])
        with pytest.raises(ApplyError, match=r"weight: it is a pending sum over processes \(Partial\)"):
            wb.apply(one_entry((4, 2), wb.Normal(std=1.0), "float32"), Holder(pending))

        class Odd(Shard):
            pass

        model = Holder(distributed(torch.zeros(4, 2), (2,), (Shard(0),)))
        model.weight._spec = dataclasses.replace(model.weight._spec, placements=(Odd(0),))
        with pytest.raises(ApplyError, match=r"weight: its placement .* is not one of torch's"):
            wb.apply(one_entry((4, 2), wb.Normal(std=1.0), "float32"), model)
        strided = (_StridedShard(1, split_factor=2),)
        model.weight._spec = dataclasses.replace(
            model.weight._spec, placements=strided, shard_order=None, use_strided_shard_as_shard_order=None
        )
        with pytest.raises(ApplyError, match=r"a part of shape \[4, 2\], and it holds \[2, 2\]"):
            wb.apply(one_entry((4, 2), wb.Normal(std=1.0), "float32"), model)
