"""One process of several: shards a model, records its initialisation code, and writes down what came out."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.distributed.tensor.debug import CommDebugMode
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

sys.path.insert(0, str(Path(__file__).parents[1]))
import wellbegun as wb
from recording.models import STYLES, WITH_LIBRARIES


def shard(model: nn.Module, layout: str, size: int) -> nn.Module:
    stack = next(
        getattr(part, key) for part in model.modules() for key in ("layers", "blocks", "h") if hasattr(part, key)
    )
    blocks = list(stack.values() if isinstance(stack, nn.ModuleDict) else stack)
    if "TP" in layout:
        mesh = init_device_mesh("cpu", (size // 2, 2), mesh_dim_names=("data", "tensor"))
        columns = dict.fromkeys(("attention.wq", "attention.wk", "attention.wv", "feed_forward.w1", "feed_forward.w3"))
        plan = {name: ColwiseParallel() for name in columns}
        plan |= {"attention.wo": RowwiseParallel(), "feed_forward.w2": RowwiseParallel()}
        for block in blocks:
            parallelize_module(block, mesh["tensor"], plan)
        parallelize_module(model, mesh["tensor"], {"output": ColwiseParallel()})
        if "FSDP" not in layout:
            return model
        mesh = mesh["data"]
    elif layout == "HSDP":
        mesh = init_device_mesh("cpu", (2, size // 2), mesh_dim_names=("replicas", "shards"))
    else:
        mesh = init_device_mesh("cpu", (size,))
    for block in blocks:
        fully_shard(block, mesh=mesh)
    return fully_shard(model, mesh=mesh)


def digests(model: nn.Module) -> dict[str, str]:
    """SHA-256 of every whole tensor; gathering them is the only communication of this test."""
    found = {}
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        whole = tensor.detach()
        whole = whole.full_tensor() if isinstance(whole, DTensor) else whole
        found[name] = hashlib.sha256(whole.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()).hexdigest()
    return found


def run(layout: str, style: str, size: int, on_meta: bool) -> dict[str, object]:
    make, initialise = WITH_LIBRARIES[style]
    with torch.device("meta" if on_meta else "cpu"):
        model = make()
    model = shard(model, layout, size)
    held = {name: id(tensor) for name, tensor in model.named_parameters()}
    state = torch.get_rng_state()
    with CommDebugMode() as talk, wb.recording(model, seed=11) as recorded:
        initialise(model)
    assert torch.equal(state, torch.get_rng_state())
    assert "FSDP" not in layout or type(model).__name__ == f"FSDP{make().__class__.__name__}"
    assert on_meta or held == {name: id(tensor) for name, tensor in model.named_parameters()}
    sharded = sum(isinstance(parameter, DTensor) for parameter in model.parameters())
    return {
        "digests": digests(model),
        "collectives": talk.get_total_counts(),
        "elements": recorded.applied.elements,
        "sharded": sharded,
        "hash": recorded.plan.hash,
    }


def replicate() -> dict[str, object]:
    """DistributedDataParallel: the processes start apart, and are equal without anybody sending anything."""
    make, initialise = STYLES["OLMo"]
    model = nn.parallel.DistributedDataParallel(make())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(dist.get_rank())
    with CommDebugMode() as talk, wb.recording(model, seed=11) as recorded:
        initialise(model.module)
    return {
        "digests": digests(model.module),
        "collectives": talk.get_total_counts(),
        "elements": recorded.applied.elements,
        "sharded": 0,
        "hash": recorded.plan.hash,
    }


def partition(rank: int, size: int) -> dict[str, str]:
    """Parameters as ZeRO-3 leaves them, by its attributes: what each process holds of them afterwards."""
    make, initialise = STYLES["OLMo"]
    model = make()
    for parameter in model.parameters():
        parameter.ds_shape = parameter.shape
        parameter.ds_tensor = torch.full((-(-parameter.numel() // size),), -1.0)
        parameter.data = torch.empty(0)
    with wb.recording(model, seed=11):
        initialise(model)
    assert all(parameter.numel() == 0 for parameter in model.parameters())
    return {
        name: hashlib.sha256(parameter.ds_tensor.numpy().tobytes()).hexdigest()
        for name, parameter in model.named_parameters()
    }


def refuse(size: int) -> str:
    """Code that reads numbers of a sharded tensor: an error, and nothing is changed."""
    model = shard(STYLES["OLMo"][0](), "FSDP", size)
    before = digests(model)
    try:
        with wb.recording(model, seed=1), torch.no_grad():
            nn.init.zeros_(model.head.weight)
            model.embeddings.weight.mul_(0.5)
    except wb.errors.ArgumentError as error:
        assert digests(model) == before
        assert type(model).__name__ == "FSDPOlmo"
        return str(error)
    raise AssertionError("nothing was refused")


def patch(size: int) -> dict[str, str]:
    """A row of a sharded tensor is written, the rest keeps its bytes."""
    model = shard(STYLES["OLMo"][0](), "FSDP", size)
    with wb.recording(model, seed=2):
        model.init_weights()
    with wb.recording(model, seed=3, overwrite=True) as recorded, torch.no_grad():
        model.embeddings.weight[7].zero_()
        model.blocks["1"].w_qkv.bias[16:32].normal_()
    assert recorded.applied.written == 2
    return digests(model)


def main() -> None:
    rank, size, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    dist.init_process_group("gloo", rank=rank, world_size=size, store=dist.FileStore(str(folder / "store"), size))
    torch.manual_seed(100 + rank)  # different on every process, on purpose
    found: dict[str, object] = {}
    for layout in ("FSDP", "TP", "HSDP", "FSDP TP") if size == 4 else ("FSDP", "TP"):
        found[f"torchtitan, {layout}"] = run(layout, "torchtitan", size, on_meta=False)
    found["torchtitan, FSDP, meta"] = run("FSDP", "torchtitan", size, on_meta=True)
    found["OLMo, FSDP"] = run("FSDP", "OLMo", size, on_meta=False)
    found["transformers, FSDP"] = run("FSDP", "transformers", size, on_meta=False)
    found["OLMo, DDP"] = replicate()
    found["partitions"] = partition(rank, size)
    found["refused"], found["patched"] = refuse(size), patch(size)
    (folder / f"{rank}.json").write_text(json.dumps(found))
    dist.barrier()  # gloo's threads let go of their last tensors: at the interpreter's end they abort the process
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
