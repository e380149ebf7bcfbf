"""Checkpoints hold the planned bits, whoever writes them and in whatever pieces."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, load_model
from torch import nn

import wellbegun as wb
from wellbegun.errors import ApplyError, ArgumentError
from wellbegun.plans import Plan
from wellbegun.targets.checkpoint.content import Content
from wellbegun.targets.checkpoint.shards import deal
from wellbegun.targets.checkpoint.write import write_shards
from wellbegun.targets.tensor import tensor_array

from .plans import entry, many_kinds, names, plain, shards_of, sums, tensors_of

BOUNDED = 4096


def same(tensor: torch.Tensor, values: np.ndarray) -> bool:
    """Whether shape, type and every bit agree."""
    array = tensor_array(tensor)
    return (array.shape, array.dtype, array.tobytes()) == (values.shape, values.dtype, values.tobytes())


def test_the_files_hold_the_planned_bits(tmp_path: Path) -> None:
    plan = many_kinds()
    done = wb.write_checkpoint(plan, tmp_path / "out", max_shard_bytes="4kB")
    found = dict(tensors_of(tmp_path / "out"))
    assert set(found) == {made.name for made in plan if made.persistent}
    for name, tensor in found.items():
        assert same(tensor, wb.to_numpy(plan, name)), name
    assert not found["table"][3].any()
    assert done.tensors == len(found)
    assert done.part == (1, 1)
    assert done.skipped == ()
    assert done.bytes == sum(path.stat().st_size for path in done.files if path.suffix == ".safetensors")
    assert names(tmp_path / "out") == sorted(path.name for path in done.files)
    assert done.files[-1].name == "model.safetensors.index.json"
    index = json.loads(done.files[-1].read_text())
    assert {name: safe_open(tmp_path / "out" / file, "pt").get_tensor(name).shape for name, file in
            index["weight_map"].items()} == {name: tensor.shape for name, tensor in found.items()}  # fmt: skip


def test_any_stretch_of_a_file_is_drawn_alone() -> None:
    (shard,) = shards_of(many_kinds(), 10**9)
    content = Content(many_kinds(), shard)
    whole = np.zeros(content.size, np.uint8)
    content.draw(whole, 0)
    for step in (8, 72, 1000, 4096):
        pieces = np.zeros_like(whole)
        for position in reversed(range(0, content.size, step)):
            content.draw(pieces[position : position + step], position)
        assert np.array_equal(pieces, whole), step


def test_a_slice_of_the_file_is_made_without_the_file(tmp_path: Path) -> None:
    plan = plain()
    wb.write_checkpoint(plan, tmp_path / "out")
    with safe_open(tmp_path / "out" / "model.safetensors", "pt") as file:
        part = file.get_slice("layers.3.weight")[100:107, 20:160]
    assert same(part, wb.to_numpy(plan, "layers.3.weight", (slice(100, 107), slice(20, 160))))


@pytest.mark.parametrize("chunk", [BOUNDED, 5 * BOUNDED, 1 << 20])
@pytest.mark.parametrize("threads", [1, 3])
def test_neither_pieces_nor_threads_change_a_byte(tmp_path: Path, chunk: int, threads: int) -> None:
    plan = plain(tensors=5)
    usual = wb.get_num_threads()
    wb.write_checkpoint(plan, tmp_path / "usual", max_shard_bytes="200kB")
    shards = shards_of(plan, 200_000)
    try:
        wb.set_num_threads(threads)
        write_shards(plan, tmp_path / "other", shards, shards, False, False, chunk=chunk)
    finally:
        wb.set_num_threads(usual)
    assert sums(tmp_path / "other") == sums(tmp_path / "usual")


@pytest.mark.parametrize("writers", [2, 3, 8])
def test_any_number_of_writers_gives_the_same_files(tmp_path: Path, writers: int) -> None:
    plan = plain()
    wb.write_checkpoint(plan, tmp_path / "one", max_shard_bytes="120kB")
    together, apart = tmp_path / "together", {}
    for number in reversed(range(writers)):
        part = f"{number + 1}/{writers}"
        done = wb.write_checkpoint(plan, together, max_shard_bytes="120kB", part=part)
        alone = wb.write_checkpoint(plan, tmp_path / f"alone{number}", max_shard_bytes="120kB", part=part)
        assert [path.name for path in alone.files] == [path.name for path in done.files]
        assert done.part == (number + 1, writers)
        apart |= sums(tmp_path / f"alone{number}")
    assert sums(together) == sums(tmp_path / "one") == apart


def test_types(tmp_path: Path) -> None:
    plan = many_kinds()
    kept = {"complex": "complex64", "count": "int64", "flags": "bool"}
    for dtype in ("bfloat16", torch.float16, "float64"):
        name = str(dtype).removeprefix("torch.")
        wb.write_checkpoint(plan, tmp_path / name, dtype=dtype)
        for key, tensor in load_file(tmp_path / name / "model.safetensors").items():
            assert str(tensor.dtype) == f"torch.{kept.get(key, name)}", key
    law = wb.Normal(std=0.02)
    double = load_file(tmp_path / "bfloat16" / "model.safetensors")["double"]
    expected = torch.empty(5, 11, dtype=torch.bfloat16)
    wb.fill(expected, law, seed=7, name="double")
    assert torch.equal(double, expected)
    for bad in ("bf16", "int8", "complex64", torch.int32):
        with pytest.raises(ArgumentError, match="dtype must be"):
            wb.write_checkpoint(plan, tmp_path / "bad", dtype=bad)
    large = Plan((entry("w", (4,), wb.Normal(std=1e6)),), 1, "by hand")
    with pytest.raises(ApplyError, match=r"w: .* float16 holds numbers up to"):
        wb.write_checkpoint(large, tmp_path / "bad", dtype="float16")
    wide = Plan((entry("w", (4,), wb.Normal(std=1.0), "complex128"),), 1, "by hand")
    with pytest.raises(ApplyError, match="safetensors has no type complex128"):
        wb.write_checkpoint(wide, tmp_path / "bad")
    assert not (tmp_path / "bad").exists()


def build() -> nn.Module:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(20, 16)
            self.register_buffer("scale", torch.linspace(0, 1, 16))
            self.register_buffer("passing", torch.ones(16), persistent=False)
            self.layers = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.BatchNorm1d(16))
            self.head = nn.Linear(16, 20, bias=False)
            self.head.weight = self.table.weight

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return self.head(self.layers(self.table(ids) * self.scale * self.passing))

    return Net()


IDS = torch.arange(8)


def test_a_model_loads_what_apply_would_have_written(tmp_path: Path) -> None:
    with wb.skeleton():
        model = build()
    plan = wb.plan(model, IDS, seed=3, rules={"scale": wb.Keep()})
    assert [made.name for made in plan if not made.persistent] == ["passing"]
    done = wb.write_checkpoint(plan, tmp_path / "out", model=model)
    wb.write_checkpoint(plan, tmp_path / "given", values={"scale": torch.linspace(0, 1, 16).numpy()})
    assert sums(tmp_path / "given") == sums(tmp_path / "out")
    loaded = build()
    load_model(loaded, done.files[0])
    wb.apply(plan, model)
    for (name, one), (_, other) in zip(loaded.state_dict().items(), model.state_dict().items(), strict=True):
        assert torch.equal(one, other), name
    found = load_file(done.files[0])
    assert "table.weight" in found
    assert "head.weight" not in found
    wb.write_checkpoint(plan, tmp_path / "wrapped", model=nn.DataParallel(model))
    assert sums(tmp_path / "wrapped") == sums(tmp_path / "out")


def test_values_that_nobody_gave(tmp_path: Path) -> None:
    plan = wb.plan(build, IDS, seed=3, rules={"scale": wb.Keep(), "layers.0.bias": wb.Keep()})
    with pytest.raises(
        ApplyError, match=r"layers.0.bias: the plan keeps the value(.|\n)*scale: the plan keeps"
    ) as told:
        wb.write_checkpoint(plan, tmp_path / "out")
    assert "values={'scale': array}" in str(told.value)
    with pytest.raises(ArgumentError, match="did you mean 'scale'"):
        wb.write_checkpoint(plan, tmp_path / "out", values={"scales": np.zeros(16)})
    shapes = {"scale": np.zeros(15, np.float32), "layers.0.bias": np.zeros(16, np.float32)}
    with pytest.raises(ApplyError, match=r"scale: planned \[16\], the value given is \[15\]"):
        wb.write_checkpoint(plan, tmp_path / "out", values=shapes)
    with pytest.raises(ArgumentError, match="model or values, not both"):
        wb.write_checkpoint(plan, tmp_path / "out", values=shapes, model=build())
    assert not (tmp_path / "out").exists()


def test_a_law_that_keeps_a_part(tmp_path: Path) -> None:
    """What no patch holds is the given value, in pieces that begin anywhere."""
    law = wb.Patched(wb.Keep(), [(((2, 5), (1, 400)), wb.Normal(std=0.02)), (((90, 91),), wb.Constant(1.0))])
    own = np.arange(100 * 500, dtype=np.float32).reshape(100, 500)
    plan = Plan((entry("w", (100, 500), law), entry("after", (9,), wb.Normal(std=1.0))), 3, "by hand")
    model = nn.Module()
    model.w, model.after = nn.Parameter(torch.from_numpy(own.copy())), nn.Parameter(torch.zeros(9))
    with pytest.raises(ApplyError, match="w: the plan keeps the value"):
        wb.write_checkpoint(plan, tmp_path / "out")
    wb.write_checkpoint(plan, tmp_path / "out", values={"w": own})
    wb.write_checkpoint(plan, tmp_path / "model", model=model)
    wb.apply(plan, model)
    found = load_file(tmp_path / "out" / "model.safetensors")
    assert torch.equal(found["w"], model.w.detach())
    assert torch.equal(found["after"], model.after.detach())
    assert sums(tmp_path / "model") == sums(tmp_path / "out")
    low = torch.from_numpy(own).to(torch.bfloat16)
    wb.write_checkpoint(plan, tmp_path / "low", values={"w": own}, dtype="bfloat16")
    assert torch.equal(load_file(tmp_path / "low" / "model.safetensors")["w"][6:90], low[6:90])


def test_the_model_of_another_plan(tmp_path: Path) -> None:
    plan = wb.plan(nn.Linear(4, 4), seed=1)
    with pytest.raises(ApplyError, match="the state dict holds what the plan does not have"):
        wb.write_checkpoint(plan, tmp_path / "out", model=build())
    normed = nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))
    with pytest.raises(ApplyError, match="weights that are computed from others"):
        wb.write_checkpoint(wb.plan(normed, seed=1), tmp_path / "out", model=normed)
    assert not (tmp_path / "out").exists()


def test_saved_plans_know_what_a_state_dict_holds(tmp_path: Path) -> None:
    plan = wb.plan(build, IDS, seed=3)
    plan.save(tmp_path / "plan.json")
    loaded = wb.load_plan(tmp_path / "plan.json")
    assert [made.persistent for made in loaded] == [made.persistent for made in plan]
    assert "passing" not in dict(tensors_of(wb.write_checkpoint(loaded, tmp_path / "out").files[0].parent))


def test_progress_counts_up_to_the_whole(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    done = wb.write_checkpoint(
        plain(), tmp_path / "out", max_shard_bytes="300kB", progress=lambda *numbers: told.append(numbers)
    )
    assert told[-1] == (done.bytes, done.bytes)
    assert [first for first, _ in told] == sorted(first for first, _ in told)
    shards = shards_of(plain(), 300_000)
    assert sum(shard.size for shard in deal(shards, (1, 1))) == done.bytes
