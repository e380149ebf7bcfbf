"""What the processes of a World are asked to do: each function runs on all of them and returns plain data."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
import torch.distributed as processes
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import CPUOffloadPolicy, FullyShardedDataParallel, fully_shard
from torch.distributed.fsdp.wrap import ModuleWrapPolicy
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.debug import CommDebugMode
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

import wellbegun as wb
from wellbegun.errors import ApplyError

from .models import GPT, VOCABULARY, stage

Digests = dict[str, str]


def digest(tensor: torch.Tensor) -> str:
    plain = tensor.detach().contiguous().view(torch.uint8) if tensor.numel() else tensor.detach()
    return f"{tuple(tensor.shape)} {hashlib.sha256(plain.numpy().tobytes()).hexdigest()}"


def gathered(model: nn.Module) -> Digests:
    """SHA-256 of every whole tensor, non-persistent buffers too."""
    tensors = [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]
    return {name: digest(t.full_tensor() if isinstance(t, DTensor) else t) for name, t in tensors}


def build(experts: int, meta: bool) -> GPT:
    with torch.device("meta" if meta else "cpu"):
        model = GPT(experts=experts)
    if meta:  # a buffer's value comes from the plan, whatever is there
        model.scale = torch.full_like(model.scale, float("nan"), device="cpu")
    return model


def shard_fsdp(model: GPT, mesh: Any, **options: Any) -> None:
    for block in model.layers.values():
        fully_shard(block, mesh=mesh, **options)
    fully_shard(model, mesh=mesh, **options)


def shard_tensors(model: GPT, mesh: Any) -> None:
    """Tensor parallel: columns in, rows out; experts over the processes; the table by its rows."""
    for block in model.layers.values():
        layers = {"qkv": ColwiseParallel(), "out": RowwiseParallel()}
        if hasattr(block.mlp, "router"):
            for name in ("up", "down"):
                whole = getattr(block.mlp, name)
                setattr(block.mlp, name, nn.Parameter(distribute_tensor(whole.detach(), mesh, [Shard(0)])))
        else:
            layers |= {"mlp.up": ColwiseParallel(), "mlp.down": RowwiseParallel()}
        parallelize_module(block, mesh, layers)
    parallelize_module(model, mesh, {"places": RowwiseParallel(input_layouts=Replicate())})


def sharded(plan: str, layout: str, experts: int = 0, meta: bool = False, offload: bool = False) -> dict[str, Any]:
    """Apply a saved plan to a model in a layout; say what all processes hold together, and what it took."""
    made, model, size = wb.load_plan(plan), build(experts, meta), processes.get_world_size()
    options: dict[str, Any] = {"offload_policy": CPUOffloadPolicy(pin_memory=False)} if offload else {}
    if layout == "fsdp":
        shard_fsdp(model, init_device_mesh("cpu", (size,)), **options)
    elif layout == "hsdp":
        shard_fsdp(model, init_device_mesh("cpu", (2, size // 2), mesh_dim_names=("copies", "parts")))
    elif layout == "tp":
        shard_tensors(model, init_device_mesh("cpu", (size,)))
    elif layout == "fsdp x tp":
        mesh = init_device_mesh("cpu", (size // 2, 2), mesh_dim_names=("dp", "tp"))
        shard_tensors(model, mesh["tp"])
        shard_fsdp(model, mesh["dp"])
    elif layout == "columns":
        mesh = init_device_mesh("cpu", (size,))
        for module in model.modules():
            for name, whole in list(module._parameters.items()):
                if whole is not None and name != "scale" and whole.ndim > 1:
                    placed = distribute_tensor(whole.detach(), mesh, [Shard(1)])
                    module._parameters[name] = nn.Parameter(placed)
        model.head.weight = model.tokens.weight
    if meta and layout == "fsdp":  # elsewhere apply gives the memory
        model.to_empty(device="cpu")
        with torch.no_grad():
            for tensor in model.parameters():
                tensor.fill_(float("nan"))
    local = {id(t): t.to_local().numel() if isinstance(t, DTensor) else t.numel() for t in model.parameters()}
    local |= {id(t): t.numel() for t in model.buffers()}
    with CommDebugMode() as seen:
        done = wb.apply(made, model)
    answer = {
        "digests": gathered(model),
        "collectives": seen.get_total_counts(),
        "elements": done.elements,
        "local": sum(local.values()),
        "tied": model.head.weight is model.tokens.weight,
        "sharded": sum(isinstance(t, DTensor) for t in model.parameters()),
    }
    if layout in ("fsdp", "hsdp"):  # and it trains
        loss = model(torch.arange(24).reshape(2, 12) % VOCABULARY).logsumexp(-1).mean()
        loss.backward()
        answer["loss"] = float(loss.detach())
    return answer


def staged(plan: str, stages: int, experts: int, interleaved: bool = False) -> list[Digests]:
    """Apply a plan to the stages that this process has of a pipeline."""
    made, rank, size = wb.load_plan(plan), processes.get_rank(), processes.get_world_size()
    found = []
    for number in range(stages):
        owner = number % size if interleaved else number * size // stages
        if owner != rank:
            continue
        layers = [layer for layer in range(8) if layer * stages // 8 == number]
        model = stage(GPT(layers=8, experts=experts, tied=False), layers, number == 0, number == stages - 1)
        wb.apply(made, model, stage=True)
        found.append(gathered(model))
    return found


def filled(plan: str, missing: list[str]) -> dict[str, Any]:
    """Load a part of a checkpoint into a sharded model and fill in the rest."""
    made, model = wb.load_plan(plan), build(0, False)
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            tensor.fill_(float("nan") if name in missing else 0.5)
    shard_fsdp(model, init_device_mesh("cpu", (processes.get_world_size(),)))
    with CommDebugMode() as seen:
        done = wb.fill_missing(made, model, missing)
    return {
        "digests": gathered(model),
        "collectives": seen.get_total_counts(),
        "counts": (done.written, done.kept, done.tied, done.skipped),
    }


def verified(plan: str, fault: str) -> dict[str, Any]:
    """Apply, plant a fault, verify."""
    made, model, rank = wb.load_plan(plan), build(0, False), processes.get_rank()
    layout = init_device_mesh("cpu", (2, processes.get_world_size() // 2), mesh_dim_names=("copies", "parts"))
    if fault == "same shards":  # what torch's own draws do on a CPU mesh
        layout = init_device_mesh("cpu", (processes.get_world_size(),))
    shard_fsdp(model, layout)
    wb.apply(made, model)
    weight = model.get_parameter("layers.1.mlp.up.weight").to_local()
    with torch.no_grad():
        if fault == "one bit" and rank == 1:
            weight.view(torch.int32)[0, 5] ^= 1
        elif fault == "same shards":
            torch.manual_seed(0)
            weight.normal_()
        elif fault == "not finite" and rank == 0:
            weight[0, 0] = float("inf")
        elif fault == "torn":
            model.head.weight = nn.Parameter(model.tokens.weight.detach().clone())
        elif fault == "everywhere":
            weight[0, 0] += 1
    found, replicas = wb.verify(made, model), wb.verify_replicas(model)
    return {
        "good": bool(found),
        "faults": [(f.kind, f.name, f.message, f.ranks) for f in found.faults],
        "replicas": [(f.kind, f.name, f.ranks) for f in replicas.faults],
        "elements": found.elements,
        "text": str(found),
    }


def partitioned(plan: str, real: bool, experts: int = 0, gathered: bool = False) -> dict[str, Any]:
    """Apply a plan to a model whose parameters ZeRO-3 has partitioned; put the pieces together again."""
    made = wb.load_plan(plan)
    if real:
        import deepspeed

        deepspeed.init_distributed("gloo", auto_mpi_discovery=False)
        options = {"train_micro_batch_size_per_gpu": 1, "zero_optimization": {"stage": 3}}
        with deepspeed.zero.Init(config_dict_or_path=options):
            model = GPT(experts=experts, tied=False)
    else:
        model = GPT(experts=experts, tied=False)
        for parameter in model.parameters():
            _partition(parameter)
    assert all(parameter.numel() == 0 for parameter in model.parameters())
    for parameter in model.parameters():
        parameter.ds_tensor.fill_(float("nan"))
    with _gathered(model, real) if gathered else nullcontext(), CommDebugMode() as seen:
        done = wb.apply(made, model)
    whole = {}
    for name, parameter in model.named_parameters():
        pieces: list[Any] = [None] * processes.get_world_size()
        processes.all_gather_object(pieces, parameter.ds_tensor.detach().clone())
        whole[name] = digest(torch.cat(pieces)[: parameter.ds_shape.numel()].reshape(parameter.ds_shape))
    return {
        "digests": whole,
        "collectives": seen.get_total_counts(),
        "elements": done.elements - (sum(p.ds_shape.numel() for p in model.parameters()) if gathered else 0),
        "verified": bool(wb.verify(made, model)),
        "mine": sum(_mine(parameter) for parameter in model.parameters()) + model.scale.numel(),
    }


@contextmanager
def _gathered(model: nn.Module, real: bool) -> Iterator[None]:
    """All parameters whole for a while; what is written into them is dropped, as DeepSpeed does without a rank."""
    if real:
        import deepspeed

        with deepspeed.zero.GatheredParameters(list(model.parameters())):
            yield
        return
    for parameter in model.parameters():
        parameter.data = torch.full(parameter.ds_shape, float("nan"))
    yield
    for parameter in model.parameters():
        assert not parameter.isnan().any()
        parameter.data = torch.empty(0)


def _partition(parameter: Any) -> None:
    """Do what DeepSpeed's partition_parameters.py does: flatten, pad, cut, leave an empty tensor behind."""
    rank, size = processes.get_rank(), processes.get_world_size()
    parameter.ds_shape, parameter.ds_numel = parameter.shape, parameter.numel()
    length = -(-parameter.numel() // size)
    padded = torch.zeros(length * size)
    padded[: parameter.numel()] = parameter.detach().flatten()
    parameter.ds_tensor = padded[rank * length : (rank + 1) * length].clone()
    parameter.ds_tensor.ds_numel = length
    parameter.ds_secondary_tensor = None
    parameter.ds_process_group = processes.group.WORLD
    parameter.data = torch.empty(0)


def _mine(parameter: Any) -> int:
    length, rank = parameter.ds_tensor.numel(), processes.get_rank()
    return max(min(length, parameter.ds_shape.numel() - rank * length), 0)


def costs(rows: int, columns: int) -> dict[str, int]:
    """What applying a plan to a large shard takes: elements drawn, and memory above the shard."""
    from wellbegun.laws import Normal
    from wellbegun.plans import Entry
    from wellbegun.targets import array

    law = Normal(std=0.02)
    entry = Entry("weight", "parameter", (rows, columns), "float32", "linear weight", repr(law), law, "a test")
    mesh = init_device_mesh("cpu", (processes.get_world_size(),))
    model = nn.Linear(columns, rows, bias=False, device="meta")
    fully_shard(model, mesh=mesh)
    model.to_empty(device="cpu")
    with torch.no_grad():
        model.weight.fill_(1.0)  # the memory of the shard is there from here on
    plan, drawn, write = wb.Plan((entry,), seed=1, recipe="test@1"), [], array.write

    def counting(out: Any, *arguments: Any) -> int:
        drawn.append(out.size)
        return int(write(out, *arguments))

    wb.apply(plan, model)  # loads the kernels
    array.write = counting
    try:
        Path("/proc/self/clear_refs").write_text("5", "ascii")
        before = _memory("VmRSS")
        wb.apply(plan, model, overwrite=True)
        above = _memory("VmHWM") - before
    finally:
        array.write = write
    return {"drawn": sum(drawn), "local": model.weight.to_local().numel(), "above": above}


def _memory(key: str) -> int:
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))


def flat(plan: str, original: bool) -> dict[str, Any]:
    """What becomes of a plan that is applied after FSDP1 has wrapped the model, and before."""
    made, late, early = wb.load_plan(plan), build(0, False), build(0, False)
    options: dict[str, Any] = {"auto_wrap_policy": ModuleWrapPolicy({type(late.layers["0"])})}
    options |= {"use_orig_params": original, "device_id": torch.device("cpu")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # FSDP1 says that it is deprecated
        wrapped = FullyShardedDataParallel(late, **options)
        before = [parameter.detach().clone() for parameter in wrapped.parameters()]
        words = []
        for use in (wb.apply, wb.verify, lambda _, model: wb.verify_replicas(model)):
            try:
                use(made, wrapped)
            except ApplyError as error:
                words.append(str(error))
        same = all(torch.equal(old, new) for old, new in zip(before, wrapped.parameters(), strict=True))
        wb.apply(made, early)
        wrapped = FullyShardedDataParallel(early, **options)
        with FullyShardedDataParallel.summon_full_params(wrapped):
            named = wrapped.named_parameters()
            whole = {name.replace("_fsdp_wrapped_module.", ""): digest(tensor.clone()) for name, tensor in named}
    return {"words": words, "untouched": same, "digests": whole}


def part_sharded() -> dict[str, Any]:
    """Shard rows 4 to 7 of a weight of 8 rows, and apply the plan of the whole."""
    whole, part = nn.Linear(5, 8, bias=False), nn.Linear(5, 4, bias=False)
    plan, regions = wb.plan(whole, "vector:5", seed=1), {"weight": (slice(4, 8), slice(None))}
    fully_shard(part, mesh=init_device_mesh("cpu", (processes.get_world_size(),)))
    done = wb.apply(plan, part, regions=regions)
    wb.apply(plan, whole)
    return {
        "equal": torch.equal(part.weight.full_tensor(), whole.weight[4:]),
        "elements": done.elements,
        "verified": bool(wb.verify(plan, part, regions=regions)),
    }


def _pair() -> nn.Sequential:
    return nn.Sequential(nn.Linear(8, 6), nn.Linear(6, 5))


def gathered_now() -> dict[str, Any]:
    """Apply a plan while FSDP2 has left whole tensors in the place of their shards."""
    whole, model = _pair(), _pair()
    plan, data = wb.plan(whole, "vector:8", seed=1), torch.ones(2, 8)
    wb.apply(plan, whole)
    fully_shard(model, mesh=init_device_mesh("cpu", (processes.get_world_size(),)), reshard_after_forward=False)
    model(data)
    kinds = [fault.kind for fault in wb.verify(plan, model).faults]
    refused = ""
    try:
        wb.apply(plan, model)
    except ApplyError as error:
        refused = str(error)
    wb.verify_replicas(model)
    model.reshard()
    wb.apply(plan, model)
    loss = (model(data) - whole(data)).abs().sum()
    loss.backward()
    return {
        "refused": refused,
        "kinds": kinds,
        "equal": all(
            torch.equal(a.full_tensor(), b) for a, b in zip(model.parameters(), whole.parameters(), strict=True)
        ),
        "trains": float(loss.detach()) < 1e-5,
    }


def emptied() -> dict[str, Any]:
    """Move a model to meta after a forward pass, and apply a plan."""
    whole, model = _pair(), _pair()
    plan, data = wb.plan(whole, "vector:8", seed=1), torch.ones(2, 8)
    wb.apply(plan, whole)
    fully_shard(model, mesh=init_device_mesh("cpu", (processes.get_world_size(),)))
    model(data)
    model.to("meta")
    wb.apply(plan, model)
    equal = all(torch.equal(a.full_tensor(), b) for a, b in zip(model.parameters(), whole.parameters(), strict=True))
    return {"equal": equal, "output": torch.allclose(model(data), whole(data), atol=1e-6)}


def in_group() -> list[tuple[str, tuple[int, ...]]]:
    """Verify in the group of the last two processes, of which the last has a flipped bit."""
    rank, size = processes.get_rank(), processes.get_world_size()
    group = processes.new_group([size - 2, size - 1])
    model = _pair()
    plan = wb.plan(model, "vector:8", seed=1)
    wb.apply(plan, model)
    if rank < size - 2:
        return []
    if rank == size - 1:
        with torch.no_grad():
            model[0].weight.view(torch.int32)[0, 5] ^= 1
    return [(fault.kind, fault.ranks) for fault in wb.verify(plan, model, group=group).faults]
