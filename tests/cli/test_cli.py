"""The command as people use it: a real process, its output, its exit code."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from wellbegun.cli.compare import split_methods
from wellbegun.tuning.cards import all_cards

SMALL = ["--depth", "3", "--width", "8", "--activation", "relu", "--seeds", "1", "--quick"]


def run(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"COLUMNS": "120"} | environment
    command = [sys.executable, "-m", "wellbegun", *arguments]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=300, check=False)


def test_compare_writes_table_page_and_json(tmp_path) -> None:
    done = run("compare", "digits", *SMALL, "--methods", "zeros,he,auto", "--json", "out.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for expected in ("handwritten digits", "test accuracy", "zeros", "auto", "symmetric", "wellbegun-digits.html"):
        assert expected in done.stdout
    page = (tmp_path / "wellbegun-digits.html").read_text()
    assert "</html>" in page
    record = json.loads((tmp_path / "out.json").read_text())
    assert set(record["networks"][0]["methods"]) == {"zeros", "he", "auto"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.json", "wellbegun-digits.html"]


def test_json_on_stdout_is_nothing_but_json(tmp_path) -> None:
    done = run("compare", "digits", *SMALL, "--methods", "he", "--json", "-", "--html", "p.html", cwd=tmp_path)
    assert json.loads(done.stdout)["task"] == "digits"
    assert "p.html" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", "digit"], "did you mean 'digits'"),
        (["compare", "digits", "--methods", "hee"], "did you mean 'he'"),
        (["compare", "digits", "--methods", "normal(std"], "cannot read"),
        (["compare", "digits", "--activation", "tan"], "did you mean 'tanh'"),
        (["compare", "digits", "--html", "nowhere/page.html"], "cannot write into 'nowhere'"),
        (["compare", "digits", "--json", "nowhere/out.json"], "cannot write into 'nowhere'"),
        (["compare", "digits", "--html", "."], "is a folder"),
        (["explain", "xavir"], "did you mean 'xavier'"),
        (["explain", "fixupp"], "did you mean 'fixup'"),
        (["explain", "swin"], "did you mean 'swim'"),
        (["explain", "qqqqqq"], "all of them: wellbegun methods"),
        (["gain", "gelo"], "did you mean 'gelu'"),
        (["plan", "no_such_module:build"], "there is no module 'no_such_module'"),
        (["plan", "json"], "must be module:factory"),
        (["plan", "json:nothing"], "has no function 'nothing'"),
    ],
)
def test_bad_input_is_one_clear_line(arguments, message, tmp_path) -> None:
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_missing_torch_names_the_extra(tmp_path) -> None:
    """A fresh environment without torch: an import hook takes it away from a real process."""
    script = (
        "import sys, importlib.machinery as m\n"
        "class Without:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] == 'torch': raise ModuleNotFoundError('No module named torch', name='torch')\n"
        "sys.meta_path.insert(0, Without())\n"
        "sys.argv = ['wellbegun', 'compare', 'digits', '--quick']\n"
        "import importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'torch' else find(name, *rest)\n"
        "from wellbegun.cli.main import main; main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'wellbegun[torch]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_page_library_is_noticed_before_training(tmp_path) -> None:
    script = (
        "import sys, importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'jinja2' else find(name, *rest)\n"
        "sys.argv = ['wellbegun', 'compare', 'digits', '--quick']\n"
        "from wellbegun.cli.main import main; main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'wellbegun[report]'" in done.stderr
    assert done.stdout == ""


def test_a_model_that_fails_shows_its_own_error(tmp_path) -> None:
    (tmp_path / "mine.py").write_text(
        "import torch\n"
        "class Net(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.a = torch.nn.Linear(4, 4)\n"
        "    def forward(self, x):\n"
        "        raise ValueError('my own complaint')\n"
        "def build():\n"
        "    return Net()\n"
    )
    done = run("plan", "mine:build", "--input", "vector:4", cwd=tmp_path)
    assert done.returncode == 2
    for expected in ("my own complaint", "Net", "traced", "mine.py:7"):
        assert expected in done.stderr


def test_plan_shows_reasons_and_writes_json(tmp_path) -> None:
    (tmp_path / "mine.py").write_text(
        "import torch\n"
        "def build():\n"
        "    return torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))\n"
    )
    done = run("plan", "mine:build", "--input", "vector:64", "--json", "plan.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "fed by relu" in done.stdout
    assert json.loads((tmp_path / "plan.json").read_text())["recipe"] == "auto@0"
    assert run("plan", "mine:build", "--json", "-", cwd=tmp_path).returncode == 0


def test_methods_and_explain(tmp_path) -> None:
    listed = run("methods", cwd=tmp_path).stdout
    assert all(card.name in listed for card in all_cards())
    assert "auto" in listed
    card = run("explain", "Kaiming", cwd=tmp_path).stdout
    for expected in ("he", "gain²/fan", "Delving Deep into Rectifiers", "not for"):
        assert expected in card
    xavier = run("explain", "fan_in_uniform", cwd=tmp_path).stdout
    assert "third of the variance" in re.sub(r"\s+", " ", xavier)
    assert json.loads(run("explain", "he", "--json", cwd=tmp_path).stdout)["name"] == "he"
    assert len(json.loads(run("methods", "--json", cwd=tmp_path).stdout)) == len(all_cards())


def test_gain_and_version(tmp_path) -> None:
    assert "1.59253742" in run("gain", "tanh", cwd=tmp_path).stdout
    assert json.loads(run("gain", "relu", "--json", cwd=tmp_path).stdout)["gain forward"] == pytest.approx(2**0.5)
    assert run("--version", cwd=tmp_path).stdout.startswith("wellbegun 0.")


def interrupt(tmp_path: Path, until: bytes) -> tuple[int, str]:
    """A real process, and a real SIGINT once its progress bar shows this text."""
    arguments = ["compare", "digits", "--depth", "10", "--width", "32", "--activation", "relu", "--seeds", "40"]
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "wellbegun", *arguments, "--methods", "he,auto", "--quick", "--json", "out.json"],
        cwd=tmp_path,
        # a terminal, as far as the progress bar is concerned: that is how we see how far it is
        env=os.environ | {"COLUMNS": "120", "TTY_COMPATIBLE": "1", "TTY_INTERACTIVE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        assert process.stdout is not None
        seen = b""
        while until not in seen:
            piece = os.read(process.stdout.fileno(), 65536)
            assert piece, seen.decode()
            seen += piece
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read().decode()
        return process.wait(timeout=60), rest


def test_ctrl_c_keeps_the_finished_seeds(tmp_path) -> None:
    status, shown = interrupt(tmp_path, b"seed 3 of 40")
    assert status == 130
    assert "Interrupted" in shown
    record = json.loads((tmp_path / "out.json").read_text())
    assert record["interrupted"] is True
    finished = {run["seed"] for run in record["networks"][0]["methods"]["auto"]["runs"]}
    assert {0, 1} <= finished < set(range(40))
    assert "interrupted" in (tmp_path / "wellbegun-digits.html").read_text().lower()


def test_ctrl_c_before_the_first_seed_is_finished_says_so(tmp_path) -> None:
    status, shown = interrupt(tmp_path, b"preparing")
    assert status == 130
    assert "interrupted before the first seed was finished" in shown
    assert "Traceback" not in shown
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("he", ["he"]),
        ("he, auto", ["he", "auto"]),
        ("normal(std=0.02, mean=0),he", ["normal(std=0.02, mean=0)", "he"]),
        (",he,,", ["he"]),
        ("normal(std=1,he", ["normal(std=1,he"]),
    ],
)
def test_methods_are_split_outside_of_brackets(text, parts) -> None:
    assert split_methods(text) == parts
