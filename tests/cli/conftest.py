"""Running the command inside of the test's process: its output and exit code without the seconds of a new one."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wellbegun.cli.main import main


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """Return a function that runs `wellbegun ARGUMENTS` in a folder, on a terminal of some width."""

    def run(*arguments: str, cwd: Path, width: int = 120) -> subprocess.CompletedProcess[str]:
        monkeypatch.chdir(cwd)
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setattr(sys, "argv", ["wellbegun", *arguments])
        sys.modules.pop("mine", None)
        out, err = io.StringIO(), io.StringIO()
        code: object = 0
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main()
            except SystemExit as stop:
                code = stop.code
        return subprocess.CompletedProcess(arguments, int(str(code or 0)), out.getvalue(), err.getvalue())

    yield run
    sys.modules.pop("mine", None)
