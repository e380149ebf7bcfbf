"""How tensors are dealt to files and files to writers."""

from __future__ import annotations

import dataclasses
import json
import struct
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given
from safetensors import safe_open

import wellbegun as wb
from wellbegun.errors import ArgumentError
from wellbegun.plans import Plan
from wellbegun.targets.checkpoint.header import LARGEST_HEADER, header_bytes
from wellbegun.targets.checkpoint.shards import deal, index_text, is_weights, parse_part, parse_size

from .plans import entry, file_names, many_kinds, plain, shards_of

SIZES = st.lists(st.integers(1, 400), min_size=1, max_size=30)


def sized(sizes: list[int]) -> Plan:
    return Plan(tuple(entry(f"t{n}", (size,), wb.Normal(std=1.0)) for n, size in enumerate(sizes)), 1, "by hand")


@given(SIZES, st.integers(1, 3000))
def test_every_tensor_is_in_one_file_that_is_not_too_large(sizes: list[int], most: int) -> None:
    plan = sized(sizes)
    shards = shards_of(plan, most)
    assert [tensor.name for shard in shards for tensor in shard.tensors] == [made.name for made in plan]
    for shard in shards:
        assert len(shard.tensors) == 1 or sum(tensor.bytes for tensor in shard.tensors) <= most
    assert len(set(file_names(shards))) == len(shards)
    assert (file_names(shards) == ["model.safetensors"]) == (len(shards) == 1)
    where = json.loads(index_text(shards))
    assert where["weight_map"] == {tensor.name: shard.name for shard in shards for tensor in shard.tensors}
    assert where["metadata"] == {"total_parameters": sum(sizes), "total_size": 4 * sum(sizes)}


@given(SIZES, st.integers(1, 3000), st.integers(1, 6))
def test_every_file_has_one_writer_and_loads_are_even(sizes: list[int], most: int, writers: int) -> None:
    shards = shards_of(sized(sizes), most)
    if writers > len(shards):
        with pytest.raises(ArgumentError, match=f"has {len(shards)} file"):
            deal(shards, (1, writers))
        return
    parts = [deal(shards, (number + 1, writers)) for number in range(writers)]
    assert sorted(name for part in parts for name in file_names(part)) == sorted(file_names(shards))
    loads = [sum(shard.size for shard in part) for part in parts]
    assert max(loads) - min(loads) <= max(shard.size for shard in shards)


def test_elements_lie_at_multiples_of_their_size() -> None:
    (shard,) = shards_of(many_kinds(), 10**9)
    assert len(shard.header) % 8 == 0
    (length,) = struct.unpack("<Q", shard.header[:8])
    record = json.loads(shard.header[8 : 8 + length])
    plan = many_kinds()
    assert record.pop("__metadata__") == {
        "format": "pt", "wellbegun.plan": plan.hash, "wellbegun.sampler": "1", "wellbegun.seed": "7",
    }  # fmt: skip
    end = 0
    for tensor in shard.tensors:
        begin, end_of_this = record.pop(tensor.name)["data_offsets"]
        assert begin == end
        assert (len(shard.header) + begin) % tensor.itemsize == 0
        end = end_of_this
    assert record == {}
    assert shard.size == len(shard.header) + end


@pytest.mark.parametrize("size", [0, -1, True, "5XB", "", "GB", 2.5, None])
def test_sizes_that_are_none(size: object) -> None:
    with pytest.raises(ArgumentError, match="max_shard_bytes must be bytes"):
        parse_size(size)  # type: ignore[arg-type]


@pytest.mark.parametrize("part", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2", 3])
def test_parts_that_are_none(part: object) -> None:
    with pytest.raises(ArgumentError, match="part must be 'i/n'"):
        parse_part(part)  # type: ignore[arg-type]


def test_too_many_names_for_one_header() -> None:
    (small,) = shards_of(sized([1]), 10)
    long = dataclasses.replace(small.tensors[0], name="x" * LARGEST_HEADER)
    with pytest.raises(ArgumentError, match=r"of 1 tensors take 100,000,\d+ bytes.*choose a smaller max_shard_bytes"):
        header_bytes([long], {})


def test_a_header_of_megabytes_is_read(tmp_path: Path) -> None:
    """As many names as the experts of the largest models have."""
    names = [f"model.layers.{n // 768}.mlp.experts.{n % 768}.weight" for n in range(20_000)]
    plan = Plan(tuple(entry(name, (1,), wb.Normal(std=1.0)) for name in names), 1, "by hand")
    wb.write_checkpoint(plan, tmp_path)
    with safe_open(tmp_path / "model.safetensors", "np") as file:
        assert set(file.keys()) == set(names)
        assert file.get_tensor(names[-1]) == wb.to_numpy(plan, names[-1])
    assert (tmp_path / "model.safetensors").stat().st_size > 2e6


def test_names_that_belong_to_a_checkpoint() -> None:
    for shard in shards_of(plain(), 200_000):
        assert is_weights(shard.name)
        assert is_weights(f".{shard.name}.part")
    assert is_weights("model.safetensors.index.json")
    assert not any(map(is_weights, ("plan.json", "model.bin", "model-1-of-2.safetensors", "adapter_model.safetensors")))
