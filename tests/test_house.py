"""The house rules, held by tests: types, lint, import directions, file lengths, a light import, a true public list."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import wellbegun as wb

ROOT = Path(__file__).parents[1]


def run(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_types() -> None:
    run(sys.executable, "-m", "mypy")


def test_lint_and_format() -> None:
    run(sys.executable, "-m", "ruff", "check", ".")
    run(sys.executable, "-m", "ruff", "format", "--check", ".")


def test_imports_point_one_way() -> None:
    run(str(Path(sys.executable).with_name("lint-imports")))


def test_no_file_is_too_long() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in (ROOT / "src").rglob("*.py")}
    assert len(lengths) > 50
    assert {path.name: n for path, n in lengths.items() if n > 400} == {}


def test_public_names_are_importable_and_documented() -> None:
    assert set(wb.__all__) <= set(dir(wb))
    for name in wb.__all__:
        assert getattr(wb, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        wb.nothing  # noqa: B018


def test_import_loads_no_framework() -> None:
    heavy = "{'torch', 'numba', 'scipy', 'numpy', 'matplotlib', 'sklearn', 'rich', 'typer'}"
    run(sys.executable, "-c", f"import sys, wellbegun; found = {heavy} & set(sys.modules); assert not found, found")


def test_core_runs_without_torch() -> None:
    script = (
        "import sys; sys.modules['torch'] = None\n"
        "import numpy as np, wellbegun as wb\n"
        "out = np.empty((4, 4), np.float32)\n"
        "wb.fill(out, wb.HeNormal(), seed=1, name='w', fans=wb.Fans(4, 4))\n"
        "assert np.isfinite(out).all() and wb.gain('gelu') > 1.5\n"
        "try: wb.plan(lambda: None, seed=1)\n"
        "except ImportError as error: assert 'wellbegun[torch]' in str(error)\n"
        "else: raise SystemExit('no error')\n"
    )
    run(sys.executable, "-c", script)
