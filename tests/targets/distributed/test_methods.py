"""Plans that hold trained or measured numbers, and laws of whole matrices: a part of them is what the whole holds."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.distributed.tensor import Replicate, Shard

import wellbegun as wb
from wellbegun.laws import Law

from .test_grid import Holder, distributed, held, one_entry, world

WHOLE = torch.randn(12, 4, generator=torch.Generator().manual_seed(0))


def new_rows() -> Law:
    """What `plan_new_tokens` says of a table of nine trained rows."""
    model = nn.Sequential(nn.Embedding(12, 4))
    with torch.no_grad():
        model[0].weight.copy_(WHOLE)
    return wb.plan_new_tokens(model, 9, seed=7)["0.weight"].law


def selected() -> Law:
    """What `select_weights` says of a smaller layer."""
    model = nn.Linear(4, 12)
    return wb.select_weights(wb.plan(model, seed=7), nn.Linear(8, 24))["weight"].law


LAWS = {"new tokens": new_rows, "selected": selected, "mimetic": lambda: wb.MimeticFactor("qkv", heads=2)}


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("mesh", [(2,), (3,), (2, 2)])
def test_every_process_gets_its_part_of_the_whole(name: str, mesh: tuple[int, ...]) -> None:
    law = LAWS[name]()
    plan = one_entry((12, 4), law, "float32")
    whole = Holder(WHOLE.clone())
    written = wb.apply(plan, whole).elements
    size = 1
    for count in mesh:
        size *= count
    with world(size):
        for chosen in ((Shard(0),), (Shard(1),), (Replicate(),)):
            placed = (*chosen, Shard(0))[: len(mesh)]
            model = Holder(distributed(WHOLE.clone(), mesh, placed))
            done = wb.apply(plan, model)
            parts, truth = held(model.weight), held(distributed(whole.weight.detach(), mesh, placed))
            assert parts.keys() == truth.keys()
            for rank, part in parts.items():
                assert torch.equal(part, truth[rank]), (name, mesh, placed, rank)
            if Replicate() not in placed:
                assert done.elements == written
