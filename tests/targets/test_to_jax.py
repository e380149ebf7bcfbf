"""Planned tensors as JAX arrays: the tests in jax_cases.py, in a process with eight devices of its own."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import wellbegun as wb
from wellbegun.plans import Entry, Plan

ROOT = Path(__file__).parents[2]


def start(*command: str, devices: int = 8) -> subprocess.Popen[str]:
    paths = [str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": os.pathsep.join(paths),
    }
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, *command], cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True)


def output(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, out + err
    return out


def run(*command: str) -> str:
    return output(start(*command))


def test_the_cases() -> None:
    plain = "addopts=--strict-markers --import-mode=importlib"  # without the one that leaves these cases out
    out = run("-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", "-o", plain, "tests/targets/jax_cases.py")
    assert " passed" in out
    assert "skipped" not in out


def test_jax_missing_is_said() -> None:
    run(
        "-W",
        "error",
        "-c",
        "import sys; sys.modules['jax'] = None\n"
        "import wellbegun as wb\n"
        "from wellbegun.plans import Plan\n"
        "try: wb.to_jax(Plan((), 1, 'test@1'))\n"
        "except ImportError as error: assert \"pip install 'wellbegun[jax]'\" in str(error), error\n"
        "else: raise SystemExit('no error')\n",
    )


def test_targets_load_no_jax_by_themselves() -> None:
    run("-c", "import sys, wellbegun as wb; wb.to_jax, wb.to_numpy; assert 'jax' not in sys.modules")


def test_two_processes_draw_their_own_shards(tmp_path: Path) -> None:
    law = wb.TruncatedNormal(std=0.5)
    entries = (
        Entry("first", "parameter", (64, 48), "float32", "weight", repr(law), law, "a test"),
        Entry("second", "parameter", (8, 32, 3), "bfloat16", "weight", repr(law), law, "a test"),
    )
    plan = Plan(entries, 7, "test@1")
    plan.save(tmp_path / "plan.json")
    with socket.create_server(("localhost", 0)) as server:
        port = str(server.getsockname()[1])
    script = str(Path(__file__).with_name("jax_process.py"))
    both = [start("-W", "error", script, str(tmp_path / "plan.json"), rank, port, devices=4) for rank in "01"]
    found = [json.loads(output(process)) for process in both]
    assert found[0].keys() == found[1].keys()
    for key in found[0]:
        name = key.split()[0]
        whole = wb.to_numpy(plan, name)
        held = set()
        for process in found:
            drawn, own = process[key]["drawn"], set()
            for shard in process[key]["shards"]:
                region = tuple(slice(*edges) for edges in shard["corner"])
                assert hashlib.sha256(whole[region].tobytes()).hexdigest() == shard["sha256"]
                own.add(str(region))
                size = whole[region].size
            # what a process draws is what its devices hold, replicas once
            assert drawn == len(own) * size, key
            held |= own
        assert len(held) * size == whole.size


def test_torch_is_not_needed() -> None:
    run(
        "-W",
        "error",
        "-c",
        "import sys; sys.modules['torch'] = None\n"
        "import wellbegun as wb\n"
        "from wellbegun.plans import Entry, Plan\n"
        "plan = Plan((Entry('w', 'parameter', (4, 3), 'float32', '', '', wb.Normal(std=1.0), ''),), 7, 'test@1')\n"
        "assert (wb.to_jax(plan)['w'] == wb.to_numpy(plan, 'w')).all()\n",
    )


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_second_copy_in_memory() -> None:
    """On a CPU, where JAX would copy what it is given; peak resident memory of a process that makes 256 MiB."""
    law = wb.Normal(std=1.0)
    script = (
        "import re, pathlib, jax, wellbegun as wb\n"
        "from wellbegun.plans import Entry, Plan\n"
        "def plan(rows):\n"
        f"    return Plan((Entry('w', 'parameter', (rows, 8192), 'float32', '', '', wb.{law!r}, ''),), 7, 'test@1')\n"
        "def peak():\n"
        "    return int(re.search(r'VmHWM:\\s*(\\d+)', pathlib.Path('/proc/self/status').read_text())[1]) / 1024\n"
        "mesh = jax.sharding.Mesh(jax.devices(), ('x',))\n"
        "rows = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec('x'))\n"
        "wb.to_jax(plan(8), rows)\n"
        "before = peak()\n"
        "arrays = wb.to_jax(plan(8192), rows)\n"
        "jax.block_until_ready(arrays)\n"
        "print(peak() - before)\n"
    )
    assert 256 <= float(run("-c", script)) < 1.1 * 256
