"""wellbegun diagnose as people and pipelines use it: exit statuses, the first line, files, repairs, errors."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from markupsafe import escape

import wellbegun as wb

Run = Callable[..., subprocess.CompletedProcess[str]]

CONFIG = {
    "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": 90, "n_embd": 32, "n_layer": 2,
    "n_head": 2, "n_positions": 64, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(
        "import torch\n"
        "from torch import nn\n"
        "def deep():\n"
        "    hidden = [layer for _ in range(20) for layer in (nn.Linear(64, 64), nn.ReLU())]\n"
        "    return nn.Sequential(*hidden, nn.Linear(64, 10))\n"
        "def shallow():\n"
        "    return nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 10))\n"
    )
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    return tmp_path


@pytest.mark.parametrize("width", [80, 120])
def test_a_sound_network_exits_with_0(invoke: Run, here: Path, width: int) -> None:
    done = invoke("diagnose", "mine:shallow", cwd=here, width=width)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "sound: no faults found"
    assert max(map(len, lines)) <= width
    for expected in ("0.weight", "tanh", "theory", "gradient", "signal   ", "on 32 random inputs"):
        assert expected in done.stdout
    assert "…" not in done.stdout


def test_a_faulty_network_exits_with_1_and_is_repaired(invoke: Run, here: Path) -> None:
    done = invoke("diagnose", "mine:deep", "--json", "found.json", "--repair", "better.json", cwd=here)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("not sound: vanishing at 0.weight, collapsed at ")
    record = json.loads((here / "found.json").read_text())
    assert record["schema"] == "wellbegun.diagnosis/1"
    assert record["healthy"] is False
    assert record["verdict"] == done.stdout.splitlines()[0]
    assert {"vanishing", "collapsed"} <= {finding["kind"] for finding in record["findings"]}
    assert len(record["layers"]) == 21
    assert record["layers"][0]["expected"] == pytest.approx(record["layers"][0]["signal"], rel=0.3)
    assert wb.load_plan(here / "better.json").recipe == "auto@0, repaired"
    again = invoke("diagnose", "mine:deep", "--plan", "better.json", cwd=here)
    assert again.returncode == 0, again.stdout


def test_a_recipe_a_configuration_and_stdout_alone(invoke: Run, here: Path) -> None:
    done = invoke("diagnose", "mine:deep", "--recipe", "auto", "--json", "-", "--jacobian", cwd=here)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["findings"] == []
    assert record["jacobian"]["largest"] < 10 * record["jacobian"]["smallest"]
    done = invoke("diagnose", "config.json", cwd=here)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "transformer.h.1.mlp.c_fc.weight" in done.stdout


def test_a_page_for_the_browser(invoke: Run, here: Path) -> None:
    done = invoke("diagnose", "mine:deep", "--html", "found.html", "--json", "found.json", cwd=here)
    assert done.returncode == 1, done.stderr
    page, record = (here / "found.html").read_text("utf-8"), json.loads((here / "found.json").read_text())
    assert f"{record['verdict']}</h1>" in page
    for finding in record["findings"]:
        assert escape(finding["message"]) in page
    assert page.count('<th scope="row">') == len(record["layers"]) == 21
    done = invoke("diagnose", "mine:deep", "--html", "nowhere/found.html", cwd=here)
    assert done.returncode == 2
    assert "cannot write into 'nowhere'" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mine:nothing",), "has no function 'nothing'"),
        (("mine:deep", "--input", "image:3x8x8"), "failed while it was traced"),
        (("mine:deep", "--recipe", "auto", "--plan", "config.json"), "give one of them"),
        (("mine:deep", "--recipe", "no such recipe"), "no such recipe"),
    ],
)
def test_misuse_exits_with_2(invoke: Run, here: Path, arguments: tuple[str, ...], message: str) -> None:
    done = invoke("diagnose", *arguments, cwd=here)
    assert done.returncode == 2
    assert message in done.stderr
