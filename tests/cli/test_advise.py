"""wellbegun advise as people use it: the table, JSON, exit codes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(
        "import torch\n"
        "class Silent(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.layer = torch.nn.Linear(8, 4)\n"
        "    def forward(self, x):\n"
        "        return self.layer(x) * 0\n"
        "def build():\n"
        "    return torch.nn.Sequential(torch.nn.Linear(32, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))\n"
    )
    return tmp_path


@pytest.mark.parametrize("width", [80, 120])
def test_choices_reasons_and_what_is_wrong(invoke: Run, here: Path, width: int) -> None:
    done = invoke("advise", "mine:build", cwd=here, width=width)
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines()[:-4])) <= width
    text = " ".join(done.stdout.split())
    assert "Sequential: its layers are matrix products; no normalisation, no shortcut, no recurrence" in text
    for part in ("1. auto", "2. ", "3. ", "why", "needs", "against", "Not here", "normal"):
        assert part in text
    assert text.endswith("wellbegun plan mine:build --recipe auto@0")


def test_json_alone_and_into_a_file(invoke: Run, here: Path) -> None:
    done = invoke("advise", "mine:build", "--most", "1", "--json", "-", cwd=here)
    record = json.loads(done.stdout)
    assert record["schema"] == "wellbegun.advice/1"
    assert [choice["recipe"] for choice in record["choices"]] == ["auto@0"]
    assert record["traits"]["rectifier"] == "its activation is relu"
    again = invoke("advise", "mine:build", "--most", "1", "--json", "advice.json", cwd=here)
    assert "1. auto" in again.stdout
    assert json.loads((here / "advice.json").read_text()) == record


def test_the_exit_status_says_that_no_start_is_sound(invoke: Run, here: Path) -> None:
    done = invoke("advise", "mine:Silent", "--input", "vector:8", cwd=here)
    assert done.returncode == 1
    assert "1. " in done.stdout


def test_a_wrong_model_is_told_in_one_line(invoke: Run, here: Path) -> None:
    done = invoke("advise", "mine:nothing", cwd=here)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stdout == ""


def test_explain_names_what_the_lab_has_measured_again(invoke: Run, here: Path) -> None:
    catalogue = pytest.importorskip("wellbegun.lab.anchors.catalogue")
    anchor = next(anchor for anchor in catalogue.ANCHORS.values() if anchor.methods)
    done = invoke("explain", anchor.methods[0], cwd=here)
    assert f"docs/anchors/{anchor.name}.md" in "".join(done.stdout.split())
