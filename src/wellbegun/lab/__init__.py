"""Comparing methods on real data."""

from wellbegun.lab.compare import compare
from wellbegun.lab.record import comparison_to_record
from wellbegun.lab.result import Arm, Comparison, Interval, NetworkResult, Run
from wellbegun.lab.settings import METHODS, Settings, checked

__all__ = [
    "METHODS",
    "Arm",
    "Comparison",
    "Interval",
    "NetworkResult",
    "Run",
    "Settings",
    "checked",
    "compare",
    "comparison_to_record",
]
