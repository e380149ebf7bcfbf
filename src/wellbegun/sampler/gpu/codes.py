"""The numbers by which the GPU's kernels know storage types and draws."""

from __future__ import annotations

STORAGE = {"float32": 0, "bfloat16": 1, "float16": 2, "float8_e5m2": 3, "float8_e4m3fn": 4}
"""Types that the kernels store."""

UNIFORM, NORMAL, REDRAW, QUANTILE = range(4)
"""Draws."""
