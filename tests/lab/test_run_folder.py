"""A run's folder: killed and gone on with, reported again, refused for another comparison; and where trainings run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import wellbegun as wb
from wellbegun.errors import ArgumentError
from wellbegun.lab.execution.executors import chosen, cores
from wellbegun.lab.execution.folder import RunFolder
from wellbegun.lab.execution.processes import Processes
from wellbegun.lab.outcome.assemble import from_folder
from wellbegun.lab.outcome.record import comparison_to_record
from wellbegun.lab.session import resolved
from wellbegun.lab.tasks import load_task
from wellbegun.lab.trials.trial_result import same_numbers

SMALL = {"seeds": 3, "activations": ["relu"], "depth": 3, "width": 16, "rates": [0.005, 0.02], "steps": 60}
METHODS = ["normal(std=0.1)", "normal(std=0.1, mean=0)", "author", "torch"]


def results(folder: Path):
    return list(RunFolder(folder).results().values())


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "run"
    wb.compare("digits", METHODS, out=folder, executor="here", **SMALL)
    return folder


def test_a_folder_reports_what_was_returned(whole) -> None:
    again = wb.compare(
        "digits", METHODS, out=whole, executor="here", **SMALL, on_progress=lambda *_: pytest.fail("run")
    )
    assert comparison_to_record(from_folder(whole)) == comparison_to_record(again)
    assert len(results(whole)) == 4 * 3 * 2
    assert sorted(path.name for path in whole.iterdir() if path.suffix) == [
        "settings.json", "starts.json", "trials.jsonl", "versions.json",
    ]  # fmt: skip
    assert len(list((whole / "plans").iterdir())) == 4


def test_the_same_law_under_two_names_is_no_difference(whole) -> None:
    (network,) = from_folder(whole).networks
    found = network.arm(METHODS[1]).difference(network.winner) or network.arm(METHODS[0]).difference(network.winner)
    assert found is not None
    first, second = (network.arm(method) for method in METHODS[:2])
    assert first.score == second.score
    if network.winner in METHODS[:2]:
        assert found.verdict == "no difference"
        assert found.same_plan
        assert "the same plan under another name" in " ".join(network.sentences)


def test_another_comparison_is_refused(whole) -> None:
    with pytest.raises(ArgumentError, match=r"another comparison: settings.steps was 60 and is now 61"):
        wb.compare("digits", METHODS, out=whole, **SMALL | {"steps": 61})


def test_a_line_that_was_cut_off_is_done_again(whole, tmp_path) -> None:
    import shutil

    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    data = (folder / "trials.jsonl").read_bytes()
    (folder / "trials.jsonl").write_bytes(data[:-100])
    wb.compare("digits", METHODS, out=folder, executor="here", **SMALL)
    assert same_numbers(results(folder), results(whole))


@pytest.mark.slow
def test_a_killed_run_goes_on_with_what_is_missing(whole, tmp_path) -> None:
    folder = tmp_path / "run"
    script = (
        f"import wellbegun as wb; wb.compare('digits', {METHODS!r}, out={str(folder)!r}, executor='here', **{SMALL!r})"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    child = subprocess.Popen([sys.executable, "-c", script], env=environment)
    for _ in range(6000):
        if (folder / "trials.jsonl").exists():
            break
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    before = len(results(folder))
    assert 0 < before < 24
    seen: list[int] = []
    wb.compare(
        "digits", METHODS, out=folder, executor="here", **SMALL, on_progress=lambda done, total, _: seen.append(done)
    )
    assert seen[0] > before * SMALL["steps"]  # what was there counts as done, and is not trained again
    assert same_numbers(results(folder), results(whole))


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["processes:1", "processes:2"])
def test_any_number_of_processes_gives_the_same_bits(executor, whole, tmp_path) -> None:
    wb.compare("digits", METHODS, out=tmp_path / "run", executor=executor, **SMALL)
    assert same_numbers(results(tmp_path / "run"), results(whole))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of dask itself, as it opens and closes sockets
def test_a_real_dask_cluster_gives_the_same_bits(whole, tmp_path) -> None:
    pytest.importorskip("dask.distributed")
    wb.compare("digits", METHODS, out=tmp_path / "run", executor="dask", **SMALL)
    assert same_numbers(results(tmp_path / "run"), results(whole))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_dask_cluster_is_reached_by_its_address(whole, tmp_path) -> None:
    distributed = pytest.importorskip("dask.distributed")
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        address = cluster.scheduler_address.removeprefix("tcp:")
        wb.compare("digits", METHODS, out=tmp_path / "run", executor=f"dask:{address}", **SMALL)
    assert same_numbers(results(tmp_path / "run"), results(whole))


def test_a_budget_leaves_methods_balanced_and_says_what_is_left_out(tmp_path) -> None:
    found = wb.compare("digits", METHODS, executor="here", minutes=1e-6, **SMALL)
    assert found.left_out == "16 of 24 trainings were not run"
    assert {run.seed for arm in found.networks[0].arms for run in arm.runs} == {0}


@pytest.mark.parametrize("executor", ["processes", "processes:2"])
def test_a_network_that_no_worker_can_import_is_refused_in_words(executor) -> None:
    with pytest.raises(ArgumentError, match=r"cannot import the network .*build.*network='my_models:build'"):
        wb.compare("digits", ["he"], network=inner_function(), seeds=1, rates=[0.02], steps=20, executor=executor)


def inner_function():
    def build(task):
        return torch.nn.Linear(task.inputs, task.outputs)

    return build


def test_without_a_wish_such_a_network_trains_here() -> None:
    assert chosen(None, 1e12, 8, inner_function()) == "here"
    assert chosen(None, 1e12, 8, Processes) == ("processes" if cores() > 1 else "here")


@pytest.mark.slow
def test_functions_of_the_users_give_task_network_and_executor(tmp_path, monkeypatch) -> None:
    """The task's numbers are drawn anew by each call: a worker must get those of the caller, and not call again."""
    (tmp_path / "own_cluster.py").write_text(
        "import numpy as np\n"
        "import torch\n"
        "from wellbegun.lab.execution.processes import Processes\n\n"
        "def executor():\n    return Processes(1)\n\n"
        "def build(task):\n    return torch.nn.Linear(task.inputs, task.outputs)\n\n"
        "def part():\n    x = np.random.default_rng().normal(size=(100, 4))\n"
        "    return x, (x[:, 0] > 0).astype(int)\n\n"
        "def task():\n    return part(), part(), part()\n"
    )
    monkeypatch.chdir(tmp_path)
    same = {"network": "own_cluster:build", "seeds": 2, "rates": [0.02], "steps": 20}
    data = load_task("own_cluster:task")
    there = wb.compare(data, ["torch", "xavier"], executor="own_cluster:executor", **same)
    here = wb.compare(data, ["torch", "xavier"], executor="here", **same)
    runs = [[run.train_loss for arm in found.networks[0].arms for run in arm.runs] for found in (there, here)]
    assert runs[0] == runs[1]
    assert len(runs[0]) == 4
    resolve = resolved("own_cluster:task")
    assert resolve.sent is resolve.task
    assert resolved("digits").sent == "digits"
    assert wb.compare("own_cluster:task", ["xavier"], **same).task == "own_cluster:task"


def test_errors_of_a_worker_reach_the_caller() -> None:
    with Processes(1) as executor:
        with pytest.raises(ZeroDivisionError):
            executor.submit(divmod, 1, 0).result()
        assert executor.submit(divmod, 7, 2).result() == (3, 1)


def test_processes_that_were_started_have_imported_what_trainings_need() -> None:
    known = "'wellbegun.lab.trials.bundle' in __import__('sys').modules"
    with Processes(1) as executor:
        assert executor.submit(eval, known).result() is False
        executor.start(3)
        assert executor.submit(eval, known).result() is True
