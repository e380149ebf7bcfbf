"""Two real processes, or four, started once for all tests here, by the harness of tests/targets/distributed."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def pair() -> Iterator[Any]:
    yield from _world(2)


@pytest.fixture(scope="session")
def four() -> Iterator[Any]:
    yield from _world(4)


def _world(size: int) -> Iterator[Any]:
    file = HERE.parents[1] / "targets" / "distributed" / "world.py"
    spec = importlib.util.spec_from_file_location("world_of_processes", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    world = module.World(size, HERE / "work.py")
    yield world
    world.stop()
