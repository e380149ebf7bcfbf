"""The adapters of docs/guides/clusters.md, run for real where submitit and Ray are installed."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import pytest

import wellbegun as wb

GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "clusters.md"
SMALL = {"seeds": 2, "activations": ["relu"], "depth": 2, "width": 16, "rates": [0.02], "steps": 40}


@pytest.mark.slow
@pytest.mark.parametrize(("package", "module"), [("submitit", "my_slurm"), ("ray", "my_ray")])
@pytest.mark.filterwarnings("default")
def test_a_cluster_gives_the_bits_of_this_process(package: str, module: str, tmp_path, monkeypatch) -> None:
    pytest.importorskip(package, reason=f"{package} is not installed")
    found = re.search(rf"```\n# {module}\.py\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    (tmp_path / f"{module}.py").write_text(found[1], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    try:
        there = wb.compare("digits", ["torch", "he"], **SMALL, executor=f"{module}:on_this_machine")
    finally:
        sys.modules.pop(module, None)
    here = wb.compare("digits", ["torch", "he"], **SMALL, executor="here")
    assert [arm.score for arm in there.networks[0].arms] == [arm.score for arm in here.networks[0].arms]
