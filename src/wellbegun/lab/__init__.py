"""Comparing methods on real data."""

from wellbegun.lab.compare import compare
from wellbegun.lab.outcome.record import comparison_to_record
from wellbegun.lab.outcome.result import Arm, Comparison, Interval, NetworkResult, Run
from wellbegun.lab.settings import METHODS, Settings, checked
from wellbegun.lab.trials.trial import Trial
from wellbegun.lab.trials.trial_result import TrialResult

__all__ = [
    "METHODS",
    "Arm",
    "Comparison",
    "Interval",
    "NetworkResult",
    "Run",
    "Settings",
    "Trial",
    "TrialResult",
    "checked",
    "compare",
    "comparison_to_record",
]
