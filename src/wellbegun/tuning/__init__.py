"""Methods that look at data, gradients or other weights: a plan, a model and a batch give a better plan."""

from wellbegun.tuning.adapters import plan_adapters
from wellbegun.tuning.calibrate import calibrate
from wellbegun.tuning.gradinit import gradinit
from wellbegun.tuning.metainit import metainit
from wellbegun.tuning.standardize import standardize

__all__ = ["calibrate", "gradinit", "metainit", "plan_adapters", "standardize"]
