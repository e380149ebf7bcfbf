"""PyTorch's own tests of torch.nn.init pass with our module in its place; they run where their file is named."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FILE = os.environ.get("WELLBEGUN_TORCH_TEST_INIT")


@pytest.mark.skipif(not FILE, reason="WELLBEGUN_TORCH_TEST_INIT does not name a copy of PyTorch's test/nn/test_init.py")
def test_upstreams_own_tests_pass() -> None:
    runner = Path(__file__).with_name("upstream.py")
    done = subprocess.run([sys.executable, str(runner), FILE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    passed, failed, skipped = (int(word) for word in done.stdout.split() if word.isdigit())
    assert passed >= 30
    assert (failed, skipped) == (0, 0)


@pytest.mark.slow
def test_the_runner_sees_a_failure(tmp_path: Path) -> None:
    """So that its "passed" means something: a wrong expectation, and a file that tests another module."""
    runner = Path(__file__).with_name("upstream.py")
    case = "import unittest, torch\nclass T(unittest.TestCase):\n def test(self):\n  {}\n"
    wrong = "self.assertEqual(init.calculate_gain('tanh'), 1)"
    right = "self.assertEqual(init.__name__, 'wellbegun.nn_init')"
    for text, status in (
        ("import torch.nn.init as init\n" + case.format(wrong), 1),
        ("import torch.nn.init as init\n" + case.format(right), 0),
        ("import math as init\n" + case.format("pass"), 1),
    ):
        path = tmp_path / "case.py"
        path.write_text(text)
        done = subprocess.run([sys.executable, str(runner), str(path)], capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stdout + done.stderr
