"""Real processes: initialisation code recorded on shards gives, gathered, the bits of one process."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import wellbegun as wb

from .models import STYLES, WITH_LIBRARIES

WORKER = Path(__file__).with_name("worker.py")


def run_world(size: int, folder: Path) -> list[dict[str, Any]]:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "OMP_NUM_THREADS": "1",
        "GLOO_SOCKET_IFNAME": "lo",
    }
    running = [
        subprocess.Popen(
            [sys.executable, "-W", "error", str(WORKER), str(rank), str(size), str(folder)],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(size)
    ]
    said = [process.communicate(timeout=240)[1] for process in running]
    assert all(process.returncode == 0 for process in running), "\n".join(said)
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(size)]


@pytest.fixture(scope="module", params=[2, pytest.param(4, marks=pytest.mark.slow)])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return run_world(request.param, tmp_path_factory.mktemp("world"))


def digests(model: nn.Module) -> dict[str, str]:
    return {
        name: hashlib.sha256(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()).hexdigest()
        for name, tensor in (*model.named_parameters(), *model.named_buffers())
    }


def alone(style: str) -> tuple[dict[str, str], wb.Plan]:
    make, initialise = WITH_LIBRARIES[style]
    model = make()
    with wb.recording(model, seed=11) as recorded:
        initialise(model)
    return digests(model), recorded.plan


def test_every_layout_gathers_to_the_bits_of_one_process(world: list[dict[str, Any]]) -> None:
    compared = 0
    for style in ("torchtitan", "OLMo", "transformers"):
        expected, plan = alone(style)
        for case in [case for case in world[0] if case.startswith(f"{style},")]:
            for rank, found in enumerate(answers[case] for answers in world):
                assert found["digests"] == expected, f"{case}, process {rank}"
                assert found["hash"] == plan.hash
                assert found["collectives"] == 0
                whole = "DDP" in case
                assert whole or found["sharded"] > 10
                assert (found["elements"] < sum(entry.size for entry in plan)) != whole
                compared += 1
    assert compared == len(world) * (8 if len(world) == 4 else 6)


def test_numbers_that_only_all_processes_have_are_not_read(world: list[dict[str, Any]]) -> None:
    for answers in world:
        assert "reads the numbers that embeddings.weight had before: it is sharded" in answers["refused"]


def test_a_row_of_a_sharded_tensor(world: list[dict[str, Any]]) -> None:
    model = STYLES["OLMo"][0]()
    with wb.recording(model, seed=2):
        model.init_weights()
    with wb.recording(model, seed=3, overwrite=True), torch.no_grad():
        model.embeddings.weight[7].zero_()
        model.blocks["1"].w_qkv.bias[16:32].normal_()
    assert (model.embeddings.weight[7] == 0).all()
    assert model.embeddings.weight[6].any()
    assert all(answers["patched"] == digests(model) for answers in world)


def test_partitions_of_zero_3(world: list[dict[str, Any]]) -> None:
    """By DeepSpeed's attribute protocol; DeepSpeed itself is not run."""
    model = STYLES["OLMo"][0]()
    with wb.recording(model, seed=11):
        model.init_weights(seed=5)
    for rank, answers in enumerate(world):
        for name, parameter in model.named_parameters():
            share = -(-parameter.numel() // len(world))
            held = parameter.detach().reshape(-1)[rank * share : (rank + 1) * share]
            padded = torch.cat([held, torch.full((share - len(held),), -1.0)])
            assert answers["partitions"][name] == hashlib.sha256(padded.numpy().tobytes()).hexdigest(), name
