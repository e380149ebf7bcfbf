"""Cases of the field that only show on several processes, simulated in one."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributed.tensor import Replicate, Shard
from torch.distributed.tensor.placement_types import _StridedShard

import wellbegun as wb
from wellbegun.targets import array

from .test_grid import Holder, distributed, held, one_entry, world

METHODS: dict[str, Any] = {
    "xavier": wb.XavierUniform(),
    "kaiming": wb.HeNormal(),
    "lecun": wb.LecunNormal(),
    "torch's own": wb.FanInUniform(),
    "orthogonal": wb.Orthogonal(),
}


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_7_row_parallel_weights_have_the_fans_of_the_whole(method: Any) -> None:
    """4096 inputs over 1, 2, 4 and 8 processes: gathered, the same bits."""
    law = method.law(wb.Fans(fan_in=4096, fan_out=32))
    plan, whole = one_entry((32, 4096), law, "float32"), nn.Linear(4096, 32, bias=False)
    wb.apply(plan, whole)
    for size in (1, 2, 4, 8):
        with world(size):
            model = Holder(distributed(torch.zeros(32, 4096), (size,), (Shard(1),)))
            wb.apply(plan, model)
            parts = held(model.weight)
            assert torch.equal(torch.cat([parts[rank] for rank in sorted(parts)], 1), whole.weight)


def test_2_no_two_shards_layers_or_experts_share_numbers() -> None:
    """Many layers of one shape, over four processes: no block of 64 numbers twice, no correlation."""
    layers = [f"layers.{number}.weight" for number in range(6)]
    with world(4):
        parts: list[torch.Tensor] = []
        for name in [*layers, "experts"]:
            shape = (4, 64, 64) if name == "experts" else (256, 64)
            plan = one_entry(shape, wb.Normal(std=0.02), "float32")
            entry = plan.entries[0]
            plan = wb.Plan((type(entry)(**{**vars(entry), "stream": name}),), seed=7, recipe="test@1")
            model = Holder(distributed(torch.zeros(shape), (4,), (Shard(0),)))
            wb.apply(plan, model)
            parts += list(held(model.weight).values())
    assert len(parts) == 28
    assert all(part.numel() == 4096 for part in parts)
    blocks = [block.numpy().tobytes() for part in parts for block in part.reshape(-1, 64)]
    assert len(set(blocks)) == len(blocks)
    correlations = np.corrcoef(np.stack([part.numpy().ravel() for part in parts])) - np.eye(len(parts))
    # the largest of 378 correlations of 4,096 independent pairs is about 3.3 / 64 = 0.05; 0.0625 is 4 sigma
    assert np.abs(correlations).max() < 4 / 64


def test_1_a_process_asks_for_its_own_elements_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the placements, the sampler is asked for as many elements as the process holds."""
    drawn: list[int] = []
    write = array.write

    def counting(out: Any, *arguments: Any) -> int:
        drawn.append(out.size)
        return int(write(out, *arguments))

    monkeypatch.setattr(array, "write", counting)
    choices = [Replicate(), Shard(0), Shard(1), _StridedShard(0, split_factor=4)]
    with world(4):
        for chosen in itertools.product(choices, repeat=2):
            model = Holder(distributed(torch.zeros(96, 80), (2, 2), chosen))
            drawn.clear()
            wb.apply(one_entry((96, 80), wb.Uniform(-1.0, 1.0), "bfloat16"), model)
            assert sum(drawn) == sum(part.numel() for part in held(model.weight).values())
