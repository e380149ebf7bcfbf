"""Wrappers change neither the names nor the plan, and a real attribute of the same name is left alone."""

from collections.abc import Iterator

import pytest
import torch
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper

import wellbegun as wb
from wellbegun.errors import ArgumentError
from wellbegun.graph.names import canonical_names, unwrap


def block(width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(width, 16), nn.ReLU(), nn.Linear(16, width))


def network() -> nn.Sequential:
    return nn.Sequential(block(8), nn.LayerNorm(8), block(8), nn.BatchNorm1d(8))


@pytest.fixture
def process_group() -> Iterator[None]:
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def test_names_without_wrappers_are_those_of_the_model() -> None:
    model = network()
    names = [name for name, _ in (*model.named_parameters(), *model.named_buffers())]
    assert canonical_names(model) == dict(zip(names, names, strict=True))


def test_an_attribute_that_is_called_module_stays() -> None:
    class Holds(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module, self._orig_mod = nn.Linear(2, 2), nn.Linear(2, 2)

    names = ["module.weight", "module.bias", "_orig_mod.weight", "_orig_mod.bias"]
    assert list(canonical_names(Holds()).values()) == names
    assert list(canonical_names(nn.DataParallel(Holds())).values()) == names


def test_every_name_of_a_tied_tensor_has_a_canonical_one() -> None:
    table = nn.Embedding(4, 2)
    model = nn.ModuleDict({"first": table, "second": nn.DataParallel(table)})
    assert canonical_names(model) == {"first.weight": "first.weight", "second.module.weight": "second.weight"}


def test_a_name_that_would_stand_for_two_tensors_is_used_for_neither() -> None:
    outer = nn.DataParallel(nn.Linear(2, 2, bias=False))
    outer.register_parameter("weight", nn.Parameter(torch.ones(1)))
    assert canonical_names(outer) == {"weight": "weight", "module.weight": "module.weight"}
    assert unwrap(outer) is outer


def test_the_same_plan_inside_every_wrapper(process_group: None) -> None:
    bare = wb.plan(network(), "vector:8", seed=0)
    compiled_part, checkpointed_part = network(), network()
    compiled_part[0] = torch.compile(compiled_part[0], backend="eager")
    checkpointed_part[0] = checkpoint_wrapper(checkpointed_part[0])
    checkpointed_part[2][0] = checkpoint_wrapper(torch.compile(checkpointed_part[2][0], backend="eager"))
    in_place = network()
    in_place[0].compile(backend="eager")
    wrapped = {
        "compiled": torch.compile(network(), backend="eager"),
        "compiled in place": in_place,
        "compiled part": compiled_part,
        "checkpointed part": checkpointed_part,
        "checkpointed": checkpoint_wrapper(network()),
        "data parallel": nn.DataParallel(network()),
        "distributed": nn.parallel.DistributedDataParallel(network()),
        "nested": torch.compile(
            nn.parallel.DistributedDataParallel(checkpoint_wrapper(checkpointed_part)), backend="eager"
        ),
    }
    for name, model in wrapped.items():
        before = [key for key, _ in model.named_modules()]
        made = wb.plan(model, "vector:8", seed=0)
        assert made == bare, name
        assert made.hash == bare.hash, name
        assert [key for key, _ in model.named_modules()] == before, name


@pytest.mark.filterwarnings("ignore:FSDP")
def test_fully_sharded_data_parallel(process_group: None) -> None:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard

    bare = wb.plan(block(8), "vector:8", seed=0)
    cpu = torch.device("cpu")
    wrapped = FullyShardedDataParallel(block(8), device_id=cpu, use_orig_params=True)
    assert wb.plan(wrapped, "vector:8", seed=0).hash == bare.hash
    flat = FullyShardedDataParallel(block(8), device_id=cpu, use_orig_params=False)
    with pytest.raises(ArgumentError, match="use_orig_params=True"):
        wb.plan(flat, "vector:8", seed=0)
    sharded = block(8)
    fully_shard(sharded[0], mesh=init_device_mesh("cpu", (1,)))
    fully_shard(sharded, mesh=init_device_mesh("cpu", (1,)))
    assert wb.plan(sharded, "vector:8", seed=0).hash == bare.hash
    assert sharded(torch.ones(2, 8)).shape == (2, 8)
