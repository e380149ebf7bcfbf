"""Triton in processes of its own: whether it interprets or compiles is decided for a whole process."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


class Worker:
    """A process that serves the functions of triton_worker.py by name."""

    def __init__(self, *, interpret: bool, cache: Path) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        environment |= {"TRITON_INTERPRET": "1" if interpret else "0", "TRITON_CACHE_DIR": str(cache)}
        command = [sys.executable, "-W", "error", str(Path(__file__).with_name("triton_worker.py"))]
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=cache
        )

    def __call__(self, name: str, **arguments: Any) -> Any:
        """Call a function over there; an error there is raised here."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(pickle.dumps((name, arguments)))
        stdin.flush()
        answer = pickle.load(stdout)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        self.process.communicate()


@pytest.fixture(scope="session")
def interpreted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """The GPU kernels under Triton's interpreter, on the CPU."""
    worker = Worker(interpret=True, cache=tmp_path_factory.mktemp("triton"))
    yield worker
    worker.close()


@pytest.fixture(scope="session")
def compiler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """Triton's compiler for CUDA, which needs no GPU."""
    worker = Worker(interpret=False, cache=tmp_path_factory.mktemp("triton"))
    yield worker
    worker.close()
