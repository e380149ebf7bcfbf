"""One of two JAX processes that make the arrays of one plan: `jax_process.py PLAN RANK PORT` prints what it holds."""

from __future__ import annotations

import hashlib
import json
import sys

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import wellbegun as wb

path, rank, port = sys.argv[1:]
jax.distributed.initialize(f"localhost:{port}", num_processes=2, process_id=int(rank))
plan = wb.load_plan(path)

drawn = 0
wb.to_jax  # noqa: B018  (loads the module whose writing is counted)
module = sys.modules["wellbegun.targets.array"]
write = module.write


def counted(out: np.ndarray, *rest: object) -> int:
    global drawn
    drawn += out.size
    return write(out, *rest)


module.write = counted
mesh = Mesh(np.array(jax.devices()).reshape(4, 2), ("x", "y"))
found = {}
for axes in (["x"], [None, "y"], [("y", "x")], [None, ("x", "y")]):
    sharding = NamedSharding(mesh, PartitionSpec(*axes))
    for entry in plan:
        drawn = 0
        like = {entry.name: jax.ShapeDtypeStruct(entry.shape, entry.dtype)}
        array = wb.to_jax(plan, sharding, like=like)[entry.name]
        shards = [
            {
                "corner": [[*part.indices(size)[:2]] for part, size in zip(shard.index, array.shape, strict=True)],
                "sha256": hashlib.sha256(np.asarray(shard.data).tobytes()).hexdigest(),
            }
            for shard in array.addressable_shards
        ]
        found[f"{entry.name} {sharding.spec}"] = {"drawn": drawn, "shards": shards}
print(json.dumps(found))
