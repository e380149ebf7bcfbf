"""wellbegun init: checkpoints that load to the same bits, folders that appear whole or not at all."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

import wellbegun as wb
from wellbegun.cli.whole import write_folder
from wellbegun.errors import OutputError

GPT2 = {
    "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": 90, "n_embd": 32, "n_layer": 2,
    "n_head": 2, "n_positions": 32, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
LLAMA = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 64, "hidden_size": 32,
    "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2, "dtype": "bfloat16",
}  # fmt: skip


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(
        "import torch\n"
        "def build():\n"
        "    model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 8))\n"
        "    model[2].weight = model[0].weight\n"
        "    return model\n"
    )
    for name, content in (("gpt2", GPT2), ("llama", LLAMA)):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    return tmp_path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_from_pretrained_gives_the_planned_bits(invoke: Run, here: Path, name: str) -> None:
    done = invoke("init", f"{name}.json", "--out", "out", "--seed", "7", "--recipe", name, cwd=here)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert {"config.json", "model.safetensors", "plan.json"} <= set(names(here / "out"))
    plan = wb.load_plan(here / "out" / "plan.json")
    model = AutoModelForCausalLM.from_pretrained(here / "out")
    for parameter, tensor in model.named_parameters():
        expected = torch.from_numpy(wb.to_numpy(plan, parameter).astype("float32"))
        assert tensor.dtype == (torch.bfloat16 if name == "llama" else torch.float32)
        assert torch.equal(tensor.detach().float(), expected), parameter
    logits = model(torch.arange(8)[None]).logits
    assert torch.isfinite(logits).all()


def test_a_model_of_ones_own(invoke: Run, here: Path) -> None:
    done = invoke("init", "mine:build", "--out", "out", "--input", "vector:8", cwd=here)
    assert done.returncode == 0, done.stderr
    seed = int(re.search(r"--seed (\d+)", done.stdout)[1])  # type: ignore[index]
    assert f"seed {seed}" in done.stdout
    again = invoke("init", "mine:build", "--out", "again", "--input", "vector:8", "--seed", str(seed), cwd=here)
    assert "drawn for this run" not in again.stdout
    assert names(here / "out") == names(here / "again") == ["model.safetensors", "plan.json"]
    for name in names(here / "out"):
        assert (here / "out" / name).read_bytes() == (here / "again" / name).read_bytes()
    tensors = load_file(here / "out" / "model.safetensors")
    plan = wb.load_plan(here / "out" / "plan.json")
    assert plan["2.weight"].name == "0.weight"
    assert set(tensors) == {entry.name for entry in plan}  # the tied weight once, BatchNorm's statistics too
    assert torch.equal(tensors["0.weight"], torch.from_numpy(wb.to_numpy(plan, "0.weight")))
    other = json.loads(invoke("init", "mine:build", "--out", "b", "--input", "vector:8", "--json", cwd=here).stdout)
    assert other["seed"] != seed
    assert other["elements"] == sum(entry.size for entry in plan)
    assert other["files"]["plan.json"] == (here / "b" / "plan.json").stat().st_size


def test_shards_in_parts_and_gone_on_with(invoke: Run, here: Path) -> None:
    """One run, two parts in any order, and a run that lost a file: the same bytes."""
    arguments = ("init", "llama.json", "--max-shard", "20kB")
    one = json.loads(invoke(*arguments, "--out", "one", "--seed", "3", "--json", cwd=here).stdout)
    shards = sorted(name for name in one["files"] if name.endswith(".safetensors"))
    assert len(shards) > 2
    assert one["streamed"] is True
    for part in ("2/2", "1/2"):
        done = invoke(*arguments, "--out", "parts", "--seed", "3", "--part", part, cwd=here)
        assert done.returncode == 0, done.stderr
        assert f", part {part};" in done.stdout
    lost = invoke(*arguments, "--out", "lost", "--json", cwd=here)
    seed = json.loads(lost.stdout)["seed"]
    whole = {name: (here / "lost" / name).read_bytes() for name in names(here / "lost")}
    (here / "lost" / shards[1]).unlink()
    (here / "lost" / "model.safetensors.index.json").unlink()
    again = json.loads(invoke(*arguments, "--out", "lost", "--resume", "--json", cwd=here).stdout)
    assert again["seed"] == seed  # from the plan that lies there
    assert again["skipped"] == [name for name in shards if name != shards[1]]
    assert again["bytes"] == len(whole[shards[1]])
    assert {name: (here / "lost" / name).read_bytes() for name in names(here / "lost")} == whole
    assert names(here / "parts") == names(here / "one")
    for name in names(here / "one"):
        assert (here / "one" / name).read_bytes() == (here / "parts" / name).read_bytes(), name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--resume", "--seed", "4"], "is another plan (seed 3, auto@0); this one has seed 4, auto@0"),
        (["--resume", "--recipe", "llama@1"], "is another plan (seed 3, auto@0); this one has seed 3, llama@1"),
        (["--resume", "--max-shard", "1GB"], "holds files of another checkpoint"),
        (["--resume", "--dtype", "float32"], "holds files of another checkpoint"),
        (["--resume", "--force"], "choose one"),
        (["--max-shard", "20kB", "--part", "1/2", "--seed", "3"], "holds this checkpoint already"),
        (["--max-shard", "20kB", "--part", "9/99", "--resume"], "choose a smaller max_shard_bytes"),
        (["--part", "3/2"], "part must be 'i/n'"),
        (["--max-shard", "large"], "max_shard_bytes must be bytes"),
        (["--dtype", "bf16"], "dtype must be"),
    ],
)
def test_going_on_with_something_else_changes_nothing(
    invoke: Run, here: Path, arguments: list[str], message: str
) -> None:
    assert invoke("init", "llama.json", "--out", "out", "--seed", "3", "--max-shard", "20kB", cwd=here).returncode == 0
    before = {name: (here / "out" / name).read_bytes() for name in names(here / "out")}
    done = invoke("init", "llama.json", "--out", "out", *arguments, cwd=here)
    assert done.returncode == 2
    assert message in done.stderr.replace("\n", " ")
    assert {name: (here / "out" / name).read_bytes() for name in names(here / "out")} == before


def test_parts_need_one_seed(invoke: Run, here: Path) -> None:
    done = invoke("init", "llama.json", "--out", "out", "--part", "1/2", cwd=here)
    assert done.returncode == 2
    assert "--part needs --seed: all parts must be drawn with the same one" in done.stderr
    assert not (here / "out").exists()


def test_a_storage_type(invoke: Run, here: Path) -> None:
    assert invoke("init", "gpt2.json", "--out", "out", "--dtype", "bfloat16", cwd=here).returncode == 0
    assert json.loads((here / "out" / "config.json").read_text())["dtype"] == "bfloat16"
    model = AutoModelForCausalLM.from_pretrained(here / "out")
    assert model.dtype == torch.bfloat16
    plan = wb.load_plan(here / "out" / "plan.json")
    table = torch.empty(plan["transformer.wte.weight"].shape, dtype=torch.bfloat16)
    wb.fill(table, plan["transformer.wte.weight"].law, seed=plan.seed, name="transformer.wte.weight")
    assert torch.equal(model.transformer.wte.weight, table)


def test_a_model_whose_weights_are_computed_is_drawn_in_memory(invoke: Run, here: Path) -> None:
    """Its state dict holds what the weights are computed from, which no plan lists; that is said."""
    (here / "mine.py").write_text(
        "import torch\n"
        "def build():\n"
        "    first = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(8, 8))\n"
        "    return torch.nn.Sequential(first, torch.nn.ReLU(), torch.nn.Linear(8, 8))\n"
    )
    done = invoke("init", "mine:build", "--out", "out", "--input", "vector:8", "--seed", "3", cwd=here)
    assert done.returncode == 0, done.stderr
    assert "the model is drawn in memory: the state dict holds what the plan does not have" in done.stderr
    assert names(here / "out") == ["model.safetensors", "plan.json"]
    model = torch.nn.Sequential(
        torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(8, 8)), torch.nn.ReLU(), torch.nn.Linear(8, 8)
    )
    model.load_state_dict(load_file(here / "out" / "model.safetensors"))
    planned = torch.from_numpy(wb.to_numpy(wb.load_plan(here / "out" / "plan.json"), "0.weight"))
    assert torch.allclose(model[0].weight, planned, rtol=1e-6)
    (here / "out" / "model.safetensors.index.json").write_text("{}")
    again = invoke("init", "mine:build", "--out", "out", "--seed", "4", "--input", "vector:8", "--force", cwd=here)
    assert again.returncode == 0, again.stderr
    assert names(here / "out") == ["model.safetensors", "plan.json"]
    again = invoke("init", "mine:build", "--out", "out", "--seed", "4", "--input", "vector:8", "--resume", cwd=here)
    assert "need a checkpoint that can be streamed" in again.stderr


def test_files_have_the_usual_permissions(invoke: Run, here: Path) -> None:
    assert invoke("init", "gpt2.json", "--out", "out", cwd=here).returncode == 0
    mask = os.umask(0)
    os.umask(mask)
    assert (here / "out").stat().st_mode & 0o777 == 0o777 & ~mask
    assert {path.stat().st_mode & 0o777 for path in (here / "out").iterdir()} == {0o666 & ~mask}


def test_what_is_there_is_kept_unless_it_shall_be_replaced(invoke: Run, here: Path) -> None:
    (here / "out").mkdir()
    (here / "out" / "notes.txt").write_text("mine")
    done = invoke("init", "gpt2.json", "--out", "out", cwd=here)
    assert done.returncode == 2
    assert "is not empty (notes.txt); choose another folder, or replace with --force" in done.stderr
    assert names(here / "out") == ["notes.txt"]
    done = invoke("init", "gpt2.json", "--out", "out", "--force", cwd=here)
    assert done.returncode == 0, done.stderr
    assert (here / "out" / "notes.txt").read_text() == "mine"
    assert "model.safetensors" in names(here / "out")
    # the index of an older checkpoint would lead readers to files that are gone: it goes with that checkpoint
    (here / "out" / "model.safetensors.index.json").write_text("{}")
    assert invoke("init", "gpt2.json", "--out", "out", "--force", cwd=here).returncode == 0
    assert names(here / "out") == [
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "notes.txt",
        "plan.json",
    ]
    done = invoke("init", "gpt2.json", "--out", "out", cwd=here)
    assert "is not empty (config.json, generation_config.json, model.safetensors ...)" in done.stderr
    assert "go on with --resume" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "mine.py"], "is a file; --out names a folder"),
        (["--out", "nowhere/out"], "cannot write into 'nowhere'"),
        (["--out", "out", "--recipe", "gpt3"], "did you mean 'gpt2'"),
        (["--out", "out", "--rules", "none.toml"], "cannot read the rules"),
        (["--out", "out", "--input", "vector:9"], "the forward pass of Sequential failed"),
    ],
)
def test_an_error_leaves_nothing_behind(invoke: Run, here: Path, arguments: list[str], message: str) -> None:
    before = set(names(here))
    done = invoke("init", "mine:build", *arguments, cwd=here)
    assert done.returncode == 2
    assert message in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr
    assert set(names(here)) - before <= {"__pycache__"}


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    def full(folder: Path) -> None:
        (folder / "model.safetensors").write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match=r"cannot write .*out': No space left on device"):
        write_folder(tmp_path / "out", full)
    assert names(tmp_path) == []
