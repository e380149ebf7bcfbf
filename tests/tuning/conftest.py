"""Real digits for the tests of methods that look at data."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def digits() -> ModuleType:
    """tests/tuning/digits.py"""
    spec = importlib.util.spec_from_file_location("tuning_digits", Path(__file__).with_name("digits.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
