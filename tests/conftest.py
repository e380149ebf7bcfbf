"""Settings for all tests: deterministic properties, a rotating part of the slow tests, one thread a process."""

from __future__ import annotations

import os
import zlib

import hypothesis
import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    # with one process a core, more threads would only wait for each other
    os.environ.setdefault("OMP_NUM_THREADS", "1")

hypothesis.settings.register_profile("wellbegun", derandomize=True, deadline=None)
hypothesis.settings.load_profile("wellbegun")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow-part", metavar="K/N", help="with -m slow: run the K-th of N parts of the slow tests")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    part = config.getoption("--slow-part")
    if part:
        k, n = map(int, part.split("/"))
        chosen = [item for item in items if zlib.crc32(item.nodeid.encode()) % n == k % n]
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = chosen
    elif "slow" not in config.getoption("markexpr"):
        skip = pytest.mark.skip(reason="slow: run with -m slow")
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(skip)
