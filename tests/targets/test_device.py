"""Filling tensors on a GPU, held to the CPU's numbers in Triton's interpreter, which needs a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import wellbegun as wb


def test_the_cases_of_a_device_under_the_interpreter():
    """device_cases.py: every law, storage type, layout and part against wb.fill on the CPU."""
    root, cases = Path(__file__).parents[2], Path(__file__).with_name("device_cases.py")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-c",
        str(root / "pyproject.toml"),
        "--rootdir",
        str(root),
        str(cases),
    ]
    env = os.environ | {"TRITON_INTERPRET": "1"}
    done = subprocess.run(command, env=env, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 50


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64, torch.complex64])
@pytest.mark.parametrize("law", [wb.Normal(1.0), wb.Uniform(-0.3, 0.1), wb.Orthogonal(), wb.Constant(0.1)], ids=repr)
def test_a_cuda_device_holds_the_numbers_of_the_cpu(law, dtype):
    if dtype.is_complex and law.structured:
        pytest.skip("refused")
    here, there = torch.zeros(300, 200, dtype=dtype), torch.zeros(200, 300, dtype=dtype, device="cuda").t()
    for out in (here, there):
        wb.fill(out, law, seed=7, name="w")
    assert torch.equal(here, there.cpu())
