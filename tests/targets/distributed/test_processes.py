"""The same model on real processes: every layout gathers to the bits of one process, without communication."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

import wellbegun as wb

from .models import GPT, stage
from .work import gathered
from .world import World

Worlds = Callable[[int], World]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plans")


def planned(folder: Path, model: nn.Module, name: str) -> tuple[str, dict[str, str]]:
    """The path of a plan, and what one process holds of it."""
    plan = wb.plan(model, "tokens:16", seed=7, rules={"scale": wb.Constant(2.0)})
    plan.save(folder / name)
    for tensor in model.parameters():
        tensor.data.fill_(float("nan"))
    wb.apply(plan, model)
    assert not any(tensor.isnan().any() for tensor in model.parameters())
    return str(folder / name), gathered(model)


LAYOUTS = [
    (2, {"layout": "fsdp"}),
    (2, {"layout": "fsdp", "offload": True}),
    (2, {"layout": "fsdp", "meta": True}),
    (4, {"layout": "fsdp"}),
    (4, {"layout": "fsdp", "experts": 4}),
    (4, {"layout": "fsdp", "meta": True}),
    (4, {"layout": "hsdp"}),
    (2, {"layout": "tp"}),
    (4, {"layout": "tp", "experts": 4}),
    (4, {"layout": "fsdp x tp"}),
    (4, {"layout": "fsdp x tp", "experts": 4}),
    (4, {"layout": "hsdp", "experts": 4}),
    (4, {"layout": "hsdp", "meta": True}),
    (4, {"layout": "fsdp x tp", "meta": True}),
    (2, {"layout": "columns"}),
    (4, {"layout": "columns"}),
]


@pytest.mark.parametrize(("size", "options"), LAYOUTS, ids=str)
def test_every_layout_holds_the_bits_of_one_process(
    worlds: Worlds, folder: Path, size: int, options: dict[str, object]
) -> None:
    path, expected = planned(folder, GPT(experts=int(options.get("experts", 0))), "gpt.json")
    answers = worlds(size).run("sharded", plan=path, **options)
    for answer in answers:
        assert answer["digests"] == expected
        assert answer["collectives"] == 0
        assert answer["elements"] == answer["local"]
        assert answer["tied"]
        assert answer["sharded"] > 0
        assert math.isfinite(answer.get("loss", 0.0))


@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize("experts", [0, 4])
def test_the_stages_of_a_pipeline_make_the_whole_model(
    worlds: Worlds, folder: Path, experts: int, interleaved: bool
) -> None:
    path, expected = planned(folder, GPT(layers=8, experts=experts, tied=False), "stages.json")
    for stages in (1, 2, 4, 8) if not interleaved else (4, 8):
        answers = worlds(2).run("staged", plan=path, stages=stages, experts=experts, interleaved=interleaved)
        pieces = [piece for answer in answers for piece in answer]
        assert len(pieces) == stages
        found = {name: value for piece in pieces for name, value in piece.items()}
        assert found == expected


def test_a_stage_with_only_the_second_name_of_a_tie_uses_the_first_ones_numbers(folder: Path) -> None:
    path, expected = planned(folder, GPT(layers=2), "tied.json")
    plan = wb.load_plan(path)
    assert plan["head.weight"].name == "tokens.weight"
    last = stage(GPT(layers=2, tied=False), [1], False, True)
    done = wb.apply(plan, last, stage=True)
    assert gathered(last)["head.weight"] == expected["tokens.weight"]
    assert done.written + done.elsewhere + done.kept == len(plan)


@pytest.mark.parametrize("original", [True, False])
def test_flat_parameters_of_fsdp1_are_refused_and_a_plan_before_them_lasts(
    worlds: Worlds, folder: Path, original: bool
) -> None:
    path, expected = planned(folder, GPT(), "gpt.json")
    for answer in worlds(2).run("flat", plan=path, original=original):
        assert answer["untouched"]
        assert len(answer["words"]) == 3
        for words, purpose in zip(
            answer["words"], ("applying a plan", "verifying a model", "verifying replicas"), strict=True
        ):
            assert words.startswith(
                f"{purpose}: FullyShardedDataParallel (FSDP1) has laid the tensors of the model, layers.0"
            )
            assert "Apply the plan before wrapping the model" in words
            assert "fully_shard (FSDP2)" in words
        assert answer["digests"].items() <= expected.items()
        assert len(answer["digests"]) == len(expected) - 2  # the second name of the tie, and a buffer


def test_what_was_loaded_stays_and_what_was_missing_is_that_of_a_full_start(worlds: Worlds, folder: Path) -> None:
    path, expected = planned(folder, GPT(), "gpt.json")
    missing = ["layers.1.qkv.weight", "layers.1.qkv.bias", "layers.3.mlp.down.weight", "tokens.weight", "head.weight"]
    loaded = GPT()
    with torch.no_grad():
        for tensor in loaded.parameters():
            tensor.fill_(0.5)
    before = gathered(loaded)
    for answer in worlds(4).run("filled", plan=path, missing=missing):
        assert answer["collectives"] == 0
        written, kept, tied, skipped = answer["counts"]
        assert (written, tied, skipped) == (4, 1, 0)
        assert written + kept == len(wb.load_plan(path))
        for name, value in answer["digests"].items():
            assert value == (expected if name in missing else before)[name], name


def test_a_sound_model_is_verified_on_every_process(worlds: Worlds, folder: Path) -> None:
    path, _ = planned(folder, GPT(), "gpt.json")
    for answer in worlds(4).run("verified", plan=path, fault=""):
        assert answer["good"]
        assert answer["replicas"] == []


def test_one_flipped_bit_on_one_process_is_found_by_all(worlds: Worlds, folder: Path) -> None:
    path, _ = planned(folder, GPT(), "gpt.json")
    for answer in worlds(4).run("verified", plan=path, fault="one bit"):
        kinds = [(kind, name, ranks) for kind, name, _, ranks in answer["faults"]]
        assert ("values", "layers.1.mlp.up.weight", (1,)) in kinds
        assert {kind for kind, *_ in kinds} == {"values", "replicas"}
        (replica,) = answer["replicas"]
        assert replica[:2] == ("replicas", "layers.1.mlp.up.weight")
        assert replica[2] in ((1,), (3,))  # of two that differ, nobody can say which is right without the plan


def test_equal_shards_are_found(worlds: Worlds, folder: Path) -> None:
    """Every process got the same numbers for its part, as torch's draws on a CPU mesh do."""
    path, _ = planned(folder, GPT(), "gpt.json")
    for answer in worlds(4).run("verified", plan=path, fault="same shards"):
        copies = [(name, ranks) for kind, name, _, ranks in answer["faults"] if kind == "copies"]
        assert copies
        assert {name for name, _ in copies} == {"layers.1.mlp.up.weight"}
        assert {ranks for _, ranks in copies} == {(0, 1), (0, 2), (0, 3)}
        assert answer["replicas"] == []


@pytest.mark.parametrize(
    ("fault", "kind", "ranks"),
    [("not finite", "non-finite", (0,)), ("torn", "tie", (0, 1, 2, 3)), ("everywhere", "values", (0, 1, 2, 3))],
)
def test_faults_name_their_processes(
    worlds: Worlds, folder: Path, fault: str, kind: str, ranks: tuple[int, ...]
) -> None:
    path, _ = planned(folder, GPT(), "gpt.json")
    for answer in worlds(4).run("verified", plan=path, fault=fault):
        found = [where for what, _, _, where in answer["faults"] if what == kind]
        assert sorted({rank for where in found for rank in where}) == list(ranks)


def test_processes_of_a_group_have_their_ranks_in_the_whole_world(worlds: Worlds) -> None:
    answers = worlds(4).run("in_group")
    assert answers[:2] == [[], []]
    for kinds in answers[2:]:
        assert kinds[0] == ("values", (3,))
        assert kinds[1][0] == "replicas"
        assert set(kinds[1][1]) <= {2, 3}


def test_a_process_draws_its_own_part_in_the_memory_of_the_part(worlds: Worlds) -> None:
    for answer in worlds(2).run("costs", rows=4096, columns=8193):
        assert answer["local"] == 2048 * 8193
        assert answer["drawn"] == answer["local"]
        assert answer["above"] < 8 * 2**20  # the shard has 64 MiB
