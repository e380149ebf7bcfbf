"""What two processes are asked to do: build the same model, put it into a layout, plant a fault, diagnose it."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import Any

import torch
import torch.distributed as processes
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
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
    mesh = init_device_mesh("cpu", (processes.get_world_size(),))
    if layout == "tp":
        return parallelize_module(model, mesh, {"0": ColwiseParallel(), "2": RowwiseParallel()})
    policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16 if layout == "fsdp bfloat16" else None)
    for part in model.layers.values() if hasattr(model, "layers") else [model[0], model[2]]:
        fully_shard(part, mesh=mesh, mp_policy=policy)
    return fully_shard(model, mesh=mesh, mp_policy=policy)


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
