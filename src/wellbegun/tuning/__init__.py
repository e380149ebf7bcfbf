"""Methods that look at data, gradients or other weights: a plan, a model and a batch give a better plan."""

from wellbegun.tuning.calibrate import calibrate
from wellbegun.tuning.standardize import standardize

__all__ = ["calibrate", "standardize"]
