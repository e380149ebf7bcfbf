"""wellbegun plan as people use it: factories, configurations, rules, differences, files, errors."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import wellbegun as wb

CONFIG = {
    "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": 90, "n_embd": 32, "n_layer": 4,
    "n_head": 2, "n_positions": 64, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(
        "import torch\n"
        "def build():\n"
        "    return torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))\n"
    )
    (tmp_path / "rules.toml").write_text('[[rule]]\nmatch = "2.*"\ninit = "zeros"\nreason = "to start even"\n')
    (tmp_path / "gpt").mkdir()
    (tmp_path / "gpt" / "config.json").write_text(json.dumps(CONFIG))
    return tmp_path


def config(here: Path, **changes: object) -> str:
    content = {key: value for key, value in (CONFIG | changes).items() if value is not None}
    (here / "other.json").write_text(json.dumps(content))
    return "other.json"


@pytest.mark.parametrize("width", [80, 100, 150])
def test_a_configuration_is_planned_in_few_rows(invoke: Run, here: Path, width: int) -> None:
    done = invoke("plan", "gpt/config.json", "--recipe", "gpt2@1", cwd=here, width=width)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) < 50
    for expected in ("plan by gpt2@1", "h.{0..3}.mlp.c_proj.weight", "= lm_head.weight", "52 tensors in 14 rows"):
        assert expected in done.stdout


def test_rules_and_a_file(invoke: Run, here: Path) -> None:
    done = invoke("plan", "mine:build", "--rules", "rules.toml", "--seed", "5", "--json", "plan.json", cwd=here)
    assert done.returncode == 0, done.stderr
    assert "to start even" in done.stdout
    loaded = wb.load_plan(here / "plan.json")
    assert loaded["2.weight"].law == wb.Constant(0.0)
    assert loaded.seed == 5


def test_differences_from_a_recipe_and_from_a_file(invoke: Run, here: Path) -> None:
    done = invoke("plan", "mine:build", "--diff", "torch", "--json", "diff.json", cwd=here)
    assert done.returncode == 0, done.stderr
    for expected in ("auto@0 → torch@1 · 4 of 4 tensors differ", "std ×0.577", "torch@1: the signal shrinks"):
        assert expected in done.stdout
    record = json.loads((here / "diff.json").read_text())
    assert record["changes"][0]["std_ratio"] == pytest.approx(3**-0.5, rel=1e-3)
    assert record["findings"][0]["plan"] == "second"
    invoke("plan", "mine:build", "--json", "plan.json", cwd=here)
    same = invoke("plan", "mine:build", "--diff", "plan.json", cwd=here)
    assert "the same laws for all 4 tensors" in same.stdout
    assert json.loads(invoke("plan", "mine:build", "--diff", "he", "--json", "-", cwd=here).stdout)["second"] == "he@0"


def test_a_seventy_billion_configuration_needs_no_memory(invoke: Run, here: Path) -> None:
    sizes = {"hidden_size": 8192, "intermediate_size": 28672, "num_hidden_layers": 3, "num_attention_heads": 64}
    content = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "num_key_value_heads": 8, **sizes}
    (here / "config.json").write_text(json.dumps(content))
    done = invoke("plan", "config.json", "--recipe", "llama", cwd=here)
    assert done.returncode == 0, done.stderr
    assert "inv_freq" in done.stdout
    assert "layers.{0..2}.mlp.{gate_proj,up_proj}.weight" in done.stdout


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": None}, "it has no model_type"),
        ({"model_type": "gtp2"}, "did you mean 'gpt2'"),
        ({"model_type": "mine", "auto_map": {"AutoModel": "m.Mine"}}, "runs no code from a model's folder"),
        ({"architectures": None}, 'add for example "architectures"'),
        ({"architectures": ["GPT2Something"]}, "has no architecture 'GPT2Something'"),
        ({"architectures": ["GPT2Config"]}, "has no architecture 'GPT2Config'"),
    ],
)
def test_configurations_that_say_too_little(invoke: Run, here: Path, changes: dict[str, object], message: str) -> None:
    done = invoke("plan", config(here, **changes), cwd=here)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_code_in_a_models_folder_is_never_run(invoke: Run, here: Path) -> None:
    (here / "m.py").write_text("open('ran', 'w')\n")
    done = invoke("plan", config(here, auto_map={"AutoModelForCausalLM": "m.Mine"}), cwd=here)
    assert done.returncode == 0, done.stderr
    assert not (here / "ran").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere/config.json"], "cannot read 'nowhere/config.json'"),
        (["rules.toml"], "must be module:factory, for example my_models:build, or the path of a transformers"),
        (["mine:build", "--rules", "none.toml"], "cannot read the rules"),
        (["mine:build", "--recipe", "gpt3"], "did you mean 'gpt2'"),
        (["mine:build", "--diff", "none.json"], "cannot read the plan"),
        (["mine:build", "--diff", "autp"], "did you mean 'auto'"),
        (["mine:build", "--json", "nowhere/plan.json"], "cannot write into 'nowhere'"),
        (["mine:build", "--input", "picture:3"], "cannot read the input spec"),
    ],
)
def test_bad_input_is_one_clear_line(invoke: Run, here: Path, arguments: list[str], message: str) -> None:
    done = invoke("plan", *arguments, cwd=here)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_rule_with_a_mistake_names_its_line(invoke: Run, here: Path) -> None:
    (here / "rules.toml").write_text(
        '[[rule]]\nmatch = "*"\ninit = "he"\n\n[[rule]]\nmatch = "3.wieght"\ninit = "he"\n'
    )
    done = invoke("plan", "mine:build", "--rules", "rules.toml", cwd=here)
    assert done.returncode == 2
    assert "(rules.toml, rule 2, line 5) matches no parameter or buffer" in done.stderr


MODELS = """
import torch
from torch import nn

def build():
    return nn.Linear(4, 3)

def broken():
    raise ValueError("no such data")

def wrong():
    return 3

def needs(width):
    return nn.Linear(width, 3)

class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 3), nn.Linear(5, 3)

    def forward(self, one, two):
        return self.first(one) + self.second(two)
"""


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("my_models:biuld", "has no function 'biuld'; did you mean 'build'?"),
        ("my_models.py:build", "write my_models:build, without .py"),
        ("my_models.py", "for example my_models:build"),
        ("my_models:broken", "building the model by my_models:broken failed: ValueError: no such data"),
        ("my_models:broken", "my_models.py, line 9, in broken"),
        ("my_models:wrong", "my_models:wrong must return a torch.nn.Module, got int"),
        ("my_models:needs", "missing 1 required positional argument: 'width'"),
        ("half:build", "importing 'half' failed: ModuleNotFoundError: No module named 'nothing_like_this'"),
        ("half:build", "half.py, line 1"),
        ("syntax:build", "importing 'syntax' failed: SyntaxError"),
        ("my_models:Pair", "the forward of Pair takes 2 arguments"),
    ],
)
@pytest.mark.parametrize("command", ["plan", "init"])
def test_mistakes_in_the_user_s_code_are_told_in_two_lines(
    invoke: Run, here: Path, command: str, model: str, told: str
) -> None:
    (here / "my_models.py").write_text(MODELS)
    (here / "half.py").write_text("import nothing_like_this\n")
    (here / "syntax.py").write_text("def build(:\n")
    done = invoke(command, model, *(("--out", "start") if command == "init" else ()), cwd=here)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert not (here / "start").exists()


def test_several_inputs_by_name(invoke: Run, here: Path) -> None:
    (here / "my_models.py").write_text(MODELS)
    done = invoke("plan", "my_models:Pair", "--input", "one=vector:4,two=vector:5", cwd=here)
    assert done.returncode == 0, done.stderr
    assert "4 tensors" in done.stdout


def test_the_user_s_functions_stand_in_the_notes_and_not_the_command_s(invoke: Run, here: Path) -> None:
    (here / "my_models.py").write_text(MODELS)
    done = invoke("plan", "my_models:build", "--recipe", "author", cwd=here)
    assert done.returncode == 0, done.stderr
    assert "cli" not in done.stdout
    assert "model.py" not in done.stdout


@pytest.mark.parametrize("command", ["plan", "init"])
def test_help_names_what_a_newcomer_needs(invoke: Run, here: Path, command: str) -> None:
    done = invoke(command, "--help", cwd=here)
    text = " ".join(done.stdout.replace("│", " ").split())
    for words in ("MODEL", "module:factory", "vector:64", "several by name", "author", "gpt2@1", "tables 'rule'"):
        assert words in text
