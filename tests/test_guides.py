"""The scripts of the guides run unchanged under torchrun, and all of them start from the same bits."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import wellbegun as wb

ROOT = Path(__file__).parents[1]
GUIDES = ROOT / "docs" / "guides"
SHARDED = ["fsdp.py", "hsdp.py", "tensor_parallel.py", "both.py", "experts.py", "pipeline.py", "by_hand.py"]
NEEDS = {
    "zero.py": "deepspeed",
    "hf_trainer.py": "accelerate",
    "accelerate_loop.py": "accelerate",
    "lightning_ddp.py": "lightning",
    "lightning_fsdp.py": "lightning",
}


def scripts() -> dict[str, str]:
    pages = "\n".join(page.read_text("utf-8") for page in sorted(GUIDES.glob("*.md")))
    found = re.findall(r"```python\n(# (\w+\.py)\n.*?)```", pages, re.DOTALL)
    assert len({name for _, name in found}) == len(found)
    return {name: text for text, name in found}


def run(folder: Path, *command: str) -> str:
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])),
        "OMP_NUM_THREADS": "1",
        "GLOO_SOCKET_IFNAME": "lo",
    }
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def torchrun(folder: Path, size: int, *command: str) -> str:
    return run(folder, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(size), *command)


def digests(text: str, word: str = "digest") -> list[str]:
    return re.findall(rf"{word} ([0-9a-f]{{16}})", text)


def losses(text: str) -> list[list[float]]:
    return [[float(number) for number in found.split()] for found in re.findall(r"losses ((?:\d+\.\d{4} ?)+)", text)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("guides")
    for name, text in scripts().items():
        (made / name).write_text(text, "utf-8")
    return made


@pytest.fixture(scope="module")
def expected(folder: Path) -> tuple[str, list[float]]:
    """What one process gets, which makes the plan."""
    text = run(folder, "network.py")
    (digest,), (steps,) = digests(text), losses(text)
    return digest, steps


def test_every_script_is_run_by_a_test() -> None:
    assert set(scripts()) == {"network.py", *SHARDED, *NEEDS}


def test_the_plan_of_the_guide_is_that_of_the_script(folder: Path, expected: tuple[str, list[float]]) -> None:
    plan = wb.load_plan(folder / "plan.json")
    assert plan.seed == 7
    assert plan["layers.3.mlp.up"].shape == (4, 32, 64)
    assert 4.5 < expected[1][1] < expected[1][0] < 5.2  # ln 128 is 4.85


def check(text: str, count: int, expected: tuple[str, list[float]]) -> None:
    assert digests(text) == [expected[0]] * count
    found = losses(text)
    assert len(found) == count
    for steps in found:
        assert steps == pytest.approx(expected[1][: len(steps)], abs=2e-4)


OFTEN = ("both.py", "pipeline.py")
"""Scripts that every run starts; a start takes about five seconds, so the others have their day."""


@pytest.mark.parametrize(
    "name", [name if name in OFTEN else pytest.param(name, marks=pytest.mark.slow) for name in SHARDED]
)
def test_every_way_of_sharding_prints_the_digest_of_one_process(
    folder: Path, expected: tuple[str, list[float]], name: str
) -> None:
    check(torchrun(folder, 2, name), 2, expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", SHARDED)
@pytest.mark.parametrize("size", [1, 4])
def test_every_way_of_sharding_on_one_and_on_four_processes(
    folder: Path, expected: tuple[str, list[float]], name: str, size: int
) -> None:
    if size == 4 and name == "tensor_parallel.py":
        pytest.skip("the script is for two processes")
    check(torchrun(folder, size, name), size, expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", NEEDS)
def test_libraries_that_train(folder: Path, expected: tuple[str, list[float]], name: str) -> None:
    """The same start on one process and on two; and afterwards the two agree."""
    if importlib.util.find_spec(NEEDS[name]) is None:
        pytest.skip(f"{NEEDS[name]} is not installed")
    one, two = torchrun(folder, 1, name), torchrun(folder, 2, name)
    start = digests(one)
    assert digests(two) == start * 2
    if name == "zero.py":
        check(two, 2, expected)
        return
    if name.startswith("lightning"):
        assert start == [expected[0]]
    trained = digests(two, "trained")
    assert len(trained) == 2
    assert len(set(trained)) == 1
    assert trained[0] != start[0]
