"""Comparing methods on real data."""

from wellbegun.lab.compare import METHODS, Settings, check_settings, compare
from wellbegun.lab.record import comparison_to_record
from wellbegun.lab.result import Arm, Comparison, Interval, NetworkResult, Run

__all__ = [
    "METHODS",
    "Arm",
    "Comparison",
    "Interval",
    "NetworkResult",
    "Run",
    "Settings",
    "check_settings",
    "compare",
    "comparison_to_record",
]
