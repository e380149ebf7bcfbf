"""What two processes are asked to do: build the same model, put it into a layout, plant a fault, diagnose it."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import Any

import torch
import torch.distributed as processes
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import CPUOffloadPolicy, FullyShardedDataParallel, MixedPrecisionPolicy, fully_shard
from torch.distributed.pipelining import PipelineStage
from torch.distributed.tensor import DTensor
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

import wellbegun as wb

Answer = dict[str, Any]


def build(kind: str) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """A network with weights of its authors, and the whole batch: the same on every process."""
    made = torch.Generator().manual_seed(3)
    torch.manual_seed(3)
    if kind == "gpt":
        from distributed.models import GPT, VOCABULARY

        tokens = torch.randint(4, VOCABULARY, (16, 13), generator=made)
        return GPT(layers=2), tokens[:, :-1], tokens[:, 1:]
    layers = [nn.Linear(10, 24), nn.Tanh(), nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, 2)]
    if kind == "normalised":
        layers.insert(1, nn.BatchNorm1d(24))
    return (
        nn.Sequential(*layers),
        torch.randn(40, 10, generator=made),
        torch.randint(2, (40,), generator=made),
    )


def laid_out(model: nn.Module, layout: str) -> nn.Module:
    if layout == "alone":
        return model
    if layout == "ddp":
        return nn.parallel.DistributedDataParallel(model)
    if layout == "fsdp1":
        return FullyShardedDataParallel(model, device_id=torch.device("cpu"))
    if layout == "zero":
        for parameter in model.parameters():
            _cut(parameter)
        return model
    mesh = init_device_mesh("cpu", (processes.get_world_size(),))
    if layout == "hsdp":
        mesh = init_device_mesh("cpu", (2, processes.get_world_size() // 2), mesh_dim_names=("replicate", "shard"))
    if layout == "tp":
        return parallelize_module(model, mesh, {"0": ColwiseParallel(), "2": RowwiseParallel()})
    options: dict[str, Any] = {"mesh": mesh}
    if layout == "fsdp bfloat16":
        options["mp_policy"] = MixedPrecisionPolicy(param_dtype=torch.bfloat16)
    if layout == "fsdp offloaded":
        options["offload_policy"] = CPUOffloadPolicy(pin_memory=False)
    for part in model.layers.values() if hasattr(model, "layers") else [model[0], model[2]]:
        fully_shard(part, **options)
    return fully_shard(model, **options)


def _cut(parameter: Any) -> None:
    """Leave this process a flat piece, as DeepSpeed's ZeRO-3 does, under its names."""
    size, number = processes.get_world_size(), parameter.numel()
    flat = parameter.detach().reshape(-1)
    parameter.ds_tensor = torch.nn.functional.pad(flat, (0, -number % size)).chunk(size)[processes.get_rank()].clone()
    parameter.ds_shape, parameter.ds_numel = parameter.shape, number
    parameter.data = torch.empty(0)


def local(tensor: torch.Tensor) -> torch.Tensor:
    return (tensor.to_local() if isinstance(tensor, DTensor) else tensor).detach()


def state(model: nn.Module) -> dict[str, str]:
    """Every byte that this process holds of a model: values, gradients, kinds of tensors, hooks, modes."""
    found = {}
    for name, tensor in [*model.named_parameters(remove_duplicate=False), *model.named_buffers()]:
        for what, held in ((name, tensor), (f"{name}.grad", tensor.grad)):
            if held is not None:
                digest = hashlib.sha256(
                    local(held).clone(memory_format=torch.contiguous_format).numpy().tobytes()
                ).hexdigest()
                found[what] = f"{id(held)} {type(held).__name__} {tuple(held.shape)} {digest}"
    for name, module in model.named_modules():
        hooks = [list(module._forward_pre_hooks), list(module._forward_hooks), list(module._backward_hooks)]
        found[f"{name}()"] = f"{type(module).__name__} {module.training} {hooks} {sorted(vars(module))}"
    return found


def mine(tensor: torch.Tensor) -> torch.Tensor:
    """This process's share of the whole batch."""
    return tensor.chunk(processes.get_world_size())[processes.get_rank()]


def plant(model: nn.Module, fault: str, name: str) -> None:
    """On the last process alone."""
    if processes.get_rank() == processes.get_world_size() - 1 and fault:
        with torch.no_grad():
            weight = local(model.get_parameter(name))
            weight[0, 0] = float("nan")
            if fault == "zeros":
                weight.zero_()
                local(model.get_parameter(name.replace("weight", "bias"))).zero_()


def found_in(diagnosis: Any) -> Answer:
    return {
        "facts": asdict(diagnosis.facts),
        "findings": [asdict(finding) for finding in diagnosis.findings],
        "source": diagnosis.source,
        "text": str(diagnosis),
    }


def diagnosed(kind: str, layout: str, fault: str = "", name: str = "", **options: Any) -> Answer:
    """Diagnose together; then train one step, to see that nothing hangs."""
    model, inputs, targets = build(kind)
    shown = laid_out(model, layout)
    shown(mine(inputs)).logsumexp(-1).mean().backward()  # gradients to be kept
    if hasattr(shown, "reshard"):
        shown.reshard()
    plant(model, fault, name)
    before, random = state(shown), torch.get_rng_state()
    answer = found_in(wb.diagnose(shown, (mine(inputs), mine(targets)), **options))
    answer["kept"] = state(shown) == before and torch.equal(torch.get_rng_state(), random)
    loss = shown(mine(inputs)).square().mean()
    loss.backward()
    answer["trains"] = fault == "nan" or bool(torch.isfinite(loss))
    return answer


def alone(kind: str, **options: Any) -> Answer:
    """Diagnose the whole batch on the first process, which asks nobody."""
    if processes.get_rank():
        return {}
    model, inputs, targets = build(kind)
    return found_in(wb.diagnose(model, (inputs, targets), **options))


def planned(layout: str) -> Answer:
    """Diagnose against a plan and with theory; one weight is not what the plan says."""
    model, inputs, targets = build("mlp")
    plan = wb.plan(model, "vector:10", seed=1)
    shown = laid_out(model, layout)
    wb.apply(plan, shown)
    with torch.no_grad():
        local(model[2].weight).mul_(3.0)
    return found_in(wb.diagnose(shown, (mine(inputs), mine(targets)), plan=plan, theory=True))


def gathered() -> Answer:
    """Diagnose a model that FSDP2 has left whole after a forward pass."""
    model, inputs, targets = build("mlp")
    fully_shard(model, mesh=init_device_mesh("cpu", (processes.get_world_size(),)), reshard_after_forward=False)
    model(mine(inputs))
    assert not isinstance(model[0].weight, DTensor)
    before = state(model)
    answer = found_in(wb.diagnose(model, (mine(inputs), mine(targets))))
    answer["kept"] = state(model) == before
    model.reshard()
    model(mine(inputs)).mean().backward()
    return answer


def staged(grid: tuple[int, ...]) -> Answer:
    """Diagnose the two stages of a pipeline, each under FSDP2 on the processes of its own, side by side.

    grid: processes for each stage, over one dimension of a mesh or two.
    """
    model, inputs, targets = build("mlp")
    names = ("replicate", "shard")[-len(grid) :]
    mesh = init_device_mesh("cpu", (2, *grid), mesh_dim_names=("stage", *names))
    stage, size = mesh.get_local_rank("stage"), processes.get_world_size() // 2
    place = processes.get_rank() % size
    passed = model[:2](inputs).detach() if stage else inputs
    part = model[2:] if stage else model[:2]
    answer: Answer = {"stage": stage}
    if not place:
        answer["alone"] = found_in(wb.diagnose(part, (passed, targets) if stage else passed))
    processes.barrier()
    fully_shard(part, mesh=mesh[names])
    mine = passed.chunk(size)[place]
    found = wb.diagnose(part, (mine, targets.chunk(size)[place]) if stage else mine)
    return answer | found_in(found)


def stage() -> tuple[str, Answer]:
    """Diagnose a stage as torch's pipelines hold it: the stage is refused, its module is a model as others."""
    model, inputs, _ = build("mlp")
    rank = processes.get_rank()
    part = model[2:] if rank else model[:2]
    made = PipelineStage(part, rank, 2, torch.device("cpu"))
    passed = model[:2](inputs).detach() if rank else inputs
    return refused(made, passed), found_in(wb.diagnose(made.submod, passed))


def refused(model: Any, batch: Any) -> str:
    try:
        wb.diagnose(model, batch)
    except wb.errors.ArgumentError as error:
        return str(error)
    return ""


def in_pieces(layout: str) -> str:
    model, inputs, targets = build("mlp")
    return refused(laid_out(model, layout), (mine(inputs), mine(targets)))


def failing() -> str:
    """One process has a batch that does not fit."""
    model, inputs, targets = build("mlp")
    width = 9 if processes.get_rank() else 10
    try:
        wb.diagnose(laid_out(model, "ddp"), (mine(inputs)[:, :width], mine(targets)))
    except wb.errors.TraceError as error:
        return str(error)
    return ""


def uneven() -> Answer:
    """The first process has 30 of the 40 inputs, of classes that are all in the batch."""
    model, inputs, targets = build("mlp")
    share = slice(30, None) if processes.get_rank() else slice(30)
    return found_in(wb.diagnose(laid_out(model, "ddp"), (inputs[share], targets[share])))


def mended(layout: str) -> list[Answer]:
    """Diagnose a model with a fault on one process, write what `repair` plans, and diagnose again."""
    model, inputs, targets = build("mlp")
    shown, batch = laid_out(model, layout), (mine(inputs), mine(targets))
    plant(model, "nan", "2.weight")
    found = wb.diagnose(shown, batch)
    wb.apply(found.repair(seed=4), shown, overwrite=True)
    return [found_in(found), found_in(wb.diagnose(shown, batch))]
