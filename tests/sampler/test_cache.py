"""Compiled kernels are kept on disk where that is possible; nothing breaks where it is not."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import wellbegun as wb

PACKAGE = Path(wb.__file__).parent
SCRIPT = (
    "import hashlib, numpy as np, wellbegun as wb\n"
    "from wellbegun.sampler import kernels\n"
    "out = np.empty(5000, np.float32)\n"
    "wb.fill(out, wb.Normal(1.0), seed=1, name='w')\n"
    "hits = sum(kernels.fill.stats.cache_hits.values())\n"
    "print(hashlib.sha256(out.tobytes()).hexdigest(), hits, wb.__file__)\n"
)


def expected():
    out = np.empty(5000, np.float32)
    wb.fill(out, wb.Normal(1.0), seed=1, name="w")
    return hashlib.sha256(out.tobytes()).hexdigest()


@pytest.fixture
def copy(tmp_path):
    """The package as a fresh installation, without any cache."""
    shutil.copytree(PACKAGE, tmp_path / "site" / "wellbegun", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "site"


def start(site, **env):
    clean = {key: value for key, value in os.environ.items() if not key.startswith("NUMBA_")}
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        env=clean | {"PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"} | env,
        cwd=site,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    found, hits, file = out.split()
    return found, int(hits), Path(file)


def test_kernels_are_kept_on_disk(copy):
    first, second = finish(start(copy)), finish(start(copy))
    assert first[2].is_relative_to(copy)
    assert (first[0], first[1]) == (expected(), 0)
    assert (second[0], second[1]) == (expected(), 1)


def test_no_folder_can_be_written(copy):
    """Files where cache folders would be: neither beside the source nor at home can one be made, even by root."""
    for folder in (copy / "wellbegun" / "sampler" / "kernels", copy):
        (folder / "__pycache__").write_text("not a folder")
    nowhere = copy / "file"
    nowhere.write_text("not a folder")
    env = {"HOME": str(nowhere), "XDG_CACHE_HOME": str(nowhere / "cache")}
    found = [finish(start(copy, **env)) for _ in range(2)]
    assert [(sha, hits) for sha, hits, _ in found] == [(expected(), 0)] * 2


def test_two_processes_compile_at_once(copy):
    processes = [start(copy) for _ in range(3)]
    assert {finish(process)[0] for process in processes} == {expected()}
    assert finish(start(copy))[:2] == (expected(), 1)


def test_a_change_to_any_source_is_compiled_anew(copy):
    """Numba alone would go on with the old kernel: it looks at the file of the function that is called."""
    first = finish(start(copy))
    step = copy / "wellbegun" / "sampler" / "kernels" / "single.py"
    text = step.read_text()
    changed = text.replace("z[at + lane] = r * cosine", "z[at + lane] = -(r * cosine)")
    assert changed != text
    step.write_text(changed)
    second = finish(start(copy))
    step.write_text(text)
    third = finish(start(copy))
    assert first[0] == third[0] == expected() != second[0]
    assert (first[1], second[1], third[1]) == (0, 0, 1)


def test_the_folder_that_is_asked_for_is_used(copy, tmp_path):
    env = {"NUMBA_CACHE_DIR": str(tmp_path / "elsewhere")}
    assert [finish(start(copy, **env))[1] for _ in range(2)] == [0, 1]
    assert list((tmp_path / "elsewhere").glob("kernels-*/**/*.nbc"))
    assert not list((copy / "wellbegun").rglob("*.nbc"))
