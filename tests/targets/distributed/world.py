"""Real processes with a gloo group, which run functions of a file side by side and hand back what they return."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


class World:
    """A number of processes, started once.

    work: the file with the functions; it may import from the package `distributed`, which is this folder.
    """

    def __init__(self, size: int, work: Path = HERE / "work.py") -> None:
        self.folder = tempfile.TemporaryDirectory()
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "OMP_NUM_THREADS": "1",
            "GLOO_SOCKET_IFNAME": "lo",
        }
        self.processes = [
            subprocess.Popen(
                [
                    sys.executable,
                    "-W",
                    "error",
                    str(HERE / "worker.py"),
                    str(rank),
                    str(size),
                    self.folder.name,
                    str(work),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment,
            )
            for rank in range(size)
        ]

    def run(self, function: str, **arguments: Any) -> list[Any]:
        """Run a function on every process and return what each of them returns.

        Raises:
            AssertionError: it failed somewhere; every process's own words are given.
        """
        for process in self.processes:
            assert process.stdin is not None
            pickle.dump((function, arguments), process.stdin)
            process.stdin.flush()
        answers = [pickle.load(process.stdout) for process in self.processes if process.stdout is not None]
        failed = [f"process {rank}: {text}" for rank, (good, text) in enumerate(answers) if not good]
        assert not failed, "\n".join(failed)
        return [value for _, value in answers]

    def stop(self) -> None:
        """End all processes."""
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.close()
        for process in self.processes:
            process.wait(timeout=30)
            assert process.stdout is not None
            process.stdout.close()
        self.folder.cleanup()
