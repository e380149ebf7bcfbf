"""Worlds of real processes, started once for all tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .world import World

Run = Callable[..., list[Any]]


@pytest.fixture(scope="session")
def worlds() -> Iterator[Callable[[int], World]]:
    started: dict[int, World] = {}

    def world(size: int) -> World:
        if size not in started:
            started[size] = World(size)
        return started[size]

    yield world
    for running in started.values():
        running.stop()
